/* Backward pass, in backend ops. */
#include "engine/model/pass.h"

static wz_tensor rows_of(wz_tensor tensor, int64_t row0, int64_t rows)
{
    tensor.data = (char *)tensor.data + (size_t)(row0 * tensor.stride) * wz_type_bytes(tensor.type);
    tensor.rows = rows;
    return tensor;
}

void wz_model_backward_begin(const wz_model *model, wz_backward *backward, const wz_segments *segments)
{
    model->backend->ops->fill_zero(model->backend, backward->dfinal,
                                   (size_t)(segments->sites * model->config.hidden_size) * sizeof(float));
}

void wz_model_final_norm_backward(const wz_model *model, const wz_activations *activations,
                                  wz_backward *backward, const int32_t *site, int64_t count,
                                  const float *dhidden, const float *rstd, const wz_row_groups *entry_groups)
{
    const int64_t width = model->config.hidden_size;
    const wz_tensor none = {0};
    model->backend->ops->rmsnorm_backward(
        model->backend, wz_matrix(backward->dfinal, activations->rows, width), none, none,
        model->final_norm_gradient, wz_matrix((float *)dhidden, count, width),
        wz_matrix(activations->final, activations->rows, width), site, rstd,
        model->weights + model->final_norm, entry_groups);
}

static void keys_again(void *context, int64_t first, int64_t end)
{
    const pass *p = context;
    wz_pass_begin_layer(p, p->layer, first, end - first);
}

static void continue_again(void *context, int64_t first, int64_t end)
{
    const pass *p = context;
    wz_pass_continue_layer(p, p->layer, first, end - first);
}

/* What layer p->layer computed between its input and its second product, where only the input and qkv were kept. With
 * QK-norm the backward pass wants q and k as they were before it: qkv is made again, too, of the same bits. */
static void compute_layer_again(const pass *p)
{
    wz_backend *be = p->model->backend;
    const int64_t rows = p->segments->rows, count = is_last(p, p->layer) ? p->segments->sites : rows;
    if (p->model->config.use_qk_norm)
        be->ops->for_row_blocks(be, rows, keys_again, (void *)p);
    wz_pass_attend(p, 0, rows);
    be->ops->for_row_blocks(be, count, continue_again, (void *)p);
}

/* The place of the copy that products read in place of dy, the residual stream's gradient; data NULL: they read dy. */
static wz_tensor stream_copy(const pass *p, wz_tensor dy)
{
    const wz_backend *be = p->model->backend;
    const wz_tensor none = {0};
    return be->working_type == WZ_F32 ? none : wz_working(be, p->backward->dstream, 0, dy.rows, dy.columns);
}

static wz_tensor as_products_read(const pass *p, wz_tensor dy)
{
    const wz_tensor copy = stream_copy(p, dy);
    return copy.data != NULL ? copy : dy;
}

/* Through the MLP to its norm's output, for a block of rows; swiglu is computed again on the way. */
static void mlp_backward(void *context, int64_t row0, int64_t end)
{
    const pass *p = context;
    const wz_model *model = p->model;
    const wz_backend_ops *ops = model->backend->ops;
    wz_backend *be = model->backend;
    const wz_layer_activations *a = &p->activations->layers[p->layer];
    const wz_backward *b = p->backward;
    const wz_layer_linears w = wz_model_linears(model, model->weights, p->layer);
    const int64_t rows = end - row0, hidden = model->config.hidden_size, ff = model->config.intermediate_size;
    wz_tensor dswiglu = wz_working(be, b->dswiglu, row0, rows, ff),
              dgate_up = wz_working(be, b->dgate_up, row0, rows, 2 * ff);

    ops->linear_backward_input(be, dswiglu, rows_of(p->dy, row0, rows), &w.down);
    ops->swiglu_backward(be, dgate_up, wz_working(be, a->swiglu, row0, rows, ff), dswiglu,
                         wz_working(be, a->gate_up, row0, rows, 2 * ff));
    ops->linear_backward_input(be, wz_working(be, b->dnorm, row0, rows, hidden), dgate_up, &w.gate_up);
}

/* Through the linear layer of q, k and v to its norm's output. */
static void qkv_backward(void *context, int64_t row0, int64_t end)
{
    const pass *p = context;
    const wz_model *model = p->model;
    wz_backend *be = model->backend;
    const wz_layer_linears w = wz_model_linears(model, model->weights, p->layer);
    const int64_t rows = end - row0, hidden = model->config.hidden_size;
    be->ops->linear_backward_input(be, wz_working(be, p->backward->dnorm, row0, rows, hidden),
                                   wz_working(be, p->backward->dqkv, row0, rows, w.qkv.weight.rows), &w.qkv);
}

/* Gradients of a linear layer's weights, or of its pairs. */
static void weight_backward(const pass *p, const wz_linear *gradient, const wz_linear *linear, wz_tensor dy,
                            wz_tensor x, const wz_row_groups *groups)
{
    wz_backend *be = p->model->backend;
    if (gradient->weight.data != NULL)
        be->ops->linear_backward_weight(be, gradient, dy, x, groups);
    if (linear->pairs > 0)
        be->ops->linear_backward_pairs(be, gradient, linear, dy, x, groups);
}

/* The layer's second half, from its output's gradient dy [count], which stands where products read it, to those of the
 * residual stream (in place) and of attention's result. norm2 is computed again beside its gradient. */
static void finish_backward(pass *p, wz_tensor dy, const wz_row_groups *groups)
{
    const wz_model *model = p->model;
    const wz_backend_ops *ops = model->backend->ops;
    wz_backend *be = model->backend;
    const wz_layer_activations *a = &p->activations->layers[p->layer];
    const wz_backward *b = p->backward;
    const wz_layer_offsets *at = &model->layers[p->layer];
    const wz_layer_linears w = wz_model_linears(model, model->weights, p->layer),
                           g = wz_model_linears(model, model->gradients, p->layer);
    const int64_t rows = dy.rows, hidden = dy.columns, ff = model->config.intermediate_size;
    const int64_t q = w.o.weight.columns;
    const wz_tensor norm2 = wz_working(be, a->norm2, 0, rows, hidden);

    p->dy = as_products_read(p, dy);
    ops->for_row_blocks(be, rows, mlp_backward, p);
    weight_backward(p, &g.down, &w.down, p->dy, wz_working(be, a->swiglu, 0, rows, ff), groups);
    ops->rmsnorm_backward(be, dy, stream_copy(p, dy), norm2, wz_model_gradient(model, at->post_norm),
                          wz_working(be, b->dnorm, 0, rows, hidden), wz_matrix(a->middle, rows, hidden), NULL,
                          a->rstd2, model->weights + at->post_norm, groups);
    weight_backward(p, &g.gate_up, &w.gate_up, wz_working(be, b->dgate_up, 0, rows, 2 * ff), norm2, groups);
    ops->linear_backward_input(be, wz_working(be, b->dattention, 0, rows, q), p->dy, &w.o);
    weight_backward(p, &g.o, &w.o, p->dy, wz_working(be, a->attention, 0, rows, q), groups);
}

/* The first half, from the gradients of attention's result and the residual stream to that of the layer's input, which then
 * stands where products read it. norm1 is computed again beside its gradient. */
static void begin_backward(const pass *p, const wz_row_groups *groups)
{
    const wz_model *model = p->model;
    const wz_model_config *c = &model->config;
    const wz_backend_ops *ops = model->backend->ops;
    wz_backend *be = model->backend;
    const wz_layer_activations *a = &p->activations->layers[p->layer];
    const wz_backward *b = p->backward;
    const wz_layer_offsets *at = &model->layers[p->layer];
    const wz_layer_linears w = wz_model_linears(model, model->weights, p->layer),
                           g = wz_model_linears(model, model->gradients, p->layer);
    const wz_attention attention = wz_model_attention(c);
    const int64_t rows = p->segments->rows, hidden = c->hidden_size, q = g.o.weight.columns,
                  qkv = g.qkv.weight.rows;
    wz_tensor dqkv = wz_working(be, b->dqkv, 0, rows, qkv), dx = wz_matrix(b->dx, rows, hidden),
              norm1 = wz_working(be, a->norm1, 0, rows, hidden);

    ops->attention_backward(
        be, dqkv, wz_working(be, b->dattention, 0, rows, q), wz_working(be, a->attention, 0, rows, q), a->lse,
        wz_working(be, a->qkv, 0, rows, qkv), p->segments, is_last(p, p->layer), &attention);
    ops->rope(be, dqkv, p->segments->row_position, model->rope_table, &attention, true);
    if (c->use_qk_norm)
        ops->qk_norm_backward(
            be, dqkv, wz_model_gradient(model, at->q_norm), wz_model_gradient(model, at->k_norm),
            wz_working(be, a->qk_raw, 0, rows, (attention.heads + attention.kv_heads) * attention.head_dim),
            a->qk_rstd, &attention, model->weights + at->q_norm, model->weights + at->k_norm, groups);
    ops->for_row_blocks(be, rows, qkv_backward, (void *)p);
    ops->rmsnorm_backward(be, dx, stream_copy(p, dx), norm1, wz_model_gradient(model, at->input_norm),
                          wz_working(be, b->dnorm, 0, rows, hidden), wz_matrix(a->x, rows, hidden), NULL,
                          a->rstd1, model->weights + at->input_norm, groups);
    weight_backward(p, &g.qkv, &w.qkv, dqkv, norm1, groups);
}

void wz_model_backward(const wz_model *model, const wz_activations *activations, wz_backward *backward,
                       const wz_segments *segments, const int32_t *token, const wz_row_groups *rows,
                       const wz_row_groups *sites)
{
    const wz_model_config *c = &model->config;
    const wz_backend_ops *ops = model->backend->ops;
    wz_tensor dx = wz_matrix(backward->dx, segments->rows, c->hidden_size),
              dfinal = wz_matrix(backward->dfinal, segments->sites, c->hidden_size);
    pass p = {.model = model, .activations = activations, .backward = backward, .segments = segments};
    for (p.layer = c->num_hidden_layers - 1; p.layer >= 0; p.layer--) {
        if (activations->keep == WZ_KEEP_INPUTS)
            compute_layer_again(&p);
        if (is_last(&p, p.layer)) { /* sites first, then their gradients take their rows' places */
            const wz_tensor copy = stream_copy(&p, dfinal);
            if (copy.data != NULL)
                ops->convert(model->backend, copy, dfinal);
            finish_backward(&p, dfinal, sites);
            ops->fill_zero(model->backend, backward->dx,
                           (size_t)(segments->rows * c->hidden_size) * sizeof(float));
            ops->embedding_backward(model->backend, dx, dfinal, segments->site_row, sites);
        } else {
            finish_backward(&p, dx, rows);
        }
        begin_backward(&p, rows);
    }
    if (model->embedding_gradient != NULL)
        ops->embedding_backward(model->backend,
                                wz_matrix(model->embedding_gradient, c->vocab_size, c->hidden_size), dx,
                                token, rows);
}
