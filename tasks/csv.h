/* Numbers from a CSV file: a user's own channel gains. */
#ifndef WZ_TASKS_CSV_H
#define WZ_TASKS_CSV_H

#include <stddef.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

/* A table of plain decimal numbers, row-major; free data with free(). */
typedef struct wz_table {
    double *data;
    size_t rows, columns;
} wz_table;

/* Reads comma-separated numbers, one row a line; empty lines and lines that begin with # are skipped, white space around
 * a number too. A number is what C's strtod reads in the "C" locale in decimal: no hex, nan or inf. Rows of unequal
 * length, an empty field and anything else are WZ_ERR_CORRUPT with name:line:column. */
wz_status wz_csv_parse(const char *name, const char *text, size_t length, wz_table *out, wz_error *err);
wz_status wz_csv_read(const char *path, wz_table *out, wz_error *err);

#endif
