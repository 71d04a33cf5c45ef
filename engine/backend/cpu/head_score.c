/* Head score over small token sets: only the allowed columns of the head are touched. Entries over the whole
 * vocabulary go to head_vocab.c. */
#include "engine/backend/cpu/head_score.h"

#include <assert.h>
#include <string.h>

#define COLUMNS_PER_TASK 64 /* of the head's gradient */

/* Scaled logits of entry i's small set, with their entropy; returns the log sum exp. */
static float small_set_softmax(const score_job *job, int64_t i, float *logits, float *entropy)
{
    const uint32_t set = job->mask[i];
    const int64_t count = set_size(job->masks, set);
    softmax_state state;
    float lse = 0.0f;
    gather_logits(logits, row_of(job->hidden, i), job->head, job->masks->tokens + job->masks->offset[set],
                  count);
    softmax_begin(&state);
    softmax_add(&state, logits, count, job->scale);
    softmax_end(&state, &lse, entropy);
    return lse;
}

static void score_task(void *argument, size_t task, size_t thread)
{
    const score_job *job = argument;
    float *logits = cpu_scratch(job->cpu, thread);
    for (int64_t i = (int64_t)task * ROWS_PER_TASK; i < task_end(task, job->hidden.rows); i++) {
        const uint32_t set = job->mask[i];
        if (set == 0)
            continue;
        const float lse = small_set_softmax(job, i, logits, &job->entropy[i]);
        int64_t place = set_place(job->masks, set, (uint32_t)job->target[i]);
        assert(place >= 0);
        job->logp[i] = logits[place] - lse;
    }
}

int64_t set_place(const wz_mask_table *masks, uint32_t set, uint32_t token)
{
    const int64_t place = set_first_from(masks, set, token);
    return place < set_size(masks, set) && masks->tokens[masks->offset[set] + place] == token ? place : -1;
}

void cpu_head_score_forward(wz_backend *backend, float *logp, float *entropy, wz_tensor hidden,
                            const wz_linear *head, const int32_t *target, const uint32_t *mask,
                            const wz_mask_table *masks, float temperature)
{
    score_job job = {.cpu = cpu_of(backend),
                     .logp = logp,
                     .entropy = entropy,
                     .hidden = hidden,
                     .head = head->weight,
                     .target = target,
                     .mask = mask,
                     .masks = masks,
                     .scale = inverse_temperature(temperature)};
    if (!cpu_scratch_reserve(job.cpu, (size_t)(largest_set(masks) + WZ_LANES) * sizeof(float)))
        return;
    wz_pool_run(job.cpu->pool, score_task, &job, row_tasks(hidden.rows));
    vocab_score_forward(&job);
}

/* Gradients of all logits of the small sets, laid out at slope[slope_offset[i]], and dhidden. */
static void slope_task(void *argument, size_t task, size_t thread)
{
    const score_job *job = argument;
    (void)thread;
    for (int64_t i = (int64_t)task * ROWS_PER_TASK; i < task_end(task, job->hidden.rows); i++) {
        const uint32_t set = job->mask[i];
        if (set == 0)
            continue;
        const uint32_t *tokens = job->masks->tokens + job->masks->offset[set];
        const int64_t count = set_size(job->masks, set);
        float *slope = job->slope + job->slope_offset[i], *dhidden = row_of(job->dhidden, i);
        float entropy = 0.0f;
        const float lse = small_set_softmax(job, i, slope, &entropy);
        softmax_gradient(slope, count, job->scale, lse, entropy, job->dlogp[i], job->dentropy[i],
                         set_place(job->masks, set, (uint32_t)job->target[i]));
        memset(dhidden, 0, (size_t)job->hidden.columns * sizeof(float));
        for (int64_t j = 0; j < count; j++)
            add_head_row(dhidden, slope[j], job->head, tokens[j]);
    }
}

void small_sets_gradient(const score_job *job, int64_t g, int64_t first, int64_t last, int64_t column,
                         int64_t width)
{
    for (int64_t k = job->groups->offset[g]; k < job->groups->offset[g + 1]; k++) {
        const int32_t i = job->groups->index[k];
        const uint32_t set = job->mask[i];
        if (set == 0)
            continue;
        const uint32_t *tokens = job->masks->tokens + job->masks->offset[set];
        const float *slope = job->slope + job->slope_offset[i];
        for (int64_t j = set_first_from(job->masks, set, first);
             j < set_size(job->masks, set) && tokens[j] < last; j++)
            axpy(row_of(job->dhead, tokens[j]) + column, slope[j], row_of(job->hidden, i) + column, width);
    }
}

/* dhead columns [64 task, 64 task + 64), where all sets are small: every entry in order of groups. */
static void head_gradient_task(void *argument, size_t task, size_t thread)
{
    const score_job *job = argument;
    const int64_t column = (int64_t)task * COLUMNS_PER_TASK;
    const int64_t left = job->hidden.columns - column,
                  width = left < COLUMNS_PER_TASK ? left : COLUMNS_PER_TASK;
    (void)thread;
    for (int64_t g = 0; g < job->groups->groups; g++)
        small_sets_gradient(job, g, 0, job->head.rows, column, width);
}

void cpu_head_score_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                             const float *dentropy, const float *logp, const float *entropy, wz_tensor hidden,
                             const wz_linear *head, const int32_t *target, const uint32_t *mask,
                             const wz_mask_table *masks, float temperature, const wz_row_groups *groups)
{
    score_job job = {.cpu = cpu_of(backend),
                     .dhidden = dhidden,
                     .dhead = dhead,
                     .dlogp = dlogp,
                     .dentropy = dentropy,
                     .hidden = hidden,
                     .head = head->weight,
                     .target = target,
                     .mask = mask,
                     .masks = masks,
                     .groups = groups,
                     .scale = inverse_temperature(temperature)};
    (void)logp, (void)entropy; /* logits are computed again in any case, and hardly more is asked for */
    /* One block: an offset for each entry, room for every entry's slopes in whole vectors, head_vocab.c's lists. */
    const bool any_whole = vocab_score_any(&job);
    int64_t slopes = 0;
    for (int64_t i = 0; i < hidden.rows; i++)
        slopes += mask[i] == 0 ? 0 : round_lanes(set_size(masks, mask[i]));
    const size_t offsets_bytes = (size_t)round_lanes(hidden.rows) * sizeof(int64_t);
    float *block =
        cpu_shared_reserve(job.cpu, offsets_bytes + (size_t)slopes * sizeof(float) + vocab_lists_bytes(&job));
    if (block == NULL)
        return;
    job.slope_offset = (int64_t *)(void *)block;
    job.slope = block + offsets_bytes / sizeof(float);
    job.lists = job.slope + slopes;
    for (int64_t i = 0, next = 0; i < hidden.rows; i++) {
        job.slope_offset[i] = next;
        next += mask[i] == 0 ? 0 : round_lanes(set_size(masks, mask[i]));
    }
    wz_pool_run(job.cpu->pool, slope_task, &job, row_tasks(hidden.rows));
    if (any_whole)
        vocab_score_backward(&job);
    else if (dhead.data != NULL)
        wz_pool_run(job.cpu->pool, head_gradient_task, &job,
                    (size_t)((hidden.columns + COLUMNS_PER_TASK - 1) / COLUMNS_PER_TASK));
}
