/* Power shared out among parallel channels, in whole parts and in real numbers. */
#ifndef WZ_REWARDS_SOLVERS_WATER_FILLING_H
#define WZ_REWARDS_SOLVERS_WATER_FILLING_H

#include <stddef.h>

/* Parallel channels and the power budget, which is 1 and is divided into `total` parts. `gain` is borrowed. */
typedef struct wz_tones {
    size_t count;       /* 1..WZ_MAX_LABELS */
    const double *gain; /* (count): SNR at the whole power, linear, > 0 */
    unsigned total;     /* > 0 */
} wz_tones;

/* sum_i log2(1 + gain_i power_i), in bit/s/Hz. power (count), in units of the budget. */
double wz_tones_rate(const wz_tones *tones, const double *power);
/* The same of power_i = share_i / total. */
double wz_shares_rate(const wz_tones *tones, const unsigned *share);

/* The real powers, sum 1, of largest rate: power_i = max(0, level - 1/gain_i) with the water level found by bisection
 * (Cover and Thomas, Elements of Information Theory, 9.4). Returns the level; 60 count steps. An upper bound of what whole
 * shares reach: rounded down, each of the a channels that have power loses at most log2(1 + 1/(total level - 1)), so that
 *     0 <= rate(power) - rate(best shares) <= a log2(1 + 1/(total level - 1))     where total level > 1. */
double wz_water_fill(const wz_tones *tones, double *power);

/* Whole shares that sum to total of largest rate; returns it. Each part in turn goes where it adds most: the rate is a sum
 * of concave functions of one share each and only their sum is bounded, which makes this exact (Fox 1966, "Discrete
 * optimization via marginal analysis"). total count comparisons; of equal channels the first wins. */
double wz_marginal_allocation(const wz_tones *tones, unsigned *share);

/* Whole parts of powers (count) whose sum is at most 1, rounded down. Returns the parts that are left over. */
unsigned wz_shares_round_down(const wz_tones *tones, const double *power, unsigned *share);
/* Whole parts of powers whose sum is 1: rounded down, one part more where the remainder is largest (Hamilton's method), the
 * first channel first among equal ones. */
void wz_shares_round(const wz_tones *tones, const double *power, unsigned *share);
/* Equal powers, rounded so. */
void wz_shares_even(const wz_tones *tones, unsigned *share);

#endif
