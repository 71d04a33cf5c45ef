#include "engine/grpo/trainer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/grpo/advantage.h"
#include "engine/grpo/report.h"
#include "engine/grpo/trainer_internal.h"
#include "engine/grpo/update.h"

bool wz_trainer_packs_in_turn(const wz_trainer_options *o)
{
    return o->scale_rewards != WZ_SCALE_REWARDS_BATCH && o->grammar_coef == 0.0;
}

bool wz_trainer_keeps_rollouts(const wz_trainer_options *o)
{
    return o->reuse_activations && !wz_trainer_packs_in_turn(o);
}

static wz_curriculum_options curriculum_of(const wz_trainer_options *options, size_t part)
{
    const wz_mixture_part *p = &options->mixture.parts[part];
    wz_curriculum_options sizes = options->curriculum;
    sizes.first = p->first;
    sizes.last = (int64_t)p->values[p->task->size_option];
    return sizes;
}

wz_status wz_trainer_create(wz_policy *policy, const wz_trainer_options *options, wz_trainer **out,
                            wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    if (policy->model->gradients == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "the model was created without gradients");
    if (options->style == WZ_PROMPT_FULL && policy->grammar != NULL)
        return wz_fail(err, WZ_ERR_USAGE,
                       "prompt_style full asks for free thinking: set answer_grammar: false");
    wz_status status = wz_alloc(&block, 1, sizeof(wz_trainer), "the trainer", err);
    if (status != WZ_OK)
        return status;
    wz_trainer *trainer = block;
    trainer->policy = policy;
    trainer->options = *options;
    for (size_t p = 0; p < options->mixture.count; p++) {
        const wz_curriculum_options sizes = curriculum_of(options, p);
        wz_curriculum_start(&trainer->curricula[p], &sizes);
    }
    const size_t completions = (size_t)(options->problems * options->generations);
    struct {
        void **place;
        size_t count, size;
    } const parts[] = {
        {(void **)&trainer->reward, completions, sizeof(double)},
        {(void **)&trainer->advantage, completions, sizeof(double)},
        {(void **)&trainer->flat, (size_t)options->problems, 1},
        {(void **)&trainer->part, (size_t)options->problems, 1},
        {(void **)&trainer->left_out, completions, 1},
        {(void **)&trainer->activations,
         (size_t)((options->problems + options->groups_per_pack - 1) / options->groups_per_pack),
         sizeof(wz_activations *)},
    };
    for (size_t i = 0; status == WZ_OK && i < sizeof parts / sizeof parts[0]; i++)
        status = wz_alloc(parts[i].place, parts[i].count, parts[i].size, "the trainer", err);
    if (status == WZ_OK)
        status = wz_apart_create(policy->model, options->grammar_coef > 0.0, &trainer->apart, err);
    if (status != WZ_OK) {
        wz_trainer_destroy(trainer);
        return status;
    }
    *out = trainer;
    return WZ_OK;
}

void wz_trainer_destroy(wz_trainer *trainer)
{
    if (trainer == NULL)
        return;
    for (int64_t i = 0; i < trainer->activation_count; i++)
        wz_activations_destroy(trainer->activations[i]);
    wz_backward_destroy(trainer->backward);
    wz_apart_clear(&trainer->apart);
    wz_batch_destroy(trainer->batch);
    free(trainer->activations);
    free(trainer->reward);
    free(trainer->advantage);
    free(trainer->flat);
    free(trainer->part);
    free(trainer->left_out);
    free(trainer);
}

const wz_batch *wz_trainer_batch(const wz_trainer *trainer)
{
    return trainer->batch;
}

const wz_trainer_options *wz_trainer_settings(const wz_trainer *trainer)
{
    return &trainer->options;
}

wz_curriculum *wz_trainer_curricula(wz_trainer *trainer)
{
    return trainer->curricula;
}

int64_t *wz_trainer_updates(wz_trainer *trainer)
{
    return &trainer->updates;
}

/* Problems first .. first + count - 1, problem g of part[g] at its size; sizes NULL: the largest. */
static wz_status generate(const wz_trainer_options *o, const uint8_t *part, const int64_t *sizes,
                          uint32_t first, int64_t count, wz_problem **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, (size_t)count, sizeof(wz_problem), "problems", err);
    if (status != WZ_OK)
        return status;
    wz_problem *list = block;
    for (int64_t g = 0; status == WZ_OK && g < count; g++) {
        const wz_mixture_part *p = &o->mixture.parts[part[g]];
        double values[WZ_TASK_MAX_OPTIONS];
        memcpy(values, p->values, sizeof values);
        if (sizes != NULL)
            values[p->task->size_option] = (double)sizes[part[g]];
        status =
            wz_problem_generate(p->task, values, o->seed, WZ_SPLIT_TRAIN, first + (uint32_t)g, &list[g], err);
    }
    for (int64_t g = 0; status != WZ_OK && g < count; g++)
        wz_problem_clear(&list[g]);
    if (status == WZ_OK)
        *out = list;
    else
        free(list);
    return status;
}

static wz_status make_batch(wz_policy *policy, const wz_trainer_options *o, const uint8_t *part,
                            const int64_t *sizes, uint32_t first, int64_t count, wz_batch **out,
                            wz_error *err)
{
    wz_problem *list = NULL;
    *out = NULL;
    wz_status status = generate(o, part, sizes, first, count, &list, err);
    if (status != WZ_OK)
        return status;
    const wz_batch_options options = {.style = o->style,
                                      .effort = WZ_EFFORT_TRAINING,
                                      .generations = o->generations,
                                      .groups_per_pack = o->groups_per_pack,
                                      .lessons = o->grammar_coef > 0.0 ? o->grammar_generations : 0};
    return wz_batch_create(policy, &options, list, count, out, err);
}

static wz_keep keep_of(const wz_trainer_options *options)
{
    return options->gradient_checkpointing ? WZ_KEEP_INPUTS : WZ_KEEP_ALL;
}

/* Packs whose activations are held at once. */
static int64_t packs_held(const wz_trainer_options *options, const wz_batch *batch)
{
    return wz_trainer_keeps_rollouts(options) ? batch->pack_count : 1;
}

/* Each size of each part has a grammar of its own, none larger than the largest. */
static void count_sizes(const wz_trainer_options *options, wz_decode_bounds *bounds)
{
    int64_t sizes = 0;
    for (size_t p = 0; p < options->mixture.count; p++) {
        const wz_curriculum_options c = curriculum_of(options, p);
        sizes += options->curriculum_enabled ? c.last - c.first + 1 : 1;
    }
    bounds->choices *= sizes;
    bounds->edges *= sizes;
    bounds->forced *= sizes;
}

wz_status wz_trainer_plan(wz_policy *policy, const wz_trainer_options *options, wz_trainer_memory *out,
                          wz_error *err)
{
    wz_batch *batch = NULL;
    void *part = NULL;
    *out = (wz_trainer_memory){0};
    wz_status status = wz_alloc(&part, (size_t)options->problems, 1, "a batch of problems", err);
    if (status != WZ_OK)
        return status;
    wz_mixture_assign(&options->mixture, options->seed, 0, options->problems, part);
    for (size_t p = 0; p < options->mixture.count; p++)
        ((uint8_t *)part)[p] = (uint8_t)p; /* each is among them */
    status = make_batch(policy, options, part, NULL, 0, options->problems, &batch, err);
    free(part);
    if (status != WZ_OK)
        return status;
    const wz_model_config *c = &policy->model->config;
    wz_op_bounds *bounds = &out->bounds;
    status = wz_batch_bounds(batch, &options->sampling, true, bounds, err);
    count_sizes(options, &bounds->decode);
    out->rows = bounds->rows;
    if (bounds->decode.steps > 0) {
        out->step_rows = bounds->decode.step_rows > 0 ? bounds->decode.step_rows : 1;
        out->requests = bounds->requests;
    }
    out->entries = bounds->entries;
    out->activations = (size_t)packs_held(options, batch) *
                       (wz_activations_bytes(policy->model, bounds->rows, keep_of(options)) +
                        wz_batch_step_bytes(policy->model, bounds));
    out->backward =
        wz_backward_bytes(policy->model, bounds->rows) + wz_apart_bytes(c, options->grammar_coef > 0.0);
    out->vectors = wz_backward_entry_bytes(c, bounds->entries);
    out->passing = wz_batch_rollout_bytes(bounds);
    if (options->exactness_check_steps > 0 && wz_pack_exactness_bytes(c, bounds->entries) > out->passing)
        out->passing = wz_pack_exactness_bytes(c, bounds->entries);
    wz_batch_destroy(batch);
    return status;
}

/* Activations of `rows` rows for `packs` packs, and the backward pass; those that are there are kept or replaced by larger
 * ones. */
static wz_status reserve_rows(wz_trainer *trainer, int64_t rows, int64_t packs, wz_error *err)
{
    wz_status status = WZ_OK;
    if (trainer->backward == NULL || trainer->backward->rows < rows) {
        wz_backward_destroy(trainer->backward);
        trainer->backward = NULL;
        status = wz_backward_create(trainer->policy->model, rows, &trainer->backward, err);
    }
    for (int64_t i = 0; status == WZ_OK && i < packs; i++) {
        if (i < trainer->activation_count && trainer->activations[i]->rows >= rows)
            continue;
        if (i < trainer->activation_count)
            wz_activations_destroy(trainer->activations[i]);
        trainer->activations[i] = NULL;
        status = wz_activations_create(trainer->policy->model, rows, keep_of(&trainer->options),
                                       &trainer->activations[i], err);
        if (i == trainer->activation_count && status == WZ_OK)
            trainer->activation_count++;
    }
    return status;
}

wz_status wz_trainer_reserve(wz_trainer *trainer, const wz_trainer_memory *memory, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const wz_model *model = trainer->policy->model;
    const int64_t packs =
        wz_trainer_keeps_rollouts(o) ? (o->problems + o->groups_per_pack - 1) / o->groups_per_pack : 1;
    wz_entry_vectors unused;
    wz_status status = reserve_rows(trainer, memory->rows, packs, err);
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
    return trainer->activations[wz_trainer_keeps_rollouts(&trainer->options) ? pack : 0];
}

/* What each part of the mixture gave. */
static void report_parts(const wz_trainer *trainer, const int64_t *sizes, wz_step_report *report)
{
    const wz_batch *batch = trainer->batch;
    for (size_t p = 0; p < trainer->options.mixture.count; p++) {
        wz_part_report *r = &report->parts[p];
        *r = (wz_part_report){.size = sizes[p]};
        for (int64_t c = 0; c < batch->groups * batch->generations; c++) {
            const wz_verdict *verdict = &batch->verdicts[c];
            if (trainer->part[c / batch->generations] != p)
                continue;
            r->completions++;
            r->ratio += verdict->ratio;
            r->feasible += verdict->kind == WZ_VERDICT_FEASIBLE;
            r->exact_optimum += verdict->is_optimum;
            r->reward += trainer->reward[c];
        }
        const double count = (double)r->completions; /* 0 / 0: not measured */
        r->ratio /= count;
        r->feasible /= count;
        r->exact_optimum /= count;
        r->reward /= count;
    }
}

static void choose_sizes(const wz_trainer *trainer, int64_t step, int64_t *sizes)
{
    const wz_trainer_options *o = &trainer->options;
    for (size_t p = 0; p < o->mixture.count; p++) {
        const wz_curriculum_options c = curriculum_of(o, p);
        sizes[p] = o->curriculum_enabled
                       ? wz_curriculum_size(&trainer->curricula[p], &c, o->seed, (uint32_t)step, (uint32_t)p)
                       : c.last;
    }
}

wz_status wz_trainer_step(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    int64_t sizes[WZ_MIXTURE_MAX] = {0};
    wz_report_start(report);
    if (step > (int64_t)UINT32_MAX / o->problems - 1)
        return wz_fail(err, WZ_ERR_USAGE, "step %lld: problem numbers run past 2^32", (long long)step);
    choose_sizes(trainer, step, sizes);
    wz_mixture_assign(&o->mixture, o->seed, (uint32_t)step, o->problems, trainer->part);
    wz_batch_destroy(trainer->batch);
    trainer->batch = NULL;
    const double start = wz_now_s();
    wz_status status = make_batch(trainer->policy, o, trainer->part, sizes, (uint32_t)(step * o->problems),
                                  o->problems, &trainer->batch, err);
    if (status == WZ_OK)
        status = reserve_rows(trainer, wz_batch_rows(trainer->batch),
                              packs_held(&trainer->options, trainer->batch), err);
    report->verify_s = wz_now_s() - start;
    if (status == WZ_OK)
        status = wz_trainer_learn(trainer, step, report, err);
    if (status != WZ_OK)
        return status;
    report_parts(trainer, sizes, report);
    for (size_t p = 0; o->curriculum_enabled && p < o->mixture.count; p++) {
        const wz_curriculum_options c = curriculum_of(o, p);
        if (report->parts[p].completions > 0)
            report->parts[p].size_grew =
                wz_curriculum_update(&trainer->curricula[p], &c, sizes[p], report->parts[p].ratio);
    }
    return WZ_OK;
}
