/* The CPU's product in cublasLt's place. A row's result depends on that row alone, as the backend asks of cublasLt: sums
 * run over k in order. */
#include <stdio.h>

#include "cuda/cuda_backend.h"

wz_status cuda_gemm_create(cudaStream_t, cuda_gemm **out, wz_error *)
{
    *out = nullptr;
    return WZ_OK;
}

void cuda_gemm_destroy(cuda_gemm *)
{
}

void cuda_gemm_name(const cuda_gemm *, char *out, size_t size)
{
    (void)snprintf(out, size, "emulated on the CPU");
}

size_t cuda_gemm_bytes(void)
{
    return 0;
}

void cuda_multiply(cuda_backend *, const cuda_product *p, const char *)
{
    const emulator::on_device open;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            float sum = p->accumulate ? p->c[i * p->ldc + j] : 0.0f;
            for (int64_t k = 0; k < p->k; k++)
                sum = fmaf(p->a[p->a_transposed ? k * p->lda + i : i * p->lda + k],
                           p->b[p->b_transposed ? j * p->ldb + k : k * p->ldb + j], sum);
            p->c[i * p->ldc + j] = sum;
        }
}
