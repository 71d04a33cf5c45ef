/* Tables of whole numbers: in what order their rows stand, and one row as text.
 *
 * Where the order of a problem's parts carries no meaning, a family numbers them by falling keys or rows, those that are
 * equal in the order they came in: a policy so need not learn one answer in all its orders. */
#ifndef WZ_TASKS_ROWS_H
#define WZ_TASKS_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "tasks/task.h"
#include "tasks/words.h"

/* order (count, <= 255): the indices by falling key; equal keys keep their order. */
void wz_rows_by_falling(size_t count, const int32_t *key, uint8_t *order);
/* order (rows, <= WZ_MAX_LABELS): the rows of a table (rows, columns) of 0..30000 by falling regret, the difference between a
 * row's largest and second largest number; of equal ones the larger number first, then the earlier row. */
void wz_rows_by_regret(size_t rows, size_t columns, const int32_t *table, uint8_t *order);
/* to (rows, columns): row i is row order[i] of `from`. */
void wz_rows_take(size_t rows, size_t columns, const int32_t *from, const uint8_t *order, int32_t *to);
/* Where a problem's numbers are a row of `width` for each part, (size, width): numbers the parts of such rows by falling rows,
 * the first number first, into problem->numbers and problem->source; ... */
void wz_part_rows_number(const int32_t *rows, size_t width, wz_problem *problem);
/* ... as wz_task.reorder, width <= WZ_MAX_PART_WIDTH; ... */
#define WZ_MAX_PART_WIDTH 4
void wz_part_rows_reorder(const wz_problem *from, size_t width, const uint8_t *order, wz_problem *to);
/* ... and fails unless parts are numbered so; says which is not. `what`: "channel". */
wz_status wz_part_rows_check(const wz_problem *problem, size_t width, const char *what, wz_error *err);
/* For check_numbers: fails, naming the part, unless `order` (problem->size) leaves all parts in their places. `rule`:
 * "users are numbered by ..". */
wz_status wz_rows_check_order(const wz_problem *problem, const uint8_t *order, const char *part,
                              const char *rule, wz_error *err);

/* One row of a compact prompt: the row's label in small letters, then its numbers (columns, <= WZ_MAX_LABELS) by falling
 * size, each behind its column's label: " b C 40 A 33 B 0". The best choice so stands first, whatever it is called. */
void wz_word_row_by_falling(wz_words *words, size_t row, size_t columns, const int32_t *numbers);

#endif
