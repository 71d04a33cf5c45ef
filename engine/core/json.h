/* JSON: an append-only writer over wz_text, and a strict reader over jansson. */
#ifndef WZ_CORE_JSON_H
#define WZ_CORE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

#define WZ_JSON_MAX_DEPTH 64

/* Writes one JSON value into a text, in the order of the calls, with ", " and ": " as separators and no line
 * breaks, so that a value is one line of a .jsonl file. The first failure (out of memory, nesting over
 * WZ_JSON_MAX_DEPTH) is kept and later calls do nothing: check once, at wz_json_finish.
 *
 *     wz_json json;
 *     wz_json_start(&json, &line, err);
 *     wz_json_begin_object(&json);
 *     wz_json_key(&json, "loss");
 *     wz_json_number(&json, loss);
 *     wz_json_end_object(&json);
 *     return wz_json_finish(&json);
 *
 * The order of calls is the caller's duty (a key before each value of an object) and is asserted. */
typedef struct wz_json {
    wz_text *out;
    wz_error *err;
    wz_status status;
    size_t depth;
    bool after_key;
    bool is_object[WZ_JSON_MAX_DEPTH];
    bool has_items[WZ_JSON_MAX_DEPTH];
} wz_json;

void wz_json_start(wz_json *json, wz_text *out, wz_error *err);
/* The first failure, or WZ_OK. */
wz_status wz_json_finish(wz_json *json);

void wz_json_begin_object(wz_json *json);
void wz_json_end_object(wz_json *json);
void wz_json_begin_array(wz_json *json);
void wz_json_end_array(wz_json *json);
void wz_json_key(wz_json *json, const char *key);

/* The shortest decimal (15 to 17 significant digits) that reads back to the same double; NaN and the
 * infinities, which JSON cannot hold, become null. */
void wz_json_number(wz_json *json, double value);
void wz_json_integer(wz_json *json, int64_t value);
void wz_json_boolean(wz_json *json, bool value);
void wz_json_null(wz_json *json);
void wz_json_string(wz_json *json, const char *text);
/* A string of any bytes, NUL included; a byte that is no valid UTF-8 becomes U+FFFD. */
void wz_json_bytes(wz_json *json, const char *bytes, size_t length);

/* key and value in one call, for objects of plain fields */
void wz_json_field_number(wz_json *json, const char *key, double value);
void wz_json_field_integer(wz_json *json, const char *key, int64_t value);
void wz_json_field_boolean(wz_json *json, const char *key, bool value);
void wz_json_field_string(wz_json *json, const char *key, const char *text);

/* The decimal that wz_json_number writes, in out (at least WZ_JSON_NUMBER_MAX bytes). */
#define WZ_JSON_NUMBER_MAX 32
void wz_json_format_number(double value, char *out);

/* Parses exactly one JSON value. Refuses duplicate keys, nesting over WZ_JSON_MAX_DEPTH, invalid UTF-8,
 * trailing text and NUL characters inside strings. `name` (a path) begins every message, as name:line:column.
 * Free with json_decref. Errors: WZ_ERR_CORRUPT, WZ_ERR_RESOURCE. */
wz_status wz_json_parse(const char *name, const char *data, size_t length, json_t **out, wz_error *err);
/* The same of a text that begins at line `first_line` of the file: a line of a .jsonl file. */
wz_status wz_json_parse_from(const char *name, size_t first_line, const char *data, size_t length,
                             json_t **out, wz_error *err);
/* The same from a file of at most `limit` bytes. Missing: WZ_ERR_USAGE. */
wz_status wz_json_parse_file(const char *path, size_t limit, json_t **out, wz_error *err);

/* Typed members of an object; a missing member or another type is WZ_ERR_CORRUPT with the name and key.
 * An integer is accepted as a number. Strings and values are borrowed from the object. */
wz_status wz_json_get_integer(const json_t *object, const char *name, const char *key, int64_t *out,
                              wz_error *err);
wz_status wz_json_get_number(const json_t *object, const char *name, const char *key, double *out,
                             wz_error *err);
wz_status wz_json_get_boolean(const json_t *object, const char *name, const char *key, bool *out,
                              wz_error *err);
wz_status wz_json_get_string(const json_t *object, const char *name, const char *key, const char **out,
                             wz_error *err);

#endif
