#include "engine/grpo/loss.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static bool counts(const wz_loss_input *input, int64_t token)
{
    return input->left_out == NULL || !input->left_out[input->completion[token]];
}

int64_t wz_loss_count(const wz_loss_input *input)
{
    int64_t count = 0;
    for (int64_t i = 0; i < input->tokens; i++)
        count += counts(input, i);
    return count;
}

/* What a token's loss is multiplied with; `length` is its completion's, `here` the micro-batch's count. */
static double token_weight(const wz_loss_options *options, const wz_loss_totals *totals, int64_t length,
                           int64_t here)
{
    switch (options->type) {
    case WZ_LOSS_GRPO:
        return 1.0 / ((double)totals->completions * (double)length);
    case WZ_LOSS_DAPO:
        return 1.0 / (double)totals->tokens;
    case WZ_LOSS_BNPO:
        return 1.0 / ((double)totals->micro_batches * (double)here);
    case WZ_LOSS_DR_GRPO:
        return 1.0 / ((double)totals->completions * (double)options->max_completion_length);
    }
    return 0.0;
}

/* -min(rho A, clip(rho) A) and its derivative with respect to rho. Exactly at the edge the gradient flows. */
static double policy_term(const wz_loss_options *options, double rho, double advantage, double *slope)
{
    const double low = 1.0 - options->epsilon, high = 1.0 + options->epsilon_high;
    const double clipped = rho < low ? low : rho > high ? high : rho;
    if (rho * advantage <= clipped * advantage) {
        *slope = -advantage;
        return -rho * advantage;
    }
    *slope = 0.0;
    return -clipped * advantage;
}

static void add_token(const wz_loss_options *options, wz_loss_sums *sums, double rho, double advantage,
                      double term, double entropy, double weight)
{
    sums->policy += weight * term;
    sums->entropy += weight * entropy;
    sums->raw_entropy += entropy;
    sums->clipped_low += advantage < 0.0 && rho < 1.0 - options->epsilon;
    sums->clipped_high += advantage > 0.0 && rho > 1.0 + options->epsilon_high;
    sums->ratio_sum += rho;
    sums->ratio_min = fmin(sums->ratio_min, rho);
    sums->ratio_max = fmax(sums->ratio_max, rho);
}

void wz_grpo_loss(const wz_loss_options *options, const wz_loss_input *input, const wz_loss_totals *totals,
                  wz_loss_sums *sums, float *dlogp, float *dentropy)
{
    const int64_t here = wz_loss_count(input);
    for (int64_t c = 0; c < input->completions; c++)
        sums[c] = (wz_loss_sums){.ratio_min = INFINITY, .ratio_max = -INFINITY};
    for (int64_t i = 0; i < input->tokens; i++)
        sums[input->completion[i]].tokens += counts(input, i);
    for (int64_t i = 0; i < input->tokens; i++) {
        wz_loss_sums *sum = &sums[input->completion[i]];
        const double advantage = input->advantage[input->completion[i]];
        dlogp[i] = dentropy[i] = 0.0f;
        if (!counts(input, i))
            continue;
        double slope = 0.0;
        const double weight = token_weight(options, totals, sum->tokens, here);
        const double rho = exp((double)input->logp[i] - (double)input->old_logp[i]);
        const double term = policy_term(options, rho, advantage, &slope);
        dlogp[i] = (float)(weight * slope * rho);
        dentropy[i] = (float)(-weight * options->entropy_coef);
        add_token(options, sum, rho, advantage, term, (double)input->entropy[i], weight);
    }
}
