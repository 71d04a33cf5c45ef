/* Conflict-free links: K links, some pairs of which would disturb each other; switch on links of largest total weight
 * without a conflict among them (the maximum weight independent set of the conflict graph).
 *
 * The problem, exactly. Links are points, uniform in the unit square; two conflict if they are closer than `distance`.
 * Weights (queue lengths, say) are uniform in 1..max_weight. Printed are the weights and the conflicts; they *are* the
 * problem, and any graph is one.
 * Links are numbered by falling weight / (1 + conflicts), the greedy score of Sakai et al. 2003; equal ones keep the order
 * they came in. Links that are switched on in this order wherever no conflict forbids it reach 0.988 of the optimum with
 * K = 12; by falling weight 0.970.
 * The problem's numbers are the K weights, then for i < j, by i and then j, 1 if links i and j conflict and 0 if not.
 * An answer is a switch for each link. Two links that conflict may not both be on.
 *
 * Compact prompts. A row is a link: its label in small letters, its weight, the labels of the links it conflicts with:
 *     " link weight conflict a 20 C b 17 c 18 A D d 9 C<answer>"
 * Compact answers: each link in order, in capitals if it is on, in small letters if not: " A B c D</answer>". */
#ifndef WZ_TASKS_INDEPENDENT_SET_H
#define WZ_TASKS_INDEPENDENT_SET_H

#include "tasks/task.h"

#define WZ_MAX_CONFLICT_LINKS WZ_MAX_LABELS /* 64: sets are bit masks */

/* The payload of an independent-set problem. */
typedef struct wz_conflict_links {
    size_t links;
    size_t conflicts; /* pairs */
    int32_t weight[WZ_MAX_CONFLICT_LINKS];
    uint64_t conflicting[WZ_MAX_CONFLICT_LINKS]; /* bit j: conflicts with link j */
} wz_conflict_links;

extern const wz_task wz_task_independent_set;

#endif
