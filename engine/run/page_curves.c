/* The curves of a report: of one run several figures in a chart, of several runs one figure each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/page_internal.h"

#define FIGURES_MAX 6

typedef struct chart_figure {
    const char *name, *label;
    bool is_thin;
} chart_figure;

/* Charts by the names of metrics; the first figure is the one that several runs are compared by. */
static const struct {
    const char *title, *note;
    bool is_log, is_share, has_levels, may_be_level;
    chart_figure figures[FIGURES_MAX];
} charts[] = {
    {"Held-out score",
     "objective / reference",
     false,
     false,
     true,
     true,
     {{"eval_objective_ratio", "held-out problems, greedy", false},
      {"optimality/ratio", "sampled while training", true}}},
    {"Supervised loss",
     "mean of -log p over the tokens that count",
     false,
     false,
     false,
     true,
     {{"sft_loss", "", false}}},
    {"Supervised steps' tokens right",
     "share of the tokens that count",
     false,
     true,
     false,
     true,
     {{"sft_token_accuracy", "", false}}},
    {"Reward",
     NULL,
     false,
     false,
     false,
     true,
     {{"reward", "mean", false}, {"reward_std", "deviation within groups", true}}},
    {"Entropy",
     "nats per decision",
     false,
     false,
     false,
     true,
     {{"entropy", "mean", false}, {"entropy/first", "first decision", true}, {"entropy/last", "last", true}}},
    {"Gradient norm",
     "before clipping",
     true,
     false,
     false,
     false,
     {{"grad_norm", "all", false},
      {"grad_norm/embedding", "embedding", true},
      {"grad_norm/attention", "attention", true},
      {"grad_norm/mlp", "MLP", true},
      {"grad_norm/norms", "norms", true},
      {"grad_norm/head", "head", true}}},
    {"Groups",
     "share of all groups",
     false,
     true,
     false,
     true,
     {{"groups/dead", "equal rewards, not optimal", false},
      {"groups/solved", "all answers optimal", true},
      {"groups/failed", "none feasible", true}}},
    {"Variety of answers",
     "share of the commonest one",
     false,
     true,
     false,
     true,
     {{"answers/top_share", "the policy's", false},
      {"answers/reference_top_share", "the references'", true}}},
    {"Answers",
     "share of sampled answers",
     false,
     true,
     false,
     true,
     {{"optimality/exact", "optimal", false}, {"optimality/feasible", "feasible", true}}},
    {"Completion length",
     "tokens",
     false,
     false,
     false,
     false,
     {{"completions/mean_length", "mean", false},
      {"completions/min_length", "shortest", true},
      {"completions/max_length", "longest", true}}},
    {"Cut by the length limit",
     "share of completions",
     false,
     true,
     false,
     false,
     {{"completions/clipped_ratio", "", false}}},
    {"KL divergence", "from the reference policy", false, false, false, false, {{"kl", "", false}}},
    {"Clipped tokens",
     "share",
     false,
     false,
     false,
     false,
     {{"clip_ratio/region_mean", "all", false},
      {"clip_ratio/low_mean", "low", true},
      {"clip_ratio/high_mean", "high", true}}},
    {"Problem size", NULL, false, false, false, false, {{"task/size", "", false}}},
    {"Curriculum", "stage", false, false, false, false, {{"curriculum/stage", "", false}}},
    {"Problems that come again",
     "share of groups with equal rewards",
     false,
     true,
     false,
     false,
     {{"replay/frac_reward_zero_std", "from the pool", false},
      {"replay/fresh_frac_reward_zero_std", "new ones", true}}},
    {"Learning rate", NULL, false, false, false, false, {{"learning_rate", "", false}}},
    {"Speed",
     "tokens per second",
     false,
     false,
     false,
     false,
     {{"tokens_per_second/rollout", "rollout", false}, {"tokens_per_second/train", "update", true}}},
};

/* ---- curves ---- */

static bool add_curve(wz_chart *chart, const wz_page_run *runs, size_t count, size_t group, const char *name,
                      const char *label, bool is_thin)
{
    if (chart->curve_count == WZ_CHART_CURVES)
        return false;
    wz_curve *curve = &chart->curves[chart->curve_count];
    if (!wz_page_curve(runs, count, group, name, chart->border != NULL ? chart->border_x : NAN, curve))
        return false;
    curve->color = (int)(chart->curve_count % WZ_CHART_COLORS);
    curve->is_thin = is_thin;
    (void)snprintf(curve->label, sizeof curve->label, "%s", label);
    chart->curve_count++;
    return true;
}

/* Whether no curve ever changes: nothing to look at. */
static bool is_level(const wz_chart *chart)
{
    for (size_t c = 0; c < chart->curve_count; c++)
        for (size_t i = 1; i < chart->curves[c].count; i++)
            if (chart->curves[c].y[i] != chart->curves[c].y[0])
                return false;
    return true;
}

static void add_level(wz_chart *chart, const char *label, double value)
{
    if (!isfinite(value) || chart->line_count == WZ_CHART_LINES)
        return;
    wz_chart_line *line = &chart->lines[chart->line_count++];
    line->value = value;
    (void)snprintf(line->label, sizeof line->label, "%s", label);
}

static void add_levels(wz_chart *chart, const wz_page_run *runs, size_t count, const char *reference)
{
    double ratio = NAN;
    char label[64];
    (void)snprintf(label, sizeof label, "%.40s 1", reference != NULL ? reference : "reference");
    add_level(chart, label, 1.0);
    const char *name = wz_page_best_baseline(runs, count, WZ_BASELINE_ALGORITHM, &ratio);
    (void)snprintf(label, sizeof label, "%.40s %.3f", name != NULL ? name : "", ratio);
    add_level(chart, label, ratio);
    name = wz_page_best_baseline(runs, count, WZ_BASELINE_TRIVIAL, &ratio);
    (void)snprintf(label, sizeof label, "%.40s %.3f", name != NULL ? name : "", ratio);
    add_level(chart, label, ratio);
}

/* Each series whose name begins and ends so, as a curve: the parts of a mixture, the sizes of a curriculum. */
static void add_matching(wz_chart *chart, const wz_page_run *run, const char *start, const char *within,
                         const char *end)
{
    const wz_history *h = &run->history;
    char label[96];
    for (size_t i = 0; i < h->count; i++) {
        const char *name = h->series[i].name;
        const size_t length = strlen(name), from = strlen(start), to = strlen(end);
        if (length <= from + to || strncmp(name, start, from) != 0 || strcmp(name + length - to, end) != 0 ||
            (strstr(name, "size_") != NULL) != (within != NULL))
            continue;
        (void)snprintf(label, sizeof label, "%.*s", (int)(length - from - to), name + from);
        (void)add_curve(chart, run, 1, run->group, name, label, false);
    }
}

/* How far the held-out score is from the reference, by powers of ten: what is left when the score looks level. */
static void write_gap(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups,
                      const wz_chart *empty)
{
    char label[WZ_CHART_LABEL] = "";
    double ratio = NAN;
    wz_chart chart = *empty;
    chart.title = "Held-out gap";
    chart.note = "1 - objective / reference";
    chart.is_log = true;
    for (size_t g = 0; g < groups; g++) {
        if (groups > 1)
            wz_page_name_group(runs, count, g, label, sizeof label);
        if (!add_curve(&chart, runs, count, g, "eval_objective_ratio", label, false))
            continue;
        wz_curve *curve = &chart.curves[chart.curve_count - 1];
        for (size_t i = 0; i < curve->count; i++) {
            const double low = 1.0 - curve->high[i];
            curve->y[i] = 1.0 - curve->y[i];
            curve->high[i] = 1.0 - curve->low[i];
            curve->low[i] = low;
        }
    }
    static const int kinds[] = {WZ_BASELINE_ALGORITHM, WZ_BASELINE_TRIVIAL};
    for (size_t k = 0; k < 2; k++) {
        const char *name = wz_page_best_baseline(runs, count, kinds[k], &ratio);
        (void)snprintf(label, sizeof label, "%.40s %.3g", name != NULL ? name : "", 1.0 - ratio);
        if (name != NULL && ratio < 1.0)
            add_level(&chart, label, 1.0 - ratio);
    }
    if (chart.curve_count > 0)
        wz_chart_write(m, &chart);
}

static void write_parts(wz_markup *m, const wz_page_run *run, const wz_chart *empty)
{
    static const struct {
        const char *title, *start, *within, *end;
    } kinds[] = {{"Held-out score by family", "eval_", NULL, "_objective_ratio"},
                 {"Score by size, sampled", "optimality/", "size_", "/ratio"}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        wz_chart chart = *empty;
        chart.title = kinds[k].title;
        add_matching(&chart, run, kinds[k].start, kinds[k].within, kinds[k].end);
        if (chart.curve_count > 0)
            wz_chart_write(m, &chart);
    }
}

/* Chart number c of one run, or of several: the figures of the one, the first figure of each group. */
static void write_chart(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups, size_t c,
                        const char *reference, const wz_chart *empty)
{
    char label[WZ_CHART_LABEL];
    wz_chart chart = *empty;
    chart.title = charts[c].title;
    chart.note = charts[c].note;
    chart.is_log = charts[c].is_log;
    chart.floor = charts[c].is_share ? 0.0 : NAN;
    for (size_t f = 0; groups == 1 && f < FIGURES_MAX && charts[c].figures[f].name != NULL; f++)
        (void)add_curve(&chart, runs, count, 0, charts[c].figures[f].name, charts[c].figures[f].label,
                        charts[c].figures[f].is_thin);
    for (size_t g = 0; groups > 1 && g < groups; g++) {
        wz_page_name_group(runs, count, g, label, sizeof label);
        (void)add_curve(&chart, runs, count, g, charts[c].figures[0].name, label, false);
    }
    if (chart.curve_count == 0 || (!charts[c].may_be_level && is_level(&chart)))
        return;
    if (charts[c].has_levels)
        add_levels(&chart, runs, count, reference);
    wz_chart_write(m, &chart);
    if (charts[c].has_levels)
        write_gap(m, runs, count, groups, empty);
}

double wz_page_supervised_steps(const wz_page_run *run)
{
    const wz_series *series = wz_history_find(&run->history, "sft_loss");
    if (series == NULL)
        return 0.0;
    return run->has_config ? (double)run->config.sft_steps : series->step[series->count - 1];
}

/* Between the last supervised step and GRPO's first one; NaN: there are not both, or runs differ in it. */
static double border_of(const wz_page_run *runs, size_t count)
{
    const double steps = wz_page_supervised_steps(&runs[0]);
    bool goes_on = false;
    for (size_t r = 0; r < count; r++) {
        if (wz_page_supervised_steps(&runs[r]) != steps)
            return NAN;
        goes_on = goes_on || runs[r].history.last_step > steps;
    }
    return steps > 0.0 && goes_on ? steps + 0.5 : NAN;
}

void wz_page_curves(wz_markup *m, const wz_page_run *runs, size_t count, size_t groups, const char *reference)
{
    void *block = NULL;
    const double border = border_of(runs, count);
    if (m->status == WZ_OK)
        m->status = wz_alloc(&block, WZ_CHART_CURVES, sizeof(wz_curve), "the curves of a report", m->err);
    if (m->status != WZ_OK)
        return;
    const wz_chart empty = {.x_label = "step",
                            .floor = NAN,
                            .top = NAN,
                            .curves = block,
                            .border = isnan(border) ? NULL : "GRPO",
                            .border_x = border};
    wz_markup_raw(m, "<h2>Training</h2>\n");
    if (empty.border != NULL)
        wz_markup_print(
            m, "<p class=\"note\">Steps 1 to %.0f were supervised; upright lines: GRPO from there on.</p>\n",
            border - 0.5);
    if (groups < count)
        wz_markup_raw(m,
                      "<p class=\"note\">Runs that differ in their seeds alone: their mean and, as a band, "
                      "their range.</p>\n");
    if (groups > WZ_CHART_CURVES)
        wz_markup_print(m, "<p class=\"note\">Charts show the first %d of %zu.</p>\n", WZ_CHART_CURVES,
                        groups);
    wz_markup_raw(m, "<div class=\"grid\">\n");
    for (size_t c = 0; c < sizeof charts / sizeof *charts; c++)
        write_chart(m, runs, count, groups, c, reference, &empty);
    if (count == 1)
        write_parts(m, &runs[0], &empty);
    wz_markup_raw(m, "</div>\n");
    free(block);
}
