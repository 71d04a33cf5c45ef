/* Pieces shared by attention's forward and backward pass.
 *
 * The host lists the query rows of a launch, group by group, with what each may see; a block takes some of one group's
 * rows and walks the group's prompt in tiles of 32 keys from its start, which all its rows share, then each row's own
 * completion in blocks of 32. What a row adds up, and in which order, is given by that row alone, so that decoding it
 * by itself and training on all rows give the same bits. No rows x rows matrix exists. */
#ifndef WZ_CUDA_ATTENTION_H
#define WZ_CUDA_ATTENTION_H

#include "cuda/cuda_backend.h"

#define KEYS 32         /* keys of a tile: one per lane */
#define ROWS_PER_WARP 4 /* query rows of a warp */
#define WARPS 4         /* of a block */
#define ITEM_ROWS (ROWS_PER_WARP * WARPS)
#define MAX_HEAD_DIM 256
#define CHUNKS (MAX_HEAD_DIM / WZ_WARP) /* features of a lane: lane, lane + 32, ... */

/* One query row. */
typedef struct attention_row {
    int32_t row, result; /* in qkv; in out and lse */
    int32_t prompt, own; /* keys it sees */
    int32_t completion;  /* whose rows its own keys are, -1: none */
} attention_row;

/* Query rows [first, first + count) of one group. */
typedef struct attention_item {
    int32_t first, count;
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

static __device__ __forceinline__ const float *query_of(const matrix &qkv, const attention_shape &s,
                                                        int64_t row, int64_t h)
{
    return row_of(qkv, row) + h * s.head_dim;
}

static __device__ __forceinline__ float *key_of(const matrix &qkv, const attention_shape &s, int64_t row,
                                                int64_t kv)
{
    return row_of(qkv, row) + (s.heads + kv) * s.head_dim;
}

static __device__ __forceinline__ float *value_of(const matrix &qkv, const attention_shape &s, int64_t row,
                                                  int64_t kv)
{
    return row_of(qkv, row) + (s.heads + s.kv_heads + kv) * s.head_dim;
}

/* Lists the rows of [row0, row1) (with at_sites: the sites among them); false on no memory. */
bool cuda_attention_lists(cuda_backend *cuda, const wz_segments *segments, int64_t row0, int64_t row1,
                          bool at_sites, attention_lists *out);

#endif
