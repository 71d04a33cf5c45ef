/* Products by cublasLt, with algorithms that keep the engine's promises: no split of the inner dimension, so that an
 * element is one sum in one order, and one algorithm for one shape of weights whatever the number of rows. */
#include <stdio.h>
#include <stdlib.h>

#include "cuda/cublaslt.h"
#include "cuda/cuda_backend.h"

#define WORKSPACE ((size_t)32 << 20) /* bytes; NVIDIA's advice for Hopper */
#define MANY_ROWS 4096               /* the number of rows that algorithms are chosen for */
#define CANDIDATES 32
#define ALGORITHMS 64 /* shapes remembered; a model has about a dozen */

/* What an algorithm is chosen for; 0 stands for "any number of rows". */
typedef struct shape_key {
    int64_t m, n, k, lda, ldb, ldc;
    bool a_transposed, b_transposed, accumulate, aligned;
} shape_key;

typedef struct known_algorithm {
    shape_key key;
    cublasLtMatmulAlgo_t algorithm;
} known_algorithm;

struct cuda_gemm {
    cublaslt lt;
    cublasLtHandle_t handle;
    cudaStream_t stream;
    void *workspace;
    known_algorithm known[ALGORITHMS];
    int count;
};

static wz_status start(cuda_gemm *gemm, wz_error *err)
{
    const wz_status status = cublaslt_open(&gemm->lt, err);
    if (status != WZ_OK)
        return status;
    const cublasStatus_t made = gemm->lt.Create(&gemm->handle);
    if (made != CUBLAS_STATUS_SUCCESS) {
        gemm->handle = NULL;
        return wz_fail(err, made == CUBLAS_STATUS_ALLOC_FAILED ? WZ_ERR_RESOURCE : WZ_ERR_DEVICE,
                       "cublasLt did not start: %s: see nvidia-smi for what else uses the GPU",
                       gemm->lt.GetStatusString(made));
    }
    if (cudaMalloc(&gemm->workspace, WORKSPACE) == cudaSuccess)
        return WZ_OK;
    (void)cudaGetLastError();
    gemm->workspace = NULL;
    return wz_fail(err, WZ_ERR_RESOURCE,
                   "no %zu MiB of GPU memory for cublasLt: see nvidia-smi for what else uses the GPU",
                   WORKSPACE >> 20);
}

wz_status cuda_gemm_create(cudaStream_t stream, cuda_gemm **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(cuda_gemm), "cublasLt", err);
    if (status != WZ_OK)
        return status;
    cuda_gemm *gemm = (cuda_gemm *)block;
    gemm->stream = stream;
    status = start(gemm, err);
    if (status != WZ_OK) {
        cuda_gemm_destroy(gemm);
        return status;
    }
    *out = gemm;
    return WZ_OK;
}

void cuda_gemm_name(const cuda_gemm *gemm, char *out, size_t size)
{
    const size_t version = gemm->lt.GetVersion();
    (void)snprintf(out, size, "cublasLt %zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
}

size_t cuda_gemm_bytes(void)
{
    return WORKSPACE;
}

void cuda_gemm_destroy(cuda_gemm *gemm)
{
    if (gemm == NULL)
        return;
    if (gemm->handle != NULL)
        (void)gemm->lt.Destroy(gemm->handle);
    (void)cudaFree(gemm->workspace);
    free(gemm);
}

/* cublasLt's descriptors of one product. Its matrices are column-major: ours, read so, are the transposes, and
 * C^T = op(B)^T op(A)^T. */
typedef struct descriptors {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, c;
} descriptors;

static void destroy(const cublaslt *lt, descriptors *d)
{
    if (d->product != NULL)
        (void)lt->MatmulDescDestroy(d->product);
    cublasLtMatrixLayout_t const layouts[3] = {d->a, d->b, d->c};
    for (int i = 0; i < 3; i++)
        if (layouts[i] != NULL)
            (void)lt->MatrixLayoutDestroy(layouts[i]);
}

static cublasStatus_t layout(const cublaslt *lt, cublasLtMatrixLayout_t *out, bool transposed, int64_t rows,
                             int64_t columns, int64_t stride)
{
    return lt->MatrixLayoutCreate(out, CUDA_R_32F, (uint64_t)(transposed ? columns : rows),
                                  (uint64_t)(transposed ? rows : columns), stride);
}

static cublasStatus_t create(const cublaslt *lt, const cuda_product *p, int64_t m, int64_t k, descriptors *d)
{
    const cublasOperation_t op_a = p->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                            op_b = p->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    *d = descriptors{};
    cublasStatus_t status = lt->MatmulDescCreate(&d->product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = layout(lt, &d->a, p->b_transposed, p->n, k, p->ldb);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = layout(lt, &d->b, p->a_transposed, k, m, p->lda);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = layout(lt, &d->c, false, p->n, m, p->ldc);
    return status;
}

/* Whether every element is one sum over the whole inner dimension. */
static bool is_one_sum(const cublaslt *lt, const cublasLtMatmulAlgo_t *algorithm)
{
    int32_t splits = 0;
    uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_MASK;
    size_t written = 0;
    return lt->MatmulAlgoConfigGetAttribute(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits,
                                            sizeof splits, &written) == CUBLAS_STATUS_SUCCESS &&
           lt->MatmulAlgoConfigGetAttribute(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &reduction,
                                            sizeof reduction, &written) == CUBLAS_STATUS_SUCCESS &&
           splits <= 1 && reduction == CUBLASLT_REDUCTION_SCHEME_NONE;
}

static cublasStatus_t choose(const cuda_gemm *gemm, const shape_key *key, const cuda_product *p,
                             cublasLtMatmulAlgo_t *out)
{
    const cublaslt *lt = &gemm->lt;
    descriptors d;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found[CANDIDATES];
    const size_t workspace = WORKSPACE;
    const uint32_t alignment = key->aligned ? 16 : 4, reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
    int count = 0;
    cublasStatus_t status =
        create(lt, p, key->m > 0 ? key->m : MANY_ROWS, key->k > 0 ? key->k : MANY_ROWS, &d);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulPreferenceCreate(&preference);
    const struct {
        cublasLtMatmulPreferenceAttributes_t attribute;
        const void *value;
        size_t size;
    } wishes[] = {{CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
                  {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &alignment, sizeof alignment},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &alignment, sizeof alignment},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &alignment, sizeof alignment},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &alignment, sizeof alignment}};
    for (size_t i = 0; status == CUBLAS_STATUS_SUCCESS && i < sizeof wishes / sizeof wishes[0]; i++)
        status = lt->MatmulPreferenceSetAttribute(preference, wishes[i].attribute, wishes[i].value,
                                                  wishes[i].size);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulAlgoGetHeuristic(gemm->handle, d.product, d.a, d.b, d.c, d.c, preference,
                                            CANDIDATES, found, &count);
    int best = 0;
    while (status == CUBLAS_STATUS_SUCCESS && best < count &&
           (found[best].state != CUBLAS_STATUS_SUCCESS || !is_one_sum(lt, &found[best].algo)))
        best++;
    if (status == CUBLAS_STATUS_SUCCESS && best == count)
        status = CUBLAS_STATUS_NOT_SUPPORTED;
    if (status == CUBLAS_STATUS_SUCCESS)
        *out = found[best].algo;
    if (preference != NULL)
        (void)lt->MatmulPreferenceDestroy(preference);
    destroy(lt, &d);
    return status;
}

static bool same_key(const shape_key *a, const shape_key *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->lda == b->lda && a->ldb == b->ldb &&
           a->ldc == b->ldc && a->a_transposed == b->a_transposed && a->b_transposed == b->b_transposed &&
           a->accumulate == b->accumulate && a->aligned == b->aligned;
}

static cublasStatus_t algorithm_for(cuda_gemm *gemm, const cuda_product *p, cublasLtMatmulAlgo_t *out)
{
    const bool aligned = (((uintptr_t)p->a | (uintptr_t)p->b | (uintptr_t)p->c) % 16) == 0 &&
                         (p->lda | p->ldb | p->ldc) % 4 == 0;
    /* rows are m in a product over rows, and k in a weight gradient */
    const shape_key key = {p->a_transposed ? p->m : 0,
                           p->n,
                           p->a_transposed ? 0 : p->k,
                           p->lda,
                           p->ldb,
                           p->ldc,
                           p->a_transposed,
                           p->b_transposed,
                           p->accumulate,
                           aligned};
    for (int i = 0; i < gemm->count; i++)
        if (same_key(&gemm->known[i].key, &key)) {
            *out = gemm->known[i].algorithm;
            return CUBLAS_STATUS_SUCCESS;
        }
    const cublasStatus_t status = choose(gemm, &key, p, out);
    if (status == CUBLAS_STATUS_SUCCESS && gemm->count < ALGORITHMS)
        gemm->known[gemm->count++] = known_algorithm{key, *out};
    return status;
}

void cuda_multiply(cuda_backend *cuda, const cuda_product *p, const char *what)
{
    cuda_gemm *gemm = cuda->gemm;
    const cublaslt *lt = &gemm->lt;
    const float one = 1.0f, beta = p->accumulate ? 1.0f : 0.0f;
    cublasLtMatmulAlgo_t algorithm;
    descriptors d;
    cublasStatus_t status = algorithm_for(gemm, p, &algorithm);
    if (status == CUBLAS_STATUS_SUCCESS) {
        status = create(lt, p, p->m, p->k, &d);
        if (status == CUBLAS_STATUS_SUCCESS)
            status = lt->Matmul(gemm->handle, d.product, &one, p->b, d.a, p->a, d.b, &beta, p->c, d.c, p->c,
                                d.c, &algorithm, gemm->workspace, WORKSPACE, gemm->stream);
        destroy(lt, &d);
    }
    if (status != CUBLAS_STATUS_SUCCESS) {
        wz_error err = {{0}};
        (void)wz_fail(&err, WZ_ERR_DEVICE, "%s: cublasLt cannot multiply [%lld, %lld] by [%lld, %lld]: %s",
                      what, (long long)p->m, (long long)p->k, (long long)p->k, (long long)p->n,
                      lt->GetStatusString(status));
        cuda_fail(cuda, WZ_ERR_DEVICE, &err);
    }
}
