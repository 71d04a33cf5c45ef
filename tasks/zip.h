/* Zip archives in memory, as far as NumPy writes them: members stored or deflated, below 4 GiB. */
#ifndef WZ_TASKS_ZIP_H
#define WZ_TASKS_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

typedef struct wz_zip {
    const char *path; /* in messages */
    const unsigned char *bytes;
    size_t length;
    size_t members, directory, directory_bytes;
} wz_zip;

typedef struct wz_zip_member {
    const char *name; /* (name_length), not terminated */
    size_t name_length;
    size_t packed, size; /* bytes in the archive; unpacked, as the archive states it */
    unsigned method;     /* 0: stored, 8: deflated */
    uint32_t crc;
    const unsigned char *data; /* (packed) */
} wz_zip_member;

/* Finds the archive's directory. */
wz_status wz_zip_open(const char *path, const unsigned char *bytes, size_t length, wz_zip *out,
                      wz_error *err);
/* The member whose entry stands at *at of the directory, which moves on to the next; begin with 0. */
wz_status wz_zip_next(const wz_zip *zip, size_t *at, wz_zip_member *out, wz_error *err);
/* Unpacks the first `count` bytes of a member into out. All of them: their checksum must be right. */
wz_status wz_zip_unpack(const wz_zip *zip, const wz_zip_member *member, size_t count, unsigned char *out,
                        wz_error *err);

#endif
