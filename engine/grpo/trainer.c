#include "engine/grpo/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/grpo/advantage.h"
#include "engine/grpo/report.h"
#include "engine/grpo/schedule.h"
#include "engine/grpo/update.h"

struct wz_trainer {
    wz_policy *policy;
    wz_trainer_options options;
    double values[WZ_TASK_MAX_OPTIONS];
    wz_curriculum curriculum;
    int64_t updates;
    wz_batch *batch;
    wz_activations **activations; /* one per pack when rollout activations are kept, else one */
    int64_t activation_count;
    wz_backward *backward;
    wz_apart apart;
    double *reward, *advantage; /* [problems * generations] */
    uint8_t *flat, *left_out;   /* [problems], [problems * generations] */
};

wz_status wz_trainer_create(wz_policy *policy, const wz_trainer_options *options, wz_trainer **out,
                            wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    if (policy->model->gradients == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "the model was created without gradients");
    if (options->style == WZ_PROMPT_FULL && policy->grammar != NULL)
        return wz_fail(err, WZ_ERR_USAGE,
                       "prompt_style full asks for free thinking: set answer_grammar: false");
    wz_status status = wz_alloc(&block, 1, sizeof(wz_trainer), "the trainer", err);
    if (status != WZ_OK)
        return status;
    wz_trainer *trainer = block;
    trainer->policy = policy;
    trainer->options = *options;
    memcpy(trainer->values, options->task_values, options->task->option_count * sizeof(double));
    wz_curriculum_start(&trainer->curriculum, &options->curriculum);
    const size_t completions = (size_t)(options->problems * options->generations);
    struct {
        void **place;
        size_t count, size;
    } const parts[] = {
        {(void **)&trainer->reward, completions, sizeof(double)},
        {(void **)&trainer->advantage, completions, sizeof(double)},
        {(void **)&trainer->flat, (size_t)options->problems, 1},
        {(void **)&trainer->left_out, completions, 1},
        {(void **)&trainer->activations,
         (size_t)((options->problems + options->groups_per_pack - 1) / options->groups_per_pack),
         sizeof(wz_activations *)},
    };
    for (size_t i = 0; status == WZ_OK && i < sizeof parts / sizeof parts[0]; i++)
        status = wz_alloc(parts[i].place, parts[i].count, parts[i].size, "the trainer", err);
    if (status == WZ_OK)
        status = wz_apart_create(policy->model, options->grammar_coef > 0.0, &trainer->apart, err);
    if (status != WZ_OK) {
        wz_trainer_destroy(trainer);
        return status;
    }
    *out = trainer;
    return WZ_OK;
}

void wz_trainer_destroy(wz_trainer *trainer)
{
    if (trainer == NULL)
        return;
    for (int64_t i = 0; i < trainer->activation_count; i++)
        wz_activations_destroy(trainer->activations[i]);
    wz_backward_destroy(trainer->backward);
    wz_apart_clear(&trainer->apart);
    wz_batch_destroy(trainer->batch);
    free(trainer->activations);
    free(trainer->reward);
    free(trainer->advantage);
    free(trainer->flat);
    free(trainer->left_out);
    free(trainer);
}

const wz_batch *wz_trainer_batch(const wz_trainer *trainer)
{
    return trainer->batch;
}

wz_curriculum *wz_trainer_curriculum(wz_trainer *trainer)
{
    return &trainer->curriculum;
}

int64_t *wz_trainer_updates(wz_trainer *trainer)
{
    return &trainer->updates;
}

static wz_status make_batch(wz_policy *policy, const wz_trainer_options *o, const double *values,
                            uint32_t first, int64_t problems, wz_batch **out, wz_error *err)
{
    wz_problem *list = NULL;
    *out = NULL;
    wz_status status =
        wz_batch_generate(o->task, values, o->seed, WZ_SPLIT_TRAIN, first, problems, &list, err);
    if (status != WZ_OK)
        return status;
    return wz_batch_create(policy, o->style, list, problems, o->generations, o->groups_per_pack,
                           o->grammar_coef > 0.0 ? o->grammar_generations : 0, out, err);
}

wz_status wz_trainer_plan(wz_policy *policy, const wz_trainer_options *options, size_t *activation_bytes,
                          size_t *backward_bytes, int64_t *rows, wz_error *err)
{
    wz_batch *batch = NULL;
    wz_status status = make_batch(policy, options, options->task_values, 0, options->problems, &batch, err);
    if (status != WZ_OK)
        return status;
    *rows = wz_batch_rows(batch);
    const wz_model_config *c = &policy->model->config;
    *activation_bytes = 0;
    for (int64_t p = 0; p < batch->pack_count; p++)
        if (options->reuse_activations || p == 0)
            *activation_bytes += wz_activations_bytes(c, *rows, true);
    *backward_bytes = wz_backward_bytes(c, *rows) + wz_apart_bytes(c, options->grammar_coef > 0.0);
    wz_batch_destroy(batch);
    return WZ_OK;
}

/* Activations for every pack that must stay, grown when a batch needs more rows than any before. */
static wz_status reserve(wz_trainer *trainer, wz_error *err)
{
    const int64_t rows = wz_batch_rows(trainer->batch);
    const int64_t need = trainer->options.reuse_activations ? trainer->batch->pack_count : 1;
    wz_status status = WZ_OK;
    if (trainer->backward == NULL || trainer->backward->rows < rows) {
        wz_backward_destroy(trainer->backward);
        trainer->backward = NULL;
        status = wz_backward_create(trainer->policy->model, rows, &trainer->backward, err);
    }
    for (int64_t i = 0; status == WZ_OK && i < need; i++) {
        if (i < trainer->activation_count && trainer->activations[i]->rows >= rows)
            continue;
        if (i < trainer->activation_count)
            wz_activations_destroy(trainer->activations[i]);
        trainer->activations[i] = NULL;
        status = wz_activations_create(trainer->policy->model, rows, true, &trainer->activations[i], err);
        if (i == trainer->activation_count && status == WZ_OK)
            trainer->activation_count++;
    }
    return status;
}

static wz_activations *activations_of(const wz_trainer *trainer, int64_t pack)
{
    return trainer->activations[trainer->options.reuse_activations ? pack : 0];
}

static wz_status roll_out(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const wz_rollout_options rollout = {.sampling = o->sampling,
                                        .seed = o->seed,
                                        .step = (uint32_t)step,
                                        .purpose = WZ_PURPOSE_SAMPLE,
                                        .max_completion_length = o->max_completion_length,
                                        .lessons = o->grammar_coef > 0.0 ? o->grammar_generations : 0};
    const bool check = o->exactness_check_steps > 0 && step % o->exactness_check_steps == 0;
    int64_t changed = 0, decisions = 0;
    double largest = 0.0, sum = 0.0;
    for (int64_t p = 0; p < trainer->batch->pack_count; p++) {
        wz_activations *activations = activations_of(trainer, p);
        wz_status status = wz_batch_rollout(trainer->batch, p, activations, &rollout, err);
        if (status == WZ_OK && check)
            status = wz_pack_exactness(trainer->policy->model, activations, trainer->batch->packs[p],
                                       o->sampling.temperature, &changed, &largest, &sum, err);
        if (status != WZ_OK)
            return status;
        decisions += trainer->batch->packs[p]->decisions.count;
    }
    if (!check)
        return WZ_OK;
    report->logp_difference_max = largest;
    report->logp_difference_mean = decisions > 0 ? sum / (double)decisions : 0.0;
    if (changed > 0)
        return wz_fail(
            err, WZ_ERR_RUNTIME,
            "step %lld: %lld of %lld log-probabilities differ between sampler and trainer (at most %g): the "
            "promise of exactly on-policy training is broken on this machine; please report it with the "
            "output of `wavezero doctor`",
            (long long)step, (long long)changed, (long long)decisions, largest);
    return WZ_OK;
}

/* Rewards, advantages, and what the verdicts say of the batch. */
static wz_status judge(wz_trainer *trainer, wz_step_report *report, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    wz_batch *batch = trainer->batch;
    wz_status status = wz_batch_verify(batch, err);
    if (status != WZ_OK)
        return status;
    for (int64_t c = 0; c < batch->groups * batch->generations; c++) {
        const wz_pack *pack = batch->packs[c / batch->generations / batch->groups_per_pack];
        trainer->reward[c] =
            wz_reward(o->reward_mode, &batch->verdicts[c], &batch->references[c / batch->generations]);
        trainer->left_out[c] =
            o->mask_truncated && !pack->finished[c % (batch->groups_per_pack * batch->generations)];
    }
    size_t flat =
        wz_advantages((wz_reward_scale)o->scale_rewards, o->leave_one_out, (size_t)batch->groups,
                      (size_t)batch->generations, trainer->reward, trainer->advantage, trainer->flat);
    report->frac_reward_zero_std = (double)flat / (double)batch->groups;
    wz_report_batch(report, batch, trainer->reward);
    return WZ_OK;
}

static wz_loss_totals totals_of(const wz_trainer *trainer)
{
    const wz_batch *batch = trainer->batch;
    wz_loss_totals totals = {.completions = batch->groups * batch->generations,
                             .micro_batches = batch->pack_count};
    for (int64_t p = 0; p < batch->pack_count; p++) {
        const wz_decisions *d = &batch->packs[p]->decisions;
        const uint8_t *left_out = trainer->left_out + p * batch->groups_per_pack * batch->generations;
        for (int64_t i = 0; i < d->count; i++)
            totals.tokens += !left_out[d->completion[i]];
    }
    return totals;
}

/* Gradients of the whole batch, micro-batch by micro-batch. */
static wz_status accumulate(wz_trainer *trainer, int64_t iteration, const wz_loss_options *loss,
                            wz_report_sums *sums, wz_error *err)
{
    wz_batch *batch = trainer->batch;
    const wz_model *model = trainer->policy->model;
    const wz_loss_totals totals = totals_of(trainer);
    int64_t lessons = 0;
    for (int64_t p = 0; p < batch->pack_count; p++)
        lessons += batch->packs[p]->lessons.count;
    model->backend->ops->fill_zero(model->backend, model->gradients, (size_t)model->floats * sizeof(float));
    wz_apart_zero(&trainer->apart);
    for (int64_t p = 0; p < batch->pack_count; p++) {
        const int64_t first = p * batch->groups_per_pack * batch->generations;
        wz_pack_scores scores = {0};
        const wz_pack_update update = {
            .model = model,
            .apart = &trainer->apart,
            .activations = activations_of(trainer, p),
            .backward = trainer->backward,
            .pack = batch->packs[p],
            .recompute = iteration > 0 || !trainer->options.reuse_activations,
            .rescore = iteration > 0,
            .temperature = trainer->options.sampling.temperature,
            .loss = loss,
            .totals = &totals,
            .advantage = trainer->advantage + first,
            .left_out = trainer->left_out + first,
            .grammar_weight = lessons > 0 ? trainer->options.grammar_coef / (double)lessons : 0.0};
        wz_status status = wz_pack_gradients(&update, &scores, err);
        if (status == WZ_OK)
            wz_report_pack(sums, batch->packs[p], &scores, update.grammar_weight);
        wz_pack_scores_clear(&scores);
        if (status != WZ_OK)
            return status;
    }
    wz_apart_join(&trainer->apart);
    return WZ_OK;
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
                "step: lower learning_rate or set max_grad_norm",
                (long long)step, param->name, loss);
    }
    return wz_fail(err, WZ_ERR_DIVERGED,
                   "step %lld: the loss is %g; the weights are those before this step: lower learning_rate",
                   (long long)step, loss);
}

static void adamw_range(const wz_model *model, int64_t offset, int64_t count, float scale,
                        const wz_adamw *adamw)
{
    model->backend->ops->adamw(model->backend, model->weights + offset, model->adam_m + offset,
                               model->adam_v + offset, model->gradients + offset, count, scale, adamw);
}

static void apply(wz_trainer *trainer, double norm, double learning_rate)
{
    const wz_model *model = trainer->policy->model;
    const double limit = trainer->options.max_grad_norm;
    const float scale = limit > 0.0 && norm > limit ? (float)(limit / norm) : 1.0f;
    wz_adamw adamw = trainer->options.adamw;
    adamw.learning_rate = (float)learning_rate;
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
}

static wz_status update(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const wz_model *model = trainer->policy->model;
    wz_loss_options loss = o->loss;
    loss.entropy_coef = wz_schedule_value((wz_schedule)o->entropy_schedule, o->entropy_first, o->entropy_last,
                                          step, o->max_steps);
    report->entropy_coef = loss.entropy_coef;
    report->learning_rate = wz_learning_rate((wz_schedule)o->schedule, o->learning_rate, o->final_ratio,
                                             o->warmup_steps, step, o->max_steps);
    wz_report_sums sums;
    wz_report_sums_start(&sums);
    for (int64_t iteration = 0; iteration < o->num_iterations; iteration++) {
        wz_status status = accumulate(trainer, iteration, &loss, &sums, err);
        if (status != WZ_OK)
            return status;
        const double norm =
            sqrt(model->backend->ops->sum_squares(model->backend, model->gradients, model->floats));
        status = model->backend->ops->sync(model->backend, err);
        if (status != WZ_OK)
            return status;
        if (!isfinite(norm) || !isfinite(sums.policy))
            return diverged(trainer, step, sums.policy, err);
        report->grad_norm = norm;
        apply(trainer, norm, report->learning_rate);
    }
    wz_report_losses(report, &sums, o->num_iterations, loss.entropy_coef);
    return WZ_OK;
}

wz_status wz_trainer_step(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    wz_report_start(report);
    report->size = (int64_t)trainer->values[o->task->size_option];
    if (o->curriculum_enabled) {
        report->size = wz_curriculum_size(&trainer->curriculum, &o->curriculum, o->seed, (uint32_t)step);
        trainer->values[o->task->size_option] = (double)report->size;
    }
    if (step > (int64_t)UINT32_MAX / o->problems - 1)
        return wz_fail(err, WZ_ERR_USAGE, "step %lld: problem numbers run past 2^32", (long long)step);
    wz_batch_destroy(trainer->batch);
    trainer->batch = NULL;
    const double start = wz_now_s();
    wz_status status = make_batch(trainer->policy, o, trainer->values, (uint32_t)(step * o->problems),
                                  o->problems, &trainer->batch, err);
    if (status == WZ_OK)
        status = reserve(trainer, err);
    const double made = wz_now_s();
    if (status == WZ_OK)
        status = roll_out(trainer, step, report, err);
    const double rolled = wz_now_s();
    if (status == WZ_OK)
        status = judge(trainer, report, err);
    const double judged = wz_now_s();
    if (status == WZ_OK)
        status = update(trainer, step, report, err);
    if (status == WZ_OK && o->curriculum_enabled)
        report->size_grew =
            wz_curriculum_update(&trainer->curriculum, &o->curriculum, report->size, report->ratio);
    report->verify_s = made - start + judged - rolled;
    report->rollout_s = rolled - made;
    report->train_s = wz_now_s() - judged;
    return status;
}
