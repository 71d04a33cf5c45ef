/* The same problems with their parts in another order: what a policy that has understood them answers alike. */
#ifndef WZ_RUN_REORDER_H
#define WZ_RUN_REORDER_H

#include "engine/grpo/batch.h"

/* Whether the family leaves its parts an order. */
bool wz_can_reorder(const wz_task *task);
/* Each of the problems with its parts in a random order, a function of seed, split and index. out: from wz_alloc. */
wz_status wz_reorder_problems(const wz_problem *problems, int64_t count, uint64_t seed, wz_problem **out,
                              wz_error *err);
/* Whether the prompt reads differently: families that number their parts themselves may undo an order. */
bool wz_reads_differently(const wz_problem *problem, const wz_problem *reordered);
/* What the first completion of problem g of a verified batch, made by wz_reorder_problems, is worth on the problem that it was
 * made from: the decision is put back into that one's order and judged there. */
wz_status wz_reordered_outcome(const wz_batch *batch, int64_t g, const wz_problem *original, wz_outcome *out,
                               wz_error *err);

#endif
