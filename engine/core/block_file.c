#include "engine/core/block_file.h"
#include "engine/core/file.h"
#include "engine/core/file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)4 << 20) /* one write at a time: a large one, that the disk is busy */

static wz_status open_path(wz_block_file *file, const char *path, int flags, const char *action,
                           wz_error *err)
{
    file->descriptor = -1;
    file->bytes = 0;
    file->ahead = NULL;
    file->ring = NULL;
    file->piece = NULL;
    file->sum = NULL;
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
    return wz_read_ahead_at(file->ahead, file->descriptor, file->path, offset, out, length, err);
}

/* Past the page cache (O_DIRECT), or through it; false: it cannot be done. */
static bool set_direct(const wz_block_file *file, bool direct)
{
    const int flags = fcntl(file->descriptor, F_GETFL);
    return flags >= 0 && fcntl(file->descriptor, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

/* What is no whole number of the disk's blocks, or is not taken so for another reason, goes through the cache. */
static ssize_t write_some(const wz_block_file *file, const unsigned char *bytes, size_t length, bool *direct)
{
    const ssize_t written = write(file->descriptor, bytes, length);
    if (written >= 0 || errno != EINVAL || !*direct || !set_direct(file, false))
        return written;
    *direct = false;
    return write(file->descriptor, bytes, length);
}

static wz_status write_piece(const wz_block_file *file, const unsigned char *piece, size_t length,
                             bool *direct, wz_error *err)
{
    if (*direct && length < PIECE_BYTES) /* the last one */
        *direct = !set_direct(file, false);
    while (length > 0) {
        const ssize_t written = write_some(file, piece, length, direct);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return wz_file_fail_errno(err, errno, "write", file->path);
        piece += written;
        length -= (size_t)written;
    }
    return WZ_OK;
}

/* The side that writes: past the page cache where it can, as nothing reads the file soon, and finding and filling pages for it may take
 * longer than the disk does. */
static wz_status write_pieces(wz_ring *ring, void *user, wz_error *err)
{
    const wz_block_file *file = user;
    wz_status status = WZ_OK;
    const void *piece = NULL;
    size_t length = 0, waiting = 0;
    bool direct = set_direct(file, true);
    while (status == WZ_OK && (piece = wz_ring_empty(ring, &length)) != NULL) {
        wz_digest_add(file->sum, piece, length);
        status = write_piece(file, piece, length, &direct, err);
        wz_ring_emptied(ring);
        waiting += direct ? 0 : length;
        if (waiting >= WZ_WRITE_BACK_BYTES) {
            wz_file_write_back(file->descriptor);
            waiting = 0;
        }
    }
    return status;
}

wz_status wz_block_file_create(wz_block_file *file, const char *path, wz_error *err)
{
    wz_status status = open_path(file, path, O_WRONLY | O_CREAT | O_EXCL, "create", err);
    if (status != WZ_OK)
        return status;
    status = wz_digest_create(&file->sum, err);
    if (status == WZ_OK)
        status = wz_ring_start(PIECE_BYTES, write_pieces, file, &file->ring, err);
    if (status != WZ_OK) {
        wz_block_file_close(file);
        (void)unlink(path);
    }
    return status;
}

/* Hands over what is there, waits until all is written, and says how that went. */
static wz_status end_writing(wz_block_file *file, wz_error *err)
{
    if (file->piece != NULL)
        wz_ring_filled(file->ring, file->used);
    file->piece = NULL;
    const wz_status status = wz_ring_join(file->ring, err);
    file->ring = NULL;
    return status;
}

/* A piece to fill. */
static wz_status begin_piece(wz_block_file *file, wz_error *err)
{
    if (file->ring == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: an earlier write failed", file->path);
    file->piece = wz_ring_fill(file->ring);
    file->used = 0;
    if (file->piece != NULL)
        return WZ_OK;
    const wz_status status = end_writing(file, err); /* its thread has ended before us: it failed */
    return status != WZ_OK ? status : wz_fail(err, WZ_ERR_RUNTIME, "%s: nobody writes it", file->path);
}

wz_status wz_block_file_append(wz_block_file *file, const void *data, size_t length, wz_error *err)
{
    const unsigned char *place = data;
    while (length > 0) {
        if (file->piece == NULL) {
            const wz_status status = begin_piece(file, err);
            if (status != WZ_OK)
                return status;
        }
        const size_t room = PIECE_BYTES - file->used, part = length < room ? length : room;
        memcpy(file->piece + file->used, place, part);
        file->used += part;
        file->bytes += part;
        place += part;
        length -= part;
        if (file->used == PIECE_BYTES) {
            wz_ring_filled(file->ring, file->used);
            file->piece = NULL;
        }
    }
    return WZ_OK;
}

wz_status wz_block_file_finish(wz_block_file *file, wz_error *err)
{
    const wz_status status = end_writing(file, err);
    if (status != WZ_OK)
        return status;
    wz_digest_finish(file->sum, file->digest);
    wz_digest_destroy(file->sum);
    file->sum = NULL;
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

void wz_file_write_back(int descriptor)
{
    if (descriptor >= 0)
        (void)sync_file_range(descriptor, 0, 0,
                              SYNC_FILE_RANGE_WRITE); /* a wish: the sync tells what fails */
}

void wz_block_file_close(wz_block_file *file)
{
    (void)end_writing(file, NULL);
    wz_digest_destroy(file->sum);
    file->sum = NULL;
    if (file->descriptor >= 0)
        (void)close(file->descriptor);
    file->descriptor = -1;
}
