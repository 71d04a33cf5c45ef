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

/* sum of above / sum of below (NULL: ones) over a resample. */
static double resampled(const double *above, const double *below, int64_t count, uint64_t seed,
                        uint32_t number)
{
    const wz_draw_key key = {.seed = seed, .problem = number, .purpose = WZ_PURPOSE_BOOTSTRAP};
    double sum = 0.0, under = 0.0;
    uint32_t words[4];
    for (int64_t i = 0; i < count; i++) {
        if (i % 4 == 0)
            wz_draw_words(&key, (uint32_t)(i / 4), words);
        const int64_t at = (int64_t)(wz_uniform(words[i % 4]) * (double)count);
        sum += above[at];
        under += below != NULL ? below[at] : 1.0;
    }
    return sum / under;
}

static wz_status bootstrap(const double *above, const double *below, int64_t count, uint64_t seed,
                           double *low, double *high, wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, WZ_BOOTSTRAP_RESAMPLES, sizeof(double), "a bootstrap", err);
    if (status != WZ_OK)
        return status;
    double *figures = block;
    for (uint32_t b = 0; b < WZ_BOOTSTRAP_RESAMPLES; b++)
        figures[b] = resampled(above, below, count, seed, b);
    qsort(figures, WZ_BOOTSTRAP_RESAMPLES, sizeof *figures, ascending);
    *low = quantile(figures, WZ_BOOTSTRAP_RESAMPLES, 0.025);
    *high = quantile(figures, WZ_BOOTSTRAP_RESAMPLES, 0.975);
    free(block);
    return WZ_OK;
}

wz_status wz_bootstrap_mean(const double *values, int64_t count, uint64_t seed, double *low, double *high,
                            wz_error *err)
{
    return bootstrap(values, NULL, count, seed, low, high, err);
}

/* Of the figures of a score: problems are resampled, so sums above and below the line go together. */
static wz_status find_intervals(const wz_score_input *input, const double *ratio, const double *objective,
                                wz_score *out, wz_error *err)
{
    const int64_t n = input->problems;
    wz_status status = bootstrap(ratio, NULL, n, input->seed, &out->ci_low, &out->ci_high, err);
    if (status == WZ_OK)
        status = bootstrap(objective, input->reference, n, input->seed, &out->ratio_of_means_low,
                           &out->ratio_of_means_high, err);
    if (status == WZ_OK)
        status =
            bootstrap(objective, input->field, n, input->seed, &out->percent_low, &out->percent_high, err);
    out->percent_low *= 100.0;
    out->percent_high *= 100.0;
    return status;
}

wz_status wz_score_problems(const wz_score_input *input, wz_score *out, wz_error *err)
{
    const int64_t n = input->problems;
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)n, 3 * sizeof(double), "a score", err);
    if (status != WZ_OK)
        return status;
    double *ratio = block, *gap = ratio + n, *reached = gap + n;
    double objectives = 0.0, references = 0.0, fields = 0.0;
    *out = (wz_score){0};
    for (int64_t i = 0; i < n; i++) {
        const bool feasible = input->feasible == NULL || input->feasible[i];
        const double objective = feasible ? input->objective[i] : 0.0;
        reached[i] = objective;
        ratio[i] = input->reference[i] > 0.0 ? objective / input->reference[i] : 0.0;
        gap[i] = 1.0 - ratio[i];
        out->mean += ratio[i];
        out->feasible += feasible;
        out->valid += input->valid != NULL && input->valid[i];
        out->exact_optimum += input->optimal != NULL ? input->optimal[i] : ratio[i] >= 1.0 - 1e-9;
        objectives += objective;
        references += input->reference[i];
        fields += input->field[i];
    }
    out->mean /= (double)n;
    out->feasible /= (double)n;
    out->valid = input->valid != NULL ? out->valid / (double)n : NAN;
    out->exact_optimum /= (double)n;
    out->ratio_of_means = objectives / references;
    out->percent_of_field = 100.0 * objectives / fields;
    qsort(gap, (size_t)n, sizeof *gap, ascending);
    out->gap_p50 = quantile(gap, n, 0.5);
    out->gap_p90 = quantile(gap, n, 0.9);
    out->gap_p99 = quantile(gap, n, 0.99);
    status = find_intervals(input, ratio, reached, out, err);
    free(block);
    return status;
}
