/* Pieces shared by attention's forward and backward pass.
 *
 * The host lists the query rows of a launch, group by group, with what each may see; a block takes some of one group's
 * queries and walks the group's prompt in tiles of 32 keys from its start, which all its rows share, then each row's own
 * completion in blocks of 32. What a row adds up, and in which order, is given by that row alone, so that decoding it
 * by itself and training on all rows give the same bits. No rows x rows matrix exists. */
#ifndef WZ_CUDA_ATTENTION_H
#define WZ_CUDA_ATTENTION_H

#include "cuda/cuda_backend.h"

#define KEYS 32         /* keys of a tile: one per lane */
#define ROWS_PER_WARP 4 /* query rows of a warp */
#define WARPS 4         /* of a block */
#define ITEM_ROWS (ROWS_PER_WARP * WARPS)
#define CHUNKS (CUDA_MOST_HEAD_DIM / WZ_WARP) /* features of a lane: lane, lane + 32, ... */

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

/* A launch's lists on the device. */
typedef struct attention_lists {
    int64_t row_count, item_count;
    const attention_row *rows;
    const attention_item *items;
    const int32_t *completion_rows; /* as in wz_segments */
    int64_t stride;
} attention_lists;

/* What kernels know of the geometry. */
typedef struct attention_shape {
    int64_t heads, kv_heads, head_dim, per_kv;
    float scale;
} attention_shape;

static inline attention_shape shape_of(const wz_attention *a)
{
    return attention_shape{a->heads, a->kv_heads, a->head_dim, a->heads / a->kv_heads, a->scale};
}

template <typename T>
static __device__ __forceinline__ const T *query_of(const matrix<T> &qkv, const attention_shape &s,
                                                    int64_t row, int64_t h)
{
    return row_of(qkv, row) + h * s.head_dim;
}

template <typename T>
static __device__ __forceinline__ T *key_of(const matrix<T> &qkv, const attention_shape &s, int64_t row,
                                            int64_t kv)
{
    return row_of(qkv, row) + (s.heads + kv) * s.head_dim;
}

template <typename T>
static __device__ __forceinline__ T *value_of(const matrix<T> &qkv, const attention_shape &s, int64_t row,
                                              int64_t kv)
{
    return row_of(qkv, row) + (s.heads + s.kv_heads + kv) * s.head_dim;
}

/* Prompt keys and values [base, base + 32) of a group into shared [KEYS][head_dim + 1] each; zeros from `length` on. All
 * threads of the block take part; the caller waits for them. */
template <typename S, typename T>
static __device__ void load_tile(S keys, S values, const matrix<T> &qkv, const attention_shape &s,
                                 int64_t start, int base, int length, int64_t kv, int thread)
{
    for (int64_t e = thread; e < KEYS * s.head_dim; e += WARPS * WZ_WARP) {
        const int64_t j = e / s.head_dim, d = e % s.head_dim, row = start + base + j;
        const bool there = base + j < length;
        keys[j * (s.head_dim + 1) + d] = there ? key_of(qkv, s, row, kv)[d] : 0.0f;
        values[j * (s.head_dim + 1) + d] = there ? value_of(qkv, s, row, kv)[d] : 0.0f;
    }
}

/* (j, d): feature d of a loaded tile's row j. */
template <typename S> struct tile_reader {
    S tile;
    int64_t stride;
    __device__ float operator()(int j, int64_t d) const
    {
        return tile[j * stride + d];
    }
};

/* (j, d): feature d, from a column on, of row rows[j]. */
template <typename T> struct own_reader {
    const matrix<T> &qkv;
    const int32_t *rows;
    int64_t column;
    __device__ float operator()(int j, int64_t d) const
    {
        return row_of(qkv, rows[j])[column + d];
    }
};

/* sum += over up to 32 keys, in order: weight_j vector_j; lane j has weight_j. */
template <typename R>
static __device__ void add_weighted(float *sum, float weight, int count, int64_t head_dim, const R &reader)
{
    for (int j = 0; j < count; j++) {
        const float w = __shfl_sync(WZ_ALL_LANES, weight, j);
        WZ_UNROLL
        for (int c = 0; c < CHUNKS; c++)
            if (c * WZ_WARP + (int)threadIdx.x < head_dim)
                sum[c] = fmaf(w, reader(j, c * WZ_WARP + (int)threadIdx.x), sum[c]);
    }
}

/* Attention forward of listed rows. */
void cuda_attend(cuda_backend *cuda, wz_tensor out, float *lse, wz_tensor qkv, const attention_lists *lists,
                 const wz_attention *attention);

/* Lists the rows of [row0, row1) (with at_sites: the sites among them); false on no memory. */
bool cuda_attention_lists(cuda_backend *cuda, const wz_segments *segments, int64_t row0, int64_t row1,
                          bool at_sites, attention_lists *out);

#endif
