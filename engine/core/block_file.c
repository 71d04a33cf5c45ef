#include "engine/core/block_file.h"
#include "engine/core/file.h"
#include "engine/core/file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static wz_status open_path(wz_block_file *file, const char *path, int flags, const char *action,
                           wz_error *err)
{
    file->descriptor = -1;
    file->bytes = 0;
    if (strlen(path) >= sizeof file->path)
        return wz_file_fail_errno(err, ENAMETOOLONG, action, path);
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    file->descriptor = wz_file_open_retry(path, flags);
    return file->descriptor >= 0 ? WZ_OK : wz_file_fail_errno(err, errno, action, path);
}

/* Not blocking: a pipe by that name would wait for its writer. */
wz_status wz_block_file_open(wz_block_file *file, const char *path, wz_error *err)
{
    struct stat info;
    wz_status status = open_path(file, path, O_RDONLY | O_NONBLOCK, "open", err);
    if (status != WZ_OK)
        return status;
    if (fstat(file->descriptor, &info) != 0)
        status = wz_file_fail_errno(err, errno, "read", path);
    else if (!S_ISREG(info.st_mode))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s is no regular file", path);
    else
        file->bytes = (uint64_t)info.st_size;
    if (status != WZ_OK)
        wz_block_file_close(file);
    else
        (void)posix_fadvise(file->descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    return status;
}

wz_status wz_block_file_read(const wz_block_file *file, uint64_t offset, void *out, size_t length,
                             wz_error *err)
{
    return wz_file_read_at(file->descriptor, file->path, offset, out, length, err);
}

wz_status wz_block_file_create(wz_block_file *file, const char *path, wz_error *err)
{
    return open_path(file, path, O_WRONLY | O_CREAT | O_EXCL, "create", err);
}

wz_status wz_block_file_append(wz_block_file *file, const void *data, size_t length, wz_error *err)
{
    const unsigned char *place = data;
    while (length > 0) {
        const ssize_t written = write(file->descriptor, place, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return wz_file_fail_errno(err, errno, "write", file->path);
        place += written;
        file->bytes += (uint64_t)written;
        length -= (size_t)written;
    }
    return WZ_OK;
}

wz_status wz_block_file_finish(wz_block_file *file, wz_error *err)
{
    int result;
    do
        result = fsync(file->descriptor);
    while (result != 0 && errno == EINTR);
    int number = result != 0 ? errno : 0;
    if (close(file->descriptor) != 0 && number == 0 && errno != EINTR)
        number = errno;
    file->descriptor = -1;
    return number == 0 ? WZ_OK : wz_file_fail_errno(err, number, "write", file->path);
}

void wz_block_file_close(wz_block_file *file)
{
    if (file->descriptor >= 0)
        (void)close(file->descriptor);
    file->descriptor = -1;
}
