/* Top-k, top-p and min-p without sorting. Each leaves the first tokens of one ranking, largest logits first and equal ones by
 * token; so a count says all, and the smallest of three counts is the kept set. The logit at a place of the ranking is
 * found bit by bit: a sum over the logits from there on, of 1 or of their probabilities, reaches the goal or does not. */
#include "cuda/head_sample.h"

#if defined(__CUDACC__)
#define CUT_WARPS 8 /* of a block, which has an entry */
#else
#define CUT_WARPS 2 /* the emulator's threads are slow */
#endif
#define CUT_THREADS (CUT_WARPS * WZ_WARP)

/* Keys are ordered as logits are, NaN first. */
static __device__ __forceinline__ uint32_t key_of(float logit)
{
    const uint32_t bits = __float_as_uint(logit == 0.0f ? 0.0f : logit); /* -0 and 0 are equal */
    if (logit != logit)
        return 0;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

static __device__ __forceinline__ float logit_of(uint32_t key)
{
    return __uint_as_float((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}

typedef struct cut_row {
    const float *logits;
    int64_t count;
    float largest, scale;
} cut_row;

/* Probability relative to the largest one. */
static __device__ __forceinline__ double mass_of(const cut_row &row, float logit)
{
    return (double)expf((logit - row.largest) * row.scale);
}

/* The sum over a block's threads, on every thread, in a fixed order. */
static __device__ double block_sum(double x)
{
    WZ_SHARED(double, part, CUT_WARPS);
    x = warp_sum_double(x);
    __syncthreads(); /* the last sum has been read */
    if (threadIdx.x % WZ_WARP == 0)
        part[threadIdx.x / WZ_WARP] = x;
    __syncthreads();
    double sum = 0.0;
    for (int64_t i = 0; i < CUT_WARPS; i++)
        sum += part[i];
    return sum;
}

static __device__ float block_max(float x)
{
    WZ_SHARED(float, part, CUT_WARPS);
    x = warp_max(x);
    __syncthreads();
    if (threadIdx.x % WZ_WARP == 0)
        part[threadIdx.x / WZ_WARP] = x;
    __syncthreads();
    float most = -INFINITY;
    for (int64_t i = 0; i < CUT_WARPS; i++)
        most = fmaxf(most, part[i]);
    return most;
}

typedef enum cut_measure { COUNT, MASS } cut_measure;

/* Over the logits whose keys are at least this. Never falls as more logits take part: each joins a sum of fixed order. */
static __device__ double sum_from(const cut_row &row, uint32_t key, cut_measure measure)
{
    double sum = 0.0;
    for (int64_t j = threadIdx.x; j < row.count; j += CUT_THREADS)
        if (key_of(row.logits[j]) >= key)
            sum += measure == COUNT ? 1.0 : mass_of(row, row.logits[j]);
    return block_sum(sum);
}

/* The largest key from which on the sum reaches the goal. */
static __device__ uint32_t reach(const cut_row &row, double goal, cut_measure measure)
{
    uint32_t key = 0;
    for (int bit = 31; bit >= 0; bit--) {
        const uint32_t higher = key | 1u << bit;
        if (sum_from(row, higher, measure) >= goal)
            key = higher;
    }
    return key;
}

/* The fewest of the first `kept` tokens whose probabilities sum to p of theirs. */
static __device__ double keep_mass(const cut_row &row, double kept, double p)
{
    const uint32_t last = reach(row, kept, COUNT);
    const double all = sum_from(row, last + 1, MASS) +
                       (kept - sum_from(row, last + 1, COUNT)) * mass_of(row, logit_of(last));
    if (!(all > 0.0)) /* NaN */
        return kept;
    const uint32_t largest = key_of(row.largest), found = reach(row, p * all, MASS);
    const uint32_t key = found < largest ? found : largest;
    const double ties = ceil((p * all - sum_from(row, key + 1, MASS)) / mass_of(row, logit_of(key)));
    return sum_from(row, key + 1, COUNT) + fmax(ties, 1.0);
}

/* Tokens at least p times as probable as the first. */
static __device__ double keep_likely(const cut_row &row, double p)
{
    double count = 0.0;
    for (int64_t j = threadIdx.x; j < row.count; j += CUT_THREADS)
        count += mass_of(row, row.logits[j]) < p ? 0.0 : 1.0;
    return fmax(block_sum(count), 1.0);
}

static __global__ void cut_entries(sample_cut *cuts, const float *logits, const sample_entry *entries,
                                   wz_sampling sampling, float scale)
{
    const sample_entry e = entries[blockIdx.x];
    float most = -INFINITY;
    for (int64_t j = threadIdx.x; j < e.count; j += CUT_THREADS)
        most = fmaxf(most, logits[e.first + j]);
    const cut_row row = {logits + e.first, e.count, block_max(most), scale};
    double kept = (double)e.count;
    if (sampling.top_k > 0)
        kept = fmin(kept, (double)sampling.top_k);
    if (sampling.top_p < 1.0f)
        kept = fmin(kept, keep_mass(row, kept, (double)sampling.top_p));
    if (sampling.min_p > 0.0f)
        kept = fmin(kept, keep_likely(row, (double)sampling.min_p));
    const uint32_t threshold = reach(row, kept, COUNT);
    const double ties = kept - sum_from(row, threshold + 1, COUNT);
    if (threadIdx.x == 0)
        cuts[blockIdx.x] = sample_cut{threshold, (int32_t)ties, (int32_t)kept};
}

bool find_cuts(cuda_backend *cuda, sample_cut *cuts, const sample_batch *batch, const wz_sampling *sampling)
{
    WZ_LAUNCH(cut_entries, dim3((unsigned)batch->rows), dim3(CUT_THREADS), 0, cuda->stream, cuts,
              batch->logits, batch->entries, *sampling, inverse_temperature(sampling->temperature));
    return CUDA_LAUNCHED(cuda, "head sample", batch->rows, batch->pairs);
}

/* A warp has an entry: 32 pairs at a time say which stay, and each finds its place among them. */
static __global__ void copy_kept(uint32_t *kept, const sample_entry *to, const sample_cut *cuts,
                                 sample_batch batch)
{
    const int64_t i = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (i >= batch.rows || to[i].count == 0)
        return;
    const sample_entry e = batch.entries[i];
    const uint32_t below = (1u << threadIdx.x) - 1;
    uint32_t *out = kept + to[i].first;
    sample_cut cut = cuts[i];
    for (int64_t begin = 0; begin < e.count; begin += WZ_WARP) {
        const int64_t j = begin + threadIdx.x;
        const uint32_t key = j < e.count ? key_of(batch.logits[e.first + j]) : 0;
        const bool tie = j < e.count && key == cut.threshold;
        const uint32_t ties = __ballot_sync(WZ_ALL_LANES, tie);
        const bool stays = j < e.count && (key > cut.threshold || (tie && __popc(ties & below) < cut.ties));
        const uint32_t staying = __ballot_sync(WZ_ALL_LANES, stays);
        if (stays)
            out[__popc(staying & below)] = batch.tokens != NULL ? batch.tokens[e.set + j] : (uint32_t)j;
        out += __popc(staying);
        cut.ties -= __popc(ties);
    }
}

bool take_kept(cuda_backend *cuda, uint32_t *kept, const sample_entry *to, const sample_cut *cuts,
               const sample_batch *batch)
{
    WZ_LAUNCH(copy_kept, entry_blocks(batch->rows), entry_threads(), 0, cuda->stream, kept, to, cuts, *batch);
    return CUDA_LAUNCHED(cuda, "head sample", batch->rows, batch->pairs);
}
