/* task_mixture: "power_control links=5 weight=2, power_control links=8 start=3"; colons may stand for the spaces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/suggest.h"
#include "engine/run/config_schema.h"

static const char separators[] = " :";

/* A plain decimal number above 0, up to `most`. */
static wz_status set_number(const wz_task *task, const char *name, const char *text, bool is_whole,
                            double most, double *value, wz_error *err)
{
    char *end = NULL;
    const size_t plain = strspn(text, is_whole ? "0123456789" : "+-.0123456789eE");
    *value = strtod(text, &end);
    if (plain == strlen(text) && plain > 0 && *end == '\0' && *value > 0 && *value <= most)
        return WZ_OK;
    return wz_fail(err, WZ_ERR_USAGE, "%s: %s must be a %s above 0, at most %g, found '%.32s'", task->name,
                   name, is_whole ? "whole number" : "number", most, text);
}

wz_status wz_mixture_check_once(const char *item, const char *word, const char *whose, wz_error *err)
{
    const size_t length = strcspn(word, "=") + 1;
    size_t times = 0;
    for (const char *at = item + strspn(item, separators); *at != '\0';) {
        times += strncmp(at, word, length) == 0;
        at += strcspn(at, separators);
        at += strspn(at, separators);
    }
    return times <= 1 ? WZ_OK
                      : wz_fail(err, WZ_ERR_USAGE, "%s: '%.*s' is given twice", whose,
                                (int)(length > 64 ? 64 : length - 1), word);
}

wz_status wz_mixture_set_option(wz_mixture_part *part, const char *assignment, wz_error *err)
{
    const char *equals = strchr(assignment, '=');
    const wz_task *task = part->task;
    wz_suggestion nearest = {0};
    char name[64];
    if (equals == NULL || (size_t)(equals - assignment) >= sizeof name)
        return wz_fail(err, WZ_ERR_USAGE, "'%.64s' is no option=value of %s", assignment, task->name);
    memcpy(name, assignment, (size_t)(equals - assignment));
    name[equals - assignment] = '\0';
    if (strcmp(name, "weight") == 0)
        return set_number(task, name, equals + 1, false, 1e6, &part->weight, err);
    if (strcmp(name, "start") == 0) {
        double start = 0;
        const wz_status status = set_number(task, name, equals + 1, true, 255, &start, err);
        part->first = (int64_t)start;
        return status;
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
    if (strpbrk(item, "[]") != NULL)
        return wz_fail(
            err, WZ_ERR_USAGE,
            "'%.64s': a bracket inside a part, or one that is not closed: task_mixture=\"[a x=1, b]\"", item);
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
    while (status == WZ_OK && (word = strtok_r(NULL, separators, &rest)) != NULL) {
        status = wz_mixture_check_once(item, word, part->task->name, err);
        if (status == WZ_OK)
            status = wz_mixture_set_option(part, word, err);
    }
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

bool wz_config_mixture_hides_task(const wz_config *config)
{
    double values[WZ_TASK_MAX_OPTIONS] = {0};
    if (config->task_mixture[0] == '\0')
        return false;
    wz_task_default_values(config->task, values);
    return config->task != wz_tasks[0] || !wz_task_same_values(config->task, values, config->task_values);
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
        if (part->first != 0 && config->curriculum_stages[0] != '\0')
            return wz_fail(err, WZ_ERR_USAGE,
                           "task_mixture: %s: start=%lld is a first size, but curriculum.stages says how "
                           "problems grow: leave one of them out",
                           part->name, (long long)part->first);
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
