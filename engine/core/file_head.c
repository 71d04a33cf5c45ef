/* What kind of file a path is. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/file.h"
#include "engine/core/file_internal.h"

/* What cannot be looked at, and a directory, is told of by whoever opens it. */
wz_status wz_file_check_regular(const char *path, wz_error *err)
{
    struct stat about;
    if (stat(path, &about) != 0 || S_ISREG(about.st_mode) || S_ISDIR(about.st_mode))
        return WZ_OK;
    return wz_fail(err, WZ_ERR_USAGE,
                   "%s is no regular file but a pipe or a device: write its contents to a file first", path);
}

wz_status wz_file_read_head(const char *path, void *bytes, size_t size, size_t *length, wz_error *err)
{
    *length = 0;
    wz_status status = wz_file_check_regular(path, err);
    if (status != WZ_OK)
        return status;
    const int descriptor = wz_file_open_retry(path, O_RDONLY);
    if (descriptor < 0)
        return wz_file_fail_errno(err, errno, "open", path);
    while (status == WZ_OK && *length < size) {
        const ssize_t got = read(descriptor, (char *)bytes + *length, size - *length);
        if (got == 0)
            break;
        if (got > 0)
            *length += (size_t)got;
        else if (errno != EINTR)
            status = wz_file_fail_errno(err, errno, "read", path);
    }
    (void)close(descriptor);
    return status;
}
