#include "engine/run/benchmark_decode.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/rollout/rollout.h"
#include "engine/run/benchmark_model.h"

#define LARGEST_BLOCK ((double)(1 << 30)) /* beyond every cache */

typedef struct decoding {
    wz_bench_model bench;
    wz_bench_lengths lengths;
    wz_activations *activations;
    wz_tokenizer *tokenizer;
    wz_grammar_set *grammar;
    wz_paths *paths;         /* the grammar's */
    wz_grammar_state *start; /* [sequences] */
} decoding;

/* Answers of as many numbers as tokens are drawn, each one of a few: " 3 0 7 ...". */
static wz_status make_grammar(decoding *d, wz_error *err)
{
    char pattern[64];
    void *block = NULL;
    wz_grammar_state start = 0;
    (void)snprintf(pattern, sizeof pattern, "( [0-%d]){%lld}", WZ_BENCH_ALLOWED - 1,
                   (long long)d->lengths.completion);
    wz_status status = wz_tokenizer_create_builtin(&d->tokenizer, err);
    if (status == WZ_OK && (size_t)d->bench.config.model.vocab_size < wz_tokenizer_vocab_size(d->tokenizer))
        return wz_fail(err, WZ_ERR_USAGE, "model.vocab_size is %lld; answers are built of %zu tokens",
                       (long long)d->bench.config.model.vocab_size, wz_tokenizer_vocab_size(d->tokenizer));
    if (status == WZ_OK)
        status = wz_grammar_set_create(d->tokenizer, &d->grammar, err);
    if (status == WZ_OK)
        status = wz_paths_create(d->grammar, d->lengths.completion, &d->paths, err);
    if (status == WZ_OK)
        status = wz_grammar_compile(d->grammar, pattern, &start, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, (size_t)d->lengths.groups, sizeof *d->start, "grammar states", err);
    d->start = block;
    for (int64_t i = 0; status == WZ_OK && i < d->lengths.groups; i++)
        d->start[i] = start;
    return status;
}

static void close_decoding(decoding *d)
{
    free(d->start);
    wz_paths_destroy(d->paths);
    wz_grammar_set_destroy(d->grammar);
    wz_tokenizer_destroy(d->tokenizer);
    wz_activations_destroy(d->activations);
    wz_bench_model_close(&d->bench);
}

static wz_status open_decoding(const wz_config *config, const wz_decode_lengths *l, FILE *log, decoding *d,
                               wz_error *err)
{
    memset(d, 0, sizeof *d);
    /* the rows of step 1, 2, ... tokens - 1 attend to prompt + 1, 2, ... keys: tokens / 2 on average */
    d->lengths = (wz_bench_lengths){l->sequences, 1, l->context - l->tokens / 2, l->tokens};
    wz_status status = wz_bench_model_open(config, false, log, &d->bench, err);
    if (status == WZ_OK && d->lengths.prompt < 1)
        status = wz_fail(err, WZ_ERR_USAGE, "--context %lld is too short for --tokens %lld",
                         (long long)l->context, (long long)l->tokens);
    if (status == WZ_OK)
        status = wz_bench_model_check(&d->bench, &d->lengths, WZ_KEEP_CACHE, err);
    if (status == WZ_OK)
        status = make_grammar(d, err);
    const int64_t rows = l->sequences * (d->lengths.prompt + l->tokens - 1);
    return status == WZ_OK ? wz_activations_create(d->bench.model, rows, WZ_KEEP_CACHE, &d->activations, err)
                           : status;
}

/* One rollout: seconds of the prompts, and of each step after them. */
static wz_status roll_out(decoding *d, wz_grammar_set *grammar, int64_t round, double *prompt_s,
                          double *step_s, wz_error *err)
{
    wz_pack *pack = NULL;
    double done_s = 0.0;
    const wz_rollout_options options = {.sampling = {1.0f, 0, 1.0f, 0.0f},
                                        .seed = (uint64_t)d->bench.config.seed,
                                        .step = (uint32_t)round,
                                        .purpose = WZ_PURPOSE_SAMPLE,
                                        .max_completion_length = d->lengths.completion,
                                        .paths = grammar != NULL ? d->paths : NULL,
                                        .prompts_done_s = &done_s};
    wz_status status = wz_bench_pack_create(&d->bench, &d->lengths, 1, &pack, err);
    const double start_s = wz_now_s();
    if (status == WZ_OK)
        status = wz_rollout_run(d->bench.model, d->activations, pack, grammar, d->start, &options, err);
    const double end_s = wz_now_s();
    if (status == WZ_OK && pack->decisions.count != d->lengths.groups * d->lengths.completion)
        status =
            wz_fail(err, WZ_ERR_RUNTIME, "%lld tokens were drawn, not %lld", (long long)pack->decisions.count,
                    (long long)(d->lengths.groups * d->lengths.completion));
    wz_pack_destroy(pack);
    *prompt_s = done_s - start_s;
    *step_s = (end_s - done_s) / (double)(d->lengths.completion - 1);
    return status;
}

static wz_status time_way(decoding *d, wz_grammar_set *grammar, int64_t rounds, wz_decode_way *out,
                          wz_error *err)
{
    void *block = NULL;
    double unused[2];
    wz_status status = wz_alloc(&block, (size_t)rounds, 2 * sizeof(double), "timings", err);
    double *prompt_s = block, *step_s = prompt_s + rounds;
    if (status == WZ_OK)
        status = roll_out(d, grammar, rounds, &unused[0], &unused[1], err);
    for (int64_t i = 0; status == WZ_OK && i < rounds; i++)
        status = roll_out(d, grammar, i, &prompt_s[i], &step_s[i], err);
    if (status == WZ_OK) {
        out->prompt_s = wz_benchmark_median(prompt_s, rounds);
        out->step_s = wz_benchmark_median(step_s, rounds);
    }
    free(block);
    return status;
}

/* Weights once, every sequence's keys and values once. What rows pass on from op to op is not counted. */
static void count_bytes(const decoding *d, wz_decode_benchmark *out)
{
    const wz_model_config *c = &d->bench.config.model;
    out->value_bytes = (int64_t)wz_type_bytes(d->bench.backend->working_type);
    const double value = (double)out->value_bytes;
    out->parameters = wz_model_parameter_count(d->bench.model);
    out->layer_bytes = (double)wz_bench_layer_parameters(d->bench.model) * value;
    const double keys = (double)d->lengths.prompt + 0.5 * (double)d->lengths.completion;
    out->cache_bytes =
        (double)(d->lengths.groups * c->num_hidden_layers * 2 * c->num_key_value_heads * c->head_dim) * keys *
        value;
    out->free.head_bytes = (double)wz_bench_head_parameters(d->bench.model) * value;
    out->answers.head_bytes =
        (double)(WZ_BENCH_ALLOWED * c->hidden_size) * sizeof(float); /* sets read those */
    out->free.step_bytes = out->layer_bytes + out->cache_bytes + out->free.head_bytes;
    out->answers.step_bytes = out->layer_bytes + out->cache_bytes + out->answers.head_bytes;
}

wz_status wz_decode_benchmark_run(const wz_config *config, const wz_decode_lengths *lengths, int64_t rounds,
                                  FILE *log, wz_decode_benchmark *out, wz_error *err)
{
    decoding d;
    memset(out, 0, sizeof *out);
    out->lengths = *lengths;
    out->rounds = rounds;
    wz_status status = open_decoding(config, lengths, log, &d, err);
    if (status == WZ_OK)
        status = time_way(&d, NULL, rounds, &out->free, err);
    if (status == WZ_OK)
        status = time_way(&d, d.grammar, rounds, &out->answers, err);
    if (status == WZ_OK) {
        wz_benchmark_device(d.bench.backend, out->device);
        count_bytes(&d, out);
        wz_activations_destroy(d.activations); /* room for the block */
        d.activations = NULL;
        const double block = out->free.step_bytes < LARGEST_BLOCK ? out->free.step_bytes : LARGEST_BLOCK;
        out->memory_rate = d.bench.backend->ops->memory_rate(d.bench.backend, (size_t)block, 0.5);
        out->free.share = out->free.step_bytes / out->free.step_s / out->memory_rate;
        out->answers.share = out->answers.step_bytes / out->answers.step_s / out->memory_rate;
        status = d.bench.backend->ops->sync(d.bench.backend, err);
    }
    close_decoding(&d);
    return status;
}

static double tokens_per_s(const wz_decode_benchmark *b, const wz_decode_way *way)
{
    return (double)b->lengths.sequences / way->step_s;
}

static void write_way_json(const wz_decode_benchmark *b, const char *name, const wz_decode_way *way,
                           wz_json *json)
{
    wz_json_key(json, name);
    wz_json_begin_object(json);
    wz_json_field_number(json, "tokens_per_s", tokens_per_s(b, way));
    wz_json_field_number(json, "step_s", way->step_s);
    wz_json_field_number(json, "prompt_s", way->prompt_s);
    wz_json_field_number(json, "head_bytes", way->head_bytes);
    wz_json_field_number(json, "step_bytes", way->step_bytes);
    wz_json_field_number(json, "share_of_memory_rate", way->share);
    wz_json_end_object(json);
}

static wz_status write_json(const wz_decode_benchmark *b, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "device", b->device);
    wz_json_field_integer(&json, "parameters", b->parameters);
    wz_json_field_integer(&json, "sequences", b->lengths.sequences);
    wz_json_field_integer(&json, "context", b->lengths.context);
    wz_json_field_integer(&json, "tokens", b->lengths.tokens);
    wz_json_field_integer(&json, "rounds", b->rounds);
    wz_json_field_integer(&json, "value_bytes", b->value_bytes);
    wz_json_field_number(&json, "layer_bytes", b->layer_bytes);
    wz_json_field_number(&json, "cache_bytes", b->cache_bytes);
    wz_json_field_number(&json, "memory_rate", b->memory_rate);
    write_way_json(b, "free", &b->free, &json);
    write_way_json(b, "answers", &b->answers, &json);
    wz_json_end_object(&json);
    return wz_json_finish(&json);
}

static wz_status write_way_table(const wz_decode_benchmark *b, const char *name, const wz_decode_way *way,
                                 wz_text *out, wz_error *err)
{
    return wz_text_printf(out, err, "%-22s %10.0f   %10.3f   %10.2f   %10.1f   %8.1f%%   %10.1f\n", name,
                          tokens_per_s(b, way), 1e3 * way->step_s, way->step_bytes / 1e6,
                          way->step_bytes / way->step_s / 1e9, 100.0 * way->share, 1e3 * way->prompt_s);
}

static wz_status write_table(const wz_decode_benchmark *b, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(
        out, err,
        "%s\n"
        "decode: %lld sequences x %lld context, %lld steps; %.1f M parameters of %lld bytes; medians of "
        "%lld\n"
        "a step reads           %10.2f MB of layers, %.2f MB of cached keys and values, and the head\n"
        "memory is read at      %10.1f GB/s\n"
        "%-22s %10s   %10s   %10s   %10s   %9s   %10s\n",
        b->device, (long long)b->lengths.sequences, (long long)b->lengths.context,
        (long long)(b->lengths.tokens - 1), (double)b->parameters / 1e6, (long long)b->value_bytes,
        (long long)b->rounds, b->layer_bytes / 1e6, b->cache_bytes / 1e6, b->memory_rate / 1e9, "",
        "tokens/s", "step, ms", "reads, MB", "GB/s", "of memory", "prompts, ms");
    if (status == WZ_OK)
        status = write_way_table(b, "whole vocabulary", &b->free, out, err);
    return status == WZ_OK ? write_way_table(b, "answer grammar", &b->answers, out, err) : status;
}

wz_status wz_decode_benchmark_write(const wz_decode_benchmark *b, bool as_json, wz_text *out, wz_error *err)
{
    return as_json ? write_json(b, out, err) : write_table(b, out, err);
}
