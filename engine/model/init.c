/* Random weights to start from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/model.h"

#define PIECE ((int64_t)1 << 18) /* numbers made at once, about: a multiple of 4, which draws share */

/* Numbers [first, first + count) of a tensor; first is even. */
static void fill_normal(float *values, int64_t first, int64_t count, double deviation, uint64_t seed,
                        uint32_t purpose, uint32_t tensor)
{
    for (int64_t i = 0; i < count; i += 2) {
        uint32_t words[4];
        double pair[2];
        wz_draw_init_words(seed, purpose, tensor, (uint64_t)(first + i), words);
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

/* [2 SMOOTH_WAVES][hidden], shared by all numbers. */
static wz_status make_projection(const wz_model *model, uint64_t seed, float **out, wz_error *err)
{
    const int64_t width = model->config.hidden_size;
    void *block = NULL;
    const wz_status status =
        wz_alloc(&block, (size_t)(2 * SMOOTH_WAVES * width), sizeof(float), "number embeddings", err);
    *out = block;
    if (status == WZ_OK)
        fill_normal(block, 0, 2 * SMOOTH_WAVES * width, 0.1 / sqrt((double)SMOOTH_WAVES), seed,
                    WZ_PURPOSE_SMOOTH, 0);
    return status;
}

/* What initial weights are made of. */
typedef struct maker {
    const wz_model *model;
    uint64_t seed;
    const int64_t *integer; /* [vocab]; NULL: no smooth embeddings */
    const float *projection;
} maker;

/* Rows [first, first + rows) of parameter i; of a vector, elements. */
static void make_rows(const maker *m, size_t i, int64_t first, int64_t rows, float *values)
{
    const wz_model *model = m->model;
    const wz_model_config *c = &model->config;
    const wz_param *param = &model->params[i];
    const int64_t width = param->rank == 2 ? param->shape[1] : 1;
    const uint32_t tensor = (uint32_t)(i - model->adapter_params);
    const bool is_head = !c->tie_word_embeddings && i + 1 == model->param_count;
    const char *dot_name = strrchr(param->name, '.');
    if (param->rank == 1) {
        for (int64_t j = 0; j < rows; j++)
            values[j] = dot_name != NULL && strcmp(dot_name, ".bias") == 0 ? 0.0f : 1.0f;
    } else if (tensor == 0) { /* the embedding comes first */
        fill_normal(values, first * width, rows * width, c->embedding_range, m->seed, WZ_PURPOSE_INIT, 0);
        for (int64_t t = 0; m->integer != NULL && t < rows; t++)
            if (m->integer[first + t] >= 0)
                smooth_embedding(values + t * width, width, m->projection, m->integer[first + t]);
    } else if (is_head && c->zero_init_head) {
        memset(values, 0, (size_t)(rows * width) * sizeof *values);
    } else {
        fill_normal(values, first * width, rows * width, c->initializer_range, m->seed, WZ_PURPOSE_INIT,
                    tensor);
    }
}

/* Whole rows in an even number, so that pairs of draws are not parted. */
static int64_t rows_of_piece(const wz_param *param)
{
    const int64_t width = param->rank == 2 ? param->shape[1] : 1, rows = PIECE / width / 2 * 2;
    return rows < 2 ? 2 : rows;
}

static int64_t largest_piece(const wz_model *model)
{
    int64_t most = PIECE;
    for (size_t i = 0; i < model->param_count; i++)
        if (model->params[i].rank == 2 && 2 * model->params[i].shape[1] > most)
            most = 2 * model->params[i].shape[1];
    return most;
}

wz_status wz_model_init_weights(wz_model *model, uint64_t seed, const int64_t *integer, wz_error *err)
{
    void *block = NULL;
    float *projection = NULL;
    const bool is_smooth = model->config.smooth_number_embeddings && integer != NULL;
    wz_status status = wz_alloc(&block, (size_t)largest_piece(model), sizeof(float), "initial weights", err);
    if (status == WZ_OK && is_smooth)
        status = make_projection(model, seed, &projection, err);
    const maker m = {model, seed, is_smooth ? integer : NULL, projection};
    for (size_t i = model->adapter_params; status == WZ_OK && i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        const int64_t piece = rows_of_piece(param), width = param->rank == 2 ? param->shape[1] : 1;
        for (int64_t first = 0; first < param->shape[0]; first += piece) {
            const int64_t rows = param->shape[0] - first < piece ? param->shape[0] - first : piece;
            make_rows(&m, i, first, rows, block);
            wz_model_set_numbers(model, param, first * width, rows * width, block);
        }
    }
    free(projection);
    free(block);
    return status == WZ_OK ? wz_model_init_adapters(model, seed, err) : status;
}

/* Numbers [first, first + count) of A, uniform in +-bound, or of B, zero; first is a multiple of 4. */
static void make_adapter(uint64_t seed, size_t index, double bound, int64_t first, int64_t count,
                         float *values)
{
    const bool is_a = index % 2 == 0;
    for (int64_t k = 0; k < count; k += 4) {
        uint32_t words[4];
        wz_draw_init_words(seed, WZ_PURPOSE_ADAPTER, (uint32_t)index, (uint64_t)(first + k), words);
        for (int64_t j = 0; j < 4 && k + j < count; j++)
            values[k + j] = is_a ? (float)((2.0 * wz_uniform(words[j]) - 1.0) * bound) : 0.0f;
    }
}

wz_status wz_model_init_adapters(wz_model *model, uint64_t seed, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)PIECE, sizeof(float), "initial adapters", err);
    if (status != WZ_OK)
        return status;
    for (size_t i = 0; i < model->adapter_params; i++) {
        const wz_param *param = &model->params[i];
        const double bound = 1.0 / sqrt((double)param->shape[1]); /* sqrt(6 / ((1 + 5) in)) */
        for (int64_t first = 0; first < param->count; first += PIECE) {
            const int64_t count = param->count - first < PIECE ? param->count - first : PIECE;
            make_adapter(seed, i, bound, first, count, block);
            wz_model_set_numbers(model, param, first, count, block);
        }
    }
    wz_model_weights_changed(model);
    free(block);
    return WZ_OK;
}
