/* Embedding, RoPE and SwiGLU. */
#include "cuda/cuda_backend.h"

#define THREADS 256

static dim3 blocks_for(int64_t count)
{
    return dim3((unsigned)((count + THREADS - 1) / THREADS));
}

static __device__ __forceinline__ int64_t element(void)
{
    return (int64_t)blockIdx.x * THREADS + threadIdx.x;
}

static __global__ void embedding_forward(matrix<float> y, matrix<float> table, const int32_t *token)
{
    const int64_t e = element(), row = e / y.columns, column = e % y.columns;
    if (row < y.rows)
        row_of(y, row)[column] = row_of(table, token[row])[column];
}

/* A trainer adds arrays of the vocabulary's rows by embedding_backward (engine/grpo/apart.h). */
cuda_need cuda_elementwise_need(const wz_op_bounds *b)
{
    const int64_t count = b->entries > 0 && b->vocab > b->rows ? b->vocab : b->rows;
    return cuda_need{0, scatter_room(count, count)};
}

void cuda_embedding_forward(wz_backend *backend, wz_tensor y, wz_tensor table, const int32_t *token)
{
    cuda_backend *cuda = cuda_of(backend);
    const int32_t *index = cuda_stage(cuda, token, y.rows, "embedding: tokens");
    if (y.rows == 0 || index == NULL)
        return;
    WZ_LAUNCH(embedding_forward, blocks_for(y.rows * y.columns), dim3(THREADS), 0, cuda->stream,
              matrix_of<float>(y), matrix_of<float>(table), index);
    CUDA_LAUNCHED(cuda, "embedding forward", y.rows, y.columns);
}

/* A thread has one column of one row of the table and adds to it in order: no atomics. */
static __global__ void embedding_backward(matrix<float> dtable, matrix<float> dy, const int32_t *target,
                                          const int32_t *begin, const int32_t *order, int64_t targets)
{
    const int64_t e = element(), t = e / dy.columns, column = e % dy.columns;
    if (t >= targets)
        return;
    float *to = row_of(dtable, target[t]) + column, sum = *to;
    for (int64_t k = begin[t]; k < begin[t + 1]; k++)
        sum += row_of(dy, order[k])[column];
    *to = sum;
}

void cuda_embedding_backward(wz_backend *backend, wz_tensor dtable, wz_tensor dy, const int32_t *token,
                             const wz_row_groups *groups)
{
    cuda_backend *cuda = cuda_of(backend);
    cuda_scatter scatter = {};
    if (!cuda_find_scatter(cuda, token, dy.rows, groups->index + groups->offset[0],
                           groups->offset[groups->groups] - groups->offset[0], &scatter) ||
        scatter.targets == 0)
        return;
    WZ_LAUNCH(embedding_backward, blocks_for(scatter.targets * dy.columns), dim3(THREADS), 0, cuda->stream,
              matrix_of<float>(dtable), matrix_of<float>(dy), scatter.target, scatter.begin, scatter.order,
              scatter.targets);
    CUDA_LAUNCHED(cuda, "embedding backward", dtable.rows, dtable.columns);
}

/* A thread has one pair (d, d + head_dim / 2) of one head of one row. */
template <typename T>
static __global__ void rope(matrix<T> qkv, const int32_t *position, const float *table, int64_t heads,
                            int64_t head_dim, float sign)
{
    const int64_t half = head_dim / 2, e = element(), d = e % half, h = e / half % heads,
                  row = e / half / heads;
    if (row >= qkv.rows)
        return;
    const float *angles = table + (int64_t)position[row] * head_dim;
    const float c = angles[d], s = angles[half + d] * sign;
    T *x = row_of(qkv, row) + h * head_dim + d;
    const float a = x[0], b = x[half];
    x[0] = a * c - b * s;
    x[half] = b * c + a * s;
}

void cuda_rope(wz_backend *backend, wz_tensor qkv, const int32_t *position, const float *table,
               const wz_attention *attention, bool inverse)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t heads = attention->heads + attention->kv_heads;
    const int32_t *index = cuda_stage(cuda, position, qkv.rows, "rope: positions");
    if (qkv.rows == 0 || index == NULL)
        return;
    with_type(qkv.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(rope<T>, blocks_for(qkv.rows * heads * (attention->head_dim / 2)), dim3(THREADS), 0,
                  cuda->stream, matrix_of<T>(qkv), index, table, heads, attention->head_dim,
                  inverse ? -1.0f : 1.0f);
    });
    CUDA_LAUNCHED(cuda, "rope", qkv.rows, qkv.columns);
}

static __device__ __forceinline__ float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

template <typename T> static __global__ void swiglu_forward(matrix<T> y, matrix<T> gate_up)
{
    const int64_t e = element(), row = e / y.columns, column = e % y.columns;
    if (row >= y.rows)
        return;
    const T *gate = row_of(gate_up, row) + column;
    const float g = gate[0];
    row_of(y, row)[column] = g * sigmoid(g) * gate[y.columns];
}

void cuda_swiglu_forward(wz_backend *backend, wz_tensor y, wz_tensor gate_up)
{
    cuda_backend *cuda = cuda_of(backend);
    if (y.rows == 0)
        return;
    with_type(y.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(swiglu_forward<T>, blocks_for(y.rows * y.columns), dim3(THREADS), 0, cuda->stream,
                  matrix_of<T>(y), matrix_of<T>(gate_up));
    });
    CUDA_LAUNCHED(cuda, "swiglu forward", y.rows, y.columns);
}

/* y = g s(g) u:  du = dy g s,  dg = dy u s (1 + g (1 - s)) */
template <typename T>
static __global__ void swiglu_backward(matrix<T> dgate_up, matrix<T> y, matrix<T> dy, matrix<T> gate_up)
{
    const int64_t e = element(), row = e / dy.columns, column = e % dy.columns;
    if (row >= dy.rows)
        return;
    const T *gate = row_of(gate_up, row) + column;
    T *dgate = row_of(dgate_up, row) + column;
    const float g = gate[0], u = gate[dy.columns], s = sigmoid(g), d = row_of(dy, row)[column];
    dgate[dy.columns] = d * g * s;
    dgate[0] = d * u * s * fmaf(g, 1.0f - s, 1.0f);
    if (y.data != NULL)
        row_of(y, row)[column] = g * s * u;
}

void cuda_swiglu_backward(wz_backend *backend, wz_tensor dgate_up, wz_tensor y, wz_tensor dy,
                          wz_tensor gate_up)
{
    cuda_backend *cuda = cuda_of(backend);
    if (dy.rows == 0)
        return;
    with_type(dy.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(swiglu_backward<T>, blocks_for(dy.rows * dy.columns), dim3(THREADS), 0, cuda->stream,
                  matrix_of<T>(dgate_up), matrix_of<T>(y), matrix_of<T>(dy), matrix_of<T>(gate_up));
    });
    CUDA_LAUNCHED(cuda, "swiglu backward", gate_up.rows, gate_up.columns);
}
