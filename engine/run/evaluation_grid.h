/* Settings of a task that a policy is evaluated on side by side, in its training distribution and out of it. */
#ifndef WZ_RUN_EVALUATION_GRID_H
#define WZ_RUN_EVALUATION_GRID_H

#include "engine/run/config.h"
#include "engine/run/evaluate.h"

#define WZ_GRID_AXES 8
#define WZ_GRID_SETTINGS 10000

/* One option and the values it takes. */
typedef struct wz_grid_axis {
    char key[64];             /* "task.links" */
    char values[WZ_LIST_MAX]; /* "5,10,20" */
    size_t count;
} wz_grid_axis;

typedef struct wz_grid {
    wz_grid_axis axes[WZ_GRID_AXES];
    size_t axis_count;
    size_t settings; /* of the cartesian product */
} wz_grid;

/* One setting and what came of it. */
typedef struct wz_grid_row {
    const wz_task *task;
    char setting[256]; /* "links=5 snr_db=0" */
    double values[WZ_TASK_MAX_OPTIONS];
    wz_evaluation evaluation;
    char failure[512]; /* why it could not be evaluated; empty: it was */
} wz_grid_row;

/* "task.links=5,10,20" for each axis. */
wz_status wz_grid_read(const char *const *texts, size_t count, wz_grid *out, wz_error *err);
/* Whether each axis is an option of the task. */
wz_status wz_grid_check(const wz_grid *grid, const wz_task *task, wz_error *err);
/* Fills task, setting and values of a row: number `setting` of the product, the last axis the fastest, over `values`, of a checked grid. What the
 * task does not accept goes into failure. */
wz_status wz_grid_set(const wz_grid *grid, size_t setting, const wz_task *task, const double *values,
                      wz_grid_row *row, wz_error *err);

/* A table of rows of one task; an array's items. */
wz_status wz_grid_write_table(const wz_grid_row *rows, size_t count, wz_text *out, wz_error *err);
void wz_grid_write_items(wz_json *json, const wz_grid_row *rows, size_t count);

#endif
