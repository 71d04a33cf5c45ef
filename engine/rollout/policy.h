/* A policy: weights and tokenizer, and what sampling needs to know of its answers. */
#ifndef WZ_ROLLOUT_POLICY_H
#define WZ_ROLLOUT_POLICY_H

#include "engine/model/model.h"
#include "engine/rollout/rollout.h"
#include "engine/text/grammar.h"

/* How a pattern's completions are bounded; kept so that each pattern is searched once. */
typedef struct wz_pattern_bounds {
    wz_grammar_state start;
    int64_t longest, rows;
    int64_t set; /* tokens of the largest set that one is chosen from; vocab_size where no search can tell */
} wz_pattern_bounds;

typedef struct wz_policy {
    wz_model *model;
    wz_tokenizer *tokenizer;
    wz_grammar_set *grammar; /* NULL: decodes freely */
    wz_paths *paths;         /* the grammar's, where the device may drive decoding; else NULL */
    int64_t max_completion_length;
    uint32_t end_tokens[2]; /* of free decoding: the closing answer tag, the end of text */
    size_t end_token_count;
    wz_pattern_bounds *bounds;
    size_t bound_count, bound_capacity;
} wz_policy;

/* Takes over the model and the tokenizer, also on failure. */
wz_status wz_policy_create(wz_model *model, wz_tokenizer *tokenizer, bool answer_grammar,
                           int64_t max_completion_length, wz_policy **out, wz_error *err);
void wz_policy_destroy(wz_policy *policy);

/* Start state and bounds of an answer pattern; without a grammar, the length limit. */
wz_status wz_policy_bounds(wz_policy *policy, const char *pattern, wz_pattern_bounds *out, wz_error *err);

/* integer[token] = n for the token of integer n, else -1; vocab entries (the tokenizer's and any rows beyond). */
wz_status wz_policy_integers(const wz_tokenizer *tokenizer, int64_t vocab, int64_t **out, wz_error *err);

#endif
