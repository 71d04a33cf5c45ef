/* The bytes of a checkpoint's datasets, read in blocks and checked against their digests. */
#include "checkpoints/checkpoint_layout.h"

#include <stdlib.h>
#include <string.h>

/* --- one dataset, block by block --- */

/* Reads the block of `count` elements per dimension at `start`. */
static bool read_block(hid_t dataset, const wz_checkpoint_entry *entry, const hsize_t *start,
                       const hsize_t *count, void *data)
{
    bool done = false;
    hid_t from = H5Dget_space(dataset);
    if (from < 0)
        return false;
    hid_t to = H5Screate_simple((int)entry->tensor.rank, count, NULL);
    if (to >= 0) {
        done = H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
               H5Dread(dataset, wz_checkpoint_entry_memory_type(entry), to, from, H5P_DEFAULT, data) >= 0;
        (void)wz_hdf5_close(H5Sclose, to);
    }
    (void)wz_hdf5_close(H5Sclose, from);
    return done;
}

/* Reads every block in row-major order, adding it to the digest. data: all bytes, or (whole == false) room for
 * one block. */
static bool read_blocks(hid_t dataset, const wz_checkpoint_entry *entry, unsigned char *data, bool whole,
                        wz_digest *digest)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK];
    hsize_t start[WZ_CHECKPOINT_MAX_RANK] = {0};
    hsize_t count[WZ_CHECKPOINT_MAX_RANK];
    const size_t rank = entry->tensor.rank;
    (void)wz_checkpoint_block(entry, block);
    for (size_t done = 0; done < entry->bytes;) {
        size_t bytes = entry->element_size;
        for (size_t d = 0; d < rank; d++) {
            size_t left = entry->tensor.shape[d] - (size_t)start[d];
            count[d] = left < block[d] ? left : block[d];
            bytes *= (size_t)count[d];
        }
        unsigned char *place = whole ? data + done : data;
        if (!read_block(dataset, entry, start, count, place))
            return false;
        wz_digest_add(digest, place, bytes);
        done += bytes;
        for (size_t d = rank; d-- > 0;) { /* the next block, last dimension first */
            start[d] += count[d];
            if (start[d] < entry->tensor.shape[d])
                break;
            start[d] = 0;
        }
    }
    return true;
}

static wz_status check_digest(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                              wz_digest *digest, wz_error *err)
{
    char found[WZ_DIGEST_HEX];
    wz_digest_finish(digest, found);
    if (strcmp(found, entry->digest) != 0)
        return wz_checkpoint_fail_dataset(checkpoint, entry,
                                          "is damaged: its digest differs from the one written", err);
    return WZ_OK;
}

/* Reads an entry into data (all its bytes), or only checks it where data is NULL. */
static wz_status read_entry(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry, void *data,
                            wz_error *err)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK];
    void *scratch = NULL;
    wz_digest *digest = NULL;
    hid_t dataset = -1;
    wz_status status = WZ_OK;
    wz_hdf5_prepare();
    if (data == NULL)
        status = wz_alloc(&scratch, wz_checkpoint_block(entry, block), entry->element_size,
                          "a block of a checkpoint", err);
    if (status == WZ_OK)
        status = wz_checkpoint_digest_start(entry, &digest, err);
    if (status != WZ_OK)
        goto done;
    dataset = wz_checkpoint_open_dataset(checkpoint, entry);
    if (dataset < 0)
        status = wz_checkpoint_fail_dataset(checkpoint, entry, "cannot be opened", err);
    else if (!read_blocks(dataset, entry, data != NULL ? data : scratch, data != NULL, digest))
        status = wz_checkpoint_fail_dataset(checkpoint, entry, "cannot be read", err);
    else
        status = check_digest(checkpoint, entry, digest, err);
done:
    (void)wz_hdf5_close(H5Dclose, dataset);
    wz_digest_destroy(digest);
    free(scratch);
    return status;
}

/* --- by name --- */

static const wz_checkpoint_entry *find_entry(const wz_checkpoint *checkpoint, const char *group,
                                             const char *name)
{
    for (size_t i = 0; i < checkpoint->count; i++)
        if (strcmp(checkpoint->entries[i].tensor.name, name) == 0 &&
            strcmp(checkpoint->entries[i].tensor.group, group) == 0)
            return &checkpoint->entries[i];
    return NULL;
}

static wz_status require_entry(const wz_checkpoint *checkpoint, const char *group, const char *name,
                               const wz_checkpoint_entry **out, wz_error *err)
{
    *out = find_entry(checkpoint, group, name);
    if (*out == NULL)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: dataset '%s/%s' is missing", checkpoint->path, group, name);
    return WZ_OK;
}

wz_status wz_checkpoint_read(wz_checkpoint *checkpoint, const char *group, const char *name, float *data,
                             size_t count, wz_error *err)
{
    const wz_checkpoint_entry *entry = NULL;
    wz_status status = require_entry(checkpoint, group, name, &entry, err);
    if (status != WZ_OK)
        return status;
    if (wz_checkpoint_entry_is_text(entry) || entry->bytes / sizeof(float) != count)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: dataset '%s/%s' has %zu elements where %zu are needed",
                       checkpoint->path, group, name, entry->bytes / entry->element_size, count);
    return read_entry(checkpoint, entry, data, err);
}

bool wz_checkpoint_has_text(const wz_checkpoint *checkpoint, const char *name)
{
    return find_entry(checkpoint, WZ_CHECKPOINT_TEXTS, name) != NULL;
}

wz_status wz_checkpoint_read_text(wz_checkpoint *checkpoint, const char *name, wz_text *out, wz_error *err)
{
    const wz_checkpoint_entry *entry = NULL;
    void *data = NULL;
    wz_status status = require_entry(checkpoint, WZ_CHECKPOINT_TEXTS, name, &entry, err);
    if (status == WZ_OK)
        status = wz_alloc(&data, entry->bytes, 1, "a text of a checkpoint", err);
    if (status == WZ_OK)
        status = read_entry(checkpoint, entry, data, err);
    if (status == WZ_OK)
        status = wz_text_append(out, data, entry->bytes, err);
    free(data);
    return status;
}

wz_status wz_checkpoint_verify(wz_checkpoint *checkpoint, wz_error *err)
{
    for (size_t i = 0; i < checkpoint->count; i++) {
        wz_status status = read_entry(checkpoint, &checkpoint->entries[i], NULL, err);
        if (status != WZ_OK)
            return status;
    }
    return WZ_OK;
}

/* --- the digest of the weights --- */

wz_status wz_checkpoint_weights_digest(wz_checkpoint *checkpoint, char digest[33], wz_error *err)
{
    for (size_t i = 0; i < checkpoint->tensor_count; i++) {
        if (strcmp(checkpoint->entries[i].tensor.group, "weights") != 0)
            continue;
        wz_status status = read_entry(checkpoint, &checkpoint->entries[i], NULL, err);
        if (status != WZ_OK)
            return status;
    }
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
