/* Parameters: layout and creation. */
#include "engine/model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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
    param->is_frozen = model->freezes;
    param->type = model->freezes && columns > 0 ? (wz_dtype)model->config.frozen_dtype : WZ_F32;
    int64_t *end = param->type == WZ_F32 ? &model->floats : &model->half_count;
    param->offset = joins ? *end : aligned(*end);
    param->decays = decays;
    *end = param->offset + param->count;
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

/* The adapters of all layers. Those of q, k and v need not be neighbours: each pair has products of its own. */
static void add_adapters(wz_model *model)
{
    static const char *const module[WZ_LORA_TARGETS] = {"self_attn", "self_attn", "self_attn", "self_attn",
                                                        "mlp",       "mlp",       "mlp"};
    const wz_lora_config *lora = &model->config.lora;
    for (int64_t l = 0; lora->rank > 0 && l < model->config.num_hidden_layers; l++)
        for (int t = 0; t < WZ_LORA_TARGETS; t++) {
            char name[sizeof model->params->name];
            int64_t out = 0, in = 0, *at = model->layers[l].pair[t];
            if (!lora->target[t])
                continue;
            wz_lora_target_shape(&model->config, (wz_lora_target)t, &out, &in);
            for (int b = 0; b < 2; b++) {
                (void)snprintf(name, sizeof name, "base_model.model.model.layers.%lld.%s.%s.lora_%c.weight",
                               (long long)l, module[t], wz_lora_target_names[t], b == 0 ? 'A' : 'B');
                at[b] =
                    add_param(model, name, b == 0 ? lora->rank : out, b == 0 ? in : lora->rank, true, false);
            }
        }
    model->adapter_params = model->param_count;
    model->trained = aligned(model->floats);
}

static void add_parameters(wz_model *model, bool training)
{
    const wz_model_config *c = &model->config;
    add_adapters(model);
    model->freezes = c->lora.rank > 0 || !training;
    model->embedding =
        add_param(model, "model.embed_tokens.weight", c->vocab_size, c->hidden_size, false, false);
    for (int64_t l = 0; l < c->num_hidden_layers; l++)
        add_layer(model, l);
    model->final_norm = add_param(model, "model.norm.weight", c->hidden_size, 0, false, false);
    model->head = c->tie_word_embeddings
                      ? model->embedding
                      : add_param(model, "lm_head.weight", c->vocab_size, c->hidden_size, true, false);
    model->floats = aligned(model->floats);
    model->half_count = aligned(model->half_count);
    if (c->lora.rank == 0)
        model->trained = model->floats;
}

/* Angles of llama3 scaling (transformers' _compute_llama3_parameters): low frequencies are divided by factor, high
 * ones kept, those between interpolated. */
double wz_model_rope_frequency(const wz_model_config *c, double frequency)
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

void wz_model_rope_angles(const wz_model_config *c, int64_t position, float *cosines, float *sines)
{
    for (int64_t d = 0; d < c->head_dim / 2; d++) {
        const double f =
            wz_model_rope_frequency(c, pow(c->rope_theta, -2.0 * (double)d / (double)c->head_dim));
        if (cosines != NULL)
            cosines[d] = (float)cos((double)position * f);
        if (sines != NULL)
            sines[d] = (float)sin((double)position * f);
    }
}

/* Rows [first, first + rows): cosines, then sines. */
static void fill_rope_rows(const wz_model_config *c, int64_t first, int64_t rows, float *values)
{
    const int64_t half = c->head_dim / 2;
    for (int64_t d = 0; d < half; d++) {
        const double f =
            wz_model_rope_frequency(c, pow(c->rope_theta, -2.0 * (double)d / (double)c->head_dim));
        for (int64_t p = 0; p < rows; p++) {
            values[p * c->head_dim + d] = (float)cos((double)(first + p) * f);
            values[p * c->head_dim + half + d] = (float)sin((double)(first + p) * f);
        }
    }
}

static wz_status make_rope_table(wz_model *model, wz_error *err)
{
    enum { PIECE = 1024 };
    const wz_model_config *c = &model->config;
    const int64_t positions = c->max_position_embeddings;
    const size_t width = (size_t)c->head_dim * sizeof(float);
    void *host = NULL, *table = NULL;
    wz_status status = wz_alloc(&host, PIECE, width, "the RoPE table", err);
    if (status == WZ_OK)
        status = model->backend->ops->alloc(model->backend, (size_t)positions * width, "the RoPE table",
                                            &table, err);
    model->rope_table = table;
    for (int64_t first = 0; status == WZ_OK && first < positions; first += PIECE) {
        const int64_t rows = positions - first < PIECE ? positions - first : PIECE;
        fill_rope_rows(c, first, rows, host);
        model->backend->ops->upload(model->backend, model->rope_table + first * c->head_dim, host,
                                    (size_t)rows * width);
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
    bounds->rank = c->lora.rank;
    bounds->frozen_type = (wz_dtype)c->frozen_dtype;
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

/* Names, shapes and places of all parameters. */
static wz_status lay_out(wz_model *model, bool training, wz_error *err)
{
    const wz_model_config *config = &model->config;
    const size_t layers = (size_t)config->num_hidden_layers;
    void *block = NULL;
    wz_status status = wz_alloc(&block, layers, sizeof(wz_layer_offsets), "the model", err);
    if (status != WZ_OK)
        return status;
    model->layers = block;
    const size_t adapters = config->lora.rank > 0 ? 2 * (size_t)WZ_LORA_TARGETS : 0;
    status = wz_alloc(&block, 3 + layers * (14 + adapters), sizeof(wz_param), "the model", err);
    if (status != WZ_OK)
        return status;
    model->params = block;
    add_parameters(model, training);
    return WZ_OK;
}

wz_status wz_model_list_params(const wz_model_config *config, wz_param **out, size_t *count, wz_error *err)
{
    wz_model model = {.config = *config};
    wz_status status = wz_model_config_check(config, err);
    if (status == WZ_OK)
        status = lay_out(&model, true, err);
    free(model.layers);
    if (status != WZ_OK) {
        free(model.params);
        return status;
    }
    *out = model.params;
    *count = model.param_count;
    return WZ_OK;
}

/* The arrays. */
static wz_status allocate(wz_model *model, bool training, wz_error *err)
{
    wz_backend *be = model->backend;
    const size_t trained = (size_t)model->trained * sizeof(float);
    const struct {
        float **place;
        size_t bytes;
        const char *what;
    } arrays[4] = {{&model->weights, (size_t)model->floats * sizeof(float), "the weights"},
                   {&model->gradients, trained, "the gradients"},
                   {&model->adam_m, trained, "AdamW's first moments"},
                   {&model->adam_v, trained, "AdamW's second moments"}};
    wz_status status = WZ_OK;
    for (int i = 0; status == WZ_OK && i < (training ? 4 : 1); i++) {
        void *block = NULL;
        status = be->ops->alloc(be, arrays[i].bytes, arrays[i].what, &block, err);
        *arrays[i].place = block;
    }
    if (status == WZ_OK && model->half_count > 0)
        status = be->ops->alloc(be, (size_t)model->half_count * wz_type_bytes(WZ_BF16), "the frozen weights",
                                &model->halves, err);
    if (status == WZ_OK && training && model->config.lora.rank == 0) {
        model->head_gradient = model->gradients + model->head;
        model->final_norm_gradient = model->gradients + model->final_norm;
        model->embedding_gradient = model->gradients + model->embedding;
    }
    return status;
}

static wz_status describe(const wz_model_config *config, wz_backend *backend, bool training, wz_model **out,
                          wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_model_config_check(config, err);
    if (status == WZ_OK)
        status = check_backend(config, backend, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, 1, sizeof(wz_model), "the model", err);
    if (status != WZ_OK)
        return status;
    wz_model *model = block;
    model->config = *config;
    model->tokens = config->vocab_size;
    model->backend = backend;
    status = lay_out(model, training, err);
    if (status == WZ_OK)
        *out = model;
    else
        wz_model_destroy(model);
    return status;
}

wz_status wz_model_describe(const wz_model_config *config, wz_backend *backend, wz_model **out, wz_error *err)
{
    return describe(config, backend, false, out, err);
}

wz_status wz_model_create(const wz_model_config *config, wz_backend *backend, bool training, wz_model **out,
                          wz_error *err)
{
    wz_model *model = NULL;
    *out = NULL;
    wz_status status = describe(config, backend, training, &model, err);
    if (status != WZ_OK)
        return status;
    status = allocate(model, training, err);
    if (status == WZ_OK)
        status = make_rope_table(model, err);
    if (status == WZ_OK)
        status = wz_model_allocate_prepared(model, err);
    if (status == WZ_OK)
        *out = model;
    else
        wz_model_destroy(model);
    return status;
}

void wz_model_destroy(wz_model *model)
{
    if (model == NULL)
        return;
    void *const arrays[7] = {model->weights, model->gradients,  model->adam_m,  model->adam_v,
                             model->halves,  model->rope_table, model->prepared};
    for (int i = 0; i < 7; i++)
        if (arrays[i] != NULL)
            model->backend->ops->release(model->backend, arrays[i]);
    free(model->params);
    free(model->layers);
    free(model);
}
