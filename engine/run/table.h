/* metrics.csv: a line for each row of metrics, in columns that stay the same for the whole run. */
#ifndef WZ_RUN_TABLE_H
#define WZ_RUN_TABLE_H

#include "engine/core/file.h"
#include "engine/run/row.h"

#define WZ_TABLE_FILE "metrics.csv"

typedef struct wz_table {
    wz_log log;
    wz_text header; /* the first line, cut at its commas */
    size_t columns;
    wz_text line;
} wz_table;

/* Opens run_dir/metrics.csv after cutting it to `offset` bytes. At 0, or where the file is gone, it begins with a line of
 * names: "step" and those of `names`, a list's numbers as "list/1", "list/2", ... Else the file's own first line says what the
 * columns are, whatever this build's rows are called. Initialises *table in every case. */
wz_status wz_table_open(wz_table *table, const char *run_dir, uint64_t offset, const wz_row *names,
                        wz_error *err);
/* Columns that the row lacks, or that are no numbers in it, stay empty; figures without a column are left out. */
wz_status wz_table_add_row(wz_table *table, const wz_row *row, wz_error *err);
wz_status wz_table_sync(wz_table *table, uint64_t *offset, wz_error *err);
void wz_table_close(wz_table *table);

#endif
