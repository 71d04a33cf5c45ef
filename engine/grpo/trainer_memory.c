/* What a trainer needs of memory, and taking it. */
#include <stdlib.h>

#include "engine/grpo/trainer_internal.h"
#include "engine/grpo/update.h"

static wz_keep keep_of(const wz_trainer_options *options)
{
    return options->gradient_checkpointing ? WZ_KEEP_INPUTS : WZ_KEEP_ALL;
}

/* Packs whose activations are held at once. */
static int64_t packs_held(const wz_trainer_options *options, const wz_batch *batch)
{
    return wz_trainer_keeps_rollouts(options) ? batch->pack_count : 1;
}

static int64_t largest_size(const wz_train_set *set)
{
    size_t largest = 1;
    for (size_t i = 0; i < set->count; i++)
        largest = set->items[i].problem.size > largest ? set->items[i].problem.size : largest;
    return (int64_t)largest;
}

/* Each size of each part has a grammar of its own, none larger than the largest. */
static void count_sizes(const wz_trainer_options *options, wz_decode_bounds *bounds)
{
    int64_t sizes = 0;
    for (size_t p = 0; p < options->mixture.count; p++) {
        const wz_curriculum_options c = wz_trainer_curriculum_of(options, p);
        sizes += options->curriculum_enabled ? c.last - c.first + 1 : 1;
    }
    if (options->set != NULL) /* its problems may be of any size below the largest */
        sizes = (int64_t)options->mixture.count * largest_size(options->set);
    bounds->choices *= sizes;
    bounds->edges *= sizes;
    bounds->forced *= sizes;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Supervised packs take the rows that GRPO's have, and more only where one pair needs them. */
static void widen_for_pairs(const wz_trainer_options *options, const wz_batch *batch, wz_op_bounds *b)
{
    const wz_sft_options *sft = &options->sft;
    int64_t rows = 0, longest = 1;
    if (sft->steps == 0)
        return;
    for (int64_t g = 0; sft->pairs == NULL && g < batch->groups; g++) {
        longest = larger(longest, batch->bounds[g].longest);
        rows = larger(rows, (int64_t)batch->prompts[g].length + batch->bounds[g].longest - 1);
    }
    if (sft->pairs != NULL) {
        longest = sft->pairs->longest_completion;
        rows = sft->pairs->longest_rows;
    }
    b->rows = larger(b->rows, rows);
    const int64_t pairs = sft->batch < b->rows ? sft->batch : b->rows;
    const bool is_whole = sft->pairs != NULL || batch->policy->grammar == NULL;
    b->groups = larger(b->groups, pairs);
    b->completions = larger(b->completions, pairs);
    b->completion_stride = larger(b->completion_stride, longest);
    b->requests = larger(b->requests, WZ_SUPERVISED_REQUESTS);
    b->entries = larger(b->entries, b->rows / longest > pairs ? pairs * longest : b->rows);
    b->whole = b->whole || is_whole;
    if (options->grammar_coef > 0.0 && !is_whole)
        b->table = larger(b->table, 2 * pairs * longest * b->set);
}

/* A problem of each part first, then as the weights have it; of generated ones at the sizes that the mixture says. */
static wz_status draw_largest(const wz_trainer_options *o, const wz_mixture *mixture, wz_problem *list,
                              wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)o->problems, 1, "a batch of problems", err);
    uint8_t *part = block;
    if (status == WZ_OK)
        wz_mixture_assign(mixture, o->seed, 0, o->problems, part);
    for (size_t p = 0; status == WZ_OK && p < mixture->count; p++)
        part[p] = (uint8_t)p;
    for (int64_t g = 0; status == WZ_OK && g < o->problems; g++)
        status = wz_problem_generate(mixture->parts[part[g]].task, mixture->parts[part[g]].values, o->seed,
                                     WZ_SPLIT_TRAIN, (uint32_t)g, &list[g], err);
    free(part);
    return status;
}

/* By the numbers of a problem, the most first; then as the set has them. */
static int larger_first(const void *a, const void *b)
{
    const wz_train_item *x = *(const wz_train_item *const *)a, *y = *(const wz_train_item *const *)b;
    if (x->problem.number_count != y->problem.number_count)
        return x->problem.number_count < y->problem.number_count ? 1 : -1;
    return (x > y) - (x < y);
}

/* The largest of each part first, then the largest of all; where the set has fewer than a batch, some twice. */
static wz_status copy_largest(const wz_trainer_options *o, wz_problem *list, wz_error *err)
{
    void *block = NULL;
    const size_t count = o->set->count;
    int64_t made = 0;
    wz_status status = wz_alloc(&block, count, sizeof(wz_train_item *), "a training set", err);
    if (status != WZ_OK)
        return status;
    const wz_train_item **items = block;
    for (size_t i = 0; i < count; i++)
        items[i] = &o->set->items[i];
    qsort(items, count, sizeof *items, larger_first);
    for (size_t p = 0; p < o->mixture.count; p++) {
        size_t i = 0;
        while (i < count && items[i]->part != p)
            i++;
        if (status == WZ_OK && i < count && made < o->problems)
            status = wz_problem_copy(&items[i]->problem, &list[made++], err);
    }
    for (size_t i = 0; status == WZ_OK && made < o->problems; i = i + 1 < count ? i + 1 : 0)
        status = wz_problem_copy(&items[i]->problem, &list[made++], err);
    free(block);
    return status;
}

/* A batch as large as any of a mixture: problems of the largest sizes, of every part; or the training set's largest. */
static wz_status make_largest_batch(wz_policy *policy, const wz_trainer_options *options,
                                    const wz_mixture *mixture, wz_batch **out, wz_error *err)
{
    void *block = NULL;
    const wz_batch_options batch = wz_trainer_batch_options(options, NULL);
    *out = NULL;
    wz_status status = wz_alloc(&block, (size_t)options->problems, sizeof(wz_problem), "problems", err);
    wz_problem *list = block;
    if (status == WZ_OK)
        status = options->set != NULL ? copy_largest(options, list, err)
                                      : draw_largest(options, mixture, list, err);
    if (status == WZ_OK)
        return wz_batch_create(policy, &batch, list, options->problems, out, err);
    for (int64_t g = 0; list != NULL && g < options->problems; g++)
        wz_problem_clear(&list[g]);
    free(list);
    return status;
}

/* Widens the bounds to what a mixture's batches ask for; *packs: how many of them are held. */
static wz_status widen_for_mixture(wz_policy *policy, const wz_trainer_options *options,
                                   const wz_mixture *mixture, wz_op_bounds *bounds, int64_t *packs,
                                   wz_error *err)
{
    wz_batch *batch = NULL;
    wz_status status = make_largest_batch(policy, options, mixture, &batch, err);
    if (status != WZ_OK)
        return status;
    status = wz_batch_bounds(batch, &options->sampling, true, bounds, err);
    widen_for_pairs(options, batch, bounds);
    *packs = packs_held(options, batch);
    wz_batch_destroy(batch);
    return status;
}

wz_status wz_trainer_plan(wz_policy *policy, const wz_trainer_options *options, wz_trainer_memory *out,
                          wz_error *err)
{
    int64_t packs = 0;
    *out = (wz_trainer_memory){0};
    const wz_model_config *c = &policy->model->config;
    wz_op_bounds *bounds = &out->bounds;
    wz_status status = widen_for_mixture(policy, options, &options->mixture, bounds, &packs, err);
    for (size_t s = 0; status == WZ_OK && options->stages != NULL && s + 1 < options->stages->count; s++)
        status = widen_for_mixture(policy, options, &options->stages->list[s].mixture, bounds, &packs, err);
    if (status != WZ_OK)
        return status;
    count_sizes(options, &bounds->decode);
    out->rows = bounds->rows;
    if (bounds->decode.steps > 0) {
        out->step_rows = bounds->decode.step_rows > 0 ? bounds->decode.step_rows : 1;
        out->requests = bounds->requests;
    }
    out->entries = bounds->entries;
    out->activations = (size_t)packs * (wz_activations_bytes(policy->model, bounds->rows, keep_of(options)) +
                                        wz_batch_step_bytes(policy->model, bounds));
    out->backward =
        wz_backward_bytes(policy->model, bounds->rows) + wz_apart_bytes(c, options->grammar_coef > 0.0);
    out->vectors = wz_backward_entry_bytes(c, bounds->entries);
    out->passing = wz_batch_rollout_bytes(bounds);
    const bool scores =
        options->exactness_check_steps > 0 || options->loss.beta > 0.0 || options->top_entropy_quantile < 1.0;
    if (scores && wz_pack_score_bytes(c, bounds->entries) > out->passing)
        out->passing = wz_pack_score_bytes(c, bounds->entries);
    if (options->loss.beta > 0.0)
        out->reference = wz_ref_model_bytes(policy->model, bounds->rows);
    if (options->ema_decay > 0.0)
        out->average = (size_t)policy->model->trained * sizeof(float);
    return WZ_OK;
}

static int64_t activations_of(const wz_trainer *trainer, int64_t pack)
{
    return wz_trainer_keeps_rollouts(&trainer->options) ? pack : 0;
}

static wz_status reserve_backward(wz_trainer *trainer, int64_t rows, wz_error *err)
{
    if (trainer->backward != NULL && trainer->backward->rows >= rows)
        return WZ_OK;
    wz_backward_destroy(trainer->backward);
    trainer->backward = NULL;
    return wz_backward_create(trainer->policy->model, rows, &trainer->backward, err);
}

static wz_status reserve_activations(wz_trainer *trainer, int64_t i, int64_t rows, wz_error *err)
{
    if (i < trainer->activation_count && trainer->activations[i]->rows >= rows)
        return WZ_OK;
    if (i < trainer->activation_count)
        wz_activations_destroy(trainer->activations[i]);
    trainer->activations[i] = NULL;
    const wz_status status = wz_activations_create(trainer->policy->model, rows, keep_of(&trainer->options),
                                                   &trainer->activations[i], err);
    if (i == trainer->activation_count && status == WZ_OK)
        trainer->activation_count++;
    return status;
}

wz_status wz_trainer_make_activations(wz_trainer *trainer, int64_t pack, int64_t rows, wz_error *err)
{
    const wz_status status = reserve_backward(trainer, rows, err);
    return status == WZ_OK ? reserve_activations(trainer, activations_of(trainer, pack), rows, err) : status;
}

/* Activations of `rows` rows for `packs` packs, and the backward pass; those that are there are kept or replaced by larger
 * ones. */
static wz_status reserve_rows(wz_trainer *trainer, int64_t rows, int64_t packs, wz_error *err)
{
    wz_status status = reserve_backward(trainer, rows, err);
    for (int64_t i = 0; status == WZ_OK && i < packs; i++)
        status = reserve_activations(trainer, i, rows, err);
    return status;
}

wz_status wz_trainer_reserve_batch(wz_trainer *trainer, wz_error *err)
{
    return reserve_rows(trainer, wz_batch_rows(trainer->batch), packs_held(&trainer->options, trainer->batch),
                        err);
}

wz_status wz_trainer_reserve(wz_trainer *trainer, const wz_trainer_memory *memory, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const wz_model *model = trainer->policy->model;
    const int64_t packs = wz_trainer_keeps_rollouts(o) ? wz_trainer_pack_count(o) : 1;
    wz_entry_vectors unused;
    trainer->most_rows = memory->rows;
    wz_status status = reserve_rows(trainer, memory->rows, packs, err);
    if (status == WZ_OK && trainer->ref_model.model != NULL)
        status = wz_ref_model_reserve(&trainer->ref_model, memory->rows, err);
    for (int64_t i = 0; status == WZ_OK && memory->requests > 0 && i < packs; i++)
        status = wz_activations_make_step(model, trainer->activations[i], memory->step_rows, memory->requests,
                                          err);
    if (status == WZ_OK)
        status = wz_backward_entries(model, trainer->backward, memory->entries, &unused, err);
    if (status == WZ_OK)
        status = model->backend->ops->reserve(model->backend, &memory->bounds, memory->passing, err);
    return status;
}

wz_activations *wz_trainer_activations(const wz_trainer *trainer, int64_t pack)
{
    return trainer->activations[activations_of(trainer, pack)];
}
