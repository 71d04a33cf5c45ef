#include "engine/run/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/rollout/policy.h"

/* ---- tensors ---- */

typedef struct comparison {
    wz_tensor_source *back;
    size_t index, row, width;
    wz_number_type type;
    unsigned char *stored; /* what was meant, as it is stored, and read again */
    float *expected, *found;
    size_t capacity; /* numbers these have room for */
    bool equal;
} comparison;

static wz_status make_room(comparison *c, size_t count, wz_error *err)
{
    void *block = NULL;
    if (count <= c->capacity)
        return WZ_OK;
    free(c->stored);
    *c = (comparison){c->back, c->index, c->row, c->width, c->type, NULL, NULL, NULL, 0, c->equal};
    wz_status status = wz_alloc(&block, count, 3 * sizeof(float), "comparing tensors", err);
    if (status != WZ_OK)
        return status;
    c->stored = block; /* no type takes more than four bytes a number */
    c->expected = (float *)block + count;
    c->found = c->expected + count;
    c->capacity = count;
    return WZ_OK;
}

static wz_status compare_rows(void *user, const float *numbers, size_t count, wz_error *err)
{
    comparison *c = user;
    const size_t rows = count / c->width;
    wz_status status = make_room(c, count, err);
    if (status == WZ_OK)
        status = c->back->read(c->back, c->index, c->row, rows, c->found, err);
    if (status != WZ_OK)
        return status;
    wz_numbers_encode(c->type, numbers, count, c->stored);
    wz_numbers_decode(c->type, c->stored, count, c->expected);
    c->equal = c->equal && memcmp(c->expected, c->found, count * sizeof *c->found) == 0;
    c->row += rows;
    return WZ_OK;
}

static wz_status compare_tensor(wz_tensor_source *meant, size_t index, wz_tensor_source *back,
                                const char *path, wz_error *err)
{
    const wz_stored_tensor *tensor = &meant->tensors[index];
    comparison c = {.back = back,
                    .index = wz_tensor_find(back, tensor->name),
                    .width = tensor->rank == 2 ? tensor->shape[1] : 1,
                    .equal = true};
    if (c.index == SIZE_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%s' is missing", path, tensor->name);
    c.type = back->tensors[c.index].type;
    wz_status status = wz_tensor_stream(meant, index, compare_rows, &c, err);
    free(c.stored);
    if (status == WZ_OK && !c.equal)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%s' reads back as other numbers than were written",
                         path, tensor->name);
    return status;
}

wz_status wz_verify_tensors(const wz_portable *meant, const wz_portable *back, const char *path,
                            wz_verification *out, wz_error *err)
{
    wz_status status = wz_portable_check_tensors(back, path, err);
    for (size_t i = 0; status == WZ_OK && i < meant->tensors->count; i++)
        status = compare_tensor(meant->tensors, i, back->tensors, path, err);
    out->tensors = meant->tensors->count;
    return status;
}

static bool shapes_differ(const wz_stored_tensor *a, const wz_stored_tensor *b)
{
    return a->rank != b->rank || a->shape[0] != b->shape[0] || a->shape[1] != b->shape[1];
}

wz_status wz_verify_adapters(const wz_portable *meant, const wz_portable *back, const char *path,
                             wz_verification *out, wz_error *err)
{
    wz_tensor_source *ours = meant->adapters, *theirs = back->adapters;
    const wz_lora_config *a = &meant->lora, *b = &back->lora;
    wz_status status = WZ_OK;
    if ((float)a->alpha != (float)b->alpha || a->rank != b->rank || /* GGUF's alpha is f32 */
        memcmp(a->target, b->target, sizeof a->target) != 0 || ours->count != theirs->count)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "%s: %zu matrices of rank %lld and alpha %g read back, other than the %zu of rank %lld "
            "and alpha %g that were written",
            path, theirs->count, (long long)b->rank, b->alpha, ours->count, (long long)a->rank, a->alpha);
    for (size_t i = 0; status == WZ_OK && i < ours->count; i++) {
        const size_t there = wz_tensor_find(theirs, ours->tensors[i].name);
        status = there != SIZE_MAX && shapes_differ(&ours->tensors[i], &theirs->tensors[there])
                     ? wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%s' reads back in another shape", path,
                               ours->tensors[i].name)
                     : compare_tensor(ours, i, theirs, path, err);
    }
    out->tensors = ours->count;
    return status;
}

/* ---- answers ---- */

/* One policy's greedy answers. */
typedef struct answers {
    wz_policy *policy;
    wz_batch *batch;
    wz_activations *activations;
    float *logits; /* [vocab] of one place */
} answers;

static void clear_answers(answers *a)
{
    wz_activations_destroy(a->activations);
    wz_batch_destroy(a->batch);
    free(a->logits);
}

static wz_status answer(wz_policy *policy, const wz_config *config, int64_t problems, answers *a,
                        wz_error *err)
{
    wz_problem *list = NULL;
    void *block = NULL;
    const wz_batch_options options = {.style = (wz_prompt_style)config->prompt_style,
                                      .effort = WZ_EFFORT_EVALUATION,
                                      .generations = 1,
                                      .groups_per_pack = problems};
    const wz_rollout_options rollout = {.sampling = {.temperature = 0.0f, .top_p = 1.0f},
                                        .seed = (uint64_t)config->seed,
                                        .purpose = WZ_PURPOSE_EVAL_SAMPLE,
                                        .max_completion_length = config->max_completion_length};
    *a = (answers){.policy = policy};
    wz_status status = wz_batch_generate(config->task, config->task_values, (uint64_t)config->seed,
                                         WZ_SPLIT_TEST, 0, problems, &list, err);
    if (status == WZ_OK)
        status = wz_batch_create(policy, &options, list, problems, &a->batch, err);
    if (status == WZ_OK)
        status = wz_batch_decode_memory(a->batch, &rollout.sampling, &a->activations, err);
    if (status == WZ_OK)
        status = wz_batch_rollout(a->batch, 0, a->activations, &rollout, err);
    if (status == WZ_OK)
        status = wz_batch_verify(a->batch, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, (size_t)policy->model->config.vocab_size, sizeof(float), "logits", err);
    a->logits = block;
    return status;
}

static wz_status download(const wz_model *model, float *to, const float *from, int64_t count, wz_error *err)
{
    model->backend->ops->download(model->backend, to, from, (size_t)count * sizeof *to);
    return model->backend->ops->sync(model->backend, err);
}

/* logits[v] = hidden . head[v], in double. */
static wz_status multiply_head(const wz_model *model, const float *hidden, float *logits, wz_error *err)
{
    enum { BLOCK = 256 };
    const int64_t width = model->config.hidden_size, vocab = model->config.vocab_size;
    const wz_param *head = wz_model_find_param(
        model, model->config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight");
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)(BLOCK * width), sizeof(float), "logits", err);
    float *rows = block;
    for (int64_t first = 0; status == WZ_OK && first < vocab; first += BLOCK) {
        const int64_t count = vocab - first < BLOCK ? vocab - first : BLOCK;
        wz_model_get_numbers(model, head, first * width, count * width, rows);
        status = model->backend->ops->sync(model->backend, err);
        for (int64_t v = 0; status == WZ_OK && v < count; v++) {
            double sum = 0.0;
            for (int64_t d = 0; d < width; d++)
                sum += (double)rows[v * width + d] * (double)hidden[d];
            logits[first + v] = (float)sum;
        }
    }
    free(block);
    return status;
}

/* The logits that token `place` of a problem's completion was chosen by, to a->logits. */
static wz_status compute_logits(answers *a, int64_t problem, int64_t place, wz_error *err)
{
    const wz_model *model = a->policy->model;
    const int64_t width = model->config.hidden_size;
    const int32_t site = wz_pack_site(a->batch->packs[0], problem, place);
    void *device = NULL, *host = NULL;
    wz_status status = wz_alloc(&host, (size_t)width, sizeof(float), "a hidden vector", err);
    if (status == WZ_OK)
        status = model->backend->ops->alloc(model->backend, (size_t)(width + 1) * sizeof(float),
                                            "a hidden vector", &device, err);
    if (status == WZ_OK) {
        wz_model_final_norm(model, a->activations, &site, 1, device, (float *)device + width);
        status = download(model, host, device, width, err);
    }
    if (status == WZ_OK)
        status = multiply_head(model, host, a->logits, err);
    if (device != NULL)
        model->backend->ops->release(model->backend, device);
    free(host);
    return status;
}

/* Largest difference, relative to the largest logit. */
static double logit_difference(const answers *a, const answers *b)
{
    double difference = 0.0, largest = 0.0;
    for (int64_t v = 0; v < a->policy->model->config.vocab_size; v++) {
        difference = fmax(difference, fabs((double)a->logits[v] - (double)b->logits[v]));
        largest = fmax(largest, fabs((double)a->logits[v]));
    }
    return largest > 0.0 ? difference / largest : difference;
}

/* Between the two largest, relative to the largest magnitude. */
static double margin(const answers *a)
{
    double first = -INFINITY, second = -INFINITY, largest = 0.0;
    for (int64_t v = 0; v < a->policy->model->config.vocab_size; v++) {
        const double logit = (double)a->logits[v];
        largest = fmax(largest, fabs(logit));
        if (logit > first) {
            second = first;
            first = logit;
        } else {
            second = fmax(second, logit);
        }
    }
    return largest > 0.0 ? (first - second) / largest : 0.0;
}

/* Tokens that agree from the beginning on; the completions' length where all do. */
static int64_t agreement(const answers *a, const answers *b, int64_t problem, bool *whole)
{
    const wz_pack *p = a->batch->packs[0], *q = b->batch->packs[0];
    const uint32_t *left = p->tokens + problem * p->completion_stride,
                   *right = q->tokens + problem * q->completion_stride;
    const int32_t n = p->length[problem], m = q->length[problem];
    int64_t place = 0;
    while (place < n && place < m && left[place] == right[place])
        place++;
    *whole = n == m && place == n;
    return place;
}

static wz_status compare_problem(answers *a, answers *b, int64_t problem, wz_verification *out, wz_error *err)
{
    bool whole = false;
    const int64_t place = agreement(a, b, problem, &whole);
    wz_status status = compute_logits(a, problem, 0, err);
    if (status == WZ_OK)
        status = compute_logits(b, problem, 0, err);
    if (status == WZ_OK)
        out->logit_difference = fmax(out->logit_difference, logit_difference(a, b));
    out->tokens += a->batch->packs[0]->length[problem];
    out->equal_problems += whole;
    if (status == WZ_OK && !whole && place < a->batch->packs[0]->length[problem]) {
        status = compute_logits(a, problem, place, err);
        if (status == WZ_OK)
            out->least_margin = fmin(out->least_margin, margin(a)); /* of a NaN and a number, the number */
    }
    return status;
}

static double mean_ratio(const answers *a)
{
    double sum = 0.0;
    for (int64_t g = 0; g < a->batch->groups; g++)
        sum += a->batch->verdicts[g].kind == WZ_VERDICT_FEASIBLE ? a->batch->verdicts[g].ratio : 0.0;
    return sum / (double)a->batch->groups;
}

wz_status wz_verify_answers(wz_policy *meant, wz_policy *back, const wz_config *config, int64_t problems,
                            wz_verification *out, wz_error *err)
{
    answers a = {0}, b = {0};
    out->problems = problems;
    out->least_margin = NAN;
    wz_status status = answer(meant, config, problems, &a, err);
    if (status == WZ_OK)
        status = answer(back, config, problems, &b, err);
    for (int64_t g = 0; status == WZ_OK && g < problems; g++)
        status = compare_problem(&a, &b, g, out, err);
    if (status == WZ_OK) {
        out->ratio = mean_ratio(&a);
        out->ratio_back = mean_ratio(&b);
    }
    clear_answers(&a);
    clear_answers(&b);
    return status;
}
