/* Parameters: layout, creation, initialisation. */
#include "engine/model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Views start on a cache line; views that one op reads together follow each other without a gap. */
static int64_t aligned(int64_t offset)
{
    return (offset + 15) / 16 * 16;
}

static int64_t add_param(wz_model *model, const char *name, int64_t rows, int64_t columns, bool decays,
                         bool joins)
{
    wz_param *param = &model->params[model->param_count++];
    (void)snprintf(param->name, sizeof param->name, "%s", name);
    param->rank = columns > 0 ? 2 : 1;
    param->shape[0] = rows;
    param->shape[1] = columns;
    param->count = columns > 0 ? rows * columns : rows;
    param->offset = joins ? model->floats : aligned(model->floats);
    param->decays = decays;
    model->floats = param->offset + param->count;
    return param->offset;
}

static int64_t add_layer_param(wz_model *model, int64_t layer, const char *name, int64_t rows,
                               int64_t columns, bool joins)
{
    char full[sizeof model->params->name];
    (void)snprintf(full, sizeof full, "model.layers.%lld.%s", (long long)layer, name);
    return add_param(model, full, rows, columns, columns > 0, joins);
}

static void add_layer(wz_model *model, int64_t l)
{
    const wz_model_config *c = &model->config;
    wz_layer_offsets *at = &model->layers[l];
    const int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    at->input_norm = add_layer_param(model, l, "input_layernorm.weight", c->hidden_size, 0, false);
    at->qkv = add_layer_param(model, l, "self_attn.q_proj.weight", q, c->hidden_size, false);
    (void)add_layer_param(model, l, "self_attn.k_proj.weight", kv, c->hidden_size, true);
    (void)add_layer_param(model, l, "self_attn.v_proj.weight", kv, c->hidden_size, true);
    if (c->attention_bias) {
        at->qkv_bias = add_layer_param(model, l, "self_attn.q_proj.bias", q, 0, false);
        (void)add_layer_param(model, l, "self_attn.k_proj.bias", kv, 0, true);
        (void)add_layer_param(model, l, "self_attn.v_proj.bias", kv, 0, true);
    }
    if (c->use_qk_norm) {
        at->q_norm = add_layer_param(model, l, "self_attn.q_norm.weight", c->head_dim, 0, false);
        at->k_norm = add_layer_param(model, l, "self_attn.k_norm.weight", c->head_dim, 0, false);
    }
    at->o = add_layer_param(model, l, "self_attn.o_proj.weight", c->hidden_size, q, false);
    at->post_norm = add_layer_param(model, l, "post_attention_layernorm.weight", c->hidden_size, 0, false);
    at->gate_up =
        add_layer_param(model, l, "mlp.gate_proj.weight", c->intermediate_size, c->hidden_size, false);
    (void)add_layer_param(model, l, "mlp.up_proj.weight", c->intermediate_size, c->hidden_size, true);
    at->down = add_layer_param(model, l, "mlp.down_proj.weight", c->hidden_size, c->intermediate_size, false);
}

/* Angles of llama3 scaling (transformers' _compute_llama3_parameters): low frequencies are divided by factor, high
 * ones kept, those between interpolated. */
static double scaled_frequency(const wz_model_config *c, double frequency)
{
    if (c->rope_scaling_factor <= 0.0)
        return frequency;
    const double two_pi = 6.283185307179586476925286766559;
    const double context = (double)c->rope_original_max_position_embeddings;
    const double wavelength = two_pi / frequency;
    if (wavelength < context / c->rope_high_freq_factor)
        return frequency;
    if (wavelength > context / c->rope_low_freq_factor)
        return frequency / c->rope_scaling_factor;
    double smooth = (context / wavelength - c->rope_low_freq_factor) /
                    (c->rope_high_freq_factor - c->rope_low_freq_factor);
    return (1.0 - smooth) * frequency / c->rope_scaling_factor + smooth * frequency;
}

static wz_status make_rope_table(wz_model *model, wz_error *err)
{
    const wz_model_config *c = &model->config;
    const int64_t half = c->head_dim / 2, positions = c->max_position_embeddings;
    const size_t bytes = (size_t)(positions * c->head_dim) * sizeof(float);
    void *host = NULL, *table = NULL;
    wz_status status =
        wz_alloc(&host, (size_t)(positions * c->head_dim), sizeof(float), "the RoPE table", err);
    if (status == WZ_OK)
        status = model->backend->ops->alloc(model->backend, bytes, "the RoPE table", &table, err);
    if (status == WZ_OK) {
        float *values = host;
        for (int64_t d = 0; d < half; d++) {
            double f = scaled_frequency(c, pow(c->rope_theta, -2.0 * (double)d / (double)c->head_dim));
            for (int64_t p = 0; p < positions; p++) {
                values[p * c->head_dim + d] = (float)cos((double)p * f);
                values[p * c->head_dim + half + d] = (float)sin((double)p * f);
            }
        }
        model->backend->ops->upload(model->backend, table, host, bytes);
        model->rope_table = table;
    }
    free(host);
    return status;
}

wz_attention wz_model_attention(const wz_model_config *c)
{
    return (wz_attention){c->num_attention_heads, c->num_key_value_heads, c->head_dim,
                          (float)(1.0 / sqrt((double)c->head_dim))};
}

void wz_model_op_bounds(const wz_model_config *c, wz_op_bounds *bounds)
{
    bounds->attention = wz_model_attention(c);
    bounds->hidden = c->hidden_size;
    bounds->intermediate = c->intermediate_size;
    bounds->vocab = c->vocab_size;
}

/* Whether the backend can compute it. */
static wz_status check_backend(const wz_model_config *config, const wz_backend *backend, wz_error *err)
{
    wz_backend_info info;
    backend->ops->describe(backend, &info);
    if (info.most_head_dim > 0 && config->head_dim > info.most_head_dim)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "model.head_dim is %lld; on this GPU it can be %lld at most: take more and smaller heads, or "
            "device: cpu",
            (long long)config->head_dim, (long long)info.most_head_dim);
    return WZ_OK;
}

wz_status wz_model_create(const wz_model_config *config, wz_backend *backend, bool training, wz_model **out,
                          wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_model_config_check(config, err);
    if (status == WZ_OK)
        status = check_backend(config, backend, err);
    if (status != WZ_OK)
        return status;
    status = wz_alloc(&block, 1, sizeof(wz_model), "the model", err);
    if (status != WZ_OK)
        return status;
    wz_model *model = block;
    model->config = *config;
    model->backend = backend;
    const size_t layers = (size_t)config->num_hidden_layers;
    status = wz_alloc(&block, layers, sizeof(wz_layer_offsets), "the model", err);
    if (status != WZ_OK)
        goto fail;
    model->layers = block;
    status = wz_alloc(&block, 3 + layers * 14, sizeof(wz_param), "the model", err);
    if (status != WZ_OK)
        goto fail;
    model->params = block;
    model->embedding =
        add_param(model, "model.embed_tokens.weight", config->vocab_size, config->hidden_size, false, false);
    for (int64_t l = 0; l < config->num_hidden_layers; l++)
        add_layer(model, l);
    model->final_norm = add_param(model, "model.norm.weight", config->hidden_size, 0, false, false);
    model->head = config->tie_word_embeddings ? model->embedding
                                              : add_param(model, "lm_head.weight", config->vocab_size,
                                                          config->hidden_size, true, false);
    model->floats = aligned(model->floats);
    float **arrays[4] = {&model->weights, &model->gradients, &model->adam_m, &model->adam_v};
    const char *names[4] = {"the weights", "the gradients", "AdamW's first moments",
                            "AdamW's second moments"};
    for (int i = 0; i < (training ? 4 : 1); i++) {
        status = backend->ops->alloc(backend, (size_t)model->floats * sizeof(float), names[i], &block, err);
        if (status != WZ_OK)
            goto fail;
        *arrays[i] = block;
    }
    if (training) {
        model->head_gradient = model->gradients + model->head;
        model->final_norm_gradient = model->gradients + model->final_norm;
        model->embedding_gradient = model->gradients + model->embedding;
    }
    status = make_rope_table(model, err);
    if (status == WZ_OK)
        status = wz_model_allocate_prepared(model, err);
    if (status != WZ_OK)
        goto fail;
    *out = model;
    return WZ_OK;
fail:
    wz_model_destroy(model);
    return status;
}

void wz_model_destroy(wz_model *model)
{
    if (model == NULL)
        return;
    void *const arrays[6] = {model->weights, model->gradients,  model->adam_m,
                             model->adam_v,  model->rope_table, model->prepared};
    for (int i = 0; i < 6; i++)
        if (arrays[i] != NULL)
            model->backend->ops->release(model->backend, arrays[i]);
    free(model->params);
    free(model->layers);
    free(model);
}

const wz_param *wz_model_find_param(const wz_model *model, const char *name)
{
    for (size_t i = 0; i < model->param_count; i++)
        if (strcmp(model->params[i].name, name) == 0)
            return &model->params[i];
    return NULL;
}

int64_t wz_model_parameter_count(const wz_model *model)
{
    int64_t count = 0;
    for (size_t i = 0; i < model->param_count; i++)
        count += model->params[i].count;
    return count;
}

size_t wz_model_bytes(const wz_model *model)
{
    size_t arrays = model->gradients != NULL ? 4 : 1;
    return ((size_t)model->floats * arrays +
            (size_t)(model->config.max_position_embeddings * model->config.head_dim)) *
               sizeof(float) +
           model->prepared_layer_bytes * (size_t)model->config.num_hidden_layers + model->prepared_head_bytes;
}

static void fill_normal(float *values, int64_t count, double deviation, uint64_t seed, uint32_t purpose,
                        uint32_t tensor)
{
    for (int64_t i = 0; i < count; i += 2) {
        uint32_t words[4];
        double pair[2];
        wz_draw_init_words(seed, purpose, tensor, (uint64_t)i, words);
        wz_normal_pair(words, pair);
        for (int64_t j = 0; j < 2 && i + j < count; j++)
            values[i + j] = (float)(pair[j] * deviation);
    }
}

#define SMOOTH_WAVES 6

static void smooth_embedding(float *row, int64_t width, const float *projection, int64_t n)
{
    double feature[2 * SMOOTH_WAVES];
    for (int w = 0; w < SMOOTH_WAVES; w++) {
        const double tau = ldexp(2.0, w);
        feature[w] = sin((double)n / tau);
        feature[SMOOTH_WAVES + w] = cos((double)n / tau);
    }
    for (int64_t d = 0; d < width; d++) {
        double sum = 0.0;
        for (int f = 0; f < 2 * SMOOTH_WAVES; f++)
            sum += feature[f] * (double)projection[f * width + d];
        row[d] = (float)sum;
    }
}

static wz_status init_embedding(const wz_model *model, float *values, uint64_t seed, const int64_t *integer,
                                wz_error *err)
{
    const wz_model_config *c = &model->config;
    const int64_t width = c->hidden_size;
    void *projection = NULL;
    fill_normal(values, c->vocab_size * width, c->embedding_range, seed, WZ_PURPOSE_INIT, 0);
    if (!c->smooth_number_embeddings || integer == NULL)
        return WZ_OK;
    wz_status status =
        wz_alloc(&projection, (size_t)(2 * SMOOTH_WAVES * width), sizeof(float), "number embeddings", err);
    if (status != WZ_OK)
        return status;
    fill_normal(projection, 2 * SMOOTH_WAVES * width, 0.1 / sqrt((double)SMOOTH_WAVES), seed,
                WZ_PURPOSE_SMOOTH, 0);
    for (int64_t t = 0; t < c->vocab_size; t++)
        if (integer[t] >= 0)
            smooth_embedding(values + t * width, width, projection, integer[t]);
    free(projection);
    return WZ_OK;
}

wz_status wz_model_init_weights(wz_model *model, uint64_t seed, const int64_t *integer, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)model->floats, sizeof(float), "initial weights", err);
    if (status != WZ_OK)
        return status;
    float *host = block;
    for (size_t i = 0; i < model->param_count && status == WZ_OK; i++) {
        const wz_param *param = &model->params[i];
        float *values = host + param->offset;
        if (param->rank == 1) {
            const char *dot_name = strrchr(param->name, '.');
            for (int64_t j = 0; j < param->count; j++)
                values[j] = dot_name != NULL && strcmp(dot_name, ".bias") == 0 ? 0.0f : 1.0f;
        } else if (param->offset == model->embedding) {
            status = init_embedding(model, values, seed, integer, err);
        } else if (param->offset != model->head || !model->config.zero_init_head) {
            fill_normal(values, param->count, model->config.initializer_range, seed, WZ_PURPOSE_INIT,
                        (uint32_t)i);
        }
    }
    if (status == WZ_OK) {
        model->backend->ops->upload(model->backend, model->weights, host,
                                    (size_t)model->floats * sizeof(float));
        wz_model_weights_changed(model);
    }
    free(block);
    return status;
}

wz_tensor wz_model_head_gradient(const wz_model *model)
{
    return wz_matrix(model->head_gradient, model->config.vocab_size, model->config.hidden_size);
}
