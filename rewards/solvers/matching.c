#include "rewards/solvers/matching.h"

#include <stdbool.h>

void wz_match_greedy(size_t rows, size_t columns, const double *value, unsigned *column_of_row)
{
    bool row_taken[WZ_MATCHING_MAX] = {false}, column_taken[WZ_MATCHING_MAX] = {false};
    for (size_t pair = 0; pair < rows; pair++) {
        size_t row = rows, column = 0;
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns && !row_taken[i]; j++)
                if (!column_taken[j] &&
                    (row == rows || value[i * columns + j] > value[row * columns + column])) {
                    row = i;
                    column = j;
                }
        row_taken[row] = column_taken[column] = true;
        column_of_row[row] = (unsigned)column;
    }
}

void wz_match_rows(size_t rows, size_t columns, const double *value, unsigned *column_of_row)
{
    bool taken[WZ_MATCHING_MAX] = {false};
    for (size_t i = 0; i < rows; i++) {
        size_t best = columns;
        for (size_t j = 0; j < columns; j++)
            if (!taken[j] && (best == columns || value[i * columns + j] > value[i * columns + best]))
                best = j;
        taken[best] = true;
        column_of_row[i] = (unsigned)best;
    }
}

void wz_match_columns(size_t rows, size_t columns, const double *value, unsigned *column_of_row)
{
    bool taken[WZ_MATCHING_MAX] = {false};
    for (size_t j = 0; j < rows; j++) {
        size_t best = rows;
        for (size_t i = 0; i < rows; i++)
            if (!taken[i] && (best == rows || value[i * columns + j] > value[best * columns + j]))
                best = i;
        taken[best] = true;
        column_of_row[best] = (unsigned)j;
    }
}

void wz_match_random(size_t rows, size_t columns, wz_draws *draws, unsigned *column_of_row)
{
    uint8_t order[WZ_MATCHING_MAX];
    wz_draws_permutation(draws, columns, order);
    for (size_t i = 0; i < rows; i++)
        column_of_row[i] = order[i];
}

size_t wz_match_repeats(size_t rows, const unsigned *column_of_row, size_t *row)
{
    bool taken[WZ_MATCHING_MAX] = {false};
    size_t repeats = 0;
    for (size_t i = 0; i < rows; i++) {
        const unsigned column = column_of_row[i];
        if (taken[column] && repeats++ == 0)
            *row = i;
        taken[column] = true;
    }
    return repeats;
}
