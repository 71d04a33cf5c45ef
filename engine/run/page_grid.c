/* Settings side by side, from a run's grid.json: a table, and the score against how long the policy may think. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/evaluation_grid.h"
#include "engine/run/page_internal.h"

#define CURVE_NAME 320 /* a part and a setting */

/* ---- members of a row; NaN or "": it has none ---- */

static double number_at(const json_t *row, const char *key, const char *member)
{
    const json_t *value = json_object_get(row, key);
    if (member != NULL)
        value = json_object_get(value, member);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text_at(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text != NULL ? text : "";
}

static double score_of(const json_t *row)
{
    return number_at(row, "objective_ratio", "mean");
}

static bool is_sampled(const json_t *row)
{
    return strcmp(text_at(row, "decoding"), "sampled") == 0;
}

static double best_of(const json_t *row)
{
    return score_of(json_object_get(row, "best_of"));
}

/* Of the best of as many random decisions as there may be candidates. */
static double random_score_of(const json_t *row)
{
    const json_t *scores = json_object_get(json_object_get(row, "tries"), "random_best_of");
    const size_t count = json_array_size(scores);
    return count > 0 ? score_of(json_array_get(scores, count - 1)) : NAN;
}

/* ---- the table ---- */

static const struct {
    const char *title, *key, *member;
    bool is_share;
} thinking[] = {{"tokens thought", "thinking", "mean_tokens", false},
                {"cut by the budget", "thinking", "cut_by_budget", true},
                {"candidates", "tries", "mean", false}};
enum { COLUMNS = sizeof thinking / sizeof *thinking };

/* Which columns any row fills. */
typedef struct columns {
    bool thinking[COLUMNS], random, sampled, free, best;
} columns;

static columns find_columns(const json_t *grid)
{
    columns has = {.random = false};
    for (size_t i = 0; i < json_array_size(grid); i++) {
        const json_t *row = json_array_get(grid, i);
        for (size_t c = 0; c < COLUMNS; c++)
            has.thinking[c] = has.thinking[c] || !isnan(number_at(row, thinking[c].key, thinking[c].member));
        has.random = has.random || !isnan(random_score_of(row));
        has.sampled = has.sampled || is_sampled(row);
        has.free = has.free || json_is_false(json_object_get(row, "answer_grammar"));
        has.best = has.best || !isnan(best_of(row));
    }
    return has;
}

static void write_number(wz_markup *m, double value, int digits)
{
    if (isnan(value))
        wz_markup_raw(m, "<td>-</td>");
    else
        wz_markup_print(m, "<td>%.*f</td>", digits, value);
}

static void write_share(wz_markup *m, double value)
{
    if (isnan(value))
        wz_markup_raw(m, "<td>-</td>");
    else
        wz_markup_print(m, "<td>%.1f%%</td>", 100.0 * value);
}

static void write_interval(wz_markup *m, double low, double high)
{
    if (isnan(low) || isnan(high))
        wz_markup_raw(m, "<td>-</td>");
    else
        wz_markup_print(m, "<td>%.4f..%.4f</td>", low, high);
}

static void write_head(wz_markup *m, const columns *has)
{
    wz_markup_raw(m, "<div class=\"wide\"><table><tr><th>setting</th>");
    wz_markup_element(m, "th", has->sampled ? "ratio of one sample" : "ratio");
    wz_markup_raw(m, has->free ? "<th>95% interval</th><th>valid, without a grammar</th><th>feasible</th>"
                               : "<th>95% interval</th><th>feasible</th>");
    for (size_t c = 0; c < COLUMNS; c++)
        if (has->thinking[c])
            wz_markup_element(m, "th", thinking[c].title);
    if (has->random)
        wz_markup_raw(m, "<th>as many random</th>");
    if (has->best)
        wz_markup_raw(m, "<th>samples</th><th>best of them</th><th>best of as many random</th>");
    wz_markup_raw(m, "<th style=\"text-align:left\">0 to 1</th></tr>\n");
}

static void write_row(wz_markup *m, const json_t *row, const columns *has)
{
    const double mean = score_of(row);
    write_number(m, mean, 4);
    write_interval(m, number_at(row, "objective_ratio", "ci_low"),
                   number_at(row, "objective_ratio", "ci_high"));
    if (has->free)
        write_number(m, number_at(row, "valid", NULL), 4);
    write_number(m, number_at(row, "feasible", NULL), 4);
    for (size_t c = 0; c < COLUMNS; c++)
        if (has->thinking[c])
            (thinking[c].is_share ? write_share(m, number_at(row, thinking[c].key, thinking[c].member))
                                  : write_number(m, number_at(row, thinking[c].key, thinking[c].member), 2));
    if (has->random)
        write_number(m, random_score_of(row), 4);
    if (has->best) {
        write_number(m, number_at(row, "samples", NULL), 0);
        write_number(m, best_of(row), 4);
        write_number(m, score_of(json_object_get(row, "random_best_of")), 4);
    }
    wz_markup_print(m,
                    "<td style=\"text-align:left\"><span class=\"bar\" style=\"width:%.0fpx\"></span></td>"
                    "</tr>\n",
                    140.0 * fmin(fmax(mean, 0.0), 1.0));
}

static void write_table(wz_markup *m, const json_t *grid)
{
    const columns has = find_columns(grid);
    int filled = 4 + has.free + has.random + (has.best ? 3 : 0);
    for (size_t c = 0; c < COLUMNS; c++)
        filled += has.thinking[c];
    write_head(m, &has);
    for (size_t i = 0; i < json_array_size(grid); i++) {
        const json_t *row = json_array_get(grid, i);
        const char *failure = text_at(row, "not_evaluated");
        wz_markup_raw(m, "<tr><td>");
        wz_markup_text(m, text_at(row, "part"));
        wz_markup_raw(m, text_at(row, "part")[0] != '\0' ? ": " : "");
        wz_markup_text(m, text_at(row, "setting"));
        wz_markup_raw(m, "</td>");
        if (failure[0] == '\0') {
            write_row(m, row, &has);
            continue;
        }
        wz_markup_print(m, "<td colspan=\"%d\" style=\"text-align:left;white-space:normal\">", filled);
        wz_markup_text(m, failure);
        wz_markup_raw(m, "</td></tr>\n");
    }
    wz_markup_raw(m, "</table></div>\n");
}

/* ---- the score against an axis ---- */

/* Whether a word of a setting is "key=...". */
static bool sets(const char *word, const char *key)
{
    const size_t length = strlen(key);
    return strncmp(word, key, length) == 0 && word[length] == '=';
}

/* What a row's curve is called: its part of a mixture, and what its setting says beside the axis. */
static void name_curve(const json_t *row, const char *key, char out[CURVE_NAME])
{
    size_t used = (size_t)snprintf(out, CURVE_NAME, "%.60s", text_at(row, "part"));
    for (const char *at = text_at(row, "setting"); *at != '\0' && used < CURVE_NAME;) {
        const size_t word = strcspn(at, " ");
        if (!sets(at, key))
            used +=
                (size_t)snprintf(out + used, CURVE_NAME - used, "%s%.*s", used > 0 ? " " : "", (int)word, at);
        at += word + strspn(at + word, " ");
    }
}

/* Puts a point at its place by rising x. */
static void add_point(wz_curve *curve, double x, double y, double low, double high)
{
    size_t at = curve->count;
    if (curve->count == WZ_CHART_POINTS || isnan(x) || isnan(y))
        return;
    for (; at > 0 && curve->x[at - 1] > x; at--) {
        curve->x[at] = curve->x[at - 1];
        curve->y[at] = curve->y[at - 1];
        curve->low[at] = curve->low[at - 1];
        curve->high[at] = curve->high[at - 1];
    }
    curve->x[at] = x;
    curve->y[at] = y;
    curve->low[at] = low;
    curve->high[at] = high;
    curve->count++;
}

/* Takes in the curve if it has two points or more. */
static void keep_curve(wz_chart *chart, const char *label, bool is_thin)
{
    wz_curve *curve = &chart->curves[chart->curve_count];
    if (curve->count < 2)
        return;
    curve->color = (int)(chart->curve_count % WZ_CHART_COLORS);
    curve->is_thin = is_thin;
    curve->has_points = true;
    curve->has_band = !is_thin;
    (void)snprintf(curve->label, sizeof curve->label, "%s", label);
    chart->curve_count++;
}

/* The rows that differ from row `first` in the axis alone, the policy's scores and the random ones. */
static void add_curves(wz_chart *chart, const json_t *grid, size_t first, const char *key, const char *name)
{
    char other[CURVE_NAME], label[96];
    for (int random = 0; random < 2 && chart->curve_count < WZ_CHART_CURVES; random++) {
        wz_curve *curve = &chart->curves[chart->curve_count];
        curve->count = 0;
        for (size_t i = first; i < json_array_size(grid); i++) {
            const json_t *row = json_array_get(grid, i);
            name_curve(row, key, other);
            if (strcmp(name, other) == 0)
                add_point(curve, number_at(row, key, NULL), random ? random_score_of(row) : score_of(row),
                          number_at(row, "objective_ratio", "ci_low"),
                          number_at(row, "objective_ratio", "ci_high"));
        }
        const char *whose =
            is_sampled(json_array_get(grid, first)) ? "one sample of the policy" : "the policy";
        (void)snprintf(label, sizeof label, "%.66s%s%s", name, name[0] != '\0' ? ": " : "",
                       random ? "as many random answers" : whose);
        keep_curve(chart, label, random);
    }
}

static bool is_first_of_its_name(const json_t *grid, size_t row, const char *key, const char *name)
{
    char other[CURVE_NAME];
    for (size_t i = 0; i < row; i++) {
        name_curve(json_array_get(grid, i), key, other);
        if (strcmp(name, other) == 0)
            return false;
    }
    return true;
}

static void write_axis(wz_markup *m, const json_t *grid, const char *key, const char *title,
                       const char *x_label, wz_curve *curves)
{
    wz_chart chart = {.title = title,
                      .note = "objective / reference; bands: 95% intervals",
                      .x_label = x_label,
                      .floor = NAN,
                      .top = NAN,
                      .curves = curves};
    char name[CURVE_NAME];
    for (size_t i = 0; i < json_array_size(grid) && chart.curve_count < WZ_CHART_CURVES; i++) {
        const json_t *row = json_array_get(grid, i);
        name_curve(row, key, name);
        if (!isnan(number_at(row, key, NULL)) && is_first_of_its_name(grid, i, key, name))
            add_curves(&chart, grid, i, key, name);
    }
    if (chart.curve_count > 0)
        wz_chart_write(m, &chart);
}

static bool has_axis(const json_t *grid)
{
    for (size_t i = 0; i < json_array_size(grid); i++)
        for (size_t k = 0; k < WZ_GRID_THINKING_KEYS; k++)
            if (!isnan(number_at(json_array_get(grid, i), wz_grid_thinking_keys[k], NULL)))
                return true;
    return false;
}

static void write_axes(wz_markup *m, const json_t *grid)
{
    static const struct {
        const char *title, *x_label;
    } axes[WZ_GRID_THINKING_KEYS] = {
        {"Score against the thinking budget", "thinking_budget, tokens"},
        {"Score against verified candidates", "verifier_tries, candidates"},
    };
    void *block = NULL;
    if (!has_axis(grid))
        return;
    if (m->status == WZ_OK)
        m->status = wz_alloc(&block, WZ_CHART_CURVES, sizeof(wz_curve), "the curves of a report", m->err);
    if (m->status != WZ_OK)
        return;
    wz_markup_raw(m, "<div class=\"grid fill\" style=\"margin-top:14px\">\n");
    for (size_t i = 0; i < WZ_GRID_THINKING_KEYS; i++)
        write_axis(m, grid, wz_grid_thinking_keys[i], axes[i].title, axes[i].x_label, block);
    wz_markup_raw(m, "</div>\n");
    free(block);
}

/* Whether some row's setting has an option of the task: what is left of it without the axes that are known. */
static bool sets_options(const json_t *grid)
{
    for (size_t i = 0; i < json_array_size(grid); i++)
        for (const char *at = text_at(json_array_get(grid, i), "setting"); *at != '\0';) {
            const size_t word = strcspn(at, " ");
            bool is_thinking = false;
            for (size_t k = 0; k < WZ_GRID_THINKING_KEYS; k++)
                is_thinking = is_thinking || sets(at, wz_grid_thinking_keys[k]);
            if (!is_thinking)
                return true;
            at += word + strspn(at + word, " ");
        }
    return false;
}

void wz_page_grid(wz_markup *m, const json_t *grid)
{
    if (json_array_size(grid) == 0)
        return;
    wz_markup_element(m, "h2",
                      sets_options(grid) ? "In and out of the training distribution"
                                         : "Score against how long it may think");
    wz_markup_raw(m,
                  "<p class=\"note\">From <code>grid.json</code> in the run's directory (<code>wavezero eval "
                  "... --grid ... --json</code>).</p>\n");
    write_table(m, grid);
    write_axes(m, grid);
}
