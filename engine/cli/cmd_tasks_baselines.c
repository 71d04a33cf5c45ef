/* The baseline table: classical algorithms on held-out problems, against the reference.
 *
 * With f the objective an algorithm reaches and f* the reference of the same printed problem:
 *     mean of ratios   mean(f / f*)            every problem counts alike
 *     ratio of means   mean(f) / mean(f*)
 *     % of field       mean(f) / mean(f of the field's algorithm), as its literature reports
 *     exact optimum    share of problems with f >= f* (1 - 1e-9), where f* is exact
 * An algorithm with fewer restrictions than the answers (continuous powers) may pass 1. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/cli/cmd_tasks.h"
#include "engine/cli/options.h"
#include "engine/core/clock.h"
#include "engine/core/json.h"
#include "engine/run/evaluation_text.h"
#include "tasks/task_json.h"

#define ROWS (WZ_MAX_BASELINES + 2)

typedef struct table_row {
    char name[48];
    double ratio_sum, objective_sum;
    int64_t optimum_count, feasible_count;
} table_row;

typedef struct baseline_table {
    table_row rows[ROWS]; /* the reference, the baselines, the best of k random answers */
    size_t count;
    wz_reference_kind kind; /* the weakest of all references */
    int64_t problems;
} baseline_table;

/* What is infeasible counts as 0. */
static void add_result(table_row *row, const wz_outcome *outcome, const wz_reference *reference)
{
    if (!outcome->feasible)
        return;
    row->feasible_count++;
    row->ratio_sum += outcome->objective / reference->objective;
    row->objective_sum += outcome->objective;
    row->optimum_count += wz_is_optimum(reference, outcome->objective);
}

static wz_status add_problem(const wz_tasks_request *request, int64_t offset, baseline_table *table,
                             wz_error *err)
{
    const wz_verifier *verifier = request->verifier;
    uint64_t seed = (uint64_t)request->config.seed;
    wz_problem problem;
    wz_reference reference = {0};
    wz_outcome outcome = {.feasible = true};
    wz_status status = wz_tasks_problem(request, offset, &problem, &reference, err);
    if (status == WZ_OK) {
        table->kind = reference.kind > table->kind ? reference.kind : table->kind;
        outcome.objective = reference.objective;
        add_result(&table->rows[0], &outcome, &reference);
    }
    for (size_t i = 0; i < verifier->baseline_count && status == WZ_OK; ++i) {
        status = wz_baseline_run(verifier, i, &problem, seed, &outcome, err);
        if (status == WZ_OK && verifier->baselines[i].solve == NULL)
            status = wz_reference_check(verifier, &problem, &reference, &outcome, err);
        if (status == WZ_OK)
            add_result(&table->rows[i + 1], &outcome, &reference);
    }
    if (status == WZ_OK)
        status = wz_random_best(verifier, &problem, seed, (size_t)request->best_of, &outcome, err);
    if (status == WZ_OK)
        status = wz_reference_check(verifier, &problem, &reference, &outcome, err);
    if (status == WZ_OK)
        add_result(&table->rows[table->count - 1], &outcome, &reference);
    wz_problem_clear(&problem);
    return status;
}

static wz_status fill_table(const wz_cli *cli, const wz_tasks_request *request, baseline_table *table,
                            wz_error *err)
{
    const wz_verifier *verifier = request->verifier;
    wz_progress progress;
    wz_status status = WZ_OK;
    memset(table, 0, sizeof *table);
    if (verifier->baseline_count > WZ_MAX_BASELINES)
        return wz_fail(err, WZ_ERR_RUNTIME, "the task %s has more than %d baselines", verifier->task,
                       WZ_MAX_BASELINES);
    table->count = verifier->baseline_count + 2;
    table->problems = request->problems;
    for (size_t i = 0; i < verifier->baseline_count; ++i)
        (void)snprintf(table->rows[i + 1].name, sizeof table->rows[0].name, "%s",
                       verifier->baselines[i].name);
    (void)snprintf(table->rows[table->count - 1].name, sizeof table->rows[0].name, "random_best_of_%lld",
                   (long long)request->best_of);
    wz_progress_start(&progress, cli->progress.is_terminal ? cli->log : NULL, &cli->progress, "problem", 0,
                      request->problems, wz_now_s());
    for (int64_t i = 0; i < request->problems && status == WZ_OK; ++i) {
        status = add_problem(request, i, table, err);
        wz_progress_update(&progress, i + 1, "", NAN, NULL, wz_now_s());
    }
    wz_progress_clear(&progress);
    (void)snprintf(table->rows[0].name, sizeof table->rows[0].name, "%s",
                   wz_reference_kind_name(table->kind));
    return status;
}

/* Mean objective of the algorithm the field compares with; NaN when the task names none. */
static double field_sum(const baseline_table *table, const wz_verifier *verifier)
{
    for (size_t i = 0; i < table->count && verifier->field_algorithm != NULL; ++i)
        if (strcmp(table->rows[i].name, verifier->field_algorithm) == 0)
            return table->rows[i].objective_sum;
    return NAN;
}

static wz_status write_table(const wz_tasks_request *request, const baseline_table *table, wz_text *out,
                             wz_error *err)
{
    const wz_verifier *verifier = request->verifier;
    double field = field_sum(table, verifier);
    double count = (double)table->problems;
    char head[64] = "";
    if (verifier->field_algorithm != NULL)
        (void)snprintf(head, sizeof head, "%% of %.40s", verifier->field_algorithm);
    wz_status status = wz_text_printf(out, err, "%s: ", verifier->task);
    if (status == WZ_OK)
        status = wz_tasks_write_options(request, out, err);
    if (status == WZ_OK)
        status = wz_text_printf(
            out, err, "; %s problems %lld to %lld, seed %lld\n\n%-20s %14s %14s %14s %9s %14s %10s\n",
            wz_split_name(request->split), (long long)request->first,
            (long long)(request->first + request->problems - 1), (long long)request->config.seed, "algorithm",
            "mean of ratios", "ratio of means", head, "feasible", "exact optimum", "mean");
    for (size_t i = 0; i < table->count && status == WZ_OK; ++i) {
        const table_row *row = &table->rows[i];
        char percent[32];
        status = wz_text_printf(out, err, "%-20s %14.4f %14.4f %14s %8.1f%% %13.1f%% %10.4f\n", row->name,
                                row->ratio_sum / count, row->objective_sum / table->rows[0].objective_sum,
                                wz_write_finite(100.0 * row->objective_sum / field, 2, percent),
                                100.0 * (double)row->feasible_count / count,
                                100.0 * (double)row->optimum_count / count, row->objective_sum / count);
    }
    return status;
}

static wz_status write_json(const wz_tasks_request *request, const baseline_table *table, wz_text *out,
                            wz_error *err)
{
    wz_json json;
    const wz_task *task = request->config.task;
    double field = field_sum(table, request->verifier);
    double count = (double)table->problems;
    char percent[64];
    (void)snprintf(percent, sizeof percent, "percent_of_%.40s",
                   request->verifier->field_algorithm != NULL ? request->verifier->field_algorithm : "field");
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "task", task->name);
    wz_json_key(&json, "options");
    wz_task_json_options(&json, task, request->config.task_values);
    wz_json_field_string(&json, "split", wz_split_name(request->split));
    wz_json_field_integer(&json, "seed", request->config.seed);
    wz_json_field_integer(&json, "first", request->first);
    wz_json_field_integer(&json, "problems", table->problems);
    wz_json_field_string(&json, "reference", wz_reference_kind_name(table->kind));
    wz_json_field_boolean(&json, "exact", table->kind == WZ_REFERENCE_OPTIMUM);
    wz_json_key(&json, "baselines");
    wz_json_begin_object(&json);
    for (size_t i = 0; i < table->count; ++i) {
        const table_row *row = &table->rows[i];
        wz_json_key(&json, row->name);
        wz_json_begin_object(&json);
        wz_json_field_number(&json, "objective_ratio", row->ratio_sum / count);
        wz_json_field_number(&json, "ratio_of_means", row->objective_sum / table->rows[0].objective_sum);
        wz_json_field_number(&json, percent, 100.0 * row->objective_sum / field);
        wz_json_field_number(&json, "feasible", (double)row->feasible_count / count);
        wz_json_field_number(&json, "exact_optimum", (double)row->optimum_count / count);
        wz_json_field_number(&json, "mean_objective", row->objective_sum / count);
        wz_json_end_object(&json);
    }
    wz_json_end_object(&json);
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

wz_status wz_tasks_baselines(const wz_cli *cli, const wz_tasks_request *request, wz_text *out, wz_error *err)
{
    baseline_table table;
    wz_status status = fill_table(cli, request, &table, err);
    if (status != WZ_OK)
        return status;
    return (request->json ? write_json : write_table)(request, &table, out, err);
}

/* ---- every family ---- */

#define MOST_PROBLEMS 500

static wz_status append_setting(const wz_cli *cli, const wz_tasks_request *request, const char *task,
                                const char *options, int64_t problems, wz_text *out, wz_error *err)
{
    wz_tasks_request one = *request;
    wz_status status = wz_tasks_use_setting(&one, task, options, err);
    if (one.problems == 0)
        one.problems = problems;
    if (status == WZ_OK)
        status = wz_tasks_baselines(cli, &one, out, err);
    return status == WZ_OK && !request->json ? wz_text_append(out, "\n", 1, err) : status;
}

/* The settings of published figures, each once, at the least number of problems that one of its figures asks for. */
static wz_status append_published(const wz_cli *cli, const wz_tasks_request *request, const char *task,
                                  wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; i < wz_published_count && status == WZ_OK; i++) {
        const wz_published *p = &wz_published_figures[i];
        size_t first = 0;
        int64_t problems = MOST_PROBLEMS;
        while (!wz_tasks_same_setting(&wz_published_figures[first], p))
            first++;
        if (first < i || strcmp(p->task, task) != 0 || p->options[0] == '\0')
            continue;
        for (size_t k = i; k < wz_published_count; k++)
            if (wz_tasks_same_setting(&wz_published_figures[k], p) &&
                wz_published_figures[k].problems < problems)
                problems = wz_published_figures[k].problems;
        status = append_setting(cli, request, task, p->options, problems, out, err);
    }
    return status;
}

wz_status wz_tasks_baselines_all(const wz_cli *cli, wz_tasks_request *request, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; wz_tasks[i] != NULL && status == WZ_OK; i++) {
        status = append_setting(cli, request, wz_tasks[i]->name, "", MOST_PROBLEMS, out, err);
        if (status == WZ_OK)
            status = append_published(cli, request, wz_tasks[i]->name, out, err);
    }
    return status;
}
