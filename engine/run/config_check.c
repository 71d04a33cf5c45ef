/* Rules that join several keys; each message says how to satisfy the rule. */
#include <string.h>

#include "engine/run/config_schema.h"
#include "rewards/reward.h"

static wz_status check_ranges(const wz_config *config, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < wz_config_key_count && status == WZ_OK; ++i) {
        wz_config_place place = {.key = &wz_config_keys[i]};
        status = wz_config_check_range(config, &place, err);
    }
    if (status != WZ_OK)
        return status;
    for (size_t i = 0; i < config->task->option_count && status == WZ_OK; ++i) {
        wz_config_place place = {.option = &config->task->options[i], .option_index = i};
        status = wz_config_check_range(config, &place, err);
    }
    return status == WZ_OK ? wz_task_check_values(config->task, config->task_values, err) : status;
}

static wz_status check_files(const wz_config *config, wz_error *err)
{
    if (config->output_dir[0] == '\0')
        return wz_fail(err, WZ_ERR_USAGE, "output_dir is empty; name the run directory to make");
    if (config->init_from[0] != '\0' && config->tokenizer_file[0] != '\0')
        return wz_fail(
            err, WZ_ERR_USAGE,
            "init_from and tokenizer_file are both set, but a checkpoint brings its own tokenizer; "
            "remove one of them");
    return WZ_OK;
}

static wz_status check_prompt(const wz_config *config, wz_error *err)
{
    if (config->chat_template != WZ_CHAT_NONE || config->system_prompt[0] == '\0')
        return WZ_OK;
    return wz_fail(
        err, WZ_ERR_USAGE,
        "system_prompt is set, but chat_template: none has no place for it; choose a template (plain "
        "for models that know none) or remove it");
}

wz_model_config wz_config_model(const wz_config *config)
{
    wz_model_config model = config->model;
    char item[WZ_LIST_MAX];
    for (int t = 0; t < WZ_LORA_TARGETS; t++)
        model.lora.target[t] = false;
    for (const char *at = config->lora_target_modules; wz_config_next_item(&at, item);)
        for (int t = 0; t < WZ_LORA_TARGETS; t++)
            if (strcmp(item, wz_lora_target_names[t]) == 0)
                model.lora.target[t] = true;
    return model;
}

/* vocab_size 0 stands for the tokenizer's, which is at least 1. */
static wz_status check_model(const wz_config *config, wz_error *err)
{
    wz_model_config model = wz_config_model(config);
    if (model.vocab_size == 0)
        model.vocab_size = 1;
    wz_status status = wz_model_config_check(&model, err);
    if (status == WZ_OK && model.frozen_dtype != WZ_PRECISION_FP32 && model.lora.rank == 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "frozen_dtype is bf16, but without adapters no weight is frozen: set lora_rank, or "
                       "frozen_dtype: fp32");
    if (status == WZ_OK && config->max_completion_length >= model.max_position_embeddings)
        return wz_fail(err, WZ_ERR_USAGE,
                       "max_completion_length (%lld) leaves no room for a prompt within "
                       "model.max_position_embeddings (%lld); lower the one or raise the other",
                       (long long)config->max_completion_length, (long long)model.max_position_embeddings);
    return status;
}

static wz_status check_divides(const char *whole_key, int64_t whole, int64_t part, wz_error *err)
{
    if (whole % part == 0)
        return WZ_OK;
    int64_t lower = whole / part * part;
    return wz_fail(err, WZ_ERR_USAGE, "%s (%lld) must be a multiple of num_generations (%lld): use %lld",
                   whole_key, (long long)whole, (long long)part, (long long)(lower > 0 ? lower : part));
}

static wz_status check_batches(const wz_config *config, wz_error *err)
{
    int64_t group = config->num_generations;
    if (config->max_steps > 0 && group < 2)
        return wz_fail(err, WZ_ERR_USAGE,
                       "num_generations is %lld; training compares at least 2 completions of a problem",
                       (long long)group);
    wz_status status = check_divides("generation_batch_size", config->generation_batch_size, group, err);
    if (status == WZ_OK)
        status =
            check_divides("per_device_train_batch_size", config->per_device_train_batch_size, group, err);
    return status;
}

static wz_status check_loss(const wz_config *config, wz_error *err)
{
    if (config->grammar_coef > 0.0 && !config->answer_grammar)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "grammar_coef is %g, but without answer_grammar there is no set of allowed tokens to teach; "
            "set answer_grammar: true or grammar_coef: 0",
            config->grammar_coef);
    if (config->grammar_coef > 0.0 && config->grammar_generations > config->num_generations)
        return wz_fail(err, WZ_ERR_USAGE, "grammar_generations (%lld) must not exceed num_generations (%lld)",
                       (long long)config->grammar_generations, (long long)config->num_generations);
    return WZ_OK;
}

wz_status wz_config_check_thinking(const wz_config *config, wz_error *err)
{
    if (config->thinking_budget > 0 && config->verifier_tries > 0)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "thinking_budget (%lld) and verifier_tries (%lld) are both set, but a completion thinks "
            "freely or tries candidates: set one of them to 0",
            (long long)config->thinking_budget, (long long)config->verifier_tries);
    if (config->verifier_tries > 0 && !config->answer_grammar)
        return wz_fail(err, WZ_ERR_USAGE,
                       "verifier_tries (%lld) needs candidates that can be read: set answer_grammar: true",
                       (long long)config->verifier_tries);
    if (config->thinking_budget > 0 && config->chat_template == WZ_CHAT_QWEN3_NO_THINKING)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "thinking_budget (%lld) is set, but chat_template: qwen3_no_thinking tells the model not "
            "to think: set thinking_budget: 0 or chat_template: qwen3",
            (long long)config->thinking_budget);
    if (config->thinking_budget >= config->max_completion_length)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "thinking_budget (%lld) leaves no room for an answer within max_completion_length (%lld): "
            "lower the one or raise the other",
            (long long)config->thinking_budget, (long long)config->max_completion_length);
    return WZ_OK;
}

static wz_status check_overlong(const wz_config *config, wz_error *err)
{
    if (config->overlong_buffer >= config->max_completion_length)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "overlong_buffer (%lld) must be less than max_completion_length (%lld), of which it is the "
            "last part",
            (long long)config->overlong_buffer, (long long)config->max_completion_length);
    return WZ_OK;
}

static size_t count_items(const char *list)
{
    char item[WZ_LIST_MAX];
    size_t count = 0;
    while (wz_config_next_item(&list, item))
        ++count;
    return count;
}

static wz_status check_rewards(const wz_config *config, wz_error *err)
{
    const size_t functions = count_items(config->reward_funcs), weights = count_items(config->reward_weights);
    if (functions == 0 || functions > WZ_REWARD_FUNCS)
        return wz_fail(err, WZ_ERR_USAGE, "reward_funcs lists %zu functions; 1 to %d are possible", functions,
                       WZ_REWARD_FUNCS);
    if (weights != 0 && weights != functions)
        return wz_fail(err, WZ_ERR_USAGE, "reward_weights lists %zu numbers for %zu reward_funcs", weights,
                       functions);
    return WZ_OK;
}

/* A part that the whole run asks less than one problem of is a mistake in its weight. */
static wz_status check_shares(const wz_config *config, const wz_mixture *mixture, wz_error *err)
{
    const int64_t groups = config->generation_batch_size / config->num_generations;
    const double problems = (double)groups * (double)config->max_steps;
    double sum = 0;
    for (size_t p = 0; p < mixture->count; p++)
        sum += mixture->parts[p].weight;
    for (size_t p = 0; p < mixture->count; p++)
        if (problems * mixture->parts[p].weight < sum)
            return wz_fail(err, WZ_ERR_USAGE,
                           "task_mixture: %s has weight %g of %g: %.2g problems in the whole run; raise its "
                           "weight or leave it out",
                           mixture->parts[p].name, mixture->parts[p].weight, sum,
                           problems * mixture->parts[p].weight / sum);
    return WZ_OK;
}

static wz_status check_mixture(const wz_config *config, wz_error *err)
{
    wz_mixture mixture;
    wz_status status = wz_config_mixture(config, &mixture, err);
    const int64_t problems = config->generation_batch_size / config->num_generations;
    if (status == WZ_OK && config->task_mixture[0] != '\0' && config->verifier_command[0] != '\0')
        return wz_fail(err, WZ_ERR_USAGE,
                       "verifier_command scores one task: set task.name in place of task_mixture");
    if (status == WZ_OK && (int64_t)mixture.count > problems)
        return wz_fail(err, WZ_ERR_USAGE, "task_mixture lists %zu tasks, but a step has %lld problems (%s)",
                       mixture.count, (long long)problems, "generation_batch_size / num_generations");
    return status == WZ_OK && mixture.count > 1 ? check_shares(config, &mixture, err) : status;
}

static wz_status check_curriculum(const wz_config *config, wz_error *err)
{
    if (!config->curriculum_enabled || config->task_mixture[0] != '\0' ||
        config->curriculum_stages[0] != '\0')
        return WZ_OK;
    const wz_task_option *size = &config->task->options[config->task->size_option];
    double last = config->task_values[config->task->size_option];
    if ((double)config->curriculum_start > last)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "curriculum.start (%lld) is above task.%s (%g), the size to grow to; lower the one or raise "
            "the other",
            (long long)config->curriculum_start, size->name, last);
    if ((double)config->curriculum_start < size->minimum)
        return wz_fail(err, WZ_ERR_USAGE, "curriculum.start (%lld) is below the least task.%s (%g)",
                       (long long)config->curriculum_start, size->name, size->minimum);
    return WZ_OK;
}

wz_status wz_config_check(const wz_config *config, wz_error *err)
{
    wz_status (*const checks[])(const wz_config *, wz_error *) = {
        check_ranges,
        check_files,
        check_prompt,
        check_model,
        check_batches,
        check_loss,
        check_rewards,
        check_curriculum,
        check_mixture,
        wz_config_check_grpo,
        wz_config_check_thinking,
        check_overlong,
        wz_config_check_data,
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; ++i) {
        wz_status status = checks[i](config, err);
        if (status != WZ_OK)
            return status;
    }
    return WZ_OK;
}
