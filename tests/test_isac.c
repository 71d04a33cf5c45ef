/* Sensing and communication: optimality conditions, dynamic programming, a problem by hand, verdicts, the generator's law. */
#include <check.h>
#include <math.h>

#include "rewards/solvers/sensing.h"
#include "tasks/isac.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_isac;

static const char *const settings[] = {"", "tones=8 total=20", "tones=8 total=100 snr_db=0",
                                       "tones=3 total=30 sensing_percent=95 snr_db=30",
                                       "tones=12 total=15 sensing_percent=40 snr_db=-10"};
#define SETTINGS ((int)(sizeof settings / sizeof *settings))

static wz_sensing sensing_of(const wz_problem *problem)
{
    const wz_isac *p = problem->payload;
    return (wz_sensing){{p->tones, p->gain, p->total}, p->sense, p->needed};
}

/* Powers that keep both constraints and reach the dual's value are optimal, and the value is the optimum: weak duality, however
 * they were found. mu is found to 1e-18 of its range, powers are at most 1 and so err by some 1e-12. */
START_TEST(real_powers_keep_the_constraints_and_reach_the_bound)
{
    for (uint32_t n = 0; n < 300; n++) {
        wz_problem problem = family_problem(task, settings[_i], n);
        const wz_sensing sensing = sensing_of(&problem);
        wz_sensing_dual dual;
        double sum = 0, sensed = 0;
        wz_sensing_fill(&sensing, &dual);
        for (size_t i = 0; i < sensing.tones.count; i++) {
            ASSERT_EACH(dual.power[i] >= 0, "negative power");
            sum += dual.power[i];
            sensed += dual.power[i] * sensing.sense[i];
        }
        ck_assert_double_eq_tol(sum, 1, 1e-10);
        ck_assert_double_ge(sensed * sensing.tones.total, (double)sensing.needed * (1 - 1e-9));
        ck_assert(dual.mu >= 0 && dual.lambda > 0);
        ck_assert_double_eq_tol(wz_tones_rate(&sensing.tones, dual.power), dual.bound, 1e-8 * dual.bound);
        wz_problem_clear(&problem);
    }
}
END_TEST

#define MAX_STATES (101 * 2101)

/* best[t][s]: largest rate of the tones so far with t parts and a sensing power of s, s capped at what is needed. */
static double dynamic_programme(const wz_isac *p)
{
    static double tables[2][MAX_STATES];
    const size_t width = p->needed + 1, states = (p->total + 1) * width;
    double *best = tables[0], *next = tables[1];
    ck_assert_uint_le(states, MAX_STATES);
    for (size_t i = 0; i < states; i++)
        best[i] = i == 0 ? 0 : -INFINITY;
    for (size_t i = 0; i < p->tones; i++) {
        for (size_t state = 0; state < states; state++)
            next[state] = -INFINITY;
        for (unsigned k = 0; k <= p->total; k++) {
            const double rate = log2(1 + p->gain[i] * k / p->total);
            for (unsigned t = 0; t + k <= p->total; t++)
                for (size_t s = 0; s < width; s++) {
                    const size_t sum = s + (size_t)k * p->sense[i], to = sum < width ? sum : width - 1;
                    double *at = &next[(t + k) * width + to];
                    *at = fmax(*at, best[t * width + s] + rate);
                }
        }
        double *swap = best;
        best = next;
        next = swap;
    }
    double most = -INFINITY;
    for (unsigned t = 0; t <= p->total; t++)
        most = fmax(most, best[t * width + width - 1]);
    return most;
}

/* Sums in another order: 1e-12. */
START_TEST(best_decision_equals_dynamic_programming)
{
    const uint32_t problems = _i == 2 ? 2 : 30; /* 8 tones and 100 parts take half a second */
    for (uint32_t n = 0; n < problems; n++) {
        wz_problem problem = family_problem(task, settings[_i], n);
        const wz_reference known = family_reference(&problem, NULL);
        const double expected = dynamic_programme(problem.payload);
        ck_assert_double_eq_tol(known.decided, expected, 1e-12 * expected);
        ck_assert_double_ge(known.objective, expected * (1 - 1e-12));
        wz_problem_clear(&problem);
    }
}
END_TEST

/* 0 and 20 dB, responses 20 and 10, ten parts, 70 per cent: 20 a + 10 b >= 140 and a + b <= 10 ask for a >= 4, and b = 6 is
 * best of what is left. */
START_TEST(problem_by_hand_has_the_answer_by_hand)
{
    static const int32_t numbers[] = {20, 20, 10, 40};
    wz_problem problem = family_from_numbers(task, "tones=2", numbers, 4);
    unsigned decision[WZ_MAX_SLOTS];
    const wz_reference known = family_reference(&problem, decision);
    ck_assert(decision[0] == 4 && decision[1] == 6);
    ck_assert_double_eq_tol(known.decided, log2(1.4) + log2(61), 1e-14);
    /* p = (0.4, 0.6) is the optimum over real powers, too */
    ck_assert_double_eq_tol(known.objective, log2(1.4) + log2(61), 1e-12);
    family_prints(&problem, WZ_PROMPT_COMPACT, " sense 70 per 100 power sum 10 A 20 20 B 10 40<answer>");
    wz_problem_clear(&problem);
}
END_TEST

/* Without the sensing constraint, it is water-filling. */
START_TEST(no_sensing_is_water_filling)
{
    for (uint32_t n = 0; n < 100; n++) {
        wz_problem problem = family_problem(task, "tones=8 total=50 sensing_percent=0", n);
        const wz_sensing sensing = sensing_of(&problem);
        const wz_reference known = family_reference(&problem, NULL);
        double power[WZ_MAX_LABELS];
        unsigned share[WZ_MAX_LABELS];
        (void)wz_water_fill(&sensing.tones, power);
        ck_assert_double_eq_tol(known.objective, wz_tones_rate(&sensing.tones, power),
                                1e-9 * known.objective);
        ck_assert_double_eq_tol(known.decided, wz_marginal_allocation(&sensing.tones, share),
                                1e-12 * known.decided);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* A search that may visit one share only leaves a feasible decision, and says whether more would have been visited; if not, a
 * long one, which ends by itself, finds nothing better. */
START_TEST(search_says_whether_it_ended)
{
    size_t cut = 0;
    for (uint32_t n = 0; n < 50; n++) {
        wz_problem problem = family_problem(task, "tones=8 total=100", n);
        const wz_sensing sensing = sensing_of(&problem);
        unsigned share[WZ_MAX_SLOTS] = {0};
        wz_sensing_dual dual;
        bool exact, ended;
        wz_sensing_fill(&sensing, &dual);
        const double early = wz_sensing_shares(&sensing, &dual, 1, share, &ended);
        ck_assert_double_eq(family_judge(&problem, share).objective, early);
        cut += !ended;
        const double late = wz_sensing_shares(&sensing, &dual, 1000000, share, &exact);
        ck_assert(exact && late >= early && late <= dual.bound * (1 + 1e-12));
        ck_assert(!ended || late == early);
        wz_problem_clear(&problem);
    }
    ck_assert_uint_gt(cut, 0);
}
END_TEST

/* The mixture of water-filling and the best sensing tone keeps the constraint, rounded too, and lies below the bound. */
START_TEST(mixture_is_feasible_and_below_the_bound)
{
    for (uint32_t n = 0; n < 200; n++) {
        wz_problem problem = family_problem(task, settings[_i], n);
        const wz_reference known = family_training(&problem, NULL);
        ck_assert(family_baseline(&problem, "mix_rounded").feasible);
        ck_assert(family_baseline(&problem, "dual_rounded").feasible);
        ck_assert_double_le(family_baseline(&problem, "mix").objective, known.objective * (1 + 1e-12));
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- verdicts ---- */

START_TEST(violated_constraints_are_named_with_their_amount)
{
    static const int32_t numbers[] = {20, 20, 10, 40, 1, 30};
    wz_problem problem = family_from_numbers(task, "tones=3", numbers, 6);
    static const struct {
        const char *answer, *reason;
        double violation, shortfall;
    } cases[] = {
        {" 10 10 10</answer>", "the shares sum to 30, which is 20 above the total of 10", 20,
         0.5 + 0.5 * 2 / 3},
        {" 0 1 10</answer>", "the shares sum to 11, which is 1 above the total of 10", 1,
         0.5 + 0.5 / 11}, /* unseen, too */
        {" 0 0 0</answer>", "the sensing power is 0.000, which is 14.000 below the required 14.000", 14, 0.5},
        {" 3 7 0</answer>", "the sensing power is 13.000, which is 1.000 below the required 14.000", 1,
         0.5 / 14},
        {" 6 1 3</answer>", "the sensing power is 13.300, which is 0.700 below the required 14.000", 0.7,
         0.5 * 0.05},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        family_violates(&problem, cases[i].answer, cases[i].violation, cases[i].shortfall, cases[i].reason);
    ck_assert_int_eq(family_verdict(&problem, " 4 6 0</answer>").kind, WZ_VERDICT_FEASIBLE);
    wz_problem_clear(&problem);
}
END_TEST

/* Tones that answer with 20 and 19: 6 and 1 parts of 10 sense 139 of the 140 = 0.7 20 10 that are needed, 7 parts
 * of the first just 140. */
START_TEST(sensing_that_misses_by_one_is_infeasible)
{
    static const int32_t numbers[] = {20, 20, 19, 40};
    wz_problem problem = family_from_numbers(task, "tones=2 total=10 sensing_percent=70", numbers, 4);
    const wz_verdict missed = family_verdict(&problem, " 6 1</answer>");
    ck_assert_int_eq(missed.kind, WZ_VERDICT_INFEASIBLE);
    ck_assert_double_eq_tol(missed.violation, 0.1, 1e-12);
    ck_assert_double_eq_tol(missed.shortfall, 0.5 / 140, 1e-12);
    ck_assert_int_eq(family_verdict(&problem, " 7 0</answer>").kind, WZ_VERDICT_FEASIBLE);
    wz_problem_clear(&problem);
}
END_TEST

/* All power on the first tone, or what it must have of it, is always feasible and earns no headroom; what ignores sensing is seldom feasible. */
START_TEST(answers_that_ignore_the_problem_earn_no_headroom)
{
    for (uint32_t n = 0; n < 300; n++) {
        wz_problem problem = family_problem(task, "", n);
        const wz_reference known = family_reference(&problem, NULL);
        const wz_verdict all = family_answer(&problem, &known, " 10 0 0 0</answer>"),
                         even = family_answer(&problem, &known, " 3 3 2 2</answer>"),
                         none = family_answer(&problem, &known, " 0 0 0 0</answer>"),
                         enough = family_answer(&problem, &known, " 7 1 1 1</answer>");
        ck_assert_int_eq(all.kind, WZ_VERDICT_FEASIBLE);
        ck_assert_int_eq(enough.kind, WZ_VERDICT_FEASIBLE);
        ck_assert_double_eq(fmax(fmax(all.objective, even.objective), enough.objective), known.best_trivial);
        ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &all, &known), 0);
        ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &enough, &known), 0);
        ck_assert_int_eq(none.kind, WZ_VERDICT_INFEASIBLE);
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(malformed_numbers_are_refused_with_what_is_wrong)
{
    family_refuses(task, "tones=2", (const int32_t[]){20, 20, 10}, 3,
                   "3 numbers where its options ask for 4");
    family_refuses(task, "tones=2", (const int32_t[]){21, 20, 10, 40}, 4,
                   "number 1, a sensing response, is 21; it must lie in 0 to 20");
    family_refuses(task, "tones=2", (const int32_t[]){20, 20, 10, 61}, 4,
                   "number 4, a gain, is 61; it must lie in 0 to 60");
    family_refuses(task, "tones=2", (const int32_t[]){10, 20, 20, 40}, 4,
                   "tone 2 has larger numbers than the one before it");
    family_refuses(task, "tones=2", (const int32_t[]){20, 20, 20, 40}, 4,
                   "tone 2 has larger numbers than the one before it");
    family_refuses(task, "tones=2", (const int32_t[]){19, 20, 10, 40}, 4,
                   "the largest sensing response is 19");
}
END_TEST

/* ---- generator ---- */

/* Of two tones: the smaller response is at most r of the larger with probability 2 r / (1 + r), since for independent
 * exponentials P(f <= r f') = r / (1 + r). Gains do not depend on responses. Four standard errors. */
START_TEST(responses_and_gains_have_the_stated_law)
{
    enum { PROBLEMS = 10000 };
    double response[22] = {0}, gain[61] = {0};
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = family_problem(task, "tones=2 snr_db=5", n);
        for (int32_t x = problem.numbers[2]; x <= 20; x++)
            response[x]++;
        for (size_t i = 0; i < 2; i++)
            for (int32_t x = 0; x <= problem.numbers[2 * i + 1]; x++)
                gain[x]++;
        wz_problem_clear(&problem);
    }
    for (int x = 0; x < 20; x++) {
        const double r = (x + 0.5) / 20, p = 2 * r / (1 + r);
        ck_assert_msg(fabs(response[x] / PROBLEMS - p) <= 4 * sqrt(p * (1 - p) / PROBLEMS),
                      "a response of at most %d: %.4f, by the law %.4f", x, response[x] / PROBLEMS, p);
    }
    assert_exponential(gain, 2.0 * PROBLEMS, pow(10, 0.5));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("isac");
    TCase *cases = tcase_create("isac");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, real_powers_keep_the_constraints_and_reach_the_bound, 0, SETTINGS);
    tcase_add_loop_test(cases, best_decision_equals_dynamic_programming, 0, SETTINGS);
    tcase_add_loop_test(cases, mixture_is_feasible_and_below_the_bound, 0, SETTINGS);
    tcase_add_test(cases, search_says_whether_it_ended);
    tcase_add_test(cases, problem_by_hand_has_the_answer_by_hand);
    tcase_add_test(cases, no_sensing_is_water_filling);
    tcase_add_test(cases, violated_constraints_are_named_with_their_amount);
    tcase_add_test(cases, sensing_that_misses_by_one_is_infeasible);
    tcase_add_test(cases, answers_that_ignore_the_problem_earn_no_headroom);
    tcase_add_test(cases, malformed_numbers_are_refused_with_what_is_wrong);
    tcase_add_test(cases, responses_and_gains_have_the_stated_law);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
