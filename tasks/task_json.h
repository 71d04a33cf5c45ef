/* Options of a task as JSON. */
#ifndef WZ_TASKS_TASK_JSON_H
#define WZ_TASKS_TASK_JSON_H

#include "engine/core/json.h"
#include "tasks/task.h"

/* "key": the value, by its name where the option has names. */
void wz_task_json_option(wz_json *json, const char *key, const wz_task_option *option, double value);
/* {"links": 5, ...}: all options. */
void wz_task_json_options(wz_json *json, const wz_task *task, const double *values);

#endif
