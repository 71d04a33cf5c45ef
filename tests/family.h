/* One family of problems in a test: made with options written as in configurations, from numbers worked out by hand, judged by
 * what is written. Every failure ends the test. */
#ifndef WZ_TESTS_FAMILY_H
#define WZ_TESTS_FAMILY_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rewards/reward.h"
#include "rewards/verifier.h"
#include "tests/suite.h"

static wz_error family_err;

/* A value as it is written: by its name, where the option has names, or as a number. */
static inline double family_value(const wz_task_option *option, const char *written)
{
    char *end;
    for (size_t v = 0; option->names != NULL && option->names[v] != NULL; v++)
        if (strcmp(option->names[v], written) == 0)
            return (double)v;
    const double value = strtod(written, &end);
    ck_assert_msg(option->names == NULL && end != written && *end == '\0', "%s=%s", option->name, written);
    return value;
}

/* The values of a family's options: the defaults, but for "users=3 objective=proportional_fair". */
static inline void family_values(const wz_task *task, const char *changed, double *values)
{
    wz_task_default_values(task, values);
    while (*changed != '\0') {
        char name[64], value[64];
        int used = 0;
        ck_assert_int_eq(sscanf(changed, " %63[^=]=%63s %n", name, value, &used), 2);
        size_t o = 0;
        while (o < task->option_count && strcmp(task->options[o].name, name) != 0)
            o++;
        ck_assert_msg(o < task->option_count, "%s has no option %s", task->name, name);
        values[o] = family_value(&task->options[o], value);
        changed += used;
    }
}

static inline wz_problem family_problem(const wz_task *task, const char *changed, uint32_t index)
{
    wz_problem problem = {0};
    double values[WZ_TASK_MAX_OPTIONS];
    family_values(task, changed, values);
    ck_assert_msg(wz_problem_generate(task, values, 1, WZ_SPLIT_TEST, index, &problem, &family_err) == WZ_OK,
                  "%s", family_err.text);
    return problem;
}

static inline wz_problem family_from_numbers(const wz_task *task, const char *changed, const int32_t *numbers,
                                             size_t count)
{
    wz_problem problem = {0};
    double values[WZ_TASK_MAX_OPTIONS];
    family_values(task, changed, values);
    ck_assert_msg(wz_problem_from_numbers(task, values, numbers, count, &problem, &family_err) == WZ_OK, "%s",
                  family_err.text);
    return problem;
}

/* The numbers are refused, and the message says so. */
static inline void family_refuses(const wz_task *task, const char *changed, const int32_t *numbers,
                                  size_t count, const char *says)
{
    wz_problem problem = {0};
    double values[WZ_TASK_MAX_OPTIONS];
    family_values(task, changed, values);
    ck_assert_int_eq(wz_problem_from_numbers(task, values, numbers, count, &problem, &family_err),
                     WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(family_err.text, task->name) != NULL && strstr(family_err.text, says) != NULL,
                  "\"%s\" in: %s", says, family_err.text);
    ck_assert_ptr_null(problem.payload);
}

static inline wz_reference family_reference_of(const wz_problem *problem, wz_effort effort,
                                               unsigned *decision)
{
    wz_reference known;
    ck_assert_msg(wz_reference_find(wz_verifier_find(problem->task->name), problem, effort, decision, &known,
                                    &family_err) == WZ_OK,
                  "%s", family_err.text);
    return known;
}

static inline wz_reference family_reference(const wz_problem *problem, unsigned *decision)
{
    return family_reference_of(problem, WZ_EFFORT_EVALUATION, decision);
}

/* The reference that training has. */
static inline wz_reference family_training(const wz_problem *problem, unsigned *decision)
{
    return family_reference_of(problem, WZ_EFFORT_TRAINING, decision);
}

static inline wz_outcome family_judge(const wz_problem *problem, const unsigned *decision)
{
    wz_outcome outcome = {.feasible = true};
    ck_assert_int_eq(wz_verifier_find(problem->task->name)->judge(problem, decision, &outcome, &family_err),
                     WZ_OK);
    return outcome;
}

/* What a completion earns beside what is known: "A B</answer>", compact. */
static inline wz_verdict family_answer(const wz_problem *problem, const wz_reference *known,
                                       const char *completion)
{
    wz_verdict verdict;
    ck_assert_int_eq(wz_verify(wz_verifier_find(problem->task->name), problem, known, WZ_PROMPT_COMPACT,
                               completion, strlen(completion), &verdict, &family_err),
                     WZ_OK);
    return verdict;
}

static inline wz_verdict family_verdict(const wz_problem *problem, const char *completion)
{
    const wz_reference known = family_reference(problem, NULL);
    return family_answer(problem, &known, completion);
}

/* An infeasible one: by so much, as such a share, and for this reason; worth nothing but what guides to feasible ones. */
static inline void family_violates(const wz_problem *problem, const char *completion, double violation,
                                   double shortfall, const char *reason)
{
    const wz_reference known = family_reference(problem, NULL);
    const wz_verdict verdict = family_answer(problem, &known, completion);
    ck_assert_msg(verdict.kind == WZ_VERDICT_INFEASIBLE, "%s: %s", completion, verdict.reason);
    ck_assert_str_eq(verdict.reason, reason);
    ck_assert_double_eq_tol(verdict.violation, violation, 1e-12);
    ck_assert_double_eq_tol(verdict.shortfall, shortfall, 1e-12);
    ck_assert(verdict.objective == 0 && verdict.ratio == 0 && !verdict.is_optimum);
    for (wz_reward_func function = 0; function < WZ_REWARD_FUNCS; function++)
        ck_assert_double_eq(wz_reward(function, &verdict, &known), function == WZ_REWARD_FORMAT);
    const wz_reward_options half_way = {.shaping = 0.5, .shaping_steps = 100};
    ck_assert_double_eq_tol(wz_reward_shaping(&half_way, 50, &verdict), 0.25 * (1 - shortfall), 1e-12);
}

static inline wz_outcome family_baseline(const wz_problem *problem, const char *name)
{
    const wz_verifier *verifier = wz_verifier_find(problem->task->name);
    wz_outcome outcome;
    for (size_t b = 0; b < verifier->baseline_count; b++)
        if (strcmp(verifier->baselines[b].name, name) == 0) {
            ck_assert_msg(wz_baseline_run(verifier, b, problem, 1, &outcome, &family_err) == WZ_OK, "%s",
                          family_err.text);
            return outcome;
        }
    ck_abort_msg("%s has no baseline %s", verifier->task, name);
    return outcome;
}

/* The prompt, compared as a whole. */
static inline void family_prints(const wz_problem *problem, wz_prompt_style style, const char *expected)
{
    wz_text text = {0};
    ck_assert_int_eq(wz_problem_print(problem, style, &text, &family_err), WZ_OK);
    ck_assert_str_eq(text.data, expected);
    wz_text_clear(&text);
}

#define FULL_PROMPT_END(what)                                                                                \
    "Reason between <think> and </think>; then write " what                                                  \
    ", between <answer> and </answer>, and nothing after that.\n<think>"

/* Each completion earns nothing, and the verdict has a reason. */
static inline void family_rejects_all(const wz_problem *problem, const char *const *completions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const wz_verdict verdict = family_verdict(problem, completions[i]);
        ck_assert_msg(verdict.kind != WZ_VERDICT_FEASIBLE, "\"%s\" is taken for an answer", completions[i]);
        ck_assert(verdict.reason[0] != '\0' && verdict.ratio == 0 && verdict.shortfall > 0);
    }
}

/* Printed gains, whole dB above -20 dB, of `total` independent exponential ones of mean `scale`: at_least[x], x in 0..60, of
 * them are at least x, which has probability exp(-10^((x - 20.5) / 10) / scale). Within four standard errors. */
static inline void assert_exponential(const double *at_least, double total, double scale)
{
    for (int x = 1; x <= 60; x++) {
        const double p = exp(-pow(10, (x - 20.5) / 10) / scale), share = at_least[x] / total;
        ck_assert_msg(fabs(share - p) <= 4 * sqrt(p * (1 - p) / total) + 1e-9,
                      "at least %d: %.5f of the gains, %.5f by the law", x, share, p);
    }
}

/* The same of a family of link tables, at two links, with the means of direct gains and of the others. */
static inline void family_has_rayleigh_gains(const wz_task *task, const char *options, double direct,
                                             double cross)
{
    enum { PROBLEMS = 5000 };
    double at_least[2][61] = {{0}};
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = family_problem(task, options, n);
        ck_assert_uint_eq(problem.size, 2);
        for (size_t entry = 0; entry < 4; entry++)
            for (int32_t x = 0; x <= problem.numbers[entry]; x++)
                at_least[entry == 0 || entry == 3][x]++;
        wz_problem_clear(&problem);
    }
    assert_exponential(at_least[1], 2.0 * PROBLEMS, direct);
    assert_exponential(at_least[0], 2.0 * PROBLEMS, cross);
}

#endif
