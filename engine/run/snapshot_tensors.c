#include "engine/run/snapshot_tensors.h"

#include <assert.h>
#include <stdlib.h>

static size_t kept_params(const wz_model *model)
{
    return model->adapter_params > 0 ? model->adapter_params : model->param_count;
}

static wz_status read_rows(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    const wz_snapshot_group *group = (const wz_snapshot_group *)(const void *)self;
    wz_backend *be = group->model->backend;
    const wz_param *param = &group->model->params[index];
    const size_t width = self->tensors[index].rank == 2 ? self->tensors[index].shape[1] : 1;
    const int64_t start = (int64_t)(first * width), count = (int64_t)(rows * width);
    if (param->type == WZ_BF16)
        wz_model_get_numbers(group->model, param, start, count, out);
    else
        be->ops->download(be, out, group->array + param->offset + start, (size_t)count * sizeof *out);
    return be->ops->sync(be, err);
}

wz_status wz_snapshot_tensors_init(const wz_model *model, wz_snapshot_tensors *out, wz_error *err)
{
    const size_t count = kept_params(model);
    void *block = NULL;
    wz_status status =
        wz_alloc(&block, count * WZ_SNAPSHOT_GROUPS, sizeof *out->items, "a checkpoint's list", err);
    *out = (wz_snapshot_tensors){.items = block};
    if (status == WZ_OK)
        status = wz_alloc(&block, count, sizeof *out->shapes, "a checkpoint's list", err);
    out->shapes = status == WZ_OK ? block : NULL;
    for (size_t i = 0; status == WZ_OK && i < count; i++) {
        const wz_param *param = &model->params[i];
        out->shapes[i] = (wz_stored_tensor){.name = param->name,
                                            .type = param->type == WZ_BF16 ? WZ_NUMBER_BF16 : WZ_NUMBER_F32,
                                            .rank = param->rank,
                                            .shape = {(size_t)param->shape[0], (size_t)param->shape[1]}};
    }
    return status;
}

void wz_snapshot_tensors_add(wz_snapshot_tensors *tensors, const wz_model *model, const char *group,
                             const float *array)
{
    assert(tensors->group_count < WZ_SNAPSHOT_GROUPS);
    wz_snapshot_group *source = &tensors->groups[tensors->group_count++];
    const size_t count = kept_params(model);
    *source = (wz_snapshot_group){.base = {.tensors = tensors->shapes, .count = count, .read = read_rows},
                                  .model = model,
                                  .array = array};
    for (size_t i = 0; i < count; i++) {
        const wz_stored_tensor *shape = &tensors->shapes[i];
        tensors->items[tensors->count++] = (wz_checkpoint_tensor){.group = group,
                                                                  .name = shape->name,
                                                                  .rank = shape->rank,
                                                                  .shape = {shape->shape[0], shape->shape[1]},
                                                                  .type = shape->type,
                                                                  .source = &source->base,
                                                                  .index = i};
    }
}

void wz_snapshot_tensors_clear(wz_snapshot_tensors *tensors)
{
    free(tensors->items);
    free(tensors->shapes);
    *tensors = (wz_snapshot_tensors){0};
}
