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
} backward_job;

/* One task's view of its prompt, all in thread scratch. */
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
        float p[WZ_LANES] = {0};
        for (int64_t j = 0; j < count; j++)
            p[j] = dot(q, row_of(job->qkv, rows[first + j]) + state->k_column, hd);
        v16_store(p, v16_exp(v16_fma(v16_load(p), v16_set(at->scale), v16_set(-row_lse))));
        for (int64_t j = 0; j < count; j++) {
            const float *kv = row_of(job->qkv, rows[first + j]);
            float *dkv = row_of(job->dqkv, rows[first + j]);
            const float ds = p[j] * (dot(dout, kv + state->v_column, hd) - delta) * at->scale;
            axpy(dq, ds, kv + state->k_column, hd);
            axpy(dkv + state->k_column, ds, q, hd);
            axpy(dkv + state->v_column, p[j], dout, hd);
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
        for (int64_t j = prompt[r]; j < round_lanes(most); j++)
            weight[r][j] = -INFINITY;
        for (int64_t j = 0; j < most; j += WZ_LANES) {
            v16 p = v16_exp(v16_fma(v16_load(weight[r] + j), scale, -lse));
            v16_store(weight[r] + j, p);
            v16_store(slope[r] + j, p * (v16_load(slope[r] + j) - d) * scale);
        }
    }
    multiply_values(dq, slope_in, state->keys, job->width16, most);
    add_outer(state->dkeys_t, state->keys16, q, slope_in, hd, most, block->count);
    add_outer(state->dvalues_t, state->keys16, dout, weight_in, hd, most, block->count);
    for (int r = 0; r < block->count; r++) {
        if (own[r] > 0)
            own_keys(job, state, block->row[r], dout[r], own[r], row_lse[r], delta[r], dq[r]);
        memcpy(row_of(job->dqkv, block->row[r]) + state->q_column, dq[r], (size_t)hd * sizeof(float));
    }
}

/* Asks for what the next block reads beside the prompt: its queries, its output and the output's gradient, and its
 * own keys and values and their gradients. */
static void fetch_block(const backward_job *job, const task_state *state, const row_block *block, int64_t h)
{
    const int64_t hd = job->attention->head_dim;
    for (int r = 0; r < block->count; r++) {
        const int32_t row = block->row[r];
        int64_t prompt = 0, own = 0;
        visible_keys(job->segments, row, &prompt, &own);
        const int32_t *own_row = own_rows(job->segments, row);
        fetch_ahead(job->qkv, row, state->q_column, hd);
        fetch_ahead(job->dqkv, row, state->q_column, hd);
        fetch_ahead(job->out, block->result[r], h * hd, hd);
        fetch_ahead(job->dout, block->result[r], h * hd, hd);
        for (int64_t j = 0; j < own; j++) {
            fetch_ahead(job->qkv, own_row[j], state->k_column, hd);
            fetch_ahead(job->qkv, own_row[j], state->v_column, hd);
            fetch_ahead(job->dqkv, own_row[j], state->k_column, hd);
            fetch_ahead(job->dqkv, own_row[j], state->v_column, hd);
        }
    }
}

static task_state lay_out(const backward_job *job, int64_t group, int64_t kv, float *scratch)
{
    const wz_attention *at = job->attention;
    const int64_t hd = at->head_dim, matrix = job->keys16 * hd;
    const int64_t start = job->segments->prompt_start[group];
    task_state state = {.k_column = (at->heads + kv) * hd, .v_column = (at->heads + at->kv_heads + kv) * hd};
    state.length = job->segments->prompt_length[group];
    state.keys16 = round_lanes(state.length);
    state.keys_t = scratch;
    state.values_t = state.keys_t + matrix;
    state.dkeys_t = state.values_t + matrix;
    state.dvalues_t = state.dkeys_t + matrix;
    state.keys = state.dvalues_t + matrix;
    state.weight = state.keys + job->keys16 * job->width16;
    state.slope = state.weight + ROW_BLOCK * job->score_stride;
    state.dq = state.slope + ROW_BLOCK * job->score_stride;
    lay_out_prompt(job->qkv, start, state.length, state.keys16, state.k_column, hd, job->width16,
                   state.keys_t, state.keys);
    lay_out_prompt(job->qkv, start, state.length, state.keys16, state.v_column, hd, 0, state.values_t, NULL);
    memset(state.dkeys_t, 0, (size_t)(2 * matrix) * sizeof(float));
    return state;
}

static void backward_task(void *argument, size_t task, size_t thread)
{
    const backward_job *job = argument;
    const wz_attention *at = job->attention;
    const int64_t group = (int64_t)task / at->kv_heads, kv = (int64_t)task % at->kv_heads, hd = at->head_dim;
    const int32_t *rows = job->segments->group_rows + group * job->segments->group_stride;
    const int64_t count = job->segments->group_length[group];
    task_state state = lay_out(job, group, kv, cpu_scratch(job->cpu, thread));
    const int64_t per_kv = at->heads / at->kv_heads;
    for (int64_t i = 0; i < count; i++) {
        memset(row_of(job->dqkv, rows[i]) + state.k_column, 0, (size_t)hd * sizeof(float));
        memset(row_of(job->dqkv, rows[i]) + state.v_column, 0, (size_t)hd * sizeof(float));
        if (job->at_sites && job->segments->row_site[rows[i]] < 0) /* no query */
            memset(row_of(job->dqkv, rows[i]) + kv * per_kv * hd, 0, (size_t)(per_kv * hd) * sizeof(float));
    }
    for (int64_t h = kv * per_kv; h < (kv + 1) * per_kv; h++) {
        state.q_column = h * hd;
        int64_t i = 0;
        row_block block = next_block(job->segments, job->at_sites, rows, &i, count);
        while (block.count > 0) {
            const row_block next = next_block(job->segments, job->at_sites, rows, &i, count);
            fetch_block(job, &state, &next, h);
            block_rows(job, &state, &block, h);
            block = next;
        }
    }
    for (int64_t j = 0; j < state.length; j++) {
        float *d = row_of(job->dqkv, job->segments->prompt_start[group] + j);
        for (int64_t f = 0; f < hd; f++) {
            d[state.k_column + f] = state.dkeys_t[f * state.keys16 + j];
            d[state.v_column + f] = state.dvalues_t[f * state.keys16 + j];
        }
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
    const int64_t floats = 4 * job.keys16 * attention->head_dim + job.keys16 * job.width16 +
                           ROW_BLOCK * (2 * job.score_stride + job.width16);
    if (!cpu_scratch_reserve(job.cpu, (size_t)floats * sizeof(float)))
        return;
    wz_pool_run(job.cpu->pool, backward_task, &job, (size_t)(segments->groups * attention->kv_heads));
}
