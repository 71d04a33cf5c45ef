/* The built-in vocabulary, written as a tokenizer.json with GPT-2's pre-tokenizer.
 *
 * Ids in order; the order is append-only, since trained weights are bound to it:
 *      0..255   the bytes
 *    256..261   <|endoftext|> <|pad|> <think> </think> <answer> </answer>
 *    262..1261  the integers " 0".." 999"
 *   1262..1325  the link labels " A".." Z", " AA".." AZ", " BA".." BL"
 *   1326..1389  the same labels in small letters, " a".." z", " aa".." az", " ba".." bl": a link that is off
 *   1390..      the words below, each after its prefixes that are not yet there: " po", " pow", .., " power"
 * Every token of two bytes or more is made by a merge of the token without its last byte and that byte
 * (" 12" = " 1" + "2"); there is no merge that does not begin with a space, so whatever program applies the
 * merges (llama.cpp's `gpt-2` among them) finds the same tokens. */
#include "engine/text/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

#define INTEGERS 1000
#define LABELS 64
#define MAX_TOKENS 2048

static const char *const specials[] = {"<|endoftext|>", "<|pad|>",  "<think>",
                                       "</think>",      "<answer>", "</answer>"};
#define SPECIALS (sizeof specials / sizeof *specials)
#define DECLARED_SPECIAL 2 /* the first two carry no text of the completion */

/* Append only. Words of the compact prompts, of the families to come and of a reasoning part. */
static const char *const words[] = {
    "power", "levels", "dB",      "plus",     "to",     "link", "gain",   "noise",    "user",   "channel",
    "block", "rate",   "minimum", "maximum",  "weight", "slot", "packet", "deadline", "queue",  "budget",
    "sum",   "level",  "on",      "off",      "beam",   "cell", "demand", "word",     "symbol", "task",
    "local", "edge",   "energy",  "sense",    "bit",    "try",  "best",   "score",    "per",    "of",
    "at",    "is",     "and",     "conflict", "SNR",    "SINR", "none",
};

typedef struct spelling {
    char bytes[16];
    size_t length;
} spelling;

typedef struct list {
    spelling items[MAX_TOKENS];
    size_t count;
} list;

static bool listed(const list *tokens, const spelling *token)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->items[i].length == token->length &&
            memcmp(tokens->items[i].bytes, token->bytes, token->length) == 0)
            return true;
    return false;
}

/* Adds " " + text and, before it, those of its prefixes that are missing. */
static wz_status add_chain(list *tokens, const char *text, wz_error *err)
{
    spelling token = {.bytes = " ", .length = 1};
    for (const char *c = text; *c != '\0'; c++) {
        if (token.length == sizeof token.bytes || tokens->count == MAX_TOKENS)
            return wz_fail(err, WZ_ERR_RUNTIME, "the built-in vocabulary is full at '%s'", text);
        token.bytes[token.length++] = *c;
        if (!listed(tokens, &token))
            tokens->items[tokens->count++] = token;
    }
    return WZ_OK;
}

static wz_status list_tokens(list *tokens, wz_error *err)
{
    wz_status status = WZ_OK;
    for (unsigned n = 0; n < INTEGERS && status == WZ_OK; n++) {
        wz_text digits = {0};
        status = wz_text_printf(&digits, err, "%u", n);
        if (status == WZ_OK)
            status = add_chain(tokens, digits.data, err);
        wz_text_clear(&digits);
    }
    static const char first_letters[2] = {'A', 'a'};
    for (int n = 0; n < 2 * LABELS && status == WZ_OK; n++) {
        const char first = first_letters[n / LABELS];
        const int link = n % LABELS;
        char label[3] = {(char)(first + link % 26), '\0', '\0'};
        if (link >= 26) {
            label[0] = (char)(first + link / 26 - 1);
            label[1] = (char)(first + link % 26);
        }
        status = add_chain(tokens, label, err);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words && status == WZ_OK; i++)
        status = add_chain(tokens, words[i], err);
    return status;
}

/* Appends a string in quotes, in the byte-level alphabet. */
static wz_status write_string(const char *bytes, size_t length, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_append(out, "\"", 1, err);
    for (size_t i = 0; i < length && status == WZ_OK; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\')
            status = wz_text_append(out, "\\", 1, err);
        if (status == WZ_OK)
            status = wz_byte_level_spell(bytes + i, 1, out, err);
    }
    return status == WZ_OK ? wz_text_append(out, "\"", 1, err) : status;
}

static wz_status write_added(wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "\"added_tokens\":[");
    for (size_t i = 0; i < SPECIALS && status == WZ_OK; i++)
        status =
            wz_text_printf(out, err,
                           "%s{\"id\":%zu,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,"
                           "\"rstrip\":false,\"normalized\":false,\"special\":%s}",
                           i == 0 ? "" : ",", 256 + i, specials[i], i < DECLARED_SPECIAL ? "true" : "false");
    return status == WZ_OK ? wz_text_printf(out, err, "],") : status;
}

static wz_status write_vocab(const list *tokens, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "\"vocab\":{");
    for (size_t id = 0; id < 256 + SPECIALS + tokens->count && status == WZ_OK; id++) {
        char byte = (char)(unsigned char)id;
        if (id > 0)
            status = wz_text_append(out, ",", 1, err);
        if (status != WZ_OK)
            break;
        if (id < 256)
            status = write_string(&byte, 1, out, err);
        else if (id < 256 + SPECIALS)
            status = write_string(specials[id - 256], strlen(specials[id - 256]), out, err);
        else
            status = write_string(tokens->items[id - 256 - SPECIALS].bytes,
                                  tokens->items[id - 256 - SPECIALS].length, out, err);
        if (status == WZ_OK)
            status = wz_text_printf(out, err, ":%zu", id);
    }
    return status == WZ_OK ? wz_text_printf(out, err, "},") : status;
}

static wz_status write_merges(const list *tokens, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "\"merges\":[");
    for (size_t i = 0; i < tokens->count && status == WZ_OK; i++) {
        const spelling *token = &tokens->items[i];
        status = wz_text_append(out, i == 0 ? "[" : ",[", i == 0 ? 1 : 2, err);
        if (status == WZ_OK)
            status = write_string(token->bytes, token->length - 1, out, err);
        if (status == WZ_OK)
            status = wz_text_append(out, ",", 1, err);
        if (status == WZ_OK)
            status = write_string(token->bytes + token->length - 1, 1, out, err);
        if (status == WZ_OK)
            status = wz_text_append(out, "]", 1, err);
    }
    return status == WZ_OK ? wz_text_printf(out, err, "]") : status;
}

static wz_status write_file(const list *tokens, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,");
    if (status == WZ_OK)
        status = write_added(out, err);
    if (status == WZ_OK)
        status = wz_text_printf(
            out, err,
            "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
            "\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":"
            "\"ByteLevel\","
            "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":"
            "\"BPE\",");
    if (status == WZ_OK)
        status = write_vocab(tokens, out, err);
    if (status == WZ_OK)
        status = write_merges(tokens, out, err);
    return status == WZ_OK ? wz_text_printf(out, err, "}}") : status;
}

wz_status wz_tokenizer_create_builtin(wz_tokenizer **out, wz_error *err)
{
    void *tokens = NULL;
    wz_text json = {0};
    *out = NULL;
    wz_status status = wz_alloc(&tokens, 1, sizeof(list), "built-in vocabulary", err);
    if (status == WZ_OK)
        status = list_tokens(tokens, err);
    if (status == WZ_OK)
        status = write_file(tokens, &json, err);
    if (status == WZ_OK)
        status = wz_tokenizer_create(json.data, json.length, out, err);
    wz_text_clear(&json);
    free(tokens);
    return status;
}
