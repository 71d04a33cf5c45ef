/* Forward pass and decode steps, in backend ops. */
#include "engine/model/pass.h"

/* First site from row `row` on. */
static int64_t site_from(const wz_segments *segments, int64_t row)
{
    int64_t low = 0, high = segments->sites;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (segments->site_row[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void wz_pass_begin_layer(const pass *p, int64_t l, int64_t row0, int64_t rows)
{
    const wz_model *model = p->model;
    const wz_model_config *c = &model->config;
    const wz_backend_ops *ops = model->backend->ops;
    wz_backend *be = model->backend;
    const wz_layer_activations *a = &p->activations->layers[l];
    const wz_layer_offsets *at = &model->layers[l];
    const wz_layer_linears w = wz_model_linears(model, model->weights, l);
    const wz_attention attention = wz_model_attention(c);
    const int64_t heads = attention.heads + attention.kv_heads;
    const float eps = (float)c->rms_norm_eps;
    const wz_tensor none = {0};
    wz_tensor x = block(a->x, row0, rows, c->hidden_size),
              norm1 = wz_working(be, a->norm1, row0, rows, c->hidden_size);
    wz_tensor qkv = wz_working(be, a->qkv, row0, rows, w.qkv.weight.rows);

    ops->rmsnorm_forward(be, norm1, a->rstd1 + row0, x, NULL, model->weights + at->input_norm, eps);
    ops->linear_forward(be, qkv, norm1, &w.qkv, none);
    if (c->use_qk_norm)
        ops->qk_norm_forward(be, qkv, wz_working(be, a->qk_raw, row0, rows, heads * attention.head_dim),
                             a->qk_rstd + row0 * heads, &attention, model->weights + at->q_norm,
                             model->weights + at->k_norm, eps);
    if (!p->is_step)
        ops->rope(be, qkv, p->segments->row_position + row0, model->rope_table, &attention, false);
}

void wz_pass_continue_layer(const pass *p, int64_t l, int64_t row0, int64_t rows)
{
    const wz_model *model = p->model;
    const wz_model_config *c = &model->config;
    const wz_backend_ops *ops = model->backend->ops;
    wz_backend *be = model->backend;
    const wz_layer_activations *a = &p->activations->layers[l];
    const wz_layer_linears w = wz_model_linears(model, model->weights, l);
    const int64_t hidden = c->hidden_size;
    const wz_tensor none = {0};
    wz_tensor middle = block(a->middle, row0, rows, hidden),
              norm2 = wz_working(be, a->norm2, row0, rows, hidden);
    wz_tensor x = block(a->x, row0, rows, hidden);

    if (is_last(p, l) && !p->is_step) { /* gather the residual stream of the sites */
        x = middle;
        ops->embedding_forward(be, x, wz_matrix(a->x, p->segments->rows, hidden),
                               p->segments->site_row + row0);
    }
    ops->linear_forward(be, middle, wz_working(be, a->attention, row0, rows, w.o.weight.columns), &w.o, x);
    ops->rmsnorm_forward(be, norm2, a->rstd2 + row0, middle, NULL,
                         model->weights + model->layers[l].post_norm, (float)c->rms_norm_eps);
    ops->linear_forward(be, wz_working(be, a->gate_up, row0, rows, 2 * c->intermediate_size), norm2,
                        &w.gate_up, none);
}

/* From attention's result to the layer's output `next`, for rows (of the last layer: sites) [row0, row0 + rows). */
static void finish_layer(const pass *p, int64_t l, float *next, int64_t row0, int64_t rows)
{
    const wz_model *model = p->model;
    const wz_backend_ops *ops = model->backend->ops;
    wz_backend *be = model->backend;
    const wz_layer_activations *a = &p->activations->layers[l];
    const wz_layer_linears w = wz_model_linears(model, model->weights, l);
    const int64_t hidden = model->config.hidden_size, ff = model->config.intermediate_size;
    wz_tensor swiglu = wz_working(be, a->swiglu, row0, rows, ff);

    wz_pass_continue_layer(p, l, row0, rows);
    ops->swiglu_forward(be, swiglu, wz_working(be, a->gate_up, row0, rows, 2 * ff));
    ops->linear_forward(be, block(next, row0, rows, hidden), swiglu, &w.down,
                        block(a->middle, row0, rows, hidden));
}

/* What lies between the attention of layer p->layer - 1 and that of p->layer, for a block of the pass's rows. */
static void between_attentions(void *context, int64_t first, int64_t end)
{
    const pass *p = context;
    const wz_model *model = p->model;
    const int64_t row0 = p->row0 + first, rows = end - first, hidden = model->config.hidden_size;
    float *x = p->activations->layers[p->layer].x;
    if (p->layer == 0)
        model->backend->ops->embedding_forward(model->backend, block(x, row0, rows, hidden),
                                               wz_model_embedding(model), p->token + row0);
    else
        finish_layer(p, p->layer - 1, x, row0, rows);
    wz_pass_begin_layer(p, p->layer, row0, rows);
}

/* What follows the last attention, for a block of the pass's sites. */
static void after_attentions(void *context, int64_t first, int64_t end)
{
    const pass *p = context;
    finish_layer(p, p->layer, p->activations->final, p->site0 + first, end - first);
}

void wz_pass_attend(const pass *p, int64_t row0, int64_t row1)
{
    const wz_layer_activations *a = &p->activations->layers[p->layer];
    const wz_attention attention = wz_model_attention(&p->model->config);
    wz_backend *be = p->model->backend;
    const int64_t q = attention.heads * attention.head_dim,
                  qkv = q + 2 * attention.kv_heads * attention.head_dim, rows = p->segments->rows;
    be->ops->attention_forward(be, wz_working(be, a->attention, 0, rows, q), a->lse,
                               wz_working(be, a->qkv, 0, rows, qkv), p->segments, row0, row1,
                               is_last(p, p->layer), &attention);
}

void wz_model_forward(const wz_model *model, wz_activations *activations, const wz_segments *segments,
                      const int32_t *token, int64_t row0, int64_t row1)
{
    const wz_backend_ops *ops = model->backend->ops;
    pass p = {.model = model,
              .activations = activations,
              .segments = segments,
              .token = token,
              .row0 = row0,
              .site0 = site_from(segments, row0)};
    if (row0 >= row1)
        return;
    for (p.layer = 0; p.layer < model->config.num_hidden_layers; p.layer++) {
        ops->for_row_blocks(model->backend, row1 - row0, between_attentions, &p);
        wz_pass_attend(&p, row0, row1);
    }
    p.layer = model->config.num_hidden_layers - 1;
    ops->for_row_blocks(model->backend, site_from(segments, row1) - p.site0, after_attentions, &p);
}

/* --- a decode step that the device lays out --- */

typedef struct stored_list {
    const wz_backend *backend;
    wz_stored each[WZ_STORED];
    int count;
    int64_t rows; /* of the step */
} stored_list;

static void add_stored(stored_list *list, wz_tensor to, wz_tensor from, bool at_sites)
{
    if (from.data != NULL)
        list->each[list->count++] = (wz_stored){to, from, at_sites};
}

static void add_fp32(stored_list *list, float *to, float *from, int64_t columns, bool at_sites)
{
    add_stored(list, wz_matrix(to, 0, columns), wz_matrix(from, list->rows, columns), at_sites);
}

static void add_working(stored_list *list, void *to, void *from, int64_t columns, bool at_sites)
{
    add_stored(list, wz_working(list->backend, to, 0, 0, columns),
               wz_working(list->backend, from, 0, list->rows, columns), at_sites);
}

/* Of a layer's first half: the KV cache, and what else the pack's activations keep. */
static void store_first_half(stored_list *list, const wz_model_config *c, wz_keep keep,
                             const wz_layer_activations *to, const wz_layer_activations *from)
{
    const int64_t heads = c->num_attention_heads + c->num_key_value_heads;
    add_working(list, to->qkv, from->qkv, (heads + c->num_key_value_heads) * c->head_dim, false);
    if (keep == WZ_KEEP_CACHE)
        return;
    add_fp32(list, to->x, from->x, c->hidden_size, false);
    add_fp32(list, to->rstd1, from->rstd1, 1, false);
    if (keep != WZ_KEEP_ALL)
        return;
    add_working(list, to->qk_raw, from->qk_raw, heads * c->head_dim, false);
    add_fp32(list, to->qk_rstd, from->qk_rstd, heads, false);
}

static void store_second_half(stored_list *list, const wz_model_config *c, wz_keep keep,
                              const wz_layer_activations *to, const wz_layer_activations *from, bool at_sites)
{
    if (keep != WZ_KEEP_ALL)
        return;
    add_working(list, to->attention, from->attention, c->num_attention_heads * c->head_dim, at_sites);
    add_fp32(list, to->lse, from->lse, c->num_attention_heads, at_sites);
    add_fp32(list, to->middle, from->middle, c->hidden_size, at_sites);
    add_fp32(list, to->rstd2, from->rstd2, 1, at_sites);
    add_working(list, to->gate_up, from->gate_up, 2 * c->intermediate_size, at_sites);
}

void wz_model_decode_step(const wz_model *model, wz_activations *cache, const wz_activations *step,
                          const wz_decode_view *view, const wz_decode_size *size)
{
    const wz_model_config *c = &model->config;
    wz_backend *be = model->backend;
    const wz_decode_ops *decode = be->ops->decode;
    const wz_attention attention = wz_model_attention(c);
    const int64_t q = attention.heads * attention.head_dim,
                  qkv = q + 2 * attention.kv_heads * attention.head_dim, last = c->num_hidden_layers - 1;
    const wz_segments rows = {.rows = size->rows, .sites = size->rows};
    const wz_rotation rotation = {view->position, model->rope_table, attention};
    pass p = {.model = model, .activations = step, .segments = &rows, .token = view->token, .is_step = true};
    for (p.layer = 0; p.layer <= last; p.layer++) {
        const wz_layer_activations *a = &step->layers[p.layer];
        stored_list list = {.backend = be, .rows = size->rows};
        be->ops->for_row_blocks(be, size->rows, between_attentions, &p);
        store_first_half(&list, c, cache->keep, &cache->layers[p.layer], a);
        if (p.layer > 0)
            store_second_half(&list, c, cache->keep, &cache->layers[p.layer - 1], a - 1, false);
        decode->store(be, list.each, list.count, &rotation);
        decode->attention(be, wz_working(be, a->attention, 0, size->rows, q), a->lse,
                          wz_working(be, cache->layers[p.layer].qkv, 0, cache->rows, qkv), size, &attention);
    }
    p.layer = last;
    be->ops->for_row_blocks(be, size->rows, after_attentions, &p);
    stored_list list = {.backend = be, .rows = size->rows};
    store_second_half(&list, c, cache->keep, &cache->layers[last], &step->layers[last], true);
    add_fp32(&list, cache->final, step->final, c->hidden_size, true);
    decode->store(be, list.each, list.count, NULL);
}

void wz_model_final_norm(const wz_model *model, const wz_activations *activations, const int32_t *site,
                         int64_t count, float *hidden, float *rstd)
{
    const int64_t width = model->config.hidden_size;
    model->backend->ops->rmsnorm_forward(model->backend, wz_matrix(hidden, count, width), rstd,
                                         wz_matrix(activations->final, activations->rows, width), site,
                                         model->weights + model->final_norm,
                                         (float)model->config.rms_norm_eps);
}
