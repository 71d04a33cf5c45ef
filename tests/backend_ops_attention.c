/* Packed attention: softmax(q k^T / sqrt(head_dim)) v over the rows that the segment table lets a row see. */
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

/* One query's share of inner. */
static void inner_head(const bench *b, double *const *at, int64_t i, int64_t h, double *out)
{
    const shape *s = b->s;
    const int64_t n = s->head_dim, width = qkv_width(s), kv = h / (s->heads / s->kv_heads),
                  query = i * width + h * n;
    double product = 0.0;
    for (int64_t d = 0; d < n; d++)
        product +=
            fabs((double)b->host[OUT][(i * s->heads + h) * n + d] * at[OUT][(i * s->heads + h) * n + d]);
    for (int64_t j = 0; j < s->rows; j++) {
        if (!sees(&b->pack->segments, i, j))
            continue;
        const int64_t key = j * width + (s->heads + kv) * n;
        double score = 0.0;
        for (int64_t d = 0; d < n; d++)
            score += at[QKV][query + d] * at[QKV][key + d];
        const double slope =
            exp(score / sqrt((double)n) - at[LSE][i * s->heads + h]) * product / sqrt((double)n);
        for (int64_t d = 0; d < n; d++) {
            out[query + d] += slope * fabs(at[QKV][key + d]);
            out[key + d] += slope * fabs(at[QKV][query + d]);
        }
    }
}

/* The backward pass reads `out` rounded: its product with dout, D, errs by v sum |dout out|, and enters the slope
 * p_j (dout . v_j - D) / sqrt(head_dim) of each score, of which dq_i = sum slope k_j and dk_j = sum slope q_i. */
static void inner(const bench *b, double *const *at, size_t f, double *out)
{
    for (int64_t i = 0; f == QKV && i < b->s->rows; i++)
        for (int64_t h = 0; h < b->s->heads; h++)
            inner_head(b, at, i, h, out);
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
