/* What completions earned and how long they are: the figures that a training step and an evaluation have in common. */
#ifndef WZ_GRPO_COMPLETIONS_H
#define WZ_GRPO_COMPLETIONS_H

#include "engine/grpo/batch.h"
#include "rewards/reward.h"

/* Weighted sums of values, and of squared deviations from their running mean: 0 where values are equal. */
typedef struct wz_moments {
    double sum, mean, squares;
} wz_moments;

/* {0}: of no completions. They are taken in order, one by one, so that no figure depends on how they were cut into packs. */
typedef struct wz_completion_sums {
    int64_t count;
    double weight; /* of all; 1 of each, unless sums were mixed */
    wz_moments reward, function[WZ_REWARD_FUNCS], shaping, overlong;
    double length, shortest, longest;
    double finished; /* weight of those that ended by themselves, and their lengths */
    double terminated, terminated_shortest, terminated_longest;
    double decisions, entropy; /* entropy: in units of 2^-24 nat */
} wz_completion_sums;

typedef struct wz_completion_figures {
    double reward;
    double function_mean[WZ_REWARD_FUNCS];
    double function_std[WZ_REWARD_FUNCS]; /* over all completions, Bessel-corrected; 0 of one */
    double shaping, overlong;             /* means of what they added to the reward */
    double mean_length, min_length, max_length;
    double terminated_mean, terminated_min, terminated_max; /* 0: none ended by itself */
    double clipped_ratio;
    double entropy; /* nat per decision, where entropies were added */
} wz_completion_figures;

/* Adds a batch's completions, which have been verified. step: that the rewards are of. */
void wz_completion_sums_add(wz_completion_sums *sums, const wz_batch *batch, const wz_reward_options *options,
                            int64_t step);
/* Adds the entropies of its decisions, as they were sampled: each to 2^-25 nat, so that sums are exact up to 2^29 nat and
 * depend on no order. */
void wz_completion_sums_add_entropies(wz_completion_sums *sums, const wz_batch *batch);
/* Adds other completions (at least one), which together weigh `weight`. */
void wz_completion_sums_mix(wz_completion_sums *sums, const wz_completion_sums *from, double weight);
/* NaN, where nothing was added. */
void wz_completion_sums_finish(const wz_completion_sums *sums, wz_completion_figures *out);

#endif
