/* Philox's arithmetic for the host and for devices. PHILOX_FUNCTION must be defined: what a function's definition begins
 * with there (`static inline`, `static __device__`). */
#ifndef WZ_CORE_PHILOX_ROUNDS_H
#define WZ_CORE_PHILOX_ROUNDS_H

#include "engine/core/philox.h"

PHILOX_FUNCTION uint64_t philox_product(uint32_t a, uint32_t b)
{
#if defined(__CUDA_ARCH__) /* of the C below nvcc 13 makes one addition of 0 more */
    uint64_t product;
    asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"(a), "r"(b));
    return product;
#else
    return (uint64_t)a * b;
#endif
}

PHILOX_FUNCTION void philox_rounds(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = philox_product(0xD2511F53u, c0);
        const uint64_t p1 = philox_product(0xCD9E8D57u, c2);
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* See wz_draw_words. */
PHILOX_FUNCTION void philox_draw(const wz_draw_key *key, uint32_t draw, uint32_t out[4])
{
    const uint32_t counter[4] = {key->step, key->problem, key->token << 12 | key->sample,
                                 key->purpose << 24 | (draw & (WZ_DRAW_LIMIT - 1))};
    const uint32_t seed[2] = {(uint32_t)key->seed, (uint32_t)(key->seed >> 32)};
    philox_rounds(counter, seed, out);
}

/* See wz_uniform. */
PHILOX_FUNCTION double philox_uniform(uint32_t word)
{
    return ((double)word + 0.5) * 0x1p-32;
}

#endif
