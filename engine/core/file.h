/* The one place that touches files: whole-file reads, atomic replacement, append-only logs, locks.
 * Tests fail or truncate any of these calls (tests/fault_preload.c). Every message names the path and the
 * system's reason. A full disk, an exceeded quota or file size limit, or no more descriptors or memory is
 * WZ_ERR_RESOURCE; a path that does not exist or may not be read is WZ_ERR_USAGE. */
#ifndef WZ_CORE_FILE_H
#define WZ_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

/* Appends the whole file to out (left as it was on failure). More than `limit` bytes: WZ_ERR_CORRUPT. */
wz_status wz_file_read(const char *path, size_t limit, wz_text *out, wz_error *err);
/* Exactly `count` bytes from `offset` on, of a file that is open; fewer are WZ_ERR_CORRUPT. */
wz_status wz_file_read_at(int descriptor, const char *path, uint64_t offset, void *out, size_t count,
                          wz_error *err);
/* temp -> write -> fsync -> close -> rename -> fsync directory: at any moment path is the old or the new
 * file, whole. The temporary (engine/core/output.h) is removed on failure. */
wz_status wz_file_replace(const char *path, const char *data, size_t length, wz_error *err);
/* For writers that produce the file themselves (HDF5): fsync temporary, rename it to path, fsync the
 * directory. On failure the temporary is removed. Messages name path. */
wz_status wz_file_commit(const char *temporary, const char *path, wz_error *err);
/* Creates a directory and its parents; an existing directory is fine. */
wz_status wz_directory_create(const char *path, wz_error *err);
/* Its first bytes, at most `size`. */
wz_status wz_file_read_head(const char *path, void *bytes, size_t size, size_t *length, wz_error *err);
/* Fails (WZ_ERR_USAGE) for what is there but is no regular file: reading a pipe that nobody writes to never ends. */
wz_status wz_file_check_regular(const char *path, wz_error *err);
#define WZ_BYTE_ORDER_MARK "\xEF\xBB\xBF" /* of UTF-8, as spreadsheets and editors write it */
bool wz_path_exists(const char *path);
/* Whether a path or name ends in `end`, or is that alone. */
bool wz_path_ends_in(const char *path, const char *end);
bool wz_path_is_directory(const char *path);
/* Whether both lead to one file or folder. */
bool wz_path_is_same(const char *a, const char *b);
/* Bytes a writer may still use on the file system that holds path, which need not exist yet. */
wz_status wz_disk_free(const char *path, uint64_t *bytes, wz_error *err);

/* An append-only log whose length is known, so that resume can cut it back. Unbuffered: what was appended is
 * visible to readers at once, and a failed append leaves no part of its line behind. {0} is a closed log. */
typedef struct wz_log {
    bool is_open;
    int descriptor;
    char path[512];
} wz_log;
/* Opens for appending after cutting the file to `length` bytes (0: start anew). A file shorter than `length`
 * is WZ_ERR_CORRUPT: it is not the log that was written. A link is not followed (WZ_ERR_USAGE): what it leads to would be cut. */
wz_status wz_log_open(wz_log *log, const char *path, uint64_t length, wz_error *err);
/* A file that is not there yet, locked (flock) while it is open; messages call it `name`. */
wz_status wz_log_create(wz_log *log, const char *path, const char *name, wz_error *err);
wz_status wz_log_append(wz_log *log, const char *data, size_t length, wz_error *err);
/* Syncs; *length = bytes in the file. */
wz_status wz_log_sync(wz_log *log, uint64_t *length, wz_error *err);
void wz_log_close(wz_log *log);

/* An exclusive flock on path (no link), which then holds our process id. WZ_ERR_RUNTIME, naming the other process's
 * id, while another one holds it. The file stays after release: removing it would let two processes in. */
wz_status wz_lock_acquire(const char *path, int *descriptor, wz_error *err);
void wz_lock_release(int descriptor);

#endif
