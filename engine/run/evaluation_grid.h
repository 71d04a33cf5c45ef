/* Settings that a policy is evaluated with side by side: options of its task, in the training distribution and out of it, and how
 * long it may think. */
#ifndef WZ_RUN_EVALUATION_GRID_H
#define WZ_RUN_EVALUATION_GRID_H

#include "engine/run/config.h"
#include "engine/run/evaluate.h"

#define WZ_GRID_AXES 8
#define WZ_GRID_SETTINGS 10000

/* One option and the values it takes. */
typedef struct wz_grid_axis {
    char key[64];             /* "task.links", or one of wz_grid_thinking_keys */
    char values[WZ_LIST_MAX]; /* "5,10,20" */
    size_t count;
} wz_grid_axis;

typedef struct wz_grid {
    wz_grid_axis axes[WZ_GRID_AXES];
    size_t axis_count;
    size_t settings; /* of the cartesian product */
} wz_grid;

#define WZ_GRID_THINKING_KEYS 2
extern const char
    *const wz_grid_thinking_keys[WZ_GRID_THINKING_KEYS]; /* "thinking_budget", "verifier_tries" */

/* One setting and what came of it. */
typedef struct wz_grid_row {
    const wz_task *task;
    const char *part;  /* of a mixture of several; NULL: there is only one */
    char setting[256]; /* "links=5 thinking_budget=8" */
    double values[WZ_TASK_MAX_OPTIONS];
    int64_t thinking[WZ_GRID_THINKING_KEYS]; /* budget and tries */
    bool varies[WZ_GRID_THINKING_KEYS];      /* they are axes */
    wz_evaluation evaluation;
    char failure[512]; /* why it could not be evaluated; empty: it was */
} wz_grid_row;

/* "task.links=5,10,20" for each axis. */
wz_status wz_grid_read(const char *const *texts, size_t count, wz_grid *out, wz_error *err);
/* Whether each axis is an option of the task, or how long to think. */
wz_status wz_grid_check(const wz_grid *grid, const wz_task *task, wz_error *err);
/* Whether all values of a checked grid are of their options' kinds: a number, say. What is out of an option's range is not asked:
 * other tasks and settings may accept it. */
wz_status wz_grid_check_values(const wz_grid *grid, const wz_task *task, wz_error *err);
/* Fills a row but for its part and evaluation: number `setting` of the product, the last axis the fastest, of a checked grid, over
 * the configuration's thinking and the task's `values`. What the task does not accept, or thinking, goes into failure. */
wz_status wz_grid_set(const wz_grid *grid, size_t setting, const wz_config *config, const wz_task *task,
                      const double *values, wz_grid_row *row, wz_error *err);

/* A table of rows of one task; an array's items. */
wz_status wz_grid_write_table(const wz_grid_row *rows, size_t count, wz_text *out, wz_error *err);
void wz_grid_write_items(wz_json *json, const wz_grid_row *rows, size_t count);

#endif
