/* D2D link scheduling: K device-to-device links in a field share one channel; choose which of them transmit, at full power, so
 * that the sum of their rates is largest.
 *
 * The problem, exactly. Places, path loss, shadowing and fading are drawn as tasks/channel_d2d.h states (Cui, Shen, Yu 2019;
 * field_m = 1000, shadowing_db = 8, fading = rayleigh, gap_db = 0 and 50 links are the setting of graph networks, WCGCN, Shen
 * et al. 2020). What is printed is
 *     d_ij = clip(round(power received from transmitter j at receiver i, in dB above the noise), 0, 120)
 * and the printed table *is* the problem: g_ij = 10^(d_ij / 10), noise 1. Of links that are on,
 *     rate_i = 5 MHz log2(1 + g_ii / (Gamma (1 + sum_{j on, j != i} g_ij))),     Gamma = 10^(gap_db / 10)
 * and the objective is their sum in Mbit/s. Rounding costs little: the best decision on the printed table is within 0.03% of the
 * best on the drawn one, on average (16 and 50 links of that field, 8 of the default).
 * The problem's numbers are d, row by row; links are numbered by falling direct gain (tasks/link_table.h).
 * An answer says on or off for each link.
 *
 * Compact prompts: " link on off dB 0 to 120 SINR per 6 dB", then the table: a row is a receiver, its label in small letters,
 * then the gain from its own transmitter, then the others', each behind the transmitter's label: " b B 71 A 42 C 30". Answers
 * name each link in order, in capitals if it is on: " A b C</answer>". Prompts name at most WZ_MAX_LABELS links; problems of
 * more can be generated and solved, but not printed. */
#ifndef WZ_TASKS_D2D_H
#define WZ_TASKS_D2D_H

#include "tasks/task.h"

#define WZ_D2D_DB_MAX 120

/* The payload of a D2D problem. */
typedef struct wz_d2d {
    size_t links;
    double gap; /* Gamma, linear */
    double *
        gain; /* (links, links): g_ij, the diagonal divided by Gamma: with it rates are those without a gap */
} wz_d2d;

extern const wz_task wz_task_d2d;

#endif
