#include "engine/core/philox.h"

#include <math.h>

void wz_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
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

bool wz_draw_key_valid(const wz_draw_key *key)
{
    return key->token < (1u << 20) && key->sample < (1u << 12) && key->purpose < (1u << 8);
}

void wz_draw_words(const wz_draw_key *key, uint32_t draw, uint32_t out[4])
{
    const uint32_t counter[4] = {key->step, key->problem, key->token << 12 | key->sample,
                                 key->purpose << 24 | (draw & (WZ_DRAW_LIMIT - 1))};
    const uint32_t seed[2] = {(uint32_t)key->seed, (uint32_t)(key->seed >> 32)};
    wz_philox4x32(counter, seed, out);
}

void wz_draw_init_words(uint64_t seed, uint32_t purpose, uint32_t tensor, uint64_t element, uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)element, (uint32_t)(element >> 32), tensor, purpose << 24};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    wz_philox4x32(counter, key, out);
}

double wz_uniform(uint32_t word)
{
    return ((double)word + 0.5) * 0x1p-32;
}

void wz_normal_pair(const uint32_t words[4], double out[2])
{
    const double two_pi = 6.283185307179586476925286766559;
    double u = ((double)(((uint64_t)words[0] << 21) ^ (words[1] >> 11)) + 0.5) * 0x1p-53;
    double v = ((double)(((uint64_t)words[2] << 21) ^ (words[3] >> 11)) + 0.5) * 0x1p-53;
    double radius = sqrt(-2.0 * log(u));
    out[0] = radius * cos(two_pi * v);
    out[1] = radius * sin(two_pi * v);
}
