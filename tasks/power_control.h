/* K-link power control: K transmitter-receiver pairs share one channel; choose a power level for each
 * transmitter so that the sum rate is largest.
 *
 * The problem, exactly. h_ij = |CN(0,1)| independent; gain_ij = h_ij^2 10^(snr_db/10) from transmitter j
 * to receiver i, in units of the noise power at full transmit power (noise = 1, budget = 1). What is
 * printed is
 *     d_ij = clip(round(10 log10 gain_ij) + 30, 0, 44)             whole dB above -30 dB
 * This is channel = rayleigh. The others draw cells, as tasks/channel_cells.h states, and print up to 110 (80 dB): imac, whose
 * gains are raised by snr_db; umi and uma, where 0 in an option stands for the scenario's own value of TR 38.901, table 7.8-1
 * (umi: 115.47 m, 44 dBm, that is 200 m between sites; uma: 288.68 m, 49 dBm, 500 m between sites; both 20 MHz, and 3.5 GHz).
 * The printed table *is* the problem: references and verdicts use gain_ij = 10^((d_ij - 30) / 10).
 * With task.active, a link whose direct gain is printed as 0 is off the air: gains from it and to it are 0, and what it decides
 * changes nothing. A link on the air has a direct gain of 1 at least.
 * Links are numbered by falling direct gain d_ii, links of equal gain in the order they came in: a policy need not
 * learn one answer in all its K! orders, and decides about the likeliest links first. (Ten links, on/off: 90% of WMMSE
 * after 200 steps where links in random order had 73%.)
 * The problem's numbers are d, row by row.
 * An answer is one integer l_i in 0..levels-1 per link; its power is p_i = budget * l_i / (levels - 1).
 *
 * Compact prompts. A row is a receiver: its label in small letters, then the gain from its own transmitter, then the
 * others', each behind the transmitter's label: " b B 40 A 33 C 0". A gain so says by itself whose it is. Tables of
 * bare numbers take half the tokens, but a small policy can only tell their entries apart by counting: with ten links
 * it learned nothing in hundreds of steps where it now reaches 0.84 of the optimum in four hundred.
 * With row_width W each row is filled with " none none" up to W gains, and the last link comes first: what a decision
 * depends on then stands at the same distance before it whatever the number of links. A policy that finds its way by
 * distances learns these for one number of links at a time: trained on 2, 3, 4 and 6 links it had 76% of WMMSE with 5, with
 * aligned rows 101%.
 *
 * Compact answers. With two levels each link is named in order, in capitals if it transmits and in small
 * letters if it is silent: " A b C</answer>". A decision so says which link it is about, and a small policy
 * that only knows relative positions learns several times faster than from bare bits. With more levels the
 * numbers stand in the order of the links: " 7 0 3</answer>". Full prompts always take numbers. */
#ifndef WZ_TASKS_POWER_CONTROL_H
#define WZ_TASKS_POWER_CONTROL_H

#include "tasks/task.h"

#define WZ_MAX_LEVELS 100 /* levels 0..99: one token each */
#define WZ_GAIN_DB_OFFSET 30
#define WZ_GAIN_DB_MAX 44   /* rayleigh */
#define WZ_CELLS_DB_MAX 110 /* other channels */

/* The payload of a power-control problem. */
typedef struct wz_power_control {
    size_t links;
    size_t levels;
    double noise;  /* receiver noise power: 1 */
    double budget; /* largest power of a transmitter: 1 */
    /* (links, links): the printed gains, linear; gain[i][j] from transmitter j to receiver i, and gain[i][i] is 0 if link i is
     * off the air. */
    double *gain;
} wz_power_control;

extern const wz_task wz_task_power_control;

/* The payload of a problem of this family; NULL if it is of another. */
const wz_power_control *wz_power_control_borrow(const wz_problem *problem);

#endif
