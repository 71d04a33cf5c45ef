/* Packed attention, forward: softmax(q k^T / sqrt(head_dim)) v over a row's visible keys, by the running maximum and sum
 * of Dao et al. 2022. */
#include <math.h>

#include "cuda/attention_walk.h"

/* How far, in powers of two, scores may exceed the number that exponents are counted from, so that weights are at most 2^LEAP.
 * Counting from a new one means rescaling all sums: it follows the largest score in leaps, which are few. */
#define LEAP 8.0f

/* The running softmax of a lane's two queries. With x a score times log2(e): a number `from` near the largest x so far
 * (-infinity: none), the sum of 2^(x - from), over the lane's own keys, and that sum over all keys weighted with values; the four
 * lanes of a query share its features. */
template <int WIDTH> struct running_softmax {
    float from[2], sum[2], value[WIDTH / SIDE][8];
};

static __device__ __forceinline__ float largest_of_four(float x)
{
    x = fmaxf(x, __shfl_xor_sync(WZ_ALL_LANES, x, 1));
    return fmaxf(x, __shfl_xor_sync(WZ_ALL_LANES, x, 2));
}

/* Scores of the lane's queries with the tile's keys in blocks of 16; -infinity for those not seen. */
template <typename T, int WIDTH, int BLOCKS, typename S, typename Seen>
static __device__ __forceinline__ void score_keys(float (*score)[8], const fragment<T> *query, S keys,
                                                  const Seen &seen, int lane)
{
    WZ_UNROLL
    for (int n = 0; n < BLOCKS; n++) {
        WZ_UNROLL
        for (int e = 0; e < 8; e++)
            score[n][e] = 0.0f;
        if (any_seen(seen, n * SIDE)) {
            WZ_UNROLL
            for (int d = 0; d < WIDTH / SIDE; d++) {
                fragment<T> key;
                load_right<T, WIDTH, true>(&key, keys, n * SIDE, d * SIDE, lane);
                multiply_add(score[n], query[d], key);
            }
        }
        WZ_UNROLL
        for (int e = 0; e < 8; e++)
            if (!is_seen(seen, e / 2 % 2, n * SIDE + fragment_column(lane, e)))
                score[n][e] = -INFINITY;
    }
}

/* Counts from other numbers. A query that keeps its own keeps its sums' bits. */
template <int WIDTH>
static __device__ __forceinline__ void count_from(running_softmax<WIDTH> *r, const float *from)
{
    float rescale[2];
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        rescale[half] = from[half] > r->from[half] ? power_of_two(r->from[half] - from[half]) : 1.0f;
        r->sum[half] *= rescale[half];
        r->from[half] = from[half];
    }
    WZ_UNROLL
    for (int i = 0; i < WIDTH / SIDE * 8; i++)
        r->value[i / 8][i % 8] *= rescale[i % 8 / 2 % 2];
}

/* Scores become 2^(x - from). */
template <int WIDTH, int BLOCKS>
static __device__ __forceinline__ void take_scores(running_softmax<WIDTH> *r, float (*score)[8], float scale2)
{
    float from[2];
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        float most = -INFINITY;
        WZ_UNROLL
        for (int i = 0; i < 4 * BLOCKS; i++)
            most = fmaxf(most, score[i / 4][i % 4 / 2 * 4 + 2 * half + i % 2]);
        most = largest_of_four(most) * scale2;
        from[half] = most > r->from[half] + LEAP ? most : r->from[half];
    }
    if (__any_sync(WZ_ALL_LANES, from[0] > r->from[0] || from[1] > r->from[1]))
        count_from(r, from);
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        const float less = from[half] == -INFINITY ? 0.0f : -from[half]; /* it has seen nothing yet */
        float sum = 0.0f;
        WZ_UNROLL
        for (int i = 0; i < 4 * BLOCKS; i++) {
            float *x = &score[i / 4][i % 4 / 2 * 4 + 2 * half + i % 2];
            *x = power_of_two(fmaf(*x, scale2, less));
            sum += *x;
        }
        r->sum[half] += sum;
    }
}

template <typename T, int WIDTH, int BLOCKS, typename S, typename Seen>
static __device__ __forceinline__ void add_values(running_softmax<WIDTH> *r, const float (*p)[8], S values,
                                                  const Seen &seen, int lane)
{
    WZ_UNROLL
    for (int n = 0; n < BLOCKS; n++)
        if (any_seen(seen, n * SIDE)) {
            fragment<T> weight;
            make_factor(&weight, p[n]);
            WZ_UNROLL
            for (int d = 0; d < WIDTH / SIDE; d++) {
                fragment<T> value;
                load_right<T, WIDTH, false>(&value, values, n * SIDE, d * SIDE, lane);
                multiply_add(r->value[d], weight, value);
            }
        }
    WZ_UNROLL
    for (int half = 0; half < 2; half++)
        if (bad_seen(seen, half))
            r->sum[half] = NAN;
}

template <typename T, int WIDTH>
static __device__ void store_result(const matrix<T> &out, float *lse, const running_softmax<WIDTH> &r,
                                    const lane_queries &q, const attention_shape &s, int lane)
{
    float inverse[2];
    T *row[2];
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        const float sum = sum_of_four(r.sum[half]);
        inverse[half] = 1.0f / sum;
        row[half] = is_there(q, half) ? query_of(out, s, q.result[half], q.head[half], 0) : NULL;
        if (lse != NULL && is_there(q, half) && lane % 4 == 0)
            lse[(int64_t)q.result[half] * s.heads + q.head[half]] = fmaf(r.from[half], LN_2, logf(sum));
    }
    store_sums<WIDTH / SIDE>(row[0], row[1], r.value, inverse, s.head_dim, s.whole, lane);
}

/* Blocks: (items, key/value heads, parts of the heads that share them). */
template <typename T, int WIDTH>
static __global__ void __launch_bounds__(MOST_THREADS)
    attention_forward(matrix<T> out, float *lse, matrix<T> qkv, attention_lists lists, attention_shape shape)
{
    constexpr int BLOCKS = tile_pair<T, WIDTH>::ROWS / SIDE;
    WZ_DYNAMIC_SHARED(shared);
    const attention_item item = lists.items[blockIdx.x];
    const int kv = (int)blockIdx.y, lane = (int)threadIdx.x;
    fragment<T> query[WIDTH / SIDE];
    running_softmax<WIDTH> r;
    if (item.count <= 0)
        return;
    const lane_queries q = queries_of(lists, item, shape, kv);
    const T *upper = is_there(q, 0) ? query_of(qkv, shape, q.row[0], q.head[0], 0) : NULL,
            *lower = is_there(q, 1) ? query_of(qkv, shape, q.row[1], q.head[1], 0) : NULL;
    WZ_UNROLL
    for (int d = 0; d < WIDTH / SIDE; d++) {
        load_left(&query[d], upper, lower, d * SIDE, shape.head_dim, shape.whole, lane);
        WZ_UNROLL
        for (int e = 0; e < 8; e++)
            r.value[d][e] = 0.0f;
    }
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        r.from[half] = -INFINITY;
        r.sum[half] = 0.0f;
    }
    walk_keys<T, WIDTH, true>(shared + 0, qkv, lists, item, shape, kv, q,
                              [&](auto keys, auto values, const auto &seen) {
                                  float score[BLOCKS][8];
                                  score_keys<T, WIDTH, BLOCKS>(score, query, keys, seen, lane);
                                  take_scores<WIDTH, BLOCKS>(&r, score, shape.scale2);
                                  add_values<T, WIDTH, BLOCKS>(&r, score, values, seen, lane);
                              });
    store_result(out, lse, r, q, shape, lane);
}

template <typename T, int WIDTH>
static void launch_forward(cuda_backend *cuda, wz_tensor out, float *lse, wz_tensor qkv,
                           const attention_lists &lists, const wz_attention *attention)
{
    const auto kernel = attention_forward<T, WIDTH>;
    const size_t bytes = tile_pair<T, WIDTH>::SHARED;
    const dim3 grid((unsigned)lists.item_count, (unsigned)attention->kv_heads,
                    (unsigned)head_parts(attention, lists.warps));
    if (!cuda_allow_shared(cuda, kernel, bytes, "attention forward"))
        return;
    WZ_LAUNCH(kernel, grid, dim3(WZ_WARP, (unsigned)lists.warps), bytes, cuda->stream, matrix_of<T>(out), lse,
              matrix_of<T>(qkv), lists, cuda_attention_shape(attention, qkv, out));
    CUDA_LAUNCHED(cuda, "attention forward", out.rows, out.columns);
}

void cuda_attend(cuda_backend *cuda, wz_tensor out, float *lse, wz_tensor qkv, const attention_lists *lists,
                 const wz_attention *attention)
{
    if (lists->row_count == 0)
        return;
    with_type(qkv.type, [&](auto element) {
        using T = decltype(element);
        with_width(attention->head_dim, [&](auto width) {
            launch_forward<T, decltype(width)::value>(cuda, out, lse, qkv, *lists, attention);
        });
    });
}

void cuda_attention_forward(wz_backend *backend, wz_tensor out, float *lse, wz_tensor qkv,
                            const wz_segments *segments, int64_t row0, int64_t row1, bool at_sites,
                            const wz_attention *attention)
{
    cuda_backend *cuda = cuda_of(backend);
    const attention_range range = {row0, row1, at_sites, false};
    attention_lists lists;
    if (cuda_attention_lists(cuda, segments, &range, attention, &lists))
        cuda_attend(cuda, out, lse, qkv, &lists, attention);
}
