/* Which algorithm multiplies. What the engine promises of rows needs one algorithm for one shape of weights whatever the
 * number of rows, and one that gives a row the same bits whatever the rows around it. No library says so of its
 * algorithms; each is tried before it is used: a product of many rows against products of some of them.
 *
 * Choosing waits for the device: whoever records products into a graph runs each shape once before. With exact: false the
 * fastest algorithm for the number of rows (rounded up to a power of two) is taken as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/gemm.h"

#define MANY_ROWS 4096 /* the number of rows that algorithms are chosen for */
#define CANDIDATES 32
#if defined(__CUDACC__)
#define PROBE_ROWS 1024
#define PROBE_FLOATS ((int64_t)8 << 20) /* of results, where a row is long */
#else
#define PROBE_ROWS 40 /* the emulator is slow */
#define PROBE_FLOATS ((int64_t)1 << 16)
#endif
#define PROBE_LEAST 40

/* What an algorithm is chosen for; 0 stands for "any number of rows". */
typedef struct shape_key {
    int64_t m, n, k, lda, ldb, ldc;
    bool a_transposed, b_transposed, accumulate, aligned;
    wz_dtype type, c_type;
} shape_key;

typedef struct known_algorithm {
    shape_key key;
    gemm_algorithm algorithm;
} known_algorithm;

struct cuda_gemm {
    gemm_library *library;
    bool exact;
    wz_dtype working_type;
    known_algorithm *known;
    size_t count, capacity;
    wz_text record; /* a line for each */
    cuda_block probe;
};

wz_status cuda_gemm_create(cudaStream_t stream, bool exact, wz_dtype working_type, cuda_gemm **out,
                           wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(cuda_gemm), "matrix products", err);
    if (status != WZ_OK)
        return status;
    cuda_gemm *gemm = (cuda_gemm *)block;
    gemm->exact = exact;
    gemm->working_type = working_type;
    status = gemm_library_create(stream, &gemm->library, err);
    if (status != WZ_OK) {
        cuda_gemm_destroy(gemm);
        return status;
    }
    *out = gemm;
    return WZ_OK;
}

void cuda_gemm_destroy(cuda_gemm *gemm)
{
    if (gemm == NULL)
        return;
    gemm_library_destroy(gemm->library);
    (void)cudaFree(gemm->probe.data);
    wz_text_clear(&gemm->record);
    free(gemm->known);
    free(gemm);
}

void cuda_gemm_name(const cuda_gemm *gemm, char *out, size_t size)
{
    gemm_library_name(gemm->library, out, size);
}

const char *cuda_gemm_record(const cuda_gemm *gemm)
{
    return gemm->record.data != NULL ? gemm->record.data : "";
}

/* --- trying an algorithm --- */

/* Rows [first, first + count) of the probe's; count is cut to what there is. */
typedef struct part {
    int64_t first, count;
} part;
static const part parts[] = {{0, 1}, {0, 7}, {0, 33}, {5, 1}, {17, 16}, {3, 129}, {64, 512}};

static int64_t probe_rows(int64_t ldc)
{
    const int64_t rows = PROBE_FLOATS / ldc;
    return rows < PROBE_LEAST ? PROBE_LEAST : rows < PROBE_ROWS ? rows : PROBE_ROWS;
}

static size_t matrix_bytes(int64_t count, wz_dtype type)
{
    return ((size_t)count * wz_type_bytes(type) + GEMM_ALIGNMENT - 1) / GEMM_ALIGNMENT * GEMM_ALIGNMENT;
}

/* Operands and results of a trial, in one block. */
typedef struct trial {
    int64_t rows;
    size_t a_bytes, b_bytes, c_bytes;
} trial;

static trial trial_of(int64_t lda, int64_t b_count, int64_t ldc, wz_dtype type, wz_dtype c_type)
{
    const int64_t rows = probe_rows(ldc);
    return trial{rows, matrix_bytes(rows * lda, type), matrix_bytes(b_count, type),
                 matrix_bytes(rows * ldc, c_type)};
}

static size_t trial_bytes(const trial *t)
{
    return t->a_bytes + t->b_bytes + 2 * t->c_bytes;
}

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

static wz_status run_part(cuda_backend *cuda, const cuda_product *whole, const gemm_algorithm *algorithm,
                          const part *rows, void *c, wz_error *err)
{
    cuda_product p = *whole;
    p.a = (const char *)p.a + (size_t)(rows->first * p.lda) * wz_type_bytes(p.type);
    p.c = c;
    p.m = rows->count;
    if (p.accumulate && p.c_type == WZ_F32)
        launch_fill(cuda, c, p.c_type, p.m * p.ldc, rows->first * p.ldc);
    else if (p.accumulate)
        CUDA_CHECK(cuda, cudaMemsetAsync(c, 0, (size_t)(p.m * p.ldc) * wz_type_bytes(p.c_type), cuda->stream),
                   "trying an algorithm");
    return gemm_library_run(cuda->gemm->library, &p, algorithm, err);
}

/* Whether the algorithm gives all parts' rows the bits that they have among all rows. The host's arrays: all, some. */
static wz_status try_parts(cuda_backend *cuda, const cuda_product *p, const gemm_algorithm *algorithm,
                           void *some_c, char *all, char *some, bool *holds, wz_error *err)
{
    const size_t size = wz_type_bytes(p->c_type), row_bytes = (size_t)p->ldc * size;
    const part every = {0, p->m};
    wz_status status = run_part(cuda, p, algorithm, &every, p->c, err);
    if (status == WZ_OK && !cuda_fetch(cuda, all, p->c, (size_t)p->m * row_bytes, "trying an algorithm"))
        status = WZ_ERR_DEVICE;
    *holds = true;
    for (size_t i = 0; status == WZ_OK && *holds && i < sizeof parts / sizeof parts[0]; i++) {
        part rows = parts[i];
        if (rows.first >= p->m)
            continue;
        rows.count = rows.count < p->m - rows.first ? rows.count : p->m - rows.first;
        status = run_part(cuda, p, algorithm, &rows, some_c, err);
        if (status == WZ_OK &&
            !cuda_fetch(cuda, some, some_c, (size_t)rows.count * row_bytes, "trying an algorithm"))
            status = WZ_ERR_DEVICE;
        for (int64_t r = 0; status == WZ_OK && r < rows.count; r++)
            *holds = *holds && memcmp(some + (size_t)r * row_bytes,
                                      all + (size_t)(rows.first + r) * row_bytes, (size_t)p->n * size) == 0;
    }
    return status;
}

static wz_status grow_probe(cuda_gemm *gemm, size_t bytes, wz_error *err)
{
    if (gemm->probe.bytes >= bytes)
        return WZ_OK;
    (void)cudaFree(gemm->probe.data); /* which waits for the device */
    gemm->probe = cuda_block{NULL, 0};
    if (cudaMalloc(&gemm->probe.data, bytes) != cudaSuccess) {
        (void)cudaGetLastError();
        gemm->probe.data = NULL;
        return wz_fail(err, WZ_ERR_RESOURCE, "no %.1f MiB of GPU memory to try algorithms%s",
                       (double)bytes / 1048576.0, CUDA_LESS_MEMORY);
    }
    gemm->probe.bytes = bytes;
    return WZ_OK;
}

/* The first of the candidates that holds; *best = count: none. */
static wz_status first_that_holds(cuda_backend *cuda, const cuda_product *like, const gemm_algorithm *found,
                                  int count, int *best, wz_error *err)
{
    cuda_gemm *gemm = cuda->gemm;
    const int64_t b_count = (like->b_transposed ? like->n : like->k) * like->ldb;
    const trial t = trial_of(like->lda, b_count, like->ldc, like->type, like->c_type);
    void *host = NULL;
    wz_status status = grow_probe(gemm, trial_bytes(&t), err);
    if (status == WZ_OK)
        status = wz_alloc(&host, 2 * t.c_bytes, 1, "trying an algorithm", err);
    if (status != WZ_OK)
        return status;
    char *a = (char *)gemm->probe.data, *b = a + t.a_bytes, *c = b + t.b_bytes, *all = (char *)host;
    cuda_product p = *like;
    p.a = a;
    p.b = b;
    p.c = c;
    p.m = t.rows;
    if (like->c_type == WZ_F32) {
        launch_fill(cuda, a, like->type, (int64_t)((t.a_bytes + t.b_bytes) / wz_type_bytes(like->type)), 1);
    } else {
        launch_cancelling(cuda, a, like->type, t.rows * like->lda, like->lda, like->k, true, 1.0f);
        launch_cancelling(cuda, b, like->type, b_count, like->ldb, like->k, like->b_transposed, -1.0f);
    }
    for (*best = 0; *best < count; ++*best) {
        bool holds = false;
        wz_error unused = {{0}};
        /* one that cannot multiply so few rows does not hold */
        if (try_parts(cuda, &p, &found[*best], c + t.c_bytes, all, all + t.c_bytes, &holds, &unused) ==
                WZ_OK &&
            holds)
            break;
    }
    free(host);
    return WZ_OK;
}

/* --- choosing --- */

static int64_t power_of_two_from(int64_t rows)
{
    int64_t power = 1;
    while (power < rows)
        power *= 2;
    return power;
}

/* Rows are m in a product over rows, and k in a weight gradient. */
static shape_key key_of(const cuda_gemm *gemm, const cuda_product *p)
{
    const uint64_t size = wz_type_bytes(p->type), c_size = wz_type_bytes(p->c_type);
    const bool aligned = (((uintptr_t)p->a | (uintptr_t)p->b | (uintptr_t)p->c | (uint64_t)p->lda * size |
                           (uint64_t)p->ldb * size | (uint64_t)p->ldc * c_size) %
                          GEMM_ALIGNMENT) == 0;
    const int64_t rows = gemm->exact ? 0 : power_of_two_from(p->a_transposed ? p->k : p->m);
    return shape_key{p->a_transposed ? p->m : rows,
                     p->n,
                     p->a_transposed ? rows : p->k,
                     p->lda,
                     p->ldb,
                     p->ldc,
                     p->a_transposed,
                     p->b_transposed,
                     p->accumulate,
                     aligned,
                     p->type,
                     p->c_type};
}

static bool same_key(const shape_key *a, const shape_key *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->lda == b->lda && a->ldb == b->ldb &&
           a->ldc == b->ldc && a->a_transposed == b->a_transposed && a->b_transposed == b->b_transposed &&
           a->accumulate == b->accumulate && a->aligned == b->aligned && a->type == b->type &&
           a->c_type == b->c_type;
}

static wz_status choose(cuda_backend *cuda, const shape_key *key, const cuda_product *product,
                        gemm_algorithm *out, wz_error *err)
{
    cuda_gemm *gemm = cuda->gemm;
    gemm_algorithm found[CANDIDATES];
    cuda_product like = *product;
    int count = 0, best = 0;
    like.m = key->m > 0 ? key->m : MANY_ROWS;
    like.k = key->k > 0 ? key->k : MANY_ROWS;
    wz_status status =
        gemm_library_find(gemm->library, &like, key->aligned, !gemm->exact, found, CANDIDATES, &count, err);
    if (status == WZ_OK && gemm->exact && !key->a_transposed)
        status = first_that_holds(cuda, &like, found, count, &best, err);
    if (status == WZ_OK && best == count)
        return wz_fail(
            err, WZ_ERR_DEVICE,
            "none of %d algorithms gives a row of [*, %lld] by [%lld, %lld] the same bits whatever "
            "the number of rows: set exact: false to do without",
            count, (long long)like.k, (long long)like.k, (long long)like.n);
    if (status == WZ_OK)
        *out = found[best];
    return status;
}

/* One line: the shape, then the algorithm. */
static wz_status note(cuda_gemm *gemm, const shape_key *k, const gemm_algorithm *algorithm, wz_error *err)
{
    char name[160];
    gemm_library_describe(gemm->library, algorithm, name, sizeof name);
    return wz_text_printf(&gemm->record, err, "%s%s %lldx%lldx%lld ld %lld,%lld,%lld %s%s%s%s: %s\n",
                          k->a_transposed ? "T" : "N", k->b_transposed ? "T" : "N", (long long)k->m,
                          (long long)k->n, (long long)k->k, (long long)k->lda, (long long)k->ldb,
                          (long long)k->ldc, k->type == WZ_BF16 ? "bf16" : "f32",
                          k->type == WZ_BF16 && k->c_type == WZ_F32 ? " to f32" : "",
                          k->accumulate ? " add" : "", k->aligned ? "" : " unaligned", name);
}

static wz_status algorithm_for(cuda_backend *cuda, const cuda_product *p, gemm_algorithm *out, wz_error *err)
{
    cuda_gemm *gemm = cuda->gemm;
    const shape_key key = key_of(gemm, p);
    for (size_t i = 0; i < gemm->count; i++)
        if (same_key(&gemm->known[i].key, &key)) {
            *out = gemm->known[i].algorithm;
            return WZ_OK;
        }
    void *known = gemm->known;
    wz_status status =
        wz_grow(&known, &gemm->capacity, gemm->count + 1, sizeof *gemm->known, "algorithms", err);
    gemm->known = (known_algorithm *)known;
    if (status == WZ_OK)
        status = choose(cuda, &key, p, out, err);
    if (status == WZ_OK)
        status = note(gemm, &key, out, err);
    if (status == WZ_OK)
        gemm->known[gemm->count++] = known_algorithm{key, *out};
    return status;
}

void cuda_multiply(cuda_backend *cuda, const cuda_product *p, const char *what)
{
    gemm_algorithm algorithm;
    wz_error err = {{0}};
    if (cuda->failed != WZ_OK)
        return; /* nothing is known of the operands */
    wz_status status = algorithm_for(cuda, p, &algorithm, &err);
    if (status == WZ_OK)
        status = gemm_library_run(cuda->gemm->library, p, &algorithm, &err);
    if (status != WZ_OK) {
        (void)wz_fail_prefix(&err, status, "%s: ", what);
        cuda_fail(cuda, status, &err);
    }
}

/* --- memory --- */

/* Of the largest trial among a run's products. */
size_t cuda_gemm_bytes(const cuda_gemm *gemm, const wz_op_bounds *b)
{
    size_t most = 0;
    const int64_t q = b->attention.heads * b->attention.head_dim,
                  qkv = q + 2 * b->attention.kv_heads * b->attention.head_dim, f = b->intermediate;
    const int64_t layers[][2] = {{qkv, b->hidden},
                                 {b->hidden, q},
                                 {2 * f, b->hidden},
                                 {b->hidden, f},
                                 {cuda_head_columns(b), b->hidden}};
    for (size_t i = 0; gemm->exact && i < sizeof layers / sizeof layers[0]; i++)
        for (int backward = 0; backward < 2 && layers[i][0] > 0; backward++) {
            const int64_t out = layers[i][backward], in = layers[i][1 - backward];
            const trial t = trial_of(in, out * in, out, gemm->working_type, WZ_F32);
            most = trial_bytes(&t) > most ? trial_bytes(&t) : most;
        }
    return gemm_library_bytes() + most;
}

wz_status cuda_gemm_reserve(cuda_gemm *gemm, const wz_op_bounds *bounds, wz_error *err)
{
    return grow_probe(gemm, cuda_gemm_bytes(gemm, bounds) - gemm_library_bytes(), err);
}

size_t cuda_gemm_taken(const cuda_gemm *gemm)
{
    return gemm_library_bytes() + gemm->probe.bytes;
}
