/* Syntax tree to automaton: Thompson's construction (Thompson 1968), from the end backwards, so that
 * every state is made after the states it leads to. Counted repetitions are written out. */
#include "engine/text/regex.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WORK 2000000 /* tree nodes visited, counting repetitions */
#define MAX_STATES 1000000

typedef struct builder {
    const char *pattern;
    const wz_regex *tree;
    size_t work;
    wz_nfa *nfa;
    wz_error *err;
} builder;

static wz_status fail_size(const builder *b)
{
    return wz_fail(b->err, WZ_ERR_USAGE,
                   "grammar pattern '%.200s': the counted repetitions multiply to too much", b->pattern);
}

/* ---- each function gives the state from which its node is read and then `next` goes on ---- */

static wz_status add_state(builder *b, wz_nfa_state value, uint32_t *out)
{
    wz_nfa *nfa = b->nfa;
    if (nfa->state_count >= MAX_STATES)
        return fail_size(b);
    void *states = nfa->states;
    wz_status status =
        wz_grow(&states, &nfa->state_capacity, nfa->state_count + 1, sizeof value, "pattern", b->err);
    nfa->states = states;
    if (status != WZ_OK)
        return status;
    *out = (uint32_t)nfa->state_count;
    nfa->states[nfa->state_count++] = value;
    return WZ_OK;
}

static wz_status build(builder *b, uint32_t index, uint32_t next, uint32_t *out);

/* The list of children, to be walked from the last to the first. */
static wz_status list_children(builder *b, uint32_t index, uint32_t **children, size_t *count)
{
    size_t capacity = 0;
    wz_status status = WZ_OK;
    uint32_t child = b->tree->nodes[index].child;
    for (; child != WZ_REGEX_NONE && status == WZ_OK; child = b->tree->nodes[child].sibling) {
        void *block = *children;
        status = wz_grow(&block, &capacity, *count + 1, sizeof **children, "pattern", b->err);
        *children = block;
        if (status == WZ_OK)
            (*children)[(*count)++] = child;
    }
    return status;
}

static wz_status build_sequence(builder *b, uint32_t index, uint32_t next, uint32_t *out)
{
    uint32_t *children = NULL;
    size_t count = 0;
    wz_status status = list_children(b, index, &children, &count);
    while (count > 0 && status == WZ_OK)
        status = build(b, children[--count], next, &next);
    free(children);
    *out = next;
    return status;
}

static wz_status build_choice(builder *b, uint32_t index, uint32_t next, uint32_t *out)
{
    uint32_t child = b->tree->nodes[index].child;
    wz_status status = build(b, child, next, out);
    while (status == WZ_OK && (child = b->tree->nodes[child].sibling) != WZ_REGEX_NONE) {
        uint32_t entry = 0;
        status = build(b, child, next, &entry);
        if (status == WZ_OK)
            status = add_state(b, (wz_nfa_state){.kind = WZ_NFA_SPLIT, .next = *out, .other = entry}, out);
    }
    return status;
}

static wz_status build_repeat(builder *b, uint32_t index, uint32_t next, uint32_t *out)
{
    wz_regex_node repeat = b->tree->nodes[index];
    uint32_t entry = 0, at = next;
    wz_status status = WZ_OK;
    if (repeat.maximum == WZ_REGEX_UNBOUNDED) {
        status = add_state(b, (wz_nfa_state){.kind = WZ_NFA_SPLIT, .next = next, .other = next}, &at);
        if (status == WZ_OK)
            status = build(b, repeat.child, at, &entry);
        if (status == WZ_OK)
            b->nfa->states[at].other = entry;
    }
    for (uint32_t i = repeat.minimum;
         repeat.maximum != WZ_REGEX_UNBOUNDED && i < repeat.maximum && status == WZ_OK; i++) {
        status = build(b, repeat.child, at, &entry);
        if (status == WZ_OK)
            status = add_state(b, (wz_nfa_state){.kind = WZ_NFA_SPLIT, .next = entry, .other = next}, &at);
    }
    for (uint32_t i = 0; i < repeat.minimum && status == WZ_OK; i++)
        status = build(b, repeat.child, at, &at);
    *out = at;
    return status;
}

static wz_status build(builder *b, uint32_t index, uint32_t next, uint32_t *out)
{
    if (++b->work > MAX_WORK)
        return fail_size(b);
    switch (b->tree->nodes[index].kind) {
    case WZ_REGEX_SEQUENCE:
        return build_sequence(b, index, next, out);
    case WZ_REGEX_CHOICE:
        return build_choice(b, index, next, out);
    case WZ_REGEX_REPEAT:
        return build_repeat(b, index, next, out);
    case WZ_REGEX_BYTES:
        break;
    }
    return add_state(b, (wz_nfa_state){.kind = WZ_NFA_BYTES, .next = next, .set = b->tree->nodes[index].set},
                     out);
}

wz_status wz_nfa_create(const char *pattern, wz_nfa *out, wz_error *err)
{
    wz_regex tree;
    memset(out, 0, sizeof *out);
    wz_status status = wz_regex_parse(pattern, &tree, err);
    if (status != WZ_OK)
        return status;
    builder b = {.pattern = pattern, .tree = &tree, .nfa = out, .err = err};
    uint32_t accept = 0;
    status = add_state(&b, (wz_nfa_state){.kind = WZ_NFA_ACCEPT}, &accept);
    if (status == WZ_OK)
        status = build(&b, tree.root, accept, &out->start);
    out->sets = tree.sets;
    out->set_count = tree.set_count;
    tree.sets = NULL;
    wz_regex_clear(&tree);
    if (status != WZ_OK)
        wz_nfa_clear(out);
    return status;
}

void wz_nfa_clear(wz_nfa *nfa)
{
    free(nfa->states);
    free(nfa->sets);
    memset(nfa, 0, sizeof *nfa);
}
