#include "engine/core/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "engine/core/file_internal.h"
#include "engine/core/memory.h"

#define FILE_BLOCK ((size_t)1 << 20)

struct wz_digest {
    XXH3_state_t *state;
};

static void write_hex(XXH128_hash_t hash, char hex[WZ_DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    for (size_t i = 0; i < sizeof canonical.digest; i++) {
        hex[2 * i] = digits[canonical.digest[i] >> 4];
        hex[2 * i + 1] = digits[canonical.digest[i] & 15];
    }
    hex[WZ_DIGEST_HEX - 1] = '\0';
}

void wz_digest_bytes(const void *bytes, size_t length, char hex[WZ_DIGEST_HEX])
{
    write_hex(XXH3_128bits(bytes, length), hex);
}

static wz_status add_file(wz_digest *digest, int descriptor, const char *path, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, 1, FILE_BLOCK, "a file's digest", err);
    for (ssize_t got = 1; status == WZ_OK && got != 0;) {
        got = read(descriptor, block, FILE_BLOCK);
        if (got > 0)
            wz_digest_add(digest, block, (size_t)got);
        else if (got < 0 && errno != EINTR)
            status = wz_file_fail_errno(err, errno, "read", path);
    }
    free(block);
    return status;
}

wz_status wz_digest_file(const char *path, char hex[WZ_DIGEST_HEX], wz_error *err)
{
    wz_digest *digest = NULL;
    const int descriptor = wz_file_open_retry(path, O_RDONLY);
    if (descriptor < 0)
        return wz_file_fail_errno(err, errno, "open", path);
    wz_status status = wz_digest_create(&digest, err);
    if (status == WZ_OK)
        status = add_file(digest, descriptor, path, err);
    if (status == WZ_OK)
        wz_digest_finish(digest, hex);
    wz_digest_destroy(digest);
    (void)close(descriptor);
    return status;
}

wz_status wz_digest_create(wz_digest **out, wz_error *err)
{
    wz_digest *digest = malloc(sizeof *digest);
    *out = NULL;
    if (digest != NULL)
        digest->state = XXH3_createState();
    if (digest == NULL || digest->state == NULL) {
        free(digest);
        (void)wz_fail(err, WZ_ERR_RESOURCE, "out of memory for the state of a digest");
        return WZ_ERR_RESOURCE;
    }
    (void)XXH3_128bits_reset(digest->state);
    *out = digest;
    return WZ_OK;
}

void wz_digest_destroy(wz_digest *digest)
{
    if (digest == NULL)
        return;
    (void)XXH3_freeState(digest->state);
    free(digest);
}

void wz_digest_add(wz_digest *digest, const void *bytes, size_t length)
{
    if (length > 0)
        (void)XXH3_128bits_update(digest->state, bytes, length);
}

void wz_digest_add_u64(wz_digest *digest, uint64_t value)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    wz_digest_add(digest, bytes, sizeof bytes);
}

void wz_digest_finish(const wz_digest *digest, char hex[WZ_DIGEST_HEX])
{
    write_hex(XXH3_128bits_digest(digest->state), hex);
}
