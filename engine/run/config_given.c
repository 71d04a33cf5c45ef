/* Options of a task that were asked for and that a user's file contradicts. */
#include <stdio.h>
#include <string.h>

#include "engine/run/config.h"

wz_status wz_config_check_given(const wz_config *config, const char *const *overrides, size_t count,
                                const wz_problem *problem, wz_error *err)
{
    for (size_t i = 0; i < count; i++)
        for (size_t o = 0; o < problem->task->option_count; o++) {
            char prefix[64];
            (void)snprintf(prefix, sizeof prefix, "task.%s=", problem->task->options[o].name);
            if (strncmp(overrides[i], prefix, strlen(prefix)) != 0 ||
                config->task_values[o] == problem->values[o])
                continue;
            return wz_fail(err, WZ_ERR_USAGE,
                           "%.64s was given, but the table in the file is one of task.%s=%g: leave it out",
                           overrides[i], problem->task->options[o].name, problem->values[o]);
        }
    return WZ_OK;
}
