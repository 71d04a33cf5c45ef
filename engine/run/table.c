#include "engine/run/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/json.h"
#include "engine/core/lines.h"

#define HEADER_LIMIT (1u << 18)

/* "step" and the names, a list's numbers as "list/1", "list/2", ... (as in TensorBoard's files); wz_row leaves no commas in
 * them. */
static wz_status write_header(const wz_row *names, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_append(out, "step", 4, err);
    for (size_t i = 0; status == WZ_OK && i < names->count; i++) {
        const wz_figure *figure = &names->figures[i];
        if (figure->kind != WZ_FIGURE_LIST)
            status = wz_text_printf(out, err, ",%s", figure->name);
        for (size_t k = 0; status == WZ_OK && figure->kind == WZ_FIGURE_LIST && k < figure->count; k++)
            status = wz_text_printf(out, err, ",%s/%zu", figure->name, k + 1);
    }
    return status;
}

static wz_status read_header(const char *path, wz_text *out, wz_error *err)
{
    wz_lines lines = {0};
    char *line = NULL;
    size_t length = 0;
    wz_status status = wz_lines_open(&lines, path, HEADER_LIMIT, err);
    if (status != WZ_OK)
        return status;
    status = wz_lines_next(&lines, &line, &length, err);
    if (status == WZ_OK && (line == NULL || strncmp(line, "step", 4) != 0))
        status = wz_fail(err, WZ_ERR_CORRUPT,
                         "%s:1: not the columns that a run writes (\"step,...\"); move the file away to "
                         "begin it anew",
                         path);
    if (status == WZ_OK)
        status = wz_text_append(out, line, length, err);
    wz_lines_close(&lines);
    return status;
}

static void cut_at_commas(wz_table *table)
{
    table->columns = 1;
    for (size_t i = 0; i < table->header.length; i++)
        if (table->header.data[i] == ',') {
            table->header.data[i] = '\0';
            table->columns++;
        }
}

wz_status wz_table_open(wz_table *table, const char *run_dir, uint64_t offset, const wz_row *names,
                        wz_error *err)
{
    char path[sizeof table->log.path];
    *table = (wz_table){0};
    const int length = snprintf(path, sizeof path, "%s/" WZ_TABLE_FILE, run_dir);
    if (length < 0 || (size_t)length >= sizeof path)
        return wz_fail(err, WZ_ERR_USAGE, "the path of " WZ_TABLE_FILE " in %.200s... is too long", run_dir);
    if (offset > 0 && !wz_path_exists(path))
        offset = 0;
    wz_status status = names->status;
    if (status == WZ_OK)
        status =
            offset > 0 ? read_header(path, &table->header, err) : write_header(names, &table->header, err);
    if (status == WZ_OK)
        status = wz_log_open(&table->log, path, offset, err);
    if (status == WZ_OK && offset == 0) {
        status = wz_text_printf(&table->line, err, "%s\n", table->header.data);
        if (status == WZ_OK)
            status = wz_log_append(&table->log, table->line.data, table->line.length, err);
    }
    if (status == WZ_OK)
        cut_at_commas(table);
    return status;
}

/* A figure's number for a column, "name" or "list/3"; false: it has none. */
static bool has_number(const wz_figure *figure, const char *column, double *value)
{
    const size_t length = strlen(figure->name);
    *value = figure->value;
    if (figure->kind != WZ_FIGURE_LIST)
        return strcmp(figure->name, column) == 0;
    if (strncmp(figure->name, column, length) != 0 || column[length] != '/')
        return false;
    const unsigned long number = strtoul(column + length + 1, NULL, 10);
    if (number < 1 || number > figure->count)
        return false;
    *value = figure->list[number - 1];
    return true;
}

/* Columns mostly come in the order of the figures: the search goes on where the last one ended. NaN: the row has none. */
static double find(const wz_row *row, const char *column, size_t *at)
{
    double value = NAN;
    for (size_t i = 0; i < row->count; i++) {
        const size_t place = (*at + i) % row->count;
        if (has_number(&row->figures[place], column, &value)) {
            *at = place;
            return value;
        }
    }
    return NAN;
}

wz_status wz_table_add_row(wz_table *table, const wz_row *row, wz_error *err)
{
    char number[WZ_JSON_NUMBER_MAX];
    size_t at = 0;
    table->line.length = 0;
    wz_status status = wz_text_printf(&table->line, err, "%lld", (long long)row->step);
    const char *name = table->header.data;
    for (size_t c = 1; status == WZ_OK && c < table->columns; c++) {
        name += strlen(name) + 1;
        const double value = find(row, name, &at);
        number[0] = '\0';
        if (isfinite(value))
            wz_json_format_number(value, number);
        status = wz_text_printf(&table->line, err, ",%s", number);
    }
    if (status == WZ_OK)
        status = wz_text_append(&table->line, "\n", 1, err);
    return status == WZ_OK ? wz_log_append(&table->log, table->line.data, table->line.length, err) : status;
}

wz_status wz_table_sync(wz_table *table, uint64_t *offset, wz_error *err)
{
    return wz_log_sync(&table->log, offset, err);
}

void wz_table_close(wz_table *table)
{
    wz_log_close(&table->log);
    wz_text_clear(&table->header);
    wz_text_clear(&table->line);
}
