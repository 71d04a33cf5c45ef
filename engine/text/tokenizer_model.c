/* Reading the `model` and `added_tokens` members of tokenizer.json. */
#include "engine/text/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

/* A hostile file must not make us allocate far more than its own size: ids may leave this many gaps. */
#define MAX_ID_GAP 65536

static wz_status check_member(const json_t *model, const char *name, bool string_may_be_empty, wz_error *err)
{
    const json_t *value = json_object_get(model, name);
    if (value == NULL || json_is_null(value) || json_is_false(value))
        return WZ_OK;
    if (string_may_be_empty && json_is_string(value) && json_string_length(value) == 0)
        return WZ_OK;
    if (json_is_number(value) && json_number_value(value) == 0.0)
        return WZ_OK;
    return wz_fail(err, WZ_ERR_CORRUPT,
                   "tokenizer.json: model.%s is %s; byte-level BPE without it is supported", name,
                   wz_json_kind(value));
}

static wz_status check_model(const json_t *model, wz_error *err)
{
    if (!json_is_object(model))
        return wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: 'model' is %s instead of an object",
                       wz_json_kind(model));
    const json_t *type = json_object_get(model, "type");
    if (type != NULL && strcmp(wz_json_type(model), "BPE") != 0)
        return wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: model type '%.60s' is not supported, only BPE",
                       wz_json_type(model));
    /* unk_token may be anything: a byte is either in the vocabulary or an error. */
    static const char *const names[] = {"continuing_subword_prefix", "end_of_word_suffix", "dropout",
                                        "byte_fallback"};
    wz_status status = WZ_OK;
    for (size_t i = 0; i < 4 && status == WZ_OK; i++)
        status = check_member(model, names[i], i < 2, err);
    return status;
}

static wz_status take_id(int64_t value, const char *name, size_t limit, uint32_t *id, wz_error *err)
{
    if (value < 0 || (uint64_t)value >= limit)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "tokenizer.json: the id of token '%.60s' is not an integer in 0..%zu", name,
                       limit - 1);
    *id = (uint32_t)value;
    return WZ_OK;
}

static wz_status make_room(wz_tokenizer *tokenizer, size_t *capacity, uint32_t id, wz_error *err)
{
    if (id < tokenizer->vocab_size)
        return WZ_OK;
    void *tokens = tokenizer->tokens;
    size_t old = *capacity;
    wz_status status = wz_grow(&tokens, capacity, (size_t)id + 1, sizeof(wz_token), "vocabulary", err);
    tokenizer->tokens = tokens;
    if (status != WZ_OK)
        return status;
    memset(tokenizer->tokens + old, 0, (*capacity - old) * sizeof(wz_token));
    tokenizer->vocab_size = (size_t)id + 1;
    return WZ_OK;
}

static wz_status set_token(wz_tokenizer *tokenizer, uint32_t id, const char *key, size_t length,
                           bool byte_level, wz_error *err)
{
    wz_token *token = &tokenizer->tokens[id];
    size_t offset = tokenizer->blob.length;
    bool known = false;
    wz_status status = WZ_OK;
    if (byte_level)
        status = wz_byte_level_read(key, length, &tokenizer->blob, &known, err);
    if (status == WZ_OK && !known)
        status = wz_text_append(&tokenizer->blob, key, length, err);
    if (status != WZ_OK)
        return status;
    size_t size = tokenizer->blob.length - offset;
    if (size == 0 || size > UINT32_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: token %u is empty", id);
    token->offset = offset;
    token->length = (uint32_t)size;
    token->used = true;
    token->raw_key = !known;
    return WZ_OK;
}

static wz_status read_vocab(wz_tokenizer *tokenizer, const wz_tokenizer_lists *lists, size_t limit,
                            size_t *capacity, wz_error *err)
{
    for (size_t i = 0; i < lists->token_count; i++) {
        const wz_listed_token *listed = &lists->tokens[i];
        uint32_t id = 0;
        wz_status status = take_id(listed->id, listed->key, limit, &id, err);
        if (status == WZ_OK)
            status = make_room(tokenizer, capacity, id, err);
        if (status == WZ_OK && tokenizer->tokens[id].used)
            status = wz_fail(err, WZ_ERR_CORRUPT,
                             "tokenizer.json: two tokens have id %u, one of them '%.60s'", id, listed->key);
        if (status == WZ_OK)
            status = set_token(tokenizer, id, listed->key, listed->length, true, err);
        if (status != WZ_OK)
            return status;
        tokenizer->tokens[id].in_vocab = true;
    }
    return WZ_OK;
}

static wz_status read_added_token(wz_tokenizer *tokenizer, const json_t *entry,
                                  const wz_tokenizer_lists *lists, size_t limit, size_t *capacity,
                                  wz_error *err)
{
    static const char *const unsupported[] = {"single_word", "lstrip", "rstrip"};
    const char *content = json_string_value(json_object_get(entry, "content"));
    if (content == NULL || content[0] == '\0')
        return wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: an added token has no 'content'");
    for (size_t i = 0; i < 3; i++)
        if (json_is_true(json_object_get(entry, unsupported[i])))
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "tokenizer.json: added token '%.60s' has '%s', which is not supported", content,
                           unsupported[i]);
    const json_t *value = json_object_get(entry, "id");
    uint32_t id = 0;
    wz_status status =
        take_id(json_is_integer(value) ? json_integer_value(value) : -1, content, limit, &id, err);
    if (status == WZ_OK)
        status = make_room(tokenizer, capacity, id, err);
    if (status != WZ_OK)
        return status;
    const wz_listed_token *listed = wz_tokenizer_lists_find(lists, content, strlen(content));
    bool same = listed != NULL && listed->id == (int64_t)id;
    if (tokenizer->tokens[id].added || (tokenizer->tokens[id].used && !same) || (listed != NULL && !same))
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "tokenizer.json: added token '%.60s' with id %u contradicts another token", content,
                       id);
    status = set_token(tokenizer, id, content, strlen(content), false, err);
    if (status != WZ_OK)
        return status;
    wz_token *token = &tokenizer->tokens[id];
    token->added = true;
    token->special = json_is_true(json_object_get(entry, "special"));
    tokenizer->added[tokenizer->added_count++] =
        (wz_added_token){.id = id,
                         .special = token->special,
                         .normalized = json_is_true(json_object_get(entry, "normalized"))};
    return WZ_OK;
}

static wz_status read_added(wz_tokenizer *tokenizer, const json_t *added, const wz_tokenizer_lists *lists,
                            size_t limit, size_t *capacity, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, json_array_size(added), sizeof(wz_added_token), "added tokens", err);
    tokenizer->added = block;
    for (size_t i = 0; i < json_array_size(added) && status == WZ_OK; i++)
        status = read_added_token(tokenizer, json_array_get(added, i), lists, limit, capacity, err);
    return status;
}

static bool find_id(const wz_tokenizer_lists *lists, const char *key, size_t length, uint32_t *id)
{
    const wz_listed_token *listed = wz_tokenizer_lists_find(lists, key, length);
    *id = listed == NULL ? WZ_NO_TOKEN : (uint32_t)listed->id;
    return listed != NULL;
}

static wz_status read_merge(wz_tokenizer *tokenizer, const wz_tokenizer_lists *lists, size_t rank,
                            wz_text *joined, wz_error *err)
{
    const char *const *part = lists->merges[rank].part;
    const size_t *size = lists->merges[rank].size;
    if (part[0] == NULL)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "tokenizer.json: merge %zu is neither two words in a string nor a pair of strings",
                       rank);
    joined->length = 0;
    wz_status status = wz_text_append(joined, part[0], size[0], err);
    if (status == WZ_OK)
        status = wz_text_append(joined, part[1], size[1], err);
    if (status != WZ_OK)
        return status;
    wz_bpe *bpe = &tokenizer->bpe;
    uint32_t left = 0, right = 0, result = 0;
    if (!find_id(lists, part[0], size[0], &left) || !find_id(lists, part[1], size[1], &right) ||
        !find_id(lists, joined->data, joined->length, &result))
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "tokenizer.json: merge %zu ('%.40s' + '%.40s') names a token that is not in the vocabulary", rank,
            part[0], part[1]);
    bpe->left[rank] = left;
    bpe->right[rank] = right;
    bpe->result[rank] = result;
    /* As in the `tokenizers` package, the last of two equal pairs counts. */
    return wz_map_put(&bpe->pair_rank, (uint64_t)left << 32 | right, (uint32_t)rank, err);
}

static wz_status read_merges(wz_tokenizer *tokenizer, const wz_tokenizer_lists *lists, wz_error *err)
{
    wz_bpe *bpe = &tokenizer->bpe;
    const size_t count = lists->merge_count;
    uint32_t **arrays[] = {&bpe->left, &bpe->right, &bpe->result};
    wz_status status = WZ_OK;
    for (size_t i = 0; i < 3 && status == WZ_OK; i++) {
        void *block = NULL;
        status = wz_alloc(&block, count, sizeof(uint32_t), "merges", err);
        *arrays[i] = block;
    }
    wz_text joined = {0};
    bpe->merge_count = count;
    for (size_t rank = 0; rank < count && status == WZ_OK; rank++)
        status = read_merge(tokenizer, lists, rank, &joined, err);
    wz_text_clear(&joined);
    return status;
}

static void find_byte_tokens(wz_tokenizer *tokenizer)
{
    tokenizer->all_bytes = true;
    memset(tokenizer->bpe.byte_id, 0xff, sizeof tokenizer->bpe.byte_id);
    for (uint32_t id = 0; id < tokenizer->vocab_size; id++) {
        const wz_token *token = &tokenizer->tokens[id];
        if (token->in_vocab && !token->raw_key && token->length == 1)
            tokenizer->bpe.byte_id[(unsigned char)tokenizer->blob.data[token->offset]] = id;
    }
    for (size_t byte = 0; byte < 256; byte++)
        tokenizer->all_bytes = tokenizer->all_bytes && tokenizer->bpe.byte_id[byte] != WZ_NO_TOKEN;
}

wz_status wz_read_model(wz_tokenizer *tokenizer, const json_t *model, const wz_tokenizer_lists *lists,
                        const json_t *added, wz_error *err)
{
    wz_status status = check_model(model, err);
    if (status != WZ_OK)
        return status;
    const json_t *vocab = json_object_get(model, "vocab"), *merges = json_object_get(model, "merges");
    if (!json_is_object(vocab) || !json_is_array(merges) || lists->token_count == 0)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "tokenizer.json: model.vocab is %s and model.merges is %s; "
                       "a filled object and an array are needed",
                       wz_json_kind(vocab), wz_json_kind(merges));
    if (added != NULL && !json_is_null(added) && !json_is_array(added))
        return wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: 'added_tokens' is %s instead of an array",
                       wz_json_kind(added));
    const size_t limit = lists->token_count + json_array_size(added) + MAX_ID_GAP;
    size_t capacity = 0;
    tokenizer->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    status = read_vocab(tokenizer, lists, limit, &capacity, err);
    if (status == WZ_OK)
        status = read_merges(tokenizer, lists, err);
    if (status == WZ_OK)
        find_byte_tokens(tokenizer);
    if (status == WZ_OK)
        status = read_added(tokenizer, added, lists, limit, &capacity, err);
    if (status != WZ_OK)
        return status;
    wz_added_index(tokenizer);
    return wz_tokenizer_index_bytes(tokenizer, err);
}
