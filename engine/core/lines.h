/* A text file read line by line: memory for one line, whatever the file's size. */
#ifndef WZ_CORE_LINES_H
#define WZ_CORE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/core/status.h"

typedef struct wz_lines {
    const char *path; /* borrowed */
    int descriptor;
    char *buffer; /* (limit + 1) */
    size_t limit, start, end;
    size_t number; /* of the line that was returned last, from 1 */
    bool at_end;
} wz_lines;

/* Lines may be up to `limit` bytes long, the line break included. */
wz_status wz_lines_open(wz_lines *lines, const char *path, size_t limit, wz_error *err);
/* The next line, terminated in place of its line break ("\n" or "\r\n"; the last line may have none); NULL at the end of
 * the file. Good until the next call. A longer line, or a NUL in one, is WZ_ERR_CORRUPT with path:line. */
wz_status wz_lines_next(wz_lines *lines, char **line, size_t *length, wz_error *err);
void wz_lines_close(wz_lines *lines);

#endif
