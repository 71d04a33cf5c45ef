/* A model of a configuration's shape with random weights, and packs of made-up tokens for it: what decoding and prompt
 * sharing are measured on. */
#ifndef WZ_RUN_BENCHMARK_MODEL_H
#define WZ_RUN_BENCHMARK_MODEL_H

#include <stdio.h>

#include "engine/model/model.h"
#include "engine/rollout/pack.h"
#include "engine/run/config.h"

#define WZ_BENCH_ALLOWED 8 /* tokens that an answer grammar leaves to choose from */

typedef struct wz_bench_model {
    wz_config config;
    wz_backend *backend;
    wz_model *model;
} wz_bench_model;

/* log: as for wz_open_backend_for_command. What was created stays the caller's to close, also on failure. */
wz_status wz_bench_model_open(const wz_config *config, bool training, FILE *log, wz_bench_model *out,
                              wz_error *err);
void wz_bench_model_close(wz_bench_model *bench); /* also of {0} */

typedef struct wz_bench_lengths {
    int64_t groups, generations;
    int64_t prompt, completion; /* tokens */
} wz_bench_lengths;

/* Whether one such pack's activations, and with more than the cache what flows backward, fit into memory beside the model
 * (WZ_ERR_RESOURCE), and its tokens into the model's positions (WZ_ERR_USAGE). */
wz_status wz_bench_model_check(const wz_bench_model *bench, const wz_bench_lengths *lengths, wz_keep keep,
                               wz_error *err);
/* A pack of prompts, with room for the completions. `share` groups in turn have one problem's prompt and random draws. */
wz_status wz_bench_pack_create(const wz_bench_model *bench, const wz_bench_lengths *lengths, int64_t share,
                               wz_pack **out, wz_error *err);

/* Parameters of all layers and the final norm; of the head. */
int64_t wz_bench_layer_parameters(const wz_model *model);
int64_t wz_bench_head_parameters(const wz_model *model);

#endif
