#include "checkpoints/portable.h"

#include <stdlib.h>
#include <string.h>

#include "engine/model/model.h"

#define STREAM_FLOATS ((size_t)1 << 18)
#define FEW_LAYERS 64   /* take little memory, and a file that lacks a tensor of theirs is told which */
#define LAYER_TENSORS 9 /* at least: two norms, four matrices of attention, three of the MLP */

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

wz_status wz_portable_check_layers(const wz_model_config *config, size_t tensors, const char *path,
                                   wz_error *err)
{
    const int64_t layers = config->num_hidden_layers;
    return layers > FEW_LAYERS && (uint64_t)layers > tensors / LAYER_TENSORS
               ? wz_fail(err, WZ_ERR_CORRUPT, "%s: %zu tensors, too few for the configuration's %lld layers",
                         path, tensors, (long long)layers)
               : WZ_OK;
}

static int compare_tensors(const void *a, const void *b)
{
    return strcmp((*(const wz_stored_tensor *const *)a)->name, (*(const wz_stored_tensor *const *)b)->name);
}

static int compare_params(const void *a, const void *b)
{
    return strcmp(((const wz_param *)a)->name, ((const wz_param *)b)->name);
}

static wz_status sort_tensors(const wz_tensor_source *source, const wz_stored_tensor ***out, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, source->count, sizeof(wz_stored_tensor *), "a list of tensors", err);
    *out = block;
    for (size_t i = 0; status == WZ_OK && i < source->count; i++)
        (*out)[i] = &source->tensors[i];
    if (status == WZ_OK && source->count > 1)
        qsort(*out, source->count, sizeof **out, compare_tensors);
    return status;
}

/* Both in order of their names. What is missing is said before what is there besides. */
static wz_status check_params(const wz_portable *portable, const wz_stored_tensor *const *tensors,
                              const wz_param *params, size_t count, const char *path, wz_error *err)
{
    const wz_stored_tensor *other = NULL;
    size_t p = 0;
    for (size_t i = 0; i < portable->tensors->count; i++) {
        const int order = p < count ? strcmp(tensors[i]->name, params[p].name) : -1;
        if (order > 0)
            break;
        if (order < 0)
            other = tensors[i];
        else if (!shape_fits(tensors[i], &params[p++]))
            return fail_shape(tensors[i], &params[p - 1], path, err);
    }
    if (p < count)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%s' is missing", path, params[p].name);
    if (other == NULL)
        return WZ_OK;
    for (p = 0; p < count; p++)
        if (strcmp(params[p].name, other->name) == 0)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%.100s' is given twice", path, other->name);
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%.100s' is no part of a %s model of this configuration",
                   path, other->name, wz_model_type_names[portable->model.model_type]);
}

wz_status wz_portable_check_tensors(const wz_portable *portable, const char *path, wz_error *err)
{
    const wz_stored_tensor **tensors = NULL;
    wz_param *params = NULL;
    size_t count = 0;
    wz_status status = wz_portable_check_layers(&portable->model, portable->tensors->count, path, err);
    if (status == WZ_OK)
        status = wz_model_list_params(&portable->model, &params, &count, err);
    if (status == WZ_OK)
        status = sort_tensors(portable->tensors, &tensors, err);
    if (status == WZ_OK) {
        qsort(params, count, sizeof *params, compare_params);
        status = check_params(portable, tensors, params, count, path, err);
    }
    free(tensors);
    free(params);
    return status;
}

wz_status wz_tensor_expect_all(wz_tensor_source *source, wz_error *err)
{
    void *block = NULL;
    if (source->expect == NULL)
        return WZ_OK;
    wz_status status = wz_alloc(&block, source->count, sizeof(size_t), "a list of tensors", err);
    size_t *order = block;
    for (size_t i = 0; status == WZ_OK && i < source->count; i++)
        order[i] = i;
    if (status == WZ_OK)
        status = source->expect(source, order, source->count, err);
    free(block);
    return status;
}

/* Whole rows of about a MiB of fp32. */
static size_t rows_at_once(const wz_stored_tensor *tensor, size_t width)
{
    const size_t block = width < STREAM_FLOATS ? STREAM_FLOATS / width : 1;
    return block < tensor->shape[0] ? block : tensor->shape[0];
}

wz_status wz_tensor_stream(wz_tensor_source *source, size_t index, wz_rows_function take, void *user,
                           wz_error *err)
{
    const wz_stored_tensor *tensor = &source->tensors[index];
    const size_t rows = tensor->shape[0], width = tensor->rank == 2 ? tensor->shape[1] : 1;
    const size_t block = rows_at_once(tensor, width);
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

wz_status wz_tensor_read_as(wz_tensor_source *source, size_t index, size_t first, size_t rows,
                            wz_number_type type, float *numbers, void *out, wz_error *err)
{
    const wz_stored_tensor *tensor = &source->tensors[index];
    if (tensor->type == type && source->read_stored != NULL)
        return source->read_stored(source, index, first, rows, out, err);
    if (type == WZ_NUMBER_F32)
        return source->read(source, index, first, rows, out, err);
    const wz_status status = source->read(source, index, first, rows, numbers, err);
    if (status == WZ_OK)
        wz_numbers_encode(type, numbers, rows * (tensor->rank == 2 ? tensor->shape[1] : 1), out);
    return status;
}

wz_status wz_tensor_stream_as(wz_tensor_source *source, size_t index, wz_number_type type,
                              wz_stored_function take, void *user, wz_error *err)
{
    const wz_stored_tensor *tensor = &source->tensors[index];
    const size_t rows = tensor->shape[0], width = tensor->rank == 2 ? tensor->shape[1] : 1;
    const size_t block = rows_at_once(tensor, width);
    float *numbers = NULL;
    void *memory = NULL; /* of fp32 numbers, and behind them of stored ones, which are no larger */
    wz_status status = wz_alloc(&memory, 2 * block * width, sizeof(float), "rows of a tensor", err);
    numbers = memory;
    for (size_t first = 0; status == WZ_OK && first < rows; first += block) {
        const size_t count = rows - first < block ? rows - first : block;
        void *stored = numbers + block * width;
        status = wz_tensor_read_as(source, index, first, count, type, numbers, stored, err);
        if (status == WZ_OK)
            status = take(user, stored, count * width, err);
    }
    free(memory);
    return status;
}

wz_status wz_byte_count_add(const wz_byte_count *bytes, uint64_t count, wz_error *err)
{
    if (bytes == NULL)
        return WZ_OK;
    if (bytes->add != NULL)
        bytes->add(bytes->user, count);
    return wz_stop_check(bytes->stop, err);
}

void wz_byte_count_written(const wz_byte_count *bytes, const wz_block_file *file)
{
    if (bytes != NULL && bytes->written != NULL)
        bytes->written(bytes->user, file->path, file->digest);
}
