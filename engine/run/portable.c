#include "engine/run/portable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/checkpoint.h"
#include "engine/core/json.h"
#include "engine/run/environment.h"
#include "engine/run/load.h"
#include "engine/run/snapshot.h"

/* ---- what is known of a model beside its weights ---- */

wz_status wz_origin_write(const wz_portable *portable, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "name", portable->name);
    wz_json_field_string(&json, "base_model", portable->base_model);
    wz_json_field_string(&json, "license", portable->license);
    wz_json_key(&json, "chat_template");
    wz_json_bytes(&json, portable->chat_template.data != NULL ? portable->chat_template.data : "",
                  portable->chat_template.length);
    wz_json_field_integer(&json, "bos_token_id", portable->bos_id);
    wz_json_field_integer(&json, "pad_token_id", portable->pad_id);
    wz_json_key(&json, "eos_token_id");
    wz_json_begin_array(&json);
    for (size_t i = 0; i < portable->end_count; i++)
        wz_json_integer(&json, (int64_t)portable->end_ids[i]);
    wz_json_end_array(&json);
    wz_json_field_number(&json, "temperature", portable->temperature);
    wz_json_field_number(&json, "top_p", portable->top_p);
    wz_json_field_integer(&json, "top_k", portable->top_k);
    wz_json_end_object(&json);
    return wz_json_finish(&json);
}

static wz_status read_string(const json_t *object, const char *name, const char *key, char *out, size_t size,
                             wz_error *err)
{
    const char *text = NULL;
    wz_status status = wz_json_get_string(object, name, key, &text, err);
    if (status == WZ_OK && strlen(text) >= size)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: %s is longer than %zu bytes", name, key, size - 1);
    if (status == WZ_OK)
        memcpy(out, text, strlen(text) + 1);
    return status;
}

static wz_status read_end_ids(const json_t *object, const char *name, wz_portable *portable, wz_error *err)
{
    const json_t *list = json_object_get(object, "eos_token_id");
    const size_t count = json_array_size(list);
    if (!json_is_array(list) || count > WZ_PORTABLE_END_IDS)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: eos_token_id must be a list of at most %d ids", name,
                       WZ_PORTABLE_END_IDS);
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > UINT32_MAX)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: eos_token_id holds something else than an id", name);
        portable->end_ids[i] = (uint32_t)json_integer_value(id);
    }
    portable->end_count = count;
    return WZ_OK;
}

static wz_status read_numbers(const json_t *object, const char *name, wz_portable *p, wz_error *err)
{
    wz_status status = wz_json_get_integer(object, name, "bos_token_id", &p->bos_id, err);
    if (status == WZ_OK)
        status = wz_json_get_integer(object, name, "pad_token_id", &p->pad_id, err);
    if (status == WZ_OK)
        status = read_end_ids(object, name, p, err);
    if (status == WZ_OK)
        status = wz_json_get_number(object, name, "temperature", &p->temperature, err);
    if (status == WZ_OK)
        status = wz_json_get_number(object, name, "top_p", &p->top_p, err);
    return status == WZ_OK ? wz_json_get_integer(object, name, "top_k", &p->top_k, err) : status;
}

wz_status wz_origin_read(const char *name, const char *text, size_t length, wz_portable *p, wz_error *err)
{
    json_t *object = NULL;
    const char *jinja = NULL;
    wz_status status = wz_json_parse(name, text, length, &object, err);
    if (status == WZ_OK)
        status = read_string(object, name, "name", p->name, sizeof p->name, err);
    if (status == WZ_OK)
        status = read_string(object, name, "base_model", p->base_model, sizeof p->base_model, err);
    if (status == WZ_OK)
        status = read_string(object, name, "license", p->license, sizeof p->license, err);
    if (status == WZ_OK)
        status = wz_json_get_string(object, name, "chat_template", &jinja, err);
    if (status == WZ_OK)
        status = wz_text_append(&p->chat_template, jinja, strlen(jinja), err);
    if (status == WZ_OK)
        status = read_numbers(object, name, p, err);
    json_decref(object);
    return status;
}

/* ---- a policy as a portable model ---- */

/* The model's own template stays where the policy is spoken to in its way. */
static wz_status describe_chat(const wz_policy *policy, wz_portable *out, wz_error *err)
{
    const char *jinja = wz_chat_jinja(policy->chat.kind);
    if (jinja == NULL ||
        wz_chat_recognise(out->chat_template.data, out->chat_template.length) == policy->chat.kind)
        return WZ_OK;
    out->chat_template.length = 0;
    return wz_text_append(&out->chat_template, jinja, strlen(jinja), err);
}

/* Adapters stand beside the imported model, or, where no model was imported, beside a checkpoint's weights. */
static wz_status describe_adapters(const wz_policy *policy, wz_portable *out, wz_error *err)
{
    const wz_model *model = policy->model;
    const char *end = strrchr(policy->base_file, '/'), *file = end != NULL ? end + 1 : policy->base_file;
    if (model->adapter_params == 0)
        return WZ_OK;
    out->lora = model->config.lora;
    (void)snprintf(out->adapted, sizeof out->adapted, "%.255s", out->name[0] != '\0' ? out->name : file);
    return wz_portable_view(model, 0, model->adapter_params, &out->adapters, err);
}

/* All but the tensors. */
static wz_status describe_policy(const wz_policy *policy, wz_portable *out, wz_error *err)
{
    wz_status status = WZ_OK;
    wz_portable_init(out);
    out->model = policy->model->config;
    out->model.lora.rank = 0;
    out->model.frozen_dtype = WZ_F32;
    out->tokenizer = policy->tokenizer;
    out->lent_tokenizer = true;
    out->temperature = 0.0; /* greedy, as it is evaluated, unless the imported model says how to sample */
    if (policy->origin.length > 0)
        status =
            wz_origin_read("the checkpoint's origin", policy->origin.data, policy->origin.length, out, err);
    out->end_count = 0; /* the policy knows them as they are now */
    for (size_t i = 0; i < policy->end_token_count && i < WZ_PORTABLE_END_IDS; i++)
        out->end_ids[out->end_count++] = policy->end_tokens[i];
    return status == WZ_OK ? describe_chat(policy, out, err) : status;
}

wz_status wz_portable_from_checkpoint(const wz_policy *policy, wz_checkpoint *checkpoint, wz_portable *out,
                                      wz_error *err)
{
    wz_status status = describe_policy(policy, out, err);
    if (status == WZ_OK)
        status = wz_portable_stream(policy->model, checkpoint, &out->tensors, err);
    if (status == WZ_OK)
        status = wz_portable_check_tensors(out, wz_checkpoint_path(checkpoint), err);
    if (status != WZ_OK)
        wz_portable_clear(out);
    return status;
}

wz_status wz_portable_from_policy(const wz_policy *policy, wz_portable *out, wz_error *err)
{
    wz_status status = describe_policy(policy, out, err);
    if (status == WZ_OK)
        status = wz_portable_view(policy->model, policy->model->adapter_params, policy->model->param_count,
                                  &out->tensors, err);
    if (status == WZ_OK)
        status = describe_adapters(policy, out, err);
    if (status != WZ_OK)
        wz_portable_clear(out);
    return status;
}

/* ---- a portable model as a policy ---- */

typedef struct uploader {
    const wz_model *model;
    int64_t at;
} uploader;

static wz_status upload(void *user, const float *numbers, size_t count, wz_error *err)
{
    uploader *u = user;
    (void)err;
    u->model->backend->ops->upload(u->model->backend, u->model->weights + u->at, numbers,
                                   count * sizeof *numbers);
    u->at += (int64_t)count;
    return WZ_OK;
}

static wz_status load_weights(const wz_portable *portable, const wz_model *model, wz_error *err)
{
    wz_status status = wz_portable_check_tensors(portable, "the model", err);
    for (size_t i = 0; status == WZ_OK && i < model->param_count; i++) {
        uploader u = {model, model->params[i].offset};
        status = wz_tensor_stream(portable->tensors, wz_tensor_find(portable->tensors, model->params[i].name),
                                  upload, &u, err);
    }
    if (status == WZ_OK)
        wz_model_weights_changed(model);
    return status;
}

static wz_status fail_tokenizer(wz_error *err)
{
    return wz_fail(err, WZ_ERR_USAGE,
                   "the model comes without a tokenizer: import its folder, which has "
                   "tokenizer.json beside the weights");
}

static void take_sizes(const wz_portable *portable, wz_config *config)
{
    const wz_model_config defaults = config->model;
    config->model = portable->model;
    config->model.lora = defaults.lora;
    config->model.frozen_dtype = defaults.frozen_dtype;
    if (portable->model.rope_scaling_factor == 0.0) { /* the rest says nothing then */
        config->model.rope_low_freq_factor = defaults.rope_low_freq_factor;
        config->model.rope_high_freq_factor = defaults.rope_high_freq_factor;
        config->model.rope_original_max_position_embeddings = defaults.rope_original_max_position_embeddings;
    }
    config->model.initializer_range = defaults.initializer_range;
    config->model.embedding_range = defaults.embedding_range;
    config->model.zero_init_head = false; /* of weights that are there, and refused for tied heads */
    config->model.smooth_number_embeddings = false;
}

wz_status wz_policy_from_portable(wz_portable *portable, wz_config *config, wz_backend *backend,
                                  wz_policy **out, wz_error *err)
{
    wz_model *model = NULL;
    *out = NULL;
    take_sizes(portable, config);
    config->model.lora.rank = 0; /* adapters are folded in, and the weights below come as f32 */
    config->model.frozen_dtype = WZ_F32;
    if (portable->tokenizer == NULL)
        return wz_fail(err, WZ_ERR_USAGE,
                       "the model comes without a tokenizer: import its folder, which has "
                       "tokenizer.json beside the weights");
    wz_status status = wz_model_create(&config->model, backend, false, &model, err);
    if (status == WZ_OK)
        status = load_weights(portable, model, err);
    if (status != WZ_OK) {
        wz_model_destroy(model);
        return status;
    }
    wz_tokenizer *tokenizer = portable->tokenizer;
    portable->tokenizer = NULL;
    return wz_policy_make(config, model, tokenizer, out, err);
}

/* ---- a portable model as a checkpoint ---- */

/* A source that counts what is read. */
typedef struct counting_source {
    wz_tensor_source base;
    wz_tensor_source *inner;
    const wz_byte_count *bytes;
} counting_source;

static wz_status count_rows(const counting_source *source, size_t index, size_t rows, wz_error *err)
{
    const wz_stored_tensor *tensor = &source->base.tensors[index];
    size_t bytes = 0;
    (void)wz_number_bytes(tensor->type, rows * (tensor->rank == 2 ? tensor->shape[1] : 1), &bytes);
    return wz_byte_count_add(source->bytes, bytes, err);
}

static wz_status read_and_count(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                                wz_error *err)
{
    const counting_source *source = (const counting_source *)(const void *)self;
    const wz_status status = source->inner->read(source->inner, index, first, rows, out, err);
    return status == WZ_OK ? count_rows(source, index, rows, err) : status;
}

static wz_status read_stored_and_count(wz_tensor_source *self, size_t index, size_t first, size_t rows,
                                       void *out, wz_error *err)
{
    const counting_source *source = (const counting_source *)(const void *)self;
    const wz_status status = source->inner->read_stored(source->inner, index, first, rows, out, err);
    return status == WZ_OK ? count_rows(source, index, rows, err) : status;
}

static wz_status pass_expectation(wz_tensor_source *self, const size_t *order, size_t count, wz_error *err)
{
    const counting_source *source = (const counting_source *)(const void *)self;
    return source->inner->expect(source->inner, order, count, err);
}

/* Types that checkpoints have no datasets of become f32, which holds them exactly. */
static wz_number_type checkpoint_type(wz_number_type type)
{
    return type == WZ_NUMBER_F16 || type == WZ_NUMBER_BF16 ? type : WZ_NUMBER_F32;
}

typedef struct imported {
    wz_checkpoint_tensor *tensors;
    wz_text config, state, tokenizer, environment, origin;
} imported;

static void clear_imported(imported *i)
{
    free(i->tensors);
    wz_text_clear(&i->config);
    wz_text_clear(&i->state);
    wz_text_clear(&i->tokenizer);
    wz_text_clear(&i->environment);
    wz_text_clear(&i->origin);
}

static wz_status list_tensors(counting_source *source, imported *out, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, source->base.count, sizeof *out->tensors, "a checkpoint", err);
    out->tensors = block;
    for (size_t i = 0; status == WZ_OK && i < source->base.count; i++) {
        const wz_stored_tensor *tensor = &source->base.tensors[i];
        out->tensors[i] = (wz_checkpoint_tensor){.group = "weights",
                                                 .name = tensor->name,
                                                 .rank = tensor->rank,
                                                 .shape = {tensor->shape[0], tensor->shape[1]},
                                                 .type = checkpoint_type(tensor->type),
                                                 .source = &source->base,
                                                 .index = i};
    }
    return status;
}

/* A run that has not begun: no step done, no task trained. */
static wz_status write_texts(const wz_portable *portable, const wz_config *config, imported *out,
                             wz_error *err)
{
    const wz_snapshot state = {.parts = 1, .best_score = -1.0, .curricula = {{.weight = 1.0}}};
    const wz_environment environment = {.device = "none"};
    wz_status status = wz_config_write(config, &out->config, err);
    if (status == WZ_OK)
        status = wz_snapshot_write_state(&state, config, &out->state, err);
    if (status == WZ_OK)
        status = wz_tokenizer_write_json(portable->tokenizer, &out->tokenizer, err);
    if (status == WZ_OK)
        status = wz_environment_write_json(&environment, &out->environment, err);
    return status == WZ_OK ? wz_origin_write(portable, &out->origin, err) : status;
}

/* What ends a completion, unless the configuration says so itself; ids that the tokenizer lacks (of other modalities) end
 * nothing. */
static void take_ends(const wz_portable *portable, wz_config *config)
{
    size_t used = 0, length = 0;
    if (config->eos_token_id[0] != '\0')
        return;
    for (size_t i = 0; i < portable->end_count; i++)
        if (wz_tokenizer_token_bytes(portable->tokenizer, portable->end_ids[i], &length) != NULL)
            used += (size_t)snprintf(config->eos_token_id + used, sizeof config->eos_token_id - used, "%s%u",
                                     used > 0 ? ", " : "", portable->end_ids[i]);
}

wz_status wz_portable_to_checkpoint(const wz_portable *portable, wz_config *config, const char *path,
                                    const wz_byte_count *bytes, wz_error *err)
{
    counting_source source = {.base = *portable->tensors, .inner = portable->tensors, .bytes = bytes};
    imported parts = {0};
    source.base.read = read_and_count;
    source.base.read_stored = portable->tensors->read_stored != NULL ? read_stored_and_count : NULL;
    source.base.expect = portable->tensors->expect != NULL ? pass_expectation : NULL;
    source.base.close = NULL; /* the inner one is closed */
    if (portable->tokenizer == NULL)
        return fail_tokenizer(err);
    take_sizes(portable, config);
    take_ends(portable, config);
    wz_status status = wz_portable_check_tensors(portable, path, err);
    if (status == WZ_OK)
        status = list_tensors(&source, &parts, err);
    if (status == WZ_OK)
        status = write_texts(portable, config, &parts, err);
    if (status == WZ_OK) {
        const wz_checkpoint_text texts[] = {{"config", parts.config.data, parts.config.length},
                                            {"state", parts.state.data, parts.state.length},
                                            {"tokenizer", parts.tokenizer.data, parts.tokenizer.length},
                                            {"env", parts.environment.data, parts.environment.length},
                                            {"origin", parts.origin.data, parts.origin.length}};
        const wz_checkpoint_content content = {.tensors = parts.tensors,
                                               .tensor_count = source.base.count,
                                               .texts = texts,
                                               .text_count = sizeof texts / sizeof texts[0],
                                               .stop = bytes->stop};
        status = wz_checkpoint_write(path, &content, err);
    }
    clear_imported(&parts);
    return status;
}
