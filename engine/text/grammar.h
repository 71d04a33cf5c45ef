/* Answer grammar: regular expression -> byte automaton -> sets of admissible tokens.
 *
 * Dialect: literal bytes (a character beyond ASCII is the group of its bytes), escapes `\n \t \r \d \xHH` and
 * `\` before punctuation, classes of bytes [a-z0-9] and [^...], groups ( ), alternation |, repetition ? * +
 * {n} {n,} {n,m}. No `.`, `^`, `$`. The whole completion must match (anchored at both ends).
 *
 * Each string of the language has exactly one admissible token path: the tokenizer's own encoding of
 * it. A token is admissible in a state iff its bytes keep the automaton on a path to acceptance and the
 * token sequence so far is a prefix of the tokenizer's encoding of some string of the language. Added tokens
 * such as `</answer>` count as their text. Under an NFC normaliser, strings with characters that NFC changes or
 * may combine (marks, parts of Hangul syllables) have no path and are left out.
 *
 * Masks and steps are made when first asked for and are table look-ups after that. An answer pattern costs
 * under 2 ms in all, over the built-in vocabulary or one of 150,000 tokens; a pattern of free text such as
 * `[^<]*</think>` costs up to 1 s for each new mask over 150,000 tokens, and makes new masks as long as it
 * goes on: let free text be sampled from every token instead. */
#ifndef WZ_TEXT_GRAMMAR_H
#define WZ_TEXT_GRAMMAR_H

#include "engine/text/tokenizer.h"

typedef struct wz_grammar_set wz_grammar_set;
typedef uint32_t wz_grammar_state; /* a node of the set's token automaton */

/* A set of allowed tokens; equal sets share one id within a grammar set. */
typedef struct wz_mask {
    uint32_t id;            /* 1, 2, ...; 0 is reserved for "every token" */
    uint32_t count;         /* tokens allowed; 0 only in a final state */
    const uint32_t *tokens; /* ascending, borrowed from the set (stable until it is destroyed) */
} wz_mask;

/* The tokenizer stays the caller's and must outlive the set. Not thread-safe: states are made lazily. */
wz_status wz_grammar_set_create(const wz_tokenizer *tokenizer, wz_grammar_set **out, wz_error *err);
void wz_grammar_set_destroy(wz_grammar_set *set);

/* Start state of a pattern; compiled once per pattern text. WZ_ERR_USAGE names what is wrong and where.
 * The completion is encoded on its own: the prompt must end where a pre-token ends (every prompt we print
 * ends with a tag). */
wz_status wz_grammar_compile(wz_grammar_set *set, const char *pattern, wz_grammar_state *start,
                             wz_error *err);
/* Tokens admissible in a state. */
wz_status wz_grammar_mask(wz_grammar_set *set, wz_grammar_state state, wz_mask *out, wz_error *err);
/* The state after a token; an inadmissible token is WZ_ERR_RUNTIME. */
wz_status wz_grammar_step(wz_grammar_set *set, wz_grammar_state state, uint32_t token, wz_grammar_state *next,
                          wz_error *err);
/* Whether the completion may end here. Final: accepts and nothing can follow. */
bool wz_grammar_accepts(const wz_grammar_set *set, wz_grammar_state state);

/* Number of masks made so far, and mask number id (1-based). */
uint32_t wz_grammar_mask_count(const wz_grammar_set *set);
void wz_grammar_mask_by_id(const wz_grammar_set *set, uint32_t id, wz_mask *out);

/* Whole-string match, byte by byte, without tokens (for tests and for validating answers). */
wz_status wz_grammar_match(const char *pattern, const char *text, size_t length, bool *matches,
                           wz_error *err);

#endif
