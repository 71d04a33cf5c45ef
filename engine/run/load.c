#include "engine/run/load.h"

#include <stdlib.h>
#include <string.h>

#include "cuda/cuda.h"
#include "engine/core/file.h"
#include "engine/run/environment.h"
#include "engine/run/snapshot.h"
#include "rewards/external.h"
#include "rewards/library.h"
#include "rewards/tries.h"

#define TOKENIZER_LIMIT ((size_t)64 << 20) /* bytes of a tokenizer.json */

const char *wz_precision_name(const wz_backend *backend)
{
    return backend->working_type == WZ_BF16 ? "bf16" : "fp32";
}

static wz_status describe_gpu(const wz_backend *backend, wz_text *note, wz_error *err)
{
    char versions[160];
    wz_backend_info info;
    backend->ops->describe(backend, &info);
    wz_describe_cuda(&info, versions, sizeof versions);
    return wz_text_printf(note, err, "device cuda: %s, %.1f GiB; %s; %s", info.gpu,
                          (double)info.memory / 1073741824.0, versions, wz_precision_name(backend));
}

static bool lacks_precision(const wz_config *config, const wz_backend *backend)
{
    return config->precision == WZ_PRECISION_BF16 && backend->working_type != WZ_BF16;
}

/* why: what is wrong with the GPU; empty: none was asked for. */
static wz_status describe_cpu(const wz_config *config, const wz_backend *backend, const char *why,
                              wz_text *note, wz_error *err)
{
    wz_backend_info info;
    backend->ops->describe(backend, &info);
    return wz_text_printf(note, err, "device cpu: %lld threads, OpenBLAS core %s; fp32%s%s%s",
                          (long long)info.threads, info.kernels,
                          lacks_precision(config, backend) ? ", for the CPU has no bf16" : "",
                          why[0] != '\0' ? "; not cuda: " : "", why);
}

wz_status wz_open_verifier(const wz_config *config, wz_error *err)
{
    return config->verifier_command[0] == '\0'
               ? WZ_OK
               : wz_external_start(config->task->name, config->verifier_command, config->verifier_timeout_s,
                                   err);
}

wz_status wz_open_backend(const wz_config *config, wz_backend **out, wz_text *note, wz_error *err)
{
    const wz_cuda_options cuda = {.exact = config->exact,
                                  .precision = config->precision == WZ_PRECISION_BF16 ? WZ_BF16 : WZ_F32};
    wz_error why = {{0}};
    *out = NULL;
    wz_status status =
        config->device == WZ_DEVICE_CPU ? WZ_ERR_DEVICE : wz_backend_cuda_create(&cuda, out, &why);
    const bool has_gpu = status == WZ_OK;
    if (!has_gpu && config->device == WZ_DEVICE_CUDA)
        return wz_fail(err, status, "device: cuda: %s; or use device: cpu", why.text);
    if (!has_gpu)
        status = wz_backend_cpu_create((size_t)config->threads, out, err);
    if (status == WZ_OK && note != NULL)
        status = has_gpu ? describe_gpu(*out, note, err) : describe_cpu(config, *out, why.text, note, err);
    if (status != WZ_OK && *out != NULL) {
        (*out)->ops->destroy(*out);
        *out = NULL;
    }
    return status;
}

wz_status wz_open_backend_for_command(const wz_config *config, FILE *log, wz_backend **out, wz_error *err)
{
    wz_text note = {0};
    const wz_status status = wz_open_backend(config, out, &note, err);
    if (status == WZ_OK && config->device == WZ_DEVICE_AUTO)
        (void)fprintf(log, "%s\n", note.data);
    wz_text_clear(&note);
    return status;
}

uint64_t wz_run_memory(const wz_config *config, const wz_backend *backend)
{
    wz_backend_info info;
    uint64_t all = 0, available = 0;
    if (config->memory_limit_gb > 0.0)
        return (uint64_t)(config->memory_limit_gb * 1e9);
    backend->ops->describe(backend, &info);
    if (info.gpu != NULL)
        return info.memory_free;
    wz_memory_size(&all, &available);
    return available > 0 ? available : UINT64_MAX;
}

static wz_status make_tokenizer(const wz_config *config, wz_tokenizer **out, wz_error *err)
{
    wz_text json = {0};
    if (config->tokenizer_file[0] == '\0')
        return wz_tokenizer_create_builtin(out, err);
    wz_status status = wz_file_read(config->tokenizer_file, TOKENIZER_LIMIT, &json, err);
    if (status == WZ_OK)
        status = wz_tokenizer_create(json.data, json.length, out, err);
    if (status != WZ_OK)
        status = wz_fail_prefix(err, status, "tokenizer_file %s: ", config->tokenizer_file);
    wz_text_clear(&json);
    return status;
}

static double frozen_bytes(const wz_model_config *model)
{
    return wz_model_config_parameters(model) * (double)wz_type_bytes((wz_dtype)model->frozen_dtype);
}

/* Before anything of the model is allocated: the system would grant more than it has and kill us on first use. The plan
 * (plan.c) counts the rest later. source: of a checkpoint whose adapters are folded in; NULL: none are. */
static wz_status check_memory(const wz_config *config, const wz_config *source, const wz_backend *backend,
                              wz_error *err)
{
    const wz_model_config model = wz_config_model(config);
    const bool has_adapters = model.lora.rank > 0;
    const double parameters = wz_model_config_parameters(&model),
                 trained = has_adapters ? wz_model_config_adapter_parameters(&model) : parameters,
                 frozen = has_adapters ? frozen_bytes(&model) : 0.0,
                 folded = source != NULL ? frozen_bytes(&source->model) : 0.0,
                 need = 4.0 * sizeof(float) * trained + frozen + folded;
    const double limit = (double)wz_run_memory(config, backend);
    if (need <= limit)
        return WZ_OK;
    return wz_fail(
        err, WZ_ERR_RESOURCE,
        "weights of %.4g parameters, gradients and AdamW moments%s need %.1f MiB of memory, more than the "
        "%.1f "
        "MiB the run may use: lower model.hidden_size, model.intermediate_size or model.num_hidden_layers, "
        "or raise memory_limit_gb",
        parameters, source != NULL ? ", beside the policy whose adapters are folded in," : "",
        need / 1048576.0, limit / 1048576.0);
}

wz_status wz_policy_set_thinking(const wz_config *config, wz_policy *policy, wz_error *err)
{
    const wz_thinking_options thinking = {.budget = config->thinking_budget,
                                          .tries = config->verifier_tries,
                                          .chooses = config->verifier_answer == WZ_VERIFIER_ANSWER_CHOSEN,
                                          .separator =
                                              wz_answer_separator((wz_prompt_style)config->prompt_style),
                                          .lead = WZ_TRY_LEAD,
                                          .stop = WZ_TRY_STOP};
    return wz_policy_think(policy, &thinking, err);
}

/* A policy's settings that its weights and tokenizer do not tell. */
static wz_status apply_settings(const wz_config *config, wz_policy *policy, wz_error *err)
{
    char item[WZ_LIST_MAX];
    int64_t ends[WZ_MAX_ENDS + 1]; /* one too many is the policy's to refuse */
    size_t count = 0;
    const char *at = config->eos_token_id;
    while (count <= WZ_MAX_ENDS && wz_config_next_item(&at, item))
        ends[count++] = strtoll(item, NULL, 10);
    wz_status status = count > 0 ? wz_policy_set_ends(policy, ends, count, err) : WZ_OK;
    if (status == WZ_OK)
        status =
            wz_policy_set_chat(policy, (wz_chat_template)config->chat_template, config->system_prompt, err);
    return status == WZ_OK ? wz_policy_set_thinking(config, policy, err) : status;
}

wz_status wz_policy_make(const wz_config *config, wz_model *model, wz_tokenizer *tokenizer, wz_policy **out,
                         wz_error *err)
{
    wz_policy *policy = NULL;
    *out = NULL;
    wz_status status = wz_policy_create(model, tokenizer, config->answer_grammar,
                                        config->max_completion_length, &policy, err);
    if (status == WZ_OK)
        status = apply_settings(config, policy, err);
    if (status == WZ_OK)
        *out = policy;
    else
        wz_policy_destroy(policy);
    return status;
}

static wz_status from_random(wz_config *config, wz_backend *backend, wz_policy **out, wz_error *err)
{
    wz_tokenizer *tokenizer = NULL;
    wz_model *model = NULL;
    int64_t *integer = NULL;
    wz_status status = make_tokenizer(config, &tokenizer, err);
    if (status != WZ_OK)
        return status;
    if (config->model.vocab_size == 0)
        config->model.vocab_size = (int64_t)wz_tokenizer_vocab_size(tokenizer);
    const wz_model_config shape = wz_config_model(config);
    status = wz_model_config_check(&shape, err);
    if (status == WZ_OK)
        status = check_memory(config, NULL, backend, err);
    if (status == WZ_OK)
        status = wz_model_create(&shape, backend, true, &model, err);
    if (status == WZ_OK)
        status = wz_policy_integers(tokenizer, config->model.vocab_size, &integer, err);
    if (status == WZ_OK)
        status = wz_model_init_weights(model, (uint64_t)config->seed, integer, err);
    free(integer);
    if (status == WZ_OK)
        return wz_policy_make(config, model, tokenizer, out, err);
    wz_model_destroy(model);
    wz_tokenizer_destroy(tokenizer);
    return status;
}

wz_status wz_policy_from_config(wz_config *config, wz_backend *backend, wz_policy **out, wz_error *err)
{
    wz_checkpoint *checkpoint = NULL;
    wz_config source;
    *out = NULL;
    if (lacks_precision(config, backend))
        return wz_fail(err, WZ_ERR_USAGE,
                       "precision: bf16 needs a GPU, and with device: %s this run computes on the CPU: set "
                       "precision: fp32, or device: cuda, which says what a GPU is missing",
                       config->device == WZ_DEVICE_CPU ? "cpu" : "auto");
    if (config->init_from[0] == '\0')
        return from_random(config, backend, out, err);
    wz_status status = wz_checkpoint_open(config->init_from, &checkpoint, err);
    if (status == WZ_OK)
        status = wz_config_from_checkpoint(checkpoint, config->init_from, false, &source, err);
    if (status == WZ_OK) {
        const wz_model_config own = config->model; /* adapters are the new run's */
        config->model = source.model;
        if (config->eos_token_id[0] ==
            '\0') /* what ends a text belongs to the tokenizer, which is the checkpoint's */
            memcpy(config->eos_token_id, source.eos_token_id, sizeof config->eos_token_id);
        config->model.lora = own.lora;
        config->model.frozen_dtype = own.frozen_dtype;
        status = check_memory(config, source.model.lora.rank > 0 ? &source : NULL, backend, err);
    }
    if (status == WZ_OK)
        status = source.model.lora.rank > 0
                     ? wz_policy_from_adapters(checkpoint, &source, config, backend, out, err)
                     : wz_policy_from_checkpoint(checkpoint, config, backend, true, out, err);
    wz_checkpoint_close(checkpoint);
    return status == WZ_OK ? WZ_OK : wz_fail_prefix(err, status, "init_from: ");
}

/* What task.* means where several tasks were trained: the first of them. */
static wz_status name_first_task(wz_config *config, wz_error *err)
{
    wz_mixture mixture;
    const wz_status status = wz_config_mixture(config, &mixture, err);
    if (status != WZ_OK)
        return status;
    config->task = mixture.parts[0].task;
    memcpy(config->task_values, mixture.parts[0].values, sizeof config->task_values);
    return WZ_OK;
}

/* The policy is the checkpoint's: only the problems it meets and the machine it runs on may change. */
static wz_status override_for_inference(wz_config *config, const char *assignment, wz_error *err)
{
    static const char *const allowed[] = {
        "task.",     "task_library=",  "verifier_",        "seed=",         "threads=",
        "device=",   "precision=",     "memory_limit_gb=", "prompt_style=", "max_completion_length=",
        "eval_ema=", "chat_template=", "system_prompt=",   "frozen_dtype=", "thinking_budget="};
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (strncmp(assignment, allowed[i], strlen(allowed[i])) == 0) {
            if (i == 0)
                config->task_mixture[0] = '\0'; /* one task is asked for */
            return wz_config_override(config, assignment, err);
        }
    wz_config scratch = *config; /* a mistyped key is told so first */
    wz_status status = wz_config_override(&scratch, assignment, err);
    return status != WZ_OK
               ? status
               : wz_fail(
                     err, WZ_ERR_USAGE,
                     "%s: a checkpoint's policy is used as it was trained; only task.*, seed, "
                     "prompt_style, chat_template, system_prompt, eval_ema, max_completion_length, "
                     "thinking_budget, verifier_*, "
                     "device, "
                     "precision, frozen_dtype, threads and memory_limit_gb can be given here (see --help for "
                     "options)%s",
                     assignment,
                     strncmp(assignment, "answer_grammar=", strlen("answer_grammar=")) == 0
                         ? "; eval and generate decode without the grammar with --free"
                         : "");
}

/* What a checkpoint would have run here must be asked for: libraries before its configuration is read, */
static wz_status load_libraries(const char *const *overrides, size_t count, wz_error *err)
{
    static const char name[] = "task_library=";
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < count; i++)
        if (strncmp(overrides[i], name, strlen(name)) == 0 && overrides[i][strlen(name)] != '\0')
            status = wz_family_load(overrides[i] + strlen(name), err);
    return status;
}

/* and its verifier_command. */
static wz_status check_verifier(const char *path, const wz_config *config, const char *const *overrides,
                                size_t count, wz_error *err)
{
    static const char name[] = "verifier_command=";
    for (size_t i = 0; i < count; i++)
        if (strncmp(overrides[i], name, strlen(name)) == 0)
            return WZ_OK;
    if (config->verifier_command[0] == '\0')
        return WZ_OK;
    return wz_fail(
        err, WZ_ERR_USAGE,
        "%s: its answers were scored by the command '%.200s', which would run here: give "
        "verifier_command=COMMAND if you trust it, or verifier_command= for the task's own verifier",
        path, config->verifier_command);
}

/* The averaged weights in place of the last ones. */
static wz_status read_average(wz_checkpoint *checkpoint, const char *path, const wz_config *config,
                              const wz_policy *policy, wz_error *err)
{
    if (config->ema_decay == 0.0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s holds no averaged weights (its ema_decay is 0): set eval_ema=false", path);
    const wz_status status =
        wz_read_tensors(checkpoint, policy->model, WZ_AVERAGE_GROUP, policy->model->weights, err);
    if (status == WZ_OK)
        wz_model_weights_changed(policy->model);
    return status;
}

/* Everything but the policy. */
static wz_status open_for_inference(const char *path, const char *const *overrides, size_t override_count,
                                    FILE *log, wz_checkpoint **checkpoint, wz_config *config,
                                    wz_backend **backend, wz_error *err)
{
    wz_status status = load_libraries(overrides, override_count, err);
    if (status == WZ_OK)
        status = wz_checkpoint_open(path, checkpoint, err);
    if (status == WZ_OK)
        status = wz_config_from_checkpoint(*checkpoint, path, false, config, err);
    if (status == WZ_OK)
        status = check_verifier(path, config, overrides, override_count, err);
    if (status == WZ_OK)
        status = wz_snapshot_check_text(*checkpoint, path, config, err);
    if (status == WZ_OK)
        status = name_first_task(config, err);
    for (size_t i = 0; status == WZ_OK && i < override_count; i++)
        status = override_for_inference(config, overrides[i], err);
    if (status == WZ_OK)
        status = wz_config_check_thinking(config, err);
    if (status == WZ_OK)
        status = wz_open_verifier(config, err);
    if (status == WZ_OK)
        status = wz_open_backend_for_command(config, log, backend, err);
    if (status == WZ_OK && lacks_precision(config, *backend))
        (void)fprintf(log, "%s: precision is bf16, which the CPU has not: it computes in fp32\n", path);
    return status;
}

static wz_status load_weights(wz_checkpoint *checkpoint, const char *path, const wz_config *config,
                              wz_backend *backend, wz_policy **policy, wz_error *err)
{
    const wz_status status = wz_policy_from_checkpoint(checkpoint, config, backend, false, policy, err);
    return status == WZ_OK && config->eval_ema ? read_average(checkpoint, path, config, *policy, err)
                                               : status;
}

wz_status wz_load_for_inference(const char *path, const char *const *overrides, size_t override_count,
                                FILE *log, wz_config *config, wz_backend **backend, wz_policy **policy,
                                wz_error *err)
{
    wz_checkpoint *checkpoint = NULL;
    wz_status status =
        open_for_inference(path, overrides, override_count, log, &checkpoint, config, backend, err);
    if (status == WZ_OK)
        status = load_weights(checkpoint, path, config, *backend, policy, err);
    wz_checkpoint_close(checkpoint);
    return status;
}

wz_status wz_load_for_copying(const char *path, const char *const *overrides, size_t override_count,
                              FILE *log, wz_config *config, wz_backend **backend, wz_policy **policy,
                              wz_checkpoint **weights, wz_error *err)
{
    wz_checkpoint *checkpoint = NULL;
    *weights = NULL;
    wz_status status =
        open_for_inference(path, overrides, override_count, log, &checkpoint, config, backend, err);
    if (status == WZ_OK) {
        const bool as_they_are =
            config->model.lora.rank == 0 && config->model.frozen_dtype == WZ_F32 && !config->eval_ema;
        status = as_they_are ? wz_policy_without_weights(checkpoint, config, *backend, policy, err)
                             : load_weights(checkpoint, path, config, *backend, policy, err);
        if (status == WZ_OK && as_they_are) {
            *weights = checkpoint;
            return WZ_OK;
        }
    }
    wz_checkpoint_close(checkpoint);
    return status;
}
