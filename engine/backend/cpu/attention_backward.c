/* Packed attention, backward. With p = exp(s - lse), s = scale q k^T, and D = dout . out:
 *     dv_j += p_j dout,   ds_j = p_j (dout . v_j - D) scale,   dq = sum_j ds_j k_j,   dk_j += ds_j q.
 * (Dao et al. 2022, appendix B.) A task owns all keys and values of its (group, head), walks the group's
 * rows in order, and so adds in one order whatever the threads do. */
#include "engine/backend/cpu/attention.h"

#include <math.h>

typedef struct backward_job {
    cpu_backend *cpu;
    wz_tensor dqkv, dout, out, qkv;
    const float *lse;
    const wz_segments *segments;
    const wz_attention *attention;
    bool at_sites;
    int64_t keys16, width16, score_stride;
    int64_t head_floats;   /* one head's matrices over the prompt */
    int64_t piece, pieces; /* key/value heads of one task; tasks of one group */
} backward_job;

/* One head's view of its prompt, all in thread scratch. */
typedef struct task_state {
    int64_t q_column, k_column, v_column;
    int64_t length, keys16;          /* the prompt */
    float *keys_t, *values_t, *keys; /* [hd][keys16] twice, [keys16][width16] */
    float *dkeys_t, *dvalues_t;      /* [hd][keys16] */
    float *weight, *slope;           /* [ROW_BLOCK][score_stride]: p and ds */
    float *dq;                       /* [ROW_BLOCK][width16] */
} task_state;

/* p and ds of one row's own keys, 16 keys at a time, and their share of dq, dk, dv. */
static void own_keys(const backward_job *job, const task_state *state, int32_t row, const float *dout,
                     int64_t own, float row_lse, float delta, float *dq)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim;
    const int32_t *rows = own_rows(job->segments, row);
    const float *q = row_of(job->qkv, row) + state->q_column;
    for (int64_t first = 0; first < own; first += WZ_LANES) {
        const int64_t count = own - first < WZ_LANES ? own - first : WZ_LANES;
        const v16 score = dot_rows(q, job->qkv, rows + first, count, state->k_column, hd, 0.0f);
        const v16 dp = dot_rows(dout, job->qkv, rows + first, count, state->v_column, hd, 0.0f);
        const v16 p = v16_exp(v16_fma(score, v16_set(at->scale), v16_set(-row_lse)));
        float weight[WZ_LANES], slope[WZ_LANES];
        v16_store(weight, p);
        v16_store(slope, p * (dp - v16_set(delta)) * v16_set(at->scale));
        for (int64_t j = 0; j < count; j++) {
            float *dkv = row_of(job->dqkv, rows[first + j]);
            axpy(dq, slope[j], row_of(job->qkv, rows[first + j]) + state->k_column, hd);
            axpy(dkv + state->k_column, slope[j], q, hd);
            axpy(dkv + state->v_column, weight[j], dout, hd);
        }
    }
}

static void block_rows(const backward_job *job, const task_state *state, const row_block *block, int64_t h)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim;
    float *weight[ROW_BLOCK], *slope[ROW_BLOCK], *dq[ROW_BLOCK];
    const float *q[ROW_BLOCK], *dout[ROW_BLOCK], *weight_in[ROW_BLOCK], *slope_in[ROW_BLOCK];
    int64_t prompt[ROW_BLOCK], own[ROW_BLOCK], most = 0;
    float delta[ROW_BLOCK], row_lse[ROW_BLOCK];
    for (int r = 0; r < ROW_BLOCK; r++) {
        const int32_t row = block->row[r], result = block->result[r];
        q[r] = row_of(job->qkv, row) + state->q_column;
        dout[r] = row_of(job->dout, result) + h * hd;
        delta[r] = dot(dout[r], row_of(job->out, result) + h * hd, hd);
        row_lse[r] = job->lse[result * at->heads + h];
        weight_in[r] = weight[r] = state->weight + r * job->score_stride;
        slope_in[r] = slope[r] = state->slope + r * job->score_stride;
        dq[r] = state->dq + r * job->width16;
        visible_keys(job->segments, row, &prompt[r], &own[r]);
        most = prompt[r] > most ? prompt[r] : most;
    }
    multiply_keys(weight, q, state->keys_t, state->keys16, hd, most);
    multiply_keys(slope, dout, state->values_t, state->keys16, hd, most);
    for (int r = 0; r < ROW_BLOCK; r++) {
        const v16 lse = v16_set(row_lse[r]), scale = v16_set(at->scale), d = v16_set(delta[r]);
        for (int64_t j = 0; j < most; j += WZ_LANES) {
            const v16 score = v16_first(v16_load(weight[r] + j), prompt[r] - j, v16_set(-INFINITY));
            v16 p = v16_exp(v16_fma(score, scale, -lse));
            v16_store(weight[r] + j, p);
            v16_store(slope[r] + j, p * (v16_load(slope[r] + j) - d) * scale);
        }
    }
    /* Unseen keys have weight and slope 0. A key that is not finite so spoils gradients of rows that do not see it; the
     * step ends as diverged either way. */
    multiply_values(dq, slope_in, state->keys, job->width16, job->width16, most, prompt, most);
    add_outer(state->dkeys_t, state->keys16, q, slope_in, hd, most, block->count);
    add_outer(state->dvalues_t, state->keys16, dout, weight_in, hd, most, block->count);
    for (int r = 0; r < block->count; r++) {
        if (own[r] > 0)
            own_keys(job, state, block->row[r], dout[r], own[r], row_lse[r], delta[r], dq[r]);
        memcpy(row_of(job->dqkv, block->row[r]) + state->q_column, dq[r], (size_t)hd * sizeof(float));
    }
}

/* Asks for what the next block reads beside the prompt, of key/value heads [kv0, kv1): its queries, its output and the
 * output's gradient, and its own keys and values and their gradients. */
static void fetch_block(const backward_job *job, const row_block *block, int64_t kv0, int64_t kv1)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim, width = (kv1 - kv0) * hd, per_kv = at->heads / at->kv_heads;
    const int64_t q = kv0 * per_kv * hd, k = (at->heads + kv0) * hd,
                  v = (at->heads + at->kv_heads + kv0) * hd;
    for (int r = 0; r < block->count; r++) {
        const int32_t row = block->row[r];
        int64_t prompt = 0, own = 0;
        visible_keys(job->segments, row, &prompt, &own);
        const int32_t *own_row = own_rows(job->segments, row);
        fetch_ahead(job->qkv, row, q, width * per_kv);
        fetch_ahead(job->dqkv, row, q, width * per_kv);
        fetch_ahead(job->out, block->result[r], q, width * per_kv);
        fetch_ahead(job->dout, block->result[r], q, width * per_kv);
        for (int64_t j = 0; j < own; j++) {
            fetch_ahead(job->qkv, own_row[j], k, width);
            fetch_ahead(job->qkv, own_row[j], v, width);
            fetch_ahead(job->dqkv, own_row[j], k, width);
            fetch_ahead(job->dqkv, own_row[j], v, width);
        }
    }
}

static task_state state_of(const backward_job *job, int64_t group, int64_t kv, float *head, float *rows)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim, matrix = job->keys16 * hd;
    task_state state = {.k_column = (at->heads + kv) * hd, .v_column = (at->heads + at->kv_heads + kv) * hd};
    state.length = job->segments->prompt_length[group];
    state.keys16 = round_lanes(state.length);
    state.keys_t = head;
    state.values_t = state.keys_t + matrix;
    state.dkeys_t = state.values_t + matrix;
    state.dvalues_t = state.dkeys_t + matrix;
    state.keys = state.dvalues_t + matrix;
    state.weight = rows;
    state.slope = state.weight + ROW_BLOCK * job->score_stride;
    state.dq = state.slope + ROW_BLOCK * job->score_stride;
    return state;
}

/* The prompt's keys and values, and zeros where gradients will be added. */
static void lay_out(const backward_job *job, int64_t group, const task_state *state, int64_t j)
{
    const int64_t hd = job->attention->head_dim, start = job->segments->prompt_start[group];
    const prompt_layout key = {state->k_column, state->keys_t, state->keys},
                        value = {state->v_column, state->values_t, NULL};
    lay_out_keys(job->qkv, start, state->length, state->keys16, hd, job->width16, &key, j);
    lay_out_keys(job->qkv, start, state->length, state->keys16, hd, 0, &value, j);
    for (int64_t d = 0; d < hd; d++) {
        v16_store(state->dkeys_t + d * state->keys16 + j, (v16){0});
        v16_store(state->dvalues_t + d * state->keys16 + j, (v16){0});
    }
}

/* Zeros where a row's own keys and values will receive gradients, and for queries that are not computed. */
static void clear_rows(const backward_job *job, const int32_t *rows, int64_t count, int64_t kv0, int64_t kv1)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim, per_kv = at->heads / at->kv_heads;
    const size_t width = (size_t)((kv1 - kv0) * hd) * sizeof(float);
    for (int64_t i = 0; i < count; i++) {
        float *d = row_of(job->dqkv, rows[i]);
        if (job->segments->row_completion[rows[i]] >= 0) {
            memset(d + (at->heads + kv0) * hd, 0, width);
            memset(d + (at->heads + at->kv_heads + kv0) * hd, 0, width);
        } else if (job->at_sites && job->segments->row_site[rows[i]] < 0) {
            memset(d + kv0 * per_kv * hd, 0, width * (size_t)per_kv);
        }
    }
}

static void backward_task(void *argument, size_t task, size_t thread)
{
    const backward_job *job = argument;
    const wz_attention *at = job->attention;
    const int64_t group = (int64_t)task / job->pieces, kv0 = (int64_t)task % job->pieces * job->piece;
    const int64_t kv1 = kv0 + job->piece < at->kv_heads ? kv0 + job->piece : at->kv_heads;
    const int64_t hd = at->head_dim, per_kv = at->heads / at->kv_heads;
    const int64_t count = job->segments->group_length[group], start = job->segments->prompt_start[group];
    const int32_t *rows = job->segments->group_rows + group * job->segments->group_stride;
    float *heads = cpu_scratch(job->cpu, thread), *scratch = heads + job->piece * job->head_floats;
    for (int64_t j = 0; j < job->segments->prompt_length[group]; j += WZ_LANES)
        for (int64_t kv = kv0; kv < kv1; kv++) {
            const task_state state = state_of(job, group, kv, heads + (kv - kv0) * job->head_floats, scratch);
            lay_out(job, group, &state, j);
        }
    clear_rows(job, rows, count, kv0, kv1);
    for (int64_t h = kv0 * per_kv; h < kv1 * per_kv; h++) {
        const int64_t kv = h / per_kv;
        task_state state = state_of(job, group, kv, heads + (kv - kv0) * job->head_floats, scratch);
        state.q_column = h * hd;
        int64_t i = 0;
        row_block block = next_block(job->segments, job->at_sites, rows, &i, count);
        while (block.count > 0) {
            const row_block next = next_block(job->segments, job->at_sites, rows, &i, count);
            if (h == kv0 * per_kv)
                fetch_block(job, &next, kv0, kv1);
            block_rows(job, &state, &block, h);
            block = next;
        }
        if ((h + 1) % per_kv != 0)
            continue;
        put_back_keys(job->dqkv, start, state.length, state.keys16, state.k_column, hd, state.dkeys_t);
        put_back_keys(job->dqkv, start, state.length, state.keys16, state.v_column, hd, state.dvalues_t);
    }
}

void cpu_attention_backward(wz_backend *backend, wz_tensor dqkv, wz_tensor dout, wz_tensor out,
                            const float *lse, wz_tensor qkv, const wz_segments *segments, bool at_sites,
                            const wz_attention *attention)
{
    backward_job job = {.cpu = cpu_of(backend),
                        .dqkv = dqkv,
                        .dout = dout,
                        .out = out,
                        .qkv = qkv,
                        .lse = lse,
                        .segments = segments,
                        .attention = attention,
                        .at_sites = at_sites};
    int64_t most = 0;
    for (int64_t g = 0; g < segments->groups; g++)
        most = segments->prompt_length[g] > most ? segments->prompt_length[g] : most;
    job.keys16 = round_lanes(most);
    job.width16 = round_lanes(attention->head_dim);
    job.score_stride = job.keys16;
    job.head_floats = 4 * job.keys16 * attention->head_dim + job.keys16 * job.width16;
    job.piece = heads_per_task(attention, job.head_floats);
    job.pieces = (attention->kv_heads + job.piece - 1) / job.piece;
    const int64_t floats = job.piece * job.head_floats + ROW_BLOCK * (2 * job.score_stride + job.width16);
    if (!cpu_scratch_reserve(job.cpu, (size_t)floats * sizeof(float)))
        return;
    wz_pool_run(job.cpu->pool, backward_task, &job, (size_t)(segments->groups * job.pieces));
}
