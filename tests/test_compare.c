/* The paired test of two policies: against scipy, against counting, and where the answer is known. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "engine/core/philox.h"
#include "engine/run/compare.h"
#include "tests/suite.h"

static wz_comparison compare(const double *a, const double *b, int64_t problems, uint64_t seed)
{
    wz_comparison c;
    wz_error err = {{0}};
    ck_assert_msg(wz_compare_ratios(a, b, problems, seed, &c, &err) == WZ_OK, "%s", err.text);
    ck_assert_int_eq(c.wins + c.ties + c.losses, problems);
    return c;
}

/* p by counting all sign patterns. Sums are compared in whole thousandths, so nothing is rounded. */
static double counted(const int *thousandths, int count)
{
    long reached = 0;
    int observed = 0;
    for (int i = 0; i < count; i++)
        observed += thousandths[i];
    for (uint32_t pattern = 0; pattern < 1u << count; pattern++) {
        int sum = 0;
        for (int i = 0; i < count; i++)
            sum += pattern >> i & 1 ? -thousandths[i] : thousandths[i];
        reached += abs(sum) >= abs(observed);
    }
    return (double)reached / (double)(1u << count);
}

/* Ratios whose differences are whole thousandths, some of them nothing. */
static void draw_ratios(uint32_t number, int count, int lean, double *a, double *b, int *thousandths)
{
    for (int i = 0; i < count; i++) {
        uint32_t words[4];
        wz_draw_init_words(11, WZ_PURPOSE_TOOL, number, (uint64_t)i, words);
        const int first = (int)(words[0] % 1001), second = (int)(words[1] % 1001);
        thousandths[i] = words[2] % 5 == 0 ? 0 : first - second + lean;
        b[i] = first / 1000.0;
        a[i] = (first + thousandths[i]) / 1000.0;
    }
}

/* scipy 1.17.1: permutation_test((d,), sum, permutation_type='samples', n_resamples=inf, vectorized=True).pvalue is
 * 0.0810546875 = 332 / 4096 for the first, and permutation_test((a, b), mean of x - y, ...) 0.09375 = 24 / 256 for the
 * second, which has two ties. */
START_TEST(sign_flip_p_is_that_of_scipy)
{
    const double d[12] = {0.12, -0.05, 0.30, 0.08, -0.02, 0.15, 0.04, -0.11, 0.22, 0.01, 0.09, -0.03},
                 zero[12] = {0};
    const double a[8] = {0.9, 0.8, 1.0, 0.7, 0.95, 0.6, 1.0, 0.85},
                 b[8] = {0.8, 0.85, 1.0, 0.6, 0.9, 0.6, 0.9, 0.7};
    wz_comparison c = compare(d, zero, 12, 1);
    ck_assert_double_eq(c.p_value, 332.0 / 4096.0);
    ck_assert(c.exact && c.flips == 4096);
    ck_assert_double_eq_tol(c.difference, 0.8 / 12, 1e-15);
    ck_assert(c.wins == 8 && c.ties == 0 && c.losses == 4);
    c = compare(a, b, 8, 1);
    ck_assert_double_eq(c.p_value, 24.0 / 256.0);
    ck_assert(c.exact && c.flips == 64); /* the ties have no sign */
    ck_assert(c.wins == 5 && c.ties == 2 && c.losses == 1);
    c = compare(b, a, 8, 1);
    ck_assert_double_eq(c.p_value, 24.0 / 256.0);
    ck_assert(c.wins == 1 && c.losses == 5);
}
END_TEST

/* Whole thousandths as doubles: patterns of equal sums must be found equal, however their terms are rounded. */
START_TEST(sign_flip_p_of_few_problems_is_counted)
{
    double a[16], b[16];
    int thousandths[16];
    for (int count = 1; count <= 16; count++)
        for (uint32_t number = 0; number < 8; number++) {
            draw_ratios(number, count, (int)number * 60, a, b, thousandths);
            const wz_comparison c = compare(a, b, count, number);
            ck_assert(c.exact);
            ASSERT_EACH(c.p_value == counted(thousandths, count), "%d problems, %u: %.17g, not %.17g", count,
                        number, c.p_value, counted(thousandths, count));
        }
}
END_TEST

/* 18 problems with at most one tie: more than 16 differ, so flips are random. p is a share of 9,999 draws, with deviation
 * sqrt(p (1 - p) / 9999), and 1 / 10000 is added for the observed signs; five deviations are allowed for 24 draws. */
START_TEST(sampled_sign_flips_come_near_counting)
{
    enum { N = 18 };
    double a[N], b[N];
    int thousandths[N];
    for (uint32_t number = 0; number < 12; number++) {
        bool has_tie = false;
        draw_ratios(100 + number, N, (int)number * 25, a, b, thousandths);
        for (int i = 0; i < N; i++) {
            if (thousandths[i] == 0 && has_tie) {
                thousandths[i] = 7;
                a[i] = b[i] + 0.007;
            }
            has_tie = has_tie || thousandths[i] == 0;
        }
        const double p = counted(thousandths, N);
        for (uint64_t seed = 1; seed <= 2; seed++) {
            const wz_comparison c = compare(a, b, N, seed);
            ck_assert(!c.exact && c.flips == 10000 && c.ties == has_tie);
            ck_assert_double_eq_tol(c.p_value, p, 5 * sqrt(p * (1 - p) / 9999) + 1e-4);
        }
    }
}
END_TEST

/* n problems that all go one way: only that pattern and its opposite reach the sum, p = 2 / 2^n. Of 40 such, no random
 * pattern does (probability 9999 * 2^-39), so p is the smallest there is, 1 / 10000. */
START_TEST(sign_flip_p_of_one_sided_problems_is_known)
{
    double ones[40], zero[40] = {0};
    for (int i = 0; i < 40; i++)
        ones[i] = 0.5 + i / 100.0;
    for (int n = 1; n <= 16; n++)
        ck_assert_double_eq(compare(ones, zero, n, 3).p_value, n == 1 ? 1.0 : ldexp(1.0, 1 - n));
    const wz_comparison c = compare(ones, zero, 40, 3);
    ck_assert_double_eq(c.p_value, 1e-4);
    ck_assert(!c.exact && c.wins == 40);
    ck_assert(c.ci_low > 0 && c.ci_low < c.difference && c.difference < c.ci_high);
}
END_TEST

/* The same policy twice, up to rounding: nothing to tell apart. */
START_TEST(equal_ratios_are_ties)
{
    double a[100], b[100];
    for (int i = 0; i < 100; i++) {
        a[i] = i / 100.0;
        b[i] = a[i] + (i % 2 == 0 ? 1e-12 : 0.0);
    }
    const wz_comparison c = compare(a, b, 100, 3);
    ck_assert_double_eq(c.difference, 0.0);
    ck_assert_double_eq(c.ci_low, 0.0);
    ck_assert_double_eq(c.ci_high, 0.0);
    ck_assert_double_eq(c.p_value, 1.0);
    ck_assert(c.exact && c.flips == 1 && c.ties == 100);
}
END_TEST

/* Pairs that differ by 0.01 +- 0.001 while ratios lie anywhere in 0..1: the mean of differences has deviation 0.001 /
 * sqrt(500), so the paired interval is about 0.00018 wide; one of unpaired means would have 0.05. Width of a bootstrap
 * interval: 2 * 1.96 deviations, its two ends uncertain by 0.084 deviations each (test_score.c), four of these allowed. */
START_TEST(bootstrap_interval_is_paired)
{
    enum { N = 500 };
    double a[N], b[N];
    for (int i = 0; i < N; i++) {
        b[i] = i * 7 % N / (double)N;
        a[i] = b[i] + (i % 2 == 0 ? 0.011 : 0.009);
    }
    const wz_comparison c = compare(a, b, N, 3), again = compare(a, b, N, 3), other = compare(a, b, N, 4);
    const double deviation = 0.001 / sqrt(N);
    ck_assert_double_eq_tol(c.difference, 0.01, 1e-12);
    ck_assert_double_eq_tol(c.ci_low, 0.01 - 1.96 * deviation, 4 * 0.084 * deviation);
    ck_assert_double_eq_tol(c.ci_high, 0.01 + 1.96 * deviation, 4 * 0.084 * deviation);
    ck_assert_double_eq(c.ci_low, again.ci_low);
    ck_assert_double_eq(c.p_value, again.p_value);
    ck_assert(other.ci_low != c.ci_low || other.ci_high != c.ci_high);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compare");
    TCase *tests = tcase_create("compare");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, sign_flip_p_is_that_of_scipy);
    tcase_add_test(tests, sign_flip_p_of_few_problems_is_counted);
    tcase_add_test(tests, sampled_sign_flips_come_near_counting);
    tcase_add_test(tests, sign_flip_p_of_one_sided_problems_is_known);
    tcase_add_test(tests, equal_ratios_are_ties);
    tcase_add_test(tests, bootstrap_interval_is_paired);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
