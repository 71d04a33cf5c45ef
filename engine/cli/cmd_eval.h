/* What the forms of `wavezero eval` share. */
#ifndef WZ_CLI_CMD_EVAL_H
#define WZ_CLI_CMD_EVAL_H

#include "engine/cli/cli.h"
#include "engine/cli/options.h"
#include "engine/run/config.h"
#include "engine/run/evaluate.h"
#include "engine/run/problem_set.h"
#include "engine/run/seen.h"

typedef struct wz_eval_arguments {
    int64_t problems, batch, samples, seed;
    double temperature;
    const char *split, *given; /* split NULL: test; given: a count, or the file of a problem set */
    wz_problem_set set;        /* of that file */
    wz_option_texts grid;
    bool compare, permute, decode_freely, timing, no_seen, json, help;
} wz_eval_arguments;

/* What one set of figures is about. */
typedef struct wz_eval_part {
    const wz_task *task;
    const double *values;
    const char *name;        /* NULL: there is only this one */
    const wz_problem *given; /* [problems]; NULL: generated ones */
    int64_t problems;
} wz_eval_part;

/* Several evaluations under one progress bar. */
typedef struct wz_eval_session {
    const wz_cli *cli;
    const wz_eval_arguments *arguments;
    const wz_training_past *past; /* of the policy; NULL: not asked for */
    wz_progress progress;
    int64_t done;     /* problems of the evaluations before the present one */
    const char *name; /* of the present one */
} wz_eval_session;

/* problems: of all evaluations together. */
void wz_eval_begin(wz_eval_session *session, const wz_cli *cli, const wz_eval_arguments *arguments,
                   int64_t problems);
/* The parts of the given set, or of what a checkpoint was trained on; they borrow from the arguments. */
typedef struct wz_eval_parts {
    wz_eval_part *items;
    size_t count;
    wz_mixture mixture; /* items borrow from it: the structure stays where it is */
    wz_text *names;     /* [count] */
} wz_eval_parts;

wz_status wz_eval_parts_create(const wz_eval_arguments *arguments, const wz_config *config,
                               wz_eval_parts *out, wz_error *err);
void wz_eval_parts_clear(wz_eval_parts *parts);
/* Takes --problems: a count, or a set that is read. */
wz_status wz_eval_read_problems(wz_eval_arguments *arguments, wz_error *err);
/* What the command line asks for on one part, of a policy of this configuration. */
wz_status wz_eval_prepare(const wz_eval_arguments *arguments, const wz_config *config,
                          const wz_eval_part *part, wz_eval_options *out, wz_error *err);
wz_status wz_eval_run(wz_eval_session *session, wz_policy *policy, const wz_eval_options *options,
                      const char *name, wz_evaluation *out, wz_error *err);
void wz_eval_end(wz_eval_session *session);

/* --compare: the first two of rest are checkpoints. */
wz_status wz_eval_compare(const wz_cli *cli, const wz_eval_arguments *arguments, const wz_arguments *rest,
                          wz_text *out, wz_error *err);
/* --grid */
wz_status wz_eval_grid(const wz_cli *cli, const wz_eval_arguments *arguments, wz_policy *policy,
                       const wz_config *config, wz_text *out, wz_error *err);

#endif
