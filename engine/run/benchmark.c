#include "engine/run/benchmark.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/benchmark_training.h"

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double wz_benchmark_median(double *values, int64_t count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 == 1 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

/* One weight matrix: forward, input gradient and weight gradient of `rows` rows, all layers together. The weight gradient
 * is made in products of at most `dw_outputs` outputs over `dw_rows` rows. */
static void add_linear(wz_benchmark *out, wz_backend *backend, const char *name, int64_t outputs,
                       int64_t inputs, int64_t rows, int64_t dw_outputs, int64_t dw_rows)
{
    const wz_gemm_shape shapes[3] = {
        {out->tile, outputs, inputs, false, true, false},                                   /* y = x w^T */
        {out->tile, inputs, outputs, false, false, false},                                  /* dx = dy w */
        {outputs < dw_outputs ? outputs : dw_outputs, inputs, dw_rows, true, false, true}}; /* dw += dy^T x */
    static const char *const passes[3] = {"forward", "dx", "dw"};
    for (int i = 0; i < 3 && out->gemm_count < WZ_BENCH_GEMMS; i++) {
        wz_bench_gemm *gemm = &out->gemms[out->gemm_count++];
        (void)snprintf(gemm->name, sizeof gemm->name, "%s %s", name, passes[i]);
        gemm->flops_per_step = 2.0 * (double)rows * (double)outputs * (double)inputs;
        gemm->rate = backend->ops->gemm_rate(backend, &shapes[i], 0.15);
        out->gemm_flops += gemm->flops_per_step;
        out->sgemm_s += gemm->flops_per_step / gemm->rate;
    }
}

double wz_benchmark_attention_flops(const wz_model_config *c, const wz_segments *s)
{
    double keys = 0.0;
    for (int64_t row = 0; row < s->rows; row++) {
        const double seen = s->row_completion[row] < 0 ? (double)s->row_index[row] + 1.0
                                                       : (double)s->prompt_length[s->row_group[row]] +
                                                             (double)s->row_index[row] + 1.0;
        keys += seen * (double)(c->num_hidden_layers - (s->row_site[row] < 0));
    }
    return 3.0 * 4.0 * keys * (double)(c->num_attention_heads * c->head_dim);
}

static void count_work(wz_bench *b, bool on_gpu, wz_benchmark *out)
{
    const wz_model_config *c = &b->policy->model->config;
    const wz_batch *batch = wz_trainer_batch(b->trainer);
    const int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    /* the CPU's weight gradients go by groups and 128 outputs, a GPU's by packs */
    const int64_t layers = c->num_hidden_layers, dw_outputs = on_gpu ? INT64_MAX : 128,
                  dw_rows = out->rows / (on_gpu ? batch->pack_count : batch->groups);
    int64_t sites = 0; /* what follows the last attention is computed at sites only, and counted so */
    for (int64_t p = 0; p < batch->pack_count; p++) {
        sites += batch->packs[p]->segments.sites;
        out->other_flops += wz_benchmark_attention_flops(c, &batch->packs[p]->segments);
    }
    const int64_t begun = layers * out->rows, finished = (layers - 1) * out->rows + sites;
    add_linear(out, b->backend, "qkv", q + 2 * kv, c->hidden_size, begun, dw_outputs, dw_rows);
    add_linear(out, b->backend, "o", c->hidden_size, q, finished, dw_outputs, dw_rows);
    add_linear(out, b->backend, "gate_up", 2 * c->intermediate_size, c->hidden_size, finished, dw_outputs,
               dw_rows);
    add_linear(out, b->backend, "down", c->hidden_size, c->intermediate_size, finished, dw_outputs, dw_rows);
}

void wz_benchmark_device(const wz_backend *backend, char out[WZ_BENCH_DEVICE])
{
    const char *precision = wz_precision_name(backend);
    wz_backend_info info;
    backend->ops->describe(backend, &info);
    if (info.gpu != NULL)
        (void)snprintf(out, WZ_BENCH_DEVICE, "%s, %s, %s", info.gpu, info.kernels, precision);
    else
        (void)snprintf(out, WZ_BENCH_DEVICE, "OpenBLAS core %s, %lld threads, %s", info.kernels,
                       (long long)info.threads, precision);
}

/* Whether it is a GPU. */
static bool describe_device(const wz_bench *b, wz_benchmark *out)
{
    const wz_batch *batch = wz_trainer_batch(b->trainer);
    const int64_t pack_rows = batch->packs[0]->segments.rows;
    wz_backend_info info;
    b->backend->ops->describe(b->backend, &info);
    (void)snprintf(out->kernels, sizeof out->kernels, "%s", info.kernels);
    wz_benchmark_device(b->backend, out->device);
    out->precision = wz_precision_name(b->backend);
    out->threads = info.threads;
    out->tile = info.row_tile < pack_rows ? info.row_tile : pack_rows;
    return info.gpu != NULL;
}

wz_status wz_benchmark_run(const wz_config *config, int64_t steps, FILE *log, wz_benchmark *out,
                           wz_error *err)
{
    wz_bench b;
    void *block = NULL;
    memset(out, 0, sizeof *out);
    wz_status status = wz_bench_open(config, log, &b, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, (size_t)steps * 4, sizeof(double), "timings", err);
    double *step_s = block, *rollout_s = step_s + steps, *train_s = rollout_s + steps,
           *verify_s = train_s + steps;
    for (int64_t i = 0; status == WZ_OK && i < steps + 2; i++) {
        wz_step_report report;
        status = wz_trainer_step(b.trainer, i, &report, err);
        if (i < 2 || status != WZ_OK)
            continue;
        rollout_s[i - 2] = report.rollout_s;
        train_s[i - 2] = report.train_s;
        verify_s[i - 2] = report.verify_s;
        step_s[i - 2] = report.rollout_s + report.train_s + report.verify_s;
        out->rows = report.rows;
        out->tokens = report.tokens;
    }
    if (status == WZ_OK) {
        out->peak_bytes = wz_bench_used_bytes(b.backend) - b.used_before;
        out->planned_bytes = (double)wz_memory_plan_total(&b.memory);
        const bool on_gpu = describe_device(&b, out);
        out->steps = steps;
        out->completions = b.options.problems * b.options.generations;
        out->step_s = wz_benchmark_median(step_s, steps);
        out->rollout_s = wz_benchmark_median(rollout_s, steps);
        out->train_s = wz_benchmark_median(train_s, steps);
        out->verify_s = wz_benchmark_median(verify_s, steps);
        count_work(&b, on_gpu, out);
        out->share = (out->gemm_flops + out->other_flops) / out->step_s * out->sgemm_s / out->gemm_flops;
        const double flops = out->gemm_flops + out->other_flops, rate = out->gemm_flops / out->sgemm_s;
        out->rollout_share = flops / 3.0 / out->rollout_s / rate;
        out->update_share = flops / 1.5 / out->train_s / rate;
        const wz_batch *batch = wz_trainer_batch(b.trainer);
        if (status == WZ_OK)
            status = wz_benchmark_ops(b.policy->model, batch->packs[0], batch->pack_count, out, err);
    }
    free(block);
    wz_bench_close(&b);
    return status;
}

wz_status wz_benchmark_tokens(const wz_config *config, FILE *log, wz_text *out, wz_error *err)
{
    wz_bench b;
    wz_json json;
    wz_step_report report;
    wz_status status = wz_bench_open(config, log, &b, err);
    if (status == WZ_OK)
        status = wz_trainer_step(b.trainer, 0, &report, err);
    if (status == WZ_OK) {
        const wz_batch *batch = wz_trainer_batch(b.trainer);
        const wz_pack *pack = batch->packs[0];
        wz_json_start(&json, out, err);
        wz_json_begin_object(&json);
        wz_json_field_integer(&json, "vocab_size", b.policy->model->config.vocab_size);
        wz_json_key(&json, "prompts");
        wz_json_begin_array(&json);
        for (int64_t g = 0; g < batch->groups; g++) {
            wz_json_begin_array(&json);
            for (size_t i = 0; i < batch->prompts[g].length; i++)
                wz_json_integer(&json, (int64_t)batch->prompts[g].data[i]);
            wz_json_end_array(&json);
        }
        wz_json_end_array(&json);
        wz_json_key(&json, "allowed");
        wz_json_begin_array(&json);
        for (int32_t i = 0; i < pack->length[0]; i++) {
            const uint32_t set = pack->masks[i];
            wz_json_begin_array(&json);
            for (uint32_t j = pack->mask_offset[set]; j < pack->mask_offset[set + 1]; j++)
                wz_json_integer(&json, (int64_t)pack->mask_tokens[j]);
            wz_json_end_array(&json);
        }
        wz_json_end_array(&json);
        wz_json_end_object(&json);
        status = wz_json_finish(&json);
    }
    wz_bench_close(&b);
    return status;
}

wz_status wz_benchmark_write_json(const wz_benchmark *b, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "device", b->device);
    wz_json_field_string(&json, "precision", b->precision);
    wz_json_field_string(&json, "kernels", b->kernels);
    wz_json_field_integer(&json, "threads", b->threads);
    wz_json_field_integer(&json, "row_tile", b->tile);
    wz_json_field_integer(&json, "rows_per_step", b->rows);
    wz_json_field_number(&json, "completions_per_s", (double)b->completions / b->step_s);
    wz_json_field_number(&json, "tokens_per_s", b->tokens / b->step_s);
    wz_json_field_number(&json, "step_s", b->step_s);
    wz_json_field_number(&json, "rollout_s", b->rollout_s);
    wz_json_field_number(&json, "train_s", b->train_s);
    wz_json_field_number(&json, "verify_s", b->verify_s);
    wz_json_field_number(&json, "gemm_flops_per_step", b->gemm_flops);
    wz_json_field_number(&json, "attention_flops_per_step", b->other_flops);
    wz_json_field_number(&json, "sgemm_rate", b->gemm_flops / b->sgemm_s);
    wz_json_field_number(&json, "share_of_sgemm_rate", b->share);
    wz_json_field_number(&json, "rollout_share_of_sgemm_rate", b->rollout_share);
    wz_json_field_number(&json, "update_share_of_sgemm_rate", b->update_share);
    wz_json_field_number(&json, "planned_bytes", b->planned_bytes);
    wz_json_field_number(&json, "peak_bytes", b->peak_bytes);
    wz_json_key(&json, "sgemm");
    wz_json_begin_object(&json);
    for (size_t i = 0; i < b->gemm_count; i++)
        wz_json_field_number(&json, b->gemms[i].name, b->gemms[i].rate);
    wz_json_end_object(&json);
    wz_json_key(&json, "op_seconds_per_step");
    wz_json_begin_object(&json);
    for (size_t i = 0; i < b->op_count; i++)
        wz_json_field_number(&json, b->ops[i].name, b->ops[i].seconds_per_step);
    wz_json_end_object(&json);
    wz_json_end_object(&json);
    return wz_json_finish(&json);
}

wz_status wz_benchmark_write_table(const wz_benchmark *b, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(
        out, err,
        "%s, row tile %lld; %lld timed steps, medians\n"
        "step                 %10.4f s   %.0f completions/s, %.0f tokens/s, %lld distinct rows\n"
        "  rollout            %10.4f s   %.1f%% of the sgemm rate\n"
        "  update             %10.4f s   %.1f%% of the sgemm rate\n"
        "  problems, verdicts %10.4f s\n"
        "work                 %10.2f GF in linear layers, %.2f GF in attention\n"
        "sgemm rate           %10.1f GF/s at these shapes\n"
        "whole step           %10.1f GF/s = %.1f%% of the sgemm rate\n"
        "memory               %10.1f MiB planned, %.1f MiB peak growth\n"
        "plain sgemm at the model's shapes, GF/s:\n",
        b->device, (long long)b->tile, (long long)b->steps, b->step_s, (double)b->completions / b->step_s,
        b->tokens / b->step_s, (long long)b->rows, b->rollout_s, 100.0 * b->rollout_share, b->train_s,
        100.0 * b->update_share, b->verify_s, b->gemm_flops / 1e9, b->other_flops / 1e9,
        b->gemm_flops / b->sgemm_s / 1e9, (b->gemm_flops + b->other_flops) / b->step_s / 1e9,
        100.0 * b->share, b->planned_bytes / 1048576.0, b->peak_bytes / 1048576.0);
    for (size_t i = 0; status == WZ_OK && i < b->gemm_count; i++)
        status = wz_text_printf(out, err, "  %-18s %10.1f   %5.1f%% of the work\n", b->gemms[i].name,
                                b->gemms[i].rate / 1e9, 100.0 * b->gemms[i].flops_per_step / b->gemm_flops);
    if (status == WZ_OK)
        status = wz_text_printf(out, err, "ops alone, seconds of a step:\n");
    for (size_t i = 0; status == WZ_OK && i < b->op_count; i++)
        status = wz_text_printf(out, err, "  %-20s %8.4f\n", b->ops[i].name, b->ops[i].seconds_per_step);
    return status;
}
