/* One training step: sample, judge, differentiate, update. */
#include <stdlib.h>

#include "engine/core/clock.h"
#include "engine/grpo/advantage.h"
#include "engine/grpo/report.h"
#include "engine/grpo/schedule.h"
#include "engine/grpo/trainer_internal.h"
#include "engine/grpo/update.h"

static wz_status judge_exactness(const wz_trainer *trainer, const wz_step_state *s, int64_t step,
                                 wz_error *err)
{
    wz_backend_info info;
    const wz_backend *backend = trainer->policy->model->backend;
    if (!s->check)
        return WZ_OK;
    s->report->logp_difference_max = s->largest;
    s->report->logp_difference_mean = s->decisions > 0 ? s->difference / (double)s->decisions : 0.0;
    backend->ops->describe(backend, &info);
    if (s->changed == 0 || info.inexact)
        return WZ_OK;
    return wz_fail(
        err, WZ_ERR_RUNTIME,
        "step %lld: %lld of %lld log-probabilities differ between sampler and trainer (at most %g): the "
        "promise of exactly on-policy training is broken on this machine; please report it with the "
        "output of `wavezero doctor`",
        (long long)(trainer->options.sft.steps + step), (long long)s->changed, (long long)s->decisions,
        s->largest);
}

static int64_t count_tokens(const wz_trainer *trainer, int64_t p)
{
    const wz_decisions *d = &trainer->batch->packs[p]->decisions;
    const uint8_t *left_out =
        trainer->left_out + p * trainer->batch->groups_per_pack * trainer->batch->generations;
    int64_t count = 0;
    for (int64_t i = 0; i < d->count; i++)
        count += !left_out[d->completion[i]];
    return count;
}

/* Advantages of packs [p0, p1), and how many of their tokens count. */
static void compare(wz_trainer *trainer, wz_step_state *s, int64_t p0, int64_t p1)
{
    const wz_trainer_options *o = &trainer->options;
    const wz_batch *batch = trainer->batch;
    const int64_t generations = batch->generations, first = p0 * batch->groups_per_pack;
    int64_t groups = 0;
    for (int64_t p = p0; p < p1; p++) {
        s->tokens += count_tokens(trainer, p);
        groups += batch->packs[p]->groups;
    }
    s->flat += wz_advantages((wz_reward_scale)o->scale_rewards, o->leave_one_out, (size_t)groups,
                             (size_t)generations, trainer->reward + first * generations,
                             trainer->advantage + first * generations, trainer->flat + first);
}

/* The reference's view of pack p, where there is a reference. */
static wz_status score_reference(wz_trainer *trainer, wz_step_state *s, int64_t p, wz_error *err)
{
    const double start = wz_now_s();
    const wz_pack *pack = trainer->batch->packs[p];
    void *logp = NULL;
    if (trainer->ref_model.model == NULL)
        return WZ_OK;
    wz_status status =
        wz_alloc(&logp, (size_t)pack->decisions.count, sizeof(float), "the reference's scores", err);
    free(trainer->ref_logp[p]);
    trainer->ref_logp[p] = logp;
    if (status == WZ_OK)
        status = wz_ref_model_score(&trainer->ref_model, pack, s->rollout.sampling.temperature, logp, err);
    s->report->train_s += wz_now_s() - start;
    return status;
}

static void begin_gradients(wz_trainer *trainer)
{
    const wz_model *model = trainer->policy->model;
    model->backend->ops->fill_zero(model->backend, model->gradients, (size_t)model->trained * sizeof(float));
    wz_apart_zero(&trainer->apart);
}

/* fresh: the weights are those of the rollout. */
static wz_status add_gradients(wz_trainer *trainer, wz_step_state *s, bool fresh, int64_t p, wz_error *err)
{
    const double start = wz_now_s();
    const wz_trainer_options *o = &trainer->options;
    wz_batch *batch = trainer->batch;
    wz_backend *be = trainer->policy->model->backend;
    wz_backend_info info;
    be->ops->describe(be, &info);
    const bool reuses = wz_trainer_reuses_rollouts(o);
    const int64_t first = p * batch->groups_per_pack * batch->generations;
    wz_pack_scores scores = {0};
    const wz_pack_update update = {.model = trainer->policy->model,
                                   .apart = &trainer->apart,
                                   .activations = wz_trainer_activations(trainer, p),
                                   .backward = trainer->backward,
                                   .pack = batch->packs[p],
                                   .recompute = !fresh || !reuses,
                                   .rescore = !fresh || (info.inexact && !reuses),
                                   .temperature = o->sampling.temperature,
                                   .loss = &s->loss,
                                   .totals = &s->totals,
                                   .ref_logp = trainer->ref_logp[p],
                                   .advantage = trainer->advantage + first,
                                   .left_out = trainer->left_out + first,
                                   .grammar_coef = o->grammar_coef};
    wz_status status = wz_pack_gradients(&update, &scores, err);
    if (status == WZ_OK)
        wz_report_pack(&s->sums, batch->packs[p], &scores);
    if (status == WZ_OK)
        status = wz_report_entropies(&s->sums, batch->packs[p], &scores, err);
    wz_pack_scores_clear(&scores);
    s->report->train_s += wz_now_s() - start;
    return status;
}

/* Appends the present entropies of pack p's tokens that count. */
static wz_status list_entropies(wz_trainer *trainer, const wz_step_state *s, bool fresh, int64_t p,
                                float *list, size_t *count, wz_error *err)
{
    const wz_pack *pack = trainer->batch->packs[p];
    const wz_decisions *d = &pack->decisions;
    const uint8_t *left_out =
        trainer->left_out + p * trainer->batch->groups_per_pack * trainer->batch->generations;
    const float *entropy = d->entropy;
    void *host = NULL;
    wz_status status = WZ_OK;
    if (!fresh) {
        status = wz_alloc(&host, (size_t)d->count, 2 * sizeof(float), "entropies", err);
        if (status == WZ_OK)
            status = wz_pack_score(trainer->policy->model, wz_trainer_activations(trainer, p), pack,
                                   s->rollout.sampling.temperature, host, (float *)host + d->count, err);
        entropy = (float *)host + d->count;
    }
    for (int64_t i = 0; status == WZ_OK && i < d->count; i++)
        if (!left_out[d->completion[i]])
            list[(*count)++] = entropy[i];
    free(host);
    return status;
}

/* Which tokens are among those of most entropy: of the whole optimiser batch. */
static wz_status bound_entropy(wz_trainer *trainer, wz_step_state *s, bool fresh, int64_t p0, int64_t p1,
                               wz_error *err)
{
    const double start = wz_now_s(), quantile = trainer->options.top_entropy_quantile;
    void *list = NULL;
    size_t count = 0;
    if (quantile >= 1.0)
        return WZ_OK;
    wz_status status = wz_alloc(&list, (size_t)s->totals.tokens, sizeof(float), "entropies", err);
    for (int64_t p = p0; status == WZ_OK && p < p1; p++)
        status = list_entropies(trainer, s, fresh, p, list, &count, err);
    if (status == WZ_OK)
        s->totals.entropy_bound = wz_loss_entropy_bound(list, count, quantile);
    free(list);
    s->report->train_s += wz_now_s() - start;
    return status;
}

/* The coefficient of the update to come. */
static void choose_entropy(const wz_trainer *trainer, wz_step_state *s)
{
    const wz_entropy_options *o = &trainer->options.entropy;
    if (o->adaptive)
        s->loss.entropy_coef = wz_entropy_control_coef(&trainer->entropy, o);
    s->report->entropy_coef = s->loss.entropy_coef;
}

/* Updates the weights with the gradients; `before`: the sums without this update's. */
static wz_status finish_update(wz_trainer *trainer, wz_step_state *s, const wz_report_sums *before,
                               int64_t step, wz_error *err)
{
    const int64_t kept = s->sums.kept - before->kept;
    const wz_status status = wz_trainer_update(trainer, s, step, err);
    if (status != WZ_OK || !trainer->options.entropy.adaptive)
        return status;
    s->sums.bonus += s->loss.entropy_coef * (s->sums.entropy_loss - before->entropy_loss);
    wz_entropy_control_observe(&trainer->entropy, &trainer->options.entropy,
                               (s->sums.kept_entropy - before->kept_entropy) / (double)(kept > 0 ? kept : 1));
    return WZ_OK;
}

/* The first update, where each pack's gradients follow its rollout. */
static wz_status learn_in_turn(wz_trainer *trainer, wz_step_state *s, int64_t step, wz_error *err)
{
    const wz_batch *batch = trainer->batch;
    const wz_report_sums before = s->sums;
    wz_status status = WZ_OK;
    s->totals = (wz_loss_totals){
        .completions = batch->groups * batch->generations, .tokens = 1, .micro_batches = batch->pack_count};
    begin_gradients(trainer);
    choose_entropy(trainer, s);
    for (int64_t p = 0; status == WZ_OK && p < batch->pack_count; p++) {
        status = wz_trainer_sample_pack(trainer, s, p, err);
        if (status == WZ_OK) {
            compare(trainer, s, p, p + 1);
            status = score_reference(trainer, s, p, err);
        }
        if (status == WZ_OK)
            status = add_gradients(trainer, s, true, p, err);
    }
    s->divisor = wz_loss_divides_by_tokens(s->loss.type) && s->tokens > 0 ? (double)s->tokens : 1.0;
    if (status == WZ_OK)
        status = judge_exactness(trainer, s, step, err);
    return status == WZ_OK ? finish_update(trainer, s, &before, step, err) : status;
}

static wz_status sample_all(wz_trainer *trainer, wz_step_state *s, int64_t step, wz_error *err)
{
    const int64_t packs = trainer->batch->pack_count;
    wz_status status = WZ_OK;
    for (int64_t p = 0; status == WZ_OK && p < packs; p++)
        status = wz_trainer_sample_pack(trainer, s, p, err);
    if (status == WZ_OK)
        compare(trainer, s, 0, packs);
    for (int64_t p = 0; status == WZ_OK && p < packs; p++)
        status = score_reference(trainer, s, p, err);
    return status == WZ_OK ? judge_exactness(trainer, s, step, err) : status;
}

/* Totals of packs [p0, p1), an optimiser batch. Where packs went in turn, gradients are divided by tokens at the end. */
static void sum_totals(const wz_trainer *trainer, wz_step_state *s, int64_t p0, int64_t p1)
{
    const wz_batch *batch = trainer->batch;
    s->totals = (wz_loss_totals){.micro_batches = p1 - p0};
    for (int64_t p = p0; p < p1; p++) {
        s->totals.completions += batch->packs[p]->completions;
        s->totals.tokens += count_tokens(trainer, p);
    }
    if (wz_trainer_packs_in_turn(&trainer->options))
        s->totals.tokens = 1;
}

/* One optimiser batch of a rollout that is there. */
static wz_status learn_slice(wz_trainer *trainer, wz_step_state *s, int64_t step, int64_t slice, bool fresh,
                             wz_error *err)
{
    const int64_t packs = trainer->batch->pack_count / trainer->options.slices;
    const int64_t p0 = slice * packs, p1 = p0 + packs;
    const wz_report_sums before = s->sums;
    sum_totals(trainer, s, p0, p1);
    wz_status status = bound_entropy(trainer, s, fresh, p0, p1, err);
    begin_gradients(trainer);
    choose_entropy(trainer, s);
    for (int64_t p = p0; status == WZ_OK && p < p1; p++)
        status = add_gradients(trainer, s, fresh, p, err);
    return status == WZ_OK ? finish_update(trainer, s, &before, step, err) : status;
}

/* The step's coefficients, and what its parts add to. */
static wz_step_state start_step(const wz_trainer *trainer, int64_t step, wz_step_report *report)
{
    const wz_trainer_options *o = &trainer->options;
    wz_step_state s = {.rollout = {.sampling = o->sampling,
                                   .seed = o->seed,
                                   .step = (uint32_t)step,
                                   .purpose = WZ_PURPOSE_SAMPLE,
                                   .max_completion_length = o->max_completion_length,
                                   .lessons = o->grammar_coef > 0.0 ? o->grammar_generations : 0},
                       .loss = o->loss,
                       .check = o->exactness_check_steps > 0 && step % o->exactness_check_steps == 0,
                       .divisor = 1.0,
                       .report = report};
    wz_curriculum_options sizes[WZ_MIXTURE_MAX];
    const size_t curricula = wz_trainer_curriculum_count(o);
    for (size_t p = 0; p < curricula; p++)
        sizes[p] = wz_trainer_curriculum_of(o, p);
    s.loss.entropy_coef =
        wz_entropy_scheduled(&o->entropy, step, o->max_steps, curricula, trainer->curricula, sizes);
    wz_report_sums_start(&s.sums);
    report->learning_rate = wz_learning_rate((wz_schedule)o->schedule, o->learning_rate, o->final_ratio,
                                             o->warmup_steps, step, o->max_steps);
    return s;
}

/* num_iterations times over the rollout, slice by slice. */
static wz_status learn_all(wz_trainer *trainer, wz_step_state *s, int64_t step, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const bool in_turn = wz_trainer_packs_in_turn(o);
    wz_status status = in_turn ? learn_in_turn(trainer, s, step, err) : sample_all(trainer, s, step, err);
    for (int64_t i = in_turn ? 1 : 0; status == WZ_OK && i < o->num_iterations; i++)
        for (int64_t slice = 0; status == WZ_OK && slice < o->slices; slice++)
            status = learn_slice(trainer, s, step, slice, i == 0 && slice == 0, err);
    return status;
}

wz_status wz_trainer_learn(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const double problems = (double)trainer->batch->groups;
    wz_step_state s = start_step(trainer, step, report);
    const wz_status status = learn_all(trainer, &s, step, err);
    if (status != WZ_OK)
        return status;
    report->frac_reward_zero_std = (double)s.flat / problems;
    if (o->dynamic_tries > 0) {
        report->replaced = (double)s.replaced / problems;
        report->tried = (double)s.tried / problems;
    }
    wz_report_batch(report, trainer->batch, &o->reward, step, trainer->reward);
    wz_report_thinking(report, trainer->batch);
    wz_report_groups(report, trainer->batch, trainer->flat);
    wz_report_losses(report, &s.sums, (double)(o->num_iterations * o->slices) * s.divisor,
                     o->entropy.adaptive ? s.sums.bonus : s.loss.entropy_coef * s.sums.entropy_loss,
                     o->loss.beta);
    return WZ_OK;
}
