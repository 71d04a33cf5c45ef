#include "checkpoints/portable.h"

#include <stdlib.h>
#include <string.h>

#include "engine/model/model.h"

#define STREAM_FLOATS ((size_t)1 << 18)

void wz_portable_init(wz_portable *portable)
{
    memset(portable, 0, sizeof *portable);
    portable->bos_id = portable->pad_id = -1;
    portable->temperature = portable->top_p = 1.0;
}

void wz_portable_clear(wz_portable *portable)
{
    if (portable->tensors != NULL)
        portable->tensors->close(portable->tensors);
    if (portable->adapters != NULL)
        portable->adapters->close(portable->adapters);
    if (!portable->lent_tokenizer)
        wz_tokenizer_destroy(portable->tokenizer);
    wz_text_clear(&portable->chat_template);
    wz_portable_init(portable);
}

size_t wz_tensor_find(const wz_tensor_source *source, const char *name)
{
    for (size_t i = 0; i < source->count; i++)
        if (strcmp(source->tensors[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

size_t wz_tensor_elements(const wz_stored_tensor *tensor)
{
    return tensor->rank == 2 ? tensor->shape[0] * tensor->shape[1] : tensor->shape[0];
}

static bool shape_fits(const wz_stored_tensor *tensor, const wz_param *param)
{
    return tensor->rank == param->rank && tensor->shape[0] == (size_t)param->shape[0] &&
           (param->rank == 1 || tensor->shape[1] == (size_t)param->shape[1]);
}

static wz_status fail_shape(const wz_stored_tensor *tensor, const wz_param *param, const char *path,
                            wz_error *err)
{
    return wz_fail(
        err, WZ_ERR_CORRUPT,
        "%s: tensor '%.100s' has shape [%zu%s%.0zu] where the configuration asks for [%lld%s%.0lld]", path,
        tensor->name, tensor->shape[0], tensor->rank == 2 ? ", " : "",
        tensor->rank == 2 ? tensor->shape[1] : 0, (long long)param->shape[0], param->rank == 2 ? ", " : "",
        param->rank == 2 ? (long long)param->shape[1] : 0);
}

static wz_status check_params(const wz_portable *portable, const wz_param *params, size_t count,
                              const char *path, wz_error *err)
{
    const wz_tensor_source *source = portable->tensors;
    for (size_t i = 0; i < count; i++) {
        const size_t index = wz_tensor_find(source, params[i].name);
        if (index == SIZE_MAX)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%s' is missing", path, params[i].name);
        if (!shape_fits(&source->tensors[index], &params[i]))
            return fail_shape(&source->tensors[index], &params[i], path, err);
    }
    for (size_t i = 0; source->count > count && i < source->count; i++) {
        size_t p = 0;
        while (p < count && strcmp(params[p].name, source->tensors[i].name) != 0)
            p++;
        if (p == count)
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "%s: tensor '%.100s' is no part of a %s model of this configuration", path,
                           source->tensors[i].name, wz_model_type_names[portable->model.model_type]);
    }
    if (source->count != count)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: a tensor is given twice", path);
    return WZ_OK;
}

wz_status wz_portable_check_tensors(const wz_portable *portable, const char *path, wz_error *err)
{
    wz_param *params = NULL;
    size_t count = 0;
    wz_status status = wz_model_list_params(&portable->model, &params, &count, err);
    if (status == WZ_OK)
        status = check_params(portable, params, count, path, err);
    free(params);
    return status;
}

wz_status wz_tensor_stream(wz_tensor_source *source, size_t index, wz_rows_function take, void *user,
                           wz_error *err)
{
    const wz_stored_tensor *tensor = &source->tensors[index];
    const size_t rows = tensor->shape[0], width = tensor->rank == 2 ? tensor->shape[1] : 1;
    size_t block = width < STREAM_FLOATS ? STREAM_FLOATS / width : 1;
    block = block < rows ? block : rows;
    void *numbers = NULL;
    wz_status status = wz_alloc(&numbers, block * width, sizeof(float), "rows of a tensor", err);
    for (size_t first = 0; status == WZ_OK && first < rows; first += block) {
        const size_t count = rows - first < block ? rows - first : block;
        status = source->read(source, index, first, count, numbers, err);
        if (status == WZ_OK)
            status = take(user, numbers, count * width, err);
    }
    free(numbers);
    return status;
}
