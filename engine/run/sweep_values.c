#include "engine/run/sweep_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *wz_sweep_next(const wz_text *list, const char *at)
{
    if (at == NULL)
        return list->length > 0 ? list->data : NULL;
    at += strlen(at) + 1;
    return at < list->data + list->length ? at : NULL;
}

bool wz_sweep_has(const wz_text *list, const char *text)
{
    for (const char *at = NULL; (at = wz_sweep_next(list, at)) != NULL;)
        if (strcmp(at, text) == 0)
            return true;
    return false;
}

wz_status wz_sweep_add(wz_text *list, const char *text, wz_error *err)
{
    return wz_text_append(list, text, strlen(text) + 1, err);
}

const char *wz_sweep_piece_end(const char *at, char separator)
{
    int depth = 0;
    bool is_quoted = false;
    for (; *at != '\0' && (*at != separator || depth > 0 || is_quoted); at++) {
        is_quoted ^= *at == '"';
        if (!is_quoted)
            depth += (*at == '[') - (*at == ']' && depth > 0);
    }
    return depth > 0 || is_quoted ? NULL : at;
}

wz_status wz_sweep_put_value(wz_text *out, const char *at, size_t length, wz_error *err)
{
    for (; length > 0 && *at == ' '; at++)
        length--;
    while (length > 0 && at[length - 1] == ' ')
        length--;
    if (length >= 2 && ((at[0] == '"' && at[length - 1] == '"') || (at[0] == '[' && at[length - 1] == ']'))) {
        at++;
        length -= 2;
    }
    wz_status status = wz_text_append(out, at, length, err);
    return status == WZ_OK ? wz_text_append(out, "", 1, err) : status;
}

/* lo..hi, both whole numbers; false: the item is a value. */
static bool parse_range(const char *item, long long *low, long long *high)
{
    char *end = NULL;
    errno = 0;
    *low = strtoll(item, &end, 10);
    if (end == item || item[0] == ' ' || strncmp(end, "..", 2) != 0)
        return false;
    const char *second = end + 2;
    *high = strtoll(second, &end, 10);
    return end != second && second[0] != ' ' && *end == '\0' && errno == 0;
}

static wz_status add_range(wz_text *values, const char *item, long long low, long long high, wz_error *err)
{
    char number[32];
    wz_status status = WZ_OK;
    if (low > high || (unsigned long long)high - (unsigned long long)low >= WZ_SWEEP_POINTS)
        return wz_fail(err, WZ_ERR_USAGE, "'%.64s': expected a range from low to high of at most %d numbers",
                       item, WZ_SWEEP_POINTS);
    for (long long i = 0; status == WZ_OK && i <= high - low; i++) {
        (void)snprintf(number, sizeof number, "%lld", low + i);
        status = wz_sweep_add(values, number, err);
    }
    return status;
}

/* One item between commas. */
static wz_status add_item(wz_text *values, const char *at, size_t length, wz_error *err)
{
    long long low = 0, high = 0;
    wz_text item = {0};
    wz_status status = wz_sweep_put_value(&item, at, length, err);
    const bool is_bare = status == WZ_OK && length == strlen(item.data); /* "0..2" in quotes is a text */
    if (status == WZ_OK && length > 0 && is_bare && parse_range(item.data, &low, &high))
        status = add_range(values, item.data, low, high, err);
    else if (status == WZ_OK)
        status = wz_sweep_add(values, item.data, err);
    wz_text_clear(&item);
    return status;
}

wz_status wz_sweep_split(const char *text, wz_text *values, wz_error *err)
{
    wz_status status = WZ_OK;
    for (const char *at = text, *end = text; status == WZ_OK && end != NULL; at = end + 1) {
        end = wz_sweep_piece_end(at, ',');
        if (end == NULL)
            return wz_fail(err, WZ_ERR_USAGE, "'%.64s': a bracket or quotation mark is not closed", text);
        const bool is_all = at == text && *end == '\0'; /* a key may be set to nothing */
        if (!is_all && strspn(at, " ") >= (size_t)(end - at))
            return wz_fail(err, WZ_ERR_USAGE,
                           "'%.64s': an empty item: remove a comma, or write \"\" for an empty value", text);
        status = add_item(values, at, (size_t)(end - at), err);
        if (*end == '\0')
            break;
    }
    return status;
}
