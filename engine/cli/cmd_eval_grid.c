/* `wavezero eval CHECKPOINT --grid task.links=5,10,20 --grid thinking_budget=0,8`: a row for each setting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/cmd_eval.h"
#include "engine/run/evaluation_grid.h"
#include "engine/run/load.h"

/* As the row says. */
static wz_status set_thinking(const wz_config *config, const wz_grid_row *row, wz_policy *policy,
                              wz_error *err)
{
    wz_config own = *config;
    own.thinking_budget = row->thinking[0];
    own.verifier_tries = row->thinking[1];
    return wz_policy_set_thinking(&own, policy, err);
}

/* A setting that the task does not accept, or whose prompts the policy has no positions for, is a row that says so. */
static wz_status fill_row(wz_eval_session *session, wz_policy *policy, const wz_config *config,
                          wz_grid_row *row, wz_error *err)
{
    const wz_eval_part part = {
        .task = row->task, .values = row->values, .problems = session->arguments->problems};
    wz_eval_options options;
    wz_error why = {{0}};
    if (row->failure[0] != '\0') {
        session->done += part.problems;
        return WZ_OK;
    }
    wz_status status = wz_eval_prepare(session->arguments, config, &part, &options, err);
    if (status != WZ_OK)
        return status;
    status = set_thinking(config, row, policy, &why);
    if (status == WZ_OK)
        status = wz_eval_run(session, policy, &options, row->setting, &row->evaluation, &why);
    else
        session->done += part.problems;
    if (status == WZ_ERR_USAGE) {
        (void)snprintf(row->failure, sizeof row->failure, "%.500s", why.text);
        return WZ_OK;
    }
    return status == WZ_OK ? WZ_OK : wz_fail(err, status, "%s: %s", row->setting, why.text);
}

static wz_status fill_rows(wz_eval_session *session, wz_policy *policy, const wz_config *config,
                           const wz_mixture *mixture, const wz_grid *grid, wz_grid_row *rows, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t p = 0; p < mixture->count; p++)
        for (size_t i = 0; status == WZ_OK && i < grid->settings; i++) {
            const wz_mixture_part *part = &mixture->parts[p];
            wz_grid_row *row = &rows[p * grid->settings + i];
            status = wz_grid_set(grid, i, config, part->task, part->values, row, err);
            row->part = mixture->count > 1 ? part->name : NULL;
            if (status == WZ_OK)
                status = fill_row(session, policy, config, row, err);
        }
    return status;
}

static wz_status write_tables(const wz_mixture *mixture, size_t settings, const wz_grid_row *rows,
                              wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t p = 0; status == WZ_OK && p < mixture->count; p++) {
        status = wz_text_printf(out, err, "%s%s: ", p > 0 ? "\n" : "", mixture->parts[p].name);
        if (status == WZ_OK)
            status = wz_grid_write_table(rows + p * settings, settings, out, err);
    }
    return status;
}

static wz_status write_json(const wz_grid_row *rows, size_t count, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_array(&json);
    wz_grid_write_items(&json, rows, count);
    wz_json_end_array(&json);
    const wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

/* The checkpoint's other families need not have the option. */
static wz_status name_one_task(wz_error *err, wz_status status)
{
    const size_t used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof err->text - used,
                   "; of a checkpoint of several tasks choose one: task.name=NAME");
    return status;
}

/* Parts of a mixture that differ only in what the grid sets, sizes say, are one here: the first stays. */
static wz_status leave_out_twins(const wz_grid *grid, const wz_config *config, wz_mixture *mixture,
                                 wz_error *err)
{
    size_t kept = 0;
    for (size_t p = 0; p < mixture->count; p++) {
        wz_mixture_part part = mixture->parts[p];
        wz_grid_row row;
        size_t twin = 0;
        wz_status status = wz_grid_set(grid, 0, config, part.task, part.values, &row, err);
        if (status != WZ_OK)
            return status;
        memcpy(part.values, row.values, sizeof part.values); /* each setting will set these anew */
        while (twin < kept && (mixture->parts[twin].task != part.task ||
                               !wz_task_same_values(part.task, mixture->parts[twin].values, part.values)))
            twin++;
        if (twin == kept)
            mixture->parts[kept++] = part;
    }
    mixture->count = kept;
    return WZ_OK;
}

wz_status wz_eval_grid(const wz_cli *cli, const wz_eval_arguments *a, wz_policy *policy,
                       const wz_config *config, wz_text *out, wz_error *err)
{
    wz_mixture mixture;
    wz_grid grid;
    wz_eval_session session;
    void *rows = NULL;
    wz_status status = wz_config_mixture(config, &mixture, err);
    if (status == WZ_OK)
        status = wz_grid_read(a->grid.items, a->grid.count, &grid, err);
    for (size_t p = 0; status == WZ_OK && p < mixture.count; p++)
        status = wz_grid_check(&grid, mixture.parts[p].task, err);
    if (status != WZ_OK)
        return mixture.count > 1 ? name_one_task(err, status) : status;
    for (size_t p = 0; status == WZ_OK && p < mixture.count; p++)
        status = wz_grid_check_values(&grid, mixture.parts[p].task, err);
    if (status == WZ_OK)
        status = leave_out_twins(&grid, config, &mixture, err);
    if (status != WZ_OK)
        return status;
    const size_t count = mixture.count * grid.settings;
    status = wz_alloc(&rows, count, sizeof(wz_grid_row), "the settings of --grid", err);
    if (status != WZ_OK)
        return status;
    wz_eval_begin(&session, cli, a, (int64_t)count * a->problems);
    status = fill_rows(&session, policy, config, &mixture, &grid, rows, err);
    wz_eval_end(&session);
    if (status == WZ_OK)
        status = a->json ? write_json(rows, count, out, err)
                         : write_tables(&mixture, grid.settings, rows, out, err);
    free(rows);
    return status;
}
