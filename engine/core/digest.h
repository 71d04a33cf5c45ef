/* XXH3-128 digests as 32 hex digits: a fast check against damage, not against an adversary. */
#ifndef WZ_CORE_DIGEST_H
#define WZ_CORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

#define WZ_DIGEST_HEX 33 /* 32 digits and the terminator */

/* Digest of bytes in memory, as `xxhsum -H2` prints it. */
void wz_digest_bytes(const void *bytes, size_t length, char hex[WZ_DIGEST_HEX]);

/* Of a whole file, read in blocks. */
wz_status wz_digest_file(const char *path, char hex[WZ_DIGEST_HEX], wz_error *err);

/* Digest of several pieces in order. create -> add ... -> finish (any number of times) -> destroy. */
typedef struct wz_digest wz_digest;
wz_status wz_digest_create(wz_digest **out, wz_error *err);
void wz_digest_destroy(wz_digest *digest);
void wz_digest_add(wz_digest *digest, const void *bytes, size_t length);
/* Eight bytes, little-endian on every machine: lengths and shapes between pieces keep their borders apart. */
void wz_digest_add_u64(wz_digest *digest, uint64_t value);
void wz_digest_finish(const wz_digest *digest, char hex[WZ_DIGEST_HEX]);

#endif
