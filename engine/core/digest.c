#include "engine/core/digest.h"

#include <stdlib.h>
#include <xxhash.h>

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

wz_status wz_digest_create(wz_digest **out, wz_error *err)
{
    wz_digest *digest = malloc(sizeof *digest);
    *out = NULL;
    if (digest != NULL)
        digest->state = XXH3_createState();
    if (digest == NULL || digest->state == NULL) {
        free(digest);
        return wz_fail(err, WZ_ERR_RESOURCE, "out of memory for the state of a digest");
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
