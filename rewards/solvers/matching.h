/* Simple ways to give each row of a table a column of its own, and what is wrong where two rows have one. */
#ifndef WZ_REWARDS_SOLVERS_MATCHING_H
#define WZ_REWARDS_SOLVERS_MATCHING_H

#include <stddef.h>

#include "tasks/draws.h"

#define WZ_MATCHING_MAX 128 /* rows, columns */

/* value (rows, columns), rows <= columns <= WZ_MATCHING_MAX; column_of_row (rows). Among equal values the first in the
 * order of columns, or of rows, is taken. */

/* The pair of largest value whose row and column are free, again and again. O(rows^2 columns). */
void wz_match_greedy(size_t rows, size_t columns, const double *value, unsigned *column_of_row);
/* Rows in order take their best free column. */
void wz_match_rows(size_t rows, size_t columns, const double *value, unsigned *column_of_row);
/* The first `rows` columns in order take their best free row. */
void wz_match_columns(size_t rows, size_t columns, const double *value, unsigned *column_of_row);
/* Uniform over all ways to give rows columns of their own; columns <= 255. */
void wz_match_random(size_t rows, size_t columns, wz_draws *draws, unsigned *column_of_row);

/* Rows beyond the first of a column, all columns together; the first such row goes to *row, unless there is none. */
size_t wz_match_repeats(size_t rows, const unsigned *column_of_row, size_t *row);

#endif
