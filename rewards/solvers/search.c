#include "rewards/solvers/search.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "rewards/solvers/heuristics.h"
#include "rewards/solvers/wmmse.h"

/* Received powers while transmitter k is silent: each of its levels is then tried by additions only, since a strong
 * interferer taken off a sum would leave its rounding error behind, which may exceed the noise. */
typedef struct ascent {
    double cross[WZ_MAX_LINKS];  /* noise + sum_{j != i, k} gain_ij p_j */
    double signal[WZ_MAX_LINKS]; /* gain_ii p_i */
} ascent;

static void ascent_init(const wz_channel *c, const double *power, size_t k, ascent *a)
{
    for (size_t i = 0; i < c->links; i++) {
        a->cross[i] = c->noise;
        for (size_t j = 0; j < c->links; j++)
            a->cross[i] += j == i || j == k ? 0 : c->gain[i * c->links + j] * power[j];
        a->signal[i] = c->gain[i * c->links + i] * power[i];
    }
}

/* log2 of the product of (1 + SINR_i) if transmitter k had power p. A product of 8 SINRs stays finite for every channel
 * that enumeration accepts, so logarithms are taken per 8 receivers. */
static double ascent_rate(const wz_channel *c, const ascent *a, size_t k, double p)
{
    double rate = 0, product = 1;
    for (size_t i = 0; i < c->links; i++) {
        const double received = c->gain[i * c->links + k] * p;
        product *= 1.0 + (i == k ? received / a->cross[i] : a->signal[i] / (a->cross[i] + received));
        if (i % 8 == 7) {
            rate += log2(product);
            product = 1;
        }
    }
    return rate + log2(product);
}

/* Sets link k to its best level; true if that raised the rate by more than rounding. */
static bool ascent_improve(const wz_channel *c, size_t levels, size_t k, unsigned *level, double *power)
{
    ascent a;
    ascent_init(c, power, k, &a);
    const double step = c->budget / (double)(levels - 1);
    double best_rate = ascent_rate(c, &a, k, power[k]) + 1e-10;
    unsigned best = level[k];
    for (unsigned l = 0; l < levels; l++) {
        double rate = l == level[k] ? 0 : ascent_rate(c, &a, k, step * l);
        if (rate > best_rate) {
            best_rate = rate;
            best = l;
        }
    }
    if (best == level[k])
        return false;
    level[k] = best;
    power[k] = step * best;
    return true;
}

double wz_coordinate_ascent(const wz_channel *channel, size_t levels, unsigned *level)
{
    double power[WZ_MAX_LINKS];
    assert(channel->links <= WZ_MAX_LINKS);
    wz_levels_to_power(channel, levels, level, power);
    for (size_t since = 0, k = 0; since < channel->links; k = (k + 1) % channel->links)
        since = ascent_improve(channel, levels, k, level, power) ? 0 : since + 1;
    return wz_levels_sum_rate(channel, levels, level);
}

/* Improves a candidate and keeps it if it beats the best so far. */
static void consider(const wz_channel *channel, size_t levels, unsigned *candidate, unsigned *best,
                     double *best_rate)
{
    double rate = wz_coordinate_ascent(channel, levels, candidate);
    if (rate > *best_rate) {
        *best_rate = rate;
        memcpy(best, candidate, channel->links * sizeof *best);
    }
}

double wz_search_levels(const wz_channel *channel, size_t levels, const wz_draw_key *key, unsigned *level)
{
    unsigned candidate[WZ_MAX_LINKS] = {0};
    double power[WZ_MAX_LINKS], initial[WZ_MAX_LINKS], best_rate = -1;
    uint32_t words[4];
    assert(channel->links <= WZ_MAX_LABELS); /* draws of one start */
    consider(channel, levels, candidate, level, &best_rate);
    (void)wz_greedy_adder(channel, levels, candidate);
    consider(channel, levels, candidate, level, &best_rate);
    for (uint32_t start = 0; start <= WZ_SEARCH_STARTS; start++) {
        for (size_t i = 0; i < channel->links; i++) {
            wz_draw_words(key, start * WZ_MAX_LABELS + (uint32_t)i, words);
            initial[i] = channel->budget * wz_uniform(words[0]);
        }
        (void)wz_wmmse(channel, start == 0 ? NULL : initial, power);
        wz_power_to_levels(channel, levels, power, candidate);
        consider(channel, levels, candidate, level, &best_rate);
    }
    return best_rate;
}
