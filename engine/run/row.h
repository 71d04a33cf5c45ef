/* A row of metrics: named figures in order, before it is known which files take them. */
#ifndef WZ_RUN_ROW_H
#define WZ_RUN_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"

#define WZ_ROW_LIST 16 /* numbers of a list */

typedef enum wz_figure_kind {
    WZ_FIGURE_NUMBER,
    WZ_FIGURE_INTEGER,
    WZ_FIGURE_OPTIONAL, /* left out of JSON where it is NaN */
    WZ_FIGURE_LIST      /* an array in JSON; elsewhere a figure for each number, "name/1" the first */
} wz_figure_kind;

typedef struct wz_figure {
    char name[128];
    wz_figure_kind kind;
    double value;
    size_t count; /* of a list */
    double list[WZ_ROW_LIST];
} wz_figure;

/* A (name, value) pair. */
typedef struct wz_metric {
    const char *name;
    double value;
} wz_metric;

typedef struct wz_row {
    int64_t step;
    wz_figure *figures;
    size_t count, capacity;
    wz_status status; /* the first failure; what is added after it is lost */
    wz_error *err;
} wz_row;

/* Empties the row ({0} at first), keeping its memory. err must live until the row is written. */
void wz_row_start(wz_row *row, int64_t step, wz_error *err);
void wz_row_add(wz_row *row, const char *name, double value);
void wz_row_add_integer(wz_row *row, const char *name, int64_t value);
void wz_row_add_optional(wz_row *row, const char *name, double value);
/* Each under its name behind a prefix, such as "eval_" or "". */
void wz_row_add_all(wz_row *row, const char *prefix, const wz_metric *values, size_t count);
/* At most WZ_ROW_LIST numbers. */
void wz_row_add_list(wz_row *row, const char *name, const double *values, size_t count);
void wz_row_clear(wz_row *row);

#endif
