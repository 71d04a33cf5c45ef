/* The weights of a checkpoint as a source of tensors: rows are read where and when they are asked for. */
#include "checkpoints/checkpoint_layout.h"
#include "checkpoints/portable.h"

#include <stdlib.h>
#include <string.h>

typedef struct weights_source {
    wz_tensor_source base; /* the first: what callers hold */
    wz_checkpoint *checkpoint;
    wz_stored_tensor *tensors;
    const wz_checkpoint_entry *entries; /* those of group "weights" */
    size_t open;                        /* the entry of `dataset` */
    hid_t dataset, type;                /* -1: none is open */
    void *stored;                       /* rows as they lie in the file */
    size_t capacity;
} weights_source;

static void close_dataset(weights_source *source)
{
    (void)wz_hdf5_close(H5Dclose, source->dataset);
    (void)wz_hdf5_close(H5Tclose, source->type);
    source->dataset = source->type = -1;
}

static wz_status open_dataset(weights_source *source, size_t index, wz_error *err)
{
    const wz_checkpoint_entry *entry = &source->entries[index];
    if (source->dataset >= 0 && source->open == index)
        return WZ_OK;
    close_dataset(source);
    source->open = index;
    source->type = wz_checkpoint_entry_type(entry);
    source->dataset = wz_checkpoint_open_dataset(source->checkpoint, entry);
    if (source->type < 0 || source->dataset < 0)
        return wz_checkpoint_fail_dataset(source->checkpoint, entry, "cannot be opened", err);
    return WZ_OK;
}

static wz_status read_rows(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    weights_source *source = (weights_source *)self;
    const wz_checkpoint_entry *entry = &source->entries[index];
    const wz_checkpoint_tensor *tensor = &entry->tensor;
    const size_t width = tensor->rank == 2 ? tensor->shape[1] : 1;
    const wz_checkpoint_walk walk = {.start = {first}, .count = {rows, width}, .elements = rows * width};
    const bool widen = tensor->type != WZ_NUMBER_F32;
    hid_t file = -1, memory = -1;
    wz_hdf5_prepare();
    wz_status status = open_dataset(source, index, err);
    if (status == WZ_OK && widen)
        status = wz_grow(&source->stored, &source->capacity, walk.elements, entry->element_size,
                         "rows of a tensor", err);
    if (status != WZ_OK)
        return status;
    void *place = widen ? source->stored : out;
    if (!wz_checkpoint_walk_select(source->dataset, entry, &walk, &file, &memory) ||
        H5Dread(source->dataset, source->type, memory, file, H5P_DEFAULT, place) < 0)
        status = wz_checkpoint_fail_dataset(source->checkpoint, entry, "cannot be read", err);
    else if (widen)
        wz_numbers_decode(tensor->type, source->stored, walk.elements, out);
    (void)wz_hdf5_close(H5Sclose, memory);
    (void)wz_hdf5_close(H5Sclose, file);
    return status;
}

static void close_source(wz_tensor_source *self)
{
    weights_source *source = (weights_source *)self;
    close_dataset(source);
    free(source->stored);
    free(source->tensors);
    free(source);
}

static wz_status describe_tensor(weights_source *source, size_t index, wz_error *err)
{
    const wz_checkpoint_entry *entry = &source->entries[index];
    const wz_checkpoint_tensor *tensor = &entry->tensor;
    if (tensor->rank > 2)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: dataset 'weights/%s' has %zu dimensions where a model has 2",
                       source->checkpoint->path, tensor->name, tensor->rank);
    source->tensors[index] = (wz_stored_tensor){.name = tensor->name,
                                                .type = tensor->type,
                                                .rank = tensor->rank,
                                                .shape = {tensor->shape[0], tensor->shape[1]}};
    return WZ_OK;
}

wz_status wz_checkpoint_weights(wz_checkpoint *checkpoint, wz_tensor_source **out, wz_error *err)
{
    size_t first = 0, count = 0;
    void *block = NULL;
    *out = NULL;
    while (first < checkpoint->tensor_count &&
           strcmp(checkpoint->entries[first].tensor.group, "weights") != 0)
        first++;
    while (first + count < checkpoint->tensor_count &&
           strcmp(checkpoint->entries[first + count].tensor.group, "weights") == 0)
        count++;
    if (count == 0)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: holds no weights", checkpoint->path);
    wz_status status = wz_alloc(&block, 1, sizeof(weights_source), "a checkpoint's weights", err);
    if (status != WZ_OK)
        return status;
    weights_source *source = block;
    *source = (weights_source){.base = {.count = count, .read = read_rows, .close = close_source},
                               .checkpoint = checkpoint,
                               .entries = checkpoint->entries + first,
                               .dataset = -1,
                               .type = -1};
    status = wz_alloc(&block, count, sizeof *source->tensors, "a checkpoint's weights", err);
    source->tensors = status == WZ_OK ? block : NULL;
    source->base.tensors = source->tensors;
    for (size_t i = 0; status == WZ_OK && i < count; i++)
        status = describe_tensor(source, i, err);
    if (status != WZ_OK) {
        close_source(&source->base);
        return status;
    }
    *out = &source->base;
    return WZ_OK;
}
