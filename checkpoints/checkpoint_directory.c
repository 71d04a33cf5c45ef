/* The checkpoints of a run's directory: the newest that verifies, and pruning. */
#include "checkpoints/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/core/output.h"

#define MAX_STEP_DIGITS 18 /* fits an int64_t */

typedef struct step_file {
    int64_t step;
    char name[32]; /* step-XXXXXXXX.h5 */
} step_file;

typedef struct step_list {
    step_file *files;
    size_t count;
    size_t capacity;
} step_list;

/* step-XXXXXXXX.h5 with at least eight digits, as the run writes them; anything else is not ours. */
static bool parse_name(const char *name, step_file *file)
{
    const char *digits = name + strlen("step-");
    if (strncmp(name, "step-", strlen("step-")) != 0)
        return false;
    size_t length = strspn(digits, "0123456789");
    if (length < 8 || length > MAX_STEP_DIGITS || strcmp(digits + length, ".h5") != 0)
        return false;
    file->step = strtoll(digits, NULL, 10);
    memcpy(file->name, name, strlen(name) + 1); /* at most 5 + 18 + 3 bytes and the terminator */
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const step_file *left = a, *right = b;
    if (left->step != right->step)
        return left->step < right->step ? 1 : -1;
    return strcmp(left->name, right->name);
}

static wz_status append_file(step_list *list, const step_file *file, wz_error *err)
{
    void *files = list->files;
    wz_status status =
        wz_grow(&files, &list->capacity, list->count + 1, sizeof *file, "the list of checkpoints", err);
    list->files = files;
    if (status == WZ_OK)
        list->files[list->count++] = *file;
    return status;
}

static wz_status join(const char *directory, const char *name, wz_text *path, wz_error *err)
{
    path->length = 0;
    return wz_text_printf(path, err, "%s/%s", directory, name);
}

static wz_status fail_errno(wz_error *err, const char *action, const char *path)
{
    int number = errno;
    return wz_fail(err, number == ENOENT || number == ENOTDIR ? WZ_ERR_USAGE : WZ_ERR_RUNTIME,
                   "cannot %s %s: %s", action, path, strerror(number));
}

static wz_status remove_file(const char *directory, const char *name, wz_error *err)
{
    wz_text path = {0};
    wz_status status = join(directory, name, &path, err);
    if (status == WZ_OK && unlink(path.data) != 0 && errno != ENOENT)
        status = fail_errno(err, "remove", path.data);
    wz_text_clear(&path);
    return status;
}

/* Lists the step files, newest first; with remove_stale, removes unfinished ones on the way. */
static wz_status list_directory(const char *directory, bool remove_stale, step_list *list, wz_error *err)
{
    wz_status status = WZ_OK;
    DIR *stream = opendir(directory);
    if (stream == NULL)
        return fail_errno(err, "open checkpoint directory", directory);
    while (status == WZ_OK) {
        step_file file;
        errno = 0;
        const struct dirent *item = readdir(stream);
        if (item == NULL) {
            if (errno != 0)
                status = fail_errno(err, "list", directory);
            break;
        }
        if (parse_name(item->d_name, &file))
            status = append_file(list, &file, err);
        else if (remove_stale && wz_output_is_left(dirfd(stream), item->d_name))
            status = remove_file(directory, item->d_name, err);
    }
    (void)closedir(stream);
    if (list->count > 1)
        qsort(list->files, list->count, sizeof *list->files, newest_first);
    return status;
}

static wz_status verify_path(const char *path, wz_error *err)
{
    wz_checkpoint *checkpoint = NULL;
    wz_status status = wz_checkpoint_open(path, &checkpoint, err);
    if (status == WZ_OK)
        status = wz_checkpoint_verify(checkpoint, err);
    wz_checkpoint_close(checkpoint);
    return status;
}

/* Sets *path to the first file of the list that verifies; its length stays 0 where none does. */
static wz_status find_verified(const char *directory, const step_list *list, wz_text *path, wz_text *skipped,
                               wz_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        wz_error reason = {.text = ""};
        wz_status status = join(directory, list->files[i].name, path, err);
        if (status != WZ_OK || verify_path(path->data, &reason) == WZ_OK)
            return status;
        path->length = 0;
        if (skipped != NULL)
            status = wz_text_printf(skipped, err, "%s\n", reason.text);
        if (status != WZ_OK)
            return status;
    }
    return WZ_OK;
}

wz_status wz_checkpoint_find_newest(const char *directory, wz_text *path, wz_text *skipped, wz_error *err)
{
    step_list list = {.files = NULL, .count = 0, .capacity = 0};
    wz_text found = {0};
    wz_status status = list_directory(directory, false, &list, err);
    if (status == WZ_OK)
        status = find_verified(directory, &list, &found, skipped, err);
    if (status == WZ_OK && found.length > 0)
        status = wz_text_append(path, found.data, found.length, err);
    else if (status == WZ_OK)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: none of its %zu checkpoints (step-*.h5) verifies",
                         directory, list.count);
    wz_text_clear(&found);
    free(list.files);
    return status;
}

wz_status wz_checkpoint_prune(const char *directory, size_t keep, wz_error *err)
{
    step_list list = {.files = NULL, .count = 0, .capacity = 0};
    if (keep == 0)
        return wz_fail(err, WZ_ERR_USAGE, "%s: at least one checkpoint must be kept", directory);
    wz_status status = list_directory(directory, true, &list, err);
    for (size_t i = keep; i < list.count && status == WZ_OK; i++)
        status = remove_file(directory, list.files[i].name, err);
    free(list.files);
    return status;
}
