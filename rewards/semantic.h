/* The verifier of semantic channel assignment: channels and symbols per word are judged by the semantic rate, on a
 * synthetic accuracy curve (tasks/semantic.h). */
#ifndef WZ_REWARDS_SEMANTIC_H
#define WZ_REWARDS_SEMANTIC_H

#include "rewards/verifier.h"

/* Reference: the optimum: the best k of each user on each channel, then the Hungarian algorithm. Violated: a channel given
 * to several users, by as many users as there are beyond the first of their channel; else, accuracy below the minimum, by
 * the percentage points that the worst user lacks. The shortfall is the share of users that break either rule. f0, the
 * best trivial policy, is the better of user i on channel i with its best k, and with the most symbols.
 * Baselines: "greedy" (the free pair of largest rate, again and again), "regret_greedy" (users take their best free channel
 * in the order they are numbered in), "snr_assignment" (the largest sum of SNRs in dB by the Hungarian algorithm, blind to
 * meaning, then the best k), "diagonal", "most_symbols", "random" (a random assignment, each user with a random k of those
 * that are accurate enough). */
extern const wz_verifier wz_verifier_semantic;

#endif
