/* The CUDA backend's kernels, compiled for the CPU by the emulator, through the op table's cases. CUDA_EMULATOR_ORDER
 * picks the order in which the threads of a block take turns. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "tests/backend_ops.h"
#include "tests/backend_sums.h"

static wz_backend *open_backend(void)
{
    wz_backend *be = NULL;
    wz_error err = {{0}};
    ck_assert_msg(wz_backend_cuda_create(&be, &err) == WZ_OK, "%s", err.text);
    return be;
}

START_TEST(op_forward_and_backward_match_the_formula)
{
    const op_case *test = &backend_cases[_i];
    if (test->large)
        return;
    wz_backend *be = open_backend();
    case_check(test, be);
    be->ops->destroy(be);
}
END_TEST

/* Outputs and gradients of one run. */
static void run(bench *b)
{
    bench_reset(b);
    b->test->op->forward(b);
    if (b->test->op->backward != NULL)
        b->test->op->backward(b);
}

START_TEST(op_run_again_gives_the_same_bits)
{
    const op_case *test = &backend_cases[_i];
    wz_backend *be = open_backend();
    bench b;
    bench_create(&b, test, be);
    run(&b);
    float *first[MAX_FIELDS][2];
    for (size_t f = 0; f < b.field_count; f++)
        for (int gradient = 0; gradient < 2; gradient++)
            first[f][gradient] = bench_fetch(&b, f, gradient != 0);
    run(&b);
    for (size_t f = 0; f < b.field_count; f++)
        for (int gradient = 0; gradient < 2; gradient++) {
            float *again = bench_fetch(&b, f, gradient != 0);
            ck_assert_mem_eq(again, first[f][gradient],
                             sizeof(float) * (size_t)(b.fields[f].rows * b.fields[f].columns));
            free(again);
            free(first[f][gradient]);
        }
    bench_destroy(&b);
    be->ops->destroy(be);
}
END_TEST

enum { QKV, OUT, LSE }; /* attention's fields, see backend_ops_attention.c */

static void attend(const bench *b, int64_t row0, int64_t row1, bool at_sites)
{
    const wz_attention attention = bench_attention(b);
    b->be->ops->attention_forward(b->be, bench_tensor(b, OUT), b->value[LSE], bench_tensor(b, QKV),
                                  &b->pack->segments, row0, row1, at_sites, &attention);
}

/* Decoded row by row, or asked for at sites only: what a row gets never depends on its neighbours. */
START_TEST(attention_row_alone_has_the_bits_of_all_rows)
{
    const op_case *test = &backend_cases[_i];
    if (test->op != &op_attention)
        return;
    wz_backend *be = open_backend();
    bench all, some;
    bench_create(&all, test, be);
    bench_create(&some, test, be);
    attend(&all, 0, all.s->rows, false);
    for (int64_t row = 0; row < all.s->rows; row++)
        attend(&some, row, row + 1, false);
    for (size_t f = OUT; f <= LSE; f++) {
        float *one = bench_fetch(&all, f, false), *two = bench_fetch(&some, f, false);
        ck_assert_mem_eq(one, two, sizeof(float) * (size_t)(all.s->rows * all.fields[f].columns));
        free(one);
        free(two);
    }
    bench_reset(&some);
    attend(&some, 0, all.s->rows, true);
    for (size_t f = OUT; f <= LSE; f++) {
        const int64_t width = all.fields[f].columns;
        float *one = bench_fetch(&all, f, false), *two = bench_fetch(&some, f, false);
        for (int64_t i = 0; i < all.pack->segments.sites; i++)
            ck_assert_mem_eq(two + i * width, one + all.pack->segments.site_row[i] * width,
                             sizeof(float) * (size_t)width);
        free(one);
        free(two);
    }
    bench_destroy(&all);
    bench_destroy(&some);
    be->ops->destroy(be);
}
END_TEST

START_TEST(sums_and_adamw_match)
{
    wz_backend *be = open_backend();
    (void)sum_squares_check(be);
    adamw_check(be);
    be->ops->destroy(be);
}
END_TEST

START_TEST(gemm_rate_is_a_rate_or_out_of_memory)
{
    static const wz_gemm_shape shapes[] = {{48, 40, 33, false, true, false}, {7, 65, 96, true, false, true}};
    wz_backend *be = open_backend();
    wz_error err = {{0}};
    for (size_t i = 0; i < 2; i++) {
        const wz_gemm_shape *s = &shapes[i];
        const double rate = be->ops->gemm_rate(be, s, 0.02);
        /* one multiplication and addition of a scalar loop takes between a tenth of a nanosecond and a microsecond */
        ck_assert(rate > 2e6 && rate < 2e10);
    }
    ck_assert_int_eq(be->ops->sync(be, &err), WZ_OK);
    const wz_gemm_shape huge = {1 << 20, 1 << 20, 1, false, false, false};
    ck_assert(isnan(be->ops->gemm_rate(be, &huge, 0.02)));
    ck_assert_int_eq(be->ops->sync(be, &err), WZ_ERR_RESOURCE);
    be->ops->destroy(be);
}
END_TEST

START_TEST(memory_that_is_not_there_is_reported)
{
    wz_backend *be = open_backend();
    wz_error err = {{0}};
    void *block = NULL;
    ck_assert_int_eq(be->ops->alloc(be, (size_t)1 << 40, "a table", &block, &err), WZ_ERR_RESOURCE);
    ck_assert_ptr_nonnull(strstr(err.text, "a table: 1048576.0 MiB on "));
    be->ops->destroy(be);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_emulated");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300);
    tcase_add_loop_test(all, op_forward_and_backward_match_the_formula, 0, (int)backend_case_count);
    tcase_add_loop_test(all, op_run_again_gives_the_same_bits, 0, (int)backend_case_count);
    tcase_add_loop_test(all, attention_row_alone_has_the_bits_of_all_rows, 0, (int)backend_case_count);
    tcase_add_test(all, sums_and_adamw_match);
    tcase_add_test(all, gemm_rate_is_a_rate_or_out_of_memory);
    tcase_add_test(all, memory_that_is_not_there_is_reported);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
