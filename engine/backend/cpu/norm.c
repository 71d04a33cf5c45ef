/* RMSNorm over rows, and per head on q and k. */
#include "engine/backend/cpu/cpu.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/backend/cpu/vec.h"

/* y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps)  (Zhang & Sennrich 2019) */
static float norm_row(float *y, const float *x, const float *weight, int64_t n, float eps)
{
    float rstd = 1.0f / sqrtf(dot(x, x, n) / (float)n + eps);
    v16 factor = v16_set(rstd);
    for (int64_t i = 0; i < n; i += WZ_LANES) {
        int64_t lanes = n - i;
        v16_store_n(y + i, v16_load_n(x + i, lanes) * factor * v16_load_n(weight + i, lanes), lanes);
    }
    return rstd;
}

/* With h = x rstd:  dx += rstd (dy w - h mean(dy w h));  dweight += dy h;  y (NULL: not wanted) = h w, as in norm_row */
static void norm_row_backward(float *dx, float *dweight, float *y, const float *dy, const float *x,
                              float rstd, const float *weight, int64_t n, bool accumulate)
{
    v16 factor = v16_set(rstd), sum = {0};
    for (int64_t i = 0; i < n; i += WZ_LANES) {
        int64_t lanes = n - i;
        v16 g = v16_load_n(dy + i, lanes), h = v16_load_n(x + i, lanes) * factor;
        sum = v16_fma(g * v16_load_n(weight + i, lanes), h, sum);
        v16_store_n(dweight + i, v16_fma(g, h, v16_load_n(dweight + i, lanes)), lanes);
    }
    v16 mean = v16_set(v16_sum(sum) / (float)n);
    for (int64_t i = 0; i < n; i += WZ_LANES) {
        int64_t lanes = n - i;
        v16 h = v16_load_n(x + i, lanes) * factor;
        v16 w = v16_load_n(weight + i, lanes), d = factor * (v16_load_n(dy + i, lanes) * w - h * mean);
        v16 before = accumulate ? v16_load_n(dx + i, lanes) : v16_set(0.0f);
        v16_store_n(dx + i, before + d, lanes);
        if (y != NULL)
            v16_store_n(y + i, h * w, lanes);
    }
}

typedef struct norm_job {
    wz_tensor y, x, dx, dy;
    float *rstd_out;
    const float *rstd, *weight;
    float *partial; /* [groups][columns]: weight gradient of one group */
    const int32_t *gather;
    const wz_row_groups *groups;
    float eps;
} norm_job;

static void forward_task(void *argument, size_t task, size_t thread)
{
    const norm_job *job = argument;
    (void)thread;
    for (int64_t i = (int64_t)task * ROWS_PER_TASK; i < task_end(task, job->y.rows); i++) {
        const float *x = row_of(job->x, job->gather != NULL ? job->gather[i] : i);
        float rstd = norm_row(row_of(job->y, i), x, job->weight, job->x.columns, job->eps);
        if (job->rstd_out != NULL)
            job->rstd_out[i] = rstd;
    }
}

void cpu_rmsnorm_forward(wz_backend *backend, wz_tensor y, float *rstd, wz_tensor x, const int32_t *gather,
                         const float *weight, float eps)
{
    norm_job job = {.y = y, .x = x, .rstd_out = rstd, .gather = gather, .weight = weight, .eps = eps};
    wz_pool_run(cpu_of(backend)->pool, forward_task, &job, row_tasks(y.rows));
}

/* One group's rows: two rows of a group may gather the same input row, two groups never do. */
static void backward_task(void *argument, size_t task, size_t thread)
{
    const norm_job *job = argument;
    const int64_t n = job->x.columns;
    float *dweight = job->partial + (int64_t)task * n;
    (void)thread;
    memset(dweight, 0, (size_t)n * sizeof(float));
    for (int64_t k = job->groups->offset[task]; k < job->groups->offset[task + 1]; k++) {
        int64_t i = job->groups->index[k];
        int64_t source = job->gather != NULL ? job->gather[i] : i;
        norm_row_backward(row_of(job->dx, source), dweight, job->y.data != NULL ? row_of(job->y, i) : NULL,
                          row_of(job->dy, i), row_of(job->x, source), job->rstd[i], job->weight, n, true);
    }
}

void cpu_rmsnorm_backward(wz_backend *backend, wz_tensor dx, wz_tensor copy, wz_tensor y, float *dweight,
                          wz_tensor dy, wz_tensor x, const int32_t *gather, const float *rstd,
                          const float *weight, const wz_row_groups *groups)
{
    assert(copy.data == NULL && (gather == NULL || y.data == NULL));
    (void)copy;
    cpu_backend *cpu = cpu_of(backend);
    float *partial = cpu_shared_reserve(cpu, (size_t)(groups->groups * x.columns) * sizeof(float));
    if (partial == NULL)
        return;
    norm_job job = {.dx = dx,
                    .y = y,
                    .dy = dy,
                    .x = x,
                    .gather = gather,
                    .rstd = rstd,
                    .weight = weight,
                    .partial = partial,
                    .groups = groups};
    wz_pool_run(cpu->pool, backward_task, &job, (size_t)groups->groups);
    for (int64_t g = 0; dweight != NULL && g < groups->groups; g++)
        axpy(dweight, 1.0f, partial + g * x.columns, x.columns);
}

typedef struct head_norm_job {
    wz_tensor qkv, raw;
    float *rstd_out;
    const float *rstd, *q_weight, *k_weight;
    const wz_attention *attention;
    const wz_row_groups *groups;
    float *partial; /* [groups][2][head_dim] */
    float eps;
} head_norm_job;

static void head_norm_task(void *argument, size_t task, size_t thread)
{
    const head_norm_job *job = argument;
    const wz_attention *at = job->attention;
    const int64_t heads = at->heads + at->kv_heads, hd = at->head_dim;
    (void)thread;
    for (int64_t i = (int64_t)task * ROWS_PER_TASK; i < task_end(task, job->qkv.rows); i++) {
        float *x = row_of(job->qkv, i), *raw = row_of(job->raw, i);
        memcpy(raw, x, (size_t)(heads * hd) * sizeof(float));
        for (int64_t h = 0; h < heads; h++)
            job->rstd_out[i * heads + h] = norm_row(
                x + h * hd, raw + h * hd, h < at->heads ? job->q_weight : job->k_weight, hd, job->eps);
    }
}

void cpu_qk_norm_forward(wz_backend *backend, wz_tensor qkv, wz_tensor raw, float *rstd,
                         const wz_attention *attention, const float *q_weight, const float *k_weight,
                         float eps)
{
    head_norm_job job = {.qkv = qkv,
                         .raw = raw,
                         .rstd_out = rstd,
                         .q_weight = q_weight,
                         .k_weight = k_weight,
                         .attention = attention,
                         .eps = eps};
    wz_pool_run(cpu_of(backend)->pool, head_norm_task, &job, row_tasks(qkv.rows));
}

static void head_norm_backward_task(void *argument, size_t task, size_t thread)
{
    const head_norm_job *job = argument;
    const wz_attention *at = job->attention;
    const int64_t heads = at->heads + at->kv_heads, hd = at->head_dim;
    float *partial = job->partial + (int64_t)task * 2 * hd;
    (void)thread;
    memset(partial, 0, (size_t)(2 * hd) * sizeof(float));
    for (int64_t k = job->groups->offset[task]; k < job->groups->offset[task + 1]; k++) {
        int64_t i = job->groups->index[k];
        float *d = row_of(job->qkv, i);
        const float *raw = row_of(job->raw, i);
        for (int64_t h = 0; h < heads; h++)
            norm_row_backward(d + h * hd, partial + (h < at->heads ? 0 : hd), NULL, d + h * hd, raw + h * hd,
                              job->rstd[i * heads + h], h < at->heads ? job->q_weight : job->k_weight, hd,
                              false);
    }
}

void cpu_qk_norm_backward(wz_backend *backend, wz_tensor dqkv, float *dq_weight, float *dk_weight,
                          wz_tensor raw, const float *rstd, const wz_attention *attention,
                          const float *q_weight, const float *k_weight, const wz_row_groups *groups)
{
    cpu_backend *cpu = cpu_of(backend);
    const int64_t hd = attention->head_dim;
    float *partial = cpu_shared_reserve(cpu, (size_t)(groups->groups * 2 * hd) * sizeof(float));
    if (partial == NULL)
        return;
    head_norm_job job = {.qkv = dqkv,
                         .raw = raw,
                         .rstd = rstd,
                         .q_weight = q_weight,
                         .k_weight = k_weight,
                         .attention = attention,
                         .groups = groups,
                         .partial = partial};
    wz_pool_run(cpu->pool, head_norm_backward_task, &job, (size_t)groups->groups);
    for (int64_t g = 0; g < groups->groups; g++) {
        if (dq_weight != NULL)
            axpy(dq_weight, 1.0f, partial + g * 2 * hd, hd);
        if (dk_weight != NULL)
            axpy(dk_weight, 1.0f, partial + g * 2 * hd + hd, hd);
    }
}
