/* Integrated sensing and communication: n tones share one power budget; what is sent carries data and lights up a radar
 * target. Share the power out so that the rate is largest and the target is still seen.
 *
 * The problem, exactly. gain_i = 10^(snr_db/10) e_i is the SNR of tone i at the receiver if the tone had the whole budget;
 * sense_i = f_i the target's response to it; e_i, f_i ~ Exp(1) independent. What is printed is
 *     d_i = clip(round(10 log10 gain_i) + 20, 0, 60)                whole dB above -20 dB
 *     s_i = round(20 f_i / max_j f_j)                               twentieths of the best tone's response
 * and the printed numbers *are* the problem: gain_i = 10^((d_i - 20) / 10). Tones are numbered by falling s, those of equal s
 * by falling d, so that the first is a best sensing tone. The problem's numbers are s_1 d_1 s_2 d_2 ..
 * An answer is one whole number k_i in 0..total per tone, its share of the power in parts of 1/total, such that
 *     sum_i k_i <= total    and    100 sum_i s_i k_i >= sensing_percent 20 total,
 * that is, the target answers with at least sensing_percent of what it would if all power were on the best tone. The
 * objective is sum_i log2(1 + gain_i k_i / total) in bit/s/Hz.
 *
 * Compact prompts: " sense 70 per 100 power sum 10 A 20 24 B 18 31 C 7 29 D 0 12<answer>": the response, then the
 * gain; answers: " 3 7 0 0</answer>". */
#ifndef WZ_TASKS_ISAC_H
#define WZ_TASKS_ISAC_H

#include "tasks/task.h"

#define WZ_ISAC_DB_OFFSET 20
#define WZ_ISAC_DB_MAX 60
#define WZ_ISAC_SENSE_MAX 20

/* The payload of an ISAC problem. */
typedef struct wz_isac {
    size_t tones;
    unsigned total;
    uint64_t needed; /* sum_i sense_i k_i must reach this: sensing_percent of 20 total, rounded up */
    double gain[WZ_MAX_LABELS];    /* (tones): the printed SNRs, linear */
    unsigned sense[WZ_MAX_LABELS]; /* (tones): the printed responses; the largest is 20 */
} wz_isac;

extern const wz_task wz_task_isac;

#endif
