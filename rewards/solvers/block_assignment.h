/* Resource blocks to users: the largest sum, or geometric mean, of the users' rates where each must reach a minimum. */
#ifndef WZ_REWARDS_SOLVERS_BLOCK_ASSIGNMENT_H
#define WZ_REWARDS_SOLVERS_BLOCK_ASSIGNMENT_H

#include <stdbool.h>

#include "engine/core/status.h"
#include "tasks/ofdma.h"

/* The users' rates of an assignment, in tenths: sum (users) of what the owned blocks give. */
void wz_block_sums(const wz_ofdma *cell, const unsigned *owner, int32_t *sum);
/* Objective of these rates in bit/s/Hz; minima are not looked at. */
double wz_block_objective(const wz_ofdma *cell, const int32_t *sum);
/* By how much users fall short of the minimum, in tenths, all together. */
int32_t wz_block_deficit(const wz_ofdma *cell, const int32_t *sum);

/* The best assignment by depth-first search over all users^blocks; branches that can no longer reach the minima, or
 * pass the best sum, are left out. False if no assignment meets the minima. */
bool wz_block_enumerate(const wz_ofdma *cell, unsigned *owner);

/* The largest sum rate as an integer programme: x_bk in {0, 1}, sum_k x_bk = 1, sum_b r_bk x_bk >= minimum. *proven
 * is false if the subproblems ran out; false and owner untouched if nothing was found. */
wz_status wz_block_program(const wz_ofdma *cell, size_t most_nodes, unsigned *owner, bool *found,
                           bool *proven, wz_error *err);

/* Simple assignments, feasible or not. */
void wz_block_best_user(const wz_ofdma *cell,
                        unsigned *owner); /* each block to the user of its largest rate (max CQI) */
/* Block by block, in this order (NULL: as they stand), to the user of the largest rate over what it has already
 * (proportional-fair scheduling over one slot; a user that has nothing yet counts as having one tenth). */
void wz_block_proportional(const wz_ofdma *cell, const uint8_t *order, unsigned *owner);
/* From wz_block_best_user: while a user falls short, the block whose change of hands costs least per tenth of what is
 * missing goes to one that does, from a user that can spare it. */
void wz_block_repair(const wz_ofdma *cell, unsigned *owner);

/* Gives one block to another user, or swaps two, in the best way, until that neither lessens the deficit nor raises the
 * objective. From a feasible assignment it stays feasible. O(blocks (blocks + users)) tries a step, O(users) each. */
void wz_block_improve(const wz_ofdma *cell, unsigned *owner);

#endif
