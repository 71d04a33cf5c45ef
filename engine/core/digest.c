#include "engine/core/digest.h"

#include <stdlib.h>
#include <xxhash.h>

#include "engine/core/memory.h"

struct wz_digest {
    XXH3_state_t state; /* needs 64-byte alignment, which wz_alloc gives */
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
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_digest), "digest state", err);
    if (status != WZ_OK)
        return status;
    *out = block;
    XXH3_INITSTATE(&(*out)->state);
    (void)XXH3_128bits_reset(&(*out)->state);
    return WZ_OK;
}

void wz_digest_destroy(wz_digest *digest)
{
    free(digest);
}

void wz_digest_add(wz_digest *digest, const void *bytes, size_t length)
{
    if (length > 0)
        (void)XXH3_128bits_update(&digest->state, bytes, length);
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
    write_hex(XXH3_128bits_digest(&digest->state), hex);
}
