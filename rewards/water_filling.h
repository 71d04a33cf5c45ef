/* Water-filling's verifier: whole shares are judged by the sum rate they reach on the printed gains. */
#ifndef WZ_REWARDS_WATER_FILLING_H
#define WZ_REWARDS_WATER_FILLING_H

#include "rewards/verifier.h"

/* Reference: the exact optimum over whole shares, by marginal allocation. f0, the best trivial policy, is the better of
 * uniform shares and the strongest channel only. Violated: shares that sum to more than the total, by how many parts.
 * Baselines: "water_filling" (real powers, so that it may pass 1); "water_filling_rounded", "proportional" (to the gain) and
 * "uniform", rounded to whole shares by largest remainder; "strongest"; "random" (shares that sum to the total). */
extern const wz_verifier wz_verifier_water_filling;

#endif
