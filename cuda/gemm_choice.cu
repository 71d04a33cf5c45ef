/* Which algorithm multiplies. What the engine promises of rows needs one algorithm for one shape of weights whatever the
 * number of rows, and one that gives a row the same bits whatever the rows around it. A weight gradient is one sum over
 * all rows: it needs the same bits from run to run, so one algorithm, chosen once, that does not add in the order in which
 * its parts are done. No library says so of its algorithms; beside refusing split-K, each is tried before it is used
 * (gemm_trial.cu). What is chosen depends on the shape alone, never on how many rows a run has.
 *
 * Choosing waits for the device: whoever records products into a graph runs each shape once before. With exact: false the
 * fastest algorithm for the number of rows (rounded up to a power of two) is taken as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/gemm.h"

#define MANY_ROWS 4096 /* the number of rows that algorithms are chosen for */
#define CANDIDATES 32

/* What an algorithm is chosen for; 0 stands for "any number": of rows, or of columns that come in chunks. */
typedef struct shape_key {
    int64_t m, n, k, lda, ldb, ldc, chunk;
    bool a_transposed, b_transposed, added, bias, aligned;
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
    const uintptr_t places =
        (uintptr_t)p->a | (uintptr_t)p->b | (uintptr_t)p->c | (uintptr_t)p->added | (uintptr_t)p->bias;
    const bool aligned =
        ((places | (uint64_t)p->lda * size | (uint64_t)p->ldb * size | (uint64_t)p->ldc * c_size) %
         GEMM_ALIGNMENT) == 0;
    const int64_t rows = gemm->exact ? 0 : power_of_two_from(p->a_transposed ? p->k : p->m);
    const bool in_chunks = gemm->exact && p->chunk > 0;
    return shape_key{p->a_transposed ? p->m : rows,
                     in_chunks ? 0 : p->n,
                     p->a_transposed ? rows : p->k,
                     p->lda,
                     p->ldb,
                     in_chunks ? 0 : p->ldc,
                     in_chunks ? p->chunk : 0,
                     p->a_transposed,
                     p->b_transposed,
                     p->added != NULL,
                     p->bias != NULL,
                     aligned,
                     p->type,
                     p->c_type};
}

static bool same_key(const shape_key *a, const shape_key *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->lda == b->lda && a->ldb == b->ldb &&
           a->ldc == b->ldc && a->chunk == b->chunk && a->a_transposed == b->a_transposed &&
           a->b_transposed == b->b_transposed && a->added == b->added && a->bias == b->bias &&
           a->aligned == b->aligned && a->type == b->type && a->c_type == b->c_type;
}

static wz_status none_holds(const cuda_product *p, int count, wz_error *err)
{
    if (p->a_transposed)
        return wz_fail(err, WZ_ERR_DEVICE,
                       "none of %d algorithms gives a weight gradient [%lld, %lld] of any number of rows the "
                       "same bits twice: set "
                       "exact: false to do without",
                       count, (long long)p->m, (long long)p->n);
    return wz_fail(err, WZ_ERR_DEVICE,
                   "none of %d algorithms gives a row of [*, %lld] by [%lld, %lld] the same bits whatever "
                   "the number of rows%s: set exact: false to do without",
                   count, (long long)p->k, (long long)p->k, (long long)p->n,
                   p->chunk > 0 ? " and columns" : "");
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
    if (key->chunk > 0)
        like.n = like.ldc = MANY_CHUNKS * key->chunk;
    else
        like.chunk = 0;
    wz_status status =
        gemm_library_find(gemm->library, &like, key->aligned, !gemm->exact, found, CANDIDATES, &count, err);
    if (status == WZ_OK && gemm->exact)
        status = gemm_first_that_holds(cuda, gemm->library, &gemm->probe, &like, found, count, &best, err);
    if (status == WZ_OK && best == count)
        return none_holds(&like, count, err);
    if (status == WZ_OK)
        *out = found[best];
    return status;
}

/* One line: the shape, then the algorithm. */
static wz_status note(cuda_gemm *gemm, const shape_key *k, const gemm_algorithm *algorithm, wz_error *err)
{
    char name[160];
    gemm_library_describe(gemm->library, algorithm, name, sizeof name);
    return wz_text_printf(&gemm->record, err, "%s%s %lldx%lldx%lld ld %lld,%lld,%lld %s%s%s%s%s: %s\n",
                          k->a_transposed ? "T" : "N", k->b_transposed ? "T" : "N", (long long)k->m,
                          (long long)k->n, (long long)k->k, (long long)k->lda, (long long)k->ldb,
                          (long long)k->ldc, k->type == WZ_BF16 ? "bf16" : "f32",
                          k->type == WZ_BF16 && k->c_type == WZ_F32 ? " to f32" : "", k->added ? " add" : "",
                          k->bias ? " bias" : "", k->aligned ? "" : " unaligned", name);
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
    if (p->widens) {
        cuda_multiply_widened(cuda, p, what);
        return;
    }
    wz_status status = algorithm_for(cuda, p, &algorithm, &err);
    if (status == WZ_OK)
        status = gemm_library_run(cuda->gemm->library, p, &algorithm, &err);
    if (status != WZ_OK) {
        (void)wz_fail_prefix(&err, status, "%s: ", what);
        cuda_fail(cuda, status, &err);
    }
}

/* --- memory --- */

/* Of the largest trial of a layer's products [*, in] by [out, in]: forward, to the input's gradient, to the weights'. */
static size_t layer_bytes(int64_t out, int64_t in, wz_dtype type)
{
    const cuda_product products[] = {
        {NULL, NULL, NULL, NULL, NULL, 0, out, in, in, in, out, false, true, type, WZ_F32, 0},
        {NULL, NULL, NULL, NULL, NULL, 0, in, out, out, in, in, false, false, type, WZ_F32, 0},
        {NULL, NULL, NULL, NULL, NULL, out, in, 0, out, in, in, true, false, type, WZ_F32, 0}};
    size_t most = 0;
    for (size_t i = 0; i < sizeof products / sizeof products[0] && out > 0; i++) {
        const size_t bytes = gemm_trial_bytes(&products[i]);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Of a trial of logits [*, columns], so many elements from row to row; columns 0: there is none. */
static size_t logits_bytes(int64_t columns, int64_t stride, int64_t width, wz_dtype type)
{
    const cuda_product logits = {NULL,  NULL,  NULL,   NULL,  NULL, 0,    columns, width,
                                 width, width, stride, false, true, type, WZ_F32,  0};
    return columns > 0 ? gemm_trial_bytes(&logits) : 0;
}

/* Of the largest trial among a run's products. */
size_t cuda_gemm_bytes(const cuda_gemm *gemm, const wz_op_bounds *b)
{
    const int64_t q = b->attention.heads * b->attention.head_dim,
                  qkv = q + 2 * b->attention.kv_heads * b->attention.head_dim, f = b->intermediate,
                  chunk = cuda_head_chunk(b), many = MANY_CHUNKS * chunk;
    const int64_t layers[][2] = {
        {qkv, b->hidden}, {b->hidden, q}, {2 * f, b->hidden}, {b->hidden, f}, {chunk, b->hidden}};
    /* several chunks, and what is left of the vocabulary, in rows of all of it where sampling cuts */
    size_t most = logits_bytes(chunk <= b->vocab ? many : 0, many, b->hidden, gemm->working_type);
    const size_t rest =
        logits_bytes(chunk < b->vocab ? chunk : b->vocab, cuda_head_stride(b), b->hidden, gemm->working_type);
    most = rest > most ? rest : most;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const size_t bytes = layer_bytes(layers[i][0], layers[i][1], gemm->working_type);
        most = bytes > most ? bytes : most;
    }
    return gemm_library_bytes() + (gemm->exact ? most : 0);
}

wz_status cuda_gemm_reserve(cuda_gemm *gemm, const wz_op_bounds *bounds, wz_error *err)
{
    return gemm_grow_probe(&gemm->probe, cuda_gemm_bytes(gemm, bounds) - gemm_library_bytes(), err);
}

size_t cuda_gemm_taken(const cuda_gemm *gemm)
{
    return gemm_library_bytes() + gemm->probe.bytes;
}
