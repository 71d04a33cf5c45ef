#include "rewards/sun_figures.h"

#include <math.h>

#include "rewards/solvers/enumerate.h"
#include "rewards/solvers/heuristics.h"
#include "rewards/solvers/wmmse.h"
#include "tasks/decibel.h"
#include "tasks/power_control.h"
#include "tasks/sun_testset.h"

enum { MOST_LINKS = 30, GRID_LINKS = 4, GRID_LEVELS = 11 };

/* Means over samples of one size: of WMMSE's rate, and of others as percentages of it. */
typedef struct means {
    double wmmse, full, strongest, greedy, optimum;
} means;

static means measure_size(size_t links, int samples, bool enumerates)
{
    means m = {0};
    double gain[MOST_LINKS * MOST_LINKS], power[MOST_LINKS];
    unsigned level[MOST_LINKS];
    wz_sun_testset set;
    wz_sun_testset_init(&set, links);
    for (int n = 0; n < samples; n++) {
        wz_sun_testset_next(&set, gain);
        const wz_channel channel = {links, gain, 1, 1};
        m.wmmse += wz_wmmse(&channel, NULL, power);
        m.full += wz_full_power(&channel, 2, level);
        m.strongest += wz_strongest_only(&channel, 2, level);
        m.greedy += wz_greedy_adder(&channel, 2, level);
        m.optimum += enumerates ? wz_enumerate_levels(&channel, 2, level) : 0;
    }
    return (means){m.wmmse / samples, 100 * m.full / m.wmmse, 100 * m.strongest / m.wmmse,
                   100 * m.greedy / m.wmmse, 100 * m.optimum / m.wmmse};
}

/* The mean of 100 (1 - a / b) and its standard error. */
typedef struct loss {
    double sum, squares;
    int count;
} loss;

static void add_loss(loss *l, double a, double b)
{
    const double percent = 100 * (1 - a / b);
    l->sum += percent;
    l->squares += percent * percent;
    l->count++;
}

static void take_loss(const loss *l, wz_sun_figure *out)
{
    const double mean = l->sum / l->count;
    out->measured = mean;
    out->error = sqrt(fmax(l->squares / l->count - mean * mean, 0) / l->count);
}

/* What the best on/off answer loses against the best of eleven levels. */
static loss lose_levels(int samples)
{
    loss l = {0};
    double gain[GRID_LINKS * GRID_LINKS];
    unsigned level[GRID_LINKS];
    wz_sun_testset set;
    wz_sun_testset_init(&set, GRID_LINKS);
    for (int n = 0; n < samples; n++) {
        wz_sun_testset_next(&set, gain);
        const wz_channel channel = {GRID_LINKS, gain, 1, 1};
        const double on_off = wz_enumerate_levels(&channel, 2, level);
        add_loss(&l, on_off, wz_enumerate_levels(&channel, GRID_LEVELS, level));
    }
    return l;
}

/* What the best answer to the gains as they are printed, in whole decibels, loses on the gains as they are. */
static loss lose_decibels(int samples)
{
    enum { LINKS = 10 };
    loss l = {0};
    double gain[LINKS * LINKS], printed[LINKS * LINKS];
    unsigned level[LINKS], rounded[LINKS];
    wz_sun_testset set;
    wz_sun_testset_init(&set, LINKS);
    for (int n = 0; n < samples; n++) {
        wz_sun_testset_next(&set, gain);
        for (size_t i = 0; i < LINKS * LINKS; i++)
            printed[i] =
                wz_from_whole_db(wz_whole_db(gain[i], WZ_GAIN_DB_OFFSET, WZ_GAIN_DB_MAX), WZ_GAIN_DB_OFFSET);
        const wz_channel real = {LINKS, gain, 1, 1}, seen = {LINKS, printed, 1, 1};
        (void)wz_enumerate_levels(&seen, 2, rounded);
        add_loss(&l, wz_levels_sum_rate(&real, 2, rounded), wz_enumerate_levels(&real, 2, level));
    }
    return l;
}

/* Tolerances are half of the last digit that was published, and four standard errors of a loss, whose samples the source does
 * not name. */
void wz_sun_figures_measure(int samples, wz_sun_figure out[WZ_SUN_FIGURES])
{
    static const struct {
        size_t links;
        double wmmse, full, strongest, greedy, optimum;
    } sizes[] = {{5, 2.082, 0, 0, 0, 0},  {10, 2.792, 50, 68, 101.6, 102.5},
                 {15, 3.306, 0, 0, 0, 0}, {20, 3.655, 39, 59, 100.8, 0},
                 {25, 3.891, 0, 0, 0, 0}, {30, 4.124, 35, 55, 100.4, 0}};
    size_t count = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t links = sizes[s].links;
        const means m = measure_size(links, samples, sizes[s].optimum > 0);
        out[count++] = (wz_sun_figure){"wmmse, mean", links, sizes[s].wmmse, 0.0005, m.wmmse, 0, false};
        if (sizes[s].full == 0)
            continue;
        out[count++] = (wz_sun_figure){"full, % of wmmse", links, sizes[s].full, 0.5, m.full, 0, false};
        out[count++] =
            (wz_sun_figure){"strongest, % of wmmse", links, sizes[s].strongest, 0.5, m.strongest, 0, false};
        out[count++] =
            (wz_sun_figure){"greedy adder, % of wmmse", links, sizes[s].greedy, 0.05, m.greedy, 0, false};
        if (sizes[s].optimum > 0)
            out[count++] =
                (wz_sun_figure){"optimum, % of wmmse", links, sizes[s].optimum, 0.05, m.optimum, 0, false};
    }
    wz_sun_figure *levels = &out[count++], *decibels = &out[count++];
    *levels = (wz_sun_figure){"% lost by on/off against 11 levels", GRID_LINKS, 0.001, 0.0005, 0, 0, true};
    *decibels = (wz_sun_figure){"% lost by whole dB", 10, 0.15, 0.005, 0, 0, false};
    const loss grid = lose_levels(samples), rounding = lose_decibels(samples);
    take_loss(&grid, levels);
    take_loss(&rounding, decibels);
}

bool wz_sun_figure_is_within(const wz_sun_figure *f)
{
    const double tolerance = f->tolerance + 4 * f->error;
    return f->measured <= f->published + tolerance && (f->is_most || f->measured >= f->published - tolerance);
}
