/* Gradients kept apart within a batch.
 *
 * Sums over problems must not depend on how a batch was cut into packs. An array that one part of the backward pass adds
 * to is safe: every part runs problem by problem. An array that two parts add to is not: with one pack all problems of
 * the first part come before those of the second, with two packs they alternate. So the second part of each such array
 * has an accumulator of its own, added once per batch:
 *     head and final norm   decisions, then grammar lessons
 *     tied embedding        the head's parts, then the embedded rows */
#ifndef WZ_GRPO_APART_H
#define WZ_GRPO_APART_H

#include "engine/model/model.h"

typedef struct wz_apart {
    wz_model lessons;    /* the model, with the lessons' gradients directed here */
    wz_model layers;     /* the model, with the embedded rows' gradients directed here */
    float *memory;       /* backend; NULL: nothing is kept apart */
    int64_t head_floats; /* vocab_size x hidden_size */
    bool has_lessons, has_rows;
    int32_t *identity; /* [vocab_size] 0, 1, 2, ... */
} wz_apart;

/* Bytes of backend memory that wz_apart_create takes. */
size_t wz_apart_bytes(const wz_model_config *config, bool with_lessons);
/* with_lessons: grammar lessons will be taught. The model must outlive *out, whose views share its weights. */
wz_status wz_apart_create(const wz_model *model, bool with_lessons, wz_apart *out, wz_error *err);
void wz_apart_clear(wz_apart *apart); /* also of {0} */
/* At the start and at the end of a batch. */
void wz_apart_zero(wz_apart *apart);
void wz_apart_join(wz_apart *apart);

#endif
