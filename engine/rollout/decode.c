#include "engine/rollout/decode.h"

#include <stdlib.h>

#include "engine/backend/token_sets.h"

#define STEPS_AT_ONCE 32     /* of free decoding, before asking how many completions are left */
#define MOST_PAIRS (1 << 24) /* completions x tokens of the largest choice */

/* One pack's decoding. */
typedef struct decoding {
    const wz_model *model;
    wz_activations *activations;
    const wz_decode_ops *ops;
    wz_decode pack;
    wz_decode_paths paths;
    wz_decode_view view;
    wz_decode_size size; /* of the step that is run */
    const int64_t
        *rows; /* [pack.steps] most rows that a completion gets in each; NULL: one, but none in the first */
    int64_t completions;
} decoding;

/* Whether the device could, as far as the options say. */
static bool may_drive(const decoding *d, bool has_grammar, const wz_rollout_options *options)
{
    return d->ops != NULL && !options->host_drives && options->thinking == NULL &&
           !sampling_cuts(&options->sampling) && wz_draw_key_valid(&d->pack.key) &&
           (!has_grammar || options->paths != NULL) && options->end_token_count <= WZ_DECODE_ENDS;
}

/* What of the options the device is told. */
static wz_decode describe(const decoding *d, const wz_rollout_options *options, int64_t generations,
                          int64_t longest)
{
    if (options->max_completion_length < longest)
        longest = options->max_completion_length;
    return (wz_decode){.generations = generations,
                       .paths = &d->paths,
                       .sampling = options->sampling,
                       .key = {.seed = options->seed,
                               .step = options->step,
                               .token = (uint32_t)(options->max_completion_length - 1),
                               .sample = (uint32_t)(generations - 1),
                               .purpose = (uint32_t)options->purpose},
                       .longest = longest,
                       .lessons = options->lessons,
                       .end_tokens = options->end_tokens,
                       .end_token_count = options->end_token_count,
                       .vocab = d->model->tokens,
                       .attention = wz_model_attention(&d->model->config),
                       .steps = longest + 1};
}

/* Starts and tables of the grammar; *fits: the device can follow it. edges [groups] */
static wz_status follow_grammar(decoding *d, const wz_grammar_state *start, int64_t groups, wz_paths *paths,
                                int32_t *edges, bool *fits, wz_error *err)
{
    wz_status status = WZ_OK;
    *fits = true;
    for (int64_t g = 0; status == WZ_OK && *fits && g < groups; g++) {
        status = wz_paths_start(paths, start[g], &edges[g], err);
        *fits = edges[g] >= 0;
    }
    if (status == WZ_OK && *fits)
        status = wz_paths_tables(paths, &d->paths, err);
    if (status == WZ_OK && *fits)
        status = wz_paths_profile(paths, edges, groups, d->pack.lessons > 0, &d->rows, &d->pack.steps, err);
    d->pack.start = edges;
    *fits = *fits && d->paths.largest <= MOST_PAIRS / d->completions;
    return status;
}

static int64_t rows_of(const decoding *d, int64_t step)
{
    return d->rows != NULL ? d->rows[step] : step > 0;
}

static void decode_step(void *context)
{
    decoding *d = context;
    const wz_model *model = d->model;
    wz_activations *a = d->activations;
    d->ops->rows(model->backend, &d->size);
    if (d->size.rows > 0)
        wz_model_decode_step(model, a, a->step, &d->view, &d->size);
    if (d->size.requests == 0)
        return;
    wz_model_final_norm(model, a, d->view.site, d->size.requests, a->step_hidden, a->step_rstd);
    const wz_linear head = wz_model_head(model);
    d->ops->sample(model->backend, wz_matrix(a->step_hidden, d->size.requests, model->config.hidden_size),
                   &head, &d->size);
}

/* Completions for which a step is computed: `alive` or more, of few different numbers so that steps are alike. */
static int64_t rounded(int64_t alive, int64_t completions)
{
    int64_t most = 1;
    while (most < alive)
        most *= 2;
    return most < completions ? most : completions;
}

/* The number of decisions is known with a grammar; without one, completions end when they like. */
static wz_status decode_steps(decoding *d, wz_error *err)
{
    int64_t alive = d->completions;
    wz_status status = WZ_OK;
    for (int64_t s = 0; status == WZ_OK && s < d->pack.steps && alive > 0; s++) {
        const int64_t each = rows_of(d, s), going = rounded(alive, d->completions);
        d->size =
            (wz_decode_size){.rows = each * going,
                             .group_rows = each * (going < d->pack.generations ? going : d->pack.generations),
                             .requests = s + 1 < d->pack.steps ? going : 0};
        d->ops->run(d->model->backend, &d->size, d->activations, decode_step, d);
        if (d->rows == NULL && s % STEPS_AT_ONCE == STEPS_AT_ONCE - 1)
            status = d->ops->alive(d->model->backend, &alive, err);
    }
    return status;
}

/* Rows of the largest step, by completion. */
static void measure(decoding *d)
{
    int64_t most = 0;
    for (int64_t s = 0; s < d->pack.steps; s++)
        most = rows_of(d, s) > most ? rows_of(d, s) : most;
    d->pack.step_rows = most * d->completions;
    d->pack.group_rows = most * d->pack.generations;
}

static wz_status decode(decoding *d, wz_decoded *out, wz_error *err)
{
    wz_backend *backend = d->model->backend;
    void *results = NULL;
    const int64_t rows = d->pack.step_rows > 0 ? d->pack.step_rows : 1;
    wz_status status = wz_activations_make_step(d->model, d->activations, rows, d->completions, err);
    if (status == WZ_OK)
        status = wz_alloc(&results, (size_t)d->pack.steps * (size_t)d->completions, sizeof *out->result,
                          "a rollout's results", err);
    if (status == WZ_OK)
        status = d->ops->begin(backend, &d->pack, &d->view, err);
    if (status == WZ_OK)
        status = decode_steps(d, err);
    if (status == WZ_OK)
        status = d->ops->results(backend, results, &out->rows, err);
    if (status == WZ_OK)
        out->result = results;
    else
        free(results);
    return status;
}

/* Fills d for groups of this many completions of at most `longest` tokens; *fits: the device can drive. *block: to be
 * freed. */
static wz_status prepare(decoding *d, const wz_grammar_state *start, int64_t groups, int64_t generations,
                         int64_t longest, const wz_rollout_options *options, void **block, bool *fits,
                         wz_error *err)
{
    wz_status status = WZ_OK;
    d->ops = d->model->backend->ops->decode;
    d->completions = groups * generations;
    d->pack = describe(d, options, generations, longest);
    *fits = may_drive(d, start != NULL, options);
    *block = NULL;
    if (*fits && start != NULL) {
        status = wz_alloc(block, (size_t)groups, sizeof(int32_t), "a rollout", err);
        if (status == WZ_OK)
            status = follow_grammar(d, start, groups, options->paths, *block, fits, err);
    }
    if (status == WZ_OK && *fits)
        measure(d);
    return status;
}

wz_status wz_decode_pack(const wz_model *model, wz_activations *activations, const wz_pack *pack,
                         const wz_grammar_state *start, const wz_rollout_options *options, wz_decoded *out,
                         wz_error *err)
{
    decoding d = {.model = model, .activations = activations};
    void *block = NULL;
    bool fits = false;
    *out = (wz_decoded){NULL, 0};
    wz_status status = prepare(&d, start, pack->groups, pack->generations, pack->completion_stride, options,
                               &block, &fits, err);
    d.pack.segments = &pack->segments;
    d.pack.prompt_rows = pack->segments.rows;
    d.pack.problem = pack->problem;
    if (status == WZ_OK && fits)
        status = decode(&d, out, err);
    free(block);
    return status;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

wz_status wz_decode_add_bounds(const wz_model *model, const wz_grammar_state *start, const wz_pack *pack,
                               const wz_rollout_options *options, wz_decode_bounds *out, wz_error *err)
{
    decoding d = {.model = model};
    void *block = NULL;
    bool fits = false;
    const wz_status status = prepare(&d, start, pack->groups, pack->generations, pack->completion_stride,
                                     options, &block, &fits, err);
    free(block);
    if (status != WZ_OK || !fits)
        return status;
    out->steps = larger(out->steps, d.pack.steps);
    out->longest = larger(out->longest, d.pack.longest);
    out->step_rows = larger(out->step_rows, d.pack.step_rows);
    out->group_rows = larger(out->group_rows, d.pack.group_rows);
    out->choices = larger(out->choices, d.paths.choices);
    out->edges = larger(out->edges, d.paths.edges);
    out->forced = larger(out->forced, d.paths.edges > 0 ? d.paths.run[d.paths.edges] : 0);
    out->largest = larger(out->largest, d.paths.largest);
    return WZ_OK;
}
