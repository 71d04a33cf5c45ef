/* Satellite beam hopping: which cells the beams light in each time slot, so that most of the demand is served.
 *
 * The problem, exactly. A satellite points `beams` beams at as many different cells in each of `slots` slots. A beam
 * pointed at a distance x from a cell, in half-power beam widths, reaches it weakened by min(12 x^2, 30) dB (the
 * parabolic pattern of 3GPP TR 38.901, table 7.3-1). Cells stand `spacing` beam widths apart: on a row, or on a
 * hexagonal grid of ceil(sqrt(cells)) cells a line, the odd lines shifted by half a cell. A cell that is lit in a
 * slot receives in it
 *     log2(1 + S / (1 + S sum_j 10^(-loss_j / 10))) bit/Hz,        S = 10^(snr_db/10),  j: the slot's other beams,
 * and is served the smaller of its demand and the sum of what it receives. The objective is what all cells are
 * served, in bit/Hz. Demands are uniform in 1..demand_max.
 * The problem's numbers are the cells' demands. Cells keep their places, and slots are worth the same in any order.
 *
 * Compact prompts: beams, slots, SNR, spacing in tenths, cells and cells a line; then each cell's label and demand:
 *     " beam 2 slot 2 SNR 12 at 7 cell 4 per 4 A 7 B 12 C 3 D 9<answer>"
 * Answers: the cells of the first slot's beams, then those of the second: " B D A C</answer>". */
#ifndef WZ_TASKS_BEAM_HOPPING_H
#define WZ_TASKS_BEAM_HOPPING_H

#include "tasks/task.h"

#define WZ_MAX_CELLS 16
#define WZ_MAX_BEAMS 4
#define WZ_MAX_BEAM_SLOTS 16

/* The payload. */
typedef struct wz_beam_hopping {
    size_t cells, beams, slots;
    double snr;                              /* S, linear */
    double demand[WZ_MAX_CELLS];             /* bit/Hz */
    double leak[WZ_MAX_CELLS][WZ_MAX_CELLS]; /* S 10^(-loss/10) of a beam on one cell, in the other */
} wz_beam_hopping;

extern const wz_task wz_task_beam_hopping;

#endif
