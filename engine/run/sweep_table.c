/* A sweep's results as a table for people. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/config_schema.h"
#include "engine/run/sweep_result.h"

#define CELL_BYTES 160

enum { POINT, SEEDS, FINAL, BEST, DIFFERENCE, STEP_TIME, METRICS }; /* columns; METRICS: the first of them */

typedef struct cells {
    char (*text)[CELL_BYTES]; /* (rows, columns) */
    size_t rows, columns;
} cells;

static char *cell(const cells *table, size_t row, size_t column)
{
    return table->text[row * table->columns + column];
}

static void write_head(const wz_sweep_result *result, const cells *table)
{
    static const char *const names[] = {"point", "seeds", "final", "best", "against the first", "s/step"};
    for (size_t c = 0; c < table->columns; c++)
        (void)snprintf(cell(table, 0, c), CELL_BYTES, "%s",
                       c < METRICS ? names[c] : result->metrics[c - METRICS]);
}

/* "0.9312 +- 0.0021"; digits: significant ones, 0: four decimals. */
static void write_moments(wz_moments m, int digits, char out[CELL_BYTES])
{
    char mean[40], deviation[40] = "";
    if (m.count == 0) {
        (void)snprintf(out, CELL_BYTES, "-");
        return;
    }
    (void)snprintf(mean, sizeof mean, digits > 0 ? "%.*g" : "%.*f", digits > 0 ? digits : 4, m.mean);
    if (m.count > 1)
        (void)snprintf(deviation, sizeof deviation, digits > 0 ? " +- %.*g" : " +- %.*f", digits > 0 ? 2 : 4,
                       m.deviation);
    (void)snprintf(out, CELL_BYTES, "%s%s", mean, deviation);
}

static void write_difference(wz_paired paired, bool is_first, char out[CELL_BYTES])
{
    if (is_first || paired.count == 0)
        (void)snprintf(out, CELL_BYTES, "-");
    else if (isnan(paired.p_value))
        (void)snprintf(out, CELL_BYTES, "%+.4f", paired.difference);
    else if (paired.p_value < 0.001)
        (void)snprintf(out, CELL_BYTES, "%+.4f, p < 0.001", paired.difference);
    else
        (void)snprintf(out, CELL_BYTES, "%+.4f, p = %.3f", paired.difference, paired.p_value);
}

static void write_row(const wz_sweep_result *result, size_t point, const cells *table)
{
    const size_t row = point + 1;
    const wz_moments final = wz_sweep_moments(result, point, WZ_SWEEP_FINAL);
    (void)snprintf(cell(table, row, POINT), CELL_BYTES, "%s", result->sweep->grid.points[point].name.data);
    if (final.count == result->sweep->seeds)
        (void)snprintf(cell(table, row, SEEDS), CELL_BYTES, "%zu", final.count);
    else
        (void)snprintf(cell(table, row, SEEDS), CELL_BYTES, "%zu of %zu", final.count, result->sweep->seeds);
    write_moments(final, 0, cell(table, row, FINAL));
    write_moments(wz_sweep_moments(result, point, WZ_SWEEP_BEST), 0, cell(table, row, BEST));
    write_difference(wz_sweep_against_first(result, point), point == 0, cell(table, row, DIFFERENCE));
    write_moments(wz_sweep_moments(result, point, WZ_SWEEP_STEP_TIME), 3, cell(table, row, STEP_TIME));
    for (size_t m = 0; m < result->metric_count; m++)
        write_moments(wz_sweep_moments(result, point, WZ_SWEEP_FIGURES + m), 4,
                      cell(table, row, METRICS + m));
}

static wz_status print_cells(const cells *table, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t r = 0; r < table->rows; r++)
        for (size_t c = 0; status == WZ_OK && c < table->columns; c++) {
            size_t width = 0;
            for (size_t k = 0; k < table->rows; k++)
                width = strlen(cell(table, k, c)) > width ? strlen(cell(table, k, c)) : width;
            const bool is_last = c + 1 == table->columns;
            status = wz_text_printf(out, err, "%-*s%s", is_last ? 0 : (int)width, cell(table, r, c),
                                    is_last ? "\n" : "  ");
        }
    return status;
}

/* "baseline: loss_type=dapo ...": the configuration's own values of the keys that vary. */
static wz_status describe_baseline(const wz_sweep *sweep, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(out, err, "\n" WZ_SWEEP_BASELINE ":");
    for (const char *key = NULL; status == WZ_OK && (key = wz_sweep_next(&sweep->grid.keys, key)) != NULL;) {
        wz_config_place place;
        if (!wz_config_find(&sweep->base, key, &place))
            continue; /* an option of another family */
        status = wz_text_printf(out, err, " %s=", key);
        if (status == WZ_OK)
            status = wz_config_format(&sweep->base, &place, out, err);
    }
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

/* What names stand for: below an empty line, where there are any. */
static wz_status describe_points(const wz_sweep *sweep, wz_text *out, wz_error *err)
{
    size_t lines = 0;
    wz_status status = WZ_OK;
    for (size_t p = 0; status == WZ_OK && p < sweep->grid.count; p++) {
        const wz_sweep_point *point = &sweep->grid.points[p];
        if (point->assignments.length == 0 && sweep->grid.keys.length > 0 && !point->is_named) {
            status = describe_baseline(sweep, out, err);
            lines++;
        }
        if (status != WZ_OK || !point->is_named)
            continue;
        status = wz_text_printf(out, err, "%s%s:", lines++ == 0 ? "\n" : "", point->name.data);
        for (const char *at = NULL; status == WZ_OK && (at = wz_sweep_next(&point->assignments, at)) != NULL;)
            status = wz_text_printf(out, err, " %s", at);
        if (status == WZ_OK)
            status = wz_text_append(out, "\n", 1, err);
    }
    return status;
}

static wz_status explain(const wz_sweep_result *result, wz_text *out, wz_error *err)
{
    return wz_text_printf(out, err,
                          "\nfinal, best: objective ratio on held-out (validation) problems after the last "
                          "step, and the largest on the\n"
                          "way; mean +- sample standard deviation (n - 1) over seeds. Against the first: "
                          "final less that of the first "
                          "point\nwith the same seeds, p of a paired two-sided t-test, not corrected for the "
                          "number of points. %zu of %zu "
                          "runs complete.\n",
                          result->complete, result->sweep->run_count);
}

wz_status wz_sweep_write_table(const wz_sweep_result *result, wz_text *out, wz_error *err)
{
    cells table = {.rows = result->sweep->grid.count + 1, .columns = METRICS + result->metric_count};
    void *text = NULL;
    wz_status status = wz_alloc(&text, table.rows * table.columns, CELL_BYTES, "a table", err);
    if (status != WZ_OK)
        return status;
    table.text = text;
    write_head(result, &table);
    for (size_t p = 0; p < result->sweep->grid.count; p++)
        write_row(result, p, &table);
    status = print_cells(&table, out, err);
    free(text);
    if (status == WZ_OK)
        status = describe_points(result->sweep, out, err);
    return status == WZ_OK ? explain(result, out, err) : status;
}
