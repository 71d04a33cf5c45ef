/* Simple power-control policies. Each writes one level per link (0..levels-1) and returns the sum rate in
 * bit/s/Hz. */
#ifndef WZ_REWARDS_SOLVERS_HEURISTICS_H
#define WZ_REWARDS_SOLVERS_HEURISTICS_H

#include "rewards/solvers/sum_rate.h"

/* Every transmitter at full power. */
double wz_full_power(const wz_channel *channel, size_t levels, unsigned *level);
/* Only the link of the largest direct gain, at full power. */
double wz_strongest_only(const wz_channel *channel, size_t levels, unsigned *level);
/* Adds, at full power, the link that raises the sum rate most, until none does. */
double wz_greedy_adder(const wz_channel *channel, size_t levels, unsigned *level);
/* Visits the links by falling direct gain, ties by index, and adds, at full power, each that raises the sum rate. */
double wz_greedy_by_gain(const wz_channel *channel, size_t levels, unsigned *level);

#endif
