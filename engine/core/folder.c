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

#include "engine/core/file.h"
#include "engine/core/file_internal.h"

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

static wz_status remove_files(const char *path, const wz_names *names, wz_error *err)
{
    wz_status status = WZ_OK;
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return wz_file_fail_errno(err, errno, "open the folder", path);
    for (size_t i = 0; i < names->count && status == WZ_OK; i++)
        if (unlinkat(folder, names->items[i], 0) != 0)
            status = errno == EISDIR || errno == EPERM
                         ? wz_fail(err, WZ_ERR_USAGE, "%s holds a folder, '%.100s': nothing made by us does",
                                   path, names->items[i])
                         : wz_file_fail_errno(err, errno, "remove a file of", path);
    (void)close(folder);
    return status;
}

static wz_status remove_content(const char *path, wz_error *err)
{
    wz_names names;
    wz_status status = wz_folder_list(path, &names, err);
    if (status != WZ_OK)
        return status;
    status = remove_files(path, &names, err);
    wz_names_clear(&names);
    return status;
}

wz_status wz_folder_remove(const char *path, wz_error *err)
{
    if (!wz_path_exists(path))
        return WZ_OK;
    wz_status status = remove_content(path, err);
    if (status == WZ_OK && rmdir(path) != 0)
        status = wz_file_fail_errno(err, errno, "remove", path);
    return status;
}

static wz_status check_target(const char *path, bool replace, const char *mark, wz_error *err)
{
    wz_names names;
    if (!wz_path_exists(path))
        return WZ_OK;
    if (!replace)
        return wz_fail(err, WZ_ERR_USAGE, "%s exists: write elsewhere, or replace it with --overwrite", path);
    if (!wz_path_is_directory(path))
        return wz_fail(err, WZ_ERR_USAGE, "%s is no folder: write elsewhere", path);
    wz_status status = wz_folder_list(path, &names, err);
    if (status == WZ_OK && names.count > 0 && !has_file(&names, mark))
        status = wz_fail(err, WZ_ERR_USAGE,
                         "%s is a folder of other things (it holds no %s) and is not replaced: write "
                         "elsewhere",
                         path, mark);
    wz_names_clear(&names);
    return status;
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
    return fstat(folder->lock, &locked) == 0 && stat(folder->path.data, &named) == 0 &&
           locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

static wz_status lock(wz_folder *folder, const char *target, wz_error *err)
{
    const char *path = folder->path.data;
    for (int tries = 0; tries < 100; tries++) {
        wz_status status = wz_directory_create(path, err);
        if (status != WZ_OK)
            return status;
        folder->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
    return wz_fail(err, WZ_ERR_USAGE, "%s is made and removed by other processes: write elsewhere", path);
}

wz_status wz_folder_begin(const char *path, bool replace, const char *mark, wz_folder *out, wz_error *err)
{
    *out = (wz_folder){.lock = -1};
    wz_status status = check_target(path, replace, mark, err);
    if (status == WZ_OK)
        status = wz_text_printf(&out->path, err, "%s.tmp", path);
    if (status == WZ_OK)
        status = lock(out, path, err);
    if (status == WZ_OK)
        status = remove_content(out->path.data, err);
    if (status == WZ_OK)
        status =
            check_target(path, replace, mark, err); /* again: it may have come while the lock was not ours */
    if (status != WZ_OK)
        wz_folder_abandon(out);
    return status;
}

void wz_folder_abandon(wz_folder *folder)
{
    if (folder->lock >= 0)
        (void)wz_folder_remove(folder->path.data, NULL);
    unlock(folder);
}

static wz_status sync_at(int folder, const char *name, const char *path, wz_error *err)
{
    const int descriptor = openat(folder, name, O_RDONLY | O_CLOEXEC);
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
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
static wz_status take_name(const char *temporary, const char *path, wz_error *err)
{
    if (!wz_path_exists(path))
        return wz_file_commit(temporary, path, err);
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) != 0)
        return wz_file_fail_errno(err, errno, "exchange the folder", path);
    return wz_folder_remove(temporary, err);
}

wz_status wz_folder_commit(wz_folder *folder, const char *path, wz_error *err)
{
    wz_status status = sync_all(folder->path.data, err);
    if (status == WZ_OK)
        status = take_name(folder->path.data, path, err);
    if (status != WZ_OK)
        wz_folder_abandon(folder);
    else
        unlock(folder);
    return status;
}
