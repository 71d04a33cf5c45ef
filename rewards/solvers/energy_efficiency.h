/* Bits per joule over an interference channel with power levels. */
#ifndef WZ_REWARDS_SOLVERS_ENERGY_EFFICIENCY_H
#define WZ_REWARDS_SOLVERS_ENERGY_EFFICIENCY_H

#include "rewards/solvers/sum_rate.h"

/* What draws power: amplifier times what is sent, and `circuit` always, > 0, in the unit of the channel's budget. */
typedef struct wz_consumer {
    wz_channel channel;
    size_t levels; /* >= 2 */
    double amplifier, circuit;
} wz_consumer;

/* Sum rate of the levels (links) over the power drawn: in bit/J/Hz if the budget is in W. */
double wz_energy_efficiency_of(const wz_consumer *consumer, const unsigned *level);

/* The levels of largest efficiency, all levels^links vectors tried one by one; returns it. Some 2 links operations
 * and a logarithm a vector. */
double wz_energy_enumerate(const wz_consumer *consumer, unsigned *level);

/* Dinkelbach's method (1967, "On nonlinear fractional programming") from given levels (links), which it improves: with q the
 * efficiency so far, levels that maximise rate - q power drawn, until that maximum is 0. The inner maximum is not concave
 * under interference; it is sought by changing one link's level at a time, to the best for it, so that what is found is a
 * local optimum: no single change raises the efficiency. A change takes links (links + levels) operations, some 4 rounds of
 * changes a start; it ends where *work, which they are taken from, has not enough for the next. Returns the efficiency. */
double wz_energy_climb(const wz_consumer *consumer, double *work, unsigned *level);

/* The best of that method from the best single link at the best of its levels, from full power and from each link alone, as far
 * as `work` operations go; returns its efficiency. */
double wz_dinkelbach(const wz_consumer *consumer, double work, unsigned *level);

/* The link that alone, at the best of its levels, is most efficient; returns the efficiency. */
double wz_energy_single(const wz_consumer *consumer, unsigned *level);

#endif
