/* Edge offloading with wireless power: each user computes its task itself or sends it to the edge server.
 *
 * The problem, exactly: that of DROO (Huang, Bi, Zhang 2019, "Deep Reinforcement Learning for Online Computation
 * Offloading in Wireless Powered Mobile-Edge Computing Networks", problem P1). In a frame of length 1 the server
 * first radiates power for a time a, from which user i harvests energy u P h_i a. A user that computes itself reaches
 *     w_i (u P)^(1/3) / phi (h_i / k)^(1/3) a^(1/3)                     bit/s
 * and one that offloads, sending alone for a time tau_i with all that it harvested,
 *     w_i B / (v ln 2) tau_i ln(1 + u P h_i^2 a / (tau_i N0))           bit/s
 * where a + sum tau_i <= 1, u = 0.7, P = 3 W, phi = 100, k = 1e-26, N0 = 1e-10 W, B = 2 MHz, v = 1.1. An answer says
 * who offloads; the times are then the best ones. Its objective is the sum of the weighted rates, in Mbit/s.
 *
 * h_i = Exp(1) 3 (c / (4 pi 915 MHz d_i))^2.8, d_i = nearest_m + step_m (i - 1) metres, w_i = 1 for odd i and
 * heavy_weight for even i. What is printed is the gain as whole dB above -90 dB, clip(round(10 log10 h_i) + 90, 0,
 * 54), and the weight in tenths; the printed numbers *are* the problem. Rounding alone moves the optimum by less than
 * 1% on average. Users are numbered by falling gain, those of equal gain by falling weight.
 * The problem's numbers are gain and weight of each user in turn: 2 users.
 *
 * Compact prompts: a row is a user, " a 34 15": its label in small letters, gain and weight. The whole:
 *     " edge task user 3 dB plus 90 0 to 54 weight 15 a 39 10 b 34 15 c 28 10<answer>"
 * Answers: each user in order, in capitals if it offloads, else in small letters: " A B c</answer>". */
#ifndef WZ_TASKS_OFFLOADING_H
#define WZ_TASKS_OFFLOADING_H

#include "tasks/task.h"

#define WZ_MAX_EDGE_USERS 30
#define WZ_EDGE_GAIN_DB_OFFSET 90
#define WZ_EDGE_GAIN_DB_MAX 54
#define WZ_EDGE_WEIGHTS 2 /* weights that users may have: 1 and heavy_weight */

/* The payload. */
typedef struct wz_offloading {
    size_t users;
    double scale[WZ_EDGE_WEIGHTS];    /* w B / (v ln 2) of each weight, Mbit/s */
    double local[WZ_MAX_EDGE_USERS];  /* weighted rate of computing itself where a = 1, Mbit/s */
    double snr[WZ_MAX_EDGE_USERS];    /* u P h^2 / N0 */
    uint8_t heavy[WZ_MAX_EDGE_USERS]; /* 1: the user's weight is heavy_weight */
} wz_offloading;

extern const wz_task wz_task_offloading;

#endif
