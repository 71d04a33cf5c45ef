/* A model's parameters as sources, in its order and under its names, so that what is written does not depend on where they lie:
 * in the model, or still in a checkpoint. */
#include <stdlib.h>

#include "engine/run/portable.h"

/* ---- in the model ---- */

typedef struct model_source {
    wz_tensor_source base;
    const wz_model *model;
    const wz_param *params;
    wz_stored_tensor tensors[];
} model_source;

static wz_status read_view(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    const model_source *source = (const model_source *)(const void *)self;
    const wz_model *model = source->model;
    const wz_status status = wz_model_get_merged(model, &source->params[index], (int64_t)first, (int64_t)rows,
                                                 out, err); /* adapters folded in */
    return status == WZ_OK ? model->backend->ops->sync(model->backend, err) : status;
}

static void close_view(wz_tensor_source *self)
{
    free(self);
}

wz_status wz_portable_view(const wz_model *model, size_t first, size_t end, wz_tensor_source **out,
                           wz_error *err)
{
    void *block = NULL;
    const wz_param *params = model->params + first;
    const size_t count = end - first;
    wz_status status = wz_alloc(&block, 1, sizeof(model_source) + count * sizeof(wz_stored_tensor),
                                "the list of a model's tensors", err);
    if (status != WZ_OK)
        return status;
    model_source *source = block;
    source->model = model;
    source->params = params;
    for (size_t i = 0; i < count; i++)
        source->tensors[i] =
            (wz_stored_tensor){.name = params[i].name,
                               .type = WZ_NUMBER_F32,
                               .rank = params[i].rank,
                               .shape = {(size_t)params[i].shape[0], (size_t)params[i].shape[1]}};
    source->base = (wz_tensor_source){
        .tensors = source->tensors, .count = count, .read = read_view, .close = close_view};
    *out = &source->base;
    return WZ_OK;
}

/* ---- in a checkpoint ---- */

typedef struct stream_source {
    wz_tensor_source base; /* the first: what callers hold */
    wz_tensor_source *inner;
    size_t *places; /* of the tensors in the inner one */
    wz_stored_tensor *tensors;
} stream_source;

static wz_status read_rows(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    const stream_source *source = (const stream_source *)(const void *)self;
    return source->inner->read(source->inner, source->places[index], first, rows, out, err);
}

static wz_status read_stored(wz_tensor_source *self, size_t index, size_t first, size_t rows, void *out,
                             wz_error *err)
{
    const stream_source *source = (const stream_source *)(const void *)self;
    return source->inner->read_stored(source->inner, source->places[index], first, rows, out, err);
}

static wz_status expect(wz_tensor_source *self, const size_t *order, size_t count, wz_error *err)
{
    const stream_source *source = (const stream_source *)(const void *)self;
    void *block = NULL;
    wz_status status = wz_alloc(&block, count, sizeof *order, "the list of a model's tensors", err);
    size_t *places = block;
    for (size_t i = 0; status == WZ_OK && i < count; i++)
        places[i] = source->places[order[i]];
    if (status == WZ_OK)
        status = source->inner->expect(source->inner, places, count, err);
    free(block);
    return status;
}

static void close_source(wz_tensor_source *self)
{
    stream_source *source = (stream_source *)(void *)self;
    if (source->inner != NULL)
        source->inner->close(source->inner);
    free(source->places);
    free(source->tensors);
    free(source);
}

static wz_status create(size_t count, stream_source **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(stream_source), "the list of a model's tensors", err);
    if (status != WZ_OK)
        return status;
    stream_source *source = block;
    source->base = (wz_tensor_source){.count = count,
                                      .read = read_rows,
                                      .read_stored = read_stored,
                                      .expect = expect,
                                      .close = close_source};
    status = wz_alloc(&block, count, sizeof *source->places, "the list of a model's tensors", err);
    if (status == WZ_OK) {
        source->places = block;
        status = wz_alloc(&block, count, sizeof *source->tensors, "the list of a model's tensors", err);
    }
    if (status == WZ_OK) {
        source->tensors = block;
        source->base.tensors = source->tensors;
        *out = source;
    } else {
        close_source(&source->base);
    }
    return status;
}

wz_status wz_portable_stream(const wz_model *model, wz_checkpoint *checkpoint, wz_tensor_source **out,
                             wz_error *err)
{
    const size_t first = model->adapter_params, count = model->param_count - first;
    stream_source *source = NULL;
    *out = NULL;
    wz_status status = create(count, &source, err);
    if (status == WZ_OK)
        status = wz_checkpoint_weights(checkpoint, &source->inner, err);
    for (size_t i = 0; status == WZ_OK && i < count; i++) {
        const char *name = model->params[first + i].name;
        source->places[i] = wz_tensor_find(source->inner, name);
        if (source->places[i] == SIZE_MAX)
            status = wz_fail(err, WZ_ERR_CORRUPT, "%s: dataset 'weights/%s' is missing",
                             wz_checkpoint_path(checkpoint), name);
        else
            source->tensors[i] = source->inner->tensors[source->places[i]];
    }
    if (status == WZ_OK)
        *out = &source->base;
    else if (source != NULL)
        close_source(&source->base);
    return status;
}
