#include "tasks/own_gains.h"

#include <math.h>

#include "tasks/decibel.h"

wz_status wz_own_refuse_shape(const wz_task *task, const wz_own_gains *gains, const char *shape,
                              wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: the gain table is %zu x %zu; it must be %s", task->name,
                   gains->rows, gains->columns, shape);
}

static wz_status check_entries(const wz_task *task, const wz_own_gains *gains, wz_error *err)
{
    for (size_t entry = 0; entry < gains->rows * gains->columns; entry++) {
        const double value = gains->data[entry];
        const size_t row = entry / gains->columns + 1, column = entry % gains->columns + 1;
        if (!isfinite(value))
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "%s: gain in row %zu, column %zu is %f; every gain must be a finite linear power "
                           "gain",
                           task->name, row, column, value);
        if (value < 0)
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "%s: gain in row %zu, column %zu is %g; a linear power gain cannot be negative "
                           "(convert dB with 10^(dB/10))",
                           task->name, row, column, value);
    }
    return WZ_OK;
}

wz_status wz_own_open(const wz_task *task, const double *values, const wz_own_gains *gains, const char *shape,
                      uint32_t index, wz_problem *out, wz_error *err)
{
    const wz_task_option *size = &task->options[task->size_option];
    const double found = values[task->size_option];
    if (found < size->minimum || found > size->maximum)
        return wz_fail(
            err, WZ_ERR_CORRUPT, "%s: the gain table is %zu x %zu; %g to %g %s are possible (it must be %s)",
            task->name, gains->rows, gains->columns, size->minimum, size->maximum, size->name, shape);
    wz_status status = check_entries(task, gains, err);
    if (status == WZ_OK)
        status = wz_problem_open(task, values, out, err);
    if (status == WZ_OK)
        out->index = index;
    return status;
}

int32_t wz_own_db(wz_problem *problem, double gain, int offset, int maximum)
{
    const double above = gain > 0 ? round(10.0 * log10(gain)) + offset : -1.0;
    problem->clipped += above < 0 || above > maximum;
    return wz_whole_db(gain, offset, maximum);
}

int32_t wz_own_tenths(wz_problem *problem, double gain, int least, int most)
{
    const double tenths = round(10.0 * log2(1.0 + gain)), within = fmin(fmax(tenths, least), most);
    problem->clipped += tenths != within;
    return (int32_t)within;
}

wz_status wz_own_close(wz_problem *problem, size_t tried, const char *range, wz_error *err)
{
    wz_status status = WZ_OK;
    if (problem->clipped >= tried)
        status = wz_fail(err, WZ_ERR_CORRUPT,
                         "%s: every gain lies outside the printed range of %s; gains must be in units of the "
                         "noise power at full transmit power: multiply the table by transmit power / noise "
                         "power",
                         problem->task->name, range);
    if (status == WZ_OK)
        status = problem->task->check_numbers(problem, err);
    if (status == WZ_OK)
        problem->task->derive(problem);
    else
        wz_problem_clear(problem);
    return status;
}
