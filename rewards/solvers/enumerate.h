/* The exact optimum of power control on a small decision set, by enumeration. */
#ifndef WZ_REWARDS_SOLVERS_ENUMERATE_H
#define WZ_REWARDS_SOLVERS_ENUMERATE_H

#include <stdbool.h>

#include "rewards/solvers/sum_rate.h"

#define WZ_ENUMERATE_LIMIT (1ul << 20) /* level vectors: 20 links on/off */

/* Whether levels^links is at most WZ_ENUMERATE_LIMIT. */
bool wz_enumerate_possible(size_t links, size_t levels);

/* The levels of largest sum rate, over all levels^links vectors; returns that rate in bit/s/Hz. Needs
 * wz_enumerate_possible. The vectors are visited in a reflected Gray code (Knuth, TAOCP 7.2.1.1, Algorithm H),
 * so that one step changes one transmitter by one level. No receiver's largest total power, noise and all transmitters
 * at the budget, may exceed 1e14 times the noise (products of 2 x 20 received powers must stay finite). Products of 20
 * totals, each a sum of 21 powers, err by less than 1e3 units in the last place: the rate is within 1e-12 bit/s/Hz of the
 * optimum. */
double wz_enumerate_levels(const wz_channel *channel, size_t levels, unsigned *level);

#endif
