/* The verifier of energy efficiency: levels are judged by the bits per joule they reach on the printed gains. */
#ifndef WZ_REWARDS_ENERGY_EFFICIENCY_H
#define WZ_REWARDS_ENERGY_EFFICIENCY_H

#include "rewards/verifier.h"

/* Reference: the exact optimum over the levels while levels^links <= 2^20 (in training 1,331), else what Dinkelbach's method
 * finds. f0, the best trivial policy, is the better of full power and the strongest link only at full power. Every answer is
 * feasible.
 * Baselines: "dinkelbach", "single" (the most efficient link alone, at the best of its levels), "full", "strongest", "random". */
extern const wz_verifier wz_verifier_energy_efficiency;

#endif
