/* Inside a training run: state shared by its set-up, its loop and its logs. */
#ifndef WZ_RUN_RUN_H
#define WZ_RUN_RUN_H

#include "engine/grpo/trainer.h"
#include "engine/run/evaluate.h"
#include "engine/run/load.h"
#include "engine/run/metrics.h"
#include "engine/run/rundir.h"
#include "engine/run/snapshot.h"
#include "engine/run/train.h"

typedef struct wz_run {
    wz_config config;
    const wz_run_io *io;
    wz_rundir directory;
    wz_backend *backend;
    wz_policy *policy;
    wz_trainer *trainer;
    wz_metrics metrics, completions;
    wz_text environment; /* JSON */
    char date[32];       /* of the start */
    size_t algorithms;   /* length of the backend's list of them in `environment` */
    wz_text resumed_in;  /* the checkpoint's environment, until the first step has been compared with it */
    wz_snapshot state;
    wz_progress progress;
    double last_score; /* running objective ratio of sampled answers */
} wz_run;

/* The trainer's options from the configuration; groups_per_pack as configured or as memory allows. */
void wz_run_trainer_options(const wz_config *config, const wz_mixture *mixture, int64_t groups_per_pack,
                            wz_trainer_options *out);
/* The run's evaluations on the way. */
void wz_run_eval_options(const wz_config *config, const wz_mixture_part *part, wz_eval_options *out);
/* What a run holds, in bytes. */
typedef struct wz_memory_plan {
    wz_trainer_memory trainer; /* evaluations included where there are any */
    size_t model;
    size_t own; /* of the device's libraries and ops */
    size_t limit;
    bool is_free_memory; /* the limit: what is free of a GPU's */
} wz_memory_plan;
size_t wz_memory_plan_total(const wz_memory_plan *plan);
/* Decides groups per pack and whether rollout activations stay, prints the memory plan as a table into *table, and
 * refuses (WZ_ERR_RESOURCE) with the shortfall and remedies what cannot fit. */
wz_status wz_run_plan_memory(wz_policy *policy, const wz_config *config, bool evaluates,
                             wz_trainer_options *options, wz_memory_plan *plan, wz_text *table,
                             wz_error *err);

/* One row of metrics.jsonl. */
wz_status wz_run_log_step(wz_run *run, int64_t step, const wz_step_report *report, double step_s,
                          wz_error *err);
/* evaluations: one for each part of the mixture; score: of all. */
wz_status wz_run_log_evaluation(wz_run *run, int64_t step, const wz_evaluation *evaluations, double score,
                                wz_error *err);
/* Some of the step's completions, with their verdicts. */
wz_status wz_run_log_completions(wz_run *run, int64_t step, wz_error *err);

#endif
