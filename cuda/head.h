/* The distribution of one decision, shared by sampling and scoring so that both give the same bits: what rounds, and
 * where, is in the functions (the build lets nvcc fuse no products and sums).
 *
 * Small sets: a warp has an entry and gathers only the columns of its set, in fp32. The whole vocabulary: logits exist for
 * one tile of entries and one chunk of columns at a time, by one product of the working type with fp32 sums. */
#ifndef WZ_CUDA_HEAD_H
#define WZ_CUDA_HEAD_H

#include "cuda/cuda_backend.h"

extern "C" {
#include "engine/backend/token_sets.h"
}

#if defined(__CUDACC__)
#define CHUNK 4096     /* columns of the vocabulary whose logits exist at once */
#define TILE_ROWS 2048 /* entries whose logits exist at once: products with fewer leave processors idle */
#define DRAW_TILE                                                                                            \
    1024 /* entries times chunks whose logits a decode step has at once: in the L2 cache, beside the head's */
#define CHUNK_WARPS 8 /* that share the columns of an entry in a chunk */
#else
#define CHUNK 256 /* the emulator's cases are small, and must meet several of both */
#define TILE_ROWS 10
#define DRAW_TILE 10
#define CHUNK_WARPS 2
#endif
#define PART (CHUNK / CHUNK_WARPS) /* columns of a warp */
#define HEAD_WARPS 4               /* entries of a block */

/* Running sums over logits: sum = sum e^(l - largest), weighted = sum l e^(l - largest). */
typedef struct softmax_sums {
    float largest, sum, weighted;
} softmax_sums;

static __device__ __forceinline__ softmax_sums no_sums(void)
{
    return softmax_sums{-INFINITY, 0.0f, 0.0f};
}

static __device__ __forceinline__ float scaled(float logit, float scale)
{
    return __fmul_rn(logit, scale);
}

/* Takes in logits[0 .. count), scaled; a warp does it together, lane l taking l, l + 32, ... */
static __device__ __forceinline__ void add_logits(softmax_sums *s, const float *logits, int64_t count,
                                                  float scale)
{
    float most = -INFINITY, sum = 0.0f, weighted = 0.0f;
    for (int64_t j = threadIdx.x; j < count; j += WZ_WARP)
        most = fmaxf(most, scaled(logits[j], scale));
    const float largest = fmaxf(s->largest, warp_max(most));
    for (int64_t j = threadIdx.x; j < count; j += WZ_WARP) {
        const float l = scaled(logits[j], scale), e = expf(l - largest);
        sum = __fadd_rn(sum, e);
        weighted = e > 0.0f ? fmaf(l, e, weighted) : weighted; /* -inf * 0 counts as 0 */
    }
    const float before = s->largest == -INFINITY ? 0.0f : expf(s->largest - largest);
    s->sum = fmaf(s->sum, before, warp_sum(sum));
    s->weighted = fmaf(s->weighted, before, warp_sum(weighted));
    s->largest = largest;
}

/* Takes in the sums of other logits. */
static __device__ __forceinline__ void join_sums(softmax_sums *s, const softmax_sums &other)
{
    const float largest = fmaxf(s->largest, other.largest);
    const float before = s->largest == -INFINITY ? 0.0f : expf(s->largest - largest),
                joining = other.largest == -INFINITY ? 0.0f : expf(other.largest - largest);
    s->sum = fmaf(s->sum, before, __fmul_rn(other.sum, joining));
    s->weighted = fmaf(s->weighted, before, __fmul_rn(other.weighted, joining));
    s->largest = largest;
}

/* Columns of a chunk that are this warp's: logits[begin .. begin + count). */
typedef struct chunk_part {
    int64_t begin, count;
} chunk_part;

static __device__ __forceinline__ chunk_part part_of(int64_t width)
{
    const int64_t begin = (int64_t)threadIdx.y * PART, left = width - begin;
    return chunk_part{begin, left < 0 ? 0 : left < PART ? left : PART};
}

/* Takes in an entry's logits of one chunk, by a block of CHUNK_WARPS warps: their sums are joined in order. Again only
 * after a barrier. */
static __device__ __forceinline__ void add_chunk_logits(softmax_sums *s, const float *logits, int64_t width,
                                                        float scale)
{
    WZ_SHARED(float, largest, CHUNK_WARPS);
    WZ_SHARED(float, sum, CHUNK_WARPS);
    WZ_SHARED(float, weighted, CHUNK_WARPS);
    const chunk_part part = part_of(width);
    softmax_sums mine = no_sums();
    if (part.count > 0)
        add_logits(&mine, logits + part.begin, part.count, scale);
    if (threadIdx.x == 0) {
        largest[threadIdx.y] = mine.largest;
        sum[threadIdx.y] = mine.sum;
        weighted[threadIdx.y] = mine.weighted;
    }
    __syncthreads();
    for (int w = 0; w * PART < width; w++)
        join_sums(s, softmax_sums{largest[w], sum[w], weighted[w]});
}

static __device__ __forceinline__ float log_sum(const softmax_sums &s)
{
    return __fadd_rn(s.largest, logf(s.sum));
}

static __device__ __forceinline__ float entropy_of(const softmax_sums &s)
{
    return __fsub_rn(log_sum(s), s.weighted / s.sum);
}

/* Of a token with this scaled logit. */
static __device__ __forceinline__ float log_probability(float l, const softmax_sums &s)
{
    return __fsub_rn(l, log_sum(s));
}

/* logits[j] = head[tokens[j]] . hidden, by a warp: lanes share out the features, halves are added. H: as the head is stored. */
template <typename H>
static __device__ __forceinline__ void gather_logits(float *logits, const float *hidden,
                                                     const matrix<H> &head, const uint32_t *tokens,
                                                     int64_t count)
{
    for (int64_t j = 0; j < count; j++) {
        const H *column = row_of(head, tokens[j]);
        float sum = 0.0f;
        for (int64_t d = threadIdx.x; d < head.columns; d += WZ_WARP)
            sum = fmaf(column[d], hidden[d], sum);
        sum = warp_sum(sum);
        if (threadIdx.x == 0)
            logits[j] = sum;
    }
    __syncwarp();
}

/* Logits of a set, and their sums; by a warp. */
template <typename H>
static __device__ __forceinline__ softmax_sums set_sums(float *logits, const float *hidden,
                                                        const matrix<H> &head, const uint32_t *tokens,
                                                        int64_t count, float scale)
{
    softmax_sums sums = no_sums();
    gather_logits(logits, hidden, head, tokens, count);
    add_logits(&sums, logits, count, scale);
    return sums;
}

/* d/dl of  dlogp logp(target) + dentropy entropy  for one unscaled logit; p = e^(l - lse), l scaled. */
static __device__ __forceinline__ float logit_gradient(float logit, float scale, float lse, float entropy,
                                                       float dlogp, float dentropy, bool is_target)
{
    const float l = scaled(logit, scale), p = expf(l - lse);
    return scale * (p * fmaf(-dentropy, l - lse + entropy, -dlogp) + (is_target ? dlogp : 0.0f));
}

/* tile[r] = hidden[entries[r].row]; an entry of any kind. */
template <typename T, typename E>
static __global__ void gather_hidden(matrix<T> tile, matrix<float> hidden, const E *entries)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, r = at / tile.columns;
    if (r < tile.rows)
        row_of(tile, r)[at % tile.columns] = row_of(hidden, entries[r].row)[at % tile.columns];
}

static inline dim3 element_blocks(int64_t count)
{
    return dim3((unsigned)((count + 255) / 256)); /* of 256 threads */
}

/* Blocks of a warp per entry. */
static inline dim3 entry_blocks(int64_t count)
{
    return dim3((unsigned)((count + HEAD_WARPS - 1) / HEAD_WARPS));
}

static inline dim3 entry_threads(void)
{
    return dim3(WZ_WARP, HEAD_WARPS);
}

/* Of a block per entry, which shares out a chunk's columns. */
static inline dim3 chunk_threads(void)
{
    return dim3(WZ_WARP, CHUNK_WARPS);
}

/* A tile of the entries' hidden rows, of the type that products over the whole vocabulary read. */
template <typename E>
static void gather_tile(cuda_backend *cuda, wz_tensor tile, wz_tensor hidden, const E *entries)
{
    with_type(tile.type, [&](auto element) {
        using T = decltype(element);
        const auto kernel = gather_hidden<T, E>;
        WZ_LAUNCH(kernel, element_blocks(tile.rows * tile.columns), dim3(256), 0, cuda->stream,
                  matrix_of<T>(tile), matrix_of<float>(hidden), entries);
    });
}

/* Columns [column, column + width) of the vocabulary: rows of the head. */
static inline wz_tensor head_columns(wz_tensor head, int64_t column, int64_t width)
{
    char *data = (char *)head.data + (size_t)(column * head.stride) * wz_type_bytes(head.type);
    return wz_tensor{data, width, head.columns, head.stride, head.type};
}

/* Columns [column, column + width) of the logits of a tile's rows, to logits [rows][stride]: whole chunks, of which the first
 * begins with `column`, then the rest. */
void head_logits(cuda_backend *cuda, float *logits, int64_t stride, wz_tensor tile, wz_tensor head,
                 int64_t column, int64_t width);

/* Columns of the chunk that begins with this one. */
static inline int64_t chunk_width(wz_tensor head, int64_t column)
{
    return head.rows - column < CHUNK ? head.rows - column : CHUNK;
}

#endif
