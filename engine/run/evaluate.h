/* Evaluation on held-out problems, against references and baselines.
 *
 * Every figure is a function of the problems' verdicts in order, and a problem's verdict does not depend on its
 * neighbours, so no figure depends on the batch size. */
#ifndef WZ_RUN_EVALUATE_H
#define WZ_RUN_EVALUATE_H

#include "engine/core/json.h"
#include "engine/core/stop.h"
#include "engine/grpo/completions.h"

/* Whether it is known which problems the policy was trained on (engine/run/seen.h). */
typedef enum wz_seen_state { WZ_SEEN_UNASKED, WZ_SEEN_TOO_MANY, WZ_SEEN_COUNTED } wz_seen_state;

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
    bool
        reorder; /* each problem once more with its parts in a random order, where the family leaves them one */
    wz_stop *stop; /* asked after each batch; NULL: nobody */
    bool timing;   /* the reference solver and random search in the model's time too, which takes that time */
    wz_seen_state seen_state;
    const uint8_t *seen; /* [problems] if counted: 1 where the policy was trained on the same numbers */
    const wz_reward_options *reward; /* what completions earn is wanted, too, with their lengths; or NULL */
    int64_t reward_step;             /* that the rewards are of */
    double *
        ratios; /* [problems] receives each problem's ratio: of the answer, or of the best of samples; or NULL */
} wz_eval_options;

/* Of one policy or baseline over all problems. */
typedef struct wz_score {
    double mean, ci_low, ci_high; /* mean of ratios (infeasible = 0), 95% bootstrap interval */
    double ratio_of_means, ratio_of_means_low,
        ratio_of_means_high; /* sum of objectives / sum of references */
    double percent_of_field, percent_low,
        percent_high; /* 100 sum of objectives / sum of the field algorithm's */
    double feasible, exact_optimum;
    double valid; /* answers that can be read, feasible or not; NaN: of no policy's answers */
    double gap_p50, gap_p90, gap_p99; /* of 1 - ratio */
} wz_score;

typedef struct wz_eval_baseline {
    const char *name;
    wz_baseline_kind kind;
    wz_score score;
    double seconds; /* per problem */
} wz_eval_baseline;

/* The same problems with their parts in another order. */
typedef struct wz_order_consistency {
    double
        changed; /* share that then reads differently: a family that numbers its parts may undo the order */
    double same; /* share answered feasibly both times with the same objective, to 1e-9 of it */
    double same_of_changed; /* of those that read differently; NaN: there are none */
    wz_score score;         /* of the answers in the other order */
} wz_order_consistency;

/* Of a policy that proposes candidates before it answers: the best of its first k, and of k random decisions. */
typedef struct wz_try_scores {
    int64_t tries;                                       /* most candidates; 0: it proposes none */
    double made;                                         /* candidates of a problem, in the mean */
    wz_score policy[WZ_TRIES_MAX], random[WZ_TRIES_MAX]; /* [k - 1] */
} wz_try_scores;

/* What completions wrote before their answers, where they think. */
typedef struct wz_thought_scores {
    bool thinks;
    int64_t budget; /* of free thinking; 0: none, but candidates */
    double tokens;  /* of a completion's thinking, in the mean */
    double cut;     /* share of completions whose thinking the budget ended */
} wz_thought_scores;

typedef struct wz_evaluation {
    int64_t problems;
    wz_reference_kind reference_kind; /* the weakest of all */
    const char *field_algorithm;
    double reference_percent; /* 100 sum of references / sum of the field algorithm's */
    bool sampled;             /* the policy's answers are drawn, not greedy */
    bool decodes_freely;      /* without an answer grammar */
    wz_score policy;
    wz_completion_sums completions; /* with options.reward: of all samples, by these references */
    int64_t samples;
    wz_score greedy, best_of,
        random_best_of; /* with samples >= 2; greedy: unless options.ratios are asked for */
    wz_try_scores tries;
    wz_thought_scores thought;
    wz_eval_baseline baselines[WZ_MAX_BASELINES];
    size_t baseline_count;
    wz_seen_state seen_state;
    double seen;      /* if counted: share of the problems that the policy was trained on, at most */
    wz_score unseen;  /* of the policy's answers to the others, where there are both */
    bool fixed_order; /* options.reorder was asked for, but the family's parts have a fixed order */
    bool reordered;   /* or else: */
    wz_order_consistency consistency;
    bool timed;                        /* with options.timing: */
    wz_score random_timed;             /* the best random decision in the time that the model took */
    double random_tries;               /* of them in that time, in the mean */
    double reference_s, random_best_s; /* seconds per problem */
    double model_s, field_s;           /* the same, always; model_s: of all samples */
    double greedy_s;                   /* of the greedy answer beside them */
} wz_evaluation;

/* The baseline of a kind with the largest mean ratio; NULL: there is none. */
const wz_eval_baseline *wz_evaluation_strongest(const wz_evaluation *evaluation, wz_baseline_kind kind);

/* Called after each batch with the problems done. */
typedef void (*wz_eval_progress)(void *argument, int64_t done, int64_t total);

/* Bytes that the batches of such an evaluation take at once: raises *passing to it, and widens *bounds to what they ask of
 * ops. */
wz_status wz_evaluation_memory(wz_policy *policy, const wz_eval_options *options, wz_op_bounds *bounds,
                               size_t *passing, wz_error *err);
wz_status wz_evaluate(wz_policy *policy, const wz_eval_options *options, wz_eval_progress progress,
                      void *argument, wz_evaluation *out, wz_error *err);

/* Members of a JSON object: "objective_ratio": {"mean", "ci_low", "ci_high"}, "percent_of_wmmse", "feasible",
 * "exact_optimum", "problems", "baselines": {...}, ...; seconds per problem if timed. */
void wz_evaluation_write_fields(wz_json *json, const wz_evaluation *evaluation);
/* The same as a table for people. */
wz_status wz_evaluation_write_table(const wz_evaluation *evaluation, wz_text *out, wz_error *err);

#endif
