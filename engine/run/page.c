#include "engine/run/page.h"

#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "engine/core/json.h"
#include "engine/run/config_schema.h"
#include "engine/run/metrics.h"
#include "engine/run/page_internal.h"

#define TEXT_LIMIT (1u << 20) /* of config.yaml, env.json */
#define GRID_LIMIT (1u << 26)

/* ---- reading runs ---- */

static wz_status path_in(const wz_page_run *run, const char *name, char out[WZ_PATH_MAX + 32], wz_error *err)
{
    const int length = snprintf(out, WZ_PATH_MAX + 32, "%s/%s", run->path, name);
    return length > 0 && length < WZ_PATH_MAX + 32
               ? WZ_OK
               : wz_fail(err, WZ_ERR_USAGE, "the path of %s is too long", name);
}

static wz_status read_json(const wz_page_run *run, const char *name, size_t limit, json_t **out,
                           wz_error *err)
{
    char path[WZ_PATH_MAX + 32];
    wz_status status = path_in(run, name, path, err);
    if (status != WZ_OK || !wz_path_exists(path))
        return status;
    return wz_json_parse_file(path, limit, out, err);
}

/* A configuration that this build cannot read is shown as it is: the run may be another build's, or a stranger's. */
static wz_status read_config(wz_page_run *run, wz_error *err)
{
    char path[WZ_PATH_MAX + 32];
    wz_status status = path_in(run, "config.yaml", path, err);
    wz_config_default(&run->config);
    if (status != WZ_OK || !wz_path_exists(path))
        return status;
    status = wz_file_read(path, TEXT_LIMIT, &run->config_text, err);
    if (status != WZ_OK)
        return status;
    run->has_config = wz_config_read_foreign(&run->config, path, run->config_text.data,
                                             run->config_text.length, &run->config_failure) == WZ_OK;
    return WZ_OK;
}

static wz_status read_run(const char *path, wz_page_run *run, wz_error *err)
{
    char file[WZ_PATH_MAX + 32];
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0 || length >= sizeof run->path)
        return wz_fail(err, WZ_ERR_USAGE, "a run's path has 1 to %zu bytes", sizeof run->path - 1);
    memcpy(run->path, path, length);
    run->path[length] = '\0';
    const char *slash = strrchr(run->path, '/');
    run->name = slash != NULL && slash[1] != '\0' ? slash + 1 : run->path;
    wz_status status = path_in(run, WZ_METRICS_FILE, file, err);
    if (status == WZ_OK && !wz_path_exists(file))
        status = wz_fail(err, WZ_ERR_USAGE, "%s is no run: it has no " WZ_METRICS_FILE, run->path);
    if (status == WZ_OK)
        status = wz_history_read(file, &run->history, err);
    if (status == WZ_OK)
        status = read_config(run, err);
    if (status == WZ_OK)
        status = read_json(run, "env.json", TEXT_LIMIT, &run->environment, err);
    if (status == WZ_OK)
        status = read_json(run, "grid.json", GRID_LIMIT, &run->grid, err);
    return status;
}

static void clear_run(wz_page_run *run)
{
    wz_history_clear(&run->history);
    wz_text_clear(&run->config_text);
    json_decref(run->environment);
    json_decref(run->grid);
}

/* ---- the page ---- */

static void begin_page(wz_markup *m, const wz_page_run *runs, size_t count)
{
    wz_markup_raw(
        m, "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta "
           "charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
           "<title>Wavezero: ");
    wz_markup_text(m, runs[0].name);
    if (count > 1)
        wz_markup_print(m, " and %zu more", count - 1);
    wz_markup_raw(m, "</title>\n<style>\n");
    for (size_t i = 0; wz_page_style[i] != NULL; i++)
        wz_markup_raw(m, wz_page_style[i]);
    wz_markup_raw(m, "</style>\n</head>\n<body>\n<main>\n");
}

static void write_task(wz_markup *m, const wz_config *c)
{
    if (c->task_mixture[0] != '\0') {
        wz_markup_text(m, c->task_mixture);
        return;
    }
    wz_markup_element(m, "b", c->task->name);
    for (size_t i = 0; i < c->task->option_count; i++) {
        const wz_task_option *option = &c->task->options[i];
        if (c->task_values[i] == option->default_value && i != c->task->size_option)
            continue;
        wz_markup_text(m, ", ");
        wz_markup_text(m, option->name);
        if (option->names != NULL)
            wz_markup_print(m, " %s", option->names[(size_t)c->task_values[i]]);
        else
            wz_markup_print(m, " %g", c->task_values[i]);
    }
}

/* What the run was about, in a line. */
static void write_subject(wz_markup *m, const wz_page_run *run)
{
    const wz_config *c = &run->config;
    const char *date = json_string_value(json_object_get(run->environment, "date"));
    wz_markup_raw(m, "<p class=\"sub\">");
    if (run->has_config)
        write_task(m, c);
    if (run->has_config)
        wz_markup_print(m, " &#183; %lld layers x %lld, %lld problems x %lld completions a step, seed %lld",
                        (long long)c->model.num_hidden_layers, (long long)c->model.hidden_size,
                        (long long)(c->generation_batch_size / c->num_generations),
                        (long long)c->num_generations, (long long)c->seed);
    if (date != NULL) {
        wz_markup_raw(m, " &#183; ");
        wz_markup_text(m, date);
    }
    wz_markup_raw(m, "</p>\n");
}

/* What all of them were about; what they differ in stands below. */
static void write_common_subject(wz_markup *m, const wz_page_run *runs, size_t count)
{
    bool known = true;
    for (size_t r = 0; r < count; r++)
        known = known && runs[r].has_config;
    wz_markup_raw(m, "<p class=\"sub\">");
    if (wz_page_have_one_task(runs, count))
        write_task(m, &runs[0].config);
    else if (known)
        wz_markup_raw(m, "Their tasks differ: scores are of different problems.");
    wz_markup_raw(m, "</p>\n");
}

static void write_one(wz_markup *m, const wz_page_run *run, const wz_page_evaluation *evaluation,
                      const char *why_not)
{
    wz_markup_element(m, "h1", run->name);
    write_subject(m, run);
    wz_page_alarms(m, run, 1);
    wz_page_figures(m, run);
    wz_page_curves(m, run, 1, 1, wz_page_reference(evaluation));
    if (evaluation->count > 0)
        wz_page_evaluation_write(m, evaluation);
    wz_page_grid(m, run->grid);
    if (why_not != NULL) {
        wz_markup_raw(m, "<h2>Held-out evaluation</h2>\n");
        wz_markup_element(m, "p", why_not);
    }
    wz_page_about(m, run);
}

static void write_several(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups)
{
    wz_markup_print(m, "<h1>%zu runs</h1>\n", count);
    write_common_subject(m, runs, count);
    wz_page_alarms(m, runs, count);
    wz_page_comparison(m, runs, count, groups);
    wz_page_curves(m, runs, count, groups, NULL);
    for (size_t r = 0; r < count; r++) {
        wz_markup_raw(m, "<details><summary>");
        wz_markup_text(m, runs[r].name);
        wz_markup_raw(m, ": configuration, environment, commands</summary>\n");
        wz_page_about(m, &runs[r]);
        wz_markup_raw(m, "</details>\n");
    }
}

/* An evaluation that the command line forbids or that this run allows none of leaves a page without it. */
static wz_status evaluate(const wz_page_run *run, const wz_page_options *options, wz_page_evaluation *out,
                          wz_error *why_not, wz_error *err)
{
    char path[WZ_PATH_MAX + 32];
    wz_status status = path_in(run, "checkpoints/best.h5", path, err);
    if (status != WZ_OK || !options->evaluates)
        return status;
    if (!wz_path_exists(path)) {
        (void)wz_fail(why_not, WZ_OK, "There is no checkpoints/best.h5: the run was not evaluated yet.");
        return WZ_OK;
    }
    status = wz_page_evaluate(run, options, out, why_not);
    if (status == WZ_OK || status == WZ_ERR_USAGE) {
        if (status != WZ_OK)
            wz_page_evaluation_clear(out);
        return WZ_OK;
    }
    return wz_fail(err, status, "%s (--no-eval makes the page without an evaluation)", why_not->text);
}

wz_status wz_page_write(const char *const *paths, size_t count, const wz_page_options *options, wz_text *out,
                        wz_error *err)
{
    void *block = NULL;
    wz_page_evaluation evaluation = {0};
    wz_error why_not = {{0}};
    wz_status status = wz_alloc(&block, count, sizeof(wz_page_run), "the runs of a report", err);
    if (status != WZ_OK)
        return status;
    wz_page_run *runs = block;
    for (size_t r = 0; status == WZ_OK && r < count; r++)
        status = read_run(paths[r], &runs[r], err);
    if (status == WZ_OK)
        status = wz_page_name_runs(runs, count, err);
    if (status == WZ_OK && count == 1)
        status = evaluate(&runs[0], options, &evaluation, &why_not, err);
    if (status == WZ_OK) {
        wz_markup m = {.err = err};
        const size_t groups = wz_page_group_runs(runs, count);
        begin_page(&m, runs, count);
        if (count == 1)
            write_one(&m, &runs[0], &evaluation, why_not.text[0] != '\0' ? why_not.text : NULL);
        else
            write_several(&m, runs, count, groups);
        wz_markup_raw(
            &m, "<footer>Made by <code>wavezero report</code> " WZ_VERSION
                ". This page needs no network and runs no scripts.</footer>\n</main>\n</body>\n</html>\n");
        status = m.status;
        if (status == WZ_OK)
            status = wz_text_append(out, m.text.data, m.text.length, err);
        wz_text_clear(&m.text);
    }
    wz_page_evaluation_clear(&evaluation);
    for (size_t r = 0; r < count; r++)
        clear_run(&runs[r]);
    free(runs);
    return status;
}
