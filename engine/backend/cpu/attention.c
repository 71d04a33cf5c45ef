/* Packed attention, forward (softmax(q k^T / sqrt(head_dim)) v over a row's visible keys). */
#include "engine/backend/cpu/attention.h"

#include <math.h>

typedef struct forward_job {
    cpu_backend *cpu;
    wz_tensor out, qkv;
    float *lse;
    const wz_segments *segments;
    const wz_attention *attention;
    int64_t row0, row1;
    bool at_sites;
    int64_t keys16, width16, score_stride; /* of the longest prompt; of a head; of one row's scores */
} forward_job;

/* score: scaled logits of `keys` visible keys laid out as prompt16 prompt places, then the own keys. Unseen places
 * become 0. Returns log sum exp; *scale is what the weights must be multiplied with to sum to 1. */
static float softmax_row(float *score, int64_t prompt, int64_t prompt16, int64_t own, float *scale)
{
    const int64_t total = prompt16 + own, total16 = round_lanes(total);
    for (int64_t j = prompt; j < prompt16; j++)
        score[j] = -INFINITY;
    for (int64_t j = total; j < total16; j++)
        score[j] = -INFINITY;
    v16 most = v16_load(score);
    for (int64_t j = WZ_LANES; j < total16; j += WZ_LANES)
        most = v16_max(most, v16_load(score + j));
    const float largest = v16_largest(most);
    v16 sum = {0};
    for (int64_t j = 0; j < total16; j += WZ_LANES) {
        v16 e = v16_exp(v16_load(score + j) - v16_set(largest));
        v16_store(score + j, e);
        sum = sum + e;
    }
    const float all = v16_sum(sum);
    *scale = 1.0f / all;
    return largest + logf(all);
}

static void score_own(const forward_job *job, float *score, const float *q, const int32_t *rows, int64_t own,
                      int64_t k_column)
{
    for (int64_t j = 0; j < own; j++)
        score[j] = dot(q, row_of(job->qkv, rows[j]) + k_column, job->attention->head_dim);
}

/* A block's query rows, of head h. */
static void block_rows(const forward_job *job, const row_block *block, int64_t h, int64_t prompt_length,
                       const float *keys, const float *values, float *scratch)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim, kv = h / (at->heads / at->kv_heads);
    const int64_t k_column = (at->heads + kv) * hd, v_column = (at->heads + at->kv_heads + kv) * hd;
    const int64_t keys16 = round_lanes(prompt_length);
    float *score[ROW_BLOCK], *result[ROW_BLOCK];
    const float *q[ROW_BLOCK];
    int64_t prompt[ROW_BLOCK], own[ROW_BLOCK], least = prompt_length, most = 0;
    for (int r = 0; r < ROW_BLOCK; r++) {
        const int32_t row = block->row[r];
        q[r] = row_of(job->qkv, row) + h * hd;
        score[r] = scratch + r * job->score_stride;
        result[r] = scratch + ROW_BLOCK * job->score_stride + r * job->width16;
        visible_keys(job->segments, row, &prompt[r], &own[r]);
        least = prompt[r] < least ? prompt[r] : least;
        most = prompt[r] > most ? prompt[r] : most;
    }
    multiply_keys(score, q, keys, keys16, hd, most);
    float scale[ROW_BLOCK];
    const float *weight[ROW_BLOCK];
    for (int r = 0; r < ROW_BLOCK; r++) {
        weight[r] = score[r];
        if (r >= block->count)
            continue;
        /* places up to most16 are read below; those this row does not see become 0 */
        const int64_t place = round_lanes(most);
        if (own[r] > 0)
            score_own(job, score[r] + place, q[r], own_rows(job->segments, block->row[r]), own[r],
                      k_column);
        for (int64_t j = 0; j < place + own[r]; j++)
            score[r][j] *= at->scale;
        float lse = softmax_row(score[r], prompt[r], place, own[r], &scale[r]);
        if (job->lse != NULL)
            job->lse[block->result[r] * at->heads + h] = lse;
    }
    multiply_values(result, weight, values, job->width16, least);
    for (int r = 0; r < block->count; r++) {
        /* Keys that only some rows of the block see: a row must not even multiply with 0 what it does not see. */
        for (int64_t j = least; j < prompt[r]; j++)
            axpy(result[r], weight[r][j], values + j * job->width16, job->width16);
        const int32_t *own_row = own_rows(job->segments, block->row[r]);
        const float *own_weight = score[r] + round_lanes(most);
        for (int64_t j = 0; j < own[r]; j++)
            axpy(result[r], own_weight[j], row_of(job->qkv, own_row[j]) + v_column, hd);
        float *out = row_of(job->out, block->result[r]) + h * hd;
        for (int64_t d = 0; d < hd; d++)
            out[d] = result[r][d] * scale[r];
    }
}

/* Asks for what the next block reads beside the prompt: its queries, and its own keys and values. */
static void fetch_block(const forward_job *job, const row_block *block, int64_t h, int64_t kv)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim;
    for (int r = 0; r < block->count; r++) {
        const int32_t row = block->row[r];
        int64_t prompt = 0, own = 0;
        visible_keys(job->segments, row, &prompt, &own);
        const int32_t *own_row = own_rows(job->segments, row);
        fetch_ahead(job->qkv, row, h * hd, hd);
        for (int64_t j = 0; j < own; j++) {
            fetch_ahead(job->qkv, own_row[j], (at->heads + kv) * hd, hd);
            fetch_ahead(job->qkv, own_row[j], (at->heads + at->kv_heads + kv) * hd, hd);
        }
    }
}

static void forward_task(void *argument, size_t task, size_t thread)
{
    const forward_job *job = argument;
    const wz_attention *at = job->attention;
    const int64_t group = (int64_t)task / at->kv_heads, kv = (int64_t)task % at->kv_heads, hd = at->head_dim;
    const int32_t *rows = job->segments->group_rows + group * job->segments->group_stride;
    int64_t begin = 0, end = 0;
    rows_between(job->segments, group, job->row0, job->row1, &begin, &end);
    if (begin == end)
        return;
    const int64_t length = job->segments->prompt_length[group], keys16 = round_lanes(length);
    float *keys = cpu_scratch(job->cpu, thread), *values = keys + hd * job->keys16;
    float *scratch = values + job->keys16 * job->width16;
    lay_out_prompt(job->qkv, job->segments->prompt_start[group], length, keys16, (at->heads + kv) * hd, hd, 0,
                   keys, NULL);
    lay_out_prompt(job->qkv, job->segments->prompt_start[group], length, keys16,
                   (at->heads + at->kv_heads + kv) * hd, hd, job->width16, NULL, values);
    const int64_t per_kv = at->heads / at->kv_heads;
    for (int64_t h = kv * per_kv; h < (kv + 1) * per_kv; h++) {
        int64_t i = begin;
        row_block block = next_block(job->segments, job->at_sites, rows, &i, end);
        while (block.count > 0) {
            const row_block next = next_block(job->segments, job->at_sites, rows, &i, end);
            fetch_block(job, &next, h, kv);
            block_rows(job, &block, h, length, keys, values, scratch);
            block = next;
        }
    }
}

static int64_t longest(const int32_t *length, int64_t count)
{
    int64_t most = 0;
    for (int64_t i = 0; i < count; i++)
        most = length[i] > most ? length[i] : most;
    return most;
}

void cpu_attention_forward(wz_backend *backend, wz_tensor out, float *lse, wz_tensor qkv,
                           const wz_segments *segments, int64_t row0, int64_t row1, bool at_sites,
                           const wz_attention *attention)
{
    forward_job job = {.cpu = cpu_of(backend),
                       .out = out,
                       .qkv = qkv,
                       .lse = lse,
                       .segments = segments,
                       .attention = attention,
                       .row0 = row0,
                       .row1 = row1,
                       .at_sites = at_sites};
    job.keys16 = round_lanes(longest(segments->prompt_length, segments->groups));
    job.width16 = round_lanes(attention->head_dim);
    job.score_stride = job.keys16 + round_lanes(segments->completion_stride);
    const int64_t floats = attention->head_dim * job.keys16 + job.keys16 * job.width16 +
                           ROW_BLOCK * (job.score_stride + job.width16);
    if (!cpu_scratch_reserve(job.cpu, (size_t)floats * sizeof(float)))
        return;
    wz_pool_run(job.cpu->pool, forward_task, &job, (size_t)(segments->groups * attention->kv_heads));
}
