/* User-to-block assignment, and the assignment solvers behind it. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "rewards/solvers/hungarian.h"
#include "rewards/solvers/matching.h"
#include "tasks/assignment.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_assignment;

static wz_draws stream(uint32_t number)
{
    const wz_draw_key key = {.seed = 31, .problem = number, .purpose = WZ_PURPOSE_TOOL};
    return wz_draws_from(&key, 0);
}

/* ---- Hungarian algorithm ---- */

/* Best sum over all sets of columns for the first rows: dynamic programming, 2^columns columns steps. */
static double best_by_subsets(size_t rows, size_t columns, const double *value)
{
    const size_t sets = (size_t)1 << columns;
    double *best = malloc(sets * sizeof *best), found = -INFINITY;
    ck_assert_ptr_nonnull(best);
    for (size_t set = 0; set < sets; set++) {
        const size_t row = (size_t)__builtin_popcountll(set);
        best[set] = set == 0 ? 0 : -INFINITY;
        for (size_t j = 0; j < columns && row > 0 && row <= rows; j++)
            if (set >> j & 1)
                best[set] = fmax(best[set], best[set & ~((size_t)1 << j)] + value[(row - 1) * columns + j]);
        if (row == rows)
            found = fmax(found, best[set]);
    }
    free(best);
    return found;
}

/* Least cost 1 + 2 + 2 = 5 (worked by hand: row and column minima leave zeros at (0,1), (1,0), (2,2)). */
START_TEST(hungarian_three_by_three_worked_by_hand)
{
    static const double value[] = {-4, -1, -3, -2, 0, -5, -3, -2, -2};
    unsigned column[3];
    ck_assert_double_eq(wz_hungarian(3, 3, value, column, NULL, NULL), -5);
    ck_assert(column[0] == 1 && column[1] == 0 && column[2] == 2);
}
END_TEST

START_TEST(hungarian_equals_dynamic_programming_over_subsets)
{
    for (uint32_t n = 0; n < 400; n++) {
        wz_draws draws = stream(n);
        const size_t columns = 1 + wz_draws_below(&draws, 9),
                     rows = 1 + wz_draws_below(&draws, (unsigned)columns);
        const unsigned span = n % 3 == 0 ? 3 : 1000; /* many ties, few */
        double value[81];
        unsigned column[9];
        for (size_t e = 0; e < rows * columns; e++)
            value[e] = (double)wz_draws_below(&draws, span) - (n % 2 ? 0 : span / 2.0);
        ck_assert_double_eq(wz_hungarian(rows, columns, value, column, NULL, NULL),
                            best_by_subsets(rows, columns, value));
    }
}
END_TEST

/* Whole numbers, so that prices and sums are exact: a feasible pair of assignment and prices of equal sums proves both
 * optimal (linear programming duality), whatever algorithm found them. */
START_TEST(hungarian_prices_prove_the_optimum)
{
    static const size_t sizes[][2] = {{1, 1}, {1, 128}, {5, 9}, {16, 16}, {40, 100}, {64, 64}, {128, 128}};
    static double value[WZ_HUNGARIAN_MAX * WZ_HUNGARIAN_MAX];
    for (uint32_t n = 0; n < 28; n++) {
        const size_t rows = sizes[n % 7][0], columns = sizes[n % 7][1];
        wz_draws draws = stream(1000 + n);
        double row_price[WZ_HUNGARIAN_MAX], column_price[WZ_HUNGARIAN_MAX], prices = 0, assigned = 0;
        unsigned column[WZ_HUNGARIAN_MAX];
        size_t repeated = 0;
        for (size_t e = 0; e < rows * columns; e++)
            value[e] = (double)wz_draws_below(&draws, n < 14 ? 5 : 100000) - 3;
        const double sum = wz_hungarian(rows, columns, value, column, row_price, column_price);
        ck_assert_uint_eq(wz_match_repeats(rows, column, &repeated), 0);
        for (size_t i = 0; i < rows; i++) {
            prices += row_price[i];
            assigned += value[i * columns + column[i]];
            for (size_t j = 0; j < columns; j++)
                ASSERT_EACH(value[i * columns + j] <= row_price[i] + column_price[j], "%zu, %zu", i, j);
        }
        for (size_t j = 0; j < columns; j++) {
            ASSERT_EACH(column_price[j] >= 0, "column %zu", j);
            prices += column_price[j];
        }
        ck_assert_double_eq(sum, assigned);
        ck_assert_double_eq(sum, prices);
    }
}
END_TEST

/* Rearrangement inequality: with value[i][j] = a_i b_j the largest goes to the largest. */
START_TEST(hungarian_products_are_sorted_alike)
{
    static double value[WZ_HUNGARIAN_MAX * WZ_HUNGARIAN_MAX];
    const size_t n = WZ_HUNGARIAN_MAX;
    uint8_t a[WZ_HUNGARIAN_MAX], b[WZ_HUNGARIAN_MAX];
    unsigned column[WZ_HUNGARIAN_MAX];
    double best = 0;
    wz_draws draws = stream(5);
    wz_draws_permutation(&draws, n, a);
    wz_draws_permutation(&draws, n, b);
    for (size_t i = 0; i < n; i++) {
        best += (double)(i * i);
        for (size_t j = 0; j < n; j++)
            value[i * n + j] = (double)a[i] * b[j];
    }
    ck_assert_double_eq(wz_hungarian(n, n, value, column, NULL, NULL), best);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(a[i], b[column[i]]);
}
END_TEST

/* ---- simple matchings ---- */

START_TEST(simple_matchings_worked_by_hand)
{
    static const double value[] = {9, 8, 1, /* */ 10, 2, 1, /* */ 9, 7, 5};
    unsigned column[3];
    wz_match_greedy(3, 3, value, column); /* 10, then 8, then 5 */
    ck_assert(column[0] == 1 && column[1] == 0 && column[2] == 2);
    wz_match_rows(3, 3, value, column); /* 9; 2; 5 */
    ck_assert(column[0] == 0 && column[1] == 1 && column[2] == 2);
    wz_match_columns(3, 3, value, column); /* 10 to the second row, 8 to the first, 5 */
    ck_assert(column[0] == 1 && column[1] == 0 && column[2] == 2);
    static const double wide[] = {1, 4, 4, 9, /* */ 9, 3, 3, 8};
    wz_match_rows(2, 4, wide, column); /* 9; 9 */
    ck_assert(column[0] == 3 && column[1] == 0);
    wz_match_columns(2, 4, wide, column); /* column 0 takes row 1, column 1 what is left */
    ck_assert(column[0] == 1 && column[1] == 0);
}
END_TEST

/* 24 permutations, 24,000 draws: a count is off by 5 standard errors, 155, once in 10^6. */
START_TEST(random_matching_is_uniform)
{
    double count[256] = {0};
    for (uint32_t n = 0; n < 24000; n++) {
        wz_draws draws = stream(100000 + n);
        unsigned column[4];
        size_t row;
        wz_match_random(4, 4, &draws, column);
        ck_assert_uint_eq(wz_match_repeats(4, column, &row), 0);
        count[column[0] | column[1] << 2 | column[2] << 4 | column[3] << 6]++;
    }
    size_t seen = 0;
    for (size_t code = 0; code < 256; code++)
        if (count[code] > 0) {
            ck_assert_double_le(fabs(count[code] - 1000), 155);
            seen++;
        }
    ck_assert_uint_eq(seen, 24);
}
END_TEST

START_TEST(repeats_are_counted_beyond_the_first)
{
    static const unsigned none[] = {2, 0, 1}, two[] = {1, 1, 2, 1}, all[] = {3, 3, 3, 3};
    size_t row = 99;
    ck_assert_uint_eq(wz_match_repeats(3, none, &row), 0);
    ck_assert_uint_eq(row, 99);
    ck_assert_uint_eq(wz_match_repeats(4, two, &row), 2);
    ck_assert_uint_eq(row, 1);
    ck_assert_uint_eq(wz_match_repeats(4, all, &row), 3);
}
END_TEST

/* ---- the family ---- */

/* The printed rate is at most k iff X < (2^((k + 0.5) / 10) - 1) / snr, X exponential. Kolmogorov-Smirnov with n = 64,000:
 * the distance exceeds 1.95 / sqrt(n) once in 1,000 seeds. */
START_TEST(generate_rates_follow_the_law)
{
    static const double snrs_db[] = {10, 0, 25};
    static const char *const changed[] = {"users=16", "users=16 snr_db=0", "users=16 snr_db=25"};
    for (size_t s = 0; s < 3; s++) {
        double count[WZ_MAX_TENTHS + 1] = {0}, below = 0;
        const double n = 250 * 256;
        for (uint32_t i = 0; i < 250; i++) {
            wz_problem problem = family_problem(task, changed[s], i);
            for (size_t e = 0; e < 256; e++)
                count[problem.numbers[e]]++;
            wz_problem_clear(&problem);
        }
        for (int k = 0; k < WZ_MAX_TENTHS; k++) {
            below += count[k];
            const double law = 1 - exp(-(exp2((k + 0.5) / 10) - 1) / pow(10, snrs_db[s] / 10));
            ck_assert_double_le(fabs(below / n - law), 1.95 / sqrt(n));
        }
    }
}
END_TEST

static const int32_t by_hand[] = {58,         31, 4, /* regret 27 */ 40, 44, 12,
                                  /* 4 */ 30, 34, 5 /* 4, smaller best */};

START_TEST(prompts_say_what_the_numbers_are)
{
    wz_problem problem = family_from_numbers(task, "users=3", by_hand, 9);
    family_prints(&problem, WZ_PROMPT_COMPACT,
                  " user block rate a A 58 B 31 C 4 b B 44 A 40 C 12 c B 34 A 30 C 5<answer>");
    family_prints(&problem, WZ_PROMPT_FULL,
                  "3 users, numbered 1 to 3, are to be served on 3 resource blocks, A to C. The rate of each "
                  "user on each "
                  "block, in bit/s/Hz:\nUser 1: A 5.8, B 3.1, C 0.4\nUser 2: A 4.0, B 4.4, C 1.2\nUser 3: A "
                  "3.0, B 3.4, "
                  "C 0.5\nEach user gets exactly one block, and no block is given to two users. Choose the "
                  "assignment that "
                  "maximises the sum of the users' rates.\n" FULL_PROMPT_END(
                      "the 3 block labels in the order of the users, separated by single spaces"));
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(numbers_out_of_order_or_range_are_refused)
{
    static const int32_t regret[] = {40, 44, 12, 58, 31, 4, 30, 34, 5},
                         tie[] = {30, 34, 5, 40, 44, 12, 1, 2, 3};
    static const int32_t zeros[9] = {0}, high[] = {201, 0, 0, 0}, negative[] = {3, -1, 0, 0};
    family_refuses(task, "users=3", regret, 9, "user 1 stands where user 2 should");
    family_refuses(task, "users=3", tie, 9, "user 1 stands where user 2 should");
    family_refuses(task, "users=3", zeros, 9, "all rates are 0");
    family_refuses(task, "users=2", high, 4, "number 1, a rate, is 201; it must lie in 0 to 200");
    family_refuses(task, "users=2", negative, 4, "number 2, a rate, is -1");
    family_refuses(task, "users=3", by_hand, 8, "8 numbers where its options ask for 9");
}
END_TEST

/* Best: 58 + 44 + 5 = 107, worked by hand; in order 58 + 44 + 5 too; blocks: A to a (58), B to b (44), C to c. */
START_TEST(verdicts_of_a_problem_worked_by_hand)
{
    wz_problem problem = family_from_numbers(task, "users=3", by_hand, 9);
    const wz_reference known = family_reference(&problem, NULL);
    ck_assert_int_eq(known.kind, WZ_REFERENCE_OPTIMUM);
    ck_assert_double_eq_tol(known.objective, 10.7, 1e-12);
    ck_assert_double_eq_tol(known.best_trivial, 10.7, 1e-12);
    const wz_verdict best = family_verdict(&problem, " A B C</answer>"),
                     other = family_verdict(&problem, " A C B</answer>");
    ck_assert(best.kind == WZ_VERDICT_FEASIBLE && best.is_optimum);
    ck_assert_double_eq_tol(other.objective, 5.8 + 1.2 + 3.4, 1e-12);
    ck_assert(!other.is_optimum);
    family_violates(&problem, " A B B</answer>", 1, 0.5,
                    "block B goes to user 3, too; users beyond the first of their block: 1");
    family_violates(&problem, " B B B</answer>", 2, 1,
                    "block B goes to user 2, too; users beyond the first of their block: 2");
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(two_users_have_the_closed_form)
{
    for (uint32_t n = 0; n < 200; n++) {
        wz_problem problem = family_problem(task, "users=2", n);
        const int32_t *r = problem.numbers;
        const int32_t straight = r[0] + r[3], crossed = r[1] + r[2];
        const wz_reference known = family_reference(&problem, NULL);
        ck_assert_double_eq_tol(known.objective, (straight > crossed ? straight : crossed) / 10.0, 1e-12);
        ck_assert_double_eq_tol(known.best_trivial, straight / 10.0, 1e-12);
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(sixteen_users_equal_dynamic_programming)
{
    for (uint32_t n = 0; n < 8; n++) {
        wz_problem problem = family_problem(task, "users=16", n);
        const double best = best_by_subsets(16, 16, ((const wz_assignment *)problem.payload)->rate);
        ck_assert_double_eq(family_reference(&problem, NULL).objective, best / 10.0);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* Whoever always takes the block that stands first in the row, or writes labels, numbers or rows of the prompt: two users
 * of one best block are infeasible; one label for all is; what is no label is no answer. */
START_TEST(copies_of_the_prompt_earn_what_they_are_worth)
{
    size_t infeasible = 0, problems = 300;
    for (uint32_t n = 0; n < problems; n++) {
        wz_problem problem = family_problem(task, "users=4", n);
        wz_text text = {0};
        wz_error err;
        unsigned best[4];
        size_t row;
        for (size_t i = 0; i < 4; i++) {
            best[i] = 0;
            for (unsigned j = 1; j < 4; j++)
                if (problem.numbers[i * 4 + j] > problem.numbers[i * 4 + best[i]])
                    best[i] = j;
        }
        for (size_t i = 0; i < 4; i++)
            ck_assert_int_eq(wz_text_printf(&text, &err, " %c", 'A' + (int)best[i]), WZ_OK);
        ck_assert_int_eq(wz_text_printf(&text, &err, "</answer>"), WZ_OK);
        const wz_verdict verdict = family_verdict(&problem, text.data);
        const size_t repeats = wz_match_repeats(4, best, &row);
        ck_assert_int_eq(verdict.kind, repeats > 0 ? WZ_VERDICT_INFEASIBLE : WZ_VERDICT_FEASIBLE);
        ck_assert_double_eq(verdict.violation, (double)repeats);
        ck_assert_int_eq(verdict.is_optimum, repeats == 0);
        infeasible += repeats > 0;
        static const char *const others[] = {
            " A A A A</answer>", " D D D D</answer>",   " a b c d</answer>", " A B C</answer>",
            " A B C E</answer>", " A B C D D</answer>", " 1 2 3 4</answer>", " A B C none</answer>"};
        family_rejects_all(&problem, others, sizeof others / sizeof *others);
        wz_text_clear(&text);
        wz_problem_clear(&problem);
    }
    /* 4! / 4^4 = 0.094 of all problems have four different best blocks; 300 problems: 5 standard errors are 25 */
    ck_assert_double_le(fabs((double)infeasible - 300 * (1 - 24.0 / 256)), 25);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("assignment");
    TCase *cases = tcase_create("assignment");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, hungarian_three_by_three_worked_by_hand);
    tcase_add_test(cases, hungarian_equals_dynamic_programming_over_subsets);
    tcase_add_test(cases, hungarian_prices_prove_the_optimum);
    tcase_add_test(cases, hungarian_products_are_sorted_alike);
    tcase_add_test(cases, simple_matchings_worked_by_hand);
    tcase_add_test(cases, random_matching_is_uniform);
    tcase_add_test(cases, repeats_are_counted_beyond_the_first);
    tcase_add_test(cases, generate_rates_follow_the_law);
    tcase_add_test(cases, prompts_say_what_the_numbers_are);
    tcase_add_test(cases, numbers_out_of_order_or_range_are_refused);
    tcase_add_test(cases, verdicts_of_a_problem_worked_by_hand);
    tcase_add_test(cases, two_users_have_the_closed_form);
    tcase_add_test(cases, sixteen_users_equal_dynamic_programming);
    tcase_add_test(cases, copies_of_the_prompt_earn_what_they_are_worth);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
