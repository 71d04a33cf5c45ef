/* The draw: Gumbel-max (temperature 0: argmax) beside the sums that give logp and entropy, by a warp each. */
#include "cuda/head_sample.h"

#define PHILOX_FUNCTION static __device__ __forceinline__
#include "engine/backend/gumbel.h"

/* Until something is offered; what stays when all logits are NaN, so that the token is one of the set. */
static __device__ __forceinline__ winner no_winner(uint32_t first_token)
{
    return winner{-INFINITY, first_token, -INFINITY};
}

static __device__ __forceinline__ winner better(const winner &a, const winner &b)
{
    return b.value > a.value || (b.value == a.value && b.token < a.token) ? b : a;
}

static __device__ __forceinline__ winner warp_winner(winner best)
{
    for (int lanes = WZ_WARP / 2; lanes > 0; lanes /= 2)
        best = better(best, winner{__shfl_xor_sync(WZ_ALL_LANES, best.value, lanes),
                                   __shfl_xor_sync(WZ_ALL_LANES, best.token, lanes),
                                   __shfl_xor_sync(WZ_ALL_LANES, best.logit, lanes)});
    return best;
}

static __device__ __forceinline__ void offer(winner *best, double value, uint32_t token, float logit)
{
    if (value > best->value)
        *best = winner{value, token, logit};
}

/* The winner of a set's `count` tokens; by a warp. */
static __device__ winner draw_set(const float *logits, const uint32_t *tokens, int64_t count,
                                  const wz_draw_key &key, const draw_rule &rule)
{
    winner best = no_winner(tokens[0]);
    for (int64_t j = threadIdx.x; j < count; j += WZ_WARP) {
        const float l = scaled(logits[j], rule.scale);
        offer(&best, (double)l + (rule.greedy ? 0.0 : gumbel(&key, tokens[j])), tokens[j], l);
    }
    return warp_winner(best);
}

/* The winner of `best`, which all lanes bring, and of the columns from `first` on; by a warp. */
static __device__ winner greedy_columns(winner best, const float *logits, uint32_t first, int64_t count,
                                        float scale)
{
    for (int64_t j = threadIdx.x; j < count; j += WZ_WARP) {
        const float l = scaled(logits[j], scale);
        offer(&best, (double)l, first + (uint32_t)j, l);
    }
    return warp_winner(best);
}

/* Scaled logits j .. j + 3, -inf from `count` on; j: a multiple of 4. */
static __device__ __forceinline__ void take_logits(float *l, const float *logits, int j, int count,
                                                   float scale)
{
    if (j + GUMBEL_WORDS <= count) {
        const sixteen_bytes four = *(const sixteen_bytes *)(logits + j);
        WZ_UNROLL
        for (int i = 0; i < GUMBEL_WORDS; i++)
            l[i] = scaled(__uint_as_float(four.word[i]), scale);
        return;
    }
    WZ_UNROLL
    for (int i = 0; i < GUMBEL_WORDS; i++)
        l[i] = j + i < count ? scaled(logits[j + i], scale) : -INFINITY;
}

/* The same with noise; `first` and where the logits are: multiples of 4. A lane takes the four tokens of a draw's words. The
 * noise itself is computed, by the whole warp, only where a lane's token may reach the largest value that any lane has met:
 * of tokens with equal logits, the n-th does with a probability of 1.06 / n. */
static __device__ winner noisy_columns(winner best, const float *logits, uint32_t first, int count,
                                       const wz_draw_key &key, float scale)
{
    float least = (float)best.value;
    for (int begin = 0; begin < count; begin += GUMBEL_WORDS * WZ_WARP) {
        const int j = begin + GUMBEL_WORDS * (int)threadIdx.x;
        const uint32_t token = first + (uint32_t)j;
        uint32_t words[GUMBEL_WORDS];
        float l[GUMBEL_WORDS];
        take_logits(l, logits, j, count, scale);
        philox_draw(&key, token / GUMBEL_WORDS, words);
        /* None does where the largest logit with the smallest word, of the largest noise, would not. */
        const float largest = fmaxf(fmaxf(l[0], l[1]), fmaxf(l[2], l[3]));
        const uint32_t smallest = min(min(words[0], words[1]), min(words[2], words[3]));
        if (!__any_sync(WZ_ALL_LANES, gumbel_may_reach(largest, smallest, least)))
            continue;
        WZ_UNROLL
        for (int i = 0; i < GUMBEL_WORDS; i++)
            if (__any_sync(WZ_ALL_LANES, gumbel_may_reach(l[i], words[i], least))) {
                offer(&best, (double)l[i] + gumbel_of(words[i]), token + (uint32_t)i, l[i]);
                least = warp_max((float)best.value);
            }
    }
    return warp_winner(best);
}

static __device__ __forceinline__ sample_value value_of(const winner &best, const softmax_sums &sums)
{
    return sample_value{best.token, log_probability(best.logit, sums), entropy_of(sums)};
}

template <typename H>
static __global__ void sample_sets(sample_value *values, sample_batch batch, matrix<float> hidden,
                                   matrix<H> head, draw_rule rule)
{
    const int64_t i = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (i >= batch.rows || batch.entries[i].count == 0)
        return;
    const sample_entry e = batch.entries[i];
    const uint32_t *tokens = batch.tokens + e.set;
    float *logits = batch.logits + e.first;
    const softmax_sums sums = set_sums(logits, row_of(hidden, e.row), head, tokens, e.count, rule.scale);
    const winner best = draw_set(logits, tokens, e.count, e.key, rule);
    if (threadIdx.x == 0)
        values[i] = value_of(best, sums);
}

template <typename H>
static __global__ void gather_sets(sample_batch batch, matrix<float> hidden, matrix<H> head)
{
    const int64_t i = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (i >= batch.rows)
        return;
    const sample_entry e = batch.entries[i];
    gather_logits(batch.logits + e.first, row_of(hidden, e.row), head, batch.tokens + e.set, e.count);
}

/* Columns [column, column + width) of the vocabulary, chunk by chunk. A block has an entry, and each of its warps a part of
 * a chunk's columns. */
static __global__ void sample_chunks(sample_value *values, sample_state *states, matrix<float> logits,
                                     const sample_entry *entries, int64_t column, draw_rule rule)
{
    WZ_SHARED(double, value, CHUNK_WARPS);
    WZ_SHARED(uint32_t, token, CHUNK_WARPS);
    WZ_SHARED(float, logit, CHUNK_WARPS);
    const int64_t r = blockIdx.x;
    const wz_draw_key key = entries[r].key;
    sample_state s = column > 0 ? states[r] : sample_state{no_winner(0), no_sums()};
    for (int64_t first = 0; first < logits.columns; first += CHUNK) {
        const int64_t left = logits.columns - first, width = left < CHUNK ? left : CHUNK;
        const float *mine = row_of(logits, r) + first;
        const chunk_part part = part_of(width);
        const uint32_t begin = (uint32_t)(column + first + part.begin);
        const winner best =
            rule.greedy ? greedy_columns(s.best, mine + part.begin, begin, part.count, rule.scale)
                        : noisy_columns(s.best, mine + part.begin, begin, (int)part.count, key, rule.scale);
        if (threadIdx.x == 0) {
            value[threadIdx.y] = best.value;
            token[threadIdx.y] = best.token;
            logit[threadIdx.y] = best.logit;
        }
        add_chunk_logits(&s.sums, mine, width, rule.scale); /* and all know the winners */
        for (int w = 0; w < CHUNK_WARPS; w++)
            s.best = better(s.best, winner{value[w], token[w], logit[w]});
        __syncthreads(); /* before the next chunk's are written */
    }
    if (threadIdx.x > 0 || threadIdx.y > 0)
        return;
    states[r] = s;
    values[r] = value_of(s.best, s.sums);
}

void draw_sets(cuda_backend *cuda, sample_value *values, const sample_batch *batch, wz_tensor hidden,
               wz_tensor head, const draw_rule *rule)
{
    with_type(head.type, [&](auto element) {
        using H = decltype(element);
        WZ_LAUNCH(sample_sets<H>, entry_blocks(batch->rows), entry_threads(), 0, cuda->stream, values, *batch,
                  matrix_of<float>(hidden), matrix_of<H>(head), *rule);
    });
}

void gather_batch(cuda_backend *cuda, const sample_batch *batch, wz_tensor hidden, wz_tensor head)
{
    with_type(head.type, [&](auto element) {
        using H = decltype(element);
        WZ_LAUNCH(gather_sets<H>, entry_blocks(batch->rows), entry_threads(), 0, cuda->stream, *batch,
                  matrix_of<float>(hidden), matrix_of<H>(head));
    });
}

void draw_tile(cuda_backend *cuda, const draw_memory *memory, sample_value *values,
               const sample_entry *entries, wz_tensor hidden, wz_tensor head, const draw_rule *rule)
{
    const int64_t rows = memory->hidden.rows;
    gather_tile(cuda, memory->hidden, hidden, entries);
    for (int64_t column = 0, width; column < head.rows; column += width) {
        const int64_t left = head.rows - column, whole = left < CHUNK ? left : left / CHUNK * CHUNK;
        width = whole < memory->columns ? whole : memory->columns;
        head_logits(cuda, memory->logits, memory->columns, memory->hidden, head, column, width);
        const matrix<float> logits = {memory->logits, rows, width, memory->columns};
        WZ_LAUNCH(sample_chunks, dim3((unsigned)rows), chunk_threads(), 0, cuda->stream, values,
                  memory->states, logits, entries, column, *rule);
    }
    CUDA_LAUNCHED(cuda, "drawing tokens", rows, head.rows);
}
