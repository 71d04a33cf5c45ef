/* Tables of whole numbers: in what order their rows stand, and one row as text. */
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
/* For check_numbers: fails, naming the part, unless `order` (problem->size) leaves all parts in their places. `rule`:
 * "users are numbered by ..". */
wz_status wz_rows_check_order(const wz_problem *problem, const uint8_t *order, const char *part,
                              const char *rule, wz_error *err);

/* One row of a compact prompt: the row's label in small letters, then its numbers (columns, <= WZ_MAX_LABELS) by falling
 * size, each behind its column's label: " b C 40 A 33 B 0". The best choice so stands first, whatever it is called. */
void wz_word_row_by_falling(wz_words *words, size_t row, size_t columns, const int32_t *numbers);

#endif
