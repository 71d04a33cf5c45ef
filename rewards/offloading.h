/* Edge offloading's verifier: who offloads is judged by the weighted rate that the best times then give. */
#ifndef WZ_REWARDS_OFFLOADING_H
#define WZ_REWARDS_OFFLOADING_H

#include "rewards/verifier.h"

/* Every decision is feasible. Reference: the optimum by trying all while users <= 12 (training: 6), else the best that
 * thresholds and changes of one user find. f0: the best of all_local, all_edge and two_strongest.
 * Baselines: "coordinate_descent" (Huang et al. 2019: from all_local, the one change that helps most, until none does),
 * "sorted_thresholds" (the n users of largest gain offload, the best n), "weighted_thresholds" (a number of its own for
 * each weight), "random", "all_local", "all_edge", "two_strongest". */
extern const wz_verifier wz_verifier_offloading;

#endif
