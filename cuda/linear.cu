/* Linear layers: products, and biases around them. */
#include "cuda/cuda_backend.h"

#define THREADS 256

size_t cuda_prepared_bytes(const wz_backend *backend, int64_t out, int64_t in)
{
    (void)backend, (void)out, (void)in;
    return 0;
}

void cuda_prepare(wz_backend *backend, void *to, wz_tensor weight)
{
    (void)backend, (void)to, (void)weight;
}

/* What the product is added to: residual + bias. */
static __global__ void prefill(matrix y, matrix residual, const float *bias)
{
    const int64_t e = (int64_t)blockIdx.x * THREADS + threadIdx.x, row = e / y.columns,
                  column = e % y.columns;
    if (row < y.rows)
        row_of(y, row)[column] = (residual.data != NULL ? row_of(residual, row)[column] : 0.0f) +
                                 (bias != NULL ? bias[column] : 0.0f);
}

void cuda_linear_forward(wz_backend *backend, wz_tensor y, wz_tensor x, const wz_linear *linear,
                         wz_tensor residual)
{
    cuda_backend *cuda = cuda_of(backend);
    const float *bias = (const float *)linear->bias.data;
    if (y.rows == 0)
        return;
    if (bias != NULL || (residual.data != NULL && residual.data != y.data)) {
        const int64_t blocks = (y.rows * y.columns + THREADS - 1) / THREADS;
        WZ_LAUNCH(prefill, dim3((unsigned)blocks), dim3(THREADS), 0, cuda->stream, matrix_of(y),
                  matrix_of(residual), bias);
        CUDA_CHECK(cuda, cudaGetLastError(), "linear forward");
    }
    const cuda_product product = {(const float *)x.data,
                                  (const float *)linear->weight.data,
                                  (float *)y.data,
                                  y.rows,
                                  y.columns,
                                  x.columns,
                                  x.stride,
                                  linear->weight.stride,
                                  y.stride,
                                  false,
                                  true,
                                  bias != NULL || residual.data != NULL};
    cuda_multiply(cuda, &product, "linear forward");
}

void cuda_linear_backward_input(wz_backend *backend, wz_tensor dx, wz_tensor dy, const wz_linear *linear)
{
    if (dx.rows == 0)
        return;
    const cuda_product product = {(const float *)dy.data,
                                  (const float *)linear->weight.data,
                                  (float *)dx.data,
                                  dx.rows,
                                  dx.columns,
                                  dy.columns,
                                  dy.stride,
                                  linear->weight.stride,
                                  dx.stride,
                                  false,
                                  false,
                                  false};
    cuda_multiply(cuda_of(backend), &product, "linear backward, input");
}

/* partial[part][column] = the part's rows of dy, added in order. */
static __global__ void bias_parts(float *partial, matrix dy)
{
    const int64_t column = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, part = blockIdx.y;
    if (column >= dy.columns)
        return;
    const int64_t end = part_end(part, dy.rows);
    float sum = 0.0f;
    for (int64_t i = part * ROWS_PER_PART; i < end; i++)
        sum += row_of(dy, i)[column];
    partial[part * dy.columns + column] = sum;
}

/* Of biases: q, k and v have the only ones. */
cuda_need cuda_linear_need(const wz_op_bounds *b)
{
    const int64_t width = (b->attention.heads + 2 * b->attention.kv_heads) * b->attention.head_dim;
    return cuda_need{(size_t)(part_count(b->rows) * width) * sizeof(float), 0};
}

void cuda_linear_backward_weight(wz_backend *backend, const wz_linear *gradient, wz_tensor dy, wz_tensor x,
                                 const wz_row_groups *groups)
{
    cuda_backend *cuda = cuda_of(backend);
    (void)groups;
    if (gradient->weight.data == NULL || dy.rows == 0)
        return;
    const cuda_product product = {(const float *)dy.data,
                                  (const float *)x.data,
                                  (float *)gradient->weight.data,
                                  dy.columns,
                                  x.columns,
                                  dy.rows,
                                  dy.stride,
                                  x.stride,
                                  gradient->weight.stride,
                                  true,
                                  false,
                                  true};
    cuda_multiply(cuda, &product, "linear backward, weight");
    if (gradient->bias.data == NULL)
        return;
    const int64_t parts = part_count(dy.rows);
    float *partial =
        (float *)cuda_scratch(cuda, (size_t)(parts * dy.columns) * sizeof(float), "linear backward");
    if (partial == NULL)
        return;
    const dim3 grid((unsigned)((dy.columns + 127) / 128), (unsigned)parts);
    WZ_LAUNCH(bias_parts, grid, dim3(128), 0, cuda->stream, partial, matrix_of(dy));
    CUDA_CHECK(cuda, cudaGetLastError(), "linear backward, bias");
    cuda_add_parts(cuda, (float *)gradient->bias.data, partial, parts, dy.columns, dy.columns);
}
