#include "rewards/solvers/enumerate.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Maximises prod_i (cross_i + signal_i) / cross_i, cross_i = noise + sum_{j != i} gain_ij p_j and signal_i = gain_ii p_i:
 * the sum rate is its log2. Two quotients are compared by cross-multiplication, so a step needs neither a division nor a
 * logarithm; each receiver's powers are scaled so that the products stay in range. */

enum { LANES = 4, MAX_LINKS = 20, BLOCKS = MAX_LINKS / LANES };

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

typedef union receivers {
    lanes block[BLOCKS];
    double at[BLOCKS * LANES];
} receivers;

/* Interference is only ever added up, never taken off again: a strong transmitter's rounding error would outlast it and
 * could exceed the noise. In the Gray code transmitter j moves once while those before it run through all their levels,
 * so sums from the last transmitter down cost two additions a step. */
typedef struct state {
    receivers
        above[MAX_LINKS + 1]; /* [j]: noise and interference of transmitters j, j + 1, ..; [0] is all of it */
    receivers signal;         /* receivers beyond `links` hold 1 above and 0 here and change nothing */
    receivers
        column[MAX_LINKS];    /* interference of one level of transmitter j, at every receiver but its own */
    double direct[MAX_LINKS]; /* received power of one level of transmitter j at its own */
    size_t links, blocks;
    unsigned level[MAX_LINKS];
} state;

/* Scales receiver i by a power of two, which rounds nothing, that puts its smallest and its largest possible power, the noise
 * and the sum of all, about equally far from 1. */
static double scale_of(const wz_channel *channel, size_t i)
{
    double most = channel->noise;
    for (size_t j = 0; j < channel->links; j++)
        most += channel->gain[i * channel->links + j] * channel->budget;
    return ldexp(1.0, -(ilogb(channel->noise) + ilogb(most)) / 2);
}

static void init(state *s, const wz_channel *channel, size_t levels)
{
    memset(s, 0, sizeof *s);
    s->links = channel->links;
    s->blocks = (channel->links + LANES - 1) / LANES;
    for (size_t i = 0; i < (size_t)BLOCKS * LANES; i++) {
        const double scale = i < s->links ? scale_of(channel, i) : 1.0,
                     unit = scale * channel->budget / (double)(levels - 1);
        for (size_t j = 0; j <= s->links; j++)
            s->above[j].at[i] = i < s->links ? scale * channel->noise : 1.0;
        for (size_t j = 0; i < s->links && j < s->links; j++)
            *(j == i ? &s->direct[i] : &s->column[j].at[i]) = channel->gain[i * s->links + j] * unit;
    }
}

/* Changes transmitter j by one level, up or down. */
static inline void move(state *s, size_t j, int direction)
{
    s->level[j] += (unsigned)direction;
    s->signal.at[j] = s->direct[j] * s->level[j];
    for (size_t k = j + 1; k-- > 0;)
        for (size_t b = 0; b < s->blocks; b++)
            s->above[k].block[b] = s->above[k + 1].block[b] + s->column[k].block[b] * s->level[k];
}

static inline void products(const state *s, double *numerator, double *denominator)
{
    lanes d = s->above[0].block[0], n = d + s->signal.block[0];
    for (size_t b = 1; b < s->blocks; b++) {
        n *= s->above[0].block[b] + s->signal.block[b];
        d *= s->above[0].block[b];
    }
    *numerator = (n[0] * n[1]) * (n[2] * n[3]);
    *denominator = (d[0] * d[1]) * (d[2] * d[3]);
}

bool wz_enumerate_possible(size_t links, size_t levels)
{
    size_t count = 1;
    for (size_t i = 0; i < links; i++) {
        count *= levels; /* both factors are at most 2^20 */
        if (levels > WZ_ENUMERATE_LIMIT || count > WZ_ENUMERATE_LIMIT)
            return false;
    }
    return links > 0 && links <= MAX_LINKS && levels >= 2;
}

double wz_enumerate_levels(const wz_channel *channel, size_t levels, unsigned *level)
{
    assert(wz_enumerate_possible(channel->links, levels));
    state s;
    size_t focus[MAX_LINKS + 1];
    int direction[MAX_LINKS];
    init(&s, channel, levels);
    for (size_t j = 0; j <= s.links; j++)
        focus[j] = j;
    for (size_t j = 0; j < MAX_LINKS; j++)
        direction[j] = 1;

    double best_numerator = 1, best_denominator = 1; /* all off: rate 0 */
    memset(level, 0, s.links * sizeof *level);
    for (size_t j; (j = focus[0]) != s.links;) {
        focus[0] = 0;
        move(&s, j, direction[j]);
        if (s.level[j] == 0 || s.level[j] == levels - 1) { /* transmitter j turns round, the next one moves */
            direction[j] = -direction[j];
            focus[j] = focus[j + 1];
            focus[j + 1] = j + 1;
        }
        double numerator, denominator;
        products(&s, &numerator, &denominator);
        if (numerator * best_denominator > best_numerator * denominator) {
            best_numerator = numerator;
            best_denominator = denominator;
            memcpy(level, s.level, s.links * sizeof *level);
        }
    }
    return wz_levels_sum_rate(channel, levels, level);
}
