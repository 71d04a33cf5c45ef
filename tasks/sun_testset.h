/* The test set of Sun et al. 2018 ("Learning to Optimize: Training Deep Neural Networks for Interference
 * Management", code in Haoran-S/SPAWC2017): |CN(0,1)| channels from numpy's legacy generator with seed 7. */
#ifndef WZ_TASKS_SUN_TESTSET_H
#define WZ_TASKS_SUN_TESTSET_H

#include <stddef.h>

#include "tasks/numpy_random.h"

#define WZ_SUN_SEED 7

/* The samples of one link count, in order; keep one per thread. */
typedef struct wz_sun_testset {
    wz_numpy_random random;
    size_t links;
} wz_sun_testset;

void wz_sun_testset_init(wz_sun_testset *set, size_t links);
/* The next sample: gain (links, links), linear power gains h^2 from transmitter j to receiver i, with noise
 * and budget 1. Per sample: all real parts row by row, then all imaginary parts. */
void wz_sun_testset_next(wz_sun_testset *set, double *gain);

#endif
