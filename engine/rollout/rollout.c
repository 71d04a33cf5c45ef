#include <stdlib.h>
#include <string.h>

#include "engine/backend/token_sets.h"
#include "engine/core/clock.h"
#include "engine/rollout/rollout_internal.h"

/* The pack's copy of a grammar's token set. */
static wz_status pack_set(wz_rollout *r, const wz_mask *mask, uint32_t *id, wz_error *err)
{
    const size_t old = r->set_capacity;
    void *ids = r->set_id;
    wz_status status =
        wz_grow(&ids, &r->set_capacity, (size_t)mask->id + 1, sizeof(uint32_t), "token sets", err);
    r->set_id = ids;
    if (status != WZ_OK)
        return status;
    memset(r->set_id + old, 0, (r->set_capacity - old) * sizeof(uint32_t));
    if (r->set_id[mask->id] == 0)
        status = wz_pack_add_mask(r->pack, mask->tokens, mask->count, &r->set_id[mask->id], err);
    *id = r->set_id[mask->id];
    return status;
}

void wz_rollout_append(wz_rollout *r, int64_t c, uint32_t token, uint32_t set, wz_origin origin)
{
    wz_pack *pack = r->pack;
    const int64_t at = c * pack->completion_stride + pack->length[c]++;
    pack->tokens[at] = token;
    pack->origins[at] = (uint8_t)origin;
    pack->masks[at] = set;
}

wz_status wz_rollout_follow_grammar(wz_rollout *r, int64_t c, uint32_t *set, bool *ended, wz_error *err)
{
    wz_pack *pack = r->pack;
    *ended = false;
    for (;;) {
        wz_mask mask = {0};
        if (pack->length[c] >= r->options->max_completion_length) {
            r->going[c] = 0;
            return WZ_OK;
        }
        wz_status status = wz_grammar_mask(r->grammar, r->state[c], &mask, err);
        if (status != WZ_OK)
            return status;
        const bool accepts = wz_grammar_accepts(r->grammar, r->state[c]);
        if (accepts && mask.count > 0)
            return wz_fail(
                err, WZ_ERR_RUNTIME,
                "the answer grammar allows a completion to end and to go on at the same place; end the "
                "pattern with a closing tag");
        *ended = mask.count == 0;
        if (*ended)
            return accepts ? WZ_OK
                           : wz_fail(err, WZ_ERR_RUNTIME,
                                     "the answer grammar has no admissible token after %d tokens",
                                     pack->length[c]);
        status = pack_set(r, &mask, set, err);
        if (status != WZ_OK || mask.count > 1)
            return status;
        wz_rollout_append(r, c, mask.tokens[0], *set, WZ_ORIGIN_FORCED);
        status = wz_grammar_step(r->grammar, r->state[c], mask.tokens[0], &r->state[c], err);
        if (status != WZ_OK)
            return status;
    }
}

/* Appends what follows without a choice. Ends the completion where nothing may follow or at the length limit; else *set is
 * the token set to sample from. */
static wz_status go_on(wz_rollout *r, int64_t c, uint32_t *set, wz_error *err)
{
    wz_status status = WZ_OK;
    bool answers = true, ended = false;
    *set = 0;
    if (wz_thinks(r, c))
        status = wz_think_on(r, c, set, &answers, err);
    if (status != WZ_OK || !answers || !r->going[c])
        return status;
    if (r->pack->length[c] >= r->options->max_completion_length)
        r->going[c] = 0;
    else if (r->grammar != NULL)
        status = wz_rollout_follow_grammar(r, c, set, &ended, err);
    if (status == WZ_OK && ended) {
        r->pack->finished[c] = 1;
        r->going[c] = 0;
    }
    return status;
}

/* A sampled token has been appended. */
static wz_status take(wz_rollout *r, int64_t c, uint32_t token, wz_error *err)
{
    if (wz_thinks(r, c))
        return wz_thought_take(r, c, token, err);
    if (r->grammar != NULL)
        return wz_grammar_step(r->grammar, r->state[c], token, &r->state[c], err);
    for (size_t i = 0; i < r->options->end_token_count; i++)
        if (token == r->options->end_tokens[i]) {
            r->pack->finished[c] = 1;
            r->going[c] = 0;
        }
    return WZ_OK;
}

static bool teaches(const wz_rollout *r, int64_t c)
{
    return c % r->pack->generations < r->options->lessons;
}

/* Tokens that something will be predicted from become rows: all of them while the completion goes on; at its end none,
 * or all but the last when it teaches the grammar. */
static void add_rows(wz_rollout *r, int64_t c)
{
    int32_t need = r->pack->length[c];
    if (!r->going[c])
        need = teaches(r, c) ? need - 1 : 0;
    wz_pack_add_rows(r->pack, c, need);
}

/* What one decode step asks for: requests, from fewer hidden vectors. */
typedef struct asked {
    int64_t requests, vectors;
} asked;

/* Rows for what is known, and a request for every completion still going. */
static wz_status ask(wz_rollout *r, asked *out, wz_error *err)
{
    wz_pack *pack = r->pack;
    int64_t requests = 0, vectors = 0;
    for (int64_t c = 0; c < pack->completions; c++) {
        uint32_t set = 0;
        if (!r->going[c])
            continue;
        wz_status status = go_on(r, c, &set, err);
        if (status != WZ_OK)
            return status;
        add_rows(r, c);
        if (!r->going[c])
            continue;
        const int32_t site = wz_pack_site(pack, c, pack->length[c]);
        /* completions of one group start from the same prompt row: one hidden vector serves them */
        if (vectors == 0 || r->gather[vectors - 1] != site)
            r->gather[vectors++] = site;
        r->asker[requests] = (int32_t)c;
        r->request[requests++] = (wz_sample_request){(int32_t)(vectors - 1),
                                                     set,
                                                     {.seed = r->options->seed,
                                                      .step = r->options->step,
                                                      .problem = pack->problem[c / pack->generations],
                                                      .token = (uint32_t)pack->length[c],
                                                      .sample = (uint32_t)(c % pack->generations),
                                                      .purpose = (uint32_t)r->options->purpose}};
    }
    *out = (asked){requests, vectors};
    return WZ_OK;
}

/* Computes the rows from row0 on and samples what is asked for. */
static wz_status sample(wz_rollout *r, int64_t row0, const asked *a, wz_error *err)
{
    const wz_pack *pack = r->pack;
    const wz_backend_ops *ops = r->model->backend->ops;
    wz_model_forward(r->model, r->activations, &pack->segments, pack->row_token, row0, pack->segments.rows);
    if (a->requests == 0)
        return ops->sync(r->model->backend, err);
    wz_model_final_norm(r->model, r->activations, r->gather, a->vectors, r->hidden, r->rstd);
    const wz_linear head = wz_model_head(r->model);
    return ops->head_sample(r->model->backend, r->result, r->kept, r->kept_stride,
                            wz_matrix(r->hidden, a->vectors, r->model->config.hidden_size), &head, r->request,
                            a->requests, &pack->mask_table, &r->options->sampling, err);
}

static uint32_t tokens_allowed(const wz_rollout *r, uint32_t set)
{
    return set == 0 ? (uint32_t)r->model->tokens : r->pack->mask_offset[set + 1] - r->pack->mask_offset[set];
}

/* The same from what the device drew. */
static void recall(wz_rollout *r, const asked *a)
{
    for (int64_t i = 0; i < a->requests; i++) {
        const int64_t c = r->asker[i];
        r->result[i] = r->decoded.result[r->taken[c]++ * r->pack->completions + c];
        r->result[i].kept = tokens_allowed(r, r->request[i].mask);
    }
}

/* One decode step: rows for what is known, then one sampled token for every completion still going. */
static wz_status decode_step(wz_rollout *r, bool *any, wz_error *err)
{
    wz_pack *pack = r->pack;
    const int64_t row0 = pack->segments.rows;
    asked a = {0, 0};
    wz_status status = ask(r, &a, err);
    if (status == WZ_OK && r->decoded.result != NULL)
        recall(r, &a);
    else if (status == WZ_OK)
        status = sample(r, row0, &a, err);
    *any = a.requests > 0;
    for (int64_t i = 0; status == WZ_OK && i < a.requests; i++) {
        const int64_t c = r->asker[i];
        const wz_sample_result *result = &r->result[i];
        uint32_t set = r->request[i].mask;
        if (result->kept < tokens_allowed(r, set))
            status = wz_pack_add_mask(pack, r->kept + i * r->kept_stride, result->kept, &set, err);
        if (status == WZ_OK)
            status = wz_pack_add_decision(pack, c, r->gather[r->request[i].row], result->token, set,
                                          result->logp, result->entropy, err);
        if (status != WZ_OK)
            return status;
        wz_rollout_append(r, c, result->token, r->request[i].mask, WZ_ORIGIN_SAMPLED);
        status = take(r, c, result->token, err);
    }
    return status;
}

static wz_status add_lessons(wz_rollout *r, wz_error *err)
{
    wz_status status = WZ_OK;
    for (int64_t c = 0; status == WZ_OK && c < r->pack->completions && r->grammar != NULL; c++)
        if (teaches(r, c))
            status = wz_pack_teach(r->pack, c, err);
    return status;
}

static wz_status prepare(wz_rollout *r, wz_error *err)
{
    wz_pack *pack = r->pack;
    wz_backend *backend = r->model->backend;
    const size_t n = (size_t)pack->completions;
    if (sampling_cuts(&r->options->sampling))
        r->kept_stride = r->model->config.vocab_size;
    const size_t each = sizeof(wz_sample_request) + sizeof(wz_sample_result) + 3 * sizeof(int32_t) +
                        sizeof(wz_grammar_state) + 1 + (size_t)r->kept_stride * sizeof(uint32_t);
    void *block = NULL;
    wz_status status = wz_alloc(&block, n, each, "a decode step", err);
    if (status != WZ_OK)
        return status;
    r->block = block;
    r->request = block;
    r->result = (wz_sample_result *)(void *)(r->request + n);
    r->asker = (int32_t *)(void *)(r->result + n);
    r->gather = r->asker + n;
    r->taken = r->gather + n;
    r->state = (wz_grammar_state *)(void *)(r->taken + n);
    r->kept = r->kept_stride > 0 ? r->state + n : NULL;
    r->going = (uint8_t *)(r->state + n + n * (size_t)r->kept_stride);
    for (size_t c = 0; c < n; c++) {
        r->going[c] = 1;
        r->state[c] = r->grammar != NULL ? r->start[c / (size_t)pack->generations] : 0;
    }
    status = wz_thoughts_create(r, err);
    if (status != WZ_OK || r->decoded.result != NULL)
        return status;
    void *memory = NULL;
    status = backend->ops->alloc(backend, n * (size_t)(r->model->config.hidden_size + 1) * sizeof(float),
                                 "a decode step", &memory, err);
    r->hidden = memory;
    if (status == WZ_OK)
        r->rstd = r->hidden + n * (size_t)r->model->config.hidden_size;
    return status;
}

static wz_status compute_prompts(const wz_model *model, wz_activations *activations, const wz_pack *pack,
                                 const wz_rollout_options *options, wz_error *err)
{
    wz_model_forward(model, activations, &pack->segments, pack->row_token, 0, pack->segments.rows);
    if (options->prompts_done_s == NULL)
        return WZ_OK;
    const wz_status status = model->backend->ops->sync(model->backend, err);
    *options->prompts_done_s = wz_now_s();
    return status;
}

wz_status wz_rollout_run(const wz_model *model, wz_activations *activations, wz_pack *pack,
                         wz_grammar_set *grammar, const wz_grammar_state *start,
                         const wz_rollout_options *options, wz_error *err)
{
    wz_rollout r = {.model = model,
                    .activations = activations,
                    .pack = pack,
                    .grammar = grammar,
                    .start = start,
                    .options = options};
    wz_status status = compute_prompts(model, activations, pack, options, err);
    if (status == WZ_OK)
        status = wz_decode_pack(model, activations, pack, grammar != NULL ? start : NULL, options, &r.decoded,
                                err);
    if (status == WZ_OK)
        status = prepare(&r, err);
    for (bool any = true; status == WZ_OK && any;)
        status = decode_step(&r, &any, err);
    if (status == WZ_OK && r.decoded.result != NULL && r.decoded.rows != pack->segments.rows)
        status = wz_fail(err, WZ_ERR_RUNTIME, "decoding: the device laid out %lld rows, the pack has %lld",
                         (long long)r.decoded.rows, (long long)pack->segments.rows);
    if (status == WZ_OK && options->lessons > 0)
        status = add_lessons(&r, err);
    if (r.hidden != NULL)
        model->backend->ops->release(model->backend, r.hidden);
    free(r.block);
    free(r.thoughts);
    wz_ids_clear(&r.fresh);
    free(r.set_id);
    free(r.decoded.result);
    return status;
}

wz_status wz_rollout_score(const wz_model *model, const wz_activations *activations, const wz_pack *pack,
                           float temperature, float *hidden, float *rstd, float *logp, float *entropy,
                           wz_error *err)
{
    const wz_decisions *d = &pack->decisions;
    const wz_linear head = wz_model_head(model);
    wz_model_final_norm(model, activations, d->site, d->count, hidden, rstd);
    model->backend->ops->head_score_forward(model->backend, logp, entropy,
                                            wz_matrix(hidden, d->count, model->config.hidden_size), &head,
                                            d->target, d->mask, &pack->mask_table, temperature);
    return model->backend->ops->sync(model->backend, err);
}
