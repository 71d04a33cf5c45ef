/* Chunks read past the HDF5 library, which has one lock for all threads, copies twice and sums slowly: it is asked where
 * they lie. */
#include "checkpoints/checkpoint_layout.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/fletcher32.h"

/* Whose places are asked for: the library goes through the whole list for each. Our writer's chunks have a quarter of a MiB or more where
 * there are several. */
#define MOST_CHUNKS 8192
#define LEAST_BYTES 65536u

/* --- where they lie --- */

/* Sets elements and span; false where chunks one after another are not the row-major elements. */
static bool measure_chunk(const wz_checkpoint_tensor *tensor, const hsize_t chunk[WZ_CHECKPOINT_MAX_RANK],
                          wz_checkpoint_chunks *out)
{
    size_t d = 0;
    while (d + 1 < tensor->rank && chunk[d] == 1)
        d++;
    out->elements = out->span = 1;
    for (size_t i = d; i < tensor->rank; i++) {
        if (chunk[i] > tensor->shape[i] || (i > d && chunk[i] != tensor->shape[i]))
            return false;
        out->elements *= (size_t)chunk[i]; /* parts of a tensor whose size was checked */
        out->span *= tensor->shape[i];
    }
    return true;
}

/* Of a dataset with the checksum (opening allows no other filter) and nothing else. */
static bool measure_dataset(hid_t dataset, const wz_checkpoint_entry *entry, wz_checkpoint_chunks *out)
{
    hsize_t chunk[WZ_CHECKPOINT_MAX_RANK];
    const int rank = (int)entry->tensor.rank;
    hid_t properties = H5Dget_create_plist(dataset);
    if (properties < 0)
        return false;
    const bool fits = H5Pget_layout(properties) == H5D_CHUNKED && H5Pget_nfilters(properties) == 1 &&
                      H5Pget_chunk(properties, rank, chunk) == rank;
    (void)wz_hdf5_close(H5Pclose, properties);
    return fits && measure_chunk(&entry->tensor, chunk, out);
}

static size_t parts_of_span(const wz_checkpoint_chunks *chunks)
{
    return (chunks->span - 1) / chunks->elements + 1;
}

size_t wz_checkpoint_chunk_of(const wz_checkpoint_chunks *chunks, size_t element)
{
    return element / chunks->span * parts_of_span(chunks) + element % chunks->span / chunks->elements;
}

size_t wz_checkpoint_chunk_range(const wz_checkpoint_chunks *chunks, size_t k, size_t *first)
{
    const size_t parts = parts_of_span(chunks);
    const size_t before = k % parts * chunks->elements, left = chunks->span - before;
    *first = k / parts * chunks->span + before;
    return left < chunks->elements ? left : chunks->elements;
}

/* Chunk k's place; false where it has none, another size, or was written without the checksum. */
static bool find_chunk(hid_t dataset, const wz_checkpoint_entry *entry, wz_checkpoint_chunks *chunks,
                       size_t k)
{
    hsize_t start[WZ_CHECKPOINT_MAX_RANK], size = 0;
    haddr_t place = HADDR_UNDEF;
    unsigned skipped = 0;
    size_t first = 0;
    (void)wz_checkpoint_chunk_range(chunks, k, &first);
    for (size_t d = entry->tensor.rank; d-- > 0; first /= entry->tensor.shape[d])
        start[d] = first % entry->tensor.shape[d];
    if (H5Dget_chunk_info_by_coord(dataset, start, &skipped, &place, &size) < 0 || place == HADDR_UNDEF ||
        skipped != 0 || size != wz_checkpoint_chunk_bytes(entry, chunks->elements))
        return false;
    chunks->places[k] = place;
    return true;
}

static wz_status find_chunks(hid_t dataset, const wz_checkpoint_entry *entry, wz_checkpoint_chunks *out,
                             wz_error *err)
{
    void *block = NULL;
    const size_t count = entry->bytes / entry->element_size / out->span * parts_of_span(out);
    if (count > MOST_CHUNKS || (count > 1 && out->elements * entry->element_size < LEAST_BYTES))
        return WZ_OK;
    wz_status status =
        wz_alloc(&block, count, sizeof *out->places, "the places of a checkpoint's chunks", err);
    out->places = block;
    bool fits = status == WZ_OK;
    for (size_t k = 0; fits && k < count; k++)
        fits = find_chunk(dataset, entry, out, k);
    out->count = fits ? count : 0;
    return status;
}

wz_status wz_checkpoint_chunks_find(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                    wz_checkpoint_chunks *out, wz_error *err)
{
    wz_status status = WZ_OK;
    *out = (wz_checkpoint_chunks){0};
    if (checkpoint->descriptor < 0 || entry->bytes == 0)
        return WZ_OK;
    wz_hdf5_prepare();
    hid_t dataset = wz_checkpoint_open_dataset(checkpoint, entry);
    if (dataset < 0)
        return wz_checkpoint_fail_dataset(checkpoint, entry, "cannot be opened", err);
    if (measure_dataset(dataset, entry, out))
        status = find_chunks(dataset, entry, out, err);
    (void)wz_hdf5_close(H5Dclose, dataset);
    (void)H5Eclear2(H5E_DEFAULT);
    return status;
}

void wz_checkpoint_chunks_clear(wz_checkpoint_chunks *chunks)
{
    free(chunks->places);
    *chunks = (wz_checkpoint_chunks){0};
}

/* --- their bytes --- */

size_t wz_checkpoint_chunk_bytes(const wz_checkpoint_entry *entry, size_t elements)
{
    return elements * entry->element_size + WZ_FLETCHER32_BYTES;
}

void wz_checkpoint_chunk_seal(const wz_checkpoint_entry *entry, size_t elements, void *chunk)
{
    const uint32_t sum = wz_fletcher32(chunk, elements * entry->element_size);
    memcpy((unsigned char *)chunk + elements * entry->element_size, &sum, sizeof sum);
}

wz_status wz_checkpoint_chunk_read(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                   const wz_checkpoint_chunks *chunks, size_t k, wz_read_ahead *ahead,
                                   void *chunk, wz_error *err)
{
    const size_t bytes = chunks->elements * entry->element_size;
    uint32_t written = 0;
    wz_status status = wz_read_ahead_at(ahead, checkpoint->descriptor, checkpoint->path, chunks->places[k],
                                        chunk, wz_checkpoint_chunk_bytes(entry, chunks->elements), err);
    if (status != WZ_OK)
        return wz_fail_prefix(err, status, "dataset '%s/%s' cannot be read: ", entry->tensor.group,
                              entry->tensor.name);
    memcpy(&written, (unsigned char *)chunk + bytes, sizeof written);
    if (wz_fletcher32(chunk, bytes) != written)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: dataset '%s/%s' cannot be read: the checksum of block %zu differs from the one "
                       "written",
                       checkpoint->path, entry->tensor.group, entry->tensor.name, k);
    return WZ_OK;
}

wz_status wz_checkpoint_check_digest(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                     const wz_digest *digest, wz_error *err)
{
    char found[WZ_DIGEST_HEX];
    wz_digest_finish(digest, found);
    if (strcmp(found, entry->digest) != 0)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: dataset '%s/%s' is damaged: its digest differs from the one written",
                       checkpoint->path, entry->tensor.group, entry->tensor.name);
    return WZ_OK;
}

wz_status wz_checkpoint_chunks_read(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                    const wz_checkpoint_chunks *chunks, const wz_checkpoint_target *to,
                                    wz_error *err)
{
    void *chunk = NULL;
    wz_digest *digest = NULL;
    wz_status status = wz_alloc(&chunk, wz_checkpoint_chunk_bytes(entry, chunks->elements), 1,
                                "a block of a checkpoint", err);
    if (status == WZ_OK)
        status = wz_checkpoint_digest_start(entry, &digest, err);
    for (size_t k = 0; status == WZ_OK && k < chunks->count; k++) {
        size_t first = 0;
        const size_t count = wz_checkpoint_chunk_range(chunks, k, &first);
        status = wz_checkpoint_chunk_read(checkpoint, entry, chunks, k, NULL, chunk, err);
        if (status != WZ_OK)
            break;
        wz_digest_add(digest, chunk, count * entry->element_size);
        wz_checkpoint_deliver(entry, chunk, first, count, to);
    }
    if (status == WZ_OK)
        status = wz_checkpoint_check_digest(checkpoint, entry, digest, err);
    wz_digest_destroy(digest);
    free(chunk);
    return status;
}
