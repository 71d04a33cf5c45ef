#include "engine/text/grammar_internal.h"

#include <stdlib.h>
#include <string.h>

static int compare_tokens(const void *a, const void *b, void *user)
{
    const wz_tokenizer *tokenizer = user;
    size_t length_a = 0, length_b = 0;
    const char *bytes_a = wz_tokenizer_token_bytes(tokenizer, *(const uint32_t *)a, &length_a);
    const char *bytes_b = wz_tokenizer_token_bytes(tokenizer, *(const uint32_t *)b, &length_b);
    int order = memcmp(bytes_a, bytes_b, length_a < length_b ? length_a : length_b);
    return order != 0 ? order : (length_a > length_b) - (length_a < length_b);
}

static wz_status add_node(wz_trie *trie, unsigned char byte, uint32_t *out, wz_error *err)
{
    void *nodes = trie->nodes;
    wz_status status =
        wz_grow(&nodes, &trie->capacity, trie->count + 1, sizeof *trie->nodes, "token tree", err);
    trie->nodes = nodes;
    if (status != WZ_OK)
        return status;
    *out = (uint32_t)trie->count;
    trie->nodes[trie->count++] = (wz_trie_node){.token = WZ_NO_TOKEN, .byte = byte};
    return WZ_OK;
}

/* The child of `parent` for a byte, made if it is missing. */
static wz_status descend(wz_trie *trie, uint32_t parent, unsigned char byte, uint32_t *out, wz_error *err)
{
    /* Tokens come in descending order, so the child wanted is the first one or a new one before it. */
    uint32_t first = trie->nodes[parent].child;
    if (first != 0 && trie->nodes[first].byte == byte) {
        *out = first;
        return WZ_OK;
    }
    wz_status status = add_node(trie, byte, out, err);
    if (status != WZ_OK)
        return status;
    trie->nodes[*out].sibling = first;
    trie->nodes[parent].child = *out;
    return WZ_OK;
}

wz_status wz_trie_create(const wz_tokenizer *tokenizer, wz_trie *out, wz_error *err)
{
    size_t count = 0;
    void *block = NULL;
    uint32_t root = 0;
    memset(out, 0, sizeof *out);
    wz_status status = wz_alloc(&block, tokenizer->vocab_size, sizeof(uint32_t), "token tree", err);
    if (status == WZ_OK)
        status = add_node(out, 0, &root, err);
    uint32_t *order = block;
    for (uint32_t id = 0; status == WZ_OK && id < tokenizer->vocab_size; id++) {
        size_t length = 0;
        const char *bytes = wz_tokenizer_token_bytes(tokenizer, id, &length);
        /* Of two tokens with the same bytes, encoding gives the one that find gives. */
        if (length > 0 && wz_tokenizer_find(tokenizer, bytes, length) == (int64_t)id)
            order[count++] = id;
    }
    if (count > 0)
        qsort_r(order, count, sizeof *order, compare_tokens, (void *)(uintptr_t)tokenizer);
    while (count > 0 && status == WZ_OK) {
        uint32_t id = order[--count], at = root;
        size_t length = 0;
        const char *bytes = wz_tokenizer_token_bytes(tokenizer, id, &length);
        for (size_t i = 0; i < length && status == WZ_OK; i++)
            status = descend(out, at, (unsigned char)bytes[i], &at, err);
        if (status == WZ_OK)
            out->nodes[at].token = id;
    }
    free(block);
    if (status != WZ_OK)
        wz_trie_clear(out);
    return status;
}

void wz_trie_clear(wz_trie *trie)
{
    free(trie->nodes);
    memset(trie, 0, sizeof *trie);
}

typedef struct place {
    uint32_t node, state;
} place;

wz_status wz_trie_moves(const wz_trie *trie, const wz_dfa *dfa, uint32_t state, wz_moves *out, wz_error *err)
{
    place *stack = NULL;
    size_t depth = 0, capacity = 0;
    void *block = NULL;
    wz_status status = wz_grow(&block, &capacity, 256, sizeof *stack, "token tree walk", err);
    stack = block;
    if (status == WZ_OK)
        stack[depth++] = (place){.node = 0, .state = state};
    while (depth > 0 && status == WZ_OK) {
        place at = stack[--depth];
        uint32_t token = trie->nodes[at.node].token;
        if (token != WZ_NO_TOKEN) {
            block = out->data;
            status = wz_grow(&block, &out->capacity, out->count + 1, sizeof *out->data, "token moves", err);
            out->data = block;
            if (status == WZ_OK)
                out->data[out->count++] = (wz_move){.token = token, .state = at.state};
        }
        for (uint32_t c = trie->nodes[at.node].child; c != 0 && status == WZ_OK; c = trie->nodes[c].sibling) {
            uint32_t next = wz_dfa_step(dfa, at.state, trie->nodes[c].byte);
            if (next == WZ_DFA_DEAD)
                continue;
            block = stack;
            status = wz_grow(&block, &capacity, depth + 1, sizeof *stack, "token tree walk", err);
            stack = block;
            if (status == WZ_OK)
                stack[depth++] = (place){.node = c, .state = next};
        }
    }
    free(stack);
    return status;
}
