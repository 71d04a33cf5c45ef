/* What `wavezero bench --tasks` measures: what problems and verdicts cost, family by family, alone and as a share of a
 * training step of the configuration's model. */
#ifndef WZ_RUN_BENCHMARK_TASKS_H
#define WZ_RUN_BENCHMARK_TASKS_H

#include "engine/run/benchmark.h"
#include "rewards/verifier.h"

/* Seconds, medians over the rounds. */
typedef struct wz_task_benchmark {
    const wz_task *task;
    double generate_s, print_s;                       /* of a problem */
    double training_reference_s, exact_reference_s;   /* of a problem, with the best trivial policy */
    double verify_s;                                  /* of one answer, read and judged */
    wz_reference_kind training_kind, evaluation_kind; /* the weakest met */
    double step_s, share; /* a training step; of it, problems, prompts, references and verdicts */
} wz_task_benchmark;

/* The configuration's task, or with `all` each built-in family at its defaults: `problems` problems a round, and three
 * training steps after one of warm-up. *out (from wz_alloc): *count entries. */
wz_status wz_task_benchmark_run(const wz_config *config, bool all, int64_t problems, FILE *log,
                                wz_task_benchmark **out, size_t *count, wz_error *err);
wz_status wz_task_benchmark_write(const wz_task_benchmark *benchmarks, size_t count, bool as_json,
                                  wz_text *out, wz_error *err);

#endif
