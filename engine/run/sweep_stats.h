/* A few seeds: mean, deviation, and whether two points differ. */
#ifndef WZ_RUN_SWEEP_STATS_H
#define WZ_RUN_SWEEP_STATS_H

#include <stddef.h>

/* Of the values that are numbers. */
typedef struct wz_moments {
    size_t count;
    double mean,
        deviation; /* the sample's, sqrt(sum (x - mean)^2 / (n - 1)); NaN: of no value, of fewer than two */
} wz_moments;

wz_moments wz_moments_of(const double *values, size_t count);

/* a, b [count]: of the same seeds; pairs with a NaN are left out. */
typedef struct wz_paired {
    size_t count;
    double difference; /* mean of a - b */
    double
        p_value; /* two-sided, of Student's paired t-test; NaN: fewer than two pairs, or differences without deviation */
} wz_paired;

wz_paired wz_paired_test(const double *a, const double *b, size_t count);

/* P(|T| > |t|) of Student's t with whole degrees of freedom from 1 on; NaN of NaN. */
double wz_student_two_sided(double t, size_t degrees);

#endif
