#include "rewards/solvers/time_split.h"

#include <math.h>

#include "rewards/solvers/lambert.h"

#define TOLERANCE 1e-7
#define MOST_STEPS 200 /* bisection alone needs 60 */

/* Left side minus v, with its slope and the times that belong to v. */
static double excess(const wz_split_load *load, double v, double *slope, wz_split_times *times)
{
    double sending = 0, sending_slope = 0, rate = 0;
    for (int g = 0; g < WZ_SPLIT_GROUPS; g++) {
        times->share[g] = 0;
        if (load->snr[g] <= 0)
            continue;
        const double y = wz_lambert_w(v / load->scale[g]), rest = 1 - y; /* y = 1/z */
        times->share[g] = load->snr[g] * y / rest;                       /* per a */
        sending += times->share[g];
        sending_slope -= load->snr[g] * y / (rest * rest * rest * load->scale[g]);
        rate += load->scale[g] * load->snr[g] * y;
    }
    const double a = 1 / (1 + sending), local = load->local > 0 ? load->local / 3 / cbrt(a * a) : 0;
    *slope = 2.0 / 3 * local * a * sending_slope - sending - 1;
    times->harvest = a;
    for (int g = 0; g < WZ_SPLIT_GROUPS; g++)
        times->share[g] *= a;
    return local + rate - v;
}

static double rate_of(const wz_split_load *load, const wz_split_times *times)
{
    double rate = load->local * cbrt(times->harvest);
    for (int g = 0; g < WZ_SPLIT_GROUPS; g++)
        if (times->share[g] > 0)
            rate += load->scale[g] * times->share[g] * log1p(load->snr[g] * times->harvest / times->share[g]);
    return rate;
}

double wz_time_split(const wz_split_load *load, wz_split_times *times)
{
    double low = load->local / 3, high = load->local, slope;
    for (int g = 0; g < WZ_SPLIT_GROUPS; g++)
        high += load->scale[g] * load->snr[g];
    *times = (wz_split_times){.harvest = 1};
    if (high <= load->local) /* no senders */
        return load->local;
    double v = low + 0.2 * (high - low); /* takes the fewest steps on the family's problems */
    for (int i = 0; i < MOST_STEPS; i++) {
        const double f = excess(load, v, &slope, times);
        *(f > 0 ? &low : &high) = v;
        double next = v - f / slope;
        if (!(next > low && next < high))
            next = (low + high) / 2;
        if (fabs(next - v) <= TOLERANCE * v)
            break;
        v = next;
    }
    return rate_of(load, times);
}
