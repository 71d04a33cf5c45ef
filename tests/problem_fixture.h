/* Decisions on the problems of tests/family.h. */
#ifndef WZ_TESTS_PROBLEM_FIXTURE_H
#define WZ_TESTS_PROBLEM_FIXTURE_H

#include "rewards/reward.h"
#include "tests/family.h"

static wz_error fixture_err;

static inline wz_outcome fixture_judge(const wz_problem *problem, const unsigned *decision)
{
    wz_outcome outcome = {.feasible = true};
    const wz_verifier *verifier = wz_verifier_find(problem->task->name);
    ck_assert_int_eq(verifier->judge(problem, decision, &outcome, &fixture_err), WZ_OK);
    return outcome;
}

/* The reference that training has. */
static inline wz_reference fixture_training(const wz_problem *problem)
{
    wz_reference known;
    ck_assert_msg(wz_reference_find(wz_verifier_find(problem->task->name), problem, WZ_EFFORT_TRAINING, NULL,
                                    &known, &fixture_err) == WZ_OK,
                  "%s", fixture_err.text);
    return known;
}

#endif
