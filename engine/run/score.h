/* From objectives to the figures of a report. */
#ifndef WZ_RUN_SCORE_H
#define WZ_RUN_SCORE_H

#include "engine/run/evaluate.h"

typedef struct wz_score_input {
    int64_t problems;
    const double *objective, *reference, *field; /* [problems] */
    const uint8_t *feasible, *optimal;           /* [problems]; NULL: all feasible, optimum by the ratio */
    uint64_t seed;                               /* of the bootstrap */
    const uint8_t
        *valid; /* [problems] answers that can be read; NULL: what is scored is none of a policy's */
} wz_score_input;

#define WZ_BOOTSTRAP_RESAMPLES 1000

/* 95% interval of a mean: percentile bootstrap (Efron 1979), 1,000 resamples, 2.5% and 97.5% points. Which values a
 * resample takes depends on seed and count alone. */
wz_status wz_bootstrap_mean(const double *values, int64_t count, uint64_t seed, double *low, double *high,
                            wz_error *err);
wz_status wz_score_problems(const wz_score_input *input, wz_score *out, wz_error *err);

#endif
