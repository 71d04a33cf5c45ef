/* Subset construction over classes of bytes, then removal of what cannot reach acceptance. */
#include "engine/text/automaton.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/text/tokenizer_internal.h"

#define MAX_DFA_STATES 200000
#define MAX_DFA_ENTRIES 16000000 /* transitions and kept NFA states, each 4 bytes */

/* ---- sets of NFA states ---- */

wz_status wz_nfa_set_init(const wz_nfa *nfa, wz_nfa_set *set, wz_error *err)
{
    void *blocks[3] = {NULL, NULL, NULL};
    wz_status status = WZ_OK;
    memset(set, 0, sizeof *set);
    for (size_t i = 0; i < 3 && status == WZ_OK; i++)
        status = wz_alloc(&blocks[i], nfa->state_count + 1, sizeof(uint32_t), "automaton states", err);
    set->items = blocks[0];
    set->stamp = blocks[1];
    set->stack = blocks[2];
    if (status != WZ_OK)
        wz_nfa_set_clear(set);
    set->round = 1;
    return status;
}

void wz_nfa_set_clear(wz_nfa_set *set)
{
    free(set->items);
    free(set->stamp);
    free(set->stack);
    memset(set, 0, sizeof *set);
}

void wz_nfa_set_empty(wz_nfa_set *set)
{
    set->count = 0;
    set->round++;
}

void wz_nfa_set_add(const wz_nfa *nfa, wz_nfa_set *set, uint32_t state)
{
    size_t depth = 0;
    if (set->stamp[state] == set->round)
        return;
    set->stamp[state] = set->round;
    set->stack[depth++] = state;
    while (depth > 0) {
        uint32_t at = set->stack[--depth];
        const wz_nfa_state *s = &nfa->states[at];
        if (s->kind != WZ_NFA_SPLIT) {
            set->items[set->count++] = at;
            continue;
        }
        uint32_t following[2] = {s->next, s->other};
        for (size_t i = 0; i < 2; i++) {
            if (set->stamp[following[i]] == set->round)
                continue;
            set->stamp[following[i]] = set->round;
            set->stack[depth++] = following[i];
        }
    }
}

/* ---- subset construction ---- */

typedef struct builder {
    const wz_nfa *nfa;
    wz_dfa *dfa;
    wz_map known;      /* hash of a set of NFA states -> newest DFA state with that hash */
    uint32_t *older;   /* [state_count] next DFA state with the same hash */
    uint32_t *members; /* sorted NFA states of all DFA states, one after the other */
    size_t *start;     /* [state_count + 1] into members */
    size_t older_capacity, member_capacity, start_capacity, next_capacity, accept_capacity;
    wz_error *err;
} builder;

/* Two bytes share a class when every set of the pattern holds both or neither. */
static void find_classes(const wz_nfa *nfa, wz_dfa *dfa)
{
    dfa->class_count = 1;
    for (size_t s = 0; s < nfa->set_count; s++) {
        int moved_to[256];
        memset(moved_to, -1, sizeof moved_to);
        bool outside[256] = {false};
        for (size_t byte = 0; byte < 256; byte++)
            if (!wz_byte_set_has(&nfa->sets[s], (unsigned char)byte))
                outside[dfa->class_of[byte]] = true;
        for (size_t byte = 0; byte < 256; byte++) {
            uint8_t class = dfa->class_of[byte];
            if (!outside[class] || !wz_byte_set_has(&nfa->sets[s], (unsigned char)byte))
                continue;
            if (moved_to[class] < 0)
                moved_to[class] = (int)dfa->class_count++;
            dfa->class_of[byte] = (uint8_t)moved_to[class];
            /* A class made in this round lies inside the set as a whole: never split again here. */
        }
    }
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static wz_status grow_u32(uint32_t **array, size_t *capacity, size_t need, wz_error *err)
{
    void *block = *array;
    wz_status status = wz_grow(&block, capacity, need, sizeof **array, "automaton", err);
    *array = block;
    return status;
}

static wz_status grow_all(builder *b, size_t states, size_t members)
{
    wz_dfa *dfa = b->dfa;
    if (states > MAX_DFA_STATES || states * dfa->class_count > MAX_DFA_ENTRIES || members > MAX_DFA_ENTRIES)
        return wz_fail(
            b->err, WZ_ERR_USAGE,
            "a grammar pattern needs more than %zu automaton states; use smaller repetition counts or "
            "less overlapping alternatives",
            states - 1);
    wz_status status = grow_u32(&b->older, &b->older_capacity, states, b->err);
    if (status == WZ_OK)
        status = grow_u32(&b->members, &b->member_capacity, members, b->err);
    if (status == WZ_OK)
        status = grow_u32(&dfa->next, &b->next_capacity, states * dfa->class_count, b->err);
    if (status != WZ_OK)
        return status;
    void *start = b->start, *accepts = dfa->accepts;
    status = wz_grow(&start, &b->start_capacity, states + 1, sizeof *b->start, "automaton", b->err);
    b->start = start;
    if (status == WZ_OK)
        status = wz_grow(&accepts, &b->accept_capacity, states, sizeof *dfa->accepts, "automaton", b->err);
    dfa->accepts = accepts;
    return status;
}

/* The DFA state of a set of NFA states, new or known. */
static wz_status intern(builder *b, wz_nfa_set *set, uint32_t *out)
{
    wz_dfa *dfa = b->dfa;
    size_t bytes = set->count * sizeof *set->items;
    qsort(set->items, set->count, sizeof *set->items, compare_ids);
    uint64_t hash = XXH3_64bits(set->items, bytes);
    uint32_t newest = wz_map_get(&b->known, hash);
    for (uint32_t s = newest; s != WZ_NO_TOKEN; s = b->older[s]) {
        assert(b->start != NULL && b->members != NULL); /* a known state has both */
        if (b->start[s + 1] - b->start[s] == set->count &&
            memcmp(b->members + b->start[s], set->items, bytes) == 0) {
            *out = s;
            return WZ_OK;
        }
    }
    assert(dfa->state_count == 0 || b->start != NULL);
    size_t at = dfa->state_count == 0 ? 0 : b->start[dfa->state_count];
    wz_status status = grow_all(b, dfa->state_count + 1, at + set->count);
    if (status != WZ_OK)
        return status;
    uint32_t state = (uint32_t)dfa->state_count++;
    assert(b->start != NULL && (bytes == 0 || b->members != NULL));
    if (bytes > 0)
        memcpy(b->members + at, set->items, bytes);
    b->start[state] = at;
    b->start[state + 1] = at + set->count;
    b->older[state] = newest;
    dfa->accepts[state] = false;
    for (size_t i = 0; i < set->count; i++)
        dfa->accepts[state] = dfa->accepts[state] || b->nfa->states[set->items[i]].kind == WZ_NFA_ACCEPT;
    *out = state;
    return wz_map_put(&b->known, hash, state, b->err);
}

static wz_status expand(builder *b, wz_nfa_set *set, uint32_t state)
{
    wz_dfa *dfa = b->dfa;
    bool done[256] = {false};
    for (size_t byte = 0; byte < 256; byte++) {
        uint8_t class = dfa->class_of[byte];
        if (done[class])
            continue;
        done[class] = true;
        wz_nfa_set_empty(set);
        for (size_t i = b->start[state]; i < b->start[state + 1]; i++) {
            const wz_nfa_state *s = &b->nfa->states[b->members[i]];
            if (s->kind == WZ_NFA_BYTES && wz_byte_set_has(&b->nfa->sets[s->set], (unsigned char)byte))
                wz_nfa_set_add(b->nfa, set, s->next);
        }
        uint32_t next = WZ_DFA_DEAD;
        wz_status status = set->count == 0 ? WZ_OK : intern(b, set, &next);
        if (status != WZ_OK)
            return status;
        dfa->next[state * dfa->class_count + class] = next;
    }
    return WZ_OK;
}

/* Breadth first from the accepting states backwards: distances, and the byte that leads there. */
static wz_status find_distances(wz_dfa *dfa, wz_error *err)
{
    uint8_t byte_of[256] = {0};
    for (size_t byte = 256; byte-- > 0;)
        byte_of[dfa->class_of[byte]] = (uint8_t)byte;
    void *distance = NULL, *toward = NULL;
    wz_status status = wz_alloc(&distance, dfa->state_count, sizeof *dfa->distance, "automaton", err);
    if (status == WZ_OK)
        status = wz_alloc(&toward, dfa->state_count, sizeof *dfa->toward, "automaton", err);
    dfa->distance = distance;
    dfa->toward = toward;
    if (status != WZ_OK)
        return status;
    for (size_t s = 0; s < dfa->state_count; s++)
        dfa->distance[s] = dfa->accepts[s] ? 0 : WZ_DFA_DEAD;
    /* Relaxation, newest state first: states are numbered roughly from the start to the end, so few rounds. */
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t s = dfa->state_count; s-- > 0;) {
            for (size_t c = 0; c < dfa->class_count; c++) {
                uint32_t next = dfa->next[s * dfa->class_count + c];
                if (next == WZ_DFA_DEAD || dfa->distance[next] == WZ_DFA_DEAD ||
                    dfa->distance[next] + 1 >= dfa->distance[s])
                    continue;
                dfa->distance[s] = dfa->distance[next] + 1;
                dfa->toward[s] = byte_of[c];
                changed = true;
            }
        }
    }
    for (size_t i = 0; i < dfa->state_count * dfa->class_count; i++)
        if (dfa->next[i] != WZ_DFA_DEAD && dfa->distance[dfa->next[i]] == WZ_DFA_DEAD)
            dfa->next[i] = WZ_DFA_DEAD;
    if (dfa->distance[dfa->start] == WZ_DFA_DEAD)
        dfa->start = WZ_DFA_DEAD;
    return WZ_OK;
}

wz_status wz_dfa_create(const wz_nfa *nfa, wz_dfa *out, wz_error *err)
{
    memset(out, 0, sizeof *out);
    builder b = {.nfa = nfa, .dfa = out, .err = err};
    wz_nfa_set set;
    wz_status status = wz_nfa_set_init(nfa, &set, err);
    find_classes(nfa, out);
    if (status == WZ_OK) {
        wz_nfa_set_add(nfa, &set, nfa->start);
        status = intern(&b, &set, &out->start);
    }
    for (uint32_t state = 0; state < out->state_count && status == WZ_OK; state++)
        status = expand(&b, &set, state);
    if (status == WZ_OK)
        status = find_distances(out, err);
    wz_nfa_set_clear(&set);
    wz_map_clear(&b.known);
    free(b.older);
    free(b.members);
    free(b.start);
    if (status != WZ_OK)
        wz_dfa_clear(out);
    return status;
}

void wz_dfa_clear(wz_dfa *dfa)
{
    free(dfa->next);
    free(dfa->accepts);
    free(dfa->distance);
    free(dfa->toward);
    memset(dfa, 0, sizeof *dfa);
}
