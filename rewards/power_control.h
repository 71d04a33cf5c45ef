/* Power control's verifier: levels are judged by the sum rate they reach on the printed gains. */
#ifndef WZ_REWARDS_POWER_CONTROL_H
#define WZ_REWARDS_POWER_CONTROL_H

#include "rewards/verifier.h"

/* Reference: the exact optimum over the problem's levels while levels^links <= 2^20 (20 links on/off), else
 * the best that WMMSE from many starts, rounded, with coordinate ascent finds. f0, the best trivial policy,
 * is the better of full power and strongest link only.
 * Baselines: "wmmse" (continuous powers, as the field reports it, so that it may pass 1), "wmmse_rounded"
 * (to the problem's levels), "greedy_adder", "full", "random", "strongest". */
extern const wz_verifier wz_verifier_power_control;

#endif
