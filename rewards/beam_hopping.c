#include "rewards/beam_hopping.h"

#include <string.h>

#include "rewards/solvers/illumination.h"

/* Patterns that the search may try: a million take some 5 ms. */
#define EVALUATION_TRIES 1000000
#define TRAINING_TRIES 5000
#define MOST_COLUMNS 300 /* patterns in an integer programme */
#define MOST_NODES 100   /* of branch and cut: some 0.1 s */

#define MAX_PLAN (WZ_MAX_BEAMS * WZ_MAX_BEAM_SLOTS)

/* ---- baselines ---- */

static wz_status decide_pattern(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    wz_patterns patterns;
    (void)err;
    wz_patterns_list(problem->payload, &patterns);
    wz_plan_by_pattern(problem->payload, &patterns, decision);
    return WZ_OK;
}

static wz_status decide_beam(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    wz_plan_by_beam(problem->payload, decision);
    return WZ_OK;
}

static wz_status decide_demand(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    wz_plan_by_demand(problem->payload, decision);
    return WZ_OK;
}

/* Beam i of slot t on cell t + i cells / beams: different cells, since cells >= beams. */
static wz_status decide_spaced(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_beam_hopping *net = problem->payload;
    (void)err;
    for (size_t t = 0; t < net->slots; t++)
        for (size_t i = 0; i < net->beams; i++)
            decision[t * net->beams + i] = (unsigned)((t + i * (net->cells / net->beams)) % net->cells);
    return WZ_OK;
}

static wz_status decide_round_robin(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_beam_hopping *net = problem->payload;
    (void)err;
    for (size_t i = 0; i < net->slots * net->beams; i++)
        decision[i] = (unsigned)(i % net->cells);
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"greedy_pattern", WZ_BASELINE_ALGORITHM, decide_pattern, NULL},
    {"greedy_beam", WZ_BASELINE_ALGORITHM, decide_beam, NULL},
    {"greedy_demand", WZ_BASELINE_ALGORITHM, decide_demand, NULL},
    {"spaced", WZ_BASELINE_TRIVIAL, decide_spaced, NULL},
    {"round_robin", WZ_BASELINE_TRIVIAL, decide_round_robin, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

static void draw(const wz_problem *problem, wz_draws *draws, unsigned *decision)
{
    const wz_beam_hopping *net = problem->payload;
    for (size_t t = 0; t < net->slots; t++) {
        uint8_t order[WZ_MAX_CELLS];
        wz_draws_permutation(draws, net->cells, order);
        for (size_t i = 0; i < net->beams; i++)
            decision[t * net->beams + i] = order[i];
    }
}

/* ---- reference ---- */

/* Improves a plan and keeps the better one. */
static void consider(const wz_beam_hopping *net, const wz_patterns *patterns, unsigned *candidate,
                     unsigned *best)
{
    wz_plan_improve(net, patterns, candidate);
    if (wz_plan_served(net, candidate) > wz_plan_served(net, best))
        memcpy(best, candidate, net->slots * net->beams * sizeof *best);
}

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_beam_hopping *net = problem->payload;
    const bool evaluation = effort == WZ_EFFORT_EVALUATION;
    unsigned candidate[MAX_PLAN];
    wz_patterns patterns;
    bool found, proven;
    wz_patterns_list(net, &patterns);
    wz_plan_by_pattern(net, &patterns, decision);
    wz_plan_improve(net, &patterns, decision);
    wz_plan_by_demand(net, candidate);
    consider(net, &patterns, candidate, decision);
    out->kind = WZ_REFERENCE_OPTIMUM;
    if (wz_plan_search(net, &patterns, evaluation ? EVALUATION_TRIES : TRAINING_TRIES, decision))
        return WZ_OK;
    out->kind = WZ_REFERENCE_BEST_KNOWN;
    if (!evaluation || patterns.count > MOST_COLUMNS)
        return WZ_OK;
    const wz_status status = wz_plan_program(net, &patterns, MOST_NODES, candidate, &found, &proven, err);
    if (status == WZ_OK && found)
        consider(net, &patterns, candidate, decision);
    if (status == WZ_OK && proven)
        out->kind = WZ_REFERENCE_OPTIMUM;
    return status;
}

/* ---- verifier ---- */

/* How many beams of a slot light a cell that another has already; *cell: the last such. */
static unsigned lit_again(const wz_beam_hopping *net, const unsigned *slot, unsigned *cell)
{
    unsigned again = 0;
    for (size_t i = 1; i < net->beams; i++)
        for (size_t j = 0; j < i; j++)
            if (slot[j] == slot[i]) {
                again++;
                *cell = slot[i];
                break;
            }
    return again;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_beam_hopping *net = problem->payload;
    unsigned again = 0, cell = 0;
    size_t slot = 0;
    (void)err;
    for (size_t t = net->slots; t-- > 0;) {
        const unsigned more = lit_again(net, decision + t * net->beams, &cell);
        again += more;
        slot = more > 0 ? t : slot;
    }
    if (again > 0) {
        char label[3];
        wz_label(cell, label);
        wz_outcome_violate(out, again, again / ((double)net->slots * (double)(net->beams - 1)),
                           "slot %zu lights cell %s more than once; in all, %u beams light a cell again",
                           slot + 1, label, again);
        return WZ_OK;
    }
    out->objective = wz_plan_served(net, decision);
    return WZ_OK;
}

const wz_verifier wz_verifier_beam_hopping = {
    .task = "beam_hopping",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "greedy_demand",
    .judge = judge,
    .solve = solve,
    .draw = draw,
};
