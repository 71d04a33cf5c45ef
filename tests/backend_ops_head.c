/* Head score: logp and entropy of a row's target under softmax(head hidden / temperature) over its set; and the
 * log-probability that the whole softmax gives to the set. */
#include <math.h>
#include <stdlib.h>

#include <check.h>

#include "tests/backend_ops.h"

enum { HIDDEN, HEAD, LOGP, ENTROPY };

static size_t score_fields(const shape *s, field *out)
{
    out[HIDDEN] = (field){.name = "hidden", .rows = s->rows, .columns = s->in, .gradient = WRITTEN};
    out[HEAD] = (field){.name = "head",
                        .rows = s->vocab,
                        .columns = s->in,
                        .type = s->frozen_type,
                        .gradient = s->frozen ? NO_GRADIENT : ADDED};
    out[LOGP] = (field){
        .name = "logp", .rows = s->rows, .columns = 1, .packed = true, .on_host = true, .output = true};
    out[ENTROPY] = out[LOGP];
    out[ENTROPY].name = "entropy";
    return 4;
}

static double logit_of(const bench *b, double *const *at, int64_t i, int64_t token)
{
    double sum = 0.0;
    for (int64_t k = 0; k < b->s->in; k++)
        sum += at[HIDDEN][i * b->s->in + k] * at[HEAD][token * b->s->in + k];
    return sum;
}

/* The j-th token of row i's set, or of all. */
static int64_t token_of(const bench *b, int64_t i, int64_t j)
{
    return b->mask[i] == 0 ? j : (int64_t)b->mask_tokens[b->mask_offset[b->mask[i]] + (uint32_t)j];
}

static int64_t tokens_of(const bench *b, int64_t i)
{
    return b->mask[i] == 0 ? b->s->vocab
                           : (int64_t)b->mask_offset[b->mask[i] + 1] - (int64_t)b->mask_offset[b->mask[i]];
}

static void score_reference(const bench *b, double *const *at)
{
    const double temperature = b->s->temperature > 0.0f ? (double)b->s->temperature : 1.0;
    double *logits = calloc((size_t)b->s->vocab, sizeof *logits);
    ck_assert_ptr_nonnull(logits);
    for (int64_t i = 0; i < b->s->rows; i++) {
        const int64_t count = tokens_of(b, i);
        double sum = 0.0, entropy = 0.0, target = 0.0;
        for (int64_t j = 0; j < count; j++) {
            logits[j] = logit_of(b, at, i, token_of(b, i, j)) / temperature;
            sum += exp(logits[j]);
            if (token_of(b, i, j) == b->target[i])
                target = logits[j];
        }
        for (int64_t j = 0; j < count; j++)
            entropy -= exp(logits[j]) / sum * (logits[j] - log(sum));
        at[LOGP][i] = target - log(sum);
        at[ENTROPY][i] = entropy;
    }
    free(logits);
}

/* The head with the copy that products of another working type read. */
static wz_linear open_head(const bench *b)
{
    wz_linear head = {.weight = bench_tensor(b, HEAD)};
    if (b->s->type != WZ_F32)
        head.prepared = backend_prepare(b->be, &head);
    return head;
}

static void close_head(const bench *b, const wz_linear *head)
{
    if (head->prepared != NULL)
        b->be->ops->release(b->be, (void *)head->prepared);
}

static void score_forward(bench *b)
{
    const wz_linear head = open_head(b);
    b->be->ops->head_score_forward(b->be, b->value[LOGP], b->value[ENTROPY], bench_tensor(b, HIDDEN), &head,
                                   b->target, b->mask, &b->masks, b->s->temperature);
    close_head(b, &head);
}

static wz_tensor head_gradient(const bench *b)
{
    wz_tensor gradient = bench_gradient(b, HEAD);
    if (b->s->frozen)
        gradient.data = NULL;
    return gradient;
}

static void score_backward(bench *b)
{
    const wz_linear head = open_head(b);
    b->be->ops->head_score_backward(b->be, bench_gradient(b, HIDDEN), head_gradient(b), b->gradient[LOGP],
                                    b->gradient[ENTROPY], b->value[LOGP], b->value[ENTROPY],
                                    bench_tensor(b, HIDDEN), &head, b->target, b->mask, &b->masks,
                                    b->s->temperature, &b->part);
    close_head(b, &head);
}

/* Over the whole vocabulary the gradients of the logits are rounded for the products dhidden_i = sum_t slope_it head_t and
 * dhead_t = sum_i slope_it hidden_i; this adds row i's. */
static void add_inner(const bench *b, double *const *at, size_t f, int64_t i, const double *slope,
                      double *out)
{
    const int64_t n = b->s->in;
    for (int64_t t = 0; t < b->s->vocab; t++)
        for (int64_t k = 0; k < n; k++)
            if (f == HIDDEN)
                out[i * n + k] += fabs(slope[t] * at[HEAD][t * n + k]);
            else if (f == HEAD)
                out[t * n + k] += fabs(slope[t] * at[HIDDEN][i * n + k]);
}

/* p[t] = softmax of row i over all tokens. */
static void softmax_of(const bench *b, double *const *at, int64_t i, double temperature, double *p)
{
    double sum = 0.0;
    for (int64_t t = 0; t < b->s->vocab; t++)
        sum += p[t] = exp(logit_of(b, at, i, t) / temperature);
    for (int64_t t = 0; t < b->s->vocab; t++)
        p[t] /= sum;
}

/* d logp / dl_t = ([t is the target] - p_t) / T, d entropy / dl_t = -p_t (log p_t + entropy) / T. */
static void score_inner(const bench *b, double *const *at, size_t f, double *out)
{
    const double temperature = (double)b->s->temperature;
    double *p = calloc((size_t)b->s->vocab, sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (int64_t i = 0; i < b->s->rows; i++) {
        if (b->mask[i] != 0)
            continue;
        softmax_of(b, at, i, temperature, p);
        for (int64_t t = 0; t < b->s->vocab; t++)
            p[t] = ((double)b->host[LOGP][i] * ((t == b->target[i]) - p[t]) -
                    (double)b->host[ENTROPY][i] * p[t] * (log(p[t]) + at[ENTROPY][i])) /
                   temperature;
        add_inner(b, at, f, i, p, out);
    }
    free(p);
}

/* d/dl_t = [t is in the set] p_t / (probability of the set) - p_t. */
static void allowed_inner(const bench *b, double *const *at, size_t f, double *out)
{
    double *p = calloc((size_t)b->s->vocab, sizeof *p), *slope = calloc((size_t)b->s->vocab, sizeof *slope);
    ck_assert(p != NULL && slope != NULL);
    for (int64_t i = 0; i < b->s->rows; i++) {
        softmax_of(b, at, i, 1.0, p);
        for (int64_t t = 0; t < b->s->vocab; t++)
            slope[t] = -(double)b->host[LOGP][i] * p[t];
        for (int64_t j = 0; j < tokens_of(b, i); j++)
            slope[token_of(b, i, j)] += (double)b->host[LOGP][i] * p[token_of(b, i, j)] / exp(at[LOGP][i]);
        add_inner(b, at, f, i, slope, out);
    }
    free(p);
    free(slope);
}

/* A dot product of `in`, then sums over the vocabulary in sixteen lanes or more. */
static int64_t terms(const shape *s)
{
    return s->in + s->rows + s->vocab / 16 + 20;
}

/* Logits, whose absolute error enters logp and entropy, are below in / temperature. */
static double unit(const shape *s)
{
    return (double)s->in / (s->temperature > 0.0f ? (double)s->temperature : 1.0);
}

const op_kind op_head_score = {.name = "head_score",
                               .fields = score_fields,
                               .reference = score_reference,
                               .forward = score_forward,
                               .backward = score_backward,
                               .terms = terms,
                               .unit = unit,
                               .inner = score_inner,
                               .typed = true,
                               .grouped = true};

static size_t allowed_fields(const shape *s, field *out)
{
    return score_fields(s, out) - 1; /* no entropy */
}

static void allowed_reference(const bench *b, double *const *at)
{
    for (int64_t i = 0; i < b->s->rows; i++) {
        double all = 0.0, set = 0.0;
        for (int64_t t = 0; t < b->s->vocab; t++)
            all += exp(logit_of(b, at, i, t));
        for (int64_t j = 0; j < tokens_of(b, i); j++)
            set += exp(logit_of(b, at, i, token_of(b, i, j)));
        at[LOGP][i] = log(set) - log(all);
    }
}

static void allowed_forward(bench *b)
{
    const wz_linear head = open_head(b);
    b->be->ops->head_allowed_forward(b->be, b->value[LOGP], bench_tensor(b, HIDDEN), &head, b->mask,
                                     &b->masks);
    close_head(b, &head);
}

static void allowed_backward(bench *b)
{
    const wz_linear head = open_head(b);
    b->be->ops->head_allowed_backward(b->be, bench_gradient(b, HIDDEN), head_gradient(b), b->gradient[LOGP],
                                      bench_tensor(b, HIDDEN), &head, b->mask, &b->masks, &b->part);
    close_head(b, &head);
}

const op_kind op_head_allowed = {.name = "head_allowed",
                                 .fields = allowed_fields,
                                 .reference = allowed_reference,
                                 .forward = allowed_forward,
                                 .backward = allowed_backward,
                                 .terms = terms,
                                 .unit = unit,
                                 .inner = allowed_inner,
                                 .typed = true,
                                 .grouped = true};
