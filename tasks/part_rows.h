/* Problems whose parts (channels, tones, ..) are alike but for a row of numbers each, and whose order carries no meaning:
 * parts are numbered by falling rows, the first number first, equal rows in the order they came in. A policy so need not
 * learn one answer in all its orders.
 *
 * The problem's numbers are these rows, (size, width). */
#ifndef WZ_TASKS_PART_ROWS_H
#define WZ_TASKS_PART_ROWS_H

#include "tasks/task.h"

#define WZ_MAX_PART_WIDTH 4

/* Numbers the parts of rows (size, width), width <= WZ_MAX_PART_WIDTH, into problem->numbers and problem->source. */
void wz_part_rows_number(const int32_t *rows, size_t width, wz_problem *problem);
/* wz_task.reorder for these families. */
void wz_part_rows_reorder(const wz_problem *from, size_t width, const uint8_t *order, wz_problem *to);
/* Fails unless parts are numbered so; says which is not. `what`: "channel". */
wz_status wz_part_rows_check(const wz_problem *problem, size_t width, const char *what, wz_error *err);

#endif
