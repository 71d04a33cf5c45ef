/* The table of task families: a new family is a file and a row here. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "tasks/assignment.h"
#include "tasks/beam_hopping.h"
#include "tasks/d2d.h"
#include "tasks/deadline.h"
#include "tasks/energy_efficiency.h"
#include "tasks/independent_set.h"
#include "tasks/isac.h"
#include "tasks/max_min.h"
#include "tasks/ofdma.h"
#include "tasks/offloading.h"
#include "tasks/power_control.h"
#include "tasks/semantic.h"
#include "tasks/task.h"
#include "tasks/water_filling.h"

/* clang-format off */
const wz_task *const wz_tasks[] = {
    &wz_task_power_control,
    &wz_task_assignment,
    &wz_task_independent_set,
    &wz_task_deadline,
    &wz_task_water_filling,
    &wz_task_d2d,
    &wz_task_max_min,
    &wz_task_ofdma,
    &wz_task_offloading,
    &wz_task_isac,
    &wz_task_beam_hopping,
    &wz_task_semantic,
    &wz_task_energy_efficiency,
    NULL,
};
/* clang-format on */

static const wz_task *added[WZ_MAX_ADDED_TASKS];
static size_t added_count;

void wz_task_add(const wz_task *task)
{
    assert(added_count < WZ_MAX_ADDED_TASKS);
    added[added_count++] = task;
}

const wz_task *wz_task_find(const char *name)
{
    for (size_t i = 0; i < added_count; i++)
        if (strcmp(added[i]->name, name) == 0)
            return added[i];
    for (const wz_task *const *task = wz_tasks; *task != NULL; task++)
        if (strcmp((*task)->name, name) == 0)
            return *task;
    return NULL;
}

void wz_task_default_values(const wz_task *task, double *values)
{
    for (size_t i = 0; i < task->option_count; i++)
        values[i] = task->options[i].default_value;
}

bool wz_task_same_values(const wz_task *task, const double *a, const double *b)
{
    return memcmp(a, b, task->option_count * sizeof *a) == 0;
}

size_t wz_task_find_option(const wz_task *task, const char *name)
{
    size_t i = 0;
    while (i < task->option_count && strcmp(task->options[i].name, name) != 0)
        i++;
    return i;
}

bool wz_task_is_later_option(const wz_task *task, size_t option)
{
    return option + task->later_options >= task->option_count;
}

wz_status wz_task_check_values(const wz_task *task, const double *values, wz_error *err)
{
    for (size_t i = 0; i < task->option_count; i++) {
        const wz_task_option *option = &task->options[i];
        if (!(values[i] >= option->minimum && values[i] <= option->maximum)) /* NaN fails too */
            return wz_fail(err, WZ_ERR_USAGE, "task.%s = %g: %s accepts %g to %g", option->name, values[i],
                           task->name, option->minimum, option->maximum);
        if (option->is_integer && values[i] != floor(values[i]))
            return wz_fail(err, WZ_ERR_USAGE, "task.%s = %g: must be a whole number", option->name,
                           values[i]);
    }
    return task->check == NULL ? WZ_OK : task->check(values, err);
}
