#include "engine/rollout/policy.h"

#include <stdlib.h>
#include <string.h>

static void find_end_tokens(wz_policy *policy)
{
    static const char close[] = "</answer>";
    const int64_t found[2] = {wz_tokenizer_find(policy->tokenizer, close, sizeof close - 1),
                              wz_tokenizer_end_id(policy->tokenizer)};
    for (int i = 0; i < 2; i++)
        if (found[i] >= 0)
            policy->end_tokens[policy->end_token_count++] = (uint32_t)found[i];
}

wz_status wz_policy_create(wz_model *model, wz_tokenizer *tokenizer, bool answer_grammar,
                           int64_t max_completion_length, wz_policy **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_policy), "the policy", err);
    if (status != WZ_OK) {
        wz_model_destroy(model);
        wz_tokenizer_destroy(tokenizer);
        return status;
    }
    wz_policy *policy = block;
    policy->model = model;
    policy->tokenizer = tokenizer;
    policy->max_completion_length = max_completion_length;
    find_end_tokens(policy);
    if ((size_t)model->config.vocab_size < wz_tokenizer_vocab_size(tokenizer))
        status = wz_fail(err, WZ_ERR_USAGE, "model.vocab_size is %lld but the tokenizer has %zu tokens",
                         (long long)model->config.vocab_size, wz_tokenizer_vocab_size(tokenizer));
    if (status == WZ_OK && answer_grammar)
        status = wz_grammar_set_create(tokenizer, &policy->grammar, err);
    if (status == WZ_OK && answer_grammar && model->backend->ops->decode != NULL)
        status = wz_paths_create(policy->grammar, max_completion_length, &policy->paths, err);
    if (status != WZ_OK) {
        wz_policy_destroy(policy);
        return status;
    }
    *out = policy;
    return WZ_OK;
}

void wz_policy_destroy(wz_policy *policy)
{
    if (policy == NULL)
        return;
    wz_paths_destroy(policy->paths);
    wz_grammar_set_destroy(policy->grammar);
    wz_tokenizer_destroy(policy->tokenizer);
    wz_model_destroy(policy->model);
    free(policy->bounds);
    free(policy);
}

wz_status wz_policy_bounds(wz_policy *policy, const char *pattern, wz_pattern_bounds *out, wz_error *err)
{
    const int64_t limit = policy->max_completion_length, vocab = policy->model->config.vocab_size;
    *out = (wz_pattern_bounds){0, limit, limit - 1, vocab};
    if (policy->grammar == NULL)
        return WZ_OK;
    wz_status status = wz_grammar_compile(policy->grammar, pattern, &out->start, err);
    if (status != WZ_OK)
        return status;
    for (size_t i = 0; i < policy->bound_count; i++)
        if (policy->bounds[i].start == out->start) {
            *out = policy->bounds[i];
            return WZ_OK;
        }
    status = wz_rollout_bounds(policy->grammar, out->start, limit, &out->longest, &out->rows, &out->set, err);
    out->set = out->set < vocab ? out->set : vocab;
    void *bounds = policy->bounds;
    if (status == WZ_OK)
        status = wz_grow(&bounds, &policy->bound_capacity, policy->bound_count + 1, sizeof *out,
                         "pattern bounds", err);
    policy->bounds = bounds;
    if (status == WZ_OK)
        policy->bounds[policy->bound_count++] = *out;
    return status;
}

wz_status wz_policy_integers(const wz_tokenizer *tokenizer, int64_t vocab, int64_t **out, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)vocab, sizeof(int64_t), "the vocabulary's integers", err);
    if (status != WZ_OK)
        return status;
    int64_t *integer = block;
    for (int64_t t = 0; t < vocab; t++)
        integer[t] = (size_t)t < wz_tokenizer_vocab_size(tokenizer)
                         ? wz_tokenizer_integer_value(tokenizer, (uint32_t)t)
                         : -1;
    *out = integer;
    return WZ_OK;
}
