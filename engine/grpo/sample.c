/* A pack's rollout and rewards, and dynamic sampling (Yu et al. 2025): other problems for those that teach nothing. */
#include <stdlib.h>

#include "engine/core/clock.h"
#include "engine/grpo/advantage.h"
#include "engine/grpo/trainer_internal.h"
#include "engine/grpo/update.h"

static wz_status roll_out(wz_trainer *trainer, wz_step_state *s, int64_t p, wz_error *err)
{
    const double start = wz_now_s();
    wz_activations *activations = wz_trainer_activations(trainer, p);
    wz_status status = wz_batch_rollout(trainer->batch, p, activations, &s->rollout, err);
    if (status == WZ_OK && s->check)
        status =
            wz_pack_exactness(trainer->policy->model, activations, trainer->batch->packs[p],
                              s->rollout.sampling.temperature, &s->changed, &s->largest, &s->difference, err);
    s->decisions += trainer->batch->packs[p]->decisions.count;
    s->report->rollout_s += wz_now_s() - start;
    return status;
}

static double reward_of(const wz_trainer *trainer, const wz_step_state *s, const wz_batch *batch,
                        int64_t completion)
{
    const wz_trainer_options *o = &trainer->options;
    const int64_t each = batch->groups_per_pack * batch->generations;
    const int64_t length = batch->packs[completion / each]->length[completion % each];
    return wz_reward_total(&o->reward, (int64_t)s->rollout.step, &batch->verdicts[completion],
                           &batch->references[completion / batch->generations], length);
}

static wz_status reward_pack(wz_trainer *trainer, wz_step_state *s, int64_t p, wz_error *err)
{
    const double start = wz_now_s();
    wz_batch *batch = trainer->batch;
    const wz_pack *pack = batch->packs[p];
    const int64_t first = p * batch->groups_per_pack * batch->generations;
    const wz_status status = wz_batch_verify_pack(batch, p, err);
    for (int64_t c = 0; status == WZ_OK && c < pack->completions; c++) {
        trainer->reward[first + c] = reward_of(trainer, s, batch, first + c);
        trainer->left_out[first + c] = trainer->options.mask_truncated && !pack->finished[c];
    }
    s->report->verify_s += wz_now_s() - start;
    return status;
}

/* Slots of pack p whose rewards are all equal; how many. */
static int64_t find_flat(const wz_trainer *trainer, int64_t p, int64_t *slot)
{
    const wz_batch *batch = trainer->batch;
    const int64_t first = p * batch->groups_per_pack, generations = batch->generations;
    int64_t count = 0;
    for (int64_t g = first; g < first + batch->packs[p]->groups; g++)
        if (wz_rewards_are_equal(trainer->reward + g * generations, (size_t)generations))
            slot[count++] = g;
    return count;
}

/* What the other problems of the slots would be, rolled out and verified in a batch of their own. */
static wz_status try_others(wz_trainer *trainer, wz_step_state *s, int64_t p, int64_t attempt,
                            const int64_t *slot, int64_t count, wz_batch **out, wz_error *err)
{
    wz_problem *problems = NULL;
    *out = NULL;
    wz_status status =
        wz_trainer_draw_problems(trainer, (int64_t)s->rollout.step, attempt, slot, count, &problems, err);
    if (status != WZ_OK)
        return status;
    status = wz_trainer_make_batch(trainer, problems, count, out, err);
    if (status == WZ_OK)
        status = wz_trainer_make_activations(trainer, p, wz_batch_rows(*out), err);
    if (status == WZ_OK)
        status = wz_batch_rollout(*out, 0, wz_trainer_activations(trainer, p), &s->rollout, err);
    return status == WZ_OK ? wz_batch_verify(*out, err) : status;
}

/* Puts those that have a signal in their slots; slot [*count] keeps the others. */
static wz_status take_others(wz_trainer *trainer, const wz_step_state *s, wz_batch *others, int64_t *slot,
                             int64_t *count, wz_error *err)
{
    const int64_t generations = others->generations, tried = *count;
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)generations, sizeof(double), "rewards", err);
    double *reward = block;
    *count = 0;
    for (int64_t i = 0; status == WZ_OK && i < tried; i++) {
        for (int64_t j = 0; j < generations; j++)
            reward[j] = reward_of(trainer, s, others, i * generations + j);
        if (wz_rewards_are_equal(reward, (size_t)generations))
            slot[(*count)++] = slot[i];
        else {
            trainer->slots[slot[i]].is_replaced = true;
            status = wz_batch_replace(trainer->batch, slot[i], others, i, err);
        }
    }
    free(reward);
    return status;
}

/* Then rolls the pack out again: a problem's completions depend on it alone, so those that stay are the same. */
static wz_status replace_flat(wz_trainer *trainer, wz_step_state *s, int64_t p, int64_t *slot, int64_t count,
                              wz_error *err)
{
    const int64_t found = count;
    const double start = wz_now_s();
    wz_status status = WZ_OK;
    for (int64_t attempt = 1; status == WZ_OK && count > 0 && attempt <= trainer->options.dynamic_tries;
         attempt++) {
        wz_batch *others = NULL;
        s->tried += count;
        status = try_others(trainer, s, p, attempt, slot, count, &others, err);
        if (status == WZ_OK)
            status = take_others(trainer, s, others, slot, &count, err);
        wz_batch_destroy(others);
    }
    s->replaced += found - count;
    s->report->rollout_s += wz_now_s() - start;
    if (status == WZ_OK)
        status = wz_batch_renew_pack(trainer->batch, p, err);
    if (status == WZ_OK)
        status = wz_trainer_make_activations(trainer, p, trainer->batch->packs[p]->row_capacity, err);
    if (status == WZ_OK)
        status = roll_out(trainer, s, p, err);
    return status == WZ_OK ? reward_pack(trainer, s, p, err) : status;
}

/* How the problems of pack p were answered as they were drawn. */
static void note_drawn(wz_trainer *trainer, int64_t p)
{
    const wz_batch *batch = trainer->batch;
    const int64_t first = p * batch->groups_per_pack;
    for (int64_t g = first; g < first + batch->packs[p]->groups; g++) {
        trainer->drawn_ratio[g] = 0.0;
        for (int64_t j = 0; j < batch->generations; j++)
            trainer->drawn_ratio[g] += batch->verdicts[g * batch->generations + j].ratio;
        if (wz_trainer_has_pool(&trainer->options))
            trainer->slots[g].success = wz_trainer_success(trainer, g);
    }
}

wz_status wz_trainer_sample_pack(wz_trainer *trainer, wz_step_state *s, int64_t p, wz_error *err)
{
    wz_status status = roll_out(trainer, s, p, err);
    if (status == WZ_OK)
        status = reward_pack(trainer, s, p, err);
    if (status != WZ_OK)
        return status;
    note_drawn(trainer, p);
    if (trainer->options.dynamic_tries == 0)
        return WZ_OK;
    void *slot = NULL;
    status = wz_alloc(&slot, (size_t)trainer->batch->packs[p]->groups, sizeof(int64_t), "a batch of problems",
                      err);
    const int64_t count = status == WZ_OK ? find_flat(trainer, p, slot) : 0;
    if (count > 0)
        status = replace_flat(trainer, s, p, slot, count, err);
    free(slot);
    return status;
}
