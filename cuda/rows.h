/* Kernels that go over rows. A thread has some elements of a row, in a unit; the lanes of a warp have units that follow one
 * another, the warps of a block rows that do: the place of an element takes no division. */
#ifndef WZ_CUDA_ROWS_H
#define WZ_CUDA_ROWS_H

#include <string.h>

#include <type_traits>

#include "cuda/cuda_backend.h"

#define ROW_WARPS 8 /* rows of a block */
#if defined(__CUDACC__)
#define ROW_BLOCKS 65535 /* that a grid can have in y */
#else
#define ROW_BLOCKS 4 /* the emulator's runs are small, and must meet their bounds */
#endif

/* N elements of a row that follow one another, in fp32. */
template <int N> struct elements {
    float at[N];
};

template <int BYTES> static __device__ __forceinline__ bytes_at_once<BYTES> read_bytes(const void *from)
{
#if defined(__CUDACC__)
    return *(const bytes_at_once<BYTES> *)from;
#else
    bytes_at_once<BYTES> unit;
    memcpy(&unit, __builtin_assume_aligned(from, BYTES), BYTES);
    return unit;
#endif
}

/* To the device's memory. In so many words, as of an assignment the compiler may make a store for each word. */
template <int BYTES>
static __device__ __forceinline__ void write_bytes(void *to, const bytes_at_once<BYTES> &unit)
{
#if defined(__CUDACC__)
    const size_t at = __cvta_generic_to_global(to);
    if constexpr (BYTES == 16)
        asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(at), "r"(unit.word[0]),
                     "r"(unit.word[1]), "r"(unit.word[2]), "r"(unit.word[3])
                     : "memory");
    else if constexpr (BYTES == 8)
        asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(at), "r"(unit.word[0]), "r"(unit.word[1])
                     : "memory");
    else
        *(uint32_t *)to = unit.word[0];
#else
    memcpy(__builtin_assume_aligned(to, BYTES), &unit, BYTES);
#endif
}

/* Reads N elements, or writes them: several lie at a multiple of their size, or of 16 bytes (in_units). */
template <int N> static __device__ __forceinline__ elements<N> read_elements(const float *from)
{
    constexpr int EACH = N < 4 ? N : 4;
    elements<N> x;
    WZ_UNROLL
    for (int i = 0; i < N; i += EACH) {
        const bytes_at_once<4 *EACH> unit = read_bytes<4 * EACH>(from + i);
        WZ_UNROLL
        for (int k = 0; k < EACH; k++)
            x.at[i + k] = __uint_as_float(unit.word[k]);
    }
    return x;
}

template <int N> static __device__ __forceinline__ elements<N> read_elements(const bf16 *from)
{
    elements<N> x;
    if constexpr (N == 1) {
        x.at[0] = *from;
    } else {
        const bytes_at_once<2 *N> unit = read_bytes<2 * N>(from);
        WZ_UNROLL
        for (int i = 0; i < N; i++)
            x.at[i] = i % 2 == 0 ? bf16_first(unit.word[i / 2]) : bf16_second(unit.word[i / 2]);
    }
    return x;
}

template <int N> static __device__ __forceinline__ void write_elements(float *to, const elements<N> &x)
{
    constexpr int EACH = N < 4 ? N : 4;
    WZ_UNROLL
    for (int i = 0; i < N; i += EACH) {
        bytes_at_once<4 * EACH> unit;
        WZ_UNROLL
        for (int k = 0; k < EACH; k++)
            unit.word[k] = __float_as_uint(x.at[i + k]);
        write_bytes<4 * EACH>(to + i, unit);
    }
}

template <int N> static __device__ __forceinline__ void write_elements(bf16 *to, const elements<N> &x)
{
    if constexpr (N == 1) {
        *to = x.at[0];
    } else {
        bytes_at_once<2 * N> unit;
        WZ_UNROLL
        for (int i = 0; i < N; i += 2)
            unit.word[i / 2] = bf16_pair(x.at[i], x.at[i + 1]);
        write_bytes<2 * N>(to, unit);
    }
}

/* Pairs (a, b) of a head turned by their angles: (a c - b s, b c + a s) (Su et al. 2021). */
template <int N>
static __device__ __forceinline__ void rotate_pairs(elements<N> *a, elements<N> *b, const elements<N> &cosine,
                                                    const elements<N> &sine, float sign)
{
    WZ_UNROLL
    for (int i = 0; i < N; i++) {
        const float s = sine.at[i] * sign, first = a->at[i] * cosine.at[i] - b->at[i] * s;
        b->at[i] = b->at[i] * cosine.at[i] + a->at[i] * s;
        a->at[i] = first;
    }
}

/* Whether a tensor's rows are whole units of n elements that can be read at once. */
static inline bool in_units(int n, wz_tensor tensor)
{
    const uint64_t bytes = (uint64_t)n * wz_type_bytes(tensor.type), most = bytes < 16 ? bytes : 16;
    return (uint64_t)(uintptr_t)tensor.data % most == 0 && tensor.stride % n == 0 && tensor.columns % n == 0;
}

/* A row of n numbers. */
static inline wz_tensor vector_of(const float *data, int64_t n)
{
    return wz_tensor{(void *)data, 1, n, n, WZ_F32};
}

/* Calls run(n) with the elements of a unit, a constant: MOST where all the tensors allow it, or 1:
 * [&](auto n) { constexpr int N = n; ... }. */
template <int MOST, typename F, typename... A>
static inline void with_units(const F &run, const A &...tensors)
{
    if ((in_units(MOST, tensors) && ...))
        run(std::integral_constant<int, MOST>{});
    else
        run(std::integral_constant<int, 1>{});
}

/* Blocks and threads for rows of so many units. */
static inline dim3 row_threads(int64_t rows)
{
    return dim3(WZ_WARP, (unsigned)(rows < ROW_WARPS ? rows : ROW_WARPS));
}

static inline dim3 row_blocks(int64_t units, int64_t rows)
{
    const int64_t blocks = (rows + ROW_WARPS - 1) / ROW_WARPS;
    return dim3((unsigned)((units + WZ_WARP - 1) / WZ_WARP),
                (unsigned)(blocks < ROW_BLOCKS ? blocks : ROW_BLOCKS));
}

static __device__ __forceinline__ int64_t unit_of_thread(void)
{
    return (int64_t)blockIdx.x * WZ_WARP + threadIdx.x;
}

/* Calls body(row) for the thread's rows. */
template <typename F> static __device__ __forceinline__ void over_rows(int64_t rows, const F &body)
{
    WZ_UNROLL_BY(1) /* counting the passes of more would take a division */
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; row < rows;
         row += (int64_t)gridDim.y * blockDim.y)
        body(row);
}

/* Calls body(row, column) for the thread's unit in each of its rows. */
template <int N, typename F>
static __device__ __forceinline__ void over_units(int64_t rows, int64_t columns, const F &body)
{
    const int64_t column = unit_of_thread() * N;
    if (column < columns)
        over_rows(rows, [&](int64_t row) { body(row, column); });
}

/* The least power of two (its logarithm) that is at least `units`: lanes for a head's units, so that finding a lane's head
 * takes no division. */
static inline int lanes_log2(int64_t units)
{
    int log2 = 0;
    while ((int64_t)1 << log2 < units)
        log2++;
    return log2;
}

#endif
