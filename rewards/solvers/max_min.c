#include "rewards/solvers/max_min.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* noise + sum_{j != i} gain_ij p_j */
static double heard(const wz_channel *c, size_t i, const double *power)
{
    double sum = c->noise;
    for (size_t j = 0; j < c->links; j++)
        sum += j == i ? 0 : c->gain[i * c->links + j] * power[j];
    return sum;
}

static double sinr_of(const wz_channel *c, size_t i, double power, double others)
{
    return c->gain[i * (c->links + 1)] * power / others;
}

double wz_min_sinr(const wz_channel *channel, const double *power)
{
    double least = INFINITY;
    for (size_t i = 0; i < channel->links; i++)
        least = fmin(least, sinr_of(channel, i, power[i], heard(channel, i, power)));
    return least;
}

double wz_max_min_power(const wz_channel *channel, double *power, double *bound)
{
    double sinr[WZ_MAX_LINKS], least = 0;
    assert(channel->links <= WZ_MAX_LINKS);
    for (size_t i = 0; i < channel->links; i++)
        power[i] = channel->budget;
    for (int step = 0; step < 2000; step++) {
        double largest = 0;
        least = INFINITY;
        for (size_t i = 0; i < channel->links; i++) {
            sinr[i] = sinr_of(channel, i, power[i], heard(channel, i, power));
            least = fmin(least, sinr[i]);
            largest = fmax(largest, sinr[i]);
        }
        *bound = step == 0 ? largest : fmin(*bound, largest);
        if (largest <= least * (1 + 1e-9))
            break;
        double most = 0;
        for (size_t i = 0; i < channel->links; i++) {
            sinr[i] = power[i] / sqrt(sinr[i]);
            most = fmax(most, sinr[i]);
        }
        for (size_t i = 0; i < channel->links; i++)
            power[i] = sinr[i] / most * channel->budget;
    }
    return wz_min_sinr(channel, power);
}

/* A vector of levels on its way up. */
typedef struct ascent {
    const wz_channel *channel;
    size_t levels;
    unsigned level[WZ_MAX_LINKS];
    double power[WZ_MAX_LINKS];
} ascent;

static double power_of(const ascent *a, unsigned level)
{
    return a->channel->budget * level / (double)(a->levels - 1);
}

/* Raises link i until its SINR passes the target; false if no level does. */
static bool raise_link(ascent *a, size_t i, double target, bool *raised)
{
    const wz_channel *c = a->channel;
    const double others = heard(c, i, a->power);
    const double about =
        target * others / (c->gain[i * (c->links + 1)] * c->budget) * (double)(a->levels - 1);
    if (about > (double)a->levels)
        return false;
    unsigned level = a->level[i];
    if (about > level + 2.0)
        level = (unsigned)about - 1; /* too low still, whatever rounding did to it */
    while (sinr_of(c, i, power_of(a, level), others) <= target)
        if (++level == a->levels)
            return false;
    if (level != a->level[i]) {
        a->level[i] = level;
        a->power[i] = power_of(a, level);
        *raised = true;
    }
    return true;
}

/* From levels none of which is too high, the least with which all SINRs pass the target; false if there are none. */
static bool pass(ascent *a, double target)
{
    for (bool raised = true; raised;) {
        raised = false;
        for (size_t i = 0; i < a->channel->links; i++)
            if (!raise_link(a, i, target, &raised))
                return false;
    }
    return true;
}

double wz_max_min_levels(const wz_channel *channel, size_t levels, double bound, unsigned *level)
{
    ascent reached = {.channel = channel, .levels = levels}, next;
    double low = 0, high = bound;
    assert(channel->links <= WZ_MAX_LINKS);
    for (;;) {
        const bool last = high - low <= 1e-9 * high;
        const double target = last ? low : (low + high) / 2;
        next = reached;
        if (pass(&next, target)) {
            reached = next;
            low = wz_min_sinr(channel, reached.power);
        } else if (last) {
            memcpy(level, reached.level, channel->links * sizeof *level);
            return low;
        } else {
            high = target;
        }
    }
}
