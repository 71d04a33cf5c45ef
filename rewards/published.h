/* Figures to compare with: what publications, and the measurements this project was planned with, say that algorithms
 * reach. `wavezero tasks published` measures each again and prints both. */
#ifndef WZ_REWARDS_PUBLISHED_H
#define WZ_REWARDS_PUBLISHED_H

#include <stddef.h>

typedef enum wz_published_figure {
    WZ_PUBLISHED_RATIO,          /* mean of objective / reference, infeasible = 0 */
    WZ_PUBLISHED_RATIO_OF_MEANS, /* mean objective / mean reference */
    WZ_PUBLISHED_PERCENT,        /* 100 mean objective / mean objective of the family's field algorithm */
    WZ_PUBLISHED_FEASIBLE,       /* share of problems */
    WZ_PUBLISHED_MEAN            /* mean objective, in its own unit */
} wz_published_figure;

typedef struct wz_published {
    const char *task, *options; /* "links=10 snr_db=0": beside the defaults */
    const char *baseline; /* or "reference", "random_best_of_16", "trained policy": not to be measured here */
    wz_published_figure figure;
    double low, high; /* the published range; equal where one number was published */
    double
        tolerance; /* by how much a measurement may lie outside: rounding of the source and, for four standard errors,
                           the problems below; NaN: no check */
    int problems;       /* to measure with */
    const char *source; /* who, where; and what is different here, if something is */
} wz_published;

extern const wz_published wz_published_figures[];
extern const size_t wz_published_count;

#endif
