/* What a sweep found, from the runs' own metrics. */
#ifndef WZ_RUN_SWEEP_RESULT_H
#define WZ_RUN_SWEEP_RESULT_H

#include "engine/run/sweep.h"
#include "engine/run/sweep_stats.h"

enum {
    WZ_SWEEP_FINAL,     /* held-out score after the last step: metric eval_objective_ratio */
    WZ_SWEEP_BEST,      /* the largest of its evaluations */
    WZ_SWEEP_STEP_TIME, /* mean of metric step_time, in s */
    WZ_SWEEP_FIGURES    /* and the metrics that were asked for: the last value of each */
};

typedef struct wz_sweep_result {
    const wz_sweep *sweep;
    const char *const *metrics; /* names; borrowed */
    size_t metric_count, figures;
    double *values;  /* (run_count, figures); NaN: the run is not complete, or has no such metric */
    double *scratch; /* (2, seeds) */
    size_t complete; /* runs */
} wz_sweep_result;

/* Reads every complete run's metrics. Initialises *out in every case; free with wz_sweep_result_clear. A metric that none of
 * them has is told to `log`. */
wz_status wz_sweep_measure(const wz_sweep *sweep, const char *const *metrics, size_t metric_count, FILE *log,
                           wz_sweep_result *out, wz_error *err);
void wz_sweep_result_clear(wz_sweep_result *result);

/* A figure over a point's seeds, and the final score against the same seeds of the first point, the baseline. */
wz_moments wz_sweep_moments(const wz_sweep_result *result, size_t point, size_t figure);
wz_paired wz_sweep_against_first(const wz_sweep_result *result, size_t point);

/* The table for people: a line for each point, in the grid's order. */
wz_status wz_sweep_write_table(const wz_sweep_result *result, wz_text *out, wz_error *err);
/* A line for each run, for spreadsheets and data frames; RFC 4180, line breaks "\n". */
wz_status wz_sweep_write_csv(const wz_sweep_result *result, wz_text *out, wz_error *err);
wz_status wz_sweep_write_json(const wz_sweep_result *result, wz_text *out, wz_error *err);
/* DIR/sweep.csv and DIR/sweep.json. */
wz_status wz_sweep_save_result(const wz_sweep_result *result, wz_error *err);

#endif
