/* Row-tiled sgemm: which tile heights give every row the same bits wherever it stands. */
#include "engine/backend/cpu/cpu.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/vec.h"
#include "engine/core/bfloat16.h"

#define PROBES 3
#define PANEL_FLOATS ((int64_t)1 << 17) /* widened at once, about: half of a second-level cache */

bool gemm_has_small(void)
{
    static const char *const kernels[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++)
        if (strcmp(openblas_get_corename(), kernels[i]) == 0)
            return true;
    return false;
}

int64_t gemm_part(int64_t count, int64_t most, int64_t step)
{
    const int64_t parts = (count + most - 1) / most;
    return ((count + parts - 1) / parts + step - 1) / step * step;
}

static void cut(gemm_plan *plan)
{
    plan->rows = TILE_MAX;
    plan->columns = plan->out;
    plan->depth = plan->in;
    if (!gemm_has_small() || plan->form == GEMM_TRANSPOSED)
        return;
    plan->rows = SMALL_ROWS;
    plan->depth = gemm_part(plan->in, SMALL_DEPTH, WZ_LANES);
    plan->columns = gemm_part(plan->out, SMALL_GEMM / (SMALL_ROWS * plan->depth) / 64 * 64, WZ_LANES);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void widen_floats(float *to, const uint16_t *from, int64_t n)
{
    int64_t i = 0;
    for (; i + WZ_LANES <= n; i += WZ_LANES)
        v16_store(to + i, v16_widen(from + i));
    for (; i < n; i++)
        to[i] = wz_bfloat16_to_float(from[i]);
}

const float *widened_row(wz_tensor tensor, int64_t row, float *room)
{
    if (tensor.type == WZ_F32)
        return row_of(tensor, row);
    widen_floats(room, (const uint16_t *)tensor.data + row * tensor.stride, tensor.columns);
    return room;
}

int64_t gemm_room(const gemm_plan *plan)
{
    return plan->type == WZ_F32 ? 0
                                : round_lanes(least(plan->columns, plan->out) * least(plan->depth, plan->in));
}

/* Rows k .. k + depth and columns column .. column + columns of B, where sgemm reads them. */
static const float *operand_block(const gemm_plan *plan, gemm_operand b, int64_t k, int64_t depth,
                                  int64_t column, int64_t columns, float *room, int64_t *stride)
{
    const bool transposed = plan->form == GEMM_TRANSPOSED;
    const int64_t step = plan->form == GEMM_SLICED ? columns : b.stride;
    const int64_t at = plan->form == GEMM_SLICED ? column * plan->in + k * columns
                       : transposed              ? column * step + k
                                                 : k * step + column;
    *stride = step;
    if (b.type == WZ_F32)
        return (const float *)b.data + at;
    const int64_t rows = transposed ? columns : depth, width = transposed ? depth : columns;
    for (int64_t i = 0; i < rows; i++)
        widen_floats(room + i * width, (const uint16_t *)b.data + at + i * step, width);
    *stride = width;
    return room;
}

void gemm_rows(const gemm_plan *plan, int64_t m, const float *a, int64_t lda, gemm_operand b, float *room,
               bool accumulate, float *c, int64_t ldc)
{
    const CBLAS_TRANSPOSE transposed = plan->form == GEMM_TRANSPOSED ? CblasTrans : CblasNoTrans;
    for (int64_t column = 0; column < plan->out; column += plan->columns) {
        const int64_t columns = least(plan->columns, plan->out - column);
        for (int64_t k = 0; k < plan->in; k += plan->depth) {
            const int64_t depth = least(plan->depth, plan->in - k);
            int64_t stride = 0;
            const float *block = operand_block(plan, b, k, depth, column, columns, room, &stride);
            for (int64_t row = 0; row < m; row += plan->rows)
                cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed, (blasint)least(plan->rows, m - row),
                            (blasint)columns, (blasint)depth, 1.0f, a + row * lda + k, (blasint)lda, block,
                            (blasint)stride, accumulate || k > 0 ? 1.0f : 0.0f, c + row * ldc + column,
                            (blasint)ldc);
        }
    }
}

int64_t gemm_product_room(const gemm_plan *plan)
{
    return gemm_room(plan) + TILE_MAX * (plan->in + plan->out);
}

/* One tile, of a height that the plan does not allow. */
static void padded_tile(const gemm_plan *plan, int64_t rows, const float *a, int64_t lda, gemm_operand b,
                        float *room, bool accumulate, float *c, int64_t ldc)
{
    const int64_t height = gemm_height(plan, rows);
    float *x = room + gemm_room(plan), *y = x + height * plan->in;
    for (int64_t i = 0; i < rows; i++)
        memcpy(x + i * plan->in, a + i * lda, (size_t)plan->in * sizeof(float));
    memset(x + rows * plan->in, 0, (size_t)((height - rows) * plan->in) * sizeof(float));
    if (accumulate) {
        for (int64_t i = 0; i < rows; i++)
            memcpy(y + i * plan->out, c + i * ldc, (size_t)plan->out * sizeof(float));
        memset(y + rows * plan->out, 0, (size_t)((height - rows) * plan->out) * sizeof(float));
    }
    gemm_rows(plan, height, x, plan->in, b, room, accumulate, y, plan->out);
    for (int64_t i = 0; i < rows; i++)
        memcpy(c + i * ldc, y + i * plan->out, (size_t)plan->out * sizeof(float));
}

void gemm_product(const gemm_plan *plan, int64_t rows, const float *a, int64_t lda, gemm_operand b,
                  float *room, bool accumulate, float *c, int64_t ldc)
{
    for (int64_t row = 0; row < rows; row += plan->tile) {
        const int64_t part = least(plan->tile, rows - row);
        if (gemm_height(plan, part) == part)
            gemm_rows(plan, part, a + row * lda, lda, b, room, accumulate, c + row * ldc, ldc);
        else
            padded_tile(plan, part, a + row * lda, lda, b, room, accumulate, c + row * ldc, ldc);
    }
}

int64_t gemm_height(const gemm_plan *plan, int64_t rows)
{
    int64_t height = (rows + plan->tail - 1) / plan->tail * plan->tail;
    return height < plan->tile ? height : plan->tile;
}

typedef struct probe_buffers {
    float *a, *b, *c, *expected; /* [TILE_MAX, in], [in, out], [TILE_MAX, out], [out] */
} probe_buffers;

static void fill_random(float *values, int64_t count, uint32_t what)
{
    const wz_draw_key key = {.seed = 1, .purpose = WZ_PURPOSE_TOOL, .problem = what};
    for (int64_t i = 0; i < count; i += 4) {
        uint32_t words[4];
        wz_draw_init_words(key.seed, key.purpose, what, (uint64_t)i, words);
        for (int64_t j = 0; j < 4 && i + j < count; j++)
            values[i + j] = (float)(wz_uniform(words[j]) * 2.0 - 1.0);
    }
}

/* Equal input rows in a call of height m: are all output rows equal to `expected` (or, when first, to row 0)? */
static bool rows_agree(const gemm_plan *plan, const probe_buffers *probe, int64_t m, bool accumulate,
                       bool first)
{
    for (int64_t i = 0; accumulate && i < m * plan->out; i++)
        probe->c[i] = (float)(i % plan->out) * 0.01f;
    const gemm_operand b = {probe->b, plan->form == GEMM_TRANSPOSED ? plan->in : plan->out, WZ_F32};
    gemm_rows(plan, m, probe->a, plan->in, b, NULL, accumulate, probe->c, plan->out);
    size_t bytes = (size_t)plan->out * sizeof(float);
    if (first)
        memcpy(probe->expected, probe->c, bytes);
    for (int64_t i = 0; i < m; i++)
        if (memcmp(probe->c + i * plan->out, probe->expected, bytes) != 0)
            return false;
    return true;
}

static bool height_agrees(const gemm_plan *plan, const probe_buffers *probe, int64_t tile, int64_t tail)
{
    for (uint32_t trial = 0; trial < PROBES; trial++) {
        fill_random(probe->a, plan->in, trial);
        for (int64_t i = 1; i < TILE_MAX; i++)
            memcpy(probe->a + i * plan->in, probe->a, (size_t)plan->in * sizeof(float));
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            if (!rows_agree(plan, probe, tile, accumulate != 0, true))
                return false;
            for (int64_t m = tail; m < tile; m += tail)
                if (!rows_agree(plan, probe, m, accumulate != 0, false))
                    return false;
        }
    }
    return true;
}

static void choose_heights(gemm_plan *plan, const probe_buffers *probe)
{
    fill_random(probe->b, plan->in * plan->out, PROBES);
    for (plan->tile = TILE_MAX; plan->tile > 1; plan->tile /= 2) {
        if (!height_agrees(plan, probe, plan->tile, plan->tile))
            continue;
        plan->tail = plan->tile;
        for (int64_t tail = TAIL_STEP; tail < plan->tile; tail *= 2)
            if (height_agrees(plan, probe, plan->tile, tail)) {
                plan->tail = tail;
                break;
            }
        return;
    }
    plan->tail = 1;
}

/* Do panels of columns give the bits of one call over all columns? */
static bool panels_agree(const gemm_plan *plan, const gemm_plan *panels, const probe_buffers *probe)
{
    for (uint32_t trial = 0; trial < PROBES; trial++) {
        fill_random(probe->a, plan->in, trial);
        for (int64_t i = 1; i < TILE_MAX; i++)
            memcpy(probe->a + i * plan->in, probe->a, (size_t)plan->in * sizeof(float));
        for (int accumulate = 0; accumulate < 2; accumulate++)
            for (int64_t m = plan->tail; m <= plan->tile; m += plan->tail)
                if (!rows_agree(plan, probe, m, accumulate != 0, true) ||
                    !rows_agree(panels, probe, m, accumulate != 0, false))
                    return false;
    }
    return true;
}

/* Widens blocks that stay in a core's cache, where that changes nothing. */
static void choose_panel(gemm_plan *plan, const probe_buffers *probe)
{
    gemm_plan panels = *plan;
    panels.columns = PANEL_FLOATS / plan->in / 64 * 64;
    if (panels.columns < 64)
        panels.columns = 64;
    if (plan->form != GEMM_SLICED && panels.columns < plan->columns && plan->columns == plan->out &&
        panels_agree(plan, &panels, probe))
        *plan = panels;
}

static bool find_plan(const cpu_backend *cpu, gemm_plan *plan)
{
    for (size_t i = 0; i < cpu->plan_count; i++) {
        const gemm_plan *known = &cpu->plans[i];
        if (known->in == plan->in && known->out == plan->out && known->form == plan->form &&
            known->type == plan->type) {
            *plan = *known;
            return true;
        }
    }
    return false;
}

static wz_status make_plan(cpu_backend *cpu, gemm_plan *plan, wz_error *err)
{
    const int64_t in = plan->in, out = plan->out;
    void *plans = cpu->plans, *block = NULL;
    wz_status status =
        wz_grow(&plans, &cpu->plan_capacity, cpu->plan_count + 1, sizeof(gemm_plan), "sgemm plans", err);
    if (status != WZ_OK)
        return status;
    cpu->plans = plans;
    status = wz_alloc(&block, (size_t)(TILE_MAX * in + in * out + TILE_MAX * out + out), sizeof(float),
                      "probing sgemm", err);
    if (status != WZ_OK)
        return status;
    probe_buffers probe = {.a = block};
    probe.b = probe.a + TILE_MAX * in;
    probe.c = probe.b + in * out;
    probe.expected = probe.c + TILE_MAX * out;
    choose_heights(plan, &probe);
    if (plan->type == WZ_BF16)
        choose_panel(plan, &probe);
    free(block);
    cpu->plans[cpu->plan_count++] = *plan;
    return WZ_OK;
}

bool gemm_plan_for(cpu_backend *cpu, int64_t in, int64_t out, gemm_form form, wz_dtype type, gemm_plan *plan)
{
    wz_error err = {{0}};
    wz_status status = WZ_OK;
    *plan = (gemm_plan){.in = in, .out = out, .form = form, .type = type};
    cut(plan);
    (void)pthread_mutex_lock(&cpu->mutex);
    if (!find_plan(cpu, plan))
        status = make_plan(cpu, plan, &err);
    (void)pthread_mutex_unlock(&cpu->mutex);
    if (status != WZ_OK)
        cpu_fail(cpu, status, &err);
    return status == WZ_OK;
}
