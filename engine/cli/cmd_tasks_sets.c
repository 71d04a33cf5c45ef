/* `wavezero tasks export` and `check`: problem sets in files. */
#include <string.h>

#include "engine/cli/cmd_tasks.h"
#include "engine/cli/interrupt.h"
#include "engine/core/clock.h"
#include "engine/core/json.h"
#include "engine/run/problem_set.h"
#include "tasks/task_json.h"

/* ---- export ---- */

typedef struct exporter {
    const wz_tasks_request *request;
    wz_set_writer *writer;
    wz_progress progress;
    int64_t count;
} exporter;

/* Takes the problem over. */
static wz_status export_problem(exporter *e, wz_problem *problem, int64_t seed, wz_error *err)
{
    wz_set_entry entry = {0};
    wz_status status =
        wz_set_entry_make(problem, seed, (wz_prompt_style)e->request->config.prompt_style, &entry, err);
    if (status == WZ_OK)
        status = wz_set_writer_add(e->writer, &entry, err);
    wz_set_entry_clear(&entry);
    wz_progress_update(&e->progress, ++e->count, NULL, 0.0, NULL, wz_now_s());
    return status;
}

static wz_status export_generated(exporter *e, const wz_mixture *mixture, wz_error *err)
{
    const wz_tasks_request *request = e->request;
    const int64_t seed = request->config.seed;
    wz_status status = WZ_OK;
    for (size_t p = 0; p < mixture->count; p++)
        for (int64_t i = 0; status == WZ_OK && i < request->problems; i++) {
            wz_problem problem = {0};
            status = wz_stop_check(request->stop, err);
            if (status != WZ_OK)
                break;
            status = wz_problem_generate(mixture->parts[p].task, mixture->parts[p].values, (uint64_t)seed,
                                         request->split, (uint32_t)(request->first + i), &problem, err);
            if (status == WZ_OK)
                status = export_problem(e, &problem, seed, err);
        }
    return status;
}

wz_status wz_tasks_export(const wz_cli *cli, const wz_tasks_request *request, wz_text *out, wz_error *err)
{
    char digest[WZ_DIGEST_HEX] = "";
    wz_mixture mixture;
    exporter e = {.request = request};
    wz_status status = wz_config_mixture(&request->config, &mixture, err);
    if (status == WZ_OK && request->gains != NULL && mixture.count > 1)
        status = wz_fail(err, WZ_ERR_USAGE, "--gains are channels of one task: leave out task_mixture");
    if (status == WZ_OK)
        status = wz_tasks_check_output(request, request->file, request->gains, err);
    if (status == WZ_OK)
        status = wz_set_writer_create(request->file, &e.writer, err);
    if (status != WZ_OK)
        return status;
    wz_progress_start(&e.progress, cli->progress.is_terminal && request->gains == NULL ? cli->log : NULL,
                      &cli->progress, "problem", 0, request->problems * (int64_t)mixture.count, wz_now_s());
    status = request->gains != NULL ? wz_tasks_add_gains(request, request->gains, e.writer, &e.count, err)
                                    : export_generated(&e, &mixture, err);
    wz_progress_finish(&e.progress, e.count, NULL, 0.0, NULL, wz_now_s());
    if (status == WZ_OK)
        status = wz_set_writer_finish(e.writer, digest, err);
    wz_set_writer_destroy(e.writer);
    if (status != WZ_OK)
        return wz_interrupt_explain(status, "nothing was written to", request->file, err);
    return wz_text_printf(out, err,
                          request->json ? "{\"problems\": %lld, \"digest\": \"%s\"}\n"
                                        : "%lld problems written, digest %s\n",
                          (long long)e.count, digest);
}

/* ---- check ---- */

static wz_status write_summary_json(const wz_problem_set *set, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_integer(&json, "problems", (int64_t)set->count);
    wz_json_field_string(&json, "digest", set->digest);
    wz_json_key(&json, "groups");
    wz_json_begin_array(&json);
    for (size_t g = 0; g < set->group_count; g++) {
        const wz_set_group *group = &set->groups[g];
        wz_json_begin_object(&json);
        wz_json_field_string(&json, "task", group->task->name);
        wz_json_key(&json, "options");
        wz_task_json_options(&json, group->task, group->values);
        wz_json_field_integer(&json, "size", (int64_t)group->values[group->task->size_option]);
        wz_json_field_integer(&json, "problems", (int64_t)group->count);
        wz_json_field_integer(&json, "own_numbers", (int64_t)group->own);
        wz_json_field_string(&json, "reference", wz_reference_kind_name(group->kind));
        wz_json_end_object(&json);
    }
    wz_json_end_array(&json);
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status write_summary(const wz_problem_set *set, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t g = 0; status == WZ_OK && g < set->group_count; g++) {
        const wz_set_group *group = &set->groups[g];
        status = wz_text_printf(out, err, "%8zu  ", group->count);
        if (status == WZ_OK)
            status = wz_set_write_options(group->task, group->values, out, err);
        if (status == WZ_OK)
            status = wz_text_printf(out, err, " (%s)", wz_reference_kind_name(group->kind));
        if (status == WZ_OK && group->own > 0)
            status = wz_text_printf(out, err, ", %zu of them a user's own numbers", group->own);
        if (status == WZ_OK)
            status = wz_text_append(out, "\n", 1, err);
    }
    if (status == WZ_OK)
        status =
            wz_text_printf(out, err, "%8zu  problems, all verified; digest %s\n", set->count, set->digest);
    return status;
}

wz_status wz_tasks_check(const wz_tasks_request *request, wz_text *out, wz_error *err)
{
    wz_problem_set set;
    wz_status status = wz_problem_set_read(request->file, false, &set, err);
    if (status == WZ_OK)
        status = (request->json ? write_summary_json : write_summary)(&set, out, err);
    wz_problem_set_clear(&set);
    return status;
}
