#include "rewards/solvers/enumerate.h"

#include <assert.h>
#include <string.h>

/* Maximises prod_i total_i / (total_i - signal_i), total_i = noise + sum_j gain_ij p_j and signal_i =
 * gain_ii p_i: the sum rate is its log2. Two quotients are compared by cross-multiplication, so a step
 * needs neither a division nor a logarithm. */

enum { LANES = 4, MAX_LINKS = 20, BLOCKS = MAX_LINKS / LANES, REFRESH = 256 };

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

typedef union receivers {
    lanes block[BLOCKS];
    double at[BLOCKS * LANES];
} receivers;

typedef struct state {
    receivers total, signal;     /* receivers beyond `links` hold 1 and 0 and change nothing */
    receivers column[MAX_LINKS]; /* received power of one level of transmitter j, at every receiver */
    size_t links, blocks;
    unsigned level[MAX_LINKS];
} state;

static void init(state *s, const wz_channel *channel, size_t levels)
{
    memset(s, 0, sizeof *s);
    s->links = channel->links;
    s->blocks = (channel->links + LANES - 1) / LANES;
    for (size_t j = 0; j < s->links; j++)
        for (size_t i = 0; i < s->links; i++)
            s->column[j].at[i] = channel->gain[i * s->links + j] * channel->budget / (double)(levels - 1);
}

/* Totals from the levels: done now and then, so that rounding does not pile up over a million steps. */
static void refresh(state *s, double noise)
{
    for (size_t i = 0; i < (size_t)BLOCKS * LANES; i++) {
        s->total.at[i] = i < s->links ? noise : 1.0;
        for (size_t j = 0; j < s->links; j++)
            s->total.at[i] += s->column[j].at[i] * s->level[j];
    }
}

/* Changes transmitter j by one level, up or down. */
static inline void move(state *s, size_t j, int direction)
{
    s->level[j] += (unsigned)direction;
    s->signal.at[j] = s->column[j].at[j] * s->level[j];
    for (size_t b = 0; b < s->blocks; b++) {
        if (direction > 0)
            s->total.block[b] += s->column[j].block[b];
        else
            s->total.block[b] -= s->column[j].block[b];
    }
}

static inline void products(const state *s, double *numerator, double *denominator)
{
    lanes n = s->total.block[0], d = s->total.block[0] - s->signal.block[0];
    for (size_t b = 1; b < s->blocks; b++) {
        n *= s->total.block[b];
        d *= s->total.block[b] - s->signal.block[b];
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
    refresh(&s, channel->noise);

    double best_numerator = 1, best_denominator = 1; /* all off: rate 0 */
    memset(level, 0, s.links * sizeof *level);
    for (size_t step = 1;; step++) {
        size_t j = focus[0];
        if (j == s.links)
            break;
        focus[0] = 0;
        move(&s, j, direction[j]);
        if (s.level[j] == 0 || s.level[j] == levels - 1) { /* transmitter j turns round, the next one moves */
            direction[j] = -direction[j];
            focus[j] = focus[j + 1];
            focus[j + 1] = j + 1;
        }
        if (step % REFRESH == 0)
            refresh(&s, channel->noise);
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
