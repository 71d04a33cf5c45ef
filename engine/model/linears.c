/* The linear layers: where they stand, and their weights in the form that the backend multiplies by. */
#include "engine/model/model.h"

#define LINEARS 4 /* of a layer */

static wz_linear linear_at(float *flat, int64_t weight, int64_t out, int64_t in, const int64_t *bias)
{
    wz_linear linear = {.weight = wz_matrix(flat + weight, out, in)};
    if (bias != NULL)
        linear.bias = wz_matrix(flat + *bias, 1, out);
    return linear;
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
        linear_at(flat, at->qkv, qkv, c->hidden_size, c->attention_bias ? &at->qkv_bias : NULL),
        linear_at(flat, at->o, c->hidden_size, q, NULL),
        linear_at(flat, at->gate_up, 2 * c->intermediate_size, c->hidden_size, NULL),
        linear_at(flat, at->down, c->hidden_size, c->intermediate_size, NULL)};
    if (model->prepared == NULL || flat != model->weights)
        return all;
    wz_linear *const each[LINEARS] = {&all.qkv, &all.o, &all.gate_up, &all.down};
    size_t offset = (size_t)layer * model->prepared_layer_bytes;
    for (int i = 0; i < LINEARS; i++) {
        const size_t bytes = prepared_bytes(model->backend, each[i]);
        each[i]->prepared = bytes > 0 ? (char *)model->prepared + offset : NULL;
        offset += bytes;
    }
    return all;
}

static size_t prepared_layers_bytes(const wz_model *model)
{
    return model->prepared_layer_bytes * (size_t)model->config.num_hidden_layers;
}

wz_linear wz_model_head(const wz_model *model)
{
    wz_linear head =
        linear_at(model->weights, model->head, model->config.vocab_size, model->config.hidden_size, NULL);
    if (model->prepared_head_bytes > 0 && model->prepared != NULL)
        head.prepared = (char *)model->prepared + prepared_layers_bytes(model);
    return head;
}

wz_status wz_model_allocate_prepared(wz_model *model, wz_error *err)
{
    const wz_layer_linears all = wz_model_linears(model, model->weights, 0); /* layers are alike */
    const wz_linear head = wz_model_head(model);
    const wz_backend *be = model->backend;
    model->prepared_layer_bytes = prepared_bytes(be, &all.qkv) + prepared_bytes(be, &all.o) +
                                  prepared_bytes(be, &all.gate_up) + prepared_bytes(be, &all.down);
    model->prepared_head_bytes = be->working_type == WZ_F32 ? 0 : prepared_bytes(be, &head);
    const size_t bytes = prepared_layers_bytes(model) + model->prepared_head_bytes;
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
    const wz_linear head = wz_model_head(model);
    for (int64_t l = 0; model->prepared != NULL && l < model->config.num_hidden_layers; l++) {
        const wz_layer_linears all = wz_model_linears(model, model->weights, l);
        const wz_linear *const each[LINEARS] = {&all.qkv, &all.o, &all.gate_up, &all.down};
        for (int i = 0; i < LINEARS; i++)
            prepare(model, each[i]);
    }
    prepare(model, &head);
}
