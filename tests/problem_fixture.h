/* Problems and decisions for the tests of single families. */
#ifndef WZ_TESTS_PROBLEM_FIXTURE_H
#define WZ_TESTS_PROBLEM_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "rewards/reward.h"
#include "rewards/verifier.h"

static wz_error fixture_err;

/* A family's defaults, and "users=3 blocks=6" beside them. */
static inline void fixture_values(const wz_task *task, const char *options, double *values)
{
    wz_task_default_values(task, values);
    while (*options != '\0') {
        char name[64];
        double value;
        int used = 0;
        ck_assert_int_eq(sscanf(options, " %63[^=]=%lf %n", name, &value, &used), 2);
        size_t o = 0;
        while (o < task->option_count && strcmp(task->options[o].name, name) != 0)
            o++;
        ck_assert_msg(o < task->option_count, "%s has no option %s", task->name, name);
        values[o] = value;
        options += used;
    }
}

static inline wz_problem fixture_problem(const wz_task *task, const char *options, uint32_t index)
{
    wz_problem problem = {0};
    double values[WZ_TASK_MAX_OPTIONS];
    fixture_values(task, options, values);
    ck_assert_msg(wz_problem_generate(task, values, 1, WZ_SPLIT_TEST, index, &problem, &fixture_err) == WZ_OK,
                  "%s", fixture_err.text);
    return problem;
}

/* A problem of these numbers; NULL payload, and the message in fixture_err, where they are refused. */
static inline wz_problem fixture_read(const wz_task *task, const char *options, const int32_t *numbers,
                                      size_t count)
{
    wz_problem problem = {0};
    double values[WZ_TASK_MAX_OPTIONS];
    fixture_values(task, options, values);
    const wz_status status = wz_problem_from_numbers(task, values, numbers, count, &problem, &fixture_err);
    ck_assert(status == WZ_OK || (status == WZ_ERR_CORRUPT && problem.payload == NULL));
    return problem;
}

static inline void fixture_refuses(const wz_task *task, const char *options, const int32_t *numbers,
                                   size_t count, const char *says)
{
    const wz_problem problem = fixture_read(task, options, numbers, count);
    ck_assert_ptr_null(problem.payload);
    ck_assert_msg(strstr(fixture_err.text, says) != NULL, "\"%s\" does not say \"%s\"", fixture_err.text,
                  says);
}

static inline wz_outcome fixture_judge(const wz_problem *problem, const unsigned *decision)
{
    wz_outcome outcome = {.feasible = true};
    const wz_verifier *verifier = wz_verifier_find(problem->task->name);
    ck_assert_int_eq(verifier->judge(problem, decision, &outcome, &fixture_err), WZ_OK);
    return outcome;
}

static inline wz_reference fixture_reference(const wz_problem *problem, wz_effort effort, unsigned *decision)
{
    wz_reference known;
    ck_assert_msg(wz_reference_find(wz_verifier_find(problem->task->name), problem, effort, decision, &known,
                                    &fixture_err) == WZ_OK,
                  "%s", fixture_err.text);
    return known;
}

static inline wz_outcome fixture_baseline(const wz_problem *problem, const char *name)
{
    const wz_verifier *verifier = wz_verifier_find(problem->task->name);
    wz_outcome outcome;
    for (size_t b = 0; b < verifier->baseline_count; b++)
        if (strcmp(verifier->baselines[b].name, name) == 0) {
            ck_assert_int_eq(wz_baseline_run(verifier, b, problem, 1, &outcome, &fixture_err), WZ_OK);
            return outcome;
        }
    ck_abort_msg("%s has no baseline %s", verifier->task, name);
    return (wz_outcome){0};
}

#endif
