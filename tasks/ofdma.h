/* OFDMA: resource blocks to users so that the sum rate, or the users' geometric mean, is largest, while every user
 * gets a minimum rate.
 *
 * The problem, exactly. User k has the mean SNR m_k dB, uniform in snr_low_db..snr_high_db; on block b it reaches
 * log2(1 + 10^(m_k/10) Exp(1)) bit/s/Hz, printed in tenths, clip(round(10 rate), 1, 199); the printed tenths *are*
 * the rates. Every user must reach the minimum: minimum_share of what the poorest user can have at most
 * (tasks/max_min_rate.h: where there are more than 6561 assignments, of what a greedy assignment gives it), rounded
 * down to tenths. The objective is the sum of the users' rates or, for proportional fairness, their geometric mean
 * (which orders assignments as the sum of logarithms does, but has a ratio), in bit/s/Hz.
 * Users are numbered by falling sum of their rates, blocks by falling rate of their best user; equals as they came.
 * The problem's numbers are the minimum and then the rates, block by block.
 *
 * Compact prompts: a row is a block, " a C 60 A 35 B 12": its label in small letters, then the rates, the largest
 * first, each behind its user's label. The whole, of two users and blocks, for the sum rate:
 *     " block 2 user 2 sum rate minimum 21 a A 60 B 21 b B 35 A 30<answer>"
 * ("per user rate" in place of "sum rate" for the geometric mean.)
 * Answers: the user of each block in order: " A B</answer>". */
#ifndef WZ_TASKS_OFDMA_H
#define WZ_TASKS_OFDMA_H

#include "tasks/max_min_rate.h"
#include "tasks/task.h"

#define WZ_BLOCK_RATE_MAX 199 /* tenths of bit/s/Hz */

typedef enum wz_ofdma_objective { WZ_OFDMA_SUM_RATE, WZ_OFDMA_PROPORTIONAL_FAIR } wz_ofdma_objective;

/* The payload. */
typedef struct wz_ofdma {
    size_t users, blocks;
    wz_ofdma_objective objective;
    int32_t minimum;     /* of each user's sum, in tenths */
    const int32_t *rate; /* (blocks, users) in tenths: the problem's own numbers */
} wz_ofdma;

extern const wz_task wz_task_ofdma;

#endif
