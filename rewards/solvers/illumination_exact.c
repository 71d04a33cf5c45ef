/* The best plans of rewards/solvers/illumination.h, by search and by integer programme. */
#include <math.h>
#include <string.h>

#include "rewards/solvers/illumination.h"
#include "rewards/solvers/integer_program.h"

/* ---- search ---- */

typedef struct search {
    const wz_beam_hopping *net;
    const wz_patterns *patterns;
    uint64_t tries_left;
    double best;
    size_t chosen[WZ_MAX_BEAM_SLOTS];
    unsigned *plan;
    bool complete;
} search;

static void take(search *s, double served)
{
    const size_t beams = s->net->beams;
    s->best = served;
    for (size_t t = 0; t < s->net->slots; t++)
        memcpy(s->plan + t * beams, s->patterns->cell[s->chosen[t]], beams * sizeof *s->plan);
}

/* Slots before t have patterns, ascending; left (cells): demand that they do not serve. */
static void visit(search *s, size_t t, size_t first, double served, const double *left)
{
    const wz_patterns *patterns = s->patterns;
    const size_t beams = s->net->beams, count = patterns->count;
    double add[WZ_MAX_PATTERNS], most = 0;
    if (s->tries_left < count - first) {
        s->complete = false;
        return;
    }
    s->tries_left -= count - first;
    for (size_t p = first; p < count; p++) {
        add[p] = 0;
        for (size_t i = 0; i < beams; i++)
            add[p] += fmin(patterns->rate[p][i], left[patterns->cell[p][i]]);
        most = fmax(most, add[p]);
    }
    /* what is within rounding of the best is no better */
    const double slots_left = (double)(s->net->slots - t), enough = s->best * (1 + 1e-12) - served;
    for (size_t p = first; p < count && most * slots_left > enough; p++) {
        if (add[p] + most * (slots_left - 1) <= s->best * (1 + 1e-12) - served)
            continue;
        s->chosen[t] = p;
        if (t + 1 == s->net->slots) {
            take(s, served + add[p]);
            continue;
        }
        double after[WZ_MAX_CELLS];
        memcpy(after, left, sizeof after);
        for (size_t i = 0; i < beams; i++) {
            double *cell = &after[patterns->cell[p][i]];
            *cell = fmax(*cell - patterns->rate[p][i], 0);
        }
        visit(s, t + 1, p, served + add[p], after);
    }
}

bool wz_plan_search(const wz_beam_hopping *net, const wz_patterns *patterns, uint64_t most_tries,
                    unsigned *plan)
{
    search s = {.net = net,
                .patterns = patterns,
                .tries_left = most_tries,
                .best = wz_plan_served(net, plan),
                .plan = plan,
                .complete = true};
    visit(&s, 0, 0, 0, net->demand);
    return s.complete;
}

/* ---- integer programme ---- */

#define MAX_COLUMNS (WZ_MAX_PATTERNS + WZ_MAX_CELLS)

/* Columns: the patterns, then what cells are served. Rows: the slots, then the cells. */
static size_t fill_entries(const wz_beam_hopping *net, const wz_patterns *patterns, wz_program_entry *entry)
{
    size_t entries = 0;
    for (size_t p = 0; p < patterns->count; p++) {
        entry[entries++] = (wz_program_entry){0, (int)p, 1};
        for (size_t i = 0; i < net->beams; i++)
            entry[entries++] =
                (wz_program_entry){1 + (int)patterns->cell[p][i], (int)p, patterns->rate[p][i]};
    }
    for (size_t c = 0; c < net->cells; c++)
        entry[entries++] = (wz_program_entry){1 + (int)c, (int)(patterns->count + c), -1};
    return entries;
}

static void take_counts(const wz_beam_hopping *net, const wz_patterns *patterns, const double *x,
                        unsigned *plan)
{
    size_t t = 0;
    for (size_t p = 0; p < patterns->count; p++)
        for (double n = x[p]; n > 0.5 && t < net->slots; n--, t++)
            memcpy(plan + t * net->beams, patterns->cell[p], net->beams * sizeof *plan);
}

wz_status wz_plan_program(const wz_beam_hopping *net, const wz_patterns *patterns, size_t most_nodes,
                          unsigned *plan, bool *found, bool *proven, wz_error *err)
{
    double cost[MAX_COLUMNS], high[MAX_COLUMNS], x[MAX_COLUMNS], low_row[1 + WZ_MAX_CELLS],
        high_row[1 + WZ_MAX_CELLS];
    bool whole[MAX_COLUMNS];
    wz_program_entry entry[WZ_MAX_PATTERNS * (WZ_MAX_BEAMS + 1) + WZ_MAX_CELLS];
    wz_program_end end;
    const size_t columns = patterns->count + net->cells;
    for (size_t j = 0; j < columns; j++) {
        whole[j] = j < patterns->count;
        cost[j] = whole[j] ? 0 : 1;
        high[j] = whole[j] ? (double)net->slots : net->demand[j - patterns->count];
    }
    for (size_t i = 0; i <= net->cells; i++) {
        low_row[i] = i == 0 ? (double)net->slots : 0;
        high_row[i] = i == 0 ? (double)net->slots : INFINITY;
    }
    const wz_integer_program program = {.rows = 1 + net->cells,
                                        .columns = columns,
                                        .entries = fill_entries(net, patterns, entry),
                                        .cost = cost,
                                        .high = high,
                                        .whole = whole,
                                        .row_low = low_row,
                                        .row_high = high_row,
                                        .entry = entry};
    const wz_status status = wz_integer_program_solve(&program, most_nodes, x, &end, err);
    *found = status == WZ_OK && end != WZ_PROGRAM_NOTHING;
    *proven = status == WZ_OK && end == WZ_PROGRAM_OPTIMUM;
    if (*found)
        take_counts(net, patterns, x, plan);
    return status;
}
