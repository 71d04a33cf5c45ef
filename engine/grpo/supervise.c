/* One supervised step: lay the pairs out, differentiate, update. */
#include <stdlib.h>

#include "engine/core/clock.h"
#include "engine/grpo/schedule.h"
#include "engine/grpo/supervise_internal.h"
#include "engine/grpo/update.h"
#include "engine/rollout/given.h"

static int64_t rows_of(const wz_supervised_item *item)
{
    return (int64_t)item->tokens.length - 1; /* nothing is predicted from the last */
}

/* The item after the last that one pack from `first` on holds. On the CPU no result depends on it. */
static int64_t cut(const wz_trainer *trainer, const wz_supervised *batch, int64_t first)
{
    int64_t next = first + 1, rows = rows_of(&batch->items[first]);
    while (next < batch->count &&
           (trainer->most_rows == 0 || rows + rows_of(&batch->items[next]) <= trainer->most_rows))
        rows += rows_of(&batch->items[next++]);
    return next;
}

static wz_status make_pack(const wz_supervised *batch, int64_t first, int64_t count, bool teaches,
                           wz_pack **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, (size_t)count, sizeof(wz_pack_group), "a pack", err);
    wz_pack_group *groups = block;
    for (int64_t i = 0; status == WZ_OK && i < count; i++) {
        const wz_supervised_item *item = &batch->items[first + i];
        const int64_t own = (int64_t)item->tokens.length - item->prompt_length;
        groups[i] = (wz_pack_group){item->problem, item->tokens.data, item->prompt_length, own, own - 1};
    }
    if (status == WZ_OK)
        status = wz_pack_create(groups, count, 1, out, err);
    free(groups);
    for (int64_t i = 0; status == WZ_OK && i < count; i++) {
        const wz_supervised_item *item = &batch->items[first + i];
        status = wz_pack_give(*out, i, item->tokens.data + item->prompt_length,
                              (int64_t)item->tokens.length - item->prompt_length, batch->grammar, item->start,
                              teaches, err);
    }
    return status;
}

/* How many decisions the policy would have taken itself: of the forward pass that the activations hold. */
static wz_status count_hits(const wz_trainer *trainer, const wz_pack *pack, int64_t *hits, wz_error *err)
{
    const wz_model *model = trainer->policy->model;
    const wz_decisions *d = &pack->decisions;
    const wz_linear head = wz_model_head(model);
    const wz_sampling greedy = {.temperature = 0.0f, .top_p = 1.0f};
    wz_entry_vectors v;
    wz_status status = wz_backward_entries(model, trainer->backward, d->count, &v, err);
    if (status == WZ_OK)
        wz_model_final_norm(model, wz_trainer_activations(trainer, 0), d->site, d->count, v.hidden, v.rstd);
    for (int64_t first = 0; status == WZ_OK && first < d->count; first += WZ_SUPERVISED_REQUESTS) {
        wz_sample_request request[WZ_SUPERVISED_REQUESTS];
        wz_sample_result result[WZ_SUPERVISED_REQUESTS];
        const int64_t left = d->count - first,
                      count = left < WZ_SUPERVISED_REQUESTS ? left : WZ_SUPERVISED_REQUESTS;
        for (int64_t i = 0; i < count; i++)
            request[i] = (wz_sample_request){.row = (int32_t)(first + i), .mask = d->mask[first + i]};
        status = model->backend->ops->head_sample(model->backend, result, NULL, 0,
                                                  wz_matrix(v.hidden, d->count, model->config.hidden_size),
                                                  &head, request, count, &pack->mask_table, &greedy, err);
        for (int64_t i = 0; status == WZ_OK && i < count; i++)
            *hits += (int32_t)result[i].token == d->target[first + i];
    }
    return status;
}

static wz_status add_gradients(wz_trainer *trainer, wz_step_state *s, wz_pack *pack, int64_t *hits,
                               wz_error *err)
{
    const wz_model *model = trainer->policy->model;
    wz_pack_scores scores = {0};
    wz_status status = wz_trainer_make_activations(trainer, 0, pack->row_capacity, err);
    if (status != WZ_OK)
        return status;
    wz_model_forward(model, wz_trainer_activations(trainer, 0), &pack->segments, pack->row_token, 0,
                     pack->segments.rows);
    status = count_hits(trainer, pack, hits, err);
    const wz_pack_update update = {.model = model,
                                   .apart = &trainer->apart,
                                   .activations = wz_trainer_activations(trainer, 0),
                                   .backward = trainer->backward,
                                   .pack = pack,
                                   .rescore = true,
                                   .temperature = 1.0f,
                                   .grammar_coef = trainer->options.grammar_coef};
    if (status == WZ_OK)
        status = wz_pack_gradients(&update, &scores, err);
    if (status == WZ_OK)
        wz_report_pack(&s->sums, pack, &scores);
    wz_pack_scores_clear(&scores);
    return status;
}

static wz_status learn(wz_trainer *trainer, wz_step_state *s, const wz_supervised *batch, int64_t *hits,
                       wz_error *err)
{
    const wz_model *model = trainer->policy->model;
    wz_status status = WZ_OK;
    model->backend->ops->fill_zero(model->backend, model->gradients, (size_t)model->trained * sizeof(float));
    wz_apart_zero(&trainer->apart);
    for (int64_t first = 0, next = 0; status == WZ_OK && first < batch->count; first = next) {
        wz_pack *pack = NULL;
        next = cut(trainer, batch, first);
        status = make_pack(batch, first, next - first, trainer->options.grammar_coef > 0.0, &pack, err);
        if (status == WZ_OK)
            status = add_gradients(trainer, s, pack, hits, err);
        wz_pack_destroy(pack);
    }
    return status;
}

wz_status wz_trainer_supervise(wz_trainer *trainer, int64_t step, wz_sft_report *report, wz_error *err)
{
    const wz_trainer_options *o = &trainer->options;
    wz_supervised batch = {0};
    wz_step_report update = {.learning_rate =
                                 wz_learning_rate((wz_schedule)o->schedule, o->sft.learning_rate,
                                                  o->final_ratio, o->warmup_steps, step, o->sft.steps)};
    wz_step_state s = {.report = &update};
    int64_t hits = 0;
    double start = wz_now_s();
    wz_report_sums_start(&s.sums);
    *report = (wz_sft_report){.learning_rate = update.learning_rate};
    wz_status status = wz_supervised_take(trainer, step, &batch, err);
    report->prepare_s = wz_now_s() - start;
    start = wz_now_s();
    if (status == WZ_OK)
        status = learn(trainer, &s, &batch, &hits, err);
    for (int64_t i = 0; i < batch.count; i++)
        report->tokens += (double)batch.items[i].tokens.length;
    wz_supervised_clear(&batch);
    const double tokens = s.sums.tokens > 0 ? (double)s.sums.tokens : 1.0; /* 0: each answer was forced */
    s.divisor = tokens;
    if (status == WZ_OK)
        status = wz_trainer_update(trainer, &s, step - o->sft.steps, err);
    report->loss = s.sums.policy / tokens;
    report->grammar_loss = s.sums.grammar / tokens;
    report->token_accuracy = (double)hits / tokens;
    report->grad_norm = update.grad_norm;
    report->train_s = wz_now_s() - start;
    return status;
}
