/* FPLinQ (Shen, Yu 2017, "FPLinQ: A Cooperative Spectrum Sharing Strategy for Device-to-Device Communications"): link
 * scheduling by fractional programming, the standard algorithm for device-to-device links. */
#ifndef WZ_REWARDS_SOLVERS_FPLINQ_H
#define WZ_REWARDS_SOLVERS_FPLINQ_H

#include "rewards/solvers/sum_rate.h"

#define WZ_FPLINQ_ITERATIONS 100

/* Which links transmit: level (links), 1 for on, 0 for off. With received powers S_i = (own_gain g_ii) x_i and
 * I_i = noise + sum_{j != i} g_ij x_j, powers x in units of the budget, from x = 1 on, weights 1, all i at once:
 *     z_i = S_i / I_i
 *     y_i = sqrt((1 + z_i) S_i) / (S_i + I_i)
 *     x_i <- min(1, (y_i sqrt((1 + z_i) own_gain g_ii) / sum_j g_ji y_j^2)^2)     (g_ii times own_gain in the sum, too)
 * and after 100 iterations link i is on if sqrt(x_i) > 0.5. own_gain: what the channel's direct gains are to be multiplied by
 * (the iteration knows no SNR gap; channels whose direct gains were divided by one name it here). K^2 operations an
 * iteration. */
void wz_fplinq(const wz_channel *channel, double own_gain, unsigned *level);

#endif
