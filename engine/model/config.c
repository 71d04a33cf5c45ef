#include "engine/model/config.h"

#include <math.h>

const char *const wz_model_type_names[] = {"llama", "qwen2", "qwen3", NULL};

const char *const wz_lora_target_names[] = {"q_proj",    "k_proj",  "v_proj",    "o_proj",
                                            "gate_proj", "up_proj", "down_proj", NULL};

static wz_status check_positive(const char *key, int64_t value, wz_error *err)
{
    if (value >= 1)
        return WZ_OK;
    return wz_fail(err, WZ_ERR_USAGE, "model.%s is %lld; it must be at least 1", key, (long long)value);
}

static wz_status check_sizes(const wz_model_config *config, wz_error *err)
{
    const struct {
        const char *key;
        int64_t value;
    } sizes[] = {
        {"vocab_size", config->vocab_size},
        {"hidden_size", config->hidden_size},
        {"intermediate_size", config->intermediate_size},
        {"num_hidden_layers", config->num_hidden_layers},
        {"num_attention_heads", config->num_attention_heads},
        {"num_key_value_heads", config->num_key_value_heads},
        {"head_dim", config->head_dim},
        {"max_position_embeddings", config->max_position_embeddings},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        wz_status status = check_positive(sizes[i].key, sizes[i].value, err);
        if (status != WZ_OK)
            return status;
    }
    return WZ_OK;
}

double wz_model_config_parameters(const wz_model_config *config)
{
    const double hidden = (double)config->hidden_size, vocab = (double)config->vocab_size;
    const double heads = 2.0 * ((double)config->num_attention_heads + (double)config->num_key_value_heads);
    const double layer =
        hidden * (heads * (double)config->head_dim + 3.0 * (double)config->intermediate_size);
    return (config->tie_word_embeddings ? 1.0 : 2.0) * vocab * hidden +
           (double)config->num_hidden_layers * layer;
}

void wz_lora_target_shape(const wz_model_config *c, wz_lora_target target, int64_t *out, int64_t *in)
{
    const int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim,
                  hidden = c->hidden_size, inner = c->intermediate_size;
    const int64_t shape[WZ_LORA_TARGETS][2] = {{q, hidden},     {kv, hidden},    {kv, hidden},   {hidden, q},
                                               {inner, hidden}, {inner, hidden}, {hidden, inner}};
    *out = shape[target][0];
    *in = shape[target][1];
}

double wz_model_config_adapter_parameters(const wz_model_config *config)
{
    double sum = 0.0;
    for (int t = 0; t < WZ_LORA_TARGETS; t++) {
        int64_t out = 0, in = 0;
        wz_lora_target_shape(config, (wz_lora_target)t, &out, &in);
        if (config->lora.target[t])
            sum += (double)config->lora.rank * ((double)out + (double)in);
    }
    return sum * (double)config->num_hidden_layers;
}

/* Sizes whose products stay far inside 64 bits, and counts that BLAS's 32-bit arguments hold. */
static wz_status check_limits(const wz_model_config *config, wz_error *err)
{
    const double hidden = (double)config->hidden_size, vocab = (double)config->vocab_size;
    const double heads = (double)config->num_attention_heads + 2.0 * (double)config->num_key_value_heads;
    const double width = heads * (double)config->head_dim, inner = (double)config->intermediate_size;
    const double parameters = wz_model_config_parameters(config);
    const double positions = (double)config->max_position_embeddings * (double)config->head_dim;
    if (hidden > 0x1p24 || vocab > 0x1p24 || inner > 0x1p24 || width > 0x1p24 || positions > 0x1p34 ||
        (double)config->num_hidden_layers > 0x1p16 || parameters > 0x1p38)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "the model's sizes are impossible (%.3g parameters): lower model.hidden_size (%lld), "
            "intermediate_size (%lld), num_hidden_layers (%lld), vocab_size (%lld), head_dim (%lld), the "
            "numbers of heads or max_position_embeddings (%lld)",
            parameters, (long long)config->hidden_size, (long long)config->intermediate_size,
            (long long)config->num_hidden_layers, (long long)config->vocab_size, (long long)config->head_dim,
            (long long)config->max_position_embeddings);
    return WZ_OK;
}

static wz_status check_attention(const wz_model_config *config, wz_error *err)
{
    if (config->num_attention_heads % config->num_key_value_heads != 0)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "model.num_attention_heads (%lld) must be a multiple of model.num_key_value_heads (%lld)",
            (long long)config->num_attention_heads, (long long)config->num_key_value_heads);
    if (config->head_dim % 2 != 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "model.head_dim is %lld; it must be even, since RoPE rotates pairs of elements",
                       (long long)config->head_dim);
    if (!(config->rms_norm_eps > 0.0 && isfinite(config->rms_norm_eps)))
        return wz_fail(err, WZ_ERR_USAGE, "model.rms_norm_eps is %g; it must be a number above 0",
                       config->rms_norm_eps);
    if (!(config->rope_theta > 0.0 && isfinite(config->rope_theta)))
        return wz_fail(err, WZ_ERR_USAGE, "model.rope_theta is %g; it must be a number above 0",
                       config->rope_theta);
    return WZ_OK;
}

/* llama3 RoPE scaling: wavelengths between original/high and original/low are blended. */
static wz_status check_rope_scaling(const wz_model_config *config, wz_error *err)
{
    if (config->rope_scaling_factor == 0.0)
        return WZ_OK;
    if (!(config->rope_scaling_factor >= 1.0))
        return wz_fail(err, WZ_ERR_USAGE,
                       "model.rope_scaling_factor is %g; it must be 0 (no scaling) or at least 1",
                       config->rope_scaling_factor);
    if (!(config->rope_low_freq_factor > 0.0) ||
        !(config->rope_high_freq_factor > config->rope_low_freq_factor))
        return wz_fail(err, WZ_ERR_USAGE,
                       "model.rope_high_freq_factor (%g) must be above model.rope_low_freq_factor (%g), "
                       "and both above 0, when model.rope_scaling_factor is set",
                       config->rope_high_freq_factor, config->rope_low_freq_factor);
    return check_positive("rope_original_max_position_embeddings",
                          config->rope_original_max_position_embeddings, err);
}

/* The flags that a model type stands for in every runtime an export goes to. */
static wz_status check_type(const wz_model_config *config, wz_error *err)
{
    if (config->model_type < WZ_MODEL_LLAMA || config->model_type > WZ_MODEL_QWEN3)
        return wz_fail(err, WZ_ERR_USAGE, "model.model_type is number %d, which names no model type",
                       config->model_type);
    const char *name = wz_model_type_names[config->model_type];
    bool bias = config->model_type == WZ_MODEL_QWEN2;
    bool norm = config->model_type == WZ_MODEL_QWEN3;
    if (config->attention_bias != bias)
        return wz_fail(err, WZ_ERR_USAGE, "model.model_type %s needs model.attention_bias: %s", name,
                       bias ? "true" : "false");
    if (config->use_qk_norm != norm)
        return wz_fail(err, WZ_ERR_USAGE, "model.model_type %s needs model.use_qk_norm: %s", name,
                       norm ? "true" : "false");
    return WZ_OK;
}

static wz_status check_initialisation(const wz_model_config *config, wz_error *err)
{
    if (config->zero_init_head && config->tie_word_embeddings)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "model.zero_init_head needs an untied head (a tied one would zero the embeddings too): "
            "set model.tie_word_embeddings: false or model.zero_init_head: false");
    if (!(config->initializer_range >= 0.0) || !(config->embedding_range >= 0.0))
        return wz_fail(err, WZ_ERR_USAGE,
                       "model.initializer_range (%g) and model.embedding_range (%g) must not be negative",
                       config->initializer_range, config->embedding_range);
    return WZ_OK;
}

#define LORA_RANK_MAX 4096

static wz_status check_adapters(const wz_model_config *config, wz_error *err)
{
    const wz_lora_config *lora = &config->lora;
    bool any = false;
    if (config->frozen_dtype < 0 || config->frozen_dtype > 1)
        return wz_fail(err, WZ_ERR_USAGE, "frozen_dtype is number %d, which names no type",
                       config->frozen_dtype);
    if (lora->rank < 0 || lora->rank > LORA_RANK_MAX)
        return wz_fail(err, WZ_ERR_USAGE, "lora_rank is %lld; it must be from 0 (no adapters) to %d",
                       (long long)lora->rank, LORA_RANK_MAX);
    if (lora->rank == 0)
        return WZ_OK;
    if (!(lora->alpha > 0.0))
        return wz_fail(err, WZ_ERR_USAGE, "lora_alpha is %g; it must be above 0", lora->alpha);
    for (int t = 0; t < WZ_LORA_TARGETS; t++)
        any = any || lora->target[t];
    return any ? WZ_OK
               : wz_fail(err, WZ_ERR_USAGE, "lora_target_modules is empty: name layers, q_proj among others");
}

wz_status wz_model_config_check(const wz_model_config *config, wz_error *err)
{
    wz_status (*const checks[])(const wz_model_config *, wz_error *) = {
        check_sizes, check_limits,         check_attention, check_rope_scaling,
        check_type,  check_initialisation, check_adapters,
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; ++i) {
        wz_status status = checks[i](config, err);
        if (status != WZ_OK)
            return status;
    }
    return WZ_OK;
}
