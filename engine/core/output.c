#include "engine/core/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/file.h"
#include "engine/core/file_internal.h"
#include "engine/core/folder.h"

/* ---- the temporary ---- */

wz_status wz_output_in_the_way(const char *temporary, wz_error *err)
{
    return wz_fail(err, WZ_ERR_USAGE,
                   "%s is in the way, and nothing that wavezero left: move it away, or write elsewhere",
                   temporary);
}

bool wz_output_is_named_temporary(const char *name)
{
    return wz_path_ends_in(name, WZ_OUTPUT_SUFFIX);
}

bool wz_output_is_left(int directory, const char *name)
{
    struct stat info;
    return wz_output_is_named_temporary(name) && fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(info.st_mode);
}

static bool is_locked(const char *path)
{
    const int descriptor = wz_file_open_retry(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0)
        return false;
    const bool locked = flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(descriptor);
    return locked;
}

static wz_status make_free(const char *temporary, const char *path, wz_error *err)
{
    struct stat info;
    if (lstat(temporary, &info) != 0)
        return errno == ENOENT ? WZ_OK : wz_file_fail_errno(err, errno, "write", path);
    if (!S_ISREG(info.st_mode))
        return wz_output_in_the_way(temporary, err);
    if (is_locked(temporary))
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s is being written by another process: wait for it, or write elsewhere", path);
    return unlink(temporary) == 0 || errno == ENOENT
               ? WZ_OK
               : wz_file_fail_errno(err, errno, "remove the unfinished", temporary);
}

wz_status wz_output_temporary(const char *path, wz_text *out, wz_error *err)
{
    struct stat info;
    const size_t start = out->length;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return wz_fail(err, WZ_ERR_USAGE, "%s is %s: a file is written here; write elsewhere", path,
                       S_ISDIR(info.st_mode) ? "a folder" : "no regular file");
    wz_status status = wz_text_printf(out, err, "%s" WZ_OUTPUT_SUFFIX, path);
    return status == WZ_OK ? make_free(out->data + start, path, err) : status;
}

/* ---- an output and what it is made from ---- */

/* Whether a path lies in the folder, at any depth, when its links are followed. */
static bool lies_in(const char *path, const struct stat *folder)
{
    struct stat info;
    char *full = realpath(path, NULL);
    bool found = false;
    for (char *slash = full != NULL ? strrchr(full, '/') : NULL; slash != NULL && !found;
         slash = strrchr(full, '/')) {
        *slash = '\0';
        found = stat(full[0] != '\0' ? full : "/", &info) == 0 && wz_file_is_same(&info, folder);
    }
    free(full);
    return found;
}

/* Names under which the folder holds the file, too: a hard link, or a link to it. */
static bool holds(const char *folder, const struct stat *file)
{
    wz_names names;
    wz_text path = {0};
    bool found = false;
    if (wz_folder_list(folder, &names, NULL) != WZ_OK)
        return false;
    for (size_t i = 0; i < names.count && !found; i++) {
        struct stat info;
        path.length = 0;
        found = wz_text_printf(&path, NULL, "%s/%s", folder, names.items[i]) == WZ_OK &&
                stat(path.data, &info) == 0 && wz_file_is_same(&info, file);
    }
    wz_text_clear(&path);
    wz_names_clear(&names);
    return found;
}

static bool destroys(const char *output, const struct stat *input, const char *path)
{
    struct stat info;
    if (stat(output, &info) != 0)
        return false;
    return wz_file_is_same(&info, input) ||
           (S_ISDIR(info.st_mode) && (lies_in(path, &info) || holds(output, input)));
}

wz_status wz_output_check_input(const char *output, const char *input, wz_error *err)
{
    struct stat info;
    wz_text temporary = {0};
    if (stat(input, &info) != 0) /* who reads it says so */
        return WZ_OK;
    wz_status status = wz_text_printf(&temporary, err, "%s" WZ_OUTPUT_SUFFIX, output);
    if (status == WZ_OK && (destroys(output, &info, input) || destroys(temporary.data, &info, input)))
        status = wz_fail(err, WZ_ERR_USAGE,
                         "writing %s would remove %s, which it is made from: write elsewhere", output, input);
    wz_text_clear(&temporary);
    return status;
}

wz_status wz_output_check_folder(const char *output, const char *folder, const char *own, wz_error *err)
{
    wz_names names;
    wz_text path = {0};
    if (!wz_path_exists(output) || !wz_path_is_directory(folder))
        return WZ_OK;
    wz_status status = wz_folder_list(folder, &names, err);
    for (size_t i = 0; status == WZ_OK && i < names.count; i++) {
        path.length = 0;
        status = wz_text_printf(&path, err, "%s/%s", folder, names.items[i]);
        if (status == WZ_OK && !wz_path_ends_in(names.items[i], own) && !wz_path_is_directory(path.data))
            status = wz_output_check_input(output, path.data, err);
    }
    wz_text_clear(&path);
    wz_names_clear(&names);
    return status;
}
