#include "rewards/solvers/energy_efficiency.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static double drawn(const wz_consumer *c, const double *power)
{
    double sent = 0;
    for (size_t i = 0; i < c->channel.links; i++)
        sent += power[i];
    return c->amplifier * sent + c->circuit;
}

double wz_energy_efficiency_of(const wz_consumer *consumer, const unsigned *level)
{
    const wz_channel *channel = &consumer->channel;
    double power[WZ_MAX_LINKS];
    assert(channel->links <= WZ_MAX_LINKS);
    wz_levels_to_power(channel, consumer->levels, level, power);
    return wz_sum_rate(channel->links, channel->gain, power, channel->noise) / drawn(consumer, power);
}

/* Everything but link k: a level of it is then tried with `links` additions and one logarithm for every eight links, whose
 * product of 1 + SINR stays finite. */
typedef struct rest {
    double heard[WZ_MAX_LINKS];  /* noise + sum_{j != i, k} gain_ij p_j */
    double signal[WZ_MAX_LINKS]; /* gain_ii p_i */
    double drawn;                /* by the others and always */
} rest;

static void rest_of(const wz_consumer *c, size_t k, const double *power, rest *r)
{
    const wz_channel *channel = &c->channel;
    r->drawn = c->circuit;
    for (size_t i = 0; i < channel->links; i++) {
        const double *gain = channel->gain + i * channel->links;
        r->heard[i] = channel->noise;
        for (size_t j = 0; j < channel->links; j++)
            r->heard[i] += j == i || j == k ? 0 : gain[j] * power[j];
        r->signal[i] = gain[i] * power[i];
        r->drawn += i == k ? 0 : c->amplifier * power[i];
    }
}

/* A rate of at most `least` may be returned as 0: most vectors are so far from the best that the exponent of the product,
 * which bounds its logarithm, says so. */
static double rate_with(const wz_channel *c, const rest *r, size_t k, double power, double least)
{
    double rate = 0, product = 1;
    for (size_t i = 0; i < c->links; i++) {
        const double received = c->gain[i * c->links + k] * power;
        product *= 1 + (i == k ? received / r->heard[i] : r->signal[i] / (r->heard[i] + received));
        if (i % 8 == 7) {
            rate += log2(product);
            product = 1;
        }
    }
    return rate + ilogb(product) + 1 <= least ? 0 : rate + log2(product);
}

static double power_of(const wz_consumer *c, unsigned level)
{
    return c->channel.budget * level / (double)(c->levels - 1);
}

/* The next levels of all links but the first; false after the last. */
static bool next_rest(const wz_consumer *c, unsigned *level, double *power)
{
    for (size_t i = 1; i < c->channel.links; i++) {
        level[i] = level[i] + 1 == c->levels ? 0 : level[i] + 1;
        power[i] = power_of(c, level[i]);
        if (level[i] > 0)
            return true;
    }
    return false;
}

double wz_energy_enumerate(const wz_consumer *consumer, unsigned *level)
{
    unsigned tried[WZ_MAX_LINKS] = {0};
    double power[WZ_MAX_LINKS] = {0}, best = -1;
    rest r;
    assert(consumer->channel.links <= WZ_MAX_LINKS);
    do {
        rest_of(consumer, 0, power, &r);
        for (tried[0] = 0; tried[0] < consumer->levels; tried[0]++) {
            const double first = power_of(consumer, tried[0]), used = r.drawn + consumer->amplifier * first,
                         efficiency = rate_with(&consumer->channel, &r, 0, first, best * used) / used;
            if (efficiency > best) {
                best = efficiency;
                memcpy(level, tried, consumer->channel.links * sizeof *level);
            }
        }
    } while (next_rest(consumer, tried, power));
    return wz_energy_efficiency_of(consumer, level);
}

/* Sets link k to the level of largest rate - q drawn; true if that raised it by more than rounding. */
static bool improve(const wz_consumer *c, double q, size_t k, unsigned *level, double *power)
{
    const unsigned before = level[k];
    rest r;
    rest_of(c, k, power, &r);
    const double price = q * c->amplifier;
    double best = rate_with(&c->channel, &r, k, power[k], 0) - price * power[k] + 1e-12;
    for (unsigned l = 0; l < c->levels; l++) {
        const double tried = power_of(c, l), cost = price * tried,
                     value = rate_with(&c->channel, &r, k, tried, best + cost) - cost;
        if (l != before && value > best) {
            best = value;
            level[k] = l;
        }
    }
    power[k] = power_of(c, level[k]);
    return level[k] != before;
}

/* What sets one link's level: what the others do to each link, then a pass over the links for each level. */
static double cost_of_step(const wz_consumer *c)
{
    return (double)c->channel.links * (double)(c->channel.links + c->levels);
}

double wz_energy_climb(const wz_consumer *c, double *work, unsigned *level)
{
    const double step = cost_of_step(c);
    double power[WZ_MAX_LINKS], q = wz_energy_efficiency_of(c, level);
    assert(c->channel.links <= WZ_MAX_LINKS);
    wz_levels_to_power(&c->channel, c->levels, level, power);
    for (;;) {
        bool improved = false;
        for (size_t since = 0, k = 0; since < c->channel.links; k = (k + 1) % c->channel.links) {
            if (*work < step)
                return wz_energy_efficiency_of(c, level);
            *work -= step;
            const bool here = improve(c, q, k, level, power);
            since = here ? 0 : since + 1;
            improved |= here;
        }
        if (!improved)
            return wz_energy_efficiency_of(c, level);
        q = wz_energy_efficiency_of(c, level);
    }
}

/* From the best single link first, which the others then join: if there is work for one start only, it is the best. Then full
 * power of all, then each link alone. */
double wz_dinkelbach(const wz_consumer *consumer, double work, unsigned *level)
{
    const size_t links = consumer->channel.links;
    unsigned tried[WZ_MAX_LINKS];
    double best = wz_energy_single(consumer, level);
    assert(links <= WZ_MAX_LINKS);
    for (size_t start = 0; start <= links + 1 && work >= cost_of_step(consumer); start++) {
        for (size_t i = 0; i < links; i++)
            tried[i] = start == 0                     ? level[i]
                       : start == 1 || i == start - 2 ? (unsigned)consumer->levels - 1
                                                      : 0;
        const double efficiency = wz_energy_climb(consumer, &work, tried);
        if (efficiency > best) {
            best = efficiency;
            memcpy(level, tried, links * sizeof *level);
        }
    }
    return best;
}

double wz_energy_single(const wz_consumer *consumer, unsigned *level)
{
    const wz_channel *channel = &consumer->channel;
    size_t best_link = 0;
    unsigned best_level = 0;
    double best = -1;
    for (size_t i = 0; i < channel->links; i++)
        for (unsigned l = 0; l < consumer->levels; l++) {
            const double power = channel->budget * l / (double)(consumer->levels - 1),
                         rate = log2(1 + channel->gain[i * (channel->links + 1)] * power / channel->noise),
                         efficiency = rate / (consumer->amplifier * power + consumer->circuit);
            if (efficiency > best) {
                best = efficiency;
                best_link = i;
                best_level = l;
            }
        }
    memset(level, 0, channel->links * sizeof *level);
    level[best_link] = best_level;
    return best;
}
