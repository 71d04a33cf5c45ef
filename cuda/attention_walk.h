/* How a block walks the keys that its queries see: which tiles, in what order, and what of each a query sees. Used by attention's
 * forward pass and its gradients of queries. */
#ifndef WZ_CUDA_ATTENTION_WALK_H
#define WZ_CUDA_ATTENTION_WALK_H

#include "cuda/attention.h"

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

/* Whether the lane's query `which` sees a key; whether some query of the warp sees one from `key` on. */
static __device__ __forceinline__ bool is_seen(const keys_seen &seen, int which, int key)
{
    return key < seen.of[which];
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
static __device__ __forceinline__ bool bad_seen(const keys_seen &seen, int which)
{
    return seen.bad < seen.of[which];
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

#endif
