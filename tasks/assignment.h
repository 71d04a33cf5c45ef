/* User-to-block assignment: K users, K resource blocks; give each user a block of its own so that the sum rate is
 * largest.
 *
 * The problem, exactly. r_ij = log2(1 + 10^(snr_db/10) X_ij) bit/s/Hz, X_ij independent, exponential with mean 1 (Rayleigh
 * fading), is the rate of user i on block j. What is printed is
 *     n_ij = round(10 r_ij)                                     tenths of bit/s/Hz, 0..WZ_MAX_TENTHS
 * and the printed table *is* the problem: the objective is sum_i n_{i,block(i)} / 10 bit/s/Hz. Tables of nothing but
 * zeros are drawn again.
 * Users are numbered by falling regret, the difference between a user's best and second best block; of equal ones the
 * larger best rate comes first, then the user that came in first. Whoever loses most when the best block is gone so
 * chooses first: in this order, users that take their best free block in turn reach 0.967 of the optimum with K = 4, in
 * random order 0.934, by falling best rate 0.958. Blocks stand in the order in which they were drawn.
 * The problem's numbers are n, user by user.
 * An answer is a block for each user; a block may be used once.
 *
 * Compact prompts. A row is a user: its label in small letters, then its rates in tenths, the largest first, each behind
 * its block's label:
 *     " user block rate a C 58 A 31 B 4 b C 44 B 40 A 12 c .. <answer>"
 * Compact answers: the users' blocks in order, " C B A</answer>". */
#ifndef WZ_TASKS_ASSIGNMENT_H
#define WZ_TASKS_ASSIGNMENT_H

#include "tasks/task.h"

#define WZ_MAX_USERS 16
#define WZ_MAX_TENTHS 200 /* 20 bit/s/Hz; at 30 dB no draw passes 145 */

/* The payload of an assignment problem. */
typedef struct wz_assignment {
    size_t users; /* and blocks */
    double *rate; /* (users, blocks): tenths of bit/s/Hz, whole numbers */
} wz_assignment;

extern const wz_task wz_task_assignment;

#endif
