#include "engine/run/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

wz_status wz_metrics_open(wz_metrics *metrics, const char *run_dir, const char *file, uint64_t offset,
                          wz_error *err)
{
    char path[sizeof metrics->log.path];
    memset(metrics, 0, sizeof *metrics);
    int length = snprintf(path, sizeof path, "%s/%s", run_dir, file);
    if (length < 0 || (size_t)length >= sizeof path)
        return wz_fail(err, WZ_ERR_USAGE, "the path of %s in %s is too long (at most %zu bytes)", file,
                       run_dir, sizeof path - 1);
    return wz_log_open(&metrics->log, path, offset, err);
}

void wz_metrics_begin(wz_metrics *metrics, wz_error *err)
{
    metrics->line.length = 0;
    wz_json_start(&metrics->json, &metrics->line, err);
    wz_json_begin_object(&metrics->json);
}

void wz_metrics_add(wz_metrics *metrics, const char *name, double value)
{
    wz_json_field_number(&metrics->json, name, value);
}

void wz_metrics_add_integer(wz_metrics *metrics, const char *name, int64_t value)
{
    wz_json_field_integer(&metrics->json, name, value);
}

void wz_metrics_add_text(wz_metrics *metrics, const char *name, const char *text, size_t length)
{
    wz_json_key(&metrics->json, name);
    wz_json_bytes(&metrics->json, text, length);
}

wz_status wz_metrics_end(wz_metrics *metrics, wz_error *err)
{
    wz_json_end_object(&metrics->json);
    wz_status status = wz_json_finish(&metrics->json);
    if (status == WZ_OK)
        status = wz_text_append(&metrics->line, "\n", 1, err);
    if (status == WZ_OK)
        status = wz_log_append(&metrics->log, metrics->line.data, metrics->line.length, err);
    return status;
}

static void add_figure(wz_metrics *metrics, const wz_figure *figure)
{
    if (figure->kind == WZ_FIGURE_INTEGER)
        wz_metrics_add_integer(metrics, figure->name, (int64_t)figure->value);
    else if (figure->kind == WZ_FIGURE_NUMBER ||
             (figure->kind == WZ_FIGURE_OPTIONAL && !isnan(figure->value)))
        wz_metrics_add(metrics, figure->name, figure->value);
    if (figure->kind != WZ_FIGURE_LIST)
        return;
    wz_json_key(&metrics->json, figure->name);
    wz_json_begin_array(&metrics->json);
    for (size_t i = 0; i < figure->count; i++)
        wz_json_number(&metrics->json, figure->list[i]);
    wz_json_end_array(&metrics->json);
}

wz_status wz_metrics_add_row(wz_metrics *metrics, const wz_row *row, wz_error *err)
{
    if (row->status != WZ_OK)
        return row->status;
    wz_metrics_begin(metrics, err);
    wz_metrics_add_integer(metrics, "step", row->step);
    for (size_t i = 0; i < row->count; i++)
        add_figure(metrics, &row->figures[i]);
    return wz_metrics_end(metrics, err);
}

wz_status wz_metrics_sync(wz_metrics *metrics, uint64_t *offset, wz_error *err)
{
    return wz_log_sync(&metrics->log, offset, err);
}

void wz_metrics_close(wz_metrics *metrics)
{
    wz_log_close(&metrics->log);
    wz_text_clear(&metrics->line);
}
