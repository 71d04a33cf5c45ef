/* RMSNorm over rows: a warp has a row (norm.h). */
#include "cuda/norm.h"

#define WARPS 4   /* rows of a block */
#define STRETCH 8 /* 1024 elements of a row are read together */

static __device__ __forceinline__ row_lanes whole_warp(void)
{
    return row_lanes{WZ_WARP, (int)threadIdx.x};
}

template <typename T, bool WHOLE>
static __global__ void norm_forward(matrix<T> y, float *rstd_out, matrix<float> x, const int32_t *gather,
                                    const float *weight, float eps)
{
    const int64_t i = (int64_t)blockIdx.x * WARPS + threadIdx.y;
    if (i >= y.rows)
        return;
    const float *from = row_of(x, gather != NULL ? gather[i] : i);
    const float rstd =
        row_forward<STRETCH, WHOLE>(row_of(y, i), (float *)NULL, from, x.columns, whole_warp(), weight, eps);
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
        with_units<EACH<float>>(
            [&](auto n) {
                constexpr bool WHOLE = n > 1;
                WZ_LAUNCH((norm_forward<T, WHOLE>), warp_rows(y.rows), dim3(WZ_WARP, WARPS), 0, cuda->stream,
                          matrix_of<T>(y), rstd, matrix_of<float>(x), index, weight, eps);
            },
            y, x, vector_of(weight, x.columns));
    });
    CUDA_LAUNCHED(cuda, "rmsnorm forward", y.rows, y.columns);
}

/* One warp per input row that has outputs: entries order[begin[t] .. begin[t + 1]) of output rows, ascending. */
template <typename T, bool WHOLE>
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
        row_backward<STRETCH, WHOLE, true>(row_of(dx, row), row_of(dy, i), row_of(x, row), rstd[i], weight,
                                           x.columns, whole_warp());
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
        with_units<EACH<float>>(
            [&](auto n) {
                constexpr bool WHOLE = n > 1;
                WZ_LAUNCH((norm_backward<T, WHOLE>), warp_rows(targets), dim3(WZ_WARP, WARPS), 0,
                          cuda->stream, matrix_of<float>(dx), matrix_of<T>(dy), matrix_of<float>(x),
                          scatter.target, scatter.begin, scatter.order, targets, rstd, weight);
            },
            dx, dy, x, vector_of(weight, x.columns));
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
