/* Times of the ops one by one, on a pack as training leaves it, at the first layer's shapes. */
#include <math.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/run/benchmark.h"

#define OP_SECONDS 0.1 /* each op is repeated for this long */

typedef struct op_bench {
    const wz_model *model;
    const wz_pack *pack;
    wz_activations *activations;
    wz_backward *backward;
    wz_groups rows, decisions;
    wz_entry_vectors entries;
    wz_attention attention;
    wz_linear weight[4], gradient[4]; /* qkv, o, gate_up, down */
    wz_tensor input[4], output[4], dinput[4], doutput[4];
} op_bench;

static const wz_backend_ops *ops_of(const op_bench *b)
{
    return b->model->backend->ops;
}

static wz_tensor row_block(const op_bench *b, float *data, int64_t width)
{
    return wz_matrix(data, b->pack->segments.rows, width);
}

/* The same of the working type. */
static wz_tensor working(const op_bench *b, void *data, int64_t width)
{
    return wz_working(b->model->backend, data, 0, b->pack->segments.rows, width);
}

static void time_rmsnorm(op_bench *b)
{
    const wz_layer_activations *a = &b->activations->layers[0];
    const int64_t width = b->model->config.hidden_size;
    ops_of(b)->rmsnorm_forward(b->model->backend, working(b, a->norm1, width), a->rstd1,
                               row_block(b, a->x, width), NULL,
                               b->model->weights + b->model->layers[0].input_norm, 1e-5f);
}

static void time_rmsnorm_backward(op_bench *b)
{
    const wz_layer_activations *a = &b->activations->layers[0];
    const int64_t width = b->model->config.hidden_size;
    const wz_tensor none = {0};
    ops_of(b)->rmsnorm_backward(b->model->backend, row_block(b, b->backward->dx, width), none, none,
                                b->model->gradients + b->model->layers[0].input_norm,
                                working(b, b->backward->dnorm, width), row_block(b, a->x, width), NULL,
                                a->rstd1, b->model->weights + b->model->layers[0].input_norm, &b->rows.view);
}

static void time_linear(op_bench *b)
{
    const wz_tensor none = {0};
    for (int i = 0; i < 4; i++)
        ops_of(b)->linear_forward(b->model->backend, b->output[i], b->input[i], &b->weight[i], none);
}

static void time_linear_dx(op_bench *b)
{
    for (int i = 0; i < 4; i++)
        ops_of(b)->linear_backward_input(b->model->backend, b->dinput[i], b->doutput[i], &b->weight[i]);
}

static void time_linear_dw(op_bench *b)
{
    for (int i = 0; i < 4; i++)
        ops_of(b)->linear_backward_weight(b->model->backend, &b->gradient[i], b->doutput[i], b->input[i],
                                          &b->rows.view);
}

static void time_rope(op_bench *b)
{
    ops_of(b)->rope(b->model->backend, b->output[0], b->pack->segments.row_position, b->model->rope_table,
                    &b->attention, false);
}

static void time_attention(op_bench *b)
{
    const wz_layer_activations *a = &b->activations->layers[0];
    ops_of(b)->attention_forward(b->model->backend, b->input[1], a->lse, b->output[0], &b->pack->segments, 0,
                                 b->pack->segments.rows, false, &b->attention);
}

static void time_attention_backward(op_bench *b)
{
    const wz_layer_activations *a = &b->activations->layers[0];
    ops_of(b)->attention_backward(b->model->backend, b->doutput[0], b->dinput[1], b->input[1], a->lse,
                                  b->output[0], &b->pack->segments, false, &b->attention);
}

static void time_swiglu(op_bench *b)
{
    ops_of(b)->swiglu_forward(b->model->backend, b->input[3], b->output[2]);
}

static void time_swiglu_backward(op_bench *b)
{
    ops_of(b)->swiglu_backward(b->model->backend, b->doutput[2], b->input[3], b->dinput[3], b->output[2]);
}

static void time_head_score_backward(op_bench *b)
{
    const wz_decisions *d = &b->pack->decisions;
    const int64_t width = b->model->config.hidden_size;
    const wz_linear head = wz_model_head(b->model);
    ops_of(b)->head_score_backward(b->model->backend, wz_matrix(b->entries.dhidden, d->count, width),
                                   wz_model_head_gradient(b->model), d->logp, d->entropy, d->logp, d->entropy,
                                   wz_matrix(b->entries.hidden, d->count, width), &head, d->target, d->mask,
                                   &b->pack->mask_table, 1.0f, &b->decisions.view);
}

static void time_adamw(op_bench *b)
{
    const wz_adamw nothing = {.beta1 = 0.9f, .beta2 = 0.95f, .epsilon = 1e-8f, .step = 1};
    ops_of(b)->adamw(b->model->backend, b->model->weights, b->model->adam_m, b->model->adam_v,
                     b->model->gradients, b->model->floats, 0.0f, &nothing);
}

typedef struct op_case {
    const char *name;
    void (*run)(op_bench *bench);
    int per_layer; /* calls in one layer; 0: once per step */
} op_case;

static const op_case cases[] = {{"rmsnorm", time_rmsnorm, 2},
                                {"linear (4)", time_linear, 1},
                                {"rope", time_rope, 2},
                                {"attention", time_attention, 1},
                                {"swiglu", time_swiglu, 1},
                                {"rmsnorm backward", time_rmsnorm_backward, 2},
                                {"linear dx (4)", time_linear_dx, 1},
                                {"linear dw (4)", time_linear_dw, 1},
                                {"attention backward", time_attention_backward, 1},
                                {"swiglu backward", time_swiglu_backward, 1},
                                {"head score backward", time_head_score_backward, 0},
                                {"adamw", time_adamw, 0}};

static void set_tensors(op_bench *b)
{
    const wz_model_config *c = &b->model->config;
    const wz_layer_activations *a = &b->activations->layers[0];
    const wz_backward *backward = b->backward;
    void *const inputs[4] = {a->norm1, a->attention, a->norm2, a->swiglu};
    void *const dinputs[4] = {backward->dnorm, backward->dattention, backward->dnorm, backward->dswiglu};
    void *const stream = b->model->backend->working_type == WZ_F32 ? backward->dx : backward->dstream;
    void *const doutputs[4] = {backward->dqkv, stream, backward->dgate_up, stream};
    b->attention = wz_model_attention(&b->model->config);
    const wz_layer_linears weight = wz_model_linears(b->model, b->model->weights, 0),
                           gradient = wz_model_linears(b->model, b->model->gradients, 0);
    const wz_linear *const weights[4] = {&weight.qkv, &weight.o, &weight.gate_up, &weight.down};
    const wz_linear *const gradients[4] = {&gradient.qkv, &gradient.o, &gradient.gate_up, &gradient.down};
    for (int i = 0; i < 4; i++) {
        const int64_t out = weights[i]->weight.rows, in = weights[i]->weight.columns;
        b->weight[i] = *weights[i];
        b->gradient[i] = *gradients[i];
        b->input[i] = working(b, inputs[i], in);
        b->dinput[i] = working(b, dinputs[i], in);
        b->doutput[i] = working(b, doutputs[i], out);
    }
    b->output[0] = working(b, a->qkv, weight.qkv.weight.rows);
    b->output[2] = working(b, a->gate_up, weight.gate_up.weight.rows);
    b->output[1] = b->output[3] = row_block(b, a->middle, c->hidden_size);
}

/* A call and the wait for its end: the best of several. */
static wz_status time_call(op_bench *b, void (*run)(op_bench *bench), double *best, wz_error *err)
{
    wz_status status = WZ_OK;
    *best = INFINITY;
    for (double spent = 0.0; status == WZ_OK && spent < OP_SECONDS;) {
        const double start = wz_now_s();
        run(b);
        status = ops_of(b)->sync(b->model->backend, err);
        const double elapsed = wz_now_s() - start;
        *best = elapsed < *best ? elapsed : *best;
        spent += elapsed;
    }
    return status;
}

wz_status wz_benchmark_ops(const wz_model *model, const wz_pack *pack, int64_t packs, wz_benchmark *out,
                           wz_error *err)
{
    op_bench b = {.model = model, .pack = pack};
    const int64_t rows = pack->segments.rows;
    wz_status status = wz_activations_create(model, rows, WZ_KEEP_ALL, &b.activations, err);
    if (status == WZ_OK)
        status = wz_backward_create(model, rows, &b.backward, err);
    if (status == WZ_OK)
        status = wz_backward_entries(model, b.backward, pack->decisions.count, &b.entries, err);
    if (status == WZ_OK)
        status = wz_pack_row_groups(pack, &b.rows, err);
    if (status == WZ_OK)
        status =
            wz_pack_entry_groups(pack, pack->decisions.completion, pack->decisions.count, &b.decisions, err);
    if (status == WZ_OK) {
        wz_model_forward(model, b.activations, &pack->segments, pack->row_token, 0, rows);
        wz_model_final_norm(model, b.activations, pack->decisions.site, pack->decisions.count,
                            b.entries.hidden, b.entries.rstd);
        set_tensors(&b);
        out->op_count = sizeof cases / sizeof cases[0];
        status = model->backend->ops->sync(model->backend, err);
        for (size_t i = 0; status == WZ_OK && i < out->op_count; i++) {
            const int64_t layers = cases[i].per_layer * model->config.num_hidden_layers;
            const int64_t calls = cases[i].run == time_adamw ? 1 : packs * (layers > 0 ? layers : 1);
            double seconds = 0.0;
            status = time_call(&b, cases[i].run, &seconds, err);
            out->ops[i] = (wz_bench_op){cases[i].name, seconds * (double)calls};
        }
    }
    wz_groups_clear(&b.rows);
    wz_groups_clear(&b.decisions);
    wz_backward_destroy(b.backward);
    wz_activations_destroy(b.activations);
    return status;
}
