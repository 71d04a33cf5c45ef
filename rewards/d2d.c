#include "rewards/d2d.h"

#include <string.h>

#include "rewards/solvers/enumerate.h"
#include "rewards/solvers/fplinq.h"
#include "rewards/solvers/heuristics.h"
#include "rewards/solvers/search.h"
#include "tasks/channel_d2d.h"
#include "tasks/d2d.h"

enum {
    LEVELS = 2,
    TRAINING_LINKS = 12 /* 4,096 decisions take 0.05 ms, 65,536 take 1 */
};

/* Direct gains are divided by the gap, so that solvers of the sum rate need not know of it. */
static wz_channel channel_of(const wz_problem *problem)
{
    const wz_d2d *p = problem->payload;
    return (wz_channel){p->links, p->gain, 1.0, 1.0};
}

/* ---- baselines ---- */

static wz_status decide_fplinq(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    (void)err;
    wz_fplinq(&channel, ((const wz_d2d *)problem->payload)->gap, decision);
    return WZ_OK;
}

static wz_status decide_fplinq_flip(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    wz_status status = decide_fplinq(problem, decision, err);
    (void)wz_coordinate_ascent(&channel, LEVELS, decision);
    return status;
}

static wz_status decide_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    (void)err;
    (void)wz_greedy_by_gain(&channel, LEVELS, decision);
    return WZ_OK;
}

static wz_status decide_greedy_adder(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    (void)err;
    (void)wz_greedy_adder(&channel, LEVELS, decision);
    return WZ_OK;
}

/* Links are numbered by falling direct gain: the strongest `on` links. */
static wz_status decide_first(const wz_problem *problem, size_t on, unsigned *decision)
{
    for (size_t i = 0; i < problem->size; i++)
        decision[i] = i < on;
    return WZ_OK;
}

static wz_status decide_full(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    return decide_first(problem, problem->size, decision);
}

static wz_status decide_strongest(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    return decide_first(problem, 1, decision);
}

static wz_status decide_strongest_half(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    return decide_first(problem, (problem->size + 1) / 2, decision);
}

static const wz_baseline baselines[] = {
    {"fplinq", WZ_BASELINE_ALGORITHM, decide_fplinq, NULL},
    {"fplinq_flip", WZ_BASELINE_ALGORITHM, decide_fplinq_flip, NULL},
    {"greedy", WZ_BASELINE_ALGORITHM, decide_greedy, NULL},
    {"greedy_adder", WZ_BASELINE_ALGORITHM, decide_greedy_adder, NULL},
    {"full", WZ_BASELINE_TRIVIAL, decide_full, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
    {"strongest", WZ_BASELINE_TRIVIAL, decide_strongest, NULL},
    {"strongest_half", WZ_BASELINE_TRIVIAL, decide_strongest_half, NULL},
};

/* ---- verifier ---- */

/* Improves a candidate, one link at a time, and keeps the better one. */
static void keep_better(const wz_channel *channel, unsigned *candidate, unsigned *best)
{
    if (wz_coordinate_ascent(channel, LEVELS, candidate) > wz_levels_sum_rate(channel, LEVELS, best))
        memcpy(best, candidate, channel->links * sizeof *best);
}

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    unsigned greedy[WZ_MAX_LINKS];
    if (wz_enumerate_possible(channel.links, LEVELS) &&
        (effort == WZ_EFFORT_EVALUATION || channel.links <= TRAINING_LINKS)) {
        out->kind = WZ_REFERENCE_OPTIMUM;
        (void)wz_enumerate_levels(&channel, LEVELS, decision);
        return WZ_OK;
    }
    out->kind = WZ_REFERENCE_BEST_KNOWN;
    wz_status status = decide_fplinq_flip(problem, decision, err);
    (void)wz_greedy_by_gain(&channel, LEVELS, greedy);
    keep_better(&channel, greedy, decision);
    (void)wz_greedy_adder(&channel, LEVELS, greedy);
    keep_better(&channel, greedy, decision);
    return status;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_channel channel = channel_of(problem);
    (void)err;
    out->objective = WZ_D2D_BANDWIDTH_MHZ * wz_levels_sum_rate(&channel, LEVELS, decision);
    return WZ_OK;
}

const wz_verifier wz_verifier_d2d = {
    .task = "d2d",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "fplinq",
    .judge = judge,
    .solve = solve,
};
