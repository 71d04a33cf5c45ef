#include "rewards/solvers/sensing.h"

#include <assert.h>
#include <math.h>
#include <string.h>

uint64_t wz_sensing_power(const wz_sensing *sensing, const unsigned *share)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < sensing->tones.count; i++)
        sum += (uint64_t)sensing->sense[i] * share[i];
    return sum;
}

static size_t best_tone(const wz_sensing *sensing)
{
    size_t best = 0;
    for (size_t i = 1; i < sensing->tones.count; i++)
        if (sensing->sense[i] > sensing->sense[best])
            best = i;
    return best;
}

/* ---- real powers ---- */

/* Powers of the given mu that sum to 1; returns their sensing power. x = lambda - mu max sense. */
static double fill(const wz_sensing *s, double mu, size_t best, wz_sensing_dual *out)
{
    const double *gain = s->tones.gain;
    double x =
        1 /
        (1 + 1 / gain[best]); /* the best sensing tone alone takes everything here: the sum is at least 1 */
    for (int step = 0; step < 100; step++) {
        double sum = -1, slope = 0;
        for (size_t i = 0; i < s->tones.count; i++) {
            const double inverse = 1 / (x + mu * (s->sense[best] - s->sense[i])),
                         power = inverse - 1 / gain[i];
            sum += power > 0 ? power : 0;
            slope += power > 0 ? inverse * inverse : 0;
        }
        if (sum <= 1e-15)
            break;
        x += sum / slope;
    }
    double sensed = 0;
    out->lambda = x + mu * s->sense[best];
    for (size_t i = 0; i < s->tones.count; i++) {
        out->power[i] = fmax(0, 1 / (x + mu * (s->sense[best] - s->sense[i])) - 1 / gain[i]);
        sensed += out->power[i] * s->sense[i];
    }
    return sensed;
}

/* sum_i max_p [ln(1 + gain_i p) - (lambda - mu sense_i) p] + lambda - mu needed / total, in bit. */
static double dual_value(const wz_sensing *s, const wz_sensing_dual *dual)
{
    double value = dual->lambda - dual->mu * (double)s->needed / s->tones.total;
    for (size_t i = 0; i < s->tones.count; i++) {
        const double price = dual->lambda - dual->mu * s->sense[i], gain = s->tones.gain[i];
        if (gain > price)
            value += log(gain / price) - (1 - price / gain);
    }
    return value / log(2);
}

void wz_sensing_fill(const wz_sensing *sensing, wz_sensing_dual *out)
{
    const size_t best = best_tone(sensing);
    const double required = (double)sensing->needed / sensing->tones.total;
    assert(sensing->tones.count <= WZ_MAX_LABELS);
    out->mu = 0;
    if (fill(sensing, 0, best, out) < required) {
        double low = 0, high = 0;
        for (size_t i = 0; i < sensing->tones.count;
             i++) /* at this price only the best sensing tones have power */
            high = fmax(high, sensing->tones.gain[i]);
        for (int step = 0; step < 60; step++) {
            const double mu = (low + high) / 2;
            *(fill(sensing, mu, best, out) < required ? &low : &high) = mu;
        }
        out->mu = high;
        (void)fill(sensing, high, best, out);
    }
    out->bound = dual_value(sensing, out);
}

/* ---- whole shares ---- */

void wz_sensing_round(const wz_sensing *sensing, const double *power, unsigned *share)
{
    const unsigned left = wz_shares_round_down(&sensing->tones, power, share);
    share[best_tone(sensing)] += left;
}

/* Moves one part from tone to tone, the best such move each time, while that helps. */
static void improve(const wz_sensing *s, unsigned *share)
{
    const wz_tones *tones = &s->tones;
    uint64_t sensed = wz_sensing_power(s, share);
    for (;;) {
        double best_gain = 1 + 1e-12;
        size_t best_from = 0, best_to = 0;
        for (size_t from = 0; from < tones->count; from++) {
            if (share[from] == 0)
                continue;
            const double kept = (tones->total + tones->gain[from] * (share[from] - 1)) /
                                (tones->total + tones->gain[from] * share[from]);
            for (size_t to = 0; to < tones->count; to++) {
                const double gain =
                    kept * (1 + tones->gain[to] / (tones->total + tones->gain[to] * share[to]));
                if (to != from && gain > best_gain && sensed + s->sense[to] >= s->needed + s->sense[from]) {
                    best_gain = gain;
                    best_from = from;
                    best_to = to;
                }
            }
        }
        if (best_gain <= 1 + 1e-12)
            return;
        share[best_from]--;
        share[best_to]++;
        sensed += s->sense[best_to];
        sensed -= s->sense[best_from];
    }
}

typedef struct search {
    const wz_sensing *sensing;
    const wz_sensing_dual *dual;
    size_t nodes, most_nodes;
    double least;                           /* loss of the best decision so far */
    double peak[WZ_MAX_LABELS];             /* max_k of value(i, k) */
    unsigned start[WZ_MAX_LABELS];          /* the k that reaches it */
    unsigned most_after[WZ_MAX_LABELS + 1]; /* largest response of the tones from i on */
    unsigned share[WZ_MAX_LABELS], *best;
} search;

/* A tone's part of the Lagrangian, in nat. */
static double value(const search *q, size_t i, unsigned k)
{
    const wz_tones *tones = &q->sensing->tones;
    const double power = (double)k / tones->total;
    return log(1 + tones->gain[i] * power) - (q->dual->lambda - q->dual->mu * q->sensing->sense[i]) * power;
}

/* The share of largest value: next to where its derivative vanishes, since the value is concave. */
static void find_peak(search *q, size_t i)
{
    const unsigned total = q->sensing->tones.total;
    const unsigned below = (unsigned)fmin(floor(q->dual->power[i] * total), total);
    q->start[i] = below;
    q->peak[i] = value(q, i, below);
    if (below < total && value(q, i, below + 1) > q->peak[i]) {
        q->start[i] = below + 1;
        q->peak[i] = value(q, i, below + 1);
    }
}

static void visit(search *q, size_t i, unsigned used, uint64_t sensed, double loss);

/* Tries shares of tone i from k on, in one direction, while what they lose leaves hope. */
static void walk(search *q, size_t i, unsigned k, bool up, unsigned used, uint64_t sensed, double loss)
{
    const unsigned left = q->sensing->tones.total - used;
    for (; k <= left; k = up ? k + 1 : k - 1) { /* below 0 it is larger than left */
        const double lost = loss + fmax(0, q->peak[i] - value(q, i, k));
        if (lost >= q->least || q->nodes >= q->most_nodes)
            return;
        q->nodes++;
        q->share[i] = k;
        visit(q, i + 1, used + k, sensed + (uint64_t)k * q->sensing->sense[i], lost);
    }
}

static void visit(search *q, size_t i, unsigned used, uint64_t sensed, double loss)
{
    const wz_tones *tones = &q->sensing->tones;
    const unsigned left = tones->total - used;
    if (sensed + (uint64_t)left * q->most_after[i] < q->sensing->needed)
        return;
    if (i == tones->count) {
        loss += (q->dual->lambda * left + q->dual->mu * (double)(sensed - q->sensing->needed)) / tones->total;
        if (loss < q->least) {
            q->least = loss;
            memcpy(q->best, q->share, tones->count * sizeof *q->best);
        }
        return;
    }
    const unsigned start = q->start[i] < left ? q->start[i] : left;
    walk(q, i, start, false, used, sensed, loss);
    if (start < left)
        walk(q, i, start + 1, true, used, sensed, loss);
}

double wz_sensing_shares(const wz_sensing *sensing, const wz_sensing_dual *dual, size_t most_nodes,
                         unsigned *share, bool *exact)
{
    const wz_tones *tones = &sensing->tones;
    search q = {.sensing = sensing, .dual = dual, .most_nodes = most_nodes, .best = share};
    wz_sensing_round(sensing, dual->power, share);
    improve(sensing, share);
    q.least = dual->lambda - dual->mu * (double)sensing->needed / tones->total -
              wz_shares_rate(tones, share) * log(2);
    for (size_t i = tones->count; i-- > 0;) {
        find_peak(&q, i);
        q.least += q.peak[i];
        q.most_after[i] = sensing->sense[i] > q.most_after[i + 1] ? sensing->sense[i] : q.most_after[i + 1];
    }
    visit(&q, 0, 0, 0, 0);
    *exact = q.nodes < most_nodes;
    return wz_shares_rate(tones, share);
}

void wz_sensing_mix(const wz_sensing *sensing, double *power)
{
    const size_t best = best_tone(sensing);
    const double required = (double)sensing->needed / sensing->tones.total;
    double sensed = 0;
    (void)wz_water_fill(&sensing->tones, power);
    for (size_t i = 0; i < sensing->tones.count; i++)
        sensed += power[i] * sensing->sense[i];
    const double kept =
        sensed >= required ? 1 : (sensing->sense[best] - required) / (sensing->sense[best] - sensed);
    for (size_t i = 0; i < sensing->tones.count; i++)
        power[i] = kept * power[i] + (i == best ? 1 - kept : 0);
}
