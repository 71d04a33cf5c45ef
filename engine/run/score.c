#include "engine/run/score.h"

#include <math.h>
#include <stdlib.h>

#include "engine/core/philox.h"

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Linear interpolation between order statistics (type 7). */
static double quantile(const double *sorted, int64_t count, double q)
{
    const double at = q * (double)(count - 1);
    const int64_t low = (int64_t)at;
    const double share = at - (double)low;
    return low + 1 < count ? sorted[low] * (1.0 - share) + sorted[low + 1] * share : sorted[count - 1];
}

static double resampled_mean(const double *values, int64_t count, uint64_t seed, uint32_t number)
{
    const wz_draw_key key = {.seed = seed, .problem = number, .purpose = WZ_PURPOSE_BOOTSTRAP};
    double sum = 0.0;
    uint32_t words[4];
    for (int64_t i = 0; i < count; i++) {
        if (i % 4 == 0)
            wz_draw_words(&key, (uint32_t)(i / 4), words);
        sum += values[(int64_t)(wz_uniform(words[i % 4]) * (double)count)];
    }
    return sum / (double)count;
}

wz_status wz_bootstrap_mean(const double *values, int64_t count, uint64_t seed, double *low, double *high,
                            wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, WZ_BOOTSTRAP_RESAMPLES, sizeof(double), "a bootstrap", err);
    if (status != WZ_OK)
        return status;
    double *means = block;
    for (uint32_t b = 0; b < WZ_BOOTSTRAP_RESAMPLES; b++)
        means[b] = resampled_mean(values, count, seed, b);
    qsort(means, WZ_BOOTSTRAP_RESAMPLES, sizeof *means, ascending);
    *low = quantile(means, WZ_BOOTSTRAP_RESAMPLES, 0.025);
    *high = quantile(means, WZ_BOOTSTRAP_RESAMPLES, 0.975);
    free(block);
    return WZ_OK;
}

wz_status wz_score_problems(const wz_score_input *input, wz_score *out, wz_error *err)
{
    const int64_t n = input->problems;
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)n, 2 * sizeof(double), "a score", err);
    if (status != WZ_OK)
        return status;
    double *ratio = block, *gap = ratio + n;
    double objectives = 0.0, references = 0.0, fields = 0.0;
    *out = (wz_score){0};
    for (int64_t i = 0; i < n; i++) {
        const bool feasible = input->feasible == NULL || input->feasible[i];
        const double objective = feasible ? input->objective[i] : 0.0;
        ratio[i] = input->reference[i] > 0.0 ? objective / input->reference[i] : 0.0;
        gap[i] = 1.0 - ratio[i];
        out->mean += ratio[i];
        out->feasible += feasible;
        out->exact_optimum += input->optimal != NULL ? input->optimal[i] : ratio[i] >= 1.0 - 1e-9;
        objectives += objective;
        references += input->reference[i];
        fields += input->field[i];
    }
    out->mean /= (double)n;
    out->feasible /= (double)n;
    out->exact_optimum /= (double)n;
    out->ratio_of_means = objectives / references;
    out->percent_of_field = 100.0 * objectives / fields;
    qsort(gap, (size_t)n, sizeof *gap, ascending);
    out->gap_p50 = quantile(gap, n, 0.5);
    out->gap_p90 = quantile(gap, n, 0.9);
    out->gap_p99 = quantile(gap, n, 0.99);
    status = wz_bootstrap_mean(ratio, n, input->seed, &out->ci_low, &out->ci_high, err);
    free(block);
    return status;
}
