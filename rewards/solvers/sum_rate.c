#include "rewards/solvers/sum_rate.h"

#include <assert.h>
#include <math.h>

double wz_sum_rate(size_t links, const double *gain, const double *power, double noise)
{
    double rate = 0;
    for (size_t i = 0; i < links; i++) {
        double signal = gain[i * links + i] * power[i];
        if (signal == 0)
            continue; /* a silent link adds log2(1) */
        double interference = noise;
        for (size_t j = 0; j < links; j++)
            interference += j == i ? 0 : gain[i * links + j] * power[j];
        rate += log2(1.0 + signal / interference);
    }
    return rate;
}

void wz_levels_to_power(const wz_channel *channel, size_t levels, const unsigned *level, double *power)
{
    for (size_t i = 0; i < channel->links; i++)
        power[i] = channel->budget * level[i] / (double)(levels - 1);
}

void wz_power_to_levels(const wz_channel *channel, size_t levels, const double *power, unsigned *level)
{
    for (size_t i = 0; i < channel->links; i++)
        level[i] = (unsigned)floor(power[i] / channel->budget * (double)(levels - 1) + 0.5);
}

double wz_levels_sum_rate(const wz_channel *channel, size_t levels, const unsigned *level)
{
    double power[WZ_MAX_LINKS];
    assert(channel->links <= WZ_MAX_LINKS);
    wz_levels_to_power(channel, levels, level, power);
    return wz_sum_rate(channel->links, channel->gain, power, channel->noise);
}
