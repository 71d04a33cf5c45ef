/* What benchmarks of training steps have in common: a training set-up without a run directory. */
#ifndef WZ_RUN_BENCHMARK_TRAINING_H
#define WZ_RUN_BENCHMARK_TRAINING_H

#include "engine/run/run.h"

typedef struct wz_bench {
    wz_config config;
    wz_backend *backend;
    wz_policy *policy;
    wz_trainer_options options;
    wz_trainer *trainer;
    wz_text plan;
    wz_memory_plan memory;
    double used_before; /* memory, before anything of the model was there */
} wz_bench;

/* Opened as a run does it, without curriculum and exactness checks, all memory taken. log: as for
 * wz_open_backend_for_command. What was made is the caller's to close, also on failure. */
wz_status wz_bench_open(const wz_config *config, FILE *log, wz_bench *b, wz_error *err);
void wz_bench_close(wz_bench *b);
/* What the process has had at most, or what has been taken of a GPU's memory, which is not given back while a trainer
 * lives. */
double wz_bench_used_bytes(const wz_backend *backend);

#endif
