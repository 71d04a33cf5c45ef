/* Products by cublasLt: its algorithms, one by one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cublaslt.h"
#include "cuda/gemm.h"

#define WORKSPACE ((size_t)32 << 20) /* bytes; NVIDIA's advice for Hopper */
#define CANDIDATES 32                /* of one question to the library, at most */

struct gemm_library {
    cublaslt lt;
    cublasLtHandle_t handle;
    cudaStream_t stream;
    void *workspace;
};
static_assert(sizeof(gemm_algorithm) >= sizeof(cublasLtMatmulAlgo_t), "an algorithm's bytes");

static wz_status start(gemm_library *gemm, wz_error *err)
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

wz_status gemm_library_create(cudaStream_t stream, gemm_library **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(gemm_library), "cublasLt", err);
    if (status != WZ_OK)
        return status;
    gemm_library *gemm = (gemm_library *)block;
    gemm->stream = stream;
    status = start(gemm, err);
    if (status != WZ_OK) {
        gemm_library_destroy(gemm);
        return status;
    }
    *out = gemm;
    return WZ_OK;
}

void gemm_library_name(const gemm_library *gemm, char *out, size_t size)
{
    const size_t version = gemm->lt.GetVersion();
    (void)snprintf(out, size, "cublasLt %zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
}

size_t gemm_library_bytes(void)
{
    return WORKSPACE;
}

void gemm_library_destroy(gemm_library *gemm)
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

static cudaDataType_t cuda_type(wz_dtype type)
{
    return type == WZ_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasStatus_t layout(const cublaslt *lt, cublasLtMatrixLayout_t *out, wz_dtype type, bool transposed,
                             int64_t rows, int64_t columns, int64_t stride)
{
    return lt->MatrixLayoutCreate(out, cuda_type(type), (uint64_t)(transposed ? columns : rows),
                                  (uint64_t)(transposed ? rows : columns), stride);
}

static cublasStatus_t create(const cublaslt *lt, const cuda_product *p, int64_t m, int64_t k, descriptors *d)
{
    const cublasOperation_t op_a = p->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                            op_b = p->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t add_bias = CUBLASLT_EPILOGUE_BIAS; /* to rows of theirs, columns of ours */
    *d = descriptors{};
    cublasStatus_t status = lt->MatmulDescCreate(&d->product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = layout(lt, &d->a, p->type, p->b_transposed, p->n, k, p->ldb);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = layout(lt, &d->b, p->type, p->a_transposed, k, m, p->lda);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = layout(lt, &d->c, p->c_type, false, p->n, m, p->ldc);
    if (status == CUBLAS_STATUS_SUCCESS && p->bias != NULL)
        status =
            lt->MatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &add_bias, sizeof add_bias);
    if (status == CUBLAS_STATUS_SUCCESS && p->bias != NULL)
        status = lt->MatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias,
                                            sizeof p->bias);
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

/* Asks for candidates; *count of them that may be used. */
static cublasStatus_t ask(const gemm_library *gemm, const cuda_product *p, bool aligned, bool may_split,
                          cublasLtMatmulHeuristicResult_t found[CANDIDATES], int most, int *count)
{
    const cublaslt *lt = &gemm->lt;
    descriptors d;
    cublasLtMatmulPreference_t preference = NULL;
    const size_t workspace = WORKSPACE;
    const uint32_t alignment = aligned ? GEMM_ALIGNMENT : (uint32_t)wz_type_bytes(p->type),
                   c_alignment = aligned ? GEMM_ALIGNMENT : (uint32_t)wz_type_bytes(p->c_type),
                   reduction = may_split ? CUBLASLT_REDUCTION_SCHEME_MASK : CUBLASLT_REDUCTION_SCHEME_NONE;
    cublasStatus_t status = create(lt, p, p->m, p->k, &d);
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
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &c_alignment, sizeof c_alignment},
                  {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &c_alignment, sizeof c_alignment}};
    for (size_t i = 0; status == CUBLAS_STATUS_SUCCESS && i < sizeof wishes / sizeof wishes[0]; i++)
        status = lt->MatmulPreferenceSetAttribute(preference, wishes[i].attribute, wishes[i].value,
                                                  wishes[i].size);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->MatmulAlgoGetHeuristic(gemm->handle, d.product, d.a, d.b, d.c, d.c, preference, most,
                                            found, count);
    if (preference != NULL)
        (void)lt->MatmulPreferenceDestroy(preference);
    destroy(lt, &d);
    return status;
}

static wz_status cannot(const gemm_library *gemm, const cuda_product *p, cublasStatus_t status, wz_error *err)
{
    return wz_fail(err, WZ_ERR_DEVICE, "cublasLt cannot multiply [%lld, %lld] by [%lld, %lld]: %s (%s)",
                   (long long)p->m, (long long)p->k, (long long)p->k, (long long)p->n,
                   gemm->lt.GetStatusString(status), __FILE__);
}

wz_status gemm_library_find(gemm_library *gemm, const cuda_product *p, bool aligned, bool may_split,
                            gemm_algorithm *out, int most, int *count, wz_error *err)
{
    cublasLtMatmulHeuristicResult_t found[CANDIDATES];
    int all = 0;
    *count = 0;
    const cublasStatus_t status =
        ask(gemm, p, aligned, may_split, found, most < CANDIDATES ? most : CANDIDATES, &all);
    for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < all; i++)
        if (found[i].state == CUBLAS_STATUS_SUCCESS && (may_split || is_one_sum(&gemm->lt, &found[i].algo)))
            memcpy(&out[(*count)++], &found[i].algo, sizeof found[i].algo);
    if (*count > 0)
        return WZ_OK;
    return cannot(gemm, p, status == CUBLAS_STATUS_SUCCESS ? CUBLAS_STATUS_NOT_SUPPORTED : status, err);
}

void gemm_library_describe(const gemm_library *gemm, const gemm_algorithm *algorithm, char *out, size_t size)
{
    static const struct {
        const char *name;
        cublasLtMatmulAlgoConfigAttributes_t attribute;
    } parts[] = {{"id", CUBLASLT_ALGO_CONFIG_ID},
                 {"tile", CUBLASLT_ALGO_CONFIG_TILE_ID},
                 {"stages", CUBLASLT_ALGO_CONFIG_STAGES_ID},
                 {"splits", CUBLASLT_ALGO_CONFIG_SPLITK_NUM},
                 {"reduction", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME},
                 {"swizzle", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING},
                 {"option", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION}};
    cublasLtMatmulAlgo_t algo;
    size_t end = 0, written = 0;
    memcpy(&algo, algorithm, sizeof algo);
    out[0] = '\0';
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && end < size; i++) {
        int32_t value = -1;
        (void)gemm->lt.MatmulAlgoConfigGetAttribute(&algo, parts[i].attribute, &value, sizeof value,
                                                    &written);
        const int length =
            snprintf(out + end, size - end, "%s%s %d", i > 0 ? " " : "", parts[i].name, (int)value);
        end += length > 0 ? (size_t)length : 0;
    }
}

wz_status gemm_library_run(gemm_library *gemm, const cuda_product *p, const gemm_algorithm *algorithm,
                           wz_error *err)
{
    const cublaslt *lt = &gemm->lt;
    const float beta = p->added != NULL ? 1.0f : 0.0f;
    const void *added = p->added != NULL ? p->added : p->c;
    cublasLtMatmulAlgo_t algo;
    descriptors d;
    memcpy(&algo, algorithm, sizeof algo);
    cublasStatus_t status = create(lt, p, p->m, p->k, &d);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->Matmul(gemm->handle, d.product, &p->scale, p->b, d.a, p->a, d.b, &beta, added, d.c, p->c,
                            d.c, &algo, gemm->workspace, WORKSPACE, gemm->stream);
    destroy(lt, &d);
    return status == CUBLAS_STATUS_SUCCESS ? WZ_OK : cannot(gemm, p, status, err);
}
