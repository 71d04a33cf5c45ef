#include "engine/core/philox.h"

#include <math.h>

#define PHILOX_FUNCTION static inline
#include "engine/core/philox_rounds.h"

void wz_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    philox_rounds(counter, key, out);
}

bool wz_draw_key_valid(const wz_draw_key *key)
{
    return key->token < (1u << 20) && key->sample < (1u << 12) && key->purpose < (1u << 8);
}

void wz_draw_words(const wz_draw_key *key, uint32_t draw, uint32_t out[4])
{
    philox_draw(key, draw, out);
}

void wz_draw_init_words(uint64_t seed, uint32_t purpose, uint32_t tensor, uint64_t element, uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)element, (uint32_t)(element >> 32), tensor, purpose << 24};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    wz_philox4x32(counter, key, out);
}

double wz_uniform(uint32_t word)
{
    return philox_uniform(word);
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
