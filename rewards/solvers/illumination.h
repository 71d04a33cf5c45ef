/* Beam hopping: what a plan of illumination serves, and the plans that serve most. */
#ifndef WZ_REWARDS_SOLVERS_ILLUMINATION_H
#define WZ_REWARDS_SOLVERS_ILLUMINATION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/status.h"
#include "tasks/beam_hopping.h"

#define WZ_MAX_PATTERNS 1820 /* 16 cells, 4 beams */

/* What each of a slot's cells (beams, different) receives in it, in bit/Hz:
 * log2(1 + S / (1 + sum of what the other beams leak into it)). */
void wz_slot_rates(const wz_beam_hopping *net, const unsigned *cell, double *rate);
/* sum_c min(demand_c, received_c) of received (cells), in bit/Hz. */
double wz_served(const wz_beam_hopping *net, const double *received);
/* The same of a plan (slots, beams), whose cells are different in each slot. */
double wz_plan_served(const wz_beam_hopping *net, const unsigned *plan);

/* All ways to light a slot: a plan is worth what its patterns are, in any order. */
typedef struct wz_patterns {
    size_t count;                                 /* cells over beams */
    unsigned cell[WZ_MAX_PATTERNS][WZ_MAX_BEAMS]; /* ascending */
    double rate[WZ_MAX_PATTERNS][WZ_MAX_BEAMS];
} wz_patterns;
void wz_patterns_list(const wz_beam_hopping *net, wz_patterns *out);

/* Plans slot by slot. What a slot adds falls with what the others have served. */
void wz_plan_by_demand(const wz_beam_hopping *net,
                       unsigned *plan); /* the cells of most demand left, if there were no
                                                                       interference: each is then taken to be served alone */
void wz_plan_by_beam(const wz_beam_hopping *net,
                     unsigned *plan); /* beam after beam what adds most in the slot so far */
void wz_plan_by_pattern(const wz_beam_hopping *net, const wz_patterns *patterns,
                        unsigned *plan); /* what adds most */

/* Replaces one slot's pattern after the other by the best one beside the others, until none gets better. */
void wz_plan_improve(const wz_beam_hopping *net, const wz_patterns *patterns, unsigned *plan);

/* The best plan, by depth-first search over all collections of `slots` patterns. `plan` holds a plan to begin with.
 * Since a pattern adds the less the more is served, what the best one adds now, times the slots that are left, bounds
 * what they can add. Returns false, with the best plan so far, when most_tries patterns have been tried. */
bool wz_plan_search(const wz_beam_hopping *net, const wz_patterns *patterns, uint64_t most_tries,
                    unsigned *plan);

/* The same as an integer programme: n_p slots of pattern p and s_c served to cell c,
 *     max sum_c s_c,   s_c <= demand_c,   s_c <= sum_p rate_cp n_p,   sum_p n_p = slots.
 * The plan is left as it is if none is found; *proven is false unless the programme was solved. */
wz_status wz_plan_program(const wz_beam_hopping *net, const wz_patterns *patterns, size_t most_nodes,
                          unsigned *plan, bool *found, bool *proven, wz_error *err);

#endif
