/* `wavezero eval CHECKPOINT`: the held-out score of a policy. */
#include <stdlib.h>
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/core/clock.h"
#include "engine/cli/options.h"
#include "engine/run/evaluate.h"
#include "engine/run/load.h"
#include "engine/run/problem_set.h"

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
    "  --seed N               of problems and samples (default: the run's)\n"
    "  --timing               seconds per problem too\n"
    "  --json                 one JSON object\n";

typedef struct eval_arguments {
    int64_t problems, batch, samples, seed;
    double temperature;
    const char *split, *given; /* given: a count, or the file of a problem set */
    bool timing, json, help;
} eval_arguments;

static void show_progress(void *argument, int64_t done, int64_t total)
{
    (void)total;
    wz_progress_update(argument, done, NULL, 0.0, NULL, wz_now_s());
}

/* What one set of figures is about: given problems, or (NULL) as many generated ones. */
typedef struct eval_part {
    const wz_task *task;
    const double *values;
    const char *name; /* NULL: there is only this one */
    const wz_problem *given;
    int64_t problems;
} eval_part;

/* One part's figures, appended to the text. */
static wz_status evaluate_part(const wz_cli *cli, const eval_arguments *a, wz_policy *policy,
                               const wz_config *config, const eval_part *part, wz_text *text, wz_error *err)
{
    const bool named = part->name != NULL;
    wz_eval_options options = {.task = part->task,
                               .values = part->values,
                               .given = part->given,
                               .style = (wz_prompt_style)config->prompt_style,
                               .seed = (uint64_t)(a->seed >= 0 ? a->seed : config->seed),
                               .problems = part->problems,
                               .batch_size = a->batch,
                               .sampling = {.temperature = (float)a->temperature, .top_p = 1.0f},
                               .samples = a->samples,
                               .baselines = true,
                               .max_completion_length = config->max_completion_length};
    wz_evaluation evaluation;
    wz_progress progress;
    if (a->samples > 1 && a->temperature == 0.0)
        options.sampling.temperature = 1.0f; /* k equal answers would be no choice */
    wz_status status = wz_split_parse(a->split != NULL ? a->split : "test", &options.split, err);
    if (status == WZ_OK)
        status = wz_task_check_values(part->task, part->values, err);
    if (status != WZ_OK)
        return status;
    wz_progress_start(&progress, cli->progress.is_terminal ? cli->log : NULL, &cli->progress, "problem", 0,
                      options.problems, wz_now_s());
    status = wz_evaluate(policy, &options, show_progress, &progress, &evaluation, err);
    wz_progress_finish(&progress, options.problems, NULL, 0.0, NULL, wz_now_s());
    if (status == WZ_OK && named)
        status = a->json ? wz_text_printf(text, err, "%s\"%s\":", text->length > 1 ? "," : "", part->name)
                         : wz_text_printf(text, err, "%s%s: ", text->length > 0 ? "\n" : "", part->name);
    if (status == WZ_OK)
        status = a->json ? wz_evaluation_write_json(&evaluation, a->timing, text, err)
                         : wz_evaluation_write_table(&evaluation, a->timing, text, err);
    return status;
}

/* One table after the other; in JSON an object of theirs by name, where there are several. */
static wz_status evaluate_parts(const wz_cli *cli, const eval_arguments *a, wz_policy *policy,
                                const wz_config *config, const eval_part *parts, size_t count, wz_error *err)
{
    wz_text text = {0};
    wz_status status = WZ_OK;
    if (a->json && count > 1)
        status = wz_text_append(&text, "{", 1, err);
    for (size_t p = 0; status == WZ_OK && p < count; p++)
        status = evaluate_part(cli, a, policy, config, &parts[p], &text, err);
    if (status == WZ_OK && a->json)
        status = wz_text_printf(&text, err, count > 1 ? "}\n" : "\n");
    return wz_cli_print(cli, &text, status, err);
}

/* Problems generated of what the checkpoint was trained on. */
static wz_status evaluate_generated(const wz_cli *cli, const eval_arguments *a, wz_policy *policy,
                                    const wz_config *config, wz_error *err)
{
    wz_mixture mixture;
    eval_part parts[WZ_MIXTURE_MAX];
    wz_status status = wz_config_mixture(config, &mixture, err);
    for (size_t p = 0; status == WZ_OK && p < mixture.count; p++)
        parts[p] = (eval_part){.task = mixture.parts[p].task,
                               .values = mixture.parts[p].values,
                               .name = mixture.count > 1 ? mixture.parts[p].name : NULL,
                               .problems = a->problems};
    return status == WZ_OK ? evaluate_parts(cli, a, policy, config, parts, mixture.count, err) : status;
}

/* Those of a file, a part for each family and its options. */
static wz_status evaluate_set(const wz_cli *cli, const eval_arguments *a, wz_policy *policy,
                              const wz_config *config, const wz_problem_set *set, wz_error *err)
{
    void *block = NULL;
    wz_text *names = NULL;
    wz_status status = wz_alloc(&block, set->group_count, sizeof(eval_part) + sizeof(wz_text),
                                "the parts of a problem set", err);
    if (status != WZ_OK)
        return status;
    eval_part *parts = block;
    names = (wz_text *)(parts + set->group_count);
    for (size_t g = 0; status == WZ_OK && g < set->group_count; g++) {
        const wz_set_group *group = &set->groups[g];
        status = wz_set_write_options(group->task, group->values, &names[g], err);
        parts[g] = (eval_part){.task = group->task,
                               .values = group->values,
                               .name = set->group_count > 1 ? names[g].data : NULL,
                               .given = group->problems,
                               .problems = (int64_t)group->count};
    }
    if (status == WZ_OK)
        status = evaluate_parts(cli, a, policy, config, parts, set->group_count, err);
    for (size_t g = 0; g < set->group_count; g++)
        wz_text_clear(&names[g]);
    free(block);
    return status;
}

/* A count, or a set that is read. */
static wz_status read_problems(eval_arguments *a, wz_problem_set *set, wz_error *err)
{
    if (a->given == NULL)
        return WZ_OK;
    const size_t length = strlen(a->given), digits = strspn(a->given, "0123456789");
    if (digits < length || length == 0) {
        if (a->split != NULL)
            return wz_fail(err, WZ_ERR_USAGE, "--problems FILE names its problems: leave out --split");
        return wz_problem_set_read(a->given, true, set, err);
    }
    a->problems = length <= 9 ? strtoll(a->given, NULL, 10) : 0;
    if (a->problems < 1 || a->problems > 100000000)
        return wz_fail(err, WZ_ERR_USAGE, "--problems: expected 1 to 100000000, or a file, found '%.64s'",
                       a->given);
    return WZ_OK;
}

wz_status wz_cmd_eval(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    eval_arguments a = {.problems = 1000, .batch = 64, .samples = 1, .seed = -1};
    const wz_option options[] = {
        {"--problems", WZ_OPTION_TEXT, &a.given, 0, 0, "N", "problems, or the file of a set"},
        {"--batch", WZ_OPTION_INTEGER, &a.batch, 1, 1e6, "N", "problems at once"},
        {"--split", WZ_OPTION_TEXT, &a.split, 0, 0, "NAME", "train, validation or test"},
        {"--temperature", WZ_OPTION_REAL, &a.temperature, 0, 100, "T", "0 decodes greedily"},
        {"--best-of", WZ_OPTION_INTEGER, &a.samples, 1, 4095, "K", "verified best of K samples"},
        {"--seed", WZ_OPTION_INTEGER, &a.seed, 0, 9.2e18, "N", "of problems and samples"},
        {"--timing", WZ_OPTION_FLAG, &a.timing, 0, 0, NULL, "seconds per problem"},
        {"--json", WZ_OPTION_FLAG, &a.json, 0, 0, NULL, "one JSON object"}};
    wz_arguments rest;
    wz_backend *backend = NULL;
    wz_policy *policy = NULL;
    wz_config config;
    wz_problem_set set = {0};
    wz_status status =
        wz_options_parse(options, sizeof options / sizeof options[0], argc, argv, &rest, &a.help, err);
    if (status == WZ_OK && a.help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 1, SIZE_MAX, self->usage, err);
    if (status == WZ_OK)
        status = read_problems(&a, &set, err);
    if (status == WZ_OK)
        status = wz_load_for_inference(rest.items[0], rest.items + 1, rest.count - 1, cli->log, &config,
                                       &backend, &policy, err);
    if (status == WZ_OK)
        status = set.count > 0 ? evaluate_set(cli, &a, policy, &config, &set, err)
                               : evaluate_generated(cli, &a, policy, &config, err);
    wz_problem_set_clear(&set);
    wz_policy_destroy(policy);
    if (backend != NULL)
        backend->ops->destroy(backend);
    return status;
}
