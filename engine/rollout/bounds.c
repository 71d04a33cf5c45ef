/* Longest paths through an answer grammar: they decide how many rows a pack needs. */
#include <stdlib.h>
#include <string.h>

#include "engine/rollout/rollout.h"

#define UNKNOWN (-2)
#define NO_CHOICE (-1)

typedef struct path_bound {
    int64_t length; /* tokens to the end; UNKNOWN: not yet computed */
    int64_t before; /* tokens before the last choice; NO_CHOICE: none on the way */
} path_bound;

typedef struct path_search {
    wz_grammar_set *grammar;
    path_bound *bound; /* by state */
    size_t capacity;
    int64_t limit, largest; /* largest: tokens of the largest set on the way */
    bool endless;           /* some path is longer than the limit */
} path_search;

static wz_status reserve(path_search *search, wz_grammar_state state, wz_error *err)
{
    size_t old = search->capacity;
    void *bounds = search->bound;
    wz_status status =
        wz_grow(&bounds, &search->capacity, (size_t)state + 1, sizeof(path_bound), "path bounds", err);
    search->bound = bounds;
    for (size_t i = old; status == WZ_OK && i < search->capacity; i++)
        search->bound[i] = (path_bound){UNKNOWN, NO_CHOICE};
    return status;
}

static wz_status explore(path_search *search, wz_grammar_state state, int64_t depth, wz_error *err)
{
    wz_status status = reserve(search, state, err);
    if (status != WZ_OK || search->bound[state].length != UNKNOWN || search->endless)
        return status;
    if (depth > search->limit) {
        search->endless = true;
        return WZ_OK;
    }
    wz_mask mask;
    status = wz_grammar_mask(search->grammar, state, &mask, err);
    if (status == WZ_OK && (int64_t)mask.count > search->largest)
        search->largest = mask.count;
    path_bound bound = {0, mask.count > 1 ? 0 : NO_CHOICE};
    for (uint32_t i = 0; status == WZ_OK && i < mask.count && !search->endless; i++) {
        wz_grammar_state next = 0;
        status = wz_grammar_step(search->grammar, state, mask.tokens[i], &next, err);
        if (status == WZ_OK)
            status = explore(search, next, depth + 1, err);
        if (status != WZ_OK || search->endless)
            return status;
        const path_bound *after = &search->bound[next];
        bound.length = after->length + 1 > bound.length ? after->length + 1 : bound.length;
        if (after->before != NO_CHOICE && after->before + 1 > bound.before)
            bound.before = after->before + 1;
    }
    if (status == WZ_OK)
        search->bound[state] = bound;
    return status;
}

wz_status wz_rollout_bounds(wz_grammar_set *grammar, wz_grammar_state start, int64_t limit, int64_t *longest,
                            int64_t *rows, int64_t *set, wz_error *err)
{
    path_search search = {.grammar = grammar, .limit = limit};
    wz_status status = explore(&search, start, 0, err);
    *longest = *rows = limit;
    *set = INT64_MAX;
    if (status == WZ_OK && !search.endless) {
        *longest = search.bound[start].length < limit ? search.bound[start].length : limit;
        *rows = search.bound[start].before < 0 ? 0 : search.bound[start].before;
        *set = search.largest;
    }
    free(search.bound);
    return status;
}

/* Every way on ends somewhere, so each leaf costs no more steps than its own tokens. */
static wz_status count_leaves(wz_grammar_set *grammar, wz_grammar_state state, int64_t most, int64_t depth,
                              int64_t *count, wz_error *err)
{
    wz_mask mask;
    wz_status status = wz_grammar_mask(grammar, state, &mask, err);
    if (status != WZ_OK)
        return status;
    if (mask.count == 0)
        ++*count;
    if (depth == 0)
        *count = most; /* endless */
    for (uint32_t i = 0; status == WZ_OK && i < mask.count && *count < most; i++) {
        wz_grammar_state next = 0;
        status = wz_grammar_step(grammar, state, mask.tokens[i], &next, err);
        if (status == WZ_OK)
            status = count_leaves(grammar, next, most, depth - 1, count, err);
    }
    return status;
}

wz_status wz_rollout_count(wz_grammar_set *grammar, wz_grammar_state state, int64_t most, int64_t limit,
                           int64_t *count, wz_error *err)
{
    *count = 0;
    return count_leaves(grammar, state, most, limit, count, err);
}

int64_t wz_rollout_group_rows(int64_t longest, int64_t rows, int64_t generations, int64_t lessons)
{
    lessons = lessons < generations ? lessons : generations;
    const int64_t taught = longest > 0 ? longest - 1 : 0; /* all tokens but the last are predicted from */
    return (generations - lessons) * rows + lessons * (taught > rows ? taught : rows);
}
