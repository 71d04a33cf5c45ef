/* Reading problem sets from HDF5. A group's columns are read whole, each after its size was checked against what is
 * stored; then problems come out in the order of their places. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "engine/core/suggest.h"
#include "engine/run/problem_set_hdf5.h"

typedef struct group {
    const wz_task *task;
    double values[WZ_TASK_MAX_OPTIONS];
    int64_t text_version;
    size_t count, next;
    void *columns[WZ_SET_COLUMNS];
    size_t widths[WZ_SET_COLUMNS]; /* elements of a row; bytes of a text */
} group;

typedef struct hdf5_reader {
    char *path;
    group *groups;
    size_t group_count;
    uint16_t *owners; /* (count) the group of each place */
    size_t count, next;
    char digest[WZ_DIGEST_HEX];
    wz_text texts[5]; /* of the present problem, terminated */
} hdf5_reader;

void wz_set_hdf5_close(void *state)
{
    hdf5_reader *r = state;
    if (r == NULL)
        return;
    for (size_t g = 0; r->groups != NULL && g < r->group_count; g++)
        for (size_t c = 0; c < WZ_SET_COLUMNS; c++)
            free(r->groups[g].columns[c]);
    for (size_t t = 0; t < 5; t++)
        wz_text_clear(&r->texts[t]);
    free(r->groups);
    free(r->owners);
    free(r->path);
    free(r);
}

const char *wz_set_hdf5_digest(const void *state)
{
    return ((const hdf5_reader *)state)->digest;
}

static wz_status complain(const hdf5_reader *r, size_t number, const char *name, const char *what,
                          wz_error *err)
{
    return wz_hdf5_fail(err, WZ_ERR_CORRUPT, r->path, "dataset /%04zu/%s %s", number, name, what);
}

/* ---- columns ---- */

/* The dataset's shape and type as a column's; as many bytes stored as they promise. */
static bool measure_column(hid_t dataset, const wz_set_column *column, size_t *count, size_t *width)
{
    hsize_t shape[2] = {0, 1};
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset),
          properties = H5Dget_create_plist(dataset);
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    bool fits = type >= 0 && properties >= 0 && rank == (column->is_matrix ? 2 : 1) &&
                H5Sget_simple_extent_dims(space, shape, NULL) == rank && shape[0] > 0 && shape[1] > 0 &&
                shape[0] < (hsize_t)1 << 32 && shape[1] < (hsize_t)1 << 24;
    *count = (size_t)shape[0];
    *width = column->type != WZ_SET_TEXT ? (size_t)shape[1] : type < 0 ? 0 : H5Tget_size(type);
    hid_t expected = fits && *width > 0 ? wz_set_column_open_type(column->type, *width) : -1;
    if (column->type == WZ_SET_TEXT) /* any padding, any character set */
        fits = fits && *width <= WZ_SET_LINE_MAX && H5Tget_class(type) == H5T_STRING &&
               H5Tis_variable_str(type) == 0;
    else
        fits = fits && expected >= 0 && H5Tequal(type, expected) > 0;
    const size_t bytes = *count * *width * wz_set_column_bytes(column->type, 1);
    fits = fits && H5Pget_external_count(properties) == 0 && H5Dget_storage_size(dataset) >= bytes;
    (void)wz_hdf5_close(H5Tclose, expected);
    (void)wz_hdf5_close(H5Pclose, properties);
    (void)wz_hdf5_close(H5Sclose, space);
    (void)wz_hdf5_close(H5Tclose, type);
    return fits;
}

static wz_status read_column(const hdf5_reader *r, hid_t where, size_t number, wz_set_column_id id,
                             wz_error *err)
{
    group *g = &r->groups[number];
    const wz_set_column *column = &wz_set_columns[id];
    size_t count = 0;
    hid_t type = -1, dataset = H5Dopen2(where, column->name, H5P_DEFAULT);
    if (dataset < 0)
        return complain(r, number, column->name, "is missing", err);
    wz_status status = WZ_OK;
    if (!measure_column(dataset, column, &count, &g->widths[id]))
        status = complain(r, number, column->name,
                          "has another type or shape than a problem set's, or is cut short", err);
    else if (id != WZ_SET_PLACE && count != g->count)
        status = complain(r, number, column->name, "has more or fewer rows than 'place'", err);
    g->count = count;
    if (status == WZ_OK)
        status = wz_alloc(&g->columns[id], count * g->widths[id], wz_set_column_bytes(column->type, 1),
                          "a column of a problem set", err);
    if (status == WZ_OK) {
        type = wz_set_column_open_type(column->type, g->widths[id]);
        if (type < 0 || H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, g->columns[id]) < 0)
            status = complain(r, number, column->name, "is damaged and cannot be read", err);
    }
    (void)wz_hdf5_close(H5Tclose, type);
    (void)wz_hdf5_close(H5Dclose, dataset);
    return status;
}

/* ---- groups ---- */

static herr_t check_option(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    const wz_task *task = *(const wz_task **)context;
    (void)object;
    (void)info;
    return wz_task_find_option(task, name) < task->option_count ? 0 : 1;
}

static wz_status read_options(const hdf5_reader *r, hid_t where, size_t number, wz_error *err)
{
    group *g = &r->groups[number];
    char text[64] = "";
    wz_status status = WZ_OK;
    hid_t options = H5Gopen2(where, "options", H5P_DEFAULT);
    if (options < 0)
        return complain(r, number, "options", "is missing", err);
    for (size_t i = 0; status == WZ_OK && i < g->task->option_count; i++) {
        const wz_task_option *option = &g->task->options[i];
        if (wz_task_is_later_option(g->task, i) && H5Aexists(options, option->name) == 0)
            g->values[i] = option->default_value;
        else if (option->names != NULL && wz_hdf5_read_string(options, option->name, text, sizeof text))
            status = wz_set_find_value(option, text, &g->values[i], err);
        else if (option->names != NULL || !wz_hdf5_read_number(options, option->name, &g->values[i]))
            status = wz_fail(err, WZ_ERR_CORRUPT, "option '%s' is missing or of another type", option->name);
        if (status != WZ_OK)
            status = wz_fail_prefix(err, status, "%s: group /%04zu/options: ", r->path, number);
    }
    if (status == WZ_OK &&
        H5Aiterate2(options, H5_INDEX_NAME, H5_ITER_INC, NULL, check_option, &g->task) != 0)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: group /%04zu/options: an option that %s does not have",
                         r->path, number, g->task->name);
    (void)wz_hdf5_close(H5Gclose, options);
    return status;
}

static wz_status read_group(const hdf5_reader *r, hid_t file, size_t number, wz_error *err)
{
    char name[32], task[64] = "";
    group *g = &r->groups[number];
    (void)snprintf(name, sizeof name, "%04zu", number);
    hid_t where = H5Gopen2(file, name, H5P_DEFAULT);
    if (where < 0)
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, r->path, "group /%s is missing", name);
    wz_status status = WZ_OK;
    if (!wz_hdf5_read_string(where, "task", task, sizeof task) ||
        !wz_hdf5_read_integer(where, "text_version", &g->text_version))
        status = wz_hdf5_fail(err, WZ_ERR_CORRUPT, r->path, "group /%s lacks task or text_version", name);
    if (status == WZ_OK) {
        status = wz_set_find_task(task, &g->task, err);
        if (status != WZ_OK)
            status = wz_fail_prefix(err, status, "%s: group /%s: ", r->path, name);
    }
    if (status == WZ_OK)
        status = read_options(r, where, number, err);
    for (size_t c = 0; status == WZ_OK && c < WZ_SET_COLUMNS; c++)
        status = read_column(r, where, number, (wz_set_column_id)c, err);
    (void)wz_hdf5_close(H5Gclose, where);
    return status;
}

/* Each place is taken by one problem, and a group's in rising order. */
static wz_status take_places(hdf5_reader *r, int64_t stated, wz_error *err)
{
    void *owners = NULL;
    r->count = 0;
    for (size_t g = 0; g < r->group_count; g++)
        r->count += r->groups[g].count;
    if (stated < 0 || (uint64_t)stated != r->count)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: %lld problems are stated; there are %zu", r->path,
                       (long long)stated, r->count);
    wz_status status = wz_alloc(&owners, r->count, sizeof *r->owners, "a problem set", err);
    if (status != WZ_OK)
        return status;
    r->owners = owners; /* 0: not taken yet, else the group + 1 */
    for (size_t g = 0; g < r->group_count; g++) {
        const int64_t *places = r->groups[g].columns[WZ_SET_PLACE];
        for (size_t i = 0; i < r->groups[g].count; i++) {
            if (places[i] < 0 || (uint64_t)places[i] >= r->count || r->owners[places[i]] != 0 ||
                (i > 0 && places[i] < places[i - 1]))
                return complain(r, g, "place", "does not number the set's problems", err);
            r->owners[places[i]] = (uint16_t)(g + 1);
        }
    }
    return WZ_OK;
}

static wz_status read_groups(hdf5_reader *r, hid_t file, wz_error *err)
{
    char format[sizeof WZ_SET_FORMAT] = "";
    int64_t version = 0, count = 0;
    void *groups = NULL;
    H5G_info_t info;
    if (!wz_hdf5_read_string(file, "format", format, sizeof format) || strcmp(format, WZ_SET_FORMAT) != 0)
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, r->path, "is no problem set");
    if (!wz_hdf5_read_integer(file, "version", &version) || version != WZ_SET_VERSION)
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, r->path, "is of version %lld; this build reads version %d",
                            (long long)version, WZ_SET_VERSION);
    if (!wz_hdf5_read_integer(file, "count", &count) ||
        !wz_hdf5_read_string(file, "digest", r->digest, sizeof r->digest) || H5Gget_info(file, &info) < 0)
        return wz_hdf5_fail(err, WZ_ERR_CORRUPT, r->path, "lacks its count or digest");
    if (info.nlinks > WZ_SET_GROUPS_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: more than %d groups", r->path, WZ_SET_GROUPS_MAX);
    r->group_count = (size_t)info.nlinks;
    wz_status status = wz_alloc(&groups, r->group_count, sizeof *r->groups, "a problem set", err);
    r->groups = groups;
    for (size_t g = 0; status == WZ_OK && g < r->group_count; g++)
        status = read_group(r, file, g, err);
    return status == WZ_OK ? take_places(r, count, err) : status;
}

wz_status wz_set_hdf5_open(const char *path, void **state, wz_error *err)
{
    void *block = NULL;
    *state = NULL;
    if (!wz_path_exists(path))
        return wz_fail(err, WZ_ERR_USAGE, "cannot open %s: there is no such file; check the path", path);
    wz_status status = wz_alloc(&block, 1, sizeof(hdf5_reader), "a problem set", err);
    if (status != WZ_OK)
        return status;
    hdf5_reader *r = block;
    r->path = strdup(path);
    wz_hdf5_prepare();
    hid_t file = r->path != NULL ? wz_hdf5_open(path) : -1;
    if (r->path == NULL)
        status = wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a path");
    else if (file < 0)
        status = wz_hdf5_fail(err, WZ_ERR_CORRUPT, path, "is no problem set, or is cut short or damaged");
    else
        status = read_groups(r, file, err);
    (void)wz_hdf5_close(H5Fclose, file);
    (void)H5Eclear2(H5E_DEFAULT);
    if (status != WZ_OK)
        wz_set_hdf5_close(r);
    else
        *state = r;
    return status;
}

/* ---- problems ---- */

static wz_status read_texts(hdf5_reader *r, const group *g, size_t row, wz_set_record *record, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t t = 0; status == WZ_OK && t < 5; t++) {
        const size_t width = g->widths[WZ_SET_SPLIT + t];
        const char *text = (const char *)g->columns[WZ_SET_SPLIT + t] + row * width;
        r->texts[t].length = 0;
        status = wz_text_append(&r->texts[t], text, strnlen(text, width), err);
    }
    if (status != WZ_OK)
        return status;
    const int split = wz_set_find_split(r->texts[0].data), style = wz_set_find_style(r->texts[1].data),
              kind = wz_set_find_kind(r->texts[2].data);
    if (split < 0 || style < 0 || kind < 0)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s is '%.32s', which is none of its names",
                       split < 0   ? "split"
                       : style < 0 ? "prompt_style"
                                   : "reference_kind",
                       r->texts[split < 0   ? 0
                                : style < 0 ? 1
                                            : 2]
                           .data);
    record->split = (wz_split)split;
    record->style = (wz_prompt_style)style;
    record->reference.kind = (wz_reference_kind)kind;
    record->digest = r->texts[3].data;
    record->prompt = r->texts[4].data;
    return WZ_OK;
}

static int64_t integer_of(const group *g, wz_set_column_id id, size_t row)
{
    return ((const int64_t *)g->columns[id])[row];
}

static double number_of(const group *g, wz_set_column_id id, size_t row)
{
    return ((const double *)g->columns[id])[row];
}

static const int32_t *row_of(const group *g, wz_set_column_id id, size_t row)
{
    return (const int32_t *)g->columns[id] + row * g->widths[id];
}

/* Leaves out what a row was filled up with. */
static void trim(const int32_t *numbers, size_t *count)
{
    while (*count > 0 && numbers[*count - 1] == -1)
        (*count)--;
}

wz_status wz_set_hdf5_next(void *state, wz_set_record *record, wz_text *place, bool *done, wz_error *err)
{
    hdf5_reader *r = state;
    *done = r->next == r->count;
    if (*done)
        return WZ_OK;
    const size_t number = (size_t)r->owners[r->next++] - 1;
    group *g = &r->groups[number];
    const size_t row = g->next++;
    *record = (wz_set_record){.task = g->task,
                              .seed = integer_of(g, WZ_SET_SEED, row),
                              .clipped = integer_of(g, WZ_SET_CLIPPED, row),
                              .text_version = g->text_version,
                              .index = (uint32_t)integer_of(g, WZ_SET_INDEX, row),
                              .numbers = row_of(g, WZ_SET_NUMBERS, row),
                              .number_count = g->widths[WZ_SET_NUMBERS],
                              .reference = {.objective = number_of(g, WZ_SET_REFERENCE, row),
                                            .decided = number_of(g, WZ_SET_DECIDED, row),
                                            .best_trivial = number_of(g, WZ_SET_TRIVIAL, row)},
                              .decision = row_of(g, WZ_SET_DECISION, row),
                              .decision_count = g->widths[WZ_SET_DECISION],
                              .rows = row_of(g, WZ_SET_ROWS, row),
                              .row_count = g->widths[WZ_SET_ROWS]};
    memcpy(record->values, g->values, sizeof record->values);
    trim(record->decision, &record->decision_count);
    trim(record->rows, &record->row_count);
    if (record->row_count == 0)
        record->rows = NULL;
    wz_status status = wz_text_printf(place, err, "%s: group /%04zu, problem %zu", r->path, number, row);
    if (status == WZ_OK && (integer_of(g, WZ_SET_INDEX, row) < 0 ||
                            integer_of(g, WZ_SET_INDEX, row) > UINT32_MAX || record->seed < WZ_SET_NO_SEED))
        status = wz_fail(err, WZ_ERR_CORRUPT, "an index or seed out of range");
    if (status == WZ_OK)
        status = read_texts(r, g, row, record, err);
    return status == WZ_OK ? WZ_OK : wz_fail_prefix(err, status, "%s: ", place->data);
}
