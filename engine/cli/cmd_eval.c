/* `wavezero eval CHECKPOINT`: the held-out score of a policy. */
#include "engine/cli/cmd_eval.h"

#include <math.h>
#include <stdlib.h>

#include "engine/core/clock.h"
#include "engine/run/load.h"

const char wz_eval_details[] =
    "Answers held-out problems of the checkpoint's task and compares with the optimum and classical\n"
    "algorithms. Keys of the task and of the machine may be given as key=value (task.links=6, threads=1).\n\n"
    "  --problems N           problems (default 1000)\n"
    "  --problems FILE        those of a problem set (`wavezero tasks export`) instead; figures for each "
    "family\n"
    "                         and its options\n"
    "  --batch N              problems at once (default 64); changes no figure\n"
    "  --split NAME           test (default), validation or train\n"
    "  --temperature T        sample at this temperature instead of decoding greedily\n"
    "  --best-of K            sample K answers, verify them, keep the best; beside the best of K random "
    "ones\n"
    "  --free                 decode without the answer grammar, as other runtimes may: the share of valid "
    "answers\n"
    "                         is a column, and an answer that is none scores 0\n"
    "  --compare              of two checkpoints, A and B: both on the problems of A's task; intervals and "
    "a\n"
    "                         paired test of the difference\n"
    "  --permute              each problem once more with its parts (links, users, ...) in another order\n"
    "  --grid KEY=V1,V2,...   a row for each value of an option of the task, of thinking_budget or of "
    "verifier_tries,\n"
    "                         as in --grid task.links=5,10,20; given again: for each combination\n"
    "  --seed N               of problems and samples (default: the run's)\n"
    "  --timing               time per problem too, of the policy, the reference and the baselines, and the\n"
    "                         best random answer in the policy's time\n"
    "  --no-seen              do not count which problems, number for number, were among those of training\n"
    "  --json                 one JSON object (of --grid: an array)\n";

void wz_eval_begin(wz_eval_session *session, const wz_cli *cli, const wz_eval_arguments *arguments,
                   int64_t problems)
{
    *session = (wz_eval_session){.cli = cli, .arguments = arguments};
    wz_progress_start(&session->progress, cli->progress.is_terminal ? cli->log : NULL, &cli->progress,
                      "problem", 0, problems, wz_now_s());
}

void wz_eval_end(wz_eval_session *session)
{
    wz_progress_finish(&session->progress, session->done, NULL, NAN, NULL, wz_now_s());
}

static void show_progress(void *argument, int64_t done, int64_t total)
{
    wz_eval_session *session = argument;
    (void)total;
    wz_progress_update(&session->progress, session->done + done, NULL, NAN, session->name, wz_now_s());
}

wz_status wz_eval_prepare(const wz_eval_arguments *a, const wz_config *config, const wz_eval_part *part,
                          wz_eval_options *out, wz_error *err)
{
    *out = (wz_eval_options){.task = part->task,
                             .values = part->values,
                             .given = part->given,
                             .style = (wz_prompt_style)config->prompt_style,
                             .seed = (uint64_t)(a->seed >= 0 ? a->seed : config->seed),
                             .problems = part->problems,
                             .batch_size = a->batch,
                             .sampling = {.temperature = (float)a->temperature, .top_p = 1.0f},
                             .samples = a->samples,
                             .baselines = true,
                             .max_completion_length = config->max_completion_length,
                             .reorder = a->permute,
                             .timing = a->timing};
    if (a->samples > 1 && a->temperature == 0.0)
        out->sampling.temperature = 1.0f; /* k equal answers would be no choice */
    const wz_status status = wz_split_parse(a->split != NULL ? a->split : "test", &out->split, err);
    return status == WZ_OK ? wz_task_check_values(part->task, part->values, err) : status;
}

wz_status wz_eval_run(wz_eval_session *session, wz_policy *policy, const wz_eval_options *options,
                      const char *name, wz_evaluation *out, wz_error *err)
{
    session->name = name;
    const wz_status status = wz_evaluate(policy, options, show_progress, session, out, err);
    session->done += options->problems;
    return status;
}

/* One part's figures, appended to the text or, if JSON, to json. */
static wz_status evaluate_part(wz_eval_session *session, wz_policy *policy, const wz_config *config,
                               const wz_eval_part *part, wz_json *json, wz_text *text, wz_error *err)
{
    wz_eval_options options;
    wz_evaluation evaluation;
    uint8_t *seen = NULL;
    wz_status status = wz_eval_prepare(session->arguments, config, part, &options, err);
    if (status == WZ_OK && session->past != NULL)
        status = wz_find_seen(session->past, &options, &seen, err);
    if (status == WZ_OK)
        status = wz_eval_run(session, policy, &options, part->name, &evaluation, err);
    free(seen);
    if (status != WZ_OK)
        return status;
    if (session->arguments->json) {
        if (part->name != NULL)
            wz_json_key(json, part->name);
        wz_json_begin_object(json);
        wz_evaluation_write_fields(json, &evaluation);
        wz_json_end_object(json);
        return WZ_OK;
    }
    if (part->name != NULL)
        status = wz_text_printf(text, err, "%s%s: ", text->length > 0 ? "\n" : "", part->name);
    return status == WZ_OK ? wz_evaluation_write_table(&evaluation, text, err) : status;
}

/* One table after the other; in JSON an object of theirs by name, where there are several. */
static wz_status write_parts(wz_eval_session *session, wz_policy *policy, const wz_config *config,
                             const wz_eval_parts *parts, wz_text *text, wz_error *err)
{
    const bool as_json = session->arguments->json;
    wz_json json;
    wz_status status = WZ_OK;
    wz_json_start(&json, text, err);
    if (as_json && parts->count > 1)
        wz_json_begin_object(&json);
    for (size_t p = 0; status == WZ_OK && p < parts->count; p++)
        status = evaluate_part(session, policy, config, &parts->items[p], &json, text, err);
    if (status != WZ_OK || !as_json)
        return status;
    if (parts->count > 1)
        wz_json_end_object(&json);
    status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(text, "\n", 1, err) : status;
}

static wz_status evaluate(const wz_cli *cli, const wz_eval_arguments *a, const wz_training_past *past,
                          wz_policy *policy, const wz_config *config, wz_text *text, wz_error *err)
{
    wz_eval_session session;
    wz_eval_parts parts;
    int64_t problems = 0;
    wz_status status = wz_eval_parts_create(a, config, &parts, err);
    for (size_t p = 0; p < parts.count; p++)
        problems += parts.items[p].problems;
    if (status == WZ_OK) {
        wz_eval_begin(&session, cli, a, problems);
        session.past = past;
        status = write_parts(&session, policy, config, &parts, text, err);
        wz_eval_end(&session);
    }
    wz_eval_parts_clear(&parts);
    return status;
}

static wz_status evaluate_one(const wz_cli *cli, const wz_eval_arguments *a, const wz_arguments *rest,
                              wz_text *text, wz_error *err)
{
    wz_backend *backend = NULL;
    wz_policy *policy = NULL;
    wz_config config;
    wz_training_past past;
    const bool is_grid = a->grid.count > 0, counts_seen = !a->no_seen && !is_grid;
    wz_status status = wz_load_for_inference(rest->items[0], rest->items + 1, rest->count - 1, cli->log,
                                             &config, &backend, &policy, err);
    if (status == WZ_OK && a->decode_freely)
        status = wz_policy_set_free(&config, policy, cli->log, err);
    if (status == WZ_OK && counts_seen)
        status = wz_training_past_read(rest->items[0], &past, err);
    if (status == WZ_OK && is_grid)
        status = wz_eval_grid(cli, a, policy, &config, text, err);
    else if (status == WZ_OK)
        status = evaluate(cli, a, counts_seen ? &past : NULL, policy, &config, text, err);
    wz_policy_destroy(policy);
    if (backend != NULL)
        backend->ops->destroy(backend);
    return status;
}

wz_status wz_cmd_eval(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    wz_eval_arguments a = {.problems = 1000, .batch = 64, .samples = 1, .seed = -1};
    const wz_option options[] = {
        {"--problems", WZ_OPTION_TEXT, &a.given, 0, 0, "N", "problems, or the file of a set"},
        {"--batch", WZ_OPTION_INTEGER, &a.batch, 1, 1e6, "N", "problems at once"},
        {"--split", WZ_OPTION_TEXT, &a.split, 0, 0, "NAME", "train, validation or test"},
        {"--temperature", WZ_OPTION_REAL, &a.temperature, 0, 100, "T", "0 decodes greedily"},
        {"--best-of", WZ_OPTION_INTEGER, &a.samples, 1, 4095, "K", "verified best of K samples"},
        {"--free", WZ_OPTION_FLAG, &a.decode_freely, 0, 0, NULL, "without the answer grammar"},
        {"--compare", WZ_OPTION_FLAG, &a.compare, 0, 0, NULL, "two checkpoints on the same problems"},
        {"--permute", WZ_OPTION_FLAG, &a.permute, 0, 0, NULL, "problems once more in another order"},
        {"--grid", WZ_OPTION_TEXTS, &a.grid, 0, 0, "KEY=V1,V2,...", "a row for each setting"},
        {"--seed", WZ_OPTION_INTEGER, &a.seed, 0, 9.2e18, "N", "of problems and samples"},
        {"--timing", WZ_OPTION_FLAG, &a.timing, 0, 0, NULL, "time per problem"},
        {"--no-seen", WZ_OPTION_FLAG, &a.no_seen, 0, 0, NULL, "do not look for problems of training"},
        {"--json", WZ_OPTION_FLAG, &a.json, 0, 0, NULL, "one JSON object"}};
    wz_arguments rest;
    wz_text text = {0};
    wz_status status =
        wz_options_parse(options, sizeof options / sizeof options[0], argc, argv, &rest, &a.help, err);
    if (status == WZ_OK && a.help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, a.compare ? 2 : 1, SIZE_MAX, self->usage, err);
    if (status == WZ_OK && a.compare && (a.permute || a.grid.count > 0))
        status = wz_fail(err, WZ_ERR_USAGE,
                         "--compare takes neither --permute nor --grid: evaluate A and B one "
                         "after the other");
    if (status == WZ_OK)
        status = wz_eval_read_problems(&a, err);
    if (status == WZ_OK)
        status = (a.compare ? wz_eval_compare : evaluate_one)(cli, &a, &rest, &text, err);
    wz_problem_set_clear(&a.set);
    return wz_cli_print(cli, &text, status, err);
}
