/* The verifier of max-min SINR: levels are judged by the smallest SINR they leave on the printed gains. */
#ifndef WZ_REWARDS_MAX_MIN_H
#define WZ_REWARDS_MAX_MIN_H

#include "rewards/verifier.h"

/* Reference: an upper bound, the optimum over real powers; the best decision known is the exact optimum over the levels. f0,
 * the best trivial policy, is full power. Every answer is feasible; one that silences a link is worth nothing.
 * Baselines: "fixed_point" (real powers: the bound), "fixed_point_rounded" (to the nearest level but 0), "inversion" (real
 * powers in inverse proportion to direct gains, so that all links are received alike), "inversion_rounded", "full", "random". */
extern const wz_verifier wz_verifier_max_min;

#endif
