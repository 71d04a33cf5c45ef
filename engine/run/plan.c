/* Trainer options from the configuration, and the memory they need. */
#include <stdlib.h>

#include "engine/run/run.h"

#define BNPO_MICRO_BATCH 128 /* completions */

static wz_reward_options reward_options(const wz_config *c)
{
    wz_reward_options out = {.shaping = c->reward_shaping,
                             .shaping_steps = c->reward_shaping_steps > 0 ? c->reward_shaping_steps
                                                                          : c->max_steps - c->sft_steps,
                             .max_completion_length = c->max_completion_length,
                             .overlong_buffer = c->overlong_buffer,
                             .overlong_penalty = c->overlong_penalty};
    char item[WZ_LIST_MAX];
    for (const char *at = c->reward_funcs; out.count < WZ_REWARD_FUNCS && wz_config_next_item(&at, item);) {
        out.weight[out.count] = 1.0;
        out.function[out.count++] = (wz_reward_func)wz_reward_find(item);
    }
    const char *at = c->reward_weights;
    for (size_t i = 0; i < out.count && wz_config_next_item(&at, item); i++)
        out.weight[i] = strtod(item, NULL); /* checked when it was set */
    return out;
}

wz_loss_options wz_run_loss_options(const wz_config *c)
{
    const double high = c->loss_type == WZ_LOSS_CISPO ? 5.0 : c->epsilon;
    return (wz_loss_options){.type = (wz_loss_type)c->loss_type,
                             .epsilon = c->epsilon,
                             .epsilon_high = c->epsilon_high > 0.0 ? c->epsilon_high : high,
                             .entropy_coef = c->entropy_coef,
                             .max_completion_length = c->max_completion_length,
                             .sequence_level = c->importance_sampling_level == 1,
                             .delta = c->delta,
                             .dual_clip = c->dual_clip,
                             .sapo_temperature_pos = c->sapo_temperature_pos,
                             .sapo_temperature_neg = c->sapo_temperature_neg,
                             .beta = c->beta,
                             .kl = (wz_kl_estimator)c->kl_estimator,
                             .bias_correction = c->use_bias_correction_kl};
}

static wz_entropy_options entropy_options(const wz_config *c)
{
    return (wz_entropy_options){.first = c->entropy_coef,
                                .last = c->entropy_coef_final,
                                .schedule = (wz_schedule)c->entropy_schedule,
                                .span = (wz_entropy_span)c->entropy_schedule_span,
                                .stage_steps = c->entropy_stage_steps,
                                .adaptive = c->use_adaptive_entropy,
                                .target = c->entropy_target,
                                .minimum = c->entropy_coef_min,
                                .maximum = c->entropy_coef_max,
                                .delta = c->entropy_coef_delta};
}

static int64_t updates_of_a_pass(const wz_config *c)
{
    return wz_config_slices(c) / c->gradient_accumulation_steps;
}

static wz_sft_options supervised_options(const wz_config *c)
{
    return (wz_sft_options){.steps = c->sft_steps,
                            .batch = c->sft_batch_size,
                            .learning_rate =
                                c->sft_learning_rate > 0.0 ? c->sft_learning_rate : c->learning_rate};
}

void wz_run_trainer_options(const wz_config *c, const wz_mixture *mixture, int64_t groups_per_pack,
                            wz_trainer_options *out)
{
    *out = (wz_trainer_options){
        .mixture = *mixture,
        .style = (wz_prompt_style)c->prompt_style,
        .seed = (uint64_t)c->seed,
        .sft = supervised_options(c),
        .max_steps = c->max_steps - c->sft_steps,
        .problems = c->generation_batch_size / c->num_generations,
        .generations = c->num_generations,
        .groups_per_pack = groups_per_pack,
        .max_completion_length = c->max_completion_length,
        .sampling = {(float)c->temperature, c->top_k, (float)c->top_p, (float)c->min_p},
        .num_iterations = c->num_iterations,
        .slices = updates_of_a_pass(c),
        .dynamic_tries = c->dynamic_sampling ? c->dynamic_sampling_max_tries : 0,
        .loss = wz_run_loss_options(c),
        .top_entropy_quantile = c->top_entropy_quantile,
        .entropy = entropy_options(c),
        .reference = {.mixup_alpha = c->ref_model_mixup_alpha,
                      .sync_steps = c->sync_ref_model ? c->ref_model_sync_steps : 0},
        .scale_rewards = c->scale_rewards,
        .leave_one_out = c->leave_one_out,
        .mask_truncated = c->mask_truncated_completions,
        .reward = reward_options(c),
        .grammar_coef = c->grammar_coef,
        .grammar_generations = c->grammar_generations,
        .adamw = {.beta1 = (float)c->adam_beta1,
                  .beta2 = (float)c->adam_beta2,
                  .epsilon = (float)c->adam_epsilon,
                  .weight_decay = (float)c->weight_decay},
        .embedding_rate = c->embedding_learning_rate_ratio,
        .head_rate = c->head_learning_rate_ratio,
        .decay_embeddings = c->weight_decay_embeddings,
        .ema_decay = c->ema_decay,
        .learning_rate = c->learning_rate,
        .final_ratio = c->min_learning_rate_ratio,
        .schedule = c->lr_scheduler_type,
        .warmup_steps = c->warmup_steps,
        .max_grad_norm = c->max_grad_norm,
        .gradient_checkpointing = c->gradient_checkpointing,
        .reuse_activations = c->reuse_rollout_activations,
        .exactness_check_steps = c->exactness_check_steps,
        .report_steps = c->logging_steps,
        .replay = {.capacity = c->replay_pool_size,
                   .max_age = c->replay_max_age,
                   .least = c->success_min,
                   .most = c->success_max,
                   .keeps_all = c->train_set[0] != '\0' && wz_config_bounds_success(c)},
        .replay_fraction = c->replay_fraction,
        .success_ratio = c->replay_success_ratio,
        .filter_tries = wz_config_filters_headroom(c) && c->train_set[0] == '\0' ? c->filter_max_tries : 0,
        .headroom_min = c->headroom_min,
        .headroom_max = c->headroom_max,
        .skips_max = c->filter_max_tries,
        .curriculum_enabled = c->curriculum_enabled,
        .curriculum = {.threshold = c->curriculum_threshold,
                       .decay = c->curriculum_decay,
                       .min_steps = c->curriculum_min_steps,
                       .replay = c->curriculum_replay}};
}

void wz_run_eval_options(const wz_config *c, const wz_mixture_part *part, wz_eval_options *out)
{
    *out = (wz_eval_options){.task = part->task,
                             .values = part->values,
                             .style = (wz_prompt_style)c->prompt_style,
                             .seed = (uint64_t)c->seed,
                             .split = WZ_SPLIT_VALIDATION,
                             .problems = c->eval_problems,
                             .batch_size = c->eval_batch_size,
                             .sampling = {.temperature = 0.0f, .top_p = 1.0f},
                             .max_completion_length = c->max_completion_length};
}

size_t wz_memory_plan_total(const wz_memory_plan *plan)
{
    const wz_trainer_memory *t = &plan->trainer;
    const size_t run = t->activations + t->backward + t->vectors + t->passing + t->reference + t->average;
    return plan->model + plan->own + (run > plan->loading ? run : plan->loading);
}

/* evaluations: the configuration they follow; NULL: none. */
static wz_status plan_for(wz_policy *policy, const wz_trainer_options *options, const wz_config *evaluations,
                          wz_memory_plan *plan, wz_error *err)
{
    const wz_backend *backend = policy->model->backend;
    wz_trainer_memory *t = &plan->trainer;
    plan->model = wz_model_bytes(policy->model);
    plan->loading = policy->bytes_while_made;
    wz_status status = wz_trainer_plan(policy, options, t, err);
    for (size_t p = 0; status == WZ_OK && evaluations != NULL && p < options->mixture.count; p++) {
        wz_eval_options evaluation;
        wz_run_eval_options(evaluations, &options->mixture.parts[p], &evaluation);
        status = wz_evaluation_memory(policy, &evaluation, &t->bounds, &t->passing, err);
    }
    wz_op_bounds in_fp32 = t->bounds;
    in_fp32.frozen_type = WZ_F32;
    if (status == WZ_OK) {
        plan->own = backend->ops->own_bytes(backend, &t->bounds);
        plan->widened = plan->own - backend->ops->own_bytes(backend, &in_fp32);
    }
    return status;
}

static double mebibytes(size_t bytes)
{
    return (double)bytes / 1048576.0;
}

static wz_status write_plan(const wz_policy *policy, const wz_trainer_options *options,
                            const wz_memory_plan *plan, wz_text *table, wz_error *err)
{
    const wz_trainer_memory *t = &plan->trainer;
    const wz_model *model = policy->model;
    const size_t flat = (size_t)model->trained * sizeof(float);
    wz_status status = wz_text_printf(table, err, "memory plan (MiB)\n");
    if (status == WZ_OK && model->adapter_params > 0)
        status = wz_text_printf(
            table, err, "  frozen weights        %10.1f   %lld parameters, matrices in %s\n",
            mebibytes((size_t)(model->floats - model->trained) * sizeof(float) +
                      (size_t)model->half_count * wz_type_bytes(WZ_BF16)),
            (long long)wz_model_parameter_count(model), model->halves != NULL ? "bf16" : "fp32");
    if (status != WZ_OK)
        return status;
    status = wz_text_printf(
        table, err,
        "  %s%10.1f   %lld parameters\n"
        "  gradients             %10.1f\n"
        "  AdamW moments         %10.1f\n"
        "  activations           %10.1f   %lld rows in %s of %lld packs, %s%s\n"
        "  backward pass         %10.1f\n"
        "  decisions, rollouts   %10.1f\n",
        model->adapter_params > 0 ? "adapters              " : "weights               ", mebibytes(flat),
        (long long)wz_model_trained_count(model), mebibytes(flat), mebibytes(2 * flat),
        mebibytes(t->activations), (long long)t->rows, wz_trainer_keeps_rollouts(options) ? "each" : "one",
        (long long)((options->problems + options->groups_per_pack - 1) / options->groups_per_pack),
        options->reuse_activations && options->slices == 1 ? "kept from rollout to update" : "computed twice",
        options->gradient_checkpointing ? ", layers computed again" : "", mebibytes(t->backward),
        mebibytes(t->vectors + t->passing));
    if (status == WZ_OK && wz_model_prepared_bytes(model) > 0)
        status = wz_text_printf(table, err, "  copies for products   %10.1f   of weights%s\n",
                                mebibytes(wz_model_prepared_bytes(model)),
                                model->backend->working_type == WZ_BF16 ? ", in bf16" : "");
    if (status == WZ_OK && t->reference > 0)
        status = wz_text_printf(table, err, "  reference policy      %10.1f\n", mebibytes(t->reference));
    if (status == WZ_OK && t->average > 0)
        status = wz_text_printf(table, err, "  averaged weights      %10.1f\n", mebibytes(t->average));
    if (status == WZ_OK && plan->loading > 0)
        status = wz_text_printf(table, err,
                                "  while loading         %10.1f   the policy that adapters were folded into, "
                                "before what follows the weights here\n",
                                mebibytes(plan->loading));
    if (status == WZ_OK)
        status = wz_text_printf(table, err, "  buffers of the device %10.1f", mebibytes(plan->own));
    if (status == WZ_OK && plan->widened > 0)
        status = wz_text_printf(table, err, "   %.1f of it for one frozen matrix in fp32",
                                mebibytes(plan->widened));
    return status != WZ_OK ? status
                           : wz_text_printf(table, err, "\n  total                 %10.1f   of %.1f\n",
                                            mebibytes(wz_memory_plan_total(plan)), mebibytes(plan->limit));
}

/* Names the shortfall and three remedies. */
static wz_status refuse(const wz_model *model, const wz_trainer_options *options, const wz_memory_plan *plan,
                        wz_error *err)
{
    const bool can_cut = options->groups_per_pack > 1;
    const bool could_halve = model->adapter_params > 0 && model->halves == NULL;
    return wz_fail(
        err, WZ_ERR_RESOURCE,
        "the run needs %.1f MiB, %.1f MiB more than the %.1f MiB it may use: lower %s (now %lld), %s, or "
        "%s",
        mebibytes(wz_memory_plan_total(plan)), mebibytes(wz_memory_plan_total(plan) - plan->limit),
        mebibytes(plan->limit), can_cut ? "per_device_train_batch_size" : "num_generations",
        (long long)(options->groups_per_pack * options->generations),
        !options->gradient_checkpointing ? "set gradient_checkpointing: true"
        : could_halve                    ? "set frozen_dtype: bf16"
                                         : "lower model.hidden_size",
        plan->is_free_memory ? "end what else uses the GPU (nvidia-smi)" : "raise memory_limit_gb");
}

/* Completions of a micro-batch. bnpo's results depend on it, so there it may depend on the configuration only: it is one of the
 * slices that an update accumulates, as in TRL, or of the usual size where an update has but one. */
static int64_t micro_batch(const wz_config *config, const wz_backend_info *info)
{
    if (config->per_device_train_batch_size > 0)
        return config->per_device_train_batch_size;
    if (config->loss_type != WZ_LOSS_BNPO)
        return info->micro_batch;
    return config->gradient_accumulation_steps > 1 ? config->generation_batch_size / wz_config_slices(config)
                                                   : BNPO_MICRO_BATCH;
}

/* No pack reaches past an optimiser batch, and several of these have packs of one size. */
static void fit_slices(wz_trainer_options *options)
{
    const int64_t problems = options->problems / options->slices;
    if (options->groups_per_pack > problems)
        options->groups_per_pack = problems;
    while (options->slices > 1 && problems % options->groups_per_pack != 0)
        options->groups_per_pack--;
}

wz_status wz_run_plan_memory(wz_policy *policy, const wz_config *config, bool evaluates,
                             wz_trainer_options *options, wz_memory_plan *plan, wz_text *table, wz_error *err)
{
    wz_backend_info info;
    const wz_config *evaluations = evaluates ? config : NULL;
    *plan = (wz_memory_plan){.limit = (size_t)wz_run_memory(config, policy->model->backend)};
    policy->model->backend->ops->describe(policy->model->backend, &info);
    plan->is_free_memory = info.gpu != NULL && config->memory_limit_gb == 0.0;
    if (plan->is_free_memory)
        plan->limit += wz_model_bytes(policy->model) + info.memory_taken; /* which is no longer free */
    options->groups_per_pack = micro_batch(config, &info) / config->num_generations;
    if (options->groups_per_pack < 1)
        options->groups_per_pack = 1;
    fit_slices(options);
    const bool may_cut = config->per_device_train_batch_size == 0 && config->loss_type != WZ_LOSS_BNPO;
    wz_status status = plan_for(policy, options, evaluations, plan, err);
    /* Smaller packs shrink the backward pass; forgetting the rollout's activations shrinks the rest. */
    while (status == WZ_OK && wz_memory_plan_total(plan) > plan->limit && may_cut &&
           options->groups_per_pack > 1) {
        if (wz_trainer_keeps_rollouts(options))
            options->reuse_activations = false;
        options->groups_per_pack = (options->groups_per_pack + 1) / 2;
        fit_slices(options);
        status = plan_for(policy, options, evaluations, plan, err);
    }
    if (status == WZ_OK && wz_memory_plan_total(plan) > plan->limit && wz_trainer_keeps_rollouts(options)) {
        options->reuse_activations = false;
        status = plan_for(policy, options, evaluations, plan, err);
    }
    if (status == WZ_OK)
        status = write_plan(policy, options, plan, table, err);
    if (status == WZ_OK && wz_memory_plan_total(plan) > plan->limit)
        return refuse(policy->model, options, plan, err);
    return status;
}
