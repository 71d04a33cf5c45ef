/* The CPU backend: state, memory and the table. */
#include "engine/backend/cpu/cpu.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Completions of a micro-batch: few enough that a good part of its activations is still in the third-level cache when
 * the backward pass comes, more where threads wait for each other. At 4 layers x 128, K=5: 64 on one thread and 192 on two
 * were the fastest of 64 to 256. */
#define COMPLETIONS_ALONE 64
#define COMPLETIONS_PER_THREAD 96
/* Of a thread, and as much for all: packed operands in OpenBLAS and scratch memory. Measured, at hidden sizes 64 and 128. */
#define BUFFER_BYTES ((size_t)2 << 20)

static void cpu_destroy(wz_backend *backend)
{
    if (backend == NULL)
        return;
    cpu_backend *cpu = cpu_of(backend);
    if (cpu->scratch != NULL)
        for (size_t i = 0; i < wz_pool_threads(cpu->pool); i++)
            wz_arena_clear(&cpu->scratch[i]);
    free(cpu->scratch);
    free(cpu->shared);
    free(cpu->plans);
    (void)pthread_mutex_destroy(&cpu->mutex);
    wz_pool_destroy(cpu->pool);
    free(cpu);
}

static void cpu_describe(const wz_backend *backend, wz_backend_info *out)
{
    const cpu_backend *cpu = (const cpu_backend *)backend;
    const int64_t threads = (int64_t)wz_pool_threads(cpu->pool);
    *out =
        (wz_backend_info){.kernels = wz_backend_cpu_core_name(),
                          .threads = threads,
                          .row_tile = TILE_MAX,
                          .micro_batch = threads == 1 ? COMPLETIONS_ALONE : COMPLETIONS_PER_THREAD * threads};
    for (size_t i = 0; i < cpu->plan_count; i++)
        if (cpu->plans[i].tile < out->row_tile)
            out->row_tile = cpu->plans[i].tile;
}

static size_t cpu_own_bytes(const wz_backend *backend, const wz_op_bounds *bounds)
{
    (void)bounds;
    return BUFFER_BYTES * (wz_pool_threads(((const cpu_backend *)backend)->pool) + 1);
}

static wz_status cpu_reserve(wz_backend *backend, const wz_op_bounds *bounds, size_t passing, wz_error *err)
{
    (void)backend, (void)bounds, (void)passing, (void)err;
    return WZ_OK;
}

static wz_status cpu_alloc(wz_backend *backend, size_t bytes, const char *what, void **out, wz_error *err)
{
    (void)backend;
    return wz_alloc(out, bytes, 1, what, err);
}

static void cpu_release(wz_backend *backend, void *block)
{
    (void)backend;
    free(block);
}

static void cpu_upload(wz_backend *backend, void *to, const void *host, size_t bytes)
{
    (void)backend;
    memcpy(to, host, bytes);
}

static void cpu_download(wz_backend *backend, void *host, const void *from, size_t bytes)
{
    (void)backend;
    memcpy(host, from, bytes);
}

static void cpu_fill_zero(wz_backend *backend, void *block, size_t bytes)
{
    (void)backend;
    memset(block, 0, bytes);
}

void cpu_fail(cpu_backend *cpu, wz_status status, const wz_error *err)
{
    (void)pthread_mutex_lock(&cpu->mutex);
    if (cpu->failed == WZ_OK) {
        cpu->failed = status;
        cpu->failure = *err;
    }
    (void)pthread_mutex_unlock(&cpu->mutex);
}

static wz_status cpu_sync(wz_backend *backend, wz_error *err)
{
    cpu_backend *cpu = cpu_of(backend);
    wz_status status = cpu->failed;
    cpu->failed = WZ_OK;
    return status == WZ_OK ? WZ_OK : wz_fail(err, status, "%s", cpu->failure.text);
}

bool cpu_scratch_reserve(cpu_backend *cpu, size_t bytes_per_thread)
{
    size_t first = 0;
    const bool within = wz_pool_within(cpu->pool, &first);
    const size_t end = within ? first + 1 : wz_pool_threads(cpu->pool);
    for (size_t i = first; i < end; i++) {
        if (cpu->scratch[i].size >= bytes_per_thread)
            continue;
        wz_error err = {{0}};
        wz_arena_clear(&cpu->scratch[i]);
        wz_status status = wz_arena_init(&cpu->scratch[i], bytes_per_thread, "an op's scratch memory", &err);
        if (status != WZ_OK) {
            cpu_fail(cpu, status, &err);
            return false;
        }
    }
    return true;
}

float *cpu_shared_reserve(cpu_backend *cpu, size_t bytes)
{
    if (cpu->shared_bytes < bytes || cpu->shared == NULL) {
        void *block = NULL;
        wz_error err = {{0}};
        free(cpu->shared);
        cpu->shared = NULL;
        cpu->shared_bytes = 0;
        wz_status status = wz_alloc(&block, bytes, 1, "an op's shared scratch memory", &err);
        if (status != WZ_OK) {
            cpu_fail(cpu, status, &err);
            return NULL;
        }
        cpu->shared = block;
        cpu->shared_bytes = bytes;
    }
    return cpu->shared;
}

typedef struct blocks_job {
    wz_row_block body;
    void *context;
    int64_t rows, height;
} blocks_job;

static void block_task(void *argument, size_t task, size_t thread)
{
    const blocks_job *job = argument;
    const int64_t row0 = (int64_t)task * job->height, end = row0 + job->height;
    (void)thread;
    job->body(job->context, row0, end < job->rows ? end : job->rows);
}

/* As many blocks as fill all threads evenly, none higher than a tile. */
static void cpu_for_row_blocks(wz_backend *backend, int64_t rows, wz_row_block body, void *context)
{
    wz_pool *pool = cpu_of(backend)->pool;
    const int64_t threads = (int64_t)wz_pool_threads(pool), wave = threads * TILE_MAX;
    const int64_t blocks = (rows + wave - 1) / wave * threads;
    if (rows == 0)
        return;
    blocks_job job = {.body = body, .context = context, .rows = rows};
    job.height = ((rows + blocks - 1) / blocks + TAIL_STEP - 1) / TAIL_STEP * TAIL_STEP;
    wz_pool_run(pool, block_task, &job, (size_t)((rows + job.height - 1) / job.height));
}

static const wz_backend_ops cpu_ops = {
    .name = "cpu",
    .destroy = cpu_destroy,
    .describe = cpu_describe,
    .gemm_rate = cpu_gemm_rate,
    .memory_rate = cpu_memory_rate,
    .own_bytes = cpu_own_bytes,
    .reserve = cpu_reserve,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .upload = cpu_upload,
    .download = cpu_download,
    .fill_zero = cpu_fill_zero,
    .sync = cpu_sync,
    .for_row_blocks = cpu_for_row_blocks,
    .embedding_forward = cpu_embedding_forward,
    .embedding_backward = cpu_embedding_backward,
    .rmsnorm_forward = cpu_rmsnorm_forward,
    .rmsnorm_backward = cpu_rmsnorm_backward,
    .prepared_bytes = cpu_prepared_bytes,
    .prepare = cpu_prepare,
    .linear_forward = cpu_linear_forward,
    .linear_backward_input = cpu_linear_backward_input,
    .linear_backward_weight = cpu_linear_backward_weight,
    .linear_backward_pairs = cpu_linear_backward_pairs,
    .qk_norm_forward = cpu_qk_norm_forward,
    .qk_norm_backward = cpu_qk_norm_backward,
    .rope = cpu_rope,
    .attention_forward = cpu_attention_forward,
    .attention_backward = cpu_attention_backward,
    .swiglu_forward = cpu_swiglu_forward,
    .swiglu_backward = cpu_swiglu_backward,
    .head_score_forward = cpu_head_score_forward,
    .head_score_backward = cpu_head_score_backward,
    .head_sample = cpu_head_sample,
    .head_allowed_forward = cpu_head_allowed_forward,
    .head_allowed_backward = cpu_head_allowed_backward,
    .sum_squares = cpu_sum_squares,
    .adamw = cpu_adamw,
    .blend = cpu_blend,
};

#define BLAS_BUFFER                                                                                          \
    ((size_t)128 << 20) /* each calling thread's, in Debian's OpenBLAS 0.3.21: address space, mostly unused */

/* OpenBLAS takes its buffers at the first product of each thread, and tries for ever where there is no room. */
static wz_status reserve_address_space(size_t threads, wz_error *err)
{
    void *room = mmap(NULL, threads * BLAS_BUFFER, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return wz_fail(
            err, WZ_ERR_RESOURCE,
            "no room for OpenBLAS's buffers: %zu threads take %zu MiB of address space; raise the limit "
            "(ulimit -v) or set `threads` lower",
            threads, threads * (BLAS_BUFFER >> 20));
    (void)munmap(room, threads * BLAS_BUFFER);
    return WZ_OK;
}

wz_status wz_backend_cpu_create(size_t threads, wz_backend **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(cpu_backend), "the CPU backend", err);
    if (status != WZ_OK)
        return status;
    cpu_backend *cpu = block;
    cpu->base = (wz_backend){&cpu_ops, WZ_F32};
    /* Our own threads share the work; two pools would fight, and results differ with BLAS's thread count. */
    openblas_set_num_threads(1);
    (void)pthread_mutex_init(&cpu->mutex, NULL);
    status = wz_pool_create(threads, &cpu->pool, err);
    if (status != WZ_OK) {
        (void)pthread_mutex_destroy(&cpu->mutex);
        free(cpu);
        return status;
    }
    status = reserve_address_space(wz_pool_threads(cpu->pool), err);
    if (status == WZ_OK)
        status = wz_alloc(&block, wz_pool_threads(cpu->pool), sizeof(wz_arena), "the CPU backend", err);
    if (status != WZ_OK) {
        cpu_destroy(&cpu->base);
        return status;
    }
    cpu->scratch = block;
    *out = &cpu->base;
    return WZ_OK;
}

const char *wz_backend_cpu_core_name(void)
{
    return openblas_get_corename();
}

/* What OpenBLAS falls back to; families for AVX and above it takes only where it knows the processor. */
static bool is_for_sse(const char *core)
{
    static const char *const families[] = {"Prescott", "Core2", "Penryn", "Dunnington", "Nehalem", "Atom"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(core, families[i]) == 0)
            return true;
    return false;
}

const char *wz_backend_cpu_better_core(void)
{
#if defined(__x86_64__)
    if (strstr(openblas_get_config(), "DYNAMIC_ARCH") == NULL || !is_for_sse(openblas_get_corename()))
        return NULL;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#endif
    return NULL;
}
