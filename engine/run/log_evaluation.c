/* What a row of metrics says of an evaluation, and what it says of completions in a training step and an evaluation alike. */
#include <math.h>
#include <stdio.h>

#include "engine/run/run.h"

/* ---- completions ---- */

static void add(const char *prefix, const char *name, double value, wz_row *row)
{
    wz_row_add_all(row, prefix, &(wz_metric){name, value}, 1);
}

/* "rewards/ratio/mean", ...: each function as it is, unweighted; and what shaping and lengths added. */
static void fill_rewards(const wz_run *run, const char *prefix, const wz_completion_figures *f, wz_row *row)
{
    const wz_reward_options *options = &wz_trainer_settings(run->trainer)->reward;
    char name[64];
    for (size_t i = 0; i < options->count; i++) {
        const char *function = wz_reward_names[options->function[i]];
        (void)snprintf(name, sizeof name, "rewards/%s/mean", function);
        add(prefix, name, f->function_mean[i], row);
        (void)snprintf(name, sizeof name, "rewards/%s/std", function);
        add(prefix, name, f->function_std[i], row);
    }
    if (options->shaping > 0.0)
        add(prefix, "rewards/shaping/mean", f->shaping, row);
    if (options->overlong_buffer > 0)
        add(prefix, "rewards/overlong/mean", f->overlong, row);
}

void wz_run_fill_completions(const wz_run *run, const char *prefix, const wz_completion_figures *f,
                             wz_row *row)
{
    const wz_metric lengths[] = {{"completions/mean_length", f->mean_length},
                                 {"completions/min_length", f->min_length},
                                 {"completions/max_length", f->max_length},
                                 {"completions/mean_terminated_length", f->terminated_mean},
                                 {"completions/min_terminated_length", f->terminated_min},
                                 {"completions/max_terminated_length", f->terminated_max},
                                 {"completions/clipped_ratio", f->clipped_ratio}};
    fill_rewards(run, prefix, f, row);
    wz_row_add_all(row, prefix, lengths, sizeof lengths / sizeof *lengths);
}

/* ---- an evaluation ---- */

/* prefix "eval_", or "eval_power_control_" for a part of a mixture. */
static void fill_score(const char *prefix, const wz_score *score, wz_row *row)
{
    const wz_metric values[] = {
        {"objective_ratio", score->mean},
        {"ratio_of_means", score->ratio_of_means},
        {"percent_of_field", score->percent_of_field},
        {"feasible", score->feasible},
        {"exact_optimum", score->exact_optimum},
        {"gap_p99", score->gap_p99},
    };
    wz_row_add_all(row, prefix, values, sizeof values / sizeof *values);
}

static void fill_sums(const wz_run *run, const char *prefix, const wz_completion_sums *sums, wz_row *row)
{
    wz_completion_figures figures;
    wz_completion_sums_finish(sums, &figures);
    add(prefix, "reward", figures.reward, row);
    wz_run_fill_completions(run, prefix, &figures, row);
    add(prefix, "entropy", figures.entropy, row);
}

/* "baselines/wmmse/ratio": known with a run's first evaluation, since the problems stay the same. */
static void fill_baselines(const wz_mixture *mixture, size_t p, const wz_evaluation *e, wz_row *row)
{
    const wz_verifier *verifier = wz_verifier_find(mixture->parts[p].task->name);
    char name[128];
    for (size_t b = 0; verifier != NULL && b < verifier->baseline_count; b++) {
        (void)snprintf(name, sizeof name, "baselines/%s%s%.40s/ratio",
                       mixture->count > 1 ? mixture->parts[p].name : "", mixture->count > 1 ? "/" : "",
                       verifier->baselines[b].name);
        wz_row_add_optional(row, name, b < e->baseline_count ? e->baselines[b].score.mean : NAN);
    }
}

void wz_run_fill_evaluation(const wz_run *run, const wz_evaluation *evaluations, double score, wz_row *row)
{
    const wz_mixture *mixture = &wz_trainer_settings(run->trainer)->mixture;
    wz_completion_sums all = evaluations[0].completions;
    char prefix[80];
    if (mixture->count == 1) {
        fill_score("eval_", &evaluations[0].policy, row);
    } else {
        wz_row_add(row, "eval_objective_ratio", score);
        all = (wz_completion_sums){0};
        for (size_t p = 0; p < mixture->count; p++)
            wz_completion_sums_mix(&all, &evaluations[p].completions, mixture->parts[p].weight);
    }
    fill_sums(run, "eval_", &all, row);
    for (size_t p = 0; mixture->count > 1 && p < mixture->count; p++) {
        (void)snprintf(prefix, sizeof prefix, "eval_%s_", mixture->parts[p].name);
        fill_score(prefix, &evaluations[p].policy, row);
        fill_sums(run, prefix, &evaluations[p].completions, row);
    }
    for (size_t p = 0; p < mixture->count; p++)
        fill_baselines(mixture, p, &evaluations[p], row);
}
