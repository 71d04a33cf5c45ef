/* Checks of what goes over flat arrays, for every backend. */
#ifndef WZ_TESTS_BACKEND_SUMS_H
#define WZ_TESTS_BACKEND_SUMS_H

#include "engine/backend/backend.h"

/* The sum of squares against a plain sum, and of NaN and infinity; returns what the backend made of it. */
double sum_squares_check(wz_backend *be);
/* Five steps of AdamW against the published algorithm in double. */
void adamw_check(wz_backend *be);
/* Averages of two arrays against the same in double. */
void blend_check(wz_backend *be);

#endif
