#include "engine/core/clock.h"

#include <time.h>

static double read_clock(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double wz_now_s(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double wz_wall_s(void)
{
    return read_clock(CLOCK_REALTIME);
}
