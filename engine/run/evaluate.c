#include "engine/run/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/run/score.h"

/* Objectives of all problems, one row per contestant. */
typedef struct tally {
    wz_eval_options options;
    const wz_verifier *verifier;
    int64_t samples;
    double *reference, *policy, *best, *random_best; /* [problems] */
    uint8_t *feasible, *optimal, *best_feasible, *best_optimal;
    double *baseline[WZ_MAX_BASELINES];
    void *block;
} tally;

static wz_status tally_begin(tally *t, const wz_eval_options *options, wz_error *err)
{
    const size_t n = (size_t)options->problems;
    memset(t, 0, sizeof *t);
    t->options = *options;
    t->samples = options->samples > 1 ? options->samples : 1;
    t->verifier = wz_verifier_find(options->task->name);
    if (t->verifier == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "task %s has no verifier", options->task->name);
    wz_status status =
        wz_alloc(&t->block, n, (4 + t->verifier->baseline_count) * sizeof(double) + 4, "an evaluation", err);
    if (status != WZ_OK)
        return status;
    double *at = t->block;
    t->reference = at;
    t->policy = at + n;
    t->best = at + 2 * n;
    t->random_best = at + 3 * n;
    for (size_t b = 0; b < t->verifier->baseline_count; b++)
        t->baseline[b] = at + (4 + b) * n;
    t->feasible = (uint8_t *)(at + (4 + t->verifier->baseline_count) * n);
    t->optimal = t->feasible + n;
    t->best_feasible = t->optimal + n;
    t->best_optimal = t->best_feasible + n;
    return WZ_OK;
}

/* The verdicts of one problem: sample 0 is the policy's answer, the best of all is best-of-k. */
static void take_verdicts(tally *t, const wz_batch *batch, int64_t g, int64_t place)
{
    t->reference[place] = batch->references[g].objective;
    for (int64_t j = 0; j < batch->generations; j++) {
        const wz_verdict *verdict = &batch->verdicts[g * batch->generations + j];
        const bool feasible = verdict->kind == WZ_VERDICT_FEASIBLE;
        if (j == 0) {
            t->policy[place] = verdict->objective;
            t->feasible[place] = feasible;
            t->optimal[place] = verdict->is_optimum;
        }
        if (feasible && (!t->best_feasible[place] || verdict->objective > t->best[place])) {
            t->best[place] = verdict->objective;
            t->best_feasible[place] = 1;
            t->best_optimal[place] = verdict->is_optimum;
        }
    }
}

static wz_status take_baselines(tally *t, const wz_problem *problem, int64_t place, wz_evaluation *out,
                                wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t b = 0; status == WZ_OK && b < t->verifier->baseline_count; b++) {
        const bool is_field = strcmp(t->verifier->baselines[b].name, t->verifier->field_algorithm) == 0;
        if (!is_field && !t->options.baselines)
            continue;
        const double start = wz_now_s();
        status = t->verifier->baselines[b].solve(problem, t->options.seed, &t->baseline[b][place], err);
        if (is_field)
            out->field_s += wz_now_s() - start;
    }
    if (status == WZ_OK && t->samples > 1)
        status = t->verifier->random_best(problem, t->options.seed, (size_t)t->samples,
                                          &t->random_best[place], err);
    return status;
}

static wz_status run_batch(tally *t, wz_policy *policy, wz_activations **activations, int64_t first,
                           int64_t count, wz_evaluation *out, wz_error *err)
{
    const wz_eval_options *o = &t->options;
    wz_problem *problems = NULL;
    wz_batch *batch = NULL;
    wz_status status =
        wz_batch_generate(o->task, o->values, o->seed, o->split, (uint32_t)first, count, &problems, err);
    if (status == WZ_OK)
        status = wz_batch_create(policy, o->style, problems, count, t->samples, count, 0, &batch, err);
    if (status != WZ_OK)
        return status;
    const int64_t rows = wz_batch_rows(batch);
    if (*activations == NULL || (*activations)->rows < rows) {
        wz_activations_destroy(*activations);
        status = wz_batch_decode_memory(batch, &o->sampling, activations, err);
    }
    const wz_rollout_options rollout = {.sampling = o->sampling,
                                        .seed = o->seed,
                                        .purpose = WZ_PURPOSE_EVAL_SAMPLE,
                                        .max_completion_length = o->max_completion_length};
    const double start = wz_now_s();
    if (status == WZ_OK)
        status = wz_batch_rollout(batch, 0, *activations, &rollout, err);
    out->model_s += wz_now_s() - start;
    if (status == WZ_OK)
        status = wz_batch_verify(batch, err);
    for (int64_t g = 0; status == WZ_OK && g < count; g++) {
        take_verdicts(t, batch, g, first + g);
        out->is_exact = out->is_exact && batch->references[g].is_exact;
        status = take_baselines(t, &batch->problems[g], first + g, out, err);
    }
    wz_batch_destroy(batch);
    return status;
}

static const double *field_of(const tally *t)
{
    for (size_t b = 0; b < t->verifier->baseline_count; b++)
        if (strcmp(t->verifier->baselines[b].name, t->verifier->field_algorithm) == 0)
            return t->baseline[b];
    return t->reference;
}

static wz_status score_all(tally *t, wz_evaluation *out, wz_error *err)
{
    wz_score_input input = {.problems = t->options.problems,
                            .reference = t->reference,
                            .field = field_of(t),
                            .seed = t->options.seed};
    input.objective = t->policy;
    input.feasible = t->feasible;
    input.optimal = t->optimal;
    wz_status status = wz_score_problems(&input, &out->policy, err);
    if (status == WZ_OK && t->samples > 1) {
        input.objective = t->best;
        input.feasible = t->best_feasible;
        input.optimal = t->best_optimal;
        status = wz_score_problems(&input, &out->best_of, err);
        input.objective = t->random_best;
        input.feasible = input.optimal = NULL;
        if (status == WZ_OK)
            status = wz_score_problems(&input, &out->random_best_of, err);
    }
    input.feasible = input.optimal = NULL;
    for (size_t b = 0; status == WZ_OK && t->options.baselines && b < t->verifier->baseline_count; b++) {
        wz_eval_baseline *baseline = &out->baselines[out->baseline_count++];
        baseline->name = t->verifier->baselines[b].name;
        input.objective = t->baseline[b];
        status = wz_score_problems(&input, &baseline->score, err);
    }
    return status;
}

wz_status wz_evaluation_memory(wz_policy *policy, const wz_eval_options *o, wz_op_bounds *bounds,
                               size_t *passing, wz_error *err)
{
    const int64_t count = o->batch_size < o->problems ? o->batch_size : o->problems;
    wz_problem *problems = NULL;
    wz_batch *batch = NULL;
    wz_status status = wz_batch_generate(o->task, o->values, o->seed, o->split, 0, count, &problems, err);
    if (status == WZ_OK)
        status = wz_batch_create(policy, o->style, problems, count, o->samples > 1 ? o->samples : 1, count, 0,
                                 &batch, err);
    if (status != WZ_OK)
        return status;
    size_t bytes = 0;
    status = wz_batch_decode_bytes(batch, &o->sampling, bounds, &bytes, err);
    *passing = bytes > *passing ? bytes : *passing;
    wz_batch_destroy(batch);
    return status;
}

wz_status wz_evaluate(wz_policy *policy, const wz_eval_options *options, wz_eval_progress progress,
                      void *argument, wz_evaluation *out, wz_error *err)
{
    tally t;
    wz_activations *activations = NULL;
    memset(out, 0, sizeof *out);
    wz_status status = tally_begin(&t, options, err);
    if (status == WZ_OK) {
        out->problems = options->problems;
        out->samples = t.samples;
        out->is_exact = true;
        out->field_algorithm = t.verifier->field_algorithm;
    }
    for (int64_t first = 0; status == WZ_OK && first < options->problems; first += options->batch_size) {
        const int64_t left = options->problems - first;
        const int64_t count = left < options->batch_size ? left : options->batch_size;
        status = run_batch(&t, policy, &activations, first, count, out, err);
        if (progress != NULL && status == WZ_OK)
            progress(argument, first + count, options->problems);
    }
    if (status == WZ_OK)
        status = score_all(&t, out, err);
    out->model_s /= (double)options->problems;
    out->field_s /= (double)options->problems;
    wz_activations_destroy(activations);
    free(t.block);
    return status;
}
