#include "engine/grpo/report.h"

#include <math.h>
#include <stdlib.h>

#include "engine/grpo/advantage.h"

void wz_report_start(wz_step_report *report)
{
    *report = (wz_step_report){.logp_difference_mean = NAN,
                               .logp_difference_max = NAN,
                               .kl = NAN,
                               .replaced = NAN,
                               .epoch = NAN,
                               .pool = NAN,
                               .pool_success = NAN,
                               .again = NAN,
                               .flat_again = NAN,
                               .flat_anew = NAN,
                               .rejected = NAN,
                               .unfiltered = NAN,
                               .skipped = NAN};
    for (int i = 0; i < WZ_LAYERS_GROUPS; i++)
        report->group_grad_norm[i] = NAN;
}

void wz_report_sums_start(wz_report_sums *sums)
{
    *sums = (wz_report_sums){.ratio_min = INFINITY, .ratio_max = -INFINITY, .clip_low_min = INFINITY};
}

void wz_report_pack(wz_report_sums *sums, const wz_pack *pack, const wz_pack_scores *scores)
{
    for (int64_t i = 0; i < pack->lessons.count; i++) /* in order of completions */
        sums->grammar -= (double)scores->lesson_weight[i] * (double)scores->lesson_logp[i];
    for (int64_t c = 0; c < pack->completions; c++) {
        const wz_loss_sums *s = &scores->sums[c];
        if (s->tokens == 0)
            continue;
        const double low = (double)s->clipped_low / (double)s->tokens;
        const double high = (double)s->clipped_high / (double)s->tokens;
        sums->policy += s->policy;
        sums->entropy_loss += s->entropy;
        sums->raw_entropy += s->raw_entropy;
        sums->kl_loss += s->kl;
        sums->raw_kl += s->raw_kl;
        sums->kept += s->kept;
        sums->kept_entropy += s->kept_entropy;
        sums->tokens += s->tokens;
        sums->ratio_sum += s->ratio_sum;
        sums->ratio_min = fmin(sums->ratio_min, s->ratio_min);
        sums->ratio_max = fmax(sums->ratio_max, s->ratio_max);
        sums->completions++;
        sums->clip_low += low;
        sums->clip_high += high;
        sums->clip_low_min = fmin(sums->clip_low_min, low);
        sums->clip_high_max = fmax(sums->clip_high_max, high);
    }
}

#define ENTROPY_UNIT 4294967296.0 /* 1 nat */

wz_status wz_report_entropies(wz_report_sums *sums, const wz_pack *pack, const wz_pack_scores *scores,
                              wz_error *err)
{
    void *block = NULL;
    const wz_decisions *d = &pack->decisions;
    wz_status status =
        wz_alloc(&block, (size_t)pack->completions, sizeof(int64_t), "entropies by place", err);
    if (status != WZ_OK)
        return status;
    int64_t *seen = block;
    for (int64_t i = 0; i < d->count; i++) {
        const int64_t all = scores->sums[d->completion[i]].tokens;
        if (all == 0)
            continue;
        const int64_t place = seen[d->completion[i]]++;
        const int64_t at = all <= WZ_ENTROPY_PLACES ? place : WZ_ENTROPY_PLACES * place / all;
        const double entropy = (double)scores->entropy[i];
        const int64_t units =
            isfinite(entropy) ? llround(entropy * ENTROPY_UNIT) : 0; /* the step will say so */
        sums->entropy_units[at] += units;
        sums->entropy_count[at]++;
        sums->start_units += place == 0 ? units : 0;
        sums->end_units += place == all - 1 ? units : 0;
    }
    free(block);
    return WZ_OK;
}

static void report_entropies(wz_step_report *report, const wz_report_sums *sums, double completions)
{
    for (int i = 0; i < WZ_ENTROPY_PLACES; i++) /* 0 / 0: no decision there */
        report->entropy_at[i] =
            (double)sums->entropy_units[i] / ENTROPY_UNIT / (double)sums->entropy_count[i];
    report->entropy_start = (double)sums->start_units / ENTROPY_UNIT / completions;
    report->entropy_end = (double)sums->end_units / ENTROPY_UNIT / completions;
}

void wz_report_losses(wz_step_report *report, const wz_report_sums *sums, double divisor, double entropy_term,
                      double beta)
{
    const double tokens = sums->tokens > 0 ? (double)sums->tokens : 1.0;
    const double completions = sums->completions > 0 ? (double)sums->completions : 1.0;
    report->policy_loss = sums->policy / divisor;
    report->grammar_loss = sums->grammar / divisor;
    report->loss = (sums->policy - entropy_term + sums->grammar) / divisor;
    if (beta > 0.0) {
        report->loss += beta * sums->kl_loss / divisor;
        report->kl = sums->raw_kl / tokens;
    }
    report->entropy = sums->raw_entropy / tokens;
    report_entropies(report, sums, completions);
    report->ratio_mean = sums->ratio_sum / tokens;
    report->ratio_min = sums->tokens > 0 ? sums->ratio_min : 1.0;
    report->ratio_max = sums->tokens > 0 ? sums->ratio_max : 1.0;
    report->clip_low_mean = sums->clip_low / completions;
    report->clip_high_mean = sums->clip_high / completions;
    report->clip_low_min = sums->completions > 0 ? sums->clip_low_min : 0.0;
    report->clip_high_max = sums->clip_high_max;
}

static void report_rows(wz_step_report *report, const wz_batch *batch)
{
    for (int64_t p = 0; p < batch->pack_count; p++) {
        const wz_pack *pack = batch->packs[p];
        report->rows += pack->segments.rows;
        for (int64_t g = 0; g < pack->groups; g++)
            report->tokens += (double)pack->prompt_length[g];
    }
}

void wz_report_batch(wz_step_report *report, const wz_batch *batch, const wz_reward_options *options,
                     int64_t step, const double *reward)
{
    const int64_t count = batch->groups * batch->generations;
    double std_sum = 0.0, mean = 0.0, std = 0.0;
    for (int64_t g = 0; g < batch->groups; g++) {
        wz_mean_std(reward + g * batch->generations, (size_t)batch->generations, &mean, &std);
        std_sum += std;
    }
    report->reward_std = std_sum / (double)batch->groups; /* within groups, as TRL reports it */
    int64_t feasible = 0, optimal = 0;
    for (int64_t c = 0; c < count; c++) {
        const wz_verdict *verdict = &batch->verdicts[c];
        report->ratio += verdict->ratio / (double)count;
        feasible += verdict->kind == WZ_VERDICT_FEASIBLE;
        optimal += verdict->is_optimum;
    }
    report->feasible = (double)feasible / (double)count;
    report->exact_optimum = (double)optimal / (double)count;
    wz_completion_sums sums = {0};
    wz_completion_sums_add(&sums, batch, options, step);
    wz_completion_sums_finish(&sums, &report->completions);
    report->tokens += sums.length;
    report_rows(report, batch);
}

void wz_report_thinking(wz_step_report *report, const wz_batch *batch)
{
    const double all = (double)(batch->groups * batch->generations);
    for (int64_t p = 0; p < batch->pack_count; p++) {
        const wz_pack *pack = batch->packs[p];
        for (int64_t c = 0; c < pack->completions; c++) {
            report->think_length += (double)pack->think_length[c] / all;
            report->think_clipped_ratio += (double)pack->think_cut[c] / all;
            report->tries += (double)pack->tries[c] / all;
        }
    }
}
