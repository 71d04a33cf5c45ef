/* Head score, forward and backward: logp and entropy of entries under their sets, and the log-probability that the whole
 * softmax gives to a set. Entries over the whole vocabulary go tile by tile and chunk by chunk, so that rows x vocabulary
 * never exists; backward computes the logits again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/head.h"

/* One call. Host arrays belong to the caller. */
typedef struct score_call {
    cuda_backend *cuda;
    float *logp, *entropy; /* forward; entropy NULL with `allowed` */
    wz_tensor dhidden, dhead, hidden, head;
    const float *dlogp, *dentropy; /* backward; dentropy NULL with `allowed` */
    const int32_t *target;         /* NULL with `allowed` */
    const uint32_t *mask;
    const wz_mask_table *masks;
    float scale;
    bool allowed;
} score_call;

/* One entry. Over a small set: pairs first .. first + count, target its place in the set. Over the whole vocabulary: target
 * the token, and with `allowed` the set is tokens[first .. first + count). */
typedef struct score_entry {
    int32_t row, target; /* row: in hidden */
    int32_t first, count;
    float dlogp, dentropy;
} score_entry;

typedef struct score_pair {
    float logp, entropy;
} score_pair;

/* What the host prepares, in the caller's order of entries. */
typedef struct score_lists {
    void *block;
    score_entry *small, *whole;
    int64_t smalls, wholes, pairs;
    int32_t *pair_token, *pair_row; /* [pairs] */
} score_lists;

static bool make_lists(const score_call *c, score_lists *out)
{
    const int64_t rows = c->hidden.rows;
    int64_t pairs = 0;
    wz_error err = {{0}};
    *out = score_lists{};
    for (int64_t i = 0; i < rows; i++)
        pairs += c->allowed || c->mask[i] == 0 ? 0 : set_size(c->masks, c->mask[i]);
    const size_t each = 2 * sizeof(score_entry);
    const wz_status status = wz_alloc(
        &out->block, (size_t)rows * each + (size_t)pairs * 2 * sizeof(int32_t) + 1, 1, "head score", &err);
    if (status != WZ_OK) {
        cuda_fail(c->cuda, status, &err);
        return false;
    }
    out->small = (score_entry *)out->block;
    out->whole = (score_entry *)(out->small + rows);
    out->pair_token = (int32_t *)(out->whole + rows);
    out->pair_row = out->pair_token + pairs;
    for (int64_t i = 0; i < rows; i++) {
        const uint32_t set = c->mask[i];
        const float dlogp = c->dlogp != NULL ? c->dlogp[i] : 0.0f,
                    dentropy = c->dentropy != NULL ? c->dentropy[i] : 0.0f;
        const int32_t target = c->target != NULL ? c->target[i] : -1;
        if (c->allowed || set == 0) {
            out->whole[out->wholes++] = score_entry{(int32_t)i,
                                                    target,
                                                    c->allowed ? (int32_t)c->masks->offset[set] : 0,
                                                    c->allowed ? (int32_t)set_size(c->masks, set) : 0,
                                                    dlogp,
                                                    dentropy};
            continue;
        }
        const int64_t count = set_size(c->masks, set);
        out->small[out->smalls++] = score_entry{(int32_t)i,
                                                (int32_t)set_first_from(c->masks, set, target),
                                                (int32_t)out->pairs,
                                                (int32_t)count,
                                                dlogp,
                                                dentropy};
        for (int64_t j = 0; j < count; j++) {
            out->pair_token[out->pairs] = (int32_t)c->masks->tokens[c->masks->offset[set] + (uint32_t)j];
            out->pair_row[out->pairs++] = (int32_t)i;
        }
    }
    return true;
}

/* ---- small sets ---- */

/* Logits of an entry's set, and their sums; by a warp. */
static __device__ softmax_sums small_sums(float *logits, const matrix &hidden, const matrix &head,
                                          const score_entry &e, const uint32_t *tokens, float scale)
{
    softmax_sums sums = no_sums();
    gather_logits(logits, row_of(hidden, e.row), head, tokens + e.first, e.count);
    add_logits(&sums, logits, e.count, scale);
    return sums;
}

static __global__ void small_scores(score_pair *result, float *logits, matrix hidden, matrix head,
                                    const score_entry *entries, int64_t count, const uint32_t *tokens,
                                    float scale)
{
    const int64_t i = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (i >= count)
        return;
    const score_entry e = entries[i];
    float *mine = logits + e.first;
    const softmax_sums sums = small_sums(mine, hidden, head, e, tokens, scale);
    if (threadIdx.x == 0)
        result[i] = score_pair{mine[e.target] * scale - log_sum(sums), entropy_of(sums)};
}

/* logits become their gradients; dhidden is written. */
static __global__ void small_gradients(matrix dhidden, float *logits, matrix hidden, matrix head,
                                       const score_entry *entries, int64_t count, const uint32_t *tokens,
                                       float scale)
{
    const int64_t i = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (i >= count)
        return;
    const score_entry e = entries[i];
    float *mine = logits + e.first;
    const softmax_sums sums = small_sums(mine, hidden, head, e, tokens, scale);
    const float lse = log_sum(sums), entropy = entropy_of(sums);
    __syncwarp();
    for (int64_t j = threadIdx.x; j < e.count; j += WZ_WARP)
        mine[j] = logit_gradient(mine[j], scale, lse, entropy, e.dlogp, e.dentropy, j == e.target);
    __syncwarp();
    for (int64_t d = threadIdx.x; d < hidden.columns; d += WZ_WARP) {
        float sum = 0.0f;
        for (int64_t j = 0; j < e.count; j++)
            sum = fmaf(mine[j], row_of(head, tokens[e.first + j])[d], sum);
        row_of(dhidden, e.row)[d] = sum;
    }
}

/* dhead[token] += slope hidden, over the pairs of a token in order; a thread has a column. */
static __global__ void small_head_gradient(matrix dhead, matrix hidden, const float *slope,
                                           const int32_t *pair_row, const int32_t *target,
                                           const int32_t *begin, const int32_t *order, int64_t targets)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, t = at / hidden.columns,
                  column = at % hidden.columns;
    if (t >= targets)
        return;
    float *to = row_of(dhead, target[t]) + column, sum = *to;
    for (int64_t k = begin[t]; k < begin[t + 1]; k++)
        sum = fmaf(slope[order[k]], row_of(hidden, pair_row[order[k]])[column], sum);
    *to = sum;
}

static dim3 entry_blocks(int64_t count)
{
    return dim3((unsigned)((count + HEAD_WARPS - 1) / HEAD_WARPS));
}

/* The small entries' lists on the device; false on no memory. */
static bool stage_small(const score_call *c, const score_lists *lists, size_t more,
                        const score_entry **entries, const uint32_t **tokens)
{
    const size_t bytes =
        (size_t)lists->smalls * sizeof(score_entry) + (size_t)lists->pairs * sizeof(uint32_t);
    if (!cuda_stage_room(c->cuda, bytes + more + 8 * 256, "head score"))
        return false;
    *entries = cuda_stage(c->cuda, lists->small, lists->smalls, "head score");
    *tokens = cuda_stage(c->cuda, (const uint32_t *)lists->pair_token, lists->pairs, "head score");
    return *entries != NULL && *tokens != NULL;
}

static void fetch_scores(const score_call *c, const score_pair *from, int64_t count,
                         const score_entry *entries);

static void score_small(const score_call *c, const score_lists *lists)
{
    const score_entry *entries = NULL;
    const uint32_t *tokens = NULL;
    const size_t bytes = (size_t)lists->smalls * sizeof(score_pair) + (size_t)lists->pairs * sizeof(float);
    score_pair *result = (score_pair *)cuda_scratch(c->cuda, bytes, "head score");
    if (lists->smalls == 0 || result == NULL || !stage_small(c, lists, 0, &entries, &tokens))
        return;
    float *logits = (float *)(result + lists->smalls);
    WZ_LAUNCH(small_scores, entry_blocks(lists->smalls), dim3(WZ_WARP, HEAD_WARPS), 0, c->cuda->stream,
              result, logits, matrix_of(c->hidden), matrix_of(c->head), entries, lists->smalls, tokens,
              c->scale);
    if (CUDA_CHECK(c->cuda, cudaGetLastError(), "head score"))
        fetch_scores(c, result, lists->smalls, lists->small);
}

static void small_backward(const score_call *c, const score_lists *lists)
{
    const score_entry *entries = NULL;
    const uint32_t *tokens = NULL;
    cuda_scatter scatter = {};
    float *logits =
        (float *)cuda_scratch(c->cuda, (size_t)lists->pairs * sizeof(float), "head score backward");
    if (lists->smalls == 0 || logits == NULL ||
        !stage_small(c, lists, (size_t)lists->pairs * 5 * sizeof(int32_t), &entries, &tokens))
        return;
    WZ_LAUNCH(small_gradients, entry_blocks(lists->smalls), dim3(WZ_WARP, HEAD_WARPS), 0, c->cuda->stream,
              matrix_of(c->dhidden), logits, matrix_of(c->hidden), matrix_of(c->head), entries, lists->smalls,
              tokens, c->scale);
    if (!CUDA_CHECK(c->cuda, cudaGetLastError(), "head score backward") || c->dhead.data == NULL)
        return;
    const int32_t *pair_row = cuda_stage(c->cuda, lists->pair_row, lists->pairs, "head score backward");
    if (pair_row == NULL || !cuda_make_scatter(c->cuda, lists->pair_token, NULL, lists->pairs, &scatter))
        return;
    const int64_t threads = scatter.targets * c->hidden.columns;
    WZ_LAUNCH(small_head_gradient, dim3((unsigned)((threads + 255) / 256)), dim3(256), 0, c->cuda->stream,
              matrix_of(c->dhead), matrix_of(c->hidden), logits, pair_row, scatter.target, scatter.begin,
              scatter.order, scatter.targets);
    CUDA_CHECK(c->cuda, cudaGetLastError(), "head score backward");
}

/* ---- the whole vocabulary ---- */

/* What is known of one entry of a tile after some chunks. */
typedef struct row_sums {
    softmax_sums whole, set;
    float target;
} row_sums;

/* A tile's memory on the device. */
typedef struct tile_memory {
    float *hidden, *dhidden; /* [TILE_ROWS][width] */
    float *logits;           /* [TILE_ROWS][CHUNK] */
    row_sums *sums;          /* [TILE_ROWS] */
    score_pair *result;      /* [TILE_ROWS] */
} tile_memory;

static __global__ void begin_tile(tile_memory tile, matrix hidden, const score_entry *entries, int64_t rows)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, r = at / hidden.columns,
                  column = at % hidden.columns;
    if (r >= rows)
        return;
    tile.hidden[at] = row_of(hidden, entries[r].row)[column];
    tile.dhidden[at] = 0.0f;
    if (column == 0)
        tile.sums[r] = row_sums{no_sums(), no_sums(), 0.0f};
}

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

static __global__ void add_chunk(tile_memory tile, const score_entry *entries, int64_t rows,
                                 const uint32_t *tokens, int64_t column, int64_t width, float scale)
{
    const int64_t r = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (r >= rows)
        return;
    const score_entry e = entries[r];
    const float *logits = tile.logits + r * CHUNK;
    row_sums sums = tile.sums[r];
    add_logits(&sums.whole, logits, width, scale);
    if (e.count > 0)
        add_set(&sums.set, logits, tokens + e.first, e.count, column, width);
    if (e.target >= column && e.target < column + width)
        sums.target = logits[e.target - column] * scale;
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
    const float lse = log_sum(s.whole);
    tile.result[r] = entries[r].count > 0 ? score_pair{log_sum(s.set) - lse, 0.0f}
                                          : score_pair{s.target - lse, entropy_of(s.whole)};
}

/* A chunk's logits become their gradients. With a set: d/dl of dlogp (log sum over the set - log sum over all). */
static __global__ void chunk_gradients(tile_memory tile, const score_entry *entries, int64_t rows,
                                       const uint32_t *tokens, int64_t column, int64_t width, float scale)
{
    const int64_t r = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (r >= rows)
        return;
    const score_entry e = entries[r];
    const row_sums s = tile.sums[r];
    const float lse = log_sum(s.whole), entropy = entropy_of(s.whole),
                set_lse = e.count > 0 ? log_sum(s.set) : 0.0f;
    float *logits = tile.logits + r * CHUNK;
    if (e.count == 0) {
        for (int64_t j = threadIdx.x; j < width; j += WZ_WARP)
            logits[j] =
                logit_gradient(logits[j], scale, lse, entropy, e.dlogp, e.dentropy, column + j == e.target);
        return;
    }
    int64_t next = 0; /* the set's next token: both ascend */
    for (int64_t j = threadIdx.x; j < width; j += WZ_WARP) {
        while (next < e.count && (int64_t)tokens[e.first + next] < column + j)
            next++;
        const bool in = next < e.count && (int64_t)tokens[e.first + next] == column + j;
        logits[j] = e.dlogp * ((in ? expf(logits[j] - set_lse) : 0.0f) - expf(logits[j] - lse));
    }
}

static __global__ void end_backward(tile_memory tile, matrix dhidden, const score_entry *entries,
                                    int64_t rows)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, r = at / dhidden.columns,
                  column = at % dhidden.columns;
    if (r < rows)
        row_of(dhidden, entries[r].row)[column] = tile.dhidden[at];
}

static bool make_tile(const score_call *c, tile_memory *out)
{
    const size_t width = (size_t)c->hidden.columns;
    const size_t bytes =
        TILE_ROWS * ((2 * width + CHUNK) * sizeof(float) + sizeof(row_sums) + sizeof(score_pair));
    out->logits = (float *)cuda_scratch(c->cuda, bytes, "head score");
    out->hidden = out->logits + (size_t)TILE_ROWS * CHUNK;
    out->dhidden = out->hidden + TILE_ROWS * width;
    out->sums = (row_sums *)(out->dhidden + TILE_ROWS * width);
    out->result = (score_pair *)(out->sums + TILE_ROWS);
    return out->logits != NULL;
}

/* One tile on its way: its entries and all sets' tokens on the device. */
typedef struct tile_walk {
    const score_call *call;
    tile_memory tile;
    const score_entry *entries;
    const uint32_t *tokens;
    int64_t rows;
} tile_walk;

static int64_t chunk_logits(const tile_walk *w, int64_t column)
{
    const score_call *c = w->call;
    const int64_t left = c->head.rows - column, width = left < CHUNK ? left : CHUNK;
    const cuda_product product = {w->tile.hidden,
                                  (const float *)c->head.data + column * c->head.stride,
                                  w->tile.logits,
                                  w->rows,
                                  width,
                                  c->hidden.columns,
                                  c->hidden.columns,
                                  c->head.stride,
                                  CHUNK,
                                  false,
                                  true,
                                  false};
    cuda_multiply(c->cuda, &product, "head logits");
    return width;
}

/* Sums of all chunks. */
static bool sum_tile(const tile_walk *w)
{
    const score_call *c = w->call;
    const int64_t elements = w->rows * c->hidden.columns;
    WZ_LAUNCH(begin_tile, dim3((unsigned)((elements + 255) / 256)), dim3(256), 0, c->cuda->stream, w->tile,
              matrix_of(c->hidden), w->entries, w->rows);
    for (int64_t column = 0; column < c->head.rows; column += CHUNK) {
        const int64_t width = chunk_logits(w, column);
        WZ_LAUNCH(add_chunk, entry_blocks(w->rows), dim3(WZ_WARP, HEAD_WARPS), 0, c->cuda->stream, w->tile,
                  w->entries, w->rows, w->tokens, column, width, c->scale);
    }
    return CUDA_CHECK(c->cuda, cudaGetLastError(), "head score");
}

static void tile_backward(const tile_walk *w)
{
    const score_call *c = w->call;
    const int64_t hidden = c->hidden.columns, elements = w->rows * hidden;
    for (int64_t column = 0; column < c->head.rows; column += CHUNK) {
        const int64_t width = chunk_logits(w, column);
        WZ_LAUNCH(chunk_gradients, entry_blocks(w->rows), dim3(WZ_WARP, HEAD_WARPS), 0, c->cuda->stream,
                  w->tile, w->entries, w->rows, w->tokens, column, width, c->scale);
        const float *head = (const float *)c->head.data + column * c->head.stride;
        const cuda_product to_hidden = {w->tile.logits, head,  w->tile.dhidden, w->rows,
                                        hidden,         width, CHUNK,           c->head.stride,
                                        hidden,         false, false,           true};
        cuda_multiply(c->cuda, &to_hidden, "head score backward");
        if (c->dhead.data == NULL)
            continue;
        const cuda_product to_head = {
            w->tile.logits, w->tile.hidden, (float *)c->dhead.data + column * c->dhead.stride,
            width,          hidden,         w->rows,
            CHUNK,          hidden,         c->dhead.stride,
            true,           false,          true};
        cuda_multiply(c->cuda, &to_head, "head score backward");
    }
    WZ_LAUNCH(end_backward, dim3((unsigned)((elements + 255) / 256)), dim3(256), 0, c->cuda->stream, w->tile,
              matrix_of(c->dhidden), w->entries, w->rows);
    CUDA_CHECK(c->cuda, cudaGetLastError(), "head score backward");
}

static void walk_tiles(const score_call *c, const score_lists *lists, bool backward)
{
    tile_walk w = {c, {}, NULL, NULL, 0};
    const int64_t tokens = c->allowed ? (int64_t)c->masks->offset[c->masks->count] : 0;
    if (lists->wholes == 0 || !make_tile(c, &w.tile))
        return;
    for (int64_t first = 0; first < lists->wholes; first += TILE_ROWS) {
        w.rows = lists->wholes - first < TILE_ROWS ? lists->wholes - first : TILE_ROWS;
        const size_t bytes =
            (size_t)w.rows * sizeof(score_entry) + (size_t)tokens * sizeof(uint32_t) + 2 * 256;
        if (!cuda_stage_room(c->cuda, bytes, "head score"))
            return;
        w.entries = cuda_stage(c->cuda, lists->whole + first, w.rows, "head score");
        w.tokens = cuda_stage(c->cuda, c->masks->tokens, tokens, "head score");
        if (w.entries == NULL || (tokens > 0 && w.tokens == NULL) || !sum_tile(&w))
            return;
        if (backward) {
            tile_backward(&w);
            continue;
        }
        WZ_LAUNCH(end_tile, dim3((unsigned)((w.rows + 127) / 128)), dim3(128), 0, c->cuda->stream, w.tile,
                  w.entries, w.rows);
        if (CUDA_CHECK(c->cuda, cudaGetLastError(), "head score"))
            fetch_scores(c, w.tile.result, w.rows, lists->whole + first);
    }
}

/* ---- both ---- */

/* Copies the entries' results to the caller's host arrays. */
static void fetch_scores(const score_call *c, const score_pair *from, int64_t count,
                         const score_entry *entries)
{
    void *block = NULL;
    wz_error err = {{0}};
    const size_t bytes = (size_t)count * sizeof(score_pair);
    const wz_status status = wz_alloc(&block, (size_t)count, sizeof(score_pair), "head score", &err);
    if (status != WZ_OK) {
        cuda_fail(c->cuda, status, &err);
        return;
    }
    const score_pair *host = (const score_pair *)block;
    if (CUDA_CHECK(c->cuda, cudaMemcpyAsync(block, from, bytes, cudaMemcpyDeviceToHost, c->cuda->stream),
                   "head score") &&
        CUDA_CHECK(c->cuda, cudaStreamSynchronize(c->cuda->stream), "head score"))
        for (int64_t i = 0; i < count; i++) {
            const int32_t to = entries[i].row;
            c->logp[to] = host[i].logp;
            if (c->entropy != NULL)
                c->entropy[to] = host[i].entropy;
        }
    free(block);
}

static void run(const score_call *c, bool backward)
{
    score_lists lists;
    if (c->hidden.rows == 0 || !make_lists(c, &lists))
        return;
    if (backward)
        small_backward(c, &lists);
    else
        score_small(c, &lists);
    walk_tiles(c, &lists, backward);
    free(lists.block);
}

void cuda_head_score_forward(wz_backend *backend, float *logp, float *entropy, wz_tensor hidden,
                             wz_tensor head, const int32_t *target, const uint32_t *mask,
                             const wz_mask_table *masks, float temperature)
{
    score_call c = {};
    c.cuda = cuda_of(backend);
    c.logp = logp;
    c.entropy = entropy;
    c.hidden = hidden;
    c.head = head;
    c.target = target;
    c.mask = mask;
    c.masks = masks;
    c.scale = inverse_temperature(temperature);
    run(&c, false);
}

void cuda_head_score_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                              const float *dentropy, wz_tensor hidden, wz_tensor head, const int32_t *target,
                              const uint32_t *mask, const wz_mask_table *masks, float temperature,
                              const wz_row_groups *groups)
{
    score_call c = {};
    (void)groups;
    c.cuda = cuda_of(backend);
    c.dhidden = dhidden;
    c.dhead = dhead;
    c.dlogp = dlogp;
    c.dentropy = dentropy;
    c.hidden = hidden;
    c.head = head;
    c.target = target;
    c.mask = mask;
    c.masks = masks;
    c.scale = inverse_temperature(temperature);
    run(&c, true);
}

void cuda_head_allowed_forward(wz_backend *backend, float *logp, wz_tensor hidden, wz_tensor head,
                               const uint32_t *mask, const wz_mask_table *masks)
{
    score_call c = {};
    c.cuda = cuda_of(backend);
    c.logp = logp;
    c.hidden = hidden;
    c.head = head;
    c.mask = mask;
    c.masks = masks;
    c.scale = 1.0f;
    c.allowed = true;
    run(&c, false);
}

void cuda_head_allowed_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                                wz_tensor hidden, wz_tensor head, const uint32_t *mask,
                                const wz_mask_table *masks, const wz_row_groups *groups)
{
    score_call c = {};
    (void)groups;
    c.cuda = cuda_of(backend);
    c.dhidden = dhidden;
    c.dhead = dhead;
    c.dlogp = dlogp;
    c.hidden = hidden;
    c.head = head;
    c.mask = mask;
    c.masks = masks;
    c.scale = 1.0f;
    c.allowed = true;
    run(&c, true);
}
