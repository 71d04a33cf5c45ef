/* Random weights to start from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/model.h"

static void fill_normal(float *values, int64_t count, double deviation, uint64_t seed, uint32_t purpose,
                        uint32_t tensor)
{
    for (int64_t i = 0; i < count; i += 2) {
        uint32_t words[4];
        double pair[2];
        wz_draw_init_words(seed, purpose, tensor, (uint64_t)i, words);
        wz_normal_pair(words, pair);
        for (int64_t j = 0; j < 2 && i + j < count; j++)
            values[i + j] = (float)(pair[j] * deviation);
    }
}

#define SMOOTH_WAVES 6

static void smooth_embedding(float *row, int64_t width, const float *projection, int64_t n)
{
    double feature[2 * SMOOTH_WAVES];
    for (int w = 0; w < SMOOTH_WAVES; w++) {
        const double tau = ldexp(2.0, w);
        feature[w] = sin((double)n / tau);
        feature[SMOOTH_WAVES + w] = cos((double)n / tau);
    }
    for (int64_t d = 0; d < width; d++) {
        double sum = 0.0;
        for (int f = 0; f < 2 * SMOOTH_WAVES; f++)
            sum += feature[f] * (double)projection[f * width + d];
        row[d] = (float)sum;
    }
}

static wz_status init_embedding(const wz_model *model, float *values, uint64_t seed, const int64_t *integer,
                                wz_error *err)
{
    const wz_model_config *c = &model->config;
    const int64_t width = c->hidden_size;
    void *projection = NULL;
    fill_normal(values, c->vocab_size * width, c->embedding_range, seed, WZ_PURPOSE_INIT, 0);
    if (!c->smooth_number_embeddings || integer == NULL)
        return WZ_OK;
    wz_status status =
        wz_alloc(&projection, (size_t)(2 * SMOOTH_WAVES * width), sizeof(float), "number embeddings", err);
    if (status != WZ_OK)
        return status;
    fill_normal(projection, 2 * SMOOTH_WAVES * width, 0.1 / sqrt((double)SMOOTH_WAVES), seed,
                WZ_PURPOSE_SMOOTH, 0);
    for (int64_t t = 0; t < c->vocab_size; t++)
        if (integer[t] >= 0)
            smooth_embedding(values + t * width, width, projection, integer[t]);
    free(projection);
    return WZ_OK;
}

wz_status wz_model_init_weights(wz_model *model, uint64_t seed, const int64_t *integer, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, wz_model_largest_param(model), sizeof(float), "initial weights", err);
    if (status != WZ_OK)
        return status;
    float *values = block;
    for (size_t i = model->adapter_params; i < model->param_count && status == WZ_OK; i++) {
        const wz_param *param = &model->params[i];
        const bool is_table = i == model->adapter_params, /* the embedding comes first */
            is_head = !model->config.tie_word_embeddings && i + 1 == model->param_count;
        memset(values, 0, (size_t)param->count * sizeof(float));
        if (param->rank == 1) {
            const char *dot_name = strrchr(param->name, '.');
            for (int64_t j = 0; j < param->count; j++)
                values[j] = dot_name != NULL && strcmp(dot_name, ".bias") == 0 ? 0.0f : 1.0f;
        } else if (is_table) {
            status = init_embedding(model, values, seed, integer, err);
        } else if (!is_head || !model->config.zero_init_head) {
            fill_normal(values, param->count, model->config.initializer_range, seed, WZ_PURPOSE_INIT,
                        (uint32_t)(i - model->adapter_params));
        }
        if (status == WZ_OK)
            wz_model_set_param(model, param, values);
    }
    free(block);
    return status == WZ_OK ? wz_model_init_adapters(model, seed, err) : status;
}

wz_status wz_model_init_adapters(wz_model *model, uint64_t seed, wz_error *err)
{
    void *block = NULL;
    wz_status status =
        wz_alloc(&block, wz_model_largest_param(model), sizeof(float), "initial adapters", err);
    if (status != WZ_OK)
        return status;
    float *values = block;
    for (size_t i = 0; i < model->adapter_params; i++) {
        const wz_param *param = &model->params[i];
        const bool is_a = i % 2 == 0;
        const double bound = 1.0 / sqrt((double)param->shape[1]); /* sqrt(6 / ((1 + 5) in)) */
        for (int64_t k = 0; k < param->count; k += 4) {
            uint32_t words[4];
            wz_draw_init_words(seed, WZ_PURPOSE_ADAPTER, (uint32_t)i, (uint64_t)k, words);
            for (int64_t j = 0; j < 4 && k + j < param->count; j++)
                values[k + j] = is_a ? (float)((2.0 * wz_uniform(words[j]) - 1.0) * bound) : 0.0f;
        }
        wz_model_set_param(model, param, values);
    }
    wz_model_weights_changed(model);
    free(block);
    return WZ_OK;
}
