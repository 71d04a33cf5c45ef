/* OFDMA: the search over assignments against an integer programme and brute force, and what the family is made of. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "rewards/solvers/block_assignment.h"
#include "rewards/solvers/integer_program.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_ofdma;

/* ---- integer programmes ---- */

#define NODES 1000

/* Chvatal 1983, chapter 2: 5x + 4y + 3z has the maximum 13 at (2, 0, 1). */
static const double cost[] = {5, 4, 3}, high[] = {INFINITY, INFINITY, INFINITY},
                    low_row[] = {-INFINITY, -INFINITY, -INFINITY}, high_row[] = {5, 11, 8};
static const bool whole[] = {true, true, true};
static const wz_program_entry entries[] = {{0, 0, 2}, {0, 1, 3}, {0, 2, 1}, {1, 0, 4}, {1, 1, 1},
                                           {1, 2, 2}, {2, 0, 3}, {2, 1, 4}, {2, 2, 2}};
static const wz_integer_program chvatal = {3, 3, 9, cost, high, whole, low_row, high_row, entries};

static void solve_chvatal(void)
{
    double x[3];
    wz_program_end end;
    ck_assert_int_eq(wz_integer_program_solve(&chvatal, NODES, x, &end, &family_err), WZ_OK);
    ck_assert_int_eq(end, WZ_PROGRAM_OPTIMUM);
    ck_assert(x[0] == 2 && x[1] == 0 && x[2] == 1);
}

START_TEST(integer_program_known_instance)
{
    solve_chvatal();
}
END_TEST

START_TEST(integer_program_failures_are_errors_and_leave_nothing_behind)
{
    static const double impossible[] = {20, -INFINITY, -INFINITY};
    static const wz_program_entry outside[] = {{7, 0, 2}};
    wz_integer_program program = chvatal;
    double x[3];
    wz_program_end end;
    program.row_low =
        impossible; /* 2x + 3y + z from 20 to 30, where the second row allows no x or z beyond 11 */
    program.row_high = (const double[]){30, 11, 8};
    ck_assert_int_eq(wz_integer_program_solve(&program, NODES, x, &end, &family_err), WZ_ERR_RUNTIME);
    ck_assert_ptr_nonnull(strstr(family_err.text, "no solution"));
    program = chvatal;
    program.row_high = high; /* nothing bounds x */
    ck_assert_int_eq(wz_integer_program_solve(&program, NODES, x, &end, &family_err), WZ_ERR_RUNTIME);
    ck_assert_ptr_nonnull(strstr(family_err.text, "GLPK"));
    program = chvatal;
    program.entry = outside; /* GLPK would call abort */
    program.entries = 1;
    ck_assert_int_eq(wz_integer_program_solve(&program, NODES, x, &end, &family_err), WZ_ERR_RUNTIME);
    ck_assert_msg(strstr(family_err.text, "row index out of range") != NULL, "%s", family_err.text);
    solve_chvatal();
}
END_TEST

/* A knapsack against the table of all weights (Bellman): 20 items, 8 capacities. */
START_TEST(integer_program_knapsack_equals_dynamic_programming)
{
    wz_draws draws = wz_draws_of_problem(4003, 1, WZ_SPLIT_TEST, 0, 0);
    for (int n = 0; n < 8; n++) {
        const int capacity = 100 + 25 * n;
        double value[20], one[20], x[20], found = 0, best[301] = {0};
        bool is_whole[20];
        wz_program_entry row[20];
        wz_program_end end;
        for (int i = 0; i < 20; i++) {
            const int weight = 10 + (int)wz_draws_below(&draws, 50);
            value[i] = weight + (int)wz_draws_below(&draws, 10);
            one[i] = 1;
            is_whole[i] = true;
            row[i] = (wz_program_entry){0, i, weight};
            for (int left = capacity; left >= weight; left--)
                best[left] = fmax(best[left], best[left - weight] + value[i]);
        }
        const wz_integer_program program = {
            1, 20, 20, value, one, is_whole, (const double[]){-INFINITY}, (const double[]){capacity}, row};
        ck_assert_int_eq(wz_integer_program_solve(&program, 100000, x, &end, &family_err), WZ_OK);
        ck_assert_int_eq(end, WZ_PROGRAM_OPTIMUM);
        for (int i = 0; i < 20; i++)
            found += x[i] * value[i];
        ck_assert_double_eq(found, best[capacity]);
        /* cut short, it has less or the same, and says that it does not know */
        ck_assert_int_eq(wz_integer_program_solve(&program, 0, x, &end, &family_err), WZ_OK);
        ck_assert_int_ne(end, WZ_PROGRAM_OPTIMUM);
    }
}
END_TEST

/* ---- assignments ---- */

/* The next assignment, like an odometer; false after the last. */
static bool next_owner(const wz_ofdma *cell, unsigned *owner)
{
    for (size_t b = 0; b < cell->blocks; b++) {
        if (++owner[b] < cell->users)
            return true;
        owner[b] = 0;
    }
    return false;
}

static int32_t smallest_sum(const wz_ofdma *cell, const unsigned *owner)
{
    int32_t sum[WZ_MAX_BLOCK_USERS], least = INT32_MAX;
    wz_block_sums(cell, owner, sum);
    for (size_t k = 0; k < cell->users; k++)
        least = sum[k] < least ? sum[k] : least;
    return least;
}

START_TEST(max_min_rate_is_the_best_of_all)
{
    static const char *const options[] = {"", "users=2 blocks=8 snr_low_db=-10", "users=4 blocks=5"};
    for (uint32_t n = 0; n < 60; n++) {
        wz_problem problem = family_problem(task, options[n % 3], n);
        const wz_ofdma *cell = problem.payload;
        unsigned owner[WZ_MAX_BLOCKS] = {0}, found[WZ_MAX_BLOCKS];
        int32_t best = 0;
        do
            best = smallest_sum(cell, owner) > best ? smallest_sum(cell, owner) : best;
        while (next_owner(cell, owner));
        const int32_t most = wz_max_min_rate(cell->users, cell->blocks, cell->rate, found);
        ck_assert_int_eq(most, best);
        ck_assert_int_eq(smallest_sum(cell, found), best);
        ck_assert_int_eq(cell->minimum, best * 6 / 10); /* 0.6 of it, rounded down */
        const int32_t greedy = wz_max_min_greedy(cell->users, cell->blocks, cell->rate, found);
        ck_assert_int_eq(smallest_sum(cell, found), greedy);
        ck_assert_int_le(greedy, best);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* Rates are whole tenths: both optima are equal exactly. */
START_TEST(enumeration_equals_the_integer_program)
{
    static const char *const options[] = {"", "minimum_share=1", "users=2 blocks=12", "users=4 blocks=6",
                                          "minimum_share=0"};
    for (uint32_t n = 0; n < 100; n++) {
        wz_problem problem = family_problem(task, options[n % 5], n);
        const wz_ofdma *cell = problem.payload;
        unsigned all[WZ_MAX_BLOCKS], program[WZ_MAX_BLOCKS];
        int32_t sum[2][WZ_MAX_BLOCK_USERS];
        bool found, proven;
        ck_assert(wz_block_enumerate(cell, all));
        ck_assert_int_eq(wz_block_program(cell, NODES, program, &found, &proven, &family_err), WZ_OK);
        ck_assert(found && proven);
        wz_block_sums(cell, all, sum[0]);
        wz_block_sums(cell, program, sum[1]);
        ck_assert_int_eq(wz_block_deficit(cell, sum[0]), 0);
        ck_assert_int_eq(wz_block_deficit(cell, sum[1]), 0);
        ck_assert_double_eq(wz_block_objective(cell, sum[0]), wz_block_objective(cell, sum[1]));
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(enumeration_without_a_solution_says_so)
{
    static const int32_t rate[] = {30, 10, 20, 10};
    const wz_ofdma cell = {.users = 2, .blocks = 2, .minimum = 11, .rate = rate};
    unsigned owner[2];
    ck_assert(!wz_block_enumerate(&cell, owner));
}
END_TEST

/* No change of one block and no swap improves what local search ends with; it never leaves the minima. */
START_TEST(improve_ends_where_no_change_helps)
{
    for (uint32_t n = 0; n < 60; n++) {
        wz_problem problem = family_problem(
            task, n % 2 ? "users=4 blocks=9 objective=proportional_fair" : "users=4 blocks=9", n);
        const wz_ofdma *cell = problem.payload;
        unsigned owner[WZ_MAX_BLOCKS];
        int32_t sum[WZ_MAX_BLOCK_USERS];
        (void)wz_max_min_rate(cell->users, cell->blocks, cell->rate, owner);
        wz_block_improve(cell, owner);
        wz_block_sums(cell, owner, sum);
        ck_assert_int_eq(wz_block_deficit(cell, sum), 0);
        const double reached = wz_block_objective(cell, sum);
        for (size_t b = 0; b < cell->blocks; b++)
            for (size_t other = 0; other < cell->blocks; other++)
                for (unsigned k = 0; k < cell->users; k++) { /* b to k; or, where k owns other, a swap */
                    unsigned changed[WZ_MAX_BLOCKS];
                    memcpy(changed, owner, sizeof changed);
                    changed[b] = k;
                    if (owner[other] == k)
                        changed[other] = owner[b];
                    wz_block_sums(cell, changed, sum);
                    if (wz_block_deficit(cell, sum) == 0)
                        ck_assert_double_le(wz_block_objective(cell, sum), reached * (1 + 1e-12));
                }
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- the family ---- */

/* A has 6.0 and 3.5, B 2.1 and 3.0 on the two blocks: the poorer of the two can have 3.0 (A the first, B the second), where the
 * other way round it has 2.1; the minimum is 0.6 of that, 1.8. */
START_TEST(judge_names_the_user_and_what_it_lacks)
{
    static const int32_t numbers[] = {18, 60, 21, 35, 30};
    wz_problem problem = family_from_numbers(task, "users=2 blocks=2", numbers, 5);
    ck_assert_ptr_nonnull(problem.payload);
    ck_assert_double_eq(family_judge(&problem, (unsigned[]){0, 1}).objective, 9);
    ck_assert_double_eq(family_judge(&problem, (unsigned[]){1, 0}).objective, 5.6);
    /* one of two users lacks all */
    family_violates(&problem, " A A</answer>", 1.8, 0.5,
                    "user B gets 0.0 bit/s/Hz, 1.8 below the minimum of 1.8");
    family_violates(&problem, " B B</answer>", 1.8, 0.5,
                    "user A gets 0.0 bit/s/Hz, 1.8 below the minimum of 1.8");
    static const char *const tricks[] = {" A</answer>",   " A B A</answer>",  " A C</answer>",
                                         " a b</answer>", " A none</answer>", " 1 2</answer>",
                                         " AB</answer>",  " A A B B</answer>"};
    family_rejects_all(&problem, tricks, sizeof tricks / sizeof *tricks);
    wz_problem_clear(&problem);
    problem = family_from_numbers(task, "users=2 blocks=2 objective=proportional_fair", numbers, 5);
    ck_assert_double_eq_tol(family_judge(&problem, (unsigned[]){0, 1}).objective, sqrt(18), 1e-12);
    wz_problem_clear(&problem);
}
END_TEST

/* B has 2.9 and 3.0: where the minimum is all of the 3.0 that the poorer can have, one way round misses it by a tenth, the other
 * meets it to the last. */
START_TEST(minimum_missed_by_a_tenth_is_missed)
{
    static const int32_t numbers[] = {30, 60, 29, 35, 30};
    wz_problem problem = family_from_numbers(task, "users=2 blocks=2 minimum_share=1", numbers, 5);
    const wz_verdict met = family_verdict(&problem, " A B</answer>");
    ck_assert(met.kind == WZ_VERDICT_FEASIBLE && met.is_optimum);
    family_violates(&problem, " B A</answer>", 0.1, 1 / 60.0,
                    "user B gets 2.9 bit/s/Hz, 0.1 below the minimum of 3.0");
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(prompt_is_what_the_header_says)
{
    static const int32_t numbers[] = {21, 60, 21, 30, 35};
    wz_problem problem = family_from_numbers(task, "users=2 blocks=2", numbers, 5);
    family_prints(&problem, WZ_PROMPT_COMPACT,
                  " block 2 user 2 sum rate minimum 21 a A 60 B 21 b B 35 A 30<answer>");
    family_prints(
        &problem, WZ_PROMPT_FULL,
        "A base station has 2 resource blocks for 2 users, A to B, and gives each block to "
        "one of them. Rates of the users on each block, in bit/s/Hz:\n"
        "Block 1: A 6.0, B 2.1\n"
        "Block 2: A 3.0, B 3.5\n"
        "A user's rate is the sum of its rates on the blocks it is given, and must be at "
        "least 2.1 bit/s/Hz. Assign the blocks so that the sum of the users' rates is "
        "largest.\n" FULL_PROMPT_END(
            "the letters of the 2 blocks' users in the order of the blocks, separated by single spaces"));
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(numbers_of_no_problem_are_named)
{
    family_refuses(task, "users=2 blocks=2", (int32_t[]){18, 200, 21, 35, 30}, 5,
                   "number 2, a rate in tenths");
    family_refuses(task, "users=2 blocks=2", (int32_t[]){18, 60, 0, 35, 30}, 5, "number 3, a rate in tenths");
    family_refuses(task, "users=2 blocks=2", (int32_t[]){18, 21, 60, 30, 35}, 5, "user 2 has a larger sum");
    family_refuses(task, "users=2 blocks=2", (int32_t[]){18, 35, 30, 60, 21}, 5, "block 2 has a larger best");
    family_refuses(task, "users=2 blocks=2", (int32_t[]){19, 60, 21, 35, 30}, 5,
                   "is 19; with these rates and "
                   "minimum_share 0.6 it is 18");
    double values[WZ_TASK_MAX_OPTIONS];
    family_values(task, "users=4 blocks=3", values);
    ck_assert_int_eq(wz_task_check_values(task, values, &family_err), WZ_ERR_USAGE);
    family_values(task, "snr_low_db=30", values);
    ck_assert_int_eq(wz_task_check_values(task, values, &family_err), WZ_ERR_USAGE);
}
END_TEST

/* All users at 10 dB: the mean rate is exp(1/10) E1(1/10) / ln 2 = 2.9065 bit/s/Hz (E1(0.1) = 1.8229240; Abramowitz
 * and Stegun, table 5.1), of deviation 1.35. Rates below 0.05, of which there are 0.4%, are printed as 0.1. */
START_TEST(draw_rates_have_the_mean_of_rayleigh_fading)
{
    double sum = 0;
    for (uint32_t n = 0; n < 500; n++) {
        wz_problem problem = family_problem(task, "snr_low_db=10 snr_high_db=10", n);
        for (size_t i = 1; i < problem.number_count; i++)
            sum += problem.numbers[i];
        wz_problem_clear(&problem);
    }
    ck_assert_double_eq_tol(sum / 500 / 18 / 10, exp(0.1) * 1.8229240 / log(2),
                            4 * 1.35 / sqrt(500 * 18) + 0.0004);
}
END_TEST

/* One user gets all: the others are named. The best block each, whatever the minimum, is feasible as rarely as
 * published. */
START_TEST(answers_without_regard_to_the_minimum_earn_nothing)
{
    for (uint32_t n = 0; n < 100; n++) {
        wz_problem problem = family_problem(task, "", n);
        const wz_reference known = family_training(&problem, NULL);
        static const char *const answers[] = {" A A A A A A</answer>", " B B B B B B</answer>",
                                              " C C C C C C</answer>"};
        for (int k = 0; k < 3; k++) {
            const wz_verdict verdict = family_answer(&problem, &known, answers[k]);
            ck_assert_int_eq(verdict.kind, WZ_VERDICT_INFEASIBLE);
            ck_assert_ptr_nonnull(strstr(verdict.reason, "below the minimum"));
            ck_assert_double_eq_tol(verdict.shortfall, 2.0 / 3, 1e-12);
            ck_assert_double_eq(wz_reward(WZ_REWARD_RATIO, &verdict, &known), 0);
        }
        wz_problem_clear(&problem);
    }
}
END_TEST

/* Local search, all that training has for large cells, is feasible always and close to the optimum (0.997 measured). */
START_TEST(training_reference_is_close_to_the_optimum)
{
    double ratio = 0;
    for (uint32_t n = 0; n < 40; n++) {
        wz_problem problem = family_problem(task, "users=5 blocks=15", n);
        const wz_reference best = family_reference(&problem, NULL), known = family_training(&problem, NULL);
        ck_assert_int_eq(best.kind, WZ_REFERENCE_OPTIMUM);
        ck_assert_int_eq(known.kind, WZ_REFERENCE_BEST_KNOWN);
        ck_assert_double_le(known.objective, best.objective);
        ratio += known.objective / best.objective / 40;
        wz_problem_clear(&problem);
    }
    ck_assert_double_ge(ratio, 0.99);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ofdma");
    TCase *cases = tcase_create("ofdma");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, integer_program_known_instance);
    tcase_add_test(cases, integer_program_failures_are_errors_and_leave_nothing_behind);
    tcase_add_test(cases, integer_program_knapsack_equals_dynamic_programming);
    tcase_add_test(cases, max_min_rate_is_the_best_of_all);
    tcase_add_test(cases, enumeration_equals_the_integer_program);
    tcase_add_test(cases, enumeration_without_a_solution_says_so);
    tcase_add_test(cases, improve_ends_where_no_change_helps);
    tcase_add_test(cases, judge_names_the_user_and_what_it_lacks);
    tcase_add_test(cases, minimum_missed_by_a_tenth_is_missed);
    tcase_add_test(cases, prompt_is_what_the_header_says);
    tcase_add_test(cases, numbers_of_no_problem_are_named);
    tcase_add_test(cases, draw_rates_have_the_mean_of_rayleigh_fading);
    tcase_add_test(cases, answers_without_regard_to_the_minimum_earn_nothing);
    tcase_add_test(cases, training_reference_is_close_to_the_optimum);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
