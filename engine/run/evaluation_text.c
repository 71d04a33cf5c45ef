/* An evaluation as a table. */
#include "engine/run/evaluation_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *wz_evaluation_reference_name(const wz_evaluation *e)
{
    return e->reference_kind == WZ_REFERENCE_OPTIMUM ? "exact optimum"
                                                     : wz_reference_kind_name(e->reference_kind);
}

const char *wz_evaluation_how(const wz_evaluation *e)
{
    return e->decodes_freely ? ", answered without an answer grammar" : "";
}

const char *wz_write_finite(double value, int decimals, char out[32])
{
    if (isfinite(value))
        (void)snprintf(out, 32, "%.*f", decimals, value);
    else
        (void)snprintf(out, 32, "-");
    return out;
}

wz_score_columns wz_score_columns_of(const wz_evaluation *e)
{
    wz_score_columns columns = {.name =
                                    e->timed ? 22 : 19, /* "random, best of 131072", "random best of 4095" */
                                .percent = (int)strlen(e->field_algorithm) + 1,
                                .valid = e->decodes_freely,
                                .timing = e->timed};
    for (size_t b = 0; b < e->baseline_count; b++) {
        const int length = (int)strlen(e->baselines[b].name) + 2; /* and a star */
        columns.name = length > columns.name ? length : columns.name;
    }
    columns.percent = columns.percent > 8 ? columns.percent : 8;
    return columns;
}

wz_status wz_score_write_head(const wz_score_columns *columns, const wz_evaluation *e, wz_text *out,
                              wz_error *err)
{
    return wz_text_printf(out, err, "%-*s %8s  %14s %*s%%%s %9s %9s %8s %8s %8s%s\n", columns->name, "",
                          "ratio", "95% interval", columns->percent - 1, e->field_algorithm,
                          columns->valid ? "    valid" : "", "feasible", "optimal", "gap p50", "gap p90",
                          "gap p99", columns->timing ? "  us/problem" : "");
}

wz_status wz_score_write_row(const wz_score_columns *columns, const char *name, const wz_score *s,
                             double seconds, wz_text *out, wz_error *err)
{
    char percent[32], valid[32];
    wz_status status =
        wz_text_printf(out, err, "%-*s %8.4f  %.4f..%.4f %*s", columns->name, name, s->mean, s->ci_low,
                       s->ci_high, columns->percent, wz_write_finite(s->percent_of_field, 2, percent));
    if (status == WZ_OK && columns->valid)
        status = wz_text_printf(out, err, " %8s", wz_write_finite(s->valid, 4, valid));
    if (status == WZ_OK)
        status = wz_text_printf(out, err, " %9.4f %9.4f %8.4f %8.4f %8.4f", s->feasible, s->exact_optimum,
                                s->gap_p50, s->gap_p90, s->gap_p99);
    if (status == WZ_OK && columns->timing)
        status = isnan(seconds) ? wz_text_printf(out, err, " %11s", "-")
                                : wz_text_printf(out, err, " %11.1f", seconds * 1e6);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

wz_status wz_evaluation_write_baselines(const wz_score_columns *columns, const wz_evaluation *e, wz_text *out,
                                        wz_error *err)
{
    const wz_eval_baseline *trivial = wz_evaluation_strongest(e, WZ_BASELINE_TRIVIAL);
    const wz_score reference = {.mean = 1.0,
                                .ci_low = 1.0,
                                .ci_high = 1.0,
                                .percent_of_field = e->reference_percent,
                                .feasible = 1.0,
                                .exact_optimum = 1.0,
                                .valid = NAN};
    wz_text name = {0};
    wz_status status = wz_score_write_row(columns, wz_reference_kind_name(e->reference_kind), &reference,
                                          e->reference_s, out, err);
    for (size_t b = 0; status == WZ_OK && b < e->baseline_count; b++) {
        const wz_eval_baseline *baseline = &e->baselines[b];
        name.length = 0;
        status = wz_text_printf(&name, err, "%s%s", baseline->name, baseline == trivial ? " *" : "");
        if (status == WZ_OK)
            status = wz_score_write_row(columns, name.data, &baseline->score, baseline->seconds, out, err);
    }
    wz_text_clear(&name);
    return status;
}

wz_status wz_score_write_counted(const wz_score_columns *columns, const char *name, double count,
                                 const wz_score *score, double seconds, wz_text *out, wz_error *err)
{
    wz_text text = {0};
    wz_status status = wz_text_printf(&text, err, "%s %.0f", name, count);
    if (status == WZ_OK)
        status = wz_score_write_row(columns, text.data, score, seconds, out, err);
    wz_text_clear(&text);
    return status;
}

wz_status wz_evaluation_write_foot(const wz_evaluation *e, wz_text *out, wz_error *err)
{
    wz_status status = WZ_OK;
    if (wz_evaluation_strongest(e, WZ_BASELINE_TRIVIAL) != NULL)
        status = wz_text_printf(out, err, "* the best trivial policy\n");
    if (status == WZ_OK && e->reference_kind == WZ_REFERENCE_UPPER_BOUND)
        status = wz_text_printf(
            out, err,
            "references are upper bounds, so a ratio of 1 may be out of reach; optimal: as good as the "
            "bound's own decision after rounding and local search\n");
    if (status == WZ_OK && e->reference_kind == WZ_REFERENCE_BEST_KNOWN)
        status = wz_text_printf(out, err,
                                "references are the best known: a ratio may pass 1, and where no optimum is "
                                "known no answer counts as optimal\n");
    return status;
}

static wz_status write_consistency(const wz_score_columns *columns, const wz_evaluation *e, wz_text *out,
                                   wz_error *err)
{
    const wz_order_consistency *c = &e->consistency;
    wz_status status = wz_score_write_row(columns, "in another order", &c->score, NAN, out, err);
    if (status == WZ_OK)
        status = wz_text_printf(out, err,
                                "another order: %.1f%% of the problems read differently; the same objective "
                                "was reached on %.2f%% of all",
                                100.0 * c->changed, 100.0 * c->same);
    if (status == WZ_OK && c->changed > 0.0)
        status = wz_text_printf(out, err, ", on %.2f%% of those", 100.0 * c->same_of_changed);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status write_seen(const wz_evaluation *e, wz_text *out, wz_error *err)
{
    if (e->seen_state == WZ_SEEN_TOO_MANY)
        return wz_text_printf(out, err,
                              "too many problems to count which of them were among those of training\n");
    if (e->seen_state != WZ_SEEN_COUNTED || e->seen == 0)
        return WZ_OK;
    wz_status status = wz_text_printf(out, err, "up to %.2f%% of these problems were among those of training",
                                      100.0 * e->seen);
    if (status == WZ_OK && e->seen < 1)
        status = wz_text_printf(out, err, "; ratio of the policy on the others: %.4f (%.4f..%.4f)",
                                e->unseen.mean, e->unseen.ci_low, e->unseen.ci_high);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

/* Candidates beside as many random decisions. */
static wz_status write_tries(const wz_score_columns *columns, const wz_evaluation *e, wz_text *out,
                             wz_error *err)
{
    wz_status status = WZ_OK;
    for (int64_t k = 0; status == WZ_OK && k < e->tries.tries; k++) {
        status = wz_score_write_counted(columns, "tried, best of", (double)k + 1, &e->tries.policy[k], NAN,
                                        out, err);
        if (status == WZ_OK)
            status = wz_score_write_counted(columns, "random best of", (double)k + 1, &e->tries.random[k],
                                            NAN, out, err);
    }
    if (status == WZ_OK && e->tries.tries > 0)
        status = wz_text_printf(out, err,
                                "tried: the best of the policy's first candidates, of %.2f in the mean\n",
                                e->tries.made);
    return status;
}

static wz_status write_thought(const wz_thought_scores *thought, wz_text *out, wz_error *err)
{
    if (!thought->thinks)
        return WZ_OK;
    wz_status status =
        wz_text_printf(out, err, "thought: %.2f tokens before the answer, in the mean", thought->tokens);
    if (status == WZ_OK && thought->budget > 0)
        status = wz_text_printf(out, err, "; %.1f%% were cut by the budget of %lld", 100.0 * thought->cut,
                                (long long)thought->budget);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

wz_status wz_evaluation_write_table(const wz_evaluation *e, wz_text *out, wz_error *err)
{
    const wz_score_columns columns = wz_score_columns_of(e);
    const double samples = (double)e->samples;
    wz_status status =
        wz_text_printf(out, err, "%lld problems%s; ratio = objective / %s, 95%% interval by bootstrap\n",
                       (long long)e->problems, wz_evaluation_how(e), wz_evaluation_reference_name(e));
    if (status == WZ_OK)
        status = wz_score_write_head(&columns, e, out, err);
    if (status == WZ_OK && e->samples > 1)
        status = wz_score_write_row(&columns, "policy, greedy", &e->greedy, e->greedy_s, out, err);
    if (status == WZ_OK) /* of several samples, the time is that of all */
        status = wz_score_write_row(&columns, e->sampled ? "policy, sampled" : "policy", &e->policy,
                                    e->samples > 1 ? NAN : e->model_s, out, err);
    if (status == WZ_OK)
        status = wz_evaluation_write_baselines(&columns, e, out, err);
    if (status == WZ_OK && e->samples > 1)
        status =
            wz_score_write_counted(&columns, "policy best of", samples, &e->best_of, e->model_s, out, err);
    if (status == WZ_OK && e->samples > 1)
        status = wz_score_write_counted(&columns, "random best of", samples, &e->random_best_of,
                                        e->random_best_s, out, err);
    if (status == WZ_OK)
        status = write_tries(&columns, e, out, err);
    if (status == WZ_OK)
        status = write_thought(&e->thought, out, err);
    if (status == WZ_OK && e->timed) /* the model's time is what it was given */
        status = wz_score_write_counted(&columns, "random, best of", e->random_tries, &e->random_timed,
                                        e->model_s, out, err);
    if (status == WZ_OK && e->reordered)
        status = write_consistency(&columns, e, out, err);
    if (status == WZ_OK && e->fixed_order)
        status = wz_text_printf(out, err, "these problems' parts have a fixed order: no other was tried\n");
    if (status == WZ_OK)
        status = wz_evaluation_write_foot(e, out, err);
    return status == WZ_OK ? write_seen(e, out, err) : status;
}
