/* The CUDA backend: device, memory, errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cuda_backend.h"

#define LEAST_MAJOR 8 /* compute capability: Ampere, for bf16 and asynchronous copies */

bool cuda_check(cuda_backend *cuda, cudaError_t error, const char *what, const char *file, int line)
{
    if (error == cudaSuccess)
        return true;
    wz_error err = {{0}};
    const wz_status status = error == cudaErrorMemoryAllocation ? WZ_ERR_RESOURCE : WZ_ERR_DEVICE;
    (void)cudaGetLastError(); /* which stays until it is asked for: others would be told of this failure */
    (void)wz_fail(&err, status, "CUDA: %s failed: %s (%s, %s:%d)%s", what, cudaGetErrorString(error),
                  cudaGetErrorName(error), file, line,
                  status == WZ_ERR_RESOURCE ? CUDA_LESS_MEMORY : CUDA_BROKEN);
    cuda_fail(cuda, status, &err);
    return false;
}

bool cuda_launched(cuda_backend *cuda, const char *what, int64_t rows, int64_t columns, const char *file,
                   int line)
{
    const cudaError_t error = cudaGetLastError();
    char text[160];
    if (error == cudaSuccess)
        return true;
    (void)snprintf(text, sizeof text, "%s [%lld, %lld]", what, (long long)rows, (long long)columns);
    return cuda_check(cuda, error, text, file, line);
}

void cuda_fail(cuda_backend *cuda, wz_status status, const wz_error *err)
{
    if (cuda->failed != WZ_OK)
        return;
    cuda->failed = status;
    cuda->failure = *err;
}

static void cuda_destroy(wz_backend *backend)
{
    if (backend == NULL)
        return;
    cuda_backend *cuda = cuda_of(backend);
    cuda_decode_destroy(cuda);
    cuda_gemm_destroy(cuda->gemm);
    cuda_memory_clear(cuda);
    if (cuda->stream_made)
        (void)cudaStreamDestroy(cuda->stream);
    free(cuda);
}

static void cuda_describe(const wz_backend *backend, wz_backend_info *out)
{
    const cuda_backend *cuda = (const cuda_backend *)backend;
    *out = wz_backend_info{cuda->kernels,
                           1,
                           INT32_MAX,
                           1024,
                           CUDA_MOST_HEAD_DIM,
                           cuda->name,
                           cuda->driver,
                           cuda->runtime,
                           0,
                           0,
                           cuda_gemm_taken(cuda->gemm) + cuda->scratch.bytes + cuda->widened.bytes +
                               cuda->ring.bytes + cuda->passing.memory.bytes + cuda_decode_taken(cuda),
                           cuda_gemm_record(cuda->gemm),
                           !cuda->exact};
    if (cudaMemGetInfo(&out->memory_free, &out->memory) != cudaSuccess)
        (void)cudaGetLastError();
}

static void cuda_upload(wz_backend *backend, void *to, const void *host, size_t bytes)
{
    cuda_backend *cuda = cuda_of(backend);
    if (CUDA_CHECK(cuda, cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, cuda->stream), "upload"))
        CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), "upload");
}

static void cuda_download(wz_backend *backend, void *host, const void *from, size_t bytes)
{
    (void)cuda_fetch(cuda_of(backend), host, from, bytes, "download");
}

static void cuda_fill_zero(wz_backend *backend, void *block, size_t bytes)
{
    cuda_backend *cuda = cuda_of(backend);
    CUDA_CHECK(cuda, cudaMemsetAsync(block, 0, bytes, cuda->stream), "fill_zero");
}

static wz_status cuda_sync(wz_backend *backend, wz_error *err)
{
    cuda_backend *cuda = cuda_of(backend);
    CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), "sync");
    const wz_status status = cuda->failed;
    cuda->failed = WZ_OK;
    return status == WZ_OK ? WZ_OK : wz_fail(err, status, "%s", cuda->failure.text);
}

static void cuda_for_row_blocks(wz_backend *backend, int64_t rows, wz_row_block body, void *context)
{
    (void)backend;
    if (rows > 0)
        body(context, 0, rows);
}

static const wz_backend_ops *cuda_table(void)
{
    static wz_backend_ops ops;
    ops.name = "cuda";
    ops.destroy = cuda_destroy;
    ops.describe = cuda_describe;
    ops.gemm_rate = cuda_gemm_rate;
    ops.memory_rate = cuda_memory_rate;
    ops.own_bytes = cuda_own_bytes;
    ops.reserve = cuda_reserve;
    ops.alloc = cuda_alloc;
    ops.release = cuda_release;
    ops.upload = cuda_upload;
    ops.download = cuda_download;
    ops.fill_zero = cuda_fill_zero;
    ops.sync = cuda_sync;
    ops.for_row_blocks = cuda_for_row_blocks;
    ops.embedding_forward = cuda_embedding_forward;
    ops.embedding_backward = cuda_embedding_backward;
    ops.convert = cuda_convert;
    ops.rmsnorm_forward = cuda_rmsnorm_forward;
    ops.rmsnorm_backward = cuda_rmsnorm_backward;
    ops.prepared_bytes = cuda_prepared_bytes;
    ops.prepare = cuda_prepare;
    ops.linear_forward = cuda_linear_forward;
    ops.linear_backward_input = cuda_linear_backward_input;
    ops.linear_backward_weight = cuda_linear_backward_weight;
    ops.linear_backward_pairs = cuda_linear_backward_pairs;
    ops.qk_norm_forward = cuda_qk_norm_forward;
    ops.qk_norm_backward = cuda_qk_norm_backward;
    ops.rope = cuda_rope;
    ops.attention_forward = cuda_attention_forward;
    ops.attention_backward = cuda_attention_backward;
    ops.swiglu_forward = cuda_swiglu_forward;
    ops.swiglu_backward = cuda_swiglu_backward;
    ops.head_score_forward = cuda_head_score_forward;
    ops.head_score_backward = cuda_head_score_backward;
    ops.head_sample = cuda_head_sample;
    ops.head_allowed_forward = cuda_head_allowed_forward;
    ops.head_allowed_backward = cuda_head_allowed_backward;
    ops.sum_squares = cuda_sum_squares;
    ops.adamw = cuda_adamw;
    ops.blend = cuda_blend;
    ops.decode = cuda_decode_table();
    return &ops;
}

/* Why the runtime found no device. */
static wz_status no_device(const cuda_backend *cuda, cudaError_t error, wz_error *err)
{
    if (error == cudaErrorInsufficientDriver && cuda->driver == 0)
        return wz_fail(err, WZ_ERR_DEVICE, "no NVIDIA driver (libcuda.so.1) was found: install one");
    if (error == cudaErrorInsufficientDriver)
        return wz_fail(err, WZ_ERR_DEVICE,
                       "the NVIDIA driver is for CUDA %d.%d, this program needs %d.%d: update the driver",
                       cuda->driver / 1000, cuda->driver % 1000 / 10, cuda->runtime / 1000,
                       cuda->runtime % 1000 / 10);
    if (error == cudaSuccess || error == cudaErrorNoDevice)
        return wz_fail(err, WZ_ERR_DEVICE,
                       "no NVIDIA GPU was found (CUDA_VISIBLE_DEVICES may hide it; see nvidia-smi)");
    return wz_fail(err, error == cudaErrorMemoryAllocation ? WZ_ERR_RESOURCE : WZ_ERR_DEVICE,
                   "CUDA did not start: %s (%s): see nvidia-smi", cudaGetErrorString(error),
                   cudaGetErrorName(error));
}

/* The first device, if it is not too old. */
static wz_status choose_device(cuda_backend *cuda, int *capability, wz_error *err)
{
    int count = 0;
    cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (cudaDriverGetVersion(&cuda->driver) != cudaSuccess ||
        cudaRuntimeGetVersion(&cuda->runtime) != cudaSuccess || error != cudaSuccess || count == 0)
        return no_device(cuda, error, err);
    error = cudaGetDeviceProperties(&properties, 0);
    if (error == cudaSuccess)
        error = cudaSetDevice(0);
    if (error == cudaSuccess)
        error = cudaStreamCreate(&cuda->stream);
    if (error != cudaSuccess)
        return no_device(cuda, error, err);
    cuda->stream_made = true;
    *capability = 10 * properties.major + properties.minor;
    (void)snprintf(cuda->name, sizeof cuda->name, "%s, compute capability %d.%d", properties.name,
                   properties.major, properties.minor);
    if (properties.major < LEAST_MAJOR)
        return wz_fail(err, WZ_ERR_DEVICE, "%s: at least %d.0 is needed: use another GPU", cuda->name,
                       LEAST_MAJOR);
    return WZ_OK;
}

static __global__ void do_nothing(int with)
{
    (void)with;
}

/* Whether this program has kernels for the device, and the device runs them. */
static wz_status try_kernel(const cuda_backend *cuda, int capability, wz_error *err)
{
    WZ_LAUNCH(do_nothing, dim3(1), dim3(1), 0, cuda->stream, 0);
    cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess)
        error = cudaStreamSynchronize(cuda->stream);
    if (error == cudaErrorNoKernelImageForDevice)
        return wz_fail(err, WZ_ERR_DEVICE,
                       "%s: this program has no kernels for it: build it with "
                       "-DCMAKE_CUDA_ARCHITECTURES=%d",
                       cuda->name, capability);
    return error == cudaSuccess ? WZ_OK : no_device(cuda, error, err);
}

extern "C" wz_status wz_backend_cuda_create(const wz_cuda_options *options, wz_backend **out, wz_error *err)
{
    void *block = NULL;
    int capability = 0;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(cuda_backend), "the CUDA backend", err);
    if (status != WZ_OK)
        return status;
    cuda_backend *cuda = (cuda_backend *)block;
    cuda->base = wz_backend{cuda_table(), options->precision};
    cuda->exact = options->exact;
    status = choose_device(cuda, &capability, err);
    if (status == WZ_OK)
        status = try_kernel(cuda, capability, err);
    if (status == WZ_OK)
        status = cuda_gemm_create(cuda->stream, options->exact, options->precision, &cuda->gemm, err);
    if (status != WZ_OK) {
        cuda_destroy(&cuda->base);
        (void)cudaGetLastError(); /* or the next one to ask would be told */
        return status;
    }
    cuda_gemm_name(cuda->gemm, cuda->kernels, sizeof cuda->kernels);
    *out = &cuda->base;
    return WZ_OK;
}
