#include "rewards/power_control.h"

#include <math.h>
#include <string.h>

#include "rewards/answer.h"
#include "rewards/solvers/enumerate.h"
#include "rewards/solvers/heuristics.h"
#include "rewards/solvers/search.h"
#include "rewards/solvers/wmmse.h"
#include "rewards/typical.h"
#include "tasks/power_control.h"

static size_t levels_of(const wz_problem *problem)
{
    return ((const wz_power_control *)problem->payload)->levels;
}

/* What solvers are given: the links that are on the air, in order. Most problems have no others. */
typedef struct on_air {
    wz_channel channel;
    size_t place[WZ_MAX_LABELS]; /* [channel.links] in the problem */
    double gain[WZ_MAX_LABELS * WZ_MAX_LABELS];
} on_air;

static void list_on_air(const wz_problem *problem, on_air *out)
{
    const wz_power_control *p = problem->payload;
    size_t count = 0;
    for (size_t i = 0; i < p->links; i++)
        if (p->gain[i * (p->links + 1)] > 0)
            out->place[count++] = i;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            out->gain[i * count + j] = p->gain[out->place[i] * p->links + out->place[j]];
    out->channel = (wz_channel){count, out->gain, p->noise, p->budget};
}

/* The levels of the links on the air as a decision of all; the others are silent. */
static void place_levels(const wz_problem *problem, const on_air *air, const unsigned *level,
                         unsigned *decision)
{
    memset(decision, 0, problem->size * sizeof *decision);
    for (size_t i = 0; i < air->channel.links; i++)
        decision[air->place[i]] = level[i];
}

/* ---- baselines ---- */

typedef double (*heuristic)(const wz_channel *channel, size_t levels, unsigned *level);

static wz_status decide_by(heuristic policy, const wz_problem *problem, unsigned *decision)
{
    unsigned level[WZ_MAX_LABELS];
    on_air air;
    list_on_air(problem, &air);
    (void)policy(&air.channel, levels_of(problem), level);
    place_levels(problem, &air, level, decision);
    return WZ_OK;
}

static wz_status decide_full(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    return decide_by(wz_full_power, problem, decision);
}

static wz_status decide_strongest(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    return decide_by(wz_strongest_only, problem, decision);
}

static wz_status decide_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    return decide_by(wz_greedy_adder, problem, decision);
}

static double round_wmmse(const wz_channel *channel, size_t levels, unsigned *level)
{
    double power[WZ_MAX_LINKS];
    const double rate = wz_wmmse(channel, NULL, power);
    wz_power_to_levels(channel, levels, power, level);
    return rate;
}

static wz_status decide_wmmse_rounded(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    return decide_by(round_wmmse, problem, decision);
}

static wz_status solve_wmmse(const wz_problem *problem, double *objective, wz_error *err)
{
    double power[WZ_MAX_LINKS];
    on_air air;
    (void)err;
    list_on_air(problem, &air);
    *objective = wz_wmmse(&air.channel, NULL, power);
    return WZ_OK;
}

/* What the greedy adder decides on typical Rayleigh gains of so many links, whatever the channel; of cross gains typical is 0.75,
 * between the median ln 2 and the mean 1 of Exp(1), since the logarithm prefers little interference to much. */
static wz_status decide_constant(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const double snr = pow(10.0, wz_problem_option(problem, "snr_db") / 10.0);
    unsigned level[WZ_MAX_LABELS];
    on_air air;
    (void)err;
    list_on_air(problem, &air);
    wz_typical_table(air.channel.links, snr, 0.75 * snr, air.gain);
    (void)wz_greedy_adder(&air.channel, levels_of(problem), level);
    place_levels(problem, &air, level, decision);
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"wmmse", WZ_BASELINE_ALGORITHM, NULL, solve_wmmse},
    {"wmmse_rounded", WZ_BASELINE_ALGORITHM, decide_wmmse_rounded, NULL},
    {"greedy_adder", WZ_BASELINE_ALGORITHM, decide_greedy, NULL},
    {"full", WZ_BASELINE_TRIVIAL, decide_full, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
    {"strongest", WZ_BASELINE_TRIVIAL, decide_strongest, NULL},
    {"constant", WZ_BASELINE_TRIVIAL, decide_constant, NULL},
};

/* ---- verifier ---- */

/* Level vectors that training enumerates: 4,096 take 0.1 ms, 65,536 take 9. */
#define TRAINING_LIMIT 4096.0

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const size_t levels = levels_of(problem);
    unsigned level[WZ_MAX_LABELS];
    on_air air;
    (void)err;
    list_on_air(problem, &air);
    const size_t links = air.channel.links;
    if (wz_enumerate_possible(links, levels) &&
        (effort == WZ_EFFORT_EVALUATION || pow((double)levels, (double)links) <= TRAINING_LIMIT)) {
        out->kind = WZ_REFERENCE_OPTIMUM;
        (void)wz_enumerate_levels(&air.channel, levels, level);
    } else {
        const wz_draw_key key = {.problem = problem->index,
                                 .token = (uint32_t)problem->split,
                                 .sample = 1, /* not the random baseline's draws */
                                 .purpose = WZ_PURPOSE_BASELINE};
        out->kind = WZ_REFERENCE_BEST_KNOWN;
        (void)wz_search_levels(&air.channel, levels, &key, level);
    }
    place_levels(problem, &air, level, decision);
    return WZ_OK;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_power_control *p = problem->payload;
    const wz_channel channel = {p->links, p->gain, p->noise, p->budget};
    (void)err;
    out->objective = wz_levels_sum_rate(&channel, levels_of(problem), decision);
    return WZ_OK;
}

const wz_verifier wz_verifier_power_control = {
    .task = "power_control",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "wmmse",
    .judge = judge,
    .solve = solve,
};
