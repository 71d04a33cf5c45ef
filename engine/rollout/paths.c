#include "engine/rollout/paths.h"

#include <stdlib.h>
#include <string.h>

#define MOST_EDGES (1 << 20)
#define MOST_FORCED (1 << 22)

typedef struct start_edge {
    wz_grammar_state state;
    int32_t edge;
} start_edge;

/* What wz_paths_profile was last asked, and its answer. */
typedef struct profile {
    int64_t *rows;
    size_t capacity;
    int64_t steps;
    int32_t *start;
    int64_t starts;
    bool teaches, known;
} profile;

/* An array from wz_grow. */
typedef struct column {
    void *data;
    size_t capacity;
} column;

struct wz_paths {
    wz_grammar_set *grammar;
    int64_t limit;
    bool refused;
    /* as in wz_decode_paths; a start is a choice with one edge */
    column first, token, run, next, forced;
    int32_t choices, edges, forced_count, largest;
    column state;  /* [choices] grammar state of a choice */
    int32_t known; /* choices whose edges are there; the others wait for theirs */
    column choice; /* by grammar state: its choice + 1, 0: none yet */
    column starts; /* start_edge */
    size_t start_count;
    char digest[WZ_DIGEST_HEX];
    bool digested;
    profile profile;
};

wz_status wz_paths_create(wz_grammar_set *grammar, int64_t limit, wz_paths **out, wz_error *err)
{
    void *block = NULL;
    const wz_status status = wz_alloc(&block, 1, sizeof(wz_paths), "paths through the grammar", err);
    *out = block;
    if (status == WZ_OK) {
        (*out)->grammar = grammar;
        (*out)->limit = limit;
    }
    return status;
}

void wz_paths_destroy(wz_paths *paths)
{
    if (paths == NULL)
        return;
    column *const columns[] = {&paths->first,  &paths->token, &paths->run,    &paths->next,
                               &paths->forced, &paths->state, &paths->choice, &paths->starts};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        free(columns[i]->data);
    free(paths->profile.rows);
    free(paths->profile.start);
    free(paths);
}

static wz_status put(column *c, int64_t index, uint32_t value, wz_error *err)
{
    const wz_status status = wz_grow(&c->data, &c->capacity, (size_t)index + 1, sizeof(uint32_t),
                                     "paths through the grammar", err);
    if (status == WZ_OK)
        ((uint32_t *)c->data)[index] = value;
    return status;
}

static int32_t at(const column *c, int64_t index)
{
    return ((const int32_t *)c->data)[index];
}

/* The choice at a grammar state, made if there is none yet. */
static wz_status choice_at(wz_paths *p, wz_grammar_state state, int32_t *choice, wz_error *err)
{
    const size_t old = p->choice.capacity;
    wz_status status = wz_grow(&p->choice.data, &p->choice.capacity, (size_t)state + 1, sizeof(int32_t),
                               "paths through the grammar", err);
    if (status != WZ_OK)
        return status;
    int32_t *choices = p->choice.data;
    if (p->choice.capacity > old)
        memset(choices + old, 0, (p->choice.capacity - old) * sizeof *choices);
    if (choices[state] == 0) {
        status = put(&p->state, p->choices, state, err);
        if (status == WZ_OK)
            choices[state] = ++p->choices;
    }
    *choice = choices[state] - 1;
    return status;
}

/* Writes the forced tokens from `state` on; *next: the choice they lead to, -1: the end. */
static wz_status follow(wz_paths *p, wz_grammar_state state, int32_t *next, wz_error *err)
{
    *next = -1;
    for (int64_t length = 0; length < p->limit; length++) {
        wz_mask mask = {0};
        wz_status status = wz_grammar_mask(p->grammar, state, &mask, err);
        if (status != WZ_OK)
            return status;
        if (mask.count > 1)
            status = choice_at(p, state, next, err);
        if (wz_grammar_accepts(p->grammar, state) != (mask.count == 0) || p->forced_count >= MOST_FORCED)
            p->refused = true;
        if (status != WZ_OK || mask.count != 1 || p->refused)
            return status;
        status = put(&p->forced, p->forced_count, mask.tokens[0], err);
        if (status == WZ_OK)
            status = wz_grammar_step(p->grammar, state, mask.tokens[0], &state, err);
        if (status != WZ_OK)
            return status;
        p->forced_count++;
    }
    return WZ_OK;
}

/* An edge: a token, what is forced from `state` on, and the choice after that. */
static wz_status add_edge(wz_paths *p, uint32_t token, wz_grammar_state state, wz_error *err)
{
    int32_t next = -1;
    wz_status status = put(&p->token, p->edges, token, err);
    if (status == WZ_OK)
        status = put(&p->run, p->edges, (uint32_t)p->forced_count, err);
    if (status == WZ_OK)
        status = follow(p, state, &next, err);
    if (status == WZ_OK)
        status = put(&p->next, p->edges, (uint32_t)next, err);
    if (status == WZ_OK)
        status = put(&p->run, ++p->edges, (uint32_t)p->forced_count, err);
    return status;
}

/* Edges of the choices that wait for theirs. */
static wz_status add_edges(wz_paths *p, wz_error *err)
{
    wz_status status = WZ_OK;
    while (status == WZ_OK && !p->refused && p->known < p->choices) {
        const wz_grammar_state state = (wz_grammar_state)at(&p->state, p->known);
        wz_mask mask = {0};
        status = wz_grammar_mask(p->grammar, state, &mask, err);
        if (p->edges + (int64_t)mask.count > MOST_EDGES)
            p->refused = true;
        for (uint32_t i = 0; status == WZ_OK && !p->refused && i < mask.count; i++) {
            wz_grammar_state after = 0;
            status = wz_grammar_step(p->grammar, state, mask.tokens[i], &after, err);
            if (status == WZ_OK)
                status = add_edge(p, mask.tokens[i], after, err);
        }
        p->largest = (int32_t)mask.count > p->largest ? (int32_t)mask.count : p->largest;
        if (status == WZ_OK)
            status = put(&p->first, ++p->known, (uint32_t)p->edges, err);
    }
    return status;
}

/* A start is a choice with one edge, which no grammar state leads to. */
static wz_status add_start(wz_paths *p, wz_grammar_state start, int32_t *edge, wz_error *err)
{
    wz_status status = put(&p->first, p->known, (uint32_t)p->edges, err);
    if (status == WZ_OK)
        status = put(&p->state, p->choices, start, err);
    if (status != WZ_OK)
        return status;
    *edge = p->edges;
    p->choices++;
    p->digested = p->profile.known = false;
    status = add_edge(p, 0, start, err);
    if (status == WZ_OK)
        status = put(&p->first, ++p->known, (uint32_t)p->edges, err);
    if (status == WZ_OK)
        status = add_edges(p, err);
    if (status == WZ_OK)
        status = wz_grow(&p->starts.data, &p->starts.capacity, p->start_count + 1, sizeof(start_edge),
                         "paths through the grammar", err);
    if (status == WZ_OK)
        ((start_edge *)p->starts.data)[p->start_count++] = (start_edge){start, *edge};
    else
        p->refused = true; /* some are without edges */
    return status;
}

wz_status wz_paths_start(wz_paths *paths, wz_grammar_state start, int32_t *edge, wz_error *err)
{
    wz_status status = WZ_OK;
    *edge = -1;
    for (size_t i = 0; i < paths->start_count; i++)
        if (((const start_edge *)paths->starts.data)[i].state == start)
            *edge = ((const start_edge *)paths->starts.data)[i].edge;
    if (*edge < 0 && !paths->refused)
        status = add_start(paths, start, edge, err);
    if (paths->refused)
        *edge = -1;
    return status;
}

static wz_status take_digest(wz_paths *p, wz_error *err)
{
    wz_digest *digest = NULL;
    wz_status status = wz_digest_create(&digest, err);
    if (status != WZ_OK)
        return status;
    wz_digest_add_u64(digest, (uint64_t)p->choices);
    wz_digest_add_u64(digest, (uint64_t)p->edges);
    wz_digest_add(digest, p->first.data, ((size_t)p->choices + 1) * sizeof(int32_t));
    wz_digest_add(digest, p->token.data, (size_t)p->edges * sizeof(int32_t));
    wz_digest_add(digest, p->run.data, ((size_t)p->edges + 1) * sizeof(int32_t));
    wz_digest_add(digest, p->next.data, (size_t)p->edges * sizeof(int32_t));
    if (p->forced_count > 0)
        wz_digest_add(digest, p->forced.data, (size_t)p->forced_count * sizeof(int32_t));
    wz_digest_finish(digest, p->digest);
    wz_digest_destroy(digest);
    p->digested = true;
    return WZ_OK;
}

wz_status wz_paths_tables(wz_paths *paths, wz_decode_paths *out, wz_error *err)
{
    wz_status status = paths->digested ? WZ_OK : take_digest(paths, err);
    *out = (wz_decode_paths){.choices = paths->choices,
                             .edges = paths->edges,
                             .first = paths->first.data,
                             .token = paths->token.data,
                             .run = paths->run.data,
                             .next = paths->next.data,
                             .forced = paths->forced.data,
                             .largest = paths->largest};
    memcpy(out->digest, paths->digest, sizeof out->digest);
    return status;
}

/* Rows that a completion gets of an edge: of its token, unless it is a start, and of the forced ones; at the end of a
 * completion that teaches, the last token is none. */
static int64_t rows_of_edge(const wz_paths *p, int32_t edge, bool is_start, bool teaches)
{
    const int64_t tokens = at(&p->run, edge + 1) - at(&p->run, edge) + (is_start ? 0 : 1);
    if (at(&p->next, edge) >= 0)
        return tokens;
    return teaches && tokens > 0 ? tokens - 1 : 0;
}

static void take_edge(const wz_paths *p, int32_t edge, bool is_start, bool teaches, int64_t *rows,
                      uint8_t *after, bool *any)
{
    const int64_t mine = rows_of_edge(p, edge, is_start, teaches);
    const int32_t next = at(&p->next, edge);
    *rows = mine > *rows ? mine : *rows;
    if (next >= 0)
        after[next] = 1;
    *any = *any || next >= 0;
}

static wz_status add_to_profile(profile *f, int64_t rows, wz_error *err)
{
    void *array = f->rows;
    const wz_status status =
        wz_grow(&array, &f->capacity, (size_t)f->steps + 1, sizeof *f->rows, "a rollout's steps", err);
    f->rows = array;
    if (status == WZ_OK)
        f->rows[f->steps++] = rows;
    return status;
}

/* before, after: [choices] zeros. Decision by decision: the choices that completions may stand at. */
static wz_status walk(wz_paths *p, uint8_t *before, uint8_t *after, wz_error *err)
{
    profile *f = &p->profile;
    bool any = false;
    int64_t rows = 0;
    for (int64_t i = 0; i < f->starts; i++)
        take_edge(p, f->start[i], true, f->teaches, &rows, before, &any);
    wz_status status = add_to_profile(f, rows, err);
    while (status == WZ_OK && any && f->steps <= p->limit) {
        any = false;
        rows = 0;
        memset(after, 0, (size_t)p->choices);
        for (int32_t c = 0; c < p->choices; c++)
            for (int32_t e = at(&p->first, c); before[c] && e < at(&p->first, c + 1); e++)
                take_edge(p, e, false, f->teaches, &rows, after, &any);
        memcpy(before, after, (size_t)p->choices);
        status = add_to_profile(f, rows, err);
    }
    return status;
}

static bool asked_before(const profile *f, const int32_t *start, int64_t starts, bool teaches)
{
    return f->known && f->starts == starts && f->teaches == teaches &&
           memcmp(f->start, start, (size_t)starts * sizeof *start) == 0;
}

wz_status wz_paths_profile(wz_paths *paths, const int32_t *start, int64_t starts, bool teaches,
                           const int64_t **rows, int64_t *steps, wz_error *err)
{
    profile *f = &paths->profile;
    void *marks = NULL, *copy = NULL;
    wz_status status = WZ_OK;
    if (!asked_before(f, start, starts, teaches)) {
        f->known = false;
        f->steps = 0;
        status = wz_alloc(&copy, (size_t)starts, sizeof *start, "a rollout's steps", err);
        if (status == WZ_OK)
            status = wz_alloc(&marks, 2 * (size_t)paths->choices, 1, "a rollout's steps", err);
        if (status != WZ_OK) {
            free(copy);
            return status;
        }
        free(f->start);
        f->start = memcpy(copy, start, (size_t)starts * sizeof *start);
        f->starts = starts;
        f->teaches = teaches;
        status = walk(paths, marks, (uint8_t *)marks + paths->choices, err);
        f->known = status == WZ_OK;
        free(marks);
    }
    *rows = f->rows;
    *steps = f->steps;
    return status;
}
