/* What every kernel file needs: the runtime, launches and shared memory through one macro each, and sums whose order is
 * fixed. The same sources are compiled by nvcc for a GPU and by the host's compiler for the emulator of
 * tests/cuda_emulator. */
#ifndef WZ_CUDA_DEVICE_H
#define WZ_CUDA_DEVICE_H

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stdint.h>

#define WZ_WARP 32
#define WZ_ALL_LANES 0xffffffffu
#define CUDA_MOST_SHARED ((size_t)99 << 10) /* bytes of a block on any GPU from sm_80 on */

#if defined(__CUDACC__)
/* Before a loop over an array that belongs in registers. */
#define WZ_UNROLL _Pragma("unroll")
/* Before one whose passes should overlap. */
#define WZ_UNROLL_BY(times) WZ_PRAGMA(unroll times)
#define WZ_PRAGMA(text) _Pragma(#text)
#define WZ_SHARED(type, name, count) __shared__ type name[count]
/* The launch's own shared memory, an array of float. */
#define WZ_DYNAMIC_SHARED(name) extern __shared__ __align__(16) float name[]
#define WZ_LAUNCH(kernel, grid, block, bytes, stream, ...) kernel<<<grid, block, bytes, stream>>>(__VA_ARGS__)
#else
#define WZ_UNROLL
#define WZ_UNROLL_BY(times) static_assert((times) > 0, "passes");
#define WZ_SHARED(type, name, count) static emulator::shared_array<type, count> name(#name)
#define WZ_DYNAMIC_SHARED(name) const emulator::dynamic_array<float> name(#name, 0)
#define WZ_LAUNCH(kernel, grid, block, bytes, stream, ...)                                                   \
    ((void)(stream),                                                                                         \
     emulator::launch(grid, block, bytes, #kernel, [=, given = std::make_tuple(__VA_ARGS__)] {               \
         std::apply([=](const auto &...arguments) { kernel(arguments...); }, given);                         \
     }))
#endif

/* An element of a tensor of type WZ_BF16. Read, it becomes a float; a float assigned to it is rounded to nearest, ties to
 * even. So kernels over either type read alike, and compute in fp32. */
typedef struct bf16 {
    __nv_bfloat16 bits;
    __device__ __forceinline__ operator float() const
    {
        return __bfloat162float(bits);
    }
    __device__ __forceinline__ bf16 &operator=(float x)
    {
        bits = __float2bfloat16_rn(x);
        return *this;
    }
} bf16;

/* Two in a word, the first one in its lower half. */
static __device__ __forceinline__ uint32_t bf16_pair(float first, float second)
{
#if defined(__CUDACC__)
    uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
    return word;
#else
    return (uint32_t)__float2bfloat16_rn(second).x << 16 | __float2bfloat16_rn(first).x;
#endif
}

static __device__ __forceinline__ float bf16_first(uint32_t pair)
{
    return __uint_as_float(pair << 16);
}

static __device__ __forceinline__ float bf16_second(uint32_t pair)
{
    return __uint_as_float(pair & 0xffff0000u);
}

/* What a thread reads or writes at once: 16 bytes at most. */
template <int BYTES> struct alignas(BYTES) bytes_at_once {
    uint32_t word[BYTES / 4];
};
typedef bytes_at_once<16> sixteen_bytes;

/* 2^x to within 2 units in the last place; 0 below the normal numbers. */
static __device__ __forceinline__ float power_of_two(float x)
{
#if defined(__CUDACC__)
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

static __device__ __forceinline__ float warp_max(float x)
{
    for (int lanes = WZ_WARP / 2; lanes > 0; lanes /= 2)
        x = fmaxf(x, __shfl_xor_sync(WZ_ALL_LANES, x, lanes));
    return x;
}

/* The sum over a warp's lanes, on every lane; halves are added, then quarters, so that the order is always the same. */
static __device__ __forceinline__ float warp_sum(float x)
{
    for (int lanes = WZ_WARP / 2; lanes > 0; lanes /= 2)
        x += __shfl_xor_sync(WZ_ALL_LANES, x, lanes);
    return x;
}

static __device__ __forceinline__ double warp_sum_double(double x)
{
    for (int lanes = WZ_WARP / 2; lanes > 0; lanes /= 2)
        x += __shfl_xor_sync(WZ_ALL_LANES, x, lanes);
    return x;
}

#endif
