/* Packed attention: softmax(q k^T / sqrt(head_dim)) v over the rows that the segment table lets a row see. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "tests/backend_ops.h"

enum { QKV, OUT, LSE };

static int64_t qkv_width(const shape *s)
{
    return (s->heads + 2 * s->kv_heads) * s->head_dim;
}

static size_t fields(const shape *s, field *out)
{
    out[QKV] =
        working(s, (field){.name = "qkv", .rows = s->rows, .columns = qkv_width(s), .gradient = WRITTEN});
    out[OUT] = working(
        s, (field){.name = "out", .rows = s->rows, .columns = s->heads * s->head_dim, .output = true});
    out[LSE] = (field){
        .name = "lse", .rows = s->rows, .columns = s->heads, .packed = true, .output = true, .kept = true};
    return 3;
}

/* Does row i attend to row j? Written from the sentence in backend.h, not from the segment table's lists. */
static bool sees(const wz_segments *s, int64_t i, int64_t j)
{
    if (s->row_group[i] != s->row_group[j])
        return false;
    if (s->row_completion[j] < 0)
        return s->row_completion[i] >= 0 || s->row_index[j] <= s->row_index[i];
    return s->row_completion[i] == s->row_completion[j] && s->row_index[j] <= s->row_index[i];
}

static void one_head(const bench *b, double *const *at, int64_t i, int64_t h)
{
    const shape *s = b->s;
    const int64_t n = s->head_dim, width = qkv_width(s), kv = h / (s->heads / s->kv_heads);
    const double *q = at[QKV] + i * width + h * n;
    double *out = at[OUT] + (i * s->heads + h) * n, sum = 0.0;
    for (int64_t d = 0; d < n; d++)
        out[d] = 0.0;
    for (int64_t j = 0; j < s->rows; j++) {
        if (!sees(&b->pack->segments, i, j))
            continue;
        const double *k = at[QKV] + j * width + (s->heads + kv) * n, *v = k + s->kv_heads * n;
        double score = 0.0;
        for (int64_t d = 0; d < n; d++)
            score += q[d] * k[d];
        const double p = exp(score / sqrt((double)n));
        sum += p;
        for (int64_t d = 0; d < n; d++)
            out[d] += p * v[d];
    }
    for (int64_t d = 0; d < n; d++)
        out[d] /= sum;
    at[LSE][i * s->heads + h] = log(sum);
}

static void reference(const bench *b, double *const *at)
{
    for (int64_t i = 0; i < b->s->rows; i++)
        for (int64_t h = 0; h < b->s->heads; h++)
            one_head(b, at, i, h);
}

static void forward(bench *b)
{
    const wz_attention attention = bench_attention(b);
    b->be->ops->attention_forward(b->be, bench_tensor(b, OUT), b->value[LSE], bench_tensor(b, QKV),
                                  &b->pack->segments, 0, b->s->rows, false, &attention);
}

static void backward(bench *b)
{
    const wz_attention attention = bench_attention(b);
    b->be->ops->attention_backward(b->be, bench_gradient(b, QKV), bench_gradient(b, OUT),
                                   bench_tensor(b, OUT), b->value[LSE], bench_tensor(b, QKV),
                                   &b->pack->segments, false, &attention);
}

/* A query and a key that it sees: weight p and slope ds, exact, and what ds errs by, in v. */
typedef struct pair {
    const double *q, *k, *v;
    double p, slope, error;
} pair;

/* sum |dout_d| (|out_d| + sum_j p_j |v_jd|): what D = dout . out errs by, in v. */
static double product_error(const bench *b, double *const *at, int64_t i, int64_t h, pair *pairs,
                            int64_t count)
{
    const int64_t n = b->s->head_dim;
    double sum = 0.0;
    for (int64_t d = 0; d < n; d++) {
        double reach = fabs(at[OUT][(i * b->s->heads + h) * n + d]);
        for (int64_t j = 0; j < count; j++)
            reach += pairs[j].p * fabs(pairs[j].v[d]);
        sum += fabs((double)b->host[OUT][(i * b->s->heads + h) * n + d]) * reach;
    }
    return sum;
}

/* The keys that a query sees. */
static int64_t pair_up(const bench *b, double *const *at, int64_t i, int64_t h, pair *pairs)
{
    const shape *s = b->s;
    const int64_t n = s->head_dim, width = qkv_width(s), kv = h / (s->heads / s->kv_heads),
                  o = (i * s->heads + h) * n;
    int64_t count = 0;
    for (int64_t j = 0; j < s->rows; j++) {
        if (!sees(&b->pack->segments, i, j))
            continue;
        const double *k = at[QKV] + j * width + (s->heads + kv) * n;
        pair *x = &pairs[count++];
        *x = (pair){.q = at[QKV] + i * width + h * n, .k = k, .v = k + s->kv_heads * n};
        double score = 0.0;
        for (int64_t d = 0; d < n; d++) {
            score += x->q[d] * k[d];
            x->slope += (double)b->host[OUT][o + d] * (x->v[d] - at[OUT][o + d]);
        }
        x->p = exp(score / sqrt((double)n) - at[LSE][i * s->heads + h]);
        x->slope *= x->p / sqrt((double)n);
    }
    const double error = product_error(b, at, i, h, pairs, count);
    for (int64_t j = 0; j < count; j++)
        pairs[j].error = fabs(pairs[j].slope) + pairs[j].p * error / sqrt((double)n);
    return count;
}

/* With working type bf16, products have bf16 factors, so weights p and slopes ds_j = p_j (dout . v_j - D) / sqrt(head_dim) are
 * rounded:
 *   out = sum p_j v_j errs by v sum p_j |v_j|, and is rounded itself;
 *   D, from this out, errs by v times product_error, which enters each ds_j, which is then rounded: |ds_j| more;
 *   dv_j = sum p_j dout errs by v sum p_j |dout|, dq = sum ds_j k_j and dk_j = sum ds_j q by the ds_j's errors. */
static void inner(const bench *b, double *const *at, size_t f, double *out)
{
    const shape *s = b->s;
    const int64_t n = s->head_dim;
    pair *pairs = calloc((size_t)s->rows, sizeof *pairs);
    ck_assert_ptr_nonnull(pairs);
    for (int64_t i = 0; f != LSE && i < s->rows; i++)
        for (int64_t h = 0; h < s->heads; h++) {
            const int64_t count = pair_up(b, at, i, h, pairs), o = (i * s->heads + h) * n;
            for (int64_t j = 0; j < count; j++) {
                const pair *x = &pairs[j];
                for (int64_t d = 0; d < n && f == OUT; d++)
                    out[o + d] += x->p * fabs(x->v[d]);
                for (int64_t d = 0; d < n && f == QKV; d++) {
                    out[x->q - at[QKV] + d] += x->error * fabs(x->k[d]);
                    out[x->k - at[QKV] + d] += x->error * fabs(x->q[d]);
                    out[x->v - at[QKV] + d] += x->p * fabs((double)b->host[OUT][o + d]);
                }
            }
        }
    free(pairs);
}

static int64_t terms(const shape *s)
{
    return s->head_dim + s->rows + 10;
}

static double unit(const shape *s)
{
    (void)s;
    return 1.0;
}

const op_kind op_attention = {.name = "attention",
                              .fields = fields,
                              .reference = reference,
                              .forward = forward,
                              .backward = backward,
                              .terms = terms,
                              .inner = inner,
                              .typed = true,
                              .unit = unit};
