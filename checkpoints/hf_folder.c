#include "checkpoints/hf_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/core/memory.h"

static bool is_same(const char *folder, const char *file, size_t length)
{
    return folder != NULL && strlen(folder) == length && strncmp(folder, file, length) == 0;
}

static wz_status fail_errno(const char *path, int number, wz_error *err)
{
    return wz_fail(err, number == ENOMEM ? WZ_ERR_RESOURCE : WZ_ERR_CORRUPT, "%s: %s", path,
                   strerror(number));
}

wz_status wz_hf_check_place(const char *folder, const char *path, wz_error *err)
{
    struct stat info;
    wz_text blobs = {0};
    if (lstat(path, &info) != 0 && errno == ENOENT)
        return WZ_OK;
    if (stat(path, &info) != 0)
        return fail_errno(path, errno, err);
    if (!S_ISREG(info.st_mode))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s is no regular file", path);
    wz_status status = wz_text_printf(&blobs, err, "%s/../../blobs", folder);
    if (status != WZ_OK)
        return status;
    char *file = realpath(path, NULL);
    const char *slash = file != NULL ? strrchr(file, '/') : NULL;
    if (slash == NULL) {
        const int number = errno;
        wz_text_clear(&blobs);
        return fail_errno(path, number, err);
    }
    char *inside = realpath(folder, NULL), *cache = realpath(blobs.data, NULL);
    const size_t length = (size_t)(slash - file);
    if (!is_same(inside, file, length) && !is_same(cache, file, length))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s is a link that leads out of the model's folder, to %.300s",
                         path, file);
    free(file);
    free(inside);
    free(cache);
    wz_text_clear(&blobs);
    return status;
}
