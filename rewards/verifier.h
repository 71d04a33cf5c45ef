/* Rule-based verification: one wz_verifier per task family.
 *
 * The verifier reads the completion's text, decides whether it is an admissible answer to the printed
 * problem, and states its true objective beside the reference. A verifier that cannot do its work
 * returns an error status: never a score of 0. */
#ifndef WZ_REWARDS_VERIFIER_H
#define WZ_REWARDS_VERIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"
#include "tasks/task.h"

typedef enum wz_verdict_kind {
    WZ_VERDICT_FEASIBLE,
    WZ_VERDICT_NO_ANSWER,    /* no answer tag, or it is not closed */
    WZ_VERDICT_MANY_ANSWERS, /* more than one answer tag */
    WZ_VERDICT_BAD_NUMBER,   /* not a plain decimal number of the answer's form */
    WZ_VERDICT_WRONG_LENGTH,
    WZ_VERDICT_OUT_OF_RANGE,
    WZ_VERDICT_TRAILING_TEXT,
    WZ_VERDICT_INFEASIBLE /* parsed, but a constraint is violated by more than 1e-6 */
} wz_verdict_kind;

typedef struct wz_verdict {
    wz_verdict_kind kind;
    double objective; /* 0 unless feasible */
    double reference; /* the reference objective f* */
    double ratio;     /* objective / reference; 0 unless feasible */
    bool is_optimum;  /* objective within 1e-9 relative of an exact reference */
    char reason[160]; /* empty when feasible; else what is wrong and where */
} wz_verdict;

#define WZ_MAX_BASELINES 16

/* What is known of one problem before any answer: computed once per problem. */
typedef struct wz_reference {
    double objective; /* f*: the optimum, or the best known */
    bool is_exact;
    double best_trivial; /* f0: best fixed trivial policy on this instance */
} wz_reference;

/* A classical algorithm: the objective it reaches on a problem. seed feeds random baselines only. */
typedef struct wz_baseline {
    const char *name; /* as in JSON output: "wmmse", "greedy_adder", "full", "random", "strongest" */
    bool is_trivial;  /* a fixed policy that ignores most of the instance */
    wz_status (*solve)(const wz_problem *problem, uint64_t seed, double *objective, wz_error *err);
} wz_baseline;

typedef struct wz_verifier {
    const char *task;
    const wz_baseline *baselines;
    size_t baseline_count;
    const char *field_algorithm; /* name of the baseline that `percent_of_*` compares with: "wmmse" */
    wz_status (*reference)(const wz_problem *problem, wz_reference *out, wz_error *err);
    /* Judges the completion text (everything after the prompt; `style` says which frame). */
    wz_status (*verify)(const wz_problem *problem, const wz_reference *reference, wz_prompt_style style,
                        const char *completion, size_t length, wz_verdict *out, wz_error *err);
    /* Objective of the best of `tries` uniformly random admissible answers. */
    wz_status (*random_best)(const wz_problem *problem, uint64_t seed, size_t tries, double *objective,
                             wz_error *err);
} wz_verifier;

extern const wz_verifier *const wz_verifiers[]; /* NULL-terminated */
const wz_verifier *wz_verifier_find(const char *task);
const char *wz_verdict_kind_name(wz_verdict_kind kind);

typedef enum wz_reward_mode { WZ_REWARD_RATIO, WZ_REWARD_HEADROOM } wz_reward_mode;

/* The reward of a verdict: 0 unless feasible; else f / f* (ratio) or clip((f - f0)/(f* - f0), 0, 1) (headroom). */
double wz_reward(wz_reward_mode mode, const wz_verdict *verdict, const wz_reference *reference);

#endif
