/* The GRPO loss: a pure function of small per-token arrays. It knows no model and no device.
 *
 * Per token, with rho = exp(logp - old_logp), A the completion's advantage, k the token's KL term and H its entropy:
 *     l = policy(rho, A) + beta k - entropy_coef H
 * and, by loss_type, the policy term and how l is aggregated:
 *     grpo     clip   mean over completions of the mean over their tokens   (Shao et al. 2024, eq. 3)
 *     dapo     clip   sum / tokens of the whole optimiser batch             (Yu et al. 2025)
 *     bnpo     clip   mean over micro-batches of sum / tokens of the micro-batch
 *     dr_grpo  clip   sum / (completions * max_completion_length)           (Liu et al. 2025)
 *     cispo    -min(rho, epsilon_high) A logp, the ratio a constant; as dapo          (MiniMax-M1, 2025)
 *     sapo     -(4 / tau) sigmoid(tau (rho - 1)) A, tau by the sign of A; as grpo      (Gao et al. 2025)
 * where clip is -min(min(rho, delta) A, clip(rho, 1 - epsilon, 1 + epsilon_high) A), and for A < 0 at most -dual_clip A
 * (Ye et al. 2020, eq. 5). With sequence_level, rho is exp(mean over the completion's tokens of logp - old_logp), for all of
 * its tokens (GSPO: Zheng et al. 2025, eq. 7); its gradient reaches each of them.
 * k, with d = logp - ref_logp: d (k1), d^2 / 2 (k2), exp(-d) + d - 1 (k3; Schulman 2020); times rho with bias_correction.
 * With an entropy_bound, the policy and entropy terms of tokens of less entropy are 0 (Wang et al. 2025); denominators stay.
 * Tokens are those that count: sampled from more than one allowed token. At the edge of a clip the gradient flows. */
#ifndef WZ_GRPO_LOSS_H
#define WZ_GRPO_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum wz_loss_type {
    WZ_LOSS_GRPO,
    WZ_LOSS_DAPO,
    WZ_LOSS_BNPO,
    WZ_LOSS_DR_GRPO,
    WZ_LOSS_CISPO,
    WZ_LOSS_SAPO
} wz_loss_type;

typedef enum wz_kl_estimator { WZ_KL_K1, WZ_KL_K2, WZ_KL_K3 } wz_kl_estimator;

typedef struct wz_loss_options {
    wz_loss_type type;
    double epsilon,
        epsilon_high; /* cispo: epsilon_high is the most that the ratio counts, and epsilon unused */
    double entropy_coef;
    int64_t max_completion_length;
    bool sequence_level;
    double delta, dual_clip; /* 0: none */
    double sapo_temperature_pos, sapo_temperature_neg;
    double beta; /* 0: no reference, no KL term */
    wz_kl_estimator kl;
    bool bias_correction;
} wz_loss_options;

/* One micro-batch. */
typedef struct wz_loss_input {
    int64_t tokens, completions;
    const int32_t *completion; /* [tokens] 0 .. completions - 1, in any order */
    const float *logp;         /* [tokens] under the present policy */
    const float *old_logp;     /* [tokens] as sampled */
    const float *ref_logp;     /* [tokens] under the reference; NULL where beta is 0 */
    const float *entropy;      /* [tokens] of the present policy, in nats */
    const double *advantage;   /* [completions] */
    const uint8_t *left_out;   /* [completions] 1: its tokens do not count; NULL: none */
} wz_loss_input;

/* What spans the whole optimiser batch, all micro-batches together. */
typedef struct wz_loss_totals {
    int64_t completions, tokens, micro_batches;
    double entropy_bound; /* wz_loss_entropy_bound; 0: none */
} wz_loss_totals;

/* Sums of one completion's tokens; a batch's metrics are sums of these in order of completions, so that
 * they do not depend on how it was cut. */
typedef struct wz_loss_sums {
    int64_t tokens;
    double policy, entropy, kl; /* aggregated shares of the loss = policy - entropy_coef entropy + beta kl */
    double raw_entropy, raw_kl; /* sums of H and of k */
    int64_t kept;               /* tokens that reach the entropy bound, */
    double kept_entropy;        /* and the sum of their H */
    int64_t clipped_low,
        clipped_high; /* A < 0 and rho < 1 - epsilon; A > 0 and rho > 1 + epsilon_high (cispo: >
                                        * epsilon_high, and never low; sapo: never) */
    double ratio_sum, ratio_min, ratio_max;
    double log_ratio;      /* sequence_level: mean of logp - old_logp, */
    double ratio_gradient; /* and the derivative with respect to it */
} wz_loss_sums;

/* Tokens of the input that count. */
int64_t wz_loss_count(const wz_loss_input *input);

/* The least entropy of the `quantile` (in (0, 1]) tokens of most entropy: the (1 - quantile) quantile of all, interpolated
 * linearly. Sorts the values; 0 where there are none. */
double wz_loss_entropy_bound(float *entropy, size_t count, double quantile);

/* Whether the loss is a sum over tokens divided by their number in the optimiser batch: that may be done at the end. */
bool wz_loss_divides_by_tokens(wz_loss_type type);
/* What every token's share is divided by, where that is the same for all (dapo, cispo, dr_grpo); at least 1. 0: it depends on the
 * token's completion or micro-batch. */
double wz_loss_token_divisor(const wz_loss_options *options, const wz_loss_totals *totals);

/* sums [completions] (written); dlogp, dentropy [tokens]: derivatives of the batch's loss. */
void wz_grpo_loss(const wz_loss_options *options, const wz_loss_input *input, const wz_loss_totals *totals,
                  wz_loss_sums *sums, float *dlogp, float *dentropy);

/* The loss of tokens that are given, -logp, summed: the sum is not divided. Of the sums, tokens and policy are written, the
 * rest is 0; of the input, tokens, completions, completion and logp are read. */
void wz_supervised_loss(const wz_loss_input *input, wz_loss_sums *sums, float *dlogp, float *dentropy);

#endif
