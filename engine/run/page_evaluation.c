/* What the best checkpoint answers to problems of the test split, for the tables and pictures of a report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/load.h"
#include "engine/run/page_internal.h"
#include "engine/run/problem_set.h"

#define SAMPLES 6 /* the first of the split, */
#define WORST 2   /* but for the last of them: those of the largest gaps */
#define BATCH 64

/* ---- asking ---- */

/* Indices of the first problems, and of those with the largest gaps among the rest. */
static void choose_samples(const double *ratios, int64_t count, uint32_t *index)
{
    for (uint32_t i = 0; i < SAMPLES; i++)
        index[i] = i;
    for (int w = SAMPLES - WORST; w < SAMPLES; w++) {
        int64_t worst = w;
        for (int64_t i = SAMPLES - WORST; i < count; i++)
            if (ratios[i] < ratios[worst] && (w == SAMPLES - WORST || i != (int64_t)index[w - 1]))
                worst = i;
        index[w] = (uint32_t)worst;
    }
}

static wz_status make_samples(const wz_eval_options *o, const double *ratios, wz_problem **out, wz_error *err)
{
    uint32_t index[SAMPLES];
    void *block = NULL;
    wz_status status = wz_alloc(&block, SAMPLES, sizeof(wz_problem), "sample problems", err);
    wz_problem *problems = block;
    choose_samples(ratios, o->problems, index);
    for (int i = 0; status == WZ_OK && i < SAMPLES; i++)
        status = wz_problem_generate(o->task, o->values, o->seed, o->split, index[i], &problems[i], err);
    if (status != WZ_OK && problems != NULL) {
        for (int i = 0; i < SAMPLES; i++)
            wz_problem_clear(&problems[i]);
        free(problems);
        return status;
    }
    *out = problems;
    return status;
}

/* Some problems once more, with the completions kept. */
static wz_status answer_samples(const wz_eval_options *o, wz_policy *policy, wz_page_part *part,
                                wz_error *err)
{
    const wz_batch_options options = {
        .style = o->style, .effort = WZ_EFFORT_EVALUATION, .generations = 1, .groups_per_pack = SAMPLES};
    const wz_rollout_options rollout = {.sampling = o->sampling,
                                        .seed = o->seed,
                                        .purpose = WZ_PURPOSE_EVAL_SAMPLE,
                                        .max_completion_length = o->max_completion_length};
    wz_problem *problems = NULL;
    wz_activations *activations = NULL;
    wz_status status = make_samples(o, part->ratios, &problems, err);
    if (status == WZ_OK)
        status = wz_batch_create(policy, &options, problems, SAMPLES, &part->samples, err);
    if (status == WZ_OK)
        status = wz_batch_decode_memory(part->samples, &o->sampling, &activations, err);
    if (status == WZ_OK)
        status = wz_batch_rollout(part->samples, 0, activations, &rollout, err);
    if (status == WZ_OK)
        status = wz_batch_verify(part->samples, err);
    wz_activations_destroy(activations);
    return status;
}

static wz_status evaluate_part(const wz_page_evaluation *e, int64_t problems, wz_page_part *part,
                               wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)problems, sizeof(double), "the gaps of a report", err);
    if (status != WZ_OK)
        return status;
    part->ratios = block;
    const wz_eval_options o = {.task = part->about->task,
                               .values = part->about->values,
                               .style = (wz_prompt_style)e->config.prompt_style,
                               .seed = (uint64_t)e->config.seed,
                               .split = WZ_SPLIT_TEST,
                               .problems = problems,
                               .batch_size = BATCH,
                               .sampling = {.temperature = 0.0f, .top_p = 1.0f},
                               .baselines = true,
                               .max_completion_length = e->config.max_completion_length,
                               .ratios = part->ratios};
    status = wz_evaluate(e->policy, &o, NULL, NULL, &part->figures, err);
    return status == WZ_OK ? answer_samples(&o, e->policy, part, err) : status;
}

wz_status wz_page_evaluate(const wz_page_run *run, const wz_page_options *options, wz_page_evaluation *out,
                           wz_error *err)
{
    void *block = NULL;
    *out = (wz_page_evaluation){0};
    (void)snprintf(out->checkpoint, sizeof out->checkpoint, "%s/checkpoints/best.h5", run->path);
    wz_status status = wz_load_for_inference(out->checkpoint, options->overrides, options->override_count,
                                             options->log, &out->config, &out->backend, &out->policy, err);
    if (status == WZ_OK)
        status = wz_config_mixture(&out->config, &out->mixture, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, out->mixture.count, sizeof(wz_page_part), "the parts of a report", err);
    if (status != WZ_OK)
        return status;
    out->parts = block;
    out->count = out->mixture.count;
    for (size_t p = 0; status == WZ_OK && p < out->count; p++) {
        out->parts[p].about = &out->mixture.parts[p];
        status = evaluate_part(out, options->problems, &out->parts[p], err);
    }
    return status;
}

void wz_page_evaluation_clear(wz_page_evaluation *e)
{
    for (size_t p = 0; p < e->count; p++) {
        wz_batch_destroy(e->parts[p].samples);
        free(e->parts[p].ratios);
    }
    free(e->parts);
    wz_policy_destroy(e->policy);
    if (e->backend != NULL)
        e->backend->ops->destroy(e->backend);
    *e = (wz_page_evaluation){0};
}

const char *wz_page_reference(const wz_page_evaluation *e)
{
    for (size_t p = 1; p < e->count; p++)
        if (e->parts[p].figures.reference_kind != e->parts[0].figures.reference_kind)
            return NULL;
    return e->count > 0 ? wz_reference_kind_name(e->parts[0].figures.reference_kind) : NULL;
}

/* ---- showing ---- */

static void write_score(wz_markup *m, const char *name, const wz_score *s, bool is_own, bool has_field)
{
    wz_markup_print(m, "<tr%s>", is_own ? " class=\"own\"" : "");
    wz_markup_element(m, "td", name);
    wz_markup_print(m, "<td>%.4f</td><td>%.4f..%.4f</td>", s->mean, s->ci_low, s->ci_high);
    if (has_field)
        wz_markup_print(m, "<td>%.2f</td>", s->percent_of_field);
    wz_markup_print(m, "<td>%.1f%%</td><td>%.1f%%</td><td>%.4f</td><td>%.4f</td><td>%.4f</td></tr>\n",
                    100.0 * s->feasible, 100.0 * s->exact_optimum, s->gap_p50, s->gap_p90, s->gap_p99);
}

static void write_scores(wz_markup *m, const wz_evaluation *e)
{
    const bool has_field = e->field_algorithm != NULL;
    wz_markup_raw(m, "<div class=\"wide\"><table><tr><th></th><th>ratio</th><th>95% interval</th>");
    if (has_field) {
        wz_markup_raw(m, "<th>% of ");
        wz_markup_text(m, e->field_algorithm);
        wz_markup_raw(m, "</th>");
    }
    wz_markup_raw(m, "<th>feasible</th><th>optimal</th><th>gap p50</th><th>p90</th><th>p99</th></tr>\n");
    write_score(m, "policy", &e->policy, true, has_field);
    for (size_t b = 0; b < e->baseline_count; b++)
        write_score(m, e->baselines[b].name, &e->baselines[b].score, false, has_field);
    wz_markup_raw(m, "</table></div>\n");
}

/* Gaps to the reference: those that are none in a bar of their own, the others in 30 bars up to the largest. */
static void write_gaps(wz_markup *m, const wz_page_part *e)
{
    enum { BARS = 31 };
    double share[BARS] = {0}, largest = 0.01, first = 0.0;
    const int64_t n = e->figures.problems;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, 1.0 - e->ratios[i]);
    const double step = wz_chart_ticks(0.0, largest, 5, &first);
    const double last = ceil(largest / step - 1e-9) * step;
    for (int64_t i = 0; i < n; i++) {
        const double gap = 1.0 - e->ratios[i];
        const int bar = gap <= 1e-9 ? 0 : 1 + (int)fmin(gap / last * (BARS - 1), BARS - 2);
        share[bar] += 1.0 / (double)n;
    }
    wz_bars_write(m, "Gaps to the reference", "share of held-out problems",
                  "gap: 1 - objective / reference; left: no gap", share, BARS, last, "none");
}

/* Share of the problems with at most this gap. */
static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void write_distribution(wz_markup *m, const wz_page_part *e)
{
    void *block = NULL;
    const size_t n = (size_t)e->figures.problems;
    if (m->status == WZ_OK)
        m->status =
            wz_alloc(&block, n * sizeof(double) + sizeof(wz_curve), 1, "the gaps of a report", m->err);
    if (m->status != WZ_OK)
        return;
    wz_curve *curve = block;
    double *gaps = (double *)(curve + 1);
    for (size_t i = 0; i < n; i++)
        gaps[i] = fmax(0.0, 1.0 - e->ratios[i]);
    qsort(gaps, n, sizeof *gaps, ascending);
    curve->count = WZ_CHART_POINTS;
    for (size_t i = 0, below = 0; i < WZ_CHART_POINTS; i++) {
        curve->x[i] = gaps[n - 1] * (double)i / (WZ_CHART_POINTS - 1);
        while (below < n && gaps[below] <= curve->x[i] + 1e-9)
            below++;
        curve->y[i] = (double)below / (double)n;
    }
    const wz_chart chart = {.title = "Distribution of gaps",
                            .note = "share of problems with at most this gap",
                            .x_label = "gap",
                            .floor = NAN,
                            .top = 1.0,
                            .curves = curve,
                            .curve_count = 1};
    wz_chart_write(m, &chart);
    free(block);
}

static void write_strongest(wz_markup *m, const wz_evaluation *e, wz_baseline_kind kind)
{
    const wz_eval_baseline *best = wz_evaluation_strongest(e, kind);
    if (best == NULL) {
        wz_markup_raw(m, "<td>-</td>");
        return;
    }
    wz_markup_print(m, "<td>%.4f ", best->score.mean);
    wz_markup_text(m, best->name);
    wz_markup_raw(m, "</td>");
}

/* A mixture's parts, and their mean by weight, by which checkpoints are told the best. */
static void write_overview(wz_markup *m, const wz_page_evaluation *e)
{
    double sum = 0.0, weights = 0.0;
    wz_markup_raw(
        m, "<div class=\"wide\"><table><tr><th>part</th><th>weight</th><th>ratio</th><th>95% interval</th>"
           "<th>feasible</th><th>best trivial</th><th>strongest algorithm</th></tr>\n");
    for (size_t p = 0; p < e->count; p++) {
        const wz_page_part *part = &e->parts[p];
        const wz_score *s = &part->figures.policy;
        wz_markup_raw(m, "<tr>");
        wz_markup_element(m, "td", part->about->name);
        wz_markup_print(m, "<td>%g</td><td>%.4f</td><td>%.4f..%.4f</td><td>%.1f%%</td>", part->about->weight,
                        s->mean, s->ci_low, s->ci_high, 100.0 * s->feasible);
        write_strongest(m, &part->figures, WZ_BASELINE_TRIVIAL);
        write_strongest(m, &part->figures, WZ_BASELINE_ALGORITHM);
        wz_markup_raw(m, "</tr>\n");
        sum += part->about->weight * s->mean;
        weights += part->about->weight;
    }
    wz_markup_print(
        m, "<tr class=\"own\"><td>all, by weight</td><td></td><td>%.4f</td><td colspan=\"4\"></td></tr>\n",
        sum / weights);
    wz_markup_raw(m, "</table></div>\n");
}

/* The options that are not the family's own defaults, and the size. */
static void write_options(wz_markup *m, const wz_mixture_part *part)
{
    wz_text text = {0};
    wz_status status = wz_set_write_options(part->task, part->values, &text, m->err);
    wz_markup_raw(m, "<p class=\"sub\">");
    if (status == WZ_OK)
        wz_markup_text(m, text.data);
    else
        m->status = status;
    wz_markup_raw(m, "</p>\n");
    wz_text_clear(&text);
}

static void write_part(wz_markup *m, const wz_page_part *part)
{
    write_scores(m, &part->figures);
    wz_markup_raw(m, "<div class=\"grid\" style=\"margin-top:14px\">\n");
    write_gaps(m, part);
    write_distribution(m, part);
    wz_markup_raw(m, "</div>\n");
}

static void write_mixture(wz_markup *m, const wz_page_evaluation *e)
{
    write_overview(m, e);
    for (size_t p = 0; p < e->count; p++) {
        const wz_page_part *part = &e->parts[p];
        wz_markup_element(m, "h2", part->about->name);
        write_options(m, part->about);
        write_part(m, part);
        wz_markup_raw(m, "<h3>Sample problems</h3>\n");
        if (p == 0)
            wz_page_explain_samples(m);
        wz_page_samples(m, part->samples);
    }
}

void wz_page_evaluation_write(wz_markup *m, const wz_page_evaluation *e)
{
    const char *reference = wz_page_reference(e);
    wz_markup_raw(m, "<h2>Held-out evaluation</h2>\n<p class=\"note\">");
    wz_markup_print(
        m,
        "%lld problems%s of the test split, answered greedily by <code>checkpoints/best.h5</code> "
        "when this page was made; ratio = objective / %s, intervals by bootstrap.</p>\n",
        (long long)e->parts[0].figures.problems, e->count > 1 ? " of each part" : "",
        reference != NULL ? reference : "reference");
    if (e->count > 1) {
        write_mixture(m, e);
        return;
    }
    write_part(m, &e->parts[0]);
    wz_markup_raw(m, "<h2>Sample problems</h2>\n");
    wz_page_explain_samples(m);
    wz_page_samples(m, e->parts[0].samples);
}
