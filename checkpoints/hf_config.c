/* config.json. Defaults and meanings: transformers' LlamaConfig, Qwen2Config and Qwen3Config. */
#include "checkpoints/hf_config.h"

#include <stdio.h>
#include <string.h>

/* What a class has where its file is silent. 0: derived from other sizes. */
static const struct architecture {
    const char *name;
    int64_t vocab_size, intermediate_size, num_key_value_heads, head_dim, max_position_embeddings;
} architectures[] = {
    [WZ_MODEL_LLAMA] = {"LlamaForCausalLM", 32000, 11008, 0, 0, 2048},
    [WZ_MODEL_QWEN2] = {"Qwen2ForCausalLM", 151936, 22016, 32, 0, 32768},
    [WZ_MODEL_QWEN3] = {"Qwen3ForCausalLM", 151936, 22016, 32, 128, 32768},
};
#define ARCHITECTURES (sizeof architectures / sizeof architectures[0])

static wz_status refuse(const char *path, const char *what, wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: %s, which is not supported", path, what);
}

/* --- which model it is --- */

/* By `architectures`, or by `model_type` where that is missing; both must agree. */
static wz_status read_architecture(const json_t *config, const char *path, int *out, wz_error *err)
{
    const json_t *list = json_object_get(config, "architectures");
    const char *name = json_string_value(json_array_get(list, 0)), *type = NULL;
    wz_status status = wz_hf_get_string(config, path, "model_type", &type, err);
    if (status != WZ_OK)
        return status;
    if (list != NULL && !json_is_null(list) && (json_array_size(list) != 1 || name == NULL))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: key 'architectures' must list one name", path);
    if (name == NULL && type == NULL)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: neither 'architectures' nor 'model_type' says what it is",
                       path);
    for (size_t i = 0; i < ARCHITECTURES; i++) {
        const bool named = name != NULL && strcmp(name, architectures[i].name) == 0;
        const bool typed = type != NULL && strcmp(type, wz_model_type_names[i]) == 0;
        if (!(name != NULL ? named : typed))
            continue;
        if (type != NULL && !typed)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: architecture '%s' does not go with model_type '%.60s'",
                           path, architectures[i].name, type);
        *out = (int)i;
        return WZ_OK;
    }
    return wz_fail(err, WZ_ERR_CORRUPT,
                   "%s: architecture '%.60s' is not supported: LlamaForCausalLM, Qwen2ForCausalLM and "
                   "Qwen3ForCausalLM are",
                   path, name != NULL ? name : type);
}

/* --- what it must not have --- */

static wz_status refuse_values(const json_t *config, const char *path, wz_error *err)
{
    static const char *const flags[] = {"mlp_bias", "rope_interleaved", "attention_out_bias"};
    static const char *const absent[] = {"quantization_config", "per_layer_config"};
    static const char *const counts[] = {"num_experts", "num_local_experts", "n_routed_experts"};
    char what[160];
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof absent / sizeof absent[0]; i++) {
        const json_t *value = json_object_get(config, absent[i]);
        if (value != NULL && !json_is_null(value)) {
            (void)snprintf(what, sizeof what, "it has a '%s'", absent[i]);
            return refuse(path, what, err);
        }
    }
    for (size_t i = 0; status == WZ_OK && i < sizeof flags / sizeof flags[0]; i++) {
        bool set = false;
        status = wz_hf_get_boolean(config, path, flags[i], &set, err);
        (void)snprintf(what, sizeof what, "'%s' is true", flags[i]);
        status = status == WZ_OK && set ? refuse(path, what, err) : status;
    }
    for (size_t i = 0; status == WZ_OK && i < sizeof counts / sizeof counts[0]; i++) {
        int64_t experts = 0;
        status = wz_hf_get_integer(config, path, counts[i], 0, &experts, err);
        (void)snprintf(what, sizeof what, "'%s' makes it a mixture of experts", counts[i]);
        status = status == WZ_OK && experts > 0 ? refuse(path, what, err) : status;
    }
    return status;
}

static wz_status check_activation(const json_t *config, const char *path, wz_error *err)
{
    const char *name = "silu";
    wz_status status = wz_hf_get_string(config, path, "hidden_act", &name, err);
    if (status == WZ_OK && strcmp(name, "silu") != 0 && strcmp(name, "swish") != 0)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: activation '%.60s' is not supported, only silu", path, name);
    return status;
}

/* Qwen's layers from max_window_layers on look back over sliding_window tokens, where use_sliding_window says so. */
static wz_status check_window(const json_t *config, const char *path, int64_t layers, wz_error *err)
{
    bool used = false;
    int64_t window = 4096, first = 28;
    const json_t *types = json_object_get(config, "layer_types"),
                 *size = json_object_get(config, "sliding_window");
    wz_status status = wz_hf_get_boolean(config, path, "use_sliding_window", &used, err);
    if (status == WZ_OK)
        status = wz_hf_get_integer(config, path, "sliding_window", 0, &window, err);
    if (status == WZ_OK)
        status = wz_hf_get_integer(config, path, "max_window_layers", 0, &first, err);
    if (status != WZ_OK)
        return status;
    if (types != NULL && !json_is_null(types) && !json_is_array(types))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: key 'layer_types' must be a list", path);
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (type == NULL || strcmp(type, "full_attention") != 0)
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "%s: layer_types[%zu] is '%.60s', which is not supported, only full_attention",
                           path, i, type != NULL ? type : "no string");
    }
    if (used && !json_is_array(types) && !json_is_null(size) && first < layers)
        return refuse(path, "its attention uses a sliding window (use_sliding_window)", err);
    return WZ_OK;
}

static wz_status check_bias(const json_t *config, const char *path, int type, wz_error *err)
{
    bool bias = false;
    if (type == WZ_MODEL_QWEN2) /* has it by its architecture, and no such key */
        return WZ_OK;
    wz_status status = wz_hf_get_boolean(config, path, "attention_bias", &bias, err);
    if (status == WZ_OK && bias)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: 'attention_bias' is true, which is not supported in %s",
                       path, architectures[type].name);
    return status;
}

static wz_status check_rotary(const json_t *object, const char *path, wz_error *err)
{
    double part = 1.0;
    wz_status status = wz_hf_get_number(object, path, "partial_rotary_factor", &part, err);
    return status == WZ_OK && part != 1.0
               ? refuse(path, "'partial_rotary_factor' turns a part of a head", err)
               : status;
}

/* --- RoPE --- */

static wz_status read_llama3(const json_t *rope, const char *path, wz_model_config *m, wz_error *err)
{
    m->rope_original_max_position_embeddings = m->max_position_embeddings;
    wz_status status = wz_json_get_number(rope, path, "factor", &m->rope_scaling_factor, err);
    if (status == WZ_OK)
        status = wz_json_get_number(rope, path, "low_freq_factor", &m->rope_low_freq_factor, err);
    if (status == WZ_OK)
        status = wz_json_get_number(rope, path, "high_freq_factor", &m->rope_high_freq_factor, err);
    if (status == WZ_OK)
        status = wz_hf_get_integer(rope, path, "original_max_position_embeddings", 1,
                                   &m->rope_original_max_position_embeddings, err);
    if (status == WZ_OK && !(m->rope_scaling_factor >= 1.0))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: the RoPE scaling's factor is %g; it must be at least 1",
                       path, m->rope_scaling_factor);
    return status;
}

/* rope_scaling and rope_theta, as transformers 4 writes them, or rope_parameters, which holds both. */
static wz_status read_rope(const json_t *config, const char *path, wz_model_config *m, wz_error *err)
{
    const json_t *rope = json_object_get(config, "rope_scaling");
    const char *type = NULL;
    if (rope == NULL || json_is_null(rope) || (json_is_object(rope) && json_object_size(rope) == 0))
        rope = json_object_get(config, "rope_parameters");
    m->rope_theta = 10000.0;
    wz_status status = wz_hf_get_number(config, path, "rope_theta", &m->rope_theta, err);
    if (status != WZ_OK || rope == NULL || json_is_null(rope))
        return status;
    if (!json_is_object(rope) || json_is_object(json_object_get(rope, "full_attention")))
        return refuse(path, "its RoPE differs from layer to layer, or is no object", err);
    status = wz_hf_get_number(rope, path, "rope_theta", &m->rope_theta, err);
    if (status == WZ_OK)
        status = check_rotary(rope, path, err);
    if (status == WZ_OK)
        status = wz_hf_get_string(rope, path, "type", &type, err);
    if (status == WZ_OK)
        status = wz_hf_get_string(rope, path, "rope_type", &type, err);
    if (status != WZ_OK || type == NULL || strcmp(type, "default") == 0)
        return status;
    if (strcmp(type, "llama3") == 0)
        return read_llama3(rope, path, m, err);
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: RoPE scaling '%.60s' is not supported, only llama3", path, type);
}

/* --- sizes --- */

static wz_status read_sizes(const json_t *config, const char *path, wz_model_config *m, wz_error *err)
{
    const struct architecture *a = &architectures[m->model_type];
    const json_t *kv = json_object_get(config, "num_key_value_heads");
    *m = (wz_model_config){.model_type = m->model_type,
                           .vocab_size = a->vocab_size,
                           .hidden_size = 4096,
                           .intermediate_size = a->intermediate_size,
                           .num_hidden_layers = 32,
                           .num_attention_heads = 32,
                           .num_key_value_heads = json_is_null(kv) ? 0 : a->num_key_value_heads,
                           .head_dim = a->head_dim,
                           .rms_norm_eps = 1e-6,
                           .max_position_embeddings = a->max_position_embeddings,
                           .attention_bias = m->model_type == WZ_MODEL_QWEN2,
                           .use_qk_norm = m->model_type == WZ_MODEL_QWEN3};
    const struct {
        const char *key;
        int64_t *value;
    } sizes[] = {
        {"vocab_size", &m->vocab_size},
        {"hidden_size", &m->hidden_size},
        {"intermediate_size", &m->intermediate_size},
        {"num_hidden_layers", &m->num_hidden_layers},
        {"num_attention_heads", &m->num_attention_heads},
        {"num_key_value_heads", &m->num_key_value_heads},
        {"head_dim", &m->head_dim},
        {"max_position_embeddings", &m->max_position_embeddings},
    };
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof sizes / sizeof sizes[0]; i++)
        status = wz_hf_get_integer(config, path, sizes[i].key, 1, sizes[i].value, err);
    if (m->num_key_value_heads == 0)
        m->num_key_value_heads = m->num_attention_heads;
    if (m->head_dim == 0)
        m->head_dim = m->hidden_size / m->num_attention_heads;
    if (status == WZ_OK)
        status = wz_hf_get_number(config, path, "rms_norm_eps", &m->rms_norm_eps, err);
    return status == WZ_OK
               ? wz_hf_get_boolean(config, path, "tie_word_embeddings", &m->tie_word_embeddings, err)
               : status;
}

wz_status wz_hf_config_read(const json_t *config, const char *path, wz_portable *out, wz_error *err)
{
    wz_model_config *m = &out->model;
    const char *name = "";
    if (!json_is_object(config))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: must hold an object", path);
    wz_status status = read_architecture(config, path, &m->model_type, err);
    if (status == WZ_OK)
        status = check_activation(config, path, err);
    if (status == WZ_OK)
        status = refuse_values(config, path, err);
    if (status == WZ_OK)
        status = check_bias(config, path, m->model_type, err);
    if (status == WZ_OK)
        status = check_rotary(config, path, err);
    if (status == WZ_OK)
        status = read_sizes(config, path, m, err);
    if (status == WZ_OK)
        status = check_window(config, path, m->num_hidden_layers, err);
    if (status == WZ_OK)
        status = read_rope(config, path, m, err);
    if (status == WZ_OK && wz_model_config_check(m, err) != WZ_OK)
        status = wz_fail_prefix(err, WZ_ERR_CORRUPT, "%s: ", path);
    if (status == WZ_OK)
        status = wz_hf_get_ids(config, path, out, err);
    if (status == WZ_OK)
        status = wz_hf_get_string(config, path, "_name_or_path", &name, err);
    if (status == WZ_OK && strlen(name) < sizeof out->name)
        memcpy(out->name, name, strlen(name) + 1);
    return status;
}

/* --- writing --- */

static void write_rope(const wz_model_config *m, wz_json *json)
{
    wz_json_field_number(json, "rope_theta", m->rope_theta);
    wz_json_key(json, "rope_scaling");
    if (m->rope_scaling_factor == 0.0) {
        wz_json_null(json);
        return;
    }
    wz_json_begin_object(json);
    wz_json_field_string(json, "rope_type", "llama3");
    wz_json_field_number(json, "factor", m->rope_scaling_factor);
    wz_json_field_number(json, "low_freq_factor", m->rope_low_freq_factor);
    wz_json_field_number(json, "high_freq_factor", m->rope_high_freq_factor);
    wz_json_field_integer(json, "original_max_position_embeddings", m->rope_original_max_position_embeddings);
    wz_json_end_object(json);
}

static void write_sizes(const wz_model_config *m, wz_json *json)
{
    wz_json_field_integer(json, "vocab_size", m->vocab_size);
    wz_json_field_integer(json, "hidden_size", m->hidden_size);
    wz_json_field_integer(json, "intermediate_size", m->intermediate_size);
    wz_json_field_integer(json, "num_hidden_layers", m->num_hidden_layers);
    wz_json_field_integer(json, "num_attention_heads", m->num_attention_heads);
    wz_json_field_integer(json, "num_key_value_heads", m->num_key_value_heads);
    wz_json_field_integer(json, "head_dim", m->head_dim);
    wz_json_field_integer(json, "max_position_embeddings", m->max_position_embeddings);
    wz_json_field_number(json, "rms_norm_eps", m->rms_norm_eps);
    wz_json_field_string(json, "hidden_act", "silu");
    wz_json_field_boolean(json, "tie_word_embeddings", m->tie_word_embeddings);
}

wz_status wz_hf_config_write(const wz_portable *portable, wz_number_type type, wz_text *out, wz_error *err)
{
    static const char *const types[] = {"float32", "float16", "bfloat16"}; /* by wz_number_type */
    const wz_model_config *m = &portable->model;
    wz_json json;
    if (m->model_type == WZ_MODEL_LLAMA && m->hidden_size % m->num_attention_heads != 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "transformers loads no llama model whose hidden_size (%lld) is no multiple of its "
                       "num_attention_heads (%lld): export to gguf or onnx",
                       (long long)m->hidden_size, (long long)m->num_attention_heads);
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_key(&json, "architectures");
    wz_json_begin_array(&json);
    wz_json_string(&json, architectures[m->model_type].name);
    wz_json_end_array(&json);
    wz_json_field_string(&json, "model_type", wz_model_type_names[m->model_type]);
    write_sizes(m, &json);
    write_rope(m, &json);
    if (m->model_type != WZ_MODEL_QWEN2)
        wz_json_field_boolean(&json, "attention_bias", false);
    if (m->model_type != WZ_MODEL_LLAMA)
        wz_json_field_boolean(&json, "use_sliding_window", false);
    wz_hf_put_ids(portable, &json);
    wz_json_field_string(&json, "torch_dtype", types[type]);
    wz_json_field_boolean(&json, "use_cache", true);
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}
