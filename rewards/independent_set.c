#include "rewards/independent_set.h"

#include <math.h>

#include "rewards/solvers/independent_set.h"
#include "rewards/typical.h"
#include "tasks/independent_set.h"

static wz_graph graph_of(const wz_problem *problem)
{
    const wz_conflict_links *p = problem->payload;
    return (wz_graph){p->links, p->weight, p->conflicting};
}

static void take(uint64_t set, size_t links, unsigned *decision)
{
    for (size_t i = 0; i < links; i++)
        decision[i] = (unsigned)(set >> i & 1);
}

/* ---- baselines ---- */

static wz_status decide_gwmin(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_graph graph = graph_of(problem);
    (void)err;
    take(wz_independent_set_gwmin(&graph), graph.nodes, decision);
    return WZ_OK;
}

static wz_status decide_first_fit(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_graph graph = graph_of(problem);
    (void)err;
    take(wz_independent_set_in_order(&graph, NULL), graph.nodes, decision);
    return WZ_OK;
}

static wz_status decide_greedy(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_graph graph = graph_of(problem);
    (void)err;
    take(wz_independent_set_greedy(&graph), graph.nodes, decision);
    return WZ_OK;
}

static wz_status decide_heaviest(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const wz_graph graph = graph_of(problem);
    size_t heaviest = 0;
    (void)err;
    for (size_t i = 1; i < graph.nodes; i++)
        if (graph.weight[i] > graph.weight[heaviest])
            heaviest = i;
    take((uint64_t)1 << heaviest, graph.nodes, decision);
    return WZ_OK;
}

/* The first m links, m the number of largest m q^(m (m - 1) / 4): two uniform points of the unit square do not conflict with
 * probability q = 1 - (pi d^2 - 8 d^3 / 3 + d^4 / 2) for a distance d of at most 1, and links that come early, which have few
 * conflicts, about as seldom as half as many pairs would. */
static wz_status decide_constant(const wz_problem *problem, unsigned *decision, wz_error *err)
{
    const double d = fmin(wz_problem_option(problem, "distance"), 1),
                 q = 1 - d * d * (3.14159265358979 - 8 * d / 3 + d * d / 2);
    double best = 0;
    size_t on = 1;
    (void)err;
    for (size_t m = 1; m <= problem->size; m++) {
        const double worth = (double)m * pow(q, (double)(m * (m - 1)) / 4);
        if (worth > best) {
            best = worth;
            on = m;
        }
    }
    for (size_t i = 0; i < problem->size; i++)
        decision[i] = i < on;
    return WZ_OK;
}

static const wz_baseline baselines[] = {
    {"gwmin", WZ_BASELINE_ALGORITHM, decide_gwmin, NULL},
    {"first_fit", WZ_BASELINE_ALGORITHM, decide_first_fit, NULL},
    {"greedy", WZ_BASELINE_ALGORITHM, decide_greedy, NULL},
    {"heaviest", WZ_BASELINE_TRIVIAL, decide_heaviest, NULL},
    {"constant", WZ_BASELINE_TRIVIAL, decide_constant, NULL},
    {"random", WZ_BASELINE_RANDOM, NULL, NULL},
};

/* ---- verifier ---- */

static wz_status solve(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err)
{
    const wz_graph graph = graph_of(problem);
    (void)effort;
    (void)err;
    out->kind = WZ_REFERENCE_OPTIMUM;
    take(wz_independent_set_best(&graph), graph.nodes, decision);
    return WZ_OK;
}

/* Names the first pair of a set that conflicts. */
static void violate(const wz_graph *graph, uint64_t set, size_t violated, size_t conflicts, wz_outcome *out)
{
    for (size_t i = 0; i < graph->nodes; i++) {
        const uint64_t other = graph->neighbours[i] & set;
        char label[3], with[3];
        if ((set >> i & 1) == 0 || other == 0)
            continue;
        wz_label(i, label);
        wz_label((size_t)__builtin_ctzll(other), with);
        wz_outcome_violate(out, (double)violated, (double)violated / (double)conflicts,
                           "links %s and %s conflict and are both on; violated conflicts: %zu", label, with,
                           violated);
        return;
    }
}

static wz_status judge(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_graph graph = graph_of(problem);
    const wz_conflict_links *p = problem->payload;
    uint64_t set = 0;
    (void)err;
    for (size_t i = 0; i < graph.nodes; i++)
        set |= (uint64_t)decision[i] << i;
    const size_t violated = wz_set_edges(&graph, set);
    out->objective = (double)wz_set_weight(&graph, set);
    if (violated > 0)
        violate(&graph, set, violated, p->conflicts, out);
    return WZ_OK;
}

static void draw(const wz_problem *problem, wz_draws *draws, unsigned *decision)
{
    const wz_graph graph = graph_of(problem);
    uint8_t order[WZ_GRAPH_MAX_NODES];
    wz_draws_permutation(draws, graph.nodes, order);
    take(wz_independent_set_in_order(&graph, order), graph.nodes, decision);
}

const wz_verifier wz_verifier_independent_set = {
    .task = "independent_set",
    .baselines = baselines,
    .baseline_count = sizeof baselines / sizeof *baselines,
    .field_algorithm = "gwmin",
    .judge = judge,
    .solve = solve,
    .draw = draw,
};
