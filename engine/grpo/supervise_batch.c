/* What a supervised step trains on: the pairs of a file, shuffled anew for each epoch, or solved problems. */
#include <stdlib.h>
#include <string.h>

#include "engine/grpo/shuffle.h"
#include "engine/grpo/supervise_internal.h"
#include "rewards/verifier.h"

void wz_supervised_clear(wz_supervised *batch)
{
    for (int64_t i = 0; batch->items != NULL && i < batch->count; i++)
        wz_ids_clear(&batch->items[i].tokens);
    free(batch->items);
    memset(batch, 0, sizeof *batch);
}

static wz_status take_pair(const wz_pairs *pairs, uint32_t number, wz_supervised_item *out, wz_error *err)
{
    const wz_pair *pair = &pairs->items[number];
    out->problem = number;
    out->prompt_length = pair->prompt_length;
    return wz_ids_append(&out->tokens, pairs->tokens.data + pair->at,
                         (size_t)(pair->prompt_length + pair->completion_length), err);
}

/* Places step * batch, ... of one epoch after the other. */
static wz_status take_pairs(const wz_trainer_options *o, int64_t step, wz_supervised *out, wz_error *err)
{
    const wz_pairs *pairs = o->sft.pairs;
    const int64_t count = (int64_t)pairs->count;
    int64_t shuffled = -1;
    void *order = NULL;
    wz_status status = wz_alloc(&order, pairs->count, sizeof(uint32_t), "an epoch's order", err);
    for (int64_t i = 0; status == WZ_OK && i < out->count; i++) {
        const int64_t place = step * o->sft.batch + i, epoch = place / count;
        if (epoch != shuffled)
            wz_shuffle(o->seed, WZ_PURPOSE_SHUFFLE, (uint32_t)epoch, order, pairs->count);
        shuffled = epoch;
        status = take_pair(pairs, ((const uint32_t *)order)[place % count], &out->items[i], err);
    }
    free(order);
    return status;
}

/* The reference solver's decision as a policy would answer. */
static wz_status print_answer(const wz_problem *problem, wz_prompt_style style, wz_text *out, wz_error *err)
{
    const wz_verifier *verifier = wz_verifier_find(problem->task->name);
    unsigned decision[WZ_MAX_SLOTS] = {0};
    wz_answer_form form = {0};
    wz_reference reference;
    if (verifier == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "task %s has no verifier", problem->task->name);
    wz_status status = wz_reference_find(verifier, problem, WZ_EFFORT_TRAINING, decision, &reference, err);
    problem->task->answer_form(problem, &form);
    if (status == WZ_OK)
        status = wz_form_print(&form, style, decision, out, err);
    return status == WZ_OK ? wz_text_printf(out, err, "</answer>") : status;
}

static wz_status check_positions(const wz_policy *policy, const wz_supervised_item *item, wz_error *err)
{
    const int64_t positions = policy->model->config.max_position_embeddings;
    const int64_t own = (int64_t)item->tokens.length - item->prompt_length;
    if ((int64_t)item->tokens.length > positions)
        return wz_fail(err, WZ_ERR_USAGE,
                       "a prompt of %lld tokens and its answer of %lld need %lld positions, but "
                       "model.max_position_embeddings is %lld",
                       (long long)item->prompt_length, (long long)own, (long long)item->tokens.length,
                       (long long)positions);
    if (own > policy->max_completion_length)
        return wz_fail(err, WZ_ERR_USAGE, "an answer has %lld tokens, but max_completion_length is %lld",
                       (long long)own, (long long)policy->max_completion_length);
    return WZ_OK;
}

static wz_status take_problem(const wz_trainer *trainer, const wz_problem *problem, wz_text *text,
                              wz_supervised_item *out, wz_error *err)
{
    const wz_policy *policy = trainer->policy;
    const wz_prompt_style style = trainer->options.style;
    wz_pattern_bounds bounds;
    out->problem = problem->index;
    text->length = 0;
    wz_status status = wz_problem_print(problem, style, text, err);
    if (status == WZ_OK)
        status = wz_chat_encode(&policy->chat, policy->tokenizer, text, &out->tokens, err);
    out->prompt_length = (int64_t)out->tokens.length;
    text->length = 0;
    if (status == WZ_OK)
        status = print_answer(problem, style, text, err);
    if (status == WZ_OK)
        status = wz_tokenizer_encode(policy->tokenizer, text->data, text->length, false, &out->tokens, err);
    text->length = 0;
    if (status == WZ_OK)
        status = wz_problem_answer_pattern(problem, style, text, err);
    if (status == WZ_OK)
        status = wz_policy_bounds(trainer->policy, text->data, &bounds, err);
    out->start = status == WZ_OK ? bounds.start : 0;
    return status == WZ_OK ? check_positions(policy, out, err) : status;
}

/* Numbered from the last down: GRPO's problems are numbered from the first up, so that none is met in both. */
static wz_status take_problems(const wz_trainer *trainer, int64_t step, wz_supervised *out, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    wz_text text = {0};
    void *part = NULL;
    wz_status status = wz_alloc(&part, (size_t)out->count, 1, "a batch of problems", err);
    if (status != WZ_OK)
        return status;
    const wz_mixture *mixture =
        o->stages != NULL ? &o->stages->list[trainer->curricula[0].size].mixture : &o->mixture;
    wz_mixture_assign(mixture, o->seed, (uint32_t)(UINT32_MAX - step), out->count, part);
    for (int64_t i = 0; status == WZ_OK && i < out->count; i++) {
        const uint8_t p = ((const uint8_t *)part)[i];
        const wz_mixture_part *m = &mixture->parts[p];
        const int64_t number = (int64_t)UINT32_MAX - (step * o->sft.batch + i);
        double values[WZ_TASK_MAX_OPTIONS];
        wz_problem problem;
        memcpy(values, m->values, sizeof values);
        if (o->curriculum_enabled && o->stages == NULL)
            values[m->task->size_option] = (double)trainer->curricula[p].size;
        status =
            wz_problem_generate(m->task, values, o->seed, WZ_SPLIT_TRAIN, (uint32_t)number, &problem, err);
        if (status != WZ_OK)
            break;
        status = take_problem(trainer, &problem, &text, &out->items[i], err);
        wz_problem_clear(&problem);
    }
    wz_text_clear(&text);
    free(part);
    return status;
}

wz_status wz_supervised_take(const wz_trainer *trainer, int64_t step, wz_supervised *out, wz_error *err)
{
    const wz_sft_options *sft = &trainer->options.sft;
    void *items = NULL;
    *out = (wz_supervised){0};
    wz_status status =
        wz_alloc(&items, (size_t)sft->batch, sizeof *out->items, "a batch of supervised pairs", err);
    if (status != WZ_OK)
        return status;
    out->items = items;
    out->count = sft->batch;
    out->grammar = sft->pairs == NULL ? trainer->policy->grammar : NULL;
    return sft->pairs != NULL ? take_pairs(&trainer->options, step, out, err)
                              : take_problems(trainer, step, out, err);
}
