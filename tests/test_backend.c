/* Every op of the table against the double-precision formulas and their central differences. */
#include "tests/backend_case.h"
#include "tests/backend_main.h"
#include "tests/backend_sums.h"

START_TEST(op_forward_and_backward_match_the_formula)
{
    const op_case *test = &backend_cases[_i];
    if (test->large)
        return;
    wz_backend *be = cpu_backend_with(2);
    case_check(test, be);
    be->ops->destroy(be);
}
END_TEST

START_TEST(sum_squares_matches_a_plain_sum_on_any_threads_and_shows_nan)
{
    double first = 0.0;
    for (size_t threads = 1; threads <= 4; threads++) {
        wz_backend *be = cpu_backend_with(threads);
        const double got = sum_squares_check(be);
        first = threads == 1 ? got : first;
        ck_assert_double_eq(got, first);
        be->ops->destroy(be);
    }
}
END_TEST

START_TEST(adamw_five_steps_match_the_algorithm)
{
    wz_backend *be = cpu_backend_with(3);
    adamw_check(be);
    be->ops->destroy(be);
}
END_TEST

START_TEST(backend_cpu_says_what_it_is)
{
    wz_backend *be = cpu_backend_with(2);
    ck_assert_str_eq(be->ops->name, "cpu");
    ck_assert(be->ops->supports_type(be, WZ_F32));
    ck_assert(!be->ops->supports_type(be, WZ_BF16) && !be->ops->supports_low_rank(be));
    wz_backend_info info;
    be->ops->describe(be, &info);
    ck_assert_int_eq(info.threads, 2);
    ck_assert_str_eq(info.kernels, wz_backend_cpu_core_name());
    ck_assert_int_ge(info.row_tile, 1);
    ck_assert_int_ge(info.micro_batch, 1);
    be->ops->destroy(be);
}
END_TEST

static Suite *backend_suite(void)
{
    Suite *suite = suite_create("backend");
    TCase *table = tcase_create("table");
    tcase_set_timeout(table, 120);
    tcase_add_loop_test(table, op_forward_and_backward_match_the_formula, 0, (int)backend_case_count);
    TCase *others = tcase_create("others");
    tcase_add_test(others, sum_squares_matches_a_plain_sum_on_any_threads_and_shows_nan);
    tcase_add_test(others, adamw_five_steps_match_the_algorithm);
    tcase_add_test(others, backend_cpu_says_what_it_is);
    suite_add_tcase(suite, table);
    suite_add_tcase(suite, others);
    return suite;
}

int main(void)
{
    return backend_main(backend_suite());
}
