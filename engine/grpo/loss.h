/* The GRPO loss: a pure function of small per-token arrays. It knows no model and no device.
 *
 * Per token, with rho = exp(logp - old_logp) and A the completion's advantage:
 *     l = -min(rho A, clip(rho, 1 - epsilon, 1 + epsilon_high) A) - entropy_coef H
 * (Shao et al. 2024, eq. 3), then aggregated by loss_type:
 *     grpo     mean over completions of the mean over their tokens   (DeepSeekMath, DeepSeek-R1)
 *     dapo     sum / tokens of the whole optimiser batch             (Yu et al. 2025)
 *     bnpo     mean over micro-batches of sum / tokens of the micro-batch
 *     dr_grpo  sum / (completions * max_completion_length)           (Liu et al. 2025)
 * Tokens are those that count: sampled from more than one allowed token. */
#ifndef WZ_GRPO_LOSS_H
#define WZ_GRPO_LOSS_H

#include <stddef.h>
#include <stdint.h>

typedef enum wz_loss_type { WZ_LOSS_GRPO, WZ_LOSS_DAPO, WZ_LOSS_BNPO, WZ_LOSS_DR_GRPO } wz_loss_type;

typedef struct wz_loss_options {
    wz_loss_type type;
    double epsilon, epsilon_high;
    double entropy_coef;
    int64_t max_completion_length;
} wz_loss_options;

/* One micro-batch. */
typedef struct wz_loss_input {
    int64_t tokens, completions;
    const int32_t *completion; /* [tokens] 0 .. completions - 1, in any order */
    const float *logp;         /* [tokens] under the present policy */
    const float *old_logp;     /* [tokens] as sampled */
    const float *entropy;      /* [tokens] of the present policy, in nats */
    const double *advantage;   /* [completions] */
    const uint8_t *left_out;   /* [completions] 1: its tokens do not count; NULL: none */
} wz_loss_input;

/* What the denominators span: the whole optimiser batch, all micro-batches together. */
typedef struct wz_loss_totals {
    int64_t completions, tokens, micro_batches;
} wz_loss_totals;

/* Sums of one completion's tokens; a batch's metrics are sums of these in order of completions, so that
 * they do not depend on how it was cut. */
typedef struct wz_loss_sums {
    int64_t tokens;
    double policy, entropy; /* aggregated shares of the loss: loss = policy - entropy_coef entropy */
    double raw_entropy;     /* sum of H */
    int64_t clipped_low, clipped_high; /* A < 0 and rho < 1 - epsilon; A > 0 and rho > 1 + epsilon_high */
    double ratio_sum, ratio_min, ratio_max;
} wz_loss_sums;

/* Tokens of the input that count. */
int64_t wz_loss_count(const wz_loss_input *input);

/* sums [completions] (written); dlogp, dentropy [tokens]: derivatives of the batch's loss. */
void wz_grpo_loss(const wz_loss_options *options, const wz_loss_input *input, const wz_loss_totals *totals,
                  wz_loss_sums *sums, float *dlogp, float *dentropy);

#endif
