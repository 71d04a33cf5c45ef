/* What `wavezero bench --sharing` measures: the same completions with each prompt once per group and with a copy of it for
 * every completion. */
#ifndef WZ_RUN_BENCHMARK_SHARING_H
#define WZ_RUN_BENCHMARK_SHARING_H

#include "engine/core/json.h"
#include "engine/run/benchmark.h"
#include "engine/run/benchmark_model.h"

typedef struct wz_sharing_layout {
    int64_t rows, prompt_rows;
    double prompt_s; /* prefill of all prompts; median */
    double train_s;  /* forward pass, loss and backward pass of own samples; median */
    double flops; /* of train_s: linear layers and head three times their forward pass, attention likewise */
} wz_sharing_layout;

typedef struct wz_sharing_benchmark {
    char device[WZ_BENCH_DEVICE];
    wz_bench_lengths lengths; /* of the shared pack */
    int64_t rounds, parameters, allowed;
    double prompt_tokens, tokens; /* counted once per completion: the same work for both */
    wz_sharing_layout shared, unshared;
} wz_sharing_benchmark;

/* `rounds` of both layouts by turns after one of warm-up. answer_grammar: each token is one of a few, else one of the whole
 * vocabulary. WZ_ERR_RESOURCE where it cannot fit. */
wz_status wz_sharing_benchmark_run(const wz_config *config, const wz_bench_lengths *lengths, int64_t rounds,
                                   FILE *log, wz_sharing_benchmark *out, wz_error *err);
wz_status wz_sharing_benchmark_write(const wz_sharing_benchmark *benchmark, bool as_json, wz_text *out,
                                     wz_error *err);

#endif
