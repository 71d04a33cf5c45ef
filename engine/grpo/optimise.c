/* What an update changes: the weights, their average, the reference. */
#include <math.h>
#include <stdlib.h>

#include "engine/core/clock.h"
#include "engine/grpo/trainer_internal.h"

/* Names the first tensor with a gradient that is no number. */
static wz_status diverged(const wz_trainer *trainer, int64_t step, double loss, wz_error *err)
{
    const wz_model *model = trainer->policy->model;
    step += trainer->options.sft.steps;
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        if (param->is_frozen)
            continue;
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

/* Parameter groups: embedding and head have learning rates of their own; norms and biases do not decay. */
static void adamw_groups(const wz_trainer *trainer, float scale, double learning_rate, wz_adamw adamw)
{
    const wz_model *model = trainer->policy->model;
    const wz_trainer_options *o = &trainer->options;
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        if (param->is_frozen)
            continue;
        const bool is_adapter = i < model->adapter_params,
                   is_embedding = !is_adapter && param->offset == model->embedding;
        const bool is_head = !is_adapter && param->offset == model->head && !is_embedding;
        const bool decays = param->decays || (is_embedding && o->decay_embeddings);
        const double rate = is_embedding ? o->embedding_rate : is_head ? o->head_rate : 1.0;
        adamw.learning_rate = (float)(learning_rate * rate);
        adamw.weight_decay = decays ? o->adamw.weight_decay : 0.0f;
        adamw_range(model, param->offset, param->count, scale, &adamw);
    }
}

static void move_weights(wz_trainer *trainer, float scale, double learning_rate)
{
    const wz_trainer_options *o = &trainer->options;
    const wz_model *model = trainer->policy->model;
    wz_adamw adamw = o->adamw;
    adamw.learning_rate = (float)learning_rate;
    adamw.step = ++trainer->updates;
    if (adamw.weight_decay == 0.0f && o->embedding_rate == 1.0 && o->head_rate == 1.0)
        adamw_range(model, 0, model->trained, scale, &adamw);
    else
        adamw_groups(trainer, scale, learning_rate, adamw);
    wz_model_weights_changed(model);
}

wz_status wz_trainer_update(wz_trainer *trainer, const wz_step_state *s, int64_t step, wz_error *err)
{
    const double start = wz_now_s();
    const wz_trainer_options *o = &trainer->options;
    const wz_model *model = trainer->policy->model;
    const double limit = o->max_grad_norm;
    wz_apart_join(&trainer->apart);
    const double norm =
        sqrt(model->backend->ops->sum_squares(model->backend, model->gradients, model->trained)) / s->divisor;
    const wz_status status = model->backend->ops->sync(model->backend, err);
    if (status != WZ_OK)
        return status;
    if (!isfinite(norm) || !isfinite(s->sums.policy) || !isfinite(s->sums.kl_loss))
        return diverged(trainer, step, (s->sums.policy + o->loss.beta * s->sums.kl_loss) / s->divisor, err);
    s->report->grad_norm = norm;
    if (trainer->options.report_steps > 0 &&
        (trainer->options.sft.steps + step + 1) % trainer->options.report_steps == 0)
        wz_report_gradients(s->report, model, s->divisor);
    move_weights(trainer, (float)((limit > 0.0 && norm > limit ? limit / norm : 1.0) / s->divisor),
                 s->report->learning_rate);
    if (trainer->average != NULL)
        model->backend->ops->blend(model->backend, trainer->average, model->weights, model->trained,
                                   (float)(1.0 - o->ema_decay));
    wz_ref_model_follow(&trainer->ref_model, model, &o->reference, trainer->updates);
    s->report->train_s += wz_now_s() - start;
    return WZ_OK;
}

wz_status wz_trainer_exchange_average(wz_trainer *trainer, wz_error *err)
{
    const wz_model *model = trainer->policy->model;
    const wz_backend_ops *ops = model->backend->ops;
    const size_t bytes = (size_t)model->trained * sizeof(float);
    void *host = NULL;
    const wz_status status = wz_alloc(&host, 2, bytes, "averaged weights", err);
    if (status != WZ_OK)
        return status;
    float *weights = host, *average = weights + model->trained;
    ops->download(model->backend, weights, model->weights, bytes);
    ops->download(model->backend, average, trainer->average, bytes);
    ops->upload(model->backend, model->weights, average, bytes);
    ops->upload(model->backend, trainer->average, weights, bytes);
    wz_model_weights_changed(model);
    free(host);
    return ops->sync(model->backend, err);
}
