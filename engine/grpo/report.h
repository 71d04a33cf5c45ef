/* Sums behind a step's report. All sums over tokens run completion by completion in order, so that they do not depend on
 * how the batch was cut. */
#ifndef WZ_GRPO_REPORT_H
#define WZ_GRPO_REPORT_H

#include "engine/grpo/trainer.h"
#include "engine/grpo/update.h"

typedef struct wz_report_sums {
    double policy, entropy_loss, raw_entropy, grammar;
    double kl_loss, raw_kl;
    double bonus; /* where the entropy coefficient may change from update to update: the entropy term */
    int64_t kept; /* tokens whose entropy counts, and its sum */
    double kept_entropy;
    int64_t tokens;
    double ratio_sum, ratio_min, ratio_max;
    /* Of entropies by place, in units of 2^-32 nat: whole numbers add to the same sum in any order. */
    int64_t entropy_units[WZ_ENTROPY_PLACES], entropy_count[WZ_ENTROPY_PLACES];
    int64_t start_units, end_units;
    int64_t completions;
    double clip_low, clip_low_min, clip_high, clip_high_max; /* shares per completion */
} wz_report_sums;

void wz_report_start(wz_step_report *report); /* every field not measured */
void wz_report_sums_start(wz_report_sums *sums);
void wz_report_pack(wz_report_sums *sums, const wz_pack *pack, const wz_pack_scores *scores);
/* Entropies by place; the completions left out have no tokens in scores->sums. */
wz_status wz_report_entropies(wz_report_sums *sums, const wz_pack *pack, const wz_pack_scores *scores,
                              wz_error *err);
/* divisor: what the sums of the losses are to be divided by; entropy_term: the entropy's share of them; beta: the KL's weight. */
void wz_report_losses(wz_step_report *report, const wz_report_sums *sums, double divisor, double entropy_term,
                      double beta);
/* Rewards, verdicts and lengths. */
void wz_report_batch(wz_step_report *report, const wz_batch *batch, const wz_reward_options *options,
                     int64_t step, const double *reward);
/* Means over completions of what they thought. */
void wz_report_thinking(wz_step_report *report, const wz_batch *batch);
/* flat [groups]: whether a group's rewards are equal. */
void wz_report_groups(wz_step_report *report, const wz_batch *batch, const uint8_t *flat);
/* part [groups]: of the mixture. */
void wz_report_sizes(wz_step_report *report, const wz_batch *batch, const uint8_t *part);
/* work [groups * generations] */
void wz_report_answers(wz_step_report *report, const wz_batch *batch, const uint8_t *part, size_t parts,
                       uint64_t *work);
/* Norms of the gradients by group of layers, over `divisor`. */
void wz_report_gradients(wz_step_report *report, const wz_model *model, double divisor);

#endif
