#include "engine/run/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/memory.h"

void wz_row_start(wz_row *row, int64_t step, wz_error *err)
{
    row->step = step;
    row->count = 0;
    row->status = WZ_OK;
    row->err = err;
}

static wz_figure *add(wz_row *row, const char *name, wz_figure_kind kind, double value)
{
    if (row->status == WZ_OK)
        row->status = wz_grow((void **)&row->figures, &row->capacity, row->count + 1, sizeof *row->figures,
                              "a row of metrics", row->err);
    if (row->status != WZ_OK)
        return NULL;
    wz_figure *figure = &row->figures[row->count++];
    figure->kind = kind;
    figure->value = value;
    figure->count = 0;
    (void)snprintf(figure->name, sizeof figure->name, "%s", name);
    for (char *at = figure->name; *at != '\0'; at++) /* a library's own names may hold anything */
        if ((unsigned char)*at < 0x20 || *at == ',' || *at == '"')
            *at = '_';
    return figure;
}

void wz_row_add(wz_row *row, const char *name, double value)
{
    (void)add(row, name, WZ_FIGURE_NUMBER, value);
}

void wz_row_add_integer(wz_row *row, const char *name, int64_t value)
{
    (void)add(row, name, WZ_FIGURE_INTEGER, (double)value);
}

void wz_row_add_optional(wz_row *row, const char *name, double value)
{
    (void)add(row, name, WZ_FIGURE_OPTIONAL, value);
}

void wz_row_add_all(wz_row *row, const char *prefix, const wz_metric *values, size_t count)
{
    char name[128];
    for (size_t i = 0; i < count; ++i) {
        (void)snprintf(name, sizeof name, "%s%s", prefix, values[i].name);
        wz_row_add(row, name, values[i].value);
    }
}

void wz_row_add_list(wz_row *row, const char *name, const double *values, size_t count)
{
    wz_figure *figure = add(row, name, WZ_FIGURE_LIST, 0.0);
    if (figure == NULL)
        return;
    figure->count = count < WZ_ROW_LIST ? count : WZ_ROW_LIST;
    memcpy(figure->list, values, figure->count * sizeof *values);
}

void wz_row_clear(wz_row *row)
{
    free(row->figures);
    *row = (wz_row){0};
}
