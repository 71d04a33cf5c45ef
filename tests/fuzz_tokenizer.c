/* libFuzzer: a hostile tokenizer.json, and any text through what it makes.
 * What is created must write itself, and what it encodes must decode (to the same bytes without NFC). */
#include <stdlib.h>
#include <string.h>

#include "engine/text/tokenizer_internal.h"
#include "tests/fuzz.h"

static void encode_and_decode(const wz_tokenizer *tokenizer, const char *text, size_t length)
{
    wz_error err;
    wz_ids ids = {0};
    wz_text back = {0};
    if (wz_tokenizer_encode(tokenizer, text, length, false, &ids, &err) == WZ_OK) {
        if (wz_tokenizer_decode(tokenizer, ids.data, ids.length, false, &back, &err) != WZ_OK)
            abort();
        bool same = back.length == length && (length == 0 || memcmp(back.data, text, length) == 0);
        /* A merge that joins two tokens into one of other bytes is refused, so only NFC changes bytes. */
        if (!same && !tokenizer->nfc)
            abort();
    }
    wz_ids_clear(&ids);
    wz_text_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wz_tokenizer *builtin; /* made once: it never changes */
    wz_error err;
    wz_tokenizer *tokenizer = NULL;
    wz_text json = {0};
    const char *text = (const char *)data;
    if (wz_tokenizer_create(text, size, &tokenizer, &err) == WZ_OK) {
        encode_and_decode(tokenizer, text, size < 2000 ? size : 2000);
        if (wz_tokenizer_write_json(tokenizer, &json, &err) != WZ_OK)
            abort();
        wz_tokenizer *again = NULL;
        if (wz_tokenizer_create(json.data, json.length, &again, &err) != WZ_OK)
            abort();
        wz_tokenizer_destroy(again);
        fuzz_accepted++;
        wz_tokenizer_destroy(tokenizer);
    }
    wz_text_clear(&json);
    if (builtin == NULL && wz_tokenizer_create_builtin(&builtin, &err) != WZ_OK)
        abort();
    encode_and_decode(builtin, text, size < 2000 ? size : 2000);
    return 0;
}
