#include "engine/grpo/update.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Entries of the head (decisions or lessons) with their hidden vectors. */
typedef struct head_entries {
    const int32_t *site;
    int64_t count;
    float *hidden, *rstd, *dhidden; /* as wz_entry_vectors */
    wz_groups groups;
} head_entries;

static wz_status open_entries(const wz_pack_update *u, const int32_t *site, const int32_t *completion,
                              int64_t count, head_entries *out, wz_error *err)
{
    wz_entry_vectors entry_vectors = {0};
    memset(out, 0, sizeof *out);
    wz_status status = wz_pack_entry_groups(u->pack, completion, count, &out->groups, err);
    if (status == WZ_OK)
        status = wz_backward_entries(u->model, u->backward, count, &entry_vectors, err);
    if (status != WZ_OK)
        return status;
    out->site = site;
    out->count = count;
    out->hidden = entry_vectors.hidden;
    out->dhidden = entry_vectors.dhidden;
    out->rstd = entry_vectors.rstd;
    wz_model_final_norm(u->model, u->activations, site, count, out->hidden, out->rstd);
    return WZ_OK;
}

static wz_tensor vectors(const wz_pack_update *u, float *data, int64_t count)
{
    return wz_matrix(data, count, u->model->config.hidden_size);
}

/* dfinal += the entries' share, through the final norm. */
static void return_gradient(const wz_pack_update *u, const wz_model *model, const head_entries *entries)
{
    wz_model_final_norm_backward(model, u->activations, u->backward, entries->site, entries->count,
                                 entries->dhidden, entries->rstd, &entries->groups.view);
}

static wz_status decisions_backward(const wz_pack_update *u, wz_pack_scores *scores, wz_error *err)
{
    const wz_decisions *d = &u->pack->decisions;
    const wz_backend_ops *ops = u->model->backend->ops;
    const wz_linear head = wz_model_head(u->model);
    head_entries entries;
    void *slopes = NULL;
    wz_status status = open_entries(u, d->site, d->completion, d->count, &entries, err);
    if (status == WZ_OK)
        status = wz_alloc(&slopes, (size_t)d->count, 2 * sizeof(float), "loss derivatives", err);
    if (status == WZ_OK) {
        float *dlogp = slopes, *dentropy = dlogp + d->count;
        if (u->rescore)
            ops->head_score_forward(u->model->backend, scores->logp, scores->entropy,
                                    vectors(u, entries.hidden, d->count), &head, d->target, d->mask,
                                    &u->pack->mask_table, u->temperature);
        else {
            memcpy(scores->logp, d->logp, (size_t)d->count * sizeof(float));
            memcpy(scores->entropy, d->entropy, (size_t)d->count * sizeof(float));
        }
        const wz_loss_input input = {.tokens = d->count,
                                     .completions = u->pack->completions,
                                     .completion = d->completion,
                                     .logp = scores->logp,
                                     .old_logp = d->logp,
                                     .ref_logp = u->ref_logp,
                                     .entropy = scores->entropy,
                                     .advantage = u->advantage,
                                     .left_out = u->left_out};
        if (u->loss != NULL)
            wz_grpo_loss(u->loss, &input, u->totals, scores->sums, dlogp, dentropy);
        else
            wz_supervised_loss(&input, scores->sums, dlogp, dentropy);
        ops->head_score_backward(u->model->backend, vectors(u, entries.dhidden, d->count),
                                 wz_model_head_gradient(u->model), dlogp, dentropy, scores->logp,
                                 scores->entropy, vectors(u, entries.hidden, d->count), &head, d->target,
                                 d->mask, &u->pack->mask_table, u->temperature, &entries.groups.view);
        return_gradient(u, u->model, &entries);
    }
    free(slopes);
    wz_groups_clear(&entries.groups);
    return status;
}

/* What all lessons of a group weigh: the same whichever way the batch is cut. */
static double group_weight(const wz_pack_update *u, int64_t tokens)
{
    if (u->loss == NULL)
        return u->grammar_coef * (double)tokens;
    const double divisor = wz_loss_token_divisor(u->loss, u->totals);
    if (divisor > 0.0)
        return u->grammar_coef * (double)tokens / divisor;
    return u->grammar_coef * (double)u->pack->generations / (double)u->totals->completions;
}

/* dlogp [lessons]: minus the weights. */
static wz_status weigh_lessons(const wz_pack_update *u, float *weight, float *dlogp, wz_error *err)
{
    const wz_lessons *l = &u->pack->lessons;
    const wz_decisions *d = &u->pack->decisions;
    void *counts = NULL;
    const wz_status status =
        wz_alloc(&counts, (size_t)u->pack->groups, 2 * sizeof(int64_t), "lessons by group", err);
    if (status != WZ_OK)
        return status;
    int64_t *tokens = counts, *lessons = tokens + u->pack->groups;
    for (int64_t i = 0; i < d->count; i++)
        tokens[d->completion[i] / u->pack->generations] +=
            u->left_out == NULL || !u->left_out[d->completion[i]];
    for (int64_t i = 0; i < l->count; i++)
        lessons[l->completion[i] / u->pack->generations]++;
    for (int64_t i = 0; i < l->count; i++) {
        const int64_t g = l->completion[i] / u->pack->generations;
        weight[i] = (float)(group_weight(u, tokens[g]) / (double)lessons[g]);
        dlogp[i] = -weight[i];
    }
    free(counts);
    return WZ_OK;
}

static wz_status lessons_backward(const wz_pack_update *u, wz_pack_scores *scores, wz_error *err)
{
    const wz_lessons *l = &u->pack->lessons;
    const wz_backend_ops *ops = u->model->backend->ops;
    const wz_linear head = wz_model_whole_head(u->model);
    head_entries entries;
    void *slopes = NULL;
    if (l->count == 0 || u->grammar_coef == 0.0)
        return WZ_OK;
    wz_status status = open_entries(u, l->site, l->completion, l->count, &entries, err);
    if (status == WZ_OK)
        status = wz_alloc(&slopes, (size_t)l->count, sizeof(float), "loss derivatives", err);
    if (status == WZ_OK)
        status = weigh_lessons(u, scores->lesson_weight, slopes, err);
    if (status == WZ_OK) {
        const float *dlogp = slopes;
        ops->head_allowed_forward(u->model->backend, scores->lesson_logp,
                                  vectors(u, entries.hidden, l->count), &head, l->mask, &u->pack->mask_table);
        ops->head_allowed_backward(u->model->backend, vectors(u, entries.dhidden, l->count),
                                   wz_model_whole_head_gradient(&u->apart->lessons), dlogp,
                                   vectors(u, entries.hidden, l->count), &head, l->mask, &u->pack->mask_table,
                                   &entries.groups.view);
        return_gradient(u, &u->apart->lessons, &entries);
    }
    free(slopes);
    wz_groups_clear(&entries.groups);
    return status;
}

static wz_status allocate_scores(const wz_pack *pack, wz_pack_scores *scores, wz_error *err)
{
    void *block = NULL;
    memset(scores, 0, sizeof *scores);
    wz_status status = wz_alloc(&block, (size_t)(2 * pack->decisions.count + 2 * pack->lessons.count),
                                sizeof(float), "token scores", err);
    if (status != WZ_OK)
        return status;
    scores->logp = block;
    scores->entropy = scores->logp + pack->decisions.count;
    scores->lesson_logp = scores->entropy + pack->decisions.count;
    scores->lesson_weight = scores->lesson_logp + pack->lessons.count;
    status = wz_alloc(&block, (size_t)pack->completions, sizeof(wz_loss_sums), "loss sums", err);
    scores->sums = block;
    return status;
}

wz_status wz_pack_gradients(const wz_pack_update *u, wz_pack_scores *scores, wz_error *err)
{
    const wz_segments *segments = &u->pack->segments;
    wz_groups rows = {0}, sites = {0};
    wz_status status = allocate_scores(u->pack, scores, err);
    if (status == WZ_OK)
        status = wz_pack_row_groups(u->pack, &rows, err);
    if (status == WZ_OK)
        status = wz_pack_site_groups(u->pack, &sites, err);
    if (status == WZ_OK) {
        if (u->recompute)
            wz_model_forward(u->model, u->activations, segments, u->pack->row_token, 0, segments->rows);
        wz_model_backward_begin(u->model, u->backward, segments);
        status = decisions_backward(u, scores, err);
    }
    if (status == WZ_OK)
        status = lessons_backward(u, scores, err);
    if (status == WZ_OK) {
        wz_model_backward(&u->apart->layers, u->activations, u->backward, segments, u->pack->row_token,
                          &rows.view, &sites.view);
        status = u->model->backend->ops->sync(u->model->backend, err);
    }
    wz_groups_clear(&rows);
    wz_groups_clear(&sites);
    return status;
}

void wz_pack_scores_clear(wz_pack_scores *scores)
{
    free(scores->logp);
    free(scores->sums);
    memset(scores, 0, sizeof *scores);
}

size_t wz_pack_score_bytes(const wz_model_config *config, int64_t decisions)
{
    return (size_t)(decisions * (config->hidden_size + 1)) * sizeof(float);
}

wz_status wz_pack_score(const wz_model *model, wz_activations *activations, const wz_pack *pack,
                        float temperature, float *logp, float *entropy, wz_error *err)
{
    const int64_t count = pack->decisions.count;
    void *memory = NULL;
    wz_status status = model->backend->ops->alloc(model->backend, wz_pack_score_bytes(&model->config, count),
                                                  "scores of decisions", &memory, err);
    if (status != WZ_OK)
        return status;
    float *hidden = memory;
    wz_model_forward(model, activations, &pack->segments, pack->row_token, 0, pack->segments.rows);
    status = wz_rollout_score(model, activations, pack, temperature, hidden,
                              hidden + count * model->config.hidden_size, logp, entropy, err);
    model->backend->ops->release(model->backend, memory);
    return status;
}

wz_status wz_pack_exactness(const wz_model *model, wz_activations *activations, const wz_pack *pack,
                            float temperature, int64_t *changed, double *largest, double *sum, wz_error *err)
{
    const wz_decisions *d = &pack->decisions;
    void *host = NULL;
    wz_status status = wz_alloc(&host, (size_t)d->count, 2 * sizeof(float), "an exactness check", err);
    if (status != WZ_OK)
        return status;
    float *logp = host, *entropy = logp + d->count;
    status = wz_pack_score(model, activations, pack, temperature, logp, entropy, err);
    for (int64_t i = 0; status == WZ_OK && i < d->count; i++) {
        const double difference = fabs((double)logp[i] - (double)d->logp[i]);
        *changed += memcmp(&logp[i], &d->logp[i], sizeof(float)) != 0 ||
                    memcmp(&entropy[i], &d->entropy[i], sizeof(float)) != 0;
        *largest = difference > *largest || isnan(difference) ? difference : *largest;
        *sum += difference;
    }
    free(host);
    return status;
}
