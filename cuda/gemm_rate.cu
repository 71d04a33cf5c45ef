/* How fast the backend's products are at a given shape: the yardstick of `wavezero bench`. */
#include <math.h>

#include "cuda/cuda_backend.h"

/* Something that can be done again and again, and how much work it is. */
typedef struct timed {
    void (*run)(cuda_backend *cuda, const void *what);
    const void *what;
    double work;
    const char *name;
    cudaEvent_t event[2];
} timed;

/* Seconds that it takes, several times, between two events of the stream; NaN: a failure, recorded. */
static double time_runs(cuda_backend *cuda, const timed *t, int64_t times)
{
    float elapsed_ms = NAN;
    if (!CUDA_CHECK(cuda, cudaEventRecord(t->event[0], cuda->stream), t->name))
        return NAN;
    for (int64_t i = 0; i < times; i++)
        t->run(cuda, t->what);
    if (!CUDA_CHECK(cuda, cudaEventRecord(t->event[1], cuda->stream), t->name) ||
        !CUDA_CHECK(cuda, cudaEventSynchronize(t->event[1]), t->name) ||
        !CUDA_CHECK(cuda, cudaEventElapsedTime(&elapsed_ms, t->event[0], t->event[1]), t->name) ||
        cuda->failed != WZ_OK)
        return NAN;
    return (double)elapsed_ms * 1e-3;
}

static double best_of_rounds(cuda_backend *cuda, const timed *t, double seconds)
{
    double best = 0.0;
    int64_t times = 1;
    for (double spent = 0.0; spent < seconds || best <= 0.0;) {
        const double elapsed = time_runs(cuda, t, times);
        if (isnan(elapsed))
            return NAN;
        spent += elapsed;
        if (elapsed < 0.005)
            times *= 2;
        else
            best = fmax(best, t->work * (double)times / elapsed);
    }
    return best;
}

double cuda_best_rate(cuda_backend *cuda, void (*run)(cuda_backend *cuda, const void *what), const void *what,
                      double work, double seconds, const char *name)
{
    timed t = {run, what, work, name, {}};
    double rate = NAN;
    if (!CUDA_CHECK(cuda, cudaEventCreate(&t.event[0]), name))
        return NAN;
    if (CUDA_CHECK(cuda, cudaEventCreate(&t.event[1]), name)) {
        rate = best_of_rounds(cuda, &t, seconds);
        CUDA_CHECK(cuda, cudaEventDestroy(t.event[1]), name);
    }
    CUDA_CHECK(cuda, cudaEventDestroy(t.event[0]), name);
    return rate;
}

template <typename T> static __global__ void fill(T *values, int64_t count)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count)
        values[at] = (float)(at % 17) * 0.01f;
}

static void multiply(cuda_backend *cuda, const void *product)
{
    cuda_multiply(cuda, (const cuda_product *)product, "gemm_rate");
}

/* A and B of the working type, C fp32; each begins on 16 bytes. */
double cuda_gemm_rate(wz_backend *backend, const wz_gemm_shape *s, double seconds)
{
    cuda_backend *cuda = cuda_of(backend);
    const wz_dtype type = backend->working_type;
    const int64_t a = (s->m * s->k + 7) / 8 * 8, b = (s->k * s->n + 7) / 8 * 8;
    const size_t size = wz_type_bytes(type), inputs = (size_t)(a + b) * size;
    char *block = (char *)cuda_scratch(cuda, inputs + (size_t)(s->m * s->n) * sizeof(float), "gemm_rate");
    if (block == NULL)
        return NAN;
    with_type(type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(fill<T>, dim3((unsigned)((a + b + 255) / 256)), dim3(256), 0, cuda->stream, (T *)block,
                  a + b);
    });
    const wz_tensor at = {block, s->a_transposed ? s->k : s->m, s->a_transposed ? s->m : s->k,
                          s->a_transposed ? s->m : s->k, type},
                    bt = {block + (size_t)a * size, s->b_transposed ? s->n : s->k,
                          s->b_transposed ? s->k : s->n, s->b_transposed ? s->k : s->n, type},
                    ct = {block + inputs, s->m, s->n, s->n, WZ_F32};
    CUDA_CHECK(cuda, cudaMemsetAsync(ct.data, 0, (size_t)(s->m * s->n) * sizeof(float), cuda->stream),
               "gemm_rate");
    const cuda_product product = cuda_product_of(ct, at, s->a_transposed, bt, s->b_transposed, s->accumulate);
    if (!CUDA_LAUNCHED(cuda, "gemm_rate", s->m, s->n))
        return NAN;
    multiply(cuda, &product); /* the first one chooses an algorithm */
    return cuda_best_rate(cuda, multiply, &product, 2.0 * (double)s->m * (double)s->n * (double)s->k, seconds,
                          "gemm_rate");
}
