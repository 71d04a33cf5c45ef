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
    out[HEAD] = (field){
        .name = "head", .rows = s->vocab, .columns = s->in, .gradient = s->frozen ? NO_GRADIENT : ADDED};
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

static void score_forward(bench *b)
{
    b->be->ops->head_score_forward(b->be, b->value[LOGP], b->value[ENTROPY], bench_tensor(b, HIDDEN),
                                   bench_tensor(b, HEAD), b->target, b->mask, &b->masks, b->s->temperature);
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
    b->be->ops->head_score_backward(b->be, bench_gradient(b, HIDDEN), head_gradient(b), b->gradient[LOGP],
                                    b->gradient[ENTROPY], bench_tensor(b, HIDDEN), bench_tensor(b, HEAD),
                                    b->target, b->mask, &b->masks, b->s->temperature, &b->part);
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
    b->be->ops->head_allowed_forward(b->be, b->value[LOGP], bench_tensor(b, HIDDEN), bench_tensor(b, HEAD),
                                     b->mask, &b->masks);
}

static void allowed_backward(bench *b)
{
    b->be->ops->head_allowed_backward(b->be, bench_gradient(b, HIDDEN), head_gradient(b), b->gradient[LOGP],
                                      bench_tensor(b, HIDDEN), bench_tensor(b, HEAD), b->mask, &b->masks,
                                      &b->part);
}

const op_kind op_head_allowed = {.name = "head_allowed",
                                 .fields = allowed_fields,
                                 .reference = allowed_reference,
                                 .forward = allowed_forward,
                                 .backward = allowed_backward,
                                 .terms = terms,
                                 .unit = unit,
                                 .grouped = true};
