/* Inside a training run: state shared by its set-up, its loop and its logs. */
#ifndef WZ_RUN_RUN_H
#define WZ_RUN_RUN_H

#include "engine/grpo/report.h"
#include "engine/run/alarm.h"
#include "engine/run/evaluate.h"
#include "engine/run/load.h"
#include "engine/run/metrics.h"
#include "engine/run/rundir.h"
#include "engine/run/snapshot.h"
#include "engine/run/table.h"
#include "engine/run/train.h"

typedef struct wz_run {
    wz_config config;
    const wz_run_io *io;
    wz_rundir directory;
    wz_backend *backend;
    wz_policy *policy;
    wz_trainer *trainer;
    wz_pairs pairs;    /* of sft_file, while its steps last */
    wz_train_set set;  /* empty: problems are generated */
    wz_stages *stages; /* of the curriculum; NULL: it grows sizes */
    wz_metrics metrics, completions;
    wz_table table;
    wz_events events;
    wz_alarm alarm;
    wz_panel panel;      /* what a terminal shows */
    wz_row row;          /* being written */
    wz_text environment; /* JSON */
    char date[32];       /* of the start */
    size_t algorithms;   /* length of the backend's list of them in `environment` */
    wz_text resumed_in;  /* the checkpoint's environment, until the first step has been compared with it */
    wz_snapshot state;
    wz_progress progress;
    double last_score; /* running objective ratio of sampled answers */
} wz_run;

/* The loss from the configuration; its entropy_coef is the one at the start. */
wz_loss_options wz_run_loss_options(const wz_config *config);
/* The trainer's options from the configuration; groups_per_pack as configured or as memory allows. */
void wz_run_trainer_options(const wz_config *config, const wz_mixture *mixture, int64_t groups_per_pack,
                            wz_trainer_options *out);
/* The run's evaluations on the way. */
void wz_run_eval_options(const wz_config *config, const wz_mixture_part *part, wz_eval_options *out);
/* What a run holds, in bytes. */
typedef struct wz_memory_plan {
    wz_trainer_memory trainer; /* evaluations included where there are any */
    size_t model;
    size_t own;     /* of the device's libraries and ops */
    size_t widened; /* of that, of a frozen matrix that products of another type read */
    size_t loading; /* of the model that the weights came from, before the rest was there */
    size_t limit;
    bool is_free_memory; /* the limit: what is free of a GPU's */
} wz_memory_plan;
size_t wz_memory_plan_total(const wz_memory_plan *plan);
/* Decides groups per pack and whether rollout activations stay, prints the memory plan as a table into *table, and
 * refuses (WZ_ERR_RESOURCE) with the shortfall and remedies what cannot fit. */
wz_status wz_run_plan_memory(wz_policy *policy, const wz_config *config, bool evaluates,
                             wz_trainer_options *options, wz_memory_plan *plan, wz_text *table,
                             wz_error *err);

/* Logs as long as run->state says they were; the trainer must be there. */
wz_status wz_run_open_logs(wz_run *run, wz_error *err);
/* Syncs them and notes their lengths in run->state. */
wz_status wz_run_sync_logs(wz_run *run, wz_error *err);
void wz_run_close_logs(wz_run *run);
/* Reads sft_file where steps with it are still to come: the pairs that the run began with. */
wz_status wz_run_open_pairs(wz_run *run, wz_error *err);
/* Reads train_set, whose problems must be those that the run began with. */
wz_status wz_run_open_train_set(wz_run *run, wz_error *err);
/* max_steps of a run that is given num_train_epochs. */
wz_status wz_run_count_epochs(wz_run *run, wz_error *err);
/* A trained problem's own number: in its split, or in the file of train_set. */
int64_t wz_run_problem_number(const wz_run *run, const wz_problem *problem);
/* Says that a curriculum has gone on. */
void wz_run_announce_growth(wz_run *run, const wz_step_report *report);
/* What a row says of stages, pool and filters. */
void wz_run_fill_data(const wz_run *run, const wz_step_report *report, wz_row *row);
/* The next step, one of the first sft_steps, and its row of metrics. */
wz_status wz_run_supervised_step(wz_run *run, wz_error *err);
wz_status wz_run_log_supervised(wz_run *run, const wz_sft_report *report, double step_s, wz_error *err);
/* What a row says of completions: their reward functions and lengths, under TRL's names. prefix: "" of a step, "eval_", ... */
void wz_run_fill_completions(const wz_run *run, const char *prefix, const wz_completion_figures *figures,
                             wz_row *row);
/* What a row says of an evaluation; arguments as below. */
void wz_run_fill_evaluation(const wz_run *run, const wz_evaluation *evaluations, double score, wz_row *row);
/* One row of metrics. */
wz_status wz_run_log_step(wz_run *run, int64_t step, const wz_step_report *report, double step_s,
                          wz_error *err);
/* evaluations: one for each part of the mixture; score: of all. */
wz_status wz_run_log_evaluation(wz_run *run, int64_t step, const wz_evaluation *evaluations, double score,
                                wz_error *err);
/* What a terminal shows. */
void wz_run_start_panel(wz_run *run);
void wz_run_show_step(wz_run *run, const wz_step_report *report, double completions_per_s);
void wz_run_show_supervised(wz_run *run, const wz_sft_report *report, double pairs_per_s);
void wz_run_show_evaluation(wz_run *run, const wz_evaluation *evaluations, double score);
/* Some of the step's completions, with their verdicts. */
wz_status wz_run_log_completions(wz_run *run, int64_t step, wz_error *err);

#endif
