/* The rate of plain products, for benchmarks. */
#include <math.h>

#include "cuda/cuda_backend.h"

extern "C" {
#include "engine/core/clock.h"
}

#define LEAST_ROUND 0.005 /* seconds: the launch of a round's first product does not count then */

/* Seconds of `calls` products in a row; NaN: one failed. */
static double round_s(cuda_backend *cuda, const cuda_product *product, int64_t calls)
{
    const double start = wz_now_s();
    for (int64_t i = 0; i < calls; i++)
        cuda_multiply(cuda, product, "the rate of products");
    const bool ended = CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), "the rate of products");
    return ended && cuda->failed == WZ_OK ? wz_now_s() - start : NAN;
}

/* Floats of a matrix, so that the next one is as aligned as memory of its own. */
static int64_t aligned(int64_t floats)
{
    return (floats + 63) / 64 * 64;
}

double cuda_gemm_rate(wz_backend *backend, const wz_gemm_shape *s, double seconds)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t a = aligned(s->m * s->k), b = aligned(s->k * s->n), c = aligned(s->m * s->n);
    const size_t bytes = (size_t)(a + b + c) * sizeof(float);
    float *block = (float *)cuda_scratch(cuda, bytes, "the rate of products");
    /* 0x3c3c3c3c is 0.0115: products of zeros would draw less power and run faster */
    if (block == NULL ||
        !CUDA_CHECK(cuda, cudaMemsetAsync(block, 0x3c, bytes, cuda->stream), "the rate of products"))
        return NAN;
    const cuda_product product = {block,
                                  block + a,
                                  block + a + b,
                                  s->m,
                                  s->n,
                                  s->k,
                                  s->a_transposed ? s->m : s->k,
                                  s->b_transposed ? s->k : s->n,
                                  s->n,
                                  s->a_transposed,
                                  s->b_transposed,
                                  s->accumulate};
    double best = 0.0, spent = 0.0;
    for (int64_t calls = 1; spent < seconds;) {
        const double elapsed = round_s(cuda, &product, calls);
        if (isnan(elapsed))
            return NAN;
        spent += elapsed;
        if (elapsed < LEAST_ROUND)
            calls *= 2;
        else
            best = fmax(best, 2.0 * (double)s->m * (double)s->n * (double)s->k * (double)calls / elapsed);
    }
    return best;
}
