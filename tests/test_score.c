/* Scores of an evaluation: percentiles, shares, and the bootstrap against closed forms. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "engine/core/philox.h"
#include "engine/run/score.h"
#include "tests/suite.h"

/* By hand: ratios 1, 0.5, 0.9, 0 (infeasible); gaps sorted 0, 0.1, 0.5, 1. Quantiles of type 7 (numpy's default):
 * position q (n - 1) = 1.5, 2.7, 2.97. */
START_TEST(score_of_four_problems_is_that_by_hand)
{
    const double objective[4] = {2.0, 2.0, 0.9, 5.0}, reference[4] = {2.0, 4.0, 1.0, 5.0},
                 field[4] = {2.0, 3.0, 1.0, 4.0};
    const uint8_t feasible[4] = {1, 1, 1, 0};
    const wz_score_input input = {4, objective, reference, field, feasible, NULL, 1, NULL};
    wz_score score;
    ck_assert_int_eq(wz_score_problems(&input, &score, NULL), WZ_OK);
    ck_assert_double_eq_tol(score.mean, 0.6, 1e-15);
    ck_assert_double_eq_tol(score.ratio_of_means, 4.9 / 12.0, 1e-15);
    ck_assert_double_eq_tol(score.percent_of_field, 49.0, 1e-12);
    ck_assert_double_eq(score.feasible, 0.75);
    ck_assert_double_eq(score.exact_optimum, 0.25);
    ck_assert_double_eq_tol(score.gap_p50, 0.3, 1e-15);
    ck_assert_double_eq_tol(score.gap_p90, 0.5 + 0.7 * 0.5, 1e-15);
    ck_assert_double_eq_tol(score.gap_p99, 0.5 + 0.97 * 0.5, 1e-15);
}
END_TEST

/* The mean of n draws from values with deviation s (divided by n) has deviation s / sqrt(n) and is near normal, so the
 * interval is mean -+ 1.96 s / sqrt(n). Sampling error of a 2.5% point from 1,000 resamples: sqrt(.025 .975 / 1000) /
 * density(1.96 s.d.) = 0.0049 / 0.0584 = 0.084 deviations; four of these are allowed. */
START_TEST(bootstrap_interval_is_near_the_normal_one)
{
    enum { N = 2000 };
    static double objective[N], ones[N];
    double mean = 0.0, squares = 0.0;
    for (uint32_t i = 0; i < N; i++) {
        uint32_t words[4];
        wz_draw_init_words(99, WZ_PURPOSE_TOOL, 0, i, words);
        objective[i] = wz_uniform(words[0]) * wz_uniform(words[1]);
        ones[i] = 1.0;
        mean += objective[i] / N;
    }
    for (int i = 0; i < N; i++)
        squares += (objective[i] - mean) * (objective[i] - mean);
    const double deviation = sqrt(squares / N / N);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const wz_score_input input = {N, objective, ones, ones, NULL, NULL, seed, NULL};
        wz_score score;
        ck_assert_int_eq(wz_score_problems(&input, &score, NULL), WZ_OK);
        ck_assert_double_eq_tol(score.mean, mean, 1e-12);
        ck_assert_double_eq_tol(score.ci_low, mean - 1.96 * deviation, 4 * 0.084 * deviation);
        ck_assert_double_eq_tol(score.ci_high, mean + 1.96 * deviation, 4 * 0.084 * deviation);
    }
}
END_TEST

/* R = sum x / sum y has, to first order, deviation sqrt(sum (x_i - R y_i)^2) / (n mean y) (delta method; Cochran, Sampling
 * Techniques, 6.4). Sampling error of the points as above; second-order terms, and the bias of R, are of order 1 / n times the
 * squared coefficient of variation of y (1/12 here), 4e-5 of R, or 0.01 deviations. Where x = 2 y on every problem the ratio of
 * every resample is 2, however x and y vary. */
START_TEST(bootstrap_interval_of_a_ratio_of_means_is_that_of_the_delta_method)
{
    enum { N = 2000 };
    static double objective[N], reference[N], field[N];
    double sum_x = 0.0, sum_y = 0.0, squares = 0.0;
    for (uint32_t i = 0; i < N; i++) {
        uint32_t words[4];
        wz_draw_init_words(98, WZ_PURPOSE_TOOL, 0, i, words);
        reference[i] = 0.5 + wz_uniform(words[0]);
        objective[i] = reference[i] * wz_uniform(words[1]);
        field[i] = objective[i] / 2;
        sum_x += objective[i];
        sum_y += reference[i];
    }
    for (int i = 0; i < N; i++) {
        const double residual = objective[i] - sum_x / sum_y * reference[i];
        squares += residual * residual;
    }
    const double deviation = sqrt(squares) / sum_y;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const wz_score_input input = {N, objective, reference, field, NULL, NULL, seed, NULL};
        wz_score score;
        ck_assert_int_eq(wz_score_problems(&input, &score, NULL), WZ_OK);
        ck_assert_double_eq_tol(score.ratio_of_means, sum_x / sum_y, 1e-12);
        ck_assert_double_eq_tol(score.ratio_of_means_low, sum_x / sum_y - 1.96 * deviation,
                                (4 * 0.084 + 0.01) * deviation);
        ck_assert_double_eq_tol(score.ratio_of_means_high, sum_x / sum_y + 1.96 * deviation,
                                (4 * 0.084 + 0.01) * deviation);
        ck_assert_double_eq_tol(score.percent_of_field, 200.0, 1e-9);
        ck_assert_double_eq_tol(score.percent_low, 200.0, 1e-9);
        ck_assert_double_eq_tol(score.percent_high, 200.0, 1e-9);
    }
}
END_TEST

/* Two problems, ratios 0 and 1: a resample's mean is 0, 1/2 or 1 with probabilities 1/4, 1/2, 1/4, so the 2.5% and
 * 97.5% points are exactly 0 and 1. One problem: no spread at all. */
START_TEST(bootstrap_of_few_problems_is_exact)
{
    const double objective[2] = {0.0, 1.0}, ones[2] = {1.0, 1.0};
    const wz_score_input two = {2, objective, ones, ones, NULL, NULL, 7, NULL},
                         one = {1, objective + 1, ones, ones, NULL, NULL, 7, NULL};
    wz_score score;
    ck_assert_int_eq(wz_score_problems(&two, &score, NULL), WZ_OK);
    ck_assert_double_eq(score.ci_low, 0.0);
    ck_assert_double_eq(score.ci_high, 1.0);
    ck_assert_int_eq(wz_score_problems(&one, &score, NULL), WZ_OK);
    ck_assert_double_eq(score.ci_low, 1.0);
    ck_assert_double_eq(score.ci_high, 1.0);
    ck_assert_double_eq(score.gap_p99, 0.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("score");
    TCase *tests = tcase_create("score");
    tcase_add_test(tests, score_of_four_problems_is_that_by_hand);
    tcase_add_test(tests, bootstrap_interval_is_near_the_normal_one);
    tcase_add_test(tests, bootstrap_interval_of_a_ratio_of_means_is_that_of_the_delta_method);
    tcase_add_test(tests, bootstrap_of_few_problems_is_exact);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
