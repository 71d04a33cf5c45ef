/* Whether evaluated problems are, number for number, among those that a run has trained on.
 *
 * Splits draw from streams of their own, but where a family's settings leave few distinct problems the same numbers come up
 * in both. The problems of training are made anew at the evaluated options and compared; with a curriculum or a mixture the
 * run has trained on some of them at another size, or in another family, and with filters or dynamic sampling not on all of
 * them, so that the count is an upper bound. A training set's problems are all taken for trained on; where its file is gone or
 * has changed, nothing is said. What a run that this one was started from (init_from) has seen is not known here. */
#ifndef WZ_RUN_SEEN_H
#define WZ_RUN_SEEN_H

#include "engine/grpo/mixture.h"
#include "engine/run/config.h"
#include "engine/run/evaluate.h"
#include "engine/run/problem_set.h"

#define WZ_SEEN_MOST 300000 /* problems, of training and evaluated: more are not compared */

typedef struct wz_training_past {
    wz_mixture mixture;
    uint64_t seed;
    int64_t
        problems; /* steps done times problems drawn in a step: numbers 0 .. problems - 1 of the split `train` */
    char train_set[WZ_PATH_MAX]; /* in place of these, if it still has that digest; "": none */
    char set_digest[WZ_DIGEST_HEX];
} wz_training_past;

/* What a checkpoint says of its training. */
wz_status wz_training_past_read(const char *checkpoint, wz_training_past *out, wz_error *err);
/* Compares the options' problems, if the run trained on this task with these values: fills options->seen_state and
 * options->seen, which *flags owns and the caller frees. */
wz_status wz_find_seen(const wz_training_past *past, wz_eval_options *options, uint8_t **flags,
                       wz_error *err);

#endif
