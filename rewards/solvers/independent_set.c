#include "rewards/solvers/independent_set.h"

#include <stdbool.h>

#include "tasks/rows.h"

#define BIT(node) ((uint64_t)1 << (node))

static size_t first_of(uint64_t set)
{
    return (size_t)__builtin_ctzll(set);
}

static int degree_in(const wz_graph *graph, size_t node, uint64_t set)
{
    return __builtin_popcountll(graph->neighbours[node] & set);
}

static uint64_t all_nodes(const wz_graph *graph)
{
    return graph->nodes == WZ_GRAPH_MAX_NODES ? ~(uint64_t)0 : BIT(graph->nodes) - 1;
}

int64_t wz_set_weight(const wz_graph *graph, uint64_t set)
{
    int64_t sum = 0;
    for (; set != 0; set &= set - 1)
        sum += graph->weight[first_of(set)];
    return sum;
}

size_t wz_set_edges(const wz_graph *graph, uint64_t set)
{
    size_t ends = 0;
    for (uint64_t left = set; left != 0; left &= left - 1)
        ends += (size_t)degree_in(graph, first_of(left), set);
    return ends / 2;
}

/* ---- heuristics ---- */

uint64_t wz_independent_set_in_order(const wz_graph *graph, const uint8_t *order)
{
    uint64_t taken = 0;
    for (size_t place = 0; place < graph->nodes; place++) {
        const size_t node = order == NULL ? place : order[place];
        if ((graph->neighbours[node] & taken) == 0)
            taken |= BIT(node);
    }
    return taken;
}

/* Takes the node of largest weight / share, share = 1 + neighbours left or just 1, until none is left. */
static uint64_t take_largest(const wz_graph *graph, bool by_degree)
{
    uint64_t taken = 0, left = all_nodes(graph);
    while (left != 0) {
        size_t best = first_of(left);
        int64_t best_share = by_degree ? 1 + degree_in(graph, best, left) : 1;
        for (uint64_t rest = left & (left - 1); rest != 0; rest &= rest - 1) {
            const size_t node = first_of(rest);
            const int64_t share = by_degree ? 1 + degree_in(graph, node, left) : 1;
            if (graph->weight[node] * best_share > graph->weight[best] * share) {
                best = node;
                best_share = share;
            }
        }
        taken |= BIT(best);
        left &= ~(BIT(best) | graph->neighbours[best]);
    }
    return taken;
}

uint64_t wz_independent_set_greedy(const wz_graph *graph)
{
    return take_largest(graph, false);
}

uint64_t wz_independent_set_gwmin(const wz_graph *graph)
{
    return take_largest(graph, true);
}

/* ---- branch and bound ---- */

typedef struct search {
    const wz_graph *graph; /* nodes by falling weight: the first of a set is its heaviest */
    uint64_t best;
    int64_t best_weight;
} search;

/* No independent subset of `left` weighs more: it has at most one node of each clique. */
static int64_t clique_bound(const wz_graph *graph, uint64_t left)
{
    int64_t bound = 0;
    while (left != 0) {
        size_t node = first_of(left);
        uint64_t joining = left;
        bound += graph->weight[node];
        while (joining != 0) {
            node = first_of(joining);
            left &= ~BIT(node);
            joining &= graph->neighbours[node];
        }
    }
    return bound;
}

/* Moves from `left` to `taken` what some best set has: a node as heavy as all its neighbours left can replace them. */
static void reduce(const wz_graph *graph, uint64_t *left, uint64_t *taken)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint64_t rest = *left; rest != 0; rest &= rest - 1) {
            const size_t node = first_of(rest);
            if (graph->weight[node] < wz_set_weight(graph, graph->neighbours[node] & *left))
                continue;
            *taken |= BIT(node);
            *left &= ~(BIT(node) | graph->neighbours[node]);
            rest &= *left | BIT(node);
            changed = true;
        }
    }
}

static void visit(search *s, uint64_t left, uint64_t taken)
{
    for (;;) { /* what follows is the branch without the node; the one with it, a call */
        reduce(s->graph, &left, &taken);
        const int64_t weight = wz_set_weight(s->graph, taken);
        if (left == 0 && weight > s->best_weight) {
            s->best = taken;
            s->best_weight = weight;
        }
        if (left == 0 || weight + clique_bound(s->graph, left) <= s->best_weight)
            return;
        size_t node = first_of(left);
        int most = 0;
        for (uint64_t rest = left; rest != 0; rest &= rest - 1) {
            const int degree = degree_in(s->graph, first_of(rest), left);
            if (degree > most) {
                most = degree;
                node = first_of(rest);
            }
        }
        visit(s, left & ~(BIT(node) | s->graph->neighbours[node]), taken | BIT(node));
        left &= ~BIT(node);
    }
}

/* The graph with its nodes by falling weight; order[new] = old. */
static void sort_nodes(const wz_graph *graph, uint8_t *order, int32_t *weight, uint64_t *neighbours)
{
    wz_rows_by_falling(graph->nodes, graph->weight, order);
    for (size_t i = 0; i < graph->nodes; i++) {
        weight[i] = graph->weight[order[i]];
        neighbours[i] = 0;
        for (size_t j = 0; j < graph->nodes; j++)
            neighbours[i] |= (graph->neighbours[order[i]] >> order[j] & 1) << j;
    }
}

uint64_t wz_independent_set_best(const wz_graph *graph)
{
    uint8_t order[WZ_GRAPH_MAX_NODES];
    int32_t weight[WZ_GRAPH_MAX_NODES];
    uint64_t neighbours[WZ_GRAPH_MAX_NODES], best = 0;
    sort_nodes(graph, order, weight, neighbours);
    const wz_graph sorted = {graph->nodes, weight, neighbours};
    search s = {.graph = &sorted, .best = wz_independent_set_gwmin(&sorted)};
    s.best_weight = wz_set_weight(&sorted, s.best);
    visit(&s, all_nodes(&sorted), 0);
    for (; s.best != 0; s.best &= s.best - 1)
        best |= BIT(order[first_of(s.best)]);
    return best;
}
