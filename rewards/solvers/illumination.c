#include "rewards/solvers/illumination.h"

#include <math.h>
#include <string.h>

/* ---- what a plan serves ---- */

/* Of the first `count` beams of a slot. */
static void rates_of(const wz_beam_hopping *net, const unsigned *cell, size_t count, double *rate)
{
    for (size_t i = 0; i < count; i++) {
        double interference = 0;
        for (size_t j = 0; j < count; j++)
            if (j != i)
                interference += net->leak[cell[i]][cell[j]];
        rate[i] = log2(1 + net->snr / (1 + interference));
    }
}

void wz_slot_rates(const wz_beam_hopping *net, const unsigned *cell, double *rate)
{
    rates_of(net, cell, net->beams, rate);
}

double wz_served(const wz_beam_hopping *net, const double *received)
{
    double served = 0;
    for (size_t c = 0; c < net->cells; c++)
        served += fmin(net->demand[c], received[c]);
    return served;
}

/* Adds what a slot gives to received (cells). */
static void receive(const wz_beam_hopping *net, const unsigned *cell, double *received)
{
    double rate[WZ_MAX_BEAMS];
    wz_slot_rates(net, cell, rate);
    for (size_t i = 0; i < net->beams; i++)
        received[cell[i]] += rate[i];
}

/* What all slots but one give; `but` = slots: all. */
static void receive_all(const wz_beam_hopping *net, const unsigned *plan, size_t but, double *received)
{
    memset(received, 0, net->cells * sizeof *received);
    for (size_t t = 0; t < net->slots; t++)
        if (t != but)
            receive(net, plan + t * net->beams, received);
}

double wz_plan_served(const wz_beam_hopping *net, const unsigned *plan)
{
    double received[WZ_MAX_CELLS];
    receive_all(net, plan, net->slots, received);
    return wz_served(net, received);
}

void wz_patterns_list(const wz_beam_hopping *net, wz_patterns *out)
{
    unsigned cell[WZ_MAX_BEAMS];
    for (unsigned i = 0; i < net->beams; i++)
        cell[i] = i;
    out->count = 0;
    for (;;) {
        memcpy(out->cell[out->count], cell, sizeof cell);
        wz_slot_rates(net, cell, out->rate[out->count++]);
        size_t i = net->beams;
        while (i > 0 && cell[i - 1] == net->cells - net->beams + i - 1)
            i--;
        if (i == 0)
            return;
        cell[i - 1]++;
        for (; i < net->beams; i++)
            cell[i] = cell[i - 1] + 1;
    }
}

/* What a pattern would add where `left` (cells) is the demand that is not yet served. */
static double addition_of(const wz_beam_hopping *net, const unsigned *cell, const double *rate,
                          const double *left)
{
    double sum = 0;
    for (size_t i = 0; i < net->beams; i++)
        sum += fmin(rate[i], left[cell[i]]);
    return sum;
}

static void find_left(const wz_beam_hopping *net, const double *received, double *left)
{
    for (size_t c = 0; c < net->cells; c++)
        left[c] = fmax(net->demand[c] - received[c], 0);
}

/* ---- plans slot by slot ---- */

static bool is_lit(const unsigned *cell, size_t count, unsigned which)
{
    for (size_t i = 0; i < count; i++)
        if (cell[i] == which)
            return true;
    return false;
}

void wz_plan_by_demand(const wz_beam_hopping *net, unsigned *plan)
{
    double left[WZ_MAX_CELLS];
    memcpy(left, net->demand, sizeof left);
    for (size_t t = 0; t < net->slots; t++) {
        unsigned *cell = plan + t * net->beams;
        for (size_t i = 0; i < net->beams; i++) {
            double most = -1;
            for (unsigned c = 0; c < net->cells; c++)
                if (left[c] > most && !is_lit(cell, i, c)) {
                    most = left[c];
                    cell[i] = c;
                }
        }
        for (size_t i = 0; i < net->beams; i++)
            left[cell[i]] = fmax(left[cell[i]] - log2(1 + net->snr), 0);
    }
}

void wz_plan_by_beam(const wz_beam_hopping *net, unsigned *plan)
{
    double received[WZ_MAX_CELLS] = {0}, left[WZ_MAX_CELLS];
    for (size_t t = 0; t < net->slots; t++) {
        unsigned *cell = plan + t * net->beams;
        find_left(net, received, left);
        for (size_t i = 0; i < net->beams; i++) {
            double most = -1;
            unsigned best = 0;
            for (unsigned c = 0; c < net->cells; c++) {
                double rate[WZ_MAX_BEAMS], sum = 0;
                if (is_lit(cell, i, c))
                    continue;
                cell[i] = c;
                rates_of(net, cell, i + 1, rate);
                for (size_t j = 0; j <= i; j++)
                    sum += fmin(rate[j], left[cell[j]]);
                if (sum > most) {
                    most = sum;
                    best = c;
                }
            }
            cell[i] = best;
        }
        receive(net, cell, received);
    }
}

static size_t best_pattern(const wz_beam_hopping *net, const wz_patterns *patterns, const double *received)
{
    double left[WZ_MAX_CELLS], most = -1;
    size_t best = 0;
    find_left(net, received, left);
    for (size_t p = 0; p < patterns->count; p++) {
        const double sum = addition_of(net, patterns->cell[p], patterns->rate[p], left);
        if (sum > most) {
            most = sum;
            best = p;
        }
    }
    return best;
}

void wz_plan_by_pattern(const wz_beam_hopping *net, const wz_patterns *patterns, unsigned *plan)
{
    double received[WZ_MAX_CELLS] = {0};
    for (size_t t = 0; t < net->slots; t++) {
        unsigned *cell = plan + t * net->beams;
        memcpy(cell, patterns->cell[best_pattern(net, patterns, received)], net->beams * sizeof *cell);
        receive(net, cell, received);
    }
}

void wz_plan_improve(const wz_beam_hopping *net, const wz_patterns *patterns, unsigned *plan)
{
    double served = wz_plan_served(net, plan);
    for (size_t t = 0, since = 0; since < net->slots; t = (t + 1) % net->slots, since++) {
        double received[WZ_MAX_CELLS];
        unsigned *cell = plan + t * net->beams, kept[WZ_MAX_BEAMS];
        memcpy(kept, cell, net->beams * sizeof *cell);
        receive_all(net, plan, t, received);
        memcpy(cell, patterns->cell[best_pattern(net, patterns, received)], net->beams * sizeof *cell);
        const double now = wz_plan_served(net, plan);
        if (now > served * (1 + 1e-12)) {
            served = now;
            since = 0;
        } else {
            memcpy(cell, kept, net->beams * sizeof *cell);
        }
    }
}
