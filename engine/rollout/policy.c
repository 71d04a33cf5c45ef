#include "engine/rollout/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_end(const wz_policy *policy, uint32_t token)
{
    for (size_t i = 0; i < policy->end_token_count; i++)
        if (policy->end_tokens[i] == token)
            return true;
    return false;
}

static void add_end(wz_policy *policy, int64_t token)
{
    if (token >= 0 && !is_end(policy, (uint32_t)token))
        policy->end_tokens[policy->end_token_count++] = (uint32_t)token;
}

static void add_closing_tag(wz_policy *policy)
{
    static const char close[] = "</answer>";
    policy->end_token_count = 0;
    add_end(policy, wz_tokenizer_find(policy->tokenizer, close, sizeof close - 1));
}

static bool is_token(const wz_tokenizer *tokenizer, int64_t id)
{
    size_t length = 0;
    return id >= 0 && id < (int64_t)wz_tokenizer_vocab_size(tokenizer) &&
           wz_tokenizer_token_bytes(tokenizer, (uint32_t)id, &length) != NULL;
}

wz_status wz_policy_set_ends(wz_policy *policy, const int64_t *ids, size_t count, wz_error *err)
{
    if (count > WZ_MAX_ENDS)
        return wz_fail(err, WZ_ERR_USAGE, "eos_token_id lists %zu tokens; at most %d are possible", count,
                       WZ_MAX_ENDS);
    for (size_t i = 0; i < count; i++)
        if (!is_token(policy->tokenizer, ids[i]))
            return wz_fail(err, WZ_ERR_USAGE,
                           "eos_token_id lists %lld, but the tokenizer has no such token (its largest id is "
                           "%zu); take the ids from the model's generation_config.json",
                           (long long)ids[i], wz_tokenizer_vocab_size(policy->tokenizer) - 1);
    add_closing_tag(policy);
    for (size_t i = 0; i < count; i++)
        add_end(policy, ids[i]);
    return WZ_OK;
}

wz_status wz_policy_set_chat(wz_policy *policy, wz_chat_template kind, const char *system_prompt,
                             wz_error *err)
{
    const wz_status status = wz_chat_check(kind, policy->tokenizer, err);
    if (status != WZ_OK)
        return status;
    policy->chat.kind = kind;
    (void)snprintf(policy->chat.system_prompt, sizeof policy->chat.system_prompt, "%s", system_prompt);
    return WZ_OK;
}

wz_status wz_policy_check_free(const wz_policy *policy, wz_error *err)
{
    const int64_t count = (int64_t)wz_tokenizer_vocab_size(policy->tokenizer);
    for (int64_t id = 0; id < count; id++)
        if (!is_token(policy->tokenizer, id))
            return wz_fail(err, WZ_ERR_USAGE,
                           "the tokenizer has no token with id %lld, though ids go up to %lld, so decoding "
                           "freely could draw it: set answer_grammar: true, or add a token of that id",
                           (long long)id, (long long)count - 1);
    return WZ_OK;
}

/* The head's rows and the tokenizer's tokens. */
static wz_status match_vocabulary(wz_policy *policy, bool answer_grammar, wz_error *err)
{
    const size_t count = wz_tokenizer_vocab_size(policy->tokenizer);
    if ((size_t)policy->model->config.vocab_size < count)
        return wz_fail(err, WZ_ERR_USAGE, "model.vocab_size is %lld but the tokenizer has %zu tokens",
                       (long long)policy->model->config.vocab_size, count);
    policy->model->tokens = (int64_t)count;
    return answer_grammar ? WZ_OK : wz_policy_check_free(policy, err);
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
    add_closing_tag(policy);
    add_end(policy, wz_tokenizer_end_id(tokenizer));
    status = match_vocabulary(policy, answer_grammar, err);
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
    wz_thinking_clear(&policy->thinking);
    wz_paths_destroy(policy->paths);
    wz_grammar_set_destroy(policy->grammar);
    wz_tokenizer_destroy(policy->tokenizer);
    wz_model_destroy(policy->model);
    wz_text_clear(&policy->origin);
    free(policy->bounds);
    free(policy);
}

wz_policy wz_policy_without_grammar(const wz_policy *policy)
{
    wz_policy view = *policy;
    view.grammar = NULL;
    view.paths = NULL;
    view.bounds = NULL; /* of patterns: free decoding asks for none */
    view.bound_count = view.bound_capacity = 0;
    if (view.thinking.tries > 0)
        view.thinking = (wz_thinking){0}; /* no candidate could be read */
    return view;
}

wz_status wz_policy_drop_grammar(wz_policy *policy, wz_error *err)
{
    const wz_status status = wz_policy_check_free(policy, err);
    if (status != WZ_OK)
        return status;
    const wz_policy view = wz_policy_without_grammar(policy);
    if (!wz_thinking_on(&view.thinking))
        wz_thinking_clear(&policy->thinking);
    wz_paths_destroy(policy->paths);
    wz_grammar_set_destroy(policy->grammar);
    free(policy->bounds);
    *policy = view;
    return WZ_OK;
}

wz_status wz_policy_think(wz_policy *policy, const wz_thinking_options *options, wz_error *err)
{
    if (options->tries > 0 && policy->grammar == NULL)
        return wz_fail(err, WZ_ERR_USAGE,
                       "verifier_tries needs candidates that can be read: decode under the answer grammar "
                       "(answer_grammar: true, and no --free)");
    wz_thinking_clear(&policy->thinking);
    policy->bound_count = 0; /* what thinking leaves of the length limit bounds answers */
    if (options->budget == 0 && options->tries == 0)
        return WZ_OK;
    wz_status status = wz_thinking_create(policy->tokenizer, options, &policy->thinking, err);
    const int64_t overhead = wz_thinking_overhead(&policy->thinking);
    if (status == WZ_OK && overhead >= policy->max_completion_length)
        status =
            wz_fail(err, WZ_ERR_USAGE,
                    "thinking takes up to %lld tokens with its closing tags, which leaves no room for an "
                    "answer within max_completion_length (%lld): lower thinking_budget or raise the latter",
                    (long long)overhead, (long long)policy->max_completion_length);
    return status;
}

/* Of one pattern by itself. */
static wz_status find_bounds(wz_policy *policy, const char *pattern, wz_pattern_bounds *out, wz_error *err)
{
    const int64_t limit = policy->max_completion_length - wz_thinking_overhead(&policy->thinking),
                  vocab = policy->model->config.vocab_size;
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

wz_status wz_policy_bounds(wz_policy *policy, const char *pattern, wz_pattern_bounds *out, wz_error *err)
{
    const int64_t limit = policy->max_completion_length, vocab = policy->model->config.vocab_size;
    *out = (wz_pattern_bounds){0, limit, limit - 1, vocab};
    if (policy->grammar == NULL)
        return WZ_OK;
    const wz_status status = find_bounds(policy, pattern, out, err);
    out->longest += wz_thinking_overhead(&policy->thinking);
    out->rows += wz_thinking_overhead(&policy->thinking);
    return status;
}

wz_status wz_policy_add_tries(wz_policy *policy, const char *first, const char *more, int64_t insertion,
                              wz_pattern_bounds *bounds, wz_try_states *out, wz_error *err)
{
    wz_pattern_bounds one, other;
    const int64_t tries = policy->thinking.tries;
    wz_status status = find_bounds(policy, first, &one, err);
    if (status == WZ_OK)
        status = find_bounds(policy, more, &other, err);
    if (status != WZ_OK)
        return status;
    *out = (wz_try_states){.first = one.start, .more = other.start};
    const int64_t longest = one.longest > other.longest ? one.longest : other.longest,
                  set = one.set > other.set ? one.set : other.set;
    bounds->longest += tries * (longest + insertion);
    bounds->rows += tries * (longest + insertion);
    bounds->set = bounds->set > set ? bounds->set : set;
    if (bounds->longest > policy->max_completion_length)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "%lld candidates and an answer take up to %lld tokens, more than max_completion_length "
            "(%lld): lower verifier_tries or raise the latter",
            (long long)tries, (long long)bounds->longest, (long long)policy->max_completion_length);
    return WZ_OK;
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
