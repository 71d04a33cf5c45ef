#include "engine/run/sweep_grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/sweep_values.h"

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
            status = wz_sweep_has(&b->grid->seeds, at) ? WZ_OK : wz_sweep_add(&b->grid->seeds, at, b->err);
        return status;
    }
    if (count_texts(values) == 1)
        return put_assignment(&b->grid->fixed, key, values->data, b->err);
    axis *new_axis = add_axis(b);
    status = new_axis == NULL ? WZ_ERR_RESOURCE : wz_sweep_add(&b->grid->keys, key, b->err);
    for (const char *at = NULL; status == WZ_OK && (at = wz_sweep_next(values, at)) != NULL;)
        status = add_setting(new_axis, key, at, b->err);
    return status;
}

/* Bytes of the key of "key=..."; 0: it has none. */
static size_t key_length(const char *text)
{
    const size_t length = strcspn(text, "=");
    return text[length] == '\0' ? 0 : length;
}

static wz_status fail_key(const char *text, wz_error *err)
{
    return wz_fail(err, WZ_ERR_USAGE, "'%.96s': expected key=value, key=a,b,c or key=0..2", text);
}

static wz_status take_argument(builder *b, const char *argument)
{
    wz_text key = {0}, values = {0};
    if (key_length(argument) == 0)
        return fail_key(argument, b->err);
    wz_status status = wz_text_append(&key, argument, key_length(argument), b->err);
    if (status == WZ_OK && wz_sweep_has(&b->given, key.data))
        status =
            wz_fail(b->err, WZ_ERR_USAGE,
                    "%.96s is given twice: list its values with commas, as in %.96s=a,b", key.data, key.data);
    if (status == WZ_OK)
        status = wz_sweep_add(&b->given, key.data, b->err);
    if (status == WZ_OK) {
        status = wz_sweep_split(argument + key.length + 1, &values, b->err);
        if (status != WZ_OK)
            (void)wz_fail_prefix(b->err, status, "%.96s: ", key.data);
    }
    if (status == WZ_OK)
        status = take_values(b, key.data, &values);
    wz_text_clear(&key);
    wz_text_clear(&values);
    return status;
}

static wz_status check_member(const builder *b, const char *key)
{
    const wz_text own = {.data = b->grid->keys.data, .length = b->own_keys};
    if (strcmp(key, "seed") == 0)
        return wz_fail(b->err, WZ_ERR_USAGE,
                       "every point is run with each seed: give seed=... beside the sets");
    if (!b->is_star && wz_sweep_has(&own, key))
        return wz_fail(b->err, WZ_ERR_USAGE,
                       "%.96s has several values of its own, which are combined with each set", key);
    return WZ_OK;
}

/* "key=value" of a set, which ends at `end`. */
static wz_status take_member(builder *b, wz_sweep_point *set, const char *at, const char *end)
{
    wz_text key = {0}, value = {0};
    const size_t length = key_length(at);
    if (length == 0 || length >= (size_t)(end - at))
        return fail_key(at, b->err);
    wz_status status = wz_text_append(&key, at, length, b->err);
    if (status == WZ_OK)
        status = check_member(b, key.data);
    if (status == WZ_OK)
        status = wz_sweep_put_value(&value, at + length + 1, (size_t)(end - at) - length - 1, b->err);
    if (status == WZ_OK)
        status = put_assignment(&set->assignments, key.data, value.data, b->err);
    if (status == WZ_OK && !wz_sweep_has(&b->grid->keys, key.data))
        status = wz_sweep_add(&b->grid->keys, key.data, b->err);
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
        const char *end = wz_sweep_piece_end(at, ' ');
        if (end == NULL)
            return wz_fail(b->err, WZ_ERR_USAGE, "--set '%.96s': a bracket or quotation mark is not closed",
                           text);
        status = take_member(b, set, at, end);
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
    for (size_t a = 0; a < b->count; a++) {
        total *= b->axes[a].count; /* at most 10,000 by 10,000 */
        if (total > WZ_SWEEP_POINTS)
            return wz_fail(b->err, WZ_ERR_USAGE,
                           "the grid has over %d points; --one-at-a-time varies each key alone",
                           WZ_SWEEP_POINTS);
    }
    settings = calloc(b->count + 1, sizeof *settings);
    if (settings == NULL)
        return wz_fail(b->err, WZ_ERR_RESOURCE, "out of memory for the points of a sweep");
    wz_status status = WZ_OK;
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
