#include "engine/text/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>

wz_status wz_ids_append(wz_ids *ids, const uint32_t *values, size_t count, wz_error *err)
{
    if (count == 0)
        return WZ_OK;
    void *data = ids->data;
    wz_status status =
        wz_grow(&data, &ids->capacity, ids->length + count, sizeof *ids->data, "token ids", err);
    ids->data = data;
    if (status != WZ_OK)
        return status;
    memcpy(ids->data + ids->length, values, count * sizeof *values);
    ids->length += count;
    return WZ_OK;
}

void wz_ids_clear(wz_ids *ids)
{
    free(ids->data);
    memset(ids, 0, sizeof *ids);
}

void wz_tokenizer_destroy(wz_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    for (size_t i = 0; i < tokenizer->step_count; i++)
        wz_pretokenizer_clear(&tokenizer->steps[i]);
    wz_bpe_clear(&tokenizer->bpe);
    wz_ids_clear(&tokenizer->before);
    wz_ids_clear(&tokenizer->after);
    wz_text_clear(&tokenizer->blob);
    free(tokenizer->tokens);
    free(tokenizer->by_bytes);
    free(tokenizer->added);
    free(tokenizer);
}

/* ---- looking tokens up ---- */

size_t wz_tokenizer_vocab_size(const wz_tokenizer *tokenizer)
{
    return tokenizer->vocab_size;
}

const char *wz_tokenizer_token_bytes(const wz_tokenizer *tokenizer, uint32_t id, size_t *length)
{
    if (id >= tokenizer->vocab_size || !tokenizer->tokens[id].used) {
        *length = 0;
        return NULL;
    }
    *length = tokenizer->tokens[id].length;
    return tokenizer->blob.data + tokenizer->tokens[id].offset;
}

bool wz_tokenizer_is_special(const wz_tokenizer *tokenizer, uint32_t id)
{
    return id < tokenizer->vocab_size && tokenizer->tokens[id].special;
}

/* The slot of these bytes, or the free slot where they would go. */
static size_t find_slot(const wz_tokenizer *tokenizer, const char *bytes, size_t length)
{
    size_t slot = (size_t)XXH3_64bits(bytes, length) & (tokenizer->by_bytes_capacity - 1);
    for (;; slot = (slot + 1) & (tokenizer->by_bytes_capacity - 1)) {
        size_t size = 0;
        if (tokenizer->by_bytes[slot] == WZ_NO_TOKEN)
            return slot;
        const char *other = wz_tokenizer_token_bytes(tokenizer, tokenizer->by_bytes[slot], &size);
        if (size == length && memcmp(other, bytes, length) == 0)
            return slot;
    }
}

wz_status wz_tokenizer_index_bytes(wz_tokenizer *tokenizer, wz_error *err)
{
    size_t capacity = 64;
    while (capacity < 2 * tokenizer->vocab_size)
        capacity *= 2;
    void *slots = NULL;
    wz_status status = wz_alloc(&slots, capacity, sizeof *tokenizer->by_bytes, "token index", err);
    if (status != WZ_OK)
        return status;
    memset(slots, 0xff, capacity * sizeof *tokenizer->by_bytes);
    tokenizer->by_bytes = slots;
    tokenizer->by_bytes_capacity = capacity;
    /* Where an added token has the bytes of an ordinary one, encoding gives the added one: it goes first. */
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t id = 0; id < tokenizer->vocab_size; id++) {
            const wz_token *token = &tokenizer->tokens[id];
            if (!token->used || token->added != (pass == 0))
                continue;
            size_t slot = find_slot(tokenizer, tokenizer->blob.data + token->offset, token->length);
            if (tokenizer->by_bytes[slot] == WZ_NO_TOKEN)
                tokenizer->by_bytes[slot] = id;
            if (token->length > tokenizer->longest_token)
                tokenizer->longest_token = token->length;
        }
    }
    return WZ_OK;
}

int64_t wz_tokenizer_find(const wz_tokenizer *tokenizer, const char *bytes, size_t length)
{
    uint32_t id = tokenizer->by_bytes[find_slot(tokenizer, bytes, length)];
    return id == WZ_NO_TOKEN ? -1 : (int64_t)id;
}

int64_t wz_tokenizer_end_id(const wz_tokenizer *tokenizer)
{
    /* Ends of a chat turn come before ends of a document; the first one present is the end. */
    static const char *const names[] = {"<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>",
                                        "</s>"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int64_t id = wz_tokenizer_find(tokenizer, names[i], strlen(names[i]));
        if (id >= 0 && tokenizer->tokens[id].added)
            return id;
    }
    return -1;
}

int64_t wz_tokenizer_integer_value(const wz_tokenizer *tokenizer, uint32_t id)
{
    size_t length = 0;
    const char *bytes = wz_tokenizer_token_bytes(tokenizer, id, &length);
    size_t at = length > 0 && bytes[0] == ' ';
    size_t digits = length - at;
    if (digits == 0 || digits > 18 || (bytes[at] == '0' && digits > 1))
        return -1;
    int64_t value = 0;
    for (; at < length; at++) {
        if (bytes[at] < '0' || bytes[at] > '9')
            return -1;
        value = value * 10 + (bytes[at] - '0');
    }
    return value;
}

/* ---- encoding ---- */

wz_status wz_tokenizer_encode_piece(const wz_tokenizer *tokenizer, const char *piece, size_t length,
                                    wz_ids *out, wz_error *err)
{
    if (tokenizer->ignore_merges && length <= tokenizer->longest_token) {
        uint32_t id = tokenizer->by_bytes[find_slot(tokenizer, piece, length)];
        if (id != WZ_NO_TOKEN && tokenizer->tokens[id].in_vocab && !tokenizer->tokens[id].raw_key)
            return wz_ids_append(out, &id, 1, err);
    }
    return wz_bpe_encode(&tokenizer->bpe, piece, length, out, err);
}

typedef struct encoder {
    const wz_tokenizer *tokenizer;
    wz_ids *out;
    wz_quotes quotes;
} encoder;

static wz_status take_piece(void *user, const char *piece, size_t length, bool *stop, wz_error *err)
{
    encoder *e = user;
    (void)stop;
    return wz_tokenizer_encode_piece(e->tokenizer, piece, length, e->out, err);
}

/* Normalised text without added tokens of the raw kind. */
static wz_status encode_normalized(encoder *e, const wz_quotes *quotes, const char *text, size_t length,
                                   wz_error *err)
{
    wz_status status = WZ_OK;
    while (length > 0 && status == WZ_OK) {
        size_t start = 0, size = 0;
        uint32_t id = 0;
        bool found = wz_added_find(e->tokenizer, WZ_ADDED_NORMALIZED, quotes, text, length, &start, &id);
        status = wz_tokenizer_pieces(e->tokenizer, text, found ? start : length, true, take_piece, e, err);
        if (!found || status != WZ_OK)
            break;
        status = wz_ids_append(e->out, &id, 1, err);
        (void)wz_tokenizer_token_bytes(e->tokenizer, id, &size);
        text += start + size;
        length -= start + size;
    }
    return status;
}

/* Appends the canonical composition (NFC) of one stretch of valid UTF-8. */
static wz_status compose(const char *text, size_t length, wz_text *out, wz_error *err)
{
    utf8proc_uint8_t *composed = NULL;
    if (length == 0)
        return WZ_OK;
    if (length > INT32_MAX / 8)
        return wz_fail(err, WZ_ERR_RESOURCE, "a text of %zu bytes is too long to normalise", length);
    utf8proc_ssize_t size = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &composed,
                                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (size < 0)
        return wz_fail(err, WZ_ERR_RUNTIME, "cannot normalise a text: %s", utf8proc_errmsg(size));
    wz_status status = wz_text_append(out, (const char *)composed, (size_t)size, err);
    free(composed);
    return status;
}

/* NFC, with bytes that are not UTF-8 left as they are. */
static wz_status normalize(const char *text, size_t length, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    size_t start = 0;
    for (size_t at = 0; at < length && status == WZ_OK;) {
        uint32_t codepoint = 0;
        int used = wz_utf8_character(text + at, length - at, &codepoint);
        if (used > 0) {
            at += (size_t)used;
            continue;
        }
        status = compose(text + start, at - start, out, err);
        if (status == WZ_OK)
            status = wz_text_append(out, text + at, 1, err);
        start = ++at;
    }
    return status != WZ_OK ? status : compose(text + start, length - start, out, err);
}

static bool is_ascii(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

/* Text without added tokens of the raw kind. */
static wz_status encode_raw(encoder *e, const char *text, size_t length, wz_error *err)
{
    if (!e->tokenizer->nfc || is_ascii(text, length))
        return encode_normalized(e, &e->quotes, text, length, err);
    /* places are lost: one quoted range quotes all of it */
    const wz_quotes copied = {.all = wz_quotes_overlap(&e->quotes, text, length)};
    wz_text composed = {0};
    wz_status status = normalize(text, length, &composed, err);
    if (status == WZ_OK)
        status = encode_normalized(e, &copied, composed.data, composed.length, err);
    wz_text_clear(&composed);
    return status;
}

static wz_status encode(encoder *e, const char *text, size_t length, wz_error *err)
{
    wz_status status = WZ_OK;
    while (length > 0 && status == WZ_OK) {
        size_t start = 0, size = 0;
        uint32_t id = 0;
        bool found = wz_added_find(e->tokenizer, WZ_ADDED_RAW, &e->quotes, text, length, &start, &id);
        status = encode_raw(e, text, found ? start : length, err);
        if (!found || status != WZ_OK)
            break;
        status = wz_ids_append(e->out, &id, 1, err);
        (void)wz_tokenizer_token_bytes(e->tokenizer, id, &size);
        text += start + size;
        length -= start + size;
    }
    return status;
}

wz_status wz_tokenizer_encode_quoting(const wz_tokenizer *tokenizer, const char *text, size_t length,
                                      bool add_special, const wz_text_range *quoted, size_t count,
                                      wz_ids *out, wz_error *err)
{
    encoder e = {
        .tokenizer = tokenizer, .out = out, .quotes = {.base = text, .ranges = quoted, .count = count}};
    wz_status status = WZ_OK;
    if (add_special)
        status = wz_ids_append(out, tokenizer->before.data, tokenizer->before.length, err);
    if (status == WZ_OK)
        status = encode(&e, text, length, err);
    if (status == WZ_OK && add_special)
        status = wz_ids_append(out, tokenizer->after.data, tokenizer->after.length, err);
    return status;
}

wz_status wz_tokenizer_encode(const wz_tokenizer *tokenizer, const char *text, size_t length,
                              bool add_special, wz_ids *out, wz_error *err)
{
    return wz_tokenizer_encode_quoting(tokenizer, text, length, add_special, NULL, 0, out, err);
}

wz_status wz_tokenizer_decode(const wz_tokenizer *tokenizer, const uint32_t *ids, size_t count,
                              bool skip_special, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_append(out, "", 0, err);
    for (size_t i = 0; i < count && status == WZ_OK; i++) {
        size_t length = 0;
        const char *bytes = wz_tokenizer_token_bytes(tokenizer, ids[i], &length);
        if (bytes == NULL)
            return wz_fail(err, WZ_ERR_RUNTIME, "token id %u at position %zu is not in the vocabulary of %zu",
                           ids[i], i, tokenizer->vocab_size);
        if (!(skip_special && tokenizer->tokens[ids[i]].special))
            status = wz_text_append(out, bytes, length, err);
    }
    return status;
}
