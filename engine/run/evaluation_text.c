/* An evaluation as JSON and as a table. */
#include "engine/run/evaluate.h"

static void write_score(wz_json *json, const wz_score *score, const char *percent_name)
{
    wz_json_key(json, "objective_ratio");
    wz_json_begin_object(json);
    wz_json_field_number(json, "mean", score->mean);
    wz_json_field_number(json, "ci_low", score->ci_low);
    wz_json_field_number(json, "ci_high", score->ci_high);
    wz_json_end_object(json);
    wz_json_field_number(json, "ratio_of_means", score->ratio_of_means);
    wz_json_field_number(json, percent_name, score->percent_of_field);
    wz_json_field_number(json, "feasible", score->feasible);
    wz_json_field_number(json, "exact_optimum", score->exact_optimum);
    wz_json_key(json, "gap");
    wz_json_begin_object(json);
    wz_json_field_number(json, "p50", score->gap_p50);
    wz_json_field_number(json, "p90", score->gap_p90);
    wz_json_field_number(json, "p99", score->gap_p99);
    wz_json_end_object(json);
}

static void write_named_score(wz_json *json, const char *name, const wz_score *score,
                              const char *percent_name)
{
    wz_json_key(json, name);
    wz_json_begin_object(json);
    write_score(json, score, percent_name);
    wz_json_end_object(json);
}

static const char *reference_name(const wz_evaluation *e)
{
    return e->reference_kind == WZ_REFERENCE_OPTIMUM ? "exact optimum"
                                                     : wz_reference_kind_name(e->reference_kind);
}

wz_status wz_evaluation_write_json(const wz_evaluation *e, bool timing, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_text percent = {0};
    wz_status status = wz_text_printf(&percent, err, "percent_of_%s", e->field_algorithm);
    if (status != WZ_OK)
        return status;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    write_score(&json, &e->policy, percent.data);
    wz_json_field_integer(&json, "problems", e->problems);
    wz_json_field_string(&json, "reference", reference_name(e));
    if (e->samples > 1) {
        wz_json_field_integer(&json, "samples", e->samples);
        write_named_score(&json, "best_of", &e->best_of, percent.data);
        write_named_score(&json, "random_best_of", &e->random_best_of, percent.data);
    }
    wz_json_key(&json, "baselines");
    wz_json_begin_object(&json);
    for (size_t b = 0; b < e->baseline_count; b++)
        write_named_score(&json, e->baselines[b].name, &e->baselines[b].score, percent.data);
    wz_json_end_object(&json);
    if (timing) {
        wz_json_field_number(&json, "model_seconds_per_problem", e->model_s);
        wz_json_field_number(&json, "field_algorithm_seconds_per_problem", e->field_s);
    }
    wz_json_end_object(&json);
    wz_text_clear(&percent);
    return wz_json_finish(&json);
}

static wz_status write_row(wz_text *out, const char *name, const wz_score *s, wz_error *err)
{
    return wz_text_printf(out, err, "%-18s %8.4f  %.4f..%.4f %8.2f %9.4f %9.4f %8.4f %8.4f\n", name, s->mean,
                          s->ci_low, s->ci_high, s->percent_of_field, s->feasible, s->exact_optimum,
                          s->gap_p50, s->gap_p99);
}

wz_status wz_evaluation_write_table(const wz_evaluation *e, bool timing, wz_text *out, wz_error *err)
{
    const wz_score optimum = {
        1.0,
        1.0,
        1.0,
        1.0,
        e->policy.ratio_of_means > 0.0 ? e->policy.percent_of_field / e->policy.ratio_of_means : 0.0,
        1.0,
        1.0,
        0.0,
        0.0,
        0.0};
    wz_text name = {0};
    wz_status status = wz_text_printf(
        out, err,
        "%lld problems; ratio = objective / %s, 95%% interval by bootstrap\n%-18s %8s  %14s %7s%% %9s %9s "
        "%8s %8s\n",
        (long long)e->problems, reference_name(e), "", "ratio", "95% interval", e->field_algorithm,
        "feasible", "optimal", "gap p50", "gap p99");
    if (status == WZ_OK)
        status = write_row(out, "policy", &e->policy, err);
    if (status == WZ_OK)
        status = write_row(out, wz_reference_kind_name(e->reference_kind), &optimum, err);
    for (size_t b = 0; status == WZ_OK && b < e->baseline_count; b++)
        status = write_row(out, e->baselines[b].name, &e->baselines[b].score, err);
    if (status == WZ_OK && e->samples > 1) {
        status = wz_text_printf(&name, err, "policy best of %lld", (long long)e->samples);
        if (status == WZ_OK)
            status = write_row(out, name.data, &e->best_of, err);
        name.length = 0;
        if (status == WZ_OK)
            status = wz_text_printf(&name, err, "random best of %lld", (long long)e->samples);
        if (status == WZ_OK)
            status = write_row(out, name.data, &e->random_best_of, err);
    }
    wz_text_clear(&name);
    if (status == WZ_OK && timing)
        status = wz_text_printf(out, err, "time per problem: model %.1f us, %s %.1f us\n", e->model_s * 1e6,
                                e->field_algorithm, e->field_s * 1e6);
    return status;
}
