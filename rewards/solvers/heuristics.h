/* Simple power-control policies. Each writes one level per link (0..levels-1) and returns the sum rate in
 * bit/s/Hz. */
#ifndef WZ_REWARDS_SOLVERS_HEURISTICS_H
#define WZ_REWARDS_SOLVERS_HEURISTICS_H

#include <stdint.h>

#include "engine/core/philox.h"
#include "rewards/solvers/sum_rate.h"

/* Every transmitter at full power. */
double wz_full_power(const wz_channel *channel, size_t levels, unsigned *level);
/* Only the link of the largest direct gain, at full power. */
double wz_strongest_only(const wz_channel *channel, size_t levels, unsigned *level);
/* Adds, at full power, the link that raises the sum rate most, until none does. */
double wz_greedy_adder(const wz_channel *channel, size_t levels, unsigned *level);
/* Independent uniform levels number `number` of a key: link i takes word number * links + i of its stream
 * (WZ_DRAW_LIMIT blocks of four words). */
double wz_random_levels(const wz_channel *channel, size_t levels, const wz_draw_key *key, uint64_t number,
                        unsigned *level);

#endif
