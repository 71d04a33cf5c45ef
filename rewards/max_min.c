#include "rewards/max_min.h"

#include <math.h>

#include "rewards/solvers/heuristics.h"
#include "rewards/solvers/max_min.h"
#include "rewards/typical.h"
#include "tasks/max_min.h"
#include "tasks/rayleigh_table.h"

static wz_channel channel_of(const wz_problem *problem)
{
    const wz_max_min *p = problem->payload;
    return (wz_channel){p->links, p->gain, 1, 1};
}

static size_t levels_of(const wz_problem *problem)
{
    return ((const wz_max_min *)problem->payload)->levels;
}

/* ---- baselines ---- */

static void invert(const wz_channel *channel, double *power)
{
    const size_t weakest =
        channel->links * channel->links - 1; /* links are numbered by falling direct gain */
    for (size_t i = 0; i < channel->links; i++)
        power[i] = channel->gain[weakest] / channel->gain[i * (channel->links + 1)];
}

/* Nearest levels, but no link is silenced. */
static void round_up_from_nothing(const wz_problem *problem, const double *power, unsigned *decision)
{
    const wz_channel channel = channel_of(problem);
    wz_power_to_levels(&channel, levels_of(problem), power, decision);
    for (size_t i = 0; i < channel.links; i++)
        decision[i] += decision[i] == 0;
}

static wz_status solve_fixed_point(const wz_problem *problem, double *objective, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    double power[WZ_MAX_LINKS], bound;
    (void)err;
    *objective = wz_max_min_power(&channel, power, &bound);
    return WZ_OK;
}

static wz_status decide_fixed_point(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    double power[WZ_MAX_LINKS], bound;
    (void)err;
    (void)wz_max_min_power(&channel, power, &bound);
    round_up_from_nothing(problem, power, decision);
    return WZ_OK;
}

static wz_status solve_inversion(const wz_problem *problem, double *objective, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    double power[WZ_MAX_LINKS];
    (void)err;
    invert(&channel, power);
    *objective = wz_min_sinr(&channel, power);
    return WZ_OK;
}

static wz_status decide_inversion(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    double power[WZ_MAX_LINKS];
    (void)err;
    invert(&channel, power);
    round_up_from_nothing(problem, power, decision);
    return WZ_OK;
}

static wz_status decide_full(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    (void)err;
    (void)wz_full_power(&channel, levels_of(problem), decision);
    return WZ_OK;
}

/* The fixed point of typical gains. */
static wz_status decide_constant(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const double snr = pow(10.0, wz_problem_option(problem, "snr_db") / 10.0);
    double gain[WZ_RAYLEIGH_MAX_LINKS * WZ_RAYLEIGH_MAX_LINKS], power[WZ_MAX_LINKS], bound;
    const wz_channel typical = {problem->size, gain, 1, 1};
    (void)err;
    wz_typical_table(typical.links, wz_problem_option(problem, "direct") * snr, snr, gain);
    (void)wz_max_min_power(&typical, power, &bound);
    round_up_from_nothing(problem, power, decision);
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"fixed_point", WZ_BASELINE_ALGORITHM, NULL, solve_fixed_point},
    {"fixed_point_rounded", WZ_BASELINE_ALGORITHM, decide_fixed_point, NULL},
    {"inversion", WZ_BASELINE_ALGORITHM, NULL, solve_inversion},
    {"inversion_rounded", WZ_BASELINE_ALGORITHM, decide_inversion, NULL},
    {"full", WZ_BASELINE_TRIVIAL, decide_full, NULL},
    {"constant", WZ_BASELINE_TRIVIAL, decide_constant, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

/* ---- verifier ---- */

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    double power[WZ_MAX_LINKS];
    (void)effort;
    (void)err;
    out->kind = WZ_REFERENCE_UPPER_BOUND;
    (void)wz_max_min_power(&channel, power, &out->objective);
    (void)wz_max_min_levels(&channel, levels_of(problem), out->objective, decision);
    return WZ_OK;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    double power[WZ_MAX_LINKS];
    (void)err;
    wz_levels_to_power(&channel, levels_of(problem), decision, power);
    out->objective = wz_min_sinr(&channel, power);
    return WZ_OK;
}

const wz_verifier wz_verifier_max_min = {
    .task = "max_min",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "fixed_point",
    .judge = judge,
    .solve = solve,
};
