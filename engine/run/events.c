#include "engine/run/events.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/core/clock.h"

/* ---- the files ---- */

#define NAME_START "events.out.tfevents."
#define NAME_END ".wavezero"

static wz_status path_of(char out[512], const char *directory, int64_t number, wz_error *err)
{
    const int length = snprintf(out, 512, "%s/" NAME_START "%08lld" NAME_END, directory, (long long)number);
    return length > 0 && length < 512
               ? WZ_OK
               : wz_fail(err, WZ_ERR_USAGE, "the path of event files in %.200s... is too long", directory);
}

/* The number in a name of ours; 0: it is none. */
static int64_t number_of(const char *name)
{
    char *end = NULL;
    if (strncmp(name, NAME_START, sizeof NAME_START - 1) != 0)
        return 0;
    const long long number = strtoll(name + sizeof NAME_START - 1, &end, 10);
    return number > 0 && strcmp(end, NAME_END) == 0 ? number : 0;
}

bool wz_events_is_file(const char *name)
{
    return number_of(name) > 0;
}

/* Deletes files of ours after `last`; *largest: the largest number that was there. */
static wz_status delete_after(const char *path, int64_t last, int64_t *largest, wz_error *err)
{
    DIR *directory = opendir(path);
    wz_status status = WZ_OK;
    if (directory == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "cannot list %s: %s", path, strerror(errno));
    for (const struct dirent *item; status == WZ_OK && (item = readdir(directory)) != NULL;) {
        const int64_t number = number_of(item->d_name);
        *largest = number > *largest ? number : *largest;
        if (number > last && unlinkat(dirfd(directory), item->d_name, 0) != 0)
            status =
                wz_fail(err, WZ_ERR_RUNTIME, "cannot delete %s/%s: %s", path, item->d_name, strerror(errno));
    }
    (void)closedir(directory);
    return status;
}

static wz_status cut(const char *path, uint64_t bytes, wz_error *err)
{
    wz_log old = {0};
    if (!wz_path_exists(path))
        return WZ_OK;
    const wz_status status = wz_log_open(&old, path, bytes, err);
    wz_log_close(&old);
    return status;
}

/* What `events` has gathered goes to the file in one piece. */
static wz_status flush(wz_events *events, wz_status status, wz_error *err)
{
    if (status == WZ_OK)
        status = wz_log_append(&events->log, events->frame.data, events->frame.length, err);
    events->frame.length = 0;
    return status;
}

wz_status wz_events_open(wz_events *events, const char *run_dir, const wz_events_mark *mark, int64_t step,
                         wz_error *err)
{
    char directory[448], path[512];
    int64_t largest = mark->file;
    *events = (wz_events){0};
    const int length = snprintf(directory, sizeof directory, "%s/" WZ_EVENTS_DIRECTORY, run_dir);
    if (length < 0 || (size_t)length >= sizeof directory)
        return wz_fail(err, WZ_ERR_USAGE, "the path of event files in %.200s... is too long", run_dir);
    wz_status status = wz_directory_create(directory, err);
    if (status == WZ_OK)
        status = delete_after(directory, mark->file, &largest, err);
    if (status == WZ_OK && mark->file > 0)
        status = path_of(path, directory, mark->file, err);
    if (status == WZ_OK && mark->file > 0)
        status = cut(path, mark->bytes, err);
    events->number = largest + 1;
    if (status == WZ_OK)
        status = path_of(path, directory, events->number, err);
    if (status == WZ_OK)
        status = wz_log_open(&events->log, path, 0, err);
    if (status == WZ_OK)
        status = wz_event_version(wz_wall_s(), &events->frame, err);
    if (status == WZ_OK && step > 0)
        status = wz_event_start(wz_wall_s(), step + 1, &events->frame, err); /* the first that follows */
    return status == WZ_OK ? flush(events, status, err) : status;
}

wz_status wz_events_add_row(wz_events *events, const wz_row *row, wz_error *err)
{
    return flush(events, wz_event_row(wz_wall_s(), row, &events->frame, err), err);
}

wz_status wz_events_add_text(wz_events *events, int64_t step, const char *tag, const char *text,
                             size_t length, wz_error *err)
{
    return flush(events, wz_event_text(wz_wall_s(), step, tag, text, length, &events->frame, err), err);
}

wz_status wz_events_sync(wz_events *events, wz_events_mark *mark, wz_error *err)
{
    mark->file = events->number;
    return wz_log_sync(&events->log, &mark->bytes, err);
}

void wz_events_close(wz_events *events)
{
    wz_log_close(&events->log);
    wz_text_clear(&events->frame);
}
