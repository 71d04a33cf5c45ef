#include "engine/run/problem_set.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/core/file.h"
#include "engine/run/problem_set_hdf5.h"

static const wz_set_format *format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcasecmp(dot, ".h5") == 0 || strcasecmp(dot, ".hdf5") == 0) ? &wz_set_hdf5
                                                                                         : &wz_set_json;
}

static void digest_add(wz_digest *digest, const wz_set_entry *entry)
{
    wz_digest_add(digest, entry->digest, strlen(entry->digest));
    wz_digest_add(digest, "\n", 1);
}

/* ---- writer ---- */

struct wz_set_writer {
    const wz_set_format *format;
    void *state;
    wz_digest *digest;
};

wz_status wz_set_writer_create(const char *path, wz_set_writer **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_set_writer), "a problem set", err);
    if (status != WZ_OK)
        return status;
    wz_set_writer *writer = block;
    writer->format = format_of(path);
    status = wz_digest_create(&writer->digest, err);
    if (status == WZ_OK)
        status = writer->format->create(path, &writer->state, err);
    if (status != WZ_OK)
        wz_set_writer_destroy(writer);
    else
        *out = writer;
    return status;
}

wz_status wz_set_writer_add(wz_set_writer *writer, const wz_set_entry *entry, wz_error *err)
{
    digest_add(writer->digest, entry);
    return writer->format->add(writer->state, entry, err);
}

wz_status wz_set_writer_finish(wz_set_writer *writer, char digest[WZ_DIGEST_HEX], wz_error *err)
{
    wz_digest_finish(writer->digest, digest);
    return writer->format->finish(writer->state, digest, err);
}

void wz_set_writer_destroy(wz_set_writer *writer)
{
    if (writer == NULL)
        return;
    writer->format->abandon(writer->state);
    wz_digest_destroy(writer->digest);
    free(writer);
}

/* ---- reader ---- */

static bool is_set_in_hdf5(const char *path)
{
    char format[sizeof WZ_SET_FORMAT] = "";
    wz_hdf5_prepare();
    hid_t file = wz_hdf5_open(path);
    const bool is_set = file >= 0 && wz_hdf5_read_string(file, "format", format, sizeof format) &&
                        strcmp(format, WZ_SET_FORMAT) == 0;
    (void)wz_hdf5_close(H5Fclose, file);
    (void)H5Eclear2(H5E_DEFAULT);
    return is_set;
}

wz_status wz_problem_set_recognise(const char *path, bool *is_set, wz_error *err)
{
    char head[512];
    size_t length = 0;
    *is_set = false;
    if (!wz_path_exists(path)) /* "file.h5:/name", or missing: whoever reads channels says so */
        return WZ_OK;
    wz_status status = wz_file_read_head(path, head, sizeof head, &length, err);
    if (status != WZ_OK)
        return status;
    const size_t mark = length >= 3 && memcmp(head, WZ_BYTE_ORDER_MARK, 3) == 0 ? 3 : 0;
    *is_set = (length > mark && head[mark] == '{') || is_set_in_hdf5(path);
    return WZ_OK;
}

struct wz_set_reader {
    const wz_set_format *format;
    void *state;
    wz_text place;
    char *path;
    wz_digest *digest; /* of what was read so far */
};

wz_status wz_set_reader_create(const char *path, wz_set_reader **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_set_reader), "a problem set", err);
    if (status != WZ_OK)
        return status;
    wz_set_reader *reader = block;
    reader->format = format_of(path);
    reader->path = strdup(path);
    status = wz_file_check_regular(path, err);
    if (status == WZ_OK)
        status = reader->path != NULL ? wz_digest_create(&reader->digest, err)
                                      : wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a path");
    if (status == WZ_OK)
        status = reader->format->open(path, &reader->state, err);
    if (status != WZ_OK)
        wz_set_reader_destroy(reader);
    else
        *out = reader;
    return status;
}

static wz_status check_stated_digest(const wz_set_reader *reader, wz_error *err)
{
    char found[WZ_DIGEST_HEX];
    const char *stated = NULL;
    wz_digest_finish(reader->digest, found);
    if (reader->format->stated_digest != NULL)
        stated = reader->format->stated_digest(reader->state);
    if (stated == NULL || strcmp(stated, found) == 0)
        return WZ_OK;
    return wz_fail(err, WZ_ERR_CORRUPT,
                   "%s: the set's digest is stated as %s; its problems have %s: some were lost or moved",
                   reader->path, stated, found);
}

wz_status wz_set_reader_next(wz_set_reader *reader, wz_set_entry *out, bool *done, wz_error *err)
{
    wz_set_record record = {0};
    reader->place.length = 0;
    *done = false;
    wz_status status = reader->format->next(reader->state, &record, &reader->place, done, err);
    if (status == WZ_OK && *done)
        return check_stated_digest(reader, err);
    if (status != WZ_OK)
        return status;
    status = wz_set_entry_check(&record, out, err);
    if (status != WZ_OK)
        return wz_fail_prefix(err, status, "%s: ", reader->place.data);
    digest_add(reader->digest, out);
    return WZ_OK;
}

void wz_set_reader_digest(const wz_set_reader *reader, char digest[WZ_DIGEST_HEX])
{
    wz_digest_finish(reader->digest, digest);
}

void wz_set_reader_destroy(wz_set_reader *reader)
{
    if (reader == NULL)
        return;
    reader->format->close(reader->state);
    wz_digest_destroy(reader->digest);
    wz_text_clear(&reader->place);
    free(reader->path);
    free(reader);
}

/* ---- whole sets ---- */

static wz_status find_group(wz_problem_set *set, const wz_problem *problem, wz_set_group **out, wz_error *err)
{
    void *groups = set->groups;
    for (size_t g = 0; g < set->group_count; g++) {
        *out = &set->groups[g];
        if ((*out)->task == problem->task &&
            wz_task_same_values(problem->task, (*out)->values, problem->values))
            return WZ_OK;
    }
    if (set->group_count == WZ_SET_GROUPS_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "more than %d different options in one set", WZ_SET_GROUPS_MAX);
    wz_status status = wz_grow(&groups, &set->group_capacity, set->group_count + 1, sizeof *set->groups,
                               "a problem set", err);
    set->groups = groups;
    if (status != WZ_OK)
        return status;
    *out = &set->groups[set->group_count++];
    **out = (wz_set_group){.task = problem->task};
    memcpy((*out)->values, problem->values, problem->task->option_count * sizeof *problem->values);
    return WZ_OK;
}

/* Moves the entry's problem into its group where problems are kept. */
static wz_status take_entry(wz_problem_set *set, wz_set_entry *entry, bool keep, wz_error *err)
{
    wz_set_group *group = NULL;
    wz_status status = find_group(set, &entry->problem, &group, err);
    if (status != WZ_OK)
        return status;
    if (keep) {
        void *problems = group->problems;
        status = wz_grow(&problems, &group->capacity, group->count + 1, sizeof *group->problems,
                         "a problem set", err);
        group->problems = problems;
        if (status != WZ_OK)
            return status;
        group->problems[group->count] = entry->problem;
        entry->problem = (wz_problem){0};
    }
    if (entry->reference.kind > group->kind)
        group->kind = entry->reference.kind;
    group->own += entry->seed == WZ_SET_NO_SEED;
    group->count++;
    set->count++;
    return WZ_OK;
}

static wz_status read_entries(wz_set_reader *reader, bool keep, wz_problem_set *out, wz_error *err)
{
    wz_status status = WZ_OK;
    while (status == WZ_OK) {
        wz_set_entry entry = {0};
        bool done = false;
        status = wz_set_reader_next(reader, &entry, &done, err);
        if (status != WZ_OK || done)
            return status;
        status = take_entry(out, &entry, keep, err);
        if (status != WZ_OK)
            status = wz_fail_prefix(err, status, "%s: ", reader->place.data);
        wz_set_entry_clear(&entry);
    }
    return status;
}

wz_status wz_problem_set_read(const char *path, bool keep, wz_problem_set *out, wz_error *err)
{
    wz_set_reader *reader = NULL;
    *out = (wz_problem_set){0};
    wz_status status = wz_set_reader_create(path, &reader, err);
    if (status == WZ_OK)
        status = read_entries(reader, keep, out, err);
    if (status == WZ_OK && out->count == 0)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: no problem in it", path);
    if (status == WZ_OK)
        wz_set_reader_digest(reader, out->digest);
    else
        wz_problem_set_clear(out);
    wz_set_reader_destroy(reader);
    return status;
}

void wz_problem_set_clear(wz_problem_set *set)
{
    for (size_t g = 0; g < set->group_count; g++) {
        for (size_t i = 0; set->groups[g].problems != NULL && i < set->groups[g].count; i++)
            wz_problem_clear(&set->groups[g].problems[i]);
        free(set->groups[g].problems);
    }
    free(set->groups);
    *set = (wz_problem_set){0};
}
