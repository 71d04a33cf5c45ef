/* The K-link interference channel and its sum rate. */
#ifndef WZ_REWARDS_SOLVERS_SUM_RATE_H
#define WZ_REWARDS_SOLVERS_SUM_RATE_H

#include <stddef.h>

#include "tasks/link_table.h" /* WZ_MAX_LINKS */

/* What every solver is given. `gain` is borrowed. */
typedef struct wz_channel {
    size_t links;       /* 1..WZ_MAX_LINKS */
    const double *gain; /* (links, links): power gain from transmitter j to receiver i, linear, >= 0 */
    double noise;       /* receiver noise power, > 0, same unit as gain * power */
    double budget;      /* largest power of a transmitter, > 0 */
} wz_channel;

/* Sum rate of K links sharing one channel, in bit/s/Hz.
 *   gain   [K][K]  gain[i][j]: power gain from transmitter j to receiver i, linear
 *   power  [K]     transmit powers, linear, in units of the power budget
 *   noise          receiver noise power, same unit as gain * power
 * sum_i log2(1 + gain[i][i] power[i] / (noise + sum_{j != i} gain[i][j] power[j]))     (Shi et al. 2011, eq. 2) */
double wz_sum_rate(size_t links, const double *gain, const double *power, double noise);

/* power[i] = budget * level[i] / (levels - 1). */
void wz_levels_to_power(const wz_channel *channel, size_t levels, const unsigned *level, double *power);
/* Nearest level of each power in [0, budget]. */
void wz_power_to_levels(const wz_channel *channel, size_t levels, const double *power, unsigned *level);
/* Sum rate of a vector of levels, each in 0..levels-1. */
double wz_levels_sum_rate(const wz_channel *channel, size_t levels, const unsigned *level);

#endif
