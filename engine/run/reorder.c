#include "engine/run/reorder.h"

#include <stdlib.h>
#include <string.h>

bool wz_can_reorder(const wz_task *task)
{
    return task->reorder != NULL;
}

static wz_status reorder_one(const wz_problem *problem, uint64_t seed, wz_problem *out, wz_error *err)
{
    const wz_draw_key key = {.seed = seed,
                             .problem = problem->index,
                             .token = (uint32_t)problem->split,
                             .purpose = WZ_PURPOSE_REORDER};
    uint8_t order[UINT8_MAX + 1];
    wz_draws draws = wz_draws_from(&key, 0);
    wz_draws_permutation(&draws, problem->size, order);
    return wz_problem_reorder(problem, order, out, err);
}

wz_status wz_reorder_problems(const wz_problem *problems, int64_t count, uint64_t seed, wz_problem **out,
                              wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, (size_t)count, sizeof(wz_problem), "problems", err);
    if (status != WZ_OK)
        return status;
    wz_problem *made = block;
    for (int64_t g = 0; g < count; g++) {
        status = reorder_one(&problems[g], seed, &made[g], err);
        if (status != WZ_OK) {
            while (g-- > 0)
                wz_problem_clear(&made[g]);
            free(made);
            return status;
        }
    }
    *out = made;
    return WZ_OK;
}

bool wz_reads_differently(const wz_problem *problem, const wz_problem *reordered)
{
    return memcmp(problem->numbers, reordered->numbers, problem->number_count * sizeof *problem->numbers) !=
           0;
}

wz_status wz_reordered_outcome(const wz_batch *batch, int64_t g, const wz_problem *original, wz_outcome *out,
                               wz_error *err)
{
    const wz_problem *reordered = &batch->problems[g];
    unsigned decision[WZ_MAX_SLOTS], restored[WZ_MAX_SLOTS] = {0};
    wz_verdict verdict;
    *out = (wz_outcome){.feasible = true};
    if (!wz_batch_read_decision(batch, g * batch->generations, decision, &verdict)) {
        wz_outcome_violate(out, 1, 1, "%s", verdict.reason);
        return WZ_OK;
    }
    wz_problem_restore(reordered, decision, restored);
    return batch->verifiers[g]->judge(original, restored, out, err);
}
