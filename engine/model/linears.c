/* The linear layers: where they stand, and their weights in the form that the backend multiplies by. */
#include "engine/model/model.h"

/* A matrix as it is stored. */
static wz_tensor matrix_at(const wz_model *model, int64_t offset, int64_t rows, int64_t columns)
{
    if (model->halves == NULL)
        return wz_matrix(model->weights + offset, rows, columns);
    return (wz_tensor){(uint16_t *)model->halves + offset, rows, columns, columns, WZ_BF16};
}

/* In the weights, or in the gradients, where frozen weights have none. */
static wz_linear linear_at(const wz_model *model, float *flat, int64_t weight, int64_t out, int64_t in,
                           const int64_t *bias)
{
    const bool is_weights = flat == model->weights, has = is_weights || model->config.lora.rank == 0;
    wz_linear linear = {.weight = is_weights ? matrix_at(model, weight, out, in)
                                             : wz_matrix(has ? flat + weight : NULL, out, in)};
    if (bias != NULL)
        linear.bias = wz_matrix(has ? flat + *bias : NULL, 1, out);
    return linear;
}

/* Gives a linear layer the pairs of its parts, which are outputs one after another. */
static void add_pairs(const wz_model *model, float *flat, int64_t layer, wz_lora_target first, int parts,
                      wz_linear *linear)
{
    const wz_lora_config *lora = &model->config.lora;
    int64_t output = 0;
    if (lora->rank == 0)
        return;
    linear->pair_scale = (float)(lora->alpha / (double)lora->rank);
    for (int t = (int)first; t < (int)first + parts; t++) {
        int64_t out = 0, in = 0;
        const int64_t *at = model->layers[layer].pair[t];
        wz_lora_target_shape(&model->config, (wz_lora_target)t, &out, &in);
        if (lora->target[t])
            linear->pair[linear->pairs++] = (wz_low_rank){wz_matrix(flat + at[0], lora->rank, in),
                                                          wz_matrix(flat + at[1], out, lora->rank), output};
        output += out;
    }
}

static size_t prepared_bytes(const wz_backend *backend, const wz_linear *linear)
{
    const size_t bytes = backend->ops->prepared_bytes(backend, linear);
    return (bytes + 63) / 64 * 64;
}

wz_layer_linears wz_model_linears(const wz_model *model, float *flat, int64_t layer)
{
    const wz_model_config *c = &model->config;
    const wz_layer_offsets *at = &model->layers[layer];
    const int64_t q = c->num_attention_heads * c->head_dim,
                  qkv = q + 2 * c->num_key_value_heads * c->head_dim;
    wz_layer_linears all = {
        linear_at(model, flat, at->qkv, qkv, c->hidden_size, c->attention_bias ? &at->qkv_bias : NULL),
        linear_at(model, flat, at->o, c->hidden_size, q, NULL),
        linear_at(model, flat, at->gate_up, 2 * c->intermediate_size, c->hidden_size, NULL),
        linear_at(model, flat, at->down, c->hidden_size, c->intermediate_size, NULL)};
    add_pairs(model, flat, layer, WZ_LORA_Q, 3, &all.qkv);
    add_pairs(model, flat, layer, WZ_LORA_O, 1, &all.o);
    add_pairs(model, flat, layer, WZ_LORA_GATE, 2, &all.gate_up);
    add_pairs(model, flat, layer, WZ_LORA_DOWN, 1, &all.down);
    if (model->prepared == NULL || flat != model->weights)
        return all;
    wz_linear *const each[WZ_LINEARS] = {&all.qkv, &all.o, &all.gate_up, &all.down};
    const char *copies = (const char *)model->prepared + (size_t)layer * model->prepared_layer_bytes;
    for (int i = 0; i < WZ_LINEARS; i++) {
        const size_t begin = i > 0 ? model->prepared_end[i - 1] : 0;
        each[i]->prepared = model->prepared_end[i] > begin ? copies + begin : NULL;
    }
    return all;
}

static size_t prepared_layers_bytes(const wz_model *model)
{
    return model->prepared_layer_bytes * (size_t)model->config.num_hidden_layers;
}

wz_linear wz_model_whole_head(const wz_model *model)
{
    wz_linear head = {.weight =
                          matrix_at(model, model->head, model->config.vocab_size, model->config.hidden_size)};
    if (model->prepared_head_bytes > 0 && model->prepared != NULL)
        head.prepared = (char *)model->prepared + prepared_layers_bytes(model);
    return head;
}

wz_linear wz_model_head(const wz_model *model)
{
    wz_linear head = wz_model_whole_head(model);
    head.weight.rows = model->tokens;
    return head;
}

wz_tensor wz_model_embedding(const wz_model *model)
{
    return matrix_at(model, model->embedding, model->config.vocab_size, model->config.hidden_size);
}

wz_tensor wz_model_head_gradient(const wz_model *model)
{
    return wz_matrix(model->head_gradient, model->tokens, model->config.hidden_size);
}

wz_tensor wz_model_whole_head_gradient(const wz_model *model)
{
    return wz_matrix(model->head_gradient, model->config.vocab_size, model->config.hidden_size);
}

wz_status wz_model_allocate_prepared(wz_model *model, wz_error *err)
{
    const wz_layer_linears all = wz_model_linears(model, model->weights, 0); /* layers are alike */
    const wz_linear head = wz_model_whole_head(model);
    const wz_backend *be = model->backend;
    const wz_linear *const each[WZ_LINEARS] = {&all.qkv, &all.o, &all.gate_up, &all.down};
    for (int i = 0; i < WZ_LINEARS; i++)
        model->prepared_end[i] = model->prepared_layer_bytes += prepared_bytes(be, each[i]);
    model->prepared_head_bytes = be->working_type == WZ_F32 ? 0 : prepared_bytes(be, &head);
    const size_t bytes = wz_model_prepared_bytes(model);
    if (bytes == 0)
        return WZ_OK;
    return be->ops->alloc(model->backend, bytes, "weights laid out for products", &model->prepared, err);
}

static void prepare(const wz_model *model, const wz_linear *linear)
{
    if (linear->prepared != NULL)
        model->backend->ops->prepare(model->backend, (void *)linear->prepared, linear);
}

void wz_model_weights_changed(const wz_model *model)
{
    const wz_linear head = wz_model_whole_head(model);
    for (int64_t l = 0; model->prepared != NULL && l < model->config.num_hidden_layers; l++) {
        const wz_layer_linears all = wz_model_linears(model, model->weights, l);
        const wz_linear *const each[WZ_LINEARS] = {&all.qkv, &all.o, &all.gate_up, &all.down};
        for (int i = 0; i < WZ_LINEARS; i++)
            prepare(model, each[i]);
    }
    prepare(model, &head);
}
