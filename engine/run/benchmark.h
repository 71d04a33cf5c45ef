/* What `wavezero bench` measures: training steps against the machine's own sgemm rate, and ops one by one. */
#ifndef WZ_RUN_BENCHMARK_H
#define WZ_RUN_BENCHMARK_H

#include "engine/core/json.h"
#include "engine/run/config.h"
#include "engine/rollout/policy.h"

#define WZ_BENCH_GEMMS 12
#define WZ_BENCH_DEVICE 400 /* bytes of a device's description */

typedef struct wz_bench_gemm {
    char name[32];         /* "qkv forward" */
    double flops_per_step; /* over all layers */
    double rate;           /* of plain sgemm at this shape, operations per second, all threads */
} wz_bench_gemm;

#define WZ_BENCH_OPS 16
typedef struct wz_bench_op {
    const char *name;
    double
        seconds_per_step; /* of the op alone at one pack's rows (best of several), times its calls in a step */
} wz_bench_op;

typedef struct wz_benchmark {
    const char *precision; /* "fp32", "bf16": of products, "sgemm" below */
    char device
        [WZ_BENCH_DEVICE]; /* "OpenBLAS core Haswell, 2 threads", or a GPU's name and cublasLt's version */
    char kernels[64];      /* family of matrix kernels */
    int64_t threads;
    int64_t tile; /* rows of the plain products */
    int64_t rows, completions, steps;
    double tokens;                               /* per step, prompts once per group */
    double step_s, rollout_s, train_s, verify_s; /* medians */
    double gemm_flops, other_flops; /* per step: linear layers and head; attention scores and sums */
    double sgemm_s;                 /* the time the gemm_flops take at their shapes' sgemm rates */
    double share;                   /* (all flops / step_s) / (gemm_flops / sgemm_s) */
    /* memory plan; growth of the process's peak resident size, on a GPU of what is allocated there */
    double planned_bytes, peak_bytes;
    wz_bench_gemm gemms[WZ_BENCH_GEMMS];
    size_t gemm_count;
    double rollout_share,
        update_share; /* of the sgemm rate: a third of the work in the rollout, the rest in the update */
    wz_bench_op ops[WZ_BENCH_OPS];
    size_t op_count;
} wz_benchmark;

/* `steps` timed training steps after two of warm-up, on the configuration's task and model. log: as for
 * wz_open_backend_for_command, below too. */
wz_status wz_benchmark_run(const wz_config *config, int64_t steps, FILE *log, wz_benchmark *out,
                           wz_error *err);
double wz_benchmark_median(double *values, int64_t count); /* sorts them */
/* "OpenBLAS core Haswell, 2 threads, fp32", or a GPU's name, cublasLt's version and the precision. */
void wz_benchmark_device(const wz_backend *backend, char out[WZ_BENCH_DEVICE]);
/* Operations of one pack's attention: scores and weighted sums, forward, and twice that backward (no recomputation
 * counted); the last layer at sites only. */
double wz_benchmark_attention_flops(const wz_model_config *config, const wz_segments *segments);
/* The ops of the table one by one, on a rolled-out pack; part of wz_benchmark_run. Overwrites the weights' gradients. */
wz_status wz_benchmark_ops(const wz_model *model, const wz_pack *pack, int64_t packs, wz_benchmark *out,
                           wz_error *err);
wz_status wz_benchmark_write_json(const wz_benchmark *benchmark, wz_text *out, wz_error *err);
wz_status wz_benchmark_write_table(const wz_benchmark *benchmark, wz_text *out, wz_error *err);

/* The first step's prompts as token ids, and the tokens admissible at each place of the first completion:
 * {"vocab_size", "prompts": [[...]], "allowed": [[...]]}, so that another implementation can run the same work. */
wz_status wz_benchmark_tokens(const wz_config *config, FILE *log, wz_text *out, wz_error *err);

#endif
