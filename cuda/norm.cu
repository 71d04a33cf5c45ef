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

/* --- backward --- */

#define PART_WARPS 8 /* of a block, where its sums fit into shared memory */

/* What a backward pass reads and writes, as in the op table. Of input row source[t] (NULL: t) the outputs are rows
 * order[begin[t] .. begin[t + 1]) (NULL: t), ascending. */
template <typename T> struct norm_gradient {
    matrix<float> dx;
    matrix<T> copy, y;
    float *partial; /* [parts][columns] of the weights' gradient; NULL: not wanted */
    matrix<T> dy;
    matrix<float> x;
    const int32_t *source, *begin, *order;
    int64_t targets;
    const float *rstd, *weight;
};

/* A warp's sums for the weights lie in shared memory, so that a lane's words are all in its own bank. */
static __host__ __device__ __forceinline__ int64_t sum_words(int64_t columns)
{
    const int64_t units = EACH<float> * WZ_WARP;
    return (columns + units - 1) / units * units;
}

static __device__ __forceinline__ int64_t word_of(int64_t column)
{
    const uint32_t unit = (uint32_t)column / EACH<float>, element = (uint32_t)column % EACH<float>;
    return (int64_t)((unit / WZ_WARP * EACH<float> + element) * WZ_WARP + unit % WZ_WARP);
}

/* sums += dy h of a lane's units that are in the row. */
template <typename S, int N, int UNITS>
static __device__ __forceinline__ void add_terms(S sums, const elements<N> (&dy)[UNITS],
                                                 const elements<N> (&h)[UNITS], int64_t units)
{
    WZ_UNROLL
    for (int j = 0; j < UNITS; j++) {
        if (j >= units)
            return;
        WZ_UNROLL
        for (int e = 0; e < N; e++) {
            const int word = (j * N + e) * WZ_WARP;
            sums[word] = fmaf(dy[j].at[e], h[j].at[e], sums[word]);
        }
    }
}

/* The outputs of one input row, by a warp. */
template <bool WHOLE, typename T, typename S>
static __device__ __forceinline__ void target_backward(const norm_gradient<T> &g, int64_t t, S sums)
{
    constexpr int N = EACH<float>;
    constexpr int64_t STEP = N * WZ_WARP;
    const int64_t first = g.begin != NULL ? g.begin[t] : t, end = g.begin != NULL ? g.begin[t + 1] : t + 1,
                  n = g.x.columns;
    for (int64_t k = first; k < end; k++) {
        const int64_t i = g.order != NULL ? g.order[k] : k, row = g.source != NULL ? g.source[t] : i;
        T *y = g.y.data != NULL ? row_of(g.y, i) : NULL,
          *copy = g.copy.data != NULL ? row_of(g.copy, row) : NULL;
        row_backward<STRETCH, WHOLE, true>(
            row_of(g.dx, row), copy, row_of(g.dy, i), row_of(g.x, row), g.rstd[i], g.weight, n, whole_warp(),
            [&](int64_t c, const elements<N>(&dy)[STRETCH], const elements<N>(&h)[STRETCH],
                const elements<N>(&w)[STRETCH]) {
                add_terms(sums + word_of(c), dy, h, (n - c + STEP - 1) / STEP);
                elements<N> again[STRETCH];
                over_parts(h, [&](int j, int e) { again[j].at[e] = h[j].at[e] * w[j].at[e]; });
                if (y != NULL)
                    write_parts<N, WHOLE>(y, c, STEP, n, again);
            });
    }
}

/* A block has a part of the input rows; its warps take them in turn, then their sums are added in order. */
template <typename T, bool WHOLE> static __global__ void norm_backward(norm_gradient<T> g)
{
    WZ_DYNAMIC_SHARED(sums);
    const int64_t columns = g.x.columns, words = sum_words(columns), part = blockIdx.x,
                  end = part_end(part, g.targets);
    const auto mine = sums + threadIdx.y * words;
    for (int64_t i = threadIdx.x; i < words; i += WZ_WARP)
        mine[i] = 0.0f;
    for (int64_t t = part * ROWS_PER_PART + threadIdx.y; t < end; t += blockDim.y)
        target_backward<WHOLE>(g, t, mine);
    if (g.partial == NULL)
        return;
    __syncthreads();
    for (int64_t column = threadIdx.y * WZ_WARP + threadIdx.x; column < columns;
         column += blockDim.y * WZ_WARP) {
        float sum = 0.0f;
        for (int64_t warp = 0; warp < blockDim.y; warp++)
            sum += sums[warp * words + word_of(column)];
        g.partial[part * columns + column] = sum;
    }
}

/* Warps of a block whose sums fit, so that the order of sums depends on the width alone; 0: not even one's do. */
static unsigned part_warps(int64_t columns)
{
    const size_t bytes = (size_t)sum_words(columns) * sizeof(float);
    unsigned warps = PART_WARPS;
    while (warps * bytes > CUDA_MOST_SHARED)
        warps /= 2;
    return warps;
}

static bool is_not_too_wide(cuda_backend *cuda, unsigned warps, int64_t columns)
{
    wz_error err = {{0}};
    if (warps == 0)
        cuda_fail(
            cuda,
            wz_fail(&err, WZ_ERR_RESOURCE,
                    "rmsnorm backward: %lld columns are too many for a block's memory: lower hidden_size",
                    (long long)columns),
            &err);
    return warps > 0;
}

template <typename T>
static void launch_backward(cuda_backend *cuda, const norm_gradient<T> &g, bool whole, unsigned warps)
{
    const size_t bytes = warps * (size_t)sum_words(g.x.columns) * sizeof(float);
    const dim3 grid((unsigned)part_count(g.targets)), block(WZ_WARP, warps);
    const char *what = "rmsnorm backward";
    if (whole && cuda_allow_shared(cuda, norm_backward<T, true>, bytes, what))
        WZ_LAUNCH((norm_backward<T, true>), grid, block, bytes, cuda->stream, g);
    else if (!whole && cuda_allow_shared(cuda, norm_backward<T, false>, bytes, what))
        WZ_LAUNCH((norm_backward<T, false>), grid, block, bytes, cuda->stream, g);
    CUDA_LAUNCHED(cuda, what, g.targets, g.x.columns);
}

/* The final norm's rows are the head's entries. */
cuda_need cuda_norm_need(const wz_op_bounds *b)
{
    const int64_t rows = b->entries > b->rows ? b->entries : b->rows, heads_width = 2 * b->attention.head_dim;
    const int64_t width = b->hidden > heads_width ? b->hidden : heads_width;
    return cuda_need{(size_t)(part_count(rows) * width) * sizeof(float), scatter_room(rows, rows)};
}

void cuda_rmsnorm_backward(wz_backend *backend, wz_tensor dx, wz_tensor copy, wz_tensor y, float *dweight,
                           wz_tensor dy, wz_tensor x, const int32_t *gather, const float *rstd,
                           const float *weight, const wz_row_groups *groups)
{
    cuda_backend *cuda = cuda_of(backend);
    const int64_t rows = dy.rows;
    const unsigned warps = part_warps(x.columns);
    cuda_scatter scatter = {};
    (void)groups;
    if (rows == 0 || !is_not_too_wide(cuda, warps, x.columns) ||
        (gather != NULL && !cuda_find_scatter(cuda, gather, rows, NULL, rows, &scatter)))
        return;
    const int64_t targets = gather != NULL ? scatter.targets : rows, parts = part_count(targets);
    float *partial = NULL;
    if (dweight != NULL) {
        partial =
            (float *)cuda_scratch(cuda, (size_t)(parts * x.columns) * sizeof(float), "rmsnorm backward");
        if (partial == NULL)
            return;
    }
    with_type(dy.type, [&](auto element) {
        using T = decltype(element);
        const norm_gradient<T> g = {matrix_of<float>(dx),
                                    matrix_of<T>(copy),
                                    matrix_of<T>(y),
                                    partial,
                                    matrix_of<T>(dy),
                                    matrix_of<float>(x),
                                    scatter.target,
                                    scatter.begin,
                                    scatter.order,
                                    targets,
                                    rstd,
                                    weight};
        with_units<EACH<float>>([&](auto n) { launch_backward(cuda, g, n > 1, warps); }, dx, copy, y, dy, x,
                                vector_of(weight, x.columns));
    });
    if (dweight != NULL)
        cuda_add_parts(cuda, dweight, partial, parts, x.columns, x.columns);
}
