/* libFuzzer: input is "pattern NUL text". A pattern is refused or compiles; a walk that the text's bytes
 * steer through the masks never meets a dead end and ends in the encoding of a string of the language. */
#include <stdlib.h>
#include <string.h>

#include "engine/text/grammar.h"
#include "tests/fuzz.h"

static void check_end(const wz_tokenizer *tokenizer, const char *pattern, const wz_ids *path)
{
    wz_error err;
    wz_text text = {0};
    wz_ids ids = {0};
    bool matches = false;
    if (wz_tokenizer_decode(tokenizer, path->data, path->length, false, &text, &err) != WZ_OK ||
        wz_tokenizer_encode(tokenizer, text.data, text.length, false, &ids, &err) != WZ_OK ||
        wz_grammar_match(pattern, text.data, text.length, &matches, &err) != WZ_OK)
        abort();
    if (!matches || ids.length != path->length ||
        (ids.length > 0 && memcmp(ids.data, path->data, ids.length * sizeof *ids.data) != 0))
        abort();
    wz_text_clear(&text);
    wz_ids_clear(&ids);
}

static void walk(wz_grammar_set *set, const wz_tokenizer *tokenizer, const char *pattern, const char *steer,
                 size_t length)
{
    wz_error err;
    wz_grammar_state state = 0;
    wz_ids path = {0};
    wz_mask mask = {0};
    if (wz_grammar_compile(set, pattern, &state, &err) != WZ_OK)
        return;
    for (size_t i = 0; i < length && i < 8; i++) {
        if (wz_grammar_mask(set, state, &mask, &err) != WZ_OK)
            break;
        if (mask.count == 0 && !wz_grammar_accepts(set, state))
            abort();
        if (mask.count == 0)
            break;
        uint32_t token = mask.tokens[(unsigned char)steer[i] * 7919u % mask.count];
        if (wz_grammar_step(set, state, token, &state, &err) != WZ_OK ||
            wz_ids_append(&path, &token, 1, &err) != WZ_OK)
            abort();
    }
    if (wz_grammar_accepts(set, state))
        check_end(tokenizer, pattern, &path);
    wz_ids_clear(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wz_tokenizer *tokenizer; /* made once: it never changes */
    wz_error err;
    if (tokenizer == NULL && wz_tokenizer_create_builtin(&tokenizer, &err) != WZ_OK)
        abort();
    const uint8_t *end = size == 0 ? NULL : memchr(data, 0, size);
    if (end == NULL || end - data > 40)
        return 0;
    const char *pattern = (const char *)data, *text = (const char *)end + 1;
    size_t length = size - (size_t)(end - data) - 1;
    bool matches = false;
    wz_grammar_set *set = NULL;
    if (wz_grammar_match(pattern, text, length, &matches, &err) != WZ_OK)
        return 0;
    if (wz_grammar_set_create(tokenizer, &set, &err) != WZ_OK)
        abort();
    walk(set, tokenizer, pattern, text, length);
    fuzz_accepted++;
    wz_grammar_set_destroy(set);
    return 0;
}
