/* The CPU's products in cublasLt's place. Algorithm 0 sums over k in order, whatever the rows. Algorithm 1 does not keep what
 * the backend asks of cublasLt: few rows are summed from the other end, and weight gradients every other time. It is the
 * first candidate, so that every test that multiplies shows that it is found out. Of columns in chunks so does algorithm 3:
 * one chunk is summed from the other end. Algorithm 4 refuses weight gradients of few rows. CUDA_EMULATOR_FAULT=
 * no_exact_product: 1 is the only one; no_exact_gradient: of weight gradients; other_product: the second is called 2 and is as good as 0. */
#include <stdio.h>
#include <stdlib.h>

#include <vector>

#include "cuda/gemm.h"

#define FEW_ROWS 20
#define REFUSED_ROWS 8

wz_status gemm_library_create(cudaStream_t, gemm_library **out, wz_error *)
{
    *out = nullptr;
    return WZ_OK;
}

void gemm_library_destroy(gemm_library *)
{
}

void gemm_library_name(const gemm_library *, char *out, size_t size)
{
    (void)snprintf(out, size, "emulated on the CPU");
}

size_t gemm_library_bytes(void)
{
    return 0;
}

/* Within what multiply allocated: AddressSanitizer need not look at every term. */
__attribute__((no_sanitize_address)) static void add_products(float *sums, float x, const float *row,
                                                              size_t n)
{
    for (size_t j = 0; j < n; j++)
        sums[j] = fmaf(x, row[j], sums[j]);
}

/* Rows of sums at once, over B as [k][n]: each sum still takes its products one by one. */
template <typename T, typename C>
static void multiply(const cuda_product &p, const T *a, const T *b, C *c, bool backwards)
{
    const C *added = (const C *)p.added, *bias = (const C *)p.bias;
    const size_t n = (size_t)p.n;
    std::vector<float> right((size_t)p.k * n), sums(n);
    for (int64_t k = 0; k < p.k; k++)
        for (int64_t j = 0; j < p.n; j++)
            right[(size_t)k * n + (size_t)j] = b[p.b_transposed ? j * p.ldb + k : k * p.ldb + j];
    for (int64_t i = 0; i < p.m; i++) {
        for (size_t j = 0; j < n; j++)
            sums[j] = added != nullptr && p.scale == 1.0f ? (float)added[i * p.ldc + (int64_t)j] : 0.0f;
        for (int64_t l = 0; l < p.k; l++) {
            const int64_t k = backwards ? p.k - 1 - l : l;
            const float x = a[p.a_transposed ? k * p.lda + i : i * p.lda + k];
            add_products(sums.data(), x, right.data() + (size_t)k * n, n);
        }
        for (size_t j = 0; j < n && p.scale != 1.0f; j++)
            sums[j] = p.scale * sums[j] + (added != nullptr ? (float)added[i * p.ldc + (int64_t)j] : 0.0f);
        for (size_t j = 0; j < n; j++)
            c[i * p.ldc + (int64_t)j] = bias != nullptr ? sums[j] + bias[j] : sums[j];
    }
}

wz_status gemm_library_find(gemm_library *, const cuda_product *p, bool, bool, gemm_algorithm *found, int,
                            int *count, wz_error *)
{
    const char *fault = getenv("CUDA_EMULATOR_FAULT");
    const char *only_one = p->a_transposed ? "no_exact_gradient" : "no_exact_product";
    *count = 0;
    found[(*count)++] = gemm_algorithm{{1}};
    if (p->chunk > 0)
        found[(*count)++] = gemm_algorithm{{3}};
    if (p->a_transposed)
        found[(*count)++] = gemm_algorithm{{4}};
    if (fault == nullptr || strcmp(fault, only_one) != 0)
        found[(*count)++] =
            gemm_algorithm{{fault != nullptr && strcmp(fault, "other_product") == 0 ? 2U : 0U}};
    return WZ_OK;
}

void gemm_library_describe(const gemm_library *, const gemm_algorithm *algorithm, char *out, size_t size)
{
    (void)snprintf(out, size, "id %d", (int)algorithm->data[0]);
}

wz_status gemm_library_run(gemm_library *, const cuda_product *p, const gemm_algorithm *algorithm,
                           wz_error *err)
{
    if (algorithm->data[0] == 4 && p->a_transposed && p->k < REFUSED_ROWS)
        return wz_fail(err, WZ_ERR_DEVICE, "algorithm 4 takes %d rows or more", REFUSED_ROWS);
    static bool every_other = false;
    every_other = every_other != p->a_transposed;
    const bool backwards = (algorithm->data[0] == 1 && (p->a_transposed ? every_other : p->m < FEW_ROWS)) ||
                           (algorithm->data[0] == 3 && p->n == p->chunk);
    const cuda_product product = *p;
    emulator::count("product", "cublasLt");
    with_type(p->type, [&](auto element) {
        using T = decltype(element);
        with_type(product.c_type, [&](auto c_element) {
            using C = decltype(c_element);
            emulator::enqueue([product, backwards] {
                multiply(product, (const T *)product.a, (const T *)product.b, (C *)product.c, backwards);
            });
        });
    });
    return WZ_OK;
}
