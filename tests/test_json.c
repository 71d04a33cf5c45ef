#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/json.h"
#include "engine/core/philox.h"
#include "tests/suite.h"
#include "tests/temporary.h"

/* --- writer --- */

START_TEST(json_nested_values_have_one_fixed_form)
{
    wz_text out = {0};
    wz_json json;
    wz_json_start(&json, &out, NULL);
    wz_json_begin_object(&json);
    wz_json_field_integer(&json, "step", -12);
    wz_json_field_number(&json, "loss", 0.1);
    wz_json_field_boolean(&json, "done", true);
    wz_json_field_string(&json, "name", "K=3");
    wz_json_key(&json, "empty");
    wz_json_begin_array(&json);
    wz_json_end_array(&json);
    wz_json_key(&json, "list");
    wz_json_begin_array(&json);
    wz_json_null(&json);
    wz_json_begin_object(&json);
    wz_json_end_object(&json);
    wz_json_integer(&json, INT64_MIN);
    wz_json_boolean(&json, false);
    wz_json_end_array(&json);
    wz_json_end_object(&json);
    ck_assert_int_eq(wz_json_finish(&json), WZ_OK);
    ck_assert_str_eq(out.data,
                     "{\"step\": -12, \"loss\": 0.1, \"done\": true, \"name\": \"K=3\", \"empty\": [], "
                     "\"list\": [null, {}, -9223372036854775808, false]}");
    wz_text_clear(&out);
}
END_TEST

START_TEST(json_too_deep_fails_once_and_stays_failed)
{
    wz_error err = {.text = ""};
    wz_text out = {0};
    wz_json json;
    wz_json_start(&json, &out, &err);
    for (int i = 0; i <= WZ_JSON_MAX_DEPTH; i++)
        wz_json_begin_array(&json);
    wz_json_integer(&json, 1);
    wz_json_end_array(&json);
    ck_assert_int_eq(wz_json_finish(&json), WZ_ERR_RUNTIME);
    ck_assert_ptr_nonnull(strstr(err.text, "nested"));
    wz_text_clear(&out);
}
END_TEST

static void assert_string(const char *bytes, size_t length, const char *expected)
{
    wz_text out = {0};
    wz_json json;
    wz_json_start(&json, &out, NULL);
    wz_json_bytes(&json, bytes, length);
    ck_assert_int_eq(wz_json_finish(&json), WZ_OK);
    ck_assert_str_eq(out.data, expected);
    wz_text_clear(&out);
}

/* Ill-formed sequences: the Unicode standard, section 3.9 (overlong, surrogates, beyond U+10FFFF, cut short). */
START_TEST(json_bytes_any_bytes_become_valid_json)
{
    assert_string("", 0, "\"\"");
    assert_string(NULL, 0, "\"\"");
    assert_string("a\"b\\c\n\r\t\x01\x7f/", 11, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f/\"");
    assert_string("a\0b", 3, "\"a\\u0000b\"");
    assert_string("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xa1", 11, "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xa1\"");
    assert_string("\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_string("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_string("\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_string("x\xe2\x82", 3, "\"x\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_string("\xff!", 2, "\"\xef\xbf\xbd!\"");
}
END_TEST

START_TEST(json_bytes_every_pair_is_read_back_by_jansson)
{
    for (unsigned pair = 0; pair < 65536; pair++) {
        const char bytes[2] = {(char)(pair >> 8), (char)(pair & 255)};
        wz_text out = {0};
        wz_json json;
        wz_json_start(&json, &out, NULL);
        wz_json_bytes(&json, bytes, 2);
        json_t *value = json_loadb(out.data, out.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        ck_assert_msg(json_is_string(value), "bytes %02x %02x", pair >> 8, pair & 255);
        if (bytes[0] >= 0 && bytes[1] >= 0) {
            ck_assert_uint_eq(json_string_length(value), 2);
            ck_assert_mem_eq(json_string_value(value), bytes, 2);
        }
        json_decref(value);
        wz_text_clear(&out);
    }
}
END_TEST

START_TEST(json_format_number_known_values_are_shortest)
{
    static const struct {
        double value;
        const char *expected;
    } cases[] = {{0.0, "0"},
                 {-0.0, "-0"},
                 {1.0, "1"},
                 {0.1, "0.1"},
                 {1e300, "1e+300"},
                 {NAN, "null"},
                 {INFINITY, "null"},
                 {-INFINITY, "null"},
                 {5e-324, "4.94065645841247e-324"},  /* what %.15g makes of the smallest double */
                 {0.1 + 0.2, "0.30000000000000004"}, /* as Python prints it */
                 {123456789012345680.0, "1.2345678901234568e+17"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char digits[WZ_JSON_NUMBER_MAX];
        wz_json_format_number(cases[i].value, digits);
        ck_assert_str_eq(digits, cases[i].expected);
    }
}
END_TEST

START_TEST(json_format_number_random_bits_read_back_equal)
{
    const wz_draw_key key = {.seed = 3, .purpose = WZ_PURPOSE_TOOL};
    for (uint32_t i = 0; i < 50000; i++) {
        uint32_t words[4];
        double value, back;
        char digits[WZ_JSON_NUMBER_MAX];
        wz_draw_words(&key, i, words);
        memcpy(&value, words, sizeof value);
        wz_json_format_number(value, digits);
        if (!isfinite(value)) {
            ck_assert_str_eq(digits, "null");
            continue;
        }
        back = strtod(digits, NULL);
        ck_assert_mem_eq(&value, &back, sizeof value);
    }
}
END_TEST

/* --- reader --- */

static void assert_parse_fails(const char *text, const char *expected)
{
    wz_error err = {.text = ""};
    json_t *value = NULL;
    ck_assert_int_eq(wz_json_parse("t.json", text, strlen(text), &value, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_null(value);
    ck_assert_msg(strstr(err.text, "t.json:") == err.text && strstr(err.text, expected) != NULL, "%s",
                  err.text);
}

START_TEST(json_parse_bad_text_is_refused_with_its_place)
{
    assert_parse_fails("", "t.json:1:");
    assert_parse_fails("{\"a\": 1,\n \"a\": 2}", "t.json:2:");
    assert_parse_fails("{\"a\": 1} x", "t.json:1:");
    assert_parse_fails("[1, 2", "t.json:1:");
    assert_parse_fails("[\"\\u0000\"]", "t.json:1:");
    assert_parse_fails("[\"\xff\"]", "t.json:1:");
    assert_parse_fails("[NaN]", "t.json:1:");
    assert_parse_fails("[1e999]", "t.json:1:");
}
END_TEST

START_TEST(json_parse_nesting_is_limited_outside_strings)
{
    char text[400];
    memset(text, '[', 200);
    memset(text + 200, ']', 199);
    text[399] = '\0';
    assert_parse_fails(text, "nested deeper");
    json_t *value = NULL;
    memset(text, '[', 300);
    text[0] = '"';
    text[1] = '\\';
    text[2] = '"';
    text[300] = '"';
    ck_assert_int_eq(wz_json_parse("t", text, 301, &value, NULL), WZ_OK);
    ck_assert_uint_eq(json_string_length(value), 298);
    json_decref(value);
    memset(text, '[', WZ_JSON_MAX_DEPTH);
    memset(text + WZ_JSON_MAX_DEPTH, ']', WZ_JSON_MAX_DEPTH);
    ck_assert_int_eq(wz_json_parse("t", text, 2u * WZ_JSON_MAX_DEPTH, &value, NULL), WZ_OK);
    json_decref(value);
}
END_TEST

START_TEST(json_get_typed_members_are_checked)
{
    static const char text[] = "{\"i\": 9007199254740993, \"x\": 2.5, \"b\": true, \"s\": \"hi\"}";
    wz_error err = {.text = ""};
    json_t *value = NULL;
    int64_t integer = 0;
    double number = 0.0;
    bool boolean = false;
    const char *string = NULL;
    ck_assert_int_eq(wz_json_parse("t", text, sizeof text - 1, &value, &err), WZ_OK);
    ck_assert_int_eq(wz_json_get_integer(value, "t", "i", &integer, &err), WZ_OK);
    ck_assert_int_eq(integer, 9007199254740993); /* 2^53 + 1: exact, not through a double */
    ck_assert_int_eq(wz_json_get_number(value, "t", "x", &number, &err), WZ_OK);
    ck_assert_double_eq(number, 2.5);
    ck_assert_int_eq(wz_json_get_boolean(value, "t", "b", &boolean, &err), WZ_OK);
    ck_assert(boolean);
    ck_assert_int_eq(wz_json_get_string(value, "t", "s", &string, &err), WZ_OK);
    ck_assert_str_eq(string, "hi");
    ck_assert_int_eq(wz_json_get_integer(value, "t", "x", &integer, &err), WZ_ERR_CORRUPT);
    ck_assert_str_eq(err.text, "t: key 'x' must be an integer");
    ck_assert_int_eq(wz_json_get_string(value, "t", "nope", &string, &err), WZ_ERR_CORRUPT);
    ck_assert_str_eq(err.text, "t: key 'nope' is missing");
    json_decref(value);
}
END_TEST

START_TEST(json_parse_file_limits_and_missing)
{
    temporary where;
    json_t *value = NULL;
    wz_error err = {.text = ""};
    temporary_create(&where);
    const char *path = temporary_path(&where, "a.json");
    ck_assert_int_eq(wz_json_parse_file(path, 100, &value, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    temporary_write(path, "[1, 2, 3]", 9);
    ck_assert_int_eq(wz_json_parse_file(path, 8, &value, &err), WZ_ERR_CORRUPT);
    ck_assert_int_eq(wz_json_parse_file(path, 9, &value, &err), WZ_OK);
    ck_assert_uint_eq(json_array_size(value), 3);
    json_decref(value);
    temporary_remove(&where);
}
END_TEST

static Suite *json_suite(void)
{
    Suite *suite = suite_create("json");
    TCase *writer = tcase_create("writer");
    tcase_set_timeout(writer, 60);
    tcase_add_test(writer, json_nested_values_have_one_fixed_form);
    tcase_add_test(writer, json_too_deep_fails_once_and_stays_failed);
    tcase_add_test(writer, json_bytes_any_bytes_become_valid_json);
    tcase_add_test(writer, json_bytes_every_pair_is_read_back_by_jansson);
    tcase_add_test(writer, json_format_number_known_values_are_shortest);
    tcase_add_test(writer, json_format_number_random_bits_read_back_equal);
    suite_add_tcase(suite, writer);
    TCase *reader = tcase_create("reader");
    tcase_add_test(reader, json_parse_bad_text_is_refused_with_its_place);
    tcase_add_test(reader, json_parse_nesting_is_limited_outside_strings);
    tcase_add_test(reader, json_get_typed_members_are_checked);
    tcase_add_test(reader, json_parse_file_limits_and_missing);
    suite_add_tcase(suite, reader);
    return suite;
}

int main(void)
{
    return run_suite(json_suite());
}
