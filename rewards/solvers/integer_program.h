/* Linear programmes in whole numbers, by GLPK's branch and cut. */
#ifndef WZ_REWARDS_SOLVERS_INTEGER_PROGRAM_H
#define WZ_REWARDS_SOLVERS_INTEGER_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/core/status.h"

typedef struct wz_program_entry {
    int row, column; /* from 0 */
    double value;
} wz_program_entry;

/* max sum_j cost_j x_j  subject to  row_low_i <= sum_j a_ij x_j <= row_high_i,  0 <= x_j <= high_j. Bounds may be
 * infinite. */
typedef struct wz_integer_program {
    size_t rows, columns, entries;
    const double *cost, *high;        /* (columns) */
    const bool *whole;                /* (columns) x_j must be whole */
    const double *row_low, *row_high; /* (rows) */
    const wz_program_entry *entry;    /* (entries) the a_ij that are not 0, each once */
} wz_integer_program;

typedef enum wz_program_end {
    WZ_PROGRAM_OPTIMUM, /* x is one, within GLPK's tolerances (1e-5 in whole numbers, 1e-7 in the objective) */
    WZ_PROGRAM_FEASIBLE, /* the best found when the nodes ran out */
    WZ_PROGRAM_NOTHING   /* none found when the nodes ran out */
} wz_program_end;

/* x (columns); whole numbers are rounded to such. After most_nodes subproblems it stops with what it has: a limit by
 * time would make results depend on the machine. GLPK says nothing on the terminal; where it gives up (malformed
 * numbers, no memory) or the programme has no solution, that is an error. Its state (the calling thread's own) is
 * freed at the end. */
wz_status wz_integer_program_solve(const wz_integer_program *program, size_t most_nodes, double *x,
                                   wz_program_end *end, wz_error *err);

#endif
