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
    if (job->residual.data != NULL) {
        const float *residual = row_of(job->residual, row);
        if (residual != y)
            copy_floats(y, residual, job->plan.out);
        if (job->bias != NULL)
            axpy(y, 1.0f, job->bias, job->plan.out);
    } else if (job->bias != NULL) {
        copy_floats(y, job->bias, job->plan.out);
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

static void run_rows(cpu_backend *cpu, rows_job *job, gemm_form form)
{
    gemm_plan *plan = &job->plan;
    size_t thread = 0;
    if (!gemm_plan_for(cpu, job->x.columns, job->y.columns, form, plan) || job->x.rows == 0 ||
        !cpu_scratch_reserve(cpu, (size_t)(TILE_MAX * (plan->in + plan->out)) * sizeof(float)))
        return;
    /* Few rows: lower tiles give every thread one, where the probe found lower tiles equal bit for bit. */
    const int64_t threads = wz_pool_within(cpu->pool, &thread) ? 1 : (int64_t)wz_pool_threads(cpu->pool);
    if (job->x.rows < plan->tile * threads)
        plan->tile = gemm_height(plan, (job->x.rows + threads - 1) / threads);
    wz_pool_run(cpu->pool, rows_task, job, (size_t)((job->x.rows + job->plan.tile - 1) / job->plan.tile));
}

/* Wider layers are read as they are: a copy of a large model would cost more memory than it saves time. */
#define PREPARED_MAX ((int64_t)1 << 22)

size_t cpu_prepared_bytes(const wz_backend *backend, const wz_linear *linear)
{
    const int64_t count = linear->weight.rows * linear->weight.columns;
    (void)backend;
    return gemm_has_small() && count <= PREPARED_MAX ? (size_t)count * sizeof(float) : 0;
}

typedef struct prepare_job {
    float *to;
    wz_tensor weight;
    int64_t columns; /* output features of a slice, the last one's may be fewer */
} prepare_job;

/* One slice of GEMM_SLICED, in squares that stay in the cache. */
static void prepare_task(void *argument, size_t task, size_t thread)
{
    const prepare_job *job = argument;
    const int64_t in = job->weight.columns, out0 = (int64_t)task * job->columns;
    const int64_t left = job->weight.rows - out0, columns = left < job->columns ? left : job->columns;
    float *to = job->to + out0 * in;
    (void)thread;
    for (int64_t k0 = 0; k0 < in; k0 += WZ_LANES)
        for (int64_t j0 = 0; j0 < columns; j0 += WZ_LANES)
            for (int64_t k = k0; k < in && k < k0 + WZ_LANES; k++)
                for (int64_t j = j0; j < columns && j < j0 + WZ_LANES; j++)
                    to[k * columns + j] = row_of(job->weight, out0 + j)[k];
}

void cpu_prepare(wz_backend *backend, void *to, const wz_linear *linear)
{
    const wz_tensor weight = linear->weight;
    cpu_backend *cpu = cpu_of(backend);
    gemm_plan plan;
    if (!gemm_plan_for(cpu, weight.columns, weight.rows, GEMM_SLICED, &plan))
        return;
    prepare_job job = {to, weight, plan.columns};
    wz_pool_run(cpu->pool, prepare_task, &job, (size_t)((weight.rows + plan.columns - 1) / plan.columns));
}

void cpu_linear_forward(wz_backend *backend, wz_tensor y, wz_tensor x, const wz_linear *linear,
                        wz_tensor residual)
{
    assert(linear->weight.rows == y.columns && linear->weight.columns == x.columns && x.rows == y.rows);
    assert(linear->low_rank_a.data == NULL);
    assert(residual.data == NULL || (residual.stride == y.stride && residual.type == y.type));
    rows_job job = {.cpu = cpu_of(backend),
                    .y = y,
                    .x = x,
                    .residual = residual,
                    .weight = linear->prepared == NULL ? linear->weight.data : linear->prepared,
                    .bias = linear->bias.data,
                    .weight_stride = linear->weight.stride};
    run_rows(job.cpu, &job, linear->prepared == NULL ? GEMM_TRANSPOSED : GEMM_SLICED);
}

void cpu_linear_backward_input(wz_backend *backend, wz_tensor dx, wz_tensor dy, const wz_linear *linear)
{
    assert(linear->weight.rows == dy.columns && linear->weight.columns == dx.columns && dx.rows == dy.rows);
    rows_job job = {.cpu = cpu_of(backend),
                    .y = dx,
                    .x = dy,
                    .weight = linear->weight.data,
                    .weight_stride = linear->weight.stride};
    run_rows(job.cpu, &job, GEMM_PLAIN);
}

/* dweight [slice of outputs, in] += dy^T x is cut into sgemm calls as a function of the shape and the rows of the group. */
typedef struct weight_job {
    cpu_backend *cpu;
    wz_tensor dweight, dy, x;
    float *dbias;
    const wz_row_groups *groups;
    int64_t slice;   /* outputs of a call */
    int64_t columns; /* inputs of a call */
    int64_t rows;    /* most rows of a call */
    int64_t slices;  /* slices of one task: as the threads come, for bits do not depend on it */
} weight_job;

/* Columns [column, column + columns) of rows: where they are if the rows are neighbours, else copied to `room`. Rows 4 KiB
 * or more apart are copied too: they would fall into few of a cache's sets. */
static const float *gather_rows(wz_tensor from, const int32_t *index, int64_t rows, int64_t column,
                                int64_t columns, float *room, int64_t *stride)
{
    bool together = from.stride < 1024;
    for (int64_t i = 1; together && i < rows; i++)
        together = index[i] == index[0] + (int32_t)i;
    *stride = together ? from.stride : columns;
    if (together)
        return row_of(from, index[0]) + column;
    for (int64_t i = 0; i < rows; i++)
        copy_floats(room + i * columns, row_of(from, index[i]) + column, columns);
    return room;
}

/* One call's rows: dweight and dbias of outputs [out0, out0 + out). */
static void add_rows(const weight_job *job, const int32_t *index, int64_t rows, int64_t out0, int64_t out,
                     float *room)
{
    const int64_t in = job->x.columns;
    int64_t x_stride = 0, dy_stride = 0;
    const float *x = gather_rows(job->x, index, rows, 0, in, room, &x_stride);
    room += rows * in;
    for (int64_t s = 0; s < out; s += job->slice) {
        const int64_t outputs = out - s < job->slice ? out - s : job->slice;
        const float *dy = gather_rows(job->dy, index, rows, out0 + s, outputs, room, &dy_stride);
        for (int64_t k = 0; k < in; k += job->columns)
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)outputs,
                        (blasint)(in - k < job->columns ? in - k : job->columns), (blasint)rows, 1.0f, dy,
                        (blasint)dy_stride, x + k, (blasint)x_stride, 1.0f,
                        row_of(job->dweight, out0 + s) + k, (blasint)job->dweight.stride);
        if (job->dbias != NULL) {
            float *sum = room + rows * outputs;
            memset(sum, 0, (size_t)outputs * sizeof(float));
            for (int64_t i = 0; i < rows; i++)
                axpy(sum, 1.0f, dy + i * dy_stride, outputs);
            axpy(job->dbias + out0 + s, 1.0f, sum, outputs);
        }
    }
}

/* dweight[task's slices] += dy_g^T x_g for each group g in order. A slice is one task's, so the order of additions
 * is the order of groups whatever the threads do. */
static void weight_task(void *argument, size_t task, size_t thread)
{
    const weight_job *job = argument;
    const int64_t out0 = (int64_t)task * job->slice * job->slices, left = job->dweight.rows - out0;
    const int64_t out = left < job->slice * job->slices ? left : job->slice * job->slices;
    for (int64_t g = 0; g < job->groups->groups; g++) {
        const int32_t *index = job->groups->index + job->groups->offset[g];
        const int64_t rows = job->groups->offset[g + 1] - job->groups->offset[g];
        const int64_t part = rows == 0 ? 1 : gemm_part(rows, job->rows, 1);
        for (int64_t row = 0; row < rows; row += part)
            add_rows(job, index + row, rows - row < part ? rows - row : part, out0, out,
                     cpu_scratch(job->cpu, thread));
    }
}

static int64_t longest_group(const wz_row_groups *groups)
{
    int64_t longest = 0;
    for (int64_t g = 0; g < groups->groups; g++)
        if (groups->offset[g + 1] - groups->offset[g] > longest)
            longest = groups->offset[g + 1] - groups->offset[g];
    return longest;
}

/* Calls within SMALL_GEMM, where the kernels have them; so few outputs that threads get even shares of narrow layers. */
#define SMALL_OUTPUTS 32
#define SMALL_INPUTS 352
#define SMALL_GROUP_ROWS 64

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
                      .slice = dy.columns < 1024 ? 64 : 128,
                      .columns = x.columns,
                      .rows = longest_group(groups)};
    if (gemm_has_small()) {
        job.slice = SMALL_OUTPUTS;
        job.columns = gemm_part(x.columns, SMALL_INPUTS, WZ_LANES);
        job.rows = SMALL_GROUP_ROWS;
    }
    const int64_t all = (dy.columns + job.slice - 1) / job.slice,
                  threads = (int64_t)wz_pool_threads(cpu->pool);
    job.slices = (all + threads - 1) / threads;
    if (job.rows == 0 ||
        !cpu_scratch_reserve(cpu, (size_t)(job.rows * (x.columns + job.slice) + job.slice) * sizeof(float)))
        return;
    wz_pool_run(cpu->pool, weight_task, &job, (size_t)((all + job.slices - 1) / job.slices));
}
