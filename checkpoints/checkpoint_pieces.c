/* The side of writing that computes: numbers are read, rounded, digested and summed while the other side writes. */
#include "checkpoints/checkpoint_layout.h"

#include <stdlib.h>
#include <string.h>

#include "checkpoints/portable.h"

/* Rows of a source as fp32. */
typedef struct rows {
    void *numbers;
    size_t capacity;
    size_t row; /* the one that is there, of rows longer than a block; SIZE_MAX: none */
} rows;

/* Blocks of a row that is longer than one, which a source gives as a whole. */
static wz_status fill_part(const wz_checkpoint_tensor *tensor, const wz_checkpoint_walk *walk, rows *to,
                           void *block, wz_error *err)
{
    const size_t row = (size_t)walk->start[0];
    if (to->row != row) {
        const wz_status status =
            tensor->source->read(tensor->source, tensor->index, row, 1, to->numbers, err);
        if (status != WZ_OK)
            return status;
        to->row = row;
    }
    wz_numbers_encode(tensor->type, (const float *)to->numbers + walk->start[1], walk->elements, block);
    return WZ_OK;
}

static wz_status fill_from_source(const wz_checkpoint_tensor *tensor, const wz_checkpoint_walk *walk,
                                  rows *to, void *block, wz_error *err)
{
    const size_t count = (size_t)walk->count[0], width = tensor->rank == 2 ? tensor->shape[1] : 1;
    const bool is_part = tensor->rank == 2 && walk->count[1] < width;
    wz_status status = WZ_OK;
    if (is_part || tensor->type != WZ_NUMBER_F32)
        status = wz_grow(&to->numbers, &to->capacity, count * width, sizeof(float), "rows of a tensor", err);
    if (status != WZ_OK)
        return status;
    return is_part ? fill_part(tensor, walk, to, block, err)
                   : wz_tensor_read_as(tensor->source, tensor->index, (size_t)walk->start[0], count,
                                       tensor->type, to->numbers, block, err);
}

/* A block's bytes as they are stored. */
static wz_status fill_block(const wz_checkpoint_entry *entry, const wz_checkpoint_walk *walk, rows *from,
                            void *block, wz_error *err)
{
    const wz_checkpoint_tensor *tensor = &entry->tensor;
    if (entry->data != NULL) {
        memcpy(block, (const unsigned char *)entry->data + walk->first * entry->element_size,
               walk->elements * entry->element_size);
        return WZ_OK;
    }
    return fill_from_source(tensor, walk, from, block, err);
}

/* The digest covers what is written. A chunk is whole in the file: zeros fill the last one. */
static wz_status fill_entry(wz_ring *ring, wz_checkpoint_entry *entry, rows *from, wz_digest *digest,
                            wz_error *err)
{
    size_t shape[WZ_CHECKPOINT_MAX_RANK];
    const size_t elements = wz_checkpoint_block(entry, shape), whole = elements * entry->element_size;
    wz_checkpoint_walk walk = {0};
    while (wz_checkpoint_walk_on(entry, shape, &walk)) {
        const size_t bytes = walk.elements * entry->element_size;
        unsigned char *piece = wz_ring_fill(ring);
        if (piece == NULL)
            return WZ_OK; /* the other side has failed, and says so */
        const wz_status status = fill_block(entry, &walk, from, piece, err);
        if (status != WZ_OK)
            return status;
        memset(piece + bytes, 0, whole - bytes);
        wz_digest_add(digest, piece, bytes);
        wz_checkpoint_chunk_seal(entry, elements, piece);
        if (walk.first * entry->element_size + bytes == entry->bytes)
            wz_digest_finish(digest, entry->digest);
        wz_ring_filled(ring, wz_checkpoint_chunk_bytes(entry, elements));
    }
    return WZ_OK;
}

/* Tells a source which of its tensors come, one source's entries after another. */
static wz_status announce(const wz_checkpoint_pieces *pieces, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, pieces->count, sizeof(size_t), "a list of tensors", err);
    size_t *order = block, count = 0;
    for (size_t i = 0; status == WZ_OK && i < pieces->count; i++) {
        const wz_checkpoint_tensor *tensor = &pieces->entries[i].tensor;
        wz_tensor_source *source = pieces->entries[i].data == NULL ? tensor->source : NULL;
        if (source == NULL || source->expect == NULL)
            continue;
        order[count++] = tensor->index;
        if (i + 1 == pieces->count || pieces->entries[i + 1].tensor.source != source) {
            status = source->expect(source, order, count, err);
            count = 0;
        }
    }
    free(block);
    return status;
}

wz_status wz_checkpoint_fill_pieces(wz_ring *ring, void *user, wz_error *err)
{
    const wz_checkpoint_pieces *pieces = user;
    rows from = {0};
    wz_status status = announce(pieces, err);
    for (size_t i = 0; status == WZ_OK && i < pieces->count; i++) {
        wz_digest *digest = NULL;
        from.row = SIZE_MAX;
        status = wz_checkpoint_digest_start(&pieces->entries[i], &digest, err);
        if (status == WZ_OK)
            status = fill_entry(ring, &pieces->entries[i], &from, digest, err);
        wz_digest_destroy(digest);
    }
    free(from.numbers);
    return status;
}
