#include "engine/run/sweep_result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "engine/core/json.h"
#include "engine/core/suggest.h"
#include "engine/run/config_schema.h"
#include "engine/run/history.h"
#include "engine/run/metrics.h"

/* ---- measuring ---- */

static wz_status read_history(const wz_sweep_run *run, wz_history *out, wz_error *err)
{
    char path[WZ_PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/" WZ_METRICS_FILE, run->directory);
    return wz_history_read(path, out, err);
}

static wz_status measure_run(wz_sweep_result *result, const wz_sweep_run *run, double *values, wz_error *err)
{
    wz_history history;
    const wz_status status = read_history(run, &history, err);
    if (status != WZ_OK)
        return status;
    const wz_series *times = wz_history_find(&history, "step_time");
    values[WZ_SWEEP_FINAL] = wz_history_last(&history, "eval_objective_ratio");
    values[WZ_SWEEP_BEST] = wz_history_largest(&history, "eval_objective_ratio");
    values[WZ_SWEEP_STEP_TIME] = times != NULL ? wz_moments_of(times->value, times->count).mean : NAN;
    for (size_t m = 0; m < result->metric_count; m++)
        values[WZ_SWEEP_FIGURES + m] = wz_history_last(&history, result->metrics[m]);
    wz_history_clear(&history);
    result->complete++;
    return WZ_OK;
}

/* Says so where no run has a metric, and what comes near its name in one that was read. */
static void warn_of_metrics(const wz_sweep_result *result, const wz_sweep_run *example, FILE *log)
{
    wz_history history;
    if (log == NULL || example == NULL || read_history(example, &history, NULL) != WZ_OK)
        return;
    for (size_t m = 0; m < result->metric_count; m++) {
        wz_suggestion nearest = {0};
        bool is_there = false;
        for (size_t r = 0; r < result->sweep->run_count; r++)
            is_there |= !isnan(result->values[r * result->figures + WZ_SWEEP_FIGURES + m]);
        for (size_t s = 0; s < history.count; s++)
            wz_suggest(&nearest, result->metrics[m], history.series[s].name);
        if (!is_there)
            (void)fprintf(log, "no run has the metric '%s'%s%s%s\n", result->metrics[m],
                          nearest.best != NULL ? " (did you mean '" : "",
                          nearest.best != NULL ? nearest.best : "", nearest.best != NULL ? "'?)" : "");
    }
    wz_history_clear(&history);
}

wz_status wz_sweep_measure(const wz_sweep *sweep, const char *const *metrics, size_t metric_count, FILE *log,
                           wz_sweep_result *out, wz_error *err)
{
    void *values = NULL;
    const wz_sweep_run *example = NULL;
    *out = (wz_sweep_result){.sweep = sweep,
                             .metrics = metrics,
                             .metric_count = metric_count,
                             .figures = WZ_SWEEP_FIGURES + metric_count};
    wz_status status = wz_alloc(&values, sweep->run_count * out->figures + 2 * sweep->seeds, sizeof(double),
                                "a sweep's figures", err);
    if (status != WZ_OK)
        return status;
    out->values = values;
    out->scratch = out->values + sweep->run_count * out->figures;
    for (size_t i = 0; i < sweep->run_count * out->figures; i++)
        out->values[i] = NAN;
    for (size_t r = 0; status == WZ_OK && r < sweep->run_count; r++)
        if (sweep->runs[r].state == WZ_SWEEP_COMPLETE) {
            example = &sweep->runs[r];
            status = measure_run(out, example, &out->values[r * out->figures], err);
        }
    if (status == WZ_OK)
        warn_of_metrics(out, example, log);
    return status;
}

void wz_sweep_result_clear(wz_sweep_result *result)
{
    free(result->values);
    *result = (wz_sweep_result){0};
}

/* A figure of a point's runs, in the seeds' order. */
static void gather(const wz_sweep_result *result, size_t point, size_t figure, double *out)
{
    const size_t seeds = result->sweep->seeds;
    for (size_t s = 0; s < seeds; s++)
        out[s] = result->values[(point * seeds + s) * result->figures + figure];
}

wz_moments wz_sweep_moments(const wz_sweep_result *result, size_t point, size_t figure)
{
    gather(result, point, figure, result->scratch);
    return wz_moments_of(result->scratch, result->sweep->seeds);
}

wz_paired wz_sweep_against_first(const wz_sweep_result *result, size_t point)
{
    double *own = result->scratch, *first = own + result->sweep->seeds;
    gather(result, point, WZ_SWEEP_FINAL, own);
    gather(result, 0, WZ_SWEEP_FINAL, first);
    return wz_paired_test(own, first, result->sweep->seeds);
}

/* ---- files ---- */

static wz_status write_csv_text(const char *text, wz_text *out, wz_error *err)
{
    if (strpbrk(text, ",\"\n\r") == NULL)
        return wz_text_printf(out, err, "%s", text);
    wz_status status = wz_text_append(out, "\"", 1, err);
    for (const char *c = text; status == WZ_OK && *c != '\0'; c++)
        status = wz_text_append(out, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1, err);
    return status == WZ_OK ? wz_text_append(out, "\"", 1, err) : status;
}

static const char *state_of(const wz_sweep_run *run)
{
    static const char *const names[] = {"missing", "partial", "complete"};
    return run->failed ? "failed" : names[run->state];
}

static wz_status write_csv_run(const wz_sweep_result *result, size_t r, wz_text *out, wz_error *err)
{
    char number[WZ_JSON_NUMBER_MAX];
    const wz_sweep_run *run = &result->sweep->runs[r];
    wz_status status = write_csv_text(result->sweep->grid.points[run->point].name.data, out, err);
    if (status == WZ_OK)
        status = wz_text_printf(out, err, ",%lld,%s", (long long)run->seed, state_of(run));
    for (size_t f = 0; status == WZ_OK && f < result->figures; f++) {
        const double value = result->values[r * result->figures + f];
        number[0] = '\0';
        if (isfinite(value))
            wz_json_format_number(value, number);
        status = wz_text_printf(out, err, ",%s", number);
    }
    if (status == WZ_OK)
        status = wz_text_append(out, ",", 1, err);
    if (status == WZ_OK)
        status = write_csv_text(run->name, out, err);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

wz_status wz_sweep_write_csv(const wz_sweep_result *result, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "point,seed,state,final,best,step_time");
    for (size_t m = 0; status == WZ_OK && m < result->metric_count; m++) {
        status = wz_text_append(out, ",", 1, err);
        if (status == WZ_OK)
            status = write_csv_text(result->metrics[m], out, err);
    }
    if (status == WZ_OK)
        status = wz_text_printf(out, err, ",directory\n");
    for (size_t r = 0; status == WZ_OK && r < result->sweep->run_count; r++)
        status = write_csv_run(result, r, out, err);
    return status;
}

static const char *figure_name(const wz_sweep_result *result, size_t figure)
{
    static const char *const names[] = {"final", "best", "step_time"};
    return figure < WZ_SWEEP_FIGURES ? names[figure] : result->metrics[figure - WZ_SWEEP_FIGURES];
}

static void write_assignments(wz_json *json, const char *key, const wz_text *assignments)
{
    char name[WZ_CONFIG_NAME_MAX];
    wz_json_key(json, key);
    wz_json_begin_object(json);
    for (const char *at = NULL; (at = wz_sweep_next(assignments, at)) != NULL;) {
        const char *equals = strchr(at, '=');
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - at), at);
        wz_json_field_string(json, name, equals + 1);
    }
    wz_json_end_object(json);
}

static void write_runs(wz_json *json, const wz_sweep_result *result, size_t point)
{
    const wz_sweep *sweep = result->sweep;
    wz_json_key(json, "runs");
    wz_json_begin_array(json);
    for (size_t r = point * sweep->seeds; r < (point + 1) * sweep->seeds; r++) {
        wz_json_begin_object(json);
        wz_json_field_integer(json, "seed", sweep->runs[r].seed);
        wz_json_field_string(json, "state", state_of(&sweep->runs[r]));
        for (size_t f = 0; f < result->figures; f++)
            wz_json_field_number(json, figure_name(result, f), result->values[r * result->figures + f]);
        wz_json_field_string(json, "directory", sweep->runs[r].name);
        wz_json_end_object(json);
    }
    wz_json_end_array(json);
}

static void write_point(wz_json *json, const wz_sweep_result *result, size_t point)
{
    const wz_sweep_point *p = &result->sweep->grid.points[point];
    const wz_paired paired = wz_sweep_against_first(result, point);
    wz_json_begin_object(json);
    wz_json_field_string(json, "point", p->name.data);
    write_assignments(json, "assignments", &p->assignments);
    for (size_t f = 0; f < result->figures; f++) {
        const wz_moments m = wz_sweep_moments(result, point, f);
        wz_json_key(json, figure_name(result, f));
        wz_json_begin_object(json);
        wz_json_field_integer(json, "n", (int64_t)m.count);
        wz_json_field_number(json, "mean", m.mean);
        wz_json_field_number(json, "deviation", m.deviation);
        wz_json_end_object(json);
    }
    wz_json_key(json, "final_less_first_point");
    wz_json_begin_object(json);
    wz_json_field_integer(json, "n", (int64_t)paired.count);
    wz_json_field_number(json, "difference", paired.difference);
    wz_json_field_number(json, "p_value", paired.p_value);
    wz_json_end_object(json);
    write_runs(json, result, point);
    wz_json_end_object(json);
}

wz_status wz_sweep_write_json(const wz_sweep_result *result, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_integer(&json, "runs", (int64_t)result->sweep->run_count);
    wz_json_field_integer(&json, "complete", (int64_t)result->complete);
    write_assignments(&json, "fixed", &result->sweep->grid.fixed);
    wz_json_key(&json, "points");
    wz_json_begin_array(&json);
    for (size_t p = 0; p < result->sweep->grid.count; p++)
        write_point(&json, result, p);
    wz_json_end_array(&json);
    wz_json_end_object(&json);
    const wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

wz_status wz_sweep_save_result(const wz_sweep_result *result, wz_error *err)
{
    static const struct {
        const char *name;
        wz_status (*write)(const wz_sweep_result *, wz_text *, wz_error *);
    } files[] = {{"sweep.csv", wz_sweep_write_csv}, {"sweep.json", wz_sweep_write_json}};
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof files / sizeof *files; i++) {
        char path[WZ_PATH_MAX + 32];
        wz_text text = {0};
        (void)snprintf(path, sizeof path, "%s/%s", result->sweep->directory, files[i].name);
        status = files[i].write(result, &text, err);
        if (status == WZ_OK)
            status = wz_file_replace(path, text.data, text.length, err);
        wz_text_clear(&text);
    }
    return status;
}
