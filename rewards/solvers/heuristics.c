#include "rewards/solvers/heuristics.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
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

/* The index of the largest direct gain among links not yet visited. */
static size_t strongest_left(const wz_channel *channel, const bool *visited)
{
    size_t best = channel->links;
    for (size_t i = 0; i < channel->links; i++)
        if (!visited[i] && (best == channel->links || channel->gain[i * (channel->links + 1)] >
                                                          channel->gain[best * (channel->links + 1)]))
            best = i;
    return best;
}

double wz_greedy_by_gain(const wz_channel *channel, size_t levels, unsigned *level)
{
    bool visited[WZ_MAX_LINKS] = {false};
    double rate = 0;
    memset(level, 0, channel->links * sizeof *level);
    for (size_t visits = 0; visits < channel->links; visits++) {
        const size_t i = strongest_left(channel, visited);
        visited[i] = true;
        level[i] = (unsigned)(levels - 1);
        const double trial = wz_levels_sum_rate(channel, levels, level);
        if (trial > rate)
            rate = trial;
        else
            level[i] = 0;
    }
    return rate;
}
