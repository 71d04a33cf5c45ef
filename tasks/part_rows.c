#include "tasks/part_rows.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static bool is_larger(const int32_t *a, const int32_t *b, size_t width)
{
    size_t i = 0;
    while (i + 1 < width && a[i] == b[i])
        i++;
    return a[i] > b[i];
}

void wz_part_rows_number(const int32_t *rows, size_t width, wz_problem *problem)
{
    uint8_t *source = problem->source;
    for (size_t i = 0; i < problem->size; i++) { /* by insertion: equal rows keep their order */
        size_t place = i;
        for (; place > 0 && is_larger(rows + i * width, rows + source[place - 1] * width, width); place--)
            source[place] = source[place - 1];
        source[place] = (uint8_t)i;
    }
    for (size_t i = 0; i < problem->size; i++)
        memcpy(problem->numbers + i * width, rows + source[i] * width, width * sizeof *rows);
}

void wz_part_rows_reorder(const wz_problem *from, size_t width, const uint8_t *order, wz_problem *to)
{
    int32_t rows[UINT8_MAX * WZ_MAX_PART_WIDTH];
    assert(width <= WZ_MAX_PART_WIDTH);
    for (size_t i = 0; i < from->size; i++)
        memcpy(rows + i * width, from->numbers + order[i] * width, width * sizeof *rows);
    wz_part_rows_number(rows, width, to);
    for (size_t i = 0; i < from->size; i++)
        to->source[i] = order[to->source[i]];
}

wz_status wz_part_rows_check(const wz_problem *problem, size_t width, const char *what, wz_error *err)
{
    for (size_t i = 1; i < problem->size; i++)
        if (is_larger(problem->numbers + i * width, problem->numbers + (i - 1) * width, width))
            return wz_fail(err, WZ_ERR_CORRUPT,
                           "%s: %s %zu has larger numbers than the one before it; they must fall",
                           problem->task->name, what, i + 1);
    return WZ_OK;
}
