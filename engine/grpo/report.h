/* Sums behind a step's report. All sums over tokens run completion by completion in order, so that they do not depend on
 * how the batch was cut. */
#ifndef WZ_GRPO_REPORT_H
#define WZ_GRPO_REPORT_H

#include "engine/grpo/trainer.h"
#include "engine/grpo/update.h"

typedef struct wz_report_sums {
    double policy, entropy_loss, raw_entropy, grammar;
    int64_t tokens;
    double ratio_sum, ratio_min, ratio_max;
    int64_t completions;
    double clip_low, clip_low_min, clip_high, clip_high_max; /* shares per completion */
} wz_report_sums;

void wz_report_start(wz_step_report *report); /* every field not measured */
void wz_report_sums_start(wz_report_sums *sums);
void wz_report_pack(wz_report_sums *sums, const wz_pack *pack, const wz_pack_scores *scores,
                    double grammar_weight);
/* divisor: what the sums of the losses are to be divided by. */
void wz_report_losses(wz_step_report *report, const wz_report_sums *sums, double divisor,
                      double entropy_coef);
/* Rewards, verdicts and lengths. */
void wz_report_batch(wz_step_report *report, const wz_batch *batch, const wz_reward_options *options,
                     int64_t step, const double *reward);

#endif
