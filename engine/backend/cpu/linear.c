/* Linear layers: rows in fixed tiles over sgemm, weight gradients per group. */
#include "engine/backend/cpu/cpu.h"

#include <assert.h>
#include <cblas.h>
#include <string.h>

#include "engine/backend/cpu/vec.h"

typedef struct rows_job {
    cpu_backend *cpu;
    gemm_plan plan;
    wz_tensor y, x, residual;
    const float *weight, *bias;
    int64_t weight_stride;
} rows_job;

/* What the product is added to: residual + bias. */
static void prefill(const rows_job *job, int64_t row, float *y)
{
    size_t bytes = (size_t)job->plan.out * sizeof(float);
    if (job->residual.data != NULL) {
        const float *residual = row_of(job->residual, row);
        if (residual != y)
            memcpy(y, residual, bytes);
        if (job->bias != NULL)
            axpy(y, 1.0f, job->bias, job->plan.out);
    } else if (job->bias != NULL) {
        memcpy(y, job->bias, bytes);
    }
}

static void rows_task(void *argument, size_t task, size_t thread)
{
    const rows_job *job = argument;
    const gemm_plan *plan = &job->plan;
    const int64_t row0 = (int64_t)task * plan->tile;
    const int64_t rows = job->x.rows - row0 < plan->tile ? job->x.rows - row0 : plan->tile;
    const int64_t height = gemm_height(plan, rows);
    const bool accumulate = job->residual.data != NULL || job->bias != NULL;
    if (height == rows) {
        if (accumulate)
            for (int64_t i = 0; i < rows; i++)
                prefill(job, row0 + i, row_of(job->y, row0 + i));
        gemm_rows(plan, rows, row_of(job->x, row0), job->x.stride, job->weight, job->weight_stride,
                  accumulate, row_of(job->y, row0), job->y.stride);
        return;
    }
    /* The last tile: rows the plan does not allow are computed beside rows of zeros. */
    float *x = cpu_scratch(job->cpu, thread);
    float *y = x + height * plan->in;
    for (int64_t i = 0; i < rows; i++)
        memcpy(x + i * plan->in, row_of(job->x, row0 + i), (size_t)plan->in * sizeof(float));
    memset(x + rows * plan->in, 0, (size_t)((height - rows) * plan->in) * sizeof(float));
    if (accumulate) {
        for (int64_t i = 0; i < rows; i++)
            prefill(job, row0 + i, y + i * plan->out);
        memset(y + rows * plan->out, 0, (size_t)((height - rows) * plan->out) * sizeof(float));
    }
    gemm_rows(plan, height, x, plan->in, job->weight, job->weight_stride, accumulate, y, plan->out);
    for (int64_t i = 0; i < rows; i++)
        memcpy(row_of(job->y, row0 + i), y + i * plan->out, (size_t)plan->out * sizeof(float));
}

static void run_rows(cpu_backend *cpu, rows_job *job, bool transposed)
{
    gemm_plan *plan = &job->plan;
    size_t thread = 0;
    if (!gemm_plan_for(cpu, job->x.columns, job->y.columns, transposed, plan) || job->x.rows == 0 ||
        !cpu_scratch_reserve(cpu, (size_t)(TILE_MAX * (plan->in + plan->out)) * sizeof(float)))
        return;
    /* Few rows: lower tiles give every thread one, where the probe found lower tiles equal bit for bit. */
    const int64_t threads = wz_pool_within(cpu->pool, &thread) ? 1 : (int64_t)wz_pool_threads(cpu->pool);
    if (job->x.rows < plan->tile * threads)
        plan->tile = gemm_height(plan, (job->x.rows + threads - 1) / threads);
    wz_pool_run(cpu->pool, rows_task, job, (size_t)((job->x.rows + job->plan.tile - 1) / job->plan.tile));
}

void cpu_linear_forward(wz_backend *backend, wz_tensor y, wz_tensor x, const wz_linear *linear,
                        wz_tensor residual)
{
    assert(linear->weight.rows == y.columns && linear->weight.columns == x.columns && x.rows == y.rows);
    assert(linear->low_rank_a.data == NULL);
    rows_job job = {.cpu = cpu_of(backend),
                    .y = y,
                    .x = x,
                    .residual = residual,
                    .weight = linear->weight.data,
                    .bias = linear->bias.data,
                    .weight_stride = linear->weight.stride};
    run_rows(job.cpu, &job, true);
}

void cpu_linear_backward_input(wz_backend *backend, wz_tensor dx, wz_tensor dy, const wz_linear *linear)
{
    assert(linear->weight.rows == dy.columns && linear->weight.columns == dx.columns && dx.rows == dy.rows);
    rows_job job = {.cpu = cpu_of(backend),
                    .y = dx,
                    .x = dy,
                    .weight = linear->weight.data,
                    .weight_stride = linear->weight.stride};
    run_rows(job.cpu, &job, false);
}

typedef struct weight_job {
    cpu_backend *cpu;
    wz_tensor dweight, dy, x;
    float *dbias;
    const wz_row_groups *groups;
    int64_t slice;  /* output features of one sgemm call: fixed by the shape, so that bits are */
    int64_t slices; /* slices of one task: as the threads come, for bits do not depend on it */
} weight_job;

/* dweight[task's slices] += dy_g^T x_g for each group g in order. A slice is one task's, so the order of additions
 * is the order of groups whatever the threads do. */
static void weight_task(void *argument, size_t task, size_t thread)
{
    const weight_job *job = argument;
    const int64_t in = job->x.columns;
    const int64_t out0 = (int64_t)task * job->slice * job->slices, left = job->dweight.rows - out0;
    const int64_t out = left < job->slice * job->slices ? left : job->slice * job->slices;
    float *x = cpu_scratch(job->cpu, thread);
    for (int64_t g = 0; g < job->groups->groups; g++) {
        const int32_t *index = job->groups->index + job->groups->offset[g];
        const int64_t rows = job->groups->offset[g + 1] - job->groups->offset[g];
        float *dy = x + rows * in;
        if (rows == 0)
            continue;
        for (int64_t i = 0; i < rows; i++) {
            memcpy(x + i * in, row_of(job->x, index[i]), (size_t)in * sizeof(float));
            memcpy(dy + i * out, row_of(job->dy, index[i]) + out0, (size_t)out * sizeof(float));
        }
        for (int64_t s = 0; s < out; s += job->slice)
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans,
                        (blasint)(out - s < job->slice ? out - s : job->slice), (blasint)in, (blasint)rows,
                        1.0f, dy + s, (blasint)out, x, (blasint)in, 1.0f, row_of(job->dweight, out0 + s),
                        (blasint)job->dweight.stride);
        if (job->dbias != NULL) {
            float *sum = dy + rows * out;
            memset(sum, 0, (size_t)out * sizeof(float));
            for (int64_t i = 0; i < rows; i++)
                axpy(sum, 1.0f, dy + i * out, out);
            axpy(job->dbias + out0, 1.0f, sum, out);
        }
    }
}

void cpu_linear_backward_weight(wz_backend *backend, const wz_linear *gradient, wz_tensor dy, wz_tensor x,
                                const wz_row_groups *groups)
{
    cpu_backend *cpu = cpu_of(backend);
    if (gradient->weight.data == NULL)
        return;
    weight_job job = {.cpu = cpu,
                      .dweight = gradient->weight,
                      .dy = dy,
                      .x = x,
                      .dbias = gradient->bias.data,
                      .groups = groups,
                      .slice = dy.columns < 1024 ? 64 : 128};
    const int64_t all = (dy.columns + job.slice - 1) / job.slice,
                  threads = (int64_t)wz_pool_threads(cpu->pool);
    job.slices = (all + threads - 1) / threads;
    int64_t longest = 0;
    for (int64_t g = 0; g < groups->groups; g++)
        if (groups->offset[g + 1] - groups->offset[g] > longest)
            longest = groups->offset[g + 1] - groups->offset[g];
    if (!cpu_scratch_reserve(cpu,
                             (size_t)((longest + 1) * (x.columns + job.slice * job.slices)) * sizeof(float)))
        return;
    wz_pool_run(cpu->pool, weight_task, &job, (size_t)((all + job.slices - 1) / job.slices));
}
