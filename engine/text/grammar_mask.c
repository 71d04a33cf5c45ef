/* Which tokens a node admits: those through which the encoding of an accepted string runs.
 *
 * For each token that keeps the byte automaton alive, a shortest completion is encoded first: if the path
 * is the beginning of that encoding, the question is answered. Otherwise the nodes behind the token are
 * searched, which ends within a piece, since a certain piece end is always alive. */
#include "engine/text/grammar_internal.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MAX_SEARCH_DEPTH 2000

typedef struct search {
    wz_grammar_set *set;
    wz_ids explored; /* nodes whose answer depended on one still being visited */
    int depth;
    wz_error *err;
} search;

/* The bytes of a shortest way to acceptance. */
static wz_status shortest_completion(const wz_dfa *dfa, uint32_t state, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_append(out, "", 0, err);
    while (!dfa->accepts[state] && status == WZ_OK) {
        char byte = (char)dfa->toward[state];
        status = wz_text_append(out, &byte, 1, err);
        state = wz_dfa_step(dfa, state, dfa->toward[state]);
    }
    return status;
}

/* Whether the path is the beginning of the encoding of its text, `first` (if it is not empty) and a shortest
 * completion after that. */
static wz_status witness(const wz_grammar_set *set, const wz_dfa *dfa, uint32_t state, const wz_path *path,
                         const char *first, bool *found, wz_error *err)
{
    wz_text rest = {0};
    *found = false;
    wz_status status = wz_text_append(&rest, first, strlen(first), err);
    for (; *first != '\0' && state != WZ_DFA_DEAD; first++)
        state = wz_dfa_step(dfa, state, (unsigned char)*first);
    if (status == WZ_OK && state != WZ_DFA_DEAD) {
        status = shortest_completion(dfa, state, &rest, err);
        if (status == WZ_OK)
            status = wz_path_encodes(set->tokenizer, path, rest.data, rest.length, found, err);
    }
    wz_text_clear(&rest);
    return status;
}

/* A shortest completion may happen to merge with the path where others do not: those that begin a new piece,
 * letters and digits that few tokens continue with, and what may complete a character that is cut off. */
static wz_status other_witnesses(const wz_grammar_set *set, uint32_t node, bool *found, wz_error *err)
{
    /* clang-format off */
    static const char *const starts[] = {
        " ", "\n", "<", ".", ",", "(", "\"", "-", "0", "7", "9", "A", "Z", "a", "e", "o", "q", "x", "z", "'", "_", "  ",
        "\t", "X", "\x80", "\x9f", "\xbf", "\xa8", "\x80\x80", "\xbf\xbf", "\xa5\x9f", "\x90\x91",
        "\x90\x80\x80", "\xa0\x9f\xbf"};
    /* clang-format on */
    const wz_node *n = &set->nodes[node];
    const wz_path path = wz_grammar_node_path(set, n);
    wz_status status = WZ_OK;
    *found = false;
    for (size_t i = 0; i < sizeof starts / sizeof *starts && n->path_count > 0 && status == WZ_OK && !*found;
         i++)
        status = witness(set, &set->patterns[n->pattern].dfa, n->state, &path, starts[i], found, err);
    return status;
}

/* ---- a filter before anything is encoded ---- */

/* Of the many tokens that go on inside a piece, most would be merged with the last token of the path. */
typedef struct filter {
    const wz_grammar_set *set;
    wz_ids before; /* the node's path */
    bool cut;
    wz_map may_end; /* first characters of a token -> may a piece end before it */
} filter;

static wz_status filter_init(filter *f, const wz_grammar_set *set, uint32_t node, wz_error *err)
{
    const wz_path path = wz_grammar_node_path(set, &set->nodes[node]);
    *f = (filter){.set = set, .cut = path.cut};
    return wz_ids_append(&f->before, path.tokens, path.count, err);
}

static void filter_clear(filter *f)
{
    wz_ids_clear(&f->before);
    wz_map_clear(&f->may_end);
}

/* The first two characters, or 0 when the token does not begin with whole ones. */
static size_t first_characters(const char *bytes, size_t length)
{
    size_t used = 0;
    for (int i = 0; i < 2 && used < length; i++) {
        uint32_t codepoint = 0;
        int size = wz_utf8_character(bytes + used, length - used, &codepoint);
        if (size <= 0)
            return i == 0 ? 0 : used;
        used += (size_t)size;
    }
    return used;
}

static wz_status may_end_before(filter *f, const char *start, size_t length, bool *may, wz_error *err)
{
    const wz_path path = {.tokens = f->before.data, .count = f->before.length, .cut = f->cut};
    uint64_t key = XXH3_64bits(start, length);
    uint32_t known = wz_map_get(&f->may_end, key);
    *may = known == 1;
    if (known != WZ_NO_TOKEN)
        return WZ_OK;
    wz_status status = wz_path_may_end_before(f->set->tokenizer, &path, start, length, may, err);
    return status == WZ_OK ? wz_map_put(&f->may_end, key, *may, err) : status;
}

static wz_status filter_passes(filter *f, uint32_t token, bool *passes, wz_error *err)
{
    const wz_tokenizer *tokenizer = f->set->tokenizer;
    size_t length = 0;
    const char *bytes = wz_tokenizer_token_bytes(tokenizer, token, &length);
    *passes = true;
    if (f->before.length == 0)
        return WZ_OK;
    uint32_t pair[2] = {f->before.data[f->before.length - 1], token};
    size_t start = first_characters(bytes, length);
    if (start == 0 || tokenizer->tokens[pair[0]].added || tokenizer->tokens[pair[1]].added)
        return WZ_OK;
    wz_status status = may_end_before(f, bytes, start, passes, err);
    /* ignore_merges: the piece may be one token whatever its parts are; then the path has no second token. */
    return status == WZ_OK && !*passes ? wz_tokens_stay_apart(tokenizer, pair, passes, err) : status;
}

/* ---- the search ---- */

static wz_status explore(search *s, uint32_t node, bool *alive, bool *open);

/* *open: the answer "no" depended on a node that is still being visited. */
static wz_status try_move(search *s, uint32_t node, wz_move move, filter *f, wz_ids *scratch, bool *alive,
                          bool *open)
{
    wz_grammar_set *set = s->set;
    uint32_t pattern = set->nodes[node].pattern, next = WZ_NO_TOKEN;
    wz_path path = {0};
    bool passes = true;
    *alive = false;
    wz_status status = filter_passes(f, move.token, &passes, s->err);
    if (status != WZ_OK || !passes)
        return status;
    status = wz_grammar_extend(set, node, move.token, scratch, &path, s->err);
    if (status != WZ_OK)
        return status;
    status = witness(set, &set->patterns[pattern].dfa, move.state, &path, "", alive, s->err);
    if (status != WZ_OK || *alive)
        return status;
    status = wz_grammar_node(set, pattern, move.state, &path, &next, s->err);
    if (status != WZ_OK || next == WZ_NO_TOKEN)
        return status;
    return explore(s, next, alive, open);
}

static wz_status explore(search *s, uint32_t node, bool *alive, bool *open)
{
    wz_grammar_set *set = s->set;
    *alive = set->nodes[node].life == WZ_LIFE_ALIVE;
    if (set->nodes[node].life == WZ_LIFE_VISITING)
        *open = true;
    if (set->nodes[node].life != WZ_LIFE_UNKNOWN)
        return WZ_OK;
    if (++s->depth > MAX_SEARCH_DEPTH)
        return wz_fail(s->err, WZ_ERR_RESOURCE,
                       "grammar pattern '%.200s': the tokens of its strings cannot be found "
                       "within %d steps",
                       set->patterns[set->nodes[node].pattern].text, MAX_SEARCH_DEPTH);
    wz_moves moves = {0};
    wz_ids scratch = {0};
    filter f = {0};
    bool depends = false;
    set->nodes[node].life = WZ_LIFE_VISITING;
    wz_status status = other_witnesses(set, node, alive, s->err);
    if (status == WZ_OK)
        status = filter_init(&f, set, node, s->err);
    if (status == WZ_OK && !*alive)
        status = wz_trie_moves(&set->trie, &set->patterns[set->nodes[node].pattern].dfa,
                               set->nodes[node].state, &moves, s->err);
    for (size_t i = 0; i < moves.count && status == WZ_OK && !*alive; i++)
        status = try_move(s, node, moves.data[i], &f, &scratch, alive, &depends);
    filter_clear(&f);
    free(moves.data);
    wz_ids_clear(&scratch);
    s->depth--;
    set->nodes[node].life = status != WZ_OK ? WZ_LIFE_UNKNOWN : *alive ? WZ_LIFE_ALIVE : WZ_LIFE_DEAD;
    *open = *open || (depends && !*alive);
    return status == WZ_OK && depends && !*alive ? wz_ids_append(&s->explored, &node, 1, s->err) : status;
}

/* Nodes that were found dead only because a node on the way was still open are asked again, unless the
 * whole search found nothing: then they are dead indeed. */
static void end_search(search *s, bool alive)
{
    for (size_t i = 0; i < s->explored.length && alive; i++)
        s->set->nodes[s->explored.data[i]].life = WZ_LIFE_UNKNOWN;
    wz_ids_clear(&s->explored);
}

wz_status wz_grammar_is_alive(wz_grammar_set *set, uint32_t node, bool *alive, wz_error *err)
{
    search s = {.set = set, .err = err};
    bool open = false;
    wz_status status = explore(&s, node, alive, &open);
    end_search(&s, *alive || status != WZ_OK);
    return status;
}

/* ---- masks ---- */

static wz_status add_mask(wz_grammar_set *set, const wz_ids *tokens, uint32_t older, uint32_t *id,
                          wz_error *err)
{
    void *masks = set->masks, *chain = set->older_mask, *copy = NULL;
    wz_status status =
        wz_grow(&masks, &set->mask_capacity, set->mask_count + 1, sizeof *set->masks, "masks", err);
    set->masks = masks;
    if (status == WZ_OK)
        status = wz_grow(&chain, &set->older_mask_capacity, set->mask_count + 1, sizeof *set->older_mask,
                         "masks", err);
    set->older_mask = chain;
    if (status == WZ_OK)
        status = wz_alloc(&copy, tokens->length, sizeof *tokens->data, "mask", err);
    if (status != WZ_OK)
        return status;
    if (tokens->length > 0)
        memcpy(copy, tokens->data, tokens->length * sizeof *tokens->data);
    set->older_mask[set->mask_count] = older;
    *id = (uint32_t)set->mask_count + 1;
    set->masks[set->mask_count++] = (wz_mask){.id = *id, .count = (uint32_t)tokens->length, .tokens = copy};
    return WZ_OK;
}

/* The id of a set of tokens: equal sets share one. */
static wz_status intern_mask(wz_grammar_set *set, const wz_ids *tokens, uint32_t *id, wz_error *err)
{
    size_t bytes = tokens->length * sizeof *tokens->data;
    uint64_t hash = XXH3_64bits(tokens->data, bytes);
    uint32_t newest = wz_map_get(&set->mask_of_hash, hash);
    if (newest == WZ_NO_TOKEN)
        newest = 0;
    for (uint32_t m = newest; m != 0; m = set->older_mask[m - 1]) {
        if (set->masks[m - 1].count == tokens->length &&
            (bytes == 0 || memcmp(set->masks[m - 1].tokens, tokens->data, bytes) == 0)) {
            *id = m;
            return WZ_OK;
        }
    }
    wz_status status = add_mask(set, tokens, newest, id, err);
    return status == WZ_OK ? wz_map_put(&set->mask_of_hash, hash, *id, err) : status;
}

static int compare_tokens(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

wz_status wz_grammar_make_mask(wz_grammar_set *set, uint32_t node, wz_error *err)
{
    wz_moves moves = {0};
    wz_ids scratch = {0}, admitted = {0};
    filter f = {0};
    uint32_t id = 0;
    wz_status status = filter_init(&f, set, node, err);
    if (status == WZ_OK)
        status = wz_trie_moves(&set->trie, &set->patterns[set->nodes[node].pattern].dfa,
                               set->nodes[node].state, &moves, err);
    for (size_t i = 0; i < moves.count && status == WZ_OK; i++) {
        search s = {.set = set, .err = err};
        bool alive = false, open = false;
        status = try_move(&s, node, moves.data[i], &f, &scratch, &alive, &open);
        end_search(&s, alive || status != WZ_OK);
        if (status == WZ_OK && alive)
            status = wz_ids_append(&admitted, &moves.data[i].token, 1, err);
    }
    if (status == WZ_OK && admitted.length > 0)
        qsort(admitted.data, admitted.length, sizeof *admitted.data, compare_tokens);
    if (status == WZ_OK)
        status = intern_mask(set, &admitted, &id, err);
    if (status == WZ_OK)
        set->nodes[node].mask = id;
    filter_clear(&f);
    free(moves.data);
    wz_ids_clear(&scratch);
    wz_ids_clear(&admitted);
    return status;
}
