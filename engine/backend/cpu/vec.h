/* Sixteen floats at a time, with explicit fused multiply-add.
 *
 * Everything here is exact in the sense that matters: lane i of a result depends on lane i of the
 * inputs only, through one fixed sequence of IEEE operations, whatever the width of the machine's
 * registers. Reductions add lanes in one fixed tree. */
#ifndef WZ_BACKEND_CPU_VEC_H
#define WZ_BACKEND_CPU_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define WZ_LANES 16

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));

static inline int64_t round_lanes(int64_t n)
{
    return (n + WZ_LANES - 1) / WZ_LANES * WZ_LANES;
}

static inline v16 v16_load(const float *p)
{
    v16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void v16_store(float *p, v16 v)
{
    memcpy(p, &v, sizeof v);
}

/* n in 1..16; missing lanes are 0 */
static inline v16 v16_load_n(const float *p, int64_t n)
{
    if (n >= WZ_LANES)
        return v16_load(p);
    v16 v = {0};
    memcpy(&v, p, (size_t)n * sizeof(float));
    return v;
}

static inline void v16_store_n(float *p, v16 v, int64_t n)
{
    if (n >= WZ_LANES)
        v16_store(p, v);
    else
        memcpy(p, &v, (size_t)n * sizeof(float));
}

/* 16 bf16 numbers, exactly. */
static inline v16 v16_widen(const uint16_t *p)
{
    typedef uint16_t halves __attribute__((vector_size(32)));
    typedef uint32_t words __attribute__((vector_size(64)));
    halves half;
    memcpy(&half, p, sizeof half);
    return (v16)(__builtin_convertvector(half, words) << 16);
}

/* memcpy of n floats, without a call: rows are short. */
static inline void copy_floats(float *to, const float *from, int64_t n)
{
    int64_t i = 0;
    for (; i + WZ_LANES <= n; i += WZ_LANES)
        v16_store(to + i, v16_load(from + i));
    if (i < n)
        v16_store_n(to + i, v16_load_n(from + i, n - i), n - i);
}

static inline v16 v16_set(float x)
{
    return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

/* a * b + c, rounded once where the machine can */
static inline v16 v16_fma(v16 a, v16 b, v16 c)
{
#if defined(__AVX512F__)
    return (v16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    __m256 x[2], y[2], z[2];
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    memcpy(z, &c, sizeof z);
    z[0] = _mm256_fmadd_ps(x[0], y[0], z[0]);
    z[1] = _mm256_fmadd_ps(x[1], y[1], z[1]);
    memcpy(&c, z, sizeof z);
    return c;
#else
    return a * b + c;
#endif
}

static inline v16 v16_select(v16i condition, v16 yes, v16 no)
{
    return (v16)((condition & (v16i)yes) | (~condition & (v16i)no));
}

static inline v16i v16_lane(void)
{
    return (v16i){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
}

/* Lanes below n of v, the others of `other`. n may be negative or more than 16. */
static inline v16 v16_first(v16 v, int64_t n, v16 other)
{
    const int32_t lanes = n < 0 ? 0 : n < WZ_LANES ? (int32_t)n : WZ_LANES;
    return v16_select(v16_lane() < lanes, v, other);
}

/* v with lane i set to x. */
static inline v16 v16_insert(v16 v, int64_t i, float x)
{
    return v16_select(v16_lane() == (int32_t)i, v16_set(x), v);
}

static inline v16 v16_max(v16 a, v16 b)
{
    return v16_select(a > b, a, b);
}

/* The halves of a vector; reductions fold the upper half onto the lower one until one lane is left. */
typedef float v8 __attribute__((vector_size(32)));
typedef float v4 __attribute__((vector_size(16)));

static inline float v16_sum(v16 v)
{
    v8 half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
              __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    v4 quarter =
        __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

static inline float v16_largest(v16 v)
{
    v = v16_max(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    v = v16_max(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
    v = v16_max(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    v = v16_max(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
    return v[0];
}

/* Transposes a 16 x 16 matrix in registers: at step n, rows n apart trade halves of their blocks of 2n lanes. */
static inline void v16_transpose(v16 row[WZ_LANES])
{
    for (int i = 0; i < WZ_LANES; i++)
        if ((i & 1) == 0) {
            const v16 a = row[i], b = row[i + 1];
            row[i] = __builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
            row[i + 1] =
                __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
        }
    for (int i = 0; i < WZ_LANES; i++)
        if ((i & 2) == 0) {
            const v16 a = row[i], b = row[i + 2];
            row[i] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
            row[i + 2] =
                __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
        }
    for (int i = 0; i < WZ_LANES; i++)
        if ((i & 4) == 0) {
            const v16 a = row[i], b = row[i + 4];
            row[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
            row[i + 4] =
                __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
        }
    for (int i = 0; i < WZ_LANES; i++)
        if ((i & 8) == 0) {
            const v16 a = row[i], b = row[i + 8];
            row[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
            row[i + 8] =
                __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
        }
}

/* x within [low, high]; NaN stays NaN. */
static inline v16 v16_clip(v16 x, float low, float high)
{
#if defined(__AVX512F__)
    /* these return their second operand if either is NaN */
    return (v16)_mm512_max_ps((__m512)v16_set(low), _mm512_min_ps((__m512)v16_set(high), (__m512)x));
#else
    x = v16_select(x > v16_set(high), v16_set(high), x);
    return v16_select(x < v16_set(low), v16_set(low), x);
#endif
}

/* x 2^n for whole n in -127 .. 129: exact, or infinite, where the result is no denormal number; NaN for n = NaN. */
static inline v16 v16_scale(v16 x, v16 n)
{
#if defined(__AVX512F__)
    return (v16)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
    /* 2^n in two halves, so that n = 128 does not overflow the exponent field */
    const v16i whole = __builtin_convertvector(v16_select(n != n, v16_set(0.0f), n), v16i), half = whole >> 1;
    const v16 low = (v16)((half + 127) << 23), high = (v16)((whole - half + 127) << 23);
    return v16_select(n != n, n, x * low * high);
#endif
}

/* exp(x), relative error at most 8.5e-8 (measured at every float between the ends, with and without fused
 * multiply-add; tests/test_vec.c repeats a seventh of them); 0 below -87.33, infinity above 88.72, NaN for NaN. Range reduction by ln 2 in two parts and a degree-6 polynomial (Cephes expf, Moshier). */
static inline v16 v16_exp(v16 x)
{
    const v16 magic = v16_set(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    const v16 clipped = v16_clip(x, -88.0f, 89.0f);
    v16 n = v16_fma(clipped, v16_set(1.44269504088896341f), magic) - magic;
    v16 r = v16_fma(n, v16_set(-0.693359375f), clipped);
    r = v16_fma(n, v16_set(2.12194440e-4f), r);
    v16 p = v16_set(1.9875691500e-4f);
    p = v16_fma(p, r, v16_set(1.3981999507e-3f));
    p = v16_fma(p, r, v16_set(8.3334519073e-3f));
    p = v16_fma(p, r, v16_set(4.1665795894e-2f));
    p = v16_fma(p, r, v16_set(1.6666665459e-1f));
    p = v16_fma(p, r, v16_set(5.0000001201e-1f));
    p = v16_fma(p, r * r, r) + v16_set(1.0f);
    return v16_select(x < v16_set(-87.33f), v16_set(0.0f), v16_scale(p, n));
}

static inline float scalar_exp(float x)
{
    v16 y = v16_exp(v16_set(x));
    return y[0];
}

/* Dot product of n floats: sixteen running sums, then the tree. */
static inline float dot(const float *a, const float *b, int64_t n)
{
    v16 sum = {0};
    int64_t i = 0;
    for (; i + WZ_LANES <= n; i += WZ_LANES)
        sum = v16_fma(v16_load(a + i), v16_load(b + i), sum);
    if (i < n)
        sum = v16_fma(v16_load_n(a + i, n - i), v16_load_n(b + i, n - i), sum);
    return v16_sum(sum);
}

/* y += a x */
static inline void axpy(float *y, float a, const float *x, int64_t n)
{
    v16 factor = v16_set(a);
    int64_t i = 0;
    for (; i + WZ_LANES <= n; i += WZ_LANES)
        v16_store(y + i, v16_fma(factor, v16_load(x + i), v16_load(y + i)));
    if (i < n)
        v16_store_n(y + i, v16_fma(factor, v16_load_n(x + i, n - i), v16_load_n(y + i, n - i)), n - i);
}

#endif
