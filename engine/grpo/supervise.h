/* A supervised cold start: before GRPO, steps that raise the probability of completions that are given.
 *
 * loss = -(1 / N) sum over the N tokens of the whole batch of log p(token), at temperature 1. The pairs are either problems
 * of the run's tasks with the decision of the reference solver, where tokens count that were one of several that the answer
 * grammar allows, p being their probability among those; or a file's, where each token of a completion counts, among the
 * whole vocabulary. */
#ifndef WZ_GRPO_SUPERVISE_H
#define WZ_GRPO_SUPERVISE_H

#include "engine/core/digest.h"
#include "engine/core/memory.h"
#include "engine/rollout/policy.h"

#define WZ_PAIRS_MAX (1 << 24) /* their order is drawn from 32-bit words */

typedef struct wz_pair {
    size_t at; /* of the prompt in the tokens; the completion follows it */
    int32_t prompt_length, completion_length;
} wz_pair;

/* A file's pairs as tokens. Initialise with {0}. */
typedef struct wz_pairs {
    wz_pair *items;
    size_t count, capacity;
    wz_ids tokens;
    int64_t longest_rows, longest_completion; /* tokens: of a pair without its last; of a completion */
    char digest[WZ_DIGEST_HEX];               /* of all tokens, once wz_pairs_finish was called */
} wz_pairs;

/* Appends a pair; neither side is empty. A completion that does not end with a token that ends free decoding gets the
 * tokenizer's end token, if it declares one. WZ_ERR_CORRUPT: too long for the policy. */
wz_status wz_pairs_add(wz_pairs *pairs, const wz_policy *policy, const char *prompt, size_t prompt_length,
                       const char *completion, size_t completion_length, wz_error *err);
wz_status wz_pairs_finish(wz_pairs *pairs, wz_error *err);
void wz_pairs_clear(wz_pairs *pairs);

typedef struct wz_sft_options {
    int64_t steps;         /* the run's first ones; 0: none */
    int64_t batch;         /* pairs of a step */
    double learning_rate;  /* peak; its schedule is the run's, over these steps */
    const wz_pairs *pairs; /* NULL: of the run's tasks */
} wz_sft_options;

/* What a supervised step measured, at the weights before its update. */
typedef struct wz_sft_report {
    double loss;           /* mean over tokens */
    double grammar_loss;   /* grammar_coef times the lessons' mean */
    double token_accuracy; /* share of them that were the likeliest of those allowed */
    double grad_norm, learning_rate;
    double tokens; /* of prompts and completions */
    double prepare_s, train_s;
} wz_sft_report;

#endif
