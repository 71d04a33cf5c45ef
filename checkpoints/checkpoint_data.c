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

/* Where blocks go. */
typedef struct target {
    void *data;     /* the entry's bytes, or fp32 of its numbers; NULL: none are kept */
    void *scratch;  /* a block as it is stored; NULL: blocks go straight into data */
    float *numbers; /* a block's fp32 for `take`; NULL: scratch holds them */
    wz_checkpoint_take take;
    void *user;
} target;

static void deliver(const wz_checkpoint_entry *entry, const wz_checkpoint_walk *walk, const target *to)
{
    if (to->take == NULL && to->data != NULL)
        wz_numbers_decode(entry->tensor.type, to->scratch, walk->elements, (float *)to->data + walk->first);
    if (to->take == NULL)
        return;
    if (to->numbers != NULL)
        wz_numbers_decode(entry->tensor.type, to->scratch, walk->elements, to->numbers);
    to->take(to->user, walk->first, to->numbers != NULL ? to->numbers : to->scratch, walk->elements);
}

/* Reads every block in row-major order and adds it to the digest. */
static bool read_blocks(hid_t dataset, const wz_checkpoint_entry *entry, const target *to, wz_digest *digest)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK];
    wz_checkpoint_walk walk = {0};
    hid_t type = wz_checkpoint_entry_type(entry);
    bool done = type >= 0;
    (void)wz_checkpoint_block(entry, block);
    while (done && wz_checkpoint_walk_on(entry, block, &walk)) {
        void *place =
            to->scratch != NULL ? to->scratch : (unsigned char *)to->data + walk.first * entry->element_size;
        done = read_block(dataset, type, entry, &walk, place);
        if (!done)
            break;
        wz_digest_add(digest, place, walk.elements * entry->element_size);
        if (to->scratch != NULL)
            deliver(entry, &walk, to);
    }
    (void)wz_hdf5_close(H5Tclose, type);
    return done;
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

static wz_status make_scratch(const wz_checkpoint_entry *entry, target *to, wz_error *err)
{
    size_t block[WZ_CHECKPOINT_MAX_RANK];
    const size_t elements = wz_checkpoint_block(entry, block);
    const bool is_f32 = entry->tensor.type == WZ_NUMBER_F32;
    void *numbers = NULL;
    wz_status status = WZ_OK;
    if (to->data == NULL || !is_f32)
        status = wz_alloc(&to->scratch, elements, entry->element_size, "a block of a checkpoint", err);
    if (status == WZ_OK && to->take != NULL && !is_f32)
        status = wz_alloc(&numbers, elements, sizeof(float), "a block of a checkpoint", err);
    to->numbers = numbers;
    return status;
}

/* Reads an entry, or, of an empty target, only checks it. */
static wz_status read_entry(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry, target to,
                            wz_error *err)
{
    wz_digest *digest = NULL;
    hid_t dataset = -1;
    wz_hdf5_prepare();
    wz_status status = make_scratch(entry, &to, err);
    if (status == WZ_OK)
        status = wz_checkpoint_digest_start(entry, &digest, err);
    if (status != WZ_OK)
        goto done;
    dataset = wz_checkpoint_open_dataset(checkpoint, entry);
    if (dataset < 0)
        status = wz_checkpoint_fail_dataset(checkpoint, entry, "cannot be opened", err);
    else if (!read_blocks(dataset, entry, &to, digest))
        status = wz_checkpoint_fail_dataset(checkpoint, entry, "cannot be read", err);
    else
        status = check_digest(checkpoint, entry, digest, err);
done:
    (void)wz_hdf5_close(H5Dclose, dataset);
    wz_digest_destroy(digest);
    free(to.scratch);
    free(to.numbers);
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
    return status == WZ_OK ? read_entry(checkpoint, entry, (target){.data = data}, err) : status;
}

wz_status wz_checkpoint_stream(wz_checkpoint *checkpoint, const char *group, const char *name, size_t count,
                               wz_checkpoint_take take, void *user, wz_error *err)
{
    const wz_checkpoint_entry *entry = NULL;
    const wz_status status = require_tensor(checkpoint, group, name, count, &entry, err);
    return status == WZ_OK ? read_entry(checkpoint, entry, (target){.take = take, .user = user}, err)
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
        status = read_entry(checkpoint, entry, (target){.data = data}, err);
    if (status == WZ_OK)
        status = wz_text_append(out, data, entry->bytes, err);
    free(data);
    return status;
}

wz_status wz_checkpoint_verify(wz_checkpoint *checkpoint, wz_error *err)
{
    for (size_t i = 0; i < checkpoint->count; i++) {
        wz_status status = read_entry(checkpoint, &checkpoint->entries[i], (target){.data = NULL}, err);
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
        wz_status status = read_entry(checkpoint, &checkpoint->entries[i], (target){.data = NULL}, err);
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
