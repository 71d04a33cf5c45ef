#include "engine/run/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/run/score.h"

/* What one contestant reached on each problem. */
typedef struct results {
    double *objective;           /* [problems], 0 unless feasible */
    uint8_t *feasible, *optimal; /* [problems] */
} results;

enum { POLICY, BEST, RANDOM_BEST, BASELINES };

typedef struct tally {
    wz_eval_options options;
    const wz_verifier *verifier;
    int64_t samples;
    double *reference; /* [problems] */
    results contestants[BASELINES + WZ_MAX_BASELINES];
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
    const size_t count = BASELINES + t->verifier->baseline_count;
    wz_status status =
        wz_alloc(&t->block, n, sizeof(double) + count * (sizeof(double) + 2), "an evaluation", err);
    if (status != WZ_OK)
        return status;
    t->reference = t->block;
    for (size_t c = 0; c < count; c++) {
        uint8_t *flags = (uint8_t *)(t->reference + (1 + count) * n);
        t->contestants[c] = (results){
            t->reference + (1 + c) * n,
            flags + 2 * c * n,
            flags + (2 * c + 1) * n,
        };
    }
    return WZ_OK;
}

static void set_result(results *r, int64_t place, bool feasible, double objective, bool optimal)
{
    r->objective[place] = feasible ? objective : 0.0;
    r->feasible[place] = feasible;
    r->optimal[place] = optimal;
}

/* The verdicts of one problem: sample 0 is the policy's answer, the best of all is best-of-k. */
static void take_verdicts(tally *t, const wz_batch *batch, int64_t g, int64_t place)
{
    const results *best = &t->contestants[BEST];
    t->reference[place] = batch->references[g].objective;
    for (int64_t j = 0; j < batch->generations; j++) {
        const wz_verdict *v = &batch->verdicts[g * batch->generations + j];
        const bool feasible = v->kind == WZ_VERDICT_FEASIBLE;
        if (j == 0)
            set_result(&t->contestants[POLICY], place, feasible, v->objective, v->is_optimum);
        if (feasible && (!best->feasible[place] || v->objective > best->objective[place]))
            set_result(&t->contestants[BEST], place, feasible, v->objective, v->is_optimum);
    }
}

static void take_outcome(results *r, int64_t place, const wz_outcome *outcome, const wz_reference *known)
{
    set_result(r, place, outcome->feasible, outcome->objective,
               outcome->feasible && known->kind != WZ_REFERENCE_BEST_KNOWN &&
                   outcome->objective >= known->decided * (1.0 - 1e-9));
}

static wz_status take_baselines(tally *t, const wz_batch *batch, int64_t g, int64_t place, wz_evaluation *out,
                                wz_error *err)
{
    const wz_problem *problem = &batch->problems[g];
    wz_status status = WZ_OK;
    wz_outcome outcome;
    for (size_t b = 0; status == WZ_OK && b < t->verifier->baseline_count; b++) {
        const bool is_field = strcmp(t->verifier->baselines[b].name, t->verifier->field_algorithm) == 0;
        if (!is_field && !t->options.baselines)
            continue;
        const double start = wz_now_s();
        status = wz_baseline_run(t->verifier, b, problem, t->options.seed, &outcome, err);
        if (is_field)
            out->field_s += wz_now_s() - start;
        if (status == WZ_OK)
            take_outcome(&t->contestants[BASELINES + b], place, &outcome, &batch->references[g]);
    }
    if (status == WZ_OK && t->samples > 1) {
        status = wz_random_best(t->verifier, problem, t->options.seed, (size_t)t->samples, &outcome, err);
        if (status == WZ_OK)
            take_outcome(&t->contestants[RANDOM_BEST], place, &outcome, &batch->references[g]);
    }
    return status;
}

static wz_batch_options batch_options(const wz_eval_options *o, int64_t count)
{
    return (wz_batch_options){.style = o->style,
                              .effort = WZ_EFFORT_EVALUATION,
                              .generations = o->samples > 1 ? o->samples : 1,
                              .groups_per_pack = count};
}

/* The evaluation's problems from number `first` on: copies of the given ones, or generated. */
static wz_status take_problems(const wz_eval_options *o, int64_t first, int64_t count, wz_problem **out,
                               wz_error *err)
{
    if (o->given != NULL)
        return wz_batch_copy(o->given + first, count, out, err);
    return wz_batch_generate(o->task, o->values, o->seed, o->split, (uint32_t)first, count, out, err);
}

static wz_status run_batch(tally *t, wz_policy *policy, wz_activations **activations, int64_t first,
                           int64_t count, wz_evaluation *out, wz_error *err)
{
    const wz_eval_options *o = &t->options;
    const wz_batch_options options = batch_options(o, count);
    wz_problem *problems = NULL;
    wz_batch *batch = NULL;
    wz_status status = take_problems(o, first, count, &problems, err);
    if (status == WZ_OK)
        status = wz_batch_create(policy, &options, problems, count, &batch, err);
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
        if (batch->references[g].kind > out->reference_kind)
            out->reference_kind = batch->references[g].kind;
        status = take_baselines(t, batch, g, first + g, out, err);
    }
    wz_batch_destroy(batch);
    return status;
}

static const double *field_of(const tally *t)
{
    for (size_t b = 0; b < t->verifier->baseline_count; b++)
        if (strcmp(t->verifier->baselines[b].name, t->verifier->field_algorithm) == 0)
            return t->contestants[BASELINES + b].objective;
    return t->reference;
}

static wz_status score(const tally *t, size_t contestant, wz_score *out, wz_error *err)
{
    const results *r = &t->contestants[contestant];
    const wz_score_input input = {.problems = t->options.problems,
                                  .objective = r->objective,
                                  .reference = t->reference,
                                  .field = field_of(t),
                                  .feasible = r->feasible,
                                  .optimal = r->optimal,
                                  .seed = t->options.seed};
    return wz_score_problems(&input, out, err);
}

static wz_status score_all(const tally *t, wz_evaluation *out, wz_error *err)
{
    wz_status status = score(t, POLICY, &out->policy, err);
    if (status == WZ_OK && t->samples > 1)
        status = score(t, BEST, &out->best_of, err);
    if (status == WZ_OK && t->samples > 1)
        status = score(t, RANDOM_BEST, &out->random_best_of, err);
    for (size_t b = 0; status == WZ_OK && t->options.baselines && b < t->verifier->baseline_count; b++) {
        wz_eval_baseline *baseline = &out->baselines[out->baseline_count++];
        baseline->name = t->verifier->baselines[b].name;
        status = score(t, BASELINES + b, &baseline->score, err);
    }
    return status;
}

wz_status wz_evaluation_memory(wz_policy *policy, const wz_eval_options *o, wz_op_bounds *bounds,
                               size_t *passing, wz_error *err)
{
    const int64_t count = o->batch_size < o->problems ? o->batch_size : o->problems;
    const wz_batch_options options = batch_options(o, count);
    wz_problem *problems = NULL;
    wz_batch *batch = NULL;
    wz_status status = take_problems(o, 0, count, &problems, err);
    if (status == WZ_OK)
        status = wz_batch_create(policy, &options, problems, count, &batch, err);
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
