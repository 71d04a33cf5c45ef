/* Patterns, nodes and steps of a grammar set; grammar_mask.c decides which tokens a node admits. */
#include "engine/text/grammar_internal.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

wz_status wz_grammar_set_create(const wz_tokenizer *tokenizer, wz_grammar_set **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_grammar_set), "grammar set", err);
    if (status != WZ_OK)
        return status;
    wz_grammar_set *set = block;
    set->tokenizer = tokenizer;
    set->every_text_encodes = tokenizer->all_bytes && !tokenizer->nfc;
    status = wz_trie_create(tokenizer, &set->trie, err);
    if (status == WZ_OK)
        *out = set;
    else
        wz_grammar_set_destroy(set);
    return status;
}

void wz_grammar_set_destroy(wz_grammar_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->pattern_count; i++) {
        free(set->patterns[i].text);
        wz_dfa_clear(&set->patterns[i].dfa);
    }
    for (size_t i = 0; i < set->mask_count; i++)
        free((void *)(uintptr_t)set->masks[i].tokens);
    wz_trie_clear(&set->trie);
    wz_ids_clear(&set->path_tokens);
    wz_map_clear(&set->node_of_hash);
    wz_map_clear(&set->step_of);
    wz_map_clear(&set->mask_of_hash);
    free(set->older_mask);
    free(set->patterns);
    free(set->nodes);
    free(set->masks);
    free(set);
}

/* ---- nodes ---- */

wz_path wz_grammar_node_path(const wz_grammar_set *set, const wz_node *node)
{
    return (wz_path){.tokens = node->path_count == 0 ? NULL : set->path_tokens.data + node->path_start,
                     .count = node->path_count,
                     .cut = node->cut};
}

wz_status wz_grammar_extend(const wz_grammar_set *set, uint32_t node, uint32_t token, wz_ids *scratch,
                            wz_path *out, wz_error *err)
{
    wz_path path = wz_grammar_node_path(set, &set->nodes[node]);
    scratch->length = 0;
    wz_status status = wz_ids_append(scratch, path.tokens, path.count, err);
    if (status == WZ_OK)
        status = wz_ids_append(scratch, &token, 1, err);
    *out = (wz_path){.tokens = scratch->data, .count = scratch->length, .cut = path.cut};
    return status;
}

static uint64_t hash_node(uint32_t pattern, uint32_t state, const wz_path *path)
{
    uint32_t head[3] = {pattern, state, path->cut};
    return XXH3_64bits_withSeed(path->tokens, path->count * sizeof *path->tokens,
                                XXH3_64bits(head, sizeof head));
}

static wz_status add_node(wz_grammar_set *set, uint32_t pattern, uint32_t state, const wz_path *path,
                          uint32_t older, uint32_t *out, wz_error *err)
{
    const wz_dfa *dfa = &set->patterns[pattern].dfa;
    bool accepts = dfa->accepts[state];
    wz_status status = WZ_OK;
    if (accepts && path->count > 0)
        status = wz_path_encodes(set->tokenizer, path, "", 0, &accepts, err);
    void *nodes = set->nodes;
    if (status == WZ_OK)
        status = wz_grow(&nodes, &set->node_capacity, set->node_count + 1, sizeof *set->nodes,
                         "grammar nodes", err);
    set->nodes = nodes;
    size_t start = set->path_tokens.length;
    if (status == WZ_OK)
        status = wz_ids_append(&set->path_tokens, path->tokens, path->count, err);
    if (status != WZ_OK)
        return status;
    /* From a certain piece end, the encoding of any string that is still possible is a way to acceptance. */
    bool alive = accepts || (path->count == 0 && set->every_text_encodes);
    *out = (uint32_t)set->node_count;
    set->nodes[set->node_count++] = (wz_node){.pattern = pattern,
                                              .state = state,
                                              .path_start = start,
                                              .path_count = (uint32_t)path->count,
                                              .older = older,
                                              .life = alive ? WZ_LIFE_ALIVE : WZ_LIFE_UNKNOWN,
                                              .cut = path->cut,
                                              .accepts = accepts};
    return WZ_OK;
}

static wz_status intern_node(wz_grammar_set *set, uint32_t pattern, uint32_t state, const wz_path *path,
                             uint32_t *out, wz_error *err)
{
    uint64_t hash = hash_node(pattern, state, path);
    uint32_t newest = wz_map_get(&set->node_of_hash, hash);
    for (uint32_t n = newest; n != WZ_NO_TOKEN; n = set->nodes[n].older) {
        const wz_node *node = &set->nodes[n];
        wz_path other = wz_grammar_node_path(set, node);
        if (node->pattern == pattern && node->state == state && other.cut == path->cut &&
            other.count == path->count &&
            (path->count == 0 ||
             memcmp(other.tokens, path->tokens, path->count * sizeof *path->tokens) == 0)) {
            *out = n;
            return WZ_OK;
        }
    }
    wz_status status = add_node(set, pattern, state, path, newest, out, err);
    return status == WZ_OK ? wz_map_put(&set->node_of_hash, hash, *out, err) : status;
}

/* Whether a piece ends after the path for certain, whatever the automaton lets follow, the end included. */
static wz_status is_at_end(const wz_grammar_set *set, const wz_dfa *dfa, uint32_t state, const wz_path *path,
                           bool *at_end, wz_error *err)
{
    wz_status status = WZ_OK;
    *at_end = true;
    if (dfa->accepts[state])
        status = wz_path_encodes(set->tokenizer, path, "", 0, at_end, err);
    for (unsigned byte = 0; byte < 256 && *at_end && status == WZ_OK; byte++)
        if (wz_dfa_step(dfa, state, (unsigned char)byte) != WZ_DFA_DEAD)
            status = wz_path_ends_before(set->tokenizer, path, (unsigned char)byte, at_end, err);
    return status;
}

wz_status wz_grammar_node(wz_grammar_set *set, uint32_t pattern, uint32_t state, const wz_path *path,
                          uint32_t *out, wz_error *err)
{
    size_t settled = 0, dropped = 0;
    bool possible = true, at_end = false;
    wz_path rest = *path;
    *out = WZ_NO_TOKEN;
    wz_status status = wz_path_settle(set->tokenizer, path, &settled, &possible, err);
    if (status != WZ_OK || !possible)
        return status;
    if (settled > 0)
        rest = (wz_path){.tokens = path->tokens + settled, .count = path->count - settled};
    if (rest.count > 0)
        status = is_at_end(set, &set->patterns[pattern].dfa, state, &rest, &at_end, err);
    if (status == WZ_OK && at_end)
        rest = (wz_path){.tokens = NULL};
    if (status == WZ_OK && rest.count > 0)
        status = wz_path_may_go_on(set->tokenizer, &rest, &possible, err);
    if (status != WZ_OK || !possible)
        return status;
    if (status == WZ_OK && rest.count > 1)
        status = wz_path_droppable(set->tokenizer, &rest, &dropped, err);
    if (status == WZ_OK && dropped > 0)
        rest = (wz_path){.tokens = rest.tokens + dropped, .count = rest.count - dropped, .cut = true};
    return status == WZ_OK ? intern_node(set, pattern, state, &rest, out, err) : status;
}

/* ---- patterns ---- */

static wz_status build_dfa(const char *pattern, wz_dfa *out, wz_error *err)
{
    wz_nfa nfa;
    wz_status status = wz_nfa_create(pattern, &nfa, err);
    if (status != WZ_OK)
        return status;
    status = wz_dfa_create(&nfa, out, err);
    wz_nfa_clear(&nfa);
    if (status == WZ_OK && out->start == WZ_DFA_DEAD) {
        wz_dfa_clear(out);
        status = wz_fail(err, WZ_ERR_USAGE, "grammar pattern '%.200s' matches nothing", pattern);
    }
    return status;
}

static wz_status add_pattern(wz_grammar_set *set, const char *pattern, wz_error *err)
{
    void *patterns = set->patterns;
    wz_pattern added = {0};
    wz_status status = wz_grow(&patterns, &set->pattern_capacity, set->pattern_count + 1, sizeof added,
                               "grammar patterns", err);
    set->patterns = patterns;
    if (status == WZ_OK)
        status = build_dfa(pattern, &added.dfa, err);
    if (status != WZ_OK)
        return status;
    added.text = strdup(pattern);
    if (added.text == NULL) {
        wz_dfa_clear(&added.dfa);
        return wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a grammar pattern");
    }
    uint32_t index = (uint32_t)set->pattern_count;
    bool alive = false;
    wz_path empty = {0};
    set->patterns[set->pattern_count++] = added;
    status = wz_grammar_node(set, index, added.dfa.start, &empty, &set->patterns[index].start, err);
    if (status == WZ_OK)
        status = wz_grammar_is_alive(set, set->patterns[index].start, &alive, err);
    if (status == WZ_OK && !alive)
        status = wz_fail(err, WZ_ERR_USAGE,
                         "grammar pattern '%.200s': the tokenizer can write none of its strings", pattern);
    if (status != WZ_OK)
        set->patterns[index].text[0] = '\0'; /* its nodes stay; the pattern is not found again */
    return status;
}

wz_status wz_grammar_compile(wz_grammar_set *set, const char *pattern, wz_grammar_state *start, wz_error *err)
{
    wz_status status = WZ_OK;
    size_t index = 0;
    while (index < set->pattern_count && strcmp(set->patterns[index].text, pattern) != 0)
        index++;
    if (index == set->pattern_count)
        status = add_pattern(set, pattern, err);
    if (status == WZ_OK)
        *start = set->patterns[index].start;
    return status;
}

wz_status wz_grammar_match(const char *pattern, const char *text, size_t length, bool *matches, wz_error *err)
{
    wz_nfa nfa;
    wz_nfa_set sets[2] = {{0}, {0}};
    *matches = false;
    wz_status status = wz_nfa_create(pattern, &nfa, err);
    if (status != WZ_OK)
        return status;
    for (size_t i = 0; i < 2 && status == WZ_OK; i++)
        status = wz_nfa_set_init(&nfa, &sets[i], err);
    if (status == WZ_OK)
        wz_nfa_set_add(&nfa, &sets[0], nfa.start);
    for (size_t i = 0; i < length && status == WZ_OK; i++) {
        const wz_nfa_set *now = &sets[i % 2];
        wz_nfa_set *next = &sets[(i + 1) % 2];
        wz_nfa_set_empty(next);
        for (size_t k = 0; k < now->count; k++) {
            const wz_nfa_state *s = &nfa.states[now->items[k]];
            if (s->kind == WZ_NFA_BYTES && wz_byte_set_has(&nfa.sets[s->set], (unsigned char)text[i]))
                wz_nfa_set_add(&nfa, next, s->next);
        }
    }
    const wz_nfa_set *last = &sets[length % 2];
    for (size_t k = 0; k < last->count && status == WZ_OK; k++)
        *matches = *matches || nfa.states[last->items[k]].kind == WZ_NFA_ACCEPT;
    wz_nfa_set_clear(&sets[0]);
    wz_nfa_set_clear(&sets[1]);
    wz_nfa_clear(&nfa);
    return status;
}

/* ---- walking ---- */

static wz_status check_state(const wz_grammar_set *set, wz_grammar_state state, wz_error *err)
{
    return state < set->node_count ? WZ_OK
                                   : wz_fail(err, WZ_ERR_RUNTIME, "grammar state %u does not exist", state);
}

wz_status wz_grammar_mask(wz_grammar_set *set, wz_grammar_state state, wz_mask *out, wz_error *err)
{
    wz_status status = check_state(set, state, err);
    if (status == WZ_OK && set->nodes[state].mask == 0)
        status = wz_grammar_make_mask(set, state, err);
    if (status == WZ_OK)
        *out = set->masks[set->nodes[state].mask - 1];
    return status;
}

static bool mask_has(const wz_mask *mask, uint32_t token)
{
    size_t low = 0, high = mask->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mask->tokens[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low < mask->count && mask->tokens[low] == token;
}

/* The first time a token is taken from a node. */
static wz_status make_step(wz_grammar_set *set, wz_grammar_state state, uint32_t token, uint32_t *next,
                           wz_error *err)
{
    wz_mask mask;
    wz_status status = wz_grammar_mask(set, state, &mask, err);
    if (status != WZ_OK)
        return status;
    if (!mask_has(&mask, token))
        return wz_fail(err, WZ_ERR_RUNTIME,
                       "token %u is not admissible in grammar state %u of pattern '%.200s'", token, state,
                       set->patterns[set->nodes[state].pattern].text);
    size_t length = 0;
    const char *bytes = wz_tokenizer_token_bytes(set->tokenizer, token, &length);
    uint32_t pattern = set->nodes[state].pattern, at = set->nodes[state].state;
    for (size_t i = 0; i < length; i++)
        at = wz_dfa_step(&set->patterns[pattern].dfa, at, (unsigned char)bytes[i]);
    wz_ids scratch = {0};
    wz_path path = {0};
    status = wz_grammar_extend(set, state, token, &scratch, &path, err);
    if (status == WZ_OK)
        status = wz_grammar_node(set, pattern, at, &path, next, err);
    wz_ids_clear(&scratch);
    return status == WZ_OK ? wz_map_put(&set->step_of, (uint64_t)state << 32 | token, *next, err) : status;
}

wz_status wz_grammar_step(wz_grammar_set *set, wz_grammar_state state, uint32_t token, wz_grammar_state *next,
                          wz_error *err)
{
    uint32_t known = wz_map_get(&set->step_of, (uint64_t)state << 32 | token);
    if (known != WZ_NO_TOKEN) {
        *next = known;
        return WZ_OK;
    }
    wz_status status = check_state(set, state, err);
    return status == WZ_OK ? make_step(set, state, token, next, err) : status;
}

bool wz_grammar_accepts(const wz_grammar_set *set, wz_grammar_state state)
{
    return state < set->node_count && set->nodes[state].accepts;
}

uint32_t wz_grammar_mask_count(const wz_grammar_set *set)
{
    return (uint32_t)set->mask_count;
}

void wz_grammar_mask_by_id(const wz_grammar_set *set, uint32_t id, wz_mask *out)
{
    *out = id >= 1 && id <= set->mask_count ? set->masks[id - 1] : (wz_mask){0};
}
