/* Large files, read anywhere and written from front to back, a piece at a time. Messages and statuses as in file.h. */
#ifndef WZ_CORE_BLOCK_FILE_H
#define WZ_CORE_BLOCK_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

typedef struct wz_block_file {
    int descriptor; /* -1: closed */
    uint64_t bytes; /* in the file: when it was opened, or written so far */
    char path[1024];
} wz_block_file;

/* Opens a regular file for reading; anything else is WZ_ERR_CORRUPT. */
wz_status wz_block_file_open(wz_block_file *file, const char *path, wz_error *err);
/* Bytes [offset, offset + length). Fewer: WZ_ERR_CORRUPT. */
wz_status wz_block_file_read(const wz_block_file *file, uint64_t offset, void *out, size_t length,
                             wz_error *err);

/* Makes a new file, which must not be there yet. */
wz_status wz_block_file_create(wz_block_file *file, const char *path, wz_error *err);
wz_status wz_block_file_append(wz_block_file *file, const void *data, size_t length, wz_error *err);
/* Syncs what was written, and closes. */
wz_status wz_block_file_finish(wz_block_file *file, wz_error *err);

/* Closes what is open, without a sync. */
void wz_block_file_close(wz_block_file *file);

#endif
