/* A run's metrics.jsonl, read back as one series of numbers for each name. */
#ifndef WZ_RUN_HISTORY_H
#define WZ_RUN_HISTORY_H

#include <stddef.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

/* Numbers of one name, by rising step. Those of a list are NAME/1, NAME/2, ... */
typedef struct wz_series {
    char name[144];
    double *step, *value; /* (count) */
    size_t count, step_capacity, value_capacity;
} wz_series;

/* An alarm as it was raised. */
typedef struct wz_alarm_note {
    double step;
    wz_text kind, message;
} wz_alarm_note;

typedef struct wz_history {
    wz_series *series; /* in order of first appearance */
    size_t count, capacity;
    wz_alarm_note *alarms;
    size_t alarm_count, alarm_capacity;
    double last_step;
} wz_history;

/* WZ_ERR_CORRUPT, with file and line, where a line is no row of metrics. A last line without its line break, from a run
 * that is just writing it, is left out. */
wz_status wz_history_read(const char *path, wz_history *out, wz_error *err);
void wz_history_clear(wz_history *history);

/* NULL: there is none. */
const wz_series *wz_history_find(const wz_history *history, const char *name);
/* NaN: there is none. */
double wz_history_last(const wz_history *history, const char *name);
double wz_history_largest(const wz_history *history, const char *name);

#endif
