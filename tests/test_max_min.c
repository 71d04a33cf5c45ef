/* Max-min SINR: feasibility of targets by linear equations, problems by hand, verdicts, the generator's law. */
#include <check.h>
#include <math.h>

#include "rewards/solvers/max_min.h"
#include "tasks/max_min.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_max_min;

static const char *const settings[] = {"", "links=10 levels=101", "links=2 snr_db=30 direct=1",
                                       "links=4 snr_db=-20 direct=1000",
                                       "links=7 snr_db=30 direct=0.1 levels=1000"};
#define SETTINGS ((int)(sizeof settings / sizeof *settings))
#define MAX_LINKS 10

static wz_channel channel_of(const wz_problem *problem)
{
    const wz_max_min *p = problem->payload;
    return (wz_channel){p->links, p->gain, 1, 1};
}

/* Whether powers of at most 1 give every link the SINR `target`: those that give exactly it solve
 *     g_ii p_i - target sum_{j != i} g_ij p_j = target,
 * and they are feasible if all lie in 0..1. By Gaussian elimination; pivots are positive where the target can be met. */
static bool reachable(const wz_channel *c, double target)
{
    double a[MAX_LINKS][MAX_LINKS + 1];
    const size_t n = c->links;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            a[i][j] = c->gain[i * n + j] * (i == j ? 1 : -target);
        a[i][n] = target;
    }
    for (size_t k = 0; k < n; k++) {
        if (a[k][k] <= 0)
            return false;
        for (size_t i = 0; i < n; i++)
            for (size_t j = n + 1; i != k && j-- > k;)
                a[i][j] -= a[i][k] / a[k][k] * a[k][j];
    }
    for (size_t i = 0; i < n; i++)
        if (a[i][n] < 0 || a[i][n] > a[i][i])
            return false;
    return true;
}

static double largest_reachable(const wz_channel *c)
{
    double low = 0, high = INFINITY;
    for (size_t i = 0; i < c->links; i++)
        high = fmin(high, c->gain[i * (c->links + 1)]); /* no link does better alone */
    for (int step = 0; step < 100; step++)
        *(reachable(c, (low + high) / 2) ? &low : &high) = (low + high) / 2;
    return low;
}

/* The fixed point stops within 1e-9; elimination loses some digits where interference is strong. */
START_TEST(bound_is_the_largest_target_that_linear_equations_allow)
{
    for (uint32_t n = 0; n < 200; n++) {
        wz_problem problem = family_problem(task, settings[_i], n);
        const wz_channel channel = channel_of(&problem);
        double power[WZ_MAX_LINKS], bound, most = 0;
        const double expected = largest_reachable(&channel),
                     reached = wz_max_min_power(&channel, power, &bound);
        for (size_t i = 0; i < channel.links; i++)
            most = fmax(most, power[i]);
        ck_assert_double_eq(most, 1);
        ck_assert_double_eq_tol(bound, expected, 1e-8 * expected);
        ck_assert_double_eq_tol(reached, expected, 1e-8 * expected);
        ck_assert_double_ge(bound, expected * (1 - 1e-10));
        wz_problem_clear(&problem);
    }
}
END_TEST

/* Beyond what can be tried one by one: no change of one or two levels by one step, or of one level to any other, helps, and
 * rounded real powers are no better. */
START_TEST(best_levels_cannot_be_improved_nearby)
{
    for (uint32_t n = 0; n < 40; n++) {
        wz_problem problem = family_problem(task, settings[_i], n);
        const unsigned levels = (unsigned)((const wz_max_min *)problem.payload)->levels;
        unsigned best[WZ_MAX_SLOTS], tried[WZ_MAX_SLOTS];
        const wz_reference known = family_training(&problem, best);
        ck_assert_double_ge(known.decided, family_baseline(&problem, "fixed_point_rounded").objective);
        memcpy(tried, best, sizeof tried);
        for (size_t i = 0; i < problem.size; i++) {
            for (tried[i] = 0; tried[i] < levels; tried[i]++)
                ASSERT_EACH(family_judge(&problem, tried).objective <= known.decided, "one level");
            for (int change = 0; change < 4 * (int)i; change++) {
                const size_t j = (size_t)change / 4;
                tried[i] = best[i] + (change % 2 != 0 ? 1u : -1u);
                tried[j] = best[j] + (change % 4 > 1 ? 1u : -1u);
                if (tried[i] < levels && tried[j] < levels)
                    ASSERT_EACH(family_judge(&problem, tried).objective <= known.decided, "two levels");
                tried[j] = best[j];
            }
            tried[i] = best[i];
        }
        wz_problem_clear(&problem);
    }
}
END_TEST

/* Alike links share full power: 10 / (1 + 1). Links that hardly hear each other, 10 and 5.01 alone: at 6 and 10 of ten parts
 * 6/1.01 and 5.01/1.006; one part less for the first is 5/1.01, and that is less than 5.01/1.006. */
START_TEST(problems_by_hand_have_the_answers_by_hand)
{
    static const int32_t alike[] = {30, 20, 20, 30}, apart[] = {30, 0, 0, 27};
    wz_problem problem = family_from_numbers(task, "links=2", alike, 4);
    unsigned decision[WZ_MAX_SLOTS];
    wz_reference known = family_reference(&problem, decision);
    ck_assert(decision[0] == 10 && decision[1] == 10);
    ck_assert_double_eq(known.decided, 5);
    ck_assert_double_eq_tol(known.objective, 5, 1e-8);
    wz_problem_clear(&problem);
    problem = family_from_numbers(task, "links=2", apart, 4);
    known = family_reference(&problem, decision);
    ck_assert(decision[0] == 6 && decision[1] == 10);
    ck_assert_double_eq_tol(known.decided, pow(10, 0.7) / 1.006, 1e-14);
    family_prints(&problem, WZ_PROMPT_COMPACT,
                  " minimum SINR levels 11 dB plus 20 0 to 60 a A 30 B 0 b B 27 A 0<answer>");
    wz_problem_clear(&problem);
}
END_TEST

/* ---- verdicts ---- */

/* One silent link is enough to earn nothing; full power earns no headroom, nor does any answer of equal levels more. */
START_TEST(answers_that_ignore_the_gains_earn_no_headroom)
{
    for (uint32_t n = 0; n < 300; n++) {
        wz_problem problem = family_problem(task, "", n);
        const wz_reference known = family_reference(&problem, NULL);
        static const char *const silent[] = {" 0 0 0</answer>", " 10 10 0</answer>", " 0 10 10</answer>",
                                             " 10 0 10</answer>"},
                                 *const alike[] = {" 10 10 10</answer>", " 5 5 5</answer>",
                                                   " 1 1 1</answer>"};
        for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
            const wz_verdict verdict = family_answer(&problem, &known, silent[i]);
            ck_assert(verdict.kind == WZ_VERDICT_FEASIBLE && verdict.objective == 0 && verdict.ratio == 0);
        }
        for (size_t i = 0; i < sizeof alike / sizeof *alike; i++) {
            const wz_verdict verdict = family_answer(&problem, &known, alike[i]);
            ck_assert_double_le(verdict.objective, known.best_trivial);
            ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0);
        }
        ck_assert_int_eq(family_answer(&problem, &known, " 10 10 11</answer>").kind, WZ_VERDICT_OUT_OF_RANGE);
        ck_assert_int_eq(family_answer(&problem, &known, " 10 10</answer>").kind, WZ_VERDICT_WRONG_LENGTH);
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(malformed_numbers_are_refused_with_what_is_wrong)
{
    family_refuses(task, "links=2", (const int32_t[]){30, 20, 20}, 3,
                   "3 numbers where its options ask for 4");
    family_refuses(task, "links=2", (const int32_t[]){30, 61, 20, 30}, 4,
                   "number 2, a gain, is 61; it must lie in 0 to 60");
    family_refuses(task, "links=2", (const int32_t[]){30, 20, -1, 30}, 4, "number 3, a gain, is -1");
    family_refuses(task, "links=2", (const int32_t[]){30, 20, 20, 31}, 4,
                   "link 2 has a larger direct gain than the one before it");
}
END_TEST

/* ---- generator ---- */

START_TEST(gains_have_the_stated_law)
{
    family_has_rayleigh_gains(task, "links=2", 50, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("max_min");
    TCase *cases = tcase_create("max_min");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, bound_is_the_largest_target_that_linear_equations_allow, 0, SETTINGS);
    tcase_add_loop_test(cases, best_levels_cannot_be_improved_nearby, 0, SETTINGS);
    tcase_add_test(cases, problems_by_hand_have_the_answers_by_hand);
    tcase_add_test(cases, answers_that_ignore_the_gains_earn_no_headroom);
    tcase_add_test(cases, malformed_numbers_are_refused_with_what_is_wrong);
    tcase_add_test(cases, gains_have_the_stated_law);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
