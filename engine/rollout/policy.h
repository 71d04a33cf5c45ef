/* A policy: weights and tokenizer, and what sampling needs to know of its answers. */
#ifndef WZ_ROLLOUT_POLICY_H
#define WZ_ROLLOUT_POLICY_H

#include "engine/model/model.h"
#include "engine/rollout/rollout.h"
#include "engine/text/chat.h"
#include "engine/text/grammar.h"

#define WZ_MAX_ENDS 8 /* end tokens that a model may have */
#define WZ_BASE_PATH_MAX 4096

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
    wz_text
        origin; /* JSON: what is known of an imported model beside this (engine/run/portable.h); empty: nothing */
    int64_t max_completion_length;
    uint32_t end_tokens[1 + WZ_MAX_ENDS]; /* of free decoding: the closing answer tag, ends of text */
    size_t end_token_count;
    wz_chat chat;         /* none, unless wz_policy_set_chat was called */
    wz_thinking thinking; /* before the answers; off unless wz_policy_think was called */
    wz_pattern_bounds *bounds;
    size_t bound_count, bound_capacity;
    /* With adapters: the checkpoint that has the frozen weights, and its weights' digest; "": none has. */
    char base_file[WZ_BASE_PATH_MAX], base_digest[33];
    size_t bytes_while_made; /* of another model that this one's weights were taken from; 0: none */
} wz_policy;

/* Takes over the model and the tokenizer, also on failure. Rows of the model beyond the tokenizer's tokens are never sampled;
 * a tokenizer with unused ids among its own needs the grammar. */
wz_status wz_policy_create(wz_model *model, wz_tokenizer *tokenizer, bool answer_grammar,
                           int64_t max_completion_length, wz_policy **out, wz_error *err);
void wz_policy_destroy(wz_policy *policy);

/* The same policy decoding freely, and without candidates: a view, for as long as the policy lives and nothing else is done with it; not to be
 * destroyed. */
wz_policy wz_policy_without_grammar(const wz_policy *policy);
/* Free decoding draws from all ids up to the tokenizer's last: WZ_ERR_USAGE where one of them stands for nothing. */
wz_status wz_policy_check_free(const wz_policy *policy, wz_error *err);
/* Makes the policy what that view shows, if it can decode freely. */
wz_status wz_policy_drop_grammar(wz_policy *policy, wz_error *err);
/* What ends free decoding beside a closing answer tag: these ids, in place of the tokenizer's own end. WZ_ERR_USAGE where one
 * is no token, or there are more than WZ_MAX_ENDS. */
wz_status wz_policy_set_ends(wz_policy *policy, const int64_t *ids, size_t count, wz_error *err);

/* How prompts are made of problems. WZ_ERR_USAGE where the tokenizer lacks tokens of the template. */
wz_status wz_policy_set_chat(wz_policy *policy, wz_chat_template kind, const char *system_prompt,
                             wz_error *err);

/* Lets completions think before they answer, or, with neither budget nor tries, answer at once: in place of what was set
 * before. */
wz_status wz_policy_think(wz_policy *policy, const wz_thinking_options *options, wz_error *err);

/* Start state and bounds of an answer pattern, with the thinking that comes before it; without a grammar, the length
 * limit. */
wz_status wz_policy_bounds(wz_policy *policy, const char *pattern, wz_pattern_bounds *out, wz_error *err);
/* The states of candidates that match `first`, and `more` where another one may or need not come; adds them, each followed
 * by an insertion of so many tokens, to the bounds of their answers. */
wz_status wz_policy_add_tries(wz_policy *policy, const char *first, const char *more, int64_t insertion,
                              wz_pattern_bounds *bounds, wz_try_states *out, wz_error *err);

/* integer[token] = n for the token of integer n, else -1; vocab entries (the tokenizer's and any rows beyond). */
wz_status wz_policy_integers(const wz_tokenizer *tokenizer, int64_t vocab, int64_t **out, wz_error *err);

#endif
