/* JSON-lines logs of a run: metrics.jsonl (one flat object of numbers a row, TRL's names) and
 * completions.jsonl. A row reaches the file whole, in one append. A checkpoint stores the length of each
 * log, and resume opens the log at that length, so that it goes on as if it had never stopped. */
#ifndef WZ_RUN_METRICS_H
#define WZ_RUN_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/file.h"
#include "engine/core/json.h"
#include "engine/run/row.h"

#define WZ_METRICS_FILE "metrics.jsonl"
#define WZ_COMPLETIONS_FILE "completions.jsonl"

typedef struct wz_metrics {
    wz_log log;
    wz_text line;
    wz_json json;
} wz_metrics;

/* Opens run_dir/file after cutting it to `offset` bytes (0: start anew). A file shorter than that is an
 * error. Initialises *metrics in every case. */
wz_status wz_metrics_open(wz_metrics *metrics, const char *run_dir, const char *file, uint64_t offset,
                          wz_error *err);

/* A row: begin, any number of fields, end. The first failure is reported by wz_metrics_end, which appends
 * the line. Numbers that JSON cannot hold (NaN, infinities) become null. err must live until the end. */
void wz_metrics_begin(wz_metrics *metrics, wz_error *err);
void wz_metrics_add(wz_metrics *metrics, const char *name, double value);
void wz_metrics_add_integer(wz_metrics *metrics, const char *name, int64_t value);
/* Text of any bytes; what is no UTF-8 becomes U+FFFD. */
void wz_metrics_add_text(wz_metrics *metrics, const char *name, const char *text, size_t length);
wz_status wz_metrics_end(wz_metrics *metrics, wz_error *err);
/* All of a row at once. */
wz_status wz_metrics_add_row(wz_metrics *metrics, const wz_row *row, wz_error *err);

/* Syncs the file; *offset = its length, for the checkpoint. */
wz_status wz_metrics_sync(wz_metrics *metrics, uint64_t *offset, wz_error *err);
/* Safe after a failed open, and twice. */
void wz_metrics_close(wz_metrics *metrics);

#endif
