/* Energy efficiency: a closed form by Lambert's W, links that do not disturb one another, problems by hand, verdicts. */
#include <check.h>
#include <math.h>

#include "rewards/solvers/energy_efficiency.h"
#include "tasks/energy_efficiency.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_energy_efficiency;

static double uniform(uint32_t number, uint32_t which)
{
    const wz_draw_key key = {.seed = 77, .problem = number, .purpose = WZ_PURPOSE_TOOL};
    uint32_t words[4];
    wz_draw_words(&key, which, words);
    return wz_uniform(words[0]);
}

/* w e^w = x for x >= -1/e, by Newton's method from above. */
static double lambert_w(double x)
{
    double w = x > 1 ? log(x) : x + 0.01;
    for (int step = 0; step < 200; step++)
        w -= (w * exp(w) - x) / (exp(w) * (w + 1));
    return w;
}

/* One link: log2(1 + g p) / (mu p + P_c) rises up to p = (exp(1 + W((g P_c / mu - 1) / e)) - 1) / g and falls from there, so
 * that the best level is next to it. Derivative 0 reads (1 + g p) (ln(1 + g p) - 1) = g P_c / mu - 1. */
START_TEST(one_link_is_the_closed_form)
{
    for (uint32_t n = 0; n < 200; n++) {
        const double gain = pow(10, 4 * uniform(n, 0) - 1), amplifier = 0.2 + 5 * uniform(n, 1),
                     circuit = 0.01 + uniform(n, 2);
        const wz_consumer c = {{1, &gain, 1, 1}, 1001, amplifier, circuit};
        const double power = (exp(1 + lambert_w((gain * circuit / amplifier - 1) / exp(1))) - 1) / gain,
                     place = fmin(power, 1) * 1000;
        const unsigned around[2] = {(unsigned)floor(place), (unsigned)fmin(ceil(place), 1000)};
        const double expected =
            fmax(wz_energy_efficiency_of(&c, &around[0]), wz_energy_efficiency_of(&c, &around[1]));
        unsigned level;
        ck_assert_double_eq_tol(wz_energy_enumerate(&c, &level), expected, 1e-12 * expected);
        ck_assert_double_eq_tol(wz_energy_single(&c, &level), expected, 1e-12 * expected);
        ck_assert_double_eq_tol(wz_dinkelbach(&c, 1e6, &level), expected, 1e-12 * expected);
    }
}
END_TEST

/* Without interference rate - q power is a sum of concave functions of one level each: changing one at a time is exact, and so
 * is Dinkelbach's method. */
START_TEST(dinkelbach_without_interference_is_exact)
{
    for (uint32_t n = 0; n < 100; n++) {
        double gain[9] = {0};
        for (uint32_t i = 0; i < 3; i++)
            gain[i * 4] = -30 * log(uniform(n, i));
        const wz_consumer c = {{3, gain, 1, 1}, 12, 0.5 + 3 * uniform(n, 3), 0.1 + 2 * uniform(n, 4)};
        unsigned level[3];
        const double best = wz_energy_enumerate(&c, level);
        ck_assert_double_eq_tol(wz_dinkelbach(&c, 1e6, level), best, 1e-9 * best);
    }
}
END_TEST

static const char *const settings[] = {"", "links=5 levels=4 direct=1",
                                       "links=2 levels=50 snr_db=20 amplifier_percent=50", "links=16"};
#define SETTINGS ((int)(sizeof settings / sizeof *settings))

/* No single change of a level helps, and where all vectors can be tried it loses little: the mean is above 0.995 by far more than
 * four standard errors (0.9998 +- 0.0001 at the default setting). */
START_TEST(dinkelbach_ends_where_no_single_change_helps)
{
    double ratio = 0;
    enum { PROBLEMS = 60 };
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = family_problem(task, settings[_i], n);
        const wz_energy_efficiency *p = problem.payload;
        const wz_consumer c = {{p->links, p->gain, 1, 1}, p->levels, p->amplifier, p->circuit};
        unsigned level[WZ_MAX_LINKS];
        const double found = wz_dinkelbach(&c, 1e6, level);
        for (size_t i = 0; i < p->links; i++) {
            const unsigned kept = level[i];
            for (level[i] = 0; level[i] < p->levels; level[i]++)
                ASSERT_EACH(wz_energy_efficiency_of(&c, level) <= found * (1 + 1e-9), "one change helps");
            level[i] = kept;
        }
        const wz_reference known = family_reference(&problem, NULL);
        ck_assert_double_le(found, known.decided * (1 + 1e-12));
        ck_assert_double_ge(found, family_baseline(&problem, "strongest").objective);
        ratio += found / known.decided / PROBLEMS;
        wz_problem_clear(&problem);
    }
    ck_assert_double_ge(ratio, 0.995);
}
END_TEST

/* Without work the search keeps what it was given, or takes the best single link; the largest problems are searched in training
 * with what a step can spare (each of their climbs to the end would take seconds). */
START_TEST(work_is_bounded)
{
    wz_problem problem = family_problem(task, "links=64 levels=1000", 0);
    const wz_energy_efficiency *p = problem.payload;
    const wz_consumer c = {{p->links, p->gain, 1, 1}, p->levels, p->amplifier, p->circuit};
    unsigned given[WZ_MAX_LINKS] = {7, 0, 5}, single[WZ_MAX_LINKS], found[WZ_MAX_LINKS];
    double work = 100;
    const double before = wz_energy_efficiency_of(&c, given), alone = wz_energy_single(&c, single);
    ck_assert_double_eq(wz_energy_climb(&c, &work, given), before);
    ck_assert(given[0] == 7 && given[1] == 0 && given[2] == 5 && work == 100);
    work = 68096 + 1; /* one change: 64 (64 + 1000) */
    ck_assert_double_ge(wz_energy_climb(&c, &work, given), before);
    ck_assert(work == 1 && given[1] == 0 && given[2] == 5);
    ck_assert_double_eq(wz_dinkelbach(&c, 0, found), alone);
    ck_assert_mem_eq(found, single, sizeof(unsigned) * p->links);
    for (uint32_t n = 0; n < 3; n++) {
        wz_problem large = family_problem(task, "links=64 levels=1000", n);
        ck_assert_double_gt(family_training(&large, NULL).objective, 0);
        wz_problem_clear(&large);
    }
    wz_problem_clear(&problem);
}
END_TEST

/* On/off, gains 10, mu = 3, P_c = 1. One link: log2(11) / 4 = 0.865 bit/J/Hz. Both: 2 log2(1 + 10/1.01) / 7 = 0.985 where they
 * hardly hear each other, 2 log2(1 + 10/101) / 7 = 0.039 where they do. */
START_TEST(problems_by_hand_have_the_answers_by_hand)
{
    static const int32_t apart[] = {30, 0, 0, 30}, close[] = {30, 40, 40, 30};
    wz_problem problem = family_from_numbers(task, "links=2 levels=2 circuit_percent=100", apart, 4);
    unsigned decision[WZ_MAX_SLOTS];
    wz_reference known = family_training(&problem, decision);
    ck_assert(decision[0] == 1 && decision[1] == 1);
    ck_assert_double_eq_tol(known.objective, 2 * log2(1 + 10 / 1.01) / 7, 1e-14);
    ck_assert_double_eq_tol(family_answer(&problem, &known, " 0 1</answer>").objective, log2(11) / 4, 1e-14);
    family_prints(&problem, WZ_PROMPT_COMPACT,
                  " rate per energy 300 plus 100 levels 2 dB plus 20 0 to 60 a A 30 B 0 b B 30 A 0<answer>");
    wz_problem_clear(&problem);
    problem = family_from_numbers(task, "links=2 levels=2 circuit_percent=100", close, 4);
    known = family_training(&problem, decision);
    ck_assert_uint_eq(decision[0] + decision[1], 1);
    ck_assert_double_eq_tol(known.objective, log2(11) / 4, 1e-14);
    ck_assert_double_eq_tol(family_answer(&problem, &known, " 1 1</answer>").objective,
                            2 * log2(1 + 10.0 / 101) / 7, 1e-14);
    wz_problem_clear(&problem);
}
END_TEST

/* Silence sends nothing; full power of all and of the strongest earn no headroom, the latter more than of any other. */
START_TEST(answers_that_ignore_the_gains_earn_no_headroom)
{
    for (uint32_t n = 0; n < 300; n++) {
        wz_problem problem = family_problem(task, "", n);
        const wz_reference known = family_reference(&problem, NULL);
        static const char *const answers[] = {" 0 0 0</answer>", " 10 10 10</answer>", " 10 0 0</answer>",
                                              " 0 10 0</answer>", " 0 0 10</answer>"};
        double worth[5];
        for (size_t i = 0; i < 5; i++) {
            const wz_verdict verdict = family_answer(&problem, &known, answers[i]);
            ck_assert_int_eq(verdict.kind, WZ_VERDICT_FEASIBLE);
            worth[i] = verdict.objective;
            if (!verdict.is_optimum)
                ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0);
        }
        ck_assert_double_eq(worth[0], 0);
        ck_assert(worth[3] <= worth[2] && worth[4] <= worth[3]);
        ck_assert_double_le(fmax(worth[1], worth[2]), known.best_trivial);
        ck_assert_int_eq(family_answer(&problem, &known, " 11 0 0</answer>").kind, WZ_VERDICT_OUT_OF_RANGE);
        ck_assert_int_eq(family_answer(&problem, &known, " 1 0 0 0</answer>").kind, WZ_VERDICT_WRONG_LENGTH);
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(malformed_numbers_are_refused_with_what_is_wrong)
{
    family_refuses(task, "links=2", (const int32_t[]){30, 20, 20, 30, 30}, 5,
                   "5 numbers where its options ask for 4");
    family_refuses(task, "links=2", (const int32_t[]){61, 20, 20, 30}, 4,
                   "energy_efficiency: number 1, a gain, is 61; it must lie in 0 to 60");
    family_refuses(task, "links=2", (const int32_t[]){30, 20, 20, 31}, 4,
                   "energy_efficiency: link 2 has a larger direct gain than the one before it");
}
END_TEST

START_TEST(gains_have_the_stated_law)
{
    family_has_rayleigh_gains(task, "links=2 snr_db=5 direct=3", 3 * pow(10, 0.5), pow(10, 0.5));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("energy_efficiency");
    TCase *cases = tcase_create("energy_efficiency");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, one_link_is_the_closed_form);
    tcase_add_test(cases, dinkelbach_without_interference_is_exact);
    tcase_add_loop_test(cases, dinkelbach_ends_where_no_single_change_helps, 0, SETTINGS);
    tcase_add_test(cases, problems_by_hand_have_the_answers_by_hand);
    tcase_add_test(cases, work_is_bounded);
    tcase_add_test(cases, answers_that_ignore_the_gains_earn_no_headroom);
    tcase_add_test(cases, malformed_numbers_are_refused_with_what_is_wrong);
    tcase_add_test(cases, gains_have_the_stated_law);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
