/* `wavezero eval --compare A B`: two policies on the same problems. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/cmd_eval.h"
#include "engine/run/compare.h"
#include "engine/run/evaluation_text.h"
#include "engine/run/load.h"

enum { A, B, BOTH };

typedef struct contestant {
    const char *path;
    wz_backend *backend;
    wz_policy *policy;
    wz_config config;
} contestant;

/* What came of one part of the task. */
typedef struct part_result {
    wz_evaluation evaluations[BOTH];
    wz_comparison comparison;
} part_result;

/* The task is A's: what is given of it is not for B. */
static wz_status load(const wz_cli *cli, const wz_arguments *rest, int which, bool decode_freely,
                      contestant *c, wz_error *err)
{
    void *block = NULL;
    size_t count = 0;
    wz_status status = wz_alloc(&block, rest->count, sizeof(char *), "arguments", err);
    if (status != WZ_OK)
        return status;
    const char **given = block;
    for (size_t i = BOTH; i < rest->count; i++)
        if (which == A || strncmp(rest->items[i], "task.", 5) != 0)
            given[count++] = rest->items[i];
    c->path = rest->items[which];
    status = wz_load_for_inference(c->path, given, count, cli->log, &c->config, &c->backend, &c->policy, err);
    free(block);
    return status == WZ_OK && decode_freely ? wz_policy_set_free(&c->config, c->policy, cli->log, err)
                                            : status;
}

/* ratios: room for BOTH * problems. */
static wz_status compare_part(wz_eval_session *session, const contestant *contestants,
                              const wz_eval_part *part, double *ratios, part_result *out, wz_error *err)
{
    wz_eval_options options;
    wz_status status = wz_eval_prepare(session->arguments, &contestants[A].config, part, &options, err);
    for (int i = A; status == WZ_OK && i < BOTH; i++) {
        const contestant *c = &contestants[i];
        options.style = (wz_prompt_style)c->config.prompt_style;
        options.max_completion_length = c->config.max_completion_length;
        options.ratios = ratios + i * options.problems;
        status = wz_eval_run(session, c->policy, &options, part->name, &out->evaluations[i], err);
        if (status != WZ_OK)
            return wz_fail_prefix(err, status, "%s: ", c->path);
        options.baselines = false; /* they were run with A */
    }
    if (status == WZ_OK)
        status = wz_compare_ratios(ratios, ratios + options.problems, options.problems, options.seed,
                                   &out->comparison, err);
    return status;
}

static const wz_score *score_of(const wz_evaluation *e)
{
    return e->samples > 1 ? &e->best_of : &e->policy;
}

/* ---- results ---- */

static wz_status write_difference(const wz_comparison *c, wz_text *out, wz_error *err)
{
    return wz_text_printf(
        out, err,
        "A - B: %.4f, 95%% interval %.4f..%.4f by paired bootstrap; A better on %lld, equal on "
        "%lld, B better on %lld\n"
        "sign-flip test of the differences, two-sided: p = %.4f (%lld %s sign patterns)\n",
        c->difference, c->ci_low, c->ci_high, (long long)c->wins, (long long)c->ties, (long long)c->losses,
        c->p_value, (long long)(c->exact ? c->flips : c->flips - 1), c->exact ? "possible" : "random");
}

static wz_status write_table(const part_result *r, wz_text *out, wz_error *err)
{
    static const char *const names[BOTH] = {"A", "B"};
    const wz_evaluation *a = &r->evaluations[A];
    wz_score_columns columns = wz_score_columns_of(a);
    columns.valid = a->decodes_freely || r->evaluations[B].decodes_freely;
    wz_status status = wz_text_printf(out, err, "%lld problems, the same for both", (long long)a->problems);
    if (status == WZ_OK && a->samples > 1)
        status = wz_text_printf(out, err, ", the best of %lld answers", (long long)a->samples);
    if (status == WZ_OK)
        status = wz_text_printf(out, err, "; ratio = objective / %s, 95%% interval by bootstrap\n",
                                wz_evaluation_reference_name(a));
    if (status == WZ_OK)
        status = wz_score_write_head(&columns, a, out, err);
    for (int i = A; status == WZ_OK && i < BOTH; i++)
        status = wz_score_write_row(&columns, names[i], score_of(&r->evaluations[i]),
                                    r->evaluations[i].model_s, out, err);
    if (status == WZ_OK)
        status = wz_evaluation_write_baselines(&columns, a, out, err);
    if (status == WZ_OK && a->samples > 1)
        status = wz_score_write_counted(&columns, "random best of", (double)a->samples, &a->random_best_of,
                                        a->random_best_s, out, err);
    if (status == WZ_OK)
        status = wz_evaluation_write_foot(a, out, err);
    return status == WZ_OK ? write_difference(&r->comparison, out, err) : status;
}

static void write_members(wz_json *json, const part_result *r)
{
    const wz_evaluation *a = &r->evaluations[A], *b = &r->evaluations[B];
    const wz_comparison *c = &r->comparison;
    wz_interval_write_named(json, "difference", c->difference, c->ci_low, c->ci_high);
    wz_json_field_number(json, "p_value", c->p_value);
    wz_json_field_integer(json, "sign_patterns", c->flips);
    wz_json_field_boolean(json, "all_sign_patterns", c->exact);
    wz_json_field_integer(json, "wins", c->wins);
    wz_json_field_integer(json, "ties", c->ties);
    wz_json_field_integer(json, "losses", c->losses);
    wz_evaluation_write_reference(json, a);
    wz_json_field_boolean(json, "a_answer_grammar", !a->decodes_freely);
    wz_json_field_boolean(json, "b_answer_grammar", !b->decodes_freely);
    wz_json_field_integer(json, "samples", a->samples);
    wz_score_write_named(json, "a", score_of(a), a->field_algorithm);
    wz_score_write_named(json, "b", score_of(b), b->field_algorithm);
    if (a->samples > 1)
        wz_score_write_named(json, "random_best_of", &a->random_best_of, a->field_algorithm);
    if (a->timed) {
        wz_json_field_number(json, "a_seconds_per_problem", a->model_s);
        wz_json_field_number(json, "b_seconds_per_problem", b->model_s);
        wz_json_field_number(json, "reference_seconds_per_problem", a->reference_s);
    }
    wz_baselines_write_field(json, a);
}

static wz_status write_results(bool as_json, const contestant *contestants, const wz_eval_part *parts,
                               size_t count, const part_result *results, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_status status = WZ_OK;
    const bool named = count > 1;
    if (!as_json) {
        for (int i = A; status == WZ_OK && i < BOTH; i++)
            status =
                wz_text_printf(out, err, "%s  %s%s\n", i == A ? "A" : "B", contestants[i].path,
                               results[0].evaluations[i].decodes_freely ? ", without an answer grammar" : "");
        for (size_t p = 0; status == WZ_OK && p < count; p++) {
            status = wz_text_printf(out, err, "\n%s%s", named ? parts[p].name : "", named ? ": " : "");
            if (status == WZ_OK)
                status = write_table(&results[p], out, err);
        }
        return status;
    }
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    for (size_t p = 0; p < count; p++) {
        if (named) {
            wz_json_key(&json, parts[p].name);
            wz_json_begin_object(&json);
        }
        write_members(&json, &results[p]);
        if (named)
            wz_json_end_object(&json);
    }
    wz_json_end_object(&json);
    status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status compare_parts(const wz_cli *cli, const wz_eval_arguments *a, const contestant *contestants,
                               const wz_eval_part *parts, size_t count, wz_text *out, wz_error *err)
{
    wz_eval_session session;
    void *ratios = NULL, *results = NULL;
    int64_t problems = 0, most = 0;
    for (size_t p = 0; p < count; p++) {
        problems += BOTH * parts[p].problems;
        most = parts[p].problems > most ? parts[p].problems : most;
    }
    wz_status status = wz_alloc(&ratios, (size_t)most, BOTH * sizeof(double), "a comparison", err);
    if (status == WZ_OK)
        status = wz_alloc(&results, count, sizeof(part_result), "a comparison", err);
    if (status == WZ_OK) {
        wz_eval_begin(&session, cli, a, problems);
        for (size_t p = 0; status == WZ_OK && p < count; p++)
            status = compare_part(&session, contestants, &parts[p], ratios, (part_result *)results + p, err);
        wz_eval_end(&session);
    }
    if (status == WZ_OK)
        status = write_results(a->json, contestants, parts, count, results, out, err);
    free(ratios);
    free(results);
    return status;
}

wz_status wz_eval_compare(const wz_cli *cli, const wz_eval_arguments *a, const wz_arguments *rest,
                          wz_text *out, wz_error *err)
{
    contestant contestants[BOTH] = {{0}};
    wz_eval_parts parts = {0};
    wz_status status = WZ_OK;
    for (int i = A; status == WZ_OK && i < BOTH; i++)
        status = load(cli, rest, i, a->decode_freely, &contestants[i], err);
    if (status == WZ_OK)
        status = wz_eval_parts_create(a, &contestants[A].config, &parts, err);
    if (status == WZ_OK)
        status = compare_parts(cli, a, contestants, parts.items, parts.count, out, err);
    wz_eval_parts_clear(&parts);
    for (int i = A; i < BOTH; i++) {
        wz_policy_destroy(contestants[i].policy);
        if (contestants[i].backend != NULL)
            contestants[i].backend->ops->destroy(contestants[i].backend);
    }
    return status;
}
