/* Published figures, measured again: what rewards/published.c lists, each on its own problems.
 *
 * Every figure is a quotient of sums over problems, R = sum a / sum b: a the algorithm's objective (0 where infeasible), its
 * ratio to the reference, or 1 where feasible; b the reference's or the field algorithm's objective, or 1. Its standard error
 * is that of a ratio estimator (Cochran 1977, section 2.11), sqrt(sum (a - R b)^2 / (n (n - 1))) / mean b. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/cmd_tasks.h"
#include "engine/core/clock.h"
#include "engine/core/json.h"
#include "engine/core/suggest.h"
#include "rewards/published.h"
#include "rewards/sun_figures.h"

#define RANDOM_BEST "random_best_of_"
#define RANDOM_BEST_LENGTH (sizeof RANDOM_BEST - 1)

typedef struct figure {
    const wz_published *published;
    size_t setting;  /* index of the first figure of the same problems */
    size_t baseline; /* SIZE_MAX: none of the verifier's */
    size_t tries;    /* of a random best; 0: none. With no baseline either it is the reference */
    int64_t problems;
    double a, b, aa, ab, bb; /* sums */
    double measured, error;
} figure;

typedef struct figures {
    figure *items;
    size_t count;
    int64_t problems; /* of all settings */
    wz_sun_figure sun[WZ_SUN_FIGURES];
    size_t sun_count; /* 0: not asked for */
    int sun_samples;
} figures;

/* What one problem has shown so far; baselines are run once, whichever figures ask for them. */
typedef struct outcomes {
    bool has_reference, has_baseline[WZ_MAX_BASELINES];
    wz_reference reference;
    wz_outcome baseline[WZ_MAX_BASELINES];
} outcomes;

bool wz_tasks_same_setting(const wz_published *a, const wz_published *b)
{
    return strcmp(a->task, b->task) == 0 && strcmp(a->options, b->options) == 0;
}

wz_status wz_tasks_use_setting(wz_tasks_request *request, const char *task, const char *options,
                               wz_error *err)
{
    char assignment[128];
    wz_status status = WZ_OK;
    request->config.task = NULL; /* so that the options start from their defaults */
    (void)snprintf(assignment, sizeof assignment, "task.name=%s", task);
    status = wz_config_override(&request->config, assignment, err);
    while (status == WZ_OK && *options != '\0') {
        const size_t length = strcspn(options, " ");
        (void)snprintf(assignment, sizeof assignment, "task.%.*s", (int)length, options);
        status = wz_config_override(&request->config, assignment, err);
        options += length + (options[length] == ' ');
    }
    if (status == WZ_OK)
        status = wz_task_check_values(request->config.task, request->config.task_values, err);
    if (status != WZ_OK)
        return wz_fail_prefix(err, status, "setting of %s: ", task);
    request->verifier = wz_verifier_find(task);
    if (request->verifier == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "the task %s has no verifier", task);
    return WZ_OK;
}

/* ---- what is to be measured ---- */

static size_t find_baseline(const wz_verifier *verifier, const char *name)
{
    for (size_t b = 0; name != NULL && b < verifier->baseline_count; b++)
        if (strcmp(verifier->baselines[b].name, name) == 0)
            return b;
    return SIZE_MAX;
}

static wz_status plan_figure(figure *f, const wz_tasks_request *request, wz_error *err)
{
    const wz_published *p = f->published;
    const wz_verifier *verifier = wz_verifier_find(p->task);
    if (verifier == NULL)
        return wz_fail(err, WZ_ERR_RUNTIME, "a published figure names the unknown task %s", p->task);
    f->baseline = find_baseline(verifier, p->baseline);
    if (strncmp(p->baseline, RANDOM_BEST, RANDOM_BEST_LENGTH) == 0)
        f->tries = (size_t)strtoul(p->baseline + RANDOM_BEST_LENGTH, NULL, 10);
    if (f->baseline == SIZE_MAX && f->tries == 0 && strcmp(p->baseline, "reference") != 0 && p->problems > 0)
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: a published figure names the unknown algorithm %s", p->task,
                       p->baseline);
    if (p->figure == WZ_PUBLISHED_PERCENT && find_baseline(verifier, verifier->field_algorithm) == SIZE_MAX)
        return wz_fail(err, WZ_ERR_RUNTIME, "%s has no algorithm of its field to compare with", p->task);
    f->problems = request->problems > 0 && request->problems < p->problems ? request->problems : p->problems;
    return WZ_OK;
}

/* The figures of request->only, or all. */
static wz_status plan_figures(const wz_tasks_request *request, figures *all, wz_error *err)
{
    void *items = NULL;
    wz_status status = wz_alloc(&items, wz_published_count, sizeof *all->items, "published figures", err);
    *all = (figures){.items = items};
    for (size_t i = 0; i < wz_published_count && status == WZ_OK; i++) {
        const wz_published *p = &wz_published_figures[i];
        if (request->only != NULL && strcmp(request->only, p->task) != 0)
            continue;
        figure *f = &all->items[all->count];
        *f = (figure){.published = p};
        while (f->setting < all->count && !wz_tasks_same_setting(all->items[f->setting].published, p))
            f->setting++;
        all->count++;
        status = plan_figure(f, request, err);
    }
    return status;
}

static int64_t problems_of(const figures *all, size_t setting)
{
    int64_t most = 0;
    for (size_t i = setting; i < all->count; i++)
        if (all->items[i].setting == setting && all->items[i].problems > most)
            most = all->items[i].problems;
    return most;
}

/* ---- measuring ---- */

static wz_status need_reference(const wz_verifier *verifier, const wz_problem *problem, outcomes *seen,
                                wz_error *err)
{
    if (seen->has_reference)
        return WZ_OK;
    seen->has_reference = true;
    return wz_reference_find(verifier, problem, WZ_EFFORT_EVALUATION, NULL, &seen->reference, err);
}

static wz_status need_baseline(const wz_tasks_request *request, const wz_problem *problem, size_t which,
                               outcomes *seen, wz_error *err)
{
    if (seen->has_baseline[which])
        return WZ_OK;
    seen->has_baseline[which] = true;
    return wz_baseline_run(request->verifier, which, problem, (uint64_t)request->config.seed,
                           &seen->baseline[which], err);
}

static wz_status find_outcome(const wz_tasks_request *request, const wz_problem *problem, const figure *f,
                              outcomes *seen, wz_outcome *out, wz_error *err)
{
    wz_status status;
    if (f->tries > 0)
        return wz_random_best(request->verifier, problem, (uint64_t)request->config.seed, f->tries, out, err);
    if (f->baseline == SIZE_MAX) {
        status = need_reference(request->verifier, problem, seen, err);
        *out = (wz_outcome){.feasible = true, .objective = seen->reference.objective};
        return status;
    }
    status = need_baseline(request, problem, f->baseline, seen, err);
    *out = seen->baseline[f->baseline];
    return status;
}

/* What the figure divides by on this problem. */
static wz_status find_base(const wz_tasks_request *request, const wz_problem *problem, const figure *f,
                           outcomes *seen, double *base, wz_error *err)
{
    const wz_verifier *verifier = request->verifier;
    const wz_published_figure kind = f->published->figure;
    wz_status status = WZ_OK;
    *base = 1;
    if (kind == WZ_PUBLISHED_RATIO || kind == WZ_PUBLISHED_RATIO_OF_MEANS) {
        status = need_reference(verifier, problem, seen, err);
        *base = seen->reference.objective;
    } else if (kind == WZ_PUBLISHED_PERCENT) {
        const size_t field = find_baseline(verifier, verifier->field_algorithm);
        status = need_baseline(request, problem, field, seen, err);
        *base = seen->baseline[field].feasible ? seen->baseline[field].objective : 0;
    }
    return status;
}

static wz_status add_problem(const wz_tasks_request *request, const wz_problem *problem, outcomes *seen,
                             figure *f, wz_error *err)
{
    wz_outcome outcome = {0};
    double b;
    wz_status status = find_outcome(request, problem, f, seen, &outcome, err);
    if (status == WZ_OK)
        status = find_base(request, problem, f, seen, &b, err);
    if (status != WZ_OK)
        return status;
    double a = outcome.feasible ? outcome.objective : 0;
    if (f->published->figure == WZ_PUBLISHED_FEASIBLE)
        a = outcome.feasible;
    if (f->published->figure == WZ_PUBLISHED_RATIO) {
        a /= b;
        b = 1;
    }
    f->a += a;
    f->b += b;
    f->aa += a * a;
    f->ab += a * b;
    f->bb += b * b;
    return WZ_OK;
}

static wz_status measure_setting(wz_tasks_request *request, figures *all, size_t setting,
                                 wz_progress *progress, int64_t *done, wz_error *err)
{
    const wz_published *p = all->items[setting].published;
    const int64_t count = problems_of(all, setting);
    wz_status status = wz_tasks_use_setting(request, p->task, p->options, err);
    for (int64_t n = 0; n < count && status == WZ_OK; n++) {
        wz_problem problem = {0};
        outcomes seen = {0};
        status = wz_problem_generate(request->config.task, request->config.task_values,
                                     (uint64_t)request->config.seed, request->split,
                                     (uint32_t)(request->first + n), &problem, err);
        for (size_t i = setting; i < all->count && status == WZ_OK; i++)
            if (all->items[i].setting == setting && n < all->items[i].problems)
                status = add_problem(request, &problem, &seen, &all->items[i], err);
        wz_problem_clear(&problem);
        wz_progress_update(progress, ++*done, "", NAN, p->task, wz_now_s());
    }
    return status;
}

static void finish_figure(figure *f)
{
    const double n = (double)f->problems, scale = f->published->figure == WZ_PUBLISHED_PERCENT ? 100 : 1,
                 quotient = f->a / f->b,
                 squares = fmax(f->aa - 2 * quotient * f->ab + quotient * quotient * f->bb, 0);
    f->measured = scale * quotient;
    f->error = n > 1 ? scale * sqrt(squares / (n * (n - 1))) / (f->b / n) : NAN;
}

static wz_status measure(const wz_cli *cli, wz_tasks_request *request, figures *all, wz_error *err)
{
    wz_progress progress;
    wz_status status = WZ_OK;
    int64_t total = 0, done = 0;
    for (size_t i = 0; i < all->count; i++)
        total += all->items[i].setting == i ? problems_of(all, i) : 0;
    wz_progress_start(&progress, cli->progress.is_terminal ? cli->log : NULL, &cli->progress, "problem", 0,
                      total, wz_now_s());
    for (size_t i = 0; i < all->count && status == WZ_OK; i++)
        if (all->items[i].setting == i)
            status = measure_setting(request, all, i, &progress, &done, err);
    wz_progress_clear(&progress);
    for (size_t i = 0; i < all->count; i++)
        finish_figure(&all->items[i]);
    return status;
}

/* ---- writing ---- */

static bool is_check(const figure *f)
{
    return !isnan(f->published->tolerance);
}

static bool is_within(const figure *f)
{
    const wz_published *p = f->published;
    return is_check(f) && f->measured >= p->low - p->tolerance && f->measured <= p->high + p->tolerance;
}

static void name_figure(const wz_published *p, char out[48])
{
    static const char *const names[] = {"mean of ratios", "ratio of means", "", "feasible", "mean"};
    if (p->figure == WZ_PUBLISHED_PERCENT)
        (void)snprintf(out, 48, "%% of %.40s", wz_verifier_find(p->task)->field_algorithm);
    else
        (void)snprintf(out, 48, "%s", names[p->figure]);
}

/* A number, or "-" where there is none. */
static void write_number(const char *format, double value, char out[32])
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(out, 32, isfinite(value) ? format : "-", value);
#pragma GCC diagnostic pop
}

static wz_status write_figure(const figure *f, wz_text *out, wz_error *err)
{
    const wz_published *p = f->published;
    char name[48], range[48], measured[32], error[32];
    name_figure(p, name);
    write_number("%.5g", f->measured, measured);
    write_number("%.2g", f->error, error);
    if (p->low == p->high)
        (void)snprintf(range, sizeof range, "%.5g", p->low);
    else
        (void)snprintf(range, sizeof range, "%.5g to %.5g", p->low, p->high);
    return wz_text_printf(out, err, "  %-20s %-16s %14s %10s %8s %6lld  %-8s  %s\n", p->baseline, name, range,
                          measured, error, (long long)f->problems,
                          !is_check(f)   ? "no check"
                          : is_within(f) ? "within"
                                         : "OUTSIDE",
                          p->source);
}

/* How many figures are what they are said to be. */
typedef struct verdicts {
    size_t within, checks, all;
} verdicts;

static verdicts count_verdicts(const figures *all)
{
    verdicts v = {.all = all->count + all->sun_count};
    for (size_t i = 0; i < all->count; i++) {
        v.within += is_within(&all->items[i]);
        v.checks += is_check(&all->items[i]);
    }
    for (size_t i = 0; i < all->sun_count; i++)
        v.within += wz_sun_figure_is_within(&all->sun[i]);
    v.checks += all->sun_count;
    return v;
}

static wz_status write_sun(const figures *all, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    if (all->sun_count > 0)
        status = wz_text_printf(
            out, err, "power_control: the test samples of Sun et al. 2018 themselves, not rounded\n");
    for (size_t i = 0; i < all->sun_count && status == WZ_OK; i++) {
        const wz_sun_figure *f = &all->sun[i];
        status = wz_text_printf(out, err, "  links=%-2zu %-36s %s%7.5g %10.5g %8.2g %6d  %s\n", f->links,
                                f->name, f->is_most ? "<= " : "   ", f->published, f->measured, f->error,
                                all->sun_samples, wz_sun_figure_is_within(f) ? "within" : "OUTSIDE");
    }
    return status;
}

static wz_status write_table(const figures *all, wz_text *out, wz_error *err)
{
    const verdicts v = count_verdicts(all);
    wz_status status = wz_text_printf(out, err, "  %-20s %-16s %14s %10s %8s %6s  %-8s  %s\n", "algorithm",
                                      "figure", "published", "measured", "s.e.", "of", "verdict", "source");
    for (size_t i = 0; i < all->count && status == WZ_OK; i++) {
        if (all->items[i].setting != i)
            continue;
        status = wz_text_printf(out, err, "%s: %s\n", all->items[i].published->task,
                                all->items[i].published->options);
        for (size_t k = i; k < all->count && status == WZ_OK; k++)
            if (all->items[k].setting == i)
                status = write_figure(&all->items[k], out, err);
    }
    if (status == WZ_OK)
        status = write_sun(all, out, err);
    if (status == WZ_OK)
        status = wz_text_printf(
            out, err,
            "%zu of %zu figures within their tolerance, %zu not reproduced; %zu more are no check\n",
            v.within, v.checks, v.checks - v.within, v.all - v.checks);
    return status;
}

static void write_figure_json(const figure *f, wz_json *json)
{
    const wz_published *p = f->published;
    char name[48];
    name_figure(p, name);
    wz_json_begin_object(json);
    wz_json_field_string(json, "task", p->task);
    wz_json_field_string(json, "options", p->options);
    wz_json_field_string(json, "algorithm", p->baseline);
    wz_json_field_string(json, "figure", name);
    wz_json_field_number(json, "low", p->low);
    wz_json_field_number(json, "high", p->high);
    wz_json_field_number(json, "tolerance", p->tolerance);
    wz_json_field_integer(json, "problems", f->problems);
    wz_json_field_number(json, "measured", f->measured);
    wz_json_field_number(json, "standard_error", f->error);
    if (is_check(f))
        wz_json_field_boolean(json, "within", is_within(f));
    wz_json_field_string(json, "source", p->source);
    wz_json_end_object(json);
}

static void write_sun_json(const figures *all, wz_json *json)
{
    wz_json_key(json, "sun_test_set");
    wz_json_begin_array(json);
    for (size_t i = 0; i < all->sun_count; i++) {
        const wz_sun_figure *f = &all->sun[i];
        wz_json_begin_object(json);
        wz_json_field_string(json, "figure", f->name);
        wz_json_field_integer(json, "links", (int64_t)f->links);
        wz_json_field_number(json, f->is_most ? "at_most" : "published", f->published);
        wz_json_field_number(json, "tolerance", f->tolerance + 4 * f->error);
        wz_json_field_integer(json, "problems", all->sun_samples);
        wz_json_field_number(json, "measured", f->measured);
        wz_json_field_boolean(json, "within", wz_sun_figure_is_within(f));
        wz_json_end_object(json);
    }
    wz_json_end_array(json);
}

static wz_status write_json(const figures *all, wz_text *out, wz_error *err)
{
    const verdicts v = count_verdicts(all);
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_key(&json, "figures");
    wz_json_begin_array(&json);
    for (size_t i = 0; i < all->count; i++)
        write_figure_json(&all->items[i], &json);
    wz_json_end_array(&json);
    write_sun_json(all, &json);
    wz_json_field_integer(&json, "within", (int64_t)v.within);
    wz_json_field_integer(&json, "outside", (int64_t)(v.checks - v.within));
    wz_json_field_integer(&json, "no_check", (int64_t)(v.all - v.checks));
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status check_only(const char *only, wz_error *err)
{
    wz_suggestion nearest = {0};
    for (size_t i = 0; only != NULL && wz_tasks[i] != NULL; i++) {
        if (strcmp(wz_tasks[i]->name, only) == 0)
            return WZ_OK;
        wz_suggest(&nearest, only, wz_tasks[i]->name);
    }
    if (only == NULL)
        return WZ_OK;
    if (nearest.best != NULL)
        return wz_fail(err, WZ_ERR_USAGE, "--task: unknown task '%.64s' (did you mean '%s'?)", only,
                       nearest.best);
    return wz_fail(err, WZ_ERR_USAGE, "--task: unknown task '%.64s'; `wavezero tasks` lists them", only);
}

wz_status wz_tasks_published(const wz_cli *cli, wz_tasks_request *request, wz_text *out, wz_error *err)
{
    figures all = {0};
    wz_status status = check_only(request->only, err);
    if (status == WZ_OK)
        status = plan_figures(request, &all, err);
    if (status == WZ_OK)
        status = measure(cli, request, &all, err);
    if (status == WZ_OK && (request->only == NULL || strcmp(request->only, "power_control") == 0)) {
        all.sun_samples = request->problems > 0 && request->problems < 1000 ? (int)request->problems : 1000;
        all.sun_count = WZ_SUN_FIGURES;
        wz_sun_figures_measure(all.sun_samples, all.sun);
    }
    if (status == WZ_OK)
        status = (request->json ? write_json : write_table)(&all, out, err);
    free(all.items);
    return status;
}
