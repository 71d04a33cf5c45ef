/* Paths through an answer grammar as tables, for decoding that the device drives: choices between tokens, and the tokens
 * forced between one choice and the next. */
#ifndef WZ_ROLLOUT_PATHS_H
#define WZ_ROLLOUT_PATHS_H

#include "engine/backend/backend.h"
#include "engine/text/grammar.h"

typedef struct wz_paths wz_paths;

/* The grammar stays the caller's. limit: tokens of a completion, at most. */
wz_status wz_paths_create(wz_grammar_set *grammar, int64_t limit, wz_paths **out, wz_error *err);
void wz_paths_destroy(wz_paths *paths);

/* The edge that leads from the beginning of a completion to its first choice; -1: the grammar has more than a table can
 * hold, or places where only the host can say what is wrong. */
wz_status wz_paths_start(wz_paths *paths, wz_grammar_state start, int32_t *edge, wz_error *err);

/* The tables of all starts asked for so far; valid until the next one. */
wz_status wz_paths_tables(wz_paths *paths, wz_decode_paths *out, wz_error *err);

/* rows[s]: most rows that a completion gets before its decision number s, for s = 0 .. steps - 1; steps: one more than the
 * most decisions. A completion that teaches has rows for its last tokens, too. Borrowed until the next call. */
wz_status wz_paths_profile(wz_paths *paths, const int32_t *start, int64_t starts, bool teaches,
                           const int64_t **rows, int64_t *steps, wz_error *err);

#endif
