/* What tests of single families share: problems from options written as in configurations, or from numbers, and what becomes
 * of them. Every failure ends the test. */
#ifndef WZ_TESTS_ONE_FAMILY_H
#define WZ_TESTS_ONE_FAMILY_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rewards/reward.h"
#include "tests/suite.h"

typedef struct one_family {
    const wz_task *task;
    const wz_verifier *verifier;
    double values[WZ_TASK_MAX_OPTIONS];
    wz_error err;
} one_family;

/* options: "links=5 levels=3", beside the defaults. */
static inline one_family family_at(const char *name, const char *options)
{
    one_family f = {.task = wz_task_find(name), .verifier = wz_verifier_find(name)};
    int used = 0;
    ck_assert_msg(f.task != NULL && f.verifier != NULL, "%s", name);
    wz_task_default_values(f.task, f.values);
    for (; *options != '\0'; options += used) {
        char option[64];
        double value;
        size_t o = 0;
        ck_assert_int_eq(sscanf(options, " %63[^=]=%lf %n", option, &value, &used), 2);
        while (o < f.task->option_count && strcmp(f.task->options[o].name, option) != 0)
            o++;
        ck_assert_msg(o < f.task->option_count, "%s has no option %s", name, option);
        f.values[o] = value;
    }
    return f;
}

/* Free with wz_problem_clear. */
static inline wz_problem family_problem(one_family *f, uint32_t index)
{
    wz_problem problem;
    ck_assert_msg(wz_problem_generate(f->task, f->values, 1, WZ_SPLIT_TEST, index, &problem, &f->err) ==
                      WZ_OK,
                  "%s", f->err.text);
    return problem;
}

static inline wz_problem family_problem_of(one_family *f, const int32_t *numbers, size_t count)
{
    wz_problem problem;
    ck_assert_msg(wz_problem_from_numbers(f->task, f->values, numbers, count, &problem, &f->err) == WZ_OK,
                  "%s", f->err.text);
    return problem;
}

/* The numbers are refused, with a message that contains `what`. */
static inline void family_refuses(one_family *f, const int32_t *numbers, size_t count, const char *what)
{
    wz_problem problem;
    ck_assert_int_eq(wz_problem_from_numbers(f->task, f->values, numbers, count, &problem, &f->err),
                     WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(f->err.text, what) != NULL, "\"%s\" does not say \"%s\"", f->err.text, what);
    ck_assert_ptr_null(problem.payload);
}

static inline wz_reference family_reference(one_family *f, const wz_problem *problem, wz_effort effort,
                                            unsigned *decision)
{
    wz_reference known;
    ck_assert_msg(wz_reference_find(f->verifier, problem, effort, decision, &known, &f->err) == WZ_OK, "%s",
                  f->err.text);
    return known;
}

static inline wz_outcome family_judge(one_family *f, const wz_problem *problem, const unsigned *decision)
{
    wz_outcome outcome = {.feasible = true};
    ck_assert_int_eq(f->verifier->judge(problem, decision, &outcome, &f->err), WZ_OK);
    return outcome;
}

static inline void family_prints(one_family *f, const wz_problem *problem, const char *compact)
{
    wz_text text = {0};
    ck_assert_int_eq(f->task->print(problem, WZ_PROMPT_COMPACT, &text, &f->err), WZ_OK);
    ck_assert_str_eq(text.data, compact);
    wz_text_clear(&text);
}

/* What a compact answer is worth: " 1 2 3". */
static inline wz_verdict family_answer(one_family *f, const wz_problem *problem, const wz_reference *known,
                                       const char *answer)
{
    char text[512];
    wz_verdict verdict;
    const int length = snprintf(text, sizeof text, "%s</answer>", answer);
    ck_assert_msg(wz_verify(f->verifier, problem, known, WZ_PROMPT_COMPACT, text, (size_t)length, &verdict,
                            &f->err) == WZ_OK,
                  "%s", f->err.text);
    return verdict;
}

static inline wz_outcome family_baseline(one_family *f, const wz_problem *problem, const char *name)
{
    wz_outcome outcome = {0};
    size_t b = 0;
    while (b < f->verifier->baseline_count && strcmp(f->verifier->baselines[b].name, name) != 0)
        b++;
    ck_assert_msg(b < f->verifier->baseline_count, "%s has no baseline %s", f->task->name, name);
    ck_assert_msg(wz_baseline_run(f->verifier, b, problem, 1, &outcome, &f->err) == WZ_OK, "%s", f->err.text);
    return outcome;
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
static inline void family_has_rayleigh_gains(one_family *f, double direct, double cross)
{
    enum { PROBLEMS = 5000 };
    double at_least[2][61] = {{0}};
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = family_problem(f, n);
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
