/* One training step: sample, judge, differentiate, update. */
#include <math.h>

#include "engine/core/clock.h"
#include "engine/grpo/advantage.h"
#include "engine/grpo/report.h"
#include "engine/grpo/schedule.h"
#include "engine/grpo/trainer_internal.h"
#include "engine/grpo/update.h"

/* A step under way. */
typedef struct step_state {
    wz_rollout_options rollout;
    wz_loss_options loss;
    wz_loss_totals totals;
    wz_report_sums sums;
    int64_t lessons, tokens; /* of the batch; tokens that count, so far */
    double divisor;          /* what the gradients and sums of losses must still be divided by */
    size_t flat;
    bool check; /* that the trainer repeats the sampler's bits */
    int64_t changed, decisions;
    double largest, difference; /* of log-probabilities; the sum of all */
    wz_step_report *report;
} step_state;

static wz_status roll_out(wz_trainer *trainer, step_state *s, int64_t p, wz_error *err)
{
    const double start = wz_now_s();
    wz_activations *activations = wz_trainer_activations(trainer, p);
    wz_status status = wz_batch_rollout(trainer->batch, p, activations, &s->rollout, err);
    if (status == WZ_OK && s->check)
        status =
            wz_pack_exactness(trainer->policy->model, activations, trainer->batch->packs[p],
                              s->rollout.sampling.temperature, &s->changed, &s->largest, &s->difference, err);
    s->decisions += trainer->batch->packs[p]->decisions.count;
    s->report->rollout_s += wz_now_s() - start;
    return status;
}

static wz_status judge_exactness(const wz_trainer *trainer, const step_state *s, int64_t step, wz_error *err)
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
        (long long)step, (long long)s->changed, (long long)s->decisions, s->largest);
}

/* Rewards and advantages of packs [p0, p1), and how many of their tokens count. */
static wz_status judge(wz_trainer *trainer, step_state *s, int64_t p0, int64_t p1, wz_error *err)
{
    const double start = wz_now_s();
    const wz_trainer_options *o = &trainer->options;
    wz_batch *batch = trainer->batch;
    const int64_t generations = batch->generations, first = p0 * batch->groups_per_pack;
    int64_t groups = 0;
    for (int64_t p = p0; p < p1; p++) {
        const wz_pack *pack = batch->packs[p];
        const wz_status status = wz_batch_verify_pack(batch, p, err);
        if (status != WZ_OK)
            return status;
        for (int64_t c = 0; c < pack->completions; c++) {
            const int64_t number = (first + groups) * generations + c;
            trainer->reward[number] =
                wz_reward_total(&o->reward, (int64_t)s->rollout.step, &batch->verdicts[number],
                                &batch->references[number / generations]);
            trainer->left_out[number] = o->mask_truncated && !pack->finished[c];
        }
        for (int64_t i = 0; i < pack->decisions.count; i++)
            s->tokens += !trainer->left_out[(first + groups) * generations + pack->decisions.completion[i]];
        groups += pack->groups;
    }
    s->flat += wz_advantages((wz_reward_scale)o->scale_rewards, o->leave_one_out, (size_t)groups,
                             (size_t)generations, trainer->reward + first * generations,
                             trainer->advantage + first * generations, trainer->flat + first);
    s->report->verify_s += wz_now_s() - start;
    return WZ_OK;
}

static void begin_gradients(wz_trainer *trainer)
{
    const wz_model *model = trainer->policy->model;
    model->backend->ops->fill_zero(model->backend, model->gradients, (size_t)model->floats * sizeof(float));
    wz_apart_zero(&trainer->apart);
}

static wz_status add_gradients(wz_trainer *trainer, step_state *s, int64_t iteration, int64_t p,
                               wz_error *err)
{
    const double start = wz_now_s();
    wz_batch *batch = trainer->batch;
    wz_backend *be = trainer->policy->model->backend;
    wz_backend_info info;
    be->ops->describe(be, &info);
    const int64_t first = p * batch->groups_per_pack * batch->generations;
    wz_pack_scores scores = {0};
    const wz_pack_update update = {
        .model = trainer->policy->model,
        .apart = &trainer->apart,
        .activations = wz_trainer_activations(trainer, p),
        .backward = trainer->backward,
        .pack = batch->packs[p],
        .recompute = iteration > 0 || !trainer->options.reuse_activations,
        .rescore = iteration > 0 || (info.inexact && !trainer->options.reuse_activations),
        .temperature = trainer->options.sampling.temperature,
        .loss = &s->loss,
        .totals = &s->totals,
        .advantage = trainer->advantage + first,
        .left_out = trainer->left_out + first,
        .grammar_weight = s->lessons > 0 ? trainer->options.grammar_coef / (double)s->lessons : 0.0};
    const wz_status status = wz_pack_gradients(&update, &scores, err);
    if (status == WZ_OK)
        wz_report_pack(&s->sums, batch->packs[p], &scores, update.grammar_weight);
    wz_pack_scores_clear(&scores);
    s->report->train_s += wz_now_s() - start;
    return status;
}

static wz_status add_all_gradients(wz_trainer *trainer, step_state *s, int64_t iteration, wz_error *err)
{
    wz_status status = WZ_OK;
    for (int64_t p = 0; status == WZ_OK && p < trainer->batch->pack_count; p++)
        status = add_gradients(trainer, s, iteration, p, err);
    return status;
}

/* Rolls the batch out and computes its gradients: each pack's behind its rollout, or all of them when all are rolled
 * out. */
static wz_status sample_and_differentiate(wz_trainer *trainer, step_state *s, wz_error *err)
{
    const wz_batch *batch = trainer->batch;
    const int64_t packs = batch->pack_count;
    const bool in_turn = wz_trainer_packs_in_turn(&trainer->options);
    wz_status status = WZ_OK;
    s->totals = (wz_loss_totals){
        .completions = batch->groups * batch->generations, .tokens = 1, .micro_batches = packs};
    begin_gradients(trainer);
    for (int64_t p = 0; status == WZ_OK && p < packs; p++) {
        status = roll_out(trainer, s, p, err);
        if (status == WZ_OK && in_turn)
            status = judge(trainer, s, p, p + 1, err);
        if (status == WZ_OK && in_turn)
            status = add_gradients(trainer, s, 0, p, err);
        s->lessons += batch->packs[p]->lessons.count;
    }
    if (in_turn) {
        s->divisor = s->loss.type == WZ_LOSS_DAPO && s->tokens > 0 ? (double)s->tokens : 1.0;
        return status;
    }
    if (status == WZ_OK)
        status = judge(trainer, s, 0, packs, err);
    s->totals.tokens = s->tokens;
    return status == WZ_OK ? add_all_gradients(trainer, s, 0, err) : status;
}

/* Names the first tensor with a gradient that is no number. */
static wz_status diverged(const wz_trainer *trainer, int64_t step, double loss, wz_error *err)
{
    const wz_model *model = trainer->policy->model;
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        if (!isfinite(model->backend->ops->sum_squares(model->backend, model->gradients + param->offset,
                                                       param->count)))
            return wz_fail(
                err, WZ_ERR_DIVERGED,
                "step %lld: the gradient of %s is not finite (loss %g); the weights are those before this "
                "update: lower learning_rate or set max_grad_norm",
                (long long)step, param->name, loss);
    }
    return wz_fail(err, WZ_ERR_DIVERGED,
                   "step %lld: the loss is %g; the weights are those before this update: lower learning_rate",
                   (long long)step, loss);
}

static void adamw_range(const wz_model *model, int64_t offset, int64_t count, float scale,
                        const wz_adamw *adamw)
{
    model->backend->ops->adamw(model->backend, model->weights + offset, model->adam_m + offset,
                               model->adam_v + offset, model->gradients + offset, count, scale, adamw);
}

/* One update of the weights with the accumulated gradients. */
static wz_status apply(wz_trainer *trainer, const step_state *s, int64_t step, wz_error *err)
{
    const double start = wz_now_s();
    const wz_model *model = trainer->policy->model;
    const double limit = trainer->options.max_grad_norm;
    wz_apart_join(&trainer->apart);
    const double norm =
        sqrt(model->backend->ops->sum_squares(model->backend, model->gradients, model->floats)) / s->divisor;
    const wz_status status = model->backend->ops->sync(model->backend, err);
    if (status != WZ_OK)
        return status;
    if (!isfinite(norm) || !isfinite(s->sums.policy))
        return diverged(trainer, step, s->sums.policy / s->divisor, err);
    s->report->grad_norm = norm;
    const float scale = (float)((limit > 0.0 && norm > limit ? limit / norm : 1.0) / s->divisor);
    wz_adamw adamw = trainer->options.adamw;
    adamw.learning_rate = (float)s->report->learning_rate;
    adamw.step = ++trainer->updates;
    if (adamw.weight_decay == 0.0f)
        adamw_range(model, 0, model->floats, scale, &adamw);
    else
        for (size_t i = 0; i < model->param_count; i++) {
            const wz_param *param = &model->params[i];
            adamw.weight_decay = param->decays ? trainer->options.adamw.weight_decay : 0.0f;
            adamw_range(model, param->offset, param->count, scale, &adamw);
        }
    wz_model_weights_changed(model);
    s->report->train_s += wz_now_s() - start;
    return WZ_OK;
}

/* The step's coefficients, and what its parts add to. */
static step_state start_step(const wz_trainer *trainer, int64_t step, wz_step_report *report)
{
    const wz_trainer_options *o = &trainer->options;
    step_state s = {.rollout = {.sampling = o->sampling,
                                .seed = o->seed,
                                .step = (uint32_t)step,
                                .purpose = WZ_PURPOSE_SAMPLE,
                                .max_completion_length = o->max_completion_length,
                                .lessons = o->grammar_coef > 0.0 ? o->grammar_generations : 0},
                    .loss = o->loss,
                    .check = o->exactness_check_steps > 0 && step % o->exactness_check_steps == 0,
                    .divisor = 1.0,
                    .report = report};
    s.loss.entropy_coef = wz_schedule_value((wz_schedule)o->entropy_schedule, o->entropy_first,
                                            o->entropy_last, step, o->max_steps);
    wz_report_sums_start(&s.sums);
    report->entropy_coef = s.loss.entropy_coef;
    report->learning_rate = wz_learning_rate((wz_schedule)o->schedule, o->learning_rate, o->final_ratio,
                                             o->warmup_steps, step, o->max_steps);
    return s;
}

wz_status wz_trainer_learn(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err)
{
    const int64_t iterations = trainer->options.num_iterations;
    step_state s = start_step(trainer, step, report);
    wz_status status = sample_and_differentiate(trainer, &s, err);
    if (status == WZ_OK)
        status = judge_exactness(trainer, &s, step, err);
    if (status == WZ_OK)
        status = apply(trainer, &s, step, err);
    for (int64_t i = 1; status == WZ_OK && i < iterations; i++) {
        begin_gradients(trainer);
        status = add_all_gradients(trainer, &s, i, err);
        if (status == WZ_OK)
            status = apply(trainer, &s, step, err);
    }
    if (status != WZ_OK)
        return status;
    report->frac_reward_zero_std = (double)s.flat / (double)trainer->batch->groups;
    wz_report_batch(report, trainer->batch, &trainer->options.reward, step, trainer->reward);
    wz_report_losses(report, &s.sums, (double)iterations * s.divisor, s.loss.entropy_coef);
    return WZ_OK;
}
