/* Attention backward: gradients of queries, and the op. */
#include "cuda/attention_backward.h"

template <typename T, int N> static __global__ void clear_units(matrix<T> to)
{
    over_units<N>(to.rows, to.columns, [&](int64_t row, int64_t column) {
        write_elements(row_of(to, row) + column, elements<N>{});
    });
}

/* Zeros for the queries: those of rows that are not computed stay. */
template <typename T>
static void clear_queries(cuda_backend *cuda, wz_tensor dqkv, const wz_attention *attention)
{
    wz_tensor queries = dqkv;
    queries.columns = attention->heads * attention->head_dim;
    with_units<16 / (int)sizeof(T)>(
        [&](auto n) {
            constexpr int N = n;
            WZ_LAUNCH((clear_units<T, N>), row_blocks(queries.columns / N, queries.rows),
                      row_threads(queries.rows), 0, cuda->stream, matrix_of<T>(queries));
        },
        queries);
    CUDA_LAUNCHED(cuda, "attention backward", dqkv.rows, dqkv.columns);
}

/* A warp's queries of dq. */
template <typename T, int WIDTH> struct upstream {
    fragment<T> query[WIDTH / SIDE], dout[WIDTH / SIDE];
    float less_lse2[2], less_delta[2]; /* negative; with exponents of 2 */
};

/* D of the lane's queries; the first of a query's four lanes writes it down for the keys' gradients. */
template <typename T, int WIDTH>
static __device__ void find_delta(const backward_view<T> &b, const lane_queries &q, upstream<T, WIDTH> *u,
                                  int lane)
{
    fragment<T> out;
    const T *upper = is_there(q, 0) ? query_of(b.out, b.shape, q.result[0], q.head[0], 0) : NULL,
            *lower = is_there(q, 1) ? query_of(b.out, b.shape, q.result[1], q.head[1], 0) : NULL;
    float delta[2] = {0.0f, 0.0f};
    WZ_UNROLL
    for (int d = 0; d < WIDTH / SIDE; d++) {
        load_left(&out, upper, lower, d * SIDE, b.shape.head_dim, b.shape.whole, lane);
        WZ_UNROLL
        for (int e = 0; e < 8; e++)
            delta[e / 2 % 2] = fmaf(element_of(u->dout[d], e), element_of(out, e), delta[e / 2 % 2]);
    }
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        u->less_delta[half] = -sum_of_four(delta[half]);
        if (is_there(q, half) && lane % 4 == 0)
            b.less_delta[(int64_t)q.place[half] * b.shape.heads + q.head[half]] = u->less_delta[half];
    }
}

template <typename T, int WIDTH>
static __device__ void load_upstream(const backward_view<T> &b, const lane_queries &q, upstream<T, WIDTH> *u,
                                     int lane)
{
    const T *row[2], *dout[2];
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        row[half] = is_there(q, half) ? query_of(b.qkv, b.shape, q.row[half], q.head[half], 0) : NULL;
        dout[half] = is_there(q, half) ? query_of(b.dout, b.shape, q.result[half], q.head[half], 0) : NULL;
        u->less_lse2[half] = is_there(q, half)
                                 ? b.lse[(int64_t)q.result[half] * b.shape.heads + q.head[half]] * -LOG2_E
                                 : 0.0f;
    }
    WZ_UNROLL
    for (int d = 0; d < WIDTH / SIDE; d++) {
        load_left(&u->query[d], row[0], row[1], d * SIDE, b.shape.head_dim, b.shape.whole, lane);
        load_left(&u->dout[d], dout[0], dout[1], d * SIDE, b.shape.head_dim, b.shape.whole, lane);
    }
    find_delta(b, q, u, lane);
}

/* Adds what 16 keys of a tile give, from key n on, but for the scale. */
template <typename T, int WIDTH, typename S, typename Seen>
static __device__ __forceinline__ void take_keys(float (*dq)[8], const upstream<T, WIDTH> &u, S keys,
                                                 S values, int n, float scale2, const Seen &seen, int lane)
{
    float p[8], slope[8];
    fragment<T> left;
    WZ_UNROLL
    for (int e = 0; e < 8; e++)
        slope[e] = u.less_delta[e / 2 % 2];
    two_products<T, WIDTH>(p, u.query, keys, slope, u.dout, values, n, lane);
    WZ_UNROLL
    for (int e = 0; e < 8; e++) {
        const int half = e / 2 % 2;
        p[e] = power_of_two(fmaf(p[e], scale2, u.less_lse2[half]));
        slope[e] = is_seen(seen, half, n + fragment_column(lane, e)) ? p[e] * slope[e] : 0.0f;
    }
    make_factor(&left, slope);
    add_rows<T, WIDTH>(dq, left, keys, n, lane);
}

/* Blocks: (items, key/value heads, parts of the heads that share them). */
template <typename T, int WIDTH>
static __global__ void __launch_bounds__(MOST_THREADS) query_gradients(backward_view<T> b)
{
    constexpr int ROWS = tile_pair<T, WIDTH>::ROWS;
    WZ_DYNAMIC_SHARED(shared);
    const attention_shape &s = b.shape;
    const attention_item item = b.lists.items[blockIdx.x];
    const int kv = (int)blockIdx.y, lane = (int)threadIdx.x;
    const lane_queries q = queries_of(b.lists, item, s, kv);
    upstream<T, WIDTH> u;
    float dq[WIDTH / SIDE][8];
    load_upstream(b, q, &u, lane);
    WZ_UNROLL
    for (int i = 0; i < WIDTH / SIDE * 8; i++)
        dq[i / 8][i % 8] = 0.0f;
    walk_keys<T, WIDTH, false>(shared + 0, b.qkv, b.lists, item, s, kv, q,
                               [&](auto keys, auto values, const auto &seen) {
                                   WZ_UNROLL_BY(1) /* several take more registers than four blocks have */
                                   for (int n = 0; n < ROWS && any_seen(seen, n); n += SIDE)
                                       take_keys(dq, u, keys, values, n, s.scale2, seen, lane);
                               });
    const lane_queries again = queries_of(b.lists, item, s, kv); /* not kept: registers are scarce */
    T *row[2];
    WZ_UNROLL
    for (int half = 0; half < 2; half++)
        row[half] = is_there(again, half) ? query_of(b.dqkv, s, again.row[half], again.head[half], 0) : NULL;
    const float scale[2] = {s.scale, s.scale};
    store_sums<WIDTH / SIDE>(row[0], row[1], dq, scale, s.head_dim, s.whole, lane);
}

template <typename T, int WIDTH>
static void launch_queries(cuda_backend *cuda, const backward_view<T> &b, const wz_attention *attention)
{
    const auto kernel = query_gradients<T, WIDTH>;
    const size_t bytes = tile_pair<T, WIDTH>::SHARED;
    const dim3 grid((unsigned)b.lists.item_count, (unsigned)attention->kv_heads,
                    (unsigned)head_parts(attention, MANY_WARPS));
    if (b.lists.item_count == 0 || !cuda_allow_shared(cuda, kernel, bytes, "attention backward, queries"))
        return;
    WZ_LAUNCH(kernel, grid, dim3(WZ_WARP, MANY_WARPS), bytes, cuda->stream, b);
    CUDA_LAUNCHED(cuda, "attention backward, queries", b.dqkv.rows, b.dqkv.columns);
}

template <typename T>
static void backward(cuda_backend *cuda, backward_view<T> b, const wz_attention *attention)
{
    b.less_delta = (float *)cuda_scratch(
        cuda, cuda_attention_backward_bytes(attention, b.lists.row_count, b.lists.partials),
        "attention backward");
    if (b.less_delta == NULL || b.lists.keys_count == 0)
        return;
    b.partial = b.less_delta + cuda_delta_words(attention, b.lists.row_count);
    with_width(attention->head_dim,
               [&](auto head_width) { launch_queries<T, decltype(head_width)::value>(cuda, b, attention); });
    cuda_key_gradients(cuda, b, attention);
}

void cuda_attention_backward(wz_backend *backend, wz_tensor dqkv, wz_tensor dout, wz_tensor out,
                             const float *lse, wz_tensor qkv, const wz_segments *segments, bool at_sites,
                             const wz_attention *attention)
{
    cuda_backend *cuda = cuda_of(backend);
    const attention_range range = {0, segments->rows, at_sites, true};
    attention_lists lists;
    if (!cuda_attention_lists(cuda, segments, &range, attention, &lists))
        return;
    with_type(qkv.type, [&](auto element) {
        using T = decltype(element);
        const backward_view<T> view = {matrix_of<T>(dqkv),
                                       matrix_of<T>(dout),
                                       matrix_of<T>(out),
                                       matrix_of<T>(qkv),
                                       lse,
                                       NULL,
                                       NULL,
                                       lists,
                                       cuda_attention_shape(attention, qkv, dqkv, dout, out)};
        if (at_sites)
            clear_queries<T>(cuda, dqkv, attention);
        backward(cuda, view, attention);
    });
}
