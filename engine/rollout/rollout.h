/* Rollout: samples the completions of a pack in lockstep.
 *
 * Prompts are computed once per group; each decode step adds one block of rows. With a grammar, a place
 * where only one token is admissible costs no sampling, and rows that nothing is predicted from are not
 * computed at all. */
#ifndef WZ_ROLLOUT_ROLLOUT_H
#define WZ_ROLLOUT_ROLLOUT_H

#include "engine/model/model.h"
#include "engine/rollout/pack.h"
#include "engine/rollout/paths.h"
#include "engine/rollout/thinking.h"
#include "engine/text/grammar.h"

typedef struct wz_rollout_options {
    wz_sampling sampling;
    uint64_t seed;
    uint32_t step;
    wz_purpose purpose;            /* WZ_PURPOSE_SAMPLE or WZ_PURPOSE_EVAL_SAMPLE */
    int64_t max_completion_length; /* tokens */
    int64_t lessons;               /* completions of each group whose every token becomes a grammar lesson */
    const uint32_t *end_tokens;    /* without a grammar: a completion ends with any of these */
    size_t end_token_count;
    wz_paths *paths;  /* the grammar's; NULL: the host drives decoding under a grammar */
    bool host_drives; /* decoding, even where the device could; it always does where completions think */
    const wz_thinking *thinking;   /* NULL: completions begin with their answers */
    const wz_try_states *tries;    /* [groups], with thinking->tries */
    const wz_insertion *insertion; /* likewise */
    double *prompts_done_s;        /* NULL, or receives the time (wz_now_s) when all prompts were computed */
} wz_rollout_options;

/* How long completions of a grammar state can get: tokens of the longest one, and tokens before its last choice (the
 * rows a completion needs). Both at most `limit`, which also bounds infinite languages. *set: tokens of the largest set that
 * one is chosen from; INT64_MAX where the language is infinite. */
wz_status wz_rollout_bounds(wz_grammar_set *grammar, wz_grammar_state start, int64_t limit, int64_t *longest,
                            int64_t *rows, int64_t *set, wz_error *err);

/* Strings by which a grammar state may go on to the end, counted up to `most`; one longer than `limit` tokens stands for
 * that many. */
wz_status wz_rollout_count(wz_grammar_set *grammar, wz_grammar_state state, int64_t most, int64_t limit,
                           int64_t *count, wz_error *err);

/* Rows of a group's completions: `generations` completions, the first `lessons` of which teach the grammar. */
int64_t wz_rollout_group_rows(int64_t longest, int64_t rows, int64_t generations, int64_t lessons);

/* Fills the pack. start[g]: grammar state of group g; grammar NULL: no grammar. The activations have room for the
 * pack's row_capacity. */
wz_status wz_rollout_run(const wz_model *model, wz_activations *activations, wz_pack *pack,
                         wz_grammar_set *grammar, const wz_grammar_state *start,
                         const wz_rollout_options *options, wz_error *err);

/* logp and entropy of all decisions from the activations as they are, by head score. hidden [decisions][hidden_size] and
 * rstd [decisions] are kept for the backward pass (backend memory). */
wz_status wz_rollout_score(const wz_model *model, const wz_activations *activations, const wz_pack *pack,
                           float temperature, float *hidden, float *rstd, float *logp, float *entropy,
                           wz_error *err);

#endif
