/* Sums in a fixed order, gradient norm and AdamW. */
#include <math.h>
#include <stdlib.h>

#include "cuda/cuda_backend.h"

#define THREADS 256
#define BLOCK 16384 /* floats that one block of sum_squares adds */
#define SHARES 8    /* of a column's parts */

/* A thread adds a share of a column's parts in order, then the first warp the shares: as one sum, the parts of a large batch
 * would wait for each other longer than all else takes. */
static __global__ void add_parts(float *sum, const float *partial, int64_t parts, int64_t stride,
                                 int64_t columns)
{
    WZ_SHARED(float, share, SHARES *WZ_WARP);
    const int shares = (int)blockDim.y;
    const int64_t column = (int64_t)blockIdx.x * WZ_WARP + threadIdx.x, each = (parts + shares - 1) / shares,
                  first = threadIdx.y * each, end = first + each < parts ? first + each : parts;
    float total = 0.0f;
    if (column < columns) {
        WZ_UNROLL_BY(16)
        for (int64_t part = first; part < end; part++)
            total += partial[part * stride + column];
    }
    share[threadIdx.y * WZ_WARP + threadIdx.x] = total;
    __syncthreads();
    if (threadIdx.y != 0 || column >= columns)
        return;
    total = sum[column];
    for (int s = 0; s < shares; s++)
        total += share[s * WZ_WARP + (int)threadIdx.x];
    sum[column] = total;
}

void cuda_add_parts(cuda_backend *cuda, float *sum, const float *partial, int64_t parts, int64_t stride,
                    int64_t columns)
{
    WZ_LAUNCH(add_parts, dim3((unsigned)((columns + WZ_WARP - 1) / WZ_WARP)),
              dim3(WZ_WARP, (unsigned)(parts < SHARES ? parts : SHARES)), 0, cuda->stream, sum, partial,
              parts, stride, columns);
    CUDA_LAUNCHED(cuda, "adding parts", parts, columns);
}

/* partial[block] = sum of squares of its floats: threads take every 256th, warps add by halves, then the warps in order. */
static __global__ void sum_squares(double *partial, const float *values, int64_t count)
{
    WZ_SHARED(double, warp, THREADS / WZ_WARP);
    const int64_t begin = (int64_t)blockIdx.x * BLOCK, end = begin + BLOCK < count ? begin + BLOCK : count;
    double sum = 0.0;
    for (int64_t i = begin + threadIdx.x; i < end; i += THREADS)
        sum += (double)values[i] * (double)values[i];
    sum = warp_sum_double(sum);
    if (threadIdx.x % WZ_WARP == 0)
        warp[threadIdx.x / WZ_WARP] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        double all = 0.0;
        for (int w = 0; w < THREADS / WZ_WARP; w++)
            all += warp[w];
        partial[blockIdx.x] = all;
    }
}

cuda_need cuda_optimizer_need(const wz_op_bounds *b)
{
    return cuda_need{(size_t)((b->floats + BLOCK - 1) / BLOCK) * sizeof(double), 0};
}

double cuda_sum_squares(wz_backend *backend, const float *values, int64_t count)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t blocks = (count + BLOCK - 1) / BLOCK;
    void *host = NULL;
    wz_error err = {{0}};
    if (count == 0)
        return 0.0;
    double *partial = (double *)cuda_scratch(cuda, (size_t)blocks * sizeof(double), "sum of squares");
    wz_status status = wz_alloc(&host, (size_t)blocks, sizeof(double), "sum of squares", &err);
    double sum = NAN;
    if (status != WZ_OK)
        cuda_fail(cuda, status, &err);
    if (status == WZ_OK && partial != NULL) {
        const double *parts = (const double *)host;
        WZ_LAUNCH(sum_squares, dim3((unsigned)blocks), dim3(THREADS), 0, cuda->stream, partial, values,
                  count);
        if (CUDA_LAUNCHED(cuda, "sum of squares", 1, count) &&
            CUDA_CHECK(cuda,
                       cudaMemcpyAsync(host, partial, (size_t)blocks * sizeof(double), cudaMemcpyDeviceToHost,
                                       cuda->stream),
                       "sum of squares") &&
            CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), "sum of squares")) {
            sum = 0.0;
            for (int64_t i = 0; i < blocks; i++)
                sum += parts[i];
        }
    }
    free(host);
    return sum;
}

/* m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= lr wd w;  w -= step_size m / (sqrt(v) inverse_root2 + eps) */
static __global__ void adamw_step(float *weight, float *first, float *second, const float *gradient,
                                  int64_t count, float scale, float decay, float step_size,
                                  float inverse_root2, wz_adamw a)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= count)
        return;
    const float g = gradient[i] * scale;
    const float m = a.beta1 * first[i] + (1.0f - a.beta1) * g;
    const float v = a.beta2 * second[i] + (1.0f - a.beta2) * (g * g);
    first[i] = m;
    second[i] = v;
    weight[i] = weight[i] * decay - step_size * (m / (sqrtf(v) * inverse_root2 + a.epsilon));
}

void cuda_adamw(wz_backend *backend, float *weight, float *m, float *v, const float *gradient, int64_t count,
                float gradient_scale, const wz_adamw *adamw)
{
    cuda_backend *cuda = cuda_of(backend);
    const double t = (double)adamw->step;
    const float decay = 1.0f - adamw->learning_rate * adamw->weight_decay;
    const float step_size = (float)((double)adamw->learning_rate / (1.0 - pow((double)adamw->beta1, t)));
    const float inverse_root2 = (float)(1.0 / sqrt(1.0 - pow((double)adamw->beta2, t)));
    const wz_adamw options = *adamw;
    if (count == 0)
        return;
    WZ_LAUNCH(adamw_step, dim3((unsigned)((count + THREADS - 1) / THREADS)), dim3(THREADS), 0, cuda->stream,
              weight, m, v, gradient, count, gradient_scale, decay, step_size, inverse_root2, options);
    CUDA_LAUNCHED(cuda, "adamw", 1, count);
}

static __global__ void blend_weights(float *to, const float *from, int64_t count, float share, float rest)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < count)
        to[i] = rest * to[i] + share * from[i];
}

void cuda_blend(wz_backend *backend, float *to, const float *from, int64_t count, float share)
{
    cuda_backend *cuda = cuda_of(backend);
    if (count == 0)
        return;
    WZ_LAUNCH(blend_weights, dim3((unsigned)((count + THREADS - 1) / THREADS)), dim3(THREADS), 0,
              cuda->stream, to, from, count, share, 1.0f - share);
    CUDA_LAUNCHED(cuda, "blend", 1, count);
}
