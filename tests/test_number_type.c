/* Storage of numbers: half precision against the compiler's own conversions, blocks against their definition. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/number_type.h"
#include "tests/suite.h"

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float decode_one(wz_number_type type, uint16_t word)
{
    float value = 0.0f;
    wz_numbers_decode(type, &word, 1, &value);
    return value;
}

static uint16_t encode_one(wz_number_type type, float value)
{
    uint16_t word = 0;
    wz_numbers_encode(type, &value, 1, &word);
    return word;
}

/* The value of a half from its fields, in double: IEEE 754-2008, 3.4. */
static double half_value(uint16_t word)
{
    const int exponent = word >> 10 & 31, fraction = word & 1023;
    const double sign = word >> 15 ? -1.0 : 1.0;
    if (exponent == 31)
        return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent == 0 ? ldexp(fraction, -24) : ldexp(1.0 + fraction / 1024.0, exponent - 15));
}

START_TEST(every_half_is_read_and_written_back)
{
    for (uint32_t w = 0; w < 65536; w++) {
        const double expected = half_value((uint16_t)w);
        const float read = decode_one(WZ_NUMBER_F16, (uint16_t)w);
        if (isnan(expected)) {
            ck_assert(isnan(read) && isnan(decode_one(WZ_NUMBER_F16, encode_one(WZ_NUMBER_F16, read))));
            continue;
        }
        ck_assert_msg((double)read == expected, "half %04x: %g, not %g", w, (double)read, expected);
        ck_assert_uint_eq(encode_one(WZ_NUMBER_F16, read), w);
        ck_assert((signbit(read) != 0) == (w >> 15 != 0));
    }
}
END_TEST

/* Between two neighbouring halves: the nearer one, and at equal distance the even one. */
START_TEST(halves_round_to_nearest_even)
{
    for (uint16_t w = 0; w < 0x7bff; w++) {
        const double low = half_value(w), high = half_value((uint16_t)(w + 1)), middle = (low + high) / 2;
        ck_assert_uint_eq(encode_one(WZ_NUMBER_F16, (float)middle), w % 2 == 0 ? w : w + 1);
        ck_assert_uint_eq(encode_one(WZ_NUMBER_F16, nextafterf((float)middle, 0.0f)), w);
        ck_assert_uint_eq(encode_one(WZ_NUMBER_F16, -nextafterf((float)middle, INFINITY)),
                          0x8000u | (w + 1u));
    }
    ck_assert_uint_eq(encode_one(WZ_NUMBER_F16, 65519.0f), 0x7bff);
    ck_assert_uint_eq(encode_one(WZ_NUMBER_F16, 65520.0f), 0x7c00); /* half way to 2^16: infinity */
    ck_assert_uint_eq(encode_one(WZ_NUMBER_F16, -INFINITY), 0xfc00);
    ck_assert_uint_eq(encode_one(WZ_NUMBER_F16, 1e-10f), 0);
}
END_TEST

START_TEST(bfloat16_is_the_upper_half)
{
    for (uint32_t w = 0; w < 65536; w++) {
        const float read = decode_one(WZ_NUMBER_BF16, (uint16_t)w);
        ck_assert_uint_eq(bits_of(read), w << 16);
        if (!isnan(read))
            ck_assert_uint_eq(encode_one(WZ_NUMBER_BF16, read), w);
        else
            ck_assert(isnan(decode_one(WZ_NUMBER_BF16, encode_one(WZ_NUMBER_BF16, read))));
    }
    uint32_t tie[3] = {0x3f808000u, 0x3f818000u, 0x3f808001u};
    const uint16_t expected[3] = {0x3f80, 0x3f82, 0x3f81};
    for (int i = 0; i < 3; i++) {
        float value;
        memcpy(&value, &tie[i], sizeof value);
        ck_assert_uint_eq(encode_one(WZ_NUMBER_BF16, value), expected[i]);
    }
}
END_TEST

/* One step of the block's grid bounds the error: half a step for q8_0, and for q4_0 a whole one at the end that has no
 * level of its own (levels are -8 .. 7); the scale's own rounding to half precision adds 2^-11 of the largest. */
START_TEST(blocks_are_near)
{
    unsigned state = 1;
    for (int round = 0; round < 200; round++) {
        float block[64], read[64], largest[2] = {0.0f, 0.0f};
        unsigned char stored[68];
        for (int i = 0; i < 64; i++) {
            state = state * 1664525u + 1013904223u;
            block[i] = ((float)(state >> 8) / 8388608.0f - 1.0f) * (float)(1 + round);
            largest[i / 32] = fmaxf(largest[i / 32], fabsf(block[i]));
        }
        for (int four = 0; four < 2; four++) {
            const wz_number_type type = four ? WZ_NUMBER_Q4_0 : WZ_NUMBER_Q8_0;
            wz_numbers_encode(type, block, 64, stored);
            wz_numbers_decode(type, stored, 64, read);
            for (int i = 0; i < 64; i++) {
                const float step = largest[i / 32] * (four ? 1.0f / 8 : 0.5f / 127);
                ck_assert_float_le(fabsf(read[i] - block[i]), step * 1.001f + largest[i / 32] * 0x1p-11f);
            }
        }
    }
}
END_TEST

/* Levels by hand: amax 127 makes the step 1; the element of largest magnitude, -8, makes q4_0's step 1. */
START_TEST(blocks_have_ggml_layout)
{
    float values[32] = {0};
    unsigned char q8[34], q4[18];
    values[0] = 127.0f;
    values[1] = -3.5f; /* away from zero */
    values[31] = 2.4f;
    wz_numbers_encode(WZ_NUMBER_Q8_0, values, 32, q8);
    ck_assert_int_eq(q8[0] | q8[1] << 8, 0x3c00);
    ck_assert_int_eq((int8_t)q8[2], 127);
    ck_assert_int_eq((int8_t)q8[3], -4);
    ck_assert_int_eq((int8_t)q8[33], 2);
    memset(values, 0, sizeof values);
    values[0] = -8.0f;
    values[16] = 7.9f; /* level 15.9 is cut to 15 */
    values[1] = 3.0f;
    wz_numbers_encode(WZ_NUMBER_Q4_0, values, 32, q4);
    ck_assert_int_eq(q4[0] | q4[1] << 8, 0x3c00);
    ck_assert_uint_eq(q4[2], 0 | 15 << 4);
    ck_assert_uint_eq(q4[3], 11 | 8 << 4);
    memset(values, 0, sizeof values);
    float zeros[32];
    wz_numbers_encode(WZ_NUMBER_Q4_0, values, 32, q4);
    wz_numbers_decode(WZ_NUMBER_Q4_0, q4, 32, zeros);
    for (int i = 0; i < 32; i++)
        ck_assert(zeros[i] == 0.0f);
}
END_TEST

START_TEST(sizes_are_checked)
{
    size_t bytes = 0;
    ck_assert(wz_number_bytes(WZ_NUMBER_Q8_0, 64, &bytes) && bytes == 68);
    ck_assert(wz_number_bytes(WZ_NUMBER_Q4_0, 64, &bytes) && bytes == 36);
    ck_assert(wz_number_bytes(WZ_NUMBER_BF16, 3, &bytes) && bytes == 6);
    ck_assert(!wz_number_bytes(WZ_NUMBER_Q8_0, 33, &bytes));
    ck_assert(!wz_number_bytes(WZ_NUMBER_F32, SIZE_MAX / 2, &bytes));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("number_type");
    TCase *all = tcase_create("number_type");
    tcase_set_timeout(all, 60);
    tcase_add_test(all, every_half_is_read_and_written_back);
    tcase_add_test(all, halves_round_to_nearest_even);
    tcase_add_test(all, bfloat16_is_the_upper_half);
    tcase_add_test(all, blocks_are_near);
    tcase_add_test(all, blocks_have_ggml_layout);
    tcase_add_test(all, sizes_are_checked);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
