#include "rewards/isac.h"

#include "rewards/shares.h"
#include "rewards/solvers/sensing.h"
#include "rewards/typical.h"
#include "tasks/isac.h"

/* Shares that the exact search visits at most: a node takes some 20 ns. */
#define TRAINING_NODES 1000
#define EVALUATION_NODES 1000000

static wz_sensing sensing_of(const wz_problem *problem)
{
    const wz_isac *p = problem->payload;
    return (wz_sensing){{p->tones, p->gain, p->total}, p->sense, p->needed};
}

/* ---- baselines ---- */

static wz_status solve_dual(const wz_problem *problem, double *objective, wz_error *err)
{
    const wz_sensing sensing = sensing_of(problem);
    wz_sensing_dual dual;
    (void)err;
    wz_sensing_fill(&sensing, &dual);
    *objective = dual.bound;
    return WZ_OK;
}

static wz_status decide_dual_rounded(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_sensing sensing = sensing_of(problem);
    wz_sensing_dual dual;
    (void)err;
    wz_sensing_fill(&sensing, &dual);
    wz_sensing_round(&sensing, dual.power, decision);
    return WZ_OK;
}

static wz_status solve_mix(const wz_problem *problem, double *objective, wz_error *err)
{
    const wz_sensing sensing = sensing_of(problem);
    double power[WZ_MAX_LABELS];
    (void)err;
    wz_sensing_mix(&sensing, power);
    *objective = wz_tones_rate(&sensing.tones, power);
    return WZ_OK;
}

static wz_status decide_mix_rounded(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_sensing sensing = sensing_of(problem);
    double power[WZ_MAX_LABELS];
    (void)err;
    wz_sensing_mix(&sensing, power);
    wz_sensing_round(&sensing, power, decision);
    return WZ_OK;
}

static wz_status decide_water_filling(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_sensing sensing = sensing_of(problem);
    double power[WZ_MAX_LABELS];
    (void)err;
    (void)wz_water_fill(&sensing.tones, power);
    wz_shares_round(&sensing.tones, power, decision);
    return WZ_OK;
}

static wz_status decide_uniform(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_sensing sensing = sensing_of(problem);
    (void)err;
    wz_shares_even(&sensing.tones, decision);
    return WZ_OK;
}

static wz_status decide_best_tone(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    decision[0] = sensing_of(problem).tones.total; /* tones are numbered by falling response */
    return WZ_OK;
}

/* What the best sensing tone needs if it alone is to meet the requirement, and the rest in equal shares. */
static wz_status decide_constant(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_tones tones = sensing_of(problem).tones;
    const unsigned percent = (unsigned)wz_problem_option(problem, "sensing_percent"),
                   first = (percent * tones.total + 99) / 100, rest = tones.total - first;
    (void)err;
    decision[0] = first;
    for (size_t i = 1; i < tones.count; i++)
        decision[i] = rest / (unsigned)(tones.count - 1) + (i <= rest % (tones.count - 1));
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"dual", WZ_BASELINE_ALGORITHM, NULL, solve_dual},
    {"dual_rounded", WZ_BASELINE_ALGORITHM, decide_dual_rounded, NULL},
    {"mix", WZ_BASELINE_ALGORITHM, NULL, solve_mix},
    {"mix_rounded", WZ_BASELINE_ALGORITHM, decide_mix_rounded, NULL},
    {"water_filling", WZ_BASELINE_ALGORITHM, decide_water_filling, NULL},
    {"uniform", WZ_BASELINE_TRIVIAL, decide_uniform, NULL},
    {"best_tone", WZ_BASELINE_TRIVIAL, decide_best_tone, NULL},
    {"constant", WZ_BASELINE_TRIVIAL, decide_constant, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

/* ---- verifier ---- */

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_sensing sensing = sensing_of(problem);
    wz_sensing_dual dual;
    bool exact;
    (void)err;
    wz_sensing_fill(&sensing, &dual);
    out->kind = WZ_REFERENCE_UPPER_BOUND;
    out->objective = dual.bound;
    (void)wz_sensing_shares(&sensing, &dual, effort == WZ_EFFORT_TRAINING ? TRAINING_NODES : EVALUATION_NODES,
                            decision, &exact);
    return WZ_OK;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_sensing sensing = sensing_of(problem);
    const uint64_t sensed = wz_sensing_power(&sensing, decision);
    const double total = sensing.tones.total, required = (double)sensing.needed / total;
    (void)err;
    if (wz_shares_exceed(decision, sensing.tones.count, sensing.tones.total, 0.5, out))
        return WZ_OK;
    if (sensed < sensing.needed)
        wz_outcome_violate(out, required - (double)sensed / total,
                           0.5 * (1 - (double)sensed / (double)sensing.needed),
                           "the sensing power is %.3f, which is %.3f below the required %.3f",
                           (double)sensed / total, required - (double)sensed / total, required);
    else
        out->objective = wz_shares_rate(&sensing.tones, decision);
    return WZ_OK;
}

static void draw(const wz_problem *problem, wz_draws *draws, unsigned *decision)
{
    const wz_sensing sensing = sensing_of(problem);
    const unsigned best = sensing.sense[0], least = (unsigned)((sensing.needed + best - 1) / best),
                   first = least + wz_draws_below(draws, sensing.tones.total - least + 1);
    for (size_t i = 0; i < sensing.tones.count; i++)
        decision[i] = 0;
    decision[0] = first;
    wz_shares_add_random(draws, sensing.tones.count, sensing.tones.total - first, decision);
}

const wz_verifier wz_verifier_isac = {
    .task = "isac",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "dual",
    .judge = judge,
    .solve = solve,
    .draw = draw,
};
