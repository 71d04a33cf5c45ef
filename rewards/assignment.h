/* Assignment's verifier: an assignment is judged by the sum of the printed rates it picks, in bit/s/Hz. */
#ifndef WZ_REWARDS_ASSIGNMENT_H
#define WZ_REWARDS_ASSIGNMENT_H

#include "rewards/verifier.h"

/* Reference: the optimum, by the Hungarian algorithm. Violated: a block given to several users; by as many users as there
 * are beyond the first of their block, of at most users - 1. f0, the best trivial policy, gives user i block i.
 * Baselines: "global_greedy" (the best free pair, again and again), "regret_greedy" (users take their best free block in
 * the order they are numbered in: by falling regret), "row_greedy" (the same with sides changed and without that help:
 * blocks, whose order says nothing, take their best free user), "diagonal", "random" (a random permutation). */
extern const wz_verifier wz_verifier_assignment;

#endif
