/* Parts of a report, shared by the files that write its sections. */
#ifndef WZ_RUN_PAGE_INTERNAL_H
#define WZ_RUN_PAGE_INTERNAL_H

#include <jansson.h>

#include "engine/grpo/batch.h"
#include "engine/run/chart.h"
#include "engine/run/config.h"
#include "engine/run/evaluate.h"
#include "engine/run/history.h"
#include "engine/run/page.h"

typedef struct wz_page_run {
    char path[WZ_PATH_MAX];
    const char *name; /* last part of the path, or as many as tell it from the page's other runs */
    wz_history history;
    wz_text config_text; /* config.yaml; empty: none */
    wz_config config;    /* if has_config */
    bool has_config;
    wz_error config_failure; /* why not */
    json_t *environment;     /* NULL: none */
    json_t *grid;            /* RUN/grid.json, from `wavezero eval --grid --json`; NULL: none */
    size_t group;            /* runs of one group differ in their seeds, and in where they ran, alone */
} wz_page_run;

/* What the best checkpoint answered: of one task, or of a part of a mixture. */
typedef struct wz_page_part {
    const wz_mixture_part *about;
    wz_evaluation figures;
    double *ratios; /* (figures.problems) */
    wz_batch *samples;
} wz_page_part;

typedef struct wz_page_evaluation {
    wz_page_part *parts; /* (mixture.count) */
    size_t count;        /* of them; 0: nothing was evaluated */
    wz_mixture mixture;
    wz_policy *policy;
    wz_backend *backend;
    wz_config config;
    char checkpoint[WZ_PATH_MAX + 32];
} wz_page_evaluation;

extern const char *const wz_page_style[]; /* NULL-terminated */

/* ---- sections; each appends to m ---- */

/* reference: what 1 is, "optimum" say; NULL: nobody knows. */
void wz_page_curves(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups,
                    const char *reference);
void wz_page_figures(wz_markup *m, const wz_page_run *run);
void wz_page_alarms(wz_markup *m, const wz_page_run *runs, size_t count);
void wz_page_comparison(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups);
void wz_page_about(wz_markup *m, const wz_page_run *run);
void wz_page_grid(wz_markup *m, const json_t *grid);
wz_status wz_page_evaluate(const wz_page_run *run, const wz_page_options *options, wz_page_evaluation *out,
                           wz_error *err);
void wz_page_evaluation_clear(wz_page_evaluation *evaluation);
void wz_page_evaluation_write(wz_markup *m, const wz_page_evaluation *evaluation);
/* What 1 is in its ratios; NULL: not the same in all parts, or nothing was evaluated. */
const char *wz_page_reference(const wz_page_evaluation *evaluation);
void wz_page_samples(wz_markup *m, const wz_batch *batch);
/* What the pictures of sample problems show. */
void wz_page_explain_samples(wz_markup *m);

/* A series as the mean over the runs of a group, where all of those that have it have a point, and their range. border: no
 * point is of steps on both sides of it; NaN: none. False: no run has the series. */
bool wz_page_curve(const wz_page_run *runs, size_t count, size_t group, const char *name, double border,
                   wz_curve *out);

/* Supervised steps at the run's start; 0: none. */
double wz_page_supervised_steps(const wz_page_run *run);

/* Names by which runs are told apart. WZ_ERR_USAGE: one is given twice. */
wz_status wz_page_name_runs(wz_page_run *runs, size_t count, wz_error *err);
/* Numbers the groups from 0; returns how many there are. */
size_t wz_page_group_runs(wz_page_run *runs, size_t count);
/* The name of its run; of several the one that they share ("lr-0.1, 3 seeds" of a sweep), or the first one's. */
void wz_page_name_group(const wz_page_run *runs, size_t count, size_t group, char *out, size_t size);
/* Whether all have the same problems, seeds aside: family, options, mixture. */
bool wz_page_have_one_task(const wz_page_run *runs, size_t count);

/* The largest of the baselines of a kind, means over the runs; NULL: none is known, or the runs' tasks differ. */
const char *wz_page_best_baseline(const wz_page_run *runs, size_t count, int kind, double *ratio);

/* Seconds of all steps, where rows may be fewer than steps; NaN: unknown. */
double wz_page_training_s(const wz_history *history);
/* The step of a series' largest value; NaN: there is no such series. */
double wz_page_step_of_largest(const wz_history *history, const char *name);

#endif
