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

/* What a family's function returned: a failure without a word gets some. */
static wz_status explain(const wz_verifier *verifier, const wz_problem *problem, const char *what,
                         wz_status status, wz_error *err)
{
    if (status == WZ_OK || (err != NULL && err->text[0] != '\0'))
        return status;
    return wz_fail(err, status >= WZ_ERR_RUNTIME && status <= WZ_ERR_DEVICE ? status : WZ_ERR_RUNTIME,
                   "%s: problem %u: %s returned status %d and no message", verifier->task,
                   (unsigned)problem->index, what, (int)status);
}

/* A decision of the family's own that is no answer would be judged by memory that is not there. */
static wz_status check_decision(const wz_verifier *verifier, const wz_problem *problem,
                                const unsigned *decision, const char *whose, wz_error *err)
{
    wz_answer_form form = {0};
    problem->task->answer_form(problem, &form);
    for (size_t i = 0; i < form.count; i++)
        if (decision[i] >= form.slots[i].choices)
            return wz_fail(
                err, WZ_ERR_RUNTIME,
                "%s: problem %u: number %zu of the decision of %s is %u; an answer has 0 to %u there",
                verifier->task, (unsigned)problem->index, i + 1, whose, decision[i],
                form.slots[i].choices - 1);
    return WZ_OK;
}

static wz_status check_objective(const wz_verifier *verifier, const wz_problem *problem, double objective,
                                 const char *whose, wz_error *err)
{
    if (isfinite(objective) && objective >= 0)
        return WZ_OK;
    return wz_fail(err, WZ_ERR_RUNTIME,
                   "%s: problem %u: %s objective is %g; it must be a number of at least 0", verifier->task,
                   (unsigned)problem->index, whose, objective);
}

wz_status wz_reference_check(const wz_verifier *verifier, const wz_problem *problem,
                             const wz_reference *reference, const wz_outcome *outcome, wz_error *err)
{
    if (reference->kind != WZ_REFERENCE_OPTIMUM || !outcome->feasible ||
        outcome->objective <= reference->objective * (1 + 1e-9))
        return WZ_OK;
    return wz_fail(err, WZ_ERR_RUNTIME,
                   "%s: problem %u: a decision is worth %.17g, more than the %.17g that its solver calls the "
                   "optimum: the solver or the verifier is wrong",
                   verifier->task, (unsigned)problem->index, outcome->objective, reference->objective);
}

/* An objective that is no number is an error, so that it never becomes a score. */
static wz_status judge(const wz_verifier *verifier, const wz_problem *problem, const unsigned *decision,
                       wz_outcome *out, wz_error *err)
{
    *out = (wz_outcome){.feasible = true};
    const wz_status status = verifier->judge(problem, decision, out, err);
    if (status != WZ_OK)
        return explain(verifier, problem, "judge", status, err);
    return check_objective(verifier, problem, out->objective, "a decision's", err);
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
        if (verifier->draw != NULL)
            status = check_decision(verifier, problem, decision, "draw", err);
        if (status == WZ_OK)
            status = judge(verifier, problem, decision, &one, err);
        if (status != WZ_OK)
            break;
        if (i == 0 || (one.feasible && (!out->feasible || one.objective > out->objective)))
            *out = one;
    }
    return status;
}

/* What a baseline reaches, and the decision (zeros before) where the baseline makes one. */
static wz_status run_baseline(const wz_verifier *verifier, size_t which, const wz_problem *problem,
                              uint64_t seed, unsigned *decision, wz_outcome *out, wz_error *err)
{
    const wz_baseline *baseline = &verifier->baselines[which];
    wz_status status = check_family(verifier, problem, err);
    if (status != WZ_OK)
        return status;
    if (baseline->kind == WZ_BASELINE_RANDOM)
        return wz_random_best(verifier, problem, seed, 1, out, err);
    if (baseline->decide != NULL) {
        status = explain(verifier, problem, baseline->name, baseline->decide(problem, decision, err), err);
        if (status == WZ_OK)
            status = check_decision(verifier, problem, decision, baseline->name, err);
        return status == WZ_OK ? judge(verifier, problem, decision, out, err) : status;
    }
    *out = (wz_outcome){.feasible = true};
    status = explain(verifier, problem, baseline->name, baseline->solve(problem, &out->objective, err), err);
    return status == WZ_OK ? check_objective(verifier, problem, out->objective, baseline->name, err) : status;
}

wz_status wz_baseline_run(const wz_verifier *verifier, size_t which, const wz_problem *problem, uint64_t seed,
                          wz_outcome *out, wz_error *err)
{
    unsigned decision[WZ_MAX_SLOTS] = {0};
    return run_baseline(verifier, which, problem, seed, decision, out, err);
}

/* ---- reference and verdict ---- */

/* The best of the trivial baselines; and a best known decision is at least as good as what any baseline decides. In training
 * only the trivial ones are asked. */
static wz_status hear_baselines(const wz_verifier *verifier, const wz_problem *problem, wz_effort effort,
                                unsigned *decision, wz_reference *out, wz_error *err)
{
    const bool asks_all = out->kind == WZ_REFERENCE_BEST_KNOWN && effort == WZ_EFFORT_EVALUATION;
    out->best_trivial = 0;
    for (size_t b = 0; b < verifier->baseline_count; b++) {
        const wz_baseline *baseline = &verifier->baselines[b];
        const bool is_trivial = baseline->kind == WZ_BASELINE_TRIVIAL;
        unsigned tried[WZ_MAX_SLOTS] = {0};
        wz_outcome outcome;
        if (!is_trivial && !(asks_all && baseline->decide != NULL))
            continue;
        wz_status status = run_baseline(verifier, b, problem, 0, tried, &outcome, err);
        if (status == WZ_OK && baseline->decide != NULL)
            status = wz_reference_check(verifier, problem, out, &outcome, err);
        if (status != WZ_OK)
            return status;
        if (is_trivial)
            out->best_trivial = fmax(out->best_trivial, outcome.objective);
        if (out->kind == WZ_REFERENCE_BEST_KNOWN && baseline->decide != NULL && outcome.feasible &&
            outcome.objective > out->decided) {
            out->objective = out->decided = outcome.objective;
            memcpy(decision, tried, sizeof tried);
        }
    }
    return WZ_OK;
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
        status =
            explain(verifier, problem, "solve", verifier->solve(problem, effort, decision, out, err), err);
    if (status == WZ_OK && (unsigned)out->kind > WZ_REFERENCE_BEST_KNOWN)
        status = wz_fail(err, WZ_ERR_RUNTIME,
                         "%s: problem %u: solve gives a reference of kind %d, which there "
                         "is not",
                         verifier->task, (unsigned)problem->index, (int)out->kind);
    if (status == WZ_OK)
        status = check_decision(verifier, problem, decision, "solve", err);
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
    return hear_baselines(verifier, problem, effort, decision, out, err);
}

double wz_reference_headroom(const wz_reference *reference)
{
    return fmax(0.0, 1.0 - reference->best_trivial / reference->objective);
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
        status = wz_reference_check(verifier, problem, reference, &outcome, err);
    if (status == WZ_OK)
        take_outcome(&outcome, reference, out);
    return status;
}

wz_status wz_verify_thought(const wz_verifier *verifier, const wz_problem *problem,
                            const wz_reference *reference, wz_prompt_style style, const char *completion,
                            size_t length, wz_verdict *out, wz_error *err)
{
    *out = (wz_verdict){.reference = reference->objective, .shortfall = 1};
    if (!wz_answer_skip_thinking(style, &completion, &length, out))
        return WZ_OK; /* the verdict says why */
    return wz_verify(verifier, problem, reference, style, completion, length, out, err);
}

wz_status wz_verify_candidate(const wz_verifier *verifier, const wz_problem *problem, wz_prompt_style style,
                              const char *text, size_t length, wz_outcome *out, wz_error *err)
{
    unsigned decision[WZ_MAX_SLOTS];
    wz_answer_form form = {0};
    wz_verdict verdict = {0};
    const wz_answer answer = {text, length};
    const wz_status status = check_family(verifier, problem, err);
    if (status != WZ_OK)
        return status;
    problem->task->answer_form(problem, &form);
    if (wz_answer_read(&form, style, &answer, decision, &verdict))
        return judge(verifier, problem, decision, out, err);
    *out = (wz_outcome){.violation = 1, .shortfall = 1};
    memcpy(out->reason, verdict.reason, sizeof out->reason);
    return WZ_OK;
}
