/* Every op of the table against the double-precision formulas and their central differences. */
#include <math.h>

#include "tests/backend_case.h"
#include "tests/backend_main.h"

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

/* ---- sums and AdamW, on more than one block of 16384 floats ---- */

#define COUNT 40013

static float *uniform(uint32_t what)
{
    float *values = malloc(sizeof(float) * COUNT);
    ck_assert_ptr_nonnull(values);
    fill_uniform(values, COUNT, what);
    return values;
}

/* Double products of floats are exact; n additions in double round n 2^-53 at most. */
START_TEST(sum_squares_matches_a_plain_sum_on_any_threads_and_shows_nan)
{
    float *x = uniform(3);
    double expected = 0.0, first = 0.0;
    for (int i = 0; i < COUNT; i++)
        expected += (double)x[i] * (double)x[i];
    for (size_t threads = 1; threads <= 4; threads++) {
        wz_backend *be = cpu_backend_with(threads);
        const double got = be->ops->sum_squares(be, x, COUNT);
        first = threads == 1 ? got : first;
        ck_assert_double_eq(got, first);
        ck_assert_double_le(fabs(got - expected), COUNT * 0x1p-52 * expected);
        ck_assert_double_eq(be->ops->sum_squares(be, x, 0), 0.0);
        const float held = x[COUNT - 1];
        x[COUNT - 1] = threads % 2 == 0 ? NAN : INFINITY;
        ck_assert(!isfinite(be->ops->sum_squares(be, x, COUNT)));
        x[COUNT - 1] = held;
        be->ops->destroy(be);
    }
    free(x);
}
END_TEST

/* Loshchilov & Hutter 2019, algorithm 2, in double over five steps. In float a step rounds about ten times, relative to
 * the weight and to the update of at most 1.2 lr, for the denominators here are above 1e-4: 10 * 5 * 2^-24. */
START_TEST(adamw_five_steps_match_the_algorithm)
{
    wz_backend *be = cpu_backend_with(3);
    const wz_adamw options = {
        .learning_rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.95f, .epsilon = 1e-8f, .weight_decay = 0.1f};
    float *w = uniform(4), *m = calloc(COUNT, sizeof *m), *v = calloc(COUNT, sizeof *v);
    double *state = calloc(3 * COUNT, sizeof *state);
    ck_assert(m != NULL && v != NULL && state != NULL);
    for (int i = 0; i < COUNT; i++)
        state[i] = (double)w[i];
    for (int step = 1; step <= 5; step++) {
        float *g = uniform(10 + (uint32_t)step);
        wz_adamw now = options;
        now.step = step;
        be->ops->adamw(be, w, m, v, g, COUNT, 0.5f, &now);
        for (int i = 0; i < COUNT; i++) {
            double *at = state + i, *first = at + COUNT, *second = first + COUNT;
            const double b1 = (double)options.beta1, b2 = (double)options.beta2, slope = 0.5 * (double)g[i];
            *first = b1 * *first + (1.0 - b1) * slope;
            *second = b2 * *second + (1.0 - b2) * slope * slope;
            *at -= (double)options.learning_rate *
                   (*first / (1.0 - pow(b1, step)) /
                        (sqrt(*second / (1.0 - pow(b2, step))) + (double)options.epsilon) +
                    (double)options.weight_decay * *at);
        }
        free(g);
    }
    for (int i = 0; i < COUNT; i++)
        ck_assert_msg(fabs((double)w[i] - state[i]) <= 50.0 * UNIT_ROUNDOFF * (fabs(state[i]) + 0.06),
                      "weight %d is %.9g, expected %.9g", i, (double)w[i], state[i]);
    void *const blocks[] = {w, m, v, state};
    for (int i = 0; i < 4; i++)
        free(blocks[i]);
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
