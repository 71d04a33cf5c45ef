/* Resource blocks to users so that the poorest user has most: what minimum rates are measured by. */
#ifndef WZ_TASKS_MAX_MIN_RATE_H
#define WZ_TASKS_MAX_MIN_RATE_H

#include <stddef.h>
#include <stdint.h>

#define WZ_MAX_BLOCK_USERS 8
#define WZ_MAX_BLOCKS 32
#define WZ_MAX_MIN_LIMIT 6561 /* assignments, 3^8: so many are tried in some 20 us */

/* Assigns each block to one user; returns the smallest of the users' sums.
 *   rate   (blocks, users)  >= 0
 *   owner  (blocks)         the user of each block
 * The optimum while users^blocks <= WZ_MAX_MIN_LIMIT; beyond that, wz_max_min_greedy. */
int32_t wz_max_min_rate(size_t users, size_t blocks, const int32_t *rate, unsigned *owner);
/* The same, where the poorest user takes its best block left until none is left. */
int32_t wz_max_min_greedy(size_t users, size_t blocks, const int32_t *rate, unsigned *owner);

#endif
