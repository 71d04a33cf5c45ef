/* How model files store numbers: IEEE single and half precision, bfloat16, and llama.cpp's blocks of 32.
 *
 *     q8_0   d = max |x| / 127 as f16, then 32 int8 round(x / d): 34 bytes
 *     q4_0   d = (the x of largest magnitude, signed) / -8 as f16, then 16 bytes: min(15, trunc(x / d + 8.5)) of
 *            elements j (low four bits) and j + 16 (high): 18 bytes
 *
 * Roundings are ggml's reference ones (quantize_row_q8_0_ref, quantize_row_q4_0_ref), byte for byte. */
#ifndef WZ_CHECKPOINTS_NUMBER_TYPE_H
#define WZ_CHECKPOINTS_NUMBER_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum wz_number_type {
    WZ_NUMBER_F32,
    WZ_NUMBER_F16,
    WZ_NUMBER_BF16,
    WZ_NUMBER_Q8_0,
    WZ_NUMBER_Q4_0,
} wz_number_type;
#define WZ_NUMBER_TYPES 5

/* "f32", "f16", "bf16", "q8_0", "q4_0", then NULL. */
extern const char *const wz_number_type_names[];

/* Numbers that are stored together: 1 or 32. */
size_t wz_number_block(wz_number_type type);
/* Bytes of `count` numbers; false where count is no multiple of the block, or the product overflows. */
bool wz_number_bytes(wz_number_type type, size_t count, size_t *bytes);

/* count is a multiple of the block. Neither side needs alignment. Encoding rounds to nearest, ties to even, for f16 (overflow
 * to infinity) and bf16; NaN stays NaN. q8_0 and q4_0 need finite numbers. */
void wz_numbers_decode(wz_number_type type, const void *from, size_t count, float *to);
void wz_numbers_encode(wz_number_type type, const float *from, size_t count, void *to);

#endif
