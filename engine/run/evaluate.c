#include "engine/run/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/run/reorder.h"
#include "engine/run/score.h"
#include "engine/run/try_scores.h"

/* What one contestant reached on each problem. */
typedef struct results {
    double *objective;                   /* [problems], 0 unless feasible */
    uint8_t *feasible, *optimal, *valid; /* [problems]; valid: of the policy's answers */
} results;

enum { POLICY, GREEDY, BEST, RANDOM_BEST, RANDOM_TIMED, REORDERED, BASELINES };

typedef struct tally {
    wz_eval_options options;
    const wz_verifier *verifier;
    int64_t samples;
    double *reference;                   /* [problems] */
    int64_t changed, same, same_changed; /* problems in another order */
    wz_activations *activations;         /* for the largest batch so far */
    wz_try_tally *tries;                 /* NULL: the policy proposes no candidates */
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
        wz_alloc(&t->block, n, sizeof(double) + count * (sizeof(double) + 3), "an evaluation", err);
    if (status != WZ_OK)
        return status;
    t->reference = t->block;
    for (size_t c = 0; c < count; c++) {
        uint8_t *flags = (uint8_t *)(t->reference + (1 + count) * n);
        t->contestants[c] = (results){
            t->reference + (1 + c) * n,
            flags + 3 * c * n,
            flags + (3 * c + 1) * n,
            flags + (3 * c + 2) * n,
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

static bool is_valid(const wz_verdict *v)
{
    return v->kind == WZ_VERDICT_FEASIBLE || v->kind == WZ_VERDICT_INFEASIBLE;
}

static void take_answer(results *r, int64_t place, const wz_verdict *v)
{
    set_result(r, place, v->kind == WZ_VERDICT_FEASIBLE, v->objective, v->is_optimum);
    r->valid[place] = is_valid(v);
}

/* The verdicts of one problem: sample 0 is the policy's answer, the best of all is best-of-k. */
static void take_verdicts(tally *t, const wz_batch *batch, int64_t g, int64_t place)
{
    results *best = &t->contestants[BEST];
    t->reference[place] = batch->references[g].objective;
    for (int64_t j = 0; j < batch->generations; j++) {
        const wz_verdict *v = &batch->verdicts[g * batch->generations + j];
        const bool feasible = v->kind == WZ_VERDICT_FEASIBLE;
        if (j == 0)
            take_answer(&t->contestants[POLICY], place, v);
        if (feasible && (!best->feasible[place] || v->objective > best->objective[place]))
            set_result(best, place, feasible, v->objective, v->is_optimum);
        best->valid[place] = best->valid[place] || is_valid(v);
    }
}

static void take_outcome(results *r, int64_t place, const wz_outcome *outcome, const wz_reference *known)
{
    set_result(r, place, outcome->feasible, outcome->objective,
               outcome->feasible && wz_is_optimum(known, outcome->objective));
}

/* What one baseline reaches; its time goes to *seconds. */
static wz_status take_baseline(tally *t, size_t which, const wz_batch *batch, int64_t g, int64_t place,
                               double *seconds, wz_error *err)
{
    wz_outcome outcome;
    const double start = wz_now_s();
    wz_status status =
        wz_baseline_run(t->verifier, which, &batch->problems[g], t->options.seed, &outcome, err);
    *seconds += wz_now_s() - start;
    if (status == WZ_OK && t->verifier->baselines[which].decide != NULL)
        status = wz_reference_check(t->verifier, &batch->problems[g], &batch->references[g], &outcome, err);
    if (status == WZ_OK)
        take_outcome(&t->contestants[BASELINES + which], place, &outcome, &batch->references[g]);
    return status;
}

static wz_status take_baselines(tally *t, const wz_batch *batch, int64_t g, int64_t place, wz_evaluation *out,
                                wz_error *err)
{
    wz_status status = WZ_OK;
    wz_outcome outcome;
    for (size_t b = 0; status == WZ_OK && b < t->verifier->baseline_count; b++) {
        const bool is_field = strcmp(t->verifier->baselines[b].name, t->verifier->field_algorithm) == 0;
        double seconds = 0.0;
        if (!is_field && !t->options.baselines)
            continue;
        status = take_baseline(t, b, batch, g, place, &seconds, err);
        out->baselines[b].seconds += seconds;
        if (is_field)
            out->field_s += seconds;
    }
    if (status != WZ_OK || t->samples == 1)
        return status;
    const double start = wz_now_s();
    status =
        wz_random_best(t->verifier, &batch->problems[g], t->options.seed, (size_t)t->samples, &outcome, err);
    out->random_best_s += wz_now_s() - start;
    if (status == WZ_OK)
        status = wz_reference_check(t->verifier, &batch->problems[g], &batch->references[g], &outcome, err);
    if (status == WZ_OK)
        take_outcome(&t->contestants[RANDOM_BEST], place, &outcome, &batch->references[g]);
    return status;
}

/* The reference once more by the clock, and as many random decisions as fit into budget_s by the time of a few. */
static wz_status take_times(tally *t, const wz_batch *batch, int64_t g, int64_t place, double budget_s,
                            wz_evaluation *out, wz_error *err)
{
    enum { FEW = 16 };
    const wz_problem *problem = &batch->problems[g];
    const double most = (double)WZ_DRAW_LIMIT * 4 / WZ_MAX_SLOTS;
    unsigned decision[WZ_MAX_SLOTS] = {0};
    wz_reference reference;
    wz_outcome outcome;
    double start = wz_now_s();
    wz_status status = t->verifier->solve(problem, WZ_EFFORT_EVALUATION, decision, &reference, err);
    out->reference_s += wz_now_s() - start;
    start = wz_now_s();
    if (status == WZ_OK)
        status = wz_random_best(t->verifier, problem, t->options.seed, FEW, &outcome, err);
    const double few_s = wz_now_s() - start;
    const double tries = fmin(fmax(floor(FEW * budget_s / fmax(few_s, 1e-9)), 1.0), most);
    if (status == WZ_OK)
        status = wz_random_best(t->verifier, problem, t->options.seed, (size_t)tries, &outcome, err);
    out->random_tries += tries;
    if (status == WZ_OK)
        take_outcome(&t->contestants[RANDOM_TIMED], place, &outcome, &batch->references[g]);
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

/* Completions of the problems, which are taken over, and their verdicts; *seconds: of decoding. */
static wz_status answer(tally *t, wz_policy *policy, const wz_batch_options *options,
                        const wz_sampling *sampling, wz_problem *problems, int64_t count, wz_batch **out,
                        double *seconds, wz_error *err)
{
    const wz_eval_options *o = &t->options;
    const wz_rollout_options rollout = {.sampling = *sampling,
                                        .seed = o->seed,
                                        .purpose = WZ_PURPOSE_EVAL_SAMPLE,
                                        .max_completion_length = o->max_completion_length};
    wz_status status = wz_batch_create(policy, options, problems, count, out, err);
    if (status != WZ_OK)
        return status;
    if (t->activations == NULL || t->activations->rows < wz_batch_rows(*out)) {
        wz_activations_destroy(t->activations);
        status = wz_batch_decode_memory(*out, sampling, &t->activations, err);
    }
    const double start = wz_now_s();
    if (status == WZ_OK)
        status = wz_batch_rollout(*out, 0, t->activations, &rollout, err);
    *seconds = wz_now_s() - start;
    return status == WZ_OK ? wz_batch_verify(*out, err) : status;
}

/* The batch's problems once more, in another order. */
static wz_status run_reordered(tally *t, wz_policy *policy, const wz_batch *batch, int64_t first,
                               wz_error *err)
{
    wz_batch_options options = batch_options(&t->options, batch->groups);
    wz_problem *problems = NULL;
    wz_batch *reordered = NULL;
    wz_outcome outcome;
    double seconds = 0.0;
    options.effort = WZ_EFFORT_TRAINING; /* these references judge nothing */
    options.generations = 1;
    wz_status status = wz_reorder_problems(batch->problems, batch->groups, t->options.seed, &problems, err);
    if (status == WZ_OK)
        status = answer(t, policy, &options, &t->options.sampling, problems, batch->groups, &reordered,
                        &seconds, err);
    for (int64_t g = 0; status == WZ_OK && g < batch->groups; g++) {
        const int64_t place = first + g;
        const double before = t->contestants[POLICY].objective[place];
        const bool changed = wz_reads_differently(&batch->problems[g], &reordered->problems[g]);
        status = wz_reordered_outcome(reordered, g, &batch->problems[g], &outcome, err);
        if (status != WZ_OK)
            break;
        take_outcome(&t->contestants[REORDERED], place, &outcome, &batch->references[g]);
        const bool same = outcome.feasible && t->contestants[POLICY].feasible[place] &&
                          fabs(outcome.objective - before) <= 1e-9 * fabs(before);
        t->changed += changed;
        t->same += same;
        t->same_changed += same && changed;
    }
    wz_batch_destroy(reordered);
    return status;
}

/* Beside several samples, the one answer that greedy decoding gives to each of the batch's problems. */
static wz_status run_greedy(tally *t, wz_policy *policy, const wz_batch *batch, int64_t first,
                            wz_evaluation *out, wz_error *err)
{
    const wz_sampling sampling = {.temperature = 0.0f, .top_p = 1.0f};
    wz_batch_options options = batch_options(&t->options, batch->groups);
    wz_problem *problems = NULL;
    wz_batch *greedy = NULL;
    double seconds = 0.0;
    options.generations = 1;
    wz_status status = wz_batch_copy(batch->problems, batch->groups, &problems, err);
    if (status == WZ_OK)
        status = answer(t, policy, &options, &sampling, problems, batch->groups, &greedy, &seconds, err);
    for (int64_t g = 0; status == WZ_OK && g < batch->groups; g++) {
        take_answer(&t->contestants[GREEDY], first + g, &greedy->verdicts[g]);
    }
    out->greedy_s += seconds;
    wz_batch_destroy(greedy);
    return status;
}

static wz_status run_batch(tally *t, wz_policy *policy, int64_t first, int64_t count, wz_evaluation *out,
                           wz_error *err)
{
    const wz_eval_options *o = &t->options;
    const wz_batch_options options = batch_options(o, count);
    wz_problem *problems = NULL;
    wz_batch *batch = NULL;
    double seconds = 0.0;
    wz_status status = take_problems(o, first, count, &problems, err);
    if (status == WZ_OK)
        status = answer(t, policy, &options, &o->sampling, problems, count, &batch, &seconds, err);
    out->model_s += seconds;
    if (status == WZ_OK)
        wz_thought_add(&out->thought, batch);
    if (status == WZ_OK && o->reward != NULL) {
        wz_completion_sums_add(&out->completions, batch, o->reward, o->reward_step);
        wz_completion_sums_add_entropies(&out->completions, batch);
    }
    for (int64_t g = 0; status == WZ_OK && g < count; g++) {
        take_verdicts(t, batch, g, first + g);
        if (batch->references[g].kind > out->reference_kind)
            out->reference_kind = batch->references[g].kind;
        status = take_baselines(t, batch, g, first + g, out, err);
        if (status == WZ_OK && t->tries != NULL)
            status = wz_try_tally_take(t->tries, batch, g, first + g, o->seed, err);
        if (status == WZ_OK && o->timing)
            status = take_times(t, batch, g, first + g, seconds / (double)count, out, err);
    }
    if (status == WZ_OK && t->samples > 1 && o->ratios == NULL)
        status = run_greedy(t, policy, batch, first, out, err);
    if (status == WZ_OK && out->reordered)
        status = run_reordered(t, policy, batch, first, err);
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

static wz_score_input input_of(const tally *t, size_t contestant)
{
    const results *r = &t->contestants[contestant];
    return (wz_score_input){.problems = t->options.problems,
                            .objective = r->objective,
                            .reference = t->reference,
                            .field = field_of(t),
                            .feasible = r->feasible,
                            .optimal = r->optimal,
                            .seed = t->options.seed,
                            .valid = contestant <= BEST ? r->valid : NULL};
}

static wz_status score(const tally *t, size_t contestant, wz_score *out, wz_error *err)
{
    const wz_score_input input = input_of(t, contestant);
    return wz_score_problems(&input, out, err);
}

static double reference_percent(const tally *t)
{
    const double *field = field_of(t);
    double references = 0.0, fields = 0.0;
    for (int64_t i = 0; i < t->options.problems; i++) {
        references += t->reference[i];
        fields += field[i];
    }
    return 100.0 * references / fields;
}

static wz_status score_consistency(const tally *t, wz_order_consistency *out, wz_error *err)
{
    const double problems = (double)t->options.problems;
    out->changed = (double)t->changed / problems;
    out->same = (double)t->same / problems;
    out->same_of_changed = t->changed > 0 ? (double)t->same_changed / (double)t->changed : NAN;
    return score(t, REORDERED, &out->score, err);
}

/* The policy's score on the problems that it was not trained on. */
static wz_status score_unseen(const tally *t, wz_evaluation *out, wz_error *err)
{
    const int64_t n = t->options.problems;
    const results *r = &t->contestants[POLICY];
    const double *field = field_of(t);
    void *block = NULL;
    int64_t kept = 0;
    wz_status status = wz_alloc(&block, (size_t)n, 3 * sizeof(double) + 2, "the problems not seen", err);
    if (status != WZ_OK)
        return status;
    double *numbers = block;
    uint8_t *flags = (uint8_t *)(numbers + 3 * n);
    for (int64_t i = 0; i < n; i++) {
        if (t->options.seen[i])
            continue;
        numbers[kept] = r->objective[i];
        numbers[n + kept] = t->reference[i];
        numbers[2 * n + kept] = field[i];
        flags[kept] = r->feasible[i];
        flags[n + kept++] = r->optimal[i];
    }
    out->seen = (double)(n - kept) / (double)n;
    const wz_score_input input = {.problems = kept,
                                  .objective = numbers,
                                  .reference = numbers + n,
                                  .field = numbers + 2 * n,
                                  .feasible = flags,
                                  .optimal = flags + n,
                                  .seed = t->options.seed};
    if (kept > 0 && kept < n)
        status = wz_score_problems(&input, &out->unseen, err);
    free(block);
    return status;
}

static wz_status score_all(const tally *t, wz_evaluation *out, wz_error *err)
{
    const double problems = (double)t->options.problems;
    wz_status status = score(t, POLICY, &out->policy, err);
    if (status == WZ_OK && t->samples > 1)
        status = score(t, GREEDY, &out->greedy, err);
    if (status == WZ_OK && t->samples > 1)
        status = score(t, BEST, &out->best_of, err);
    if (status == WZ_OK && t->samples > 1)
        status = score(t, RANDOM_BEST, &out->random_best_of, err);
    if (status == WZ_OK && t->options.timing)
        status = score(t, RANDOM_TIMED, &out->random_timed, err);
    const wz_score_input policy = input_of(t, POLICY);
    if (status == WZ_OK && t->tries != NULL)
        status = wz_try_tally_score(t->tries, &policy, &out->tries, err);
    if (status == WZ_OK && out->reordered)
        status = score_consistency(t, &out->consistency, err);
    for (size_t b = 0; status == WZ_OK && t->options.baselines && b < t->verifier->baseline_count; b++) {
        wz_eval_baseline *baseline = &out->baselines[out->baseline_count++];
        baseline->name = t->verifier->baselines[b].name;
        baseline->kind = t->verifier->baselines[b].kind;
        baseline->seconds /= problems;
        status = score(t, BASELINES + b, &baseline->score, err);
    }
    out->seen_state = t->options.seen_state;
    if (status == WZ_OK && out->seen_state == WZ_SEEN_COUNTED)
        status = score_unseen(t, out, err);
    const results *kept = &t->contestants[t->samples > 1 ? BEST : POLICY];
    for (int64_t i = 0; t->options.ratios != NULL && i < t->options.problems; i++)
        t->options.ratios[i] = kept->objective[i] / t->reference[i];
    out->reference_percent = reference_percent(t);
    wz_thought_finish(&out->thought, t->options.problems * t->samples);
    out->timed = t->options.timing;
    out->model_s /= problems;
    out->greedy_s /= problems;
    out->field_s /= problems;
    out->reference_s /= problems;
    out->random_best_s /= problems;
    out->random_tries /= problems;
    return status;
}

const wz_eval_baseline *wz_evaluation_strongest(const wz_evaluation *e, wz_baseline_kind kind)
{
    const wz_eval_baseline *best = NULL;
    for (const wz_eval_baseline *b = e->baselines; b < e->baselines + e->baseline_count; b++)
        if (b->kind == kind && (best == NULL || b->score.mean > best->score.mean))
            best = b;
    return best;
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
    memset(out, 0, sizeof *out);
    wz_status status = tally_begin(&t, options, err);
    if (status == WZ_OK) {
        out->problems = options->problems;
        out->samples = t.samples;
        out->sampled = options->sampling.temperature > 0.0f;
        out->decodes_freely = policy->grammar == NULL;
        out->thought.thinks = wz_thinking_on(&policy->thinking);
        out->thought.budget = policy->thinking.budget;
        out->field_algorithm = t.verifier->field_algorithm;
        out->reordered = options->reorder && wz_can_reorder(options->task);
        out->fixed_order = options->reorder && !out->reordered;
    }
    if (status == WZ_OK && policy->thinking.tries > 0)
        status = wz_try_tally_create(policy->thinking.tries, options->problems, &t.tries, err);
    for (int64_t first = 0; status == WZ_OK && first < options->problems; first += options->batch_size) {
        const int64_t left = options->problems - first;
        const int64_t count = left < options->batch_size ? left : options->batch_size;
        status = run_batch(&t, policy, first, count, out, err);
        if (progress != NULL && status == WZ_OK)
            progress(argument, first + count, options->problems);
        if (status == WZ_OK)
            status = wz_stop_check(options->stop, err);
    }
    if (status == WZ_OK)
        status = score_all(&t, out, err);
    wz_activations_destroy(t.activations);
    wz_try_tally_destroy(t.tries);
    free(t.block);
    return status;
}
