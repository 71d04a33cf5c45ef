#include "rewards/solvers/fplinq.h"

#include <assert.h>
#include <math.h>

static double gain_of(const wz_channel *c, double own_gain, size_t i, size_t j)
{
    return c->gain[i * c->links + j] * c->budget * (i == j ? own_gain : 1);
}

/* y and the root of the numerator of x, without its factor y: sqrt((1 + z_i) g_ii). */
static void update_receivers(const wz_channel *c, double own_gain, const double *x, double *y, double *root)
{
    for (size_t i = 0; i < c->links; i++) {
        const double direct = gain_of(c, own_gain, i, i), signal = direct * x[i];
        double interference = c->noise;
        for (size_t j = 0; j < c->links; j++)
            interference += j == i ? 0 : gain_of(c, own_gain, i, j) * x[j];
        root[i] = sqrt((1 + signal / interference) * direct);
        y[i] = root[i] * sqrt(x[i]) / (signal + interference);
    }
}

static void update_transmitters(const wz_channel *c, double own_gain, const double *y, const double *root,
                                double *x)
{
    double sum[WZ_MAX_LINKS] = {0};
    for (size_t j = 0; j < c->links; j++)
        for (size_t i = 0; i < c->links; i++)
            sum[i] += gain_of(c, own_gain, j, i) * y[j] * y[j];
    for (size_t i = 0; i < c->links; i++) { /* a link that is off stays off (0 / 0 when all are) */
        const double amplitude = y[i] == 0 ? 0 : y[i] * root[i] / sum[i];
        x[i] = fmin(1, amplitude * amplitude);
    }
}

void wz_fplinq(const wz_channel *channel, double own_gain, unsigned *level)
{
    double x[WZ_MAX_LINKS], y[WZ_MAX_LINKS], root[WZ_MAX_LINKS];
    assert(channel->links <= WZ_MAX_LINKS);
    for (size_t i = 0; i < channel->links; i++)
        x[i] = 1;
    for (int iteration = 0; iteration < WZ_FPLINQ_ITERATIONS; iteration++) {
        update_receivers(channel, own_gain, x, y, root);
        update_transmitters(channel, own_gain, y, root, x);
    }
    for (size_t i = 0; i < channel->links; i++)
        level[i] = sqrt(x[i]) > 0.5;
}
