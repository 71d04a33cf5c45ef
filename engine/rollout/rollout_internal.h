/* A rollout under way, shared by rollout.c (rows, requests, draws) and thinking.c (what comes before the answer). */
#ifndef WZ_ROLLOUT_ROLLOUT_INTERNAL_H
#define WZ_ROLLOUT_ROLLOUT_INTERNAL_H

#include "engine/rollout/decode.h"

typedef struct wz_rollout {
    const wz_model *model;
    wz_activations *activations;
    wz_pack *pack;
    wz_grammar_set *grammar;
    const wz_grammar_state *start; /* [groups] of the answers */
    const wz_rollout_options *options;
    wz_grammar_state *state; /* [completions] */
    uint8_t *going;          /* [completions] still decoding */
    uint32_t *set_id;        /* grammar mask id -> pack mask id, 0: not yet copied */
    size_t set_capacity;
    struct wz_thought *thoughts; /* [completions]; NULL: none thinks */
    wz_ids fresh;                /* a set under way: tokens by which a candidate can still be a new one */
    /* one decode step: */
    wz_sample_request *request; /* [completions] */
    int32_t *asker;             /* [completions] completion of each request */
    int32_t *gather;            /* [completions] site of each hidden vector */
    wz_sample_result *result;   /* [completions] */
    uint32_t *kept;             /* [completions][kept_stride], with top-k, top-p or min-p */
    int64_t kept_stride;
    float *hidden, *rstd; /* backend: [completions][hidden_size], [completions] */
    void *block;
    /* where the device drove: */
    wz_decoded decoded;
    int32_t *taken; /* [completions] results taken over */
} wz_rollout;

/* Appends a token to a completion; what it changes is the phase's business. */
void wz_rollout_append(wz_rollout *r, int64_t c, uint32_t token, uint32_t set, wz_origin origin);
/* Appends what the grammar leaves no choice about. *ended: the completion or, while it thinks, its segment is at a final
 * state, where nothing may follow; else *set is the token set to sample from, or the completion has reached its length limit
 * and goes no further. */
wz_status wz_rollout_follow_grammar(wz_rollout *r, int64_t c, uint32_t *set, bool *ended, wz_error *err);

/* Thoughts of all completions, where the options ask for thinking. */
wz_status wz_thoughts_create(wz_rollout *r, wz_error *err);
/* Whether the completion has not come to its answer. */
bool wz_thinks(const wz_rollout *r, int64_t c);
/* Appends what follows without a choice up to the next place where one is, perhaps the first of the answer. With
 * *answers the answer begins, or the completion has ended; else *set is the token set to sample from. */
wz_status wz_think_on(wz_rollout *r, int64_t c, uint32_t *set, bool *answers, wz_error *err);
/* A sampled token of the thinking part has been appended. */
wz_status wz_thought_take(wz_rollout *r, int64_t c, uint32_t token, wz_error *err);

#endif
