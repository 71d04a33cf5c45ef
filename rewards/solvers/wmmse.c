#include "rewards/solvers/wmmse.h"

#include <assert.h>
#include <math.h>

enum { MAX_ITERATIONS = 100 };
static const double tolerance = 1e-3; /* of sum log2 w */

/* f_i = h_ii b_i / (noise + sum_j g_ij b_j^2),  w_i = 1 / (1 - f_i h_ii b_i); returns sum_i log2 w_i. */
static double update_receivers(const wz_channel *c, const double *direct, const double *b, double *f,
                               double *w)
{
    double sum = 0, power[WZ_MAX_LINKS];
    for (size_t j = 0; j < c->links; j++)
        power[j] = b[j] * b[j];
    for (size_t i = 0; i < c->links; i++) {
        double received = c->noise;
        for (size_t j = 0; j < c->links; j++)
            received += c->gain[i * c->links + j] * power[j];
        f[i] = direct[i] * b[i] / received;
        w[i] = 1.0 / (1.0 - f[i] * b[i] * direct[i]);
        sum += log2(w[i]);
    }
    return sum;
}

/* b_i <- clip(w_i f_i h_ii / sum_j w_j f_j^2 g_ji, 0, sqrt(budget)), all i at once. */
static void update_transmitters(const wz_channel *c, const double *direct, const double *f, const double *w,
                                double *b)
{
    double sum[WZ_MAX_LINKS] = {0};
    for (size_t j = 0; j < c->links; j++) {
        double weight = w[j] * f[j] * f[j];
        for (size_t i = 0; i < c->links; i++)
            sum[i] += weight * c->gain[j * c->links + i];
    }
    for (size_t i = 0; i < c->links; i++) /* a link that is off stays off (0 / 0 when all are) */
        b[i] = f[i] == 0 ? 0 : fmin(w[i] * f[i] * direct[i] / sum[i], sqrt(c->budget));
}

double wz_wmmse(const wz_channel *channel, const double *initial, double *power)
{
    double direct[WZ_MAX_LINKS], b[WZ_MAX_LINKS], f[WZ_MAX_LINKS], w[WZ_MAX_LINKS];
    assert(channel->links <= WZ_MAX_LINKS);
    for (size_t i = 0; i < channel->links; i++) {
        direct[i] = sqrt(channel->gain[i * channel->links + i]);
        b[i] = sqrt(initial == NULL ? channel->budget : initial[i]);
    }
    double now = update_receivers(channel, direct, b, f, w);
    for (int iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
        double before = now;
        update_transmitters(channel, direct, f, w, b);
        now = update_receivers(channel, direct, b, f, w);
        if (now - before <= tolerance)
            break;
    }
    for (size_t i = 0; i < channel->links; i++)
        power[i] = fmin(b[i] * b[i], channel->budget);
    return wz_sum_rate(channel->links, channel->gain, power, channel->noise);
}
