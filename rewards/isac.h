/* The verifier of sensing and communication: whole shares are judged by the sum rate they reach on the printed gains, if the
 * target is seen. */
#ifndef WZ_REWARDS_ISAC_H
#define WZ_REWARDS_ISAC_H

#include "rewards/verifier.h"

/* Reference: an upper bound, the optimum over real powers by the dual; the best decision known is exact unless the search for
 * it ends early, after a thousand shares in training and a million in evaluation. f0, the best trivial policy, is the
 * better of uniform shares, which seldom see the target, and all power on the best sensing tone.
 * Violated: shares that sum to more than the total, by how many parts; a sensing power, sum_i s_i k_i / total, below the
 * required one, by how much. Shortfalls of the first lie in 0.5..1, of the second in 0..0.5.
 * Baselines: "dual" (real powers: the bound) and "mix" (real powers: water-filling and as much on the best sensing tone as is
 * needed); "dual_rounded" and "mix_rounded", the same rounded down with the rest to the best sensing tone; "water_filling" and
 * "uniform", rounded by largest remainder; "best_tone"; "random" (enough on the best sensing tone, the rest at random). */
extern const wz_verifier wz_verifier_isac;

#endif
