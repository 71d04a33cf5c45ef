/* What a run writes of itself: metrics.jsonl, metrics.csv, TensorBoard's event files, and completions.jsonl. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/run/run.h"

/* ---- opening and closing ---- */

static void fill_step(const wz_run *run, const wz_step_report *r, double step_s, wz_row *row);

/* Every name that the run's rows may have. */
static void fill_names(const wz_run *run, wz_row *row)
{
    wz_evaluation nothing[WZ_MIXTURE_MAX];
    wz_step_report report;
    memset(nothing, 0, sizeof nothing);
    wz_report_start(&report);
    fill_step(run, &report, NAN, row);
    wz_run_fill_evaluation(run, nothing, NAN, row);
    if (run->config.sft_steps > 0) { /* the others of its names are a step's, too */
        wz_row_add(row, "sft_loss", NAN);
        wz_row_add(row, "sft_token_accuracy", NAN);
    }
}

/* Text as a block of Markdown: lines indented by four blanks stand as they are. */
static wz_status add_block(const char *text, size_t length, wz_text *out, wz_error *err)
{
    wz_status status = wz_text_append(out, "    ", 4, err);
    for (size_t i = 0; status == WZ_OK && i < length; i++)
        status =
            text[i] == '\n' ? wz_text_append(out, "\n    ", 5, err) : wz_text_append(out, text + i, 1, err);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

/* The configuration, in TensorBoard's Text tab. */
static wz_status show_config(wz_run *run, wz_error *err)
{
    wz_text yaml = {0}, shown = {0};
    wz_status status = wz_config_write(&run->config, &yaml, err);
    if (status == WZ_OK)
        status = add_block(yaml.data, yaml.length, &shown, err);
    if (status == WZ_OK)
        status = wz_events_add_text(&run->events, 0, "config", shown.data, shown.length, err);
    wz_text_clear(&yaml);
    wz_text_clear(&shown);
    return status;
}

/* As the rows so far left them. */
static wz_status start_alarms(wz_run *run, wz_error *err)
{
    const wz_config *c = &run->config;
    const wz_alarm_options options = {.enabled = c->alarm_enabled,
                                      .watch_reward = !c->curriculum_enabled,
                                      .first = c->sft_steps,
                                      .max_steps = c->max_steps,
                                      .patience = c->alarm_patience,
                                      .entropy_share = c->alarm_entropy_share,
                                      .answer_margin = c->alarm_answer_margin,
                                      .clipped_ratio = c->alarm_clipped_ratio,
                                      .dead_groups = c->alarm_dead_groups,
                                      .reward_rise = c->alarm_reward_rise,
                                      .evaluations = c->alarm_evaluations,
                                      .problems = c->eval_problems,
                                      .solved = c->alarm_solved,
                                      .before = c->alarm_before};
    wz_alarm_start(&run->alarm, &options);
    return run->state.step > 0 ? wz_alarm_replay(&run->alarm, run->metrics.log.path, err) : WZ_OK;
}

wz_status wz_run_open_logs(wz_run *run, wz_error *err)
{
    const char *path = run->directory.path;
    const wz_snapshot *s = &run->state;
    wz_status status = wz_metrics_open(&run->metrics, path, WZ_METRICS_FILE, s->metrics_bytes, err);
    if (status == WZ_OK)
        status = start_alarms(run, err);
    if (status == WZ_OK)
        status = wz_metrics_open(&run->completions, path, WZ_COMPLETIONS_FILE, s->completions_bytes, err);
    wz_row_start(&run->row, 0, err);
    fill_names(run, &run->row);
    if (status == WZ_OK)
        status = wz_table_open(&run->table, path, s->table_bytes, &run->row, err);
    if (status == WZ_OK)
        status = wz_events_open(&run->events, path, &s->events, s->step, err);
    return status == WZ_OK && s->step == 0 ? show_config(run, err) : status;
}

wz_status wz_run_sync_logs(wz_run *run, wz_error *err)
{
    wz_snapshot *s = &run->state;
    wz_status status = wz_metrics_sync(&run->metrics, &s->metrics_bytes, err);
    if (status == WZ_OK)
        status = wz_metrics_sync(&run->completions, &s->completions_bytes, err);
    if (status == WZ_OK)
        status = wz_table_sync(&run->table, &s->table_bytes, err);
    return status == WZ_OK ? wz_events_sync(&run->events, &s->events, err) : status;
}

void wz_run_close_logs(wz_run *run)
{
    wz_metrics_close(&run->metrics);
    wz_metrics_close(&run->completions);
    wz_table_close(&run->table);
    wz_events_close(&run->events);
    wz_row_clear(&run->row);
}

/* The row goes to all three files. */
static wz_status write_row(wz_run *run, wz_error *err)
{
    wz_status status = wz_metrics_add_row(&run->metrics, &run->row, err);
    if (status == WZ_OK)
        status = wz_table_add_row(&run->table, &run->row, err);
    return status == WZ_OK ? wz_events_add_row(&run->events, &run->row, err) : status;
}

wz_status wz_run_log_supervised(wz_run *run, const wz_sft_report *report, double step_s, wz_error *err)
{
    const wz_metric values[] = {{"sft_loss", report->loss},
                                {"sft_token_accuracy", report->token_accuracy},
                                {"grammar_loss", report->grammar_loss},
                                {"grad_norm", report->grad_norm},
                                {"learning_rate", report->learning_rate},
                                {"num_tokens", run->state.tokens},
                                {"step_time", step_s},
                                {"tokens_per_second/train", report->tokens / report->train_s}};
    wz_row_start(&run->row, run->state.step, err);
    wz_row_add_all(&run->row, "", values, sizeof values / sizeof values[0]);
    return write_row(run, err);
}

/* Says which alarms are raised, on the log, in metrics.jsonl and in TensorBoard's Text tab. */
static wz_status log_alarms(wz_run *run, unsigned raised, int64_t step, wz_error *err)
{
    wz_status status = WZ_OK;
    for (int kind = 0; status == WZ_OK && kind < WZ_ALARM_KINDS; kind++) {
        const char *name = wz_alarm_names[kind];
        wz_text line = {0};
        if ((raised & 1u << kind) == 0)
            continue;
        status = wz_text_printf(&line, err, "step %lld: ALARM (%s): ", (long long)step, name);
        const size_t start = line.length;
        if (status == WZ_OK)
            status = wz_alarm_explain(&run->alarm, (wz_alarm_kind)kind, &line, err);
        if (status == WZ_OK) {
            wz_progress_message(&run->progress, line.data);
            wz_metrics_begin(&run->metrics, err);
            wz_metrics_add_integer(&run->metrics, "step", step);
            wz_metrics_add_text(&run->metrics, "alarm", name, strlen(name));
            wz_metrics_add_text(&run->metrics, "message", line.data + start, line.length - start);
            status = wz_metrics_end(&run->metrics, err);
        }
        if (status == WZ_OK)
            status = wz_events_add_text(&run->events, step, "alarms", line.data, line.length, err);
        wz_text_clear(&line);
    }
    return status;
}

/* ---- a step ---- */

static void fill_thinking(const wz_run *run, const wz_step_report *r, wz_row *row)
{
    if (run->config.thinking_budget > 0 || run->config.verifier_tries > 0)
        wz_row_add(row, "completions/think_length", r->think_length);
    if (run->config.thinking_budget > 0)
        wz_row_add(row, "completions/think_clipped_ratio", r->think_clipped_ratio);
    if (run->config.verifier_tries > 0)
        wz_row_add(row, "completions/tries", r->tries);
}

/* Of a mixture, each part's own figures: "optimality/power_control/ratio". */
static void fill_parts(const wz_run *run, const wz_step_report *r, wz_row *row)
{
    const wz_mixture *mixture = &wz_trainer_settings(run->trainer)->mixture;
    const wz_curriculum *curricula = wz_trainer_curricula(run->trainer);
    const bool grows = run->config.curriculum_enabled && run->stages == NULL;
    char name[96];
    if (mixture->count == 1) {
        wz_row_add_integer(row, "task/size", r->parts[0].size);
        if (grows)
            wz_row_add(row, "curriculum/score", wz_curriculum_score(&curricula[0]));
        return;
    }
    for (size_t p = 0; p < mixture->count; p++) {
        const wz_part_report *part = &r->parts[p];
        const char *who = mixture->parts[p].name;
        const struct {
            const char *section, *figure;
            double value;
        } figures[] = {
            {"optimality", "ratio", part->ratio},         {"optimality", "feasible", part->feasible},
            {"optimality", "exact", part->exact_optimum}, {"reward", "mean", part->reward},
            {"task", "size", (double)part->size},         {"task", "completions", (double)part->completions}};
        for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
            (void)snprintf(name, sizeof name, "%s/%s/%s", figures[f].section, who, figures[f].figure);
            wz_row_add(row, name, figures[f].value);
        }
        (void)snprintf(name, sizeof name, "curriculum/%s/score", who);
        if (grows)
            wz_row_add(row, name, wz_curriculum_score(&curricula[p]));
    }
}

/* Of a run whose problems grow, the score at each size: "optimality/size_5/ratio", in the steps that train it. */
static void fill_sizes(const wz_run *run, const wz_step_report *r, wz_row *row)
{
    const wz_mixture *mixture = &wz_trainer_settings(run->trainer)->mixture;
    char name[128];
    size_t left = WZ_SIZES_MAX;
    if (!run->config.curriculum_enabled)
        return;
    for (size_t p = 0; p < mixture->count; p++) {
        const wz_mixture_part *part = &mixture->parts[p];
        const int64_t last = (int64_t)part->values[part->task->size_option];
        for (int64_t size = part->first; size <= last && left > 0; size++, left--) {
            double ratio = NAN;
            for (size_t i = 0; i < r->size_count; i++)
                if (r->sizes[i].part == p && r->sizes[i].size == size)
                    ratio = r->sizes[i].ratio;
            (void)snprintf(name, sizeof name, "optimality/%s%ssize_%lld/ratio",
                           mixture->count > 1 ? part->name : "", mixture->count > 1 ? "/" : "",
                           (long long)size);
            wz_row_add_optional(row, name, ratio);
        }
    }
}

static const char *const layer_groups[WZ_LAYERS_GROUPS] = {"embedding", "attention", "mlp", "norms", "head"};

/* What helps to understand a run rather than to judge it. */
static void fill_insight(const wz_run *run, const wz_step_report *r, wz_row *row)
{
    char name[64];
    for (int g = 0; g < WZ_LAYERS_GROUPS; g++) {
        (void)snprintf(name, sizeof name, "grad_norm/%s", layer_groups[g]);
        wz_row_add_optional(row, name, r->group_grad_norm[g]);
    }
    wz_row_add(row, "groups/dead", r->groups_dead);
    wz_row_add(row, "groups/solved", r->groups_solved);
    wz_row_add(row, "groups/failed", r->groups_failed);
    wz_row_add(row, "answers/top_share", r->answer_share);
    wz_row_add(row, "answers/reference_top_share", r->reference_share);
    wz_row_add(row, "entropy/first", r->entropy_start);
    wz_row_add(row, "entropy/last", r->entropy_end);
    wz_row_add_integer(row, "alarms", run->alarm.raised);
    wz_row_add_list(row, "entropy_by_place", r->entropy_at, WZ_ENTROPY_PLACES);
}

static void fill_times(const wz_step_report *r, double step_s, wz_row *row)
{
    const double rollout_s = r->rollout_s > 0.0 ? r->rollout_s : NAN,
                 train_s = r->train_s > 0.0 ? r->train_s : NAN;
    wz_row_add(row, "step_time", step_s);
    wz_row_add(row, "verify_time", r->verify_s);
    wz_row_add(row, "tokens_per_second/rollout", r->tokens / rollout_s);
    wz_row_add(row, "tokens_per_second/train", r->tokens / train_s);
    wz_row_add(row, "memory/resident_gb", (double)wz_memory_resident() / 1e9);
}

static void fill_step(const wz_run *run, const wz_step_report *r, double step_s, wz_row *row)
{
    const wz_metric values[] = {
        {"loss", r->loss},
        {"policy_loss", r->policy_loss},
        {"grammar_loss", r->grammar_loss},
        {"grad_norm", r->grad_norm},
        {"learning_rate", r->learning_rate},
        {"entropy_coef", r->entropy_coef},
        {"epoch", isnan(r->epoch) ? (double)row->step / (double)run->config.max_steps /* of generated ones */
                                  : r->epoch},
        {"num_tokens", run->state.tokens},
        {"reward", r->completions.reward},
        {"reward_std", r->reward_std},
        {"frac_reward_zero_std", r->frac_reward_zero_std},
        {"optimality/ratio", r->ratio},
        {"optimality/feasible", r->feasible},
        {"optimality/exact", r->exact_optimum},
        {"entropy", r->entropy},
        {"clip_ratio/low_mean", r->clip_low_mean},
        {"clip_ratio/low_min", r->clip_low_min},
        {"clip_ratio/high_mean", r->clip_high_mean},
        {"clip_ratio/high_max", r->clip_high_max},
        {"clip_ratio/region_mean", r->clip_low_mean + r->clip_high_mean},
        {"sampling/importance_sampling_ratio/min", r->ratio_min},
        {"sampling/importance_sampling_ratio/mean", r->ratio_mean},
        {"sampling/importance_sampling_ratio/max", r->ratio_max},
    };
    wz_row_add_all(row, "", values, sizeof values / sizeof values[0]);
    wz_run_fill_completions(run, "", &r->completions, row);
    fill_thinking(run, r, row);
    wz_row_add_optional(row, "kl", r->kl);
    wz_row_add_optional(row, "dynamic_sampling/replaced", r->replaced);
    wz_row_add_optional(row, "dynamic_sampling/tried", isnan(r->replaced) ? NAN : r->tried);
    wz_row_add_optional(row, "sampling/sampling_logp_difference/mean", r->logp_difference_mean);
    wz_row_add_optional(row, "sampling/sampling_logp_difference/max", r->logp_difference_max);
    fill_parts(run, r, row);
    fill_sizes(run, r, row);
    wz_run_fill_data(run, r, row);
    fill_insight(run, r, row);
    fill_times(r, step_s, row);
}

wz_status wz_run_log_step(wz_run *run, int64_t step, const wz_step_report *r, double step_s, wz_error *err)
{
    wz_row_start(&run->row, step + 1, err);
    fill_step(run, r, step_s, &run->row);
    const wz_alarm_point point = {.step = (double)(step + 1),
                                  .reward = r->completions.reward,
                                  .ratio = r->ratio,
                                  .entropy = r->entropy,
                                  .answer_share = r->answer_share,
                                  .reference_share = r->reference_share,
                                  .clipped_ratio = r->completions.clipped_ratio,
                                  .dead_groups = r->groups_dead};
    const wz_status status = write_row(run, err);
    return status == WZ_OK ? log_alarms(run, wz_alarm_add_step(&run->alarm, &point), step + 1, err) : status;
}

/* ---- an evaluation ---- */

wz_status wz_run_log_evaluation(wz_run *run, int64_t step, const wz_evaluation *evaluations, double score,
                                wz_error *err)
{
    wz_row_start(&run->row, step, err);
    wz_run_fill_evaluation(run, evaluations, score, &run->row);
    const wz_status status = write_row(run, err);
    return status == WZ_OK
               ? log_alarms(run, wz_alarm_add_evaluation(&run->alarm, (double)step, score), step, err)
               : status;
}

/* ---- completions ---- */

#define LOGGED_GROUPS 2
#define LOGGED_SAMPLES 4

static wz_status log_completion(wz_run *run, int64_t step, int64_t c, const wz_text *prompt, wz_error *err)
{
    const wz_batch *batch = wz_trainer_batch(run->trainer);
    const wz_verdict *verdict = &batch->verdicts[c];
    const char *kind = wz_verdict_kind_name(verdict->kind);
    const int64_t problem = wz_run_problem_number(run, &batch->problems[c / batch->generations]);
    wz_metrics *to = &run->completions;
    wz_metrics_begin(to, err);
    wz_metrics_add_integer(to, "step", step + 1);
    wz_metrics_add_integer(to, "problem", problem);
    wz_metrics_add_text(to, "prompt", prompt->data, prompt->length);
    wz_metrics_add_text(to, "completion", batch->completions[c].data, batch->completions[c].length);
    wz_metrics_add_text(to, "verdict", kind, strlen(kind));
    wz_metrics_add(to, "objective", verdict->objective);
    wz_metrics_add(to, "reference", verdict->reference);
    wz_metrics_add(to, "ratio", verdict->ratio);
    return wz_metrics_end(to, err);
}

wz_status wz_run_log_completions(wz_run *run, int64_t step, wz_error *err)
{
    const wz_batch *batch = wz_trainer_batch(run->trainer);
    wz_text prompt = {0}, shown = {0};
    wz_status status = WZ_OK;
    for (int64_t g = 0; status == WZ_OK && g < batch->groups && g < LOGGED_GROUPS; g++) {
        prompt.length = 0;
        status = wz_batch_print_prompt(batch, g, &prompt, err);
        if (status == WZ_OK)
            status = add_block(prompt.data, prompt.length, &shown, err);
        for (int64_t j = 0; status == WZ_OK && j < batch->generations && j < LOGGED_SAMPLES; j++) {
            const int64_t c = g * batch->generations + j;
            const wz_text *completion = &batch->completions[c];
            status = log_completion(run, step, c, &prompt, err);
            if (status == WZ_OK)
                status = wz_text_printf(&shown, err, "\nratio %.4f\n\n", batch->verdicts[c].ratio);
            if (status == WZ_OK)
                status = add_block(completion->data != NULL ? completion->data : "", completion->length,
                                   &shown, err);
        }
        if (status == WZ_OK)
            status = wz_text_append(&shown, "\n", 1, err);
    }
    if (status == WZ_OK)
        status = wz_events_add_text(&run->events, step + 1, "completions", shown.data, shown.length, err);
    wz_text_clear(&prompt);
    wz_text_clear(&shown);
    return status;
}
