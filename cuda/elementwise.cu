/* Embedding, RoPE and SwiGLU. */
#include "cuda/rows.h"

template <typename T, int N>
static __global__ void embedding_forward(matrix<float> y, matrix<T> table, const int32_t *token)
{
    over_units<N>(y.rows, y.columns, [&](int64_t row, int64_t column) {
        write_elements(row_of(y, row) + column, read_elements<N>(row_of(table, token[row]) + column));
    });
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
    with_type(table.type, [&](auto element) {
        using T = decltype(element);
        with_units<16 / (int)sizeof(T)>(
            [&](auto n) {
                constexpr int N = n;
                WZ_LAUNCH((embedding_forward<T, N>), row_blocks(y.columns / N, y.rows), row_threads(y.rows),
                          0, cuda->stream, matrix_of<float>(y), matrix_of<T>(table), index);
            },
            y, table);
    });
    CUDA_LAUNCHED(cuda, "embedding forward", y.rows, y.columns);
}

/* A thread has a unit of one row of the table and adds to it in order: no atomics. */
template <int N>
static __global__ void embedding_backward(matrix<float> dtable, matrix<float> dy, const int32_t *target,
                                          const int32_t *begin, const int32_t *order, int64_t targets)
{
    over_units<N>(targets, dy.columns, [&](int64_t t, int64_t column) {
        float *to = row_of(dtable, target[t]) + column;
        const int32_t end = begin[t + 1];
        elements<N> sum = read_elements<N>(to);
        WZ_UNROLL_BY(4)
        for (int32_t k = begin[t]; k < end; k++) {
            const elements<N> x = read_elements<N>(row_of(dy, order[k]) + column);
            WZ_UNROLL
            for (int i = 0; i < N; i++)
                sum.at[i] += x.at[i];
        }
        write_elements(to, sum);
    });
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
    with_units<4>(
        [&](auto n) {
            constexpr int N = n;
            WZ_LAUNCH(embedding_backward<N>, row_blocks(dy.columns / N, scatter.targets),
                      row_threads(scatter.targets), 0, cuda->stream, matrix_of<float>(dtable),
                      matrix_of<float>(dy), scatter.target, scatter.begin, scatter.order, scatter.targets);
        },
        dtable, dy);
    CUDA_LAUNCHED(cuda, "embedding backward", dtable.rows, dtable.columns);
}

/* A thread has the pairs (d, d + head_dim / 2) of a unit of one head; 2^log2 lanes have the head's. */
template <typename T, int N>
static __global__ void rope(matrix<T> qkv, const int32_t *position, const float *table, int64_t heads,
                            int64_t head_dim, int log2, float sign)
{
    const int64_t half = head_dim / 2, unit = unit_of_thread(), h = unit >> log2,
                  d = (unit & (((int64_t)1 << log2) - 1)) * N;
    if (h >= heads || d >= half)
        return;
    over_rows(qkv.rows, [&](int64_t row) {
        const float *angles = table + (int64_t)position[row] * head_dim + d;
        T *x = row_of(qkv, row) + h * head_dim + d;
        elements<N> a = read_elements<N>(x), b = read_elements<N>(x + half);
        rotate_pairs(&a, &b, read_elements<N>(angles), read_elements<N>(angles + half), sign);
        write_elements(x, a);
        write_elements(x + half, b);
    });
}

void cuda_rope(wz_backend *backend, wz_tensor qkv, const int32_t *position, const float *table,
               const wz_attention *attention, bool inverse)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t heads = attention->heads + attention->kv_heads;
    const int32_t *index = cuda_stage(cuda, position, qkv.rows, "rope: positions");
    if (qkv.rows == 0 || index == NULL)
        return;
    const int64_t pairs = attention->head_dim / 2;
    with_type(qkv.type, [&](auto element) {
        using T = decltype(element);
        with_units<16 / (int)sizeof(T)>(
            [&](auto n) {
                constexpr int N = n;
                const int log2 = lanes_log2(pairs / N);
                WZ_LAUNCH((rope<T, N>), row_blocks(heads << log2, qkv.rows), row_threads(qkv.rows), 0,
                          cuda->stream, matrix_of<T>(qkv), index, table, heads, attention->head_dim, log2,
                          inverse ? -1.0f : 1.0f);
            },
            qkv, vector_of(table, pairs));
    });
    CUDA_LAUNCHED(cuda, "rope", qkv.rows, qkv.columns);
}

static __device__ __forceinline__ float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

template <typename T, int N> static __global__ void swiglu_forward(matrix<T> y, matrix<T> gate_up)
{
    over_units<N>(y.rows, y.columns, [&](int64_t row, int64_t column) {
        const T *gate = row_of(gate_up, row) + column;
        const elements<N> g = read_elements<N>(gate), u = read_elements<N>(gate + y.columns);
        elements<N> out;
        WZ_UNROLL
        for (int i = 0; i < N; i++)
            out.at[i] = g.at[i] * sigmoid(g.at[i]) * u.at[i];
        write_elements(row_of(y, row) + column, out);
    });
}

void cuda_swiglu_forward(wz_backend *backend, wz_tensor y, wz_tensor gate_up)
{
    cuda_backend *cuda = cuda_of(backend);
    if (y.rows == 0)
        return;
    with_type(y.type, [&](auto element) {
        using T = decltype(element);
        with_units<16 / (int)sizeof(T)>(
            [&](auto n) {
                constexpr int N = n;
                WZ_LAUNCH((swiglu_forward<T, N>), row_blocks(y.columns / N, y.rows), row_threads(y.rows), 0,
                          cuda->stream, matrix_of<T>(y), matrix_of<T>(gate_up));
            },
            y, gate_up);
    });
    CUDA_LAUNCHED(cuda, "swiglu forward", y.rows, y.columns);
}

/* y = g s(g) u:  du = dy g s,  dg = dy u s (1 + g (1 - s)) */
template <typename T, int N>
static __global__ void swiglu_backward(matrix<T> dgate_up, matrix<T> y, matrix<T> dy, matrix<T> gate_up)
{
    over_units<N>(dy.rows, dy.columns, [&](int64_t row, int64_t column) {
        const T *gate = row_of(gate_up, row) + column;
        T *to = row_of(dgate_up, row) + column;
        const elements<N> g = read_elements<N>(gate), u = read_elements<N>(gate + dy.columns),
                          d = read_elements<N>(row_of(dy, row) + column);
        elements<N> dg, du, again;
        WZ_UNROLL
        for (int i = 0; i < N; i++) {
            const float s = sigmoid(g.at[i]);
            du.at[i] = d.at[i] * g.at[i] * s;
            dg.at[i] = d.at[i] * u.at[i] * s * fmaf(g.at[i], 1.0f - s, 1.0f);
            again.at[i] = g.at[i] * s * u.at[i];
        }
        write_elements(to + dy.columns, du);
        write_elements(to, dg);
        if (y.data != NULL)
            write_elements(row_of(y, row) + column, again);
    });
}

void cuda_swiglu_backward(wz_backend *backend, wz_tensor dgate_up, wz_tensor y, wz_tensor dy,
                          wz_tensor gate_up)
{
    cuda_backend *cuda = cuda_of(backend);
    if (dy.rows == 0)
        return;
    with_type(dy.type, [&](auto element) {
        using T = decltype(element);
        with_units<16 / (int)sizeof(T)>(
            [&](auto n) {
                constexpr int N = n;
                WZ_LAUNCH((swiglu_backward<T, N>), row_blocks(dy.columns / N, dy.rows), row_threads(dy.rows),
                          0, cuda->stream, matrix_of<T>(dgate_up), matrix_of<T>(y), matrix_of<T>(dy),
                          matrix_of<T>(gate_up));
            },
            dgate_up, y, dy, gate_up);
    });
    CUDA_LAUNCHED(cuda, "swiglu backward", gate_up.rows, gate_up.columns);
}
