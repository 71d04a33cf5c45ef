#include "engine/grpo/trainer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/grpo/advantage.h"
#include "engine/grpo/report.h"
#include "engine/grpo/trainer_internal.h"

bool wz_trainer_packs_in_turn(const wz_trainer_options *o)
{
    return o->scale_rewards != WZ_SCALE_REWARDS_BATCH && o->slices == 1 && o->top_entropy_quantile >= 1.0;
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
    trainer->now = &trainer->options.mixture;
    trainer->epoch = -1;
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
        {(void **)&trainer->slots, (size_t)options->problems, sizeof *trainer->slots},
        {(void **)&trainer->known, (size_t)options->problems, sizeof *trainer->known},
        {(void **)&trainer->chosen, (size_t)options->problems, sizeof *trainer->chosen},
        {(void **)&trainer->order, options->set != NULL ? options->set->count : 0, sizeof *trainer->order},
        {(void **)&trainer->activations, packs, sizeof(wz_activations *)},
        {(void **)&trainer->ref_logp, packs, sizeof(float *)},
    };
    for (size_t i = 0; status == WZ_OK && i < sizeof parts / sizeof parts[0]; i++)
        status = wz_alloc(parts[i].place, parts[i].count, parts[i].size, "the trainer", err);
    if (status == WZ_OK)
        status = wz_apart_create(policy->model, options->grammar_coef > 0.0, &trainer->apart, err);
    if (status == WZ_OK && wz_trainer_has_pool(options))
        status = wz_replay_reserve(&trainer->replay, (size_t)options->replay.capacity, err);
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
    free(trainer->slots);
    free(trainer->known);
    free(trainer->chosen);
    free(trainer->order);
    wz_replay_clear(&trainer->replay);
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

wz_replay *wz_trainer_replay(wz_trainer *trainer)
{
    return &trainer->replay;
}

int64_t *wz_trainer_taken(wz_trainer *trainer)
{
    return &trainer->taken;
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
        r->drawn = r->completions;
        r->ratio /= count;
        r->feasible /= count;
        r->exact_optimum /= count;
        r->reward /= count;
    }
}

/* Mean objective ratio of the answers to the part's problems as they were drawn: those that are trained again or took
 * another's place were chosen for how they are answered. */
static void report_drawn(const wz_trainer *trainer, wz_step_report *report)
{
    const wz_batch *batch = trainer->batch;
    for (size_t p = 0; p < trainer->options.mixture.count; p++) {
        int64_t groups = 0;
        double sum = 0.0;
        for (int64_t g = 0; g < batch->groups; g++)
            if (trainer->part[g] == p && !trainer->slots[g].is_replayed) {
                sum += trainer->drawn_ratio[g];
                groups++;
            }
        report->parts[p].drawn = groups * batch->generations;
        report->parts[p].drawn_ratio = sum / (double)report->parts[p].drawn;
    }
}

/* Shares of groups whose rewards are equal, of those that were drawn anew and of those trained again. */
static void report_pool(const wz_trainer *trainer, wz_step_report *report)
{
    int64_t again = 0, flat_again = 0, flat = 0;
    const int64_t groups = trainer->batch->groups;
    for (int64_t g = 0; g < groups; g++) {
        const bool is_replayed = trainer->slots[g].is_replayed && !trainer->slots[g].is_replaced;
        again += is_replayed;
        flat_again += is_replayed && trainer->flat[g];
        flat += !is_replayed && trainer->flat[g];
    }
    report->again = (double)again / (double)groups;
    report->flat_again = (double)flat_again / (double)again;
    report->flat_anew = (double)flat / (double)(groups - again);
    report->pool = (double)trainer->replay.count;
    report->pool_success = wz_replay_success(&trainer->replay);
}

static void report_data(const wz_trainer *trainer, wz_step_report *report)
{
    const wz_trainer_options *o = &trainer->options;
    report->stage = trainer->stage;
    if (o->set != NULL)
        report->epoch = (double)trainer->taken / (double)o->set->count;
    if (wz_trainer_has_pool(o))
        report_pool(trainer, report);
    if (o->filter_tries > 0) {
        report->rejected = (double)trainer->rejected / (double)o->problems;
        report->unfiltered = (double)trainer->unfiltered / (double)o->problems;
    }
    if (o->replay.keeps_all)
        report->skipped = (double)trainer->skipped / (double)o->problems;
}

static void update_sizes(wz_trainer *trainer, wz_step_report *report)
{
    const wz_trainer_options *o = &trainer->options;
    for (size_t p = 0; p < o->mixture.count; p++) {
        const wz_curriculum_options c = wz_trainer_curriculum_of(o, p);
        if (report->parts[p].drawn > 0)
            report->parts[p].size_grew = wz_curriculum_update(&trainer->curricula[p], &c, trainer->sizes[p],
                                                              report->parts[p].drawn_ratio);
    }
}

/* A stage goes by all of the mixture. */
static void update_stage(wz_trainer *trainer, wz_step_report *report)
{
    const wz_trainer_options *o = &trainer->options;
    const wz_stage *stage = &o->stages->list[trainer->stage];
    wz_curriculum_options c = wz_trainer_curriculum_of(o, 0);
    double sum = 0.0, count = 0.0;
    c.threshold = stage->threshold;
    c.min_steps = stage->min_steps;
    for (size_t p = 0; p < o->mixture.count; p++)
        if (report->parts[p].drawn > 0) {
            sum += report->parts[p].drawn_ratio * (double)report->parts[p].drawn;
            count += (double)report->parts[p].drawn;
        }
    if (count > 0.0)
        report->stage_ended = wz_curriculum_update(&trainer->curricula[0], &c, trainer->stage, sum / count);
}

wz_status wz_trainer_step(wz_trainer *trainer, int64_t step, wz_step_report *report, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    wz_report_start(report);
    if (step == o->sft.steps && step > 0 && trainer->ref_model.model != NULL)
        wz_ref_model_take(&trainer->ref_model, trainer->policy->model);
    step -= o->sft.steps;
    if (step > (int64_t)UINT32_MAX / (o->problems * wz_trainer_numbers_each(o)) - 1)
        return wz_fail(err, WZ_ERR_USAGE, "step %lld: problem numbers run past 2^32", (long long)step);
    wz_trainer_choose_levels(trainer, step);
    wz_trainer_assign(trainer, step);
    const double start = wz_now_s();
    wz_status status = wz_trainer_begin_batch(trainer, step, err);
    report->verify_s = wz_now_s() - start;
    if (status == WZ_OK)
        status = wz_trainer_learn(trainer, step, report, err);
    if (status != WZ_OK)
        return status;
    trainer->taken = trainer->next;
    if (wz_trainer_has_pool(o))
        wz_trainer_observe(trainer, step);
    report_parts(trainer, report);
    if (o->replay_fraction > 0.0)
        report_drawn(trainer, report);
    report_data(trainer, report);
    wz_report_sizes(report, trainer->batch, trainer->part);
    wz_report_answers(report, trainer->batch, trainer->part, o->mixture.count, trainer->answers);
    if (o->stages != NULL)
        update_stage(trainer, report);
    else if (o->curriculum_enabled)
        update_sizes(trainer, report);
    return WZ_OK;
}
