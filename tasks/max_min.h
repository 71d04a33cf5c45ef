/* Max-min SINR: K transmitter-receiver pairs share one channel; choose power levels such that the worst link's SINR is
 * largest.
 *
 * The problem, exactly. gain_ij = 10^(snr_db/10) e_ij, `direct` times that for i = j (5), e_ij ~ Exp(1) independent, in units of the
 * noise power at full transmit power; printed as whole dB above -20 dB with links numbered by falling direct gain
 * (tasks/rayleigh_table.h), and the printed table *is* the problem. The problem's numbers are the table, row by row.
 * An answer is one integer l_i in 0..levels-1 per link; its power is p_i = l_i / (levels - 1). The objective is
 *     min_i gain_ii p_i / (1 + sum_{j != i} gain_ij p_j)            linear, not in dB
 *
 * Compact prompts: " minimum SINR levels 11 dB plus 20 0 to 60 a A 40 B 33 b B 38 A 12<answer>", a row for each receiver; answers:
 * " 4 10</answer>". */
#ifndef WZ_TASKS_MAX_MIN_H
#define WZ_TASKS_MAX_MIN_H

#include "tasks/task.h"

/* The payload of a max-min problem. */
typedef struct wz_max_min {
    size_t links;
    size_t levels;
    double *gain; /* (links, links): the printed gains, linear; gain[i][j] from transmitter j to receiver i */
} wz_max_min;

extern const wz_task wz_task_max_min;

#endif
