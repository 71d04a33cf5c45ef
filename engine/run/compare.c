#include "engine/run/compare.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "engine/core/memory.h"
#include "engine/core/philox.h"
#include "engine/run/score.h"

/* The differences that are no tie, and the sum that has to be reached. */
typedef struct differences {
    const double *values;
    int64_t count;
    double reached;
} differences;

/* Patterns whose exact sums are equal must not be told apart by rounding. Ratios and their differences are rounded by
 * DBL_EPSILON / 2 of a and b each, a sum of n terms by at most (n - 1) times as much of all; twice that between two sums. */
static double observed_sum(const differences *d, double magnitudes)
{
    double sum = 0.0;
    for (int64_t i = 0; i < d->count; i++)
        sum += d->values[i];
    return fabs(sum) - (double)(d->count + 1) * DBL_EPSILON * magnitudes;
}

/* Bit i of the pattern flips value i. A pattern and its opposite have the same |sum|, so the last sign is kept. */
static int64_t count_all(const differences *d)
{
    int64_t reached = 0;
    for (uint32_t pattern = 0; pattern < 1u << (d->count - 1); pattern++) {
        double sum = 0.0;
        for (int64_t i = 0; i < d->count; i++)
            sum += pattern >> i & 1 ? -d->values[i] : d->values[i];
        reached += fabs(sum) >= d->reached;
    }
    return 2 * reached;
}

/* Sign pattern `number`: one bit of the stream for each value. */
static double flipped_sum(const differences *d, uint64_t seed, uint32_t number)
{
    const wz_draw_key key = {.seed = seed, .problem = number, .purpose = WZ_PURPOSE_SIGN_FLIP};
    double sum = 0.0;
    uint32_t words[4];
    for (int64_t i = 0; i < d->count; i++) {
        if (i % 128 == 0)
            wz_draw_words(&key, (uint32_t)(i / 128), words);
        sum += words[i / 32 % 4] >> (i % 32) & 1 ? -d->values[i] : d->values[i];
    }
    return sum;
}

static void test_signs(const differences *d, uint64_t seed, wz_comparison *out)
{
    int64_t reached = 1;
    out->exact = d->count <= WZ_SIGN_FLIPS_EXACT;
    if (out->exact) {
        out->flips = (int64_t)1 << d->count;
        reached = d->count == 0 ? 1 : count_all(d);
    } else {
        out->flips = WZ_SIGN_FLIPS_SAMPLED + 1;
        for (uint32_t number = 0; number < WZ_SIGN_FLIPS_SAMPLED; number++)
            reached += fabs(flipped_sum(d, seed, number)) >= d->reached;
    }
    out->p_value = (double)reached / (double)out->flips;
}

wz_status wz_compare_ratios(const double *a, const double *b, int64_t problems, uint64_t seed,
                            wz_comparison *out, wz_error *err)
{
    void *block = NULL;
    *out = (wz_comparison){0};
    wz_status status = wz_alloc(&block, (size_t)problems, 2 * sizeof(double), "a comparison", err);
    if (status != WZ_OK)
        return status;
    double *all = block, *decided = all + problems;
    double magnitudes = 0.0;
    differences d = {.values = decided};
    for (int64_t i = 0; i < problems; i++) {
        const double difference = a[i] - b[i];
        const bool is_tie = fabs(difference) <= WZ_SAME_RATIO;
        all[i] = is_tie ? 0.0 : difference;
        out->difference += all[i];
        out->ties += is_tie;
        out->wins += !is_tie && difference > 0.0;
        out->losses += !is_tie && difference < 0.0;
        if (is_tie)
            continue;
        decided[d.count++] = difference;
        magnitudes += fabs(a[i]) + fabs(b[i]);
    }
    out->difference /= (double)problems;
    d.reached = observed_sum(&d, magnitudes);
    test_signs(&d, seed, out);
    status = wz_bootstrap_mean(all, problems, seed, &out->ci_low, &out->ci_high, err);
    free(block);
    return status;
}
