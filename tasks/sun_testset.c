#include "tasks/sun_testset.h"

void wz_sun_testset_init(wz_sun_testset *set, size_t links)
{
    wz_numpy_random_init(&set->random, WZ_SUN_SEED);
    set->links = links;
}

void wz_sun_testset_next(wz_sun_testset *set, double *gain)
{
    size_t entries = set->links * set->links;
    for (size_t i = 0; i < entries; i++)
        gain[i] = wz_numpy_random_normal(&set->random);
    for (size_t i = 0; i < entries; i++) {
        double imaginary = wz_numpy_random_normal(&set->random);
        gain[i] = (gain[i] * gain[i] + imaginary * imaginary) / 2.0;
    }
}
