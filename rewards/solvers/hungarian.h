/* The assignment of largest total value. */
#ifndef WZ_REWARDS_SOLVERS_HUNGARIAN_H
#define WZ_REWARDS_SOLVERS_HUNGARIAN_H

#include <stddef.h>

#define WZ_HUNGARIAN_MAX 128 /* rows, columns */

/* Gives each row a column of its own so that the sum of values is largest; returns that sum.
 *   value          [rows][columns]  finite, 1 <= rows <= columns <= WZ_HUNGARIAN_MAX, in any unit
 *   column_of_row  [rows]           the assignment
 *   row_price      [rows], column_price [columns], or NULL: the optimum's certificate,
 *                  value[i][j] <= row_price[i] + column_price[j], with equality for assigned pairs;
 *                  column_price >= 0, and 0 for columns left over; so sum of all prices = sum of assigned values
 * The Hungarian algorithm (Kuhn 1955, Munkres 1957) by shortest augmenting paths with prices (Jonker and Volgenant 1987):
 * at most rows^2 columns steps. Exact where all values are whole numbers below 2^40; else the sum is within
 * rows * columns ulps of the largest value from the optimum. */
double wz_hungarian(size_t rows, size_t columns, const double *value, unsigned *column_of_row,
                    double *row_price, double *column_price);

#endif
