/* The toolkit's bf16 type as far as the backend uses it (see cuda_runtime.h): the upper half of a float. */
#ifndef CUDA_EMULATOR_CUDA_BF16_H
#define CUDA_EMULATOR_CUDA_BF16_H

#include <stdint.h>
#include <string.h>

struct __nv_bfloat16 {
    uint16_t x;
};

static inline float __bfloat162float(__nv_bfloat16 value)
{
    const uint32_t bits = (uint32_t)value.x << 16;
    float out = 0.0f;
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* To nearest, ties to even; beyond the largest number, to infinity. A NaN stays one, in the toolkit's form. */
static inline __nv_bfloat16 __float2bfloat16_rn(float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return __nv_bfloat16{0x7fff};
    return __nv_bfloat16{(uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

#endif
