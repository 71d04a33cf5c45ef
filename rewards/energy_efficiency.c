#include "rewards/energy_efficiency.h"

#include <math.h>

#include "rewards/solvers/energy_efficiency.h"
#include "rewards/solvers/enumerate.h"
#include "rewards/solvers/heuristics.h"
#include "rewards/typical.h"
#include "tasks/energy_efficiency.h"
#include "tasks/rayleigh_table.h"

/* Level vectors that training enumerates: 1,331, eleven levels of three links, take 40 us. */
#define TRAINING_LIMIT 1331.0
/* Operations of Dinkelbach's method, some 3 ns each. In training they grow as a prompt does, with the square of the links. */
#define TRAINING_WORK 5e4
#define TRAINING_WORK_PER_GAIN 600.0
#define EVALUATION_WORK 1e8

static wz_consumer consumer_of(const wz_problem *problem)
{
    const wz_energy_efficiency *p = problem->payload;
    return (wz_consumer){{p->links, p->gain, 1, 1}, p->levels, p->amplifier, p->circuit};
}

static double training_work(size_t links)
{
    return fmax(TRAINING_WORK, TRAINING_WORK_PER_GAIN * (double)(links * links));
}

/* ---- baselines ---- */

static wz_status decide_dinkelbach(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_consumer consumer = consumer_of(problem);
    (void)err;
    (void)wz_dinkelbach(&consumer, EVALUATION_WORK, decision);
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

/* The local optimum of typical gains that is next to full power. */
static wz_status decide_constant(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const double snr = pow(10.0, wz_problem_option(problem, "snr_db") / 10.0);
    double gain[WZ_RAYLEIGH_MAX_LINKS * WZ_RAYLEIGH_MAX_LINKS], work = training_work(problem->size);
    wz_consumer typical = consumer_of(problem);
    (void)err;
    typical.channel.gain = gain;
    wz_typical_table(typical.channel.links, wz_problem_option(problem, "direct") * snr, snr, gain);
    (void)wz_full_power(&typical.channel, typical.levels, decision);
    (void)wz_energy_climb(&typical, &work, decision);
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"dinkelbach", WZ_BASELINE_ALGORITHM, decide_dinkelbach, NULL},
    {"single", WZ_BASELINE_ALGORITHM, decide_single, NULL},
    {"full", WZ_BASELINE_TRIVIAL, decide_full, NULL},
    {"strongest", WZ_BASELINE_TRIVIAL, decide_strongest, NULL},
    {"constant", WZ_BASELINE_TRIVIAL, decide_constant, NULL},
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
        (void)wz_dinkelbach(&consumer, effort == WZ_EFFORT_TRAINING ? training_work(links) : EVALUATION_WORK,
                            decision);
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
