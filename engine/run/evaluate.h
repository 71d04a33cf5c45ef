/* Evaluation on held-out problems, against references and baselines.
 *
 * Every figure is a function of the problems' verdicts in order, and a problem's verdict does not depend on its
 * neighbours, so no figure depends on the batch size. */
#ifndef WZ_RUN_EVALUATE_H
#define WZ_RUN_EVALUATE_H

#include "engine/core/json.h"
#include "engine/grpo/batch.h"

typedef struct wz_eval_options {
    const wz_task *task;
    const double *values; /* task options */
    wz_prompt_style style;
    uint64_t seed; /* of problems, samples, random baselines, bootstrap */
    wz_split split;
    int64_t problems, batch_size; /* batch_size: problems at once */
    wz_sampling sampling;         /* temperature 0: greedy */
    int64_t samples; /* best-of-k: completions per problem, verified, the best kept; 0 or 1: one answer */
    bool baselines;
    int64_t max_completion_length;
    const wz_problem
        *given; /* [problems] of that task and those values, in place of generated ones; or NULL */
} wz_eval_options;

/* Of one policy or baseline over all problems. */
typedef struct wz_score {
    double mean, ci_low, ci_high; /* mean of ratios (infeasible = 0), 95% bootstrap interval */
    double ratio_of_means;        /* sum of objectives / sum of references */
    double percent_of_field;      /* 100 sum of objectives / sum of the field algorithm's */
    double feasible, exact_optimum;
    double gap_p50, gap_p90, gap_p99; /* of 1 - ratio */
} wz_score;

typedef struct wz_eval_baseline {
    const char *name;
    wz_score score;
} wz_eval_baseline;

typedef struct wz_evaluation {
    int64_t problems;
    wz_reference_kind reference_kind; /* the weakest of all */
    const char *field_algorithm;
    wz_score policy;
    int64_t samples;
    wz_score best_of, random_best_of; /* with samples >= 2 */
    wz_eval_baseline baselines[WZ_MAX_BASELINES];
    size_t baseline_count;
    double model_s, field_s; /* seconds per problem */
} wz_evaluation;

/* Called after each batch with the problems done. */
typedef void (*wz_eval_progress)(void *argument, int64_t done, int64_t total);

/* Bytes that the batches of such an evaluation take at once: raises *passing to it, and widens *bounds to what they ask of
 * ops. */
wz_status wz_evaluation_memory(wz_policy *policy, const wz_eval_options *options, wz_op_bounds *bounds,
                               size_t *passing, wz_error *err);
wz_status wz_evaluate(wz_policy *policy, const wz_eval_options *options, wz_eval_progress progress,
                      void *argument, wz_evaluation *out, wz_error *err);

/* {"objective_ratio": {"mean", "ci_low", "ci_high"}, "percent_of_wmmse", "feasible", "exact_optimum", "problems",
 * "baselines": {...}, ...}; timing adds seconds per problem. */
wz_status wz_evaluation_write_json(const wz_evaluation *evaluation, bool timing, wz_text *out, wz_error *err);
/* The same as a table for people. */
wz_status wz_evaluation_write_table(const wz_evaluation *evaluation, bool timing, wz_text *out,
                                    wz_error *err);

#endif
