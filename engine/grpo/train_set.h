/* Problems to train on that are given, in place of generated ones: epoch after epoch, each once an epoch. */
#ifndef WZ_GRPO_TRAIN_SET_H
#define WZ_GRPO_TRAIN_SET_H

#include "engine/core/digest.h"
#include "rewards/verifier.h"

#define WZ_TRAIN_SET_MAX (1 << 24) /* problems */

/* What is known of a problem before it comes into a batch. */
typedef struct wz_known_reference {
    bool is_known;
    wz_reference reference;
    unsigned decision[WZ_MAX_SLOTS]; /* its decision, unused slots 0 */
} wz_known_reference;

/* A problem of the set. */
typedef struct wz_train_item {
    wz_problem problem;
    uint8_t part;  /* of the mixture */
    size_t number; /* in the file, from 0 */
    wz_reference reference;
    size_t at; /* of its decision, among all */
    size_t slots;
} wz_train_item;

/* Initialise with {0}. */
typedef struct wz_train_set {
    wz_train_item *items;
    size_t count, capacity;
    unsigned *decisions;
    size_t decision_count, decision_capacity;
    char digest[WZ_DIGEST_HEX]; /* of the file's problems */
} wz_train_set;

/* Takes the problem over, also on failure. number: in the file. */
wz_status wz_train_set_add(wz_train_set *set, wz_problem *problem, uint8_t part, size_t number,
                           const wz_reference *reference, const unsigned *decision, size_t slots,
                           wz_error *err);
/* A copy of problem `number`, and its reference. */
wz_status wz_train_set_take(const wz_train_set *set, size_t number, wz_problem *out,
                            wz_known_reference *known, wz_error *err);
void wz_train_set_clear(wz_train_set *set);

#endif
