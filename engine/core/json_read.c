#include "engine/core/json.h"

#include "engine/core/file.h"

/* jansson recurses up to its own 2048 levels; ours are fewer, so that whatever walks a parsed value may
 * recurse too. Brackets inside strings do not count. */
static wz_status check_depth(const char *name, size_t first_line, const char *data, size_t length,
                             wz_error *err)
{
    size_t depth = 0, line = first_line;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = data[i];
        if (c == '\n')
            line++;
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > WZ_JSON_MAX_DEPTH)
                return wz_fail(err, WZ_ERR_CORRUPT, "%s:%zu: JSON nested deeper than %d levels", name, line,
                               WZ_JSON_MAX_DEPTH);
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return WZ_OK;
}

wz_status wz_json_parse(const char *name, const char *data, size_t length, json_t **out, wz_error *err)
{
    return wz_json_parse_from(name, 1, data, length, out, err);
}

wz_status wz_json_parse_from(const char *name, size_t first_line, const char *data, size_t length,
                             json_t **out, wz_error *err)
{
    json_error_t error;
    *out = NULL;
    wz_status status = check_depth(name, first_line, data, length, err);
    if (status != WZ_OK)
        return status;
    *out = json_loadb(data == NULL ? "" : data, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*out != NULL)
        return WZ_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return wz_fail(err, WZ_ERR_RESOURCE, "%s: out of memory while reading %zu bytes of JSON", name,
                       length);
    return wz_fail(err, WZ_ERR_CORRUPT, "%s:%zu:%d: not valid JSON: %s", name,
                   first_line + (error.line > 0 ? (size_t)error.line - 1 : 0), error.column, error.text);
}

wz_status wz_json_parse_file(const char *path, size_t limit, json_t **out, wz_error *err)
{
    wz_text text = {0};
    *out = NULL;
    wz_status status = wz_file_read(path, limit, &text, err);
    if (status == WZ_OK)
        status = wz_json_parse(path, text.data, text.length, out, err);
    wz_text_clear(&text);
    return status;
}

/* --- typed members --- */

static wz_status get_member(const json_t *object, const char *name, const char *key, const json_t **out,
                            wz_error *err)
{
    *out = json_object_get(object, key);
    if (*out == NULL)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: key '%s' is missing", name, key);
    return WZ_OK;
}

static wz_status fail_type(const char *name, const char *key, const char *type, wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: key '%s' must be %s", name, key, type);
}

wz_status wz_json_get_integer(const json_t *object, const char *name, const char *key, int64_t *out,
                              wz_error *err)
{
    const json_t *value = NULL;
    wz_status status = get_member(object, name, key, &value, err);
    if (status != WZ_OK)
        return status;
    if (!json_is_integer(value))
        return fail_type(name, key, "an integer", err);
    *out = (int64_t)json_integer_value(value);
    return WZ_OK;
}

wz_status wz_json_get_number(const json_t *object, const char *name, const char *key, double *out,
                             wz_error *err)
{
    const json_t *value = NULL;
    wz_status status = get_member(object, name, key, &value, err);
    if (status != WZ_OK)
        return status;
    if (!json_is_number(value))
        return fail_type(name, key, "a number", err);
    *out = json_number_value(value);
    return WZ_OK;
}

wz_status wz_json_get_boolean(const json_t *object, const char *name, const char *key, bool *out,
                              wz_error *err)
{
    const json_t *value = NULL;
    wz_status status = get_member(object, name, key, &value, err);
    if (status != WZ_OK)
        return status;
    if (!json_is_boolean(value))
        return fail_type(name, key, "true or false", err);
    *out = json_is_true(value);
    return WZ_OK;
}

wz_status wz_json_get_string(const json_t *object, const char *name, const char *key, const char **out,
                             wz_error *err)
{
    const json_t *value = NULL;
    wz_status status = get_member(object, name, key, &value, err);
    if (status != WZ_OK)
        return status;
    if (!json_is_string(value))
        return fail_type(name, key, "a string", err);
    *out = json_string_value(value);
    return WZ_OK;
}
