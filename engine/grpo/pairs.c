#include <stdlib.h>
#include <string.h>

#include "engine/grpo/supervise.h"

static bool ends_decoding(const wz_policy *policy, uint32_t token)
{
    for (size_t i = 0; i < policy->end_token_count; i++)
        if (policy->end_tokens[i] == token)
            return true;
    return false;
}

static wz_status add_end(const wz_policy *policy, wz_ids *tokens, wz_error *err)
{
    const int64_t end = wz_tokenizer_end_id(policy->tokenizer);
    const uint32_t token = (uint32_t)end;
    if (end < 0 || ends_decoding(policy, tokens->data[tokens->length - 1]))
        return WZ_OK;
    return wz_ids_append(tokens, &token, 1, err);
}

static wz_status check_lengths(const wz_policy *policy, size_t prompt, size_t completion, wz_error *err)
{
    const int64_t positions = policy->model->config.max_position_embeddings;
    if (prompt == 0 || completion == 0)
        return wz_fail(err, WZ_ERR_CORRUPT, "the %s is empty", prompt == 0 ? "prompt" : "completion");
    if (completion > (size_t)policy->max_completion_length)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "the completion has %zu tokens with its end, but max_completion_length is %lld: "
                       "shorten the one or raise the other",
                       completion, (long long)policy->max_completion_length);
    if (prompt + completion > (size_t)positions)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "prompt and completion have %zu tokens, but model.max_position_embeddings is %lld: "
                       "shorten them",
                       prompt + completion, (long long)positions);
    return WZ_OK;
}

wz_status wz_pairs_add(wz_pairs *pairs, const wz_policy *policy, const char *prompt, size_t prompt_length,
                       const char *completion, size_t completion_length, wz_error *err)
{
    wz_ids *tokens = &pairs->tokens;
    const size_t at = tokens->length;
    void *items = pairs->items;
    if (pairs->count >= WZ_PAIRS_MAX)
        return wz_fail(err, WZ_ERR_RESOURCE, "more than %d pairs", WZ_PAIRS_MAX);
    wz_status status =
        wz_grow(&items, &pairs->capacity, pairs->count + 1, sizeof *pairs->items, "supervised pairs", err);
    pairs->items = items;
    if (status == WZ_OK)
        status = wz_tokenizer_encode(policy->tokenizer, prompt, prompt_length, true, tokens, err);
    const size_t middle = tokens->length;
    if (status == WZ_OK)
        status = wz_tokenizer_encode(policy->tokenizer, completion, completion_length, false, tokens, err);
    if (status == WZ_OK && tokens->length > middle)
        status = add_end(policy, tokens, err);
    if (status == WZ_OK)
        status = check_lengths(policy, middle - at, tokens->length - middle, err);
    if (status != WZ_OK)
        return status;
    const int64_t own = (int64_t)(tokens->length - middle), rows = (int64_t)(tokens->length - at) - 1;
    pairs->items[pairs->count++] = (wz_pair){at, (int32_t)(middle - at), (int32_t)own};
    pairs->longest_completion = own > pairs->longest_completion ? own : pairs->longest_completion;
    pairs->longest_rows = rows > pairs->longest_rows ? rows : pairs->longest_rows;
    return WZ_OK;
}

wz_status wz_pairs_finish(wz_pairs *pairs, wz_error *err)
{
    wz_digest *digest = NULL;
    const wz_status status = wz_digest_create(&digest, err);
    if (status != WZ_OK)
        return status;
    wz_digest_add_u64(digest, (uint64_t)pairs->count);
    for (size_t i = 0; i < pairs->count; i++) {
        wz_digest_add_u64(digest, (uint64_t)pairs->items[i].prompt_length);
        wz_digest_add_u64(digest, (uint64_t)pairs->items[i].completion_length);
    }
    wz_digest_add(digest, pairs->tokens.data, pairs->tokens.length * sizeof *pairs->tokens.data);
    wz_digest_finish(digest, pairs->digest);
    wz_digest_destroy(digest);
    return WZ_OK;
}

void wz_pairs_clear(wz_pairs *pairs)
{
    free(pairs->items);
    wz_ids_clear(&pairs->tokens);
    memset(pairs, 0, sizeof *pairs);
}
