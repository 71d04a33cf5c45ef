/* Water-filling: n parallel channels, one power budget; share the power out so that the sum rate is largest.
 *
 * The problem, exactly. gain_i = n 10^(snr_db/10) e_i, e_i ~ Exp(1) independent: the SNR of channel i if it had the whole
 * budget, so that power shared evenly gives a mean SNR of snr_db in each. What is printed is
 *     d_i = clip(round(10 log10 gain_i) + 20, 0, 60)                whole dB above -20 dB
 * and the printed numbers *are* the problem: gain_i = 10^((d_i - 20) / 10). Channels are numbered by falling gain.
 * The problem's numbers are d.
 * An answer is one whole number k_i in 0..total per channel, its share of the power in parts of 1/total; the shares sum to
 * at most total. The objective is sum_i log2(1 + gain_i k_i / total) in bit/s/Hz.
 *
 * Compact prompts: " power sum 10 dB plus 20 0 to 60 A 31 B 29 C 28 D 20<answer>"; answers: " 4 3 3 0</answer>". */
#ifndef WZ_TASKS_WATER_FILLING_H
#define WZ_TASKS_WATER_FILLING_H

#include "tasks/task.h"

#define WZ_WATER_DB_OFFSET 20
#define WZ_WATER_DB_MAX 60

/* The payload of a water-filling problem. */
typedef struct wz_water_filling {
    size_t channels;
    unsigned total;
    double gain[WZ_MAX_LABELS]; /* (channels): the printed SNRs, linear */
} wz_water_filling;

extern const wz_task wz_task_water_filling;

#endif
