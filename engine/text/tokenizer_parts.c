#include "engine/text/tokenizer_parts.h"

#include <string.h>

#include "engine/text/tokenizer_json.h"

#define CASELESS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define REST " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
static const char qwen2_pattern[] = CASELESS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" REST;
static const char llama3_pattern[] = CASELESS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" REST;

static bool is_pattern(const wz_pretokenizer *step, const char *pattern)
{
    return step->kind == WZ_PRE_REGEX && strcmp(step->pattern, pattern) == 0;
}

wz_pretokenizer_name wz_tokenizer_pretokenizer(const wz_tokenizer *t)
{
    const wz_pretokenizer *steps = t->steps;
    const bool plain = !t->nfc && !t->ignore_merges;
    if (t->step_count == 2)
        return plain && steps[0].kind == WZ_PRE_DIGITS && steps[0].individual_digits &&
                       is_pattern(&steps[1], wz_gpt2_pattern)
                   ? WZ_PRETOKENIZER_SMOLLM
                   : WZ_PRETOKENIZER_OTHER;
    if (t->step_count != 1)
        return WZ_PRETOKENIZER_OTHER;
    if (plain && is_pattern(&steps[0], wz_gpt2_pattern))
        return WZ_PRETOKENIZER_GPT2;
    if (!t->ignore_merges && is_pattern(&steps[0], qwen2_pattern))
        return WZ_PRETOKENIZER_QWEN2;
    return !t->nfc && t->ignore_merges && is_pattern(&steps[0], llama3_pattern) ? WZ_PRETOKENIZER_LLAMA3
                                                                                : WZ_PRETOKENIZER_OTHER;
}

#define BYTE_LEVEL(regex)                                                                                    \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":" regex "}"
#define SEQUENCE(first, regex) "{\"type\":\"Sequence\",\"pretokenizers\":[" first "," BYTE_LEVEL(regex) "]}"
#define SPLIT(numbers)                                                                                       \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}" \
    "]?"                                                                                                     \
    "\\\\p{L}+|" numbers                                                                                     \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},"               \
    "\"behavior\":\"Isolated\",\"invert\":false}"

wz_pretokenizer_json wz_pretokenizer_write(wz_pretokenizer_name name)
{
    switch (name) {
    case WZ_PRETOKENIZER_LLAMA3:
        return (wz_pretokenizer_json){"null", SEQUENCE(SPLIT("\\\\p{N}{1,3}"), "false"), true};
    case WZ_PRETOKENIZER_QWEN2:
        return (wz_pretokenizer_json){"{\"type\":\"NFC\"}", SEQUENCE(SPLIT("\\\\p{N}"), "false"), false};
    case WZ_PRETOKENIZER_SMOLLM:
        return (wz_pretokenizer_json){
            "null", SEQUENCE("{\"type\":\"Digits\",\"individual_digits\":true}", "true"), false};
    default:
        return (wz_pretokenizer_json){"null", BYTE_LEVEL("true"), false};
    }
}

bool wz_tokenizer_is_added(const wz_tokenizer *tokenizer, uint32_t id)
{
    return id < tokenizer->vocab_size && tokenizer->tokens[id].added;
}

wz_status wz_tokenizer_spell(const wz_tokenizer *tokenizer, uint32_t id, wz_text *out, wz_error *err)
{
    size_t length = 0;
    const char *bytes = wz_tokenizer_token_bytes(tokenizer, id, &length);
    if (bytes == NULL)
        return WZ_OK;
    return tokenizer->tokens[id].added || tokenizer->tokens[id].raw_key
               ? wz_text_append(out, bytes, length, err)
               : wz_byte_level_spell(bytes, length, out, err);
}

size_t wz_tokenizer_merge_count(const wz_tokenizer *tokenizer)
{
    return tokenizer->bpe.merge_count;
}

void wz_tokenizer_merge(const wz_tokenizer *tokenizer, size_t rank, uint32_t *left, uint32_t *right)
{
    *left = tokenizer->bpe.left[rank];
    *right = tokenizer->bpe.right[rank];
}

int64_t wz_tokenizer_begin_id(const wz_tokenizer *tokenizer)
{
    if (tokenizer->before.length + tokenizer->after.length == 0)
        return -1;
    return tokenizer->before.length == 1 && tokenizer->after.length == 0 ? (int64_t)tokenizer->before.data[0]
                                                                         : -2;
}
