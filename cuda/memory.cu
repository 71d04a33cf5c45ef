/* The device's memory. What a run holds throughout is a block of cudaMalloc each. cudaMalloc waits for the device, and may
 * find none left at any step; so what ops need beside (scratch, copies of host arrays) and what comes and goes with a step
 * is taken before the first one, as the run's bounds say. Where nothing was reserved, or a bound did not hold, blocks are
 * taken or grow when they are asked for. */
#include "cuda/cuda_backend.h"

bool cuda_grow(cuda_backend *cuda, cuda_block *block, size_t bytes, const char *what)
{
    if (block->bytes >= bytes)
        return true;
    /* what is queued may still use the old one */
    if (!CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), what) ||
        !CUDA_CHECK(cuda, cudaFree(block->data), what))
        return false;
    *block = cuda_block{NULL, 0};
    if (!CUDA_CHECK(cuda, cudaMalloc(&block->data, bytes), what))
        return false;
    block->bytes = bytes;
    return true;
}

void *cuda_scratch(cuda_backend *cuda, size_t bytes, const char *what)
{
    return cuda_grow(cuda, &cuda->scratch, bytes, what) ? cuda->scratch.data : NULL;
}

bool cuda_fetch(cuda_backend *cuda, void *host, const void *from, size_t bytes, const char *what)
{
    return CUDA_CHECK(cuda, cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, cuda->stream), what) &&
           CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), what);
}

/* --- what a run needs --- */

/* Scratch memory is of one op at a time. The ring has room for all lists of a pack, and for those of one file once more: so
 * the ring does not start anew for each layer. */
static cuda_need need_of(const wz_op_bounds *bounds, wz_dtype type)
{
    const cuda_need needs[] = {
        cuda_attention_need(bounds),  cuda_elementwise_need(bounds),      cuda_head_sample_need(bounds, type),
        cuda_head_score_need(bounds), cuda_head_vocab_need(bounds, type), cuda_linear_need(bounds, type),
        cuda_norm_need(bounds),       cuda_optimizer_need(bounds),        cuda_decode_need(bounds, type)};
    cuda_need all = {0, 0};
    size_t most = 0;
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        all.scratch = needs[i].scratch > all.scratch ? needs[i].scratch : all.scratch;
        all.staged += needs[i].staged;
        most = needs[i].staged > most ? needs[i].staged : most;
    }
    all.staged += most;
    return all;
}

size_t cuda_own_bytes(const wz_backend *backend, const wz_op_bounds *bounds)
{
    const cuda_need need = need_of(bounds, backend->working_type);
    return cuda_gemm_bytes(((const cuda_backend *)backend)->gemm, bounds) + cuda_whole_steps(need.scratch) +
           cuda_widened_bytes(bounds, backend->working_type) + cuda_ring_bytes(need.staged) +
           cuda_decode_bytes(bounds);
}

wz_status cuda_reserve(wz_backend *backend, const wz_op_bounds *bounds, size_t passing, wz_error *err)
{
    cuda_backend *cuda = cuda_of(backend);
    const cuda_need need = need_of(bounds, backend->working_type);
    const bool is_free = cuda->passing.count == 0;
    wz_status status = cuda_decode_reserve(cuda, bounds, err);
    if (status != WZ_OK)
        return status;
    if (cuda_grow(cuda, &cuda->scratch, cuda_whole_steps(need.scratch), "scratch memory of ops") &&
        cuda_grow(cuda, &cuda->widened, cuda_widened_bytes(bounds, backend->working_type),
                  "frozen weights, widened") &&
        cuda_ring_grow(cuda, cuda_ring_bytes(need.staged), "copies of host arrays") && is_free)
        (void)cuda_grow(cuda, &cuda->passing.memory, cuda_whole_steps(passing), "short-lived blocks");
    status = cuda_gemm_reserve(cuda->gemm, bounds, err);
    return status == WZ_OK ? backend->ops->sync(backend, err) : status;
}

/* --- the caller's memory --- */

/* A free range of the pool; NULL: there is none. */
static void *from_pool(cuda_pool *pool, size_t bytes)
{
    size_t begin = 0;
    int at = 0;
    const size_t whole = cuda_whole_steps(bytes > 0 ? bytes : 1);
    while (at < pool->count && pool->used[at].begin - begin < whole)
        begin = pool->used[at++].end;
    if (pool->count == CUDA_PASSING || pool->memory.bytes - begin < whole)
        return NULL;
    for (int i = pool->count++; i > at; i--)
        pool->used[i] = pool->used[i - 1];
    pool->used[at] = {begin, begin + whole};
    return (char *)pool->memory.data + begin;
}

/* Whether the block was the pool's. */
static bool to_pool(cuda_pool *pool, const void *block)
{
    const char *base = (const char *)pool->memory.data;
    int at = 0;
    while (at < pool->count && base + pool->used[at].begin != block)
        at++;
    if (at == pool->count)
        return false;
    for (pool->count--; at < pool->count; at++)
        pool->used[at] = pool->used[at + 1];
    return true;
}

wz_status cuda_alloc(wz_backend *backend, size_t bytes, const char *what, void **out, wz_error *err)
{
    cuda_backend *cuda = cuda_of(backend);
    cudaError_t error = cudaSuccess;
    *out = from_pool(&cuda->passing, bytes);
    if (*out == NULL)
        error = cudaMalloc(out, bytes > 0 ? bytes : 1);
    if (error == cudaSuccess)
        error = cudaMemsetAsync(*out, 0, bytes, cuda->stream);
    if (error == cudaSuccess)
        return WZ_OK;
    (void)cudaGetLastError();
    return wz_fail(err, error == cudaErrorMemoryAllocation ? WZ_ERR_RESOURCE : WZ_ERR_DEVICE,
                   "%s: %.1f MiB on %s: %s%s", what, (double)bytes / 1048576.0, cuda->name,
                   cudaGetErrorString(error), error == cudaErrorMemoryAllocation ? CUDA_LESS_MEMORY : "");
}

void cuda_release(wz_backend *backend, void *block)
{
    cuda_backend *cuda = cuda_of(backend);
    if (to_pool(&cuda->passing, block))
        return; /* who gets it next is behind its last user in the stream */
    CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), "release");
    CUDA_CHECK(cuda, cudaFree(block), "release");
}

void cuda_memory_clear(cuda_backend *cuda)
{
    (void)cudaFree(cuda->scratch.data);
    (void)cudaFree(cuda->widened.data);
    cuda_ring_clear(&cuda->ring);
    (void)cudaFree(cuda->passing.memory.data);
}
