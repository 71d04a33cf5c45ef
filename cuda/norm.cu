/* RMSNorm over rows, and per head on q and k. A warp has a row: lane l takes elements l, l + 32, ... and the lanes' sums
 * are added by halves, so a row's result depends on that row alone. */
#include "cuda/cuda_backend.h"

#define WARPS 4 /* rows of a block */

/* rstd of n elements, on every lane (Zhang & Sennrich 2019). */
template <typename T> static __device__ float row_rstd(const T *x, int64_t n, float eps)
{
    float sum = 0.0f;
    for (int64_t i = threadIdx.x; i < n; i += WZ_WARP)
        sum = fmaf(x[i], x[i], sum);
    return 1.0f / sqrtf(warp_sum(sum) / (float)n + eps);
}

template <typename T>
static __global__ void norm_forward(matrix<T> y, float *rstd_out, matrix<float> x, const int32_t *gather,
                                    const float *weight, float eps)
{
    const int64_t i = (int64_t)blockIdx.x * WARPS + threadIdx.y;
    if (i >= y.rows)
        return;
    const float *from = row_of(x, gather != NULL ? gather[i] : i);
    const float rstd = row_rstd(from, x.columns, eps);
    T *to = row_of(y, i);
    for (int64_t c = threadIdx.x; c < x.columns; c += WZ_WARP)
        to[c] = from[c] * rstd * weight[c];
    if (rstd_out != NULL && threadIdx.x == 0)
        rstd_out[i] = rstd;
}

static dim3 warp_rows(int64_t rows)
{
    return dim3((unsigned)((rows + WARPS - 1) / WARPS));
}

void cuda_rmsnorm_forward(wz_backend *backend, wz_tensor y, float *rstd, wz_tensor x, const int32_t *gather,
                          const float *weight, float eps)
{
    cuda_backend *cuda = cuda_of(backend);
    const int32_t *index = cuda_stage(cuda, gather, y.rows, "rmsnorm: rows");
    if (y.rows == 0 || (gather != NULL && index == NULL))
        return;
    with_type(y.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(norm_forward<T>, warp_rows(y.rows), dim3(WZ_WARP, WARPS), 0, cuda->stream, matrix_of<T>(y),
                  rstd, matrix_of<float>(x), index, weight, eps);
    });
    CUDA_LAUNCHED(cuda, "rmsnorm forward", y.rows, y.columns);
}

/* With h = x rstd:  dx (+)= rstd (dy w - h mean(dy w h)). */
template <typename D, typename T, typename X>
static __device__ void row_backward(D *dx, const T *dy, const X *x, float rstd, const float *weight,
                                    int64_t n, bool accumulate)
{
    float sum = 0.0f;
    for (int64_t c = threadIdx.x; c < n; c += WZ_WARP)
        sum = fmaf(dy[c] * weight[c], x[c] * rstd, sum);
    const float mean = warp_sum(sum) / (float)n;
    for (int64_t c = threadIdx.x; c < n; c += WZ_WARP) {
        const float d = rstd * (dy[c] * weight[c] - x[c] * rstd * mean);
        dx[c] = accumulate ? dx[c] + d : d;
    }
}

/* One warp per input row that has outputs: entries order[begin[t] .. begin[t + 1]) of output rows, ascending. */
template <typename T>
static __global__ void norm_backward(matrix<float> dx, matrix<T> dy, matrix<float> x, const int32_t *source,
                                     const int32_t *begin, const int32_t *order, int64_t targets,
                                     const float *rstd, const float *weight)
{
    const int64_t t = (int64_t)blockIdx.x * WARPS + threadIdx.y;
    if (t >= targets)
        return;
    const int64_t first = begin != NULL ? begin[t] : t, end = begin != NULL ? begin[t + 1] : t + 1;
    for (int64_t k = first; k < end; k++) {
        const int64_t i = order != NULL ? order[k] : k, row = source != NULL ? source[t] : i;
        row_backward(row_of(dx, row), row_of(dy, i), row_of(x, row), rstd[i], weight, x.columns, true);
    }
}

/* partial[part][column] = sum of dy h over the part's rows, in order; a thread has a column. */
template <typename T>
static __global__ void norm_weight_parts(float *partial, matrix<T> dy, matrix<float> x, const int32_t *gather,
                                         const float *rstd)
{
    const int64_t column = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, part = blockIdx.y;
    if (column >= dy.columns)
        return;
    const int64_t end = part_end(part, dy.rows);
    float sum = 0.0f;
    for (int64_t i = part * ROWS_PER_PART; i < end; i++)
        sum = fmaf(row_of(dy, i)[column], row_of(x, gather != NULL ? gather[i] : i)[column] * rstd[i], sum);
    partial[part * dy.columns + column] = sum;
}

/* The final norm's rows are the head's entries. */
cuda_need cuda_norm_need(const wz_op_bounds *b)
{
    const int64_t rows = b->entries > b->rows ? b->entries : b->rows, heads_width = 2 * b->attention.head_dim;
    const int64_t width = b->hidden > heads_width ? b->hidden : heads_width;
    return cuda_need{(size_t)(part_count(rows) * width) * sizeof(float), scatter_room(rows, rows)};
}

void cuda_rmsnorm_backward(wz_backend *backend, wz_tensor dx, float *dweight, wz_tensor dy, wz_tensor x,
                           const int32_t *gather, const float *rstd, const float *weight,
                           const wz_row_groups *groups)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t rows = dy.rows;
    cuda_scatter scatter = {};
    (void)groups;
    if (rows == 0 || (gather != NULL && !cuda_find_scatter(cuda, gather, rows, NULL, rows, &scatter)))
        return;
    const int64_t targets = gather != NULL ? scatter.targets : rows;
    with_type(dy.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(norm_backward<T>, warp_rows(targets), dim3(WZ_WARP, WARPS), 0, cuda->stream,
                  matrix_of<float>(dx), matrix_of<T>(dy), matrix_of<float>(x), scatter.target, scatter.begin,
                  scatter.order, targets, rstd, weight);
    });
    CUDA_LAUNCHED(cuda, "rmsnorm backward", dy.rows, dy.columns);
    if (dweight == NULL)
        return;
    const int64_t parts = part_count(rows);
    float *partial =
        (float *)cuda_scratch(cuda, (size_t)(parts * x.columns) * sizeof(float), "rmsnorm backward");
    const int32_t *index = cuda_stage(cuda, gather, rows, "rmsnorm: rows");
    if (partial == NULL || (gather != NULL && index == NULL))
        return;
    const dim3 grid((unsigned)((x.columns + 127) / 128), (unsigned)parts);
    with_type(dy.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(norm_weight_parts<T>, grid, dim3(128), 0, cuda->stream, partial, matrix_of<T>(dy),
                  matrix_of<float>(x), index, rstd);
    });
    CUDA_LAUNCHED(cuda, "rmsnorm backward", dy.rows, dy.columns);
    cuda_add_parts(cuda, dweight, partial, parts, x.columns, x.columns);
}

/* A warp has a head of a row. */
template <typename T>
static __global__ void head_norm_forward(matrix<T> qkv, matrix<T> raw, float *rstd_out, int64_t q_heads,
                                         int64_t heads, int64_t head_dim, const float *q_weight,
                                         const float *k_weight, float eps)
{
    const int64_t at = (int64_t)blockIdx.x * WARPS + threadIdx.y, i = at / heads, h = at % heads;
    if (i >= qkv.rows)
        return;
    T *x = row_of(qkv, i) + h * head_dim, *before = row_of(raw, i) + h * head_dim;
    const float *weight = h < q_heads ? q_weight : k_weight;
    const float rstd = row_rstd(x, head_dim, eps);
    for (int64_t c = threadIdx.x; c < head_dim; c += WZ_WARP) {
        before[c] = x[c];
        x[c] = x[c] * rstd * weight[c];
    }
    if (threadIdx.x == 0)
        rstd_out[i * heads + h] = rstd;
}

void cuda_qk_norm_forward(wz_backend *backend, wz_tensor qkv, wz_tensor raw, float *rstd,
                          const wz_attention *attention, const float *q_weight, const float *k_weight,
                          float eps)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t heads = attention->heads + attention->kv_heads;
    if (qkv.rows == 0)
        return;
    with_type(qkv.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(head_norm_forward<T>, warp_rows(qkv.rows * heads), dim3(WZ_WARP, WARPS), 0, cuda->stream,
                  matrix_of<T>(qkv), matrix_of<T>(raw), rstd, attention->heads, heads, attention->head_dim,
                  q_weight, k_weight, eps);
    });
    CUDA_LAUNCHED(cuda, "qk_norm forward", qkv.rows, qkv.columns);
}

/* partial[part][2][head_dim]: q's and k's weight gradient over the part's rows and their heads, in order; before
 * head_norm_backward overwrites dqkv. */
template <typename T>
static __global__ void head_norm_weight_parts(float *partial, matrix<T> dqkv, matrix<T> raw,
                                              const float *rstd, int64_t q_heads, int64_t heads,
                                              int64_t head_dim)
{
    const int64_t d = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, part = blockIdx.y;
    if (d >= 2 * head_dim)
        return;
    const bool is_k = d >= head_dim;
    const int64_t column = is_k ? d - head_dim : d, h0 = is_k ? q_heads : 0, h1 = is_k ? heads : q_heads;
    const int64_t end = part_end(part, dqkv.rows);
    float sum = 0.0f;
    for (int64_t i = part * ROWS_PER_PART; i < end; i++)
        for (int64_t h = h0; h < h1; h++)
            sum = fmaf(row_of(dqkv, i)[h * head_dim + column],
                       row_of(raw, i)[h * head_dim + column] * rstd[i * heads + h], sum);
    partial[part * 2 * head_dim + d] = sum;
}

template <typename T>
static __global__ void head_norm_backward(matrix<T> dqkv, matrix<T> raw, const float *rstd, int64_t q_heads,
                                          int64_t heads, int64_t head_dim, const float *q_weight,
                                          const float *k_weight)
{
    const int64_t at = (int64_t)blockIdx.x * WARPS + threadIdx.y, i = at / heads, h = at % heads;
    if (i >= dqkv.rows)
        return;
    T *d = row_of(dqkv, i) + h * head_dim;
    row_backward(d, d, row_of(raw, i) + h * head_dim, rstd[i * heads + h], h < q_heads ? q_weight : k_weight,
                 head_dim, false);
}

void cuda_qk_norm_backward(wz_backend *backend, wz_tensor dqkv, float *dq_weight, float *dk_weight,
                           wz_tensor raw, const float *rstd, const wz_attention *attention,
                           const float *q_weight, const float *k_weight, const wz_row_groups *groups)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t heads = attention->heads + attention->kv_heads, hd = attention->head_dim;
    const int64_t parts = part_count(dqkv.rows);
    (void)groups;
    if (dqkv.rows == 0)
        return;
    float *partial =
        (float *)cuda_scratch(cuda, (size_t)(parts * 2 * hd) * sizeof(float), "qk_norm backward");
    if (partial == NULL)
        return;
    const dim3 grid((unsigned)((2 * hd + 127) / 128), (unsigned)parts);
    with_type(dqkv.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(head_norm_weight_parts<T>, grid, dim3(128), 0, cuda->stream, partial, matrix_of<T>(dqkv),
                  matrix_of<T>(raw), rstd, attention->heads, heads, hd);
    });
    CUDA_LAUNCHED(cuda, "qk_norm backward", dqkv.rows, dqkv.columns);
    cuda_add_parts(cuda, dq_weight, partial, parts, 2 * hd, hd);
    cuda_add_parts(cuda, dk_weight, partial + hd, parts, 2 * hd, hd);
    with_type(dqkv.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(head_norm_backward<T>, warp_rows(dqkv.rows * heads), dim3(WZ_WARP, WARPS), 0, cuda->stream,
                  matrix_of<T>(dqkv), matrix_of<T>(raw), rstd, attention->heads, heads, hd, q_weight,
                  k_weight);
    });
    CUDA_LAUNCHED(cuda, "qk_norm backward", dqkv.rows, dqkv.columns);
}
