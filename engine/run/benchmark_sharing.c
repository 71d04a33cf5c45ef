#include "engine/run/benchmark_sharing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/grpo/update.h"
#include "engine/run/run.h"

/* One layout's pack. Both use the same activations, one after the other. */
typedef struct layout {
    wz_pack *pack;
    int64_t prompt_rows;
    double *prompt_s, *train_s; /* [rounds] */
} layout;

typedef struct sharing {
    wz_bench_model bench;
    wz_bench_lengths lengths;
    wz_activations *activations;
    wz_backward *backward;
    wz_apart apart;
    double *advantage; /* [completions] */
    layout shared, unshared;
} sharing;

static int64_t allowed_tokens(const wz_config *config)
{
    return config->answer_grammar && config->model.vocab_size > WZ_BENCH_ALLOWED ? WZ_BENCH_ALLOWED
                                                                                 : config->model.vocab_size;
}

/* Token `place` of completion c: any, but the same in both layouts. */
static uint32_t made_up(int64_t c, int64_t place, int64_t allowed)
{
    return (uint32_t)((uint64_t)(c * 31 + place * 17) % (uint64_t)allowed);
}

/* Every token a decision, in the order in which decoding would have made them. */
static wz_status fill_pack(wz_pack *pack, int64_t tokens, int64_t allowed, int64_t vocab, wz_error *err)
{
    uint32_t list[WZ_BENCH_ALLOWED], set = 0;
    const float logp = (float)-log((double)allowed);
    wz_status status = WZ_OK;
    for (uint32_t i = 0; i < WZ_BENCH_ALLOWED; i++)
        list[i] = i;
    if (allowed < vocab)
        status = wz_pack_add_mask(pack, list, WZ_BENCH_ALLOWED, &set, err);
    for (int64_t i = 0; status == WZ_OK && i < tokens; i++)
        for (int64_t c = 0; status == WZ_OK && c < pack->completions; c++) {
            const uint32_t token = made_up(c, i, allowed);
            status = wz_pack_add_decision(pack, c, wz_pack_site(pack, c, i), token, set, logp, -logp, err);
            pack->length[c]++;
            if (i + 1 < tokens)
                wz_pack_add_row(pack, c, token);
        }
    return status;
}

static wz_status make_layout(const sharing *s, const wz_bench_lengths *lengths, int64_t share, int64_t rounds,
                             layout *out, wz_error *err)
{
    void *block = NULL;
    const wz_config *c = &s->bench.config;
    wz_status status = wz_bench_pack_create(&s->bench, lengths, share, &out->pack, err);
    if (status != WZ_OK)
        return status;
    out->prompt_rows = out->pack->segments.rows;
    status = wz_alloc(&block, (size_t)rounds, 2 * sizeof(double), "timings", err);
    out->prompt_s = block;
    if (status != WZ_OK)
        return status;
    out->train_s = out->prompt_s + rounds;
    return fill_pack(out->pack, lengths->completion, allowed_tokens(c), c->model.vocab_size, err);
}

static void clear_layout(layout *l)
{
    wz_pack_destroy(l->pack);
    free(l->prompt_s);
}

static void close_sharing(sharing *s)
{
    clear_layout(&s->shared);
    clear_layout(&s->unshared);
    free(s->advantage);
    wz_apart_clear(&s->apart);
    wz_backward_destroy(s->backward);
    wz_activations_destroy(s->activations);
    wz_bench_model_close(&s->bench);
}

static wz_status open_sharing(const wz_config *config, const wz_bench_lengths *l, int64_t rounds, FILE *log,
                              sharing *s, wz_error *err)
{
    const wz_bench_lengths alone = {l->groups * l->generations, 1, l->prompt, l->completion};
    const wz_keep keep = config->gradient_checkpointing ? WZ_KEEP_INPUTS : WZ_KEEP_ALL;
    void *block = NULL;
    memset(s, 0, sizeof *s);
    s->lengths = *l;
    wz_status status = wz_bench_model_open(config, true, log, &s->bench, err);
    if (status == WZ_OK)
        status = wz_bench_model_check(&s->bench, &alone, keep, err);
    if (status == WZ_OK)
        status = make_layout(s, l, 1, rounds, &s->shared, err);
    if (status == WZ_OK)
        status = make_layout(s, &alone, l->generations, rounds, &s->unshared, err);
    if (status != WZ_OK)
        return status;
    const int64_t rows = s->unshared.pack->segments.rows;
    status = wz_alloc(&block, (size_t)alone.groups, sizeof(double), "advantages", err);
    s->advantage = block;
    for (int64_t i = 0; status == WZ_OK && i < alone.groups; i++)
        s->advantage[i] = i % 2 == 0 ? 1.0 : -1.0;
    if (status == WZ_OK)
        status = wz_apart_create(s->bench.model, false, &s->apart, err);
    if (status == WZ_OK)
        status = wz_activations_create(s->bench.model, rows, keep, &s->activations, err);
    return status == WZ_OK ? wz_backward_create(s->bench.model, rows, &s->backward, err) : status;
}

static wz_status time_prompts(const sharing *s, const layout *l, double *seconds, wz_error *err)
{
    const double start = wz_now_s();
    wz_model_forward(s->bench.model, s->activations, &l->pack->segments, l->pack->row_token, 0,
                     l->prompt_rows);
    const wz_status status = s->bench.backend->ops->sync(s->bench.backend, err);
    *seconds = wz_now_s() - start;
    return status;
}

/* A step on the model's own samples knows their scores from sampling; `score`: made-up ones are scored first, and keep that. */
static wz_status time_training(const sharing *s, const layout *l, bool score, double *seconds, wz_error *err)
{
    wz_loss_options loss = wz_run_loss_options(&s->bench.config);
    loss.beta = 0.0; /* there is no reference here */
    const wz_loss_totals totals = {
        .completions = l->pack->completions, .tokens = l->pack->decisions.count, .micro_batches = 1};
    const wz_pack_update update = {.model = s->bench.model,
                                   .apart = &s->apart,
                                   .activations = s->activations,
                                   .backward = s->backward,
                                   .pack = l->pack,
                                   .recompute = true,
                                   .rescore = score,
                                   .temperature = 1.0f,
                                   .loss = &loss,
                                   .totals = &totals,
                                   .advantage = s->advantage};
    wz_pack_scores scores = {0};
    const double start = wz_now_s();
    const wz_status status = wz_pack_gradients(&update, &scores, err);
    *seconds = wz_now_s() - start;
    if (status == WZ_OK && score) {
        const wz_decisions *d = &l->pack->decisions;
        memcpy(d->logp, scores.logp, (size_t)d->count * sizeof *d->logp);
        memcpy(d->entropy, scores.entropy, (size_t)d->count * sizeof *d->entropy);
    }
    wz_pack_scores_clear(&scores);
    return status;
}

static wz_status time_both(const sharing *s, const layout *l, bool score, double *prompt_s, double *train_s,
                           wz_error *err)
{
    const wz_status status = time_prompts(s, l, prompt_s, err);
    return status == WZ_OK ? time_training(s, l, score, train_s, err) : status;
}

/* Operations of a forward and a backward pass: three times the forward pass's products. What follows the last attention
 * is computed at sites only. */
static double flops_of(const sharing *s, const wz_pack *pack)
{
    const wz_model_config *c = &s->bench.config.model;
    const double hidden = (double)c->hidden_size, q = (double)(c->num_attention_heads * c->head_dim),
                 kv = (double)(c->num_key_value_heads * c->head_dim), ff = (double)c->intermediate_size;
    const double layers = (double)c->num_hidden_layers, rows = (double)pack->segments.rows,
                 finished = (layers - 1.0) * rows + (double)pack->segments.sites;
    const double products = layers * rows * hidden * (q + 2.0 * kv) +
                            finished * (hidden * q + 3.0 * hidden * ff) +
                            (double)pack->decisions.count * hidden * (double)allowed_tokens(&s->bench.config);
    return 6.0 * products + wz_benchmark_attention_flops(c, &pack->segments);
}

static void summarise(const sharing *s, const layout *l, int64_t rounds, wz_sharing_layout *out)
{
    *out = (wz_sharing_layout){.rows = l->pack->segments.rows,
                               .prompt_rows = l->prompt_rows,
                               .prompt_s = wz_benchmark_median(l->prompt_s, rounds),
                               .train_s = wz_benchmark_median(l->train_s, rounds),
                               .flops = flops_of(s, l->pack)};
}

wz_status wz_sharing_benchmark_run(const wz_config *config, const wz_bench_lengths *lengths, int64_t rounds,
                                   FILE *log, wz_sharing_benchmark *out, wz_error *err)
{
    sharing s;
    double unused[2];
    memset(out, 0, sizeof *out);
    wz_status status = open_sharing(config, lengths, rounds, log, &s, err);
    if (status == WZ_OK)
        status = time_both(&s, &s.unshared, true, &unused[0], &unused[1], err);
    if (status == WZ_OK)
        status = time_both(&s, &s.shared, true, &unused[0], &unused[1], err);
    for (int64_t i = 0; status == WZ_OK && i < rounds; i++) {
        status = time_both(&s, &s.unshared, false, &s.unshared.prompt_s[i], &s.unshared.train_s[i], err);
        if (status == WZ_OK)
            status = time_both(&s, &s.shared, false, &s.shared.prompt_s[i], &s.shared.train_s[i], err);
    }
    if (status == WZ_OK) {
        const double completions = (double)(lengths->groups * lengths->generations);
        wz_benchmark_device(s.bench.backend, out->device);
        out->lengths = *lengths;
        out->rounds = rounds;
        out->parameters = wz_model_parameter_count(s.bench.model);
        out->allowed = allowed_tokens(&s.bench.config);
        out->prompt_tokens = completions * (double)lengths->prompt;
        out->tokens = completions * (double)(lengths->prompt + lengths->completion);
        summarise(&s, &s.shared, rounds, &out->shared);
        summarise(&s, &s.unshared, rounds, &out->unshared);
    }
    close_sharing(&s);
    return status;
}

static void write_layout_json(const wz_sharing_benchmark *b, const char *name, const wz_sharing_layout *l,
                              wz_json *json)
{
    wz_json_key(json, name);
    wz_json_begin_object(json);
    wz_json_field_integer(json, "rows", l->rows);
    wz_json_field_integer(json, "prompt_rows", l->prompt_rows);
    wz_json_field_number(json, "prompt_s", l->prompt_s);
    wz_json_field_number(json, "prompt_tokens_per_s", b->prompt_tokens / l->prompt_s);
    wz_json_field_number(json, "train_s", l->train_s);
    wz_json_field_number(json, "train_tokens_per_s", b->tokens / l->train_s);
    wz_json_field_number(json, "train_flops", l->flops);
    wz_json_end_object(json);
}

static wz_status write_json(const wz_sharing_benchmark *b, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "device", b->device);
    wz_json_field_integer(&json, "parameters", b->parameters);
    wz_json_field_integer(&json, "groups", b->lengths.groups);
    wz_json_field_integer(&json, "num_generations", b->lengths.generations);
    wz_json_field_integer(&json, "prompt", b->lengths.prompt);
    wz_json_field_integer(&json, "completion", b->lengths.completion);
    wz_json_field_integer(&json, "allowed_tokens", b->allowed);
    wz_json_field_integer(&json, "rounds", b->rounds);
    write_layout_json(b, "shared", &b->shared, &json);
    write_layout_json(b, "unshared", &b->unshared, &json);
    wz_json_field_number(&json, "prompt_gain", b->unshared.prompt_s / b->shared.prompt_s);
    wz_json_field_number(&json, "train_gain", b->unshared.train_s / b->shared.train_s);
    wz_json_end_object(&json);
    return wz_json_finish(&json);
}

static wz_status write_layout_table(const wz_sharing_benchmark *b, const char *name,
                                    const wz_sharing_layout *l, wz_text *out, wz_error *err)
{
    return wz_text_printf(out, err, "%-10s %8lld   %14.0f   %14.0f   %10.4f   %10.4f   %10.2f\n", name,
                          (long long)l->rows, b->prompt_tokens / l->prompt_s, b->tokens / l->train_s,
                          l->prompt_s, l->train_s, l->flops / l->train_s / 1e12);
}

static wz_status write_table(const wz_sharing_benchmark *b, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(
        out, err,
        "%s\n"
        "prompt sharing: %lld prompts of %lld tokens x %lld completions of %lld, each token one of %lld;\n"
        "%.1f M parameters; medians of %lld, by turns; tokens count once for every completion\n"
        "%-10s %8s   %14s   %14s   %10s   %10s   %10s\n",
        b->device, (long long)b->lengths.groups, (long long)b->lengths.prompt,
        (long long)b->lengths.generations, (long long)b->lengths.completion, (long long)b->allowed,
        (double)b->parameters / 1e6, (long long)b->rounds, "", "rows", "prefill tok/s", "training tok/s",
        "prefill, s", "training, s", "TFLOP/s");
    if (status == WZ_OK)
        status = write_layout_table(b, "unshared", &b->unshared, out, err);
    if (status == WZ_OK)
        status = write_layout_table(b, "shared", &b->shared, out, err);
    if (status != WZ_OK)
        return status;
    return wz_text_printf(out, err, "shared is %.2fx as fast in prefill, %.2fx in training\n",
                          b->unshared.prompt_s / b->shared.prompt_s, b->unshared.train_s / b->shared.train_s);
}

wz_status wz_sharing_benchmark_write(const wz_sharing_benchmark *b, bool as_json, wz_text *out, wz_error *err)
{
    return as_json ? write_json(b, out, err) : write_table(b, out, err);
}
