#include "engine/grpo/loss.h"

#include <math.h>
#include <stdlib.h>

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

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double wz_loss_entropy_bound(float *entropy, size_t count, double quantile)
{
    if (count == 0)
        return 0.0;
    qsort(entropy, count, sizeof *entropy, ascending);
    const double place = (1.0 - quantile) * (double)(count - 1);
    const size_t below = (size_t)place, above = below + 1 < count ? below + 1 : below;
    return (double)entropy[below] +
           (place - (double)below) * ((double)entropy[above] - (double)entropy[below]);
}

bool wz_loss_divides_by_tokens(wz_loss_type type)
{
    return type == WZ_LOSS_DAPO || type == WZ_LOSS_CISPO;
}

double wz_loss_token_divisor(const wz_loss_options *options, const wz_loss_totals *totals)
{
    if (wz_loss_divides_by_tokens(options->type))
        return (double)(totals->tokens > 0 ? totals->tokens : 1);
    if (options->type == WZ_LOSS_DR_GRPO)
        return (double)totals->completions * (double)options->max_completion_length;
    return 0.0;
}

/* What a token's loss is multiplied with; `length` is its completion's, `here` the micro-batch's count. */
static double token_weight(const wz_loss_options *options, const wz_loss_totals *totals, int64_t length,
                           int64_t here)
{
    const double divisor = wz_loss_token_divisor(options, totals);
    if (divisor > 0.0)
        return 1.0 / divisor;
    return options->type == WZ_LOSS_BNPO ? 1.0 / ((double)totals->micro_batches * (double)here)
                                         : 1.0 / ((double)totals->completions * (double)length);
}

/* A term of a token's loss: its value, and its derivatives with respect to rho and, at constant rho, to logp. */
typedef struct term {
    double value, by_ratio, by_logp;
} term;

static term clipped_term(const wz_loss_options *options, double rho, double advantage)
{
    const double low = 1.0 - options->epsilon, high = 1.0 + options->epsilon_high;
    const double clipped = rho < low ? low : rho > high ? high : rho;
    const double capped = options->delta > 0.0 && rho > options->delta ? options->delta : rho;
    const bool is_capped = capped * advantage <= clipped * advantage;
    const double taken = is_capped ? capped : clipped; /* min of the two products */
    const double most = advantage < 0.0 && options->dual_clip > 0.0 ? options->dual_clip : INFINITY;
    if (taken > most)
        return (term){.value = -most * advantage};
    return (term){.value = -taken * advantage, .by_ratio = taken == rho ? -advantage : 0.0};
}

static term sapo_term(const wz_loss_options *options, double rho, double advantage)
{
    const double tau = advantage >= 0.0 ? options->sapo_temperature_pos : options->sapo_temperature_neg;
    const double gate = 1.0 / (1.0 + exp(-tau * (rho - 1.0)));
    return (term){.value = -4.0 / tau * gate * advantage, .by_ratio = -4.0 * gate * (1.0 - gate) * advantage};
}

static term policy_term(const wz_loss_options *options, double rho, double advantage, double logp)
{
    if (options->type == WZ_LOSS_SAPO)
        return sapo_term(options, rho, advantage);
    if (options->type != WZ_LOSS_CISPO)
        return clipped_term(options, rho, advantage);
    const double weight = -fmin(rho, options->epsilon_high) * advantage;
    return (term){.value = weight * logp, .by_logp = weight};
}

static term kl_term(const wz_loss_options *options, double rho, double d)
{
    term k = {.value = d, .by_logp = 1.0};
    if (options->kl == WZ_KL_K2)
        k = (term){.value = 0.5 * d * d, .by_logp = d};
    else if (options->kl == WZ_KL_K3) /* expm1 keeps the digits of a small d */
        k = (term){.value = expm1(-d) + d, .by_logp = -expm1(-d)};
    return options->bias_correction
               ? (term){.value = k.value * rho, .by_ratio = k.value, .by_logp = k.by_logp * rho}
               : k;
}

static void add_token(const wz_loss_options *options, wz_loss_sums *sums, double rho, double advantage)
{
    const bool is_cispo = options->type == WZ_LOSS_CISPO, is_sapo = options->type == WZ_LOSS_SAPO;
    const double low = is_cispo || is_sapo ? -INFINITY : 1.0 - options->epsilon;
    const double high = is_sapo ? INFINITY : is_cispo ? options->epsilon_high : 1.0 + options->epsilon_high;
    sums->clipped_low += advantage < 0.0 && rho < low;
    sums->clipped_high += advantage > 0.0 && rho > high;
    sums->ratio_sum += rho;
    sums->ratio_min = fmin(sums->ratio_min, rho);
    sums->ratio_max = fmax(sums->ratio_max, rho);
}

/* Counts, and with sequence_level the mean log ratio, of each completion. */
static void survey(const wz_loss_options *options, const wz_loss_input *input, wz_loss_sums *sums)
{
    for (int64_t c = 0; c < input->completions; c++)
        sums[c] = (wz_loss_sums){.ratio_min = INFINITY, .ratio_max = -INFINITY};
    for (int64_t i = 0; i < input->tokens; i++) {
        wz_loss_sums *sum = &sums[input->completion[i]];
        sum->tokens += counts(input, i);
        if (options->sequence_level && counts(input, i))
            sum->log_ratio += (double)input->logp[i] - (double)input->old_logp[i];
    }
    for (int64_t c = 0; options->sequence_level && c < input->completions; c++)
        if (sums[c].tokens > 0)
            sums[c].log_ratio /= (double)sums[c].tokens;
}

/* Adds token i's share; with sequence_level, *dlogp is what does not come through the ratio. */
static void token_loss(const wz_loss_options *options, const wz_loss_input *input,
                       const wz_loss_totals *totals, int64_t i, double weight, wz_loss_sums *sum,
                       float *dlogp, float *dentropy)
{
    const double advantage = input->advantage[input->completion[i]];
    const double logp = (double)input->logp[i], entropy = (double)input->entropy[i];
    const double rho = exp(options->sequence_level ? sum->log_ratio : logp - (double)input->old_logp[i]);
    double through = 0.0, direct = 0.0; /* the ratio; not */
    if (totals->entropy_bound <= 0.0 || entropy >= totals->entropy_bound) {
        const term policy = policy_term(options, rho, advantage, logp);
        through = weight * policy.by_ratio * rho;
        direct = weight * policy.by_logp;
        sum->policy += weight * policy.value;
        sum->entropy += weight * entropy;
        sum->kept++;
        sum->kept_entropy += entropy;
        *dentropy = (float)(-weight * options->entropy_coef);
    }
    if (options->beta > 0.0) {
        const term kl = kl_term(options, rho, logp - (double)input->ref_logp[i]);
        through += weight * options->beta * kl.by_ratio * rho;
        direct += weight * options->beta * kl.by_logp;
        sum->kl += weight * kl.value;
        sum->raw_kl += kl.value;
    }
    sum->raw_entropy += entropy;
    add_token(options, sum, rho, advantage);
    if (options->sequence_level)
        sum->ratio_gradient += through;
    *dlogp = (float)(options->sequence_level ? direct : direct == 0.0 ? through : through + direct);
}

void wz_grpo_loss(const wz_loss_options *options, const wz_loss_input *input, const wz_loss_totals *totals,
                  wz_loss_sums *sums, float *dlogp, float *dentropy)
{
    const int64_t here = wz_loss_count(input);
    survey(options, input, sums);
    for (int64_t i = 0; i < input->tokens; i++) {
        wz_loss_sums *sum = &sums[input->completion[i]];
        dlogp[i] = dentropy[i] = 0.0f;
        if (counts(input, i))
            token_loss(options, input, totals, i, token_weight(options, totals, sum->tokens, here), sum,
                       &dlogp[i], &dentropy[i]);
    }
    for (int64_t i = 0; options->sequence_level && i < input->tokens; i++) {
        const wz_loss_sums *sum = &sums[input->completion[i]];
        if (counts(input, i))
            dlogp[i] = (float)((double)dlogp[i] + sum->ratio_gradient / (double)sum->tokens);
    }
}

void wz_supervised_loss(const wz_loss_input *input, wz_loss_sums *sums, float *dlogp, float *dentropy)
{
    for (int64_t c = 0; c < input->completions; c++)
        sums[c] = (wz_loss_sums){0};
    for (int64_t i = 0; i < input->tokens; i++) {
        wz_loss_sums *s = &sums[input->completion[i]];
        s->tokens++;
        s->policy -= (double)input->logp[i];
        dlogp[i] = -1.0f;
        dentropy[i] = 0.0f;
    }
}
