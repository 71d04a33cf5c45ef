/* Row-tiled sgemm: which tile heights give every row the same bits wherever it stands. */
#include "engine/backend/cpu/cpu.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/vec.h"

#define PROBES 3

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

void gemm_rows(const gemm_plan *plan, int64_t m, const float *a, int64_t lda, const float *b, int64_t ldb,
               bool accumulate, float *c, int64_t ldc)
{
    const CBLAS_TRANSPOSE transposed = plan->form == GEMM_TRANSPOSED ? CblasTrans : CblasNoTrans;
    for (int64_t column = 0; column < plan->out; column += plan->columns) {
        const int64_t columns = least(plan->columns, plan->out - column);
        const bool sliced = plan->form == GEMM_SLICED;
        const float *slice = sliced ? b + column * plan->in : transposed == CblasTrans ? b : b + column;
        const int64_t stride = sliced ? columns : ldb;
        for (int64_t k = 0; k < plan->in; k += plan->depth)
            for (int64_t row = 0; row < m; row += plan->rows)
                cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed, (blasint)least(plan->rows, m - row),
                            (blasint)columns, (blasint)least(plan->depth, plan->in - k), 1.0f,
                            a + row * lda + k, (blasint)lda, slice + k * stride, (blasint)stride,
                            accumulate || k > 0 ? 1.0f : 0.0f, c + row * ldc + column, (blasint)ldc);
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
    gemm_rows(plan, m, probe->a, plan->in, probe->b, plan->form == GEMM_TRANSPOSED ? plan->in : plan->out,
              accumulate, probe->c, plan->out);
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

static bool find_plan(const cpu_backend *cpu, gemm_plan *plan)
{
    for (size_t i = 0; i < cpu->plan_count; i++) {
        const gemm_plan *known = &cpu->plans[i];
        if (known->in == plan->in && known->out == plan->out && known->form == plan->form) {
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
    free(block);
    cpu->plans[cpu->plan_count++] = *plan;
    return WZ_OK;
}

bool gemm_plan_for(cpu_backend *cpu, int64_t in, int64_t out, gemm_form form, gemm_plan *plan)
{
    wz_error err = {{0}};
    wz_status status = WZ_OK;
    *plan = (gemm_plan){.in = in, .out = out, .form = form};
    cut(plan);
    (void)pthread_mutex_lock(&cpu->mutex);
    if (!find_plan(cpu, plan))
        status = make_plan(cpu, plan, &err);
    (void)pthread_mutex_unlock(&cpu->mutex);
    if (status != WZ_OK)
        cpu_fail(cpu, status, &err);
    return status == WZ_OK;
}
