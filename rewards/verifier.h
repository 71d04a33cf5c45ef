/* Rule-based verification: one wz_verifier per task family.
 *
 * A family says what a decision is worth and how the best one is found. Everything else is done here, alike for all: the
 * completion's text is read by the task's answer form, judged, and stated beside the reference. What cannot be judged is
 * an error status: never a score of 0. */
#ifndef WZ_REWARDS_VERIFIER_H
#define WZ_REWARDS_VERIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/status.h"
#include "tasks/task.h"

#define WZ_FEASIBILITY_TOLERANCE 1e-6 /* a constraint violated by more is violated */

typedef enum wz_verdict_kind {
    WZ_VERDICT_FEASIBLE,
    WZ_VERDICT_NO_ANSWER,    /* no answer tag, or it is not closed */
    WZ_VERDICT_MANY_ANSWERS, /* more than one answer tag */
    WZ_VERDICT_BAD_NUMBER,   /* not a plain decimal number, or word, of the answer's form */
    WZ_VERDICT_WRONG_LENGTH,
    WZ_VERDICT_OUT_OF_RANGE,
    WZ_VERDICT_TRAILING_TEXT,
    WZ_VERDICT_INFEASIBLE /* parsed, but a constraint is violated by more than WZ_FEASIBILITY_TOLERANCE */
} wz_verdict_kind;

/* What a decision is worth. */
typedef struct wz_outcome {
    bool feasible;
    double objective; /* 0 unless feasible */
    double violation; /* of the constraint that `reason` names, in its own unit; 0 if feasible */
    double shortfall; /* the same as a share, in (0, 1], 1 the worst: what shaping goes by */
    char reason[160]; /* empty when feasible; else the violated constraint and by how much */
} wz_outcome;

/* Makes an outcome infeasible, unless it is so already: the first constraint named is the one that counts. */
void wz_outcome_violate(wz_outcome *outcome, double violation, double shortfall, const char *format, ...)
    WZ_PRINTF(4, 5);

typedef struct wz_verdict {
    wz_verdict_kind kind;
    double objective; /* 0 unless feasible */
    double reference; /* the reference objective f* */
    double ratio;     /* objective / reference; 0 unless feasible */
    bool is_optimum;  /* objective within 1e-9 relative of the best decision, where that is known */
    double violation, shortfall; /* as in wz_outcome; shortfall 1 where no answer could be read */
    char reason[160];            /* empty when feasible; else what is wrong and where */
} wz_verdict;

typedef enum wz_reference_kind {
    WZ_REFERENCE_OPTIMUM, /* over the answers that are possible */
    WZ_REFERENCE_UPPER_BOUND, /* optimum over a larger set (real numbers for whole ones); `decided` is a decision's */
    WZ_REFERENCE_BEST_KNOWN /* what a strong algorithm found */
} wz_reference_kind;
const char *wz_reference_kind_name(wz_reference_kind kind); /* "optimum", "upper bound", "best known" */

/* What is known of one problem before any answer: computed once per problem. */
typedef struct wz_reference {
    double objective; /* f* */
    wz_reference_kind kind;
    double decided;      /* of the best decision known; f* but for an upper bound */
    double best_trivial; /* f0: best fixed trivial policy on this instance */
} wz_reference;

/* Whether an objective is that of the best decision, to 1e-9 relative; false where that is not known. */
bool wz_is_optimum(const wz_reference *reference, double objective);

/* (f* - f0) / f*: the share of the reference that the best trivial policy leaves. */
double wz_reference_headroom(const wz_reference *reference);

/* How much a reference may cost. */
typedef enum wz_effort {
    WZ_EFFORT_TRAINING, /* a small share of a training step: the family's best algorithm, if the optimum takes long */
    WZ_EFFORT_EVALUATION
} wz_effort;

typedef enum wz_baseline_kind {
    WZ_BASELINE_TRIVIAL, /* a fixed policy that ignores most of the instance */
    WZ_BASELINE_RANDOM,  /* one random decision; has no function */
    WZ_BASELINE_ALGORITHM
} wz_baseline_kind;

#define WZ_MAX_BASELINES 16

/* A classical algorithm. */
typedef struct wz_baseline {
    const char *name; /* as in JSON output: "wmmse", "greedy_adder", "full", "random", "strongest" */
    wz_baseline_kind kind;
    /* The decision it takes, feasible or not. */
    wz_status (*decide)(const wz_problem *problem, unsigned *decision, wz_error *err);
    /* In place of decide: the objective of what is no decision of the answer's form, continuous powers say. */
    wz_status (*solve)(const wz_problem *problem, double *objective, wz_error *err);
} wz_baseline;

typedef struct wz_verifier {
    const char *task;
    const wz_baseline *baselines;
    size_t baseline_count;
    const char *field_algorithm; /* name of the baseline that `percent_of_*` compares with: "wmmse" */
    /* What a decision (a number for each slot of the answer form, in range) is worth. */
    wz_status (*judge)(const wz_problem *problem, const unsigned *decision, wz_outcome *out, wz_error *err);
    /* The best decision and what kind it is; the objective too, if an upper bound. The rest of *out is filled in. */
    wz_status (*solve)(const wz_problem *problem, wz_effort effort, unsigned *decision, wz_reference *out,
                       wz_error *err);
    /* A random decision, feasible where that is easily had (a permutation, say). NULL: each number uniform. */
    void (*draw)(const wz_problem *problem, wz_draws *draws, unsigned *decision);
} wz_verifier;

extern const wz_verifier *const wz_verifiers[]; /* the built-in ones, NULL-terminated */
const wz_verifier *wz_verifier_find(const char *task);
/* Adds a verifier for the rest of the process; it comes before an earlier one of the same task. At most
 * WZ_MAX_ADDED_VERIFIERS. */
#define WZ_MAX_ADDED_VERIFIERS (2 * WZ_MAX_ADDED_TASKS)
void wz_verifier_add(const wz_verifier *verifier);
const char *wz_verdict_kind_name(wz_verdict_kind kind);

/* The reference of a problem; decision (WZ_MAX_SLOTS) receives the best one known, unless NULL. An error if that is not
 * feasible, or not worth more than nothing: ratios need that. */
wz_status wz_reference_find(const wz_verifier *verifier, const wz_problem *problem, wz_effort effort,
                            unsigned *decision, wz_reference *out, wz_error *err);
/* Fails where a decision is worth more than an optimum, by more than 1e-9 of it: then the optimum is none. Not for baselines
 * that decide nothing, whose continuous powers may reach more. */
wz_status wz_reference_check(const wz_verifier *verifier, const wz_problem *problem,
                             const wz_reference *reference, const wz_outcome *outcome, wz_error *err);
/* Judges the completion's text (everything after the prompt; `style` says which frame). */
wz_status wz_verify(const wz_verifier *verifier, const wz_problem *problem, const wz_reference *reference,
                    wz_prompt_style style, const char *completion, size_t length, wz_verdict *out,
                    wz_error *err);
/* The same of a completion that thinks first, after a prompt that ends with "<think>". */
wz_status wz_verify_thought(const wz_verifier *verifier, const wz_problem *problem,
                            const wz_reference *reference, wz_prompt_style style, const char *completion,
                            size_t length, wz_verdict *out, wz_error *err);
/* Judges a bare decision, as it stands between the tags; one that cannot be read is infeasible. */
wz_status wz_verify_candidate(const wz_verifier *verifier, const wz_problem *problem, wz_prompt_style style,
                              const char *text, size_t length, wz_outcome *out, wz_error *err);
/* What baseline number `which` reaches; seed feeds the random one. */
wz_status wz_baseline_run(const wz_verifier *verifier, size_t which, const wz_problem *problem, uint64_t seed,
                          wz_outcome *out, wz_error *err);
/* The best of `tries` random decisions; infeasible if all are. */
wz_status wz_random_best(const wz_verifier *verifier, const wz_problem *problem, uint64_t seed, size_t tries,
                         wz_outcome *out, wz_error *err);

#endif
