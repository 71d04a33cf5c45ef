#include "tasks/task_json.h"

void wz_task_json_option(wz_json *json, const char *key, const wz_task_option *option, double value)
{
    if (option->names != NULL)
        wz_json_field_string(json, key, option->names[(size_t)value]);
    else
        wz_json_field_number(json, key, value);
}

void wz_task_json_options(wz_json *json, const wz_task *task, const double *values)
{
    wz_json_begin_object(json);
    for (size_t i = 0; i < task->option_count; i++)
        wz_task_json_option(json, task->options[i].name, &task->options[i], values[i]);
    wz_json_end_object(json);
}
