/* Attention in the CUDA backend where a segment fills more than one tile of keys (64 rows, fewer where heads are wide) and the
 * rows that see a prompt are shared out among blocks, against the CPU's (which tests/backend_ops_attention.c compares with a
 * formula, on segments of one tile), and rows alone against all rows.
 *
 * Bounds. Numbers are from (-1, 1), so |values| <= 1 and |scores| <= s = steep sqrt(head_dim). With u = 2^-24 and n = head_dim +
 * rows + 10 roundings, as in backend_case.h: an output's reach, sum_j |J_kj x_j|, is at most 1 by the values, and 2 s by the
 * queries and again by the keys, so two computations differ by 2 n u (2 + 4 s) at most; with bf16 (v = 2^-8) by v more for the
 * weights, which are rounded and sum to 1, and v for the result. Where scores are steep, the largest one grows from tile to tile
 * by more than sums are let grow, which must be rescaled. Gradients are sums with much
 * cancelling, for which no bound as sharp is at hand: 1e-4 of the largest in fp32 is thirty times what is seen, 4 v in bf16; a
 * tile left out or taken twice changes a tenth or more. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/rollout/pack.h"
#include "tests/backend_case.h"
#include "tests/backend_main.h"

enum { GENERATIONS = 3, GROUPS = 2, OUT = 0, LSE, DQKV, RESULTS };

static const int64_t prompts[GROUPS] = {150, 70};
static const int64_t completions[GROUPS][GENERATIONS] = {{70, 3, 9}, {1, 0, 5}};

static const struct geometry {
    wz_dtype type;
    int64_t heads, kv_heads, head_dim;
    double steep; /* scores are multiplied with it */
} geometries[] = {
    {WZ_F32, 4, 2, 24, 1.0},   {WZ_F32, 3, 1, 66, 1.0},   {WZ_F32, 2, 1, 130, 1.0},
    {WZ_F32, 70, 1, 8, 1.0},   {WZ_F32, 3, 1, 12, 16.0},  {WZ_BF16, 14, 2, 64, 1.0},
    {WZ_BF16, 2, 1, 130, 1.0}, {WZ_BF16, 16, 1, 16, 1.0}, {WZ_BF16, 3, 1, 64, 16.0},
};

static wz_pack *make_pack(void)
{
    static uint32_t tokens[150];
    wz_pack_group groups[GROUPS];
    wz_pack *pack = NULL;
    wz_error err = {{0}};
    for (int g = 0; g < GROUPS; g++) {
        groups[g] = (wz_pack_group){(uint32_t)g, tokens, prompts[g], 1, 0};
        for (int j = 0; j < GENERATIONS; j++) {
            groups[g].rows += completions[g][j];
            if (completions[g][j] > groups[g].longest)
                groups[g].longest = completions[g][j];
        }
    }
    ck_assert_msg(wz_pack_create(groups, GROUPS, GENERATIONS, &pack, &err) == WZ_OK, "%s", err.text);
    for (int64_t step = 0; step < completions[0][0]; step++) /* as decoding appends them */
        for (int64_t c = 0; c < GROUPS * GENERATIONS; c++)
            if (step < completions[c / GENERATIONS][c % GENERATIONS])
                wz_pack_add_row(pack, c, 0);
    return pack;
}

static wz_tensor place(wz_backend *be, const float *values, int64_t rows, int64_t columns, wz_dtype type)
{
    const size_t bytes = (size_t)(rows * columns) * wz_type_bytes(type);
    void *to = NULL, *there = malloc(bytes);
    wz_error err = {{0}};
    ck_assert_ptr_nonnull(there);
    encode_numbers(there, values, rows * columns, type);
    ck_assert_msg(be->ops->alloc(be, bytes, "a test", &to, &err) == WZ_OK, "%s", err.text);
    be->ops->upload(be, to, there, bytes);
    free(there);
    return (wz_tensor){to, rows, columns, columns, type};
}

static float *fetch(wz_backend *be, wz_tensor from)
{
    const int64_t count = from.rows * from.columns;
    void *there = malloc((size_t)count * wz_type_bytes(from.type));
    float *out = malloc((size_t)count * sizeof(float));
    wz_error err = {{0}};
    ck_assert(there != NULL && out != NULL);
    be->ops->download(be, there, from.data, (size_t)count * wz_type_bytes(from.type));
    ck_assert_msg(be->ops->sync(be, &err) == WZ_OK, "%s", err.text);
    decode_numbers(out, there, count, from.type);
    free(there);
    return out;
}

/* Every third row by itself has the bits it has among all. */
static void check_rows_alone(wz_backend *be, wz_tensor out, wz_tensor lse, wz_tensor qkv,
                             const wz_segments *s, const wz_attention *a, const float *expected)
{
    for (int64_t row = 0; row < s->rows; row += 3)
        be->ops->attention_forward(be, out, lse.data, qkv, s, row, row + 1, false, a);
    float *alone = fetch(be, out);
    for (int64_t row = 0; row < s->rows; row += 3)
        ck_assert_msg(memcmp(alone + row * out.columns, expected + row * out.columns,
                             (size_t)out.columns * sizeof(float)) == 0,
                      "row %lld has other bits by itself", (long long)row);
    free(alone);
}

static void compute(wz_backend *be, const struct geometry *g, const wz_pack *pack, bool alone, float **result)
{
    const wz_segments *s = &pack->segments;
    const wz_attention a = {g->heads, g->kv_heads, g->head_dim,
                            (float)(g->steep / sqrt((double)g->head_dim))};
    const int64_t width = (g->heads + 2 * g->kv_heads) * g->head_dim, head_width = g->heads * g->head_dim;
    const wz_dtype type = be->working_type;
    float *x = uniform_numbers(s->rows * width, 1, g->type),
          *dy = uniform_numbers(s->rows * head_width, 2, g->type);
    const wz_tensor qkv = place(be, x, s->rows, width, type), dqkv = place(be, x, s->rows, width, type),
                    dout = place(be, dy, s->rows, head_width, type),
                    out = place(be, dy, s->rows, head_width, type),
                    lse = place(be, dy, s->rows, g->heads, WZ_F32);
    be->ops->attention_forward(be, out, lse.data, qkv, s, 0, s->rows, false, &a);
    result[OUT] = fetch(be, out);
    result[LSE] = fetch(be, lse);
    be->ops->attention_backward(be, dqkv, dout, out, lse.data, qkv, s, false, &a);
    result[DQKV] = fetch(be, dqkv);
    if (alone)
        check_rows_alone(be, out, lse, qkv, s, &a, result[OUT]);
    const wz_tensor all[] = {qkv, dqkv, dout, out, lse};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        be->ops->release(be, all[i].data);
    free(x);
    free(dy);
}

static void check_close(const char *what, const float *got, const float *expected, int64_t count,
                        double bound)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - (double)expected[i]) <= bound))
            ck_abort_msg("%s[%lld] is %g, on the CPU %g, bound %g", what, (long long)i, (double)got[i],
                         (double)expected[i], bound);
}

START_TEST(attention_over_several_tiles_is_that_of_the_cpu)
{
    const struct geometry *g = &geometries[_i];
    wz_pack *pack = make_pack();
    wz_backend *cpu = NULL, *be = test_backend_of(g->type, 1);
    float *expected[RESULTS], *got[RESULTS];
    wz_error err = {{0}};
    ck_assert_msg(wz_backend_cpu_create(1, &cpu, &err) == WZ_OK, "%s", err.text);
    compute(cpu, g, pack, false, expected);
    compute(be, g, pack, true, got);
    const int64_t rows = pack->segments.rows;
    const int64_t count[RESULTS] = {rows * g->heads * g->head_dim, rows * g->heads,
                                    rows * (g->heads + 2 * g->kv_heads) * g->head_dim};
    const bool is_bf16 = g->type == WZ_BF16;
    const double sums = 2.0 * (double)(g->head_dim + rows + 10) * UNIT_ROUNDOFF *
                        (2.0 + 4.0 * g->steep * sqrt((double)g->head_dim));
    double largest = 0.0;
    for (int64_t i = 0; i < count[DQKV]; i++)
        largest = fmax(largest, fabs((double)expected[DQKV][i]));
    check_close("out", got[OUT], expected[OUT], count[OUT], sums + (is_bf16 ? 2.0 * BF16_ROUNDOFF : 0.0));
    check_close("lse", got[LSE], expected[LSE], count[LSE], sums);
    check_close("dqkv", got[DQKV], expected[DQKV], count[DQKV],
                largest * (is_bf16 ? 4.0 * BF16_ROUNDOFF : 1e-4));
    for (int r = 0; r < RESULTS; r++) {
        free(expected[r]);
        free(got[r]);
    }
    be->ops->destroy(be);
    cpu->ops->destroy(cpu);
    wz_pack_destroy(pack);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("attention in tiles");
    TCase *tests = tcase_create("tiles");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, attention_over_several_tiles_is_that_of_the_cpu, 0,
                        (int)(sizeof geometries / sizeof geometries[0]));
    suite_add_tcase(suite, tests);
    return backend_main(suite);
}
