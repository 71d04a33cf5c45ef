/* How fast the backend's products are at a given shape: the yardstick of `wavezero bench`. */
#include <math.h>

#include "cuda/cuda_backend.h"

static __global__ void fill(float *values, int64_t count)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count)
        values[at] = (float)(at % 17) * 0.01f;
}

/* Seconds that the product takes, several times, between two events of the stream; NaN: a failure, recorded. */
static double time_product(cuda_backend *cuda, const cuda_product *product, int64_t times,
                           const cudaEvent_t event[2])
{
    float elapsed_ms = NAN;
    if (!CUDA_CHECK(cuda, cudaEventRecord(event[0], cuda->stream), "gemm_rate"))
        return NAN;
    for (int64_t i = 0; i < times; i++)
        cuda_multiply(cuda, product, "gemm_rate");
    if (!CUDA_CHECK(cuda, cudaEventRecord(event[1], cuda->stream), "gemm_rate") ||
        !CUDA_CHECK(cuda, cudaEventSynchronize(event[1]), "gemm_rate") ||
        !CUDA_CHECK(cuda, cudaEventElapsedTime(&elapsed_ms, event[0], event[1]), "gemm_rate") ||
        cuda->failed != WZ_OK)
        return NAN;
    return (double)elapsed_ms * 1e-3;
}

static double best_rate(cuda_backend *cuda, const cuda_product *p, double seconds, const cudaEvent_t event[2])
{
    const double flops = 2.0 * (double)p->m * (double)p->n * (double)p->k;
    double best = 0.0;
    int64_t times = 1;
    cuda_multiply(cuda, p, "gemm_rate"); /* the first one chooses an algorithm */
    for (double spent = 0.0; spent < seconds || best <= 0.0;) {
        const double elapsed = time_product(cuda, p, times, event);
        if (isnan(elapsed))
            return NAN;
        spent += elapsed;
        if (elapsed < 0.005)
            times *= 2;
        else
            best = fmax(best, flops * (double)times / elapsed);
    }
    return best;
}

double cuda_gemm_rate(wz_backend *backend, const wz_gemm_shape *s, double seconds)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t a = (s->m * s->k + 3) / 4 * 4, b = (s->k * s->n + 3) / 4 * 4, all = a + b + s->m * s->n;
    float *block = (float *)cuda_scratch(cuda, (size_t)all * sizeof(float), "gemm_rate");
    cudaEvent_t event[2] = {};
    if (block == NULL)
        return NAN;
    WZ_LAUNCH(fill, dim3((unsigned)((all + 255) / 256)), dim3(256), 0, cuda->stream, block, all);
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
    double rate = NAN;
    if (CUDA_CHECK(cuda, cudaGetLastError(), "gemm_rate") &&
        CUDA_CHECK(cuda, cudaEventCreate(&event[0]), "gemm_rate")) {
        if (CUDA_CHECK(cuda, cudaEventCreate(&event[1]), "gemm_rate")) {
            rate = best_rate(cuda, &product, seconds, event);
            CUDA_CHECK(cuda, cudaEventDestroy(event[1]), "gemm_rate");
        }
        CUDA_CHECK(cuda, cudaEventDestroy(event[0]), "gemm_rate");
    }
    return rate;
}
