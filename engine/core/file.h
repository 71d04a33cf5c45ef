/* The one place that touches files: whole-file reads, atomic replacement, append-only logs, locks.
 * Tests fail or truncate any of these calls (tests/fault_preload.c). */
#ifndef WZ_CORE_FILE_H
#define WZ_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

/* Appends the whole file; refuses more than `limit` bytes. Missing: WZ_ERR_USAGE. */
wz_status wz_file_read(const char *path, size_t limit, wz_text *out, wz_error *err);
/* temp -> write -> fsync -> close -> rename -> fsync directory. Full disk: WZ_ERR_RESOURCE. */
wz_status wz_file_replace(const char *path, const char *data, size_t length, wz_error *err);
/* For writers that produce the file themselves (HDF5): fsync path.tmp, rename it to path, fsync the directory. */
wz_status wz_file_commit(const char *temporary, const char *path, wz_error *err);
/* Creates a directory and its parents; an existing directory is fine. */
wz_status wz_directory_create(const char *path, wz_error *err);
bool wz_path_exists(const char *path);
bool wz_path_is_directory(const char *path);
/* Bytes a writer may still use on the file system that holds path. */
wz_status wz_disk_free(const char *path, uint64_t *bytes, wz_error *err);

/* An append-only log whose length is known, so that resume can cut it back. */
typedef struct wz_log {
    FILE *stream;
    char path[512];
} wz_log;
/* Opens for appending after cutting the file to `length` bytes (0: start anew). */
wz_status wz_log_open(wz_log *log, const char *path, uint64_t length, wz_error *err);
wz_status wz_log_append(wz_log *log, const char *data, size_t length, wz_error *err);
/* Flushes and syncs; *length = bytes in the file. */
wz_status wz_log_sync(wz_log *log, uint64_t *length, wz_error *err);
void wz_log_close(wz_log *log);

/* An exclusive flock on path; fails with a message when another process holds it. */
wz_status wz_lock_acquire(const char *path, int *descriptor, wz_error *err);
void wz_lock_release(int descriptor);

#endif
