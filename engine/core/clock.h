/* Elapsed time. Nothing that a run computes depends on it. */
#ifndef WZ_CORE_CLOCK_H
#define WZ_CORE_CLOCK_H

/* Seconds since some fixed moment, monotonic. */
double wz_now_s(void);
/* Seconds since 1970, for time stamps. */
double wz_wall_s(void);

#endif
