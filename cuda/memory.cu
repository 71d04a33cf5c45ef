/* The device's memory. What a run holds throughout is a block of cudaMalloc each. cudaMalloc waits for the device, and may
 * find none left at any step; so what ops need beside (scratch, copies of host arrays) and what comes and goes with a step
 * is taken before the first one, as the run's bounds say. Where nothing was reserved, or a bound did not hold, blocks are
 * taken or grow when they are asked for. */
#include "cuda/cuda_backend.h"

#if defined(__CUDACC__)
#define STAGED_LEAST ((size_t)4 << 20)
#else
#define STAGED_LEAST ((size_t)1 << 10) /* the emulator's runs are small, and must meet their bounds */
#endif
#define STEP 256 /* bytes; blocks within a larger one begin on multiples */

static size_t whole_steps(size_t bytes)
{
    return (bytes + STEP - 1) / STEP * STEP;
}

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

/* Twice what is asked for at once: the device may still read one half while the other is written. */
static size_t ring_bytes(size_t room)
{
    return 2 * room > STAGED_LEAST ? 2 * room : STAGED_LEAST;
}

/* A ring that starts anew when it is full, after the device has read what it held. */
bool cuda_stage_room(cuda_backend *cuda, size_t bytes, const char *what)
{
    if (cuda->staged_used + bytes <= cuda->staged.bytes)
        return true;
    const size_t need = bytes <= cuda->staged.bytes ? cuda->staged.bytes : ring_bytes(bytes);
    if (!CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), what) ||
        !cuda_grow(cuda, &cuda->staged, need, what))
        return false;
    cuda->staged_used = 0;
    return true;
}

const void *cuda_stage_bytes(cuda_backend *cuda, const void *host, size_t bytes, const char *what)
{
    const size_t whole = whole_steps(bytes);
    if (cuda_decode_holds(cuda, host))
        return host;
    if (host == NULL || bytes == 0 || !cuda_stage_room(cuda, whole, what))
        return NULL;
    void *to = (char *)cuda->staged.data + cuda->staged_used;
    if (!CUDA_CHECK(cuda, cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, cuda->stream), what))
        return NULL;
    cuda->staged_used += whole;
    return to;
}

bool cuda_fetch(cuda_backend *cuda, void *host, const void *from, size_t bytes, const char *what)
{
    return CUDA_CHECK(cuda, cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, cuda->stream), what) &&
           CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), what);
}

/* --- what a run needs --- */

static cuda_need need_of(const wz_op_bounds *bounds, wz_dtype type)
{
    const cuda_need needs[] = {
        cuda_attention_need(bounds),  cuda_elementwise_need(bounds),      cuda_head_sample_need(bounds, type),
        cuda_head_score_need(bounds), cuda_head_vocab_need(bounds, type), cuda_linear_need(bounds),
        cuda_norm_need(bounds),       cuda_optimizer_need(bounds),        cuda_decode_need(bounds, type)};
    cuda_need most = {0, 0};
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        most.scratch = needs[i].scratch > most.scratch ? needs[i].scratch : most.scratch;
        most.staged = needs[i].staged > most.staged ? needs[i].staged : most.staged;
    }
    return most;
}

size_t cuda_own_bytes(const wz_backend *backend, const wz_op_bounds *bounds)
{
    const cuda_need need = need_of(bounds, backend->working_type);
    return cuda_gemm_bytes(((const cuda_backend *)backend)->gemm, bounds) + whole_steps(need.scratch) +
           ring_bytes(need.staged) + cuda_decode_bytes(bounds);
}

wz_status cuda_reserve(wz_backend *backend, const wz_op_bounds *bounds, size_t passing, wz_error *err)
{
    cuda_backend *cuda = cuda_of(backend);
    const cuda_need need = need_of(bounds, backend->working_type);
    const bool is_free = cuda->passing.count == 0;
    wz_status status = cuda_decode_reserve(cuda, bounds, err);
    if (status != WZ_OK)
        return status;
    cuda->staged_used = 0; /* growing waits for the device; where nothing grows, so does sync */
    if (cuda_grow(cuda, &cuda->scratch, whole_steps(need.scratch), "scratch memory of ops") &&
        cuda_grow(cuda, &cuda->staged, ring_bytes(need.staged), "copies of host arrays") && is_free)
        (void)cuda_grow(cuda, &cuda->passing.memory, whole_steps(passing), "short-lived blocks");
    status = cuda_gemm_reserve(cuda->gemm, bounds, err);
    return status == WZ_OK ? backend->ops->sync(backend, err) : status;
}

/* --- the caller's memory --- */

/* A free range of the pool; NULL: there is none. */
static void *from_pool(cuda_pool *pool, size_t bytes)
{
    size_t begin = 0;
    int at = 0;
    const size_t whole = whole_steps(bytes > 0 ? bytes : 1);
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
    (void)cudaFree(cuda->staged.data);
    (void)cudaFree(cuda->passing.memory.data);
}
