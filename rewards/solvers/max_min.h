/* Powers of an interference channel that make the smallest SINR largest. Direct gains must be positive. */
#ifndef WZ_REWARDS_SOLVERS_MAX_MIN_H
#define WZ_REWARDS_SOLVERS_MAX_MIN_H

#include "rewards/solvers/sum_rate.h"

/* min_i gain_ii p_i / (noise + sum_{j != i} gain_ij p_j), linear. power (links). */
double wz_min_sinr(const wz_channel *channel, const double *power);

/* Real powers (links) of largest minimum SINR, the largest of them the budget; returns that SINR. Fixed point of
 * p <- p / sqrt(SINR(p)), normalised; without the root, which halves each step on a logarithmic scale, two links that hardly
 * notice the noise would swap their powers for ever. All SINRs are then equal (Yates 1995; Tan, Chiang and Srikant 2011,
 * "Fast algorithms and performance bounds for sum rate maximization in wireless networks", the nonlinear Perron-Frobenius
 * theorem). Stops when the SINRs agree to 1e-9, or after 2000 iterations of links^2 operations.
 * *bound is an upper bound of the optimum whether or not it has converged, the largest SINR at the last powers p: let t be
 * the largest ratio p_j / p*_j to the optimal powers p*; it is at least 1, since p has a link at the budget. Link j then hears
 * at most t times what it hears at p*, so that its SINR is at least the optimum. */
double wz_max_min_power(const wz_channel *channel, double *power, double *bound);

/* Levels (links), each in 0..levels-1, of largest minimum SINR; returns it. Exact: the vectors in which every SINR passes a
 * target have a least element, which is found by raising, link by link, whatever level is too low (levels only rise, and
 * none above what the others demand), or there are none. The target is bisected between what has been reached and `bound`
 * until nothing passes what has been reached; SINRs are computed as wz_min_sinr does, whose sums and quotients are monotone
 * in the levels even when rounded. About 40 rounds of a few links^2 operations, links^3 levels at worst. */
double wz_max_min_levels(const wz_channel *channel, size_t levels, double bound, unsigned *level);

#endif
