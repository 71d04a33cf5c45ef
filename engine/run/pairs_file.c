#include "engine/run/pairs_file.h"

#include <string.h>

#include "engine/core/json.h"
#include "engine/core/lines.h"

static wz_status check_keys(const json_t *pair, wz_error *err)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(pair))
        return wz_fail(err, WZ_ERR_CORRUPT, "expected an object with \"prompt\" and \"completion\"");
    json_object_foreach(
        (json_t *)pair, key,
        value) if (strcmp(key, "prompt") != 0 &&
                   strcmp(key, "completion") !=
                       0) return wz_fail(err, WZ_ERR_CORRUPT,
                                         "unknown key \"%.64s\"; a pair has \"prompt\" and \"completion\"",
                                         key);
    return WZ_OK;
}

static wz_status get_text(const json_t *pair, const char *key, const json_t **out, wz_error *err)
{
    *out = json_object_get(pair, key);
    return json_is_string(*out)
               ? WZ_OK
               : wz_fail(err, WZ_ERR_CORRUPT, "\"%s\" %s", key, *out == NULL ? "is missing" : "is no string");
}

static wz_status add_pair(const json_t *line, const wz_policy *policy, wz_pairs *out, wz_error *err)
{
    const json_t *prompt = NULL, *completion = NULL;
    wz_status status = check_keys(line, err);
    if (status == WZ_OK)
        status = get_text(line, "prompt", &prompt, err);
    if (status == WZ_OK)
        status = get_text(line, "completion", &completion, err);
    return status == WZ_OK ? wz_pairs_add(out, policy, json_string_value(prompt), json_string_length(prompt),
                                          json_string_value(completion), json_string_length(completion), err)
                           : status;
}

static wz_status read_line(const wz_lines *lines, const char *text, size_t length, const wz_policy *policy,
                           wz_pairs *out, wz_error *err)
{
    json_t *line = NULL;
    wz_error reason = {{0}};
    wz_status status = wz_json_parse_from(lines->path, lines->number, text, length, &line, err);
    if (status != WZ_OK)
        return status;
    status = add_pair(line, policy, out, &reason);
    json_decref(line);
    return status == WZ_OK ? WZ_OK
                           : wz_fail(err, status, "%s:%zu: %s", lines->path, lines->number, reason.text);
}

wz_status wz_pairs_read(const char *path, const wz_policy *policy, wz_pairs *out, wz_error *err)
{
    wz_lines lines;
    char *text = NULL;
    size_t length = 0;
    wz_status status = wz_lines_open(&lines, path, WZ_PAIRS_LINE_MAX, err);
    if (status != WZ_OK)
        return status;
    while ((status = wz_lines_next(&lines, &text, &length, err)) == WZ_OK && text != NULL)
        if ((status = read_line(&lines, text, length, policy, out, err)) != WZ_OK)
            break;
    wz_lines_close(&lines);
    if (status == WZ_OK && out->count == 0)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: no pairs; each line is {\"prompt\": .., \"completion\": ..}",
                       path);
    return status == WZ_OK ? wz_pairs_finish(out, err) : status;
}
