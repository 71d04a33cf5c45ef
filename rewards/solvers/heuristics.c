#include "rewards/solvers/heuristics.h"

#include <assert.h>
#include <math.h>
#include <string.h>

double wz_full_power(const wz_channel *channel, size_t levels, unsigned *level)
{
    for (size_t i = 0; i < channel->links; i++)
        level[i] = (unsigned)(levels - 1);
    return wz_levels_sum_rate(channel, levels, level);
}

double wz_strongest_only(const wz_channel *channel, size_t levels, unsigned *level)
{
    size_t best = 0;
    for (size_t i = 1; i < channel->links; i++)
        if (channel->gain[i * channel->links + i] > channel->gain[best * channel->links + best])
            best = i;
    memset(level, 0, channel->links * sizeof *level);
    level[best] = (unsigned)(levels - 1);
    return wz_levels_sum_rate(channel, levels, level);
}

double wz_greedy_adder(const wz_channel *channel, size_t levels, unsigned *level)
{
    memset(level, 0, channel->links * sizeof *level);
    double rate = 0;
    for (;;) {
        size_t best = channel->links;
        for (size_t i = 0; i < channel->links; i++) {
            if (level[i] != 0)
                continue;
            level[i] = (unsigned)(levels - 1);
            double trial = wz_levels_sum_rate(channel, levels, level);
            level[i] = 0;
            if (trial > rate) {
                rate = trial;
                best = i;
            }
        }
        if (best == channel->links)
            return rate;
        level[best] = (unsigned)(levels - 1);
    }
}
