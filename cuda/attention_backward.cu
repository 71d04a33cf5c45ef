/* Packed attention, backward. With p = exp(s - lse), s = scale q k^T, and D = dout . out:
 *     dv_j += p_j dout,   ds_j = p_j (dout . v_j - D) scale,   dq = sum_j ds_j k_j,   dk_j += ds_j q.
 * (Dao et al. 2022, appendix B.) Each gradient has one owner that adds in a fixed order, so there are no atomics: a warp
 * has the dq of four rows; a block has dk and dv of 32 prompt keys and walks all rows that see them; a warp has dk and dv
 * of one completion row and walks the later rows of its completion. Scores are computed again by each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/attention.h"

/* What the backward kernels share. delta [rows][heads], by place in the list of rows. */
template <typename T> struct backward_view {
    matrix<T> dqkv, dout, out, qkv;
    const float *lse;
    float *delta;
    attention_lists lists;
    attention_shape shape;
};

/* A warp has one head of one row. */
template <typename T> static __global__ void delta_of_rows(backward_view<T> b)
{
    const int64_t at = (int64_t)blockIdx.x * WARPS + threadIdx.y, i = at / b.shape.heads,
                  h = at % b.shape.heads;
    if (i >= b.lists.row_count)
        return;
    const int64_t hd = b.shape.head_dim, result = b.lists.rows[i].result;
    const T *x = row_of(b.dout, result) + h * hd, *y = row_of(b.out, result) + h * hd;
    float sum = 0.0f;
    for (int64_t d = threadIdx.x; d < hd; d += WZ_WARP)
        sum = fmaf(x[d], y[d], sum);
    sum = warp_sum(sum);
    if (threadIdx.x == 0)
        b.delta[at] = sum;
}

/* Zeros for the queries of rows that are not computed. */
template <typename T> static __global__ void clear_queries(matrix<T> dqkv, int64_t width)
{
    const int64_t e = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, row = e / width, column = e % width;
    if (row < dqkv.rows)
        row_of(dqkv, row)[column] = 0.0f;
}

/* Shared: keys and values [KEYS][head_dim + 1], queries and output gradients [ITEM_ROWS][head_dim]. */
static size_t query_bytes(int64_t head_dim)
{
    return (size_t)(2 * KEYS * (head_dim + 1) + 2 * ITEM_ROWS * head_dim) * sizeof(float);
}

template <typename T> static __global__ void query_gradients(backward_view<T> b)
{
    WZ_DYNAMIC_SHARED(shared);
    const int64_t hd = b.shape.head_dim, h = blockIdx.y, kv = h / b.shape.per_kv;
    const attention_item item = b.lists.items[blockIdx.x];
    const int lane = (int)threadIdx.x, thread = (int)threadIdx.y * WZ_WARP + lane;
    const auto keys = shared + 0, values = keys + KEYS * (hd + 1), queries = values + KEYS * (hd + 1),
               upstream = queries + ITEM_ROWS * hd;
    float dq[ROWS_PER_WARP][CHUNKS] = {{0}};
    for (int64_t e = thread; e < ITEM_ROWS * hd; e += WARPS * WZ_WARP) {
        const bool there = e / hd < item.count;
        const attention_row row = b.lists.rows[item.first + (there ? e / hd : 0)];
        queries[e] = there ? query_of(b.qkv, b.shape, row.row, h)[e % hd] : 0.0f;
        upstream[e] = there ? row_of(b.dout, row.result)[h * hd + e % hd] : 0.0f;
    }
    for (int base = 0; base < item.longest; base += KEYS) {
        __syncthreads();
        load_tile(keys, values, b.qkv, b.shape, item.start, base, item.longest, kv, thread);
        __syncthreads();
        float score[ROWS_PER_WARP] = {0}, dp[ROWS_PER_WARP] = {0};
        for (int64_t d = 0; d < hd; d++) {
            const float key = keys[lane * (hd + 1) + d], value = values[lane * (hd + 1) + d];
            WZ_UNROLL
            for (int r = 0; r < ROWS_PER_WARP; r++) {
                const int64_t at = ((int)threadIdx.y * ROWS_PER_WARP + r) * hd + d;
                score[r] = fmaf(queries[at], key, score[r]);
                dp[r] = fmaf(upstream[at], value, dp[r]);
            }
        }
        WZ_UNROLL
        for (int r = 0; r < ROWS_PER_WARP; r++) {
            const int place = (int)threadIdx.y * ROWS_PER_WARP + r;
            if (place >= item.count)
                continue;
            const attention_row row = b.lists.rows[item.first + place];
            const int seen = row.prompt - base < KEYS ? row.prompt - base : KEYS;
            const float lse = b.lse[row.result * b.shape.heads + h],
                        delta = b.delta[(item.first + place) * b.shape.heads + h];
            const float p = lane < seen ? expf(score[r] * b.shape.scale - lse) : 0.0f;
            if (seen > 0)
                add_weighted(dq[r], p * (dp[r] - delta) * b.shape.scale, seen, hd,
                             tile_reader<decltype(keys)>{keys, hd + 1});
        }
    }
    __syncthreads();
    WZ_UNROLL
    for (int r = 0; r < ROWS_PER_WARP; r++) {
        const int place = (int)threadIdx.y * ROWS_PER_WARP + r;
        if (place >= item.count)
            continue;
        const attention_row row = b.lists.rows[item.first + place];
        const int32_t *own = b.lists.completion_rows + (row.own > 0 ? row.completion * b.lists.stride : 0);
        const float lse = b.lse[row.result * b.shape.heads + h],
                    delta = b.delta[(item.first + place) * b.shape.heads + h];
        for (int base = 0; base < row.own; base += KEYS) {
            const int count = row.own - base < KEYS ? row.own - base : KEYS;
            float score = 0.0f, dp = 0.0f;
            if (lane < count) {
                const T *key = key_of(b.qkv, b.shape, own[base + lane], kv),
                        *value = value_of(b.qkv, b.shape, own[base + lane], kv);
                for (int64_t d = 0; d < hd; d++) {
                    score = fmaf(queries[place * hd + d], key[d], score);
                    dp = fmaf(upstream[place * hd + d], value[d], dp);
                }
            }
            const float p = lane < count ? expf(score * b.shape.scale - lse) : 0.0f;
            add_weighted(dq[r], p * (dp - delta) * b.shape.scale, count, hd,
                         own_reader<T>{b.qkv, own + base, (b.shape.heads + kv) * hd});
        }
        T *to = row_of(b.dqkv, row.row) + h * hd;
        WZ_UNROLL
        for (int c = 0; c < CHUNKS; c++)
            if (c * WZ_WARP + lane < hd)
                to[c * WZ_WARP + lane] = dq[r][c];
    }
}

/* Prompt keys [base, base + 32) of a group whose query rows are [first, first + count) of the list. */
typedef struct key_tile {
    int32_t first, count;
    int32_t start, length, base; /* the prompt's first row and length */
} key_tile;

#define QUERY_CHUNK 8 /* query rows taken into shared memory at once */
#define KEY_THREADS (WARPS * WZ_WARP)

/* Shared: keys and values [KEYS][head_dim + 1], queries and output gradients [QUERY_CHUNK][head_dim], weights and slopes
 * [QUERY_CHUNK][KEYS]. */
static size_t key_bytes(int64_t head_dim)
{
    return (size_t)(2 * KEYS * (head_dim + 1) + 2 * QUERY_CHUNK * head_dim + 2 * QUERY_CHUNK * KEYS) *
           sizeof(float);
}

/* A thread has OUTPUTS elements of dk and dv: element thread + 128 i is feature e % head_dim of key e / head_dim. */
template <int OUTPUTS, typename T>
static __global__ void prompt_key_gradients(backward_view<T> b, const key_tile *tiles)
{
    WZ_DYNAMIC_SHARED(shared);
    const int64_t hd = b.shape.head_dim, kv = blockIdx.y;
    const key_tile tile = tiles[blockIdx.x];
    const int thread = (int)threadIdx.x;
    const auto keys = shared + 0, values = keys + KEYS * (hd + 1), queries = values + KEYS * (hd + 1),
               upstream = queries + QUERY_CHUNK * hd, weights = upstream + QUERY_CHUNK * hd,
               slopes = weights + QUERY_CHUNK * KEYS;
    float dk[OUTPUTS] = {0}, dv[OUTPUTS] = {0};
    load_tile(keys, values, b.qkv, b.shape, tile.start, tile.base, tile.length, kv, thread);
    for (int64_t h = kv * b.shape.per_kv; h < (kv + 1) * b.shape.per_kv; h++)
        for (int from = 0; from < tile.count; from += QUERY_CHUNK) {
            const int count = tile.count - from < QUERY_CHUNK ? tile.count - from : QUERY_CHUNK;
            /* prompt rows come first and see ever more keys: a chunk whose last row sees none of the tile has none */
            if (b.lists.rows[tile.first + from + count - 1].prompt <= tile.base)
                continue;
            __syncthreads();
            for (int64_t e = thread; e < count * hd; e += KEY_THREADS) {
                const attention_row row = b.lists.rows[tile.first + from + e / hd];
                queries[e] = query_of(b.qkv, b.shape, row.row, h)[e % hd];
                upstream[e] = row_of(b.dout, row.result)[h * hd + e % hd];
            }
            __syncthreads();
            for (int e = thread; e < count * KEYS; e += KEY_THREADS) {
                const int r = e / KEYS, j = e % KEYS, place = tile.first + from + r;
                const attention_row row = b.lists.rows[place];
                float p = 0.0f, slope = 0.0f;
                if (tile.base + j < row.prompt) {
                    float score = 0.0f, dp = 0.0f;
                    for (int64_t d = 0; d < hd; d++) {
                        score = fmaf(queries[r * hd + d], keys[j * (hd + 1) + d], score);
                        dp = fmaf(upstream[r * hd + d], values[j * (hd + 1) + d], dp);
                    }
                    p = expf(score * b.shape.scale - b.lse[row.result * b.shape.heads + h]);
                    slope = p * (dp - b.delta[place * b.shape.heads + h]) * b.shape.scale;
                }
                weights[e] = p;
                slopes[e] = slope;
            }
            __syncthreads();
            WZ_UNROLL
            for (int i = 0; i < OUTPUTS; i++) {
                const int64_t e = thread + i * KEY_THREADS, j = e / hd, d = e % hd;
                for (int r = 0; j < KEYS && r < count; r++) {
                    dk[i] = fmaf(slopes[r * KEYS + j], queries[r * hd + d], dk[i]);
                    dv[i] = fmaf(weights[r * KEYS + j], upstream[r * hd + d], dv[i]);
                }
            }
        }
    WZ_UNROLL
    for (int i = 0; i < OUTPUTS; i++) {
        const int64_t e = thread + i * KEY_THREADS, j = e / hd, d = e % hd;
        if (j < KEYS && tile.base + j < tile.length) {
            key_of(b.dqkv, b.shape, tile.start + tile.base + j, kv)[d] = dk[i];
            value_of(b.dqkv, b.shape, tile.start + tile.base + j, kv)[d] = dv[i];
        }
    }
}

/* A completion row as a key: the rows of its completion from itself on, as places in the list of rows (-1: not computed).
 * A warp has one of these and one key/value head. */
template <typename T>
static __global__ void own_key_gradients(backward_view<T> b, const int32_t *own_list, int64_t own_count,
                                         const int32_t *place_of_row, const int32_t *row_index,
                                         const int32_t *row_completion, const int32_t *completion_length)
{
    const int64_t at = (int64_t)blockIdx.x * WARPS + threadIdx.y, i = at / b.shape.kv_heads,
                  kv = at % b.shape.kv_heads, hd = b.shape.head_dim;
    if (i >= own_count)
        return;
    const int64_t key_row = own_list[i], completion = row_completion[key_row];
    const int32_t *rows = b.lists.completion_rows + completion * b.lists.stride;
    const T *key = key_of(b.qkv, b.shape, key_row, kv), *value = value_of(b.qkv, b.shape, key_row, kv);
    float dk[CHUNKS] = {0}, dv[CHUNKS] = {0};
    for (int64_t h = kv * b.shape.per_kv; h < (kv + 1) * b.shape.per_kv; h++)
        for (int64_t t = row_index[key_row]; t < completion_length[completion]; t++) {
            const int64_t place = place_of_row[rows[t]];
            if (place < 0)
                continue;
            const attention_row row = b.lists.rows[place];
            const T *q = query_of(b.qkv, b.shape, row.row, h), *g = row_of(b.dout, row.result) + h * hd;
            float score = 0.0f, dp = 0.0f;
            for (int64_t d = threadIdx.x; d < hd; d += WZ_WARP) {
                score = fmaf(q[d], key[d], score);
                dp = fmaf(g[d], value[d], dp);
            }
            score = warp_sum(score);
            dp = warp_sum(dp);
            const float p = expf(score * b.shape.scale - b.lse[row.result * b.shape.heads + h]);
            const float slope = p * (dp - b.delta[place * b.shape.heads + h]) * b.shape.scale;
            WZ_UNROLL
            for (int c = 0; c < CHUNKS; c++) {
                const int64_t d = c * WZ_WARP + (int)threadIdx.x;
                if (d < hd) {
                    dk[c] = fmaf(slope, q[d], dk[c]);
                    dv[c] = fmaf(p, g[d], dv[c]);
                }
            }
        }
    WZ_UNROLL
    for (int c = 0; c < CHUNKS; c++) {
        const int64_t d = c * WZ_WARP + (int)threadIdx.x;
        if (d < hd) {
            key_of(b.dqkv, b.shape, key_row, kv)[d] = dk[c];
            value_of(b.dqkv, b.shape, key_row, kv)[d] = dv[c];
        }
    }
}

/* The lists that only the backward pass needs, on the device. */
typedef struct key_lists {
    int64_t tile_count, own_count;
    const key_tile *tiles;
    const int32_t *own, *place, *index, *completion, *length;
} key_lists;

typedef struct host_lists {
    key_tile *tiles;
    int32_t *own, *place, *length;
} host_lists;

static void fill_lists(const wz_segments *s, bool at_sites, const host_lists *host, key_lists *out)
{
    int32_t listed = 0;
    for (int64_t row = 0; row < s->rows; row++) {
        host->place[row] = -1;
        if (s->row_completion[row] < 0)
            continue;
        host->own[out->own_count++] = (int32_t)row;
        host->length[s->row_completion[row]] = s->row_index[row] + 1;
    }
    for (int64_t g = 0; g < s->groups; g++) { /* in the order of cuda_attention_lists */
        const int32_t first = listed;
        for (int64_t i = 0; i < s->group_length[g]; i++) {
            const int32_t row = s->group_rows[g * s->group_stride + i];
            if (!at_sites || s->row_site[row] >= 0)
                host->place[row] = listed++;
        }
        for (int32_t base = 0; base < s->prompt_length[g]; base += KEYS)
            host->tiles[out->tile_count++] =
                key_tile{first, listed - first, s->prompt_start[g], s->prompt_length[g], base};
    }
}

/* The caller has asked for the room. Tiles: one per 32 keys of a prompt, and one more for each prompt's rest. */
static bool make_key_lists(cuda_backend *cuda, const wz_segments *s, bool at_sites, key_lists *out)
{
    static const char what[] = "attention's keys";
    void *tiles = NULL, *numbers = NULL;
    wz_error err = {{0}};
    *out = key_lists{};
    const int64_t most_tiles = s->rows / KEYS + s->groups + 1;
    wz_status status = wz_alloc(&tiles, (size_t)most_tiles, sizeof(key_tile), what, &err);
    if (status == WZ_OK)
        status = wz_alloc(&numbers, (size_t)(2 * s->rows + s->completions), sizeof(int32_t), what, &err);
    bool ok = status == WZ_OK;
    if (!ok) {
        cuda_fail(cuda, status, &err);
    } else {
        int32_t *own = (int32_t *)numbers;
        const host_lists host = {(key_tile *)tiles, own, own + s->rows, own + 2 * s->rows};
        fill_lists(s, at_sites, &host, out);
        out->tiles = cuda_stage(cuda, host.tiles, out->tile_count, what);
        ok = out->tiles != NULL;
        if (ok && out->own_count > 0) {
            out->own = cuda_stage(cuda, host.own, out->own_count, what);
            out->place = cuda_stage(cuda, host.place, s->rows, what);
            out->index = cuda_stage(cuda, s->row_index, s->rows, what);
            out->completion = cuda_stage(cuda, s->row_completion, s->rows, what);
            out->length = cuda_stage(cuda, host.length, s->completions, what);
            ok = out->own != NULL && out->place != NULL && out->index != NULL && out->completion != NULL &&
                 out->length != NULL;
        }
    }
    free(tiles);
    free(numbers);
    return ok;
}

template <int OUTPUTS, typename T>
static void launch_prompt_keys(cuda_backend *cuda, const backward_view<T> &b, const key_lists &k)
{
    const size_t bytes = key_bytes(b.shape.head_dim);
    const auto kernel = prompt_key_gradients<OUTPUTS, T>;
    const dim3 grid((unsigned)k.tile_count, (unsigned)b.shape.kv_heads);
    const key_tile *tiles = k.tiles;
    if (!cuda_allow_shared(cuda, kernel, bytes, "attention backward, keys"))
        return;
    WZ_LAUNCH(kernel, grid, dim3(KEY_THREADS), bytes, cuda->stream, b, tiles);
    CUDA_LAUNCHED(cuda, "attention backward, keys", b.lists.row_count, b.dqkv.columns);
}

template <typename T>
static void key_gradients(cuda_backend *cuda, const backward_view<T> &b, const key_lists &k)
{
    /* outputs of a thread: 32 keys x head_dim among 128 threads */
    if (b.shape.head_dim <= 64)
        launch_prompt_keys<16>(cuda, b, k);
    else if (b.shape.head_dim <= 128)
        launch_prompt_keys<32>(cuda, b, k);
    else
        launch_prompt_keys<64>(cuda, b, k);
    if (k.own_count == 0)
        return;
    const unsigned blocks = (unsigned)((k.own_count * b.shape.kv_heads + WARPS - 1) / WARPS);
    WZ_LAUNCH(own_key_gradients<T>, dim3(blocks), dim3(WZ_WARP, WARPS), 0, cuda->stream, b, k.own,
              k.own_count, k.place, k.index, k.completion, k.length);
    CUDA_LAUNCHED(cuda, "attention backward, own keys", b.lists.row_count, b.dqkv.columns);
}

/* Room for all lists together: launches read the first ones after the last ones are made. */
static size_t lists_room(int64_t rows, int64_t groups, int64_t completions, int64_t stride)
{
    const int64_t most_items = rows / ITEM_ROWS + groups + 1, most_tiles = rows / KEYS + groups + 1;
    return (size_t)rows * (sizeof(attention_row) + 4 * sizeof(int32_t)) +
           (size_t)most_items * sizeof(attention_item) + (size_t)most_tiles * sizeof(key_tile) +
           (size_t)(completions * (stride + 1)) * sizeof(int32_t) + 16 * 256;
}

/* The forward pass has fewer lists. */
cuda_need cuda_attention_need(const wz_op_bounds *b)
{
    return cuda_need{(size_t)(b->rows * b->attention.heads) * sizeof(float),
                     lists_room(b->rows, b->groups, b->completions, b->completion_stride)};
}

/* Gradients of one type, with the lists of rows at hand. */
template <typename T>
static void backward(cuda_backend *cuda, backward_view<T> b, const wz_segments *segments, bool at_sites)
{
    const int64_t heads = b.shape.heads, width = heads * b.shape.head_dim;
    const size_t bytes = query_bytes(b.shape.head_dim);
    b.delta = (float *)cuda_scratch(cuda, (size_t)(b.lists.row_count * heads) * sizeof(float),
                                    "attention backward");
    if (b.delta == NULL || !cuda_allow_shared(cuda, query_gradients<T>, bytes, "attention backward"))
        return;
    if (at_sites) {
        WZ_LAUNCH(clear_queries<T>, dim3((unsigned)((segments->rows * width + 255) / 256)), dim3(256), 0,
                  cuda->stream, b.dqkv, width);
        CUDA_LAUNCHED(cuda, "attention backward", b.dqkv.rows, b.dqkv.columns);
    }
    const unsigned blocks = (unsigned)((b.lists.row_count * heads + WARPS - 1) / WARPS);
    WZ_LAUNCH(delta_of_rows<T>, dim3(blocks), dim3(WZ_WARP, WARPS), 0, cuda->stream, b);
    CUDA_LAUNCHED(cuda, "attention backward", b.dqkv.rows, b.dqkv.columns);
    WZ_LAUNCH(query_gradients<T>, dim3((unsigned)b.lists.item_count, (unsigned)heads), dim3(WZ_WARP, WARPS),
              bytes, cuda->stream, b);
    CUDA_LAUNCHED(cuda, "attention backward, queries", b.dqkv.rows, b.dqkv.columns);
    key_lists k;
    if (make_key_lists(cuda, segments, at_sites, &k))
        key_gradients(cuda, b, k);
}

void cuda_attention_backward(wz_backend *backend, wz_tensor dqkv, wz_tensor dout, wz_tensor out,
                             const float *lse, wz_tensor qkv, const wz_segments *segments, bool at_sites,
                             const wz_attention *attention)
{
    cuda_backend *cuda = cuda_of(backend);
    attention_lists lists;
    const size_t room =
        lists_room(segments->rows, segments->groups, segments->completions, segments->completion_stride);
    if (!cuda_stage_room(cuda, room, "attention backward") ||
        !cuda_attention_lists(cuda, segments, 0, segments->rows, at_sites, &lists))
        return;
    with_type(qkv.type, [&](auto element) {
        using T = decltype(element);
        const backward_view<T> view = {
            matrix_of<T>(dqkv), matrix_of<T>(dout), matrix_of<T>(out), matrix_of<T>(qkv), lse, NULL, lists,
            shape_of(attention)};
        backward(cuda, view, segments, at_sites);
    });
}
