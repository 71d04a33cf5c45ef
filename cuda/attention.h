/* Pieces shared by attention's forward and backward pass.
 *
 * A query is one head of a row. The host (in decoding, the device) lists the query rows of a launch, group by group, and
 * within a group completion by completion, with what each may see. A warp has 16 queries that share keys and values: all
 * heads of a row that do so, then those of the next row. A block walks its group's prompt in tiles of keys from the prompt's
 * start, then each of its completions' own keys in tiles from their start. What a query adds up, and in which order, is
 * given by itself alone: decoding it by itself and training on all rows give the same bits. No rows x rows matrix exists. */
#ifndef WZ_CUDA_ATTENTION_H
#define WZ_CUDA_ATTENTION_H

#include <assert.h>

#include <type_traits>

#include "cuda/cuda_backend.h"
#include "cuda/fragment.h"

#define LOG2_E 1.44269504f
#define LN_2 0.693147181f

/* Warps of a block, which reads its size: few where a group has few queries, as in decoding. */
#define FEW_WARPS 1
#define MANY_WARPS 4
#define MOST_THREADS (MANY_WARPS * WZ_WARP)

/* One query row. */
typedef struct attention_row {
    int32_t row, result; /* in qkv; in out and lse */
    int32_t prompt, own; /* keys it sees */
    int32_t completion;  /* whose rows its own keys are, -1: none */
} attention_row;

/* Query rows [first, first + count) of one group. */
typedef struct attention_item {
    int32_t first, count;   /* count 0: none */
    int32_t start, longest; /* the prompt's first row; most prompt keys that one of the rows sees */
} attention_item;

/* Keys [base, base + 64) of a prompt or of a completion, as far as there are, and the query rows [first, first + count) of the
 * list, among which are all that see one of them. */
typedef struct attention_keys {
    int32_t first, count;
    int32_t start, completion; /* the prompt's first row, or the completion (-1: it is the prompt) */
    int32_t base, length;      /* keys in all */
    int32_t partial; /* number of the partial gradients; -1: no other entry has rows that see these keys */
} attention_keys;
#define KEYS_AT_ONCE 64

/* Prompt keys whose gradients are the partial ones [first, first + count), added in order. */
typedef struct attention_sum {
    int32_t first, count;
    int32_t start, base, length; /* as in attention_keys */
} attention_sum;

/* A launch's lists on the device. */
typedef struct attention_lists {
    int64_t row_count, item_count, keys_count, sum_count, partials;
    const attention_row *rows;
    const attention_item *items; /* of at most cuda_item_rows() rows each */
    const attention_keys *keys;  /* for the backward pass */
    const attention_sum *sums;
    const int32_t *completion_rows; /* as in wz_segments */
    int64_t stride;
    int warps;
} attention_lists;

/* Query rows that a block takes at once, and blocks that share the heads of one. */
static inline int64_t cuda_item_rows(const wz_attention *a, int warps)
{
    const int64_t heads = a->heads / a->kv_heads;
    return heads < SIDE * warps ? SIDE * warps / heads : 1;
}

static inline int64_t head_parts(const wz_attention *a, int warps)
{
    return (a->heads / a->kv_heads + SIDE * warps - 1) / (SIDE * warps);
}

/* What kernels know of the geometry. */
typedef struct attention_shape {
    int heads, kv_heads, head_dim, per_kv; /* per_kv: heads that share keys */
    float scale, scale2;                   /* of scores; the same with exponents of 2 */
    bool whole;                            /* heads lie on multiples of 16 bytes */
    uint32_t inverse;                      /* (2^32 - 1) / per_kv */
} attention_shape;

/* `tensors`: all in which heads lie. */
template <typename... A>
static inline attention_shape cuda_attention_shape(const wz_attention *a, wz_tensor qkv, const A &...tensors)
{
    const int bytes = (int)wz_type_bytes(qkv.type);
    const uint32_t per_kv = (uint32_t)(a->heads / a->kv_heads);
    assert(qkv.stride * bytes <= INT32_MAX && ((tensors.stride * bytes <= INT32_MAX) && ...));
    return attention_shape{(int)a->heads,
                           (int)a->kv_heads,
                           (int)a->head_dim,
                           (int)per_kv,
                           a->scale,
                           a->scale * LOG2_E,
                           a->head_dim * bytes % 16 == 0 && in_units(16 / bytes, qkv) &&
                               (in_units(16 / bytes, tensors) && ...),
                           UINT32_MAX / per_kv};
}

/* Element `column` of a head that begins with element `first` of a row. Rows have less than 2^31 bytes. */
template <typename T>
static __device__ __forceinline__ T *head_of(const matrix<T> &m, int32_t row, int first, int column)
{
    const int32_t bytes = (int32_t)m.stride * (int32_t)sizeof(T);
    T *from = (T *)((char *)m.data + (uint32_t)(first + column) * (uint32_t)sizeof(T));
#if defined(__CUDACC__) /* else the compiler makes a product of 64-bit numbers of it */
    T *at;
    asm("mad.wide.s32 %0, %1, %2, %3;" : "=l"(at) : "r"(row), "r"(bytes), "l"(from));
    return at;
#else
    return (T *)((char *)from + (int64_t)row * bytes);
#endif
}

template <typename T>
static __device__ __forceinline__ T *query_of(const matrix<T> &qkv, const attention_shape &s, int32_t row,
                                              int h, int column)
{
    return head_of(qkv, row, h * s.head_dim, column);
}

template <typename T>
static __device__ __forceinline__ T *key_of(const matrix<T> &qkv, const attention_shape &s, int32_t row,
                                            int kv, int column)
{
    return head_of(qkv, row, (s.heads + kv) * s.head_dim, column);
}

template <typename T>
static __device__ __forceinline__ T *value_of(const matrix<T> &qkv, const attention_shape &s, int32_t row,
                                              int kv, int column)
{
    return head_of(qkv, row, (s.heads + s.kv_heads + kv) * s.head_dim, column);
}

/* Rows of a tile of keys, or of queries, and the shared memory of two tiles, twice: one pair is loaded while the other is
 * worked on. Multiples of 16 rows, 69 KiB at most (of the 99 that each GPU has). TOGETHER: rows that a thread of the largest
 * block loads at once, as far as there are registers. */
template <typename T, int WIDTH> struct tile_pair {
    static constexpr int BYTES = WIDTH * (int)sizeof(T), ROWS = BYTES <= 256 ? 64 : 16384 / BYTES,
                         WORDS = ROWS * tile<T, WIDTH>::STRIDE;
    static constexpr int SHARE = ROWS * tile<T, WIDTH>::ABREAST / MOST_THREADS, TOGETHER = WIDTH > 128 ? 1
                                                                                           : SHARE < 4 ? SHARE
                                                                                                       : 4;
    static constexpr size_t SHARED = (size_t)4 * WORDS * sizeof(float);
    static_assert(SHARED <= CUDA_MOST_SHARED, "shared memory of a block");
};

/* --- the queries of a warp --- */

/* A lane's two: rows lane / 4 and lane / 4 + 8 of a left factor. */
typedef struct lane_queries {
    int32_t place[2], row[2], result[2]; /* place: in the list of rows, -1: not there */
    int head[2];
} lane_queries;

static __device__ __forceinline__ bool is_there(const lane_queries &q, int half)
{
    return q.place[half] >= 0;
}

static __device__ __forceinline__ lane_queries queries_of(const attention_lists &lists,
                                                          const attention_item &item,
                                                          const attention_shape &s, int kv)
{
    const int all = SIDE * (int)blockDim.y, part = (int)blockIdx.z * all,
              heads = s.per_kv - part < all ? s.per_kv - part : all;
    lane_queries q;
    WZ_UNROLL
    for (int r = 0; r < 2; r++) {
        const int slot = (int)threadIdx.y * SIDE + 8 * r + (int)threadIdx.x / 4, i = slot / heads;
        const bool there = i < item.count;
        const attention_row row = lists.rows[item.first + (there ? i : 0)];
        q.place[r] = there ? item.first + i : -1;
        q.row[r] = row.row;
        q.result[r] = row.result;
        q.head[r] = kv * s.per_kv + part + slot % heads;
    }
    return q;
}

/* Over a query's four lanes, on each of them. */
static __device__ __forceinline__ float sum_of_four(float x)
{
    x += __shfl_xor_sync(WZ_ALL_LANES, x, 1);
    return x + __shfl_xor_sync(WZ_ALL_LANES, x, 2);
}

/* --- walking the keys of an item --- */

/* Keys [base, base + ROWS) of a prompt, or of a completion among the item's rows; none: the walk is over. */
typedef struct key_cursor {
    int32_t completion; /* -1: the prompt */
    int32_t base, end;  /* end: as many keys are seen by some row */
    int32_t least;      /* and as many by each */
    int32_t after;      /* the item's row from which on the next completion is looked for */
} key_cursor;

static __device__ __forceinline__ key_cursor next_completion(const attention_lists &lists,
                                                             const attention_item &item, int32_t from)
{
    key_cursor at = {-1, 0, 0, 0, from};
    while (at.end == 0 && at.after < item.count) {
        const int32_t first = at.after;
        at.completion = lists.rows[item.first + first].completion;
        while (at.after < item.count && lists.rows[item.first + at.after].completion == at.completion)
            at.end = lists.rows[item.first + at.after++].own;
        at.least = at.after - first == item.count ? lists.rows[item.first].own : 0;
    }
    return at;
}

static __device__ __forceinline__ key_cursor first_keys(const attention_lists &lists,
                                                        const attention_item &item)
{
    return item.longest > 0 ? key_cursor{-1, 0, item.longest, lists.rows[item.first].prompt, 0}
                            : next_completion(lists, item, 0);
}

static __device__ __forceinline__ key_cursor keys_after(const attention_lists &lists,
                                                        const attention_item &item, const key_cursor &at,
                                                        int rows)
{
    return at.base + rows < at.end ? key_cursor{at.completion, at.base + rows, at.end, at.least, at.after}
                                   : next_completion(lists, item, at.after);
}

/* Rows of the keys of a prompt or completion, from key `base` on. */
typedef struct key_rows {
    const int32_t *list; /* NULL: they follow one another from `first` on */
    int32_t first;
} key_rows;

static __device__ __forceinline__ key_rows rows_of_keys(const attention_lists &lists, int32_t start,
                                                        int32_t completion, int32_t base)
{
    return completion < 0 ? key_rows{NULL, start + base}
                          : key_rows{lists.completion_rows + completion * lists.stride + base, 0};
}

/* If there is no such key, the row is none that may be read. */
static __device__ __forceinline__ int32_t row_of_key(const key_rows &rows, int32_t j, bool there)
{
    int32_t row = rows.first + j;
#if defined(__CUDACC__) /* for a branch the compiler would make all that follows twice */
    asm volatile("{ .reg .pred listed; setp.ne.s32 listed, %1, 0; @listed ld.global.s32 %0, [%2]; }"
                 : "+r"(row)
                 : "r"((int)(there && rows.list != NULL)), "l"(rows.list + j));
#else
    if (there && rows.list != NULL)
        row = rows.list[j];
#endif
    return row;
}

/* How many of a tile's keys, from its first one on, the lane's queries see, and the one of the warp that sees most. Where
 * queries differ in that, `bad` is the first key whose value is not finite and was replaced by zeros. */
typedef struct keys_seen {
    int of[2], most, bad;
} keys_seen;

/* Of a tile that is full and that all of the item's queries see: what keys_seen decides is known when compiling. Rows that are no
 * query's have all the tile, too; nobody reads what they make. */
typedef struct all_seen {
} all_seen;

/* Whether the lane's query `half` sees a key; whether some query of the warp sees one from `key` on. */
static __device__ __forceinline__ bool is_seen(const keys_seen &seen, int half, int key)
{
    return key < seen.of[half];
}

static __device__ __forceinline__ bool is_seen(const all_seen &, int, int)
{
    return true;
}

static __device__ __forceinline__ bool any_seen(const keys_seen &seen, int key)
{
    return key < seen.most;
}

static __device__ __forceinline__ bool any_seen(const all_seen &, int)
{
    return true;
}

/* Whether the lane's query sees a value that was replaced. */
static __device__ __forceinline__ bool bad_seen(const keys_seen &seen, int half)
{
    return seen.bad < seen.of[half];
}

static __device__ __forceinline__ bool bad_seen(const all_seen &, int)
{
    return false;
}

/* Reads the list again: few tiles ask, and registers are scarce. */
static __device__ __forceinline__ keys_seen see_keys(const attention_lists &lists, const lane_queries &q,
                                                     const key_cursor &at, int rows)
{
    keys_seen seen = {{0, 0}, 0, rows};
    WZ_UNROLL
    for (int r = 0; r < 2; r++) {
        int sees = 0;
        if (is_there(q, r)) {
            const attention_row row = lists.rows[q.place[r]];
            sees = at.completion < 0 ? row.prompt : at.completion == row.completion ? row.own : 0;
        }
        seen.of[r] = sees - at.base < rows ? sees - at.base : rows;
        seen.most = seen.of[r] > seen.most ? seen.of[r] : seen.most;
    }
    for (int lanes = 4; lanes < WZ_WARP; lanes *= 2) { /* the four lanes of a query agree */
        const int most = __shfl_xor_sync(WZ_ALL_LANES, seen.most, lanes);
        seen.most = most > seen.most ? most : seen.most;
    }
    return seen;
}

/* Starts loading a tile of keys and one of values. */
template <typename T, int WIDTH, typename S>
static __device__ __forceinline__ void
load_keys(S keys, S values, const matrix<T> &qkv, const attention_lists &lists, const attention_item &item,
          const attention_shape &s, int kv, const key_cursor &at, int thread)
{
    constexpr int ROWS = tile_pair<T, WIDTH>::ROWS;
    const int left = at.end - at.base, there = left < ROWS ? left : ROWS,
              rows = (there + SIDE - 1) / SIDE * SIDE;
    const key_rows at_keys = rows_of_keys(lists, item.start, at.completion, at.base);
    load_tiles<T, WIDTH, tile_pair<T, WIDTH>::TOGETHER>(
        keys, values, rows, s.head_dim, s.whole, thread, (int)blockDim.y * WZ_WARP,
        [&](int j, int column, const T **key, const T **value) {
            const int32_t row = row_of_key(at_keys, j, j < there);
            *key = key_of(qkv, s, row, kv, column);
            *value = *key + s.kv_heads * s.head_dim;
            return j < there;
        });
    close_copies();
}

/* Calls take(keys, values, seen) for each tile of which a query of the warp sees something; seen: keys_seen or all_seen. GUARDED:
 * a weight of zero does not shut out a value that is not finite, so where queries differ in what they see, such values are
 * replaced. */
template <typename T, int WIDTH, bool GUARDED, typename S, typename F>
static __device__ __forceinline__ void walk_keys(S shared, const matrix<T> &qkv, const attention_lists &lists,
                                                 const attention_item &item, const attention_shape &s, int kv,
                                                 const lane_queries &q, const F &take)
{
    constexpr int ROWS = tile_pair<T, WIDTH>::ROWS, WORDS = tile_pair<T, WIDTH>::WORDS;
    const int lane = (int)threadIdx.x, thread = (int)threadIdx.y * WZ_WARP + lane;
    const bool any = __shfl_sync(WZ_ALL_LANES, (int)is_there(q, 0), 0) != 0; /* the warp's first query */
    key_cursor at = first_keys(lists, item);
    if (at.base < at.end)
        load_keys<T, WIDTH>(shared + 0, shared + WORDS, qkv, lists, item, s, kv, at, thread);
    for (int stage = 0; at.base < at.end; stage = 1 - stage) {
        const auto keys = shared + 2 * stage * WORDS, values = keys + WORDS,
                   other = shared + 2 * (1 - stage) * WORDS;
        const int left = at.end - at.base, rows = left < ROWS ? left : ROWS;
        const bool differ = at.base + rows > at.least;
        const key_cursor after = keys_after(lists, item, at, ROWS);
        if (after.base < after.end) {
            load_keys<T, WIDTH>(other, other + WORDS, qkv, lists, item, s, kv, after, thread);
            await_copies<1>();
        } else {
            await_copies<0>();
        }
        __syncthreads();
        if (GUARDED && differ) {
            drop_bad<T, WIDTH>(values, rows, thread, (int)blockDim.y * WZ_WARP);
            __syncthreads();
        }
        if (rows == ROWS && !differ) {
            if (any)
                take(keys, values, all_seen{});
        } else {
            keys_seen seen = see_keys(lists, q, at, ROWS);
            if (GUARDED && differ)
                seen.bad = first_bad<T, WIDTH>(values, rows, lane);
            if (seen.most > 0)
                take(keys, values, seen);
        }
        __syncthreads(); /* the next load writes here */
        at = after;
    }
}

/* Calls run(width) with the width in which heads of head_dim are computed. */
template <typename F> static inline void with_width(int64_t head_dim, const F &run)
{
    if (head_dim <= 16)
        run(std::integral_constant<int, 16>());
    else if (head_dim <= 32)
        run(std::integral_constant<int, 32>());
    else if (head_dim <= 64)
        run(std::integral_constant<int, 64>());
    else if (head_dim <= 128)
        run(std::integral_constant<int, 128>());
    else
        run(std::integral_constant<int, CUDA_MOST_HEAD_DIM>());
}

/* Attention forward of listed rows. */
void cuda_attend(cuda_backend *cuda, wz_tensor out, float *lse, wz_tensor qkv, const attention_lists *lists,
                 const wz_attention *attention);

/* Scratch memory of the backward pass: delta of each row and head, and partial gradients of keys, at a multiple of 16 bytes. */
static inline int64_t cuda_delta_words(const wz_attention *a, int64_t rows)
{
    return (rows * a->heads + 3) / 4 * 4;
}

static inline size_t cuda_attention_backward_bytes(const wz_attention *a, int64_t rows, int64_t partials)
{
    return (size_t)(cuda_delta_words(a, rows) + partials * a->kv_heads * KEYS_AT_ONCE * 2 * a->head_dim) *
           sizeof(float);
}

/* --- lists; cuda/attention_lists.cu --- */
typedef struct attention_range {
    int64_t row0, row1; /* rows of the segment table */
    bool at_sites;      /* the sites among them */
    bool with_keys;     /* lists.keys, too; row0 and row1 are the whole table then */
} attention_range;

/* Lists the rows of a range; false on no memory. */
bool cuda_attention_lists(cuda_backend *cuda, const wz_segments *segments, const attention_range *range,
                          const wz_attention *attention, attention_lists *out);

#endif
