#include "rewards/solvers/water_filling.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "tasks/answer_form.h" /* WZ_MAX_LABELS */

double wz_tones_rate(const wz_tones *tones, const double *power)
{
    double rate = 0;
    for (size_t i = 0; i < tones->count; i++)
        rate += log2(1.0 + tones->gain[i] * power[i]);
    return rate;
}

double wz_shares_rate(const wz_tones *tones, const unsigned *share)
{
    double power[WZ_MAX_LABELS];
    assert(tones->count <= WZ_MAX_LABELS);
    for (size_t i = 0; i < tones->count; i++)
        power[i] = (double)share[i] / tones->total;
    return wz_tones_rate(tones, power);
}

double wz_water_fill(const wz_tones *tones, double *power)
{
    double low = 0, high = INFINITY;
    for (size_t i = 0; i < tones->count; i++)
        high = fmin(high, 1 + 1 / tones->gain[i]); /* the strongest alone takes everything at this level */
    for (int step = 0; step < 60; step++) {
        const double level = (low + high) / 2;
        double sum = 0;
        for (size_t i = 0; i < tones->count; i++)
            sum += fmax(0, level - 1 / tones->gain[i]);
        *(sum > 1 ? &high : &low) = level;
    }
    for (size_t i = 0; i < tones->count; i++)
        power[i] = fmax(0, low - 1 / tones->gain[i]);
    return low;
}

/* By what factor 1 + SNR of channel i grows with one more part: the logarithm of the rate it adds. */
static double growth(const wz_tones *tones, size_t i, unsigned share)
{
    return 1 + tones->gain[i] / (tones->total + tones->gain[i] * share);
}

double wz_marginal_allocation(const wz_tones *tones, unsigned *share)
{
    double next[WZ_MAX_LABELS];
    assert(tones->count <= WZ_MAX_LABELS);
    memset(share, 0, tones->count * sizeof *share);
    for (size_t i = 0; i < tones->count; i++)
        next[i] = growth(tones, i, 0);
    for (unsigned left = tones->total; left > 0; left--) {
        size_t best = 0;
        for (size_t i = 1; i < tones->count; i++)
            if (next[i] > next[best])
                best = i;
        next[best] = growth(tones, best, ++share[best]);
    }
    return wz_shares_rate(tones, share);
}

unsigned wz_shares_round_down(const wz_tones *tones, const double *power, unsigned *share)
{
    unsigned left = tones->total;
    for (size_t i = 0; i < tones->count; i++) {
        /* a power that is a whole number of parts but for its rounding is taken for that number */
        share[i] = (unsigned)fmin(floor(power[i] * tones->total + 1e-9), left);
        left -= share[i];
    }
    return left;
}

void wz_shares_round(const wz_tones *tones, const double *power, unsigned *share)
{
    double remainder[WZ_MAX_LABELS];
    unsigned left = wz_shares_round_down(tones, power, share);
    assert(tones->count <= WZ_MAX_LABELS && left <= tones->count);
    for (size_t i = 0; i < tones->count; i++)
        remainder[i] = power[i] * tones->total - share[i];
    for (; left > 0; left--) {
        size_t best = 0;
        for (size_t i = 1; i < tones->count; i++)
            if (remainder[i] > remainder[best] + 1e-9) /* equal but for their rounding */
                best = i;
        share[best]++;
        remainder[best] = -1;
    }
}

void wz_shares_even(const wz_tones *tones, unsigned *share)
{
    double power[WZ_MAX_LABELS];
    assert(tones->count <= WZ_MAX_LABELS);
    for (size_t i = 0; i < tones->count; i++)
        power[i] = 1.0 / (double)tones->count;
    wz_shares_round(tones, power, share);
}
