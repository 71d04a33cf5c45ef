/* The bytes of a checkpoint's datasets, read in blocks and checked against their digests. */
#include "checkpoints/checkpoint_layout.h"

#include <stdlib.h>
#include <string.h>

/* --- one dataset, block by block --- */

static bool read_block(hid_t dataset, hid_t type, const wz_checkpoint_entry *entry,
                       const wz_checkpoint_walk *walk, void *data)
{
    hid_t file = -1, memory = -1;
    const bool done = wz_checkpoint_walk_select(dataset, entry, walk, &file, &memory) &&
                      H5Dread(dataset, type, memory, file, H5P_DEFAULT, data) >= 0;
    (void)wz_hdf5_close(H5Sclose, memory);
    (void)wz_hdf5_close(H5Sclose, file);
    return done;
}

void wz_checkpoint_deliver(const wz_checkpoint_entry *entry, const void *stored, size_t first, size_t count,
                           const wz_checkpoint_target *to)
{
    if (to->take != NULL) {
        if (to->numbers != NULL)
            wz_numbers_decode(entry->tensor.type, stored, count, to->numbers);
        to->take(to->user, first, to->numbers != NULL ? to->numbers : stored, count);
    } else if (to->data != NULL && wz_checkpoint_entry_is_text(entry)) {
        memcpy((unsigned char *)to->data + first, stored, count);
    } else if (to->data != NULL) {
        wz_numbers_decode(entry->tensor.type, stored, count, (float *)to->data + first);
    }
}

/* Reads every block in row-major order, by way of scratch, and adds it to the digest. */
static bool read_blocks(hid_t dataset, const wz_checkpoint_entry *entry, void *scratch,
                        const wz_checkpoint_target *to, wz_digest *digest)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK];
    wz_checkpoint_walk walk = {0};
    hid_t type = wz_checkpoint_entry_type(entry);
    bool done = type >= 0;
    (void)wz_checkpoint_block(entry, block);
    while (done && wz_checkpoint_walk_on(entry, block, &walk)) {
        done = read_block(dataset, type, entry, &walk, scratch);
        if (!done)
            break;
        wz_digest_add(digest, scratch, walk.elements * entry->element_size);
        wz_checkpoint_deliver(entry, scratch, walk.first, walk.elements, to);
    }
    (void)wz_hdf5_close(H5Tclose, type);
    return done;
}

/* What our writer did not make: by the library, in its own steps. */
static wz_status read_foreign(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                              const wz_checkpoint_target *to, wz_error *err)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK];
    void *scratch = NULL;
    wz_digest *digest = NULL;
    hid_t dataset = -1;
    wz_status status = wz_alloc(&scratch, wz_checkpoint_block(entry, block), entry->element_size,
                                "a block of a checkpoint", err);
    if (status == WZ_OK)
        status = wz_checkpoint_digest_start(entry, &digest, err);
    if (status != WZ_OK)
        goto done;
    dataset = wz_checkpoint_open_dataset(checkpoint, entry);
    if (dataset < 0)
        status = wz_checkpoint_fail_dataset(checkpoint, entry, "cannot be opened", err);
    else if (!read_blocks(dataset, entry, scratch, to, digest))
        status = wz_checkpoint_fail_dataset(checkpoint, entry, "cannot be read", err);
    else
        status = wz_checkpoint_check_digest(checkpoint, entry, digest, err);
done:
    (void)wz_hdf5_close(H5Dclose, dataset);
    wz_digest_destroy(digest);
    free(scratch);
    return status;
}

wz_status wz_checkpoint_read_entry(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                   wz_checkpoint_target to, wz_error *err)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK];
    wz_checkpoint_chunks chunks;
    void *numbers = NULL;
    wz_hdf5_prepare();
    wz_status status = wz_checkpoint_chunks_find(checkpoint, entry, &chunks, err);
    const size_t elements = chunks.count > 0 ? chunks.elements : wz_checkpoint_block(entry, block);
    if (status == WZ_OK && to.take != NULL && entry->tensor.type != WZ_NUMBER_F32)
        status = wz_alloc(&numbers, elements, sizeof(float), "a block of a checkpoint", err);
    to.numbers = numbers;
    if (status == WZ_OK)
        status = chunks.count > 0 ? wz_checkpoint_chunks_read(checkpoint, entry, &chunks, &to, err)
                                  : read_foreign(checkpoint, entry, &to, err);
    free(numbers);
    wz_checkpoint_chunks_clear(&chunks);
    return status;
}

/* --- by name --- */

size_t wz_checkpoint_group(const wz_checkpoint *checkpoint, const char *group, size_t *first)
{
    size_t end = 0;
    for (*first = 0; *first < checkpoint->tensor_count; ++*first)
        if (strcmp(checkpoint->entries[*first].tensor.group, group) == 0)
            break;
    for (end = *first; end < checkpoint->tensor_count; end++)
        if (strcmp(checkpoint->entries[end].tensor.group, group) != 0)
            break;
    return end - *first;
}

static const wz_checkpoint_entry *find_entry(const wz_checkpoint *checkpoint, const char *group,
                                             const char *name)
{
    for (size_t i = 0; i < checkpoint->count; i++)
        if (strcmp(checkpoint->entries[i].tensor.name, name) == 0 &&
            strcmp(checkpoint->entries[i].tensor.group, group) == 0)
            return &checkpoint->entries[i];
    return NULL;
}

static wz_status fail_missing(const wz_checkpoint *checkpoint, const char *group, const char *name,
                              wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: dataset '%s/%s' is missing", checkpoint->path, group, name);
}

static wz_status require_tensor(const wz_checkpoint *checkpoint, const char *group, const char *name,
                                size_t count, const wz_checkpoint_entry **out, wz_error *err)
{
    const wz_checkpoint_entry *entry = *out = find_entry(checkpoint, group, name);
    if (entry == NULL)
        return fail_missing(checkpoint, group, name, err);
    if (wz_checkpoint_entry_is_text(entry) || entry->bytes / entry->element_size != count)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: dataset '%s/%s' has %zu elements where %zu are needed",
                       checkpoint->path, group, name, entry->bytes / entry->element_size, count);
    return WZ_OK;
}

wz_status wz_checkpoint_read(wz_checkpoint *checkpoint, const char *group, const char *name, float *data,
                             size_t count, wz_error *err)
{
    const wz_checkpoint_entry *entry = NULL;
    const wz_status status = require_tensor(checkpoint, group, name, count, &entry, err);
    return status == WZ_OK
               ? wz_checkpoint_read_entry(checkpoint, entry, (wz_checkpoint_target){.data = data}, err)
               : status;
}

wz_status wz_checkpoint_stream(wz_checkpoint *checkpoint, const char *group, const char *name, size_t count,
                               wz_checkpoint_take take, void *user, wz_error *err)
{
    const wz_checkpoint_entry *entry = NULL;
    const wz_status status = require_tensor(checkpoint, group, name, count, &entry, err);
    return status == WZ_OK ? wz_checkpoint_read_entry(checkpoint, entry,
                                                      (wz_checkpoint_target){.take = take, .user = user}, err)
                           : status;
}

bool wz_checkpoint_has_text(const wz_checkpoint *checkpoint, const char *name)
{
    return find_entry(checkpoint, WZ_CHECKPOINT_TEXTS, name) != NULL;
}

wz_status wz_checkpoint_read_text(wz_checkpoint *checkpoint, const char *name, wz_text *out, wz_error *err)
{
    const wz_checkpoint_entry *entry = find_entry(checkpoint, WZ_CHECKPOINT_TEXTS, name);
    void *data = NULL;
    if (entry == NULL)
        return fail_missing(checkpoint, WZ_CHECKPOINT_TEXTS, name, err);
    wz_status status = wz_alloc(&data, entry->bytes, 1, "a text of a checkpoint", err);
    if (status == WZ_OK)
        status = wz_checkpoint_read_entry(checkpoint, entry, (wz_checkpoint_target){.data = data}, err);
    if (status == WZ_OK)
        status = wz_text_append(out, data, entry->bytes, err);
    free(data);
    return status;
}

wz_status wz_checkpoint_verify(wz_checkpoint *checkpoint, wz_error *err)
{
    return wz_checkpoint_check_entries(checkpoint, 0, checkpoint->count, err);
}

/* --- the digest of the weights --- */

wz_status wz_checkpoint_weights_digest(wz_checkpoint *checkpoint, char digest[33], wz_error *err)
{
    size_t first = 0;
    const size_t count = wz_checkpoint_group(checkpoint, "weights", &first);
    const wz_status status = wz_checkpoint_check_entries(checkpoint, first, first + count, err);
    if (status != WZ_OK)
        return status;
    return wz_checkpoint_combine_weights(checkpoint->entries, checkpoint->tensor_count, digest, err);
}

wz_status wz_weights_digest(const wz_checkpoint_tensor *tensors, size_t count, char digest[33], wz_error *err)
{
    void *block = NULL;
    wz_status status =
        wz_alloc(&block, count, sizeof(wz_checkpoint_entry), "the digests of the weights", err);
    if (status != WZ_OK)
        return status;
    wz_checkpoint_entry *entries = block;
    for (size_t i = 0; i < count && status == WZ_OK; i++) {
        entries[i].tensor = tensors[i];
        entries[i].data = tensors[i].data;
        if (strcmp(tensors[i].group, "weights") == 0)
            status = wz_checkpoint_digest_entry(&entries[i], err);
    }
    if (status == WZ_OK) {
        wz_checkpoint_entries_sort(entries, count);
        status = wz_checkpoint_combine_weights(entries, count, digest, err);
    }
    free(entries);
    return status;
}
