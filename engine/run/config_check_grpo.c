/* Options of the loss and the optimiser that contradict each other, or would be without effect. */
#include "engine/run/config_schema.h"

#include "engine/grpo/entropy.h"
#include "engine/grpo/loss.h"

static wz_status check_clip(const wz_config *c, wz_error *err)
{
    const bool clips = c->loss_type != WZ_LOSS_CISPO && c->loss_type != WZ_LOSS_SAPO;
    const double high = c->epsilon_high > 0.0 ? c->epsilon_high : c->epsilon;
    if (c->loss_type == WZ_LOSS_CISPO && c->epsilon_high != 0.0 && c->epsilon_high < 1.0)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "epsilon_high is %g, but with loss_type cispo it bounds the probability ratio itself, which "
            "is 1 on-policy: give at least 1, as 5, or 0 for 5",
            c->epsilon_high);
    if (!clips && (c->delta > 0.0 || c->dual_clip > 0.0))
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s bounds a clipped ratio, and loss_type %s does not clip: set %s: 0, or another "
                       "loss_type",
                       c->delta > 0.0 ? "delta" : "dual_clip",
                       c->loss_type == WZ_LOSS_CISPO ? "cispo" : "sapo",
                       c->delta > 0.0 ? "delta" : "dual_clip");
    if (c->delta > 0.0 && c->delta <= 1.0 + high)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "delta (%g) must lie above 1 + epsilon_high (%g), where the clip ends: raise it, or 0 for "
            "no bound",
            c->delta, 1.0 + high);
    if (c->dual_clip > 0.0 && c->dual_clip <= 1.0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "dual_clip (%g) must be above 1, or tokens would lose their gradient on-policy: 3 is "
                       "usual, 0 for no bound",
                       c->dual_clip);
    if (c->delta > 0.0 && c->dual_clip > 0.0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "delta and dual_clip are both set, and both bound the ratio where the advantage is "
                       "negative: keep one of them");
    return WZ_OK;
}

static wz_status check_reference(const wz_config *c, wz_error *err)
{
    if (c->beta == 0.0 && (c->use_bias_correction_kl || c->sync_ref_model))
        return wz_fail(
            err, WZ_ERR_USAGE,
            "%s is true, but beta is 0, so there is no KL term and no reference: set beta above 0, or "
            "%s: false",
            c->sync_ref_model ? "sync_ref_model" : "use_bias_correction_kl",
            c->sync_ref_model ? "sync_ref_model" : "use_bias_correction_kl");
    return WZ_OK;
}

static wz_status check_entropy(const wz_config *c, wz_error *err)
{
    const bool by_stage = c->entropy_schedule_span != WZ_ENTROPY_SPAN_RUN;
    if (by_stage && !c->curriculum_enabled)
        return wz_fail(err, WZ_ERR_USAGE,
                       "entropy_schedule_span counts a curriculum's stages, and there is none: set "
                       "curriculum.enabled: true, or entropy_schedule_span: run");
    if (!c->use_adaptive_entropy)
        return WZ_OK;
    if (by_stage)
        return wz_fail(err, WZ_ERR_USAGE,
                       "use_adaptive_entropy takes the schedule's place: set entropy_schedule_span: run");
    if (c->entropy_coef < c->entropy_coef_min || c->entropy_coef > c->entropy_coef_max)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "entropy_coef (%g), where use_adaptive_entropy starts, lies outside entropy_coef_min (%g) "
            "to entropy_coef_max (%g)",
            c->entropy_coef, c->entropy_coef_min, c->entropy_coef_max);
    return WZ_OK;
}

int64_t wz_config_slices(const wz_config *c)
{
    return c->steps_per_generation > 0 ? c->steps_per_generation : c->gradient_accumulation_steps;
}

/* Optimiser batches hold whole problems; so do micro-batches, and none lies in two. */
static wz_status check_slices(const wz_config *c, wz_error *err)
{
    const int64_t slices = wz_config_slices(c);
    const int64_t problems = c->generation_batch_size / c->num_generations;
    if (slices % c->gradient_accumulation_steps != 0)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "steps_per_generation (%lld) must be a multiple of gradient_accumulation_steps (%lld): an "
            "update accumulates slices of one rollout",
            (long long)slices, (long long)c->gradient_accumulation_steps);
    const int64_t updates = slices / c->gradient_accumulation_steps, batch = problems / updates;
    if (problems % updates != 0)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "steps_per_generation / gradient_accumulation_steps (%lld) updates cannot share the %lld "
            "problems of a rollout (generation_batch_size / num_generations) equally",
            (long long)updates, (long long)problems);
    const int64_t micro = c->per_device_train_batch_size / c->num_generations;
    if (updates > 1 && micro > 0 && batch % micro != 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "per_device_train_batch_size (%lld) must divide the %lld completions of an update",
                       (long long)c->per_device_train_batch_size, (long long)(batch * c->num_generations));
    if (c->loss_type == WZ_LOSS_BNPO && c->gradient_accumulation_steps > 1 && micro == 0 &&
        problems % slices != 0)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "with loss_type bnpo each of the %lld slices of a rollout is a micro-batch, but they cannot "
            "share its %lld problems (generation_batch_size / num_generations) equally: change "
            "gradient_accumulation_steps, or set per_device_train_batch_size",
            (long long)slices, (long long)problems);
    return WZ_OK;
}

static wz_status check_optimiser(const wz_config *c, wz_error *err)
{
    if (c->eval_ema && c->ema_decay == 0.0)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "eval_ema is true, but ema_decay is 0, so no averaged weights are kept: set ema_decay, as "
            "0.99, or eval_ema: false");
    if (c->model.tie_word_embeddings && c->head_learning_rate_ratio != 1.0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "head_learning_rate_ratio is %g, but with model.tie_word_embeddings the head is the "
                       "embedding: set embedding_learning_rate_ratio",
                       c->head_learning_rate_ratio);
    if (c->weight_decay_embeddings && c->weight_decay == 0.0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "weight_decay_embeddings is true, but weight_decay is 0: set it, or "
                       "weight_decay_embeddings: false");
    return WZ_OK;
}

static wz_status check_supervised(const wz_config *c, wz_error *err)
{
    if (c->sft_steps > c->max_steps)
        return wz_fail(err, WZ_ERR_USAGE,
                       "sft_steps (%lld) are the first of max_steps (%lld): lower the one or raise the other",
                       (long long)c->sft_steps, (long long)c->max_steps);
    if (c->sft_steps == 0 && c->sft_file[0] != '\0')
        return wz_fail(err, WZ_ERR_USAGE,
                       "sft_file is set, but sft_steps is 0, so nothing learns from it: set sft_steps, or "
                       "leave sft_file out");
    if (c->sft_steps > 0 && c->sft_file[0] == '\0' && (c->thinking_budget > 0 || c->verifier_tries > 0))
        return wz_fail(
            err, WZ_ERR_USAGE,
            "sft_steps would teach what reference solvers answer, who do not think, but %s is set: "
            "give sft_file, whose completions think, or set sft_steps: 0",
            c->thinking_budget > 0 ? "thinking_budget" : "verifier_tries");
    const int64_t drawn = c->generation_batch_size / c->num_generations;
    const double rollouts = (double)drawn * (double)wz_config_numbers_each(c);
    const double problems = (double)c->sft_steps * (double)c->sft_batch_size;
    if (c->sft_steps > 0 && c->sft_file[0] == '\0' &&
        problems + (double)(c->max_steps - c->sft_steps) * rollouts > 0x1p32)
        return wz_fail(err, WZ_ERR_USAGE,
                       "the %g problems of sft_steps and those of the other steps are more than 2^32: lower "
                       "sft_batch_size or sft_steps",
                       problems);
    return WZ_OK;
}

wz_status wz_config_check_grpo(const wz_config *config, wz_error *err)
{
    wz_status (*const checks[])(const wz_config *, wz_error *) = {
        check_clip, check_reference, check_entropy, check_slices, check_optimiser, check_supervised};
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof checks / sizeof checks[0]; i++)
        status = checks[i](config, err);
    return status;
}
