#include "engine/grpo/batch.h"

#include <stdlib.h>
#include <string.h>

#include "engine/backend/token_sets.h"
#include "engine/grpo/tries.h"
#include "engine/rollout/decode.h"

static void give_up(wz_problem *problems, int64_t made)
{
    while (made-- > 0)
        wz_problem_clear(&problems[made]);
    free(problems);
}

wz_status wz_batch_copy(const wz_problem *given, int64_t groups, wz_problem **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, (size_t)groups, sizeof(wz_problem), "problems", err);
    if (status != WZ_OK)
        return status;
    wz_problem *problems = block;
    for (int64_t g = 0; g < groups; g++) {
        status = wz_problem_copy(&given[g], &problems[g], err);
        if (status != WZ_OK) {
            give_up(problems, g);
            return status;
        }
    }
    *out = problems;
    return WZ_OK;
}

wz_status wz_batch_generate(const wz_task *task, const double *values, uint64_t seed, wz_split split,
                            uint32_t first, int64_t groups, wz_problem **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    if (groups > (int64_t)UINT32_MAX - (int64_t)first)
        return wz_fail(err, WZ_ERR_USAGE, "problem numbers run past 2^32: use another seed for a longer run");
    wz_status status = wz_alloc(&block, (size_t)groups, sizeof(wz_problem), "problems", err);
    if (status != WZ_OK)
        return status;
    wz_problem *problems = block;
    for (int64_t g = 0; g < groups; g++) {
        status = wz_problem_generate(task, values, seed, split, first + (uint32_t)g, &problems[g], err);
        if (status != WZ_OK) {
            give_up(problems, g);
            return status;
        }
    }
    *out = problems;
    return WZ_OK;
}

static wz_status allocate(wz_batch *batch, wz_error *err)
{
    const size_t groups = (size_t)batch->groups, completions = groups * (size_t)batch->generations;
    struct {
        void **place;
        size_t count, size;
    } const parts[] = {
        {(void **)&batch->verifiers, groups, sizeof *batch->verifiers},
        {(void **)&batch->references, groups, sizeof *batch->references},
        {(void **)&batch->best, groups, WZ_MAX_SLOTS * sizeof *batch->best},
        {(void **)&batch->prompts, groups, sizeof *batch->prompts},
        {(void **)&batch->bounds, groups, sizeof *batch->bounds},
        {(void **)&batch->starts, groups, sizeof *batch->starts},
        {(void **)&batch->tries, groups, sizeof *batch->tries},
        {(void **)&batch->packs, (size_t)batch->pack_count, sizeof *batch->packs},
        {(void **)&batch->completions, completions, sizeof *batch->completions},
        {(void **)&batch->verdicts, completions, sizeof *batch->verdicts},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        wz_status status =
            wz_alloc(parts[i].place, parts[i].count, parts[i].size, "a batch of problems", err);
        if (status != WZ_OK)
            return status;
    }
    return WZ_OK;
}

/* A problem as its family prints it. */
static wz_status print_problem(const wz_batch *batch, int64_t group, wz_text *out, wz_error *err)
{
    return (wz_thinking_on(&batch->policy->thinking) ? wz_problem_print_to_think : wz_problem_print)(
        &batch->problems[group], batch->style, out, err);
}

wz_status wz_batch_print_prompt(const wz_batch *batch, int64_t group, wz_text *out, wz_error *err)
{
    wz_text printed = {0};
    wz_status status = print_problem(batch, group, &printed, err);
    if (status == WZ_OK)
        status = wz_chat_prompt(&batch->policy->chat, &printed, out, err);
    wz_text_clear(&printed);
    return status;
}

static wz_status find_reference(wz_batch *batch, int64_t g, const wz_known_reference *known, wz_error *err)
{
    unsigned *best = batch->best + g * WZ_MAX_SLOTS;
    if (known == NULL || !known->is_known)
        return wz_reference_find(batch->verifiers[g], &batch->problems[g], batch->effort, best,
                                 &batch->references[g], err);
    memcpy(best, known->decision, sizeof known->decision);
    batch->references[g] = known->reference;
    return WZ_OK;
}

/* Reference, prompt tokens and answer bounds of one problem. */
static wz_status prepare_problem(wz_batch *batch, int64_t g, const wz_known_reference *known, wz_text *text,
                                 wz_error *err)
{
    const wz_problem *problem = &batch->problems[g];
    const wz_verifier *verifier = wz_verifier_find(problem->task->name);
    if (verifier == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "task %s has no verifier", problem->task->name);
    batch->verifiers[g] = verifier;
    wz_status status = find_reference(batch, g, known, err);
    text->length = 0;
    if (status == WZ_OK)
        status = print_problem(batch, g, text, err);
    if (status == WZ_OK)
        status =
            wz_chat_encode(&batch->policy->chat, batch->policy->tokenizer, text, &batch->prompts[g], err);
    text->length = 0;
    if (status == WZ_OK)
        status = wz_problem_answer_pattern(problem, batch->style, text, err);
    if (status == WZ_OK)
        status = wz_policy_bounds(batch->policy, text->data, &batch->bounds[g], err);
    if (status == WZ_OK && batch->policy->thinking.tries > 0)
        status = wz_batch_add_tries(batch, g, err);
    batch->starts[g] = batch->bounds[g].start;
    const int64_t positions = batch->policy->model->config.max_position_embeddings;
    const int64_t need = (int64_t)batch->prompts[g].length + batch->bounds[g].longest;
    if (status == WZ_OK && need > positions)
        status = wz_fail(err, WZ_ERR_USAGE,
                         "a prompt of %zu tokens and a completion of up to %lld need %lld positions, but "
                         "model.max_position_embeddings is %lld",
                         batch->prompts[g].length, (long long)batch->bounds[g].longest, (long long)need,
                         (long long)positions);
    return status;
}

static wz_status create_pack(wz_batch *batch, int64_t p, wz_error *err)
{
    void *block = NULL;
    const int64_t first = p * batch->groups_per_pack;
    const int64_t left = batch->groups - first,
                  groups = left < batch->groups_per_pack ? left : batch->groups_per_pack;
    wz_status status = wz_alloc(&block, (size_t)groups, sizeof(wz_pack_group), "a pack", err);
    if (status != WZ_OK)
        return status;
    wz_pack_group *list = block;
    for (int64_t i = 0; i < groups; i++) {
        const wz_pattern_bounds *bounds = &batch->bounds[first + i];
        list[i] = (wz_pack_group){
            .problem = batch->problems[first + i].index,
            .prompt = batch->prompts[first + i].data,
            .prompt_length = (int64_t)batch->prompts[first + i].length,
            .longest = bounds->longest,
            .rows = wz_rollout_group_rows(bounds->longest, bounds->rows, batch->generations, batch->lessons)};
    }
    status = wz_pack_create(list, groups, batch->generations, &batch->packs[p], err);
    free(block);
    return status;
}

wz_status wz_batch_create(wz_policy *policy, const wz_batch_options *options, wz_problem *problems,
                          int64_t groups, wz_batch **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_batch), "a batch of problems", err);
    if (status != WZ_OK) {
        for (int64_t g = 0; g < groups; g++)
            wz_problem_clear(&problems[g]);
        free(problems);
        return status;
    }
    wz_batch *batch = block;
    wz_text text = {0};
    batch->policy = policy;
    batch->style = options->style;
    batch->effort = options->effort;
    batch->problems = problems;
    batch->groups = groups;
    batch->generations = options->generations;
    batch->lessons = policy->grammar != NULL ? options->lessons : 0;
    batch->groups_per_pack = options->groups_per_pack < groups ? options->groups_per_pack : groups;
    batch->pack_count = (groups + batch->groups_per_pack - 1) / batch->groups_per_pack;
    status = allocate(batch, err);
    if (status == WZ_OK && policy->thinking.tries > 0)
        status = wz_longest_reply(policy->tokenizer, &batch->insertion, err);
    for (int64_t g = 0; status == WZ_OK && g < groups; g++)
        status = prepare_problem(batch, g, options->known != NULL ? &options->known[g] : NULL, &text, err);
    wz_text_clear(&text);
    for (int64_t p = 0; status == WZ_OK && p < batch->pack_count; p++)
        status = create_pack(batch, p, err);
    if (status != WZ_OK) {
        wz_batch_destroy(batch);
        return status;
    }
    *out = batch;
    return WZ_OK;
}

wz_status wz_batch_replace(wz_batch *batch, int64_t g, wz_batch *from, int64_t other, wz_error *err)
{
    wz_known_reference known = {.is_known = true, .reference = from->references[other]};
    wz_text text = {0};
    memcpy(known.decision, from->best + other * WZ_MAX_SLOTS, sizeof known.decision);
    wz_problem_clear(&batch->problems[g]);
    batch->problems[g] = from->problems[other];
    from->problems[other] = (wz_problem){0};
    wz_ids_clear(&batch->prompts[g]);
    const wz_status status = prepare_problem(batch, g, &known, &text, err);
    wz_text_clear(&text);
    return status;
}

wz_status wz_batch_renew_pack(wz_batch *batch, int64_t p, wz_error *err)
{
    const int64_t first = p * batch->groups_per_pack * batch->generations;
    for (int64_t c = 0; c < batch->packs[p]->completions; c++)
        batch->completions[first + c].length = 0;
    wz_pack_destroy(batch->packs[p]);
    batch->packs[p] = NULL;
    return create_pack(batch, p, err);
}

void wz_batch_destroy(wz_batch *batch)
{
    if (batch == NULL)
        return;
    for (int64_t g = 0; g < batch->groups; g++) {
        wz_problem_clear(&batch->problems[g]);
        if (batch->prompts != NULL)
            wz_ids_clear(&batch->prompts[g]);
    }
    for (int64_t p = 0; batch->packs != NULL && p < batch->pack_count; p++)
        wz_pack_destroy(batch->packs[p]);
    for (int64_t c = 0; batch->completions != NULL && c < batch->groups * batch->generations; c++)
        wz_text_clear(&batch->completions[c]);
    free(batch->problems);
    free(batch->verifiers);
    free(batch->references);
    free(batch->best);
    free(batch->prompts);
    free(batch->bounds);
    free(batch->starts);
    free(batch->tries);
    free(batch->packs);
    free(batch->completions);
    free(batch->verdicts);
    free(batch);
}

int64_t wz_batch_rows(const wz_batch *batch)
{
    int64_t rows = 0;
    for (int64_t p = 0; p < batch->pack_count; p++)
        rows = batch->packs[p]->row_capacity > rows ? batch->packs[p]->row_capacity : rows;
    return rows;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The options with what the policy knows of its answers. */
static wz_rollout_options completed(const wz_policy *policy, wz_rollout_options options)
{
    options.end_tokens = policy->end_tokens;
    options.end_token_count = policy->end_token_count;
    options.paths = policy->paths;
    options.thinking = wz_thinking_on(&policy->thinking) ? &policy->thinking : NULL;
    return options;
}

/* Of packs as large as the batch has them. */
static wz_status add_decode_bounds(const wz_batch *batch, const wz_sampling *sampling, wz_op_bounds *b,
                                   wz_error *err)
{
    const wz_policy *policy = batch->policy;
    const wz_rollout_options options =
        completed(policy, (wz_rollout_options){.sampling = *sampling,
                                               .max_completion_length = policy->max_completion_length,
                                               .lessons = batch->lessons});
    wz_status status = WZ_OK;
    for (int64_t p = 0; status == WZ_OK && p < batch->pack_count; p++)
        status = wz_decode_add_bounds(
            policy->model, policy->grammar != NULL ? batch->starts + p * batch->groups_per_pack : NULL,
            batch->packs[p], &options, &b->decode, err);
    return status;
}

wz_status wz_batch_bounds(const wz_batch *batch, const wz_sampling *sampling, bool training, wz_op_bounds *b,
                          wz_error *err)
{
    const wz_model *model = batch->policy->model;
    const int64_t vocab = model->config.vocab_size;
    const bool is_free = batch->policy->grammar == NULL || batch->policy->thinking.budget > 0,
               cuts = sampling_cuts(sampling);
    int64_t group_rows = 0, own_rows = 0, longest = 0, set = 0;
    for (int64_t g = 0; g < batch->groups; g++) {
        const wz_pattern_bounds *bounds = &batch->bounds[g];
        const int64_t own =
            wz_rollout_group_rows(bounds->longest, bounds->rows, batch->generations, batch->lessons);
        own_rows = larger(own_rows, own);
        group_rows = larger(group_rows, (int64_t)batch->prompts[g].length + own);
        longest = larger(longest, bounds->longest);
        set = larger(set, bounds->set);
    }
    if (batch->policy->grammar == NULL)
        set = 0;
    if (is_free && cuts) /* sets are what top-k, top-p and min-p leave of the vocabulary */
        set = larger(set, sampling->top_k > 0 && sampling->top_k < vocab ? sampling->top_k : vocab);
    const int64_t completions = batch->groups_per_pack * batch->generations;
    wz_model_op_bounds(&model->config, b);
    b->rows = larger(b->rows, batch->groups_per_pack * group_rows);
    b->groups = larger(b->groups, batch->groups_per_pack);
    b->completions = larger(b->completions, completions);
    b->completion_stride = larger(b->completion_stride, longest);
    b->requests = larger(b->requests, completions);
    b->set = larger(b->set, set);
    b->whole = b->whole || is_free;
    b->cuts = b->cuts || cuts;
    const wz_status status = add_decode_bounds(batch, sampling, b, err);
    if (status != WZ_OK || !training)
        return status;
    b->floats = model->trained;
    /* a completion's decisions are predicted from its rows and from the prompt's last */
    b->entries = larger(b->entries, batch->groups_per_pack * (own_rows + batch->generations));
    if (batch->lessons > 0) /* each token's set, and each decision's if it was cut */
        b->table = larger(b->table, 2 * completions * longest * set);
    return WZ_OK;
}

static size_t rounded(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

size_t wz_batch_rollout_bytes(const wz_op_bounds *bounds)
{
    return rounded((size_t)(bounds->requests * (bounds->hidden + 1)) * sizeof(float));
}

size_t wz_batch_step_bytes(const wz_model *model, const wz_op_bounds *b)
{
    const int64_t rows = b->decode.step_rows;
    return b->decode.steps == 0
               ? 0
               : rounded(wz_activations_step_bytes(model, rows > 0 ? rows : 1, b->requests)) + 256;
}

wz_status wz_batch_decode_bytes(const wz_batch *batch, const wz_sampling *sampling, wz_op_bounds *bounds,
                                size_t *bytes, wz_error *err)
{
    const wz_model *model = batch->policy->model;
    wz_op_bounds own = {0};
    wz_status status = wz_batch_bounds(batch, sampling, false, &own, err);
    if (status == WZ_OK)
        status = wz_batch_bounds(batch, sampling, false, bounds, err);
    *bytes = rounded(wz_activations_bytes(model, own.rows, WZ_KEEP_CACHE)) + wz_batch_rollout_bytes(&own) +
             wz_batch_step_bytes(model, &own);
    return status;
}

wz_status wz_batch_decode_memory(const wz_batch *batch, const wz_sampling *sampling, wz_activations **out,
                                 wz_error *err)
{
    const wz_model *model = batch->policy->model;
    wz_op_bounds bounds = {0};
    size_t bytes = 0;
    *out = NULL;
    wz_status status = wz_batch_decode_bytes(batch, sampling, &bounds, &bytes, err);
    if (status == WZ_OK)
        status = model->backend->ops->reserve(model->backend, &bounds, bytes, err);
    return status == WZ_OK ? wz_activations_create(model, bounds.rows, WZ_KEEP_CACHE, out, err) : status;
}

wz_status wz_batch_rollout(wz_batch *batch, int64_t p, wz_activations *activations,
                           const wz_rollout_options *options, wz_error *err)
{
    const wz_policy *policy = batch->policy;
    wz_rollout_options complete = completed(policy, *options);
    wz_try_context context = {batch, p * batch->groups_per_pack};
    const wz_insertion insertion = {wz_batch_reply, &context, batch->insertion};
    complete.tries = batch->tries + p * batch->groups_per_pack;
    complete.insertion = &insertion;
    return wz_rollout_run(policy->model, activations, batch->packs[p], policy->grammar,
                          batch->starts + p * batch->groups_per_pack, &complete, err);
}

static wz_status verify_completion(wz_batch *batch, int64_t g, int64_t j, wz_error *err)
{
    const int64_t number = g * batch->generations + j;
    const wz_pack *pack = batch->packs[g / batch->groups_per_pack];
    const int64_t c = g % batch->groups_per_pack * batch->generations + j;
    wz_text *text = &batch->completions[number];
    wz_status status = wz_text_append(text, "", 0, err);
    if (status == WZ_OK)
        status = wz_tokenizer_decode(batch->policy->tokenizer, pack->tokens + c * pack->completion_stride,
                                     (size_t)pack->length[c], true, text, err);
    if (status == WZ_OK)
        status = (wz_thinking_on(&batch->policy->thinking) ? wz_verify_thought : wz_verify)(
            batch->verifiers[g], &batch->problems[g], &batch->references[g], batch->style, text->data,
            text->length, &batch->verdicts[number], err);
    return status;
}

wz_status wz_batch_verify_pack(wz_batch *batch, int64_t p, wz_error *err)
{
    const int64_t first = p * batch->groups_per_pack;
    for (int64_t g = first; g < first + batch->packs[p]->groups; g++)
        for (int64_t j = 0; j < batch->generations; j++) {
            wz_status status = verify_completion(batch, g, j, err);
            if (status != WZ_OK)
                return status;
        }
    return WZ_OK;
}

wz_status wz_batch_verify(wz_batch *batch, wz_error *err)
{
    wz_status status = WZ_OK;
    for (int64_t p = 0; status == WZ_OK && p < batch->pack_count; p++)
        status = wz_batch_verify_pack(batch, p, err);
    return status;
}
