#include "engine/run/sweep_grid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One key with several values, or the sets: settings that take each other's place. */
typedef struct axis {
    wz_sweep_point *settings; /* assignments: its own alone */
    size_t count, capacity;
} axis;

typedef struct builder {
    axis *axes;
    size_t count, capacity;
    wz_text given;   /* keys of arguments */
    size_t own_keys; /* bytes of grid->keys that came with arguments, and not with sets */
    bool is_star;
    wz_sweep_grid *grid;
    wz_error *err;
} builder;

const char *wz_sweep_next(const wz_text *list, const char *at)
{
    if (at == NULL)
        return list->length > 0 ? list->data : NULL;
    at += strlen(at) + 1;
    return at < list->data + list->length ? at : NULL;
}

static bool contains(const wz_text *list, const char *text)
{
    for (const char *at = NULL; (at = wz_sweep_next(list, at)) != NULL;)
        if (strcmp(at, text) == 0)
            return true;
    return false;
}

static wz_status add(wz_text *list, const char *text, wz_error *err)
{
    return wz_text_append(list, text, strlen(text) + 1, err);
}

static void clear_points(wz_sweep_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        wz_text_clear(&points[i].name);
        wz_text_clear(&points[i].assignments);
    }
    free(points);
}

void wz_sweep_grid_clear(wz_sweep_grid *grid)
{
    clear_points(grid->points, grid->count);
    wz_text_clear(&grid->fixed);
    wz_text_clear(&grid->seeds);
    wz_text_clear(&grid->keys);
    *grid = (wz_sweep_grid){0};
}

/* A new point, empty; NULL: no memory. */
static wz_sweep_point *add_point(wz_sweep_point **points, size_t *count, size_t *capacity, wz_error *err)
{
    void *grown = *points;
    const wz_status status = wz_grow(&grown, capacity, *count + 1, sizeof **points, "points of a sweep", err);
    *points = grown;
    if (status != WZ_OK)
        return NULL;
    (*points)[*count] = (wz_sweep_point){0};
    return &(*points)[(*count)++];
}

static axis *add_axis(builder *b)
{
    void *grown = b->axes;
    const wz_status status = wz_grow(&grown, &b->capacity, b->count + 1, sizeof *b->axes, "a sweep", b->err);
    b->axes = grown;
    if (status != WZ_OK)
        return NULL;
    b->axes[b->count] = (axis){0};
    return &b->axes[b->count++];
}

/* ---- pieces of an argument ---- */

/* The end of the piece at `at`: the next separator outside of brackets and double quotes, or the text's. NULL: one of those
 * is not closed. */
static const char *piece_end(const char *at, char separator)
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

/* Puts at[length] into out without blanks, quotes or brackets around it. */
static wz_status put_value(wz_text *out, const char *at, size_t length, wz_error *err)
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
        status = add(values, number, err);
    }
    return status;
}

/* One item between commas. */
static wz_status add_item(wz_text *values, const char *at, size_t length, wz_error *err)
{
    long long low = 0, high = 0;
    wz_text item = {0};
    wz_status status = put_value(&item, at, length, err);
    const bool is_bare = status == WZ_OK && length == strlen(item.data); /* "0..2" in quotes is a text */
    if (status == WZ_OK && length > 0 && is_bare && parse_range(item.data, &low, &high))
        status = add_range(values, item.data, low, high, err);
    else if (status == WZ_OK)
        status = add(values, item.data, err);
    wz_text_clear(&item);
    return status;
}

/* "a,b,c" as a list of terminated values. */
static wz_status split_values(const char *text, wz_text *values, wz_error *err)
{
    wz_status status = WZ_OK;
    for (const char *at = text, *end = text; status == WZ_OK && end != NULL; at = end + 1) {
        end = piece_end(at, ',');
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

/* ---- arguments and sets ---- */

static wz_status put_assignment(wz_text *out, const char *key, const char *value, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "%s=%s", key, value);
    return status == WZ_OK ? wz_text_append(out, "", 1, err) : status;
}

/* A value's name in a point's: as it was written, on one line. */
static wz_status add_setting(axis *to, const char *key, const char *value, wz_error *err)
{
    wz_sweep_point *setting = add_point(&to->settings, &to->count, &to->capacity, err);
    if (setting == NULL)
        return WZ_ERR_RESOURCE;
    wz_status status = wz_text_printf(&setting->name, err, "%s=%s", key, value);
    return status == WZ_OK ? put_assignment(&setting->assignments, key, value, err) : status;
}

static size_t count_texts(const wz_text *list)
{
    size_t count = 0;
    for (const char *at = NULL; (at = wz_sweep_next(list, at)) != NULL;)
        count++;
    return count;
}

static wz_status take_values(builder *b, const char *key, const wz_text *values)
{
    wz_status status = WZ_OK;
    if (strcmp(key, "seed") == 0) {
        for (const char *at = NULL; status == WZ_OK && (at = wz_sweep_next(values, at)) != NULL;)
            status = contains(&b->grid->seeds, at) ? WZ_OK : add(&b->grid->seeds, at, b->err);
        return status;
    }
    if (count_texts(values) == 1)
        return put_assignment(&b->grid->fixed, key, values->data, b->err);
    axis *new_axis = add_axis(b);
    status = new_axis == NULL ? WZ_ERR_RESOURCE : add(&b->grid->keys, key, b->err);
    for (const char *at = NULL; status == WZ_OK && (at = wz_sweep_next(values, at)) != NULL;)
        status = add_setting(new_axis, key, at, b->err);
    return status;
}

/* The key of "key=...", in key; WZ_ERR_USAGE: it has none. */
static wz_status take_key(const char *text, wz_text *key, wz_error *err)
{
    const size_t length = strcspn(text, "=");
    if (text[length] == '\0' || length == 0)
        return wz_fail(err, WZ_ERR_USAGE, "'%.96s': expected key=value, key=a,b,c or key=0..2", text);
    return wz_text_append(key, text, length, err);
}

static wz_status take_argument(builder *b, const char *argument)
{
    wz_text key = {0}, values = {0};
    wz_status status = take_key(argument, &key, b->err);
    if (status == WZ_OK && contains(&b->given, key.data))
        status =
            wz_fail(b->err, WZ_ERR_USAGE,
                    "%.96s is given twice: list its values with commas, as in %.96s=a,b", key.data, key.data);
    if (status == WZ_OK)
        status = add(&b->given, key.data, b->err);
    if (status == WZ_OK) {
        status = split_values(argument + key.length + 1, &values, b->err);
        if (status != WZ_OK)
            (void)wz_fail_prefix(b->err, status, "%.96s: ", key.data);
    }
    if (status == WZ_OK)
        status = take_values(b, key.data, &values);
    wz_text_clear(&key);
    wz_text_clear(&values);
    return status;
}

/* "key=value" of a set. */
static wz_status take_member(builder *b, wz_sweep_point *set, const char *at, size_t length)
{
    wz_text piece = {0}, key = {0}, value = {0};
    wz_status status = wz_text_append(&piece, at, length, b->err);
    if (status == WZ_OK)
        status = take_key(piece.data, &key, b->err);
    const wz_text own = {.data = b->grid->keys.data, .length = b->own_keys};
    if (status == WZ_OK && strcmp(key.data, "seed") == 0)
        status =
            wz_fail(b->err, WZ_ERR_USAGE, "every point is run with each seed: give seed=... beside the sets");
    else if (status == WZ_OK && !b->is_star && contains(&own, key.data))
        status = wz_fail(b->err, WZ_ERR_USAGE,
                         "%.96s has several values of its own, which are combined with each set", key.data);
    if (status == WZ_OK)
        status = put_value(&value, piece.data + key.length + 1, piece.length - key.length - 1, b->err);
    if (status == WZ_OK)
        status = put_assignment(&set->assignments, key.data, value.data, b->err);
    if (status == WZ_OK && !contains(&b->grid->keys, key.data))
        status = add(&b->grid->keys, key.data, b->err);
    wz_text_clear(&piece);
    wz_text_clear(&key);
    wz_text_clear(&value);
    return status;
}

/* "NAME: key=value key=value"; nothing after the colon: the configuration's own point under this name. */
static wz_status take_set(builder *b, axis *sets, const char *text)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon == text || memchr(text, '=', (size_t)(colon - text)) != NULL)
        return wz_fail(b->err, WZ_ERR_USAGE, "--set '%.96s': expected \"NAME: key=value key=value\"", text);
    if (strncmp(text, WZ_SWEEP_BASELINE ":", strlen(WZ_SWEEP_BASELINE ":")) == 0)
        return wz_fail(b->err, WZ_ERR_USAGE,
                       "--set '%.96s': " WZ_SWEEP_BASELINE
                       " is the configuration's own point: choose another name",
                       text);
    for (size_t i = 0; i < sets->count; i++)
        if (strncmp(sets->settings[i].name.data, text, (size_t)(colon - text)) == 0 &&
            sets->settings[i].name.length == (size_t)(colon - text))
            return wz_fail(b->err, WZ_ERR_USAGE, "two sets are called '%s'", sets->settings[i].name.data);
    wz_sweep_point *set = add_point(&sets->settings, &sets->count, &sets->capacity, b->err);
    if (set == NULL)
        return WZ_ERR_RESOURCE;
    set->is_named = true;
    wz_status status = wz_text_append(&set->name, text, (size_t)(colon - text), b->err);
    for (const char *at = colon + 1; status == WZ_OK && *(at += strspn(at, " ")) != '\0';) {
        const char *end = piece_end(at, ' ');
        status = end == NULL ? wz_fail(b->err, WZ_ERR_USAGE, "a bracket or quotation mark is not closed")
                             : take_member(b, set, at, (size_t)(end - at));
        if (status != WZ_OK)
            return wz_fail_prefix(b->err, status, "--set '%.96s': ", text);
        at = end;
    }
    return status;
}

static wz_status take_sets(builder *b, const wz_sweep_request *request)
{
    if (request->set_count == 0)
        return WZ_OK;
    b->own_keys = b->grid->keys.length;
    axis *sets = add_axis(b);
    wz_status status = sets == NULL ? WZ_ERR_RESOURCE : WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < request->set_count; i++)
        status = take_set(b, sets, request->sets[i]);
    return status;
}

/* ---- points ---- */

/* A point of the shared assignments and of settings[count], which may be none. */
static wz_status put_point(builder *b, const wz_sweep_point *const *settings, size_t count)
{
    wz_sweep_grid *grid = b->grid;
    wz_sweep_point *point = add_point(&grid->points, &grid->count, &grid->capacity, b->err);
    if (point == NULL)
        return WZ_ERR_RESOURCE;
    wz_status status = WZ_OK;
    if (status == WZ_OK && count == 0)
        status = wz_text_append(&point->name, WZ_SWEEP_BASELINE, strlen(WZ_SWEEP_BASELINE), b->err);
    for (size_t i = 0; status == WZ_OK && i < count; i++) {
        point->is_named |= settings[i]->is_named;
        status = wz_text_printf(&point->name, b->err, "%s%s", i > 0 ? " " : "", settings[i]->name.data);
        if (status == WZ_OK && settings[i]->assignments.length > 0)
            status = wz_text_append(&point->assignments, settings[i]->assignments.data,
                                    settings[i]->assignments.length, b->err);
    }
    for (size_t i = 0; status == WZ_OK && i + 1 < grid->count; i++)
        if (strcmp(grid->points[i].name.data, point->name.data) == 0) {
            wz_text_clear(&point->name);
            wz_text_clear(&point->assignments);
            grid->count--;
            break;
        }
    return status;
}

static wz_status put_star(builder *b)
{
    wz_status status = put_point(b, NULL, 0);
    for (size_t a = 0; a < b->count; a++)
        for (size_t i = 0; status == WZ_OK && i < b->axes[a].count; i++) {
            const wz_sweep_point *setting = &b->axes[a].settings[i];
            status = put_point(b, &setting, 1);
        }
    return status;
}

static wz_status put_product(builder *b)
{
    const wz_sweep_point **settings = NULL;
    size_t total = 1;
    wz_status status = WZ_OK;
    for (size_t a = 0; a < b->count; a++) {
        total *= b->axes[a].count; /* at most 10,000 by 10,000 */
        if (total > WZ_SWEEP_POINTS)
            return wz_fail(b->err, WZ_ERR_USAGE,
                           "the grid has over %d points; --one-at-a-time varies each key alone",
                           WZ_SWEEP_POINTS);
    }
    settings = calloc(b->count + 1, sizeof *settings);
    if (settings == NULL)
        status = wz_fail(b->err, WZ_ERR_RESOURCE, "out of memory for the points of a sweep");
    for (size_t i = 0; status == WZ_OK && i < total; i++) {
        for (size_t a = b->count, rest = i; a-- > 0; rest /= b->axes[a].count)
            settings[a] = &b->axes[a].settings[rest % b->axes[a].count];
        status = put_point(b, settings, b->count);
    }
    free(settings);
    return status;
}

wz_status wz_sweep_expand(const wz_sweep_request *request, wz_sweep_grid *out, wz_error *err)
{
    builder b = {.is_star = request->one_at_a_time, .grid = out, .err = err};
    wz_status status = WZ_OK;
    *out = (wz_sweep_grid){0};
    for (size_t i = 0; status == WZ_OK && i < request->argument_count; i++)
        status = take_argument(&b, request->arguments[i]);
    if (status == WZ_OK)
        status = take_sets(&b, request);
    if (status == WZ_OK)
        status = request->one_at_a_time ? put_star(&b) : put_product(&b);
    for (size_t a = 0; a < b.count; a++)
        clear_points(b.axes[a].settings, b.axes[a].count);
    free(b.axes);
    wz_text_clear(&b.given);
    if (status != WZ_OK)
        wz_sweep_grid_clear(out);
    return status;
}
