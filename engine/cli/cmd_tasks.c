/* `wavezero tasks`: families, problems, and the numbers a policy has to beat. */
#include "engine/cli/cmd_tasks.h"

#include <string.h>

#include "engine/cli/interrupt.h"
#include "engine/cli/options.h"
#include "engine/core/json.h"
#include "engine/core/suggest.h"
#include "engine/run/load.h"
#include "tasks/task_json.h"

const char wz_tasks_details[] =
    "  list (the default)     families and their options\n"
    "  print                  problems: prompt, pattern of admissible answers, reference objective\n"
    "  baselines              what classical algorithms reach on them\n"
    "  published              figures of the literature, each measured again\n"
    "  export FILE            writes a problem set: JSON lines, or HDF5 where FILE ends in .h5 or .hdf5\n"
    "  import FILE.. -o SET   reads problem sets and your own channels, verifies every problem, and writes "
    "them\n"
    "                         all as one set of either kind\n"
    "  check FILE             reads a problem set, verifies every problem, prints what is in it\n\n"
    "  --problems N           how many (print: 3; baselines: 1000, with --all at most 500; published: each "
    "its own,\n"
    "                         at most N; export: 1000 of each part of a task_mixture)\n"
    "  --first N              index of the first\n"
    "  --split SPLIT          train, validation or test (the default)\n"
    "  --best-of K            baselines: best of K random answers (16)\n"
    "  --all                  baselines: of every family, at its defaults and where figures are published\n"
    "  --task NAME            published: of this family only\n"
    "  --gains FILE           export: your own channels instead, as `generate --gains` takes them\n"
    "  -o SET                 import: the set to write, JSON lines or HDF5 as for export\n"
    "  --coefficients         --gains (import: what is no set) holds channel coefficients h: gains are "
    "|h|^2\n"
    "  --config FILE          take task, seed and prompt_style from a configuration\n"
    "  --json                 JSON; print and --all: one object a line\n\n"
    "Configuration keys follow as key=value, e.g. task.name=power_control task.links=5 seed=2 "
    "prompt_style=full\n";

wz_status wz_tasks_problem(const wz_tasks_request *request, int64_t offset, wz_problem *problem,
                           wz_reference *reference, wz_error *err)
{
    const wz_config *config = &request->config;
    memset(problem, 0, sizeof *problem);
    wz_status status = wz_problem_generate(config->task, config->task_values, (uint64_t)config->seed,
                                           request->split, (uint32_t)(request->first + offset), problem, err);
    if (status == WZ_OK)
        status = wz_reference_find(request->verifier, problem, WZ_EFFORT_EVALUATION, NULL, reference, err);
    return status;
}

static wz_status write_option_value(const wz_task_option *option, double value, wz_text *out, wz_error *err)
{
    return option->names != NULL ? wz_text_printf(out, err, "%s", option->names[(size_t)value])
                                 : wz_text_printf(out, err, "%.15g", value);
}

/* "2 to 64, default 3", or the names. */
static wz_status write_range(const wz_task_option *option, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t v = 0; option->names != NULL && option->names[v] != NULL && status == WZ_OK; ++v)
        status = wz_text_printf(out, err, "%s%s", v > 0 ? ", " : "", option->names[v]);
    if (option->names == NULL)
        status = wz_text_printf(out, err, "%.15g to %.15g", option->minimum, option->maximum);
    if (status == WZ_OK)
        status = wz_text_printf(out, err, ", default ");
    return status == WZ_OK ? write_option_value(option, option->default_value, out, err) : status;
}

wz_status wz_tasks_write_options(const wz_tasks_request *request, wz_text *out, wz_error *err)
{
    const wz_task *task = request->config.task;
    wz_status status = WZ_OK;
    for (size_t i = 0; i < task->option_count && status == WZ_OK; ++i) {
        status = wz_text_printf(out, err, "%s%s ", i > 0 ? ", " : "", task->options[i].name);
        if (status == WZ_OK)
            status = write_option_value(&task->options[i], request->config.task_values[i], out, err);
    }
    return status;
}

/* ---- list ---- */

static void write_family_json(const wz_task *task, wz_json *json)
{
    wz_json_begin_object(json);
    wz_json_field_string(json, "name", task->name);
    wz_json_field_string(json, "title", task->title);
    wz_json_key(json, "options");
    wz_json_begin_array(json);
    for (size_t i = 0; i < task->option_count; ++i) {
        const wz_task_option *option = &task->options[i];
        wz_json_begin_object(json);
        wz_json_field_string(json, "name", option->name);
        wz_task_json_option(json, "default", option, option->default_value);
        wz_json_field_number(json, "minimum", option->minimum);
        wz_json_field_number(json, "maximum", option->maximum);
        wz_json_field_boolean(json, "integer", option->is_integer != 0);
        if (option->names != NULL) {
            wz_json_key(json, "names");
            wz_json_begin_array(json);
            for (size_t v = 0; option->names[v] != NULL; ++v)
                wz_json_string(json, option->names[v]);
            wz_json_end_array(json);
        }
        wz_json_field_string(json, "help", option->help);
        wz_json_end_object(json);
    }
    wz_json_end_array(json);
    wz_json_end_object(json);
}

static wz_status list_json(wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_array(&json);
    for (size_t i = 0; wz_tasks[i] != NULL; ++i)
        write_family_json(wz_tasks[i], &json);
    wz_json_end_array(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status list_families(const wz_tasks_request *request, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    if (request->json)
        return list_json(out, err);
    for (size_t i = 0; wz_tasks[i] != NULL && status == WZ_OK; ++i) {
        const wz_task *task = wz_tasks[i];
        status = wz_text_printf(out, err, "%s: %s\n", task->name, task->title);
        for (size_t j = 0; j < task->option_count && status == WZ_OK; ++j) {
            status =
                wz_text_printf(out, err, "  task.%-16s %s (", task->options[j].name, task->options[j].help);
            if (status == WZ_OK)
                status = write_range(&task->options[j], out, err);
            if (status == WZ_OK)
                status = wz_text_printf(out, err, ")\n");
        }
    }
    return status;
}

/* ---- print ---- */

static wz_status write_problem_json(const wz_problem *problem, const wz_reference *reference,
                                    const wz_text *prompt, const wz_text *pattern, wz_text *out,
                                    wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "task", problem->task->name);
    wz_json_field_string(&json, "split", wz_split_name(problem->split));
    wz_json_field_integer(&json, "index", problem->index);
    wz_json_field_integer(&json, "size", (int64_t)problem->size);
    wz_json_key(&json, "prompt");
    wz_json_bytes(&json, prompt->data, prompt->length);
    wz_json_key(&json, "pattern");
    wz_json_bytes(&json, pattern->data, pattern->length);
    wz_json_field_number(&json, "reference", reference->objective);
    wz_json_field_string(&json, "reference_kind", wz_reference_kind_name(reference->kind));
    wz_json_field_boolean(&json, "exact", reference->kind == WZ_REFERENCE_OPTIMUM);
    wz_json_field_number(&json, "best_trivial", reference->best_trivial);
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status write_problem_text(const wz_problem *problem, const wz_reference *reference,
                                    const wz_text *prompt, const wz_text *pattern, wz_text *out,
                                    wz_error *err)
{
    return wz_text_printf(
        out, err, "problem %u of %s\n%s\npattern: %s\nreference: %.6f (%s), best trivial: %.6f\n\n",
        (unsigned)problem->index, wz_split_name(problem->split), prompt->data, pattern->data,
        reference->objective, wz_reference_kind_name(reference->kind), reference->best_trivial);
}

static wz_status print_problem(const wz_tasks_request *request, int64_t offset, wz_text *out, wz_error *err)
{
    wz_problem problem;
    wz_reference reference = {0};
    wz_text prompt = {0};
    wz_text pattern = {0};
    wz_prompt_style style = (wz_prompt_style)request->config.prompt_style;
    wz_status status = wz_tasks_problem(request, offset, &problem, &reference, err);
    if (status == WZ_OK)
        status = wz_problem_print(&problem, style, &prompt, err);
    if (status == WZ_OK)
        status = wz_problem_answer_pattern(&problem, style, &pattern, err);
    if (status == WZ_OK)
        status = (request->json ? write_problem_json : write_problem_text)(&problem, &reference, &prompt,
                                                                           &pattern, out, err);
    wz_text_clear(&prompt);
    wz_text_clear(&pattern);
    wz_problem_clear(&problem);
    return status;
}

static wz_status print_problems(const wz_cli *cli, const wz_tasks_request *request, wz_error *err)
{
    wz_status status = WZ_OK;
    for (int64_t i = 0; i < request->problems && status == WZ_OK; ++i) {
        wz_text text = {0};
        status = print_problem(request, i, &text, err);
        status = wz_cli_print(cli, &text, status, err);
    }
    return status;
}

/* ---- command line ---- */

static wz_status configure(wz_tasks_request *request, const char *file, const char *const *overrides,
                           size_t count, wz_error *err)
{
    wz_status status = wz_config_load(&request->config, file, overrides, count, err);
    if (status == WZ_OK)
        status = wz_task_check_values(request->config.task, request->config.task_values, err);
    if (status != WZ_OK)
        return status;
    status = wz_open_verifier(&request->config, err);
    if (status != WZ_OK)
        return status;
    request->verifier = wz_verifier_find(request->config.task->name);
    if (request->verifier == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "the task %s has no verifier", request->config.task->name);
    return WZ_OK;
}

/* Options that only one form knows. */
static wz_status check_form_options(const wz_tasks_request *request, const char *form, wz_error *err)
{
    if (request->all && strcmp(form, "baselines") != 0)
        return wz_fail(err, WZ_ERR_USAGE, "--all goes with baselines");
    if (request->only != NULL && strcmp(form, "published") != 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       "--task goes with published; elsewhere task.name=%.64s chooses a task", request->only);
    const bool is_import = strcmp(form, "import") == 0;
    if (request->gains != NULL && strcmp(form, "export") != 0)
        return wz_fail(err, WZ_ERR_USAGE,
                       is_import ? "import takes channels by their names, without --gains"
                                 : "--gains goes with export");
    if (request->coefficients && strcmp(form, "export") != 0 && !is_import)
        return wz_fail(err, WZ_ERR_USAGE, "--coefficients goes with export and import");
    if (request->output != NULL && !is_import)
        return wz_fail(err, WZ_ERR_USAGE, "-o goes with import");
    return WZ_OK;
}

static wz_status write_set(const wz_cli *cli, wz_tasks_request *request, bool is_import, wz_text *out,
                           wz_error *err)
{
    request->stop = wz_interrupt_catch();
    return is_import ? wz_tasks_import(request, out, err) : wz_tasks_export(cli, request, out, err);
}

/* The form is the first plain argument, unless that is an override already. */
static wz_status run_form(const wz_cli *cli, wz_tasks_request *request, const char *form, wz_error *err)
{
    static const char *const forms[] = {"list",   "print",  "baselines", "published",
                                        "export", "import", "check"};
    const bool is_import = strcmp(form, "import") == 0;
    wz_suggestion nearest = {0};
    wz_text text = {0};
    wz_status status = WZ_OK;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; ++i)
        wz_suggest(&nearest, form, forms[i]);
    status = check_form_options(request, form, err);
    if (status != WZ_OK)
        return status;
    if (request->problems == 0 && !request->all && strcmp(form, "published") != 0)
        request->problems = strcmp(form, "print") == 0 ? 3 : 1000;
    if (request->first + request->problems > (int64_t)UINT32_MAX + 1)
        return wz_fail(err, WZ_ERR_USAGE, "a split has problems 0 to %lld; lower --first or --problems",
                       (long long)UINT32_MAX);
    if (strcmp(form, "list") == 0)
        status = list_families(request, &text, err);
    else if (strcmp(form, "print") == 0)
        return print_problems(cli, request, err);
    else if (strcmp(form, "baselines") == 0)
        status = request->all ? wz_tasks_baselines_all(cli, request, &text, err)
                              : wz_tasks_baselines(cli, request, &text, err);
    else if (strcmp(form, "published") == 0)
        status = wz_tasks_published(cli, request, &text, err);
    else if (strcmp(form, "export") == 0 || is_import)
        status = write_set(cli, request, is_import, &text, err);
    else if (strcmp(form, "check") == 0)
        status = wz_tasks_check(request, &text, err);
    else if (nearest.best != NULL)
        status =
            wz_fail(err, WZ_ERR_USAGE, "unknown form 'tasks %.64s' (did you mean '%s'?)", form, nearest.best);
    else
        status = wz_fail(
            err, WZ_ERR_USAGE,
            "unknown form 'tasks %.64s'; use list, print, baselines, published, export, import or check",
            form);
    return wz_cli_print(cli, &text, status, err);
}

wz_status wz_cmd_tasks(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    bool help = false;
    const char *split = "test";
    const char *file = NULL;
    wz_arguments rest;
    wz_tasks_request request = {.best_of = 16};
    const wz_option options[] = {
        {"--json", WZ_OPTION_FLAG, &request.json, 0, 0, NULL, ""},
        {"--problems", WZ_OPTION_INTEGER, &request.problems, 1, 1e9, "N", ""},
        {"--first", WZ_OPTION_INTEGER, &request.first, 0, UINT32_MAX, "N", ""},
        {"--best-of", WZ_OPTION_INTEGER, &request.best_of, 1, 1e6, "K", ""},
        {"--all", WZ_OPTION_FLAG, &request.all, 0, 0, NULL, ""},
        {"--task", WZ_OPTION_TEXT, &request.only, 0, 0, "NAME", ""},
        {"--split", WZ_OPTION_TEXT, &split, 0, 0, "SPLIT", ""},
        {"--config", WZ_OPTION_PATH, &file, 0, 0, "FILE", ""},
        {"--gains", WZ_OPTION_PATH, &request.gains, 0, 0, "FILE", ""},
        {"--coefficients", WZ_OPTION_FLAG, &request.coefficients, 0, 0, NULL, ""},
        {"-o", WZ_OPTION_PATH, &request.output, 0, 0, "SET", ""},
    };
    wz_config_default(&request.config);
    wz_status status =
        wz_options_parse(options, sizeof options / sizeof options[0], argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_split_parse(split, &request.split, err);
    if (status != WZ_OK)
        return status;
    bool has_form = rest.count > 0 && strchr(rest.items[0], '=') == NULL;
    const char *form = has_form ? rest.items[0] : "list";
    size_t taken = has_form;
    if (strcmp(form, "export") == 0 || strcmp(form, "check") == 0 || strcmp(form, "import") == 0) {
        if (rest.count < 2)
            return wz_fail(err, WZ_ERR_USAGE, "tasks %s needs a file: wavezero tasks %s FILE", form, form);
        request.file = rest.items[taken++];
    }
    request.config_file = file;
    request.files = rest.items + 1;
    while (strcmp(form, "import") == 0 && taken < rest.count && strchr(rest.items[taken], '=') == NULL)
        taken++;
    request.file_count = taken - 1;
    request.overrides = rest.items + taken;
    request.override_count = rest.count - taken;
    status = configure(&request, file, request.overrides, request.override_count, err);
    return status == WZ_OK ? run_form(cli, &request, form, err) : status;
}
