/* Low-rank adapters: what they stand beside, and folding them in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/model.h"

size_t wz_model_adapter_count(const wz_model *model)
{
    return model->adapter_params / 2;
}

/* "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight" names an adapter of "model.layers.0.mlp.up_proj.weight". */
static const wz_param *base_of(const wz_model *model, const wz_param *a)
{
    static const char before[] = "base_model.model.", after[] = ".lora_A.weight";
    const char *name = a->name + sizeof before - 1;
    const size_t length = strlen(name) - (sizeof after - 1);
    for (size_t i = model->adapter_params; i < model->param_count; i++)
        if (strncmp(model->params[i].name, name, length) == 0 &&
            strcmp(model->params[i].name + length, ".weight") == 0)
            return &model->params[i];
    return NULL;
}

void wz_model_adapter(const wz_model *model, size_t index, wz_adapter *out)
{
    const wz_lora_config *lora = &model->config.lora;
    size_t per_layer = 0, left = 0;
    for (int t = 0; t < WZ_LORA_TARGETS; t++)
        per_layer += lora->target[t];
    *out = (wz_adapter){.a = &model->params[2 * index],
                        .b = &model->params[2 * index + 1],
                        .base = base_of(model, &model->params[2 * index]),
                        .layer = (int64_t)(index / per_layer),
                        .rank = lora->rank,
                        .alpha = lora->alpha,
                        .scale = lora->alpha / (double)lora->rank};
    left = index % per_layer;
    for (int t = 0; t < WZ_LORA_TARGETS; t++)
        if (lora->target[t] && left-- == 0)
            out->target = (wz_lora_target)t;
}

wz_model wz_model_without_adapters(const wz_model *model)
{
    wz_model view = *model;
    view.config.lora.rank = 0;
    view.params += model->adapter_params;
    view.param_count -= model->adapter_params;
    view.adapter_params = 0;
    return view;
}

/* The number of the adapter beside a parameter, or -1. */
static int64_t adapter_beside(const wz_model *model, const wz_param *param)
{
    char name[sizeof param->name + 32];
    const size_t length = strlen(param->name), end = strlen(".weight");
    if (param->rank != 2 || length <= end)
        return -1;
    (void)snprintf(name, sizeof name, "base_model.model.%.*s.lora_A.weight", (int)(length - end),
                   param->name);
    for (size_t i = 0; i < model->adapter_params; i += 2)
        if (strcmp(model->params[i].name, name) == 0)
            return (int64_t)(i / 2);
    return -1;
}

/* w [rows, in] += scale b a, b being the same rows of B. */
static void fold(const wz_adapter *adapter, int64_t rows, const float *a, const float *b, float *w)
{
    const int64_t in = adapter->a->shape[1], rank = adapter->rank;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < in; j++) {
            double sum = 0.0;
            for (int64_t r = 0; r < rank; r++)
                sum += (double)b[i * rank + r] * (double)a[r * in + j];
            w[i * in + j] = (float)((double)w[i * in + j] + adapter->scale * sum);
        }
}

wz_status wz_model_get_merged(const wz_model *model, const wz_param *param, int64_t row0, int64_t rows,
                              float *host, wz_error *err)
{
    const int64_t width = param->rank == 2 ? param->shape[1] : 1, number = adapter_beside(model, param);
    wz_adapter adapter;
    void *block = NULL;
    wz_model_get_numbers(model, param, row0 * width, rows * width, host);
    if (number < 0)
        return WZ_OK;
    wz_model_adapter(model, (size_t)number, &adapter);
    const wz_status status = wz_alloc(&block, (size_t)(adapter.a->count + rows * adapter.rank), sizeof(float),
                                      "an adapter to fold in", err);
    if (status != WZ_OK)
        return status;
    float *a = block, *b = a + adapter.a->count;
    wz_model_get_param(model, adapter.a, a);
    wz_model_get_numbers(model, adapter.b, row0 * adapter.rank, rows * adapter.rank, b);
    fold(&adapter, rows, a, b, host);
    free(block);
    return WZ_OK;
}
