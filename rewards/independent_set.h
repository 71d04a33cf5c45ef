/* The verifier of conflict-free links: a set of links is judged by its weight. */
#ifndef WZ_REWARDS_INDEPENDENT_SET_H
#define WZ_REWARDS_INDEPENDENT_SET_H

#include "rewards/verifier.h"

/* Reference: the optimum, by branch and bound. Violated: two links that conflict are both on; by the number of such
 * pairs, of all that conflict. f0, the best trivial policy, is the heaviest link alone.
 * Baselines: "gwmin", "first_fit" (links in the order they are numbered in, each unless it conflicts with one that is
 * on), "greedy" (the same by falling weight), "heaviest", "random" (the same in random order). */
extern const wz_verifier wz_verifier_independent_set;

#endif
