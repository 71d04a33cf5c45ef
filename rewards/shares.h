/* What families whose answers are whole shares of a total have in common. */
#ifndef WZ_REWARDS_SHARES_H
#define WZ_REWARDS_SHARES_H

#include "rewards/verifier.h"

/* The outcome's violation if the shares (count) sum to more than total, by how many parts; the shortfall is the part of
 * what was asked for that is not there, 1 - total / sum, brought into from..1. Returns whether they do. */
bool wz_shares_exceed(const unsigned *share, size_t count, unsigned total, double from, wz_outcome *out);
/* Adds to share (count) shares that sum to total; all such vectors are equally likely. total + count - 1 words. */
void wz_shares_add_random(wz_draws *draws, size_t count, unsigned total, unsigned *share);

#endif
