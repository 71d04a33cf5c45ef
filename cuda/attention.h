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

static __device__ __forceinline__ bool is_there(const lane_queries &q, int which)
{
    return q.place[which] >= 0;
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
