/* Edge offloading: Lambert's W, the division of time, and what the family is made of. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "rewards/solvers/lambert.h"
#include "rewards/solvers/time_split.h"
#include "tasks/offloading.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_offloading;

/* ---- Lambert's W ---- */

/* W(-x), by 40-digit arithmetic; an error of 1e-16 in the excess, -1 - ln x, moves y by y/(1-y) times that. */
START_TEST(lambert_w_known_values)
{
    static const double known[][2] = {{0.001, 0.0010010015026718858},
                                      {0.1, 0.11183255915896297},
                                      {0.2, 0.25917110181907375},
                                      {0.3, 0.48940222718021493},
                                      {0.367, 0.9323991847479284}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        ck_assert_double_eq_tol(wz_lambert_w(-1 - log(known[i][0])), known[i][1], 1e-15 / (1 - known[i][1]));
    ck_assert_double_eq(wz_lambert_w(0), 1);                                    /* W(-1/e) = -1 */
    ck_assert_double_eq_tol(wz_lambert_w(-1 - log(log(2) / 2)), log(2), 4e-15); /* W(-ln 2 / 2) = -ln 2 */
}
END_TEST

/* W(-t exp(-t)) = -t, from the branch point to where exp(-1 - excess) is lost. */
START_TEST(lambert_w_inverts_its_definition)
{
    for (double rest = 1e-9; rest < 1; rest = rest < 0.5 ? rest * 1.01 : rest + 0.001) {
        const double excess = -rest - log1p(-rest); /* t = 1 - rest */
        ASSERT_EACH(fabs(wz_lambert_w(excess) - (1 - rest)) <= 4e-16 * (1 + 1 / rest) + 1e-16, "rest %g",
                    rest);
    }
    for (double t = 1e-300; t < 0.1; t *= 3)
        ASSERT_EACH(fabs(wz_lambert_w(t - log(t) - 1) - t) <= 1e-12 * t, "%g", t); /* ln t is up to 690 */
}
END_TEST

/* ---- the division of time ---- */

START_TEST(time_split_closed_forms)
{
    wz_split_times times;
    const wz_split_load local = {.local = 5, .scale = {1, 2}};
    ck_assert_double_eq(wz_time_split(&local, &times), 5);
    ck_assert_double_eq(times.harvest, 1);
    /* One sender with s = 1: z ln z + 1 = z + s has the root e, so that a = 1 - 1/e, t = 1/e, rate = E/e. */
    const wz_split_load one = {.scale = {3, 1}, .snr = {1, 0}};
    ck_assert_double_eq_tol(wz_time_split(&one, &times), 3 / exp(1), 1e-14);
    ck_assert_double_eq_tol(times.harvest, 1 - 1 / exp(1), 1e-6); /* v within 1e-7 */
    ck_assert_double_eq_tol(times.share[0], 1 / exp(1), 1e-6);
}
END_TEST

static double split_rate(const wz_split_load *load, double a, double first, double second)
{
    const double t[2] = {first, second};
    double rate = load->local * cbrt(a);
    for (int g = 0; g < 2; g++)
        if (t[g] > 0 && load->snr[g] > 0)
            rate += load->scale[g] * t[g] * log1p(load->snr[g] * a / t[g]);
    return rate;
}

/* Golden sections: the best a, and for each the best share of the rest. */
static double golden(const wz_split_load *load, double a, int outer)
{
    const double golden_ratio = 0.61803398874989485;
    double low = 0, high = 1;
    for (int i = 0; i < 60; i++) {
        const double left = high - golden_ratio * (high - low), right = low + golden_ratio * (high - low);
        const double at_left =
            outer ? golden(load, left, 0) : split_rate(load, a, left * (1 - a), (1 - left) * (1 - a));
        const double at_right =
            outer ? golden(load, right, 0) : split_rate(load, a, right * (1 - a), (1 - right) * (1 - a));
        if (at_left > at_right)
            high = right;
        else
            low = left;
    }
    const double at = (low + high) / 2;
    return outer ? golden(load, at, 0) : split_rate(load, a, at * (1 - a), (1 - at) * (1 - a));
}

static wz_split_load random_load(wz_draws *draws)
{
    wz_split_load load = {.local = pow(10, 3 * wz_draws_uniform(draws) - 2), .scale = {2.6, 3.9}};
    load.snr[0] = pow(10, 6 * wz_draws_uniform(draws) - 4);
    load.snr[1] = wz_draws_below(draws, 4) == 0 ? 0 : pow(10, 6 * wz_draws_uniform(draws) - 4);
    if (wz_draws_below(draws, 8) == 0)
        load.local = 0;
    return load;
}

/* Sixty sections narrow the argument to 3e-13, and the rate is flat at its maximum; near the ends of the interval,
 * where it is not, slopes of up to 1e4 leave 1e-8. */
START_TEST(time_split_equals_golden_sections)
{
    wz_draws draws = wz_draws_of_problem(4001, 1, WZ_SPLIT_TEST, 0, 0);
    for (int n = 0; n < 100; n++) {
        wz_split_times times;
        const wz_split_load load = random_load(&draws);
        const double rate = wz_time_split(&load, &times), oracle = golden(&load, 0, 1);
        ASSERT_EACH(fabs(rate - oracle) <= 1e-8 * oracle && rate >= oracle * (1 - 1e-12),
                    "load %d: %.15g, golden sections %.15g", n, rate, oracle);
        ck_assert_double_eq_tol(times.harvest + times.share[0] + times.share[1], 1, 1e-14);
    }
}
END_TEST

/* At the optimum, all derivatives by time are equal (each sender's own: groups share s_i a / t_i). v is found within
 * 1e-7, and passes through cancellations of at most 1e3. */
START_TEST(time_split_meets_the_optimality_conditions)
{
    wz_draws draws = wz_draws_of_problem(4002, 1, WZ_SPLIT_TEST, 0, 0);
    for (int n = 0; n < 1000; n++) {
        wz_split_times times;
        wz_split_load load = random_load(&draws);
        load.local += 0.01;
        (void)wz_time_split(&load, &times);
        double by_a = load.local / 3 / cbrt(times.harvest * times.harvest);
        for (int g = 0; g < 2; g++)
            if (load.snr[g] > 0)
                by_a += load.scale[g] * load.snr[g] / (1 + load.snr[g] * times.harvest / times.share[g]);
        for (int g = 0; g < 2; g++) {
            if (load.snr[g] <= 0)
                continue;
            const double z = 1 + load.snr[g] * times.harvest / times.share[g],
                         by_t = load.scale[g] * (log(z) + 1 / z - 1);
            ASSERT_EACH(fabs(by_t - by_a) <= 1e-4 * by_a, "load %d, group %d: %.12g, by a %.12g", n, g, by_t,
                        by_a);
        }
    }
}
END_TEST

/* ---- the family ---- */

/* Two users at -60 and -63 dB, the second of weight 1.5. Formulas as the header states them, each user by itself. */
START_TEST(judge_two_users_is_worked_by_hand)
{
    static const int32_t numbers[] = {30, 10, 27, 15};
    wz_problem problem = family_from_numbers(task, "users=2", numbers, 4);
    const double h[] = {1e-6, pow(10, -6.3)}, weight[] = {1, 1.5};
    double local[2], best = 0;
    for (int i = 0; i < 2; i++)
        local[i] = weight[i] * pow(0.7 * 3, 1.0 / 3) / 100 * pow(h[i] / 1e-26, 1.0 / 3) / 1e6;
    ck_assert_double_eq_tol(local[0], 0.0594393, 1e-6); /* 0.012806 x 4641588.8 bit/s */
    ck_assert_double_eq_tol(family_judge(&problem, (unsigned[]){0, 0}).objective, local[0] + local[1], 1e-12);
    for (int k = 1; k < 100000; k++) { /* the second offloads: a grid over a */
        const double a = k / 1e5, t = 1 - a, snr = 0.7 * 3 * h[1] * h[1] * a / (t * 1e-10);
        best = fmax(best, local[0] * cbrt(a) + 1.5 * 2e6 / (1.1 * log(2)) * t * log(1 + snr) / 1e6);
    }
    /* a grid of 1e-5 misses the maximum by at most f'' 1e-10 / 8 */
    ck_assert_double_eq_tol(family_judge(&problem, (unsigned[]){0, 1}).objective, best, 1e-8);
    wz_problem_clear(&problem);
}
END_TEST

/* All users at one distance: gains are exponential about their mean. 10 log10 Exp(1) has mean -2.507 dB, deviation
 * 5.570. */
START_TEST(draw_gains_follow_the_channel_model)
{
    double sum = 0, below = 0, heavy = 0;
    const int problems = 2000, users = 6, count = problems * users;
    for (uint32_t n = 0; n < (uint32_t)problems; n++) {
        wz_problem problem = family_problem(task, "users=6 nearest_m=3 step_m=0", n);
        for (size_t i = 0; i < 6; i++) {
            sum += problem.numbers[2 * i];
            below += problem.numbers[2 * i] < 38; /* 37.5 dB above the floor */
            heavy += problem.numbers[2 * i + 1] == 15;
        }
        wz_problem_clear(&problem);
    }
    const double mean_db = 10 * log10(3) + 28 * log10(299792458 / (4 * acos(-1) * 915e6 * 3)) + 90,
                 share = 1 - exp(-pow(10, (37.5 - mean_db) / 10));
    /* four standard errors; the lower end is hit by 1e-4 of the gains */
    ck_assert_double_eq_tol(sum / count, mean_db - 2.507, 4 * 5.57 / sqrt(count) + 0.002);
    ck_assert_double_eq_tol(below / count, share, 4 * sqrt(share * (1 - share) / count));
    ck_assert_double_eq(heavy, count / 2);
}
END_TEST

START_TEST(prompt_is_what_the_header_says)
{
    static const int32_t numbers[] = {39, 10, 34, 15, 28, 10};
    wz_problem problem = family_from_numbers(task, "users=3", numbers, 6);
    family_prints(&problem, WZ_PROMPT_COMPACT,
                  " edge task user 3 dB plus 90 0 to 54 weight 15 a 39 10 b 34 15 c 28 10<answer>");
    family_prints(&problem, WZ_PROMPT_FULL,
                  "3 wireless devices, A to C, are powered by radio and share an edge server. In a "
                  "frame of length 1 the server first transmits energy for a time a. Each device then "
                  "computes its task either itself or at the server. A device of weight w and channel "
                  "power gain h that computes itself contributes w (2.1)^(1/3) / 100 (h a / "
                  "1e-26)^(1/3) bit/s; one that offloads sends alone for a time t of its own and "
                  "contributes w 2e6 / (1.1 ln 2) t ln(1 + 2.1e10 h^2 a / t) bit/s. The times a and all "
                  "t add up to at most 1, and are chosen in the best way once it is known who offloads.\n"
                  "Device A: gain -51 dB, weight 1.0\n"
                  "Device B: gain -56 dB, weight 1.5\n"
                  "Device C: gain -62 dB, weight 1.0\n"
                  "Choose who offloads so that the sum of all contributions is largest.\n" FULL_PROMPT_END(
                      "3 digits in the order of the devices, 1 for a device that offloads and 0 for one that "
                      "computes itself, separated by single spaces"));
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(numbers_of_no_problem_are_named)
{
    family_refuses(task, "users=2", (int32_t[]){55, 10, 27, 15}, 4, "number 1, a gain, is 55");
    family_refuses(task, "users=2", (int32_t[]){30, 10, 27, 14}, 4,
                   "number 4, a weight in tenths, is 14; it");
    family_refuses(task, "users=2", (int32_t[]){27, 10, 30, 15}, 4, "user 2 has a larger gain");
    family_refuses(task, "users=2", (int32_t[]){30, 10, 30, 15}, 4, "at the same gain a larger weight");
    family_refuses(task, "users=2", (int32_t[]){30, 10, 30}, 3, "3 numbers where its options ask for 4");
}
END_TEST

/* Beyond enumeration, training goes by thresholds and single changes: nearly always the optimum. */
START_TEST(training_reference_is_close_to_the_optimum)
{
    double ratio = 0;
    for (uint32_t n = 0; n < 100; n++) {
        wz_problem problem = family_problem(task, "users=10", n);
        const wz_reference best = family_reference(&problem, NULL), known = family_training(&problem, NULL);
        ck_assert_int_eq(best.kind, WZ_REFERENCE_OPTIMUM);
        ck_assert_int_eq(known.kind, WZ_REFERENCE_BEST_KNOWN);
        ratio += known.objective / best.objective / 100;
        ck_assert_double_ge(known.objective, family_baseline(&problem, "weighted_thresholds").objective);
        ck_assert_double_ge(best.objective, family_baseline(&problem, "sorted_thresholds").objective);
        wz_problem_clear(&problem);
    }
    ck_assert_double_ge(ratio, 0.9998); /* sorted thresholds alone are published with that */
}
END_TEST

/* Every choice is admissible: what can be wrong is only who it is said of. */
START_TEST(answers_that_name_others_are_no_answers)
{
    wz_problem problem = family_problem(task, "users=4", 0);
    static const char *const tricks[] = {" A B C</answer>",     " A B C D D</answer>",  " A B D C</answer>",
                                         " A A C D</answer>",   " A a C D</answer>",    " A B C E</answer>",
                                         " 1 1 1 1</answer>",   " A B C none</answer>", " ABCD</answer>",
                                         " A, B, C, D</answer>"};
    family_rejects_all(&problem, tricks, sizeof tricks / sizeof *tricks);
    ck_assert_int_eq(family_verdict(&problem, " A b C d</answer>").kind, WZ_VERDICT_FEASIBLE);
    wz_problem_clear(&problem);
}
END_TEST

/* Answers that do not look at the problem earn no headroom, and the ratio of the floors that are published. */
START_TEST(constant_answers_earn_no_headroom)
{
    double all = 0, two = 0;
    const int problems = 400;
    for (uint32_t n = 0; n < (uint32_t)problems; n++) {
        wz_problem problem = family_problem(task, "users=10", n);
        const wz_reference known = family_training(&problem, NULL);
        static const char *const answers[] = {" A B C D E F G H I J</answer>",
                                              " A B c d e f g h i j</answer>",
                                              " a b c d e f g h i j</answer>"};
        for (int k = 0; k < 3; k++) {
            const wz_verdict verdict = family_answer(&problem, &known, answers[k]);
            ck_assert_int_eq(verdict.kind, WZ_VERDICT_FEASIBLE);
            if (verdict.ratio < 1 - 1e-9)
                ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0);
            *(k == 0 ? &all : &two) += k < 2 ? verdict.ratio / problems : 0;
        }
        wz_problem_clear(&problem);
    }
    /* floors of .897 and .969; deviations of single ratios are .047 and .037 */
    ck_assert_double_eq_tol(all, 0.897, 0.0005 + 4 * 0.047 / sqrt(problems));
    ck_assert_double_eq_tol(two, 0.969, 0.0005 + 4 * 0.037 / sqrt(problems));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("offloading");
    TCase *cases = tcase_create("offloading");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, lambert_w_known_values);
    tcase_add_test(cases, lambert_w_inverts_its_definition);
    tcase_add_test(cases, time_split_closed_forms);
    tcase_add_test(cases, time_split_equals_golden_sections);
    tcase_add_test(cases, time_split_meets_the_optimality_conditions);
    tcase_add_test(cases, judge_two_users_is_worked_by_hand);
    tcase_add_test(cases, draw_gains_follow_the_channel_model);
    tcase_add_test(cases, prompt_is_what_the_header_says);
    tcase_add_test(cases, numbers_of_no_problem_are_named);
    tcase_add_test(cases, training_reference_is_close_to_the_optimum);
    tcase_add_test(cases, answers_that_name_others_are_no_answers);
    tcase_add_test(cases, constant_answers_earn_no_headroom);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
