#include "rewards/energy_efficiency.h"

#include <math.h>

#include "rewards/solvers/energy_efficiency.h"
#include "rewards/solvers/enumerate.h"
#include "rewards/solvers/heuristics.h"
#include "tasks/energy_efficiency.h"

/* Level vectors that training enumerates: 1,331, eleven levels of three links, take 40 us. */
#define TRAINING_LIMIT 1331.0

static wz_consumer consumer_of(const wz_problem *problem)
{
    const wz_energy_efficiency *p = problem->payload;
    return (wz_consumer){{p->links, p->gain, 1, 1}, p->levels, p->amplifier, p->circuit};
}

/* ---- baselines ---- */

static wz_status decide_dinkelbach(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_consumer consumer = consumer_of(problem);
    (void)err;
    (void)wz_dinkelbach(&consumer, decision);
    return WZ_OK;
}

static wz_status decide_single(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_consumer consumer = consumer_of(problem);
    (void)err;
    (void)wz_energy_single(&consumer, decision);
    return WZ_OK;
}

static wz_status decide_full(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_consumer consumer = consumer_of(problem);
    (void)err;
    (void)wz_full_power(&consumer.channel, consumer.levels, decision);
    return WZ_OK;
}

static wz_status decide_strongest(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_consumer consumer = consumer_of(problem);
    (void)err;
    (void)wz_strongest_only(&consumer.channel, consumer.levels, decision);
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"dinkelbach", WZ_BASELINE_ALGORITHM, decide_dinkelbach, NULL},
    {"single", WZ_BASELINE_ALGORITHM, decide_single, NULL},
    {"full", WZ_BASELINE_TRIVIAL, decide_full, NULL},
    {"strongest", WZ_BASELINE_TRIVIAL, decide_strongest, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

/* ---- verifier ---- */

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_consumer consumer = consumer_of(problem);
    const size_t links = consumer.channel.links, levels = consumer.levels;
    (void)err;
    if (wz_enumerate_possible(links, levels) &&
        (effort == WZ_EFFORT_EVALUATION || pow((double)levels, (double)links) <= TRAINING_LIMIT)) {
        out->kind = WZ_REFERENCE_OPTIMUM;
        (void)wz_energy_enumerate(&consumer, decision);
    } else {
        out->kind = WZ_REFERENCE_BEST_KNOWN;
        (void)wz_dinkelbach(&consumer, decision);
    }
    return WZ_OK;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_consumer consumer = consumer_of(problem);
    (void)err;
    out->objective = wz_energy_efficiency_of(&consumer, decision);
    return WZ_OK;
}

const wz_verifier wz_verifier_energy_efficiency = {
    .task = "energy_efficiency",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "dinkelbach",
    .judge = judge,
    .solve = solve,
};
