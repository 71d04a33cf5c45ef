/* task_mixture: "power_control links=5 weight=2, power_control links=8 start=3"; colons may stand for the spaces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/suggest.h"
#include "engine/run/config_schema.h"

static const char separators[] = " :";

/* One `name=value` of an item: its weight, its curriculum's first size, or an option of its family. */
static wz_status set_option(wz_mixture_part *part, const char *assignment, wz_error *err)
{
    const char *equals = strchr(assignment, '=');
    const wz_task *task = part->task;
    wz_suggestion nearest = {0};
    char name[64];
    if (equals == NULL || (size_t)(equals - assignment) >= sizeof name)
        return wz_fail(err, WZ_ERR_USAGE, "'%.64s' is no option=value of %s", assignment, task->name);
    memcpy(name, assignment, (size_t)(equals - assignment));
    name[equals - assignment] = '\0';
    if (strcmp(name, "weight") == 0 || strcmp(name, "start") == 0) {
        char *end = NULL;
        const double value = strtod(equals + 1, &end);
        const bool is_weight = name[0] == 'w';
        if (end == equals + 1 || *end != '\0' || !(value > 0.0 && value <= (is_weight ? 1e6 : 255.0)))
            return wz_fail(err, WZ_ERR_USAGE, "%s: %s must be a number above 0, found '%.32s'", task->name,
                           name, equals + 1);
        if (is_weight)
            part->weight = value;
        else
            part->first = (int64_t)value;
        return WZ_OK;
    }
    /* the option's value as task.* reads it */
    wz_config scratch;
    memset(&scratch, 0, sizeof scratch);
    scratch.task = task;
    memcpy(scratch.task_values, part->values, sizeof part->values);
    for (size_t o = 0; o < task->option_count; ++o) {
        const wz_config_place place = {.option = &task->options[o], .option_index = o};
        if (strcmp(task->options[o].name, name) == 0) {
            const wz_status status = wz_config_set(&scratch, &place, equals + 1, err);
            memcpy(part->values, scratch.task_values, sizeof part->values);
            return status;
        }
        wz_suggest(&nearest, name, task->options[o].name);
    }
    return wz_fail(err, WZ_ERR_USAGE, "%s has no option '%s'%s%s%s", task->name, name,
                   nearest.best != NULL ? " (did you mean '" : "", nearest.best != NULL ? nearest.best : "",
                   nearest.best != NULL ? "'?)" : "");
}

static wz_status read_part(const char *item, wz_mixture_part *part, wz_error *err)
{
    char text[WZ_LIST_MAX], *rest = NULL;
    wz_suggestion nearest = {0};
    (void)snprintf(text, sizeof text, "%s", item);
    const char *word = strtok_r(text, separators, &rest);
    *part = (wz_mixture_part){.task = wz_task_find(word != NULL ? word : ""), .weight = 1.0};
    for (size_t i = 0; part->task == NULL && wz_tasks[i] != NULL; ++i)
        wz_suggest(&nearest, word != NULL ? word : "", wz_tasks[i]->name);
    if (part->task == NULL)
        return wz_fail(err, WZ_ERR_USAGE, "no task is called '%.64s'%s%s%s", word != NULL ? word : "",
                       nearest.best != NULL ? " (did you mean '" : "",
                       nearest.best != NULL ? nearest.best : "", nearest.best != NULL ? "'?)" : "");
    wz_task_default_values(part->task, part->values);
    wz_status status = WZ_OK;
    while (status == WZ_OK && (word = strtok_r(NULL, separators, &rest)) != NULL)
        status = set_option(part, word, err);
    return status == WZ_OK ? wz_task_check_values(part->task, part->values, err) : status;
}

wz_status wz_mixture_check_item(const char *item, wz_error *err)
{
    wz_mixture_part part;
    return read_part(item, &part, err);
}

static void name_part(wz_mixture *mixture, wz_mixture_part *part)
{
    size_t same = 1;
    for (const wz_mixture_part *other = mixture->parts; other < part; ++other)
        same += other->task == part->task;
    if (same == 1)
        (void)snprintf(part->name, sizeof part->name, "%.48s", part->task->name);
    else
        (void)snprintf(part->name, sizeof part->name, "%.48s_%zu", part->task->name, same);
}

/* Where a part's curriculum starts, unless the item says so. */
static int64_t default_first(const wz_config *config, const wz_mixture_part *part)
{
    const size_t size = part->task->size_option;
    const int64_t least = (int64_t)part->task->options[size].minimum, most = (int64_t)part->values[size];
    const int64_t first = config->curriculum_start > least ? config->curriculum_start : least;
    return first < most ? first : most;
}

wz_status wz_config_mixture(const wz_config *config, wz_mixture *out, wz_error *err)
{
    char item[WZ_LIST_MAX];
    *out = (wz_mixture){.count = 0};
    for (const char *at = config->task_mixture; wz_config_next_item(&at, item);) {
        wz_mixture_part *part = &out->parts[out->count];
        if (out->count == WZ_MIXTURE_MAX)
            return wz_fail(err, WZ_ERR_USAGE, "task_mixture lists more than %d tasks", WZ_MIXTURE_MAX);
        wz_status status = read_part(item, part, err);
        if (status != WZ_OK)
            return wz_fail_prefix(err, status, "task_mixture: ");
        name_part(out, part);
        if (part->first == 0)
            part->first = default_first(config, part);
        if ((double)part->first > part->values[part->task->size_option] ||
            (double)part->first < part->task->options[part->task->size_option].minimum)
            return wz_fail(err, WZ_ERR_USAGE,
                           "task_mixture: %s: start=%lld lies outside %g to %g, the sizes to grow through",
                           part->name, (long long)part->first,
                           part->task->options[part->task->size_option].minimum,
                           part->values[part->task->size_option]);
        out->count++;
    }
    if (out->count > 0)
        return WZ_OK;
    out->count = 1;
    out->parts[0] = (wz_mixture_part){.task = config->task, .weight = 1.0, .first = config->curriculum_start};
    memcpy(out->parts[0].values, config->task_values, sizeof out->parts[0].values);
    name_part(out, &out->parts[0]);
    return WZ_OK;
}
