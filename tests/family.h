/* One family of problems in a test: made with options, from numbers worked out by hand, judged by what is written. */
#ifndef WZ_TESTS_FAMILY_H
#define WZ_TESTS_FAMILY_H

#include <stdio.h>
#include <string.h>

#include "rewards/verifier.h"
#include "tests/suite.h"

/* The values of a family's options: the defaults, but for "users=3 snr_db=5". */
static inline void family_values(const wz_task *task, const char *changed, double *values)
{
    wz_task_default_values(task, values);
    while (*changed != '\0') {
        char name[64];
        double value;
        int used = 0;
        ck_assert_int_eq(sscanf(changed, " %63[^=]=%lf %n", name, &value, &used), 2);
        size_t o = 0;
        while (o < task->option_count && strcmp(task->options[o].name, name) != 0)
            o++;
        ck_assert_msg(o < task->option_count, "%s has no option %s", task->name, name);
        values[o] = value;
        changed += used;
    }
}

static inline wz_problem family_problem(const wz_task *task, const char *changed, uint32_t index)
{
    wz_problem problem = {0};
    wz_error err;
    double values[WZ_TASK_MAX_OPTIONS];
    family_values(task, changed, values);
    ck_assert_msg(wz_problem_generate(task, values, 1, WZ_SPLIT_TEST, index, &problem, &err) == WZ_OK, "%s",
                  err.text);
    return problem;
}

static inline wz_problem family_from_numbers(const wz_task *task, const char *changed, const int32_t *numbers,
                                             size_t count)
{
    wz_problem problem = {0};
    wz_error err;
    double values[WZ_TASK_MAX_OPTIONS];
    family_values(task, changed, values);
    ck_assert_msg(wz_problem_from_numbers(task, values, numbers, count, &problem, &err) == WZ_OK, "%s",
                  err.text);
    return problem;
}

/* The numbers are refused, and the message says so. */
static inline void family_refuses(const wz_task *task, const char *changed, const int32_t *numbers,
                                  size_t count, const char *says)
{
    wz_problem problem = {0};
    wz_error err;
    double values[WZ_TASK_MAX_OPTIONS];
    family_values(task, changed, values);
    ck_assert_int_eq(wz_problem_from_numbers(task, values, numbers, count, &problem, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, task->name) != NULL && strstr(err.text, says) != NULL, "\"%s\" in: %s",
                  says, err.text);
}

static inline wz_reference family_reference(const wz_problem *problem, unsigned *decision)
{
    wz_reference known;
    wz_error err;
    ck_assert_msg(wz_reference_find(wz_verifier_find(problem->task->name), problem, WZ_EFFORT_EVALUATION,
                                    decision, &known, &err) == WZ_OK,
                  "%s", err.text);
    return known;
}

/* What a completion earns: "A B</answer>", compact. */
static inline wz_verdict family_verdict(const wz_problem *problem, const char *completion)
{
    const wz_reference known = family_reference(problem, NULL);
    wz_verdict verdict;
    wz_error err;
    ck_assert_int_eq(wz_verify(wz_verifier_find(problem->task->name), problem, &known, WZ_PROMPT_COMPACT,
                               completion, strlen(completion), &verdict, &err),
                     WZ_OK);
    return verdict;
}

/* An infeasible one: by so much, as such a share, and for this reason. */
static inline void family_violates(const wz_problem *problem, const char *completion, double violation,
                                   double shortfall, const char *reason)
{
    const wz_verdict verdict = family_verdict(problem, completion);
    ck_assert_msg(verdict.kind == WZ_VERDICT_INFEASIBLE, "%s: %s", completion, verdict.reason);
    ck_assert_str_eq(verdict.reason, reason);
    ck_assert_double_eq_tol(verdict.violation, violation, 1e-12);
    ck_assert_double_eq_tol(verdict.shortfall, shortfall, 1e-12);
    ck_assert(verdict.objective == 0 && verdict.ratio == 0);
}

static inline wz_outcome family_baseline(const wz_problem *problem, const char *name)
{
    const wz_verifier *verifier = wz_verifier_find(problem->task->name);
    wz_outcome outcome;
    wz_error err;
    for (size_t b = 0; b < verifier->baseline_count; b++)
        if (strcmp(verifier->baselines[b].name, name) == 0) {
            ck_assert_msg(wz_baseline_run(verifier, b, problem, 1, &outcome, &err) == WZ_OK, "%s", err.text);
            return outcome;
        }
    ck_abort_msg("%s has no baseline %s", verifier->task, name);
    return outcome;
}

/* The prompt, compared as a whole. */
static inline void family_prints(const wz_problem *problem, wz_prompt_style style, const char *expected)
{
    wz_text text = {0};
    wz_error err;
    ck_assert_int_eq(problem->task->print(problem, style, &text, &err), WZ_OK);
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

#endif
