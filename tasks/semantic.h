/* Semantic channel assignment: users send text as meaning; give each user a channel of its own and choose how many channel
 * symbols a word takes, so that the most words are understood per symbol.
 *
 * THE ACCURACY CURVE IS SYNTHETIC: a logistic function of the shape that is fitted to semantic encoders (Mu, Liu, Guo,
 * Al-Dhahir 2022, for DeepSC), with constants chosen here and measured with no encoder. A word sent in k symbols at a
 * signal-to-noise ratio of s dB is understood with probability
 *     accuracy(k, s) = 1 / (1 + exp(-(s + 10 log10 k - 4) / 2))
 * as if symbols were repetitions: 4 dB of k-fold SNR give one half, 2 dB more 0.73.
 *
 * The problem, exactly. There are users + spare_channels channels. The SNR of user i on channel j is snr_db + 10 log10 X_ij, X_ij independent, exponential with mean 1
 * (Rayleigh fading). What is printed is
 *     n_ij = clip(round(SNR) + 10, 0, 40)                        whole dB above -10 dB
 * and the printed table *is* the problem: s_ij = n_ij - 10. With k symbols a word, 1..max_symbols, the semantic rate of user
 * i on channel j is accuracy(k, s_ij) / k words per symbol; accuracy must be at least minimum_accuracy percent. With k = 0
 * the user sends nothing, which is worth 0, needs no accuracy and still takes the channel (Yan, Qin, Zhang, Li 2022, with a
 * minimum of 90%). The objective is the sum of the semantic rates. Tables on which nothing can be sent are drawn again.
 * Users are numbered by falling regret: the rate lost (to 1e-4) with the second best channel in place of the best; of equal
 * ones the larger best rate comes first, then the user that came in first. Channels stand in the order they were drawn.
 * The problem's numbers are n, user by user.
 * An answer is a channel and a k for each user; a channel may be used once.
 *
 * Compact prompts. A row is a user: its label in small letters, then its printed SNRs, the largest first, each behind its
 * channel's label:
 *     " user channel SNR dB plus 10 symbol 8 minimum 80 a C 21 A 15 B 3 b C 17 B 14 A 9 .. <answer>"
 * Compact answers: each user's channel and k in order, " C 1 B 2 A 4</answer>". */
#ifndef WZ_TASKS_SEMANTIC_H
#define WZ_TASKS_SEMANTIC_H

#include "tasks/task.h"

#define WZ_MAX_SEMANTIC_USERS 16
#define WZ_MAX_SEMANTIC_CHANNELS 32
#define WZ_MAX_SEMANTIC_PAIRS (WZ_MAX_SEMANTIC_USERS * WZ_MAX_SEMANTIC_CHANNELS)
#define WZ_MAX_SYMBOLS 20 /* of a word */
#define WZ_SEMANTIC_DB_OFFSET 10
#define WZ_SEMANTIC_DB_MAX 40
#define WZ_ACCURACY_TOLERANCE 1e-6 /* percentage points by which rounding may miss the minimum */

/* The payload of a semantic problem. Tables are (users, channels). */
typedef struct wz_semantic {
    size_t users, channels;
    unsigned max_symbols;
    double minimum;   /* accuracy, percent */
    double *rate;     /* with the best k: words understood per symbol */
    uint8_t *symbols; /* that k; the smallest of equals; 0 where no k is accurate enough */
} wz_semantic;

extern const wz_task wz_task_semantic;

/* The synthetic curve: probability that a word sent in `symbols` >= 1 symbols is understood. */
double wz_semantic_accuracy(unsigned symbols, double snr_db);
/* The printed SNR of user i on channel j, in dB. */
double wz_semantic_snr_db(const wz_problem *problem, size_t user, size_t channel);

#endif
