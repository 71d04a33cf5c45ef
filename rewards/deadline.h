/* Deadline scheduling's verifier: a schedule is judged by the weight of the packets it sends. */
#ifndef WZ_REWARDS_DEADLINE_H
#define WZ_REWARDS_DEADLINE_H

#include "rewards/verifier.h"

/* Reference: the optimum, a matching of slots and packets of largest weight (Hungarian algorithm). Violated, the first of
 * these: packets are sent again; they are sent after their deadline; they are sent while their channel is off; each by the
 * number of such transmissions. The shortfall is the share of slots that waste a transmission in any of these ways. f0,
 * the best trivial policy, is to send nothing: 0.
 * Baselines: "edf" (each slot sends, of the packets it can, that of the earliest deadline; of equal ones the heavier),
 * "max_weight" (the heaviest), "idle", "random" (a random one). */
extern const wz_verifier wz_verifier_deadline;

#endif
