/* Parameters: finding, counting, reading and writing them. */
#include <string.h>

#include "engine/core/bfloat16.h"
#include "engine/model/model.h"

const wz_param *wz_model_find_param(const wz_model *model, const char *name)
{
    for (size_t i = 0; i < model->param_count; i++)
        if (strcmp(model->params[i].name, name) == 0)
            return &model->params[i];
    return NULL;
}

int64_t wz_model_parameter_count(const wz_model *model)
{
    int64_t count = 0;
    for (size_t i = model->adapter_params; i < model->param_count; i++)
        count += model->params[i].count;
    return count;
}

int64_t wz_model_trained_count(const wz_model *model)
{
    const size_t end = model->config.lora.rank > 0 ? model->adapter_params : model->param_count;
    int64_t count = 0;
    for (size_t i = 0; i < end; i++)
        count += model->params[i].count;
    return count;
}

size_t wz_model_prepared_bytes(const wz_model *model)
{
    return model->prepared_layer_bytes * (size_t)model->config.num_hidden_layers + model->prepared_head_bytes;
}

size_t wz_model_bytes(const wz_model *model)
{
    const int64_t trained = model->gradients != NULL ? 3 * model->trained : 0;
    return ((size_t)(model->floats + trained) +
            (size_t)(model->config.max_position_embeddings * model->config.head_dim)) *
               sizeof(float) +
           (size_t)model->half_count * wz_type_bytes(WZ_BF16) + wz_model_prepared_bytes(model);
}

#define PIECE 16384 /* numbers converted at once */

void wz_model_get_numbers(const wz_model *model, const wz_param *param, int64_t first, int64_t count,
                          float *host)
{
    wz_backend *be = model->backend;
    const int64_t offset = param->offset + first;
    uint16_t piece[PIECE];
    if (param->type == WZ_F32) {
        be->ops->download(be, host, model->weights + offset, (size_t)count * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i += PIECE) {
        const int64_t part = count - i < PIECE ? count - i : PIECE;
        be->ops->download(be, piece, (const uint16_t *)model->halves + offset + i,
                          (size_t)part * sizeof piece[0]);
        for (int64_t j = 0; j < part; j++)
            host[i + j] = wz_bfloat16_to_float(piece[j]);
    }
}

void wz_model_get_param(const wz_model *model, const wz_param *param, float *host)
{
    wz_model_get_numbers(model, param, 0, param->count, host);
}

void wz_model_set_numbers(const wz_model *model, const wz_param *param, int64_t first, int64_t count,
                          const float *host)
{
    wz_backend *be = model->backend;
    const int64_t offset = param->offset + first;
    uint16_t piece[PIECE];
    if (param->type == WZ_F32) {
        be->ops->upload(be, model->weights + offset, host, (size_t)count * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i += PIECE) {
        const int64_t part = count - i < PIECE ? count - i : PIECE;
        for (int64_t j = 0; j < part; j++)
            piece[j] = wz_bfloat16_from_float(host[i + j]);
        be->ops->upload(be, (uint16_t *)model->halves + offset + i, piece, (size_t)part * sizeof piece[0]);
    }
}

void wz_model_set_param(const wz_model *model, const wz_param *param, const float *host)
{
    wz_model_set_numbers(model, param, 0, param->count, host);
}
