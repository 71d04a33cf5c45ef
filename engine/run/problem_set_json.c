/* Problem sets as JSON lines. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/core/file.h"
#include "engine/core/json.h"
#include "engine/core/lines.h"
#include "engine/core/output.h"
#include "engine/core/suggest.h"
#include "engine/run/problem_set_internal.h"
#include "tasks/task_json.h"

/* ---- writing ---- */

typedef struct json_writer {
    wz_log file; /* of the temporary */
    wz_text line, temporary;
    char *path;
    bool is_made, is_finished;
} json_writer;

static void write_origin(const wz_set_entry *entry, wz_json *json)
{
    const wz_problem *problem = &entry->problem;
    wz_json_field_string(json, "split", wz_split_name(problem->split));
    wz_json_field_integer(json, "index", problem->index);
    if (entry->seed != WZ_SET_NO_SEED) {
        wz_json_field_integer(json, "seed", entry->seed);
        return;
    }
    wz_json_key(json, "seed");
    wz_json_null(json);
    wz_json_key(json, "rows");
    wz_json_begin_array(json);
    for (size_t i = 0; i < problem->size; i++)
        wz_json_integer(json, problem->source[i] + 1);
    wz_json_end_array(json);
    wz_json_field_integer(json, "clipped", (int64_t)problem->clipped);
}

static wz_status write_line(const wz_set_entry *entry, wz_text *line, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, line, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "task", entry->problem.task->name);
    wz_json_key(&json, "options");
    wz_task_json_options(&json, entry->problem.task, entry->problem.values);
    write_origin(entry, &json);
    wz_json_key(&json, "numbers");
    wz_json_begin_array(&json);
    for (size_t i = 0; i < entry->problem.number_count; i++)
        wz_json_integer(&json, entry->problem.numbers[i]);
    wz_json_end_array(&json);
    wz_json_field_string(&json, "prompt_style", wz_set_style_names[entry->style]);
    wz_json_field_string(&json, "prompt", entry->prompt.data);
    wz_json_field_number(&json, "reference", entry->reference.objective);
    wz_json_field_string(&json, "reference_kind", wz_reference_kind_name(entry->reference.kind));
    wz_json_key(&json, "decision");
    wz_json_begin_array(&json);
    for (size_t i = 0; i < entry->decision_count; i++)
        wz_json_integer(&json, entry->decision[i]);
    wz_json_end_array(&json);
    wz_json_field_number(&json, "decision_objective", entry->reference.decided);
    wz_json_field_number(&json, "best_trivial", entry->reference.best_trivial);
    wz_json_field_integer(&json, "text_version", entry->problem.task->text_version);
    wz_json_field_string(&json, "digest", entry->digest);
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(line, "\n", 1, err) : status;
}

static void abandon(void *state)
{
    json_writer *w = state;
    if (w == NULL)
        return;
    if (w->is_made && !w->is_finished)
        (void)unlink(w->temporary.data);
    wz_log_close(&w->file);
    wz_text_clear(&w->line);
    wz_text_clear(&w->temporary);
    free(w->path);
    free(w);
}

static wz_status create(const char *path, void **state, wz_error *err)
{
    void *block = NULL;
    *state = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(json_writer), "a problem set", err);
    if (status != WZ_OK)
        return status;
    json_writer *w = block;
    w->path = strdup(path);
    status = w->path != NULL ? wz_output_temporary(path, &w->temporary, err)
                             : wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a path");
    if (status == WZ_OK)
        status = wz_log_create(&w->file, w->temporary.data, path, err);
    w->is_made = status == WZ_OK;
    if (status != WZ_OK)
        abandon(w);
    else
        *state = w;
    return status;
}

static wz_status add(void *state, const wz_set_entry *entry, wz_error *err)
{
    json_writer *w = state;
    w->line.length = 0;
    wz_status status = write_line(entry, &w->line, err);
    if (status == WZ_OK && w->line.length > WZ_SET_LINE_MAX)
        status = wz_fail(err, WZ_ERR_RUNTIME, "%s: problem %u is a line of %zu bytes; %zu are possible",
                         w->path, (unsigned)entry->problem.index, w->line.length, WZ_SET_LINE_MAX);
    return status == WZ_OK ? wz_log_append(&w->file, w->line.data, w->line.length, err) : status;
}

static wz_status finish(void *state, const char *digest, wz_error *err)
{
    json_writer *w = state;
    uint64_t length = 0;
    (void)digest; /* readers make it anew: lines may be cut out and joined */
    wz_status status = wz_log_sync(&w->file, &length, err);
    wz_log_close(&w->file);
    if (status != WZ_OK)
        return status;
    w->is_finished = true; /* a failing commit removes the temporary itself */
    return wz_file_commit(w->temporary.data, w->path, err);
}

/* ---- reading ---- */

typedef struct json_reader {
    wz_lines lines;
    char *path;
    json_t *line;
    int32_t *integers; /* numbers, decision and rows of the line */
    size_t capacity;
} json_reader;

static void close_reader(void *state)
{
    json_reader *r = state;
    if (r == NULL)
        return;
    wz_lines_close(&r->lines);
    json_decref(r->line);
    free(r->integers);
    free(r->path);
    free(r);
}

static wz_status open_reader(const char *path, void **state, wz_error *err)
{
    void *block = NULL;
    *state = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(json_reader), "a problem set", err);
    if (status != WZ_OK)
        return status;
    json_reader *r = block;
    r->lines.descriptor = -1;
    r->path = strdup(path);
    status = r->path != NULL ? wz_lines_open(&r->lines, r->path, WZ_SET_LINE_MAX, err)
                             : wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a path");
    if (status != WZ_OK)
        close_reader(r);
    else
        *state = r;
    return status;
}

static wz_status read_option(const wz_task_option *option, const json_t *stated, double *value, wz_error *err)
{
    if (stated == NULL)
        return wz_fail(err, WZ_ERR_CORRUPT, "option '%s' is missing", option->name);
    if (json_is_string(stated))
        return wz_set_find_value(option, json_string_value(stated), value, err);
    if (!json_is_number(stated) || option->names != NULL)
        return wz_fail(err, WZ_ERR_CORRUPT, "option '%s' must be %s", option->name,
                       option->names != NULL ? "one of its names" : "a number");
    *value = json_number_value(stated);
    return WZ_OK;
}

static wz_status read_options(const json_t *line, wz_set_record *record, wz_error *err)
{
    const wz_task *task = record->task;
    const json_t *options = json_object_get(line, "options");
    const char *key;
    json_t *value;
    if (!json_is_object(options))
        return wz_fail(err, WZ_ERR_CORRUPT, "key 'options' must be an object of the family's options");
    json_object_foreach((json_t *)options, key, value)
    {
        wz_suggestion nearest = {0};
        size_t i = 0;
        for (; i < task->option_count && strcmp(task->options[i].name, key) != 0; i++)
            wz_suggest(&nearest, key, task->options[i].name);
        if (i == task->option_count)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s has no option '%.64s'%s%s%s", task->name, key,
                           nearest.best != NULL ? " (did you mean '" : "",
                           nearest.best != NULL ? nearest.best : "", nearest.best != NULL ? "'?)" : "");
    }
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < task->option_count; i++) {
        const json_t *stated = json_object_get(options, task->options[i].name);
        if (stated == NULL && wz_task_is_later_option(task, i))
            record->values[i] = task->options[i].default_value;
        else
            status = read_option(&task->options[i], stated, &record->values[i], err);
    }
    return status;
}

/* Appends an array's whole numbers to r->integers from *used on. */
static wz_status read_integers(json_reader *r, const json_t *array, const char *key, size_t *used,
                               size_t *count, wz_error *err)
{
    void *integers = r->integers;
    if (!json_is_array(array))
        return wz_fail(err, WZ_ERR_CORRUPT, "key '%s' must be an array of whole numbers", key);
    *count = json_array_size(array);
    wz_status status =
        wz_grow(&integers, &r->capacity, *used + *count + 1, sizeof *r->integers, "a problem's numbers", err);
    r->integers = integers;
    for (size_t i = 0; status == WZ_OK && i < *count; i++) {
        const json_t *item = json_array_get(array, i);
        const json_int_t value = json_integer_value(item);
        if (!json_is_integer(item) || value < INT32_MIN || value > INT32_MAX)
            status =
                wz_fail(err, WZ_ERR_CORRUPT, "number %zu of '%s' is no whole number of 32 bits", i + 1, key);
        else
            r->integers[(*used)++] = (int32_t)value;
    }
    return status;
}

/* numbers, decision and rows, side by side. */
static wz_status read_arrays(json_reader *r, wz_set_record *record, wz_error *err)
{
    const json_t *rows = json_object_get(r->line, "rows");
    size_t used = 0;
    wz_status status =
        read_integers(r, json_object_get(r->line, "numbers"), "numbers", &used, &record->number_count, err);
    if (status == WZ_OK)
        status = read_integers(r, json_object_get(r->line, "decision"), "decision", &used,
                               &record->decision_count, err);
    if (status == WZ_OK && rows != NULL)
        status = read_integers(r, rows, "rows", &used, &record->row_count, err);
    record->numbers = r->integers;
    record->decision = r->integers + record->number_count;
    record->rows = rows != NULL ? record->decision + record->decision_count : NULL;
    return status;
}

/* A string that must be one of a few names: its number. */
static wz_status read_name(const json_t *line, const char *key, int (*find)(const char *), const char *names,
                           int *out, wz_error *err)
{
    const char *text = json_string_value(json_object_get(line, key));
    *out = text != NULL ? find(text) : -1;
    return *out >= 0 ? WZ_OK : wz_fail(err, WZ_ERR_CORRUPT, "key '%s' must be %s", key, names);
}

static wz_status read_origin(const json_t *line, wz_set_record *record, wz_error *err)
{
    const json_t *index = json_object_get(line, "index"), *seed = json_object_get(line, "seed"),
                 *clipped = json_object_get(line, "clipped");
    int split = 0;
    wz_status status = read_name(line, "split", wz_set_find_split, "train, validation or test", &split, err);
    if (status != WZ_OK)
        return status;
    if (!json_is_integer(index) || json_integer_value(index) < 0 || json_integer_value(index) > UINT32_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "key 'index' must be a whole number from 0 to %u", UINT32_MAX);
    if (!json_is_null(seed) && (!json_is_integer(seed) || json_integer_value(seed) < 0))
        return wz_fail(err, WZ_ERR_CORRUPT, "key 'seed' must be a whole number from 0 on, or null");
    if (clipped != NULL && !json_is_integer(clipped))
        return wz_fail(err, WZ_ERR_CORRUPT, "key 'clipped' must be a whole number");
    record->split = (wz_split)split;
    record->index = (uint32_t)json_integer_value(index);
    record->seed = json_is_null(seed) ? WZ_SET_NO_SEED : (int64_t)json_integer_value(seed);
    record->clipped = clipped == NULL ? 0 : (int64_t)json_integer_value(clipped);
    return WZ_OK;
}

static wz_status read_known(const json_t *line, wz_set_record *record, wz_error *err)
{
    static const char what[] = "a set's line";
    int style = 0, kind = 0;
    wz_reference *reference = &record->reference;
    wz_status status = read_name(line, "prompt_style", wz_set_find_style, "compact or full", &style, err);
    if (status == WZ_OK)
        status = read_name(line, "reference_kind", wz_set_find_kind, "optimum, upper bound or best known",
                           &kind, err);
    if (status == WZ_OK)
        status = wz_json_get_string(line, what, "prompt", &record->prompt, err);
    if (status == WZ_OK)
        status = wz_json_get_string(line, what, "digest", &record->digest, err);
    if (status == WZ_OK)
        status = wz_json_get_number(line, what, "reference", &reference->objective, err);
    if (status == WZ_OK)
        status = wz_json_get_number(line, what, "decision_objective", &reference->decided, err);
    if (status == WZ_OK)
        status = wz_json_get_number(line, what, "best_trivial", &reference->best_trivial, err);
    if (status == WZ_OK)
        status = wz_json_get_integer(line, what, "text_version", &record->text_version, err);
    record->style = (wz_prompt_style)style;
    reference->kind = (wz_reference_kind)kind;
    return status;
}

static wz_status check_keys(const json_t *line, wz_error *err)
{
    static const char *const keys[] = {
        "task",         "options",           "split",          "index",  "seed",
        "rows",         "clipped",           "numbers",        "prompt", "prompt_style",
        "reference",    "decision",          "reference_kind", "digest", "best_trivial",
        "text_version", "decision_objective"};
    const char *key;
    json_t *value;
    if (!json_is_object(line))
        return wz_fail(err, WZ_ERR_CORRUPT, "a line of a problem set is a JSON object");
    json_object_foreach((json_t *)line, key, value)
    {
        wz_suggestion nearest = {0};
        size_t i = 0;
        for (; i < sizeof keys / sizeof keys[0] && strcmp(key, keys[i]) != 0; i++)
            wz_suggest(&nearest, key, keys[i]);
        if (i == sizeof keys / sizeof keys[0])
            return wz_fail(err, WZ_ERR_CORRUPT, "unknown key '%.64s'%s%s%s", key,
                           nearest.best != NULL ? " (did you mean '" : "",
                           nearest.best != NULL ? nearest.best : "", nearest.best != NULL ? "'?)" : "");
    }
    return WZ_OK;
}

static wz_status read_record(json_reader *r, wz_set_record *record, wz_error *err)
{
    const char *task = NULL;
    wz_status status = check_keys(r->line, err);
    if (status == WZ_OK)
        status = wz_json_get_string(r->line, "a set's line", "task", &task, err);
    if (status == WZ_OK)
        status = wz_set_find_task(task, &record->task, err);
    if (status == WZ_OK)
        status = read_options(r->line, record, err);
    if (status == WZ_OK)
        status = read_origin(r->line, record, err);
    if (status == WZ_OK)
        status = read_known(r->line, record, err);
    return status == WZ_OK ? read_arrays(r, record, err) : status;
}

static wz_status next(void *state, wz_set_record *record, wz_text *place, bool *done, wz_error *err)
{
    json_reader *r = state;
    char *line = NULL;
    size_t length = 0;
    json_decref(r->line);
    r->line = NULL;
    wz_status status = wz_lines_next(&r->lines, &line, &length, err);
    *done = line == NULL;
    if (status != WZ_OK || *done)
        return status;
    if (r->lines.number == 1 && strncmp(line, WZ_BYTE_ORDER_MARK, 3) == 0) {
        line += 3;
        length -= 3;
    }
    if (strspn(line, " \t") == length)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s:%zu: a blank line; a set has one problem on each line: remove it", r->path,
                       r->lines.number);
    status = wz_json_parse_from(r->path, r->lines.number, line, length, &r->line, err);
    if (status != WZ_OK)
        return status;
    status = wz_text_printf(place, err, "%s:%zu", r->path, r->lines.number);
    if (status != WZ_OK)
        return status;
    status = read_record(r, record, err);
    return status == WZ_OK ? WZ_OK : wz_fail_prefix(err, status, "%s: ", place->data);
}

const wz_set_format wz_set_json = {
    .create = create,
    .add = add,
    .finish = finish,
    .abandon = abandon,
    .open = open_reader,
    .next = next,
    .close = close_reader,
};
