/* Independent sets of large weight in graphs of at most 64 nodes; sets of nodes are bit masks. */
#ifndef WZ_REWARDS_SOLVERS_INDEPENDENT_SET_H
#define WZ_REWARDS_SOLVERS_INDEPENDENT_SET_H

#include <stddef.h>
#include <stdint.h>

#define WZ_GRAPH_MAX_NODES 64

/* Borrowed: node i has weight[i] >= 1, and bit j of neighbours[i] is set if an edge joins it with j; symmetric, no loops. */
typedef struct wz_graph {
    size_t nodes; /* 1..WZ_GRAPH_MAX_NODES */
    const int32_t *weight;
    const uint64_t *neighbours;
} wz_graph;

/* Sum of the weights of a set. */
int64_t wz_set_weight(const wz_graph *graph, uint64_t set);
/* Edges with both ends in a set. */
size_t wz_set_edges(const wz_graph *graph, uint64_t set);

/* The set of largest weight among those without an edge, exactly. Branch and bound: nodes at least as heavy as all their
 * neighbours together are taken; the weight left is bounded by a cover with cliques, each counted with its heaviest
 * node (Babel 1994); branches on a node of most neighbours. Exponential in the worst case; 64 nodes of the unit
 * square, or of random graphs of any density, with weights 1..20 take about 0.3 ms. */
uint64_t wz_independent_set_best(const wz_graph *graph);
/* Nodes by falling weight (equal: in order), each unless a neighbour was taken. O(nodes^2). */
uint64_t wz_independent_set_greedy(const wz_graph *graph);
/* GWMIN (Sakai, Togasaki, Yamazaki 2003): takes the node of largest weight / (1 + neighbours left) (equal: the first),
 * strikes it and its neighbours off, again and again. At least sum_i weight_i / (1 + degree_i). O(nodes^2). */
uint64_t wz_independent_set_gwmin(const wz_graph *graph);
/* Nodes in the given order (nodes; NULL: as they are numbered), each unless a neighbour was taken. */
uint64_t wz_independent_set_in_order(const wz_graph *graph, const uint8_t *order);

#endif
