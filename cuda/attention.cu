/* Packed attention, forward: softmax(q k^T / sqrt(head_dim)) v over a row's visible keys, by the running maximum and sum
 * of Dao et al. 2022. */
#include <math.h>

#include "cuda/attention.h"

attention_shape cuda_attention_shape(const wz_attention *a, wz_tensor qkv, wz_tensor dout)
{
    const uint64_t size = wz_type_bytes(qkv.type),
                   all = (uint64_t)(uintptr_t)qkv.data | (uint64_t)(uintptr_t)dout.data |
                         (uint64_t)qkv.stride * size | (uint64_t)dout.stride * size |
                         (uint64_t)a->head_dim * size;
    const uint64_t per_kv = (uint64_t)(a->heads / a->kv_heads);
    return attention_shape{
        (int)a->heads,    (int)a->kv_heads,
        (int)a->head_dim, (int)per_kv,
        a->scale,         a->scale * LOG2_E,
        all % 16 == 0,    per_kv == 1 ? 0 : (uint32_t)((((uint64_t)1 << 32) + per_kv - 1) / per_kv)};
}

/* The running softmax of a lane's two queries: largest score so far, sum of exp(score - largest), and that sum weighted with
 * values; the four lanes of a query share its features. */
template <int WIDTH> struct running_softmax {
    float largest[2], sum[2], value[WIDTH / SIDE][8];
};

static __device__ __forceinline__ float largest_of_four(float x)
{
    x = fmaxf(x, __shfl_xor_sync(WZ_ALL_LANES, x, 1));
    return fmaxf(x, __shfl_xor_sync(WZ_ALL_LANES, x, 2));
}

/* Scores of the lane's queries with the tile's keys in blocks of 16; -infinity for those not seen. */
template <typename T, int WIDTH, int BLOCKS, typename S>
static __device__ __forceinline__ void score_keys(float (*score)[8], const fragment<T> *query, S keys,
                                                  const keys_seen &seen, int lane)
{
    WZ_UNROLL
    for (int n = 0; n < BLOCKS; n++) {
        WZ_UNROLL
        for (int e = 0; e < 8; e++)
            score[n][e] = 0.0f;
        if (n * SIDE < seen.most) {
            WZ_UNROLL
            for (int d = 0; d < WIDTH / SIDE; d++) {
                fragment<T> key;
                load_right<T, WIDTH, true>(&key, keys, n * SIDE, d * SIDE, lane);
                multiply_add(score[n], query[d], key);
            }
        }
        WZ_UNROLL
        for (int e = 0; e < 8; e++)
            if (n * SIDE + fragment_column(lane, e) >= seen.of[e / 2 % 2])
                score[n][e] = -INFINITY;
    }
}

/* Scores become exp(score - largest), and what was summed before is rescaled. */
template <int WIDTH, int BLOCKS>
static __device__ __forceinline__ void take_scores(running_softmax<WIDTH> *r, float (*score)[8], float scale2)
{
    float rescale[2];
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        float most = -INFINITY, sum = 0.0f;
        WZ_UNROLL
        for (int i = 0; i < 4 * BLOCKS; i++)
            most = fmaxf(most, score[i / 4][i % 4 / 2 * 4 + 2 * half + i % 2]);
        most = fmaxf(r->largest[half], largest_of_four(most));
        const float from = most == -INFINITY ? 0.0f : most; /* it has seen nothing yet */
        rescale[half] = power_of_two((r->largest[half] - from) * scale2);
        WZ_UNROLL
        for (int i = 0; i < 4 * BLOCKS; i++) {
            float *x = &score[i / 4][i % 4 / 2 * 4 + 2 * half + i % 2];
            *x = power_of_two((*x - from) * scale2);
            sum += *x;
        }
        r->sum[half] = fmaf(r->sum[half], rescale[half], sum_of_four(sum));
        r->largest[half] = most;
    }
    WZ_UNROLL
    for (int d = 0; d < WIDTH / SIDE; d++) {
        WZ_UNROLL
        for (int e = 0; e < 8; e++)
            r->value[d][e] *= rescale[e / 2 % 2];
    }
}

template <typename T, int WIDTH, int BLOCKS, typename S>
static __device__ __forceinline__ void add_values(running_softmax<WIDTH> *r, const float (*p)[8], S values,
                                                  const keys_seen &seen, int lane)
{
    WZ_UNROLL
    for (int n = 0; n < BLOCKS; n++)
        if (n * SIDE < seen.most) {
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
        if (seen.bad < seen.of[half])
            r->sum[half] = NAN;
}

template <typename T, int WIDTH>
static __device__ void store_result(const matrix<T> &out, float *lse, const running_softmax<WIDTH> &r,
                                    const lane_queries &q, const attention_shape &s, int lane)
{
    WZ_UNROLL
    for (int d = 0; d < WIDTH / SIDE; d++) {
        WZ_UNROLL
        for (int e = 0; e < 8; e++) {
            const int half = e / 2 % 2, column = d * SIDE + fragment_column(lane, e);
            if (q.there[half] && column < s.head_dim)
                query_of(out, s, q.result[half], q.head[half])[column] = r.value[d][e] / r.sum[half];
        }
    }
    WZ_UNROLL
    for (int half = 0; half < 2; half++)
        if (lse != NULL && q.there[half] && lane % 4 == 0)
            lse[(int64_t)q.result[half] * s.heads + q.head[half]] =
                fmaf(r.largest[half], s.scale, logf(r.sum[half]));
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
    const T *upper = q.there[0] ? query_of(qkv, shape, q.row[0], q.head[0]) : NULL,
            *lower = q.there[1] ? query_of(qkv, shape, q.row[1], q.head[1]) : NULL;
    WZ_UNROLL
    for (int d = 0; d < WIDTH / SIDE; d++) {
        load_left(&query[d], upper, lower, d * SIDE, shape.head_dim, lane);
        WZ_UNROLL
        for (int e = 0; e < 8; e++)
            r.value[d][e] = 0.0f;
    }
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        r.largest[half] = -INFINITY;
        r.sum[half] = 0.0f;
    }
    walk_keys<T, WIDTH, true>(shared + 0, qkv, lists, item, shape, kv, q,
                              [&](auto keys, auto values, const keys_seen &seen) {
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
              matrix_of<T>(qkv), lists, cuda_attention_shape(attention, qkv, qkv));
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
