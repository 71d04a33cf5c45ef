/* Beam hopping's verifier: a plan is judged by the demand that it serves. */
#ifndef WZ_REWARDS_BEAM_HOPPING_H
#define WZ_REWARDS_BEAM_HOPPING_H

#include "rewards/verifier.h"

/* Violated: a cell that is lit twice in a slot, by the number of beams that light a cell again; shortfall: the same
 * over all beams but one of each slot.
 * Reference: the optimum by search over all plans where that ends soon, in evaluation also by integer programme
 * (GLPK) of up to 300 patterns; else the best that improving plans slot by slot finds. f0: the best of round_robin
 * and spaced. Baselines: "greedy_pattern" (slot by slot the pattern that adds most), "greedy_beam" (beam by beam what
 * adds most, with interference), "greedy_demand" (the cells of most demand left, as without interference), "spaced"
 * (cells in turn, those of a slot as far apart in the alphabet as can be), "round_robin" (cells in turn), "random"
 * (different cells in each slot). */
extern const wz_verifier wz_verifier_beam_hopping;

#endif
