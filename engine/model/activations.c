/* Buffers of the forward and backward pass: one planned block each, cut into named views. */
#include <stdlib.h>
#include <string.h>

#include "engine/model/model.h"

/* Hands out views of a block, or only counts while base is NULL. */
typedef struct block_cutter {
    char *base;
    size_t bytes;
    wz_dtype working; /* type */
} block_cutter;

static void *cut_type(block_cutter *cutter, wz_dtype type, int64_t rows, int64_t width)
{
    const size_t at = cutter->bytes;
    cutter->bytes += ((size_t)rows * (size_t)width * wz_type_bytes(type) + 63) / 64 * 64;
    return cutter->base == NULL ? NULL : cutter->base + at;
}

/* A matrix of fp32; of the working type. */
static float *cut(block_cutter *cutter, int64_t rows, int64_t width)
{
    return cut_type(cutter, WZ_F32, rows, width);
}

static void *cut_working(block_cutter *cutter, int64_t rows, int64_t width)
{
    return cut_type(cutter, cutter->working, rows, width);
}

/* What all layers share: cheap to compute again from what each layer keeps. */
static void cut_scratch(block_cutter *cutter, const wz_model_config *c, int64_t rows,
                        wz_layer_activations *layer)
{
    layer->norm1 = cut_working(cutter, rows, c->hidden_size);
    layer->norm2 = cut_working(cutter, rows, c->hidden_size);
    layer->swiglu = cut_working(cutter, rows, c->intermediate_size);
}

/* What the backward pass needs of each layer besides: each layer's own, or shared and computed again. */
static void cut_inner(block_cutter *cutter, const wz_model_config *c, int64_t rows,
                      wz_layer_activations *layer)
{
    if (c->use_qk_norm) {
        const int64_t heads = c->num_attention_heads + c->num_key_value_heads;
        layer->qk_raw = cut_working(cutter, rows, heads * c->head_dim);
        layer->qk_rstd = cut(cutter, rows, heads);
    }
    layer->attention = cut_working(cutter, rows, c->num_attention_heads * c->head_dim);
    layer->lse = cut(cutter, rows, c->num_attention_heads);
    layer->middle = cut(cutter, rows, c->hidden_size);
    layer->rstd2 = cut(cutter, rows, 1);
    layer->gate_up = cut_working(cutter, rows, 2 * c->intermediate_size);
}

/* layers NULL: only count. */
static size_t lay_out(void *base, const wz_model *model, int64_t rows, wz_keep keep,
                      wz_layer_activations *layers, float **final)
{
    const wz_model_config *c = &model->config;
    block_cutter cutter = {base, 0, model->backend->working_type};
    wz_layer_activations shared = {0}, unused;
    float *stream[2] = {NULL, NULL};
    cut_scratch(&cutter, c, rows, &shared);
    if (keep != WZ_KEEP_ALL)
        cut_inner(&cutter, c, rows, &shared);
    if (keep == WZ_KEEP_CACHE) {
        shared.rstd1 = cut(&cutter, rows, 1);
        stream[0] = cut(&cutter, rows, c->hidden_size);
        stream[1] = cut(&cutter, rows, c->hidden_size);
    }
    for (int64_t l = 0; l < c->num_hidden_layers; l++) {
        wz_layer_activations *layer = layers != NULL ? &layers[l] : &unused;
        *layer = shared;
        if (keep == WZ_KEEP_ALL)
            cut_inner(&cutter, c, rows, layer);
        if (keep != WZ_KEEP_CACHE)
            layer->rstd1 = cut(&cutter, rows, 1);
        layer->x = keep == WZ_KEEP_CACHE ? stream[l % 2] : cut(&cutter, rows, c->hidden_size);
        layer->qkv =
            cut_working(&cutter, rows, (c->num_attention_heads + 2 * c->num_key_value_heads) * c->head_dim);
    }
    *final = keep == WZ_KEEP_CACHE ? stream[c->num_hidden_layers % 2] : cut(&cutter, rows, c->hidden_size);
    return cutter.bytes;
}

size_t wz_activations_bytes(const wz_model *model, int64_t rows, wz_keep keep)
{
    float *final = NULL;
    return lay_out(NULL, model, rows, keep, NULL, &final);
}

wz_status wz_activations_create(const wz_model *model, int64_t rows, wz_keep keep, wz_activations **out,
                                wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_activations), "activations", err);
    if (status != WZ_OK)
        return status;
    wz_activations *activations = block;
    activations->backend = model->backend;
    activations->rows = rows;
    activations->keep = keep;
    activations->bytes = wz_activations_bytes(model, rows, keep);
    status = wz_alloc(&block, (size_t)model->config.num_hidden_layers, sizeof(wz_layer_activations),
                      "activations", err);
    if (status == WZ_OK) {
        activations->layers = block;
        status = model->backend->ops->alloc(model->backend, activations->bytes, "activations",
                                            &activations->block, err);
    }
    if (status != WZ_OK) {
        wz_activations_destroy(activations);
        return status;
    }
    (void)lay_out(activations->block, model, rows, keep, activations->layers, &activations->final);
    *out = activations;
    return WZ_OK;
}

/* No recorded decode step works on these any more. */
static void forget_steps(const wz_activations *activations)
{
    const wz_decode_ops *decode = activations->backend->ops->decode;
    if (decode != NULL)
        decode->forget(activations->backend, activations);
}

size_t wz_activations_step_bytes(const wz_model *model, int64_t rows, int64_t requests)
{
    return wz_activations_bytes(model, rows, WZ_KEEP_CACHE) +
           (size_t)(requests * (model->config.hidden_size + 1)) * sizeof(float);
}

wz_status wz_activations_make_step(const wz_model *model, wz_activations *activations, int64_t rows,
                                   int64_t requests, wz_error *err)
{
    const wz_backend_ops *ops = model->backend->ops;
    const int64_t hidden = model->config.hidden_size;
    void *memory = NULL;
    if (activations->step != NULL && activations->step->rows >= rows &&
        activations->step_requests >= requests)
        return WZ_OK;
    forget_steps(activations);
    if (activations->step == NULL || activations->step->rows < rows) {
        wz_activations_destroy(activations->step);
        const wz_status status = wz_activations_create(model, rows, WZ_KEEP_CACHE, &activations->step, err);
        if (status != WZ_OK)
            return status;
    }
    if (activations->step_requests >= requests)
        return WZ_OK;
    if (activations->step_hidden != NULL)
        ops->release(model->backend, activations->step_hidden);
    activations->step_hidden = NULL;
    activations->step_requests = 0;
    const wz_status status = ops->alloc(model->backend, (size_t)(requests * (hidden + 1)) * sizeof(float),
                                        "a decode step", &memory, err);
    if (status != WZ_OK)
        return status;
    activations->step_hidden = memory;
    activations->step_rstd = activations->step_hidden + requests * hidden;
    activations->step_requests = requests;
    return WZ_OK;
}

void wz_activations_destroy(wz_activations *activations)
{
    if (activations == NULL)
        return;
    forget_steps(activations);
    wz_activations_destroy(activations->step);
    if (activations->step_hidden != NULL)
        activations->backend->ops->release(activations->backend, activations->step_hidden);
    if (activations->block != NULL)
        activations->backend->ops->release(activations->backend, activations->block);
    free(activations->layers);
    free(activations);
}

static size_t lay_out_backward(void *base, const wz_model *model, int64_t rows, wz_backward *b)
{
    const wz_model_config *c = &model->config;
    block_cutter cutter = {base, 0, model->backend->working_type};
    b->dx = cut(&cutter, rows, c->hidden_size);
    b->dstream = cut_working(&cutter, rows, cutter.working == WZ_F32 ? 0 : c->hidden_size);
    b->dfinal = cut(&cutter, rows, c->hidden_size);
    b->dnorm = cut_working(&cutter, rows, c->hidden_size);
    b->dqkv = cut_working(&cutter, rows, (c->num_attention_heads + 2 * c->num_key_value_heads) * c->head_dim);
    b->dattention = cut_working(&cutter, rows, c->num_attention_heads * c->head_dim);
    b->dgate_up = cut_working(&cutter, rows, 2 * c->intermediate_size);
    b->dswiglu = cut_working(&cutter, rows, c->intermediate_size);
    return cutter.bytes;
}

size_t wz_backward_bytes(const wz_model *model, int64_t rows)
{
    wz_backward unused;
    return lay_out_backward(NULL, model, rows, &unused);
}

wz_status wz_backward_create(const wz_model *model, int64_t rows, wz_backward **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_backward), "the backward pass", err);
    if (status != WZ_OK)
        return status;
    wz_backward *backward = block;
    backward->backend = model->backend;
    backward->rows = rows;
    backward->bytes = wz_backward_bytes(model, rows);
    status = model->backend->ops->alloc(model->backend, backward->bytes, "the backward pass",
                                        &backward->block, err);
    if (status != WZ_OK) {
        free(backward);
        return status;
    }
    (void)lay_out_backward(backward->block, model, rows, backward);
    *out = backward;
    return WZ_OK;
}

void wz_backward_destroy(wz_backward *backward)
{
    if (backward == NULL)
        return;
    if (backward->entries != NULL)
        backward->backend->ops->release(backward->backend, backward->entries);
    backward->backend->ops->release(backward->backend, backward->block);
    free(backward);
}

size_t wz_backward_entry_bytes(const wz_model_config *config, int64_t count)
{
    return (size_t)(count * (2 * config->hidden_size + 1) + 1) * sizeof(float);
}

wz_status wz_backward_entries(const wz_model *model, wz_backward *backward, int64_t count,
                              wz_entry_vectors *out, wz_error *err)
{
    const int64_t width = model->config.hidden_size;
    const wz_backend_ops *ops = model->backend->ops;
    if (count > backward->entry_capacity || backward->entries == NULL) {
        void *block = NULL;
        wz_status status = ops->alloc(model->backend, wz_backward_entry_bytes(&model->config, count),
                                      "hidden vectors of decisions", &block, err);
        if (status != WZ_OK)
            return status;
        if (backward->entries != NULL)
            ops->release(model->backend, backward->entries);
        backward->entries = block;
        backward->entry_capacity = count;
    }
    out->hidden = backward->entries;
    out->dhidden = out->hidden + count * width;
    out->rstd = out->dhidden + count * width;
    return WZ_OK;
}
