/* Semantic channel assignment on a synthetic accuracy curve. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "rewards/solvers/matching.h"
#include "tasks/semantic.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_semantic;

/* The curve as the header states it. */
static double accuracy(unsigned k, double s)
{
    return 1 / (1 + exp(-(s + 10 * log10(k) - 4) / 2));
}

/* ---- curve and best k ---- */

/* A few ulp: 1e-14. */
START_TEST(accuracy_is_the_stated_curve)
{
    ck_assert_double_eq_tol(wz_semantic_accuracy(1, 4), 0.5, 1e-14);
    ck_assert_double_eq_tol(wz_semantic_accuracy(1, 4 + 2 * log(3)), 0.75, 1e-14);
    ck_assert_double_eq_tol(wz_semantic_accuracy(10, -6), 0.5, 1e-14);
    for (int s = -10; s <= 30; s++)
        for (unsigned k = 1; k <= 20; k++) {
            ck_assert_double_eq_tol(wz_semantic_accuracy(k, s), accuracy(k, s), 1e-14);
            ck_assert(k == 1 || wz_semantic_accuracy(k, s) > wz_semantic_accuracy(k - 1, s));
        }
}
END_TEST

/* d log(accuracy / k) / d log k = (1 - accuracy) 5 / ln 10 - 1 < 0 from an accuracy of 0.54 on: with a minimum of 80% the
 * best k is the smallest that reaches it, k >= 10^((4 + 2 ln 4 - s) / 10). */
START_TEST(best_symbols_with_a_minimum_is_the_smallest_that_reaches_it)
{
    for (uint32_t n = 0; n < 50; n++) {
        wz_problem problem = family_problem(task, "users=8", n);
        const wz_semantic *p = problem.payload;
        for (size_t e = 0; e < 64; e++) {
            const double s = problem.numbers[e] - 10, least = ceil(pow(10, (4 + 2 * log(4) - s) / 10));
            const unsigned k = least > 8 ? 0 : (unsigned)fmax(least, 1);
            ck_assert_uint_eq(p->symbols[e], k);
            ck_assert_double_eq_tol(p->rate[e], k == 0 ? 0 : accuracy(k, s) / k, 1e-14);
        }
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(best_symbols_without_a_minimum_is_the_best_of_all)
{
    for (uint32_t n = 0; n < 50; n++) {
        wz_problem problem = family_problem(task, "users=4 minimum_accuracy=0 snr_db=0 max_symbols=20", n);
        const wz_semantic *p = problem.payload;
        for (size_t e = 0; e < 16; e++) {
            double best = 0;
            for (unsigned k = 1; k <= 20; k++)
                best = fmax(best, accuracy(k, problem.numbers[e] - 10) / k);
            ck_assert_double_eq_tol(p->rate[e], best, 1e-14);
        }
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- reference ---- */

/* Users one after the other, over all sets of channels taken, with every k. */
static double best_by_sets(const wz_problem *problem)
{
    const wz_semantic *p = problem->payload;
    const size_t sets = (size_t)1 << p->channels;
    double *best = malloc(sets * sizeof *best), most = 0;
    ck_assert_ptr_nonnull(best);
    for (size_t set = 0; set < sets; set++) {
        const size_t users = (size_t)__builtin_popcountll(set);
        best[set] = set == 0 ? 0 : -1;
        for (size_t j = 0; j < p->channels && users > 0 && users <= p->users; j++) {
            if ((set >> j & 1) == 0)
                continue;
            const double s = problem->numbers[(users - 1) * p->channels + j] - 10,
                         before = best[set & ~((size_t)1 << j)];
            best[set] = fmax(best[set], before);
            for (unsigned k = 1; k <= p->max_symbols; k++)
                if (accuracy(k, s) >= p->minimum / 100)
                    best[set] = fmax(best[set], before + accuracy(k, s) / k);
        }
        if (users == p->users)
            most = fmax(most, best[set]);
    }
    free(best);
    return most;
}

/* Sums of 8 rates: 1e-12. */
START_TEST(reference_equals_dynamic_programming)
{
    static const char *const changed[] = {
        "", "users=8 spare_channels=2 max_symbols=20", "users=6 minimum_accuracy=0 snr_db=0",
        "users=2 spare_channels=7 minimum_accuracy=90 max_symbols=1 snr_db=0"};
    for (size_t c = 0; c < sizeof changed / sizeof *changed; c++)
        for (uint32_t n = 0; n < 30; n++) {
            wz_problem problem = family_problem(task, changed[c], n);
            ck_assert_double_eq_tol(family_reference(&problem, NULL).objective, best_by_sets(&problem),
                                    1e-12);
            wz_problem_clear(&problem);
        }
}
END_TEST

/* ---- generator ---- */

/* Printed is at most n < 40 iff 10 log10 X < n + 0.5 - 10 - snr_db, X exponential. Kolmogorov-Smirnov with n = 51,200: the
 * distance exceeds 1.95 / sqrt(n) once in 1,000 seeds. Among 256 entries some can always send: none are drawn again. */
START_TEST(generate_snrs_follow_the_law)
{
    double count[WZ_SEMANTIC_DB_MAX + 1] = {0}, below = 0;
    const double n = 200 * 256;
    for (uint32_t i = 0; i < 200; i++) {
        wz_problem problem = family_problem(task, "users=16 snr_db=12", i);
        for (size_t e = 0; e < 256; e++)
            count[problem.numbers[e]]++;
        wz_problem_clear(&problem);
    }
    for (int k = 0; k < WZ_SEMANTIC_DB_MAX; k++) {
        below += count[k];
        ck_assert_double_le(fabs(below / n - (1 - exp(-pow(10, (k + 0.5 - 10 - 12) / 10)))), 1.95 / sqrt(n));
    }
}
END_TEST

/* ---- text and verdicts ---- */

/* dB: user 1: 10, 0, -10; user 2: 8, 7, 5. With 80%: k = 1, 5, none (at most 8); k = 1, 1, 2. */
static const int32_t by_hand[] = {20, 10, 0, 18, 17, 15};

START_TEST(prompts_say_what_the_numbers_are)
{
    wz_problem problem = family_from_numbers(task, "users=2 spare_channels=1", by_hand, 6);
    family_prints(
        &problem, WZ_PROMPT_COMPACT,
        " user channel SNR dB plus 10 symbol 8 minimum 80 a A 20 B 10 C 0 b A 18 B 17 C 15<answer>");
    family_prints(&problem, WZ_PROMPT_FULL,
                  "2 users, numbered 1 to 2, send text over 3 channels, A to C, with a semantic encoder. The "
                  "signal-to-noise "
                  "ratio s of each user on each channel, in dB:\nUser 1: A 10, B 0, C -10\nUser 2: A 8, B 7, "
                  "C 5\nEach user "
                  "gets exactly one channel, no channel is given to two users, and each user chooses the "
                  "number k of channel "
                  "symbols that a word takes, 1 to 8. A word is then understood with probability a = 1 / (1 "
                  "+ exp(-(s + 10 "
                  "log10(k) - 4) / 2)), a synthetic accuracy curve. a must be at least 80 / 100, or k must "
                  "be 0: the user "
                  "keeps its channel, but sends nothing. The semantic rate of a user is a / k words per "
                  "symbol, and 0 if k "
                  "is 0. Maximise the sum of the semantic rates.\n" FULL_PROMPT_END(
                      "for each of the 2 users, in order, its channel's label and its k, all separated by "
                      "single spaces"));
    ck_assert_ptr_nonnull(strstr(task->title, "synthetic"));
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(verdicts_of_a_problem_worked_by_hand)
{
    wz_problem problem = family_from_numbers(task, "users=2 spare_channels=1", by_hand, 6);
    const double best = 1 / (1 + exp(-3)) + 1 / (1 + exp(-1.5)); /* 10 and 7 dB, k = 1 */
    const wz_reference known = family_reference(&problem, NULL);
    ck_assert_int_eq(known.kind, WZ_REFERENCE_OPTIMUM);
    ck_assert_double_eq_tol(known.objective, best, 1e-12);
    ck_assert_double_eq_tol(known.best_trivial, best, 1e-12); /* A and B: the diagonal */
    ck_assert(family_verdict(&problem, " A 1 B 1</answer>").is_optimum);
    ck_assert_double_eq_tol(family_verdict(&problem, " A 2 C 2</answer>").objective,
                            accuracy(2, 10) / 2 + accuracy(2, 5) / 2, 1e-12);
    ck_assert_double_eq(family_verdict(&problem, " C 0 A 0</answer>").objective, 0);
    ck_assert_double_eq_tol(family_verdict(&problem, " C 0 A 1</answer>").objective, accuracy(1, 8), 1e-12);
    ck_assert_double_eq_tol(family_baseline(&problem, "snr_assignment").objective, /* 0 + 8 dB < 10 + 7 */
                            best, 1e-12);
    family_violates(&problem, " A 1 A 1</answer>", 1, 0.5,
                    "channel A goes to user 2, too; users beyond the first of their channel: 1");
    family_violates(&problem, " A 0 A 0</answer>", 1, 0.5,
                    "channel A goes to user 2, too; users beyond the first of their channel: 1");
    family_violates(&problem, " B 1 C 1</answer>", 80 - 100 * accuracy(1, 0), 1,
                    "user 1 reaches 11.92% accuracy with 1 symbols a word on channel B; the minimum is 80%");
    family_violates(&problem, " A 1 C 1</answer>", 80 - 100 * accuracy(1, 5), 0.5,
                    "user 2 reaches 62.25% accuracy with 1 symbols a word on channel C; the minimum is 80%");
    family_violates(&problem, " C 8 C 1</answer>", 1, 1,
                    "channel C goes to user 2, too; users beyond the first of their channel: 1");
    static const char *const tricks[] = {" A 1</answer>",         " A 1 B</answer>",     " A 1 B 9</answer>",
                                         " A 1 D 1</answer>",     " 1 A 1 B</answer>",   " A 1 B 01</answer>",
                                         " A 1 B 1 C 1</answer>", " A -1 B 1</answer>",  " a 1 b 1</answer>",
                                         " A B 1 1</answer>",     " A 1 B none</answer>"};
    family_rejects_all(&problem, tricks, sizeof tricks / sizeof *tricks);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(numbers_out_of_order_or_range_are_refused)
{
    static const int32_t order[] = {18, 17, 15, 20, 10, 0}, high[] = {41, 0, 0, 0}, silent[] = {0, 0, 0, 0};
    family_refuses(task, "users=2 spare_channels=1", order, 6, "user 1 stands where user 2 should");
    family_refuses(task, "users=2", high, 4, "number 1, an SNR, is 41; it must lie in 0 to 40");
    family_refuses(task, "users=2", silent, 4, "no user reaches the minimum accuracy on any channel");
}
END_TEST

/* One k for all on the diagonal: feasible where all are accurate enough, and then worth what it is; never more than the
 * diagonal with the best k. Channels that stand first in the rows: feasible where they differ. */
START_TEST(constant_answers_earn_what_they_are_worth)
{
    size_t feasible = 0;
    for (uint32_t n = 0; n < 200; n++) {
        wz_problem problem = family_problem(task, "", n);
        const wz_semantic *p = problem.payload;
        const double diagonal = family_baseline(&problem, "diagonal").objective;
        for (unsigned k = 0; k <= 8; k++) {
            char text[64];
            bool accurate = true;
            double rate = 0;
            (void)snprintf(text, sizeof text, " A %u B %u C %u D %u</answer>", k, k, k, k);
            const wz_verdict verdict = family_verdict(&problem, text);
            for (size_t i = 0; i < 4 && k > 0; i++) {
                const double a = accuracy(k, problem.numbers[i * p->channels + i] - 10);
                accurate &= a >= 0.8;
                rate += a / k;
            }
            ck_assert_int_eq(verdict.kind, accurate ? WZ_VERDICT_FEASIBLE : WZ_VERDICT_INFEASIBLE);
            ck_assert_double_eq_tol(verdict.objective, accurate ? rate : 0, 1e-12);
            ck_assert_double_le(verdict.objective, diagonal + 1e-12);
            feasible += k == 8 && accurate;
        }
        wz_problem_clear(&problem);
    }
    /* k = 8 needs -2.26 dB, 7.26 below the mean: exp(-0.188)^4 = 0.47; rounding the SNR moves that by less than 0.05; five
     * standard errors of 200 problems are 0.18 */
    ck_assert_double_le(fabs((double)feasible / 200 - 0.47), 0.23);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("semantic");
    TCase *cases = tcase_create("semantic");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, accuracy_is_the_stated_curve);
    tcase_add_test(cases, best_symbols_with_a_minimum_is_the_smallest_that_reaches_it);
    tcase_add_test(cases, best_symbols_without_a_minimum_is_the_best_of_all);
    tcase_add_test(cases, reference_equals_dynamic_programming);
    tcase_add_test(cases, generate_snrs_follow_the_law);
    tcase_add_test(cases, prompts_say_what_the_numbers_are);
    tcase_add_test(cases, verdicts_of_a_problem_worked_by_hand);
    tcase_add_test(cases, numbers_out_of_order_or_range_are_refused);
    tcase_add_test(cases, constant_answers_earn_what_they_are_worth);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
