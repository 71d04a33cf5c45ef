#include "engine/core/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/digest.h"
#include "engine/core/file.h"
#include "engine/core/file_internal.h"
#include "engine/core/output.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static wz_status add_name(wz_names *names, const char *name, wz_error *err)
{
    void *items = names->items;
    wz_status status =
        wz_grow(&items, &names->capacity, names->count + 1, sizeof *names->items, "a folder's names", err);
    names->items = items;
    if (status != WZ_OK)
        return status;
    names->items[names->count] = strdup(name);
    if (names->items[names->count] == NULL)
        return wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a folder's names");
    names->count++;
    return WZ_OK;
}

wz_status wz_folder_list(const char *path, wz_names *out, wz_error *err)
{
    wz_status status = WZ_OK;
    *out = (wz_names){0};
    DIR *folder = opendir(path);
    if (folder == NULL)
        return wz_file_fail_errno(err, errno, "open the folder", path);
    for (const struct dirent *entry = readdir(folder); entry != NULL && status == WZ_OK;
         entry = readdir(folder))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = add_name(out, entry->d_name, err);
    (void)closedir(folder);
    if (status != WZ_OK)
        wz_names_clear(out);
    else if (out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, compare_names);
    return status;
}

void wz_names_clear(wz_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (wz_names){0};
}

static bool has_file(const wz_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

/* The folder itself, not one that a link leads to. */
static int open_folder(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static wz_status remove_file(int folder, const char *path, const char *name, wz_error *err)
{
    if (unlinkat(folder, name, 0) == 0)
        return WZ_OK;
    return errno == EISDIR || errno == EPERM
               ? wz_fail(err, WZ_ERR_USAGE, "%s holds a folder, '%.100s': nothing made by us does", path,
                         name)
               : wz_file_fail_errno(err, errno, "remove a file of", path);
}

static bool is_folder_at(int folder, const char *name)
{
    struct stat info;
    return fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

/* ---- whose files they are ---- */

#define LIST_LIMIT ((size_t)1 << 20) /* bytes of a mark; ours have some hundred */

/* Whether a line of the list is "<digest>  <name>". */
static bool is_listed(const char *list, const char *name)
{
    const size_t start = WZ_DIGEST_HEX - 1 + 2, length = strlen(name);
    for (const char *line = list; line != NULL && *line != '\0';) {
        const size_t end = strcspn(line, "\n");
        if (end == start + length && memcmp(line + start, name, length) == 0)
            return true;
        line += end + (line[end] == '\n');
    }
    return false;
}

/* Whether the name, or what it is the temporary of, is one that is given to files of such folders. */
static bool is_known(const wz_folder_kind *kind, const char *name)
{
    const bool is_temporary = wz_output_is_named_temporary(name);
    const size_t length = strlen(name) - (is_temporary ? strlen(WZ_OUTPUT_SUFFIX) : 0);
    for (size_t i = 0; kind->names[i] != NULL; i++)
        if (strlen(kind->names[i]) == length && memcmp(kind->names[i], name, length) == 0)
            return true;
    return is_temporary && strlen(kind->mark) == length && memcmp(kind->mark, name, length) == 0;
}

/* What is the matter with the files of a folder that is to be removed; "": nothing. */
typedef struct complaint {
    char text[200];
} complaint;

/* An unfinished folder's mark lists nothing yet. */
static wz_status judge(int folder, const char *path, const wz_names *names, const wz_folder_kind *kind,
                       bool unfinished, complaint *out, wz_error *err)
{
    wz_text file = {0}, list = {0};
    *out = (complaint){.text = ""};
    if (names->count > 0 && !has_file(names, kind->mark))
        (void)snprintf(out->text, sizeof out->text, "holds no %s", kind->mark);
    for (size_t i = 0; i < names->count && out->text[0] == '\0'; i++)
        if (is_folder_at(folder, names->items[i]))
            (void)snprintf(out->text, sizeof out->text, "holds a folder, '%.100s'", names->items[i]);
    if (names->count == 0 || out->text[0] != '\0')
        return WZ_OK;
    wz_status status = wz_text_printf(&file, err, "%s/%s", path, kind->mark);
    if (status == WZ_OK)
        status = wz_file_check_regular(file.data, err);
    if (status == WZ_OK)
        status = wz_file_read(file.data, LIST_LIMIT, &list, err);
    for (size_t i = 0; status == WZ_OK && i < names->count && out->text[0] == '\0'; i++) {
        const char *name = names->items[i];
        if (strcmp(name, kind->mark) != 0 && !is_listed(list.data, name) &&
            !(unfinished && list.length == 0 && is_known(kind, name)))
            (void)snprintf(out->text, sizeof out->text, "holds '%.100s', which its %s does not list", name,
                           kind->mark);
    }
    wz_text_clear(&file);
    wz_text_clear(&list);
    return status;
}

static wz_status check_content(const char *path, const wz_folder_kind *kind, bool unfinished, complaint *out,
                               wz_error *err)
{
    wz_names names = {0};
    const int folder = open_folder(path);
    if (folder < 0)
        return wz_file_fail_errno(err, errno, "open the folder", path);
    wz_status status = wz_folder_list(path, &names, err);
    if (status == WZ_OK)
        status = judge(folder, path, &names, kind, unfinished, out, err);
    wz_names_clear(&names);
    (void)close(folder);
    return status;
}

/* ---- removing ---- */

/* Its mark last: until then it can be told that the rest may go, too. kind NULL: whatever files they are. */
static wz_status remove_content(const char *path, const wz_folder_kind *kind, wz_error *err)
{
    wz_names names = {0};
    complaint found = {.text = ""};
    const char *last = NULL;
    const int folder = open_folder(path);
    if (folder < 0)
        return wz_file_fail_errno(err, errno, "open the folder", path);
    wz_status status = wz_folder_list(path, &names, err);
    if (status == WZ_OK && kind != NULL)
        status = judge(folder, path, &names, kind, true, &found, err);
    if (status == WZ_OK && found.text[0] != '\0')
        status = wz_fail(err, WZ_ERR_USAGE, "%s %s, and is not removed", path, found.text);
    for (size_t i = 0; i < names.count && status == WZ_OK; i++)
        if (kind != NULL && strcmp(names.items[i], kind->mark) == 0)
            last = names.items[i];
        else
            status = remove_file(folder, path, names.items[i], err);
    if (status == WZ_OK && last != NULL)
        status = remove_file(folder, path, last, err);
    wz_names_clear(&names);
    (void)close(folder);
    return status;
}

static wz_status remove_folder(const char *path, const wz_folder_kind *kind, wz_error *err)
{
    struct stat info;
    if (lstat(path, &info) != 0 && errno == ENOENT)
        return WZ_OK;
    wz_status status = remove_content(path, kind, err);
    if (status == WZ_OK && rmdir(path) != 0)
        status = wz_file_fail_errno(err, errno, "remove", path);
    return status;
}

wz_status wz_folder_remove(const char *path, wz_error *err)
{
    return remove_folder(path, NULL, err);
}

static wz_status check_target(const char *path, bool replace, const wz_folder_kind *kind, wz_error *err)
{
    struct stat info;
    complaint found = {.text = ""};
    if (lstat(path, &info) != 0)
        return WZ_OK; /* making it says what else there may be */
    if (S_ISLNK(info.st_mode))
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s is a link: name the folder that it leads to, or write elsewhere", path);
    if (!replace)
        return wz_fail(err, WZ_ERR_USAGE, "%s exists: write elsewhere, or replace it with --overwrite", path);
    if (!S_ISDIR(info.st_mode))
        return wz_fail(err, WZ_ERR_USAGE, "%s is no folder: write elsewhere", path);
    const wz_status status = check_content(path, kind, false, &found, err);
    return status != WZ_OK || found.text[0] == '\0'
               ? status
               : wz_fail(err, WZ_ERR_USAGE,
                         "%s is a folder of other things (it %s) and is not replaced: write elsewhere", path,
                         found.text);
}

/* ---- a folder under construction ---- */

static void unlock(wz_folder *folder)
{
    if (folder->lock >= 0)
        (void)close(folder->lock);
    folder->lock = -1;
    wz_text_clear(&folder->path);
}

/* Whether the locked folder still has its name: its writer may have given it another before the lock was ours. */
static bool is_there(const wz_folder *folder)
{
    struct stat locked, named;
    return fstat(folder->lock, &locked) == 0 && lstat(folder->path.data, &named) == 0 &&
           wz_file_is_same(&locked, &named);
}

/* Makes the folder, or finds one there. */
static wz_status make(const char *path, const char *target, wz_error *err)
{
    struct stat info;
    if (lstat(path, &info) == 0)
        return S_ISDIR(info.st_mode) ? WZ_OK : wz_output_in_the_way(path, err);
    const wz_status status = wz_directory_create(path, err);
    return status == WZ_OK ? WZ_OK : wz_fail_renamed(err, status, path, target);
}

static wz_status lock(wz_folder *folder, const char *target, wz_error *err)
{
    const char *path = folder->path.data;
    for (int tries = 0; tries < 100; tries++) {
        wz_status status = make(path, target, err);
        if (status != WZ_OK)
            return status;
        folder->lock = open_folder(path);
        if (folder->lock < 0 && errno != ENOENT)
            return wz_file_fail_errno(err, errno, "open the folder", path);
        const int reason = folder->lock < 0 || flock(folder->lock, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (folder->lock >= 0 && reason == 0 && is_there(folder))
            return WZ_OK;
        if (folder->lock >= 0)
            (void)close(folder->lock);
        folder->lock = -1; /* what is not locked is not ours to remove */
        if (reason == EWOULDBLOCK)
            return wz_fail(err, WZ_ERR_USAGE,
                           "%s is being written by another process: wait for it, or write elsewhere", target);
        if (reason != 0)
            return wz_file_fail_errno(err, reason, "lock", path);
    }
    return wz_fail(err, WZ_ERR_USAGE, "%s is made and removed by other processes: write elsewhere", target);
}

/* A folder that is not ours stays as it is. */
static wz_status check_left(wz_folder *folder, wz_error *err)
{
    const char *path = folder->path.data;
    complaint found = {.text = ""};
    wz_status status = check_content(path, folder->kind, true, &found, err);
    if (status == WZ_OK && found.text[0] != '\0')
        status = wz_fail(err, WZ_ERR_USAGE,
                         "%s is in the way, and nothing that wavezero left (it %s): move it away, or write "
                         "elsewhere",
                         path, found.text);
    if (status == WZ_OK)
        return WZ_OK;
    (void)close(folder->lock);
    folder->lock = -1;
    return status;
}

static wz_status put_mark(const wz_folder *folder, const char *target, wz_error *err)
{
    const int file = openat(folder->lock, folder->kind->mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0)
        return wz_file_fail_errno(err, errno, "write into", target);
    (void)close(file);
    return WZ_OK;
}

wz_status wz_folder_begin(const char *path, bool replace, const wz_folder_kind *kind, wz_folder *out,
                          wz_error *err)
{
    *out = (wz_folder){.kind = kind, .lock = -1};
    wz_status status = check_target(path, replace, kind, err);
    if (status == WZ_OK)
        status = wz_text_printf(&out->path, err, "%s" WZ_OUTPUT_SUFFIX, path);
    if (status == WZ_OK)
        status = lock(out, path, err);
    if (status == WZ_OK)
        status = check_left(out, err);
    if (status == WZ_OK)
        status = remove_content(out->path.data, kind, err);
    if (status == WZ_OK)
        status = put_mark(out, path, err);
    if (status == WZ_OK)
        status =
            check_target(path, replace, kind, err); /* again: it may have come while the lock was not ours */
    if (status != WZ_OK)
        wz_folder_abandon(out);
    return status;
}

void wz_folder_abandon(wz_folder *folder)
{
    if (folder->lock >= 0)
        (void)remove_folder(folder->path.data, folder->kind, NULL);
    unlock(folder);
}

static wz_status sync_at(int folder, const char *name, const char *path, wz_error *err)
{
    const int descriptor = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    const bool done = descriptor >= 0 && fsync(descriptor) == 0;
    wz_status status = done ? WZ_OK : wz_file_fail_errno(err, errno, "sync", path);
    if (descriptor >= 0)
        (void)close(descriptor);
    return status;
}

/* "." last: the folder itself. */
static wz_status sync_all(const char *path, wz_error *err)
{
    wz_names names;
    wz_status status = wz_folder_list(path, &names, err);
    if (status != WZ_OK)
        return status;
    const int folder = open_folder(path);
    if (folder < 0)
        status = wz_file_fail_errno(err, errno, "open the folder", path);
    for (size_t i = 0; i <= names.count && status == WZ_OK; i++)
        status = sync_at(folder, i < names.count ? names.items[i] : ".", path, err);
    if (folder >= 0)
        (void)close(folder);
    wz_names_clear(&names);
    return status;
}

/* Gives the folder its name. One that stands there changes places with it in one step, and is removed then. */
static wz_status take_name(const wz_folder *folder, const char *path, wz_error *err)
{
    const char *temporary = folder->path.data;
    if (!wz_path_exists(path))
        return wz_file_commit(temporary, path, err);
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) != 0)
        return wz_file_fail_errno(err, errno, "exchange the folder", path);
    return remove_folder(temporary, folder->kind, err);
}

wz_status wz_folder_commit(wz_folder *folder, const char *path, wz_error *err)
{
    wz_status status = sync_all(folder->path.data, err);
    if (status == WZ_OK)
        status = take_name(folder, path, err);
    if (status != WZ_OK) {
        (void)wz_fail_renamed(err, status, folder->path.data, path);
        wz_folder_abandon(folder);
    } else {
        unlock(folder);
    }
    return status;
}
