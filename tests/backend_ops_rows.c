/* Row-wise ops: embedding, RMSNorm, linear, per-head norm, RoPE, SwiGLU. */
#include <math.h>
#include <string.h>

#include <check.h>

#include "tests/backend_ops.h"

/* ---- embedding: y[i] = table[token[i]] ---- */
enum { TABLE, EMBEDDED };

static size_t embedding_fields(const shape *s, field *out)
{
    out[TABLE] = (field){
        .name = "table", .rows = s->vocab, .columns = s->in, .type = s->frozen_type, .gradient = ADDED};
    out[EMBEDDED] = (field){.name = "y", .rows = s->rows, .columns = s->in, .output = true};
    return 2;
}

static void embedding_reference(const bench *b, double *const *at)
{
    const int64_t n = b->s->in;
    for (int64_t i = 0; i < b->s->rows; i++)
        memcpy(at[EMBEDDED] + i * n, at[TABLE] + b->token[i] * n, (size_t)n * sizeof(double));
}

static void embedding_forward(bench *b)
{
    b->be->ops->embedding_forward(b->be, bench_tensor(b, EMBEDDED), bench_tensor(b, TABLE), b->token);
}

static void embedding_backward(bench *b)
{
    b->be->ops->embedding_backward(b->be, bench_gradient(b, TABLE), bench_gradient(b, EMBEDDED), b->token,
                                   &b->part);
}

static int64_t embedding_terms(const shape *s)
{
    return s->rows;
}

const op_kind op_embedding = {.name = "embedding",
                              .fields = embedding_fields,
                              .reference = embedding_reference,
                              .forward = embedding_forward,
                              .backward = embedding_backward,
                              .terms = embedding_terms,
                              .grouped = true};

/* ---- rmsnorm: y = x / sqrt(mean(x^2) + eps) weight ---- */
enum { NORM_X, NORM_WEIGHT, NORM_Y, NORM_RSTD };
#define NORM_EPS 1e-5

static size_t norm_fields(const shape *s, field *out)
{
    const int64_t inputs = s->gathered ? 3 * s->groups + 2 : s->rows;
    out[NORM_X] = (field){.name = "x", .rows = inputs, .columns = s->in, .gradient = ADDED};
    out[NORM_WEIGHT] =
        (field){.name = "weight", .rows = 1, .columns = s->in, .packed = true, .gradient = ADDED};
    out[NORM_Y] = working(s, (field){.name = "y", .rows = s->rows, .columns = s->in, .output = true});
    out[NORM_RSTD] =
        (field){.name = "rstd", .rows = s->rows, .columns = 1, .packed = true, .output = true, .kept = true};
    return 4;
}

static double norm_row(double *y, const double *x, const double *weight, int64_t n)
{
    double sum = 0.0;
    for (int64_t d = 0; d < n; d++)
        sum += x[d] * x[d];
    const double rstd = 1.0 / sqrt(sum / (double)n + (double)(float)NORM_EPS);
    for (int64_t d = 0; d < n; d++)
        y[d] = x[d] * rstd * weight[d];
    return rstd;
}

static void norm_reference(const bench *b, double *const *at)
{
    const int64_t n = b->s->in;
    for (int64_t i = 0; i < b->s->rows; i++)
        at[NORM_RSTD][i] = norm_row(at[NORM_Y] + i * n, at[NORM_X] + (b->s->gathered ? b->gather[i] : i) * n,
                                    at[NORM_WEIGHT], n);
}

static void norm_forward(bench *b)
{
    b->be->ops->rmsnorm_forward(b->be, bench_tensor(b, NORM_Y), b->value[NORM_RSTD], bench_tensor(b, NORM_X),
                                b->s->gathered ? b->gather : NULL, b->value[NORM_WEIGHT], (float)NORM_EPS);
}

static void norm_backward(bench *b)
{
    const wz_tensor none = {0};
    b->be->ops->rmsnorm_backward(b->be, bench_gradient(b, NORM_X), none, none, b->gradient[NORM_WEIGHT],
                                 bench_gradient(b, NORM_Y), bench_tensor(b, NORM_X),
                                 b->s->gathered ? b->gather : NULL, b->value[NORM_RSTD],
                                 b->value[NORM_WEIGHT], &b->part);
}

static int64_t norm_terms(const shape *s)
{
    return (s->in > s->rows ? s->in : s->rows) + 8;
}

const op_kind op_rmsnorm = {.name = "rmsnorm",
                            .fields = norm_fields,
                            .reference = norm_reference,
                            .forward = norm_forward,
                            .backward = norm_backward,
                            .terms = norm_terms,
                            .typed = true,
                            .grouped = true};

/* ---- linear: y = residual + x w^T + bias ---- */
enum { LINEAR_X, LINEAR_WEIGHT, LINEAR_BIAS, LINEAR_RESIDUAL, LINEAR_Y };

static size_t linear_fields(const shape *s, field *out)
{
    out[LINEAR_X] = working(s, (field){.name = "x", .rows = s->rows, .columns = s->in, .gradient = WRITTEN});
    out[LINEAR_WEIGHT] = (field){.name = "weight",
                                 .rows = s->out,
                                 .columns = s->in,
                                 .type = s->frozen_type,
                                 .gradient = s->frozen ? NO_GRADIENT : ADDED};
    out[LINEAR_BIAS] = (field){.name = "bias",
                               .rows = s->bias ? 1 : 0,
                               .columns = s->out,
                               .gradient = s->frozen || !s->bias ? NO_GRADIENT : ADDED};
    out[LINEAR_RESIDUAL] = (field){.name = "residual", .rows = s->residual ? s->rows : 0, .columns = s->out};
    out[LINEAR_Y] = (field){.name = "y",
                            .rows = s->rows,
                            .columns = s->out,
                            .output = true,
                            .type = s->residual ? WZ_F32 : s->type, /* as in the model */
                            .gradient_type = s->type};
    return 5;
}

static void linear_reference(const bench *b, double *const *at)
{
    const shape *s = b->s;
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t o = 0; o < s->out; o++) {
            double sum = s->residual ? at[LINEAR_RESIDUAL][i * s->out + o] : 0.0;
            for (int64_t k = 0; k < s->in; k++)
                sum += at[LINEAR_X][i * s->in + k] * at[LINEAR_WEIGHT][o * s->in + k];
            at[LINEAR_Y][i * s->out + o] = sum + (s->bias ? at[LINEAR_BIAS][o] : 0.0);
        }
}

static wz_linear open_weights(const bench *b)
{
    wz_linear linear = {.weight = bench_tensor(b, LINEAR_WEIGHT), .bias = bench_tensor(b, LINEAR_BIAS)};
    if (b->s->prepared || b->s->type != WZ_F32)
        linear.prepared = backend_prepare(b->be, &linear);
    return linear;
}

static void close_weights(const bench *b, const wz_linear *linear)
{
    if (linear->prepared != NULL)
        b->be->ops->release(b->be, (void *)linear->prepared);
}

static void linear_forward(bench *b)
{
    const wz_linear weights = open_weights(b);
    wz_tensor residual = bench_tensor(b, LINEAR_RESIDUAL), y = bench_tensor(b, LINEAR_Y);
    if (b->s->aliased) {
        bench_copy(b, y.data, residual.data, LINEAR_Y);
        residual = y;
    }
    b->be->ops->linear_forward(b->be, y, bench_tensor(b, LINEAR_X), &weights, residual);
    close_weights(b, &weights);
}

static void linear_backward(bench *b)
{
    const wz_linear weights = open_weights(b);
    wz_linear gradient = {.weight = bench_gradient(b, LINEAR_WEIGHT), .bias = bench_gradient(b, LINEAR_BIAS)};
    if (b->s->frozen)
        gradient.weight.data = gradient.bias.data = NULL;
    b->be->ops->linear_backward_input(b->be, bench_gradient(b, LINEAR_X), bench_gradient(b, LINEAR_Y),
                                      &weights);
    b->be->ops->linear_backward_weight(b->be, &gradient, bench_gradient(b, LINEAR_Y),
                                       bench_tensor(b, LINEAR_X), &b->part);
    close_weights(b, &weights);
}

static int64_t linear_terms(const shape *s)
{
    int64_t most = s->in > s->out ? s->in : s->out;
    return (most > s->rows ? most : s->rows) + 4;
}

const op_kind op_linear = {.name = "linear",
                           .fields = linear_fields,
                           .reference = linear_reference,
                           .forward = linear_forward,
                           .backward = linear_backward,
                           .terms = linear_terms,
                           .typed = true,
                           .grouped = true};

/* ---- per-head norm of q and k in place; v untouched ---- */
enum { HEADS_X, HEADS_Q, HEADS_K, HEADS_Y, HEADS_RAW, HEADS_RSTD };

static int64_t qkv_width(const shape *s)
{
    return (s->heads + 2 * s->kv_heads) * s->head_dim;
}

static size_t qk_norm_fields(const shape *s, field *out)
{
    const int64_t heads = s->heads + s->kv_heads;
    out[HEADS_X] =
        working(s, (field){.name = "qkv", .rows = s->rows, .columns = qkv_width(s), .gradient = WRITTEN});
    out[HEADS_Q] =
        (field){.name = "q weight", .rows = 1, .columns = s->head_dim, .packed = true, .gradient = ADDED};
    out[HEADS_K] =
        (field){.name = "k weight", .rows = 1, .columns = s->head_dim, .packed = true, .gradient = ADDED};
    out[HEADS_Y] = working(s, (field){.name = "y", .rows = s->rows, .columns = qkv_width(s), .output = true});
    out[HEADS_RAW] = (field){.name = "raw",
                             .rows = s->rows,
                             .columns = heads * s->head_dim,
                             .output = true,
                             .kept = true,
                             .type = s->type};
    out[HEADS_RSTD] = (field){
        .name = "rstd", .rows = s->rows, .columns = heads, .packed = true, .output = true, .kept = true};
    return 6;
}

static void qk_norm_reference(const bench *b, double *const *at)
{
    const shape *s = b->s;
    const int64_t heads = s->heads + s->kv_heads, n = s->head_dim, width = qkv_width(s);
    memcpy(at[HEADS_Y], at[HEADS_X], (size_t)(s->rows * width) * sizeof(double));
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t h = 0; h < heads; h++) {
            memcpy(at[HEADS_RAW] + (i * heads + h) * n, at[HEADS_X] + i * width + h * n,
                   (size_t)n * sizeof(double));
            at[HEADS_RSTD][i * heads + h] =
                norm_row(at[HEADS_Y] + i * width + h * n, at[HEADS_X] + i * width + h * n,
                         at[h < s->heads ? HEADS_Q : HEADS_K], n);
        }
}

static void qk_norm_forward(bench *b)
{
    const wz_attention attention = bench_attention(b);
    bench_copy(b, b->value[HEADS_Y], b->value[HEADS_X], HEADS_X);
    b->be->ops->qk_norm_forward(b->be, bench_tensor(b, HEADS_Y), bench_tensor(b, HEADS_RAW),
                                b->value[HEADS_RSTD], &attention, b->value[HEADS_Q], b->value[HEADS_K],
                                (float)NORM_EPS);
}

static void qk_norm_backward(bench *b)
{
    const wz_attention attention = bench_attention(b);
    if (!b->resumed)
        bench_copy(b, b->gradient[HEADS_X], b->gradient[HEADS_Y], HEADS_X);
    b->be->ops->qk_norm_backward(b->be, bench_gradient(b, HEADS_X), b->gradient[HEADS_Q],
                                 b->gradient[HEADS_K], bench_tensor(b, HEADS_RAW), b->value[HEADS_RSTD],
                                 &attention, b->value[HEADS_Q], b->value[HEADS_K], &b->part);
}

static int64_t qk_norm_terms(const shape *s)
{
    return s->head_dim + s->rows * s->heads + 8;
}

const op_kind op_qk_norm = {.name = "qk_norm",
                            .fields = qk_norm_fields,
                            .reference = qk_norm_reference,
                            .forward = qk_norm_forward,
                            .backward = qk_norm_backward,
                            .terms = qk_norm_terms,
                            .typed = true,
                            .grouped = true};

/* ---- RoPE: (x1, x2) -> (x1 c - x2 s, x2 c + x1 s) for q and k; the table's entries stand for any c and s ---- */
enum { ROPE_X, ROPE_TABLE, ROPE_Y };
#define POSITIONS 11

static int32_t rope_position(int64_t row)
{
    return (int32_t)(row * 13 % POSITIONS);
}

static size_t rope_fields(const shape *s, field *out)
{
    out[ROPE_X] =
        working(s, (field){.name = "qkv", .rows = s->rows, .columns = qkv_width(s), .gradient = WRITTEN});
    out[ROPE_TABLE] = (field){.name = "table", .rows = POSITIONS, .columns = s->head_dim, .packed = true};
    out[ROPE_Y] = out[ROPE_X];
    out[ROPE_Y].name = "y";
    out[ROPE_Y].gradient = NO_GRADIENT;
    out[ROPE_Y].output = true;
    return 3;
}

static void rope_reference(const bench *b, double *const *at)
{
    const shape *s = b->s;
    const int64_t half = s->head_dim / 2, width = qkv_width(s);
    memcpy(at[ROPE_Y], at[ROPE_X], (size_t)(s->rows * width) * sizeof(double));
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t h = 0; h < s->heads + s->kv_heads; h++)
            for (int64_t d = 0; d < half; d++) {
                const double *x = at[ROPE_X] + i * width + h * s->head_dim + d;
                const double *table = at[ROPE_TABLE] + rope_position(i) * s->head_dim + d;
                double *y = at[ROPE_Y] + i * width + h * s->head_dim + d;
                const double sine = b->s->inverse ? -table[half] : table[half];
                y[0] = x[0] * table[0] - x[half] * sine;
                y[half] = x[half] * table[0] + x[0] * sine;
            }
}

static void rope_run(bench *b, wz_tensor y, bool inverse)
{
    const wz_attention attention = bench_attention(b);
    int32_t position[512];
    for (int64_t i = 0; i < b->s->rows; i++)
        position[i] = rope_position(i);
    b->be->ops->rope(b->be, y, position, b->value[ROPE_TABLE], &attention, inverse);
}

static void rope_forward(bench *b)
{
    bench_copy(b, b->value[ROPE_Y], b->value[ROPE_X], ROPE_X);
    rope_run(b, bench_tensor(b, ROPE_Y), b->s->inverse);
}

static void rope_backward(bench *b)
{
    bench_copy(b, b->gradient[ROPE_X], b->gradient[ROPE_Y], ROPE_X);
    rope_run(b, bench_gradient(b, ROPE_X), !b->s->inverse);
}

static int64_t rope_terms(const shape *s)
{
    (void)s;
    return 3;
}

const op_kind op_rope = {.name = "rope",
                         .fields = rope_fields,
                         .reference = rope_reference,
                         .forward = rope_forward,
                         .backward = rope_backward,
                         .terms = rope_terms,
                         .typed = true};

/* ---- SwiGLU: y = gate sigmoid(gate) up ---- */
enum { GATE_UP, SWIGLU_Y };

static size_t swiglu_fields(const shape *s, field *out)
{
    out[GATE_UP] =
        working(s, (field){.name = "gate_up", .rows = s->rows, .columns = 2 * s->out, .gradient = WRITTEN});
    out[SWIGLU_Y] = working(s, (field){.name = "y", .rows = s->rows, .columns = s->out, .output = true});
    return 2;
}

static void swiglu_reference(const bench *b, double *const *at)
{
    const int64_t n = b->s->out;
    for (int64_t i = 0; i < b->s->rows; i++)
        for (int64_t d = 0; d < n; d++) {
            const double gate = at[GATE_UP][i * 2 * n + d];
            at[SWIGLU_Y][i * n + d] = gate / (1.0 + exp(-gate)) * at[GATE_UP][i * 2 * n + n + d];
        }
}

static void swiglu_forward(bench *b)
{
    b->be->ops->swiglu_forward(b->be, bench_tensor(b, SWIGLU_Y), bench_tensor(b, GATE_UP));
}

static void swiglu_backward(bench *b)
{
    const wz_tensor none = {0};
    b->be->ops->swiglu_backward(b->be, bench_gradient(b, GATE_UP), none, bench_gradient(b, SWIGLU_Y),
                                bench_tensor(b, GATE_UP));
}

static int64_t swiglu_terms(const shape *s)
{
    (void)s;
    return 10; /* an exponential of 4 roundings and 6 operations */
}

const op_kind op_swiglu = {.name = "swiglu",
                           .fields = swiglu_fields,
                           .reference = swiglu_reference,
                           .forward = swiglu_forward,
                           .backward = swiglu_backward,
                           .terms = swiglu_terms,
                           .typed = true};
