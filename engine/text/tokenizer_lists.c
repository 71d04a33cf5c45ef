#include "engine/text/tokenizer_lists.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>

#include "engine/text/tokenizer_internal.h"

#define NO_SLOT UINT32_MAX

/* Where reading stands. The text ends with a '\0', which is nothing that may stand in JSON: nothing steps over it. */
typedef struct reader {
    wz_tokenizer_lists *lists;
    char *at, *end;
    const char *key; /* of the member that `at` has come to */
    size_t key_length;
    char *vocab[2], *merges[2]; /* first byte, byte after the last; NULL: not come across */
    wz_error *err;
} reader;

/* ---- strings ---- */

static bool read_unit(const char *at, uint32_t *unit)
{
    if (at[0] != '\\' || at[1] != 'u')
        return false;
    *unit = 0;
    for (size_t i = 2; i < 6; i++) {
        const char c = at[i], letter = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            *unit = *unit * 16 + (uint32_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            *unit = *unit * 16 + (uint32_t)(letter - 'a') + 10;
        else
            return false;
    }
    return true;
}

/* A pair of surrogates is one character, one of them alone is none; nor is '\0' (as for Jansson). */
static bool read_escape(char **from, char **to)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *name = (*from)[1] != '\0' ? strchr(names, (*from)[1]) : NULL;
    uint32_t code = 0, low = 0;
    if (name != NULL) {
        *(*to)++ = meanings[name - names];
        *from += 2;
        return true;
    }
    if (!read_unit(*from, &code) || code == 0 || (code >= 0xdc00 && code <= 0xdfff))
        return false;
    *from += 6;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!read_unit(*from, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        *from += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *to += utf8proc_encode_char((utf8proc_int32_t)code, (utf8proc_uint8_t *)*to);
    return true;
}

/* Decoded in place, which it never outgrows, and terminated. */
static bool read_string(reader *r, const char **text, size_t *length)
{
    char *from = r->at + 1, *to = from;
    if (*r->at != '"')
        return false;
    *text = to;
    while (*from != '"') {
        const unsigned char c = (unsigned char)*from;
        uint32_t codepoint = 0;
        if (c == '\\') {
            if (!read_escape(&from, &to))
                return false;
            continue;
        }
        const int size = c < 0x80 ? c >= 0x20 : wz_utf8_character(from, (size_t)(r->end - from), &codepoint);
        if (size <= 0)
            return false;
        for (int i = 0; i < size; i++)
            *to++ = *from++;
    }
    r->at = from + 1;
    *length = (size_t)(to - *text);
    *to = '\0';
    return true;
}

/* ---- values ---- */

static void skip_space(reader *r)
{
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')
        r->at++;
}

static bool skip_string(reader *r)
{
    r->at++;
    while (*r->at != '"') {
        r->at += *r->at == '\\';
        if (*r->at == '\0')
            return false;
        r->at++;
    }
    r->at++;
    return true;
}

/* The rest of a value inside `depth` brackets of its own. What it is, nobody looks at here: it is checked with `rest`, or, in a
 * list, refused. */
static wz_status skip_value(reader *r, size_t depth)
{
    do {
        const char c = *r->at;
        if (c == '"') {
            if (!skip_string(r))
                return WZ_ERR_CORRUPT;
        } else if (c == '[' || c == '{') {
            depth++;
            r->at++;
        } else if (depth > 0 && c != '\0') {
            depth -= c == ']' || c == '}';
            r->at++;
        } else { /* a number, or true and the like */
            const size_t length = strcspn(r->at, ",:]} \t\r\n");
            if (length == 0)
                return WZ_ERR_CORRUPT;
            r->at += length;
        }
    } while (depth > 0);
    return WZ_OK;
}

/* Every member of the object, or element of the array, that begins here. */
static wz_status walk(reader *r, char close, wz_status (*take)(reader *))
{
    r->at++;
    skip_space(r);
    for (bool first = true; *r->at != close || !first; first = false) {
        if (close == '}') {
            if (!read_string(r, &r->key, &r->key_length))
                return WZ_ERR_CORRUPT;
            skip_space(r);
            if (*r->at != ':')
                return WZ_ERR_CORRUPT;
            r->at++;
            skip_space(r);
        }
        const wz_status status = take(r);
        if (status != WZ_OK)
            return status;
        skip_space(r);
        if (*r->at == close)
            break;
        if (*r->at != ',')
            return WZ_ERR_CORRUPT;
        r->at++;
        skip_space(r);
    }
    r->at++;
    return WZ_OK;
}

/* ---- the lists ---- */

/* Digits and nothing else: -1 for every other value, which is passed over. */
static wz_status read_id(reader *r, int64_t *id)
{
    const size_t digits = strspn(r->at, "0123456789");
    const char after = r->at[digits];
    *id = -1;
    if (digits > 0 && digits <= 18 && (*r->at != '0' || digits == 1) &&
        (after == '\0' || strchr(",} \t\r\n", after) != NULL))
        *id = strtoll(r->at, NULL, 10);
    return skip_value(r, 0);
}

static wz_status take_token(reader *r)
{
    wz_tokenizer_lists *lists = r->lists;
    wz_listed_token token = {.key = r->key, .length = r->key_length};
    void *tokens = lists->tokens;
    wz_status status = read_id(r, &token.id);
    if (status == WZ_OK)
        status = wz_grow(&tokens, &lists->token_capacity, lists->token_count + 1, sizeof token, "vocabulary",
                         r->err);
    lists->tokens = tokens;
    if (status == WZ_OK)
        lists->tokens[lists->token_count++] = token;
    return status;
}

/* "a b": two words, one space. */
static void split(char *text, size_t length, wz_listed_merge *merge)
{
    char *space = strchr(text, ' ');
    if (space == NULL || strchr(space + 1, ' ') != NULL)
        return;
    *space = '\0';
    *merge = (wz_listed_merge){.part = {text, space + 1},
                               .size = {(size_t)(space - text), length - (size_t)(space + 1 - text)}};
}

/* ["a", "b"], from its bracket on. */
static wz_status read_pair(reader *r, wz_listed_merge *merge)
{
    wz_listed_merge pair = {.part = {NULL}};
    r->at++;
    for (size_t i = 0; i < 2; i++) {
        skip_space(r);
        if (*r->at != '"')
            return skip_value(r, 1);
        if (!read_string(r, &pair.part[i], &pair.size[i]))
            return WZ_ERR_CORRUPT;
        skip_space(r);
        if (*r->at != (i == 0 ? ',' : ']'))
            return skip_value(r, 1);
        r->at++;
    }
    *merge = pair;
    return WZ_OK;
}

static wz_status take_merge(reader *r)
{
    wz_tokenizer_lists *lists = r->lists;
    wz_listed_merge merge = {.part = {NULL}};
    void *merges = lists->merges;
    char *start = r->at + 1;
    const char *text = NULL;
    size_t length = 0;
    wz_status status = WZ_OK;
    if (*r->at == '[')
        status = read_pair(r, &merge);
    else if (*r->at != '"')
        status = skip_value(r, 0);
    else if (read_string(r, &text, &length))
        split(start, length, &merge);
    else
        status = WZ_ERR_CORRUPT;
    if (status == WZ_OK)
        status =
            wz_grow(&merges, &lists->merge_capacity, lists->merge_count + 1, sizeof merge, "merges", r->err);
    lists->merges = merges;
    if (status == WZ_OK)
        lists->merges[lists->merge_count++] = merge;
    return status;
}

static wz_status read_list(reader *r, char *place[2], char close, wz_status (*take)(reader *))
{
    place[0] = r->at;
    const wz_status status = walk(r, close, take);
    place[1] = r->at;
    return status;
}

static bool key_is(const reader *r, const char *name)
{
    return r->key_length == strlen(name) && memcmp(r->key, name, r->key_length) == 0;
}

/* A member that comes twice stays in `rest`, whose reader refuses that. */
static wz_status take_model_member(reader *r)
{
    if (key_is(r, "vocab") && *r->at == '{' && r->vocab[0] == NULL)
        return read_list(r, r->vocab, '}', take_token);
    if (key_is(r, "merges") && *r->at == '[' && r->merges[0] == NULL)
        return read_list(r, r->merges, ']', take_merge);
    return skip_value(r, 0);
}

static wz_status take_member(reader *r)
{
    return key_is(r, "model") && *r->at == '{' ? walk(r, '}', take_model_member) : skip_value(r, 0);
}

/* ---- the rest of the file ---- */

static wz_status copy_rest(const reader *r, const char *json, size_t length, wz_text *rest, wz_error *err)
{
    const bool turned = r->merges[0] != NULL && (r->vocab[0] == NULL || r->merges[0] < r->vocab[0]);
    const struct {
        char *const *place;
        const char *empty;
    } cuts[2] = {{turned ? r->merges : r->vocab, turned ? "[]" : "{}"},
                 {turned ? r->vocab : r->merges, turned ? "{}" : "[]"}};
    size_t from = 0;
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < 2 && cuts[i].place[0] != NULL; i++) {
        const size_t start = (size_t)(cuts[i].place[0] - r->lists->text.data);
        status = wz_text_append(rest, json + from, start - from, err);
        if (status == WZ_OK)
            status = wz_text_append(rest, cuts[i].empty, 2, err);
        from = (size_t)(cuts[i].place[1] - r->lists->text.data);
    }
    return status == WZ_OK ? wz_text_append(rest, json + from, length - from, err) : status;
}

/* ---- tokens by their keys ---- */

static size_t find_slot(const wz_tokenizer_lists *lists, const char *key, size_t length)
{
    size_t slot = (size_t)XXH3_64bits(key, length) & (lists->slot_count - 1);
    while (lists->slots[slot] != NO_SLOT) {
        const wz_listed_token *token = &lists->tokens[lists->slots[slot]];
        if (token->length == length && memcmp(token->key, key, length) == 0)
            break;
        slot = (slot + 1) & (lists->slot_count - 1);
    }
    return slot;
}

static wz_status index_tokens(wz_tokenizer_lists *lists, wz_error *err)
{
    void *slots = NULL;
    size_t count = 64;
    while (count < 2 * lists->token_count)
        count *= 2;
    wz_status status = wz_alloc(&slots, count, sizeof *lists->slots, "vocabulary", err);
    if (status != WZ_OK)
        return status;
    memset(slots, 0xff, count * sizeof *lists->slots);
    lists->slots = slots;
    lists->slot_count = count;
    for (size_t i = 0; i < lists->token_count; i++) {
        const size_t slot = find_slot(lists, lists->tokens[i].key, lists->tokens[i].length);
        if (lists->slots[slot] != NO_SLOT)
            return WZ_ERR_CORRUPT;
        lists->slots[slot] = (uint32_t)i;
    }
    return WZ_OK;
}

const wz_listed_token *wz_tokenizer_lists_find(const wz_tokenizer_lists *lists, const char *key,
                                               size_t length)
{
    const uint32_t index = lists->slots[find_slot(lists, key, length)];
    return index == NO_SLOT ? NULL : &lists->tokens[index];
}

wz_status wz_tokenizer_lists_read(wz_tokenizer_lists *lists, const char *json, size_t length, wz_error *err)
{
    wz_status status = wz_text_append(&lists->text, json, length, err);
    if (status != WZ_OK)
        return status;
    reader r = {.lists = lists, .at = lists->text.data, .end = lists->text.data + length, .err = err};
    skip_space(&r);
    if (*r.at == '{')
        status = walk(&r, '}', take_member);
    if (status == WZ_OK)
        status = copy_rest(&r, json, length, &lists->rest, err);
    return status == WZ_OK ? index_tokens(lists, err) : status;
}

void wz_tokenizer_lists_clear(wz_tokenizer_lists *lists)
{
    wz_text_clear(&lists->text);
    wz_text_clear(&lists->rest);
    free(lists->tokens);
    free(lists->merges);
    free(lists->slots);
    memset(lists, 0, sizeof *lists);
}
