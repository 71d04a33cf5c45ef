/* Figures of power control on the very samples of Sun et al. 2018 (tasks/sun_testset.h), before any rounding: beside
 * rewards/published.h, whose problems are our own and in printed whole decibels. */
#ifndef WZ_REWARDS_SUN_FIGURES_H
#define WZ_REWARDS_SUN_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct wz_sun_figure {
    const char *name;
    size_t links;
    double published, tolerance, measured;
    double
        error; /* standard error of the measurement as one of all problems; 0: the source measured on the same samples */
    bool is_most; /* `published` is what it is to be at most */
} wz_sun_figure;

#define WZ_SUN_FIGURES 18

/* Measures them on the first `samples` samples (at most 1,000); those of published means need all 1,000. Some 5 s in all. */
void wz_sun_figures_measure(int samples, wz_sun_figure out[WZ_SUN_FIGURES]);
bool wz_sun_figure_is_within(const wz_sun_figure *figure);

#endif
