/* What a run writes of itself: metrics.jsonl and completions.jsonl. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/run/run.h"

/* "rewards/ratio/mean", ...: each function as it is, unweighted; and what shaping added. */
static void log_rewards(wz_run *run, const wz_step_report *r)
{
    const wz_reward_options *options = &wz_trainer_settings(run->trainer)->reward;
    char name[64];
    for (size_t f = 0; f < options->count; f++) {
        const char *function = wz_reward_names[options->function[f]];
        (void)snprintf(name, sizeof name, "rewards/%s/mean", function);
        wz_metrics_add(&run->metrics, name, r->reward_mean[f]);
        (void)snprintf(name, sizeof name, "rewards/%s/std", function);
        wz_metrics_add(&run->metrics, name, r->reward_deviation[f]);
    }
    if (options->shaping > 0.0)
        wz_metrics_add(&run->metrics, "rewards/shaping/mean", r->shaping);
}

/* Of a mixture, each part's own figures: "optimality/power_control/ratio". */
static void log_parts(wz_run *run, const wz_step_report *r)
{
    const wz_mixture *mixture = &wz_trainer_settings(run->trainer)->mixture;
    const wz_curriculum *curricula = wz_trainer_curricula(run->trainer);
    const bool grows = run->config.curriculum_enabled;
    char name[96];
    if (mixture->count == 1) {
        wz_metrics_add_integer(&run->metrics, "task/size", r->parts[0].size);
        if (grows)
            wz_metrics_add(&run->metrics, "curriculum/score", wz_curriculum_score(&curricula[0]));
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
            wz_metrics_add(&run->metrics, name, figures[f].value);
        }
        (void)snprintf(name, sizeof name, "curriculum/%s/score", who);
        if (grows)
            wz_metrics_add(&run->metrics, name, wz_curriculum_score(&curricula[p]));
    }
}

wz_status wz_run_log_step(wz_run *run, int64_t step, const wz_step_report *r, double step_s, wz_error *err)
{
    const double rollout_s = r->rollout_s > 0.0 ? r->rollout_s : NAN,
                 train_s = r->train_s > 0.0 ? r->train_s : NAN;
    const wz_metric values[] = {
        {"loss", r->loss},
        {"policy_loss", r->policy_loss},
        {"grammar_loss", r->grammar_loss},
        {"grad_norm", r->grad_norm},
        {"learning_rate", r->learning_rate},
        {"entropy_coef", r->entropy_coef},
        {"num_tokens", run->state.tokens},
        {"reward", r->reward},
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
        {"completions/mean_length", r->mean_length},
        {"completions/min_length", r->min_length},
        {"completions/max_length", r->max_length},
        {"completions/mean_terminated_length", r->terminated_mean},
        {"completions/min_terminated_length", r->terminated_min},
        {"completions/max_terminated_length", r->terminated_max},
        {"completions/clipped_ratio", r->clipped_ratio},
        {"sampling/importance_sampling_ratio/min", r->ratio_min},
        {"sampling/importance_sampling_ratio/mean", r->ratio_mean},
        {"sampling/importance_sampling_ratio/max", r->ratio_max},
    };
    wz_metrics_begin(&run->metrics, err);
    wz_metrics_add_integer(&run->metrics, "step", step + 1);
    wz_metrics_add_all(&run->metrics, values, sizeof values / sizeof values[0]);
    log_rewards(run, r);
    if (!isnan(r->logp_difference_max)) {
        wz_metrics_add(&run->metrics, "sampling/sampling_logp_difference/mean", r->logp_difference_mean);
        wz_metrics_add(&run->metrics, "sampling/sampling_logp_difference/max", r->logp_difference_max);
    }
    log_parts(run, r);
    wz_metrics_add(&run->metrics, "step_time", step_s);
    wz_metrics_add(&run->metrics, "tokens_per_second/rollout", r->tokens / rollout_s);
    wz_metrics_add(&run->metrics, "tokens_per_second/train", r->tokens / train_s);
    return wz_metrics_end(&run->metrics, err);
}

/* prefix "eval_", or "eval_power_control_" for a part of a mixture. */
static void log_score(wz_run *run, const char *prefix, const wz_score *score)
{
    const wz_metric values[] = {
        {"objective_ratio", score->mean},
        {"ratio_of_means", score->ratio_of_means},
        {"percent_of_field", score->percent_of_field},
        {"feasible", score->feasible},
        {"exact_optimum", score->exact_optimum},
        {"gap_p99", score->gap_p99},
    };
    char name[128];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        (void)snprintf(name, sizeof name, "%s%s", prefix, values[i].name);
        wz_metrics_add(&run->metrics, name, values[i].value);
    }
}

wz_status wz_run_log_evaluation(wz_run *run, int64_t step, const wz_evaluation *evaluations, double score,
                                wz_error *err)
{
    const wz_mixture *mixture = &wz_trainer_settings(run->trainer)->mixture;
    char prefix[80];
    wz_metrics_begin(&run->metrics, err);
    wz_metrics_add_integer(&run->metrics, "step", step);
    if (mixture->count == 1)
        log_score(run, "eval_", &evaluations[0].policy);
    else
        wz_metrics_add(&run->metrics, "eval_objective_ratio", score);
    for (size_t p = 0; mixture->count > 1 && p < mixture->count; p++) {
        (void)snprintf(prefix, sizeof prefix, "eval_%s_", mixture->parts[p].name);
        log_score(run, prefix, &evaluations[p].policy);
    }
    return wz_metrics_end(&run->metrics, err);
}

#define LOGGED_GROUPS 2
#define LOGGED_SAMPLES 4

wz_status wz_run_log_completions(wz_run *run, int64_t step, wz_error *err)
{
    const wz_batch *batch = wz_trainer_batch(run->trainer);
    wz_text prompt = {0};
    wz_status status = WZ_OK;
    for (int64_t g = 0; status == WZ_OK && g < batch->groups && g < LOGGED_GROUPS; g++) {
        prompt.length = 0;
        status = wz_problem_print(&batch->problems[g], batch->style, &prompt, err);
        for (int64_t j = 0; status == WZ_OK && j < batch->generations && j < LOGGED_SAMPLES; j++) {
            const int64_t c = g * batch->generations + j;
            const wz_verdict *verdict = &batch->verdicts[c];
            wz_metrics_begin(&run->completions, err);
            wz_metrics_add_integer(&run->completions, "step", step + 1);
            wz_metrics_add_integer(&run->completions, "problem", (int64_t)batch->problems[g].index);
            wz_metrics_add_text(&run->completions, "prompt", prompt.data, prompt.length);
            wz_metrics_add_text(&run->completions, "completion", batch->completions[c].data,
                                batch->completions[c].length);
            const char *kind = wz_verdict_kind_name(verdict->kind);
            wz_metrics_add_text(&run->completions, "verdict", kind, strlen(kind));
            wz_metrics_add(&run->completions, "objective", verdict->objective);
            wz_metrics_add(&run->completions, "reference", verdict->reference);
            wz_metrics_add(&run->completions, "ratio", verdict->ratio);
            status = wz_metrics_end(&run->completions, err);
        }
    }
    wz_text_clear(&prompt);
    return status;
}
