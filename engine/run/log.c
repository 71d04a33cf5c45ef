/* What a run writes of itself: metrics.jsonl and completions.jsonl. */
#include <math.h>
#include <string.h>

#include "engine/run/run.h"

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
        {"rewards/objective/mean", r->reward},
        {"rewards/objective/std", r->reward_std},
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
    if (!isnan(r->logp_difference_max)) {
        wz_metrics_add(&run->metrics, "sampling/sampling_logp_difference/mean", r->logp_difference_mean);
        wz_metrics_add(&run->metrics, "sampling/sampling_logp_difference/max", r->logp_difference_max);
    }
    wz_metrics_add_integer(&run->metrics, "task/size", r->size);
    if (run->config.curriculum_enabled)
        wz_metrics_add(&run->metrics, "curriculum/score",
                       wz_curriculum_score(wz_trainer_curriculum(run->trainer)));
    wz_metrics_add(&run->metrics, "step_time", step_s);
    wz_metrics_add(&run->metrics, "tokens_per_second/rollout", r->tokens / rollout_s);
    wz_metrics_add(&run->metrics, "tokens_per_second/train", r->tokens / train_s);
    return wz_metrics_end(&run->metrics, err);
}

wz_status wz_run_log_evaluation(wz_run *run, int64_t step, const wz_evaluation *e, wz_error *err)
{
    wz_metrics_begin(&run->metrics, err);
    wz_metrics_add_integer(&run->metrics, "step", step);
    wz_metrics_add(&run->metrics, "eval_objective_ratio", e->policy.mean);
    wz_metrics_add(&run->metrics, "eval_ratio_of_means", e->policy.ratio_of_means);
    wz_metrics_add(&run->metrics, "eval_percent_of_field", e->policy.percent_of_field);
    wz_metrics_add(&run->metrics, "eval_feasible", e->policy.feasible);
    wz_metrics_add(&run->metrics, "eval_exact_optimum", e->policy.exact_optimum);
    wz_metrics_add(&run->metrics, "eval_gap_p99", e->policy.gap_p99);
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
        status = batch->problems[g].task->print(&batch->problems[g], batch->style, &prompt, err);
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
