#include "rewards/offloading.h"

#include <string.h>

#include "rewards/solvers/time_split.h"
#include "tasks/offloading.h"

/* All decisions that are tried: 2^12 take 3 ms, 2^6 take 40 us. */
#define EVALUATION_USERS 12
#define TRAINING_USERS 6

static double rate_of(const wz_offloading *p, const unsigned *offloads)
{
    wz_split_load load = {.scale = {p->scale[0], p->scale[1]}};
    wz_split_times times;
    for (size_t i = 0; i < p->users; i++)
        if (offloads[i])
            load.snr[p->heavy[i]] += p->snr[i];
        else
            load.local += p->local[i];
    return wz_time_split(&load, &times);
}

/* ---- algorithms ---- */

/* Keeps the better of a candidate and the best so far. */
static void consider(const wz_offloading *p, const unsigned *candidate, unsigned *best, double *best_rate)
{
    const double rate = rate_of(p, candidate);
    if (rate <= *best_rate)
        return;
    *best_rate = rate;
    memcpy(best, candidate, p->users * sizeof *best);
}

static void enumerate(const wz_offloading *p, unsigned *best)
{
    double best_rate = -1;
    for (uint32_t set = 0; set < 1u << p->users; set++) {
        unsigned candidate[WZ_MAX_EDGE_USERS];
        for (size_t i = 0; i < p->users; i++)
            candidate[i] = set >> i & 1;
        consider(p, candidate, best, &best_rate);
    }
}

/* The first `light` users of weight 1 and the first `heavy` of the others: users stand by falling gain. */
static size_t mark_strongest(const wz_offloading *p, size_t light, size_t heavy, unsigned *offloads)
{
    size_t left[WZ_EDGE_WEIGHTS] = {light, heavy}, marked = 0;
    for (size_t i = 0; i < p->users; i++) {
        offloads[i] = left[p->heavy[i]] > 0;
        left[p->heavy[i]] -= offloads[i];
        marked += offloads[i];
    }
    return marked;
}

static double weighted_thresholds(const wz_offloading *p, unsigned *best)
{
    double best_rate = -1;
    unsigned candidate[WZ_MAX_EDGE_USERS];
    size_t heavies = 0;
    for (size_t i = 0; i < p->users; i++)
        heavies += p->heavy[i];
    for (size_t light = 0; light + heavies <= p->users; light++)
        for (size_t heavy = 0; heavy <= heavies; heavy++) {
            (void)mark_strongest(p, light, heavy, candidate);
            consider(p, candidate, best, &best_rate);
        }
    return best_rate;
}

/* Makes the one change that helps most until none does. */
static void descend(const wz_offloading *p, unsigned *decision, double rate)
{
    for (;;) {
        unsigned best[WZ_MAX_EDGE_USERS];
        double best_rate = rate;
        for (size_t i = 0; i < p->users; i++) {
            decision[i] ^= 1;
            consider(p, decision, best, &best_rate);
            decision[i] ^= 1;
        }
        if (best_rate <= rate * (1 + 1e-12))
            return;
        memcpy(decision, best, p->users * sizeof *decision);
        rate = best_rate;
    }
}

/* ---- baselines ---- */

/* The n users of largest gain offload. */
static void mark_first(const wz_problem *problem, size_t n, unsigned *decision)
{
    for (size_t i = 0; i < problem->size; i++)
        decision[i] = i < n;
}

static wz_status decide_all_local(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    mark_first(problem, 0, decision);
    return WZ_OK;
}

static wz_status decide_all_edge(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    mark_first(problem, problem->size, decision);
    return WZ_OK;
}

static wz_status decide_two_strongest(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    mark_first(problem, 2, decision);
    return WZ_OK;
}

static wz_status decide_strongest_half(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    mark_first(problem, (problem->size + 1) / 2, decision);
    return WZ_OK;
}

static wz_status decide_sorted_thresholds(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    double best_rate = -1;
    unsigned candidate[WZ_MAX_EDGE_USERS];
    (void)err;
    for (size_t n = 0; n <= problem->size; n++) {
        mark_first(problem, n, candidate);
        consider(problem->payload, candidate, decision, &best_rate);
    }
    return WZ_OK;
}

static wz_status decide_weighted_thresholds(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    (void)weighted_thresholds(problem->payload, decision);
    return WZ_OK;
}

static wz_status decide_coordinate_descent(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    (void)err;
    mark_first(problem, 0, decision);
    descend(problem->payload, decision, rate_of(problem->payload, decision));
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"coordinate_descent", WZ_BASELINE_ALGORITHM, decide_coordinate_descent, NULL},
    {"sorted_thresholds", WZ_BASELINE_ALGORITHM, decide_sorted_thresholds, NULL},
    {"weighted_thresholds", WZ_BASELINE_ALGORITHM, decide_weighted_thresholds, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
    {"all_local", WZ_BASELINE_TRIVIAL, decide_all_local, NULL},
    {"all_edge", WZ_BASELINE_TRIVIAL, decide_all_edge, NULL},
    {"two_strongest", WZ_BASELINE_TRIVIAL, decide_two_strongest, NULL},
    {"strongest_half", WZ_BASELINE_TRIVIAL, decide_strongest_half, NULL},
};

/* ---- verifier ---- */

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_offloading *p = problem->payload;
    (void)err;
    if (p->users <= (effort == WZ_EFFORT_EVALUATION ? EVALUATION_USERS : TRAINING_USERS)) {
        out->kind = WZ_REFERENCE_OPTIMUM;
        enumerate(p, decision);
        return WZ_OK;
    }
    out->kind = WZ_REFERENCE_BEST_KNOWN;
    descend(p, decision, weighted_thresholds(p, decision));
    return WZ_OK;
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    (void)err;
    out->objective = rate_of(problem->payload, decision);
    return WZ_OK;
}

const wz_verifier wz_verifier_offloading = {
    .task = "offloading",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "coordinate_descent",
    .judge = judge,
    .solve = solve,
};
