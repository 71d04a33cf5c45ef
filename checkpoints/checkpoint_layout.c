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
    if (wz_checkpoint_entry_is_text(entry))
        entry->element_size = 1;
    else if (!wz_number_bytes(entry->tensor.type, 1, &entry->element_size))
        return false; /* numbers in blocks */
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

/* Half precision, and bfloat16: the upper half of single precision. HDF5 has neither by name. */
static hid_t create_float16(size_t exponent_bits)
{
    const size_t mantissa = 15 - exponent_bits;
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    if (type >= 0 && H5Tset_fields(type, 15, mantissa, exponent_bits, 0, mantissa) >= 0 &&
        H5Tset_size(type, 2) >= 0 && H5Tset_ebias(type, ((size_t)1 << (exponent_bits - 1)) - 1) >= 0)
        return type;
    (void)wz_hdf5_close(H5Tclose, type);
    return -1;
}

hid_t wz_checkpoint_entry_type(const wz_checkpoint_entry *entry)
{
    if (wz_checkpoint_entry_is_text(entry))
        return H5Tcopy(H5T_STD_U8LE);
    switch (entry->tensor.type) {
    case WZ_NUMBER_F16:
        return create_float16(5);
    case WZ_NUMBER_BF16:
        return create_float16(8);
    default:
        return H5Tcopy(H5T_IEEE_F32LE);
    }
}

size_t wz_checkpoint_block(const wz_checkpoint_entry *entry, size_t block[WZ_CHECKPOINT_MAX_RANK])
{
    const wz_checkpoint_tensor *tensor = &entry->tensor;
    size_t left = WZ_CHECKPOINT_BLOCK_BYTES / entry->element_size; /* elements that still fit */
    size_t elements = 1;
    for (size_t d = tensor->rank; d-- > 0;) {
        block[d] = tensor->shape[d];
        if (block[d] > left) { /* in equal parts: what the last one lacks is stored, too */
            const size_t parts = (block[d] - 1) / left + 1;
            block[d] = (block[d] - 1) / parts + 1;
        }
        elements *= block[d];
        left = block[d] == tensor->shape[d] && block[d] > 0 ? left / block[d] : 1;
    }
    return elements;
}

bool wz_checkpoint_walk_on(const wz_checkpoint_entry *entry, const size_t block[WZ_CHECKPOINT_MAX_RANK],
                           wz_checkpoint_walk *walk)
{
    const wz_checkpoint_tensor *tensor = &entry->tensor;
    for (size_t d = tensor->rank; walk->elements > 0 && d-- > 0;) { /* last dimension first */
        walk->start[d] += walk->count[d];
        if (walk->start[d] < tensor->shape[d])
            break;
        walk->start[d] = 0;
    }
    walk->first += walk->elements;
    if (walk->first >= entry->bytes / entry->element_size)
        return false;
    walk->elements = 1;
    for (size_t d = 0; d < tensor->rank; d++) {
        const size_t left = tensor->shape[d] - (size_t)walk->start[d];
        walk->count[d] = left < block[d] ? left : block[d];
        walk->elements *= (size_t)walk->count[d];
    }
    return true;
}

bool wz_checkpoint_walk_select(hid_t dataset, const wz_checkpoint_entry *entry,
                               const wz_checkpoint_walk *walk, hid_t *file, hid_t *memory)
{
    *memory = H5Screate_simple((int)entry->tensor.rank, walk->count, NULL);
    *file = H5Dget_space(dataset);
    return *memory >= 0 && *file >= 0 &&
           H5Sselect_hyperslab(*file, H5S_SELECT_SET, walk->start, NULL, walk->count, NULL) >= 0;
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
    if (entry->tensor.type != WZ_NUMBER_F32)
        wz_digest_add_u64(*out, (uint64_t)entry->tensor.type);
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
