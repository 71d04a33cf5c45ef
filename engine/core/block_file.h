/* Large files, read anywhere and written from front to back, a piece at a time. Messages and statuses as in file.h. Writing
 * takes place in a thread of its own, so that what comes next is made meanwhile: a failure is told by a later call. */
#ifndef WZ_CORE_BLOCK_FILE_H
#define WZ_CORE_BLOCK_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/digest.h"
#include "engine/core/read_ahead.h"
#include "engine/core/ring.h"
#include "engine/core/status.h"

typedef struct wz_block_file {
    int descriptor; /* -1: closed */
    uint64_t bytes; /* in the file: when it was opened, or appended so far */
    char path[1024];
    wz_read_ahead *ahead;       /* lent by who reads; NULL: none */
    wz_ring *ring;              /* of what is to be written; NULL: nothing is */
    unsigned char *piece;       /* of the ring, being filled; NULL: none */
    size_t used;                /* bytes of it */
    wz_digest *sum;             /* of what is written, made by the thread that writes */
    char digest[WZ_DIGEST_HEX]; /* once finished: as wz_digest_file would tell it */
} wz_block_file;

/* Opens a regular file for reading; anything else is WZ_ERR_CORRUPT. */
wz_status wz_block_file_open(wz_block_file *file, const char *path, wz_error *err);
/* Bytes [offset, offset + length). Fewer: WZ_ERR_CORRUPT. They come from file->ahead where that has them. */
wz_status wz_block_file_read(const wz_block_file *file, uint64_t offset, void *out, size_t length,
                             wz_error *err);

/* Makes a new file, which must not be there yet. */
wz_status wz_block_file_create(wz_block_file *file, const char *path, wz_error *err);
wz_status wz_block_file_append(wz_block_file *file, const void *data, size_t length, wz_error *err);
/* Syncs what was written, and closes. */
wz_status wz_block_file_finish(wz_block_file *file, wz_error *err);

/* Has the disk begin to write what memory holds of an open file, and does not wait: a later sync has less left to do. */
void wz_file_write_back(int descriptor);
#define WZ_WRITE_BACK_BYTES ((size_t)16 << 20) /* a good amount to do so after */

/* Closes what is open, without a sync. */
void wz_block_file_close(wz_block_file *file);

#endif
