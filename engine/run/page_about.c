/* Figures, alarms, configuration, environment and how to reproduce a run. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/run/config_schema.h"
#include "engine/run/page_internal.h"
#include "engine/run/progress.h"

/* ---- key figures ---- */

static void tile(wz_markup *m, const char *value, const char *what)
{
    wz_markup_raw(m, "<div class=\"tile\">");
    wz_markup_element(m, "b", value);
    wz_markup_element(m, "span", what);
    wz_markup_raw(m, "</div>\n");
}

double wz_page_training_s(const wz_history *h)
{
    const wz_series *series = wz_history_find(h, "step_time");
    double sum = 0.0;
    for (size_t i = 0; series != NULL && i < series->count; i++)
        sum += series->value[i];
    return series != NULL ? sum * series->step[series->count - 1] / (double)series->count : NAN;
}

double wz_page_step_of_largest(const wz_history *h, const char *name)
{
    const wz_series *series = wz_history_find(h, name);
    size_t best = 0;
    for (size_t i = 1; series != NULL && i < series->count; i++)
        best = series->value[i] > series->value[best] ? i : best;
    return series != NULL ? series->step[best] : NAN;
}

void wz_page_figures(wz_markup *m, const wz_page_run *run)
{
    const wz_history *h = &run->history;
    char value[64], what[128];
    double ratio = NAN;
    wz_markup_raw(m, "<div class=\"tiles\">\n");
    const double best = wz_history_largest(h, "eval_objective_ratio");
    if (!isnan(best)) {
        (void)snprintf(value, sizeof value, "%.4f", best);
        (void)snprintf(what, sizeof what, "best held-out score, at step %.0f",
                       wz_page_step_of_largest(h, "eval_objective_ratio"));
        tile(m, value, what);
        (void)snprintf(value, sizeof value, "%.4f", wz_history_last(h, "eval_objective_ratio"));
        tile(m, value, "last held-out score");
    }
    const wz_verifier *verifier = run->has_config && run->config.task_mixture[0] == '\0'
                                      ? wz_verifier_find(run->config.task->name)
                                      : NULL;
    const double percent = wz_history_last(h, "eval_percent_of_field");
    (void)snprintf(value, sizeof value, "%.1f%%", percent);
    (void)snprintf(what, sizeof what, "of %.60s, held out",
                   verifier != NULL ? verifier->field_algorithm : "");
    if (verifier != NULL && !isnan(percent))
        tile(m, value, what);
    const char *name = wz_page_best_baseline(run, 1, WZ_BASELINE_ALGORITHM, &ratio);
    (void)snprintf(value, sizeof value, "%.4f", ratio);
    (void)snprintf(what, sizeof what, "%.60s, the best algorithm", name != NULL ? name : "");
    if (name != NULL)
        tile(m, value, what);
    const bool goes_on = run->has_config && h->last_step < (double)run->config.max_steps;
    const double supervised = wz_page_supervised_steps(run);
    (void)snprintf(value, sizeof value, "%.0f", h->last_step);
    if (supervised > 0.0)
        (void)snprintf(what, sizeof what, "steps%s, the first %.0f supervised", goes_on ? " so far" : "",
                       supervised);
    else
        (void)snprintf(what, sizeof what, "steps%s", goes_on ? ", so far" : "");
    tile(m, value, what);
    wz_format_duration(wz_page_training_s(h), value);
    if (!isnan(wz_page_training_s(h)))
        tile(m, value, "in steps");
    const double tokens = wz_history_last(h, "num_tokens");
    (void)snprintf(value, sizeof value, "%.3g M", tokens / 1e6);
    if (!isnan(tokens))
        tile(m, value, "tokens");
    wz_markup_raw(m, "</div>\n");
}

/* ---- alarms ---- */

void wz_page_alarms(wz_markup *m, const wz_page_run *runs, size_t count)
{
    bool any = false;
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < runs[r].history.alarm_count; i++) {
            const wz_alarm_note *note = &runs[r].history.alarms[i];
            wz_markup_raw(m, "<div class=\"alarm\"><b>Alarm: ");
            wz_markup_text(m, note->kind.data);
            wz_markup_print(m, "</b>, step %.0f", note->step);
            if (count > 1) {
                wz_markup_raw(m, ", ");
                wz_markup_text(m, runs[r].name);
            }
            wz_markup_raw(m, "<br/>");
            wz_markup_text(m, note->message.data);
            wz_markup_raw(m, "</div>\n");
            any = true;
        }
    if (!any)
        wz_markup_raw(m, "<p class=\"quiet\">No alarm was raised.</p>\n");
}

/* ---- configuration ---- */

/* One key with its value; only_changed: unless that is the default. */
static void write_key(wz_markup *m, const wz_config *config, const wz_config *standard,
                      const wz_config_place *place, bool only_changed)
{
    wz_text value = {0}, usual = {0};
    const char *prefix = place->option != NULL ? "task." : "";
    const char *name = place->option != NULL ? place->option->name
                       : place->key != NULL  ? place->key->name
                                             : "";
    wz_status status = wz_config_format(config, place, &value, m->err);
    if (status == WZ_OK)
        status = wz_config_format(standard, place, &usual, m->err);
    if (status != WZ_OK)
        m->status = status;
    const bool changed = status == WZ_OK && strcmp(value.data, usual.data) != 0;
    if (status == WZ_OK && (changed || !only_changed)) {
        wz_markup_print(m, "<tr%s><td><code>%s%s</code></td><td>", changed ? " class=\"changed\"" : "",
                        prefix, name);
        wz_markup_text(m, value.data);
        wz_markup_raw(m, "</td><td class=\"sub\">");
        wz_markup_text(m, changed ? usual.data : "");
        wz_markup_raw(m, "</td></tr>\n");
    }
    wz_text_clear(&value);
    wz_text_clear(&usual);
}

static void write_keys(wz_markup *m, const wz_config *config, bool only_changed)
{
    wz_config standard;
    wz_config_default(&standard);
    const wz_task *usual = standard.task;
    standard.task = config->task;
    wz_task_default_values(config->task, standard.task_values);
    wz_markup_raw(
        m, "<div class=\"wide\"><table class=\"left\"><tr><th>key</th><th>value</th><th>default</th></tr>\n");
    for (size_t i = 0; i < wz_config_key_count; i++) {
        const wz_config_place place = {.key = &wz_config_keys[i]};
        if (place.key->type == WZ_KEY_HEADING)
            continue;
        standard.task = place.key->type == WZ_KEY_TASK ? usual : config->task;
        write_key(m, config, &standard, &place, only_changed);
        standard.task = config->task;
        for (size_t o = 0; place.key->type == WZ_KEY_TASK && o < config->task->option_count; o++) {
            const wz_config_place option = {.option = &config->task->options[o], .option_index = o};
            write_key(m, config, &standard, &option, only_changed);
        }
    }
    wz_markup_raw(m, "</table></div>\n");
}

static void write_config(wz_markup *m, const wz_page_run *run)
{
    wz_markup_raw(m, "<h2>Configuration</h2>\n");
    if (!run->has_config) {
        wz_markup_element(m, "p", run->config_failure.text);
        wz_markup_raw(m, "<pre>");
        wz_markup_text(m, run->config_text.data != NULL ? run->config_text.data : "");
        wz_markup_raw(m, "</pre>\n");
        return;
    }
    wz_markup_raw(m, "<p class=\"note\">Keys that differ from their defaults:</p>\n");
    write_keys(m, &run->config, true);
    wz_markup_raw(m, "<details><summary>All keys</summary>\n");
    write_keys(m, &run->config, false);
    wz_markup_raw(m, "</details>\n");
}

/* ---- environment ---- */

static void write_environment(wz_markup *m, const json_t *environment)
{
    const char *name = NULL;
    json_t *value = NULL;
    if (environment == NULL)
        return;
    wz_markup_raw(m, "<h2>Environment</h2>\n<div class=\"wide\"><table class=\"left\">\n");
    json_object_foreach((json_t *)environment, name, value)
    {
        wz_markup_raw(m, "<tr>");
        wz_markup_element(m, "td", name);
        wz_markup_raw(m, "<td>");
        if (json_is_string(value))
            wz_markup_text(m, json_string_value(value));
        else if (json_is_integer(value))
            wz_markup_print(m, "%lld", (long long)json_integer_value(value));
        else if (json_is_real(value))
            wz_markup_print(m, "%g", json_real_value(value));
        wz_markup_raw(m, "</td></tr>\n");
    }
    wz_markup_raw(m, "</table></div>\n");
}

/* A path as one word of a shell. */
static void write_word(wz_markup *m, const char *word)
{
    const bool plain = word[0] != '\0' && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                       "0123456789_-./=,:+") == strlen(word);
    if (plain) {
        wz_markup_text(m, word);
        return;
    }
    wz_markup_text(m, "'");
    for (const char *at = word; *at != '\0'; at++)
        if (*at == '\'')
            wz_markup_text(m, "'\\''");
        else
            wz_markup_bytes(m, at, 1);
    wz_markup_text(m, "'");
}

static void write_commands(wz_markup *m, const wz_page_run *run)
{
    const char *commit = json_string_value(json_object_get(run->environment, "git_commit"));
    wz_markup_raw(m, "<h2>How to reproduce</h2>\n<p class=\"note\">The same build and device give the same "
                     "bytes; the run's "
                     "<code>config.yaml</code> holds every key.</p>\n<pre>");
    if (commit != NULL) {
        const size_t length = strcspn(commit, "-"); /* "-dirty": changes that were not committed */
        wz_markup_raw(m, "git checkout ");
        wz_markup_bytes(m, commit, length);
        wz_markup_raw(m, commit[length] != '\0' ? "   # with changes that were not committed\n" : "\n");
    }
    wz_markup_raw(m, "cmake -S . -B build -G Ninja &amp;&amp; cmake --build build\nbuild/wavezero train ");
    write_word(m, run->path);
    wz_markup_raw(m, "/config.yaml output_dir=runs/again\nbuild/wavezero eval ");
    write_word(m, run->path);
    wz_markup_raw(m, "/checkpoints/best.h5\nbuild/wavezero report ");
    write_word(m, run->path);
    wz_markup_raw(m, "</pre>\n");
}

void wz_page_about(wz_markup *m, const wz_page_run *run)
{
    write_config(m, run);
    write_environment(m, run->environment);
    write_commands(m, run);
}
