/* Head sample: the same logits as head score, then Gumbel-max (temperature 0: argmax).
 *
 * Small sets: logits of the allowed tokens. The whole vocabulary: chunk by chunk; with top-k, top-p or min-p one
 * row of logits is kept, the kept set is chosen, and from there on it is a small set, so that scoring the
 * recorded set later repeats the arithmetic. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/head_score.h"

#define PHILOX_FUNCTION static inline
#include "engine/backend/gumbel.h"

typedef struct sample_job {
    cpu_backend *cpu;
    wz_sample_result *result;
    uint32_t *kept_tokens;
    int64_t kept_stride;
    wz_tensor hidden, head;
    const wz_sample_request *request;
    int64_t requests;
    const wz_mask_table *masks;
    const wz_sampling *sampling;
    float scale;
    bool cuts;       /* top-k, top-p or min-p is on */
    vocab_walk walk; /* for requests over the whole vocabulary */
    int32_t *whole;  /* their numbers */
    int64_t wholes;
} sample_job;

/* The token of largest (scaled logit + noise) so far; ties to the lowest token since tokens ascend. */
typedef struct winner {
    double value;
    uint32_t token;
    float logit;
} winner;

static void offer(winner *best, double value, uint32_t token, float logit)
{
    if (value > best->value)
        *best = (winner){value, token, logit};
}

static bool is_greedy(const sample_job *job)
{
    return !(job->sampling->temperature > 0.0f);
}

/* Offers the tokens first .. first + count, first a multiple of 4; noise is computed of those only that it may make the
 * best. */
static void offer_all(winner *best, const wz_draw_key *key, uint32_t first, const float *logits,
                      int64_t count)
{
    uint32_t words[GUMBEL_WORDS] = {0};
    float least = (float)best->value;
    for (int64_t j = 0; j < count; j++) {
        const uint32_t token = first + (uint32_t)j;
        if (j % GUMBEL_WORDS == 0)
            philox_draw(key, token / GUMBEL_WORDS, words);
        const uint32_t word = words[j % GUMBEL_WORDS];
        if (gumbel_may_reach(logits[j], word, least)) {
            offer(best, (double)logits[j] + gumbel_of(word), token, logits[j]);
            least = (float)best->value;
        }
    }
}

static void offer_all_greedily(winner *best, uint32_t first, const float *logits, int64_t count)
{
    for (int64_t j = 0; j < count; j++)
        offer(best, (double)logits[j], first + (uint32_t)j, logits[j]);
}

/* Until something is offered; what stays when all logits are NaN, so that the token is one of the set. */
static winner no_winner(uint32_t first_token)
{
    return (winner){-INFINITY, first_token, -INFINITY};
}

/* Samples from `count` tokens whose unscaled logits are given (in whole vectors of room); fills all but kept. */
static void sample_from(const sample_job *job, int64_t number, const uint32_t *tokens, float *logits,
                        int64_t count)
{
    wz_sample_result *result = &job->result[number];
    softmax_state state;
    float lse = 0.0f;
    winner best = no_winner(tokens[0]);
    softmax_begin(&state);
    softmax_add(&state, logits, count, job->scale);
    softmax_end(&state, &lse, &result->entropy);
    for (int64_t j = 0; j < count; j++)
        offer(&best,
              (double)logits[j] + (is_greedy(job) ? 0.0 : gumbel(&job->request[number].key, tokens[j])),
              tokens[j], logits[j]);
    result->token = best.token;
    result->logp = best.logit - lse;
}

typedef struct ranked {
    float logit;
    uint32_t token;
} ranked;

static int by_logit(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

static int by_token(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* Cuts a ranked list as transformers does: top-k, then top-p, then min-p, each on the distribution left by the
 * one before. At least one token stays. Returns how many stay. */
static int64_t cut_ranked(const sample_job *job, const ranked *list, int64_t count)
{
    const wz_sampling *s = job->sampling;
    if (s->top_k > 0 && s->top_k < count)
        count = s->top_k;
    const double largest = (double)list[0].logit * (double)job->scale;
    if (s->top_p < 1.0f) {
        double all = 0.0, sum = 0.0;
        for (int64_t j = 0; j < count; j++)
            all += exp((double)list[j].logit * (double)job->scale - largest);
        for (int64_t j = 0; j < count; j++) {
            if (j > 0 && sum >= (double)s->top_p * all) {
                count = j;
                break;
            }
            sum += exp((double)list[j].logit * (double)job->scale - largest);
        }
    }
    while (s->min_p > 0.0f && count > 1 &&
           exp((double)list[count - 1].logit * (double)job->scale - largest) < (double)s->min_p)
        count--;
    return count;
}

/* Chooses the kept set among `count` tokens and samples from it; returns its size. */
static int64_t sample_cut(const sample_job *job, int64_t number, ranked *list, int64_t count, float *logits)
{
    qsort(list, (size_t)count, sizeof *list, by_logit);
    const int64_t kept = cut_ranked(job, list, count);
    qsort(list, (size_t)kept, sizeof *list, by_token);
    uint32_t *tokens = job->kept_tokens + number * job->kept_stride;
    for (int64_t j = 0; j < kept; j++)
        tokens[j] = list[j].token;
    gather_logits(logits, row_of(job->hidden, job->request[number].row), job->head, tokens, kept);
    sample_from(job, number, tokens, logits, kept);
    job->result[number].kept = (uint32_t)kept;
    return kept;
}

static int64_t sort_room(const sample_job *job)
{
    int64_t most = largest_set(job->masks);
    return round_lanes(job->wholes > 0 && job->head.rows > most ? job->head.rows : most);
}

static void small_task(void *argument, size_t task, size_t thread)
{
    const sample_job *job = argument;
    const uint32_t set = job->request[task].mask;
    if (set == 0)
        return;
    const uint32_t *tokens = job->masks->tokens + job->masks->offset[set];
    const int64_t count = set_size(job->masks, set);
    float *logits = cpu_scratch(job->cpu, thread);
    gather_logits(logits, row_of(job->hidden, job->request[task].row), job->head, tokens, count);
    if (job->cuts) {
        ranked *list = (ranked *)(void *)(logits + sort_room(job));
        for (int64_t j = 0; j < count; j++)
            list[j] = (ranked){logits[j], tokens[j]};
        (void)sample_cut(job, (int64_t)task, list, count, logits);
    } else {
        sample_from(job, (int64_t)task, tokens, logits, count);
        job->result[task].kept = (uint32_t)count;
    }
}

/* Requests numbers[0 .. rows), rows <= TILE_MAX, over the whole vocabulary without cuts: one pass over the chunks. */
static void sample_whole(const sample_job *job, const int32_t *numbers, int64_t rows, float *tile,
                         float *logits)
{
    int32_t index[TILE_MAX] = {0};
    softmax_state state[TILE_MAX];
    winner best[TILE_MAX];
    for (int64_t r = 0; r < rows; r++) {
        index[r] = job->request[numbers[r]].row;
        softmax_begin(&state[r]);
        best[r] = no_winner(0);
    }
    vocab_walk_gather(&job->walk, tile, index, rows);
    for (int64_t chunk = 0; chunk < job->walk.chunks; chunk++) {
        int64_t width = vocab_walk_logits(&job->walk, logits, tile, rows, chunk);
        for (int64_t r = 0; r < rows; r++) {
            float *l = logits + r * VOCAB_CHUNK;
            softmax_add(&state[r], l, width, job->scale);
            const uint32_t first = (uint32_t)(chunk * VOCAB_CHUNK);
            if (is_greedy(job))
                offer_all_greedily(&best[r], first, l, width);
            else
                offer_all(&best[r], &job->request[numbers[r]].key, first, l, width);
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        wz_sample_result *result = &job->result[numbers[r]];
        float lse = 0.0f;
        softmax_end(&state[r], &lse, &result->entropy);
        result->token = best[r].token;
        result->logp = best[r].logit - lse;
        result->kept = (uint32_t)job->head.rows;
    }
}

static void whole_task(void *argument, size_t task, size_t thread)
{
    const sample_job *job = argument;
    const int64_t left = job->wholes - (int64_t)task * TILE_MAX;
    float *tile = cpu_scratch(job->cpu, thread), *logits = tile + TILE_MAX * job->hidden.columns;
    sample_whole(job, job->whole + (int64_t)task * TILE_MAX, left < TILE_MAX ? left : TILE_MAX, tile, logits);
}

/* One request over the whole vocabulary with cuts. */
static void whole_cut_task(void *argument, size_t task, size_t thread)
{
    const sample_job *job = argument;
    const int32_t number = job->whole[task];
    float *tile = cpu_scratch(job->cpu, thread), *logits = tile + TILE_MAX * job->hidden.columns;
    ranked *list = (ranked *)(void *)(tile + vocab_walk_floats(job->head));
    float *few = (float *)(void *)(list + sort_room(job));
    vocab_walk_gather(&job->walk, tile, &job->request[number].row, 1);
    for (int64_t chunk = 0; chunk < job->walk.chunks; chunk++) {
        int64_t width = vocab_walk_logits(&job->walk, logits, tile, 1, chunk);
        for (int64_t j = 0; j < width; j++)
            list[chunk * VOCAB_CHUNK + j] = (ranked){logits[j], (uint32_t)(chunk * VOCAB_CHUNK + j)};
    }
    /* Nothing cut: this is set 0, and will be scored with the arithmetic of the whole vocabulary. */
    if (sample_cut(job, number, list, job->head.rows, few) == job->head.rows)
        sample_whole(job, &number, 1, tile, logits);
}

wz_status cpu_head_sample(wz_backend *backend, wz_sample_result *result, uint32_t *kept_tokens,
                          int64_t kept_stride, wz_tensor hidden, const wz_linear *head,
                          const wz_sample_request *request, int64_t requests, const wz_mask_table *masks,
                          const wz_sampling *sampling, wz_error *err)
{
    sample_job job = {.cpu = cpu_of(backend),
                      .result = result,
                      .kept_tokens = kept_tokens,
                      .kept_stride = kept_stride,
                      .hidden = hidden,
                      .head = head->weight,
                      .request = request,
                      .requests = requests,
                      .masks = masks,
                      .sampling = sampling,
                      .scale = inverse_temperature(sampling->temperature),
                      .cuts = sampling_cuts(sampling)};
    void *block = NULL;
    wz_status status = check_draw_keys(request, requests, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, (size_t)requests, sizeof(int32_t), "sampling requests", err);
    if (status != WZ_OK)
        return status;
    job.whole = block;
    for (int64_t i = 0; i < requests; i++)
        if (request[i].mask == 0)
            job.whole[job.wholes++] = (int32_t)i;
    const int64_t room = sort_room(&job);
    size_t floats = (size_t)(2 * room + WZ_LANES) + (size_t)room * sizeof(ranked) / sizeof(float);
    if (job.wholes > 0)
        floats += (size_t)vocab_walk_floats(head->weight);
    if ((job.wholes == 0 || vocab_walk_begin(&job.walk, job.cpu, hidden, head->weight)) &&
        cpu_scratch_reserve(job.cpu, floats * sizeof(float))) {
        wz_pool_run(job.cpu->pool, small_task, &job, (size_t)requests);
        if (job.cuts)
            wz_pool_run(job.cpu->pool, whole_cut_task, &job, (size_t)job.wholes);
        else
            wz_pool_run(job.cpu->pool, whole_task, &job, (size_t)((job.wholes + TILE_MAX - 1) / TILE_MAX));
    }
    free(block);
    return backend->ops->sync(backend, err);
}
