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
    bool values_in_place;                  /* a head is whole vectors: its values are read where they stand */
    int64_t keys16, width16, score_stride; /* of the longest prompt; of a head; of one row's scores */
    int64_t head_floats;                   /* one head's keys and values of the prompt */
    int64_t piece, pieces;                 /* key/value heads of one task; tasks of one group */
} forward_job;

/* score: products of one query with the keys it might see, `places` of the prompt's (a multiple of 16) and then `own`
 * places, rounded up likewise, whose unseen lanes are -infinity. On return exp(scale score - m) with m the largest
 * scaled score; unseen places are 0. Returns log sum exp; *weight is what the results must be multiplied with to sum
 * to 1. */
static float softmax_row(float *score, int64_t prompt, int64_t places, int64_t own, float scale,
                         float *weight)
{
    const int64_t total = places + round_lanes(own);
    v16 most = v16_set(-INFINITY), sum = {0};
    for (int64_t j = prompt / WZ_LANES * WZ_LANES; j < places; j += WZ_LANES)
        v16_store(score + j, v16_first(v16_load(score + j), prompt - j, v16_set(-INFINITY)));
    for (int64_t j = 0; j < total; j += WZ_LANES)
        most = v16_max(most, v16_load(score + j));
    const float largest = v16_largest(most) * scale;
    const v16 factor = v16_set(scale), shift = v16_set(-largest);
    for (int64_t j = 0; j < total; j += WZ_LANES) {
        v16 e = v16_exp(v16_fma(v16_load(score + j), factor, shift));
        v16_store(score + j, e);
        sum = sum + e;
    }
    const float all = v16_sum(sum);
    *weight = 1.0f / all;
    return largest + logf(all);
}

/* A block's query rows, of head h. */
static void block_rows(const forward_job *job, const row_block *block, int64_t h, int64_t prompt_length,
                       const float *keys, const float *values, int64_t value_stride, float *scratch)
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
    const int64_t places = round_lanes(most);
    float scale[ROW_BLOCK];
    const float *weight[ROW_BLOCK];
    for (int r = 0; r < ROW_BLOCK; r++) {
        weight[r] = score[r];
        if (r >= block->count)
            continue;
        const int32_t *own_row = own_rows(job->segments, block->row[r]);
        for (int64_t j = 0; j < own[r]; j += WZ_LANES)
            v16_store(score[r] + places + j,
                      dot_rows(q[r], job->qkv, own_row + j, own[r] - j, k_column, hd, -INFINITY));
        float lse = softmax_row(score[r], prompt[r], places, own[r], at->scale, &scale[r]);
        if (job->lse != NULL)
            job->lse[block->result[r] * at->heads + h] = lse;
    }
    multiply_values(result, weight, values, value_stride, job->width16, least, prompt, most);
    for (int r = 0; r < block->count; r++) {
        const int32_t *own_row = own_rows(job->segments, block->row[r]);
        const float *own_weight = score[r] + places;
        for (int64_t j = 0; j < own[r]; j++)
            axpy(result[r], own_weight[j], row_of(job->qkv, own_row[j]) + v_column, hd);
        float *out = row_of(job->out, block->result[r]) + h * hd;
        for (int64_t d = 0; d < hd; d++)
            out[d] = result[r][d] * scale[r];
    }
}

/* Asks for what the next block reads beside the prompt, of key/value heads [kv0, kv1): its queries, and its own keys and
 * values. */
static void fetch_block(const forward_job *job, const row_block *block, int64_t kv0, int64_t kv1)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim, width = (kv1 - kv0) * hd, per_kv = at->heads / at->kv_heads;
    for (int r = 0; r < block->count; r++) {
        const int32_t row = block->row[r];
        int64_t prompt = 0, own = 0;
        visible_keys(job->segments, row, &prompt, &own);
        const int32_t *own_row = own_rows(job->segments, row);
        fetch_ahead(job->qkv, row, kv0 * per_kv * hd, width * per_kv);
        for (int64_t j = 0; j < own; j++) {
            fetch_ahead(job->qkv, own_row[j], (at->heads + kv0) * hd, width);
            fetch_ahead(job->qkv, own_row[j], (at->heads + at->kv_heads + kv0) * hd, width);
        }
    }
}

static void lay_out(const forward_job *job, int64_t group, int64_t kv0, int64_t kv1, float *keys)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim, start = job->segments->prompt_start[group];
    const int64_t length = job->segments->prompt_length[group], keys16 = round_lanes(length);
    for (int64_t j = 0; j < length; j += WZ_LANES)
        for (int64_t kv = kv0; kv < kv1; kv++) {
            float *head = keys + (kv - kv0) * job->head_floats;
            const prompt_layout key = {(at->heads + kv) * hd, head, NULL},
                                value = {(at->heads + at->kv_heads + kv) * hd, NULL, head + hd * job->keys16};
            lay_out_keys(job->qkv, start, length, keys16, hd, 0, &key, j);
            if (!job->values_in_place)
                lay_out_keys(job->qkv, start, length, keys16, hd, job->width16, &value, j);
        }
}

static void forward_task(void *argument, size_t task, size_t thread)
{
    const forward_job *job = argument;
    const wz_attention *at = job->attention;
    const int64_t group = (int64_t)task / job->pieces, kv0 = (int64_t)task % job->pieces * job->piece;
    const int64_t kv1 = kv0 + job->piece < at->kv_heads ? kv0 + job->piece : at->kv_heads;
    const int64_t per_kv = at->heads / at->kv_heads, length = job->segments->prompt_length[group];
    const int32_t *rows = job->segments->group_rows + group * job->segments->group_stride;
    float *prompt = cpu_scratch(job->cpu, thread), *scratch = prompt + job->piece * job->head_floats;
    int64_t begin = 0, end = 0;
    rows_between(job->segments, group, job->row0, job->row1, &begin, &end);
    if (begin == end)
        return;
    lay_out(job, group, kv0, kv1, prompt);
    for (int64_t h = kv0 * per_kv; h < kv1 * per_kv; h++) {
        const float *keys = prompt + (h / per_kv - kv0) * job->head_floats;
        const float *values = job->values_in_place
                                  ? row_of(job->qkv, job->segments->prompt_start[group]) +
                                        (at->heads + at->kv_heads + h / per_kv) * at->head_dim
                                  : keys + at->head_dim * job->keys16;
        const int64_t value_stride = job->values_in_place ? job->qkv.stride : job->width16;
        int64_t i = begin;
        row_block block = next_block(job->segments, job->at_sites, rows, &i, end);
        while (block.count > 0) {
            const row_block next = next_block(job->segments, job->at_sites, rows, &i, end);
            if (h == kv0 * per_kv)
                fetch_block(job, &next, kv0, kv1);
            block_rows(job, &block, h, length, keys, values, value_stride, scratch);
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
    job.values_in_place = job.width16 == attention->head_dim;
    job.score_stride = job.keys16 + round_lanes(segments->completion_stride);
    job.head_floats = (attention->head_dim + (job.values_in_place ? 0 : job.width16)) * job.keys16;
    job.piece = heads_per_task(attention, job.head_floats);
    job.pieces = (attention->kv_heads + job.piece - 1) / job.piece;
    const int64_t floats = job.piece * job.head_floats + ROW_BLOCK * (job.score_stride + job.width16);
    if (!cpu_scratch_reserve(job.cpu, (size_t)floats * sizeof(float)))
        return;
    wz_pool_run(job.cpu->pool, forward_task, &job, (size_t)(segments->groups * job.pieces));
}
