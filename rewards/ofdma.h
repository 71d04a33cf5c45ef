/* OFDMA's verifier: an assignment is judged by the users' rates. */
#ifndef WZ_REWARDS_OFDMA_H
#define WZ_REWARDS_OFDMA_H

#include "rewards/verifier.h"

/* Violated: a user's minimum, by the largest lack in bit/s/Hz; shortfall: what all users lack over the sum of their
 * minima. Reference: the optimum by search over all assignments while these are at most 2^20 (training: 4096), beyond
 * that by an integer programme (GLPK; sum rate, evaluation), else the best that local search finds from three starts.
 * Baselines: "repaired_max_cqi" (max_cqi, then blocks change hands at least cost until all have their minimum),
 * "max_min" (the poorest user takes its best block left), "pf_greedy" (proportional-fair scheduling, block by block in
 * random order), "pf_sorted" (the same in the printed order: blocks of large rates first), "max_cqi" (each block to
 * its best user), "round_robin", "random". */
extern const wz_verifier wz_verifier_ofdma;

#endif
