/* The best division of a frame between harvesting energy and sending, once it is known who offloads. */
#ifndef WZ_REWARDS_SOLVERS_TIME_SPLIT_H
#define WZ_REWARDS_SOLVERS_TIME_SPLIT_H

#define WZ_SPLIT_GROUPS 2 /* of senders of equal weight */

/* Rates are in one unit, whichever. */
typedef struct wz_split_load {
    double local;                  /* L >= 0: rate of all who compute themselves, were a = 1 */
    double scale[WZ_SPLIT_GROUPS]; /* E_g > 0: a sender's rate is E_g t ln(1 + s_i a / t) */
    double snr[WZ_SPLIT_GROUPS];   /* S_g >= 0: sum of the s_i of the group's senders; 0: it has none */
} wz_split_load;

typedef struct wz_split_times {
    double harvest;                /* a */
    double share[WZ_SPLIT_GROUPS]; /* of a group; a sender's is in proportion to its s_i */
} wz_split_times;

/* max L a^(1/3) + sum_i E_i t_i ln(1 + s_i a / t_i) over a, t_i >= 0 with a + sum_i t_i <= 1: convex. Returns that
 * rate.
 *
 * With v the multiplier of time, d/dt_i = v gives t_i = s_i a / (z_i - 1), where ln z_i + 1/z_i = 1 + v / E_i, so that
 * 1/z_i is Lambert's W (wz_lambert_w). It depends on E_i only: senders of equal weight share s_i a / t_i, and the
 * group is one sender of S_g. d/da = v is then an equation in v alone,
 *     L/3 a^(-2/3) + sum_g E_g S_g / z_g = v,   a = 1 / (1 + sum_g S_g / (z_g - 1)),
 * whose left side falls with v; its root lies in L/3 .. L + sum_g E_g S_g, and is found by Newton's method, with
 * bisection where that leaves the interval. (Huang, Bi, Zhang 2019, section IV, solve it by bisection.) The error in
 * v is below 1e-7 relative; the rate, being at its maximum, feels only the square of that. */
double wz_time_split(const wz_split_load *load, wz_split_times *times);

#endif
