/* Energy efficiency: K transmitter-receiver pairs share one channel; choose power levels such that the most bits are sent per
 * unit of energy.
 *
 * The problem, exactly. gain_ij = 10^(snr_db/10) e_ij, `direct` times that for i = j (10), e_ij ~ Exp(1) independent, in units
 * of the noise power at full transmit power; printed as whole dB above -20 dB with links numbered by falling direct gain
 * (tasks/rayleigh_table.h), and the printed table *is* the problem. The problem's numbers are the table, row by row.
 * An answer is one integer l_i in 0..levels-1 per link; it sends with p_i = l_i / (levels - 1) of full power, 1 W, say. The
 * objective, in bit/J for each Hz of bandwidth, is
 *     sum_i log2(1 + gain_ii p_i / (1 + sum_{j != i} gain_ij p_j)) / (mu sum_i p_i + P_c),
 * mu = amplifier_percent / 100 the power an amplifier draws per power sent, P_c = circuit_percent / 100 what the circuits
 * draw always, in units of full power.
 *
 * Compact prompts: " rate per energy 300 plus 100 levels 11 dB plus 20 0 to 60 a A 40 B 33 b B 38 A 12<answer>": mu and P_c in
 * per cent, then a row for each receiver; answers: " 2 0</answer>". */
#ifndef WZ_TASKS_ENERGY_EFFICIENCY_H
#define WZ_TASKS_ENERGY_EFFICIENCY_H

#include "tasks/task.h"

/* The payload of an energy-efficiency problem. */
typedef struct wz_energy_efficiency {
    size_t links;
    size_t levels;
    double amplifier; /* power drawn per power sent: mu */
    double circuit;   /* power drawn always, in units of full power: P_c */
    double *gain; /* (links, links): the printed gains, linear; gain[i][j] from transmitter j to receiver i */
} wz_energy_efficiency;

extern const wz_task wz_task_energy_efficiency;

#endif
