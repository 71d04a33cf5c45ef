/* Byte-pair merges over one piece, in O(n log n): symbols form a linked list, candidate pairs wait in a
 * heap by (rank, position), and a pair whose symbols changed since it was put there is dropped when it
 * comes up. The order is that of the `tokenizers` package: lowest rank first, leftmost first. */
#include "engine/text/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct symbol {
    uint32_t id;
    int32_t previous, next; /* -1: none */
    bool alive;
} symbol;

typedef struct candidate {
    uint32_t rank;
    int32_t position; /* of the left symbol */
    uint32_t left_id, right_id;
} candidate;

typedef struct heap {
    candidate *items;
    size_t count;
} heap;

static bool comes_before(const candidate *a, const candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->position < b->position;
}

static void heap_push(heap *h, candidate item)
{
    size_t i = h->count++;
    while (i > 0 && comes_before(&item, &h->items[(i - 1) / 2])) {
        h->items[i] = h->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->items[i] = item;
}

static candidate heap_pop(heap *h)
{
    candidate top = h->items[0];
    candidate last = h->items[--h->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && comes_before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!comes_before(&h->items[child], &last))
            break;
        h->items[i] = h->items[child];
        i = child;
    }
    h->items[i] = last;
    return top;
}

static void offer_pair(const wz_bpe *bpe, heap *h, const symbol *symbols, int32_t left)
{
    if (left < 0 || symbols[left].next < 0)
        return;
    uint32_t a = symbols[left].id, b = symbols[symbols[left].next].id;
    uint32_t rank = wz_map_get(&bpe->pair_rank, (uint64_t)a << 32 | b);
    if (rank != WZ_NO_TOKEN)
        heap_push(h, (candidate){.rank = rank, .position = left, .left_id = a, .right_id = b});
}

static void apply_merges(const wz_bpe *bpe, heap *h, symbol *symbols)
{
    while (h->count > 0) {
        candidate c = heap_pop(h);
        symbol *left = &symbols[c.position];
        if (!left->alive || left->id != c.left_id || left->next < 0 || symbols[left->next].id != c.right_id)
            continue;
        symbol *right = &symbols[left->next];
        right->alive = false;
        left->id = bpe->result[c.rank];
        left->next = right->next;
        if (left->next >= 0)
            symbols[left->next].previous = c.position;
        offer_pair(bpe, h, symbols, left->previous);
        offer_pair(bpe, h, symbols, c.position);
    }
}

static wz_status merge_piece(const wz_bpe *bpe, const char *piece, size_t length, symbol *symbols,
                             candidate *candidates, wz_ids *out, wz_error *err)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)piece[i];
        if (bpe->byte_id[byte] == WZ_NO_TOKEN)
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "the vocabulary has no token for byte 0x%02x, so the text cannot be encoded",
                           byte);
        symbols[i] = (symbol){.id = bpe->byte_id[byte],
                              .previous = (int32_t)i - 1,
                              .next = i + 1 < length ? (int32_t)i + 1 : -1,
                              .alive = true};
    }
    heap h = {.items = candidates};
    for (size_t i = 0; i + 1 < length; i++)
        offer_pair(bpe, &h, symbols, (int32_t)i);
    apply_merges(bpe, &h, symbols);
    wz_status status = WZ_OK;
    for (int32_t i = 0; i >= 0 && status == WZ_OK; i = symbols[i].next)
        status = wz_ids_append(out, &symbols[i].id, 1, err);
    return status;
}

wz_status wz_bpe_encode(const wz_bpe *bpe, const char *piece, size_t length, wz_ids *out, wz_error *err)
{
    enum { SMALL = 64 };
    if (length == 0)
        return WZ_OK;
    if (length <= SMALL) {
        symbol symbols[SMALL];
        candidate candidates[3 * SMALL]; /* at most n - 1 first pairs and two more for each merge */
        return merge_piece(bpe, piece, length, symbols, candidates, out, err);
    }
    if (length > INT32_MAX / 4)
        return wz_fail(err, WZ_ERR_RESOURCE, "a piece of %zu bytes without any break is too long to encode",
                       length);
    void *symbols = NULL, *candidates = NULL;
    wz_status status = wz_alloc(&symbols, length, sizeof(symbol), "merge symbols", err);
    if (status == WZ_OK)
        status = wz_alloc(&candidates, 3 * length, sizeof(candidate), "merge candidates", err);
    if (status == WZ_OK)
        status = merge_piece(bpe, piece, length, symbols, candidates, out, err);
    free(candidates);
    free(symbols);
    return status;
}

void wz_bpe_clear(wz_bpe *bpe)
{
    wz_map_clear(&bpe->pair_rank);
    free(bpe->left);
    free(bpe->right);
    free(bpe->result);
    memset(bpe, 0, sizeof *bpe);
}
