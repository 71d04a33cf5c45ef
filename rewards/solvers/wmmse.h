/* WMMSE power control (Shi et al. 2011, "An Iteratively Weighted MMSE Approach to Distributed Sum-Utility
 * Maximization", scalar interference channel): the field's standard algorithm, a local optimum over
 * continuous powers. */
#ifndef WZ_REWARDS_SOLVERS_WMMSE_H
#define WZ_REWARDS_SOLVERS_WMMSE_H

#include "rewards/solvers/sum_rate.h"

/* From initial powers (links; NULL: full power) to `power` (links), each in 0..budget. Stops when the sum of
 * log2 w grows by at most 1e-3, or after 100 iterations, as in the code of Sun et al. 2018. Returns the sum
 * rate in bit/s/Hz. */
double wz_wmmse(const wz_channel *channel, const double *initial, double *power);

#endif
