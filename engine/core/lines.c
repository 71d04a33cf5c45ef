#include "engine/core/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/core/file_internal.h"
#include "engine/core/memory.h"

wz_status wz_lines_open(wz_lines *lines, const char *path, size_t limit, wz_error *err)
{
    void *buffer = NULL;
    memset(lines, 0, sizeof *lines);
    lines->descriptor = -1;
    wz_status status = wz_alloc(&buffer, limit + 1, 1, "a line of a file", err);
    if (status != WZ_OK)
        return status;
    lines->path = path;
    lines->buffer = buffer;
    lines->limit = limit;
    lines->descriptor = wz_file_open_retry(path, O_RDONLY);
    if (lines->descriptor < 0) {
        status = wz_file_fail_errno(err, errno, "open", path);
        wz_lines_close(lines);
    }
    return status;
}

/* Moves what is left to the front and reads on behind it. */
static wz_status refill(wz_lines *lines, wz_error *err)
{
    lines->end -= lines->start;
    memmove(lines->buffer, lines->buffer + lines->start, lines->end);
    lines->start = 0;
    if (lines->end == lines->limit)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s:%zu: the line is longer than the %zu bytes allowed here",
                       lines->path, lines->number + 1, lines->limit);
    ssize_t got;
    do
        got = read(lines->descriptor, lines->buffer + lines->end, lines->limit - lines->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return wz_file_fail_errno(err, errno, "read", lines->path);
    lines->at_end = got == 0;
    lines->end += (size_t)got;
    return WZ_OK;
}

wz_status wz_lines_next(wz_lines *lines, char **line, size_t *length, wz_error *err)
{
    size_t seen = 0; /* bytes without a line break */
    char *stop = NULL;
    *line = NULL;
    *length = 0;
    while (stop == NULL) {
        char *from = lines->buffer + lines->start + seen;
        const size_t left = lines->end - lines->start - seen;
        stop = left > 0 ? memchr(from, '\n', left) : NULL;
        if (stop == NULL && lines->at_end) {
            if (lines->start == lines->end)
                return WZ_OK;
            stop = lines->buffer + lines->end; /* buffer holds one byte more than is ever read */
        } else if (stop == NULL) {
            seen += left;
            wz_status status = refill(lines, err);
            if (status != WZ_OK)
                return status;
        }
    }
    *line = lines->buffer + lines->start;
    *length = (size_t)(stop - *line);
    lines->number++;
    lines->start += *length + (stop < lines->buffer + lines->end);
    *length -= *length > 0 && stop[-1] == '\r';
    (*line)[*length] = '\0';
    if (memchr(*line, '\0', *length) != NULL)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s:%zu: a NUL byte: this is no text file", lines->path,
                       lines->number);
    return WZ_OK;
}

void wz_lines_close(wz_lines *lines)
{
    if (lines->descriptor >= 0)
        (void)close(lines->descriptor);
    free(lines->buffer);
    memset(lines, 0, sizeof *lines);
    lines->descriptor = -1;
}
