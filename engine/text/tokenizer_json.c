#include "engine/text/tokenizer_json.h"

#include <string.h>

const char *wz_json_kind(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a string", "an integer",
                                        "a number",  "true",     "false",    "null"};
    return value == NULL ? "nothing" : names[json_typeof(value)];
}

const char *wz_json_type(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type == NULL ? "" : type;
}

static wz_status read_members(wz_tokenizer *tokenizer, const json_t *root, const wz_tokenizer_lists *lists,
                              wz_error *err)
{
    static const char *const unsupported[] = {"truncation", "padding"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *value = json_object_get(root, unsupported[i]);
        if (value != NULL && !json_is_null(value))
            return wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: '%s' is %s; only null is supported",
                           unsupported[i], wz_json_kind(value));
    }
    wz_status status = wz_read_model(tokenizer, json_object_get(root, "model"), lists,
                                     json_object_get(root, "added_tokens"), err);
    if (status == WZ_OK)
        status = wz_read_normalizer(tokenizer, json_object_get(root, "normalizer"), err);
    if (status == WZ_OK)
        status = wz_read_pretokenizer(tokenizer, json_object_get(root, "pre_tokenizer"), err);
    if (status == WZ_OK)
        status = wz_read_postprocessor(tokenizer, json_object_get(root, "post_processor"), err);
    if (status == WZ_OK)
        status = wz_read_decoder(json_object_get(root, "decoder"), err);
    return status;
}

static wz_status read_file(const char *json, size_t length, wz_tokenizer *tokenizer, wz_error *err)
{
    wz_tokenizer_lists lists = {.tokens = NULL};
    json_t *root = NULL;
    wz_status status = wz_tokenizer_lists_read(&lists, json, length, err);
    if (status == WZ_OK)
        root = json_loadb(lists.rest.data, lists.rest.length, JSON_REJECT_DUPLICATES, NULL);
    if (status == WZ_ERR_CORRUPT || (status == WZ_OK && root == NULL))
        status = wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: not valid JSON");
    if (status == WZ_OK && !json_is_object(root))
        status = wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: the file is %s instead of an object",
                         wz_json_kind(root));
    if (status == WZ_OK)
        status = read_members(tokenizer, root, &lists, err);
    json_decref(root);
    wz_tokenizer_lists_clear(&lists);
    return status;
}

/* Of a file that was refused: where it is no JSON, that is what is wrong with it, and where. */
static wz_status check_json(const char *json, size_t length, wz_error *err)
{
    json_error_t problem;
    json_t *root = json_loadb(json, length, JSON_REJECT_DUPLICATES, &problem);
    const bool sound = root != NULL;
    json_decref(root);
    return sound ? WZ_OK
                 : wz_fail(err, WZ_ERR_CORRUPT, "tokenizer.json: line %d, column %d: %s", problem.line,
                           problem.column, problem.text);
}

wz_status wz_tokenizer_create(const char *json, size_t length, wz_tokenizer **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_tokenizer), "tokenizer", err);
    if (status == WZ_OK)
        status = read_file(json, length, block, err);
    if (status == WZ_ERR_CORRUPT)
        (void)check_json(json, length, err);
    if (status == WZ_OK)
        *out = block;
    else
        wz_tokenizer_destroy(block);
    return status;
}
