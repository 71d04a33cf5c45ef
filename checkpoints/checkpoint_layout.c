#include "checkpoints/checkpoint_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digests and files hold the bytes as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "checkpoints are written on little-endian machines");

/* --- entries --- */

bool wz_checkpoint_entry_is_text(const wz_checkpoint_entry *entry)
{
    return strcmp(entry->tensor.group, WZ_CHECKPOINT_TEXTS) == 0;
}

bool wz_checkpoint_entry_measure(wz_checkpoint_entry *entry)
{
    entry->element_size = wz_checkpoint_entry_is_text(entry) ? 1 : sizeof(float);
    entry->bytes = entry->element_size;
    for (size_t d = 0; d < entry->tensor.rank; d++)
        if (!wz_size_multiply(entry->bytes, entry->tensor.shape[d], &entry->bytes))
            return false;
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    const wz_checkpoint_entry *left = a, *right = b;
    int order = (int)wz_checkpoint_entry_is_text(left) - (int)wz_checkpoint_entry_is_text(right);
    if (order == 0)
        order = strcmp(left->tensor.group, right->tensor.group);
    return order != 0 ? order : strcmp(left->tensor.name, right->tensor.name);
}

void wz_checkpoint_entries_sort(wz_checkpoint_entry *entries, size_t count)
{
    if (count > 1)
        qsort(entries, count, sizeof *entries, compare_entries);
}

void wz_checkpoint_entry_place(const wz_checkpoint_entry *entry, char place[WZ_CHECKPOINT_MAX_PLACE])
{
    (void)snprintf(place, WZ_CHECKPOINT_MAX_PLACE, "%s/%s", entry->tensor.group, entry->tensor.name);
}

hid_t wz_checkpoint_entry_memory_type(const wz_checkpoint_entry *entry)
{
    return wz_checkpoint_entry_is_text(entry) ? H5T_NATIVE_UINT8 : H5T_NATIVE_FLOAT;
}

size_t wz_checkpoint_block(const wz_checkpoint_entry *entry, size_t block[WZ_CHECKPOINT_MAX_RANK])
{
    const wz_checkpoint_tensor *tensor = &entry->tensor;
    size_t left = WZ_CHECKPOINT_BLOCK_BYTES / entry->element_size; /* elements that still fit */
    size_t elements = 1;
    for (size_t d = tensor->rank; d-- > 0;) {
        block[d] = tensor->shape[d] < left ? tensor->shape[d] : left;
        elements *= block[d];
        left = block[d] == tensor->shape[d] && block[d] > 0 ? left / block[d] : 1;
    }
    return elements;
}

/* --- digests --- */

static void add_name(wz_digest *digest, const char *name)
{
    wz_digest_add_u64(digest, strlen(name));
    wz_digest_add(digest, name, strlen(name));
}

wz_status wz_checkpoint_digest_start(const wz_checkpoint_entry *entry, wz_digest **out, wz_error *err)
{
    wz_status status = wz_digest_create(out, err);
    if (status != WZ_OK)
        return status;
    add_name(*out, entry->tensor.group);
    add_name(*out, entry->tensor.name);
    wz_digest_add_u64(*out, entry->tensor.rank);
    for (size_t d = 0; d < entry->tensor.rank; d++)
        wz_digest_add_u64(*out, entry->tensor.shape[d]);
    return WZ_OK;
}

wz_status wz_checkpoint_digest_entry(wz_checkpoint_entry *entry, wz_error *err)
{
    wz_digest *digest = NULL;
    if (entry->tensor.rank > WZ_CHECKPOINT_MAX_RANK || !wz_checkpoint_entry_measure(entry))
        return wz_fail(err, WZ_ERR_RUNTIME, "tensor '%s/%s' has an impossible shape", entry->tensor.group,
                       entry->tensor.name);
    wz_status status = wz_checkpoint_digest_start(entry, &digest, err);
    if (status != WZ_OK)
        return status;
    wz_digest_add(digest, entry->data, entry->bytes);
    wz_digest_finish(digest, entry->digest);
    wz_digest_destroy(digest);
    return WZ_OK;
}

wz_status wz_checkpoint_manifest(int64_t step, const wz_checkpoint_entry *entries, size_t count,
                                 char hex[WZ_DIGEST_HEX], wz_error *err)
{
    wz_digest *digest = NULL;
    wz_status status = wz_digest_create(&digest, err);
    if (status != WZ_OK)
        return status;
    wz_digest_add_u64(digest, (uint64_t)step);
    wz_digest_add_u64(digest, count);
    for (size_t i = 0; i < count; i++)
        wz_digest_add(digest, entries[i].digest, WZ_DIGEST_HEX - 1);
    wz_digest_finish(digest, hex);
    wz_digest_destroy(digest);
    return WZ_OK;
}

wz_status wz_checkpoint_combine_weights(const wz_checkpoint_entry *entries, size_t count,
                                        char hex[WZ_DIGEST_HEX], wz_error *err)
{
    wz_digest *digest = NULL;
    wz_status status = wz_digest_create(&digest, err);
    if (status != WZ_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].tensor.group, "weights") == 0)
            wz_digest_add(digest, entries[i].digest, WZ_DIGEST_HEX - 1);
    wz_digest_finish(digest, hex);
    wz_digest_destroy(digest);
    return WZ_OK;
}
