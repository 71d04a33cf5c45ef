/* Water-filling under a sensing constraint: parallel tones, a power budget, and a second linear constraint from below. */
#ifndef WZ_REWARDS_SOLVERS_SENSING_H
#define WZ_REWARDS_SOLVERS_SENSING_H

#include <stdbool.h>
#include <stdint.h>

#include "rewards/solvers/water_filling.h"
#include "tasks/answer_form.h" /* WZ_MAX_LABELS */

/* maximise sum_i log2(1 + gain_i k_i / total)  subject to  sum_i k_i <= total,  sum_i sense_i k_i >= needed.
 * `sense` is borrowed. */
typedef struct wz_sensing {
    wz_tones tones;
    const unsigned *sense; /* (count) */
    uint64_t
        needed; /* <= total max_i sense_i; real powers need less than that, or one tone of that response */
} wz_sensing;

/* sum_i sense_i share_i. */
uint64_t wz_sensing_power(const wz_sensing *sensing, const unsigned *share);

/* Real powers, sum 1, and the multipliers of the two constraints.
 *     power_i = max(0, 1 / (lambda - mu sense_i) - 1 / gain_i)      (Karush-Kuhn-Tucker; rates in nat)
 * mu by bisection, for each lambda by Newton's method, which does not overshoot: the sum of the powers is convex in it.
 * `bound` is the value of the dual at these multipliers in bit/s/Hz: by weak duality nothing that keeps the constraints has
 * a larger rate, whatever the error of the multipliers. About 400 count divisions. */
typedef struct wz_sensing_dual {
    double power[WZ_MAX_LABELS]; /* (count) */
    double lambda, mu;           /* of power, of sensing: nat per unit */
    double bound;
} wz_sensing_dual;
void wz_sensing_fill(const wz_sensing *sensing, wz_sensing_dual *out);

/* Whole shares: the real powers rounded as below, then single parts moved from tone to tone while that helps; from
 * there to the exact optimum by the dual: what a decision loses against the bound is the sum of what
 * each tone's share loses and of what the constraints' slack costs, none of them negative, so that only shares whose losses
 * sum to less than that of the best decision so far are visited, by depth-first search. Returns the rate, in bit/s/Hz;
 * *exact says whether the search ended before it had visited most_nodes shares. */
double wz_sensing_shares(const wz_sensing *sensing, const wz_sensing_dual *dual, size_t most_nodes,
                         unsigned *share, bool *exact);

/* Powers (count) of sum 1, or a little less, to whole shares: down, the rest to the best sensing tone. Powers that keep the
 * sensing constraint become shares that do. */
void wz_sensing_round(const wz_sensing *sensing, const double *power, unsigned *share);

/* Water-filling, mixed with as much power on the best sensing tone as the sensing constraint needs: power (count), sum 1. */
void wz_sensing_mix(const wz_sensing *sensing, double *power);

#endif
