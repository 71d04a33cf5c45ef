/* The keys of a GGUF file that was read: by name, as the type that the caller wants. */
#include <stdlib.h>
#include <string.h>

#include "checkpoints/gguf.h"

size_t wz_gguf_item_bytes(uint32_t type)
{
    static const size_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof bytes / sizeof bytes[0] ? bytes[type] : 0;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const wz_gguf_value *)a)->key, ((const wz_gguf_value *)b)->key);
}

wz_status wz_gguf_sort_keys(wz_gguf *file, wz_error *err)
{
    if (file->value_count > 1)
        qsort(file->values, file->value_count, sizeof *file->values, compare_keys);
    for (size_t i = 1; i < file->value_count; i++)
        if (compare_keys(&file->values[i - 1], &file->values[i]) == 0)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: key '%.100s' is given twice", file->path,
                           file->values[i].key);
    return WZ_OK;
}

static int compare_with_key(const void *key, const void *value)
{
    return strcmp(key, ((const wz_gguf_value *)value)->key);
}

const wz_gguf_value *wz_gguf_find(const wz_gguf *file, const char *key)
{
    return file->value_count == 0
               ? NULL
               : bsearch(key, file->values, file->value_count, sizeof *file->values, compare_with_key);
}

static wz_status fail_key(const wz_gguf *file, const char *key, const wz_gguf_value *value, const char *what,
                          wz_error *err)
{
    return value == NULL ? wz_fail(err, WZ_ERR_CORRUPT, "%s: key '%s' is missing", file->path, key)
                         : wz_fail(err, WZ_ERR_CORRUPT, "%s: key '%s' is no %s", file->path, key, what);
}

static bool read_integer(const char *bytes, wz_gguf_type type, int64_t *out)
{
    uint64_t raw = 0;
    const bool is_signed = type == WZ_GGUF_I8 || type == WZ_GGUF_I16 || type == WZ_GGUF_I32;
    const size_t size = wz_gguf_item_bytes(type);
    if (size == 0 || type == WZ_GGUF_F32 || type == WZ_GGUF_F64)
        return false;
    memcpy(&raw, bytes, size);
    if (is_signed && (raw >> (8 * size - 1) & 1) != 0)
        raw |= ~(uint64_t)0 << (8 * size);
    *out = (int64_t)raw;
    return type != WZ_GGUF_U64 || raw <= INT64_MAX;
}

wz_status wz_gguf_get_integer(const wz_gguf *file, const char *key, const int64_t *otherwise, int64_t *out,
                              wz_error *err)
{
    const wz_gguf_value *value = wz_gguf_find(file, key);
    if (value == NULL && otherwise != NULL) {
        *out = *otherwise;
        return WZ_OK;
    }
    return value != NULL && read_integer(file->blob.data + value->at, value->type, out)
               ? WZ_OK
               : fail_key(file, key, value, "integer", err);
}

wz_status wz_gguf_get_number(const wz_gguf *file, const char *key, const double *otherwise, double *out,
                             wz_error *err)
{
    const wz_gguf_value *value = wz_gguf_find(file, key);
    if (value == NULL && otherwise != NULL) {
        *out = *otherwise;
        return WZ_OK;
    }
    if (value == NULL || (value->type != WZ_GGUF_F32 && value->type != WZ_GGUF_F64))
        return fail_key(file, key, value, "number", err);
    float single = 0.0f;
    if (value->type == WZ_GGUF_F64) {
        memcpy(out, file->blob.data + value->at, sizeof *out);
        return WZ_OK;
    }
    memcpy(&single, file->blob.data + value->at, sizeof single);
    *out = (double)single;
    return WZ_OK;
}

wz_status wz_gguf_get_string(const wz_gguf *file, const char *key, const char *otherwise, const char **out,
                             size_t *length, wz_error *err)
{
    const wz_gguf_value *value = wz_gguf_find(file, key);
    if (value == NULL && otherwise != NULL) {
        *out = otherwise;
        *length = strlen(otherwise);
        return WZ_OK;
    }
    if (value == NULL || value->type != WZ_GGUF_STRING)
        return fail_key(file, key, value, "string", err);
    *out = value->count > 0 ? file->blob.data + value->at : "";
    *length = (size_t)value->count;
    return WZ_OK;
}

wz_status wz_gguf_get_strings(const wz_gguf *file, const char *key, const wz_gguf_value **out, wz_error *err)
{
    *out = wz_gguf_find(file, key);
    return *out != NULL && (*out)->type == WZ_GGUF_ARRAY && (*out)->item_type == WZ_GGUF_STRING
               ? WZ_OK
               : fail_key(file, key, *out, "list of strings", err);
}

const char *wz_gguf_next_string(const wz_gguf *file, const wz_gguf_value *array, size_t *at, size_t *length)
{
    uint64_t size = 0;
    const char *bytes = file->blob.data + array->at + *at;
    memcpy(&size, bytes, sizeof size);
    *length = (size_t)size;
    *at += sizeof size + (size_t)size;
    return bytes + sizeof size;
}

int64_t wz_gguf_integer_at(const wz_gguf *file, const wz_gguf_value *array, uint64_t i)
{
    int64_t value = 0;
    (void)read_integer(file->blob.data + array->at + (size_t)i * wz_gguf_item_bytes(array->item_type),
                       array->item_type, &value);
    return value;
}
