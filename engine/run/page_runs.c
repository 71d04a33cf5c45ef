/* Several runs beside each other: what they are called, which of them belong together, and in what they differ. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/file.h"
#include "engine/run/config_schema.h"
#include "engine/run/page_internal.h"
#include "engine/run/problem_set.h"
#include "engine/run/progress.h"

/* ---- names ---- */

/* One more folder of the path before the name; false: the name is the whole path. */
static bool lengthen(wz_page_run *run)
{
    const char *at = run->name;
    if (at == run->path)
        return false;
    for (at--; at > run->path && at[-1] != '/';)
        at--;
    run->name = at;
    return true;
}

wz_status wz_page_name_runs(wz_page_run *runs, size_t count, wz_error *err)
{
    for (size_t r = 0; r < count; r++)
        for (size_t k = 0; k < r; k++) {
            if (wz_path_is_same(runs[k].path, runs[r].path))
                return wz_fail(err, WZ_ERR_USAGE, "%s and %s are one run: name it once", runs[k].path,
                               runs[r].path);
            while (strcmp(runs[k].name, runs[r].name) == 0) {
                const bool first = lengthen(&runs[k]), second = lengthen(&runs[r]);
                if (!first && !second)
                    break;
            }
        }
    return WZ_OK;
}

/* Length of "lr-0.1" in "lr-0.1,seed-0", as a sweep calls its runs; 0: the name does not end with its seed. */
static size_t length_without_seed(const char *name)
{
    size_t at = strlen(name);
    while (at > 0 && isdigit((unsigned char)name[at - 1]))
        at--;
    const bool has_seed = name[at] != '\0' && at > 6 && strncmp(name + at - 6, ",seed-", 6) == 0;
    return has_seed ? at - 6 : 0;
}

void wz_page_name_group(const wz_page_run *runs, size_t count, size_t group, char *out, size_t size)
{
    const char *first = NULL;
    size_t members = 0;
    for (size_t r = 0; r < count; r++)
        if (runs[r].group == group) {
            first = first == NULL ? runs[r].name : first;
            members++;
        }
    const size_t length = first != NULL ? length_without_seed(first) : 0;
    if (members == 1)
        (void)snprintf(out, size, "%s", first);
    else if (length > 0)
        (void)snprintf(out, size, "%.*s, %zu seeds", (int)length, first, members);
    else
        (void)snprintf(out, size, "%s and %zu more", first, members - 1);
}

/* ---- what belongs together ---- */

/* Whether two runs differ in where they ran alone, and in their seeds: a run made again is no further seed. */
static bool are_alike(const wz_config *a, const wz_config *b)
{
    wz_config same = *b;
    same.seed = a->seed;
    return a->seed != b->seed && wz_config_resume_conflict(a, &same) == NULL;
}

static bool fits(const wz_page_run *runs, size_t count, size_t group, const wz_page_run *run)
{
    for (size_t r = 0; r < count; r++)
        if (runs[r].group == group && (!runs[r].has_config || !are_alike(&runs[r].config, &run->config)))
            return false;
    return run->has_config;
}

size_t wz_page_group_runs(wz_page_run *runs, size_t count)
{
    size_t groups = 0;
    for (size_t r = 0; r < count; r++) {
        size_t group = 0;
        while (group < groups && !fits(runs, r, group, &runs[r]))
            group++;
        runs[r].group = group;
        groups = group == groups ? groups + 1 : groups;
    }
    return groups;
}

static bool have_one_task(const wz_config *a, const wz_config *b)
{
    if (strcmp(a->task_mixture, b->task_mixture) != 0)
        return false;
    return a->task_mixture[0] != '\0' || (a->task == b->task && wz_config_option_conflict(a, b) == NULL);
}

bool wz_page_have_one_task(const wz_page_run *runs, size_t count)
{
    for (size_t r = 0; r < count; r++)
        if (!runs[r].has_config || !have_one_task(&runs[0].config, &runs[r].config))
            return false;
    return true;
}

/* The mean over those runs that have it. */
static double mean_of_last(const wz_page_run *runs, size_t count, const char *name)
{
    double sum = 0.0;
    size_t having = 0;
    for (size_t r = 0; r < count; r++) {
        const double value = wz_history_last(&runs[r].history, name);
        if (isnan(value))
            continue;
        sum += value;
        having++;
    }
    return having > 0 ? sum / (double)having : NAN;
}

const char *wz_page_best_baseline(const wz_page_run *runs, size_t count, int kind, double *ratio)
{
    const wz_verifier *verifier = NULL;
    const char *best = NULL;
    char name[144];
    *ratio = NAN;
    if (wz_page_have_one_task(runs, count) && runs[0].config.task_mixture[0] == '\0')
        verifier = wz_verifier_find(runs[0].config.task->name);
    for (size_t b = 0; verifier != NULL && b < verifier->baseline_count; b++) {
        (void)snprintf(name, sizeof name, "baselines/%.40s/ratio", verifier->baselines[b].name);
        const double value = mean_of_last(runs, count, name);
        if ((int)verifier->baselines[b].kind == kind && !isnan(value) && !(value <= *ratio)) {
            *ratio = value;
            best = verifier->baselines[b].name;
        }
    }
    return best;
}

/* ---- in what they differ ---- */

/* The first run of a group. */
static const wz_page_run *head_of(const wz_page_run *runs, size_t count, size_t group)
{
    size_t r = 0;
    while (r + 1 < count && runs[r].group != group)
        r++;
    return &runs[r];
}

static wz_status format_value(const wz_config *c, const wz_config_place *place, wz_text *out, wz_error *err)
{
    return place->key != NULL && place->key->type == WZ_KEY_TASK
               ? wz_set_write_options(c->task, c->task_values, out, err) /* of different families */
               : wz_config_format(c, place, out, err);
}

/* A line for a key or option, called prefix and name, unless all groups have the same value. */
static void write_difference(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups,
                             const wz_config_place *place, const char *prefix, const char *name)
{
    bool same = true;
    for (size_t g = 1; g < groups; g++)
        same = same && wz_config_equal_at(&runs[0].config, &head_of(runs, count, g)->config, place);
    if (same)
        return;
    wz_markup_raw(m, "<tr><td><code>");
    wz_markup_text(m, prefix);
    wz_markup_text(m, name);
    wz_markup_raw(m, "</code></td>");
    for (size_t g = 0; g < groups; g++) {
        wz_text value = {0};
        const wz_status status = format_value(&head_of(runs, count, g)->config, place, &value, m->err);
        if (status == WZ_OK)
            wz_markup_element(m, "td", value.data);
        else
            m->status = status;
        wz_text_clear(&value);
    }
    wz_markup_raw(m, "</tr>\n");
}

/* Options of the family, where all have one. */
static void write_option_differences(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups)
{
    const wz_task *task = runs[0].config.task;
    for (size_t g = 1; g < groups; g++)
        if (head_of(runs, count, g)->config.task != task)
            return;
    for (size_t o = 0; o < task->option_count; o++)
        write_difference(m, runs, count, groups,
                         &(wz_config_place){.option = &task->options[o], .option_index = o}, "task.",
                         task->options[o].name);
}

/* A column for each group; seeds, which its runs differ in, stand in the table of runs. */
static void write_differences(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups)
{
    char name[WZ_CHART_LABEL];
    wz_markup_raw(m, "<h2>Keys that differ</h2>\n<div class=\"wide\"><table class=\"left\"><tr><th>key</th>");
    for (size_t g = 0; g < groups; g++) {
        wz_page_name_group(runs, count, g, name, sizeof name);
        wz_markup_element(m, "th", name);
    }
    wz_markup_raw(m, "</tr>\n");
    for (size_t i = 0; i < wz_config_key_count; i++) {
        const wz_config_place place = {.key = &wz_config_keys[i]};
        if (place.key->type == WZ_KEY_HEADING || strcmp(place.key->name, "output_dir") == 0 ||
            strcmp(place.key->name, "seed") == 0)
            continue;
        write_difference(m, runs, count, groups, &place, "", place.key->name);
        if (place.key->type == WZ_KEY_TASK)
            write_option_differences(m, runs, count, groups);
    }
    wz_markup_raw(m, "</table></div>\n");
}

/* ---- what they reached ---- */

static void write_cell(wz_markup *m, int digits, double value)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%.*f", digits, value);
    wz_markup_element(m, "td", isnan(value) ? "-" : text);
}

static void write_run(wz_markup *m, const wz_page_run *run)
{
    const wz_history *h = &run->history;
    char duration[32];
    wz_markup_raw(m, "<tr>");
    wz_markup_element(m, "td", run->name);
    write_cell(m, 0, run->has_config ? (double)run->config.seed : NAN);
    write_cell(m, 0, h->last_step);
    write_cell(m, 4, wz_history_largest(h, "eval_objective_ratio"));
    write_cell(m, 0, wz_page_step_of_largest(h, "eval_objective_ratio"));
    write_cell(m, 4, wz_history_last(h, "eval_objective_ratio"));
    write_cell(m, 4, wz_history_last(h, "reward"));
    write_cell(m, 3, wz_history_last(h, "entropy"));
    wz_format_duration(wz_page_training_s(h), duration);
    wz_markup_element(m, "td", duration);
    write_cell(m, 0, (double)h->alarm_count);
    wz_markup_raw(m, "</tr>\n");
}

/* Mean and deviation of the best scores of a group of two or more. */
static void write_group(wz_markup *m, const wz_page_run *runs, size_t count, size_t group)
{
    double mean = 0.0, squares = 0.0;
    size_t members = 0;
    for (size_t r = 0; r < count; r++) {
        const double best = wz_history_largest(&runs[r].history, "eval_objective_ratio");
        if (runs[r].group != group || isnan(best))
            continue;
        const double change = best - mean;
        mean += change / (double)++members;
        squares += change * (best - mean);
    }
    if (members < 2)
        return;
    wz_markup_raw(m, "<p>");
    wz_markup_text(m, head_of(runs, count, group)->name);
    wz_markup_print(
        m,
        " and %zu more that differ in their seeds: best held-out score %.4f in the mean, standard "
        "deviation %.4f.</p>\n",
        members - 1, mean, sqrt(squares / (double)(members - 1)));
}

void wz_page_comparison(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups)
{
    bool all_known = true;
    wz_markup_raw(m, "<div class=\"wide\"><table "
                     "class=\"runs\"><tr><th>run</th><th>seed</th><th>steps</th><th>best held-out</th>"
                     "<th>at step</th><th>last held-out</th><th>reward</th><th>entropy</th><th>time</th>"
                     "<th>alarms</th></tr>\n");
    for (size_t r = 0; r < count; r++) {
        all_known = all_known && runs[r].has_config;
        write_run(m, &runs[r]);
    }
    wz_markup_raw(m, "</table></div>\n");
    for (size_t g = 0; g < groups; g++)
        write_group(m, runs, count, g);
    if (all_known && groups > 1)
        write_differences(m, runs, count, groups);
}
