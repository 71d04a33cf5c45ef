/* A grid of evaluations as a table, a row for each setting, and as the items of a JSON array. */
#include "engine/run/evaluation_grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/run/evaluation_text.h"
#include "engine/run/problem_set.h"
#include "tasks/task_json.h"

typedef struct columns {
    int setting, percent, trivial, algorithm, best; /* widths */
    const wz_evaluation *first;                     /* of those that there are; NULL: none */
    bool thought, cut, tried;                       /* in some row */
} columns;

static int wider(int width, const char *text)
{
    return (int)strlen(text) > width ? (int)strlen(text) : width;
}

/* "0.6512 full": the mean ratio of the strongest of a kind. */
static void describe_strongest(const wz_evaluation *e, wz_baseline_kind kind, char out[80])
{
    const wz_eval_baseline *best = wz_evaluation_strongest(e, kind);
    if (best == NULL)
        (void)snprintf(out, 80, "-");
    else
        (void)snprintf(out, 80, "%.4f %.64s", best->score.mean, best->name);
}

/* "best of 16" */
static const char *name_best(const wz_evaluation *e, char out[32])
{
    (void)snprintf(out, 32, "best of %lld", (long long)e->samples);
    return out;
}

static columns measure(const wz_grid_row *rows, size_t count)
{
    columns c = {.setting = (int)strlen("setting"),
                 .percent = 8,
                 .trivial = (int)strlen("best trivial"),
                 .algorithm = (int)strlen("strongest algorithm")};
    for (const wz_grid_row *row = rows; row < rows + count; row++) {
        char text[80];
        c.setting = wider(c.setting, row->setting);
        if (row->failure[0] != '\0')
            continue;
        describe_strongest(&row->evaluation, WZ_BASELINE_TRIVIAL, text);
        c.trivial = wider(c.trivial, text);
        describe_strongest(&row->evaluation, WZ_BASELINE_ALGORITHM, text);
        c.algorithm = wider(c.algorithm, text);
        if (c.first == NULL)
            c.first = &row->evaluation;
        c.thought = c.thought || row->evaluation.thought.thinks;
        c.cut = c.cut || row->evaluation.thought.budget > 0;
        c.tried = c.tried || row->evaluation.tries.tries > 0;
    }
    if (c.first != NULL) {
        char best[32];
        c.best = (int)strlen(name_best(c.first, best));
    }
    if (c.first != NULL && strlen(c.first->field_algorithm) + 1 > 8)
        c.percent = (int)strlen(c.first->field_algorithm) + 1;
    return c;
}

static wz_status write_head(const columns *c, wz_text *out, wz_error *err)
{
    const wz_evaluation *e = c->first;
    char best[32];
    wz_status status =
        wz_text_printf(out, err, "%-*s %8s  %14s %*s%%%s %9s  %-*s  %-*s %8s %8s %8s", c->setting, "setting",
                       e->sampled ? "sampled" : "ratio", "95% interval", c->percent - 1, e->field_algorithm,
                       e->decodes_freely ? "    valid" : "", "feasible", c->trivial, "best trivial",
                       c->algorithm, "strongest algorithm", "gap p50", "gap p90", "gap p99");
    if (status == WZ_OK && e->samples > 1)
        status = wz_text_printf(out, err, " %8s %*s %8s", "greedy", c->best, name_best(e, best), "random");
    if (status == WZ_OK && c->thought)
        status = wz_text_printf(out, err, " %8s", "thought");
    if (status == WZ_OK && c->cut)
        status = wz_text_printf(out, err, " %6s", "cut");
    if (status == WZ_OK && c->tried)
        status = wz_text_printf(out, err, " %6s %14s", "tried", "as many random");
    if (status == WZ_OK && e->reordered)
        status = wz_text_printf(out, err, " %11s", "same, order");
    if (status == WZ_OK && e->timed)
        status = wz_text_printf(out, err, " %11s", "us/problem");
    return status == WZ_OK ? wz_text_printf(out, err, "  reference\n") : status;
}

/* Tokens before the answer, and the share that the budget cut; candidates, and the best of as many random decisions as there may be
 * of them. */
static wz_status write_thinking(const columns *c, const wz_evaluation *e, wz_text *out, wz_error *err)
{
    const int64_t tries = e->tries.tries;
    wz_status status = c->thought ? wz_text_printf(out, err, " %8.2f", e->thought.tokens) : WZ_OK;
    if (status == WZ_OK && c->cut && e->thought.budget > 0)
        status = wz_text_printf(out, err, " %5.1f%%", 100.0 * e->thought.cut);
    else if (status == WZ_OK && c->cut)
        status = wz_text_printf(out, err, " %6s", "-");
    if (status == WZ_OK && c->tried && tries > 0)
        status = wz_text_printf(out, err, " %6.2f %14.4f", e->tries.made, e->tries.random[tries - 1].mean);
    else if (status == WZ_OK && c->tried)
        status = wz_text_printf(out, err, " %6s %14s", "-", "-");
    return status;
}

static wz_status write_row(const columns *c, const wz_grid_row *row, wz_text *out, wz_error *err)
{
    const wz_evaluation *e = &row->evaluation;
    const wz_score *s = &e->policy;
    char trivial[80], algorithm[80], percent[32], valid[32];
    if (row->failure[0] != '\0')
        return wz_text_printf(out, err, "%-*s not evaluated: %s\n", c->setting, row->setting, row->failure);
    describe_strongest(e, WZ_BASELINE_TRIVIAL, trivial);
    describe_strongest(e, WZ_BASELINE_ALGORITHM, algorithm);
    wz_status status =
        wz_text_printf(out, err, "%-*s %8.4f  %.4f..%.4f %*s", c->setting, row->setting, s->mean, s->ci_low,
                       s->ci_high, c->percent, wz_write_finite(s->percent_of_field, 2, percent));
    if (status == WZ_OK && e->decodes_freely)
        status = wz_text_printf(out, err, " %8s", wz_write_finite(s->valid, 4, valid));
    if (status == WZ_OK)
        status = wz_text_printf(out, err, " %9.4f  %-*s  %-*s %8.4f %8.4f %8.4f", s->feasible, c->trivial,
                                trivial, c->algorithm, algorithm, s->gap_p50, s->gap_p90, s->gap_p99);
    if (status == WZ_OK && e->samples > 1)
        status = wz_text_printf(out, err, " %8.4f %*.4f %8.4f", e->greedy.mean, c->best, e->best_of.mean,
                                e->random_best_of.mean);
    if (status == WZ_OK)
        status = write_thinking(c, e, out, err);
    if (status == WZ_OK && e->reordered)
        status = wz_text_printf(out, err, " %11.4f", e->consistency.same);
    if (status == WZ_OK && e->timed)
        status = wz_text_printf(out, err, " %11.1f", e->model_s * 1e6);
    return status == WZ_OK ? wz_text_printf(out, err, "  %s\n", wz_reference_kind_name(e->reference_kind))
                           : status;
}

/* What rows of these kinds of reference mean. */
static wz_status write_foot(const wz_grid_row *rows, size_t count, wz_text *out, wz_error *err)
{
    bool has_bound = false, has_best_known = false;
    for (size_t i = 0; i < count; i++) {
        const wz_reference_kind kind = rows[i].evaluation.reference_kind;
        has_bound = has_bound || kind == WZ_REFERENCE_UPPER_BOUND;
        has_best_known = has_best_known || kind == WZ_REFERENCE_BEST_KNOWN;
    }
    wz_status status = WZ_OK;
    if (has_bound)
        status = wz_text_printf(out, err, "upper bound: a ratio of 1 may be out of reach\n");
    if (status == WZ_OK && has_best_known)
        status = wz_text_printf(out, err, "best known: not the optimum for sure, so a ratio may pass 1\n");
    return status;
}

/* What the figures are of. */
static wz_status write_title(const wz_evaluation *e, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_printf(
        out, err, "%lld problems each%s; ratio = objective / reference, 95%% interval by bootstrap\n",
        (long long)e->problems, wz_evaluation_how(e));
    if (status == WZ_OK && e->sampled)
        status = wz_text_printf(
            out, err,
            "sampled: the ratio of one answer drawn for each problem; interval, %s%%, %sfeasible and gaps "
            "are of it%s\n",
            e->field_algorithm, e->decodes_freely ? "valid, " : "",
            e->samples > 1 ? "; random: the best of as many random answers" : "");
    return status;
}

wz_status wz_grid_write_table(const wz_grid_row *rows, size_t count, wz_text *out, wz_error *err)
{
    const columns c = measure(rows, count);
    wz_status status = c.first == NULL ? wz_text_printf(out, err, "no setting could be evaluated\n")
                                       : write_title(c.first, out, err);
    if (status == WZ_OK && c.first != NULL)
        status = write_head(&c, out, err);
    for (size_t i = 0; status == WZ_OK && i < count; i++)
        status = write_row(&c, &rows[i], out, err);
    return status == WZ_OK ? write_foot(rows, count, out, err) : status;
}

void wz_grid_write_items(wz_json *json, const wz_grid_row *rows, size_t count)
{
    for (const wz_grid_row *row = rows; row < rows + count; row++) {
        wz_json_begin_object(json);
        wz_json_field_string(json, "task", row->task->name);
        if (row->part != NULL)
            wz_json_field_string(json, "part", row->part);
        wz_json_field_string(json, "setting", row->setting);
        for (size_t i = 0; i < WZ_GRID_THINKING_KEYS; i++)
            if (row->varies[i])
                wz_json_field_integer(json, wz_grid_thinking_keys[i], row->thinking[i]);
        if (row->failure[0] != '\0') {
            wz_json_field_string(json, "not_evaluated", row->failure);
        } else {
            wz_json_key(json, "options");
            wz_task_json_options(json, row->task, row->values);
            wz_evaluation_write_fields(json, &row->evaluation);
        }
        wz_json_end_object(json);
    }
}
