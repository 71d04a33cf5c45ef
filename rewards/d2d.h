/* D2D link scheduling's verifier: which links are on is judged by the sum of rates in Mbit/s. */
#ifndef WZ_REWARDS_D2D_H
#define WZ_REWARDS_D2D_H

#include "rewards/verifier.h"

/* Reference: the exact optimum of up to 20 links (in training of up to 12); beyond, the better of FPLinQ and the greedy rule,
 * each followed by flips of single links while any helps.
 * f0, the best trivial policy, is the best of all links on, the strongest link only and the stronger half of the links.
 * Baselines: "fplinq", "fplinq_flip" (then flips of single links), "greedy" (by direct gain, each link that helps),
 * "greedy_adder" (always the link that helps most), "full", "random", "strongest", "strongest_half". */
extern const wz_verifier wz_verifier_d2d;

#endif
