/* Water-filling: closed form, dynamic programming, a problem by hand, verdicts, the generator's law. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "rewards/solvers/water_filling.h"
#include "tasks/water_filling.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_water_filling;

static int falls(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The level when exactly the k strongest channels have power is (1 + sum_{i<=k} 1/gain_i) / k; k is the largest for which
 * the k-th has some. */
static double closed_form_level(size_t count, const double *gain)
{
    double sorted[WZ_MAX_LABELS], inverse = 0, level = 0;
    memcpy(sorted, gain, count * sizeof *gain);
    qsort(sorted, count, sizeof *sorted, falls);
    for (size_t k = 1; k <= count; k++) {
        inverse += 1 / sorted[k - 1];
        if ((1 + inverse) / (double)k > 1 / sorted[k - 1])
            level = (1 + inverse) / (double)k;
    }
    return level;
}

static const char *const settings[] = {"", "channels=8 total=100 snr_db=-5", "channels=8 total=20 snr_db=10",
                                       "channels=64 total=999 snr_db=30", "channels=2 total=1 snr_db=-20"};
#define SETTINGS ((int)(sizeof settings / sizeof *settings))

/* Bisection halves an interval below 1 + 100 sixty times: 1e-16 beside rounding in levels below 101. */
START_TEST(water_fill_level_is_the_closed_form)
{
    for (uint32_t n = 0; n < 200; n++) {
        wz_problem problem = family_problem(task, settings[_i], n);
        const wz_water_filling *p = problem.payload;
        const wz_tones tones = {p->channels, p->gain, p->total};
        double power[WZ_MAX_LABELS], sum = 0;
        const double level = wz_water_fill(&tones, power);
        for (size_t i = 0; i < p->channels; i++)
            sum += power[i];
        ck_assert_double_eq_tol(level, closed_form_level(p->channels, p->gain), 1e-13);
        ck_assert_double_eq_tol(sum, 1, 1e-12);
        ck_assert_double_le(sum, 1);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* best[t]: largest rate of the channels so far with t parts. Knows nothing of concavity. */
static double dynamic_programme(const wz_water_filling *p)
{
    double best[1000] = {0}, next[1000];
    for (size_t i = 0; i < p->channels; i++) {
        for (unsigned t = 0; t <= p->total; t++) {
            next[t] = 0;
            for (unsigned k = 0; k <= t; k++)
                next[t] = fmax(next[t], best[t - k] + log2(1 + p->gain[i] * k / p->total));
        }
        memcpy(best, next, sizeof best);
    }
    return best[p->total];
}

START_TEST(reference_equals_dynamic_programming)
{
    const uint32_t problems = _i == 3 ? 1 : 50; /* 64 channels and 999 parts take a second */
    for (uint32_t n = 0; n < problems; n++) {
        wz_problem problem = family_problem(task, settings[_i], n);
        const wz_reference known = family_training(&problem, NULL);
        const double expected = dynamic_programme(problem.payload);
        ck_assert_double_eq_tol(known.objective, expected, 1e-12 * expected); /* sums in another order */
        wz_problem_clear(&problem);
    }
}
END_TEST

/* Whole shares lose no more against real powers than the solver's header derives. */
START_TEST(continuous_optimum_bounds_whole_shares_within_the_derived_distance)
{
    for (uint32_t n = 0; n < 200; n++) {
        wz_problem problem = family_problem(task, settings[_i], n);
        const wz_water_filling *p = problem.payload;
        const wz_tones tones = {p->channels, p->gain, p->total};
        const wz_reference known = family_training(&problem, NULL);
        double power[WZ_MAX_LABELS], active = 0;
        const double level = wz_water_fill(&tones, power), rate = wz_tones_rate(&tones, power);
        for (size_t i = 0; i < p->channels; i++)
            active += power[i] > 0;
        ck_assert_double_le(known.objective, rate * (1 + 1e-12));
        ck_assert(p->total * level > 1);
        ck_assert_double_le(rate - known.objective, active * log2(1 + 1 / (p->total * level - 1)) + 1e-12);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* 10 and 7 dB, gains 10 and 5.01, five parts. Factors of 1 + SNR by parts in turn: 3, 1.667, 1.4, 1.286, 1.222 and 2.002,
 * 1.501, 1.334, ..: the five largest are 3, 2.002, 1.667, 1.501, 1.4. */
START_TEST(problem_by_hand_has_the_answer_by_hand)
{
    static const int32_t numbers[] = {30, 27};
    wz_problem problem = family_from_numbers(task, "channels=2 total=5", numbers, 2);
    unsigned decision[WZ_MAX_SLOTS];
    const wz_reference known = family_training(&problem, decision);
    ck_assert_uint_eq(decision[0], 3);
    ck_assert_uint_eq(decision[1], 2);
    ck_assert_double_eq_tol(known.objective, log2(7) + log2(1 + 0.4 * pow(10, 0.7)), 1e-14);
    family_prints(&problem, WZ_PROMPT_COMPACT, " power sum 5 dB plus 20 0 to 60 A 30 B 27<answer>");
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(rounding_by_largest_remainder_keeps_the_sum)
{
    static const double gain[] = {8, 4, 2}, third[] = {1.0 / 3, 1.0 / 3, 1.0 / 3},
                        skew[] = {0.58, 0.06, 0.36};
    const wz_tones tones = {3, gain, 10};
    unsigned share[3];
    wz_shares_round(&tones, third, share); /* 3 3 3 and one more for the first */
    ck_assert(share[0] == 4 && share[1] == 3 && share[2] == 3);
    wz_shares_round(&tones, skew, share); /* 5.8, 0.6, 3.6: two more for the first and the first of equals */
    ck_assert(share[0] == 6 && share[1] == 1 && share[2] == 3);
}
END_TEST

/* ---- verdicts ---- */

START_TEST(shares_above_the_total_are_named_with_their_excess)
{
    static const int32_t numbers[] = {29, 24, 22, 10};
    wz_problem problem = family_from_numbers(task, "", numbers, 4);
    const wz_reference known = family_training(&problem, NULL);
    static const struct {
        const char *answer, *reason;
        double excess, shortfall;
    } cases[] = {
        {" 10 1 0 0</answer>", "the shares sum to 11, which is 1 above the total of 10", 1, 1 - 10.0 / 11},
        {" 10 10 10 10</answer>", "the shares sum to 40, which is 30 above the total of 10", 30, 0.75},
        {" 3 3 3 3</answer>", "the shares sum to 12, which is 2 above the total of 10", 2, 1 - 10.0 / 12},
        {" 0 0 1 10</answer>", "the shares sum to 11, which is 1 above the total of 10", 1, 1 - 10.0 / 11},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        family_violates(&problem, cases[i].answer, cases[i].excess, cases[i].shortfall, cases[i].reason);
    ck_assert_int_eq(family_answer(&problem, &known, " 11 0 0 0</answer>").kind, WZ_VERDICT_OUT_OF_RANGE);
    ck_assert_int_eq(family_answer(&problem, &known, " 10 20 0 60</answer>").kind, WZ_VERDICT_OUT_OF_RANGE);
    ck_assert_int_eq(family_answer(&problem, &known, " 5 5 0</answer>").kind, WZ_VERDICT_WRONG_LENGTH);
    wz_problem_clear(&problem);
}
END_TEST

/* Answers that do not look at the gains: nothing, everything to one channel, the same for all, what suits typical
 * gains. What they earn beyond the
 * best trivial policy is nothing, and shares to the weakest channel never earn more than to the strongest. */
START_TEST(answers_that_ignore_the_gains_earn_no_headroom)
{
    for (uint32_t n = 0; n < 300; n++) {
        wz_problem problem = family_problem(task, "", n);
        const wz_reference known = family_training(&problem, NULL);
        static const char *const answers[] = {" 0 0 0 0</answer>", " 0 0 0 10</answer>", " 2 2 2 2</answer>",
                                              " 3 3 2 2</answer>", " 10 0 0 0</answer>", " 5 3 2 0</answer>"};
        double worth[6];
        for (size_t i = 0; i < 6; i++) {
            const wz_verdict verdict = family_answer(&problem, &known, answers[i]);
            ck_assert_int_eq(verdict.kind, WZ_VERDICT_FEASIBLE);
            worth[i] = verdict.objective;
            if (!verdict.is_optimum)
                ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0);
        }
        ck_assert_double_eq(worth[0], 0);
        ck_assert_double_le(worth[1], worth[4]);
        ck_assert_double_le(worth[2], worth[3]);
        ck_assert_double_eq(fmax(fmax(worth[3], worth[4]), worth[5]), known.best_trivial);
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(malformed_numbers_are_refused_with_what_is_wrong)
{
    family_refuses(task, "", (const int32_t[]){30, 20, 10}, 3, "3 numbers where its options ask for 4");
    family_refuses(task, "", (const int32_t[]){61, 20, 10, 0}, 4,
                   "number 1, a gain, is 61; it must lie in 0 to 60");
    family_refuses(task, "", (const int32_t[]){30, 20, 10, -1}, 4,
                   "number 4, a gain, is -1; it must lie in 0 to 60");
    family_refuses(task, "", (const int32_t[]){30, 10, 20, 0}, 4,
                   "channel 3 has larger numbers than the one before");
}
END_TEST

/* ---- generator ---- */

START_TEST(gains_have_the_stated_law)
{
    enum { PROBLEMS = 2500 };
    double at_least[61] = {0};
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = family_problem(task, "channels=8 total=100 snr_db=5", n);
        for (size_t i = 0; i < 8; i++)
            for (int32_t x = 0; x <= problem.numbers[i]; x++)
                at_least[x]++;
        wz_problem_clear(&problem);
    }
    assert_exponential(at_least, 8.0 * PROBLEMS, 8 * pow(10, 0.5));
}
END_TEST

/* Random decisions use the whole power, and all vectors of shares are equally likely: with two channels and three parts each
 * of the four has 1/4, within four standard errors. */
START_TEST(random_shares_are_uniform_and_use_all_power)
{
    enum { DRAWS = 10000 };
    double count[4] = {0};
    wz_problem problem = family_problem(task, "channels=2 total=3", 0);
    for (uint32_t n = 0; n < DRAWS; n++) {
        unsigned decision[WZ_MAX_SLOTS];
        wz_draws draws = wz_draws_of_problem(4000, 5, WZ_SPLIT_TEST, n, 0);
        wz_verifier_find(task->name)->draw(&problem, &draws, decision);
        ck_assert_uint_eq(decision[0] + decision[1], 3);
        count[decision[0]]++;
    }
    for (int k = 0; k < 4; k++)
        ck_assert_double_eq_tol(count[k] / DRAWS, 0.25, 4 * sqrt(0.25 * 0.75 / DRAWS));
    wz_problem_clear(&problem);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("water_filling");
    TCase *cases = tcase_create("water_filling");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, water_fill_level_is_the_closed_form, 0, SETTINGS);
    tcase_add_loop_test(cases, reference_equals_dynamic_programming, 0, SETTINGS);
    tcase_add_loop_test(cases, continuous_optimum_bounds_whole_shares_within_the_derived_distance, 0,
                        SETTINGS);
    tcase_add_test(cases, problem_by_hand_has_the_answer_by_hand);
    tcase_add_test(cases, rounding_by_largest_remainder_keeps_the_sum);
    tcase_add_test(cases, shares_above_the_total_are_named_with_their_excess);
    tcase_add_test(cases, answers_that_ignore_the_gains_earn_no_headroom);
    tcase_add_test(cases, malformed_numbers_are_refused_with_what_is_wrong);
    tcase_add_test(cases, gains_have_the_stated_law);
    tcase_add_test(cases, random_shares_are_uniform_and_use_all_power);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
