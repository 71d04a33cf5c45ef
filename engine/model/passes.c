/* Forward and backward pass, in backend ops. */
#include <math.h>

#include "engine/model/model.h"

static wz_attention attention_of(const wz_model_config *c)
{
    return (wz_attention){c->num_attention_heads, c->num_key_value_heads, c->head_dim,
                          (float)(1.0 / sqrt((double)c->head_dim))};
}

/* Rows [row0, row0 + rows) of a buffer. */
static wz_tensor block(float *data, int64_t row0, int64_t rows, int64_t columns)
{
    return wz_matrix(data + row0 * columns, rows, columns);
}

static wz_linear linear_at(float *flat, int64_t weight, int64_t out, int64_t in, const int64_t *bias)
{
    wz_linear linear = {.weight = wz_matrix(flat + weight, out, in)};
    if (bias != NULL)
        linear.bias = wz_matrix(flat + *bias, 1, out);
    return linear;
}

/* The four linear layers of a layer, in weights or in gradients. */
typedef struct layer_linears {
    wz_linear qkv, o, gate_up, down;
} layer_linears;

static layer_linears linears_of(const wz_model *model, float *flat, int64_t l)
{
    const wz_model_config *c = &model->config;
    const wz_layer_offsets *at = &model->layers[l];
    const int64_t q = c->num_attention_heads * c->head_dim,
                  qkv = q + 2 * c->num_key_value_heads * c->head_dim;
    return (layer_linears){
        linear_at(flat, at->qkv, qkv, c->hidden_size, c->attention_bias ? &at->qkv_bias : NULL),
        linear_at(flat, at->o, c->hidden_size, q, NULL),
        linear_at(flat, at->gate_up, 2 * c->intermediate_size, c->hidden_size, NULL),
        linear_at(flat, at->down, c->hidden_size, c->intermediate_size, NULL)};
}

static void layer_forward(const wz_model *model, const wz_layer_activations *a, float *next, int64_t l,
                          const wz_segments *segments, int64_t row0, int64_t rows)
{
    const wz_model_config *c = &model->config;
    const wz_backend_ops *ops = model->backend->ops;
    wz_backend *be = model->backend;
    const wz_layer_offsets *at = &model->layers[l];
    const layer_linears w = linears_of(model, model->weights, l);
    const wz_attention attention = attention_of(c);
    const int64_t hidden = c->hidden_size, ff = c->intermediate_size,
                  q = attention.heads * attention.head_dim;
    const int64_t qkv_width = w.qkv.weight.rows, heads = attention.heads + attention.kv_heads;
    const float eps = (float)c->rms_norm_eps;
    const wz_tensor none = {0};
    wz_tensor x = block(a->x, row0, rows, hidden), norm1 = block(a->norm1, row0, rows, hidden);
    wz_tensor qkv = block(a->qkv, row0, rows, qkv_width), middle = block(a->middle, row0, rows, hidden);
    wz_tensor norm2 = block(a->norm2, row0, rows, hidden), gate_up = block(a->gate_up, row0, rows, 2 * ff);
    wz_tensor swiglu = block(a->swiglu, row0, rows, ff);

    ops->rmsnorm_forward(be, norm1, a->rstd1 + row0, x, NULL, model->weights + at->input_norm, eps);
    ops->linear_forward(be, qkv, norm1, &w.qkv, none);
    if (c->use_qk_norm)
        ops->qk_norm_forward(be, qkv, block(a->qk_raw, row0, rows, heads * attention.head_dim),
                             a->qk_rstd + row0 * heads, &attention, model->weights + at->q_norm,
                             model->weights + at->k_norm, eps);
    ops->rope(be, qkv, segments->row_position + row0, model->rope_table, &attention, false);
    ops->attention_forward(be, wz_matrix(a->attention, segments->rows, q), a->lse,
                           wz_matrix(a->qkv, segments->rows, qkv_width), segments, row0, row0 + rows,
                           &attention);
    ops->linear_forward(be, middle, block(a->attention, row0, rows, q), &w.o, x);
    ops->rmsnorm_forward(be, norm2, a->rstd2 + row0, middle, NULL, model->weights + at->post_norm, eps);
    ops->linear_forward(be, gate_up, norm2, &w.gate_up, none);
    ops->swiglu_forward(be, swiglu, gate_up);
    ops->linear_forward(be, block(next, row0, rows, hidden), swiglu, &w.down, middle);
}

void wz_model_forward(const wz_model *model, wz_activations *activations, const wz_segments *segments,
                      const int32_t *token, int64_t row0, int64_t row1)
{
    const wz_model_config *c = &model->config;
    if (row0 >= row1)
        return;
    model->backend->ops->embedding_forward(
        model->backend, block(activations->layers[0].x, row0, row1 - row0, c->hidden_size),
        wz_matrix(model->weights + model->embedding, c->vocab_size, c->hidden_size), token + row0);
    for (int64_t l = 0; l < c->num_hidden_layers; l++) {
        float *next = l + 1 < c->num_hidden_layers ? activations->layers[l + 1].x : activations->final;
        layer_forward(model, &activations->layers[l], next, l, segments, row0, row1 - row0);
    }
}

void wz_model_final_norm(const wz_model *model, const wz_activations *activations, const int32_t *gather,
                         int64_t count, float *hidden, float *rstd)
{
    const int64_t width = model->config.hidden_size;
    model->backend->ops->rmsnorm_forward(model->backend, wz_matrix(hidden, count, width), rstd,
                                         wz_matrix(activations->final, activations->rows, width), gather,
                                         model->weights + model->final_norm,
                                         (float)model->config.rms_norm_eps);
}

void wz_model_final_norm_backward(const wz_model *model, const wz_activations *activations,
                                  wz_backward *backward, const int32_t *gather, int64_t count,
                                  const float *dhidden, const float *rstd, const wz_row_groups *entry_groups)
{
    const int64_t width = model->config.hidden_size;
    model->backend->ops->rmsnorm_backward(
        model->backend, wz_matrix(backward->dx, activations->rows, width), model->final_norm_gradient,
        wz_matrix((float *)dhidden, count, width), wz_matrix(activations->final, activations->rows, width),
        gather, rstd, model->weights + model->final_norm, entry_groups);
}

static void layer_backward(const wz_model *model, const wz_layer_activations *a, wz_backward *b, int64_t l,
                           const wz_segments *segments, const wz_row_groups *groups)
{
    const wz_model_config *c = &model->config;
    const wz_backend_ops *ops = model->backend->ops;
    wz_backend *be = model->backend;
    const wz_layer_offsets *at = &model->layers[l];
    const layer_linears w = linears_of(model, model->weights, l), g = linears_of(model, model->gradients, l);
    const wz_attention attention = attention_of(c);
    const int64_t rows = segments->rows, hidden = c->hidden_size, ff = c->intermediate_size;
    const int64_t q = attention.heads * attention.head_dim, qkv_width = w.qkv.weight.rows;
    wz_tensor dx = wz_matrix(b->dx, rows, hidden), dnorm = wz_matrix(b->dnorm, rows, hidden);
    wz_tensor dswiglu = wz_matrix(b->dswiglu, rows, ff), dgate_up = wz_matrix(b->dgate_up, rows, 2 * ff);
    wz_tensor dattention = wz_matrix(b->dattention, rows, q), dqkv = wz_matrix(b->dqkv, rows, qkv_width);

    ops->linear_backward_input(be, dswiglu, dx, &w.down);
    ops->linear_backward_weight(be, &g.down, dx, wz_matrix(a->swiglu, rows, ff), groups);
    ops->swiglu_backward(be, dgate_up, dswiglu, wz_matrix(a->gate_up, rows, 2 * ff));
    ops->linear_backward_input(be, dnorm, dgate_up, &w.gate_up);
    ops->linear_backward_weight(be, &g.gate_up, dgate_up, wz_matrix(a->norm2, rows, hidden), groups);
    ops->rmsnorm_backward(be, dx, model->gradients + at->post_norm, dnorm, wz_matrix(a->middle, rows, hidden),
                          NULL, a->rstd2, model->weights + at->post_norm, groups);
    ops->linear_backward_input(be, dattention, dx, &w.o);
    ops->linear_backward_weight(be, &g.o, dx, wz_matrix(a->attention, rows, q), groups);
    ops->attention_backward(be, dqkv, dattention, wz_matrix(a->attention, rows, q), a->lse,
                            wz_matrix(a->qkv, rows, qkv_width), segments, &attention);
    ops->rope(be, dqkv, segments->row_position, model->rope_table, &attention, true);
    if (c->use_qk_norm)
        ops->qk_norm_backward(
            be, dqkv, model->gradients + at->q_norm, model->gradients + at->k_norm,
            wz_matrix(a->qk_raw, rows, (attention.heads + attention.kv_heads) * attention.head_dim),
            a->qk_rstd, &attention, model->weights + at->q_norm, model->weights + at->k_norm, groups);
    ops->linear_backward_input(be, dnorm, dqkv, &w.qkv);
    ops->linear_backward_weight(be, &g.qkv, dqkv, wz_matrix(a->norm1, rows, hidden), groups);
    ops->rmsnorm_backward(be, dx, model->gradients + at->input_norm, dnorm, wz_matrix(a->x, rows, hidden),
                          NULL, a->rstd1, model->weights + at->input_norm, groups);
}

void wz_model_backward(const wz_model *model, const wz_activations *activations, wz_backward *backward,
                       const wz_segments *segments, const int32_t *token, const wz_row_groups *groups)
{
    const wz_model_config *c = &model->config;
    for (int64_t l = c->num_hidden_layers - 1; l >= 0; l--)
        layer_backward(model, &activations->layers[l], backward, l, segments, groups);
    model->backend->ops->embedding_backward(
        model->backend, wz_matrix(model->embedding_gradient, c->vocab_size, c->hidden_size),
        wz_matrix(backward->dx, segments->rows, c->hidden_size), token, groups);
}
