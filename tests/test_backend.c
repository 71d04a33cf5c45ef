/* Every op of the table against the double-precision formulas and their central differences. */
#include <math.h>

#include "tests/backend_case.h"
#include "tests/backend_main.h"
#include "tests/backend_sums.h"

/* In which the threads of a block take turns; elsewhere nobody asks. */
#ifdef WZ_TEST_EMULATED
static const char *const orders[] = {"ascending", "descending", "1", NULL};
#else
static const char *const orders[] = {"", NULL};
#endif
enum { ORDERS = sizeof orders / sizeof orders[0] - 1 };

static void choose_order(int number)
{
    setenv("CUDA_EMULATOR_ORDER", orders[number], 1);
}

START_TEST(op_forward_and_backward_match_the_formula)
{
    op_case test = backend_cases[_i];
    if (test.large)
        return;
    for (int p = 0; p < (test.op->typed ? PRECISIONS : 1); p++) {
        wz_backend *be = test_backend_of(precisions[p], 2);
        test.shape.type = precisions[p];
        case_check(&test, be, orders);
        be->ops->destroy(be);
    }
}
END_TEST

START_TEST(sum_squares_matches_a_plain_sum_on_any_threads_and_shows_nan)
{
    double first = 0.0;
    choose_order(_i);
    for (size_t threads = 1; threads <= 4; threads++) {
        wz_backend *be = test_backend(threads);
        const double got = sum_squares_check(be);
        first = threads == 1 ? got : first;
        ck_assert_double_eq(got, first);
        be->ops->destroy(be);
    }
}
END_TEST

START_TEST(adamw_five_steps_match_the_algorithm)
{
    choose_order(_i);
    wz_backend *be = test_backend(3);
    adamw_check(be);
    be->ops->destroy(be);
}
END_TEST

START_TEST(blend_follows_its_formula)
{
    choose_order(_i);
    wz_backend *be = test_backend(3);
    blend_check(be);
    be->ops->destroy(be);
}
END_TEST

START_TEST(backend_says_what_it_is)
{
    wz_backend *be = test_backend(2);
    wz_backend_info info;
    be->ops->describe(be, &info);
    ck_assert_int_ge(info.row_tile, 1);
    ck_assert_int_ge(info.micro_batch, 1);
#ifdef WZ_TEST_CUDA
    ck_assert_str_eq(be->ops->name, "cuda");
    ck_assert_ptr_nonnull(strstr(info.gpu, "compute capability"));
    ck_assert_uint_gt(strlen(info.kernels), 0);
    ck_assert_int_ge(info.driver / 1000, info.runtime / 1000); /* minor versions may differ */
    ck_assert_int_ge(info.runtime, 12000);
    ck_assert_uint_gt(info.memory_free, 0);
    ck_assert_uint_ge(info.memory, info.memory_free);
#else
    ck_assert_str_eq(be->ops->name, "cpu");
    ck_assert_int_eq(info.threads, 2);
    ck_assert_str_eq(info.kernels, wz_backend_cpu_core_name());
    ck_assert_ptr_null(info.gpu);
#endif
    be->ops->destroy(be);
}
END_TEST

START_TEST(gemm_rate_is_measured_for_every_kind_of_product)
{
    static const wz_gemm_shape shapes[] = {
        {24, 17, 33, false, true, false}, {24, 17, 33, false, false, false}, {17, 24, 33, true, false, true}};
    wz_backend *be = test_backend_of(precisions[_i], 2);
    wz_error err = {{0}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const double rate = be->ops->gemm_rate(be, &shapes[i], 0.02);
        ck_assert_msg(isfinite(rate) && rate > 0.0, "%g", rate);
    }
    ck_assert_msg(be->ops->sync(be, &err) == WZ_OK, "%s", err.text);
#ifdef WZ_TEST_CUDA
    const wz_gemm_shape huge = {1 << 20, 1 << 20, 1, false, false, false};
    ck_assert(isnan(be->ops->gemm_rate(be, &huge, 0.02)));
    ck_assert_int_eq(be->ops->sync(be, &err), WZ_ERR_RESOURCE);
#endif
    be->ops->destroy(be);
}
END_TEST

START_TEST(memory_rate_is_measured_for_any_size)
{
    static const size_t sizes[] = {0, 1000, 1 << 16};
    wz_backend *be = test_backend(2);
    wz_error err = {{0}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const double rate = be->ops->memory_rate(be, sizes[i], 0.02);
        ck_assert_msg(isfinite(rate) && rate > 0.0, "%zu bytes: %g", sizes[i], rate);
    }
    ck_assert_msg(be->ops->sync(be, &err) == WZ_OK, "%s", err.text);
#ifdef WZ_TEST_CUDA
    ck_assert(isnan(be->ops->memory_rate(be, (size_t)1 << 50, 0.02)));
    ck_assert_int_eq(be->ops->sync(be, &err), WZ_ERR_RESOURCE);
#endif
    be->ops->destroy(be);
}
END_TEST

#ifdef WZ_TEST_CUDA
/* The format's definition: sign, 8 bits of exponent, 7 of fraction. */
static const struct {
    float value;
    uint16_t bits;
} roundings[] = {
    {0.0f, 0x0000},          {-0.0f, 0x8000},     {1.0f, 0x3f80},
    {-2.5f, 0xc020},         {0x1.01p0f, 0x3f80}, /* half-way between 1 and 1 + 2^-7: to the even fraction, below */
    {0x1.03p0f, 0x3f82},                          /* between 1 + 2^-7 and 1 + 2^-6: above */
    {0x1.010002p0f, 0x3f81},                      /* more than half-way */
    {0x1.02fffep0f, 0x3f81},                      /* less */
    {-0x1.ffp0f, 0xc000},                         /* to the next power of two */
    {0x1.fep127f, 0x7f7f},                        /* the largest */
    {0x1.ffp127f, 0x7f80},                        /* beyond: infinity */
    {INFINITY, 0x7f80},      {-INFINITY, 0xff80}, {0x1p-130f, 0x0008}, /* below normal numbers */
};
enum { ROUNDINGS = sizeof roundings / sizeof roundings[0] };

START_TEST(convert_rounds_to_the_nearest_even_and_keeps_nan)
{
    float values[ROUNDINGS + 1];
    choose_order(_i);
    uint16_t got[ROUNDINGS + 1];
    void *block = NULL;
    wz_error err = {{0}};
    wz_backend *be = test_backend_of(WZ_BF16, 1);
    for (int i = 0; i < ROUNDINGS; i++)
        values[i] = roundings[i].value;
    values[ROUNDINGS] = NAN;
    float *there = backend_place(be, values, ROUNDINGS + 1);
    ck_assert_msg(be->ops->alloc(be, sizeof got, "a test", &block, &err) == WZ_OK, "%s", err.text);
    be->ops->convert(be, (wz_tensor){block, 1, ROUNDINGS + 1, ROUNDINGS + 1, WZ_BF16},
                     (wz_tensor){there, 1, ROUNDINGS + 1, ROUNDINGS + 1, WZ_F32});
    be->ops->download(be, got, block, sizeof got);
    ck_assert_msg(be->ops->sync(be, &err) == WZ_OK, "%s", err.text);
    for (int i = 0; i < ROUNDINGS; i++)
        ck_assert_msg(got[i] == roundings[i].bits, "%a became %04x, not %04x", (double)values[i], got[i],
                      roundings[i].bits);
    ck_assert_msg((got[ROUNDINGS] & 0x7f80) == 0x7f80 && (got[ROUNDINGS] & 0x7f) != 0, "NaN became %04x",
                  got[ROUNDINGS]);
    be->ops->release(be, there);
    be->ops->release(be, block);
    be->ops->destroy(be);
}
END_TEST
#endif

#ifdef WZ_TEST_CUDA /* the host would promise the memory, or its sanitizer end the program */
START_TEST(memory_that_is_not_there_is_reported)
{
    wz_backend *be = test_backend(2);
    wz_error err = {{0}};
    void *block = NULL;
    ck_assert_int_eq(be->ops->alloc(be, (size_t)1 << 50, "a table", &block, &err), WZ_ERR_RESOURCE);
    ck_assert_ptr_null(block);
    ck_assert_msg(strstr(err.text, "a table") != NULL, "%s", err.text);
    /* nothing of it is left to be reported later, and memory that is there can still be had */
    ck_assert_msg(be->ops->sync(be, &err) == WZ_OK, "%s", err.text);
    ck_assert_msg(be->ops->alloc(be, 1000, "a row", &block, &err) == WZ_OK, "%s", err.text);
    be->ops->release(be, block);
    be->ops->destroy(be);
}
END_TEST
#endif

static Suite *backend_suite(void)
{
    Suite *suite = suite_create("backend");
    TCase *table = tcase_create("table");
    tcase_set_timeout(table, 120);
    tcase_add_loop_test(table, op_forward_and_backward_match_the_formula, 0, (int)backend_case_count);
    TCase *others = tcase_create("others");
    tcase_add_loop_test(others, sum_squares_matches_a_plain_sum_on_any_threads_and_shows_nan, 0, ORDERS);
    tcase_add_loop_test(others, adamw_five_steps_match_the_algorithm, 0, ORDERS);
    tcase_add_loop_test(others, blend_follows_its_formula, 0, ORDERS);
    tcase_add_test(others, backend_says_what_it_is);
    tcase_add_loop_test(others, gemm_rate_is_measured_for_every_kind_of_product, 0, PRECISIONS);
    tcase_add_test(others, memory_rate_is_measured_for_any_size);
#ifdef WZ_TEST_CUDA
    tcase_add_loop_test(others, convert_rounds_to_the_nearest_even_and_keeps_nan, 0, ORDERS);
    tcase_add_test(others, memory_that_is_not_there_is_reported);
#endif
    suite_add_tcase(suite, table);
    suite_add_tcase(suite, others);
    return suite;
}

int main(void)
{
    return backend_main(backend_suite());
}
