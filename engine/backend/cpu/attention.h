/* Pieces shared by attention's forward and backward pass: one task is one group and some of its key/value heads.
 *
 * The group's prompt keys and values are laid out once per task for vector work over keys (transposed)
 * and over features (plain); the keys of a completion's own rows are read where they are. The heads of a row
 * lie next to each other in memory, so one task takes as many of them as its cache holds the prompt of. A row's keys
 * are always walked in the same order: the prompt in vectors of 16 keys from its start, then the own
 * rows one by one, so decoding one row and training on all of them give the same bits. */
#ifndef WZ_BACKEND_CPU_ATTENTION_H
#define WZ_BACKEND_CPU_ATTENTION_H

#include "engine/backend/cpu/cpu.h"
#include "engine/backend/cpu/vec.h"

#define TASK_BYTES ((size_t)256 << 10) /* of laid out prompts: a part of a core's second-level cache */
#define ROW_BLOCK 8                    /* query rows computed together; rows of a block do not mix */

/* Sums for one row block and two vectors at a time: sixteen independent chains hide the latency of one. */
typedef struct block_sums {
    v16 low[ROW_BLOCK], high[ROW_BLOCK];
} block_sums;

/* Vectors over keys: out[r][j] = sum_d x[r][d] transposed[d][j] for j < keys (rounded up to lanes), d in order. */
static inline void multiply_keys(float *const out[ROW_BLOCK], const float *const x[ROW_BLOCK],
                                 const float *transposed, int64_t stride, int64_t features, int64_t keys)
{
    int64_t j = 0;
    for (; j + WZ_LANES < keys; j += 2 * WZ_LANES) {
        block_sums sum = {0};
        const float *column = transposed + j;
        for (int64_t d = 0; d < features; d++, column += stride) {
            const v16 low = v16_load(column), high = v16_load(column + WZ_LANES);
            for (int r = 0; r < ROW_BLOCK; r++) {
                const v16 factor = v16_set(x[r][d]);
                sum.low[r] = v16_fma(factor, low, sum.low[r]);
                sum.high[r] = v16_fma(factor, high, sum.high[r]);
            }
        }
        for (int r = 0; r < ROW_BLOCK; r++) {
            v16_store(out[r] + j, sum.low[r]);
            v16_store(out[r] + j + WZ_LANES, sum.high[r]);
        }
    }
    if (j < keys) {
        block_sums sum = {0};
        const float *column = transposed + j;
        for (int64_t d = 0; d < features; d++, column += stride) {
            const v16 low = v16_load(column);
            for (int r = 0; r < ROW_BLOCK; r++)
                sum.low[r] = v16_fma(v16_set(x[r][d]), low, sum.low[r]);
        }
        for (int r = 0; r < ROW_BLOCK; r++)
            v16_store(out[r] + j, sum.low[r]);
    }
}

/* Features [d, d + 16 vectors) of multiply_values; vectors is a constant where it is called. */
static inline __attribute__((always_inline)) void
multiply_values_at(float *const out[ROW_BLOCK], const float *const weight[ROW_BLOCK], const float *plain,
                   int64_t stride, int64_t all, const int64_t seen[ROW_BLOCK], int64_t most, int64_t d,
                   int vectors)
{
    v16 sum[2][ROW_BLOCK] = {{{0}}};
    const float *value = plain + d;
    for (int64_t j = 0; j < all; j++, value += stride)
        for (int r = 0; r < ROW_BLOCK; r++)
            for (int v = 0; v < vectors; v++)
                sum[v][r] = v16_fma(v16_set(weight[r][j]), v16_load(value + v * WZ_LANES), sum[v][r]);
    /* Keys that only some of the rows see: a row must not even multiply with 0 what it does not see. */
    for (int64_t j = all; j < most; j++, value += stride)
        for (int r = 0; r < ROW_BLOCK; r++)
            for (int v = 0; v < vectors; v++)
                if (j < seen[r])
                    sum[v][r] = v16_fma(v16_set(weight[r][j]), v16_load(value + v * WZ_LANES), sum[v][r]);
    for (int r = 0; r < ROW_BLOCK; r++)
        for (int v = 0; v < vectors; v++)
            v16_store(out[r] + d + v * WZ_LANES, sum[v][r]);
}

/* Vectors over features: out[r][d] = sum_{j < seen[r]} weight[r][j] plain[j][d], j in order; d < width, a multiple of 16.
 * Every row sees the first `all` keys, none more than `most`. */
static inline void multiply_values(float *const out[ROW_BLOCK], const float *const weight[ROW_BLOCK],
                                   const float *plain, int64_t stride, int64_t width, int64_t all,
                                   const int64_t seen[ROW_BLOCK], int64_t most)
{
    int64_t d = 0;
    for (; d + WZ_LANES < width; d += 2 * WZ_LANES)
        multiply_values_at(out, weight, plain, stride, all, seen, most, d, 2);
    if (d < width)
        multiply_values_at(out, weight, plain, stride, all, seen, most, d, 1);
}

/* Vectors [j, j + 16 vectors) of add_outer; rows and vectors are constants where it is called. */
static inline __attribute__((always_inline)) void
add_outer_at(float *transposed, int64_t stride, const float *const x[ROW_BLOCK],
             const float *const weight[ROW_BLOCK], int64_t features, int64_t j, int rows, int vectors)
{
    v16 w[2][ROW_BLOCK];
    for (int v = 0; v < vectors; v++)
        for (int r = 0; r < rows; r++)
            w[v][r] = v16_load(weight[r] + j + v * WZ_LANES);
    float *column = transposed + j;
    for (int64_t d = 0; d < features; d++, column += stride)
        for (int v = 0; v < vectors; v++) {
            v16 sum = v16_load(column + v * WZ_LANES);
            for (int r = 0; r < rows; r++)
                sum = v16_fma(v16_set(x[r][d]), w[v][r], sum);
            v16_store(column + v * WZ_LANES, sum);
        }
}

/* transposed[d][j] += sum over the block's rows of x[r][d] weight[r][j], rows in order. */
static inline void add_outer(float *transposed, int64_t stride, const float *const x[ROW_BLOCK],
                             const float *const weight[ROW_BLOCK], int64_t features, int64_t keys, int rows)
{
    int64_t j = 0;
    for (; rows == ROW_BLOCK && j + WZ_LANES < keys; j += 2 * WZ_LANES)
        add_outer_at(transposed, stride, x, weight, features, j, ROW_BLOCK, 2);
    for (; rows == ROW_BLOCK && j < keys; j += WZ_LANES)
        add_outer_at(transposed, stride, x, weight, features, j, ROW_BLOCK, 1);
    for (; j < keys; j += WZ_LANES)
        for (int r = 0; r < rows; r++)
            add_outer_at(transposed, stride, x + r, weight + r, features, j, 1, 1);
}

/* Rows [begin, end) of a group's ascending row list that lie in [row0, row1). */
static inline void rows_between(const wz_segments *segments, int64_t group, int64_t row0, int64_t row1,
                                int64_t *begin, int64_t *end)
{
    const int32_t *rows = segments->group_rows + group * segments->group_stride;
    int64_t low = 0, high = segments->group_length[group];
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (rows[middle] < row0)
            low = middle + 1;
        else
            high = middle;
    }
    *begin = low;
    high = segments->group_length[group];
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (rows[middle] < row1)
            low = middle + 1;
        else
            high = middle;
    }
    *end = low;
}

/* The next block of a group's rows from place *i on: rows to compute, and where their results go. */
typedef struct row_block {
    int32_t row[ROW_BLOCK];    /* a short block repeats its last row */
    int32_t result[ROW_BLOCK]; /* the row, or its site */
    int count;                 /* 0: no more rows */
} row_block;

/* A block is all prompt rows or all completion rows, so that its layout is the same for every row. */
static inline row_block next_block(const wz_segments *segments, bool at_sites, const int32_t *rows,
                                   int64_t *i, int64_t end)
{
    row_block block = {.count = 0};
    for (; *i < end && block.count < ROW_BLOCK; (*i)++) {
        const int32_t row = rows[*i];
        if (at_sites && segments->row_site[row] < 0)
            continue;
        if (block.count > 0 &&
            (segments->row_completion[row] < 0) != (segments->row_completion[block.row[0]] < 0))
            break;
        block.row[block.count] = row;
        block.result[block.count++] = at_sites ? segments->row_site[row] : row;
    }
    for (int r = block.count; block.count > 0 && r < ROW_BLOCK; r++) {
        block.row[r] = block.row[block.count - 1];
        block.result[r] = block.result[block.count - 1];
    }
    return block;
}

/* How many prompt keys and own keys a row sees. */
static inline void visible_keys(const wz_segments *segments, int64_t row, int64_t *prompt, int64_t *own)
{
    if (segments->row_completion[row] < 0) {
        *prompt = segments->row_index[row] + 1;
        *own = 0;
    } else {
        *prompt = segments->prompt_length[segments->row_group[row]];
        *own = segments->row_index[row] + 1;
    }
}

/* Lane j: x times columns [column, column + n) of row rows[j]; `other` from lane `count` on. */
static inline v16 dot_rows(const float *x, wz_tensor tensor, const int32_t *rows, int64_t count,
                           int64_t column, int64_t n, float other)
{
    v16 products = v16_set(other);
    for (int64_t j = 0; j < count && j < WZ_LANES; j++)
        products = v16_insert(products, j, dot(x, row_of(tensor, rows[j]) + column, n));
    return products;
}

static inline const int32_t *own_rows(const wz_segments *segments, int64_t row)
{
    int64_t completion = segments->row_completion[row];
    return completion < 0 ? NULL : segments->completion_rows + completion * segments->completion_stride;
}

/* Key/value heads of one task, when the prompt of one takes `floats`. */
static inline int64_t heads_per_task(const wz_attention *attention, int64_t floats)
{
    const int64_t fit = (int64_t)(TASK_BYTES / sizeof(float)) / (floats > 0 ? floats : 1);
    return fit < 1 ? 1 : fit < attention->kv_heads ? fit : attention->kv_heads;
}

/* Where a head's prompt goes: transposed[d][j] (stride keys16) and plain[j][d] (stride width16); padding is 0. Either may
 * be NULL. */
typedef struct prompt_layout {
    int64_t column; /* of the features in qkv */
    float *transposed, *plain;
} prompt_layout;

/* Keys [j, j + 16) of one head. */
static inline void lay_out_keys(wz_tensor qkv, int64_t start, int64_t keys, int64_t keys16, int64_t features,
                                int64_t width16, const prompt_layout *to, int64_t j)
{
    for (int64_t d = 0; d < features; d += WZ_LANES) {
        v16 tile[WZ_LANES];
        for (int64_t i = 0; i < WZ_LANES; i++)
            tile[i] = j + i < keys ? v16_load_n(row_of(qkv, start + j + i) + to->column + d, features - d)
                                   : (v16){0};
        if (to->plain != NULL)
            for (int64_t i = 0; i < WZ_LANES; i++)
                v16_store(to->plain + (j + i) * width16 + d, tile[i]);
        if (to->transposed == NULL)
            continue;
        v16_transpose(tile);
        for (int64_t i = 0; i < WZ_LANES && d + i < features; i++)
            v16_store(to->transposed + (d + i) * keys16 + j, tile[i]);
    }
}

/* Writes transposed[d][j] back to columns [column, column + features) of the prompt's rows. */
static inline void put_back_keys(wz_tensor rows, int64_t start, int64_t keys, int64_t keys16, int64_t column,
                                 int64_t features, const float *transposed)
{
    for (int64_t j = 0; j < keys; j += WZ_LANES)
        for (int64_t d = 0; d < features; d += WZ_LANES) {
            v16 tile[WZ_LANES];
            for (int64_t i = 0; i < WZ_LANES; i++)
                tile[i] = d + i < features ? v16_load(transposed + (d + i) * keys16 + j) : (v16){0};
            v16_transpose(tile);
            for (int64_t i = 0; i < WZ_LANES && j + i < keys; i++)
                v16_store_n(row_of(rows, start + j + i) + column + d, tile[i], features - d);
        }
}

/* Asks for a row's columns [column, column + features) ahead of their use: the rows of one group lie far apart. */
static inline void fetch_ahead(wz_tensor tensor, int64_t row, int64_t column, int64_t features)
{
    const float *at = row_of(tensor, row) + column;
    for (int64_t d = 0; d < features; d += WZ_LANES)
        __builtin_prefetch(at + d);
}

#endif
