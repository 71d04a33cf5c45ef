/* Parts of files read before they are asked for, by threads of its own, where it is known which ones will be, and in which order.
 *
 * What the page cache does not hold is read past it (O_DIRECT), several requests at a time: a disk is as fast as it can be, and the
 * processors neither find pages for bytes that are read once nor copy them out of there. What it holds is copied from it.
 *
 * It is no more than that: what was not read, or could not be, is read in the usual way when it is asked for, which says what fails. */
#ifndef WZ_CORE_READ_AHEAD_H
#define WZ_CORE_READ_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

/* Bytes [offset, offset + bytes) of a regular file that is open for reading. */
typedef struct wz_extent {
    int descriptor;
    uint64_t offset, bytes;
} wz_extent;

typedef struct wz_read_ahead wz_read_ahead;

/* Begins to read `extents` in their order, and holds at most some MiB of them. NULL: too little to be worth it, or no memory or no
 * thread for it. The descriptors stay open until it is stopped. */
wz_read_ahead *wz_read_ahead_start(const wz_extent *extents, size_t count);
void wz_read_ahead_stop(wz_read_ahead *ahead); /* NULL: does nothing */

/* As wz_file_read_at, from what was read ahead where that has it; what lies before it in the order is not held any longer. For
 * one thread at a time. ahead: NULL for none. */
wz_status wz_read_ahead_at(wz_read_ahead *ahead, int descriptor, const char *path, uint64_t offset, void *out,
                           size_t count, wz_error *err);

#endif
