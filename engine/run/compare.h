/* Two policies on the same problems: paired statistics of their ratios. */
#ifndef WZ_RUN_COMPARE_H
#define WZ_RUN_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core/status.h"

#define WZ_SAME_RATIO 1e-9         /* ratios no further apart are a tie */
#define WZ_SIGN_FLIPS_EXACT 16     /* up to so many problems that are no tie, all flips are taken */
#define WZ_SIGN_FLIPS_SAMPLED 9999 /* of more, so many random ones */

typedef struct wz_comparison {
    double difference, ci_low, ci_high; /* mean of a - b; 95% interval by paired bootstrap */
    int64_t wins, ties, losses;         /* of a */
    double p_value;                     /* two-sided */
    int64_t flips;                      /* that it was found with, the observed signs among them */
    bool exact;                         /* they were all there are */
} wz_comparison;

/* a, b [problems]: the ratios of each on the same problems, 0 where infeasible.
 *
 * The test is Fisher's permutation test of paired differences d_i = a_i - b_i. Were there no difference between the two, either
 * of them would have got a_i with the same probability, so every sign pattern s of sum_i s_i d_i is as likely as the one
 * observed. p is the share of patterns with |sum_i s_i d_i| at least as large as observed: of all patterns, or of random ones
 * and the observed one (Phipson and Smyth 2010, equation 2, so never 0). Ties count as 0, which no flip changes. */
wz_status wz_compare_ratios(const double *a, const double *b, int64_t problems, uint64_t seed,
                            wz_comparison *out, wz_error *err);

#endif
