/* A user's own gains as problems: what the families' wz_task.import have in common. Gains are linear power gains, (rows,
 * columns), in units of the noise power at full transmit power: signal-to-noise ratios. */
#ifndef WZ_TASKS_OWN_GAINS_H
#define WZ_TASKS_OWN_GAINS_H

#include "tasks/task.h"

typedef struct wz_own_gains {
    size_t rows, columns;
    const double *data; /* (rows, columns) */
} wz_own_gains;

/* Opens the problem of these options, in which the size is set already; fails unless that is one of the family's and all
 * gains are finite and at least 0. shape: what the table must be, "one row per receiver and .." */
wz_status wz_own_open(const wz_task *task, const double *values, const wz_own_gains *gains, const char *shape,
                      uint32_t index, wz_problem *out, wz_error *err);
/* Fails, saying what a table must be. */
wz_status wz_own_refuse_shape(const wz_task *task, const wz_own_gains *gains, const char *shape,
                              wz_error *err);

/* A gain as printed, whole dB above -offset dB up to `maximum`, or as a rate, tenths of log2(1 + gain) in least..most;
 * what that range cannot hold is counted as clipped. */
int32_t wz_own_db(wz_problem *problem, double gain, int offset, int maximum);
int32_t wz_own_tenths(wz_problem *problem, double gain, int least, int most);

/* Ends an import: derives the problem if its numbers are such as the family could draw, or gives it up. `tried`: gains of
 * which not all may be clipped, for a table in the wrong unit would become a problem that says nothing of the user's. */
wz_status wz_own_close(wz_problem *problem, size_t tried, const char *range, wz_error *err);

#endif
