#include "rewards/power_control.h"

#include <math.h>

#include "rewards/answer.h"
#include "rewards/solvers/enumerate.h"
#include "rewards/solvers/heuristics.h"
#include "rewards/solvers/search.h"
#include "rewards/solvers/wmmse.h"
#include "rewards/typical.h"
#include "tasks/power_control.h"

static wz_channel channel_of(const wz_problem *problem)
{
    const wz_power_control *p = problem->payload;
    return (wz_channel){p->links, p->gain, p->noise, p->budget};
}

static size_t levels_of(const wz_problem *problem)
{
    return ((const wz_power_control *)problem->payload)->levels;
}

/* ---- baselines ---- */

static wz_status decide_full(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    (void)err;
    (void)wz_full_power(&channel, levels_of(problem), decision);
    return WZ_OK;
}

static wz_status decide_strongest(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    (void)err;
    (void)wz_strongest_only(&channel, levels_of(problem), decision);
    return WZ_OK;
}

static wz_status decide_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    (void)err;
    (void)wz_greedy_adder(&channel, levels_of(problem), decision);
    return WZ_OK;
}

static wz_status decide_wmmse_rounded(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    double power[WZ_MAX_LINKS];
    (void)err;
    (void)wz_wmmse(&channel, NULL, power);
    wz_power_to_levels(&channel, levels_of(problem), power, decision);
    return WZ_OK;
}

static wz_status solve_wmmse(const wz_problem *problem, double *objective, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    double power[WZ_MAX_LINKS];
    (void)err;
    *objective = wz_wmmse(&channel, NULL, power);
    return WZ_OK;
}

/* What the greedy adder decides on typical Rayleigh gains, whatever the channel; of cross gains typical is 0.75, between the
 * median ln 2 and the mean 1 of Exp(1), since the logarithm prefers little interference to much. */
static wz_status decide_constant(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const double snr = pow(10.0, wz_problem_option(problem, "snr_db") / 10.0);
    double gain[WZ_MAX_LABELS * WZ_MAX_LABELS];
    const wz_channel typical = {problem->size, gain, 1, 1};
    (void)err;
    wz_typical_table(typical.links, snr, 0.75 * snr, gain);
    (void)wz_greedy_adder(&typical, levels_of(problem), decision);
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
    const wz_channel channel = channel_of(problem);
    const size_t levels = levels_of(problem);
    (void)err;
    if (wz_enumerate_possible(channel.links, levels) &&
        (effort == WZ_EFFORT_EVALUATION || pow((double)levels, (double)channel.links) <= TRAINING_LIMIT)) {
        out->kind = WZ_REFERENCE_OPTIMUM;
        (void)wz_enumerate_levels(&channel, levels, decision);
        return WZ_OK;
    }
    const wz_draw_key key = {.problem = problem->index,
                             .token = (uint32_t)problem->split,
                             .sample = 1, /* not the random baseline's draws */
                             .purpose = WZ_PURPOSE_BASELINE};
    out->kind = WZ_REFERENCE_BEST_KNOWN;
    (void)wz_search_levels(&channel, levels, &key, decision);
    return WZ_OK;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
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
