/* Low-rank pairs beside a frozen linear layer: y = x w^T + scale (x a^T) b^T, one pair on the first third of the outputs,
 * another from their middle on; those between have none. */
#include <math.h>
#include <string.h>

#include "tests/backend_ops.h"

enum { X, WEIGHT, A0, B0, A1, B1, Y, FIELDS };
enum { PAIRS = 2 };
#define SCALE 0.75

/* First output of a pair, and how many it has; the rank is the shape's head_dim. */
static int64_t first_of(const shape *s, int pair)
{
    return pair == 0 ? 0 : s->out / 2;
}

static int64_t outputs_of(const shape *s, int pair)
{
    return pair == 0 ? s->out / 3 : s->out - s->out / 2;
}

static size_t pairs_fields(const shape *s, field *out)
{
    out[X] = working(s, (field){.name = "x", .rows = s->rows, .columns = s->in, .gradient = WRITTEN});
    out[WEIGHT] = (field){.name = "weight", .rows = s->out, .columns = s->in, .type = s->frozen_type};
    for (int p = 0; p < PAIRS; p++) {
        out[A0 + 2 * p] =
            (field){.name = p == 0 ? "a0" : "a1", .rows = s->head_dim, .columns = s->in, .gradient = ADDED};
        out[B0 + 2 * p] = (field){.name = p == 0 ? "b0" : "b1",
                                  .rows = outputs_of(s, p),
                                  .columns = s->head_dim,
                                  .gradient = ADDED};
    }
    out[Y] = working(s, (field){.name = "y", .rows = s->rows, .columns = s->out, .output = true});
    return FIELDS;
}

static double product(const double *a, const double *b, int64_t count)
{
    double sum = 0.0;
    for (int64_t k = 0; k < count; k++)
        sum += a[k] * b[k];
    return sum;
}

static void pairs_reference(const bench *b, double *const *at)
{
    const shape *s = b->s;
    for (int64_t i = 0; i < s->rows; i++) {
        const double *x = at[X] + i * s->in;
        double *y = at[Y] + i * s->out;
        for (int64_t o = 0; o < s->out; o++)
            y[o] = product(x, at[WEIGHT] + o * s->in, s->in);
        for (int p = 0; p < PAIRS; p++)
            for (int64_t r = 0; r < s->head_dim; r++) {
                const double inner = SCALE * product(x, at[A0 + 2 * p] + r * s->in, s->in);
                for (int64_t o = 0; o < outputs_of(s, p); o++)
                    y[first_of(s, p) + o] += inner * at[B0 + 2 * p][o * s->head_dim + r];
            }
    }
}

static wz_linear layer_of(const bench *b, wz_tensor (*of)(const bench *, size_t))
{
    wz_linear linear = {.pairs = PAIRS, .pair_scale = (float)SCALE};
    for (size_t p = 0; p < PAIRS; p++)
        linear.pair[p] = (wz_low_rank){of(b, A0 + 2 * p), of(b, B0 + 2 * p), first_of(b->s, (int)p)};
    return linear;
}

static wz_linear open_layer(const bench *b)
{
    wz_linear linear = layer_of(b, bench_tensor);
    linear.weight = bench_tensor(b, WEIGHT);
    if (b->s->prepared || b->s->type != WZ_F32)
        linear.prepared = backend_prepare(b->be, &linear);
    return linear;
}

static void close_layer(const bench *b, const wz_linear *linear)
{
    if (linear->prepared != NULL)
        b->be->ops->release(b->be, (void *)linear->prepared);
}

static void pairs_forward(bench *b)
{
    const wz_linear linear = open_layer(b);
    const wz_tensor none = {0};
    b->be->ops->linear_forward(b->be, bench_tensor(b, Y), bench_tensor(b, X), &linear, none);
    close_layer(b, &linear);
}

static void pairs_backward(bench *b)
{
    const wz_linear linear = open_layer(b), gradient = layer_of(b, bench_gradient);
    const wz_tensor dy = bench_gradient(b, Y);
    b->be->ops->linear_backward_input(b->be, bench_gradient(b, X), dy, &linear);
    b->be->ops->linear_backward_pairs(b->be, &gradient, &linear, dy, bench_tensor(b, X), &b->part);
    close_layer(b, &linear);
}

/* Two products one after the other. */
static int64_t pairs_terms(const shape *s)
{
    const int64_t most = s->in > s->out ? s->in : s->out;
    return (most > s->rows ? most : s->rows) + most + s->head_dim + 6;
}

/* Of one pair, for the field f: sums of absolute values of the terms that have what stands between its products, which is
 * rounded to bf16. */
static void add_inner(const bench *b, double *const *at, int pair, size_t f, double *out)
{
    const shape *s = b->s;
    const int64_t r = s->head_dim, first = first_of(s, pair), outputs = outputs_of(s, pair);
    const double *a = at[A0 + 2 * pair], *up = at[B0 + 2 * pair];
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t k = 0; k < r; k++) {
            const double *x = at[X] + i * s->in;
            const double inner = SCALE * product(x, a + k * s->in, s->in);
            double dinner = 0.0;
            for (int64_t o = 0; o < outputs; o++) {
                const double dy = (double)b->host[Y][i * s->out + first + o];
                dinner += SCALE * dy * up[o * r + k];
                if (f == Y)
                    out[i * s->out + first + o] += fabs(inner * up[o * r + k]);
                if (f == (size_t)(B0 + 2 * pair))
                    out[o * r + k] += fabs(dy * inner);
            }
            for (int64_t j = 0; j < s->in; j++)
                if (f == X)
                    out[i * s->in + j] += fabs(dinner * a[k * s->in + j]);
                else if (f == (size_t)(A0 + 2 * pair))
                    out[k * s->in + j] += fabs(dinner * x[j]);
        }
}

/* What pairs add to y is rounded once more when it is written, and to dx so after each pair: n roundings of a sum and of its
 * terms make ((1 + v)^n - 1) times the sum of absolute values at most, v = BF16_ROUNDOFF. */
static void pairs_inner(const bench *b, double *const *at, size_t f, double *out)
{
    const double n = f == Y ? 2.0 : f == X ? 1.0 + PAIRS : 1.0;
    for (int p = 0; p < PAIRS; p++)
        add_inner(b, at, p, f, out);
    for (int64_t i = 0; i < b->fields[f].rows * b->fields[f].columns; i++)
        out[i] *= (pow(1.0 + BF16_ROUNDOFF, n) - 1.0) / BF16_ROUNDOFF;
}

const op_kind op_pairs = {.name = "low-rank pairs",
                          .fields = pairs_fields,
                          .reference = pairs_reference,
                          .forward = pairs_forward,
                          .backward = pairs_backward,
                          .terms = pairs_terms,
                          .inner = pairs_inner,
                          .typed = true,
                          .grouped = true};
