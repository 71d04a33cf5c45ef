/* Strong power control beyond enumeration: WMMSE from many starts, rounded, then coordinate ascent. */
#ifndef WZ_REWARDS_SOLVERS_SEARCH_H
#define WZ_REWARDS_SOLVERS_SEARCH_H

#include "engine/core/philox.h"
#include "rewards/solvers/sum_rate.h"

#define WZ_SEARCH_STARTS 16 /* random WMMSE starts, beside full power and the greedy adder */

/* Changes one link's level at a time, to the best for it, until no single change raises the sum rate.
 * level (links) is improved in place; returns its sum rate in bit/s/Hz. */
double wz_coordinate_ascent(const wz_channel *channel, size_t levels, unsigned *level);

/* Best levels found: coordinate ascent from the greedy adder, from all off, and from the rounded WMMSE solutions of full
 * power and of WZ_SEARCH_STARTS random initial powers drawn with `key`. Returns the sum rate. */
double wz_search_levels(const wz_channel *channel, size_t levels, const wz_draw_key *key, unsigned *level);

#endif
