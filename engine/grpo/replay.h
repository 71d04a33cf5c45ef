/* A pool of problems that were trained on, to train again those that are solved sometimes.
 *
 * A problem's success is the share p of its completions that solved it, averaged over its groups (each new one counts half).
 * It is drawn with weight p (1 - p), the variance of one completion's success and the largest at p = 1/2: a group that
 * always or never succeeds has no advantage to learn from. (Tzannetos et al. 2023, arXiv:2304.12877, and Rutherford et al.
 * 2024, arXiv:2408.15099, choose tasks by p (1 - p), "learnability".) What is known of a problem ages, since the policy
 * changes; where prioritised level replay (Jiang et al. 2021) draws old ones more often, here they leave. */
#ifndef WZ_GRPO_REPLAY_H
#define WZ_GRPO_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

typedef struct wz_replay_options {
    int64_t capacity, max_age; /* problems; steps since a problem was last trained */
    double least, most;        /* a success outside of these is never drawn */
    bool
        keeps_all; /* also problems of weight 0: what is known of them keeps a training set from showing them */
} wz_replay_options;

typedef struct wz_replay_item {
    uint32_t number;     /* names the problem: of its draw, or its place in the training set */
    uint8_t part, level; /* of the mixture; of the curriculum */
    int64_t seen;        /* the step that trained it last */
    double success;      /* in [0, 1] */
} wz_replay_item;

/* Initialise with {0}. */
typedef struct wz_replay {
    wz_replay_item *items; /* by number */
    size_t count, capacity;
} wz_replay;

wz_status wz_replay_reserve(wz_replay *replay, size_t capacity, wz_error *err);
void wz_replay_clear(wz_replay *replay);

double wz_replay_weight(const wz_replay_options *options, double success);
/* Forgets what is older than max_age at this step. */
void wz_replay_age(wz_replay *replay, const wz_replay_options *options, int64_t step);
/* NULL: nothing is known of it. */
const wz_replay_item *wz_replay_find(const wz_replay *replay, uint32_t number);
/* Chooses up to `count` different items, chosen [count], by systematic sampling: one draw a step, then points at equal
 * distances along the weights. How many it chose, n: no more than the sum of the weights over the largest, so that item i is
 * among them with probability exactly n weight[i] / sum. A function of (seed, step, items). */
size_t wz_replay_draw(const wz_replay *replay, const wz_replay_options *options, uint64_t seed, uint32_t step,
                      size_t count, size_t *chosen);
/* Takes in a group's share of solved completions (item->success). A full pool gives up the item of least weight, the oldest
 * of several; the new one may be it. The room must have been reserved. */
void wz_replay_observe(wz_replay *replay, const wz_replay_options *options, const wz_replay_item *item);
/* Mean success of the items; NaN: there are none. */
double wz_replay_success(const wz_replay *replay);

#endif
