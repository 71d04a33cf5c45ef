/* `wavezero export CHECKPOINT --format FORMAT`: a policy for other programs. */
#include <math.h>
#include <string.h>

#include "checkpoints/checkpoint.h"
#include "engine/cli/byte_bar.h"
#include "engine/cli/cli.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/options.h"
#include "engine/core/clock.h"
#include "engine/core/json.h"
#include "engine/core/output.h"
#include "engine/core/suggest.h"
#include "engine/run/export.h"
#include "engine/run/load.h"

const char wz_export_details[] =
    "Writes a folder with the weights, the tokenizer, a model card with the held-out score, and "
    "checksums.\n\n"
    "  --format NAME          gguf (llama.cpp), onnx (ONNX Runtime), hf (transformers) or safetensors; of a\n"
    "                         checkpoint with adapters these are folded in, or, with peft (PEFT) and\n"
    "                         gguf-lora (llama.cpp), written alone\n"
    "  --type TYPE            of the matrices: f32 (default), f16, bf16, q8_0, q4_0, as the format has them\n"
    "  -o, --output DIR       the folder to make (default: NAME-FORMAT-TYPE)\n"
    "  --overwrite            replace an earlier export there\n"
    "  --verify               read it back: every number, and the greedy answers of 16 held-out problems\n"
    "  --grammar              write the answer grammar, too, for llama.cpp (answer.gbnf)\n"
    "  --eval-problems N      of the card's table (default 1000; 0: none)\n"
    "  --name NAME            of the model (default: the imported one's, or the checkpoint's task)\n"
    "  --license LICENSE      SPDX name (default: the imported model's)\n"
    "  --json                 what was written and verified, as a JSON object\n";

typedef struct export_arguments {
    const char *format, *type, *output, *name, *license;
    bool overwrite, verify, grammar, json;
    int64_t eval_problems;
} export_arguments;

#define VERIFIED_PROBLEMS 16

/* What other programs call these formats. */
static const struct {
    const char *said, *meant;
} other_names[] = {{"ggml", "gguf"},      {"llama.cpp", "gguf"},   {"transformers", "hf"},
                   {"huggingface", "hf"}, {"onnxruntime", "onnx"}, {"lora", "peft"}};

static wz_status find_format(const char *name, const wz_model_format **out, wz_error *err)
{
    wz_suggestion nearest = {0};
    if (name == NULL)
        return wz_fail(err, WZ_ERR_USAGE, "--format is missing; `wavezero help export` lists the formats");
    *out = wz_model_format_find(name);
    if (*out != NULL)
        return WZ_OK;
    for (size_t i = 0; wz_model_formats[i] != NULL; i++)
        wz_suggest(&nearest, name, wz_model_formats[i]->name);
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++)
        if (strcmp(name, other_names[i].said) == 0)
            nearest.best = other_names[i].meant;
    return nearest.best != NULL
               ? wz_fail(err, WZ_ERR_USAGE, "--format %s: unknown (did you mean '%s'?)", name, nearest.best)
               : wz_fail(err, WZ_ERR_USAGE, "--format %s: unknown; `wavezero help export` lists the formats",
                         name);
}

static wz_status find_type(const char *name, wz_number_type *out, wz_error *err)
{
    for (int t = 0; t < WZ_NUMBER_TYPES; t++)
        if (strcmp(wz_number_type_names[t], name) == 0) {
            *out = (wz_number_type)t;
            return WZ_OK;
        }
    return wz_fail(err, WZ_ERR_USAGE, "--type %s: unknown; there are f32, f16, bf16, q8_0 and q4_0", name);
}

/* The checkpoint's step and environment. */
static wz_status read_facts(const char *path, int64_t *step, wz_text *environment, wz_error *err)
{
    wz_checkpoint *checkpoint = NULL;
    wz_status status = wz_checkpoint_open(path, &checkpoint, err);
    if (status != WZ_OK)
        return status;
    *step = wz_checkpoint_step(checkpoint);
    if (wz_checkpoint_has_text(checkpoint, "env"))
        status = wz_checkpoint_read_text(checkpoint, "env", environment, err);
    wz_checkpoint_close(checkpoint);
    return status;
}

static wz_status write_report(const wz_export *r, bool json, const wz_verification *v, double seconds,
                              wz_text *out, wz_error *err)
{
    const double megabytes = (double)wz_export_bytes(r) / 1e6;
    if (json) {
        wz_json j;
        wz_json_start(&j, out, err);
        wz_json_begin_object(&j);
        wz_json_field_string(&j, "folder", r->folder);
        wz_json_field_string(&j, "format", r->format->name);
        wz_json_field_string(&j, "type", wz_number_type_names[r->type]);
        wz_json_field_number(&j, "megabytes", megabytes);
        wz_json_field_number(&j, "seconds", seconds);
        if (v != NULL) {
            wz_json_key(&j, "verified");
            wz_json_begin_object(&j);
            wz_json_field_integer(&j, "tensors", (int64_t)v->tensors);
            wz_json_field_integer(&j, "problems", v->problems);
            wz_json_field_integer(&j, "equal_problems", v->equal_problems);
            wz_json_field_integer(&j, "tokens", v->tokens);
            wz_json_field_number(&j, "logit_difference", v->logit_difference);
            wz_json_field_number(&j, "least_margin", v->least_margin);
            wz_json_field_number(&j, "objective_ratio", v->ratio);
            wz_json_field_number(&j, "objective_ratio_back", v->ratio_back);
            wz_json_end_object(&j);
        }
        wz_json_end_object(&j);
        wz_status status = wz_json_finish(&j);
        return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
    }
    wz_status status =
        wz_text_printf(out, err, "wrote       %s: %s, %s, %.1f MB of weights in %.1f s\n", r->folder,
                       r->format->title, wz_number_type_names[r->type], megabytes, seconds);
    if (status == WZ_OK && v != NULL)
        status =
            wz_text_printf(out, err, "verified    %zu tensors read back as they were meant\n", v->tensors);
    if (status == WZ_OK && v != NULL && v->problems > 0)
        status = wz_text_printf(
            out, err,
            "answers     %lld of %lld greedy ones equal; next-token logits differ by %.2g of the largest; "
            "objective ratio %.4f, read back %.4f\n",
            (long long)v->equal_problems, (long long)v->problems, v->logit_difference, v->ratio,
            v->ratio_back);
    if (status == WZ_OK && v != NULL && !isnan(v->least_margin))
        status = wz_text_printf(
            out, err,
            "            where they part, the two likeliest tokens were %.2g apart at the nearest\n",
            v->least_margin);
    return status;
}

static wz_status run(const wz_cli *cli, const export_arguments *a, wz_export *r, wz_text *out, wz_error *err)
{
    wz_byte_bar bar;
    wz_verification verification;
    const double start = wz_now_s();
    const wz_byte_count bytes = wz_byte_bar_start(&bar, cli, wz_export_bytes(r), start);
    wz_status status = wz_export_run(r, &bytes, err);
    wz_progress_clear(&bar.progress);
    status = wz_interrupt_explain(status, "nothing was written to", r->folder, err);
    const double seconds = wz_now_s() - start;
    if (status == WZ_OK && a->verify) {
        status = wz_export_verify(r, VERIFIED_PROBLEMS, &verification, err);
        status = wz_interrupt_explain(status, "written, but not verified:", r->folder, err);
    }
    if (status == WZ_OK)
        status = write_report(r, a->json, a->verify ? &verification : NULL, seconds, out, err);
    return status;
}

/* What is neither evaluated nor asked to answer needs no model in memory. */
static wz_status load(const wz_cli *cli, const export_arguments *a, const wz_arguments *rest,
                      wz_config *config, wz_backend **backend, wz_export *r, wz_error *err)
{
    const char *const *overrides = rest->items + 1;
    const size_t count = rest->count - 1;
    if (a->verify || a->eval_problems > 0 || r->format->is_adapters)
        return wz_load_for_inference(rest->items[0], overrides, count, cli->log, config, backend, &r->policy,
                                     err);
    return wz_load_for_copying(rest->items[0], overrides, count, cli->log, config, backend, &r->policy,
                               &r->weights, err);
}

/* The folder to make: the user's, or one that tells what is in it. */
static wz_status name_folder(const export_arguments *a, const wz_config *config, const wz_export *r,
                             wz_text *folder, wz_error *err)
{
    const wz_status status =
        a->output != NULL
            ? wz_text_printf(folder, err, "%s", a->output)
            : wz_text_printf(folder, err, "%s-%s-%s", a->name != NULL ? a->name : config->task->name,
                             r->format->name, wz_number_type_names[r->type]);
    while (folder->length > 1 && folder->data[folder->length - 1] == '/')
        folder->data[--folder->length] = '\0';
    return status;
}

static wz_status export(const wz_cli *cli, const export_arguments *a, const wz_arguments *rest, wz_export *r,
                        wz_text *out, wz_error *err)
{
    wz_backend *backend = NULL;
    wz_config config;
    wz_text environment = {0}, folder = {0};
    const char *checkpoint = rest->items[0];
    wz_status status = a->output != NULL ? wz_output_check_input(a->output, checkpoint, err) : WZ_OK;
    if (status != WZ_OK)
        return status; /* before anything is read */
    r->stop = wz_interrupt_catch();
    status = read_facts(checkpoint, &r->step, &environment, err);
    if (status == WZ_OK)
        status = load(cli, a, rest, &config, &backend, r, err);
    if (status == WZ_OK)
        status = name_folder(a, &config, r, &folder, err);
    r->config = &config;
    r->checkpoint = checkpoint;
    r->environment = environment.length > 0 ? environment.data : "";
    r->folder = folder.data;
    if (status == WZ_OK)
        status = run(cli, a, r, out, err);
    wz_policy_destroy(r->policy);
    wz_checkpoint_close(r->weights);
    r->config = NULL;
    r->environment = r->folder = NULL;
    if (backend != NULL)
        backend->ops->destroy(backend);
    wz_text_clear(&environment);
    wz_text_clear(&folder);
    return status;
}

wz_status wz_cmd_export(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    export_arguments a = {.type = "f32", .eval_problems = 1000};
    const wz_option options[] = {
        {"--format", WZ_OPTION_TEXT, &a.format, 0, 0, "NAME", "what to write"},
        {"--type", WZ_OPTION_TEXT, &a.type, 0, 0, "TYPE", "of the matrices"},
        {"--output", WZ_OPTION_PATH, &a.output, 0, 0, "DIR", "the folder to make"},
        {"-o", WZ_OPTION_PATH, &a.output, 0, 0, "DIR", "the same"},
        {"--overwrite", WZ_OPTION_FLAG, &a.overwrite, 0, 0, NULL, "replace an earlier export"},
        {"--verify", WZ_OPTION_FLAG, &a.verify, 0, 0, NULL, "read it back and compare"},
        {"--grammar", WZ_OPTION_FLAG, &a.grammar, 0, 0, NULL, "the answer grammar as GBNF"},
        {"--eval-problems", WZ_OPTION_INTEGER, &a.eval_problems, 0, 1e8, "N", "of the card's table"},
        {"--name", WZ_OPTION_TEXT, &a.name, 0, 0, "NAME", "of the model"},
        {"--license", WZ_OPTION_TEXT, &a.license, 0, 0, "LICENSE", "SPDX name"},
        {"--json", WZ_OPTION_FLAG, &a.json, 0, 0, NULL, "one JSON object"}};
    bool help = false;
    wz_arguments rest;
    wz_text text = {0};
    wz_export request = {.step = 0};
    wz_status status =
        wz_options_parse(options, sizeof options / sizeof options[0], argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 1, SIZE_MAX, self->usage, err);
    if (status == WZ_OK)
        status = find_format(a.format, &request.format, err);
    if (status == WZ_OK)
        status = find_type(a.type, &request.type, err);
    if (status != WZ_OK)
        return status;
    request.overwrite = a.overwrite;
    request.grammar = a.grammar;
    request.eval_problems = a.eval_problems;
    request.name = a.name != NULL ? a.name : "";
    request.license = a.license != NULL ? a.license : "";
    status = export(cli, &a, &rest, &request, &text, err);
    return wz_cli_print(cli, &text, status, err);
}
