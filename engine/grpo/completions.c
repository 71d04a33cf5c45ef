#include "engine/grpo/completions.h"

#include <math.h>

#define ENTROPY_UNIT 0x1p24 /* 1 nat */

/* ---- from a batch ---- */

/* Welford's update: the count-th value. */
static void add_value(wz_moments *m, int64_t count, double value)
{
    const double change = value - m->mean;
    m->sum += value;
    m->mean += change / (double)count;
    m->squares += change * (value - m->mean);
}

static void add_rewards(wz_completion_sums *s, const wz_reward_options *o, int64_t step,
                        const wz_verdict *verdict, const wz_reference *reference, int64_t length)
{
    for (size_t f = 0; f < o->count; f++)
        add_value(&s->function[f], s->count, wz_reward(o->function[f], verdict, reference));
    add_value(&s->shaping, s->count, wz_reward_shaping(o, step, verdict));
    add_value(&s->overlong, s->count, wz_reward_overlong(o, length));
    add_value(&s->reward, s->count, wz_reward_total(o, step, verdict, reference, length));
}

static void add_length(wz_completion_sums *s, double length, bool finished)
{
    s->length += length;
    s->shortest = s->count == 1 ? length : fmin(s->shortest, length);
    s->longest = fmax(s->longest, length);
    if (!finished)
        return;
    s->terminated += length;
    s->terminated_shortest = s->finished > 0.0 ? fmin(s->terminated_shortest, length) : length;
    s->terminated_longest = fmax(s->terminated_longest, length);
    s->finished += 1.0;
}

void wz_completion_sums_add(wz_completion_sums *sums, const wz_batch *batch, const wz_reward_options *options,
                            int64_t step)
{
    int64_t completion = 0;
    for (int64_t p = 0; p < batch->pack_count; p++) {
        const wz_pack *pack = batch->packs[p];
        for (int64_t c = 0; c < pack->completions; c++, completion++) {
            sums->count++;
            sums->weight += 1.0;
            add_length(sums, (double)pack->length[c], pack->finished[c] != 0);
            add_rewards(sums, options, step, &batch->verdicts[completion],
                        &batch->references[completion / batch->generations], pack->length[c]);
        }
    }
}

void wz_completion_sums_add_entropies(wz_completion_sums *sums, const wz_batch *batch)
{
    for (int64_t p = 0; p < batch->pack_count; p++) {
        const wz_decisions *d = &batch->packs[p]->decisions;
        for (int64_t i = 0; i < d->count; i++)
            sums->entropy += rint((double)d->entropy[i] * ENTROPY_UNIT);
        sums->decisions += (double)d->count;
    }
}

/* ---- together ---- */

/* Chan, Golub & LeVeque 1983, weighted: values of weight `before` meet others of weight `weight`, whose squares are to be
 * scaled to it. */
static void mix_moments(wz_moments *m, double before, const wz_moments *from, double weight, double scale)
{
    const double all = before + weight, change = from->mean - m->mean;
    m->sum += from->sum * scale;
    m->mean += change * weight / all;
    m->squares += from->squares * scale + change * change * before * weight / all;
}

static void mix_lengths(wz_completion_sums *s, const wz_completion_sums *from, double scale)
{
    s->length += from->length * scale;
    s->shortest = s->count > 0 ? fmin(s->shortest, from->shortest) : from->shortest;
    s->longest = fmax(s->longest, from->longest);
    if (from->finished > 0.0)
        s->terminated_shortest = s->finished > 0.0 ? fmin(s->terminated_shortest, from->terminated_shortest)
                                                   : from->terminated_shortest;
    s->terminated_longest = fmax(s->terminated_longest, from->terminated_longest);
    s->terminated += from->terminated * scale;
    s->finished += from->finished * scale;
}

void wz_completion_sums_mix(wz_completion_sums *sums, const wz_completion_sums *from, double weight)
{
    const double scale = weight / from->weight, before = sums->weight;
    for (int f = 0; f < WZ_REWARD_FUNCS; f++)
        mix_moments(&sums->function[f], before, &from->function[f], weight, scale);
    mix_moments(&sums->shaping, before, &from->shaping, weight, scale);
    mix_moments(&sums->overlong, before, &from->overlong, weight, scale);
    mix_moments(&sums->reward, before, &from->reward, weight, scale);
    mix_lengths(sums, from, scale);
    sums->decisions += from->decisions * scale;
    sums->entropy += from->entropy * scale;
    sums->count += from->count;
    sums->weight += weight;
}

/* Not the running mean: the sum of a share's ones is exact. */
static double mean(const wz_completion_sums *s, const wz_moments *m)
{
    return m->sum / s->weight;
}

/* Of n completions of weight w in all: squares / w * n / (n - 1). */
static double deviation(const wz_completion_sums *s, const wz_moments *m)
{
    return s->count > 1 ? sqrt(m->squares / (s->weight - s->weight / (double)s->count)) : 0.0;
}

void wz_completion_sums_finish(const wz_completion_sums *s, wz_completion_figures *out)
{
    *out = (wz_completion_figures){.reward = mean(s, &s->reward),
                                   .shaping = mean(s, &s->shaping),
                                   .overlong = mean(s, &s->overlong),
                                   .mean_length = s->length / s->weight,
                                   .min_length = s->shortest,
                                   .max_length = s->longest,
                                   .terminated_mean = s->finished > 0.0 ? s->terminated / s->finished : 0.0,
                                   .terminated_min = s->terminated_shortest,
                                   .terminated_max = s->terminated_longest,
                                   .clipped_ratio = 1.0 - s->finished / s->weight,
                                   .entropy = s->entropy / ENTROPY_UNIT / s->decisions};
    for (int f = 0; f < WZ_REWARD_FUNCS; f++) {
        out->function_mean[f] = mean(s, &s->function[f]);
        out->function_std[f] = deviation(s, &s->function[f]);
    }
}
