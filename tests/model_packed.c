#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model_example.h"

static void *zeroed(int64_t count, size_t size)
{
    void *block = calloc((size_t)count + 1, size);
    ck_assert_ptr_nonnull(block);
    return block;
}

/* The place of a completion in the pack: sample j of its group, groups counted from `first`. */
static int64_t pack_completion(const packed *p, int32_t c, int32_t first)
{
    const int32_t group = p->e->completion_group[c];
    int32_t j = 0;
    while (c - j > 0 && p->e->completion_group[c - j - 1] == group)
        j++;
    return (int64_t)(group - first) * p->pack->generations + j;
}

static int32_t length_of(const example *e, int32_t c)
{
    return e->completion_offsets[c + 1] - e->completion_offsets[c];
}

static void create_pack(packed *p, int32_t first, int32_t last)
{
    const example *e = p->e;
    wz_pack_group groups[8] = {{0}};
    int64_t generations = 0, most = 0;
    wz_error err;
    ck_assert_int_le(last - first, 8);
    for (int32_t g = first; g < last; g++)
        groups[g - first] =
            (wz_pack_group){.problem = (uint32_t)g,
                            .prompt = (const uint32_t *)(e->prompt_ids + e->prompt_offsets[g]),
                            .prompt_length = e->prompt_offsets[g + 1] - e->prompt_offsets[g]};
    for (int32_t c = 0, of_group = 0; c < e->completions; c++) {
        const int32_t g = e->completion_group[c];
        of_group = c > 0 && e->completion_group[c - 1] == g ? of_group + 1 : 1;
        generations = of_group > generations ? of_group : generations;
        if (g < first || g >= last)
            continue;
        groups[g - first].rows += length_of(e, c);
        most = length_of(e, c) > most ? length_of(e, c) : most;
        groups[g - first].longest = most;
    }
    ck_assert_int_eq(wz_pack_create(groups, last - first, generations, &p->pack, &err), WZ_OK);
}

/* Decision for token t of every completion, then its row where it predicts another token: as decoding does. */
static void fill_pack(packed *p, int32_t first, int32_t last)
{
    const example *e = p->e;
    uint32_t set_id[64] = {0};
    wz_error err;
    ck_assert_int_lt(e->sets, 64);
    for (int32_t m = 1; m <= e->sets; m++)
        ck_assert_int_eq(wz_pack_add_mask(p->pack, (const uint32_t *)(e->set_ids + e->set_offsets[m - 1]),
                                          (uint32_t)(e->set_offsets[m] - e->set_offsets[m - 1]), &set_id[m],
                                          &err),
                         WZ_OK);
    for (int32_t t = 0; p->block[p->blocks - 1] < p->block[p->blocks]; t++) {
        for (int32_t c = 0; c < e->completions; c++) {
            if (e->completion_group[c] < first || e->completion_group[c] >= last || t >= length_of(e, c))
                continue;
            const int64_t at = pack_completion(p, c, first);
            const int32_t token = e->completion_offsets[c] + t;
            p->token[p->pack->decisions.count] = token;
            ck_assert_int_eq(wz_pack_add_decision(p->pack, at, wz_pack_site(p->pack, at, t),
                                                  (uint32_t)e->completion_ids[token], set_id[e->set[token]],
                                                  0.0f, 0.0f, &err),
                             WZ_OK);
            p->pack->length[at]++;
            if (t + 1 < length_of(e, c))
                wz_pack_add_row(p->pack, at, (uint32_t)e->completion_ids[token]);
        }
        p->block[++p->blocks] = p->pack->segments.rows;
    }
}

void packed_create(packed *p, const wz_model *model, const example *e, int32_t first, int32_t last,
                   wz_keep keep)
{
    wz_error err = {{0}};
    memset(p, 0, sizeof *p);
    p->e = e;
    p->model = model;
    create_pack(p, first, last);
    p->token = zeroed(e->tokens, sizeof(int32_t));
    p->block = zeroed(e->tokens + 3, sizeof(int64_t));
    p->block[1] = p->pack->segments.rows;
    p->blocks = 1;
    fill_pack(p, first, last);
    const int64_t n = p->pack->decisions.count, width = model->config.hidden_size;
    void *block = NULL;
    ck_assert_msg(wz_activations_create(model, p->pack->row_capacity, keep, &p->activations, &err) == WZ_OK,
                  "%s", err.text);
    ck_assert_int_eq(model->backend->ops->alloc(model->backend, (size_t)(n * (width + 1)) * sizeof(float),
                                                "a test's hidden vectors", &block, &err),
                     WZ_OK);
    p->hidden = block;
    p->rstd = p->hidden + n * width;
    p->logp = zeroed(n, sizeof(float));
    p->entropy = zeroed(n, sizeof(float));
}

void packed_destroy(packed *p)
{
    p->model->backend->ops->release(p->model->backend, p->hidden);
    wz_activations_destroy(p->activations);
    wz_pack_destroy(p->pack);
    free(p->token);
    free(p->block);
    free(p->logp);
    free(p->entropy);
}

void packed_forward(packed *p, bool stepwise)
{
    const wz_model *model = p->model;
    const wz_decisions *d = &p->pack->decisions;
    wz_segments segments = p->pack->segments; /* as long as the rows known at each step */
    const wz_linear head = wz_model_head(model);
    wz_error err = {{0}};
    for (int64_t i = 0; stepwise && i < p->blocks; i++) {
        segments.rows = p->block[i + 1];
        wz_model_forward(model, p->activations, &segments, p->pack->row_token, p->block[i], p->block[i + 1]);
    }
    if (!stepwise)
        wz_model_forward(model, p->activations, &segments, p->pack->row_token, 0, segments.rows);
    wz_model_final_norm(model, p->activations, d->site, d->count, p->hidden, p->rstd);
    model->backend->ops->head_score_forward(
        model->backend, p->logp, p->entropy, wz_matrix(p->hidden, d->count, model->config.hidden_size), &head,
        d->target, d->mask, &p->pack->mask_table, (float)p->e->temperature);
    ck_assert_msg(model->backend->ops->sync(model->backend, &err) == WZ_OK, "%s", err.text);
}

/* Entries of the head and their share of the gradients: all decisions, or a lesson for each one that has a set. */
static void head_backward(const packed *p, const wz_model *model, wz_backward *backward, bool lessons)
{
    const wz_backend_ops *ops = model->backend->ops;
    const wz_decisions *d = &p->pack->decisions;
    const int64_t width = model->config.hidden_size;
    float *dlogp = zeroed(d->count, sizeof(float)), *dentropy = zeroed(d->count, sizeof(float));
    float *logp = zeroed(d->count, sizeof(float)), *entropy = zeroed(d->count, sizeof(float));
    int32_t *site = zeroed(d->count, sizeof(int32_t)), *completion = zeroed(d->count, sizeof(int32_t));
    uint32_t *mask = zeroed(d->count, sizeof(uint32_t));
    void *block = NULL;
    int64_t n = 0;
    wz_groups groups;
    wz_error err = {{0}};
    for (int64_t i = 0; i < d->count; i++) {
        if (lessons && d->mask[i] == 0)
            continue;
        dlogp[n] = (float)p->e->w[p->token[i]];
        dentropy[n] = (float)p->e->v[p->token[i]];
        logp[n] = p->logp[i];
        entropy[n] = p->entropy[i];
        site[n] = d->site[i];
        completion[n] = d->completion[i];
        mask[n++] = d->mask[i];
    }
    ck_assert_int_eq(wz_pack_entry_groups(p->pack, completion, n, &groups, &err), WZ_OK);
    ck_assert_int_eq(ops->alloc(model->backend, (size_t)(n * (2 * width + 1)) * sizeof(float),
                                "a test's vectors", &block, &err),
                     WZ_OK);
    float *hidden = block, *dhidden = hidden + n * width, *rstd = dhidden + n * width;
    const wz_tensor x = wz_matrix(hidden, n, width), dx = wz_matrix(dhidden, n, width);
    const wz_linear head = wz_model_head(model);
    wz_model_final_norm(model, p->activations, site, n, hidden, rstd);
    if (lessons)
        ops->head_allowed_backward(model->backend, dx, wz_model_head_gradient(model), dlogp, x, &head, mask,
                                   &p->pack->mask_table, &groups.view);
    else
        ops->head_score_backward(model->backend, dx, wz_model_head_gradient(model), dlogp, dentropy, logp,
                                 entropy, x, &head, d->target, mask, &p->pack->mask_table,
                                 (float)p->e->temperature, &groups.view);
    wz_model_final_norm_backward(model, p->activations, backward, site, n, dhidden, rstd, &groups.view);
    ops->release(model->backend, block);
    wz_groups_clear(&groups);
    void *const blocks[] = {dlogp, dentropy, logp, entropy, site, completion, mask};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        free(blocks[i]);
}

void packed_backward(packed *p, const wz_apart *apart)
{
    const wz_model *model = p->model;
    const wz_backend_ops *ops = model->backend->ops;
    wz_backward *backward = NULL;
    wz_groups rows, sites;
    wz_error err = {{0}};
    ck_assert_int_eq(wz_pack_row_groups(p->pack, &rows, &err), WZ_OK);
    ck_assert_int_eq(wz_pack_site_groups(p->pack, &sites, &err), WZ_OK);
    ck_assert_int_eq(wz_backward_create(model, p->pack->row_capacity, &backward, &err), WZ_OK);
    wz_model_backward_begin(model, backward, &p->pack->segments);
    head_backward(p, model, backward, false);
    if (apart != NULL)
        head_backward(p, &apart->lessons, backward, true);
    wz_model_backward(apart != NULL ? &apart->layers : model, p->activations, backward, &p->pack->segments,
                      p->pack->row_token, &rows.view, &sites.view);
    ck_assert_msg(ops->sync(model->backend, &err) == WZ_OK, "%s", err.text);
    wz_backward_destroy(backward);
    wz_groups_clear(&rows);
    wz_groups_clear(&sites);
}
