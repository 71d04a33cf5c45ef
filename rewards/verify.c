/* What every family's verification has in common. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rewards/answer.h"
#include "rewards/verifier.h"

void wz_outcome_violate(wz_outcome *outcome, double violation, double shortfall, const char *format, ...)
{
    va_list args;
    if (outcome->reason[0] != '\0')
        return;
    outcome->feasible = false;
    outcome->objective = 0;
    outcome->violation = violation;
    outcome->shortfall = fmin(fmax(shortfall, 1e-9), 1);
    va_start(args, format);
    (void)vsnprintf(outcome->reason, sizeof outcome->reason, format, args);
    va_end(args);
}

static wz_status check_family(const wz_verifier *verifier, const wz_problem *problem, wz_error *err)
{
    if (problem->task == NULL || strcmp(problem->task->name, verifier->task) != 0)
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: asked to judge a problem of another family", verifier->task);
    return WZ_OK;
}

/* An objective that is no number is an error, so that it never becomes a score. */
static wz_status judge(const wz_verifier *verifier, const wz_problem *problem, const unsigned *decision,
                       wz_outcome *out, wz_error *err)
{
    *out = (wz_outcome){.feasible = true};
    wz_status status = verifier->judge(problem, decision, out, err);
    if (status == WZ_OK && !isfinite(out->objective))
        status = wz_fail(err, WZ_ERR_RUNTIME, "%s: problem %u: a decision's objective is %g", verifier->task,
                         (unsigned)problem->index, out->objective);
    return status;
}

/* ---- baselines ---- */

/* Random decisions draw from (seed, problem), and the split takes the token's place. */
static wz_draw_key random_key(const wz_problem *problem, uint64_t seed)
{
    return (wz_draw_key){.seed = seed,
                         .problem = problem->index,
                         .token = (uint32_t)problem->split,
                         .purpose = WZ_PURPOSE_BASELINE};
}

/* Random decision number `number`: slot i takes word number * slots + i, or the family a stream of its own. */
static void draw_decision(const wz_verifier *verifier, const wz_problem *problem, const wz_answer_form *form,
                          uint64_t seed, size_t number, unsigned *decision)
{
    wz_draw_key key = random_key(problem, seed);
    if (verifier->draw != NULL) {
        key.step = (uint32_t)number;
        key.sample = 2;
        wz_draws draws = wz_draws_from(&key, 0);
        verifier->draw(problem, &draws, decision);
        return;
    }
    wz_draws draws = wz_draws_from(&key, number * form->count);
    for (size_t i = 0; i < form->count; i++)
        decision[i] = wz_draws_below(&draws, form->slots[i].choices);
}

wz_status wz_random_best(const wz_verifier *verifier, const wz_problem *problem, uint64_t seed, size_t tries,
                         wz_outcome *out, wz_error *err)
{
    unsigned decision[WZ_MAX_SLOTS];
    wz_answer_form form = {0};
    wz_status status = check_family(verifier, problem, err);
    if (status != WZ_OK)
        return status;
    problem->task->answer_form(problem, &form);
    const size_t limit = (size_t)WZ_DRAW_LIMIT * 4 / form.count;
    if (tries == 0 || tries > limit)
        return wz_fail(err, WZ_ERR_USAGE, "random best of %zu tries: 1 to %zu are possible", tries, limit);
    for (size_t i = 0; i < tries && status == WZ_OK; i++) {
        wz_outcome one;
        draw_decision(verifier, problem, &form, seed, i, decision);
        status = judge(verifier, problem, decision, &one, err);
        if (i == 0 || (one.feasible && (!out->feasible || one.objective > out->objective)))
            *out = one;
    }
    return status;
}

wz_status wz_baseline_run(const wz_verifier *verifier, size_t which, const wz_problem *problem, uint64_t seed,
                          wz_outcome *out, wz_error *err)
{
    const wz_baseline *baseline = &verifier->baselines[which];
    unsigned decision[WZ_MAX_SLOTS] = {0};
    wz_status status = check_family(verifier, problem, err);
    if (status != WZ_OK)
        return status;
    if (baseline->kind == WZ_BASELINE_RANDOM)
        return wz_random_best(verifier, problem, seed, 1, out, err);
    if (baseline->decide != NULL) {
        status = baseline->decide(problem, decision, err);
        return status == WZ_OK ? judge(verifier, problem, decision, out, err) : status;
    }
    *out = (wz_outcome){.feasible = true};
    return baseline->solve(problem, &out->objective, err);
}

/* ---- reference and verdict ---- */

static wz_status find_best_trivial(const wz_verifier *verifier, const wz_problem *problem, wz_reference *out,
                                   wz_error *err)
{
    wz_status status = WZ_OK;
    out->best_trivial = 0;
    for (size_t b = 0; b < verifier->baseline_count && status == WZ_OK; b++) {
        wz_outcome outcome;
        if (verifier->baselines[b].kind != WZ_BASELINE_TRIVIAL)
            continue;
        status = wz_baseline_run(verifier, b, problem, 0, &outcome, err);
        if (status == WZ_OK)
            out->best_trivial = fmax(out->best_trivial, outcome.objective);
    }
    return status;
}

wz_status wz_reference_find(const wz_verifier *verifier, const wz_problem *problem, wz_effort effort,
                            unsigned *decision, wz_reference *out, wz_error *err)
{
    unsigned own[WZ_MAX_SLOTS];
    wz_outcome outcome;
    memset(out, 0, sizeof *out);
    wz_status status = check_family(verifier, problem, err);
    if (decision == NULL)
        decision = own;
    memset(decision, 0, WZ_MAX_SLOTS * sizeof *decision);
    if (status == WZ_OK)
        status = verifier->solve(problem, effort, decision, out, err);
    if (status == WZ_OK)
        status = judge(verifier, problem, decision, &outcome, err);
    if (status != WZ_OK)
        return status;
    if (!outcome.feasible)
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: the reference of problem %u is infeasible: %s",
                       verifier->task, (unsigned)problem->index, outcome.reason);
    out->decided = outcome.objective;
    if (out->kind != WZ_REFERENCE_UPPER_BOUND)
        out->objective = out->decided;
    if (!(out->objective > 0 && isfinite(out->objective)))
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: problem %u has reference %g; it must be positive",
                       verifier->task, (unsigned)problem->index, out->objective);
    return find_best_trivial(verifier, problem, out, err);
}

bool wz_is_optimum(const wz_reference *reference, double objective)
{
    return reference->kind != WZ_REFERENCE_BEST_KNOWN && objective >= reference->decided * (1 - 1e-9);
}

static void take_outcome(const wz_outcome *outcome, const wz_reference *known, wz_verdict *out)
{
    if (!outcome->feasible) {
        out->kind = WZ_VERDICT_INFEASIBLE;
        out->violation = outcome->violation;
        out->shortfall = outcome->shortfall;
        memcpy(out->reason, outcome->reason, sizeof out->reason);
        return;
    }
    out->objective = outcome->objective;
    out->ratio = out->objective / known->objective;
    out->is_optimum = wz_is_optimum(known, out->objective);
}

wz_status wz_verify(const wz_verifier *verifier, const wz_problem *problem, const wz_reference *reference,
                    wz_prompt_style style, const char *completion, size_t length, wz_verdict *out,
                    wz_error *err)
{
    unsigned decision[WZ_MAX_SLOTS];
    wz_answer_form form = {0};
    wz_answer answer;
    wz_outcome outcome;
    wz_status status = check_family(verifier, problem, err);
    if (status != WZ_OK)
        return status;
    if (!(reference->objective > 0))
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: problem %u has reference %g; it must be positive",
                       verifier->task, (unsigned)problem->index, reference->objective);
    problem->task->answer_form(problem, &form);
    *out = (wz_verdict){.kind = WZ_VERDICT_FEASIBLE, .reference = reference->objective};
    if (!wz_answer_find(style, completion, length, &answer, out) ||
        !wz_answer_read(&form, style, &answer, decision, out)) {
        out->shortfall = 1;
        return WZ_OK; /* the verdict says why */
    }
    status = judge(verifier, problem, decision, &outcome, err);
    if (status == WZ_OK)
        take_outcome(&outcome, reference, out);
    return status;
}
