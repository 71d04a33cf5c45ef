#include "engine/core/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- output with a sticky status --- */

static void put(wz_json *json, const char *bytes, size_t length)
{
    if (json->status == WZ_OK)
        json->status = wz_text_append(json->out, bytes, length, json->err);
}

static void put_text(wz_json *json, const char *text)
{
    put(json, text, strlen(text));
}

/* The separator before a value or key. */
static void before_item(wz_json *json)
{
    if (json->depth == 0)
        return;
    bool *has_items = &json->has_items[json->depth - 1];
    if (*has_items)
        put_text(json, ", ");
    *has_items = true;
}

static void before_value(wz_json *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    assert(json->status != WZ_OK || json->depth == 0 || !json->is_object[json->depth - 1]);
    before_item(json);
}

void wz_json_start(wz_json *json, wz_text *out, wz_error *err)
{
    memset(json, 0, sizeof *json);
    json->out = out;
    json->err = err;
}

wz_status wz_json_finish(wz_json *json)
{
    assert(json->status != WZ_OK || (json->depth == 0 && !json->after_key));
    return json->status;
}

/* --- nesting --- */

static void begin(wz_json *json, bool is_object)
{
    if (json->status != WZ_OK)
        return;
    before_value(json);
    if (json->depth >= WZ_JSON_MAX_DEPTH) {
        json->status =
            wz_fail(json->err, WZ_ERR_RUNTIME, "JSON nested deeper than %d levels", WZ_JSON_MAX_DEPTH);
        return;
    }
    json->is_object[json->depth] = is_object;
    json->has_items[json->depth] = false;
    json->depth++;
    put_text(json, is_object ? "{" : "[");
}

static void end(wz_json *json, bool is_object)
{
    if (json->status != WZ_OK)
        return;
    assert(json->depth > 0 && json->is_object[json->depth - 1] == is_object && !json->after_key);
    json->depth--;
    put_text(json, is_object ? "}" : "]");
}

void wz_json_begin_object(wz_json *json)
{
    begin(json, true);
}

void wz_json_end_object(wz_json *json)
{
    end(json, true);
}

void wz_json_begin_array(wz_json *json)
{
    begin(json, false);
}

void wz_json_end_array(wz_json *json)
{
    end(json, false);
}

/* --- strings --- */

/* Length of the well-formed UTF-8 sequence at `bytes` (Unicode standard, table 3-7); 0 if there is none. */
static size_t utf8_length(const unsigned char *bytes, size_t left)
{
    unsigned char b = bytes[0];
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t length = 0;
    if (b < 0x80)
        return 1;
    if (b >= 0xc2 && b <= 0xdf)
        length = 2;
    else if (b >= 0xe0 && b <= 0xef)
        length = 3;
    else if (b >= 0xf0 && b <= 0xf4)
        length = 4;
    if (length == 0 || length > left)
        return 0;
    if (b == 0xe0)
        low = 0xa0; /* overlong */
    else if (b == 0xed)
        high = 0x9f; /* surrogates */
    else if (b == 0xf0)
        low = 0x90; /* overlong */
    else if (b == 0xf4)
        high = 0x8f; /* above U+10FFFF */
    if (bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (bytes[i] < 0x80 || bytes[i] > 0xbf)
            return 0;
    return length;
}

/* The escape of one ASCII character, or NULL where it stands for itself. */
static const char *escape_of(unsigned char c, char buffer[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        if (c >= 0x20 && c != 0x7f)
            return NULL;
        (void)snprintf(buffer, 8, "\\u%04x", (unsigned)c);
        return buffer;
    }
}

static void put_string(wz_json *json, const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    char buffer[8];
    size_t done = 0; /* everything before it is written */
    size_t i = 0;
    put_text(json, "\"");
    while (i < length) {
        size_t step = utf8_length(bytes + i, length - i);
        const char *escape = step == 0 ? "\xef\xbf\xbd" : step == 1 ? escape_of(bytes[i], buffer) : NULL;
        if (step == 0)
            step = 1;
        if (escape != NULL) {
            put(json, text + done, i - done);
            put_text(json, escape);
            done = i + step;
        }
        i += step;
    }
    put(json, text + done, length - done);
    put_text(json, "\"");
}

void wz_json_key(wz_json *json, const char *key)
{
    if (json->status != WZ_OK)
        return;
    assert(json->depth > 0 && json->is_object[json->depth - 1] && !json->after_key);
    before_item(json);
    put_string(json, key, strlen(key));
    put_text(json, ": ");
    json->after_key = true;
}

void wz_json_bytes(wz_json *json, const char *bytes, size_t length)
{
    before_value(json);
    put_string(json, bytes == NULL ? "" : bytes, length);
}

void wz_json_string(wz_json *json, const char *text)
{
    wz_json_bytes(json, text, strlen(text));
}

/* --- numbers and constants --- */

void wz_json_format_number(double value, char *out)
{
    char text[WZ_JSON_NUMBER_MAX] = "null";
    if (isfinite(value)) {
        for (int digits = 15; digits <= 17; digits++) {
            (void)snprintf(text, sizeof text, "%.*g", digits, value);
            if (strtod(text, NULL) == value) /* -0 prints its sign, so equality of values is enough */
                break;
        }
        char *comma = strchr(text, ','); /* the decimal point of some locales */
        if (comma != NULL)
            *comma = '.';
    }
    memcpy(out, text, strlen(text) + 1);
}

void wz_json_number(wz_json *json, double value)
{
    char digits[WZ_JSON_NUMBER_MAX];
    before_value(json);
    wz_json_format_number(value, digits);
    put_text(json, digits);
}

void wz_json_integer(wz_json *json, int64_t value)
{
    char digits[WZ_JSON_NUMBER_MAX];
    before_value(json);
    (void)snprintf(digits, sizeof digits, "%" PRId64, value);
    put_text(json, digits);
}

void wz_json_boolean(wz_json *json, bool value)
{
    before_value(json);
    put_text(json, value ? "true" : "false");
}

void wz_json_null(wz_json *json)
{
    before_value(json);
    put_text(json, "null");
}

/* --- fields --- */

void wz_json_field_number(wz_json *json, const char *key, double value)
{
    wz_json_key(json, key);
    wz_json_number(json, value);
}

void wz_json_field_integer(wz_json *json, const char *key, int64_t value)
{
    wz_json_key(json, key);
    wz_json_integer(json, value);
}

void wz_json_field_boolean(wz_json *json, const char *key, bool value)
{
    wz_json_key(json, key);
    wz_json_boolean(json, value);
}

void wz_json_field_string(wz_json *json, const char *key, const char *text)
{
    wz_json_key(json, key);
    wz_json_string(json, text);
}
