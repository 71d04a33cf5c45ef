/* Head score over the whole vocabulary, in chunks of columns: logits exist for one tile of rows and one chunk at
 * a time. Backward computes them again, once for dhidden (a task is a tile of rows) and once for dhead (a task is
 * a chunk of columns, walking the groups in order). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "engine/backend/cpu/head_score.h"

typedef struct entry_stats {
    float lse;     /* of the whole vocabulary */
    float entropy; /* or, with `allowed`, the log sum exp of the set */
} entry_stats;

typedef struct vocab_job {
    const score_job *score;
    vocab_walk walk;
    gemm_plan input_plan[2]; /* dlogits [rows, chunk] times head [chunk, width] */
    int32_t *entry;          /* entries over the whole vocabulary, in order of groups (backward) or index */
    int64_t entries;
    int64_t *group_offset; /* [groups + 1] into entry (backward) */
    entry_stats *stats;    /* [entries] */
} vocab_job;

/* Tokens of a set that lie in chunk columns [column, column + width), gathered from its logits. */
static int64_t gather_set(const wz_mask_table *masks, uint32_t set, int64_t column, int64_t width,
                          const float *logits, float *out)
{
    const uint32_t *tokens = masks->tokens + masks->offset[set];
    int64_t low = set_first_from(masks, set, column), count = 0;
    for (; low < set_size(masks, set) && (int64_t)tokens[low] < column + width; low++)
        out[count++] = logits[(int64_t)tokens[low] - column];
    return count;
}

typedef struct row_state {
    softmax_state whole, set;
    float target;
} row_state;

static void add_chunk(const score_job *score, row_state *state, int32_t i, int64_t column, int64_t width,
                      float *logits)
{
    float few[VOCAB_CHUNK];
    if (score->allowed) {
        int64_t count = gather_set(score->masks, score->mask[i], column, width, logits, few);
        if (count > 0)
            softmax_add(&state->set, few, count, 1.0f);
    }
    softmax_add(&state->whole, logits, width, score->scale);
    if (!score->allowed && score->target[i] >= column && score->target[i] < column + width)
        state->target = logits[score->target[i] - column];
}

/* Statistics of up to TILE_MAX entries; target logits too when wanted. */
static void tile_stats(const vocab_job *job, const int32_t *entry, int64_t rows, float *tile, float *logits,
                       entry_stats *stats, float *target)
{
    row_state state[TILE_MAX];
    for (int64_t r = 0; r < rows; r++) {
        softmax_begin(&state[r].whole);
        softmax_begin(&state[r].set);
        state[r].target = 0.0f;
    }
    vocab_walk_gather(&job->walk, tile, entry, rows);
    for (int64_t chunk = 0; chunk < job->walk.chunks; chunk++) {
        int64_t width = vocab_walk_logits(&job->walk, logits, tile, rows, chunk);
        for (int64_t r = 0; r < rows; r++)
            add_chunk(job->score, &state[r], entry[r], chunk * VOCAB_CHUNK, width, logits + r * VOCAB_CHUNK);
    }
    for (int64_t r = 0; r < rows; r++) {
        float unused = 0.0f;
        softmax_end(&state[r].whole, &stats[r].lse, &stats[r].entropy);
        if (job->score->allowed)
            softmax_end(&state[r].set, &stats[r].entropy, &unused);
        if (target != NULL)
            target[r] = state[r].target;
    }
}

static int64_t tile_rows(const vocab_job *job, size_t tile)
{
    int64_t left = job->entries - (int64_t)tile * TILE_MAX;
    return left < TILE_MAX ? left : TILE_MAX;
}

static void forward_task(void *argument, size_t task, size_t thread)
{
    const vocab_job *job = argument;
    const int32_t *entry = job->entry + (int64_t)task * TILE_MAX;
    const int64_t rows = tile_rows(job, task);
    float *tile = cpu_scratch(job->score->cpu, thread), *logits = tile + TILE_MAX * job->walk.hidden.columns;
    entry_stats stats[TILE_MAX];
    float target[TILE_MAX];
    tile_stats(job, entry, rows, tile, logits, stats, target);
    for (int64_t r = 0; r < rows; r++) {
        if (job->score->allowed) {
            job->score->logp[entry[r]] = stats[r].entropy - stats[r].lse;
        } else {
            job->score->logp[entry[r]] = target[r] - stats[r].lse;
            job->score->entropy[entry[r]] = stats[r].entropy;
        }
    }
}

/* Logits of one row and chunk -> gradient of the loss with respect to them. */
static void chunk_gradient(const score_job *score, int32_t i, const entry_stats *stats, int64_t column,
                           int64_t width, float *logits)
{
    if (!score->allowed) {
        int64_t target = score->target[i] - column;
        for (int64_t j = 0; j < width; j++)
            logits[j] *= score->scale;
        softmax_gradient(logits, width, score->scale, stats->lse, stats->entropy, score->dlogp[i],
                         score->dentropy[i], target >= 0 && target < width ? target : -1);
        return;
    }
    /* d(lse of the set - lse of all) = softmax over the set - softmax over all */
    const uint32_t set = score->mask[i];
    const uint32_t *tokens = score->masks->tokens + score->masks->offset[set];
    float few[VOCAB_CHUNK];
    int64_t count = gather_set(score->masks, set, column, width, logits, few);
    softmax_gradient(logits, width, 1.0f, stats->lse, 0.0f, score->dlogp[i], 0.0f, -1);
    for (int64_t k = 0, j = 0; k < count; j++)
        if ((int64_t)tokens[j] >= column)
            logits[(int64_t)tokens[j] - column] += score->dlogp[i] * scalar_exp(few[k++] - stats->entropy);
}

static void input_task(void *argument, size_t task, size_t thread)
{
    const vocab_job *job = argument;
    const score_job *score = job->score;
    const int64_t rows = tile_rows(job, task), width = job->walk.hidden.columns;
    const int32_t *entry = job->entry + (int64_t)task * TILE_MAX;
    entry_stats *stats = job->stats + (int64_t)task * TILE_MAX;
    float *tile = cpu_scratch(score->cpu, thread), *logits = tile + TILE_MAX * width;
    float *sum = tile + vocab_walk_floats(job->walk.head);
    tile_stats(job, entry, rows, tile, logits, stats, NULL);
    memset(sum, 0, (size_t)(TILE_MAX * width) * sizeof(float));
    for (int64_t chunk = 0; chunk < job->walk.chunks; chunk++) {
        const gemm_plan *plan = &job->input_plan[chunk == job->walk.chunks - 1];
        int64_t columns = vocab_walk_logits(&job->walk, logits, tile, rows, chunk);
        for (int64_t r = 0; r < rows; r++)
            chunk_gradient(score, entry[r], &stats[r], chunk * VOCAB_CHUNK, columns,
                           logits + r * VOCAB_CHUNK);
        for (int64_t row = 0; row < rows; row += plan->tile)
            gemm_rows(plan, gemm_height(plan, rows - row), logits + row * VOCAB_CHUNK, VOCAB_CHUNK,
                      vocab_walk_chunk(&job->walk, logits, chunk), NULL, true, sum + row * width, width);
    }
    for (int64_t r = 0; r < rows; r++)
        memcpy(row_of(score->dhidden, entry[r]), sum + r * width, (size_t)width * sizeof(float));
}

static void weight_task(void *argument, size_t task, size_t thread)
{
    const vocab_job *job = argument;
    const score_job *score = job->score;
    const int64_t width = job->walk.hidden.columns, column = (int64_t)task * VOCAB_CHUNK;
    float *tile = cpu_scratch(score->cpu, thread), *logits = tile + TILE_MAX * width;
    for (int64_t g = 0; g < score->groups->groups; g++) {
        if (score->slope != NULL)
            small_sets_gradient(score, g, column, column + VOCAB_CHUNK, 0, width);
        for (int64_t begin = job->group_offset[g]; begin < job->group_offset[g + 1]; begin += TILE_MAX) {
            int64_t rows = job->group_offset[g + 1] - begin;
            rows = rows < TILE_MAX ? rows : TILE_MAX;
            vocab_walk_gather(&job->walk, tile, job->entry + begin, rows);
            int64_t columns = vocab_walk_logits(&job->walk, logits, tile, rows, (int64_t)task);
            for (int64_t r = 0; r < rows; r++)
                chunk_gradient(score, job->entry[begin + r], &job->stats[begin + r], column, columns,
                               logits + r * VOCAB_CHUNK);
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)columns, (blasint)width,
                        (blasint)rows, 1.0f, logits, VOCAB_CHUNK, tile, (blasint)width, 1.0f,
                        row_of(score->dhead, column), (blasint)score->dhead.stride);
        }
    }
}

/* Lists the entries this file is responsible for, in order of groups when there are groups. */
static void list_entries(vocab_job *job)
{
    const score_job *score = job->score;
    const wz_row_groups *groups = score->groups;
    for (int64_t k = 0; groups == NULL && k < score->hidden.rows; k++)
        if (score->allowed || score->mask[k] == 0)
            job->entry[job->entries++] = (int32_t)k;
    for (int64_t g = 0; groups != NULL && g < groups->groups; g++) {
        job->group_offset[g] = job->entries;
        for (int64_t k = groups->offset[g]; k < groups->offset[g + 1]; k++)
            if (score->allowed || score->mask[groups->index[k]] == 0)
                job->entry[job->entries++] = groups->index[k];
        job->group_offset[g + 1] = job->entries;
    }
}

bool vocab_score_any(const score_job *score)
{
    bool any = score->allowed && score->hidden.rows > 0;
    for (int64_t i = 0; !any && i < score->hidden.rows; i++)
        any = score->mask[i] == 0;
    return any;
}

size_t vocab_lists_bytes(const score_job *score)
{
    const int64_t rows = round_lanes(score->hidden.rows),
                  groups = score->groups == NULL ? 0 : score->groups->groups;
    return (size_t)rows * (sizeof(int32_t) + sizeof(entry_stats)) + (size_t)(groups + 1) * sizeof(int64_t);
}

static bool make_plans(vocab_job *job)
{
    const score_job *score = job->score;
    if (!vocab_walk_begin(&job->walk, score->cpu, score->hidden, score->head))
        return false;
    for (int i = 0; i < 2; i++)
        if (!gemm_plan_for(score->cpu, job->walk.plan[i].out, score->hidden.columns, GEMM_PLAIN, WZ_F32,
                           &job->input_plan[i]))
            return false;
    return true;
}

/* Plans and lists. False: nothing to do, or failed. */
static bool begin(vocab_job *job, const score_job *score)
{
    *job = (vocab_job){.score = score};
    if (!vocab_score_any(score) || !make_plans(job))
        return false;
    void *block =
        score->lists != NULL ? score->lists : cpu_shared_reserve(score->cpu, vocab_lists_bytes(score));
    if (block == NULL || !cpu_scratch_reserve(score->cpu, (size_t)(vocab_walk_floats(score->head) +
                                                                   TILE_MAX * score->hidden.columns) *
                                                              sizeof(float)))
        return false;
    const int64_t rows = round_lanes(score->hidden.rows);
    job->stats = block;
    job->entry = (int32_t *)(void *)(job->stats + rows);
    job->group_offset = (int64_t *)(void *)(job->entry + rows);
    list_entries(job);
    return true;
}

void vocab_score_forward(score_job *score)
{
    vocab_job job;
    if (begin(&job, score))
        wz_pool_run(score->cpu->pool, forward_task, &job, (size_t)((job.entries + TILE_MAX - 1) / TILE_MAX));
}

void vocab_score_backward(score_job *score)
{
    vocab_job job;
    if (!begin(&job, score))
        return;
    wz_pool_run(score->cpu->pool, input_task, &job, (size_t)((job.entries + TILE_MAX - 1) / TILE_MAX));
    if (score->dhead.data != NULL)
        wz_pool_run(score->cpu->pool, weight_task, &job, (size_t)job.walk.chunks);
}

void cpu_head_allowed_forward(wz_backend *backend, float *logp, wz_tensor hidden, const wz_linear *head,
                              const uint32_t *mask, const wz_mask_table *masks)
{
    score_job job = {.cpu = cpu_of(backend),
                     .logp = logp,
                     .hidden = hidden,
                     .head = head->weight,
                     .mask = mask,
                     .masks = masks,
                     .scale = 1.0f,
                     .allowed = true};
    vocab_score_forward(&job);
}

void cpu_head_allowed_backward(wz_backend *backend, wz_tensor dhidden, wz_tensor dhead, const float *dlogp,
                               wz_tensor hidden, const wz_linear *head, const uint32_t *mask,
                               const wz_mask_table *masks, const wz_row_groups *groups)
{
    score_job job = {.cpu = cpu_of(backend),
                     .dhidden = dhidden,
                     .dhead = dhead,
                     .dlogp = dlogp,
                     .hidden = hidden,
                     .head = head->weight,
                     .mask = mask,
                     .masks = masks,
                     .groups = groups,
                     .scale = 1.0f,
                     .allowed = true};
    vocab_score_backward(&job);
}
