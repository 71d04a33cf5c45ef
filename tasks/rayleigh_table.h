/* Interference channels with Rayleigh fading as a link table (tasks/link_table.h) in whole decibels: shared by the families
 * whose problems are such tables and nothing else.
 *
 * gain_ij = scale_ij e_ij, e_ij ~ Exp(1) independent, is the power that receiver i gets from transmitter j at full power in
 * units of the noise power; printed is d_ij = clip(round(10 log10 gain_ij) + 20, 0, 60), whole dB above -20 dB, and the
 * printed table stands for 10^((d_ij - 20) / 10). */
#ifndef WZ_TASKS_RAYLEIGH_TABLE_H
#define WZ_TASKS_RAYLEIGH_TABLE_H

#include "tasks/link_table.h"

#define WZ_RAYLEIGH_DB_OFFSET 20
#define WZ_RAYLEIGH_DB_MAX 60
#define WZ_RAYLEIGH_MAX_LINKS WZ_MAX_LABELS

/* Draws and numbers the table of a problem; scales are linear, of direct gains (i = j) and of the others. */
void wz_rayleigh_table_draw(wz_problem *problem, wz_draws *draws, double direct, double cross);
/* wz_task.import for these families: gain (links, links), linear, in units of the noise power at full transmit power. */
wz_status wz_rayleigh_table_import(const wz_task *task, const double *values, const wz_own_gains *gains,
                                   uint32_t index, wz_problem *out, wz_error *err);
/* wz_task.check_numbers for these families. */
wz_status wz_rayleigh_table_check(const wz_problem *problem, wz_error *err);
/* The gains that the problem's numbers stand for: gain (links, links), linear. */
void wz_rayleigh_table_gain(const wz_problem *problem, double *gain);
/* Appends " dB plus 20 0 to 60" and the rows of a compact prompt. */
void wz_rayleigh_table_write(wz_words *words, const wz_problem *problem);
/* Appends what the table says, in words, and a line for each receiver. */
void wz_rayleigh_table_write_full(wz_words *words, const wz_problem *problem);

#endif
