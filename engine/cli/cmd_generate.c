/* `wavezero generate CHECKPOINT`: prompts, completions and verdicts, one by one. */
#include <stdlib.h>
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/cli/options.h"
#include "engine/core/json.h"
#include "engine/grpo/batch.h"
#include "engine/run/load.h"
#include "tasks/gains.h"

const char wz_generate_details[] =
    "Answers problems and shows prompt, completion and verdict. Keys of the task may be given as\n"
    "key=value (task.links=6).\n\n"
    "  --problem N            first problem of the split (default 0)\n"
    "  --count N              problems to show (default 1)\n"
    "  --split NAME           test (default), validation or train\n"
    "  --gains FILE           your own channels instead: linear power gains in units of the noise, row i\n"
    "                         column j from transmitter j to receiver i; a matrix, or problems x rows x\n"
    "                         columns; CSV, .npy, .npz, HDF5, MATLAB v7.3 (.mat); of several arrays one is\n"
    "                         chosen by FILE:NAME\n"
    "  --coefficients         --gains holds channel coefficients h: gains are |h|^2\n"
    "  --samples K            completions of each problem (default 1)\n"
    "  --temperature T        0 (default) decodes greedily\n"
    "  --free                 decode without the answer grammar, as other runtimes may\n"
    "  --seed N               of problems and samples (default: the run's)\n"
    "  --json                 one JSON object per completion\n";

typedef struct generate_arguments {
    int64_t first, count, samples, seed;
    double temperature;
    const char *split, *gains;
    bool json, help, coefficients, decode_freely;
    const char *const *overrides; /* key=value, as given */
    size_t override_count;
} generate_arguments;

/* Problems from the user's file; their options, the size among them, become the task's. */
static wz_status import_problems(generate_arguments *a, wz_config *config, wz_problem **out, wz_error *err)
{
    size_t count = 0;
    wz_status status =
        wz_gains_problems(config->task, config->task_values, a->gains, a->coefficients, out, &count, err);
    if (status == WZ_OK)
        status = wz_config_check_given(config, a->overrides, a->override_count, *out, err);
    a->count = (int64_t)count;
    if (status == WZ_OK)
        memcpy(config->task_values, (*out)->values, sizeof config->task_values);
    for (size_t i = 0; status != WZ_OK && i < count; i++)
        wz_problem_clear(&(*out)[i]);
    if (status != WZ_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

static wz_status make_problems(generate_arguments *a, wz_config *config, wz_problem **out, wz_error *err)
{
    wz_split split = WZ_SPLIT_TEST;
    if (a->gains != NULL)
        return import_problems(a, config, out, err);
    wz_status status = wz_task_check_values(config->task, config->task_values, err);
    if (status != WZ_OK)
        return status;
    status = wz_split_parse(a->split, &split, err);
    if (status != WZ_OK)
        return status;
    return wz_batch_generate(config->task, config->task_values,
                             (uint64_t)(a->seed >= 0 ? a->seed : config->seed), split, (uint32_t)a->first,
                             a->count, out, err);
}

/* Which row of the user's file each part of the prompt is; NULL where the problem is none of the user's. */
static const uint8_t *file_rows(const wz_problem *problem, const generate_arguments *a)
{
    return a->gains == NULL ? NULL : problem->source;
}

/* Of the prompt and of the completion, as the model reads them. */
static void write_tokens(wz_json *json, const wz_batch *batch, int64_t number)
{
    const wz_ids *prompt = &batch->prompts[number / batch->generations];
    const wz_pack *pack = batch->packs[0]; /* there is one */
    wz_json_key(json, "prompt_tokens");
    wz_json_begin_array(json);
    for (size_t i = 0; i < prompt->length; i++)
        wz_json_integer(json, (int64_t)prompt->data[i]);
    wz_json_end_array(json);
    wz_json_key(json, "tokens");
    wz_json_begin_array(json);
    for (int32_t i = 0; i < pack->length[number]; i++)
        wz_json_integer(json, (int64_t)pack->tokens[number * pack->completion_stride + i]);
    wz_json_end_array(json);
}

static wz_status write_json(const generate_arguments *a, const wz_batch *batch, int64_t number,
                            const wz_text *prompt, wz_text *out, wz_error *err)
{
    const wz_verdict *verdict = &batch->verdicts[number];
    const wz_text *completion = &batch->completions[number];
    const wz_problem *problem = &batch->problems[number / batch->generations];
    const uint8_t *rows = file_rows(problem, a);
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_integer(&json, "problem", (int64_t)problem->index);
    wz_json_field_integer(&json, "sample", number % batch->generations);
    wz_json_field_integer(&json, "clipped", (int64_t)problem->clipped);
    if (rows != NULL) {
        wz_json_key(&json, "rows");
        wz_json_begin_array(&json);
        for (size_t i = 0; i < problem->size; i++)
            wz_json_integer(&json, rows[i] + 1);
        wz_json_end_array(&json);
    }
    wz_json_key(&json, "prompt");
    wz_json_bytes(&json, prompt->data, prompt->length);
    wz_json_key(&json, "completion");
    wz_json_bytes(&json, completion->data, completion->length);
    write_tokens(&json, batch, number);
    wz_json_field_boolean(&json, "answer_grammar", batch->policy->grammar != NULL);
    wz_json_field_string(&json, "verdict", wz_verdict_kind_name(verdict->kind));
    wz_json_field_string(&json, "reason", verdict->reason);
    wz_json_field_number(&json, "objective", verdict->objective);
    wz_json_field_number(&json, "reference", verdict->reference);
    wz_json_field_number(&json, "objective_ratio", verdict->ratio);
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status write_file_rows(const uint8_t *rows, size_t count, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "rows       ");
    for (size_t i = 0; status == WZ_OK && i < count; i++)
        status = wz_text_printf(out, err, " %d", rows[i] + 1);
    return status == WZ_OK ? wz_text_printf(out, err, " of your file, in the order of prompt and answer\n")
                           : status;
}

/* The problem answered is the printed one. */
static wz_status write_problem(const generate_arguments *a, const wz_problem *problem, const wz_text *prompt,
                               wz_text *out, wz_error *err)
{
    const uint8_t *rows = file_rows(problem, a);
    wz_status status = wz_text_printf(out, err, "problem %u\nprompt      %s\n", problem->index, prompt->data);
    if (status == WZ_OK && rows != NULL)
        status = write_file_rows(rows, problem->size, out, err);
    if (status != WZ_OK || problem->clipped == 0)
        return status;
    return wz_text_printf(
        out, err,
        "note        %zu of your numbers lie outside the range the prompt can print and were "
        "clipped to it: the answer is to the problem as printed\n",
        problem->clipped);
}

static wz_status write_plain(const generate_arguments *a, const wz_batch *batch, int64_t number,
                             const wz_text *prompt, wz_text *out, wz_error *err)
{
    const wz_verdict *verdict = &batch->verdicts[number];
    const wz_reference *reference = &batch->references[number / batch->generations];
    wz_status status = WZ_OK;
    if (number % batch->generations == 0)
        status = write_problem(a, &batch->problems[number / batch->generations], prompt, out, err);
    if (status == WZ_OK)
        status = wz_text_printf(out, err, "completion  %s\n", batch->completions[number].data);
    if (status == WZ_OK && verdict->kind == WZ_VERDICT_FEASIBLE)
        return wz_text_printf(out, err, "verdict     feasible: objective %.6f, %s %.6f, ratio %.4f%s\n",
                              verdict->objective, wz_reference_kind_name(reference->kind), verdict->reference,
                              verdict->ratio, verdict->is_optimum ? " (optimal)" : "");
    if (status == WZ_OK)
        status = wz_text_printf(out, err, "verdict     %s: %s\n", wz_verdict_kind_name(verdict->kind),
                                verdict->reason);
    return status;
}

static wz_status answer(const wz_cli *cli, const generate_arguments *a, wz_policy *policy,
                        const wz_config *config, wz_problem *problems, wz_error *err)
{
    wz_batch *batch = NULL;
    wz_activations *activations = NULL;
    wz_text text = {0}, prompt = {0};
    const wz_rollout_options rollout = {.sampling = {.temperature = (float)a->temperature, .top_p = 1.0f},
                                        .seed = (uint64_t)(a->seed >= 0 ? a->seed : config->seed),
                                        .purpose = WZ_PURPOSE_EVAL_SAMPLE,
                                        .max_completion_length = config->max_completion_length};
    const wz_batch_options options = {.style = (wz_prompt_style)config->prompt_style,
                                      .effort = WZ_EFFORT_EVALUATION,
                                      .generations = a->samples,
                                      .groups_per_pack = a->count};
    wz_status status = wz_batch_create(policy, &options, problems, a->count, &batch, err);
    if (status == WZ_OK)
        status = wz_batch_decode_memory(batch, &rollout.sampling, &activations, err);
    if (status == WZ_OK)
        status = wz_batch_rollout(batch, 0, activations, &rollout, err);
    if (status == WZ_OK)
        status = wz_batch_verify(batch, err);
    for (int64_t n = 0; status == WZ_OK && n < a->count * a->samples; n++) {
        prompt.length = 0;
        status = wz_batch_print_prompt(batch, n / a->samples, &prompt, err);
        if (status == WZ_OK)
            status = a->json ? write_json(a, batch, n, &prompt, &text, err)
                             : write_plain(a, batch, n, &prompt, &text, err);
    }
    wz_text_clear(&prompt);
    wz_activations_destroy(activations);
    wz_batch_destroy(batch);
    return wz_cli_print(cli, &text, status, err);
}

wz_status wz_cmd_generate(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                          wz_error *err)
{
    generate_arguments a = {.count = 1, .samples = 1, .seed = -1, .split = "test"};
    const wz_option options[] = {
        {"--problem", WZ_OPTION_INTEGER, &a.first, 0, 4e9, "N", "first problem of the split"},
        {"--count", WZ_OPTION_INTEGER, &a.count, 1, 1e6, "N", "problems to show"},
        {"--split", WZ_OPTION_TEXT, &a.split, 0, 0, "NAME", "train, validation or test"},
        {"--gains", WZ_OPTION_PATH, &a.gains, 0, 0, "FILE", "your own power gains"},
        {"--coefficients", WZ_OPTION_FLAG, &a.coefficients, 0, 0, NULL, "--gains holds h, not |h|^2"},
        {"--samples", WZ_OPTION_INTEGER, &a.samples, 1, 4095, "K", "completions of each problem"},
        {"--temperature", WZ_OPTION_REAL, &a.temperature, 0, 100, "T", "0 decodes greedily"},
        {"--free", WZ_OPTION_FLAG, &a.decode_freely, 0, 0, NULL, "without the answer grammar"},
        {"--seed", WZ_OPTION_INTEGER, &a.seed, 0, 9.2e18, "N", "of problems and samples"},
        {"--json", WZ_OPTION_FLAG, &a.json, 0, 0, NULL, "one JSON object per completion"}};
    wz_arguments rest;
    wz_policy *policy = NULL;
    wz_backend *backend = NULL;
    wz_problem *problems = NULL;
    wz_config config;
    wz_status status =
        wz_options_parse(options, sizeof options / sizeof options[0], argc, argv, &rest, &a.help, err);
    if (status == WZ_OK && a.help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 1, SIZE_MAX, self->usage, err);
    if (status == WZ_OK && a.gains != NULL && (a.count != 1 || a.first != 0 || strcmp(a.split, "test") != 0))
        status =
            wz_fail(err, WZ_ERR_USAGE,
                    "--gains answers the problems of the file: leave out --count, --problem and --split");
    if (status == WZ_OK)
        status = wz_load_for_inference(rest.items[0], rest.items + 1, rest.count - 1, cli->log, &config,
                                       &backend, &policy, err);
    if (status == WZ_OK && a.decode_freely)
        status = wz_policy_set_free(&config, policy, cli->log, err);
    a.overrides = rest.items + 1;
    a.override_count = rest.count - 1;
    if (status == WZ_OK)
        status = make_problems(&a, &config, &problems, err);
    if (status == WZ_OK)
        status = answer(cli, &a, policy, &config, problems, err);
    wz_policy_destroy(policy);
    if (backend != NULL)
        backend->ops->destroy(backend);
    return status;
}
