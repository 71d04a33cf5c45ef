/* Head score over the whole vocabulary, tile by tile and chunk by chunk, so that rows x vocabulary never exists; backward
 * computes the logits again, and the log of their exponentials' sum from a target's log-probability. */
#include <math.h>

#include "cuda/head_score.h"

/* chunk: as in cuda_product. */
static void multiply_logits(cuda_backend *cuda, float *logits, int64_t stride, wz_tensor tile,
                            wz_tensor columns, int64_t chunk)
{
    if (columns.rows == 0)
        return;
    cuda_product product = cuda_product_of(wz_tensor{logits, tile.rows, columns.rows, stride, WZ_F32}, tile,
                                           false, columns, true, false);
    product.chunk = chunk;
    cuda_multiply(cuda, &product, "head logits");
}

void head_logits(cuda_backend *cuda, float *logits, int64_t stride, wz_tensor tile, wz_tensor head,
                 int64_t column, int64_t width)
{
    const int64_t whole = width / CHUNK * CHUNK; /* sampling may take several at once */
    multiply_logits(cuda, logits, stride, tile, head_columns(head, column, whole), CHUNK);
    multiply_logits(cuda, logits + whole, stride, tile, head_columns(head, column + whole, width - whole), 0);
}

/* What is known of one entry of a tile after some chunks. */
typedef struct row_sums {
    softmax_sums whole, set;
    float target;
} row_sums;

/* And what the gradients of its logits take of them. */
typedef struct row_logs {
    float lse, entropy, set_lse;
} row_logs;

/* A tile's memory on the device. */
typedef struct tile_memory {
    float *logits;      /* [TILE_ROWS][CHUNK] */
    void *slopes;       /* their gradients, of the working type: in their place if that is WZ_F32 */
    void *hidden;       /* [TILE_ROWS][width] of the working type */
    float *dhidden;     /* [TILE_ROWS][width] */
    row_sums *sums;     /* [TILE_ROWS] */
    row_logs *logs;     /* [TILE_ROWS] */
    score_pair *result; /* [TILE_ROWS] */
} tile_memory;

/* The set's tokens that lie in columns [column, column + width): their logits join the set's sums. */
static __device__ void add_set(softmax_sums *s, const float *logits, const uint32_t *tokens, int64_t count,
                               int64_t column, int64_t width)
{
    float most = -INFINITY, sum = 0.0f;
    for (int64_t j = threadIdx.x; j < count; j += WZ_WARP) {
        const int64_t at = (int64_t)tokens[j] - column;
        most = at >= 0 && at < width ? fmaxf(most, logits[at]) : most;
    }
    most = warp_max(most);
    if (most == -INFINITY)
        return;
    const float largest = fmaxf(s->largest, most);
    for (int64_t j = threadIdx.x; j < count; j += WZ_WARP) {
        const int64_t at = (int64_t)tokens[j] - column;
        sum += at >= 0 && at < width ? expf(logits[at] - largest) : 0.0f;
    }
    const float before = s->largest == -INFINITY ? 0.0f : expf(s->largest - largest);
    s->sum = s->sum * before + warp_sum(sum);
    s->largest = largest;
}

/* A block has an entry. */
static __global__ void add_chunk(tile_memory tile, const score_entry *entries, const uint32_t *tokens,
                                 int64_t column, int64_t width, float scale)
{
    const int64_t r = blockIdx.x;
    const score_entry e = entries[r];
    const float *logits = tile.logits + r * CHUNK;
    row_sums sums = column > 0 ? tile.sums[r] : row_sums{no_sums(), no_sums(), 0.0f};
    add_chunk_logits(&sums.whole, logits, width, scale); /* and all have read tile.sums */
    if (threadIdx.y > 0)
        return;
    if (e.count > 0)
        add_set(&sums.set, logits, tokens + e.first, e.count, column, width);
    if (e.target >= column && e.target < column + width)
        sums.target = scaled(logits[e.target - column], scale);
    __syncwarp();
    if (threadIdx.x == 0)
        tile.sums[r] = sums;
}

static __global__ void end_tile(tile_memory tile, const score_entry *entries, int64_t rows)
{
    const int64_t r = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (r >= rows)
        return;
    const row_sums s = tile.sums[r];
    tile.result[r] = entries[r].count > 0
                         ? score_pair{log_probability(log_sum(s.set), s.whole), 0.0f}
                         : score_pair{log_probability(s.target, s.whole), entropy_of(s.whole)};
}

/* Of entries with a set, from the sums of all chunks. */
static __global__ void logs_of_sums(tile_memory tile, int64_t rows)
{
    const int64_t r = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (r < rows)
        tile.logs[r] = row_logs{log_sum(tile.sums[r].whole), 0.0f, log_sum(tile.sums[r].set)};
}

/* Of entries with a target, whose logit less its log-probability is the log of the sum; a warp has an entry. */
template <typename T, typename H>
static __global__ void logs_of_scores(tile_memory tile, matrix<T> hidden, matrix<H> head,
                                      const score_entry *entries, float scale)
{
    const int64_t r = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (r >= hidden.rows)
        return;
    const score_entry e = entries[r];
    const T *x = row_of(hidden, r);
    const H *w = row_of(head, e.target);
    float logit = 0.0f;
    for (int64_t d = threadIdx.x; d < hidden.columns; d += WZ_WARP)
        logit = fmaf(x[d], w[d], logit);
    logit = warp_sum(logit);
    if (threadIdx.x == 0)
        tile.logs[r] = row_logs{scaled(logit, scale) - e.logp, e.entropy, 0.0f};
}

/* The gradients of a chunk's logits. With a set: d/dl of dlogp (log sum over the set - log sum over all). */
template <typename T>
static __global__ void chunk_gradients(T *slopes, tile_memory tile, const score_entry *entries,
                                       const uint32_t *tokens, int64_t column, int64_t width, float scale)
{
    const int64_t r = blockIdx.x, first = (int64_t)threadIdx.y * WZ_WARP + threadIdx.x,
                  step = CHUNK_WARPS * WZ_WARP;
    const score_entry e = entries[r];
    const row_logs s = tile.logs[r];
    const float *logits = tile.logits + r * CHUNK;
    T *slope = slopes + r * CHUNK;
    if (e.count == 0) {
        for (int64_t j = first; j < width; j += step)
            slope[j] = logit_gradient(logits[j], scale, s.lse, s.entropy, e.dlogp, e.dentropy,
                                      column + j == e.target);
        return;
    }
    int64_t next = 0; /* the set's next token: both ascend */
    for (int64_t j = first; j < width; j += step) {
        while (next < e.count && (int64_t)tokens[e.first + next] < column + j)
            next++;
        const bool in = next < e.count && (int64_t)tokens[e.first + next] == column + j;
        slope[j] = e.dlogp * ((in ? expf(logits[j] - s.set_lse) : 0.0f) - expf(logits[j] - s.lse));
    }
}

static __global__ void end_backward(tile_memory tile, matrix<float> dhidden, const score_entry *entries,
                                    int64_t rows)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, r = at / dhidden.columns,
                  column = at % dhidden.columns;
    if (r < rows)
        row_of(dhidden, entries[r].row)[column] = tile.dhidden[at];
}

/* Of gradients of logits that stand beside them. */
static size_t slopes_bytes(wz_dtype type)
{
    return type == WZ_F32 ? 0 : (size_t)TILE_ROWS * CHUNK * wz_type_bytes(type);
}

static size_t tile_bytes(int64_t width, wz_dtype type)
{
    return TILE_ROWS * ((size_t)(width + CHUNK) * sizeof(float) + (size_t)width * wz_type_bytes(type) +
                        sizeof(row_sums) + sizeof(row_logs) + sizeof(score_pair)) +
           slopes_bytes(type);
}

/* A tile's entries, and all sets' tokens. */
static size_t tile_room(int64_t rows, int64_t tokens)
{
    return (size_t)rows * sizeof(score_entry) + (size_t)tokens * sizeof(uint32_t) + 2 * 256;
}

cuda_need cuda_head_vocab_need(const wz_op_bounds *b, wz_dtype type)
{
    if (b->entries == 0 || (!b->whole && b->table == 0))
        return cuda_need{0, 0};
    return cuda_need{tile_bytes(b->hidden, type), tile_room(TILE_ROWS, b->table)};
}

static bool make_tile(const score_call *c, tile_memory *out)
{
    const wz_dtype type = c->working_type;
    const size_t width = (size_t)c->hidden.columns, chunk = (size_t)TILE_ROWS * CHUNK * sizeof(float);
    char *base = (char *)cuda_scratch(c->cuda, tile_bytes(c->hidden.columns, type), "head score");
    out->logits = (float *)base;
    out->slopes = type == WZ_F32 ? base : base + chunk;
    out->hidden = base + chunk + slopes_bytes(type);
    out->dhidden = (float *)((char *)out->hidden + TILE_ROWS * width * wz_type_bytes(type));
    out->sums = (row_sums *)(out->dhidden + TILE_ROWS * width);
    out->logs = (row_logs *)(out->sums + TILE_ROWS);
    out->result = (score_pair *)(out->logs + TILE_ROWS);
    return base != NULL;
}

/* One tile on its way: its entries and all sets' tokens on the device. */
typedef struct tile_walk {
    const score_call *call;
    tile_memory tile;
    const score_entry *entries;
    const uint32_t *tokens;
    int64_t rows;
} tile_walk;

static wz_tensor tile_hidden(const tile_walk *w)
{
    const int64_t width = w->call->hidden.columns;
    return wz_tensor{w->tile.hidden, w->rows, width, width, w->call->working_type};
}

static int64_t chunk_logits(const tile_walk *w, int64_t column)
{
    const wz_tensor head = w->call->working_head;
    const int64_t width = chunk_width(head, column);
    head_logits(w->call->cuda, w->tile.logits, CHUNK, tile_hidden(w), head, column, width);
    return width;
}

/* Sums of all chunks. */
static bool sum_tile(const tile_walk *w)
{
    const score_call *c = w->call;
    for (int64_t column = 0; column < c->head.rows; column += CHUNK) {
        const int64_t width = chunk_logits(w, column);
        WZ_LAUNCH(add_chunk, dim3((unsigned)w->rows), chunk_threads(), 0, c->cuda->stream, w->tile,
                  w->entries, w->tokens, column, width, c->scale);
    }
    return CUDA_LAUNCHED(c->cuda, "head score", w->rows, c->head.rows);
}

/* The gradients of a chunk's logits flow to the hidden rows and to the chunk's columns of the head. */
static void chunk_backward(const tile_walk *w, int64_t column, int64_t width)
{
    const score_call *c = w->call;
    const wz_tensor hidden = tile_hidden(w), head = head_columns(c->working_head, column, width),
                    slopes = {w->tile.slopes, w->rows, width, CHUNK, c->working_type},
                    dhidden = {w->tile.dhidden, w->rows, hidden.columns, hidden.columns, WZ_F32};
    with_type(slopes.type, [&](auto element) {
        using T = decltype(element);
        WZ_LAUNCH(chunk_gradients<T>, dim3((unsigned)w->rows), chunk_threads(), 0, c->cuda->stream,
                  (T *)slopes.data, w->tile, w->entries, w->tokens, column, width, c->scale);
    });
    const cuda_product to_hidden = cuda_product_of(dhidden, slopes, false, head, false, column > 0);
    cuda_multiply(c->cuda, &to_hidden, "head score backward");
    if (c->dhead.data == NULL)
        return;
    const cuda_product to_head =
        cuda_product_of(head_columns(c->dhead, column, width), slopes, true, hidden, false, true);
    cuda_multiply(c->cuda, &to_head, "head score backward");
}

/* What the gradients need to know of each entry. */
static bool find_logs(const tile_walk *w)
{
    const score_call *c = w->call;
    const unsigned blocks = (unsigned)((w->rows + 127) / 128);
    if (c->allowed) {
        if (!sum_tile(w))
            return false;
        WZ_LAUNCH(logs_of_sums, dim3(blocks), dim3(128), 0, c->cuda->stream, w->tile, w->rows);
    } else {
        with_type(c->working_type, [&](auto element) {
            with_type(c->working_head.type, [&](auto head_element) {
                using T = decltype(element);
                using H = decltype(head_element);
                WZ_LAUNCH((logs_of_scores<T, H>), entry_blocks(w->rows), entry_threads(), 0, c->cuda->stream,
                          w->tile, matrix_of<T>(tile_hidden(w)), matrix_of<H>(c->working_head), w->entries,
                          c->scale);
            });
        });
    }
    return CUDA_LAUNCHED(c->cuda, "head score backward", w->rows, c->head.rows);
}

static void tile_backward(const tile_walk *w)
{
    const score_call *c = w->call;
    const int64_t hidden = c->hidden.columns;
    if (!find_logs(w))
        return;
    for (int64_t column = 0; column < c->head.rows; column += CHUNK)
        chunk_backward(w, column, chunk_logits(w, column));
    WZ_LAUNCH(end_backward, element_blocks(w->rows * hidden), dim3(256), 0, c->cuda->stream, w->tile,
              matrix_of<float>(c->dhidden), w->entries, w->rows);
    CUDA_LAUNCHED(c->cuda, "head score backward", w->rows, c->head.rows);
}

void score_whole(const score_call *c, const score_lists *lists, bool backward)
{
    tile_walk w = {c, {}, NULL, NULL, 0};
    const int64_t tokens = c->allowed ? (int64_t)c->masks->offset[c->masks->count] : 0;
    if (lists->wholes == 0 || !make_tile(c, &w.tile))
        return;
    for (int64_t first = 0; first < lists->wholes; first += TILE_ROWS) {
        w.rows = lists->wholes - first < TILE_ROWS ? lists->wholes - first : TILE_ROWS;
        if (!cuda_stage_room(c->cuda, tile_room(w.rows, tokens), "head score"))
            return;
        w.entries = cuda_stage(c->cuda, lists->whole + first, w.rows, "head score");
        w.tokens = cuda_stage(c->cuda, c->masks->tokens, tokens, "head score");
        if (w.entries == NULL || (tokens > 0 && w.tokens == NULL))
            return;
        gather_tile(c->cuda, tile_hidden(&w), c->hidden, w.entries);
        if (backward) {
            tile_backward(&w);
            continue;
        }
        if (!sum_tile(&w))
            return;
        WZ_LAUNCH(end_tile, dim3((unsigned)((w.rows + 127) / 128)), dim3(128), 0, c->cuda->stream, w.tile,
                  w.entries, w.rows);
        if (CUDA_LAUNCHED(c->cuda, "head score", w.rows, c->head.rows))
            fetch_scores(c, w.tile.result, w.rows, lists->whole + first);
    }
}
