/* numpy's legacy random generator (numpy.random.seed / randn), bit for bit: MT19937 (Matsumoto and
 * Nishimura 1998) and Gaussians by the polar method, whose second value is kept for the next call.
 * Published data sets are defined by it; our own draws come from Philox. */
#ifndef WZ_TASKS_NUMPY_RANDOM_H
#define WZ_TASKS_NUMPY_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wz_numpy_random {
    uint32_t state[624];
    int position;
    bool has_cached;
    double cached;
} wz_numpy_random;

/* numpy.random.seed(seed) */
void wz_numpy_random_init(wz_numpy_random *generator, uint32_t seed);
/* The next 32 bits of MT19937. */
uint32_t wz_numpy_random_word(wz_numpy_random *generator);
/* numpy.random.random_sample(): uniform in [0, 1) with 53 bits. */
double wz_numpy_random_uniform(wz_numpy_random *generator);
/* numpy.random.randn(): standard normal. */
double wz_numpy_random_normal(wz_numpy_random *generator);

#endif
