#include "engine/run/evaluation_grid.h"

#include <stdio.h>
#include <string.h>

#include "engine/run/config_schema.h"

static const char form[] = "--grid '%.64s': expected an option and its values, as in task.links=5,10,20 or "
                           "thinking_budget=0,8,32";
const char *const wz_grid_thinking_keys[WZ_GRID_THINKING_KEYS] = {"thinking_budget", "verifier_tries"};

/* The key's number; WZ_GRID_THINKING_KEYS: it is none of them. */
static size_t thinking_key(const char *key)
{
    size_t i = 0;
    while (i < WZ_GRID_THINKING_KEYS && strcmp(key, wz_grid_thinking_keys[i]) != 0)
        i++;
    return i;
}

static wz_status read_axis(const char *text, wz_grid_axis *axis, wz_error *err)
{
    const char *equals = strchr(text, '=');
    char item[WZ_LIST_MAX];
    if (equals == NULL || (size_t)(equals - text) >= sizeof axis->key ||
        strlen(equals + 1) >= sizeof axis->values)
        return wz_fail(err, WZ_ERR_USAGE, form, text);
    memcpy(axis->key, text, (size_t)(equals - text));
    axis->key[equals - text] = '\0';
    if (strncmp(text, "task.", 5) != 0 && thinking_key(axis->key) == WZ_GRID_THINKING_KEYS)
        return wz_fail(err, WZ_ERR_USAGE, form, text);
    memcpy(axis->values, equals + 1, strlen(equals + 1) + 1);
    axis->count = 0;
    for (const char *at = axis->values; wz_config_next_item(&at, item);)
        axis->count++;
    if (axis->count == 0)
        return wz_fail(err, WZ_ERR_USAGE, form, text);
    return WZ_OK;
}

wz_status wz_grid_read(const char *const *texts, size_t count, wz_grid *out, wz_error *err)
{
    *out = (wz_grid){.settings = 1};
    if (count > WZ_GRID_AXES)
        return wz_fail(err, WZ_ERR_USAGE, "--grid: at most %d options can vary, found %zu", WZ_GRID_AXES,
                       count);
    for (size_t i = 0; i < count; i++) {
        wz_grid_axis *axis = &out->axes[out->axis_count];
        wz_status status = read_axis(texts[i], axis, err);
        for (size_t j = 0; status == WZ_OK && j < i; j++)
            if (strcmp(out->axes[j].key, axis->key) == 0)
                status = wz_fail(err, WZ_ERR_USAGE, "--grid: %s is given twice; list all its values once",
                                 axis->key);
        if (status != WZ_OK)
            return status;
        out->axis_count++;
        out->settings *= axis->count; /* each is below WZ_LIST_MAX, the product so far below the limit */
        if (out->settings > WZ_GRID_SETTINGS)
            return wz_fail(err, WZ_ERR_USAGE, "--grid: more than %d settings", WZ_GRID_SETTINGS);
    }
    return WZ_OK;
}

wz_status wz_grid_check(const wz_grid *grid, const wz_task *task, wz_error *err)
{
    wz_config config;
    wz_config_place place;
    wz_status status = WZ_OK;
    memset(&config, 0, sizeof config);
    config.task = task;
    for (size_t i = 0; status == WZ_OK && i < grid->axis_count; i++) {
        const char *key = grid->axes[i].key;
        if (thinking_key(key) < WZ_GRID_THINKING_KEYS)
            continue;
        if (!wz_config_find(&config, key, &place))
            status = wz_config_fail_unknown(&config, key, err);
        else if (place.option == NULL)
            status = wz_fail(err, WZ_ERR_USAGE, "%s is no option of a task; give it as key=value", key);
        if (status != WZ_OK)
            status = wz_fail_prefix(err, status, "--grid, task %s: ", task->name);
    }
    return status;
}

wz_status wz_grid_check_values(const wz_grid *grid, const wz_task *task, wz_error *err)
{
    wz_config config;
    wz_config_place place;
    wz_status status = WZ_OK;
    char item[WZ_LIST_MAX];
    wz_config_default(&config);
    config.task = task;
    for (const wz_grid_axis *axis = grid->axes; axis < grid->axes + grid->axis_count; axis++) {
        const char *at = axis->values;
        if (!wz_config_find(&config, axis->key, &place))
            return wz_config_fail_unknown(&config, axis->key, err);
        while (status == WZ_OK && wz_config_next_item(&at, item))
            if (!wz_config_is_value(&place, item))
                status = wz_config_set(&config, &place, item, err); /* whose message says what it expects */
    }
    return status == WZ_OK ? WZ_OK : wz_fail_prefix(err, status, "--grid, task %s: ", task->name);
}

/* Value number `which` of an axis. */
static void take_value(const wz_grid_axis *axis, size_t which, char item[WZ_LIST_MAX])
{
    const char *at = axis->values;
    for (size_t i = 0; i <= which; i++)
        (void)wz_config_next_item(&at, item);
}

/* Sets the axes' values, which go into row->setting, too. */
static wz_status set_axes(const wz_grid *grid, size_t setting, wz_config *config, wz_grid_row *row,
                          wz_error *err)
{
    char item[WZ_LIST_MAX];
    wz_config_place place;
    wz_status status = WZ_OK;
    size_t after = grid->settings, used = 0;
    for (size_t i = 0; i < grid->axis_count && used < sizeof row->setting; i++) {
        const wz_grid_axis *axis = &grid->axes[i];
        const size_t thinking = thinking_key(axis->key);
        after /= axis->count;
        take_value(axis, setting / after % axis->count, item);
        used += (size_t)snprintf(row->setting + used, sizeof row->setting - used, "%s%s=%s", i > 0 ? " " : "",
                                 thinking < WZ_GRID_THINKING_KEYS ? axis->key : axis->key + strlen("task."),
                                 item);
        if (thinking < WZ_GRID_THINKING_KEYS)
            row->varies[thinking] = true;
        if (status == WZ_OK && wz_config_find(config, axis->key, &place))
            status = wz_config_set(config, &place, item, err);
    }
    return status;
}

wz_status wz_grid_set(const wz_grid *grid, size_t setting, const wz_config *base, const wz_task *task,
                      const double *values, wz_grid_row *row, wz_error *err)
{
    wz_config config = *base;
    wz_error why = {{0}};
    *row = (wz_grid_row){.task = task};
    config.task = task;
    memcpy(config.task_values, values, sizeof config.task_values);
    wz_status status = set_axes(grid, setting, &config, row, &why);
    if (status == WZ_OK)
        status = wz_task_check_values(task, config.task_values, &why);
    if (status == WZ_OK)
        status = wz_config_check_thinking(&config, &why);
    memcpy(row->values, config.task_values, sizeof row->values);
    row->thinking[0] = config.thinking_budget;
    row->thinking[1] = config.verifier_tries;
    if (status == WZ_ERR_USAGE)
        (void)snprintf(row->failure, sizeof row->failure, "%.500s", why.text);
    else if (status != WZ_OK)
        return wz_fail(err, status, "%s", why.text);
    return WZ_OK;
}
