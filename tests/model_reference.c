#include "tests/model_reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/suite.h"

typedef struct decoder {
    const wz_model *layout;
    const wz_model_config *c;
    const double *weights;
} decoder;

static double *zeroed(int64_t count)
{
    double *values = calloc((size_t)count + 1, sizeof *values);
    ASSERT_EACH(values != NULL, "no memory");
    return values;
}

static const double *named(const decoder *m, int64_t layer, const char *name)
{
    char full[128];
    if (layer < 0)
        (void)snprintf(full, sizeof full, "%s", name);
    else
        (void)snprintf(full, sizeof full, "model.layers.%lld.%s", (long long)layer, name);
    const wz_param *param = wz_model_find_param(m->layout, full);
    ASSERT_EACH(param != NULL, "no parameter %s", full);
    return m->weights + param->offset;
}

/* y [out] = weight [out, in] x + bias */
static void multiply(double *y, const double *weight, const double *bias, const double *x, int64_t out,
                     int64_t in)
{
    for (int64_t o = 0; o < out; o++) {
        y[o] = bias != NULL ? bias[o] : 0.0;
        for (int64_t i = 0; i < in; i++)
            y[o] += weight[o * in + i] * x[i];
    }
}

static void normalise(double *y, const double *x, const double *weight, int64_t n, double eps)
{
    double square = 0.0;
    for (int64_t i = 0; i < n; i++)
        square += x[i] * x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] / sqrt(square + eps) * weight[i];
}

/* Llama 3.1 release: wavelengths over original/low are stretched by factor, those under original/high kept. */
static double frequency(const wz_model_config *c, int64_t pair)
{
    const double f = pow(c->rope_theta, -2.0 * (double)pair / (double)c->head_dim);
    if (c->rope_scaling_factor == 0.0)
        return f;
    const double turns = (double)c->rope_original_max_position_embeddings * f / (2.0 * acos(-1.0));
    double blend = (turns - c->rope_low_freq_factor) / (c->rope_high_freq_factor - c->rope_low_freq_factor);
    blend = blend < 0.0 ? 0.0 : blend > 1.0 ? 1.0 : blend;
    return (1.0 - blend) * f / c->rope_scaling_factor + blend * f;
}

static void rotate(const wz_model_config *c, double *x, int64_t position)
{
    const int64_t half = c->head_dim / 2;
    for (int64_t d = 0; d < half; d++) {
        const double angle = (double)position * frequency(c, d), a = x[d], b = x[d + half];
        x[d] = a * cos(angle) - b * sin(angle);
        x[d + half] = b * cos(angle) + a * sin(angle);
    }
}

/* x [n][hidden] += attention(norm(x)) */
static void attention(const decoder *m, int64_t l, double *x, int64_t n)
{
    const wz_model_config *c = m->c;
    const int64_t hd = c->head_dim, qn = c->num_attention_heads, kn = c->num_key_value_heads,
                  hidden = c->hidden_size;
    double *norm = zeroed(hidden), *q = zeroed(n * qn * hd), *k = zeroed(n * kn * hd),
           *v = zeroed(n * kn * hd);
    double *mixed = zeroed(qn * hd), *result = zeroed(hidden), *p = zeroed(n);
    const double *const weight[3] = {named(m, l, "self_attn.q_proj.weight"),
                                     named(m, l, "self_attn.k_proj.weight"),
                                     named(m, l, "self_attn.v_proj.weight")};
    const char *const biases[3] = {"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"};
    const char *const norms[2] = {"self_attn.q_norm.weight", "self_attn.k_norm.weight"};
    const double *bias[3] = {NULL}, *qk_norm[2] = {NULL};
    for (int t = 0; t < 3; t++)
        bias[t] = c->attention_bias ? named(m, l, biases[t]) : NULL;
    for (int t = 0; t < 2; t++)
        qk_norm[t] = c->use_qk_norm ? named(m, l, norms[t]) : NULL;
    const double *input_norm = named(m, l, "input_layernorm.weight"),
                 *output = named(m, l, "self_attn.o_proj.weight");
    double *const parts[3] = {q, k, v};
    const int64_t heads[3] = {qn, kn, kn};
    for (int64_t i = 0; i < n; i++) {
        normalise(norm, x + i * hidden, input_norm, hidden, c->rms_norm_eps);
        for (int t = 0; t < 3; t++)
            multiply(parts[t] + i * heads[t] * hd, weight[t], bias[t], norm, heads[t] * hd, hidden);
        for (int t = 0; t < 2; t++)
            for (int64_t h = 0; h < heads[t]; h++) {
                double *head = parts[t] + (i * heads[t] + h) * hd;
                if (c->use_qk_norm)
                    normalise(head, head, qk_norm[t], hd, c->rms_norm_eps);
                rotate(c, head, i);
            }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t h = 0; h < qn; h++) {
            const int64_t g = h / (qn / kn);
            double sum = 0.0;
            for (int64_t j = 0; j <= i; j++) {
                double score = 0.0;
                for (int64_t d = 0; d < hd; d++)
                    score += q[(i * qn + h) * hd + d] * k[(j * kn + g) * hd + d];
                sum += p[j] = exp(score / sqrt((double)hd));
            }
            for (int64_t d = 0; d < hd; d++) {
                mixed[h * hd + d] = 0.0;
                for (int64_t j = 0; j <= i; j++)
                    mixed[h * hd + d] += p[j] / sum * v[(j * kn + g) * hd + d];
            }
        }
        multiply(result, output, NULL, mixed, hidden, qn * hd);
        for (int64_t d = 0; d < hidden; d++)
            x[i * hidden + d] += result[d];
    }
    double *const blocks[] = {norm, q, k, v, mixed, result, p};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        free(blocks[i]);
}

/* x [n][hidden] += down(silu(gate(norm(x))) up(norm(x))) */
static void feed_forward(const decoder *m, int64_t l, double *x, int64_t n)
{
    const int64_t hidden = m->c->hidden_size, ff = m->c->intermediate_size;
    double *norm = zeroed(hidden), *gate = zeroed(ff), *up = zeroed(ff), *result = zeroed(hidden);
    const double *input_norm = named(m, l, "post_attention_layernorm.weight"),
                 *gate_weight = named(m, l, "mlp.gate_proj.weight"),
                 *up_weight = named(m, l, "mlp.up_proj.weight"),
                 *down_weight = named(m, l, "mlp.down_proj.weight");
    for (int64_t i = 0; i < n; i++) {
        normalise(norm, x + i * hidden, input_norm, hidden, m->c->rms_norm_eps);
        multiply(gate, gate_weight, NULL, norm, ff, hidden);
        multiply(up, up_weight, NULL, norm, ff, hidden);
        for (int64_t d = 0; d < ff; d++)
            gate[d] *= up[d] / (1.0 + exp(-gate[d]));
        multiply(result, down_weight, NULL, gate, hidden, ff);
        for (int64_t d = 0; d < hidden; d++)
            x[i * hidden + d] += result[d];
    }
    free(norm);
    free(gate);
    free(up);
    free(result);
}

/* logp and entropy of a token under softmax(logits / temperature) over its set */
static void score(const example *e, int32_t token, const double *logits, int64_t vocab, double *logp,
                  double *entropy)
{
    const int32_t set = e->set[token];
    const int64_t count = set == 0 ? vocab : e->set_offsets[set] - e->set_offsets[set - 1];
    double sum = 0.0, weighted = 0.0;
    for (int64_t j = 0; j < count; j++) {
        const double l = logits[set == 0 ? j : e->set_ids[e->set_offsets[set - 1] + j]] / e->temperature;
        sum += exp(l);
        weighted += l * exp(l);
    }
    *logp = logits[e->completion_ids[token]] / e->temperature - log(sum);
    *entropy = log(sum) - weighted / sum;
}

static double completion_loss(const decoder *m, const example *e, int32_t completion, double *logits,
                              double *logp, double *entropy)
{
    const int64_t hidden = m->c->hidden_size, vocab = m->c->vocab_size;
    const int32_t group = e->completion_group[completion];
    const int32_t *prompt = e->prompt_ids + e->prompt_offsets[group];
    const int64_t prompt_length = e->prompt_offsets[group + 1] - e->prompt_offsets[group];
    const int32_t first = e->completion_offsets[completion], last = e->completion_offsets[completion + 1];
    const int64_t n = prompt_length + last - first;
    double *x = zeroed(n * hidden), *norm = zeroed(hidden), *l = zeroed(vocab), loss = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const int32_t id = i < prompt_length ? prompt[i] : e->completion_ids[first + i - prompt_length];
        for (int64_t d = 0; d < hidden; d++)
            x[i * hidden + d] = named(m, -1, "model.embed_tokens.weight")[id * hidden + d];
    }
    for (int64_t layer = 0; layer < m->c->num_hidden_layers; layer++) {
        attention(m, layer, x, n);
        feed_forward(m, layer, x, n);
    }
    const double *head =
        named(m, -1, m->c->tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight");
    for (int32_t t = first; t < last; t++) {
        double one_logp = 0.0, one_entropy = 0.0;
        normalise(norm, x + (prompt_length - 1 + t - first) * hidden, named(m, -1, "model.norm.weight"),
                  hidden, m->c->rms_norm_eps);
        multiply(l, head, NULL, norm, vocab, hidden);
        score(e, t, l, vocab, &one_logp, &one_entropy);
        loss += e->w[t] * one_logp + e->v[t] * one_entropy;
        for (int64_t j = 0; logits != NULL && j < vocab; j++)
            logits[t * vocab + j] = l[j];
        if (logp != NULL)
            logp[t] = one_logp;
        if (entropy != NULL)
            entropy[t] = one_entropy;
    }
    free(x);
    free(norm);
    free(l);
    return loss;
}

double reference_loss(const wz_model *layout, const double *weights, const example *e, double *logits,
                      double *logp, double *entropy)
{
    const decoder m = {layout, &layout->config, weights};
    double loss = 0.0;
    for (int32_t c = 0; c < e->completions; c++)
        loss += completion_loss(&m, e, c, logits, logp, entropy);
    return loss;
}
