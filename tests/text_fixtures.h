/* Tokenizers for the tests of engine/text: the fixtures of tests/tools/make_tokenizer_fixtures.py by name,
 * and "builtin". */
#ifndef WZ_TESTS_TEXT_FIXTURES_H
#define WZ_TESTS_TEXT_FIXTURES_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/tokenizer.h"
#include "tests/suite.h"

static const char *const fixture_names[] = {"builtin", "gpt2", "qwen2", "llama3", "smollm2"};
#define FIXTURES 5

#define CHECK_OK(call)                                                                                       \
    do {                                                                                                     \
        wz_error check_err = {{0}};                                                                          \
        wz_error *err = &check_err;                                                                          \
        wz_status check_status = (call);                                                                     \
        ASSERT_EACH(check_status == WZ_OK, "%s: %s", #call, check_err.text);                                 \
    } while (0)

static inline void read_data(const char *name, const char *suffix, wz_text *out)
{
    char path[512], buffer[4096];
    snprintf(path, sizeof path, "%s/tokenizer_%s%s.json", WZ_TEST_DATA, name, suffix);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;)
        CHECK_OK(wz_text_append(out, buffer, got, err));
    fclose(file);
}

static inline wz_tokenizer *fixture_tokenizer(const char *name)
{
    wz_tokenizer *tokenizer = NULL;
    wz_text json = {0};
    if (strcmp(name, "builtin") == 0) {
        CHECK_OK(wz_tokenizer_create_builtin(&tokenizer, err));
        return tokenizer;
    }
    read_data(name, "", &json);
    CHECK_OK(wz_tokenizer_create(json.data, json.length, &tokenizer, err));
    wz_text_clear(&json);
    return tokenizer;
}

#endif
