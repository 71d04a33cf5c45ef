#include "engine/run/benchmark_model.h"

#include <stdlib.h>
#include <string.h>

#include "engine/run/load.h"
#include "engine/text/tokenizer.h"

/* The vocabulary of the tokenizer that a run without a tokenizer file has. */
static wz_status set_vocabulary(wz_model_config *model, wz_error *err)
{
    wz_tokenizer *tokenizer = NULL;
    if (model->vocab_size > 0)
        return WZ_OK;
    wz_status status = wz_tokenizer_create_builtin(&tokenizer, err);
    if (status == WZ_OK)
        model->vocab_size = (int64_t)wz_tokenizer_vocab_size(tokenizer);
    wz_tokenizer_destroy(tokenizer);
    return status;
}

static double mebibytes(double bytes)
{
    return bytes / 1048576.0;
}

static wz_status refuse(double need, double limit, wz_error *err)
{
    return wz_fail(err, WZ_ERR_RESOURCE,
                   "the benchmark needs %.1f MiB, %.1f MiB more than it may use: lower --sequences or the "
                   "lengths, take a smaller model, or raise memory_limit_gb",
                   mebibytes(need), mebibytes(need - limit));
}

wz_status wz_bench_model_open(const wz_config *config, bool training, FILE *log, wz_bench_model *out,
                              wz_error *err)
{
    memset(out, 0, sizeof *out);
    out->config = *config;
    out->config.model.lora.rank = 0; /* times every weight's training */
    out->config.model.frozen_dtype = WZ_F32;
    wz_status status = wz_config_check(&out->config, err);
    if (status == WZ_OK)
        status = set_vocabulary(&out->config.model, err);
    if (status == WZ_OK)
        status = wz_model_config_check(&out->config.model, err);
    if (status == WZ_OK)
        status = wz_open_backend_for_command(&out->config, log, &out->backend, err);
    if (status != WZ_OK)
        return status;
    /* the weights, and in training gradients and two moments */
    const double need =
                     (training ? 4.0 : 1.0) * sizeof(float) * wz_model_config_parameters(&out->config.model),
                 limit = (double)wz_run_memory(&out->config, out->backend);
    if (need > limit)
        return refuse(need, limit, err);
    status = wz_model_create(&out->config.model, out->backend, training, &out->model, err);
    return status == WZ_OK ? wz_model_init_weights(out->model, (uint64_t)config->seed, NULL, err) : status;
}

void wz_bench_model_close(wz_bench_model *bench)
{
    wz_model_destroy(bench->model);
    if (bench->backend != NULL)
        bench->backend->ops->destroy(bench->backend);
    memset(bench, 0, sizeof *bench);
}

static int64_t rows_of(const wz_bench_lengths *l)
{
    return l->groups * (l->prompt + l->generations * (l->completion - 1));
}

/* What the backend takes itself for one such pack. */
static size_t own_bytes(const wz_bench_model *bench, const wz_bench_lengths *l, bool training)
{
    const int64_t completions = l->groups * l->generations;
    wz_op_bounds bounds = {.floats = bench->model->floats,
                           .rows = rows_of(l),
                           .groups = l->groups,
                           .completions = completions,
                           .completion_stride = l->completion,
                           .entries = training ? completions * l->completion : 0,
                           .requests = completions,
                           .set = WZ_BENCH_ALLOWED,
                           .whole = true,
                           .decode = {.steps = l->completion + 1,
                                      .longest = l->completion,
                                      .step_rows = completions,
                                      .group_rows = l->generations}};
    wz_model_op_bounds(&bench->config.model, &bounds);
    return bench->backend->ops->own_bytes(bench->backend, &bounds) +
           wz_activations_step_bytes(bench->model, completions, completions);
}

wz_status wz_bench_model_check(const wz_bench_model *bench, const wz_bench_lengths *lengths, wz_keep keep,
                               wz_error *err)
{
    const wz_model_config *c = &bench->config.model;
    const int64_t rows = rows_of(lengths);
    if (lengths->prompt + lengths->completion > c->max_position_embeddings)
        return wz_fail(err, WZ_ERR_USAGE,
                       "%lld tokens need more positions than model.max_position_embeddings has (%lld)",
                       (long long)(lengths->prompt + lengths->completion),
                       (long long)c->max_position_embeddings);
    if (rows > INT32_MAX)
        return wz_fail(err, WZ_ERR_USAGE, "%lld rows: lower --sequences or the lengths", (long long)rows);
    const double need = (double)wz_activations_bytes(bench->model, rows, keep) +
                        (keep == WZ_KEEP_CACHE ? 0.0 : (double)wz_backward_bytes(bench->model, rows)) +
                        (double)own_bytes(bench, lengths, keep != WZ_KEEP_CACHE),
                 limit = (double)wz_run_memory(&bench->config, bench->backend);
    return need > limit ? refuse(need, limit, err) : WZ_OK;
}

wz_status wz_bench_pack_create(const wz_bench_model *bench, const wz_bench_lengths *lengths, int64_t share,
                               wz_pack **out, wz_error *err)
{
    const int64_t problems = (lengths->groups + share - 1) / share, vocab = bench->config.model.vocab_size;
    void *block = NULL, *prompts = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, (size_t)lengths->groups, sizeof(wz_pack_group), "a pack", err);
    if (status == WZ_OK)
        status = wz_alloc(&prompts, (size_t)(problems * lengths->prompt), sizeof(uint32_t), "prompts", err);
    if (status == WZ_OK) {
        wz_pack_group *list = block;
        uint32_t *tokens = prompts;
        for (int64_t i = 0; i < problems * lengths->prompt; i++)
            tokens[i] = (uint32_t)(((uint64_t)i * 2654435761u >> 7) % (uint64_t)vocab);
        for (int64_t g = 0; g < lengths->groups; g++)
            list[g] = (wz_pack_group){.problem = (uint32_t)(g / share),
                                      .prompt = tokens + g / share * lengths->prompt,
                                      .prompt_length = lengths->prompt,
                                      .longest = lengths->completion,
                                      .rows = lengths->generations * (lengths->completion - 1)};
        status = wz_pack_create(list, lengths->groups, lengths->generations, out, err);
    }
    free(block);
    free(prompts);
    return status;
}

int64_t wz_bench_head_parameters(const wz_model *model)
{
    return model->config.vocab_size * model->config.hidden_size;
}

int64_t wz_bench_layer_parameters(const wz_model *model)
{
    const int64_t tables = model->config.tie_word_embeddings ? 1 : 2; /* embedding, head */
    return wz_model_parameter_count(model) - tables * wz_bench_head_parameters(model);
}
