/* An evaluation as JSON. */
#include "engine/run/evaluation_text.h"

#include <math.h>
#include <stdio.h>

void wz_interval_write_named(wz_json *json, const char *name, double mean, double low, double high)
{
    wz_json_key(json, name);
    wz_json_begin_object(json);
    wz_json_field_number(json, "mean", mean);
    wz_json_field_number(json, "ci_low", low);
    wz_json_field_number(json, "ci_high", high);
    wz_json_end_object(json);
}

/* "ratio_of_means": 0.98, "ratio_of_means_interval": {"ci_low", "ci_high"} */
static void write_with_interval(wz_json *json, const char *name, double value, double low, double high)
{
    char interval[96];
    (void)snprintf(interval, sizeof interval, "%.80s_interval", name);
    wz_json_field_number(json, name, value);
    wz_json_key(json, interval);
    wz_json_begin_object(json);
    wz_json_field_number(json, "ci_low", low);
    wz_json_field_number(json, "ci_high", high);
    wz_json_end_object(json);
}

static void write_score(wz_json *json, const wz_score *score, const char *field_algorithm)
{
    char percent[80];
    (void)snprintf(percent, sizeof percent, "percent_of_%.64s", field_algorithm);
    wz_interval_write_named(json, "objective_ratio", score->mean, score->ci_low, score->ci_high);
    write_with_interval(json, "ratio_of_means", score->ratio_of_means, score->ratio_of_means_low,
                        score->ratio_of_means_high);
    write_with_interval(json, percent, score->percent_of_field, score->percent_low, score->percent_high);
    if (!isnan(score->valid))
        wz_json_field_number(json, "valid", score->valid);
    wz_json_field_number(json, "feasible", score->feasible);
    wz_json_field_number(json, "exact_optimum", score->exact_optimum);
    wz_json_key(json, "gap");
    wz_json_begin_object(json);
    wz_json_field_number(json, "p50", score->gap_p50);
    wz_json_field_number(json, "p90", score->gap_p90);
    wz_json_field_number(json, "p99", score->gap_p99);
    wz_json_end_object(json);
}

void wz_score_write_named(wz_json *json, const char *name, const wz_score *score, const char *field_algorithm)
{
    wz_json_key(json, name);
    wz_json_begin_object(json);
    write_score(json, score, field_algorithm);
    wz_json_end_object(json);
}

/* What answers are held against that count in exact_optimum. */
static const char *optimum_is(wz_reference_kind kind)
{
    switch (kind) {
    case WZ_REFERENCE_OPTIMUM:
        return "optimum";
    case WZ_REFERENCE_UPPER_BOUND:
        return "rounded bound after local search";
    case WZ_REFERENCE_BEST_KNOWN:
        break;
    }
    return "optimum where it is known";
}

static void write_strongest(wz_json *json, const char *key, const wz_evaluation *e, wz_baseline_kind kind)
{
    const wz_eval_baseline *best = wz_evaluation_strongest(e, kind);
    if (best != NULL)
        wz_json_field_string(json, key, best->name);
}

void wz_evaluation_write_reference(wz_json *json, const wz_evaluation *e)
{
    char percent[96];
    (void)snprintf(percent, sizeof percent, "reference_percent_of_%.64s", e->field_algorithm);
    wz_json_field_integer(json, "problems", e->problems);
    wz_json_field_string(json, "decoding", e->sampled ? "sampled" : "greedy");
    wz_json_field_string(json, "reference", wz_evaluation_reference_name(e));
    wz_json_field_number(json, percent, e->reference_percent);
    wz_json_field_string(json, "exact_optimum_against", optimum_is(e->reference_kind));
    write_strongest(json, "best_trivial", e, WZ_BASELINE_TRIVIAL);
    write_strongest(json, "strongest_algorithm", e, WZ_BASELINE_ALGORITHM);
}

void wz_baselines_write_field(wz_json *json, const wz_evaluation *e)
{
    wz_json_key(json, "baselines");
    wz_json_begin_object(json);
    for (size_t b = 0; b < e->baseline_count; b++) {
        wz_json_key(json, e->baselines[b].name);
        wz_json_begin_object(json);
        write_score(json, &e->baselines[b].score, e->field_algorithm);
        if (e->timed)
            wz_json_field_number(json, "seconds_per_problem", e->baselines[b].seconds);
        wz_json_end_object(json);
    }
    wz_json_end_object(json);
}

static void write_consistency(wz_json *json, const wz_evaluation *e)
{
    const wz_order_consistency *c = &e->consistency;
    wz_json_key(json, "another_order");
    if (e->fixed_order) {
        wz_json_null(json);
        return;
    }
    wz_json_begin_object(json);
    wz_json_field_number(json, "read_differently", c->changed);
    wz_json_field_number(json, "same_objective", c->same);
    wz_json_field_number(json, "same_objective_of_different", c->same_of_changed);
    write_score(json, &c->score, e->field_algorithm);
    wz_json_end_object(json);
}

static void write_tries(wz_json *json, const wz_evaluation *e)
{
    const struct {
        const char *name;
        const wz_score *scores;
    } contests[] = {{"best_of", e->tries.policy}, {"random_best_of", e->tries.random}};
    wz_json_key(json, "tries");
    wz_json_begin_object(json);
    wz_json_field_integer(json, "most", e->tries.tries);
    wz_json_field_number(json, "mean", e->tries.made);
    for (size_t i = 0; i < sizeof contests / sizeof contests[0]; i++) { /* [k - 1]: of k */
        wz_json_key(json, contests[i].name);
        wz_json_begin_array(json);
        for (int64_t k = 0; k < e->tries.tries; k++) {
            wz_json_begin_object(json);
            write_score(json, &contests[i].scores[k], e->field_algorithm);
            wz_json_end_object(json);
        }
        wz_json_end_array(json);
    }
    wz_json_end_object(json);
}

static void write_thought(wz_json *json, const wz_thought_scores *thought)
{
    wz_json_key(json, "thinking");
    wz_json_begin_object(json);
    wz_json_field_number(json, "mean_tokens", thought->tokens);
    if (thought->budget > 0) {
        wz_json_field_integer(json, "budget", thought->budget);
        wz_json_field_number(json, "cut_by_budget", thought->cut);
    }
    wz_json_end_object(json);
}

static void write_times(wz_json *json, const wz_evaluation *e)
{
    wz_json_field_number(json, "model_seconds_per_problem", e->model_s);
    wz_json_field_number(json, "field_algorithm_seconds_per_problem", e->field_s);
    wz_json_field_number(json, "reference_seconds_per_problem", e->reference_s);
    if (e->samples > 1)
        wz_json_field_number(json, "greedy_seconds_per_problem", e->greedy_s);
    if (e->samples > 1)
        wz_json_field_number(json, "random_best_of_seconds_per_problem", e->random_best_s);
    wz_json_key(json, "random_in_model_time");
    wz_json_begin_object(json);
    wz_json_field_number(json, "tries", e->random_tries);
    write_score(json, &e->random_timed, e->field_algorithm);
    wz_json_end_object(json);
}

/* "seen_in_training": null where it was not counted. */
static void write_seen(wz_json *json, const wz_evaluation *e)
{
    if (e->seen_state == WZ_SEEN_UNASKED)
        return;
    wz_json_key(json, "seen_in_training");
    if (e->seen_state == WZ_SEEN_TOO_MANY) {
        wz_json_null(json);
        return;
    }
    wz_json_number(json, e->seen);
    if (e->seen > 0 && e->seen < 1)
        wz_score_write_named(json, "unseen", &e->unseen, e->field_algorithm);
}

void wz_evaluation_write_fields(wz_json *json, const wz_evaluation *e)
{
    write_score(json, &e->policy, e->field_algorithm);
    wz_json_field_string(json, "objective_ratio_of", e->sampled ? "one sampled answer" : "the greedy answer");
    wz_evaluation_write_reference(json, e);
    wz_json_field_boolean(json, "answer_grammar", !e->decodes_freely);
    if (e->samples > 1) {
        wz_json_field_integer(json, "samples", e->samples);
        wz_score_write_named(json, "greedy", &e->greedy, e->field_algorithm);
        wz_score_write_named(json, "best_of", &e->best_of, e->field_algorithm);
        wz_score_write_named(json, "random_best_of", &e->random_best_of, e->field_algorithm);
    }
    if (e->tries.tries > 0)
        write_tries(json, e);
    if (e->thought.thinks)
        write_thought(json, &e->thought);
    write_seen(json, e);
    if (e->reordered || e->fixed_order)
        write_consistency(json, e);
    wz_baselines_write_field(json, e);
    if (e->timed)
        write_times(json, e);
}
