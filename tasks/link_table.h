/* Tables of links: what is printed of K transmitter-receiver pairs that share a channel, a number for each receiver and
 * transmitter. Shared by the families whose problems are such tables.
 *
 * A problem's numbers are the table, (links, links), row by row: a row is a receiver, a column a transmitter, and links are
 * numbered by falling direct gain (the diagonal), links of equal gain in the order they came in. In a table with gaps, links
 * whose direct gain is printed as 0 keep their places, and the others are numbered so among theirs. */
#ifndef WZ_TASKS_LINK_TABLE_H
#define WZ_TASKS_LINK_TABLE_H

#include <stdbool.h>

#include "tasks/own_gains.h"
#include "tasks/task.h"
#include "tasks/words.h"

#define WZ_MAX_LINKS 100 /* prompts name at most WZ_MAX_LABELS of them */

/* wz_task.number_count of families whose first option is the number of links. */
size_t wz_link_table_count(const double *values);
/* Numbers the links of a table (links, links) so, into problem->numbers and problem->source. */
void wz_link_table_number(const int32_t *printed, bool has_gaps, wz_problem *problem);
/* wz_task.import for families whose first option is the number of links: gain (links, links), linear, in units of the noise
 * power at full transmit power; printed in whole dB above -offset dB, up to `maximum`. Links are taken from the table; what
 * the range cannot hold is clipped and counted, unless that befalls every direct gain. */
wz_status wz_link_table_import(const wz_task *task, const double *values, const wz_own_gains *gains,
                               int offset, int maximum, bool has_gaps, uint32_t index, wz_problem *out,
                               wz_error *err);
/* wz_task.reorder for these families; of tables with gaps the second. */
void wz_link_table_reorder(const wz_problem *from, const uint8_t *order, wz_problem *to);
void wz_link_table_reorder_gaps(const wz_problem *from, const uint8_t *order, bool has_gaps, wz_problem *to);
/* Fails unless all numbers lie in 0..maximum and links are numbered by falling direct gain, gaps aside. */
wz_status wz_link_table_check(const wz_problem *problem, int32_t maximum, bool has_gaps, wz_error *err);
/* Appends the rows of a compact prompt: the receiver's label in small letters, then the gain from its own transmitter, then
 * the others', each behind the transmitter's label: " b B 40 A 33 C 0". */
void wz_link_table_write(wz_words *words, const wz_problem *problem);
/* The same rows, the last link's first, each filled with " none none" up to `width` gains, width >= links: the row of link k,
 * counted from 0, then begins (k + 1)(2 width + 1) words before the opening of the answer, however many links there are. */
void wz_link_table_write_aligned(wz_words *words, const wz_problem *problem, size_t width);
/* Appends a line for each receiver in words: "Receiver A: 10 dB from A, -3 dB from B"; `offset` is taken off the numbers. */
void wz_link_table_write_full(wz_words *words, const wz_problem *problem, int offset);
/* The same behind a sentence that says what the links and the table are. */
void wz_link_table_write_channel(wz_words *words, const wz_problem *problem, int offset);

#endif
