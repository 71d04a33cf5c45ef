/* Attention backward: gradients of keys and values. */
#include "cuda/attention_backward.h"

/* What a block of keys must know of a tile of queries, beside the tiles, in words a query: -D, twice, as two queries d and e lie
 * in sums: d e d e; -lse, with exponents of 2; keys of the block that it sees. */
typedef enum query_words { LESS_DELTA = 0, LESS_LSE2 = 2, SEEN = 3, QUERY_WORDS = 4 } query_words;

/* One of the queries that may see a block's keys. */
typedef struct query_place {
    int place, head; /* in the list of rows */
} query_place;

static __device__ __forceinline__ query_place find_query(const attention_shape &s, const attention_keys &keys,
                                                         int kv, int at)
{
    int row = (int)__umulhi((unsigned)at, s.inverse), head = at - row * s.per_kv;
    if (head >= s.per_kv) { /* the inverse is too small, by less than 1: the row by one at most */
        row++;
        head -= s.per_kv;
    }
    return query_place{keys.first + row, kv * s.per_kv + head};
}

/* Queries [first, first + count) of those that may see the block's keys, into shared memory: two tiles (queries, output
 * gradients), then QUERY_WORDS x ROWS numbers. */
template <typename T, int WIDTH, typename S>
static __device__ __forceinline__ void load_queries(const backward_view<T> &b, const attention_keys &keys,
                                                    int kv, int first, int count, S to, int thread)
{
    constexpr int ROWS = tile_pair<T, WIDTH>::ROWS, WORDS = tile_pair<T, WIDTH>::WORDS;
    const attention_shape &s = b.shape;
    load_tiles<T, WIDTH, tile_pair<T, WIDTH>::TOGETHER>(
        to, to + WORDS, (count + SIDE - 1) / SIDE * SIDE, s.head_dim, s.whole, thread, MOST_THREADS,
        [&](int j, int column, const T **query, const T **dout) {
            const query_place q = find_query(s, keys, kv, first + (j < count ? j : 0));
            const attention_row *row = &b.lists.rows[q.place];
            *query = query_of(b.qkv, s, row->row, q.head, column);
            *dout = query_of(b.dout, s, row->result, q.head, column);
            return j < count;
        });
    close_copies();
    static_assert(ROWS <= MOST_THREADS, "a thread has one query");
    if (thread < ROWS) {
        const int j = thread;
        const query_place q = find_query(s, keys, kv, first + (j < count ? j : 0));
        const attention_row row = b.lists.rows[q.place];
        const int sees = (keys.completion < 0 ? row.prompt : row.own) - keys.base;
        const auto words = to + 2 * WORDS;
        const float less = b.less_delta[(int64_t)q.place * s.heads + q.head];
        words[LESS_DELTA * ROWS + 4 * (j / 2) + j % 2] = less;
        words[LESS_DELTA * ROWS + 4 * (j / 2) + j % 2 + 2] = less;
        words[LESS_LSE2 * ROWS + j] = b.lse[(int64_t)row.result * s.heads + q.head] * -LOG2_E;
        words[SEEN * ROWS + j] = j < count ? (float)sees : 0.0f;
    }
}

template <typename T, int WIDTH> struct query_stage {
    static constexpr int WORDS = 2 * tile_pair<T, WIDTH>::WORDS + QUERY_WORDS * tile_pair<T, WIDTH>::ROWS;
    static constexpr size_t SHARED = (size_t)2 * WORDS * sizeof(float);
    static_assert(SHARED <= CUDA_MOST_SHARED, "shared memory of a block");
};

/* A warp's 16 keys. */
template <typename T, int WIDTH> struct key_block {
    fragment<T> key[WIDTH / SIDE], value[WIDTH / SIDE];
    float dk[WIDTH / SIDE][8], dv[WIDTH / SIDE][8];
};

/* Rows lane / 4 and lane / 4 + 8 of a warp's keys; -1: there is none. */
static __device__ __forceinline__ void find_keys(const attention_lists &lists, const attention_keys &keys,
                                                 int32_t *row, int lane)
{
    const key_rows all = rows_of_keys(lists, keys.start, keys.completion, keys.base);
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        const int32_t j = (int)threadIdx.y * SIDE + 8 * half + lane / 4;
        const bool there = keys.base + j < keys.length;
        const int32_t at = row_of_key(all, j, there);
        row[half] = there ? at : -1;
    }
}

/* Which keys of a warp's 16 two queries of the lane see, those of columns 8 c + 2 (lane % 4) and the next: the lane's keys, of rows
 * lane / 4 and lane / 4 + 8, as numbers. */
typedef struct sight {
    float row[2], seen[4];
} sight;

static __device__ __forceinline__ bool is_seen(const sight &see, int e)
{
    return see.row[e / 2 % 2] < see.seen[e / 4 * 2 + e % 2];
}

static __device__ __forceinline__ bool is_seen(const all_seen &, int)
{
    return true;
}

/* Adds what 16 queries of a tile give, from query n on, to dk but for the scale. */
template <typename T, int WIDTH, typename S, typename Seen>
static __device__ __forceinline__ void take_block(key_block<T, WIDTH> *k, S queries, int n, float scale2,
                                                  const Seen &seen, int lane)
{
    constexpr int ROWS = tile_pair<T, WIDTH>::ROWS, WORDS = tile_pair<T, WIDTH>::WORDS;
    const auto dout = queries + WORDS, words = queries + 2 * WORDS + 2 * (lane % 4);
    float p[8], slope[8], less_lse2[4];
    fragment<T> left;
    WZ_UNROLL
    for (int c = 0; c < 2; c++) {
        read_words<4>(slope + 4 * c, queries + 2 * WORDS + 4 * (lane % 4),
                      LESS_DELTA * ROWS + 2 * n + 16 * c);
        read_words<2>(less_lse2 + 2 * c, words, LESS_LSE2 * ROWS + n + 8 * c);
    }
    two_products<T, WIDTH>(p, k->key, queries, slope, k->value, dout, n, lane);
    WZ_UNROLL
    for (int e = 0; e < 8; e++) {
        const float x = power_of_two(fmaf(p[e], scale2, less_lse2[e / 4 * 2 + e % 2]));
        p[e] = is_seen(seen, e) ? x : 0.0f;
        slope[e] *= p[e];
    }
    make_factor(&left, p);
    add_rows<T, WIDTH>(k->dv, left, dout, n, lane);
    make_factor(&left, slope);
    add_rows<T, WIDTH>(k->dk, left, queries, n, lane);
}

/* Adds what `count` queries of a tile give. */
template <typename T, int WIDTH, typename S>
static __device__ __forceinline__ void take_queries(key_block<T, WIDTH> *k, S queries, int count,
                                                    float scale2, int lane)
{
    constexpr int ROWS = tile_pair<T, WIDTH>::ROWS,
                  TOGETHER = sizeof(T) == sizeof(bf16) && WIDTH <= 64 ? ROWS / SIDE : 1;
    const auto seen = queries + (2 * tile_pair<T, WIDTH>::WORDS + SEEN * ROWS);
    const float first = (float)((int)threadIdx.y * SIDE);
    float least = SIDE * MANY_WARPS;
    WZ_UNROLL
    for (int j = 0; j < ROWS; j += WZ_WARP)
        least = fminf(least, seen[(j + lane) % ROWS]);
    if (__all_sync(WZ_ALL_LANES, least >= first + SIDE)) {
        WZ_UNROLL_BY(TOGETHER)
        for (int n = 0; n < ROWS; n += SIDE)
            take_block(k, queries, n, scale2, all_seen{}, lane);
        return;
    }
    sight see = {{first + (float)(lane / 4), first + (float)(lane / 4 + 8)}, {}};
    WZ_UNROLL_BY(1)
    for (int n = 0; n < count; n += SIDE) {
        bool any = false;
        WZ_UNROLL
        for (int c = 0; c < 2; c++)
            read_words<2>(see.seen + 2 * c, seen + 2 * (lane % 4), n + 8 * c);
        WZ_UNROLL
        for (int i = 0; i < 4; i++)
            any = any || see.seen[i] > first;
        if (__any_sync(WZ_ALL_LANES, any))
            take_block(k, queries, n, scale2, see, lane);
    }
}

template <typename T>
static __device__ __forceinline__ float *partial_of(const backward_view<T> &b, int64_t partial, int kv,
                                                    int64_t key)
{
    return b.partial +
           ((partial * b.shape.kv_heads + kv) * KEYS_AT_ONCE + key) * (2 * (int64_t)b.shape.head_dim);
}

template <typename T, int WIDTH>
static __device__ __forceinline__ void store_keys(const backward_view<T> &b, int kv,
                                                  const key_block<T, WIDTH> &k, int lane)
{
    const attention_shape &s = b.shape;
    const attention_keys keys = b.lists.keys[blockIdx.x]; /* again: registers are scarce */
    int32_t row[2];
    find_keys(b.lists, keys, row, lane);
    const float scale[2] = {s.scale, s.scale}, one[2] = {1.0f, 1.0f};
    if (keys.partial >= 0) {
        float *dk[2], *dv[2];
        WZ_UNROLL
        for (int half = 0; half < 2; half++) {
            const int key = (int)threadIdx.y * SIDE + 8 * half + lane / 4;
            dk[half] = row[half] >= 0 ? partial_of(b, keys.partial, kv, key) : NULL;
            dv[half] = row[half] >= 0 ? dk[half] + s.head_dim : NULL;
        }
        store_sums<WIDTH / SIDE>(dk[0], dk[1], k.dk, scale, s.head_dim, s.whole, lane);
        store_sums<WIDTH / SIDE>(dv[0], dv[1], k.dv, one, s.head_dim, s.whole, lane);
    } else {
        T *dk[2], *dv[2];
        WZ_UNROLL
        for (int half = 0; half < 2; half++) {
            dk[half] = row[half] >= 0 ? key_of(b.dqkv, s, row[half], kv, 0) : NULL;
            dv[half] = row[half] >= 0 ? value_of(b.dqkv, s, row[half], kv, 0) : NULL;
        }
        store_sums<WIDTH / SIDE>(dk[0], dk[1], k.dk, scale, s.head_dim, s.whole, lane);
        store_sums<WIDTH / SIDE>(dv[0], dv[1], k.dv, one, s.head_dim, s.whole, lane);
    }
}

/* Blocks: (lists.sums, key/value heads). */
template <typename T> static __global__ void add_partials(backward_view<T> b)
{
    const attention_shape &s = b.shape;
    const attention_sum sum = b.lists.sums[blockIdx.x];
    const int kv = (int)blockIdx.y, left = sum.length - sum.base,
              keys = left < KEYS_AT_ONCE ? left : KEYS_AT_ONCE, width = 2 * s.head_dim;
    for (int e = (int)threadIdx.x; e < keys * width; e += MOST_THREADS) {
        const int j = e / width, column = e % width;
        float x = 0.0f;
        for (int i = 0; i < sum.count; i++)
            x += partial_of(b, sum.first + i, kv, j)[column];
        T *to = key_of(b.dqkv, s, sum.start + sum.base + j, kv, 0);
        if (column < s.head_dim)
            to[column] = x;
        else
            to[s.kv_heads * s.head_dim + column - s.head_dim] = x;
    }
}

/* Blocks: (lists.keys, key/value heads). */
template <typename T, int WIDTH>
static __global__ void __launch_bounds__(MOST_THREADS) key_gradients(backward_view<T> b)
{
    constexpr int ROWS = tile_pair<T, WIDTH>::ROWS, STAGE = query_stage<T, WIDTH>::WORDS;
    WZ_DYNAMIC_SHARED(shared);
    const attention_shape &s = b.shape;
    const attention_keys keys = b.lists.keys[blockIdx.x];
    const int kv = (int)blockIdx.y, lane = (int)threadIdx.x, thread = (int)threadIdx.y * WZ_WARP + lane,
              queries = keys.count * s.per_kv;
    key_block<T, WIDTH> k;
    int32_t row[2];
    const T *key[2], *value[2];
    const auto load = [&](int stage, int first) {
        load_queries<T, WIDTH>(b, keys, kv, first, queries - first < ROWS ? queries - first : ROWS,
                               shared + stage * STAGE, thread);
    };
    find_keys(b.lists, keys, row, lane);
    WZ_UNROLL
    for (int half = 0; half < 2; half++) {
        key[half] = row[half] >= 0 ? key_of(b.qkv, s, row[half], kv, 0) : NULL;
        value[half] = row[half] >= 0 ? value_of(b.qkv, s, row[half], kv, 0) : NULL;
    }
    WZ_UNROLL
    for (int d = 0; d < WIDTH / SIDE; d++) {
        load_left(&k.key[d], key[0], key[1], d * SIDE, s.head_dim, s.whole, lane);
        load_left(&k.value[d], value[0], value[1], d * SIDE, s.head_dim, s.whole, lane);
        WZ_UNROLL
        for (int e = 0; e < 8; e++)
            k.dk[d][e] = k.dv[d][e] = 0.0f;
    }
    if (queries > 0)
        load(0, 0);
    for (int first = 0, stage = 0; first < queries; first += ROWS, stage = 1 - stage) {
        const int left = queries - first;
        if (left > ROWS) {
            load(1 - stage, first + ROWS);
            await_copies<1>();
        } else {
            await_copies<0>();
        }
        __syncthreads();
        take_queries<T, WIDTH>(&k, shared + stage * STAGE, left < ROWS ? left : ROWS, s.scale2, lane);
        __syncthreads(); /* the next load writes here */
    }
    store_keys(b, kv, k, lane);
}

template <typename T, int WIDTH>
static void launch_keys(cuda_backend *cuda, const backward_view<T> &b, const wz_attention *attention)
{
    const auto kernel = key_gradients<T, WIDTH>;
    const size_t bytes = query_stage<T, WIDTH>::SHARED;
    if (!cuda_allow_shared(cuda, kernel, bytes, "attention backward, keys"))
        return;
    WZ_LAUNCH(kernel, dim3((unsigned)b.lists.keys_count, (unsigned)attention->kv_heads),
              dim3(WZ_WARP, MANY_WARPS), bytes, cuda->stream, b);
    CUDA_LAUNCHED(cuda, "attention backward, keys", b.dqkv.rows, b.dqkv.columns);
}

template <typename T>
void cuda_key_gradients(cuda_backend *cuda, const backward_view<T> &b, const wz_attention *attention)
{
    with_width(attention->head_dim,
               [&](auto head_width) { launch_keys<T, decltype(head_width)::value>(cuda, b, attention); });
    if (b.lists.sum_count == 0)
        return;
    WZ_LAUNCH(add_partials<T>, dim3((unsigned)b.lists.sum_count, (unsigned)attention->kv_heads),
              dim3(MOST_THREADS), 0, cuda->stream, b);
    CUDA_LAUNCHED(cuda, "attention backward, sums of keys", b.dqkv.rows, b.dqkv.columns);
}

template void cuda_key_gradients(cuda_backend *, const backward_view<float> &, const wz_attention *);
template void cuda_key_gradients(cuda_backend *, const backward_view<bf16> &, const wz_attention *);
