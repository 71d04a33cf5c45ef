/* Members of the JSON files, and what generation_config.json and tokenizer_config.json say. */
#include "checkpoints/hf_config.h"

#include <string.h>

/* --- members --- */

/* NULL: missing or null. */
static const json_t *get(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

wz_status wz_hf_get_integer(const json_t *object, const char *path, const char *key, int64_t least,
                            int64_t *out, wz_error *err)
{
    const json_t *value = get(object, key);
    if (value == NULL)
        return WZ_OK;
    if (!json_is_integer(value))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: key '%s' must be an integer", path, key);
    if (json_integer_value(value) < least || json_integer_value(value) > INT32_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: key '%s' is %lld; it must be from %lld to %d", path, key,
                       (long long)json_integer_value(value), (long long)least, INT32_MAX);
    *out = (int64_t)json_integer_value(value);
    return WZ_OK;
}

wz_status wz_hf_get_number(const json_t *object, const char *path, const char *key, double *out,
                           wz_error *err)
{
    return get(object, key) == NULL ? WZ_OK : wz_json_get_number(object, path, key, out, err);
}

wz_status wz_hf_get_boolean(const json_t *object, const char *path, const char *key, bool *out, wz_error *err)
{
    return get(object, key) == NULL ? WZ_OK : wz_json_get_boolean(object, path, key, out, err);
}

wz_status wz_hf_get_string(const json_t *object, const char *path, const char *key, const char **out,
                           wz_error *err)
{
    return get(object, key) == NULL ? WZ_OK : wz_json_get_string(object, path, key, out, err);
}

/* --- ids --- */

static wz_status add_end_id(const json_t *value, const char *path, wz_portable *out, wz_error *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) >= out->model.vocab_size)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: 'eos_token_id' holds what is no id of a token below %lld",
                       path, (long long)out->model.vocab_size);
    if (out->end_count == WZ_PORTABLE_END_IDS)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: 'eos_token_id' lists more than %d tokens", path,
                       WZ_PORTABLE_END_IDS);
    out->end_ids[out->end_count++] = (uint32_t)json_integer_value(value);
    return WZ_OK;
}

/* Some folders say -1 for "none". */
static wz_status get_id(const json_t *object, const char *path, const char *key, const wz_portable *model,
                        int64_t *out, wz_error *err)
{
    int64_t id = *out;
    wz_status status = wz_hf_get_integer(object, path, key, -1, &id, err);
    if (status == WZ_OK && id >= model->model.vocab_size)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: '%s' is %lld, but the model has %lld tokens", path, key,
                       (long long)id, (long long)model->model.vocab_size);
    *out = id;
    return status;
}

wz_status wz_hf_get_ids(const json_t *object, const char *path, wz_portable *out, wz_error *err)
{
    const json_t *ends = get(object, "eos_token_id");
    wz_status status = get_id(object, path, "bos_token_id", out, &out->bos_id, err);
    if (status == WZ_OK)
        status = get_id(object, path, "pad_token_id", out, &out->pad_id, err);
    if (status != WZ_OK || ends == NULL)
        return status;
    out->end_count = 0;
    if (!json_is_array(ends))
        return add_end_id(ends, path, out, err);
    for (size_t i = 0; status == WZ_OK && i < json_array_size(ends); i++)
        status = add_end_id(json_array_get(ends, i), path, out, err);
    return status;
}

void wz_hf_put_ids(const wz_portable *portable, wz_json *json)
{
    wz_json_key(json, "bos_token_id"); /* without the key, transformers takes llama's to be 1 */
    if (portable->bos_id >= 0)
        wz_json_integer(json, portable->bos_id);
    else
        wz_json_null(json);
    wz_json_key(json, "eos_token_id");
    if (portable->end_count == 0) {
        wz_json_null(json);
    } else if (portable->end_count == 1) {
        wz_json_integer(json, (int64_t)portable->end_ids[0]);
    } else {
        wz_json_begin_array(json);
        for (size_t i = 0; i < portable->end_count; i++)
            wz_json_integer(json, (int64_t)portable->end_ids[i]);
        wz_json_end_array(json);
    }
    if (portable->pad_id >= 0)
        wz_json_field_integer(json, "pad_token_id", portable->pad_id);
}

/* --- generation_config.json --- */

wz_status wz_hf_generation_read(const json_t *config, const char *path, wz_portable *out, wz_error *err)
{
    bool sampled = false;
    double temperature = 1.0, top_p = 1.0;
    int64_t top_k = 50; /* transformers' own */
    if (!json_is_object(config))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: must hold an object", path);
    wz_status status = wz_hf_get_ids(config, path, out, err);
    if (status == WZ_OK)
        status = wz_hf_get_boolean(config, path, "do_sample", &sampled, err);
    if (status == WZ_OK)
        status = wz_hf_get_number(config, path, "temperature", &temperature, err);
    if (status == WZ_OK)
        status = wz_hf_get_number(config, path, "top_p", &top_p, err);
    if (status == WZ_OK)
        status = wz_hf_get_integer(config, path, "top_k", 0, &top_k, err);
    if (status == WZ_OK && (!(temperature >= 0.0) || !(top_p > 0.0 && top_p <= 1.0)))
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: temperature %g and top_p %g: they must be at least 0, and above 0 up to 1", path,
                       temperature, top_p);
    out->temperature = sampled ? temperature : 0.0;
    out->top_p = sampled ? top_p : 1.0;
    out->top_k = sampled ? top_k : 0;
    return status;
}

wz_status wz_hf_generation_write(const wz_portable *portable, wz_text *out, wz_error *err)
{
    wz_json json;
    const bool sampled = portable->temperature > 0.0;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_hf_put_ids(portable, &json);
    wz_json_field_boolean(&json, "do_sample", sampled);
    if (sampled) {
        wz_json_field_number(&json, "temperature", portable->temperature);
        wz_json_field_number(&json, "top_p", portable->top_p);
        wz_json_field_integer(&json, "top_k", portable->top_k);
    }
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

/* --- tokenizer_config.json --- */

/* A token's text: a string, or an object that holds it as `content`. */
static int64_t find_token(const json_t *config, const char *key, const wz_tokenizer *tokenizer)
{
    const json_t *value = json_object_get(config, key);
    const char *text = json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
    return text == NULL || tokenizer == NULL ? -1 : wz_tokenizer_find(tokenizer, text, strlen(text));
}

/* One template, or several by name, of which `default` is meant for chats without tools. */
static wz_status read_template(const json_t *config, const char *path, wz_portable *out, wz_error *err)
{
    const json_t *value = get(config, "chat_template");
    const char *text = json_string_value(value);
    if (value == NULL)
        return WZ_OK;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *named = json_array_get(value, i);
        const char *name = json_string_value(json_object_get(named, "name"));
        if (text == NULL || (name != NULL && strcmp(name, "default") == 0))
            text = json_string_value(json_object_get(named, "template"));
    }
    if (text == NULL)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: key 'chat_template' must be a string, or a list of {name, template}", path);
    out->chat_template.length = 0;
    return wz_text_append(&out->chat_template, text, strlen(text), err);
}

wz_status wz_hf_tokenizer_read(const json_t *config, const char *path, wz_portable *out, wz_error *err)
{
    if (!json_is_object(config))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: must hold an object", path);
    const int64_t end = find_token(config, "eos_token", out->tokenizer);
    if (out->bos_id < 0)
        out->bos_id = find_token(config, "bos_token", out->tokenizer);
    if (out->pad_id < 0)
        out->pad_id = find_token(config, "pad_token", out->tokenizer);
    if (out->end_count == 0 && end >= 0)
        out->end_ids[out->end_count++] = (uint32_t)end;
    return read_template(config, path, out, err);
}

/* Only special tokens stand for their own text. */
static void put_token(const wz_portable *portable, const char *key, int64_t id, wz_json *json)
{
    size_t length = 0;
    if (id < 0 || !wz_tokenizer_is_special(portable->tokenizer, (uint32_t)id))
        return;
    const char *text = wz_tokenizer_token_bytes(portable->tokenizer, (uint32_t)id, &length);
    wz_json_key(json, key);
    wz_json_bytes(json, text, length);
}

wz_status wz_hf_tokenizer_write(const wz_portable *portable, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "tokenizer_class", "PreTrainedTokenizerFast");
    wz_json_field_integer(&json, "model_max_length", portable->model.max_position_embeddings);
    wz_json_field_boolean(&json, "clean_up_tokenization_spaces", false);
    put_token(portable, "bos_token", portable->bos_id, &json);
    put_token(portable, "eos_token", portable->end_count > 0 ? (int64_t)portable->end_ids[0] : -1, &json);
    put_token(portable, "pad_token", portable->pad_id, &json);
    if (portable->chat_template.length > 0) {
        wz_json_key(&json, "chat_template");
        wz_json_bytes(&json, portable->chat_template.data, portable->chat_template.length);
    }
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}
