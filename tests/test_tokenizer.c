/* Ids and texts expected here come from the Python `tokenizers` package (tests/tools/make_tokenizer_fixtures.py). */
#include "tests/suite.h"
#include "tests/text_fixtures.h"

#include "engine/core/philox.h"

/* ---- equality with `tokenizers` ---- */

static void check_ids(const wz_tokenizer *tokenizer, const char *name, size_t row, const json_t *text,
                      bool special, const json_t *expected)
{
    wz_ids ids = {0};
    CHECK_OK(wz_tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text), special, &ids,
                                 err));
    ck_assert_msg(ids.length == json_array_size(expected), "%s case %zu: %zu ids instead of %zu for '%s'",
                  name, row, ids.length, json_array_size(expected), json_string_value(text));
    for (size_t i = 0; i < ids.length; i++)
        ck_assert_msg((json_int_t)ids.data[i] == json_integer_value(json_array_get(expected, i)),
                      "%s case %zu, id %zu: %u instead of %lld for '%s'", name, row, i, ids.data[i],
                      (long long)json_integer_value(json_array_get(expected, i)), json_string_value(text));
    wz_ids_clear(&ids);
}

static void check_decoded(const wz_tokenizer *tokenizer, const char *name, size_t row, const json_t *ids,
                          const json_t *expected)
{
    wz_ids list = {0};
    wz_text text = {0};
    for (size_t i = 0; i < json_array_size(ids); i++) {
        uint32_t id = (uint32_t)json_integer_value(json_array_get(ids, i));
        CHECK_OK(wz_ids_append(&list, &id, 1, err));
    }
    CHECK_OK(wz_tokenizer_decode(tokenizer, list.data, list.length, true, &text, err));
    ck_assert_msg(text.length == json_string_length(expected) &&
                      memcmp(text.data, json_string_value(expected), text.length) == 0,
                  "%s case %zu: decoded '%s' instead of '%s'", name, row, text.data,
                  json_string_value(expected));
    wz_ids_clear(&list);
    wz_text_clear(&text);
}

START_TEST(encode_and_decode_mixed_corpus_equal_tokenizers_package)
{
    const char *name = fixture_names[_i];
    wz_tokenizer *tokenizer = fixture_tokenizer(name);
    wz_text file = {0};
    read_data(name, "_cases", &file);
    json_t *cases = json_loadb(file.data, file.length, JSON_ALLOW_NUL, NULL);
    ck_assert_uint_gt(json_array_size(cases), 300);
    for (size_t row = 0; row < json_array_size(cases); row++) {
        const json_t *entry = json_array_get(cases, row);
        const json_t *text = json_object_get(entry, "text"), *ids = json_object_get(entry, "ids");
        const json_t *special = json_object_get(entry, "special"),
                     *decoded = json_object_get(entry, "decoded");
        check_ids(tokenizer, name, row, text, false, ids);
        if (special != NULL)
            check_ids(tokenizer, name, row, text, true, special);
        check_decoded(tokenizer, name, row, ids, decoded == NULL ? text : decoded);
    }
    json_decref(cases);
    wz_text_clear(&file);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

/* Real vocabularies cut down to the tokens of these texts: llama.cpp's own test strings with the ids it expects, and mixtures
 * with those of the `tokenizers` package (tests/tools/make_cut_vocabularies.py). */
static const char *const cut_names[] = {"cut_gpt-2", "cut_qwen2", "cut_llama-bpe", "cut_starcoder",
                                        "cut_deepseek-llm"};

START_TEST(encode_with_real_vocabularies_equals_llama_cpp)
{
    const char *name = cut_names[_i];
    wz_tokenizer *tokenizer = fixture_tokenizer(name);
    wz_text file = {0};
    read_data("cut", "_cases", &file);
    json_t *cases = json_loadb(file.data, file.length, JSON_ALLOW_NUL, NULL);
    const json_t *texts = json_object_get(cases, "texts"),
                 *ids = json_object_get(cases, name + strlen("cut_"));
    ck_assert_uint_gt(json_array_size(texts), 70);
    ck_assert_uint_eq(json_array_size(texts), json_array_size(ids));
    for (size_t row = 0; row < json_array_size(texts); row++)
        check_ids(tokenizer, name, row, json_array_get(texts, row), false, json_array_get(ids, row));
    json_decref(cases);
    wz_text_clear(&file);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

/* "$" ends a line, not only the text: the package cuts "a  \nb" into "a", "  ", "\nb", inside which nothing merges. */
START_TEST(encode_dollar_matches_before_each_line_feed)
{
    static const char json[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"\u0120\":2,\"\u010a\":3,\"\u0120\u0120\":"
        "4,"
        "\"\u0120\u0120\u010a\":5},\"merges\":[[\"\u0120\",\"\u0120\"],[\"\u0120\u0120\",\"\u010a\"]]},"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"
        "\"Regex\":"
        "\"\\\\s+$\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_"
        "space\":"
        "false,\"use_regex\":false}]}}";
    static const uint32_t expected[] = {0, 4, 3, 1};
    wz_tokenizer *tokenizer = NULL;
    wz_ids ids = {0};
    CHECK_OK(wz_tokenizer_create(json, strlen(json), &tokenizer, err));
    CHECK_OK(wz_tokenizer_encode(tokenizer, "a  \nb", 5, false, &ids, err));
    ck_assert_uint_eq(ids.length, 4);
    ck_assert_mem_eq(ids.data, expected, sizeof expected);
    wz_ids_clear(&ids);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

/* ---- bytes ---- */

/* NFC changes valid text on purpose, so there the bytes are drawn from those that never form a character. */
START_TEST(encode_random_bytes_is_lossless)
{
    wz_tokenizer *tokenizer = fixture_tokenizer(fixture_names[_i]);
    bool nfc = strcmp(fixture_names[_i], "qwen2") == 0;
    for (uint32_t round = 0; round < 300; round++) {
        char bytes[64];
        size_t length = 1 + round % sizeof bytes;
        for (uint32_t i = 0; i < length; i++) {
            wz_draw_key key = {.seed = 3, .step = round, .problem = i, .purpose = WZ_PURPOSE_TOOL};
            uint32_t words[4];
            wz_draw_words(&key, 0, words);
            bytes[i] = (char)(unsigned char)(nfc && words[0] % 256 > 0xbf ? 0xff : words[0] % 256);
        }
        wz_ids ids = {0};
        wz_text text = {0};
        CHECK_OK(wz_tokenizer_encode(tokenizer, bytes, length, false, &ids, err));
        CHECK_OK(wz_tokenizer_decode(tokenizer, ids.data, ids.length, false, &text, err));
        ck_assert_uint_eq(text.length, length);
        ck_assert_mem_eq(text.data, bytes, length);
        wz_ids_clear(&ids);
        wz_text_clear(&text);
    }
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

/* A quadratic merge loop would need minutes for a piece of a million letters. */
START_TEST(encode_long_piece_ends_in_time)
{
    wz_tokenizer *tokenizer = fixture_tokenizer("gpt2");
    size_t length = 1000000;
    char *text = malloc(length);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < length; i++)
        text[i] = "radio"[i % 5];
    wz_ids ids = {0};
    wz_text back = {0};
    CHECK_OK(wz_tokenizer_encode(tokenizer, text, length, false, &ids, err));
    CHECK_OK(wz_tokenizer_decode(tokenizer, ids.data, ids.length, false, &back, err));
    ck_assert_uint_eq(back.length, length);
    ck_assert_mem_eq(back.data, text, length);
    free(text);
    wz_ids_clear(&ids);
    wz_text_clear(&back);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

START_TEST(decode_unknown_id_fails)
{
    wz_tokenizer *tokenizer = fixture_tokenizer("builtin");
    uint32_t id = (uint32_t)wz_tokenizer_vocab_size(tokenizer);
    wz_text text = {0};
    wz_error problem;
    ck_assert_int_eq(wz_tokenizer_decode(tokenizer, &id, 1, false, &text, &problem), WZ_ERR_RUNTIME);
    wz_text_clear(&text);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

START_TEST(decode_skip_special_leaves_out_special_tokens_only)
{
    wz_tokenizer *tokenizer = fixture_tokenizer("builtin");
    const char *text = "<answer> 1</answer><|endoftext|><|pad|>";
    wz_ids ids = {0};
    wz_text kept = {0}, skipped = {0};
    CHECK_OK(wz_tokenizer_encode(tokenizer, text, strlen(text), true, &ids, err));
    ck_assert_uint_eq(ids.length, 5);
    CHECK_OK(wz_tokenizer_decode(tokenizer, ids.data, ids.length, false, &kept, err));
    CHECK_OK(wz_tokenizer_decode(tokenizer, ids.data, ids.length, true, &skipped, err));
    ck_assert_str_eq(kept.data, text);
    ck_assert_str_eq(skipped.data, "<answer> 1</answer>");
    wz_ids_clear(&ids);
    wz_text_clear(&kept);
    wz_text_clear(&skipped);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

/* ---- the built-in vocabulary ---- */

static void check_one_token(const wz_tokenizer *tokenizer, const char *text, uint32_t expected)
{
    wz_ids ids = {0};
    CHECK_OK(wz_tokenizer_encode(tokenizer, text, strlen(text), true, &ids, err));
    ck_assert_msg(ids.length == 1 && ids.data[0] == expected,
                  "'%s' is %zu tokens, the first %u instead of %u", text, ids.length, ids.data[0], expected);
    ck_assert_int_eq(wz_tokenizer_find(tokenizer, text, strlen(text)), expected);
    wz_ids_clear(&ids);
}

/* The ids are the promise to weights trained earlier: append-only. */
START_TEST(create_builtin_ids_are_those_documented)
{
    static const char *const specials[] = {"<|endoftext|>", "<|pad|>",  "<think>",
                                           "</think>",      "<answer>", "</answer>"};
    wz_tokenizer *tokenizer = fixture_tokenizer("builtin");
    char text[16];
    for (uint32_t i = 0; i < 6; i++) {
        check_one_token(tokenizer, specials[i], 256 + i);
        ck_assert_int_eq(wz_tokenizer_is_special(tokenizer, 256 + i), i < 2);
    }
    for (uint32_t n = 0; n < 1000; n++) {
        snprintf(text, sizeof text, " %u", n);
        check_one_token(tokenizer, text, 262 + n);
        ck_assert_int_eq(wz_tokenizer_integer_value(tokenizer, 262 + n), n);
    }
    for (uint32_t n = 0; n < 128; n++) { /* capitals, then small letters */
        int first = n < 64 ? 'A' : 'a', link = (int)n % 64;
        if (link < 26)
            snprintf(text, sizeof text, " %c", first + link);
        else
            snprintf(text, sizeof text, " %c%c", first + link / 26 - 1, first + link % 26);
        check_one_token(tokenizer, text, 1262 + n);
        ck_assert_int_eq(wz_tokenizer_integer_value(tokenizer, 1262 + n), -1);
    }
    check_one_token(tokenizer, " power", 1393);
    check_one_token(tokenizer, " levels", 1398);
    check_one_token(tokenizer, " dB", 1399);
    check_one_token(tokenizer, " plus", 1402);
    check_one_token(tokenizer, " to", 1403);
    ck_assert_int_eq(wz_tokenizer_end_id(tokenizer), 256);
    ck_assert_uint_lt(wz_tokenizer_vocab_size(tokenizer), 1600);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

START_TEST(integer_value_takes_plain_decimal_numbers_only)
{
    wz_tokenizer *tokenizer = fixture_tokenizer("builtin");
    ck_assert_int_eq(wz_tokenizer_integer_value(tokenizer, '7'), 7);
    ck_assert_int_eq(wz_tokenizer_integer_value(tokenizer, ' '), -1);
    ck_assert_int_eq(wz_tokenizer_integer_value(tokenizer, 'x'), -1);
    ck_assert_int_eq(wz_tokenizer_integer_value(tokenizer, 4000000), -1);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

/* ---- writing ---- */

START_TEST(write_json_reads_back_to_an_equal_tokenizer)
{
    wz_tokenizer *first = fixture_tokenizer(fixture_names[_i]), *second = NULL;
    wz_text json = {0}, again = {0};
    CHECK_OK(wz_tokenizer_write_json(first, &json, err));
    CHECK_OK(wz_tokenizer_create(json.data, json.length, &second, err));
    CHECK_OK(wz_tokenizer_write_json(second, &again, err));
    ck_assert_str_eq(json.data, again.data);
    ck_assert_uint_eq(wz_tokenizer_vocab_size(first), wz_tokenizer_vocab_size(second));
    for (uint32_t id = 0; id < wz_tokenizer_vocab_size(first); id++) {
        size_t a = 0, b = 0;
        const char *bytes_a = wz_tokenizer_token_bytes(first, id, &a);
        const char *bytes_b = wz_tokenizer_token_bytes(second, id, &b);
        ck_assert_uint_eq(a, b);
        ck_assert(a == 0 || memcmp(bytes_a, bytes_b, a) == 0);
        ck_assert_int_eq(wz_tokenizer_is_special(first, id), wz_tokenizer_is_special(second, id));
    }
    static const char text[] =
        "It's  12345 <think>e\u0301</think>\n\n <|im_start|><|eot_id|> wireless</answer>";
    wz_ids ids[2] = {{0}, {0}};
    CHECK_OK(wz_tokenizer_encode(first, text, sizeof text - 1, true, &ids[0], err));
    CHECK_OK(wz_tokenizer_encode(second, text, sizeof text - 1, true, &ids[1], err));
    ck_assert_uint_eq(ids[0].length, ids[1].length);
    ck_assert_mem_eq(ids[0].data, ids[1].data, ids[0].length * sizeof *ids[0].data);
    if (_i == 0) { /* for make_tokenizer_fixtures.py */
        FILE *file = fopen("builtin_tokenizer.json", "wb");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(json.data, 1, json.length, file), json.length);
        ck_assert_int_eq(fclose(file), 0);
    }
    for (size_t i = 0; i < 2; i++)
        wz_ids_clear(&ids[i]);
    wz_text_clear(&json);
    wz_text_clear(&again);
    wz_tokenizer_destroy(first);
    wz_tokenizer_destroy(second);
}
END_TEST

/* ---- the same file, written otherwise ---- */

/* Jansson's spellings: escapes with surrogates, lines and spaces, merges before the vocabulary. */
static const size_t spellings[] = {JSON_ENSURE_ASCII | JSON_ESCAPE_SLASH, JSON_INDENT(3), JSON_SORT_KEYS};

/* One more token, which needs a pair of surrogates, and each pair of merges as two words in a string. */
static json_t *read_varied(const char *name)
{
    wz_text file = {0};
    read_data(name, "", &file);
    json_t *root = json_loadb(file.data, file.length, 0, NULL), *model = json_object_get(root, "model");
    json_t *vocab = json_object_get(model, "vocab"), *merges = json_object_get(model, "merges");
    ck_assert_uint_gt(json_array_size(merges), 10);
    ck_assert_int_eq(json_object_set_new(vocab, "\U0001F4E1/\"\\", json_integer(9000)), 0);
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *pair = json_array_get(merges, i);
        if (json_is_array(pair))
            ck_assert_int_eq(
                json_array_set_new(merges, i,
                                   json_sprintf("%s %s", json_string_value(json_array_get(pair, 0)),
                                                json_string_value(json_array_get(pair, 1)))),
                0);
    }
    wz_text_clear(&file);
    return root;
}

static void write_again(const char *json, size_t length, wz_text *out)
{
    wz_tokenizer *tokenizer = NULL;
    CHECK_OK(wz_tokenizer_create(json, length, &tokenizer, err));
    CHECK_OK(wz_tokenizer_write_json(tokenizer, out, err));
    wz_tokenizer_destroy(tokenizer);
}

START_TEST(create_any_spelling_is_the_same_tokenizer)
{
    json_t *root = read_varied("qwen2");
    wz_text expected = {0}, text = {0};
    char *plain = json_dumps(root, JSON_COMPACT), *spelled = json_dumps(root, spellings[_i]);
    ck_assert_str_ne(plain, spelled);
    write_again(plain, strlen(plain), &expected);
    write_again(spelled, strlen(spelled), &text);
    ck_assert_str_eq(expected.data, text.data);
    ck_assert_ptr_nonnull(strstr(text.data, "\"\U0001F4E1/\\\"\\\\\":9000"));
    free(plain);
    free(spelled);
    wz_text_clear(&expected);
    wz_text_clear(&text);
    json_decref(root);
}
END_TEST

/* Keys around the lengths at which writing goes on in another buffer: Jansson reads them back as they came. */
START_TEST(write_json_long_keys_are_those_read)
{
    wz_text file = {0}, text = {0};
    read_data("qwen2", "", &file);
    json_t *root = json_loadb(file.data, file.length, 0, NULL);
    json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    char key[1024];
    for (int length = 100; length < 400;
         length++) { /* bytes as one character, two, or one that JSON escapes */
        size_t used = 0;
        for (int i = 0; i < length; i++)
            used +=
                (size_t)snprintf(key + used, sizeof key - used, "%s",
                                 (const char *[]){"a", "\u0120", "\"", "\\", "\u00e9"}[(i * i + length) % 5]);
        ck_assert_int_eq(json_object_set_new(vocab, key, json_integer(9000 + length)), 0);
    }
    char *plain = json_dumps(root, JSON_COMPACT);
    write_again(plain, strlen(plain), &text);
    json_t *written = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
    ck_assert(json_equal(vocab, json_object_get(json_object_get(written, "model"), "vocab")));
    json_decref(written);
    json_decref(root);
    free(plain);
    wz_text_clear(&file);
    wz_text_clear(&text);
}
END_TEST

/* ---- files that are not supported or not sound ---- */

#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\",\"b\"]]}"
#define PRE "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"

static const struct {
    const char *json, *message; /* message: a part of it */
} bad_files[] = {
    {"", "line"},
    {"[]", "an array"},
    {"{\"model\":{\"type\":\"Unigram\"}," PRE "}", "Unigram"},
    {"{\"model\":{\"vocab\":{},\"merges\":[]}," PRE "}", "vocab"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}," PRE "}", "two tokens"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}," PRE "}", "duplicate"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}," PRE "}", "'a'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4000000000},\"merges\":[]}," PRE "}", "'a'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"0\"},\"merges\":[]}," PRE "}", "'a'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1.0},\"merges\":[]}," PRE "}", "'a'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":[[0,{\"]\":1}]]},\"merges\":[]}," PRE "}", "'a'"},
    {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[],\"vocab\":{\"b\":0}}," PRE "}", "duplicate"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":[\"a\"],\"merges\":{}}," PRE "}",
     "an array and model.merges is an object"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"a\",\"a\"]]}," PRE "}",
     "merge 0"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}," PRE "}", "merge 0"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[7]}," PRE "}", "merge 0"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}," PRE "}", "merge 0"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}," PRE "}", "merge 0"},
    {"{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"a\":0},\"merges\":[]}," PRE "}",
     "byte_fallback"},
    {"{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{\"a\":0},\"merges\":[]}," PRE "}", "dropout"},
    {"{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{\"a\":0},\"merges\":[]}," PRE
     "}",
     "end_of_word_suffix"},
    {"{" MODEL "}", "pre_tokenizer"},
    {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\"}}", "Metaspace"},
    {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true}}", "add_prefix_space"},
    {"{" MODEL
     ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}}",
     "cannot be compiled"},
    {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?<=a)b\"},"
     "\"behavior\":\"Isolated\"}}",
     "behind"},
    {"{" MODEL
     ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"x\"},\"behavior\":\"Isolated\"}}",
     "Regex"},
    {"{" MODEL
     ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x\"},\"behavior\":\"Removed\"}}",
     "Removed"},
    {"{" MODEL "," PRE ",\"normalizer\":{\"type\":\"Lowercase\"}}", "Lowercase"},
    {"{" MODEL "," PRE ",\"post_processor\":{\"type\":\"BertProcessing\"}}", "BertProcessing"},
    {"{" MODEL "," PRE ",\"decoder\":{\"type\":\"WordPiece\"}}", "WordPiece"},
    {"{" MODEL "," PRE ",\"truncation\":{\"max_length\":3}}", "truncation"},
    {"{" MODEL "," PRE ",\"added_tokens\":[{\"id\":3,\"content\":\"<m>\",\"lstrip\":true}]}", "lstrip"},
    {"{" MODEL "," PRE ",\"added_tokens\":[{\"id\":0,\"content\":\"<m>\"}]}", "contradicts"},
    {"{" MODEL "," PRE ",\"added_tokens\":[{\"id\":3}]}", "content"},
    {"{" MODEL "," PRE ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
     "{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"<s>\":{\"ids\":[9]}}}}",
     "<s>"},
};

START_TEST(create_bad_file_names_what_is_wrong)
{
    wz_tokenizer *tokenizer = NULL;
    wz_error problem = {{0}};
    ck_assert_int_eq(
        wz_tokenizer_create(bad_files[_i].json, strlen(bad_files[_i].json), &tokenizer, &problem),
        WZ_ERR_CORRUPT);
    ck_assert_ptr_null(tokenizer);
    ck_assert_msg(strstr(problem.text, bad_files[_i].message) != NULL, "'%s' does not name '%s'",
                  problem.text, bad_files[_i].message);
}
END_TEST

/* Jansson says what is no JSON, and where; all else is read, or refused for what it says. */
static void check_damaged(const char *json, size_t length)
{
    json_error_t problem;
    wz_tokenizer *tokenizer = NULL;
    wz_error expected, got = {{0}};
    json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, &problem);
    const wz_status status = wz_tokenizer_create(json, length, &tokenizer, &got);
    if (root == NULL) {
        (void)wz_fail(&expected, WZ_ERR_CORRUPT, "tokenizer.json: line %d, column %d: %s", problem.line,
                      problem.column, problem.text);
        ck_assert_int_eq(status, WZ_ERR_CORRUPT);
        ck_assert_str_eq(got.text, expected.text);
    } else if (memchr(json, '\0', length) == NULL) { /* which Jansson overlooks after a number */
        ck_assert_msg(strstr(got.text, "not valid JSON") == NULL, "%.*s", (int)length, json);
    }
    json_decref(root);
    wz_tokenizer_destroy(tokenizer);
}

START_TEST(create_damaged_file_is_refused_where_jansson_refuses_it)
{
    static const char json[] =
        "{\"model\": {\"type\":\"BPE\",\"vocab\":{\"a\":0, \"b\" "
        ":10,\"ab\":2,\"\\uD83D\\udce1\\n\u00e9\":4},\n"
        "\"merges\":[[\"a\",\"b\"] ,\"a b\"],\"dropout\":null}," PRE ",\"added_tokens\":[]}";
    static const char bytes[] = "\"\\{}[],:0-.eua \n\x1f\x80\xc3\xff"; /* and the terminator */
    char damaged[sizeof json];
    wz_tokenizer *sound = NULL;
    CHECK_OK(wz_tokenizer_create(json, sizeof json - 1, &sound, err));
    wz_tokenizer_destroy(sound);
    for (size_t at = 0; at + 1 < sizeof json; at++) {
        check_damaged(json, at);
        for (size_t i = 0; i < sizeof bytes; i++) {
            memcpy(damaged, json, sizeof json);
            damaged[at] = bytes[i];
            check_damaged(damaged, sizeof json - 1);
        }
    }
}
END_TEST

START_TEST(create_deeply_nested_file_fails)
{
    wz_text json = {0};
    wz_tokenizer *tokenizer = NULL;
    wz_error problem = {{0}};
    for (size_t i = 0; i < 100000; i++)
        CHECK_OK(wz_text_append(&json, "[", 1, err));
    ck_assert_int_eq(wz_tokenizer_create(json.data, json.length, &tokenizer, &problem), WZ_ERR_CORRUPT);
    wz_text_clear(&json);
}
END_TEST

START_TEST(encode_byte_without_token_fails)
{
    static const char json[] = "{" MODEL "," PRE "}";
    wz_tokenizer *tokenizer = NULL;
    wz_ids ids = {0};
    wz_error problem = {{0}};
    CHECK_OK(wz_tokenizer_create(json, sizeof json - 1, &tokenizer, err));
    CHECK_OK(wz_tokenizer_encode(tokenizer, "abba", 4, true, &ids, err));
    ck_assert_uint_eq(ids.length, 3);
    ck_assert_int_eq(wz_tokenizer_encode(tokenizer, "abc", 3, true, &ids, &problem), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(problem.text, "0x63"));
    wz_ids_clear(&ids);
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *equal = tcase_create("tokenizers"), *builtin = tcase_create("builtin"), *bad = tcase_create("bad");
    tcase_set_timeout(equal, 120);
    tcase_add_loop_test(equal, encode_and_decode_mixed_corpus_equal_tokenizers_package, 0, FIXTURES);
    tcase_add_loop_test(equal, encode_with_real_vocabularies_equals_llama_cpp, 0, 5);
    tcase_add_test(equal, encode_dollar_matches_before_each_line_feed);
    tcase_add_loop_test(equal, encode_random_bytes_is_lossless, 0, FIXTURES);
    tcase_add_test(equal, encode_long_piece_ends_in_time);
    tcase_add_loop_test(equal, write_json_reads_back_to_an_equal_tokenizer, 0, FIXTURES);
    tcase_add_loop_test(equal, create_any_spelling_is_the_same_tokenizer, 0,
                        (int)(sizeof spellings / sizeof *spellings));
    tcase_add_test(equal, write_json_long_keys_are_those_read);
    tcase_add_test(builtin, create_builtin_ids_are_those_documented);
    tcase_add_test(builtin, integer_value_takes_plain_decimal_numbers_only);
    tcase_add_test(builtin, decode_unknown_id_fails);
    tcase_add_test(builtin, decode_skip_special_leaves_out_special_tokens_only);
    tcase_add_loop_test(bad, create_bad_file_names_what_is_wrong, 0,
                        (int)(sizeof bad_files / sizeof *bad_files));
    tcase_add_test(bad, create_damaged_file_is_refused_where_jansson_refuses_it);
    tcase_add_test(bad, create_deeply_nested_file_fails);
    tcase_add_test(bad, encode_byte_without_token_fails);
    suite_add_tcase(suite, equal);
    suite_add_tcase(suite, builtin);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
