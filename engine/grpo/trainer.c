#include "engine/grpo/trainer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/grpo/advantage.h"
#include "engine/grpo/report.h"
#include "engine/grpo/trainer_internal.h"

bool wz_trainer_packs_in_turn(const wz_trainer_options *o)
{
    return o->scale_rewards != WZ_SCALE_REWARDS_BATCH && o->grammar_coef == 0.0 && o->slices == 1 &&
           o->top_entropy_quantile >= 1.0;
}

bool wz_trainer_reuses_rollouts(const wz_trainer_options *o)
{
    return o->reuse_activations && o->slices == 1;
}

bool wz_trainer_keeps_rollouts(const wz_trainer_options *o)
{
    return wz_trainer_reuses_rollouts(o) && !wz_trainer_packs_in_turn(o);
}

int64_t wz_trainer_pack_count(const wz_trainer_options *o)
{
    return (o->problems + o->groups_per_pack - 1) / o->groups_per_pack;
}

wz_curriculum_options wz_trainer_curriculum_of(const wz_trainer_options *options, size_t part)
{
    const wz_mixture_part *p = &options->mixture.parts[part];
    wz_curriculum_options sizes = options->curriculum;
    sizes.first = p->first;
    sizes.last = (int64_t)p->values[p->task->size_option];
    return sizes;
}

/* What follows the weights: the reference and the average, as they start. */
static wz_status create_followers(wz_trainer *trainer, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const wz_model *model = trainer->policy->model;
    void *block = NULL;
    wz_status status = WZ_OK;
    wz_entropy_control_start(&trainer->entropy, &o->entropy);
    if (o->loss.beta > 0.0)
        status = wz_ref_model_create(model, &trainer->ref_model, err);
    if (status != WZ_OK || o->ema_decay == 0.0)
        return status;
    status = model->backend->ops->alloc(model->backend, (size_t)model->trained * sizeof(float),
                                        "averaged weights", &block, err);
    trainer->average = block;
    if (status == WZ_OK)
        model->backend->ops->blend(model->backend, trainer->average, model->weights, model->trained, 1.0f);
    return status;
}

wz_status wz_trainer_create(wz_policy *policy, const wz_trainer_options *options, wz_trainer **out,
                            wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    if (policy->model->gradients == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "the model was created without gradients");
    if (options->style == WZ_PROMPT_FULL && policy->grammar != NULL && !wz_thinking_on(&policy->thinking))
        return wz_fail(
            err, WZ_ERR_USAGE,
            "prompt_style full asks to think before the answer, whose grammar leaves no place for it: "
            "set thinking_budget (tokens) or answer_grammar: false");
    wz_status status = wz_alloc(&block, 1, sizeof(wz_trainer), "the trainer", err);
    if (status != WZ_OK)
        return status;
    wz_trainer *trainer = block;
    trainer->policy = policy;
    trainer->options = *options;
    for (size_t p = 0; p < options->mixture.count; p++) {
        const wz_curriculum_options sizes = wz_trainer_curriculum_of(options, p);
        wz_curriculum_start(&trainer->curricula[p], &sizes);
    }
    const size_t completions = (size_t)(options->problems * options->generations);
    const size_t packs = (size_t)wz_trainer_pack_count(options);
    struct {
        void **place;
        size_t count, size;
    } const parts[] = {
        {(void **)&trainer->reward, completions, sizeof(double)},
        {(void **)&trainer->advantage, completions, sizeof(double)},
        {(void **)&trainer->flat, (size_t)options->problems, 1},
        {(void **)&trainer->part, (size_t)options->problems, 1},
        {(void **)&trainer->left_out, completions, 1},
        {(void **)&trainer->answers, completions, sizeof *trainer->answers},
        {(void **)&trainer->drawn_ratio, (size_t)options->problems, sizeof(double)},
        {(void **)&trainer->activations, packs, sizeof(wz_activations *)},
        {(void **)&trainer->ref_logp, packs, sizeof(float *)},
    };
    for (size_t i = 0; status == WZ_OK && i < sizeof parts / sizeof parts[0]; i++)
        status = wz_alloc(parts[i].place, parts[i].count, parts[i].size, "the trainer", err);
    if (status == WZ_OK)
        status = wz_apart_create(policy->model, options->grammar_coef > 0.0, &trainer->apart, err);
    if (status == WZ_OK)
        status = create_followers(trainer, err);
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
    for (int64_t i = 0; trainer->ref_logp != NULL && i < wz_trainer_pack_count(&trainer->options); i++)
        free(trainer->ref_logp[i]);
    wz_ref_model_clear(&trainer->ref_model);
    if (trainer->average != NULL)
        trainer->policy->model->backend->ops->release(trainer->policy->model->backend, trainer->average);
    wz_backward_destroy(trainer->backward);
    wz_apart_clear(&trainer->apart);
    wz_batch_destroy(trainer->batch);
    free(trainer->activations);
    free(trainer->reward);
    free(trainer->advantage);
    free(trainer->flat);
    free(trainer->part);
    free(trainer->left_out);
    free(trainer->answers);
    free(trainer->drawn_ratio);
    free(trainer->ref_logp);
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

wz_entropy_control *wz_trainer_entropy(wz_trainer *trainer)
{
    return &trainer->entropy;
}

float *wz_trainer_ref_weights(const wz_trainer *trainer)
{
    return trainer->ref_model.model != NULL ? trainer->ref_model.model->weights : NULL;
}

void wz_trainer_ref_weights_changed(const wz_trainer *trainer)
{
    wz_model_weights_changed(trainer->ref_model.model);
}

float *wz_trainer_average(const wz_trainer *trainer)
{
    return trainer->average;
}

/* sizes NULL: the largest. */
static wz_status draw_problem(const wz_trainer_options *o, size_t part, const int64_t *sizes, uint32_t number,
                              wz_problem *out, wz_error *err)
{
    const wz_mixture_part *p = &o->mixture.parts[part];
    double values[WZ_TASK_MAX_OPTIONS];
    memcpy(values, p->values, sizeof values);
    if (sizes != NULL)
        values[p->task->size_option] = (double)sizes[part];
    return wz_problem_generate(p->task, values, o->seed, WZ_SPLIT_TRAIN, number, out, err);
}

wz_status wz_trainer_draw_problem(const wz_trainer *trainer, int64_t step, int64_t g, int64_t attempt,
                                  wz_problem *out, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    const int64_t number = (step * (o->dynamic_tries + 1) + attempt) * o->problems + g;
    return draw_problem(o, trainer->part[g], trainer->sizes, (uint32_t)number, out, err);
}

/* A step's problems; without a trainer, those of step 0 at the largest sizes. */
static wz_status draw_problems(const wz_trainer_options *o, const wz_trainer *trainer, const uint8_t *part,
                               int64_t step, wz_problem **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, (size_t)o->problems, sizeof(wz_problem), "problems", err);
    if (status != WZ_OK)
        return status;
    wz_problem *list = block;
    for (int64_t g = 0; status == WZ_OK && g < o->problems; g++)
        status = trainer != NULL ? wz_trainer_draw_problem(trainer, step, g, 0, &list[g], err)
                                 : draw_problem(o, part[g], NULL, (uint32_t)g, &list[g], err);
    for (int64_t g = 0; status != WZ_OK && g < o->problems; g++)
        wz_problem_clear(&list[g]);
    if (status == WZ_OK)
        *out = list;
    else
        free(list);
    return status;
}

static wz_status make_batch(wz_policy *policy, const wz_trainer_options *o, wz_problem *problems,
                            int64_t count, wz_batch **out, wz_error *err)
{
    const wz_batch_options options = {.style = o->style,
                                      .effort = WZ_EFFORT_TRAINING,
                                      .generations = o->generations,
                                      .groups_per_pack = o->groups_per_pack,
                                      .lessons = o->grammar_coef > 0.0 ? o->grammar_generations : 0};
    return wz_batch_create(policy, &options, problems, count, out, err);
}

wz_status wz_trainer_make_batch(const wz_trainer *trainer, wz_problem *problems, int64_t count,
                                wz_batch **out, wz_error *err)
{
    return make_batch(trainer->policy, &trainer->options, problems, count, out, err);
}

wz_status wz_trainer_largest_batch(wz_policy *policy, const wz_trainer_options *options, wz_batch **out,
                                   wz_error *err)
{
    wz_problem *problems = NULL;
    void *part = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&part, (size_t)options->problems, 1, "a batch of problems", err);
    if (status != WZ_OK)
        return status;
    wz_mixture_assign(&options->mixture, options->seed, 0, options->problems, part);
    for (size_t p = 0; p < options->mixture.count; p++)
        ((uint8_t *)part)[p] = (uint8_t)p; /* each is among them */
    status = draw_problems(options, NULL, part, 0, &problems, err);
    free(part);
    return status == WZ_OK ? make_batch(policy, options, problems, options->problems, out, err) : status;
}

/* What each part of the mixture gave. */
static void report_parts(const wz_trainer *trainer, wz_step_report *report)
{
    const wz_batch *batch = trainer->batch;
    for (size_t p = 0; p < trainer->options.mixture.count; p++) {
        wz_part_report *r = &report->parts[p];
        *r = (wz_part_report){.size = trainer->sizes[p]};
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
        for (int64_t g = 0; g < batch->groups; g++)
            r->drawn_ratio += trainer->part[g] == p ? trainer->drawn_ratio[g] : 0.0;
        const double count = (double)r->completions; /* 0 / 0: not measured */
        r->drawn_ratio = trainer->options.dynamic_tries > 0 ? r->drawn_ratio / count : r->ratio / count;
        r->ratio /= count;
        r->feasible /= count;
        r->exact_optimum /= count;
        r->reward /= count;
    }
}

static void choose_sizes(wz_trainer *trainer, int64_t step)
{
    const wz_trainer_options *o = &trainer->options;
    for (size_t p = 0; p < o->mixture.count; p++) {
        const wz_curriculum_options c = wz_trainer_curriculum_of(o, p);
        trainer->sizes[p] = o->curriculum_enabled ? wz_curriculum_size(&trainer->curricula[p], &c, o->seed,
                                                                       (uint32_t)step, (uint32_t)p)
                                                  : c.last;
    }
}

/* Each slice gets its share of each part: slot g has what stands at place (g % per_slice) slices + g / per_slice. */
static void assign_parts(wz_trainer *trainer, int64_t step)
{
    const wz_trainer_options *o = &trainer->options;
    const int64_t per_slice = o->problems / o->slices;
    uint8_t *at = trainer->part;
    wz_mixture_assign(&o->mixture, o->seed, (uint32_t)step, o->problems, at);
    if (o->slices == 1 || o->mixture.count == 1)
        return;
    memcpy(trainer->flat, at, (size_t)o->problems); /* the step writes it anew */
    for (int64_t g = 0; g < o->problems; g++)
        at[g] = trainer->flat[g % per_slice * o->slices + g / per_slice];
}

static wz_status begin_batch(wz_trainer *trainer, int64_t step, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    wz_problem *problems = NULL;
    wz_batch_destroy(trainer->batch);
    trainer->batch = NULL;
    wz_status status = draw_problems(o, trainer, trainer->part, step, &problems, err);
    if (status == WZ_OK)
        status = make_batch(trainer->policy, o, problems, o->problems, &trainer->batch, err);
    return status == WZ_OK ? wz_trainer_reserve_batch(trainer, err) : status;
}

wz_status wz_trainer_step(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    wz_report_start(report);
    if (step == o->sft.steps && step > 0 && trainer->ref_model.model != NULL)
        wz_ref_model_take(&trainer->ref_model, trainer->policy->model);
    step -= o->sft.steps;
    if (step > (int64_t)UINT32_MAX / (o->problems * (o->dynamic_tries + 1)) - 1)
        return wz_fail(err, WZ_ERR_USAGE, "step %lld: problem numbers run past 2^32", (long long)step);
    choose_sizes(trainer, step);
    assign_parts(trainer, step);
    const double start = wz_now_s();
    wz_status status = begin_batch(trainer, step, err);
    report->verify_s = wz_now_s() - start;
    if (status == WZ_OK)
        status = wz_trainer_learn(trainer, step, report, err);
    if (status != WZ_OK)
        return status;
    report_parts(trainer, report);
    wz_report_sizes(report, trainer->batch, trainer->part);
    wz_report_answers(report, trainer->batch, trainer->part, o->mixture.count, trainer->answers);
    for (size_t p = 0; o->curriculum_enabled && p < o->mixture.count; p++) {
        const wz_curriculum_options c = wz_trainer_curriculum_of(o, p);
        if (report->parts[p].completions > 0)
            report->parts[p].size_grew = wz_curriculum_update(&trainer->curricula[p], &c, trainer->sizes[p],
                                                              report->parts[p].drawn_ratio);
    }
    return WZ_OK;
}
