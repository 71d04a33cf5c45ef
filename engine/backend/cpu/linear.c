/* Linear layers: rows in fixed tiles over sgemm, weight gradients per group. */
#include "engine/backend/cpu/cpu.h"

#include <assert.h>
#include <cblas.h>
#include <string.h>

#include "engine/backend/cpu/vec.h"

/* y[:, to .. ) += scale (x[:, from .. ) b0) b1: a pair, forward or backward. */
typedef struct pair_plan {
    gemm_plan plan[2];
    gemm_operand b[2];
    int64_t from, to;
    float scale;
} pair_plan;

typedef struct rows_job {
    cpu_backend *cpu;
    gemm_plan plan;
    wz_tensor y, x, residual;
    gemm_operand weight;
    const float *bias;
    float scale; /* of the product; only without residual, bias and pairs other than 1 */
    pair_plan pair[WZ_LOW_RANK_PAIRS];
    int pairs;
    int64_t pair_room; /* floats of scratch memory */
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

static void scale_floats(float *values, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        values[i] *= scale;
}

static void add_pair(const rows_job *job, const pair_plan *pair, int64_t row0, int64_t rows, float *room)
{
    const int64_t rank = pair->plan[0].out;
    float *inner = room;
    room += TILE_MAX * rank;
    gemm_product(&pair->plan[0], rows, row_of(job->x, row0) + pair->from, job->x.stride, pair->b[0], room,
                 false, inner, rank);
    scale_floats(inner, pair->scale, rows * rank);
    gemm_product(&pair->plan[1], rows, inner, rank, pair->b[1], room, true, row_of(job->y, row0) + pair->to,
                 job->y.stride);
}

static void rows_task(void *argument, size_t task, size_t thread)
{
    const rows_job *job = argument;
    const gemm_plan *plan = &job->plan;
    const int64_t row0 = (int64_t)task * plan->tile;
    const int64_t rows = job->x.rows - row0 < plan->tile ? job->x.rows - row0 : plan->tile;
    const bool accumulate = job->residual.data != NULL || job->bias != NULL;
    float *room = cpu_scratch(job->cpu, thread);
    for (int64_t i = 0; accumulate && i < rows; i++)
        prefill(job, row0 + i, row_of(job->y, row0 + i));
    gemm_product(plan, rows, row_of(job->x, row0), job->x.stride, job->weight, room, accumulate,
                 row_of(job->y, row0), job->y.stride);
    for (int64_t i = 0; job->scale != 1.0f && i < rows; i++)
        scale_floats(row_of(job->y, row0 + i), job->scale, plan->out);
    for (int p = 0; p < job->pairs; p++)
        add_pair(job, &job->pair[p], row0, rows, room);
}

static void run_rows(cpu_backend *cpu, rows_job *job, gemm_form form)
{
    gemm_plan *plan = &job->plan;
    size_t thread = 0;
    if (!gemm_plan_for(cpu, job->x.columns, job->y.columns, form, job->weight.type, plan) || job->x.rows == 0)
        return;
    const int64_t room = gemm_product_room(plan);
    if (!cpu_scratch_reserve(cpu, (size_t)(room > job->pair_room ? room : job->pair_room) * sizeof(float)))
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
    return gemm_has_small() && count <= PREPARED_MAX ? (size_t)count * wz_type_bytes(linear->weight.type) : 0;
}

typedef struct prepare_job {
    void *to;
    wz_tensor weight;
    int64_t columns; /* output features of a slice, the last one's may be fewer */
} prepare_job;

static const uint16_t *half_row(wz_tensor tensor, int64_t row)
{
    return (const uint16_t *)tensor.data + row * tensor.stride;
}

/* One slice of GEMM_SLICED, in squares that stay in the cache. */
static void prepare_task(void *argument, size_t task, size_t thread)
{
    const prepare_job *job = argument;
    const int64_t in = job->weight.columns, out0 = (int64_t)task * job->columns;
    const int64_t left = job->weight.rows - out0, columns = left < job->columns ? left : job->columns;
    const bool halves = job->weight.type == WZ_BF16;
    float *to = (float *)job->to + out0 * in;
    uint16_t *to_halves = (uint16_t *)job->to + out0 * in;
    (void)thread;
    for (int64_t k0 = 0; k0 < in; k0 += WZ_LANES)
        for (int64_t j0 = 0; j0 < columns; j0 += WZ_LANES)
            for (int64_t k = k0; k < in && k < k0 + WZ_LANES; k++)
                for (int64_t j = j0; j < columns && j < j0 + WZ_LANES; j++)
                    if (halves)
                        to_halves[k * columns + j] = half_row(job->weight, out0 + j)[k];
                    else
                        to[k * columns + j] = row_of(job->weight, out0 + j)[k];
}

void cpu_prepare(wz_backend *backend, void *to, const wz_linear *linear)
{
    const wz_tensor weight = linear->weight;
    cpu_backend *cpu = cpu_of(backend);
    gemm_plan plan;
    if (!gemm_plan_for(cpu, weight.columns, weight.rows, GEMM_SLICED, weight.type, &plan))
        return;
    prepare_job job = {to, weight, plan.columns};
    wz_pool_run(cpu->pool, prepare_task, &job, (size_t)((weight.rows + plan.columns - 1) / plan.columns));
}

static gemm_operand operand_of(wz_tensor matrix)
{
    return (gemm_operand){matrix.data, matrix.stride, matrix.type};
}

/* The products of a layer's pairs: x a^T b^T (GEMM_TRANSPOSED), or dy b a (GEMM_PLAIN). False on no memory. */
static bool plan_pairs(rows_job *job, const wz_linear *linear, gemm_form form)
{
    job->pairs = linear->pairs;
    for (int p = 0; p < linear->pairs; p++) {
        const wz_low_rank *pair = &linear->pair[p];
        const int64_t rank = pair->a.rows, in = pair->a.columns, out = pair->b.rows;
        const bool forward = form == GEMM_TRANSPOSED;
        pair_plan *plan = &job->pair[p];
        *plan = (pair_plan){
            .b = {operand_of(forward ? pair->a : pair->b), operand_of(forward ? pair->b : pair->a)},
            .from = forward ? 0 : pair->first,
            .to = forward ? pair->first : 0,
            .scale = linear->pair_scale};
        if (!gemm_plan_for(job->cpu, forward ? in : out, rank, form, WZ_F32, &plan->plan[0]) ||
            !gemm_plan_for(job->cpu, rank, forward ? out : in, form, WZ_F32, &plan->plan[1]))
            return false;
        for (int i = 0; i < 2; i++) {
            const int64_t room = TILE_MAX * rank + gemm_product_room(&plan->plan[i]);
            job->pair_room = room > job->pair_room ? room : job->pair_room;
        }
    }
    return true;
}

void cpu_linear_forward(wz_backend *backend, wz_tensor y, wz_tensor x, const wz_linear *linear,
                        wz_tensor residual)
{
    assert(linear->weight.rows == y.columns && linear->weight.columns == x.columns && x.rows == y.rows);
    assert(residual.data == NULL || (residual.stride == y.stride && residual.type == y.type));
    rows_job job = {.cpu = cpu_of(backend),
                    .y = y,
                    .x = x,
                    .residual = residual,
                    .weight = operand_of(linear->weight),
                    .bias = linear->bias.data,
                    .scale = 1.0f};
    if (linear->prepared != NULL)
        job.weight.data = linear->prepared;
    if (plan_pairs(&job, linear, GEMM_TRANSPOSED))
        run_rows(job.cpu, &job, linear->prepared == NULL ? GEMM_TRANSPOSED : GEMM_SLICED);
}

void cpu_linear_backward_input(wz_backend *backend, wz_tensor dx, wz_tensor dy, const wz_linear *linear)
{
    assert(linear->weight.rows == dy.columns && linear->weight.columns == dx.columns && dx.rows == dy.rows);
    rows_job job = {
        .cpu = cpu_of(backend), .y = dx, .x = dy, .weight = operand_of(linear->weight), .scale = 1.0f};
    if (plan_pairs(&job, linear, GEMM_PLAIN))
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

/* most: outputs of a slice; 0: as many as are fast. */
static void add_weight_gradient(cpu_backend *cpu, wz_tensor dweight, float *dbias, wz_tensor dy, wz_tensor x,
                                const wz_row_groups *groups, int64_t most)
{
    weight_job job = {.cpu = cpu,
                      .dweight = dweight,
                      .dy = dy,
                      .x = x,
                      .dbias = dbias,
                      .groups = groups,
                      .slice = dy.columns < 1024 ? 64 : 128,
                      .columns = x.columns,
                      .rows = longest_group(groups)};
    if (gemm_has_small()) {
        job.slice = SMALL_OUTPUTS;
        job.columns = gemm_part(x.columns, SMALL_INPUTS, WZ_LANES);
        job.rows = SMALL_GROUP_ROWS;
    }
    if (most > 0 && most < job.slice)
        job.slice = most;
    const int64_t all = (dy.columns + job.slice - 1) / job.slice,
                  threads = (int64_t)wz_pool_threads(cpu->pool);
    job.slices = (all + threads - 1) / threads;
    if (job.rows == 0 ||
        !cpu_scratch_reserve(cpu, (size_t)(job.rows * (x.columns + job.slice) + job.slice) * sizeof(float)))
        return;
    wz_pool_run(cpu->pool, weight_task, &job, (size_t)((all + job.slices - 1) / job.slices));
}

void cpu_linear_backward_weight(wz_backend *backend, const wz_linear *gradient, wz_tensor dy, wz_tensor x,
                                const wz_row_groups *groups)
{
    if (gradient->weight.data != NULL)
        add_weight_gradient(cpu_of(backend), gradient->weight, gradient->bias.data, dy, x, groups, 0);
}

#define RANKS_PER_SLICE 8 /* a pair's A has few outputs for all threads */

void cpu_linear_backward_pairs(wz_backend *backend, const wz_linear *gradient, const wz_linear *linear,
                               wz_tensor dy, wz_tensor x, const wz_row_groups *groups)
{
    cpu_backend *cpu = cpu_of(backend);
    for (int p = 0; p < linear->pairs && dy.rows > 0; p++) {
        const wz_low_rank *pair = &linear->pair[p], *to = &gradient->pair[p];
        const int64_t rank = pair->a.rows, count = round_lanes(dy.rows * rank);
        const wz_tensor part = {(float *)dy.data + pair->first, dy.rows, pair->b.rows, dy.stride, WZ_F32};
        float *inner = cpu_shared_reserve(cpu, (size_t)(2 * count) * sizeof(float));
        if (inner == NULL)
            return;
        rows_job dinner = {.cpu = cpu,
                           .y = {inner, dy.rows, rank, rank, WZ_F32},
                           .x = part,
                           .weight = operand_of(pair->b),
                           .scale = linear->pair_scale};
        rows_job again = {.cpu = cpu,
                          .y = {inner + count, x.rows, rank, rank, WZ_F32},
                          .x = x,
                          .weight = operand_of(pair->a),
                          .scale = linear->pair_scale};
        run_rows(cpu, &dinner, GEMM_PLAIN);
        run_rows(cpu, &again, GEMM_TRANSPOSED);
        add_weight_gradient(cpu, to->a, NULL, dinner.y, x, groups, RANKS_PER_SLICE);
        add_weight_gradient(cpu, to->b, NULL, part, again.y, groups, 0);
    }
}
