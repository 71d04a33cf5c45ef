/* The best answer that does not look at the problem: sought on training problems, at the settings of the defaults and of the
 * presets, and judged on test problems. The families' trivial policies, which `headroom` starts from, are to be as good. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rewards/typical.h"
#include "tests/family.h"

static const struct {
    const char *task, *options;
} settings[] = {
    {"power_control", "links=3 levels=8 snr_db=10"},
    {"power_control", "links=5"},
    {"power_control", "links=10"},
    {"assignment", ""},
    {"independent_set", ""},
    {"independent_set", "links=12"},
    {"deadline", ""},
    {"water_filling", ""},
    {"water_filling", "channels=8 total=20 snr_db=-5"},
    {"d2d", ""},
    {"max_min", ""},
    {"max_min", "levels=21"},
    {"ofdma", ""},
    {"offloading", ""},
    {"isac", ""},
    {"isac", "total=20"},
    {"beam_hopping", ""},
    {"semantic", ""},
    {"energy_efficiency", ""},
    {"energy_efficiency", "circuit_percent=100"},
};
#define SETTINGS (sizeof settings / sizeof *settings)

/* What a constant may earn by headroom. It may be better than all trivial policies on some problems: where parts are alike, as
 * in `assignment`, other constants are worth as much as the policy that was chosen, and a daring one, four links on where two
 * or three are what is best in the mean, is right on a third of the problems and worth nothing on the others. */
#define MOST_HEADROOM 0.35

enum { TRAINING = 120, TESTING = 1000, STARTS = 6 };

static const wz_verifier *verifier;
static wz_answer_form form;
static wz_problem problems[TESTING];
static wz_reference known[TESTING];
static wz_error err;

static void make_problems(const char *name, const char *options, wz_split split, size_t count)
{
    const wz_task *task = wz_task_find(name);
    double values[WZ_TASK_MAX_OPTIONS];
    ck_assert_ptr_nonnull(task);
    verifier = wz_verifier_find(name);
    family_values(task, options, values);
    for (size_t n = 0; n < count; n++) {
        problems[n] = (wz_problem){0};
        ck_assert_msg(wz_problem_generate(task, values, 11, split, (uint32_t)n, &problems[n], &err) == WZ_OK,
                      "%s", err.text);
        ck_assert_int_eq(wz_reference_find(verifier, &problems[n], WZ_EFFORT_TRAINING, NULL, &known[n], &err),
                         WZ_OK);
    }
    form = (wz_answer_form){0};
    task->answer_form(&problems[0], &form);
}

static void clear_problems(size_t count)
{
    for (size_t n = 0; n < count; n++)
        wz_problem_clear(&problems[n]);
}

/* What a decision earns on problem n. */
static double earned(size_t n, const unsigned *decision, wz_reward_func function)
{
    wz_outcome outcome = {.feasible = true};
    ck_assert_int_eq(verifier->judge(&problems[n], decision, &outcome, &err), WZ_OK);
    const wz_verdict verdict = {.kind = outcome.feasible ? WZ_VERDICT_FEASIBLE : WZ_VERDICT_INFEASIBLE,
                                .objective = outcome.feasible ? outcome.objective : 0};
    return wz_reward(function, &verdict, &known[n]);
}

/* The mean over the training problems; or less than `least` of what cannot reach it, each problem giving 1 at most (a best
 * known reference may be passed, by less than a tenth). */
static double worth(const unsigned *decision, wz_reward_func function, double least)
{
    double sum = 0;
    for (size_t n = 0; n < TRAINING; n++) {
        sum += earned(n, decision, function);
        if (sum + 1.1 * (double)(TRAINING - 1 - n) < least * TRAINING)
            return -1;
    }
    return sum / TRAINING;
}

/* Keeps a changed decision if it is better. */
static bool keep(const unsigned *tried, wz_reward_func function, unsigned *decision, double *best)
{
    const double value = worth(tried, function, *best);
    if (value <= *best + 1e-12)
        return false;
    *best = value;
    memcpy(decision, tried, form.count * sizeof *tried);
    return true;
}

/* One number changed; two exchanged; one given to another. */
static bool improve(wz_reward_func function, unsigned *decision, double *best)
{
    unsigned tried[WZ_MAX_SLOTS];
    bool better = false;
    for (size_t i = 0; i < form.count; i++)
        for (unsigned c = 0; c < form.slots[i].choices; c++) {
            memcpy(tried, decision, sizeof tried);
            tried[i] = c;
            better |= c != decision[i] && keep(tried, function, decision, best);
        }
    for (size_t i = 0; i < form.count; i++)
        for (size_t j = 0; j < form.count; j++) {
            memcpy(tried, decision, sizeof tried);
            tried[i] = decision[j];
            tried[j] = decision[i];
            if (j < i && tried[i] < form.slots[i].choices && tried[j] < form.slots[j].choices)
                better |= keep(tried, function, decision, best);
            memcpy(tried, decision, sizeof tried);
            tried[i]--;
            tried[j]++;
            if (j != i && decision[i] > 0 && tried[j] < form.slots[j].choices)
                better |= keep(tried, function, decision, best);
        }
    return better;
}

/* The best constant found from what the trivial policies and the reference decide on a few problems. */
static void seek(wz_reward_func function, unsigned *found)
{
    double most = -1;
    for (size_t start = 0; start < STARTS + verifier->baseline_count; start++) {
        const wz_baseline *baseline = start < STARTS ? NULL : &verifier->baselines[start - STARTS];
        unsigned decision[WZ_MAX_SLOTS] = {0};
        wz_reference reference;
        if (start < STARTS)
            ck_assert_int_eq(
                wz_reference_find(verifier, &problems[start], WZ_EFFORT_TRAINING, decision, &reference, &err),
                WZ_OK);
        else if (baseline->kind == WZ_BASELINE_TRIVIAL)
            ck_assert_int_eq(baseline->decide(&problems[0], decision, &err), WZ_OK);
        else
            continue;
        double best = worth(decision, function, -1);
        while (improve(function, decision, &best))
            ;
        if (best > most) {
            most = best;
            memcpy(found, decision, sizeof decision);
        }
    }
}

/* The mean ratio of the trivial policy that is best in the mean, and of each problem that policy's. */
static double best_trivial(double *ratio)
{
    double most = -1, one[TESTING];
    for (size_t b = 0; b < verifier->baseline_count; b++) {
        double sum = 0;
        if (verifier->baselines[b].kind != WZ_BASELINE_TRIVIAL)
            continue;
        for (size_t n = 0; n < TESTING; n++) {
            unsigned decision[WZ_MAX_SLOTS] = {0};
            ck_assert_int_eq(verifier->baselines[b].decide(&problems[n], decision, &err), WZ_OK);
            one[n] = earned(n, decision, WZ_REWARD_RATIO);
            sum += one[n];
        }
        if (sum > most) {
            most = sum;
            memcpy(ratio, one, sizeof one);
        }
    }
    return most / TESTING;
}

static const char *write_constant(const unsigned *decision)
{
    static char text[WZ_MAX_SLOTS * 12];
    wz_text out = {0};
    ck_assert_int_eq(wz_form_print(&form, WZ_PROMPT_COMPACT, decision, &out, &err), WZ_OK);
    (void)snprintf(text, sizeof text, "%s", out.data);
    wz_text_clear(&out);
    return text;
}

/* Beyond 0.02 only four standard errors of the difference on the test problems are allowed. */
START_TEST(no_constant_is_much_better_than_the_trivial_policies)
{
    static double trivial[TESTING];
    unsigned by_ratio[WZ_MAX_SLOTS] = {0}, by_headroom[WZ_MAX_SLOTS] = {0};
    double sum = 0, squares = 0, headroom[2] = {0};
    make_problems(settings[_i].task, settings[_i].options, WZ_SPLIT_TRAIN, TRAINING);
    seek(WZ_REWARD_RATIO, by_ratio);
    seek(WZ_REWARD_HEADROOM, by_headroom);
    clear_problems(TRAINING);
    make_problems(settings[_i].task, settings[_i].options, WZ_SPLIT_TEST, TESTING);
    const double floor = best_trivial(trivial);
    for (size_t n = 0; n < TESTING; n++) {
        const double more = earned(n, by_ratio, WZ_REWARD_RATIO) - trivial[n];
        sum += more;
        squares += more * more;
        headroom[0] += earned(n, by_ratio, WZ_REWARD_HEADROOM) / TESTING;
        headroom[1] += earned(n, by_headroom, WZ_REWARD_HEADROOM) / TESTING;
    }
    const double mean = sum / TESTING, error = sqrt((squares / TESTING - mean * mean) / TESTING);
    if (getenv("WZ_SHOW") != NULL) {
        printf("%-18s %-32s trivial %.4f, best constant%s %+.4f (s.e. %.4f), headroom %.3f;",
               settings[_i].task, settings[_i].options, floor, write_constant(by_ratio), mean, error,
               headroom[0]);
        printf(" by headroom%s %.3f\n", write_constant(by_headroom), headroom[1]);
    }
    ck_assert_msg(mean <= 0.02 + 4 * error, "%s %s: always%s has ratio %.4f, the best trivial policy %.4f",
                  settings[_i].task, settings[_i].options, write_constant(by_ratio), floor + mean, floor);
    for (int which = 0; which < 2; which++)
        ck_assert_msg(headroom[which] <= MOST_HEADROOM, "%s %s: always%s earns headroom %.3f",
                      settings[_i].task, settings[_i].options,
                      write_constant(which == 0 ? by_ratio : by_headroom), headroom[which]);
    clear_problems(TESTING);
}
END_TEST

/* Of two exponentials the larger has mean 1 + 1/2, the smaller 1/2. */
START_TEST(typical_exponentials_are_the_means_of_order_statistics)
{
    ck_assert_double_eq(wz_typical_exponential(0, 1), 1);
    ck_assert_double_eq(wz_typical_exponential(0, 2), 1.5);
    ck_assert_double_eq(wz_typical_exponential(1, 2), 0.5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("constants");
    TCase *cases = tcase_create("constants");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, typical_exponentials_are_the_means_of_order_statistics);
    tcase_add_loop_test(cases, no_constant_is_much_better_than_the_trivial_policies, 0, SETTINGS);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
