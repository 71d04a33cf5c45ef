#include "rewards/water_filling.h"

#include <math.h>

#include "rewards/shares.h"
#include "rewards/solvers/water_filling.h"
#include "rewards/typical.h"
#include "tasks/water_filling.h"

static wz_tones tones_of(const wz_problem *problem)
{
    const wz_water_filling *p = problem->payload;
    return (wz_tones){p->channels, p->gain, p->total};
}

/* ---- baselines ---- */

static wz_status solve_continuous(const wz_problem *problem, double *objective, wz_error *err)
{
    const wz_tones tones = tones_of(problem);
    double power[WZ_MAX_LABELS];
    (void)err;
    (void)wz_water_fill(&tones, power);
    *objective = wz_tones_rate(&tones, power);
    return WZ_OK;
}

static wz_status decide_rounded(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_tones tones = tones_of(problem);
    double power[WZ_MAX_LABELS];
    (void)err;
    (void)wz_water_fill(&tones, power);
    wz_shares_round(&tones, power, decision);
    return WZ_OK;
}

static wz_status decide_proportional(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_tones tones = tones_of(problem);
    double power[WZ_MAX_LABELS], sum = 0;
    (void)err;
    for (size_t i = 0; i < tones.count; i++)
        sum += tones.gain[i];
    for (size_t i = 0; i < tones.count; i++)
        power[i] = tones.gain[i] / sum;
    wz_shares_round(&tones, power, decision);
    return WZ_OK;
}

static wz_status decide_uniform(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_tones tones = tones_of(problem);
    (void)err;
    wz_shares_even(&tones, decision);
    return WZ_OK;
}

static wz_status decide_strongest(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    decision[0] = tones_of(problem).total; /* channels are numbered by falling gain */
    return WZ_OK;
}

/* The best shares of typical gains. */
static wz_status decide_constant(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_tones tones = tones_of(problem);
    const double scale = (double)tones.count * pow(10.0, wz_problem_option(problem, "snr_db") / 10.0);
    double gain[WZ_MAX_LABELS];
    (void)err;
    for (size_t i = 0; i < tones.count; i++)
        gain[i] = scale * wz_typical_exponential(i, tones.count);
    (void)wz_marginal_allocation(&(wz_tones){tones.count, gain, tones.total}, decision);
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"water_filling", WZ_BASELINE_ALGORITHM, NULL, solve_continuous},
    {"water_filling_rounded", WZ_BASELINE_ALGORITHM, decide_rounded, NULL},
    {"proportional", WZ_BASELINE_ALGORITHM, decide_proportional, NULL},
    {"uniform", WZ_BASELINE_TRIVIAL, decide_uniform, NULL},
    {"strongest", WZ_BASELINE_TRIVIAL, decide_strongest, NULL},
    {"constant", WZ_BASELINE_TRIVIAL, decide_constant, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

/* ---- verifier ---- */

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_tones tones = tones_of(problem);
    (void)effort;
    (void)err;
    out->kind = WZ_REFERENCE_OPTIMUM;
    (void)wz_marginal_allocation(&tones, decision);
    return WZ_OK;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_tones tones = tones_of(problem);
    (void)err;
    if (!wz_shares_exceed(decision, tones.count, tones.total, 0, out))
        out->objective = wz_shares_rate(&tones, decision);
    return WZ_OK;
}

static void draw(const wz_problem *problem, wz_draws *draws, unsigned *decision)
{
    const wz_tones tones = tones_of(problem);
    for (size_t i = 0; i < tones.count; i++)
        decision[i] = 0;
    wz_shares_add_random(draws, tones.count, tones.total, decision);
}

const wz_verifier wz_verifier_water_filling = {
    .task = "water_filling",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "water_filling",
    .judge = judge,
    .solve = solve,
    .draw = draw,
};
