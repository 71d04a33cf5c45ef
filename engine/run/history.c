#include "engine/run/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/json.h"
#include "engine/core/lines.h"

#define LINE_LIMIT (1u << 20)
#define NAMES_MAX 4096 /* of all rows; ours have some hundred */

static wz_series *find(const wz_history *history, const char *name)
{
    for (size_t i = 0; i < history->count; i++)
        if (strcmp(history->series[i].name, name) == 0)
            return &history->series[i];
    return NULL;
}

const wz_series *wz_history_find(const wz_history *history, const char *name)
{
    return find(history, name);
}

static wz_status add_number(wz_history *history, const char *name, double step, double value, wz_error *err)
{
    wz_series *series = find(history, name);
    if (series == NULL && history->count == NAMES_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "more than %d names of metrics", NAMES_MAX);
    if (series == NULL) {
        const wz_status status = wz_grow((void **)&history->series, &history->capacity, history->count + 1,
                                         sizeof *history->series, "names of metrics", err);
        if (status != WZ_OK)
            return status;
        series = &history->series[history->count++];
        *series = (wz_series){0};
        (void)snprintf(series->name, sizeof series->name, "%s", name);
    }
    wz_status status = wz_grow((void **)&series->step, &series->step_capacity, series->count + 1,
                               sizeof *series->step, "a series of metrics", err);
    if (status == WZ_OK)
        status = wz_grow((void **)&series->value, &series->value_capacity, series->count + 1,
                         sizeof *series->value, "a series of metrics", err);
    if (status != WZ_OK)
        return status;
    series->step[series->count] = step;
    series->value[series->count++] = value;
    return WZ_OK;
}

static wz_status add_member(wz_history *history, const char *name, double step, const json_t *value,
                            wz_error *err)
{
    char numbered[sizeof(((wz_series *)0)->name)];
    wz_status status = WZ_OK;
    if (json_is_number(value))
        return add_number(history, name, step, json_number_value(value), err);
    for (size_t i = 0; status == WZ_OK && i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        (void)snprintf(numbered, sizeof numbered, "%.120s/%zu", name, i + 1);
        if (json_is_number(item))
            status = add_number(history, numbered, step, json_number_value(item), err);
    }
    return status;
}

static wz_status add_alarm(wz_history *history, const json_t *row, const char *where, double step,
                           wz_error *err)
{
    const char *kind = NULL, *message = NULL;
    wz_status status = wz_json_get_string(row, where, "alarm", &kind, err);
    if (status == WZ_OK)
        status = wz_json_get_string(row, where, "message", &message, err);
    if (status == WZ_OK)
        status = wz_grow((void **)&history->alarms, &history->alarm_capacity, history->alarm_count + 1,
                         sizeof *history->alarms, "alarms", err);
    if (status != WZ_OK)
        return status;
    wz_alarm_note *note = &history->alarms[history->alarm_count++];
    *note = (wz_alarm_note){.step = step};
    status = wz_text_printf(&note->kind, err, "%s", kind);
    return status == WZ_OK ? wz_text_printf(&note->message, err, "%s", message) : status;
}

static wz_status add_row(wz_history *history, const char *where, json_t *row, wz_error *err)
{
    const char *name = NULL;
    json_t *value = NULL;
    double step = 0.0;
    wz_status status = wz_json_get_number(row, where, "step", &step, err);
    if (status == WZ_OK && !(step >= history->last_step))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: step %g after step %g", where, step, history->last_step);
    if (status != WZ_OK)
        return status;
    history->last_step = step;
    if (json_object_get(row, "alarm") != NULL)
        return add_alarm(history, row, where, step, err);
    json_object_foreach(row, name, value)
    {
        if (strcmp(name, "step") != 0)
            status = add_member(history, name, step, value, err);
        if (status != WZ_OK)
            return wz_fail_prefix(err, status, "%s: ", where);
    }
    return WZ_OK;
}

static bool ends_with_line_break(const char *path)
{
    FILE *file = fopen(path, "rb");
    const bool ends = file != NULL && fseek(file, -1, SEEK_END) == 0 && fgetc(file) == '\n';
    if (file != NULL)
        (void)fclose(file);
    return ends;
}

/* One line; is_whole: a line that cannot be read is an error. */
static wz_status add_line(wz_history *history, const char *path, size_t number, const char *line,
                          size_t length, bool is_whole, wz_error *err)
{
    char where[600];
    json_t *row = NULL;
    wz_status status = wz_json_parse_from(path, number, line, length, &row, err);
    if (status == WZ_ERR_CORRUPT && !is_whole)
        return WZ_OK;
    (void)snprintf(where, sizeof where, "%.500s:%zu", path, number);
    if (status == WZ_OK && !json_is_object(row))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: not a row of metrics", where);
    if (status == WZ_OK)
        status = add_row(history, where, row, err);
    json_decref(row);
    return status;
}

wz_status wz_history_read(const char *path, wz_history *out, wz_error *err)
{
    wz_lines lines;
    char *line = NULL;
    size_t length = 0;
    *out = (wz_history){0};
    const bool is_whole = ends_with_line_break(path);
    wz_status status = wz_lines_open(&lines, path, LINE_LIMIT, err);
    if (status != WZ_OK)
        return status;
    while (status == WZ_OK && (status = wz_lines_next(&lines, &line, &length, err)) == WZ_OK && line != NULL)
        if (length > 0)
            status = add_line(out, path, lines.number, line, length, is_whole, err);
    wz_lines_close(&lines);
    if (status != WZ_OK)
        wz_history_clear(out);
    return status;
}

void wz_history_clear(wz_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        free(history->series[i].step);
        free(history->series[i].value);
    }
    for (size_t i = 0; i < history->alarm_count; i++) {
        wz_text_clear(&history->alarms[i].kind);
        wz_text_clear(&history->alarms[i].message);
    }
    free(history->series);
    free(history->alarms);
    *history = (wz_history){0};
}

double wz_history_last(const wz_history *history, const char *name)
{
    const wz_series *series = wz_history_find(history, name);
    return series != NULL ? series->value[series->count - 1] : NAN;
}

double wz_history_largest(const wz_history *history, const char *name)
{
    const wz_series *series = wz_history_find(history, name);
    double largest = NAN;
    for (size_t i = 0; series != NULL && i < series->count; i++)
        largest = fmax(largest, series->value[i]);
    return largest;
}
