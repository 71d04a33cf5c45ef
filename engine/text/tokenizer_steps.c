/* Reading the normalizer, pre_tokenizer, post_processor and decoder members of tokenizer.json. */
#include "engine/text/tokenizer_json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NESTING 8

const char wz_gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static wz_status fail_type(const char *member, const json_t *value, const char *supported, wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: %s is %s of type '%.60s'; supported: %s", member,
                   wz_json_kind(value), wz_json_type(value), supported);
}

static bool absent(const json_t *value)
{
    return value == NULL || json_is_null(value);
}

static bool is_type(const json_t *object, const char *type)
{
    return json_is_object(object) && strcmp(wz_json_type(object), type) == 0;
}

/* ---- normalizer ---- */

wz_status wz_read_normalizer(wz_tokenizer *tokenizer, const json_t *normalizer, wz_error *err)
{
    if (absent(normalizer))
        return WZ_OK;
    if (is_type(normalizer, "NFC")) {
        tokenizer->nfc = true;
        return WZ_OK;
    }
    const json_t *list = json_object_get(normalizer, "normalizers");
    if (!is_type(normalizer, "Sequence") || !json_is_array(list))
        return fail_type("'normalizer'", normalizer, "null, NFC, Sequence of NFC", err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!is_type(json_array_get(list, i), "NFC"))
            return fail_type("a step of 'normalizer'", json_array_get(list, i), "NFC", err);
        tokenizer->nfc = true;
    }
    return WZ_OK;
}

/* ---- pre-tokenizer ---- */

static wz_status add_step(wz_tokenizer *tokenizer, wz_pretokenizer **step, wz_error *err)
{
    if (tokenizer->step_count == WZ_MAX_PRETOKENIZERS)
        return wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: 'pre_tokenizer' has more than %d steps",
                       WZ_MAX_PRETOKENIZERS);
    *step = &tokenizer->steps[tokenizer->step_count];
    return WZ_OK;
}

static wz_status add_regex(wz_tokenizer *tokenizer, const char *pattern, bool is_byte_level, wz_error *err)
{
    wz_pretokenizer *step = NULL;
    wz_status status = add_step(tokenizer, &step, err);
    if (status == WZ_OK)
        status = wz_pretokenizer_init_regex(step, pattern, err);
    if (status != WZ_OK)
        return status;
    assert(step != NULL);
    step->is_byte_level = is_byte_level;
    tokenizer->step_count++;
    return WZ_OK;
}

static wz_status read_split(wz_tokenizer *tokenizer, const json_t *value, wz_error *err)
{
    const char *pattern = json_string_value(json_object_get(json_object_get(value, "pattern"), "Regex"));
    const char *behavior = json_string_value(json_object_get(value, "behavior"));
    if (pattern == NULL)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "tokenizer.json: a Split pre-tokenizer has no pattern.Regex; "
                       "only regular expressions are supported");
    if (behavior == NULL || strcmp(behavior, "Isolated") != 0 ||
        json_is_true(json_object_get(value, "invert")))
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "tokenizer.json: a Split pre-tokenizer has behavior '%.40s', invert %s; only Isolated without "
            "invert is supported",
            behavior == NULL ? "" : behavior, wz_json_kind(json_object_get(value, "invert")));
    return add_regex(tokenizer, pattern, false, err);
}

static wz_status read_digits(wz_tokenizer *tokenizer, const json_t *value, wz_error *err)
{
    wz_pretokenizer *step = NULL;
    wz_status status = add_step(tokenizer, &step, err);
    if (status != WZ_OK)
        return status;
    assert(step != NULL);
    *step = (wz_pretokenizer){.kind = WZ_PRE_DIGITS,
                              .individual_digits = json_is_true(json_object_get(value, "individual_digits"))};
    tokenizer->step_count++;
    return WZ_OK;
}

/* *done: ByteLevel was seen, after which the text is no longer text, so nothing may follow. */
static wz_status read_step(wz_tokenizer *tokenizer, const json_t *value, int depth, bool *done, wz_error *err)
{
    const json_t *list = json_object_get(value, "pretokenizers");
    if (is_type(value, "Sequence") && json_is_array(list) && depth < MAX_NESTING) {
        wz_status status = WZ_OK;
        for (size_t i = 0; i < json_array_size(list) && status == WZ_OK; i++)
            status = read_step(tokenizer, json_array_get(list, i), depth + 1, done, err);
        return status;
    }
    if (*done)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "tokenizer.json: a pre-tokenizer of type '%.60s' follows ByteLevel, "
                       "which must be the last",
                       wz_json_type(value));
    if (is_type(value, "Split"))
        return read_split(tokenizer, value, err);
    if (is_type(value, "Digits"))
        return read_digits(tokenizer, value, err);
    if (!is_type(value, "ByteLevel"))
        return fail_type("a pre-tokenizer", value, "ByteLevel, Split, Digits, Sequence of these", err);
    *done = true;
    if (json_is_true(json_object_get(value, "add_prefix_space")))
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "tokenizer.json: ByteLevel has add_prefix_space, which is not supported");
    const json_t *use_regex = json_object_get(value, "use_regex");
    return use_regex == NULL || json_is_true(use_regex) ? add_regex(tokenizer, wz_gpt2_pattern, true, err)
                                                        : WZ_OK;
}

wz_status wz_read_pretokenizer(wz_tokenizer *tokenizer, const json_t *pretokenizer, wz_error *err)
{
    bool byte_level = false;
    wz_status status = WZ_OK;
    if (!absent(pretokenizer))
        status = read_step(tokenizer, pretokenizer, 0, &byte_level, err);
    if (status == WZ_OK && !byte_level)
        status = wz_fail(err, WZ_ERR_CORRUPT,
                         "tokenizer.json: 'pre_tokenizer' does not end with ByteLevel; only "
                         "byte-level BPE is supported");
    return status;
}

/* ---- post-processor ---- */

/* The ids a template's special token stands for. */
static wz_status read_template_token(wz_tokenizer *tokenizer, const json_t *postprocessor, const char *name,
                                     wz_ids *out, wz_error *err)
{
    const json_t *ids =
        json_object_get(json_object_get(json_object_get(postprocessor, "special_tokens"), name), "ids");
    if (!json_is_array(ids))
        return wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: the template's special token '%.60s' has no ids",
                       name);
    wz_status status = WZ_OK;
    for (size_t i = 0; i < json_array_size(ids) && status == WZ_OK; i++) {
        json_int_t value = json_integer_value(json_array_get(ids, i));
        if (!json_is_integer(json_array_get(ids, i)) || value < 0 ||
            (uint64_t)value >= tokenizer->vocab_size || !tokenizer->tokens[value].used)
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "tokenizer.json: the template's special token '%.60s' has an id "
                           "outside the vocabulary",
                           name);
        uint32_t id = (uint32_t)value;
        status = wz_ids_append(out, &id, 1, err);
    }
    return status;
}

static wz_status read_template(wz_tokenizer *tokenizer, const json_t *postprocessor, wz_error *err)
{
    const json_t *single = json_object_get(postprocessor, "single");
    bool seen = false;
    wz_status status = WZ_OK;
    for (size_t i = 0; i < json_array_size(single) && status == WZ_OK; i++) {
        const json_t *item = json_array_get(single, i);
        const char *special = json_string_value(json_object_get(json_object_get(item, "SpecialToken"), "id"));
        if (special != NULL)
            status = read_template_token(tokenizer, postprocessor, special,
                                         seen ? &tokenizer->after : &tokenizer->before, err);
        else if (json_object_get(item, "Sequence") != NULL && !seen)
            seen = true;
        else
            status = wz_fail(err, WZ_ERR_CORRUPT,
                             "tokenizer.json: item %zu of the template 'single' is neither a "
                             "special token nor the only sequence",
                             i);
    }
    if (status == WZ_OK && !seen)
        status = wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: the template 'single' has no sequence");
    return status;
}

static wz_status read_processor(wz_tokenizer *tokenizer, const json_t *value, bool *seen, wz_error *err)
{
    if (is_type(value, "ByteLevel")) /* changes offsets only */
        return WZ_OK;
    if (!is_type(value, "TemplateProcessing") || *seen)
        return fail_type("'post_processor'", value,
                         "null, ByteLevel, one TemplateProcessing, Sequence of these", err);
    *seen = true;
    return read_template(tokenizer, value, err);
}

wz_status wz_read_postprocessor(wz_tokenizer *tokenizer, const json_t *postprocessor, wz_error *err)
{
    bool seen = false;
    if (absent(postprocessor))
        return WZ_OK;
    const json_t *list = json_object_get(postprocessor, "processors");
    if (!is_type(postprocessor, "Sequence") || !json_is_array(list))
        return read_processor(tokenizer, postprocessor, &seen, err);
    wz_status status = WZ_OK;
    for (size_t i = 0; i < json_array_size(list) && status == WZ_OK; i++)
        status = read_processor(tokenizer, json_array_get(list, i), &seen, err);
    return status;
}

/* ---- decoder ---- */

wz_status wz_read_decoder(const json_t *decoder, wz_error *err)
{
    return absent(decoder) || is_type(decoder, "ByteLevel")
               ? WZ_OK
               : fail_type("'decoder'", decoder, "null, ByteLevel", err);
}
