#include "checkpoints/checkpoint_layout.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoints/portable.h"
#include "engine/core/block_file.h"
#include "engine/core/file.h"
#include "engine/core/output.h"

/* What the file needs beside its data: headers, chunk indices and partly filled chunks, generously. */
#define SPARE_BYTES_PER_ENTRY 8192u
#define SPARE_BYTES (1u << 20)

/* --- the content as entries --- */

static wz_status check_name(const char *path, const char *name, wz_error *err)
{
    size_t length = strlen(name);
    if (length == 0 || length > WZ_CHECKPOINT_MAX_NAME || strchr(name, '/') != NULL ||
        strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return wz_fail(err, WZ_ERR_RUNTIME,
                       "%s: '%.64s' cannot name a part of a checkpoint: 1 to %d bytes without '/' are needed",
                       path, name, WZ_CHECKPOINT_MAX_NAME);
    return WZ_OK;
}

/* A source's tensor is what the entry says it is. */
static wz_status check_source(const char *path, const wz_checkpoint_tensor *tensor, wz_error *err)
{
    const wz_stored_tensor *stored = &tensor->source->tensors[tensor->index];
    bool same = tensor->index < tensor->source->count && tensor->rank <= 2 && stored->rank == tensor->rank;
    for (size_t d = 0; same && d < tensor->rank; d++)
        same = stored->shape[d] == tensor->shape[d];
    return same ? WZ_OK
                : wz_fail(err, WZ_ERR_RUNTIME, "%s: the source of dataset '%s/%s' has another shape", path,
                          tensor->group, tensor->name);
}

/* Checks and measures one entry whose tensor and data are set. */
static wz_status complete_entry(const char *path, wz_checkpoint_entry *entry, wz_error *err)
{
    const wz_checkpoint_tensor *tensor = &entry->tensor;
    wz_status status = check_name(path, tensor->group, err);
    if (status == WZ_OK)
        status = check_name(path, tensor->name, err);
    if (status != WZ_OK)
        return status;
    if (tensor->rank < 1 || tensor->rank > WZ_CHECKPOINT_MAX_RANK || !wz_checkpoint_entry_measure(entry) ||
        (entry->bytes == 0 && !wz_checkpoint_entry_is_text(entry)))
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: dataset '%s/%s' has an impossible shape", path,
                       tensor->group, tensor->name);
    if (entry->data == NULL && tensor->source == NULL && entry->bytes > 0)
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: dataset '%s/%s' has no data", path, tensor->group,
                       tensor->name);
    return entry->data == NULL && tensor->source != NULL ? check_source(path, tensor, err) : WZ_OK;
}

static wz_status complete_entries(const char *path, wz_checkpoint_entry *entries, size_t count, wz_error *err)
{
    for (size_t i = 0; i < count; i++) {
        wz_status status = complete_entry(path, &entries[i], err);
        if (status != WZ_OK)
            return status;
    }
    wz_checkpoint_entries_sort(entries, count);
    for (size_t i = 1; i < count; i++)
        if (strcmp(entries[i].tensor.group, entries[i - 1].tensor.group) == 0 &&
            strcmp(entries[i].tensor.name, entries[i - 1].tensor.name) == 0)
            return wz_fail(err, WZ_ERR_RUNTIME, "%s: dataset '%s/%s' is given twice", path,
                           entries[i].tensor.group, entries[i].tensor.name);
    return WZ_OK;
}

/* *out: sorted, without digests; free with free(). Names and data stay the caller's. */
static wz_status list_content(const char *path, const wz_checkpoint_content *content,
                              wz_checkpoint_entry **out, wz_error *err)
{
    void *block = NULL;
    size_t count = content->tensor_count + content->text_count;
    wz_status status = wz_alloc(&block, count, sizeof **out, "the list of a checkpoint's datasets", err);
    if (status != WZ_OK)
        return status;
    wz_checkpoint_entry *entries = block;
    for (size_t i = 0; i < content->tensor_count; i++) {
        entries[i].tensor = content->tensors[i];
        entries[i].tensor.data = NULL;
        entries[i].data = content->tensors[i].data;
        if (strcmp(content->tensors[i].group, WZ_CHECKPOINT_TEXTS) == 0) {
            free(block);
            return wz_fail(err, WZ_ERR_RUNTIME, "%s: group 'texts' holds no tensors", path);
        }
    }
    for (size_t i = 0; i < content->text_count; i++) {
        wz_checkpoint_entry *entry = &entries[content->tensor_count + i];
        entry->tensor = (wz_checkpoint_tensor){.group = WZ_CHECKPOINT_TEXTS,
                                               .name = content->texts[i].name,
                                               .rank = 1,
                                               .shape = {content->texts[i].length}};
        entry->data = content->texts[i].data;
    }
    status = complete_entries(path, entries, count, err);
    if (status != WZ_OK) {
        free(block);
        return status;
    }
    *out = entries;
    return WZ_OK;
}

static wz_status check_space(const char *path, const wz_checkpoint_entry *entries, size_t count,
                             wz_error *err)
{
    uint64_t available = 0;
    uint64_t need = SPARE_BYTES;
    assert(entries != NULL || count == 0);
    for (size_t i = 0; i < count; i++)
        need += entries[i].bytes + entries[i].bytes / 256 + SPARE_BYTES_PER_ENTRY;
    wz_status status = wz_disk_free(path, &available, err);
    if (status == WZ_OK && available < need)
        return wz_fail(err, WZ_ERR_RESOURCE,
                       "%s: a checkpoint needs %" PRIu64 " MB but the disk has %" PRIu64
                       " MB free; free some space or write elsewhere",
                       path, (need + 999999) / 1000000, available / 1000000);
    return status;
}

/* --- datasets --- */

/* Chunked with fletcher32; an empty text has no chunks. Without time stamps: same content, same bytes. */
static hid_t dataset_properties(const wz_checkpoint_entry *entry)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK];
    hsize_t chunk[WZ_CHECKPOINT_MAX_RANK];
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    if (properties < 0)
        return properties;
    bool done =
        H5Pset_obj_track_times(properties, 0) >= 0 && H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER) >= 0;
    if (entry->bytes > 0) {
        (void)wz_checkpoint_block(entry, block);
        for (size_t d = 0; d < entry->tensor.rank; d++)
            chunk[d] = block[d];
        done = done && H5Pset_chunk(properties, (int)entry->tensor.rank, chunk) >= 0 &&
               H5Pset_fletcher32(properties) >= 0;
    }
    if (done)
        return properties;
    (void)wz_hdf5_close(H5Pclose, properties);
    return -1;
}

static hid_t create_dataset(hid_t group, const wz_checkpoint_entry *entry, hid_t type)
{
    hsize_t shape[WZ_CHECKPOINT_MAX_RANK];
    hid_t dataset = -1;
    for (size_t d = 0; d < entry->tensor.rank; d++)
        shape[d] = entry->tensor.shape[d];
    hid_t properties = dataset_properties(entry);
    if (properties < 0)
        return -1;
    hid_t space = H5Screate_simple((int)entry->tensor.rank, shape, NULL);
    if (space >= 0) {
        dataset = H5Dcreate2(group, entry->tensor.name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
        (void)wz_hdf5_close(H5Sclose, space);
    }
    (void)wz_hdf5_close(H5Pclose, properties);
    return dataset;
}

/* A file that is being written. */
typedef struct output {
    const char *path;
    int descriptor;   /* the library's; -1: it has none */
    uint64_t waiting; /* bytes since the disk was last set to work */
    wz_ring *ring;    /* of sealed chunks */
} output;

/* A dataset of it. */
typedef struct dataset {
    wz_checkpoint_entry *entry;
    hid_t id;
    output *to;
} dataset;

static wz_status fail_write(const dataset *d, wz_error *err)
{
    char place[WZ_CHECKPOINT_MAX_PLACE];
    wz_checkpoint_entry_place(d->entry, place);
    return wz_hdf5_fail(err, WZ_ERR_RUNTIME, d->to->path, "cannot write dataset '%s'", place);
}

/* As the library's filter would have left it: any reader of HDF5 checks it. */
static wz_status write_chunk(const dataset *d, const wz_checkpoint_walk *walk, wz_error *err)
{
    size_t length = 0;
    const void *chunk = wz_ring_empty(d->to->ring, &length);
    if (chunk == NULL) /* the other side has failed, and says how */
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: no more data", d->to->path);
    const bool done = H5Dwrite_chunk(d->id, H5P_DEFAULT, 0, walk->start, length, chunk) >= 0;
    wz_ring_emptied(d->to->ring);
    if (!done)
        return fail_write(d, err);
    d->to->waiting += length;
    if (d->to->waiting >= WZ_WRITE_BACK_BYTES) {
        wz_file_write_back(d->to->descriptor);
        d->to->waiting = 0;
    }
    return WZ_OK;
}

static wz_status write_chunks(const dataset *d, wz_error *err)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK];
    wz_checkpoint_walk walk = {0};
    wz_status status = WZ_OK;
    (void)wz_checkpoint_block(d->entry, block);
    while (status == WZ_OK && wz_checkpoint_walk_on(d->entry, block, &walk))
        status = write_chunk(d, &walk, err);
    return status == WZ_OK && d->entry->bytes == 0 ? wz_checkpoint_digest_entry(d->entry, err) : status;
}

static wz_status write_dataset(hid_t group, wz_checkpoint_entry *entry, output *to, wz_error *err)
{
    hid_t type = wz_checkpoint_entry_type(entry);
    const dataset d = {entry, group >= 0 && type >= 0 ? create_dataset(group, entry, type) : -1, to};
    wz_status status = d.id < 0 ? fail_write(&d, err) : write_chunks(&d, err);
    if (status == WZ_OK && !wz_hdf5_write_string(d.id, WZ_CHECKPOINT_DIGEST, entry->digest))
        status = fail_write(&d, err);
    if (!wz_hdf5_close(H5Dclose, d.id) && status == WZ_OK)
        status = fail_write(&d, err);
    (void)wz_hdf5_close(H5Tclose, type);
    return status;
}

/* entries are sorted, so that each group's are neighbours */
static wz_status write_datasets(hid_t file, output *to, wz_checkpoint_entry *entries, size_t count,
                                wz_error *err)
{
    wz_status status = WZ_OK;
    hid_t group = -1;
    for (size_t i = 0; i < count && status == WZ_OK; i++) {
        if (i == 0 || strcmp(entries[i].tensor.group, entries[i - 1].tensor.group) != 0) {
            (void)wz_hdf5_close(H5Gclose, group);
            group = wz_hdf5_create_group(file, entries[i].tensor.group);
        }
        status = write_dataset(group, &entries[i], to, err);
    }
    (void)wz_hdf5_close(H5Gclose, group);
    return status;
}

static size_t largest_chunk(const wz_checkpoint_entry *entries, size_t count)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK], largest = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t bytes = wz_checkpoint_chunk_bytes(&entries[i], wz_checkpoint_block(&entries[i], block));
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}

/* Chunks are made in another thread while this one writes. What that one says comes first: this one only misses its data. */
static wz_status write_entries(hid_t file, const char *path, wz_checkpoint_entry *entries, size_t count,
                               wz_error *err)
{
    output to = {.path = path, .descriptor = wz_hdf5_descriptor(file)};
    wz_checkpoint_pieces pieces = {entries, count};
    wz_error other = {.text = ""};
    if (count == 0)
        return WZ_OK;
    wz_status status =
        wz_ring_start(largest_chunk(entries, count), wz_checkpoint_fill_pieces, &pieces, &to.ring, err);
    if (status != WZ_OK)
        return status;
    status = write_datasets(file, &to, entries, count, err);
    const wz_status filled = wz_ring_join(to.ring, &other);
    if (filled == WZ_OK)
        return status;
    if (err != NULL)
        *err = other;
    return filled;
}

static bool write_header(hid_t file, int64_t step, const char *manifest)
{
    return wz_hdf5_write_string(file, "format", WZ_CHECKPOINT_FORMAT) &&
           wz_hdf5_write_integer(file, "version", WZ_CHECKPOINT_VERSION) &&
           wz_hdf5_write_integer(file, "step", step) && wz_hdf5_write_string(file, "manifest", manifest);
}

/* --- the file --- */

/* The header comes last: it holds the digests of all that was written. path: what messages name. */
static wz_status write_file(const char *temporary, const char *path, int64_t step,
                            wz_checkpoint_entry *entries, size_t count, wz_error *err)
{
    char manifest[WZ_DIGEST_HEX];
    hid_t file = wz_hdf5_create(temporary);
    if (file < 0)
        return wz_hdf5_fail(err, WZ_ERR_RUNTIME, path, "cannot create the file");
    wz_status status = check_space(path, entries, count, err);
    if (status == WZ_OK)
        status = write_entries(file, path, entries, count, err);
    if (status == WZ_OK)
        status = wz_checkpoint_manifest(step, entries, count, manifest, err);
    if (status == WZ_OK && !write_header(file, step, manifest))
        status = wz_hdf5_fail(err, WZ_ERR_RUNTIME, path, "cannot write the header");
    if (!wz_hdf5_close(H5Fclose, file) && status == WZ_OK)
        status = wz_hdf5_fail(err, WZ_ERR_RUNTIME, path, "cannot finish writing the file");
    (void)H5Eclear2(H5E_DEFAULT);
    return status;
}

/* Reads the finished file back before anything depends on it. Damage here is not the user's input. */
static wz_status verify_file(const char *path, wz_stop *stop, wz_error *err)
{
    wz_checkpoint *written = NULL;
    wz_status status = wz_checkpoint_open_any(path, &written, err);
    if (status == WZ_OK) {
        written->stop = stop;
        status = wz_checkpoint_verify(written, err);
    }
    wz_checkpoint_close(written);
    if (status == WZ_ERR_CORRUPT)
        return wz_fail_prefix(err, WZ_ERR_RUNTIME, "the checkpoint just written cannot be read back: ");
    return status == WZ_OK ? wz_stop_check(stop, err) : status;
}

static wz_status write_and_commit(const char *path, const char *temporary,
                                  const wz_checkpoint_content *content, wz_checkpoint_entry *entries,
                                  size_t count, wz_error *err)
{
    wz_status status = write_file(temporary, path, content->step, entries, count, err);
    if (status == WZ_OK)
        status = wz_fail_renamed(err, verify_file(temporary, content->stop, err), temporary, path);
    if (status == WZ_OK)
        return wz_file_commit(temporary, path, err);
    (void)unlink(temporary);
    return status;
}

wz_status wz_checkpoint_write(const char *path, const wz_checkpoint_content *content, wz_error *err)
{
    wz_checkpoint_entry *entries = NULL;
    wz_text temporary = {0};
    size_t count = content->tensor_count + content->text_count;
    wz_hdf5_prepare();
    wz_status status = list_content(path, content, &entries, err);
    if (status == WZ_OK)
        status = wz_output_temporary(path, &temporary, err);
    if (status == WZ_OK)
        status = write_and_commit(path, temporary.data, content, entries, count, err);
    wz_text_clear(&temporary);
    free(entries);
    return status;
}
