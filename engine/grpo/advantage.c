#include "engine/grpo/advantage.h"

#include <math.h>

#define STD_FLOOR 1e-4 /* TRL's */
#define EQUAL 1e-9     /* rewards closer than this share of the largest are equal: rounding, not signal */

void wz_mean_std(const double *values, size_t count, double *mean, double *std)
{
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    *mean = count > 0 ? sum / (double)count : 0.0;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - *mean) * (values[i] - *mean);
    *std = count > 1 ? sqrt(squares / (double)(count - 1)) : 0.0;
}

bool wz_rewards_are_equal(const double *reward, size_t count)
{
    double low = reward[0], high = reward[0];
    for (size_t i = 1; i < count; i++) {
        low = reward[i] < low ? reward[i] : low;
        high = reward[i] > high ? reward[i] : high;
    }
    return high - low <= EQUAL * fmax(fabs(low), fabs(high));
}

size_t wz_advantages(wz_reward_scale scale, bool leave_one_out, size_t groups, size_t generations,
                     const double *reward, double *advantage, uint8_t *flat)
{
    double batch_mean = 0.0, batch_std = 0.0;
    size_t flat_groups = 0;
    wz_mean_std(reward, groups * generations, &batch_mean, &batch_std);
    for (size_t g = 0; g < groups; g++) {
        const double *r = reward + g * generations;
        double mean = 0.0, std = 0.0, factor = 1.0;
        flat[g] = wz_rewards_are_equal(r, generations);
        flat_groups += flat[g];
        wz_mean_std(r, generations, &mean, &std);
        if (leave_one_out && generations > 1)
            factor = (double)generations / (double)(generations - 1);
        if (scale != WZ_SCALE_REWARDS_NONE)
            factor /= (scale == WZ_SCALE_REWARDS_GROUP ? std : batch_std) + STD_FLOOR;
        for (size_t i = 0; i < generations; i++)
            advantage[g * generations + i] = flat[g] ? 0.0 : (r[i] - mean) * factor;
    }
    return flat_groups;
}
