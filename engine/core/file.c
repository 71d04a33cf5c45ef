#include "engine/core/file.h"
#include "engine/core/file_internal.h"
#include "engine/core/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* --- errors --- */

wz_status wz_file_classify(int number, const char **remedy)
{
    *remedy = "";
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        *remedy = "; free some space or write elsewhere";
        return WZ_ERR_RESOURCE;
    case EFBIG:
        *remedy = "; raise the file size limit (ulimit -f) or write elsewhere";
        return WZ_ERR_RESOURCE;
    case EMFILE:
    case ENFILE:
        *remedy = "; raise the limit of open files (ulimit -n)";
        return WZ_ERR_RESOURCE;
    case ENOMEM:
        return WZ_ERR_RESOURCE;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
        *remedy = "; check the path";
        return WZ_ERR_USAGE;
    case ELOOP:
        *remedy = "; a link is in the way";
        return WZ_ERR_USAGE;
    case EACCES:
    case EPERM:
    case EROFS:
        *remedy = "; check the permissions";
        return WZ_ERR_USAGE;
    default:
        return WZ_ERR_RUNTIME;
    }
}

wz_status wz_file_fail_errno(wz_error *err, int number, const char *action, const char *path)
{
    const char *remedy = "";
    wz_status status = wz_file_classify(number, &remedy);
    return wz_fail(err, status, "cannot %s %s: %s%s", action, path, strerror(number), remedy);
}

/* --- small steps that retry when a signal interrupts them --- */

int wz_file_open_retry(const char *path, int flags)
{
    int descriptor;
    do
        descriptor = open(path, flags | O_CLOEXEC, 0666);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

static int sync_retry(int descriptor)
{
    int result;
    do
        result = fsync(descriptor);
    while (result != 0 && errno == EINTR);
    return result;
}

static int write_all(int descriptor, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, data, length);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        data += written;
        length -= (size_t)written;
    }
    return 0;
}

/* path with its last component cut off; "." or "/" where nothing is left */
static wz_status parent_of(const char *path, wz_text *out, wz_error *err)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length == 0 ? wz_text_append(out, ".", 1, err) : wz_text_append(out, path, length, err);
}

/* --- whole files --- */

static wz_status read_descriptor(int descriptor, const char *path, size_t limit, wz_text *out, wz_error *err)
{
    char buffer[1 << 16];
    size_t start = out->length;
    for (;;) {
        ssize_t got = read(descriptor, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return wz_file_fail_errno(err, errno, "read", path);
        if (got == 0)
            return wz_text_append(out, "", 0, err); /* an empty file is an empty text, not NULL */
        if ((size_t)got > limit - (out->length - start))
            return wz_fail(err, WZ_ERR_CORRUPT, "%s is larger than the %zu bytes allowed here", path, limit);
        wz_status status = wz_text_append(out, buffer, (size_t)got, err);
        if (status != WZ_OK)
            return status;
    }
}

wz_status wz_file_read(const char *path, size_t limit, wz_text *out, wz_error *err)
{
    size_t start = out->length;
    int descriptor = wz_file_open_retry(path, O_RDONLY);
    if (descriptor < 0)
        return wz_file_fail_errno(err, errno, "open", path);
    wz_status status = read_descriptor(descriptor, path, limit, out, err);
    (void)close(descriptor);
    if (status != WZ_OK && out->data != NULL) {
        out->length = start;
        out->data[start] = '\0';
    }
    return status;
}

wz_status wz_file_read_at(int descriptor, const char *path, uint64_t offset, void *out, size_t count,
                          wz_error *err)
{
    char *to = out;
    while (count > 0) {
        const ssize_t got = pread(descriptor, to, count, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return wz_file_fail_errno(err, errno, "read", path);
        if (got == 0)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s ends at byte %llu, before what it holds does", path,
                           (unsigned long long)offset);
        to += got;
        offset += (uint64_t)got;
        count -= (size_t)got;
    }
    return WZ_OK;
}

/* Makes a rename durable. Some file systems cannot sync a directory and say EINVAL: they need no sync. */
static wz_status sync_parent(const char *path, wz_error *err)
{
    wz_text parent = {0};
    wz_status status = parent_of(path, &parent, err);
    if (status != WZ_OK)
        goto done;
    int descriptor = wz_file_open_retry(parent.data, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0) {
        status = wz_file_fail_errno(err, errno, "open directory", parent.data);
        goto done;
    }
    if (sync_retry(descriptor) != 0 && errno != EINVAL)
        status = wz_file_fail_errno(err, errno, "sync directory", parent.data);
    (void)close(descriptor);
done:
    wz_text_clear(&parent);
    return status;
}

static wz_status rename_durably(const char *temporary, const char *path, wz_error *err)
{
    if (rename(temporary, path) != 0) {
        wz_status status = wz_file_fail_errno(err, errno, "rename the finished file to", path);
        (void)unlink(temporary);
        return status;
    }
    return sync_parent(path, err);
}

wz_status wz_file_commit(const char *temporary, const char *path, wz_error *err)
{
    wz_status status = WZ_OK;
    int descriptor = wz_file_open_retry(temporary, O_RDONLY | O_NOFOLLOW);
    if (descriptor < 0) {
        status = wz_file_fail_errno(err, errno, "finish", path);
        (void)unlink(temporary);
        return status;
    }
    if (sync_retry(descriptor) != 0)
        status = wz_file_fail_errno(err, errno, "sync", path);
    (void)close(descriptor);
    if (status != WZ_OK) {
        (void)unlink(temporary);
        return status;
    }
    return rename_durably(temporary, path, err);
}

/* Opens a file that is not there yet, and locks it: where a file system knows no locks, two writers are not told apart. */
static int create_locked(const char *path, int flags)
{
    const int descriptor = wz_file_open_retry(path, flags | O_CREAT | O_EXCL);
    if (descriptor >= 0)
        (void)flock(descriptor, LOCK_EX | LOCK_NB);
    return descriptor;
}

/* Writes, syncs and closes a new file, which will be `path`; removes it again on failure. */
static wz_status write_new(const char *temporary, const char *path, const char *data, size_t length,
                           wz_error *err)
{
    wz_status status = WZ_OK;
    int descriptor = create_locked(temporary, O_WRONLY);
    if (descriptor < 0)
        return wz_file_fail_errno(err, errno, "create", path);
    if (write_all(descriptor, data, length) != 0)
        status = wz_file_fail_errno(err, errno, "write", path);
    else if (sync_retry(descriptor) != 0)
        status = wz_file_fail_errno(err, errno, "sync", path);
    if (close(descriptor) != 0 && status == WZ_OK)
        status = wz_file_fail_errno(err, errno, "close", path);
    if (status != WZ_OK)
        (void)unlink(temporary);
    return status;
}

wz_status wz_file_replace(const char *path, const char *data, size_t length, wz_error *err)
{
    wz_text temporary = {0};
    wz_status status = wz_output_temporary(path, &temporary, err);
    if (status == WZ_OK)
        status = write_new(temporary.data, path, data, length, err);
    if (status == WZ_OK)
        status = rename_durably(temporary.data, path, err);
    wz_text_clear(&temporary);
    return status;
}

/* --- directories and space --- */

bool wz_path_ends_in(const char *path, const char *end)
{
    const size_t length = strlen(path), tail = strlen(end);
    return length >= tail && strcmp(path + length - tail, end) == 0;
}

bool wz_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool wz_path_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool wz_file_is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool wz_path_is_same(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && wz_file_is_same(&first, &second);
}

static wz_status create_one_directory(const char *path, wz_error *err)
{
    if (mkdir(path, 0777) == 0)
        return WZ_OK;
    const int reason = errno; /* the next call has one of its own */
    if (wz_path_is_directory(path))
        return WZ_OK;
    if (reason == EEXIST)
        return wz_fail(err, WZ_ERR_USAGE, "cannot create directory %s: a file of that name is in the way",
                       path);
    return wz_file_fail_errno(err, reason, "create directory", path);
}

wz_status wz_directory_create(const char *path, wz_error *err)
{
    wz_text copy = {0};
    wz_status status = wz_text_append(&copy, path, strlen(path), err);
    for (size_t i = 1; status == WZ_OK && i < copy.length; i++) {
        if (copy.data[i] != '/')
            continue;
        copy.data[i] = '\0';
        status = create_one_directory(copy.data, err);
        copy.data[i] = '/';
    }
    if (status == WZ_OK)
        status = create_one_directory(path, err);
    wz_text_clear(&copy);
    return status;
}

wz_status wz_disk_free(const char *path, uint64_t *bytes, wz_error *err)
{
    struct statvfs info;
    wz_text place = {0};
    *bytes = 0;
    wz_status status = wz_text_append(&place, path, strlen(path), err);
    while (status == WZ_OK && statvfs(place.data, &info) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != ENOENT || strcmp(place.data, ".") == 0 || strcmp(place.data, "/") == 0) {
            status = wz_file_fail_errno(err, errno, "ask for the free space at", place.data);
            break;
        }
        wz_text parent = {0};
        status = parent_of(place.data, &parent, err);
        wz_text_clear(&place);
        place = parent;
    }
    if (status == WZ_OK && __builtin_mul_overflow((uint64_t)info.f_bavail, (uint64_t)info.f_frsize, bytes))
        *bytes = UINT64_MAX;
    wz_text_clear(&place);
    return status;
}

/* --- logs --- */

static wz_status cut_log(int descriptor, const char *path, uint64_t length, wz_error *err)
{
    struct stat info;
    if (fstat(descriptor, &info) != 0)
        return wz_file_fail_errno(err, errno, "look at", path);
    if ((uint64_t)info.st_size < length)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s has %lld bytes but %llu were recorded: it is not the log of this run", path,
                       (long long)info.st_size, (unsigned long long)length);
    if ((uint64_t)info.st_size > length && ftruncate(descriptor, (off_t)length) != 0)
        return wz_file_fail_errno(err, errno, "cut", path);
    return WZ_OK;
}

static wz_status name_log(wz_log *log, const char *name, wz_error *err)
{
    memset(log, 0, sizeof *log);
    if (strlen(name) >= sizeof log->path)
        return wz_fail(err, WZ_ERR_USAGE, "path of a log is longer than %zu bytes: %s", sizeof log->path - 1,
                       name);
    memcpy(log->path, name, strlen(name) + 1);
    return WZ_OK;
}

wz_status wz_log_open(wz_log *log, const char *path, uint64_t length, wz_error *err)
{
    wz_status status = name_log(log, path, err);
    if (status != WZ_OK)
        return status;
    log->descriptor = wz_file_open_retry(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW);
    if (log->descriptor < 0)
        return wz_file_fail_errno(err, errno, "open", path);
    status = cut_log(log->descriptor, path, length, err);
    log->is_open = status == WZ_OK;
    if (status != WZ_OK)
        (void)close(log->descriptor);
    return status;
}

wz_status wz_log_create(wz_log *log, const char *path, const char *name, wz_error *err)
{
    const wz_status status = name_log(log, name, err);
    if (status != WZ_OK)
        return status;
    log->descriptor = create_locked(path, O_WRONLY | O_APPEND);
    log->is_open = log->descriptor >= 0;
    return log->is_open ? WZ_OK : wz_file_fail_errno(err, errno, "create", name);
}

wz_status wz_log_append(wz_log *log, const char *data, size_t length, wz_error *err)
{
    struct stat before;
    if (!log->is_open)
        return wz_fail(err, WZ_ERR_RUNTIME, "append to a log that is not open");
    if (fstat(log->descriptor, &before) != 0)
        return wz_file_fail_errno(err, errno, "look at", log->path);
    if (write_all(log->descriptor, data, length) == 0)
        return WZ_OK;
    wz_status status = wz_file_fail_errno(err, errno, "write", log->path);
    if (ftruncate(log->descriptor, before.st_size) != 0)
        return wz_fail_prefix(err, status, "(a broken last line was left behind) ");
    return status;
}

wz_status wz_log_sync(wz_log *log, uint64_t *length, wz_error *err)
{
    struct stat info;
    *length = 0;
    if (!log->is_open)
        return wz_fail(err, WZ_ERR_RUNTIME, "sync of a log that is not open");
    if (sync_retry(log->descriptor) != 0)
        return wz_file_fail_errno(err, errno, "sync", log->path);
    if (fstat(log->descriptor, &info) != 0)
        return wz_file_fail_errno(err, errno, "look at", log->path);
    *length = (uint64_t)info.st_size;
    return WZ_OK;
}

void wz_log_close(wz_log *log)
{
    if (log->is_open)
        (void)close(log->descriptor);
    memset(log, 0, sizeof *log);
}

/* --- locks --- */

static wz_status fail_locked(int descriptor, const char *path, wz_error *err)
{
    char owner[32] = "";
    ssize_t got = pread(descriptor, owner, sizeof owner - 1, 0);
    owner[got > 0 ? (size_t)got : 0] = '\0';
    return wz_fail(err, WZ_ERR_RUNTIME,
                   "%s is locked by process %ld: another run uses this directory; wait or stop it", path,
                   strtol(owner, NULL, 10));
}

wz_status wz_lock_acquire(const char *path, int *descriptor, wz_error *err)
{
    char owner[32];
    *descriptor = -1;
    int opened = wz_file_open_retry(path, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (opened < 0)
        return wz_file_fail_errno(err, errno, "open", path);
    int result;
    do
        result = flock(opened, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    wz_status status = WZ_OK;
    if (result != 0)
        status = errno == EWOULDBLOCK ? fail_locked(opened, path, err)
                                      : wz_file_fail_errno(err, errno, "lock", path);
    int length = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    if (status == WZ_OK && (ftruncate(opened, 0) != 0 || write_all(opened, owner, (size_t)length) != 0))
        status = wz_file_fail_errno(err, errno, "write", path);
    if (status != WZ_OK) {
        (void)close(opened);
        return status;
    }
    *descriptor = opened;
    return WZ_OK;
}

void wz_lock_release(int descriptor)
{
    if (descriptor >= 0)
        (void)close(descriptor);
}
