/* Writing problem sets as HDF5: rows are gathered in memory, group by group, and written at the end into a file that is made at
 * once, so that a place where none can be made is known before the work. */
#include "engine/run/problem_set_hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/core/file.h"
#include "engine/core/output.h"

#define CHUNK_BYTES 65536u

const wz_set_column wz_set_columns[WZ_SET_COLUMNS] = {
    [WZ_SET_PLACE] = {"place", WZ_SET_INT64, false},
    [WZ_SET_INDEX] = {"index", WZ_SET_INT64, false},
    [WZ_SET_SEED] = {"seed", WZ_SET_INT64, false},
    [WZ_SET_CLIPPED] = {"clipped", WZ_SET_INT64, false},
    [WZ_SET_SPLIT] = {"split", WZ_SET_TEXT, false},
    [WZ_SET_STYLE] = {"prompt_style", WZ_SET_TEXT, false},
    [WZ_SET_KIND] = {"reference_kind", WZ_SET_TEXT, false},
    [WZ_SET_DIGEST] = {"digest", WZ_SET_TEXT, false},
    [WZ_SET_PROMPT] = {"prompt", WZ_SET_TEXT, false},
    [WZ_SET_REFERENCE] = {"reference", WZ_SET_DOUBLE, false},
    [WZ_SET_DECIDED] = {"decision_objective", WZ_SET_DOUBLE, false},
    [WZ_SET_TRIVIAL] = {"best_trivial", WZ_SET_DOUBLE, false},
    [WZ_SET_NUMBERS] = {"numbers", WZ_SET_INT32, true},
    [WZ_SET_ROWS] = {"rows", WZ_SET_INT32, true},
    [WZ_SET_DECISION] = {"decision", WZ_SET_INT32, true},
};

static hid_t text_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && H5Tset_size(type, bytes) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 &&
        H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        return type;
    (void)wz_hdf5_close(H5Tclose, type);
    return -1;
}

hid_t wz_set_column_open_type(wz_set_column_type type, size_t text_bytes)
{
    if (type == WZ_SET_TEXT)
        return text_type(text_bytes);
    return H5Tcopy(type == WZ_SET_INT64   ? H5T_STD_I64LE
                   : type == WZ_SET_INT32 ? H5T_STD_I32LE
                                          : H5T_IEEE_F64LE);
}

size_t wz_set_column_bytes(wz_set_column_type type, size_t text_bytes)
{
    return type == WZ_SET_TEXT ? text_bytes : type == WZ_SET_INT32 ? sizeof(int32_t) : sizeof(double);
}

/* ---- gathering ---- */

/* Rows one after the other; each element is filled up at the end to the longest there is. */
typedef struct rows {
    wz_text bytes;
    wz_text lengths; /* size_t of each row: bytes of a text, numbers of a matrix's row */
    size_t longest;
} rows;

typedef struct group {
    const wz_task *task;
    double values[WZ_TASK_MAX_OPTIONS];
    size_t count;
    rows columns[WZ_SET_COLUMNS];
} group;

typedef struct hdf5_writer {
    char *path;
    wz_text temporary;
    group *groups;
    size_t group_count, group_capacity;
    int64_t count;
    hid_t file; /* -1: none */
    bool is_made, is_finished;
} hdf5_writer;

/* One row of `length` elements. */
static wz_status add_row(group *g, wz_set_column_id id, const void *data, size_t length, wz_error *err)
{
    rows *r = &g->columns[id];
    const size_t size = wz_set_column_bytes(wz_set_columns[id].type, 1);
    wz_status status = wz_text_append(&r->bytes, data, length * size, err);
    if (status == WZ_OK)
        status = wz_text_append(&r->lengths, (const char *)&length, sizeof length, err);
    r->longest = length > r->longest ? length : r->longest;
    return status;
}

static wz_status add_text(group *g, wz_set_column_id id, const char *text, wz_error *err)
{
    return add_row(g, id, text, strlen(text), err);
}

static wz_status add_scalars(group *g, int64_t place, const wz_set_entry *entry, wz_error *err)
{
    const int64_t integers[] = {place, entry->problem.index, entry->seed, (int64_t)entry->problem.clipped};
    const double numbers[] = {entry->reference.objective, entry->reference.decided,
                              entry->reference.best_trivial};
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < 4; i++)
        status = add_row(g, (wz_set_column_id)(WZ_SET_PLACE + i), &integers[i], 1, err);
    for (size_t i = 0; status == WZ_OK && i < 3; i++)
        status = add_row(g, (wz_set_column_id)(WZ_SET_REFERENCE + i), &numbers[i], 1, err);
    return status;
}

static wz_status add_texts(group *g, const wz_set_entry *entry, wz_error *err)
{
    const char *const texts[] = {wz_split_name(entry->problem.split), wz_set_style_names[entry->style],
                                 wz_reference_kind_name(entry->reference.kind), entry->digest,
                                 entry->prompt.data};
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < 5; i++)
        status = add_text(g, (wz_set_column_id)(WZ_SET_SPLIT + i), texts[i], err);
    return status;
}

static wz_status add_arrays(group *g, const wz_set_entry *entry, wz_error *err)
{
    int32_t parts[256], decision[WZ_MAX_SLOTS];
    const wz_problem *problem = &entry->problem;
    const size_t stated = entry->seed == WZ_SET_NO_SEED ? problem->size : 0;
    for (size_t i = 0; i < stated; i++)
        parts[i] = problem->source[i] + 1;
    for (size_t i = 0; i < entry->decision_count; i++)
        decision[i] = (int32_t)entry->decision[i];
    wz_status status = add_row(g, WZ_SET_NUMBERS, problem->numbers, problem->number_count, err);
    if (status == WZ_OK)
        status = add_row(g, WZ_SET_ROWS, parts, stated, err);
    return status == WZ_OK ? add_row(g, WZ_SET_DECISION, decision, entry->decision_count, err) : status;
}

static wz_status find_group(hdf5_writer *w, const wz_problem *problem, group **out, wz_error *err)
{
    void *groups = w->groups;
    for (size_t g = 0; g < w->group_count; g++) {
        *out = &w->groups[g];
        if ((*out)->task == problem->task &&
            wz_task_same_values(problem->task, (*out)->values, problem->values))
            return WZ_OK;
    }
    if (w->group_count == WZ_SET_GROUPS_MAX)
        return wz_fail(err, WZ_ERR_USAGE, "%s: more than %d different options in one set", w->path,
                       WZ_SET_GROUPS_MAX);
    wz_status status =
        wz_grow(&groups, &w->group_capacity, w->group_count + 1, sizeof *w->groups, "a problem set", err);
    w->groups = groups;
    if (status != WZ_OK)
        return status;
    *out = &w->groups[w->group_count++];
    **out = (group){.task = problem->task};
    memcpy((*out)->values, problem->values, problem->task->option_count * sizeof *problem->values);
    return WZ_OK;
}

static wz_status add(void *state, const wz_set_entry *entry, wz_error *err)
{
    hdf5_writer *w = state;
    group *g = NULL;
    wz_status status = find_group(w, &entry->problem, &g, err);
    if (status == WZ_OK)
        status = add_scalars(g, w->count, entry, err);
    if (status == WZ_OK)
        status = add_texts(g, entry, err);
    if (status == WZ_OK)
        status = add_arrays(g, entry, err);
    if (status == WZ_OK) {
        g->count++;
        w->count++;
    }
    return status;
}

static void abandon(void *state)
{
    hdf5_writer *w = state;
    if (w == NULL)
        return;
    (void)wz_hdf5_close(H5Fclose, w->file);
    (void)H5Eclear2(H5E_DEFAULT);
    if (w->is_made && !w->is_finished)
        (void)unlink(w->temporary.data);
    for (size_t g = 0; g < w->group_count; g++)
        for (size_t c = 0; c < WZ_SET_COLUMNS; c++) {
            wz_text_clear(&w->groups[g].columns[c].bytes);
            wz_text_clear(&w->groups[g].columns[c].lengths);
        }
    free(w->groups);
    wz_text_clear(&w->temporary);
    free(w->path);
    free(w);
}

static wz_status create(const char *path, void **state, wz_error *err)
{
    void *block = NULL;
    *state = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(hdf5_writer), "a problem set", err);
    if (status != WZ_OK)
        return status;
    hdf5_writer *w = block;
    w->file = -1;
    w->path = strdup(path);
    status = w->path != NULL ? wz_output_temporary(path, &w->temporary, err)
                             : wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a path");
    if (status == WZ_OK) {
        wz_hdf5_prepare();
        w->is_made = true; /* or in part, where this fails */
        w->file = wz_hdf5_create(w->temporary.data);
        if (w->file < 0)
            status = wz_hdf5_fail(err, WZ_ERR_RUNTIME, path, "cannot create the file");
    }
    if (status == WZ_OK)
        *state = w;
    else
        abandon(w);
    return status;
}

/* ---- writing ---- */

/* Rows of equal length: texts end in zeros, rows of numbers in -1. */
static wz_status pad_rows(const group *g, wz_set_column_id id, size_t longest, void **out, wz_error *err)
{
    const rows *r = &g->columns[id];
    const size_t size = wz_set_column_bytes(wz_set_columns[id].type, 1);
    wz_status status = wz_alloc(out, g->count * longest, size, "a column of a problem set", err);
    if (status != WZ_OK)
        return status;
    if (wz_set_columns[id].type != WZ_SET_TEXT)
        memset(*out, 0xff, g->count * longest * size);
    const char *from = r->bytes.data;
    for (size_t i = 0; i < g->count; i++) {
        size_t length;
        memcpy(&length, r->lengths.data + i * sizeof length, sizeof length);
        memcpy((char *)*out + i * longest * size, from, length * size);
        from += length * size;
    }
    return WZ_OK;
}

static hid_t chunked(size_t count, size_t width, size_t row_bytes, int rank)
{
    const size_t fitting = row_bytes < CHUNK_BYTES ? CHUNK_BYTES / row_bytes : 1;
    const hsize_t chunk[2] = {fitting < count ? fitting : count, width};
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    if (properties >= 0 && H5Pset_chunk(properties, rank, chunk) >= 0 && H5Pset_fletcher32(properties) >= 0 &&
        H5Pset_obj_track_times(properties, 0) >= 0)
        return properties;
    (void)wz_hdf5_close(H5Pclose, properties);
    return -1;
}

static bool write_column(hid_t where, const group *g, wz_set_column_id id, size_t longest, const void *data)
{
    const wz_set_column *column = &wz_set_columns[id];
    const int rank = column->is_matrix ? 2 : 1;
    const hsize_t shape[2] = {g->count, longest};
    hid_t type = wz_set_column_open_type(column->type, longest), space = H5Screate_simple(rank, shape, NULL),
          properties = chunked(g->count, longest, longest * wz_set_column_bytes(column->type, 1), rank),
          dataset = -1;
    if (type >= 0 && space >= 0 && properties >= 0)
        dataset = H5Dcreate2(where, column->name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    bool done = dataset >= 0 && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    done = wz_hdf5_close(H5Dclose, dataset) && done;
    (void)wz_hdf5_close(H5Pclose, properties);
    (void)wz_hdf5_close(H5Sclose, space);
    (void)wz_hdf5_close(H5Tclose, type);
    return done;
}

static bool write_options(hid_t where, const group *g)
{
    hid_t options = wz_hdf5_create_group(where, "options");
    bool done = options >= 0;
    for (size_t i = 0; done && i < g->task->option_count; i++) {
        const wz_task_option *option = &g->task->options[i];
        done = option->names != NULL
                   ? wz_hdf5_write_string(options, option->name, option->names[(size_t)g->values[i]])
                   : wz_hdf5_write_number(options, option->name, g->values[i]);
    }
    return wz_hdf5_close(H5Gclose, options) && done;
}

static wz_status write_group(hid_t file, const char *path, const group *g, size_t number, wz_error *err)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%04zu", number);
    hid_t where = wz_hdf5_create_group(file, name);
    bool done = where >= 0 && wz_hdf5_write_string(where, "task", g->task->name) &&
                wz_hdf5_write_integer(where, "text_version", g->task->text_version) &&
                write_options(where, g);
    wz_status status = WZ_OK;
    for (size_t c = 0; done && status == WZ_OK && c < WZ_SET_COLUMNS; c++) {
        void *data = NULL;
        const size_t longest = g->columns[c].longest > 0 ? g->columns[c].longest : 1;
        status = pad_rows(g, (wz_set_column_id)c, longest, &data, err);
        if (status == WZ_OK)
            done = write_column(where, g, (wz_set_column_id)c, longest, data);
        free(data);
    }
    if (!done)
        status = wz_hdf5_fail(err, WZ_ERR_RUNTIME, path, "cannot write group %s", name);
    (void)wz_hdf5_close(H5Gclose, where);
    return status;
}

static wz_status finish(void *state, const char *digest, wz_error *err)
{
    hdf5_writer *w = state;
    wz_status status = WZ_OK;
    const hid_t file = w->file;
    if (!wz_hdf5_write_string(file, "format", WZ_SET_FORMAT) ||
        !wz_hdf5_write_integer(file, "version", WZ_SET_VERSION) ||
        !wz_hdf5_write_integer(file, "count", w->count) || !wz_hdf5_write_string(file, "digest", digest))
        status = wz_hdf5_fail(err, WZ_ERR_RUNTIME, w->path, "cannot write the header");
    for (size_t g = 0; status == WZ_OK && g < w->group_count; g++)
        status = write_group(file, w->path, &w->groups[g], g, err);
    w->file = -1;
    if (!wz_hdf5_close(H5Fclose, file) && status == WZ_OK)
        status = wz_hdf5_fail(err, WZ_ERR_RUNTIME, w->path, "cannot finish writing the file");
    (void)H5Eclear2(H5E_DEFAULT);
    if (status != WZ_OK)
        return status;
    w->is_finished = true; /* a failing commit removes the temporary itself */
    return wz_file_commit(w->temporary.data, w->path, err);
}

const wz_set_format wz_set_hdf5 = {
    .create = create,
    .add = add,
    .finish = finish,
    .abandon = abandon,
    .open = wz_set_hdf5_open,
    .next = wz_set_hdf5_next,
    .stated_digest = wz_set_hdf5_digest,
    .close = wz_set_hdf5_close,
};
