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
    wz_checkpoint_chunks *places;       /* [count], of the tensors that were expected; NULL: none were */
    wz_read_ahead *ahead;
    /* The tensor that is open. */
    size_t open; /* SIZE_MAX: none */
    wz_checkpoint_chunks chunks;
    hid_t dataset, type; /* of one that our writer did not make; else -1 */
    void *stored;        /* its rows as they lie in the file, or a chunk */
    size_t capacity;
    size_t chunk; /* which one `stored` holds; SIZE_MAX: none */
    wz_digest *digest;
    size_t digested; /* chunks of the digest; all of them: it has been checked */
} weights_source;

static void close_tensor(weights_source *source)
{
    (void)wz_hdf5_close(H5Dclose, source->dataset);
    (void)wz_hdf5_close(H5Tclose, source->type);
    wz_checkpoint_chunks_clear(&source->chunks);
    wz_digest_destroy(source->digest);
    source->digest = NULL;
    source->dataset = source->type = -1;
    source->open = source->chunk = SIZE_MAX;
    source->digested = 0;
}

static wz_status open_dataset(weights_source *source, const wz_checkpoint_entry *entry, wz_error *err)
{
    source->type = wz_checkpoint_entry_type(entry);
    source->dataset = wz_checkpoint_open_dataset(source->checkpoint, entry);
    if (source->type < 0 || source->dataset < 0)
        return wz_checkpoint_fail_dataset(source->checkpoint, entry, "cannot be opened", err);
    return WZ_OK;
}

/* What was found when the tensor was announced is this one's own now. */
static wz_status find_chunks(weights_source *source, size_t index, wz_error *err)
{
    if (source->places == NULL || source->places[index].count == 0)
        return wz_checkpoint_chunks_find(source->checkpoint, &source->entries[index], &source->chunks, err);
    source->chunks = source->places[index];
    source->places[index] = (wz_checkpoint_chunks){0};
    return WZ_OK;
}

static wz_status open_tensor(weights_source *source, size_t index, wz_error *err)
{
    const wz_checkpoint_entry *entry = &source->entries[index];
    if (source->open == index)
        return WZ_OK;
    close_tensor(source);
    wz_status status = find_chunks(source, index, err);
    if (status == WZ_OK)
        status = source->chunks.count == 0 ? open_dataset(source, entry, err)
                                           : wz_checkpoint_digest_start(entry, &source->digest, err);
    if (status == WZ_OK)
        source->open = index;
    else
        close_tensor(source);
    return status;
}

/* --- by chunks --- */

/* Chunks that come in order are digested on the way; before the first one out of order the whole tensor is checked. */
static wz_status digest_chunk(weights_source *source, size_t k, size_t count, wz_error *err)
{
    const wz_checkpoint_entry *entry = &source->entries[source->open];
    const wz_checkpoint_target nowhere = {.data = NULL};
    wz_status status = WZ_OK;
    if (k < source->digested)
        return WZ_OK;
    if (k > source->digested) {
        status = wz_checkpoint_chunks_read(source->checkpoint, entry, &source->chunks, &nowhere, err);
        source->digested = source->chunks.count;
        return status;
    }
    wz_digest_add(source->digest, source->stored, count * entry->element_size);
    if (++source->digested == source->chunks.count)
        status = wz_checkpoint_check_digest(source->checkpoint, entry, source->digest, err);
    return status;
}

static wz_status load_chunk(weights_source *source, size_t k, size_t count, wz_error *err)
{
    const wz_checkpoint_entry *entry = &source->entries[source->open];
    if (source->chunk == k)
        return WZ_OK;
    source->chunk = SIZE_MAX;
    wz_status status =
        wz_grow(&source->stored, &source->capacity, wz_checkpoint_chunk_bytes(entry, source->chunks.elements),
                1, "a block of a checkpoint", err);
    if (status == WZ_OK)
        status = wz_checkpoint_chunk_read(source->checkpoint, entry, &source->chunks, k, source->ahead,
                                          source->stored, err);
    if (status == WZ_OK)
        status = digest_chunk(source, k, count, err);
    if (status == WZ_OK)
        source->chunk = k;
    else
        close_tensor(source); /* whoever asks again is told again */
    return status;
}

/* Of stored numbers, as fp32 or as they are. Returns where the next ones go. */
static void *give(const wz_checkpoint_entry *entry, const void *from, size_t count, bool as_stored, void *to)
{
    if (as_stored) {
        memcpy(to, from, count * entry->element_size);
        return (char *)to + count * entry->element_size;
    }
    wz_numbers_decode(entry->tensor.type, from, count, to);
    return (float *)to + count;
}

/* Elements [first, end) of the open tensor. */
static wz_status read_chunks(weights_source *source, size_t first, size_t end, bool as_stored, void *out,
                             wz_error *err)
{
    const wz_checkpoint_entry *entry = &source->entries[source->open];
    while (first < end) {
        size_t start = 0;
        const size_t k = wz_checkpoint_chunk_of(&source->chunks, first),
                     count = wz_checkpoint_chunk_range(&source->chunks, k, &start);
        const size_t part = (end < start + count ? end : start + count) - first;
        const wz_status status = load_chunk(source, k, count, err);
        if (status != WZ_OK)
            return status;
        out = give(entry, (const char *)source->stored + (first - start) * entry->element_size, part,
                   as_stored, out);
        first += part;
    }
    return WZ_OK;
}

/* --- by the library --- */

static wz_status read_foreign(weights_source *source, const wz_checkpoint_walk *walk, bool as_stored,
                              void *out, wz_error *err)
{
    const wz_checkpoint_entry *entry = &source->entries[source->open];
    hid_t file = -1, memory = -1;
    wz_status status = wz_grow(&source->stored, &source->capacity, walk->elements * entry->element_size, 1,
                               "rows of a tensor", err);
    if (status != WZ_OK)
        return status;
    if (!wz_checkpoint_walk_select(source->dataset, entry, walk, &file, &memory) ||
        H5Dread(source->dataset, source->type, memory, file, H5P_DEFAULT, source->stored) < 0)
        status = wz_checkpoint_fail_dataset(source->checkpoint, entry, "cannot be read", err);
    else
        (void)give(entry, source->stored, walk->elements, as_stored, out);
    (void)wz_hdf5_close(H5Sclose, memory);
    (void)wz_hdf5_close(H5Sclose, file);
    return status;
}

static wz_status read_any(weights_source *source, size_t index, size_t first, size_t rows, bool as_stored,
                          void *out, wz_error *err)
{
    const wz_checkpoint_tensor *tensor = &source->entries[index].tensor;
    const size_t width = tensor->rank == 2 ? tensor->shape[1] : 1;
    const wz_checkpoint_walk walk = {.start = {first}, .count = {rows, width}, .elements = rows * width};
    wz_hdf5_prepare();
    const wz_status status = open_tensor(source, index, err);
    if (status != WZ_OK)
        return status;
    return source->chunks.count > 0
               ? read_chunks(source, first * width, (first + rows) * width, as_stored, out, err)
               : read_foreign(source, &walk, as_stored, out, err);
}

static wz_status read_rows(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    return read_any((weights_source *)(void *)self, index, first, rows, false, out, err);
}

static wz_status read_stored(wz_tensor_source *self, size_t index, size_t first, size_t rows, void *out,
                             wz_error *err)
{
    return read_any((weights_source *)(void *)self, index, first, rows, true, out, err);
}

/* --- ahead --- */

static void forget(weights_source *source)
{
    wz_read_ahead_stop(source->ahead);
    source->ahead = NULL;
    for (size_t i = 0; source->places != NULL && i < source->base.count; i++)
        wz_checkpoint_chunks_clear(&source->places[i]);
    free(source->places);
    source->places = NULL;
}

typedef struct extents {
    void *items; /* wz_extent */
    size_t count, capacity;
} extents;

static wz_status add_extents(weights_source *source, size_t index, extents *to, wz_error *err)
{
    const wz_checkpoint_entry *entry = &source->entries[index];
    wz_checkpoint_chunks *chunks = &source->places[index];
    if (chunks->count > 0) /* it is to be read once more */
        return WZ_OK;
    wz_status status = wz_checkpoint_chunks_find(source->checkpoint, entry, chunks, err);
    if (status == WZ_OK)
        status = wz_grow(&to->items, &to->capacity, to->count + chunks->count, sizeof(wz_extent),
                         "a list of a checkpoint's chunks", err);
    for (size_t k = 0; status == WZ_OK && k < chunks->count; k++)
        ((wz_extent *)to->items)[to->count++] =
            (wz_extent){.descriptor = source->checkpoint->descriptor,
                        .offset = chunks->places[k],
                        .bytes = wz_checkpoint_chunk_bytes(entry, chunks->elements)};
    return status;
}

static wz_status expect(wz_tensor_source *self, const size_t *order, size_t count, wz_error *err)
{
    weights_source *source = (weights_source *)self;
    extents all = {.count = 0};
    void *block = NULL;
    forget(source);
    wz_status status = wz_alloc(&block, self->count, sizeof *source->places, "a checkpoint's weights", err);
    source->places = block;
    for (size_t i = 0; status == WZ_OK && i < count; i++)
        status = add_extents(source, order[i], &all, err);
    if (status == WZ_OK)
        source->ahead = wz_read_ahead_start(all.items, all.count);
    free(all.items);
    return status;
}

static void close_source(wz_tensor_source *self)
{
    weights_source *source = (weights_source *)self;
    close_tensor(source);
    forget(source);
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
    size_t first = 0;
    void *block = NULL;
    const size_t count = wz_checkpoint_group(checkpoint, "weights", &first);
    *out = NULL;
    if (count == 0)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: holds no weights", checkpoint->path);
    wz_status status = wz_alloc(&block, 1, sizeof(weights_source), "a checkpoint's weights", err);
    if (status != WZ_OK)
        return status;
    weights_source *source = block;
    *source = (weights_source){.base = {.count = count,
                                        .read = read_rows,
                                        .read_stored = read_stored,
                                        .expect = expect,
                                        .close = close_source},
                               .checkpoint = checkpoint,
                               .entries = checkpoint->entries + first,
                               .open = SIZE_MAX,
                               .chunk = SIZE_MAX,
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
