/* Advantages: how much better an answer did than its group. */
#ifndef WZ_GRPO_ADVANTAGE_H
#define WZ_GRPO_ADVANTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum wz_reward_scale {
    WZ_SCALE_REWARDS_GROUP, /* (r - mean) / (std + 1e-4), std of the group, Bessel-corrected (DeepSeekMath) */
    WZ_SCALE_REWARDS_BATCH, /* (r - group mean) / (std + 1e-4), std of all rewards of the batch */
    WZ_SCALE_REWARDS_NONE   /* r - mean (Dr. GRPO) */
} wz_reward_scale;

/* reward, advantage [groups][generations]; flat [groups]: set where all rewards of a group are equal, up to rounding
 * (their spread is below 1e-9 of the largest): no signal, advantage 0. leave_one_out: the baseline is the mean of
 * the group's other completions, so (r - mean) G / (G - 1). Returns the number of flat groups. */
size_t wz_advantages(wz_reward_scale scale, bool leave_one_out, size_t groups, size_t generations,
                     const double *reward, double *advantage, uint8_t *flat);

/* Whether rewards are equal up to rounding, as above. */
bool wz_rewards_are_equal(const double *reward, size_t count);

/* Mean and Bessel-corrected standard deviation (0 for one value). */
void wz_mean_std(const double *values, size_t count, double *mean, double *std);

#endif
