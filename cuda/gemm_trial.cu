/* Trying an algorithm: products of numbers whose sums must round.
 *
 * A product over rows: one of many rows against products of some of them. The many are a large micro-batch; fewer where rows
 * are long, but still more tiles than a GPU has processors: where a library goes by the number of tiles, it does so
 * between one tile and there. So with columns that come in chunks. A weight gradient: twice the same product, and products of
 * few rows, which it must be able to do. */
#include <stdlib.h>
#include <string.h>

#include "cuda/gemm.h"

#if defined(__CUDACC__)
#define MOST_ROWS 16384
#define MOST_RESULTS ((int64_t)16 << 20) /* where a row is long */
#define MOST_INPUTS ((int64_t)64 << 20)
#define GRADIENT_ROWS 4096 /* that are summed over */
#else
#define MOST_ROWS 40 /* the emulator is slow */
#define MOST_RESULTS ((int64_t)1 << 16)
#define MOST_INPUTS ((int64_t)1 << 18)
#define GRADIENT_ROWS 40
#endif
#define LEAST_ROWS 40

/* Rows [first, first + count) of the many; first < 0: so many before their end. count is cut to what there is. And columns
 * [column, column + columns), in chunks; columns 0: all. */
typedef struct part {
    int64_t first, count, column, columns;
} part;
static const part parts[] = {{0, 1, 0, 0},    {0, 7, 0, 0},        {0, 33, 0, 0},   {5, 1, 0, 0},
                             {17, 16, 0, 0},  {3, 129, 0, 0},      {64, 512, 0, 0}, {-1, 1, 0, 0},
                             {-35, 33, 0, 0}, {-2048, 2048, 0, 0}, {0, 2048, 0, 1}, {64, 512, 1, 2},
                             {5, 1, 3, 1},    {-35, 33, 0, 3}};
#define MOST_PART 2048

/* Operands and results in one block: A, B, the bias, C, the results of a part (of a weight gradient: in C's place). */
typedef struct trial {
    cuda_product product;
    int64_t a_count, b_count;
    size_t a_bytes, b_bytes, bias_bytes, c_bytes, part_bytes;
} trial;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static size_t matrix_bytes(int64_t count, wz_dtype type)
{
    return ((size_t)count * wz_type_bytes(type) + GEMM_ALIGNMENT - 1) / GEMM_ALIGNMENT * GEMM_ALIGNMENT;
}

static trial trial_of(const cuda_product *like)
{
    trial t = {};
    cuda_product *p = &t.product;
    *p = *like;
    if (like->a_transposed) {
        p->k = GRADIENT_ROWS;
        t.a_count = p->k * p->lda;
    } else {
        const int64_t rows = least(MOST_ROWS, least(MOST_RESULTS / p->ldc, MOST_INPUTS / p->lda));
        p->m = rows > LEAST_ROWS ? rows : LEAST_ROWS;
        t.a_count = p->m * p->lda;
        t.part_bytes = matrix_bytes(least(p->m, MOST_PART) * p->ldc, p->c_type);
    }
    t.b_count = (p->b_transposed ? p->n : p->k) * p->ldb;
    t.a_bytes = matrix_bytes(t.a_count, p->type);
    t.b_bytes = matrix_bytes(t.b_count, p->type);
    t.bias_bytes = matrix_bytes(p->n, p->c_type);
    t.c_bytes = matrix_bytes(p->m * p->ldc, p->c_type);
    return t;
}

size_t gemm_trial_bytes(const cuda_product *like)
{
    const trial t = trial_of(like);
    return t.a_bytes + t.b_bytes + t.bias_bytes + t.c_bytes + t.part_bytes;
}

wz_status gemm_grow_probe(cuda_block *probe, size_t bytes, wz_error *err)
{
    if (probe->bytes >= bytes)
        return WZ_OK;
    (void)cudaFree(probe->data); /* which waits for the device */
    *probe = cuda_block{NULL, 0};
    if (cudaMalloc(&probe->data, bytes) != cudaSuccess) {
        (void)cudaGetLastError();
        probe->data = NULL;
        return wz_fail(err, WZ_ERR_RESOURCE, "no %.1f MiB of GPU memory to try algorithms%s",
                       (double)bytes / 1048576.0, CUDA_LESS_MEMORY);
    }
    probe->bytes = bytes;
    return WZ_OK;
}

/* --- operands --- */

/* Numbers in (-1/2, 1/2) with 16 bits each: their products and sums must round. */
static __device__ __forceinline__ float number(int64_t i)
{
    const uint32_t mixed = (uint32_t)i * 2654435761u;
    return ((float)((mixed ^ mixed >> 15) >> 8 & 0xffffu) - 32767.5f) / 65536.0f;
}

template <typename T> static __global__ void fill(T *values, int64_t count, int64_t first)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count)
        values[at] = number(at + first);
}

/* A result of type bf16 hides the last bits of its sum, unless nothing else is left of it: the inner dimension's second half
 * repeats its first, in one of the operands with the other sign. */
template <typename T>
static __global__ void fill_cancelling(T *values, int64_t count, int64_t ld, int64_t k, bool k_in_row,
                                       float second)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, half = k / 2,
                  i = k_in_row ? at % ld : at / ld, other = k_in_row ? at / ld : at % ld;
    if (at < count)
        values[at] = i < 2 * half ? (i < half ? 1.0f : second) * number(1 + other * half + i % half) : 0.0f;
}

static void launch_fill(cuda_backend *cuda, void *values, wz_dtype type, int64_t count, int64_t first)
{
    with_type(type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(fill<T>, dim3((unsigned)((count + 255) / 256)), dim3(256), 0, cuda->stream, (T *)values,
                  count, first);
    });
}

static void launch_cancelling(cuda_backend *cuda, void *values, wz_dtype type, int64_t count, int64_t ld,
                              int64_t k, bool k_in_row, float second)
{
    with_type(type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(fill_cancelling<T>, dim3((unsigned)((count + 255) / 256)), dim3(256), 0, cuda->stream,
                  (T *)values, count, ld, k, k_in_row, second);
    });
}

/* Lays the trial out in memory, operands filled. */
static void fill_operands(cuda_backend *cuda, trial *t, char *memory)
{
    cuda_product *p = &t->product;
    p->a = memory;
    p->b = memory + t->a_bytes;
    char *bias = memory + t->a_bytes + t->b_bytes;
    p->c = bias + t->bias_bytes;
    p->bias = p->bias != NULL ? bias : NULL;
    /* what lies between rows is fetched with them; a bias of type bf16 would hide what cancelling leaves */
    CUDA_CHECK(cuda, cudaMemsetAsync(bias, 0, t->bias_bytes + t->c_bytes + t->part_bytes, cuda->stream),
               "trying products");
    if (p->c_type == WZ_F32) {
        launch_fill(cuda, memory, p->type, (int64_t)((t->a_bytes + t->b_bytes) / wz_type_bytes(p->type)), 1);
        launch_fill(cuda, bias, p->c_type, p->n, 2);
    } else {
        launch_cancelling(cuda, memory, p->type, t->a_count, p->lda, p->k, true, 1.0f);
        launch_cancelling(cuda, memory + t->a_bytes, p->type, t->b_count, p->ldb, p->k, p->b_transposed,
                          -1.0f);
    }
}

/* --- the trial --- */

/* The product of some rows, all of a weight gradient's, to c. What is added lies there: where it is read from changes no
 * sum. */
static wz_status run_part(cuda_backend *cuda, gemm_library *library, const cuda_product *whole,
                          const gemm_algorithm *algorithm, const part *rows, void *c, wz_error *err)
{
    cuda_product p = *whole;
    p.a = (const char *)p.a + (size_t)(rows->first * p.lda) * wz_type_bytes(p.type);
    p.c = c;
    p.added = p.added != NULL ? c : NULL;
    p.m = rows->count;
    if (rows->columns > 0) {
        p.b = (const char *)p.b + (size_t)(rows->column * p.chunk * p.ldb) * wz_type_bytes(p.type);
        p.n = rows->columns * p.chunk;
    }
    if (p.added != NULL && p.c_type == WZ_F32)
        launch_fill(cuda, c, p.c_type, p.m * p.ldc, rows->first * p.ldc);
    else if (p.added != NULL)
        CUDA_CHECK(cuda, cudaMemsetAsync(c, 0, (size_t)(p.m * p.ldc) * wz_type_bytes(p.c_type), cuda->stream),
                   "trying an algorithm");
    return gemm_library_run(library, &p, algorithm, err);
}

static bool same_rows(const char *a, const char *b, int64_t rows, size_t row_bytes, size_t bytes)
{
    for (int64_t r = 0; r < rows; r++)
        if (memcmp(a + (size_t)r * row_bytes, b + (size_t)r * row_bytes, bytes) != 0)
            return false;
    return true;
}

/* Whether the rows of a part have the bits that they have in C, which holds all of them. host: room for both. */
static wz_status try_part(cuda_backend *cuda, gemm_library *library, const trial *t,
                          const gemm_algorithm *algorithm, const part *rows, char *host, bool *holds,
                          wz_error *err)
{
    const cuda_product *p = &t->product;
    const size_t size = wz_type_bytes(p->c_type), row_bytes = (size_t)p->ldc * size,
                 bytes = (size_t)rows->count * row_bytes;
    char *c = (char *)p->c, *part_c = t->part_bytes > 0 ? c + t->c_bytes : c;
    if (!cuda_fetch(cuda, host, c + (size_t)rows->first * row_bytes, bytes, "trying an algorithm"))
        return WZ_ERR_DEVICE;
    const wz_status status = run_part(cuda, library, p, algorithm, rows, part_c, err);
    if (status != WZ_OK)
        return status;
    if (!cuda_fetch(cuda, host + bytes, part_c, bytes, "trying an algorithm"))
        return WZ_ERR_DEVICE;
    const int64_t columns = rows->columns > 0 ? rows->columns * p->chunk : p->n;
    *holds = same_rows(host + (size_t)(rows->column * p->chunk) * size, host + bytes, rows->count, row_bytes,
                       (size_t)columns * size);
    return WZ_OK;
}

/* Whether an algorithm that was chosen for many rows can make a weight gradient of few, too. */
static bool takes_few_rows(cuda_backend *cuda, gemm_library *library, const trial *t,
                           const gemm_algorithm *algorithm)
{
    static const int64_t few[] = {1, 7, 33};
    const part every = {0, t->product.m, 0, 0};
    wz_error unused = {{0}};
    bool takes = true;
    for (size_t i = 0; takes && i < sizeof few / sizeof few[0]; i++) {
        cuda_product p = t->product;
        p.k = few[i];
        takes = run_part(cuda, library, &p, algorithm, &every, p.c, &unused) == WZ_OK;
    }
    return takes;
}

/* One that cannot multiply so few rows does not hold. */
static bool algorithm_holds(cuda_backend *cuda, gemm_library *library, const trial *t,
                            const gemm_algorithm *algorithm, char *host)
{
    const cuda_product *p = &t->product;
    const part every = {0, p->m, 0, 0};
    wz_error unused = {{0}};
    bool holds = run_part(cuda, library, p, algorithm, &every, p->c, &unused) == WZ_OK;
    if (p->a_transposed)
        return holds && try_part(cuda, library, t, algorithm, &every, host, &holds, &unused) == WZ_OK &&
               holds && takes_few_rows(cuda, library, t, algorithm);
    for (size_t i = 0; holds && i < sizeof parts / sizeof parts[0]; i++) {
        part rows = parts[i];
        rows.first += rows.first < 0 ? p->m : 0;
        if (rows.first < 0 || rows.first >= p->m || (rows.columns > 0 && p->chunk == 0))
            continue;
        rows.count = least(rows.count, p->m - rows.first);
        holds = try_part(cuda, library, t, algorithm, &rows, host, &holds, &unused) == WZ_OK && holds;
    }
    return holds;
}

wz_status gemm_first_that_holds(cuda_backend *cuda, gemm_library *library, cuda_block *probe,
                                const cuda_product *like, const gemm_algorithm *found, int count, int *best,
                                wz_error *err)
{
    trial t = trial_of(like);
    void *host = NULL;
    wz_status status = gemm_grow_probe(probe, gemm_trial_bytes(like), err);
    if (status == WZ_OK)
        status = wz_alloc(&host, 2, t.part_bytes > 0 ? t.part_bytes : t.c_bytes, "trying an algorithm", err);
    if (status != WZ_OK)
        return status;
    fill_operands(cuda, &t, (char *)probe->data);
    *best = 0;
    while (*best < count && !algorithm_holds(cuda, library, &t, &found[*best], (char *)host))
        ++*best;
    free(host);
    return WZ_OK;
}
