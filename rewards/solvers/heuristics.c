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

double wz_random_levels(const wz_channel *channel, size_t levels, const wz_draw_key *key, uint64_t number,
                        unsigned *level)
{
    uint32_t words[4] = {0};
    for (size_t i = 0; i < channel->links; i++) {
        uint64_t at = number * channel->links + i;
        assert(at / 4 < WZ_DRAW_LIMIT);
        if (i == 0 || at % 4 == 0)
            wz_draw_words(key, (uint32_t)(at / 4), words);
        level[i] = (unsigned)((uint64_t)words[at % 4] * levels >> 32); /* uneven by at most levels / 2^32 */
    }
    return wz_levels_sum_rate(channel, levels, level);
}
