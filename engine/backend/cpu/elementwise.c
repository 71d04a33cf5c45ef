/* Embedding, RoPE and SwiGLU. */
#include "engine/backend/cpu/cpu.h"

#include <string.h>

#include "engine/backend/cpu/vec.h"

void cpu_embedding_forward(wz_backend *backend, wz_tensor y, wz_tensor table, const int32_t *token)
{
    (void)backend;
    for (int64_t i = 0; i < y.rows; i++)
        if (table.type == WZ_F32)
            memcpy(row_of(y, i), row_of(table, token[i]), (size_t)y.columns * sizeof(float));
        else
            (void)widened_row(table, token[i], row_of(y, i));
}

void cpu_embedding_backward(wz_backend *backend, wz_tensor dtable, wz_tensor dy, const int32_t *token,
                            const wz_row_groups *groups)
{
    (void)backend;
    for (int64_t k = groups->offset[0]; k < groups->offset[groups->groups]; k++) {
        int32_t row = groups->index[k];
        axpy(row_of(dtable, token[row]), 1.0f, row_of(dy, row), dy.columns);
    }
}

typedef struct rope_job {
    wz_tensor qkv;
    const int32_t *position;
    const float *table;
    const wz_attention *attention;
    bool inverse;
} rope_job;

static void rope_task(void *argument, size_t task, size_t thread)
{
    const rope_job *job = argument;
    const int64_t hd = job->attention->head_dim, half = hd / 2;
    const int64_t heads = job->attention->heads + job->attention->kv_heads;
    const v16 sign = v16_set(job->inverse ? -1.0f : 1.0f);
    (void)thread;
    for (int64_t i = (int64_t)task * ROWS_PER_TASK; i < task_end(task, job->qkv.rows); i++) {
        const float *cosine = job->table + (int64_t)job->position[i] * hd, *sine = cosine + half;
        for (int64_t h = 0; h < heads; h++) {
            float *x1 = row_of(job->qkv, i) + h * hd, *x2 = x1 + half;
            for (int64_t d = 0; d < half; d += WZ_LANES) {
                int64_t n = half - d;
                v16 a = v16_load_n(x1 + d, n), b = v16_load_n(x2 + d, n);
                v16 c = v16_load_n(cosine + d, n), s = v16_load_n(sine + d, n) * sign;
                v16_store_n(x1 + d, a * c - b * s, n);
                v16_store_n(x2 + d, b * c + a * s, n);
            }
        }
    }
}

void cpu_rope(wz_backend *backend, wz_tensor qkv, const int32_t *position, const float *table,
              const wz_attention *attention, bool inverse)
{
    rope_job job = {qkv, position, table, attention, inverse};
    wz_pool_run(cpu_of(backend)->pool, rope_task, &job, row_tasks(qkv.rows));
}

typedef struct swiglu_job {
    wz_tensor y, gate_up, dy, dgate_up;
} swiglu_job;

static v16 sigmoid(v16 x)
{
    return v16_set(1.0f) / (v16_set(1.0f) + v16_exp(-x));
}

static void swiglu_forward_task(void *argument, size_t task, size_t thread)
{
    const swiglu_job *job = argument;
    const int64_t width = job->y.columns;
    (void)thread;
    for (int64_t i = (int64_t)task * ROWS_PER_TASK; i < task_end(task, job->y.rows); i++) {
        const float *gate = row_of(job->gate_up, i), *up = gate + width;
        float *y = row_of(job->y, i);
        for (int64_t d = 0; d < width; d += WZ_LANES) {
            int64_t n = width - d;
            v16 g = v16_load_n(gate + d, n);
            v16_store_n(y + d, g * sigmoid(g) * v16_load_n(up + d, n), n);
        }
    }
}

void cpu_swiglu_forward(wz_backend *backend, wz_tensor y, wz_tensor gate_up)
{
    swiglu_job job = {.y = y, .gate_up = gate_up};
    wz_pool_run(cpu_of(backend)->pool, swiglu_forward_task, &job, row_tasks(y.rows));
}

/* y = g s(g) u:  du = dy g s,  dg = dy u s (1 + g (1 - s)) */
static void swiglu_backward_task(void *argument, size_t task, size_t thread)
{
    const swiglu_job *job = argument;
    const int64_t width = job->dy.columns;
    const v16 one = v16_set(1.0f);
    (void)thread;
    for (int64_t i = (int64_t)task * ROWS_PER_TASK; i < task_end(task, job->dy.rows); i++) {
        const float *gate = row_of(job->gate_up, i), *up = gate + width, *dy = row_of(job->dy, i);
        float *dgate = row_of(job->dgate_up, i), *dup = dgate + width;
        float *y = job->y.data != NULL ? row_of(job->y, i) : NULL;
        for (int64_t d = 0; d < width; d += WZ_LANES) {
            int64_t n = width - d;
            v16 g = v16_load_n(gate + d, n), s = sigmoid(g), dyv = v16_load_n(dy + d, n),
                u = v16_load_n(up + d, n);
            v16_store_n(dup + d, dyv * g * s, n);
            v16_store_n(dgate + d, dyv * u * s * v16_fma(g, one - s, one), n);
            if (y != NULL)
                v16_store_n(y + d, g * s * u, n);
        }
    }
}

void cpu_swiglu_backward(wz_backend *backend, wz_tensor dgate_up, wz_tensor y, wz_tensor dy,
                         wz_tensor gate_up)
{
    swiglu_job job = {.y = y, .gate_up = gate_up, .dy = dy, .dgate_up = dgate_up};
    wz_pool_run(cpu_of(backend)->pool, swiglu_backward_task, &job, row_tasks(dy.rows));
}
