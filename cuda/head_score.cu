/* Head score: logp and entropy of entries under their sets, and the log-probability that the whole softmax gives to a set.
 * Here small sets, of which only the columns are touched; entries over the whole vocabulary go to head_vocab.cu. */
#include <stdlib.h>

#include "cuda/head_score.h"

/* Pairs of small entries at once; one entry may have more. A cut changes no bit: sums go on where they were. */
#if defined(__CUDACC__)
#define PART_PAIRS ((int64_t)1 << 18)
#else
#define PART_PAIRS ((int64_t)40)
#endif

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
        score_entry e = {};
        e.row = (int32_t)i;
        e.target = c->target != NULL ? c->target[i] : -1;
        e.dlogp = c->dlogp != NULL ? c->dlogp[i] : 0.0f;
        e.dentropy = c->dentropy != NULL ? c->dentropy[i] : 0.0f;
        e.logp = c->known_logp != NULL ? c->known_logp[i] : 0.0f;
        e.entropy = c->known_entropy != NULL ? c->known_entropy[i] : 0.0f;
        if (c->allowed || set == 0) {
            e.first = c->allowed ? (int32_t)c->masks->offset[set] : 0;
            e.count = c->allowed ? (int32_t)set_size(c->masks, set) : 0;
            out->whole[out->wholes++] = e;
            continue;
        }
        const int64_t count = set_size(c->masks, set);
        e.target = (int32_t)set_first_from(c->masks, set, (uint32_t)e.target);
        e.first = (int32_t)out->pairs;
        e.count = (int32_t)count;
        out->small[out->smalls++] = e;
        for (int64_t j = 0; j < count; j++) {
            out->pair_token[out->pairs] = (int32_t)c->masks->tokens[c->masks->offset[set] + (uint32_t)j];
            out->pair_row[out->pairs++] = (int32_t)i;
        }
    }
    return true;
}

template <typename H>
static __global__ void small_scores(score_pair *result, float *logits, matrix<float> hidden, matrix<H> head,
                                    const score_entry *entries, int64_t count, const uint32_t *tokens,
                                    float scale)
{
    const int64_t i = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (i >= count)
        return;
    const score_entry e = entries[i];
    float *mine = logits + e.first;
    const softmax_sums sums = set_sums(mine, row_of(hidden, e.row), head, tokens + e.first, e.count, scale);
    if (threadIdx.x == 0)
        result[i] = score_pair{log_probability(scaled(mine[e.target], scale), sums), entropy_of(sums)};
}

/* logits become their gradients; dhidden is written. */
template <typename H>
static __global__ void small_gradients(matrix<float> dhidden, float *logits, matrix<float> hidden,
                                       matrix<H> head, const score_entry *entries, int64_t count,
                                       const uint32_t *tokens, float scale)
{
    const int64_t i = (int64_t)blockIdx.x * HEAD_WARPS + threadIdx.y;
    if (i >= count)
        return;
    const score_entry e = entries[i];
    float *mine = logits + e.first;
    const softmax_sums sums = set_sums(mine, row_of(hidden, e.row), head, tokens + e.first, e.count, scale);
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
static __global__ void small_head_gradient(matrix<float> dhead, matrix<float> hidden, const float *slope,
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

/* The small entries' lists on the device. */
typedef struct small_lists {
    const score_entry *entries;
    const uint32_t *tokens;
    const int32_t *pair_row; /* of the backward pass */
} small_lists;

/* Of lists and of the scatter of a backward pass. */
static size_t small_room(size_t entries, size_t pairs)
{
    return cuda_whole_steps(entries * sizeof(score_entry)) + 2 * cuda_whole_steps(pairs * sizeof(int32_t)) +
           made_scatter_room((int64_t)pairs);
}

static bool stage_small(const score_call *c, const score_lists *lists, small_lists *out)
{
    const size_t entries = (size_t)lists->smalls, pairs = (size_t)lists->pairs * sizeof(int32_t);
    cuda_piece piece[] = {{lists->small, entries * sizeof(score_entry), NULL},
                          {lists->pair_token, pairs, NULL},
                          {lists->pair_row, c->dhead.data != NULL ? pairs : 0, NULL}};
    if (!cuda_stage_room(c->cuda, small_room(entries, (size_t)lists->pairs), "head score") ||
        !cuda_stage_pieces(c->cuda, piece, 3, "head score"))
        return false;
    *out = small_lists{(const score_entry *)piece[0].device, (const uint32_t *)piece[1].device,
                       (const int32_t *)piece[2].device};
    return true;
}

static void score_small(const score_call *c, const score_lists *lists)
{
    small_lists there;
    const size_t bytes = (size_t)lists->smalls * sizeof(score_pair) + (size_t)lists->pairs * sizeof(float);
    score_pair *result = (score_pair *)cuda_scratch(c->cuda, bytes, "head score");
    if (lists->smalls == 0 || result == NULL || !stage_small(c, lists, &there))
        return;
    float *logits = (float *)(result + lists->smalls);
    with_type(c->head.type, [&](auto element) {
        using H = decltype(element);
        WZ_LAUNCH(small_scores<H>, entry_blocks(lists->smalls), entry_threads(), 0, c->cuda->stream, result,
                  logits, matrix_of<float>(c->hidden), matrix_of<H>(c->head), there.entries, lists->smalls,
                  there.tokens, c->scale);
    });
    if (CUDA_LAUNCHED(c->cuda, "head score", lists->smalls, lists->pairs))
        fetch_scores(c, result, lists->smalls, lists->small);
}

static void small_backward(const score_call *c, const score_lists *lists)
{
    small_lists there;
    cuda_scatter scatter = {};
    float *logits =
        (float *)cuda_scratch(c->cuda, (size_t)lists->pairs * sizeof(float), "head score backward");
    if (lists->smalls == 0 || logits == NULL || !stage_small(c, lists, &there))
        return;
    with_type(c->head.type, [&](auto element) {
        using H = decltype(element);
        WZ_LAUNCH(small_gradients<H>, entry_blocks(lists->smalls), entry_threads(), 0, c->cuda->stream,
                  matrix_of<float>(c->dhidden), logits, matrix_of<float>(c->hidden), matrix_of<H>(c->head),
                  there.entries, lists->smalls, there.tokens, c->scale);
    });
    if (!CUDA_LAUNCHED(c->cuda, "head score backward", lists->smalls, lists->pairs) || c->dhead.data == NULL)
        return;
    if (!cuda_make_scatter(c->cuda, lists->pair_token, NULL, lists->pairs, &scatter))
        return;
    const int64_t threads = scatter.targets * c->hidden.columns;
    WZ_LAUNCH(small_head_gradient, element_blocks(threads), dim3(256), 0, c->cuda->stream,
              matrix_of<float>(c->dhead), matrix_of<float>(c->hidden), logits, there.pair_row, scatter.target,
              scatter.begin, scatter.order, scatter.targets);
    CUDA_LAUNCHED(c->cuda, "head score backward", lists->smalls, lists->pairs);
}

void fetch_scores(const score_call *c, const score_pair *from, int64_t count, const score_entry *entries)
{
    void *block = NULL;
    wz_error err = {{0}};
    const wz_status status = wz_alloc(&block, (size_t)count, sizeof(score_pair), "head score", &err);
    if (status != WZ_OK) {
        cuda_fail(c->cuda, status, &err);
        return;
    }
    const score_pair *host = (const score_pair *)block;
    if (cuda_fetch(c->cuda, block, from, (size_t)count * sizeof(score_pair), "head score"))
        for (int64_t i = 0; i < count; i++) {
            const int32_t to = entries[i].row;
            c->logp[to] = host[i].logp;
            if (c->entropy != NULL)
                c->entropy[to] = host[i].entropy;
        }
    free(block);
}

/* Small entries from `first` on, with their pairs from `pair` on, as many as go at once. */
static score_lists next_part(const score_lists *all, int64_t first, int64_t pair)
{
    score_lists part = {};
    part.small = all->small + first;
    part.pair_token = all->pair_token + pair;
    part.pair_row = all->pair_row + pair;
    for (; first + part.smalls < all->smalls; part.smalls++) {
        score_entry *e = &part.small[part.smalls];
        if (part.smalls > 0 && part.pairs + e->count > PART_PAIRS)
            break;
        e->first = (int32_t)part.pairs;
        part.pairs += e->count;
    }
    return part;
}

cuda_need cuda_head_score_need(const wz_op_bounds *b)
{
    const int64_t most = b->set > PART_PAIRS ? b->set : PART_PAIRS;
    const size_t entries = (size_t)b->entries,
                 pairs = (size_t)(b->entries * b->set < most ? b->entries * b->set : most);
    return cuda_need{entries * sizeof(score_pair) + pairs * sizeof(float), small_room(entries, pairs)};
}

static void run(const score_call *c, bool backward)
{
    score_lists lists;
    if (c->hidden.rows == 0 || !make_lists(c, &lists))
        return;
    for (int64_t first = 0, pair = 0; first < lists.smalls;) {
        const score_lists part = next_part(&lists, first, pair);
        if (backward)
            small_backward(c, &part);
        else
            score_small(c, &part);
        first += part.smalls;
        pair += part.pairs;
    }
    score_whole(c, &lists, backward);
    free(lists.block);
}

/* A call with what all four have. */
static score_call call_of(wz_backend *backend, wz_tensor hidden, const wz_linear *head, const uint32_t *mask,
                          const wz_mask_table *masks)
{
    score_call c = {};
    c.cuda = cuda_of(backend);
    c.hidden = hidden;
    c.head = head->weight;
    c.working_head = cuda_weight_for(head, backend->working_type);
    c.working_type = backend->working_type;
    c.mask = mask;
    c.masks = masks;
    c.scale = 1.0f;
    return c;
}

void cuda_head_score_forward(wz_backend *backend, float *logp, float *entropy, wz_tensor hidden,
                             const wz_linear *head, const int32_t *target, const uint32_t *mask,
                             const wz_mask_table *masks, float temperature)
{
    score_call c = call_of(backend, hidden, head, mask, masks);
    c.logp = logp;
    c.entropy = entropy;
    c.target = target;
    c.scale = inverse_temperature(temperature);
    run(&c, false);
}

void cuda_head_score_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                              const float *dentropy, const float *logp, const float *entropy,
                              wz_tensor hidden, const wz_linear *head, const int32_t *target,
                              const uint32_t *mask, const wz_mask_table *masks, float temperature,
                              const wz_row_groups *groups)
{
    score_call c = call_of(backend, hidden, head, mask, masks);
    (void)groups;
    c.dhidden = dhidden;
    c.dhead = dhead;
    c.dlogp = dlogp;
    c.dentropy = dentropy;
    c.known_logp = logp;
    c.known_entropy = entropy;
    c.target = target;
    c.scale = inverse_temperature(temperature);
    run(&c, true);
}

void cuda_head_allowed_forward(wz_backend *backend, float *logp, wz_tensor hidden, const wz_linear *head,
                               const uint32_t *mask, const wz_mask_table *masks)
{
    score_call c = call_of(backend, hidden, head, mask, masks);
    c.logp = logp;
    c.allowed = true;
    run(&c, false);
}

void cuda_head_allowed_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                                wz_tensor hidden, const wz_linear *head, const uint32_t *mask,
                                const wz_mask_table *masks, const wz_row_groups *groups)
{
    score_call c = call_of(backend, hidden, head, mask, masks);
    (void)groups;
    c.dhidden = dhidden;
    c.dhead = dhead;
    c.dlogp = dlogp;
    c.allowed = true;
    run(&c, true);
}
