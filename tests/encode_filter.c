/* Encodes texts for tests/tools/tokenizer_interop.py: encode_filter TOKENIZER.json < texts > ids.
 * A text is its length (uint32, of this machine) and its bytes; an answer is the number of ids and the ids (uint32 each).
 * Ids that do not decode to the text again end the program, unless the tokenizer normalises. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "engine/text/tokenizer_internal.h"

#define TOKENIZER_LIMIT ((size_t)1 << 30)

static bool read_text(wz_text *text, wz_error *err)
{
    uint32_t length = 0;
    char buffer[4096];
    text->length = 0;
    if (fread(&length, sizeof length, 1, stdin) != 1)
        return false;
    for (size_t left = length; left > 0;) {
        const size_t got = fread(buffer, 1, left < sizeof buffer ? left : sizeof buffer, stdin);
        if (got == 0 || wz_text_append(text, buffer, got, err) != WZ_OK)
            return false;
        left -= got;
    }
    return true;
}

static wz_status answer(const wz_tokenizer *tokenizer, const wz_text *text, wz_ids *ids, wz_text *back,
                        wz_error *err)
{
    ids->length = back->length = 0;
    wz_status status = wz_tokenizer_encode(tokenizer, text->data, text->length, false, ids, err);
    if (status == WZ_OK)
        status = wz_tokenizer_decode(tokenizer, ids->data, ids->length, false, back, err);
    if (status != WZ_OK)
        return status;
    if (!tokenizer->nfc && (back->length != text->length ||
                            (text->length > 0 && memcmp(back->data, text->data, text->length) != 0)))
        return wz_fail(err, WZ_ERR_RUNTIME, "a text of %zu bytes is not what its ids decode to",
                       text->length);
    const uint32_t count = (uint32_t)ids->length;
    if (fwrite(&count, sizeof count, 1, stdout) != 1 ||
        fwrite(ids->data, sizeof *ids->data, ids->length, stdout) != ids->length)
        return wz_fail(err, WZ_ERR_RUNTIME, "cannot write");
    return WZ_OK;
}

int main(int argc, char **argv)
{
    wz_error err = {{0}};
    wz_tokenizer *tokenizer = NULL;
    wz_text json = {0}, text = {0}, back = {0};
    wz_ids ids = {0};
    wz_status status = argc == 2 ? wz_file_read(argv[1], TOKENIZER_LIMIT, &json, &err)
                                 : wz_fail(&err, WZ_ERR_USAGE, "usage: encode_filter TOKENIZER.json");
    if (status == WZ_OK)
        status = wz_tokenizer_create(json.data, json.length, &tokenizer, &err);
    while (status == WZ_OK && read_text(&text, &err))
        status = answer(tokenizer, &text, &ids, &back, &err);
    if (status != WZ_OK)
        (void)fprintf(stderr, "encode_filter: %s\n", err.text);
    wz_ids_clear(&ids);
    wz_text_clear(&back);
    wz_text_clear(&text);
    wz_text_clear(&json);
    wz_tokenizer_destroy(tokenizer);
    return status == WZ_OK && fflush(stdout) == 0 ? 0 : 1;
}
