#include "checkpoints/number_type.h"
#include "engine/core/bfloat16.h"

#include <math.h>
#include <string.h>

#define BLOCK 32

const char *const wz_number_type_names[] = {"f32", "f16", "bf16", "q8_0", "q4_0", NULL};

static const struct {
    size_t numbers, bytes;
} blocks[WZ_NUMBER_TYPES] = {{1, 4}, {1, 2}, {1, 2}, {BLOCK, 34}, {BLOCK, 18}};

size_t wz_number_block(wz_number_type type)
{
    return blocks[type].numbers;
}

bool wz_number_bytes(wz_number_type type, size_t count, size_t *bytes)
{
    return count % blocks[type].numbers == 0 &&
           !__builtin_mul_overflow(count / blocks[type].numbers, blocks[type].bytes, bytes);
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Half precision by arithmetic on single precision, so that loops of it become vectors: a subnormal half is an integer
 * times 2^-24, exact in single precision. */
static float half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7fffu;
    const uint32_t normal = (rest << 13) + ((rest >= 0x7c00u ? 224u : 112u) << 23);
    const uint32_t small = bits_of((float)(int32_t)rest * 0x1p-24f);
    return float_of(sign | (rest < 0x400u ? small : normal));
}

static uint16_t float_to_half(float value)
{
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    const uint32_t odd = rest >> 13 & 1u;
    const uint32_t normal = (rest - (112u << 23) + 0xfffu + odd) >> 13;
    /* the sum's last bit is worth 2^-24: the addition rounds */
    const uint32_t small = bits_of(float_of(rest) + 0.5f) - bits_of(0.5f);
    const uint32_t large = rest > 0x7f800000u ? 0x7e00u | (rest >> 13 & 0x1ffu) : 0x7c00u;
    const uint32_t finite = rest < (113u << 23) ? small : normal;
    return (uint16_t)(sign | (rest >= (143u << 23) ? large : finite));
}

static uint16_t load16(const unsigned char *from)
{
    uint16_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static void store16(unsigned char *to, uint16_t word)
{
    memcpy(to, &word, sizeof word);
}

/* ---- blocks of 32 ---- */

static void decode_q8(const unsigned char *from, float *to)
{
    const float d = half_to_float(load16(from));
    for (int i = 0; i < BLOCK; i++)
        to[i] = d * (float)(int8_t)from[2 + i];
}

static void encode_q8(const float *from, unsigned char *to)
{
    float largest = 0.0f;
    for (int i = 0; i < BLOCK; i++)
        largest = fmaxf(largest, fabsf(from[i]));
    const float d = largest / 127.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    store16(to, float_to_half(d));
    for (int i = 0; i < BLOCK; i++)
        to[2 + i] = (unsigned char)(int8_t)roundf(from[i] * inverse);
}

static void decode_q4(const unsigned char *from, float *to)
{
    const float d = half_to_float(load16(from));
    for (int i = 0; i < BLOCK / 2; i++) {
        to[i] = (float)((from[2 + i] & 15) - 8) * d;
        to[i + BLOCK / 2] = (float)((from[2 + i] >> 4) - 8) * d;
    }
}

static unsigned char four_bits(float scaled)
{
    const int level = (int)(int8_t)(scaled + 8.5f);
    return (unsigned char)(level < 15 ? level : 15);
}

static void encode_q4(const float *from, unsigned char *to)
{
    float largest = 0.0f, extreme = 0.0f;
    for (int i = 0; i < BLOCK; i++)
        if (largest < fabsf(from[i])) {
            largest = fabsf(from[i]);
            extreme = from[i];
        }
    const float d = extreme / -8.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    store16(to, float_to_half(d));
    for (int i = 0; i < BLOCK / 2; i++)
        to[2 + i] =
            (unsigned char)(four_bits(from[i] * inverse) | four_bits(from[i + BLOCK / 2] * inverse) << 4);
}

void wz_numbers_decode(wz_number_type type, const void *from, size_t count, float *to)
{
    const unsigned char *bytes = from;
    switch (type) {
    case WZ_NUMBER_F32:
        memcpy(to, from, count * sizeof *to);
        break;
    case WZ_NUMBER_F16:
        for (size_t i = 0; i < count; i++)
            to[i] = half_to_float(load16(bytes + 2 * i));
        break;
    case WZ_NUMBER_BF16:
        for (size_t i = 0; i < count; i++)
            to[i] = float_of((uint32_t)load16(bytes + 2 * i) << 16);
        break;
    case WZ_NUMBER_Q8_0:
        for (size_t i = 0; i < count; i += BLOCK)
            decode_q8(bytes + i / BLOCK * 34, to + i);
        break;
    case WZ_NUMBER_Q4_0:
        for (size_t i = 0; i < count; i += BLOCK)
            decode_q4(bytes + i / BLOCK * 18, to + i);
        break;
    }
}

void wz_numbers_encode(wz_number_type type, const float *from, size_t count, void *to)
{
    unsigned char *bytes = to;
    switch (type) {
    case WZ_NUMBER_F32:
        memcpy(to, from, count * sizeof *from);
        break;
    case WZ_NUMBER_F16:
        for (size_t i = 0; i < count; i++)
            store16(bytes + 2 * i, float_to_half(from[i]));
        break;
    case WZ_NUMBER_BF16:
        for (size_t i = 0; i < count; i++)
            store16(bytes + 2 * i, wz_bfloat16_from_float(from[i]));
        break;
    case WZ_NUMBER_Q8_0:
        for (size_t i = 0; i < count; i += BLOCK)
            encode_q8(from + i, bytes + i / BLOCK * 34);
        break;
    case WZ_NUMBER_Q4_0:
        for (size_t i = 0; i < count; i += BLOCK)
            encode_q4(from + i, bytes + i / BLOCK * 18);
        break;
    }
}
