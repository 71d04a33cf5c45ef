/* What an answer earns: a weighted sum of reward functions, shaping while feasibility is still to be learnt, and what its
 * length costs.
 *
 * With f the objective of the answer, f* the reference's and f0 that of the best trivial policy on the same problem; all
 * are 0 unless the answer is feasible, but for `format`. */
#ifndef WZ_REWARDS_REWARD_H
#define WZ_REWARDS_REWARD_H

#include "rewards/verifier.h"

typedef enum wz_reward_func {
    WZ_REWARD_RATIO, /* f / f* */
    WZ_REWARD_HEADROOM, /* clip((f - f0) / (f* - f0), 0, 1); where f0 is f* there is no room: 0 of every answer */
    WZ_REWARD_FEASIBLE, /* 1 */
    WZ_REWARD_OPTIMUM,  /* 1 if the objective is that of the best decision, where that is known */
    WZ_REWARD_FORMAT,   /* 1 if an answer of the form could be read, feasible or not */
    WZ_REWARD_FUNCS
} wz_reward_func;

extern const char *const wz_reward_names[]; /* "ratio", ..., NULL */
int wz_reward_find(const char *name);       /* -1: unknown */

double wz_reward(wz_reward_func function, const wz_verdict *verdict, const wz_reference *reference);

typedef struct wz_reward_options {
    size_t count;
    wz_reward_func function[WZ_REWARD_FUNCS];
    double weight[WZ_REWARD_FUNCS];
    double shaping;        /* at step 0, at most 0.1 */
    int64_t shaping_steps; /* until it is 0; at least 1 where shaping > 0 */
    int64_t max_completion_length;
    int64_t overlong_buffer; /* tokens; 0: none */
    double overlong_penalty; /* at max_completion_length */
} wz_reward_options;

/* What shaping adds in a step: shaping (1 - step / shaping_steps) (1 - shortfall), where the shortfall is 0 of a feasible
 * answer and 1 of one that could not be read. So no infeasible answer earns more by it than a feasible one. */
double wz_reward_shaping(const wz_reward_options *options, int64_t step, const wz_verdict *verdict);
/* DAPO's soft overlong punishment (Yu et al. 2025, eq. 13), of a completion of `length` tokens: 0 up to max_completion_length
 * - overlong_buffer, then linearly to -overlong_penalty at max_completion_length. No buffer: always 0. */
double wz_reward_overlong(const wz_reward_options *options, int64_t length);
/* The whole reward of a completion of `length` tokens. */
double wz_reward_total(const wz_reward_options *options, int64_t step, const wz_verdict *verdict,
                       const wz_reference *reference, int64_t length);

#endif
