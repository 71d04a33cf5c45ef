/* Where a run happened: what a reader needs to judge its figures and to repeat it. */
#ifndef WZ_RUN_ENVIRONMENT_H
#define WZ_RUN_ENVIRONMENT_H

#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/core/json.h"
#include "engine/core/memory.h"
#include "engine/core/status.h"

/* What only the caller knows. NULL leaves a field out. */
typedef struct wz_environment {
    const char *device;             /* "cpu", "cuda" */
    const char *precision;          /* "fp32", "bf16" */
    const wz_backend_info *backend; /* its kernels, e.g. OpenBLAS core "SkylakeX": results depend on them */
    const char *date;               /* when the run started, as ISO 8601 */
} wz_environment;

/* Appends a JSON object: version, git_commit (if known when built), compiler, cpu, cores, memory_bytes,
 * hostname, and the caller's fields: device, precision, blas_core and threads, or gpu, gpu_memory_bytes, cuda_driver,
 * cuda_runtime, kernels and algorithms. */
wz_status wz_environment_write_json(const wz_environment *environment, wz_text *out, wz_error *err);

/* Whether a product's shape that both know has another algorithm in `now` (wz_backend_info.algorithms, NULL: none) than in an
 * environment's JSON. */
bool wz_environment_algorithms_differ(const char *json, size_t length, const char *now);

/* "driver for CUDA 13.0, runtime 12.4, cublasLt 12.4.5": of a GPU. */
void wz_describe_cuda(const wz_backend_info *info, char *out, size_t size);

const char *wz_build_commit(void);   /* "" if unknown */
const char *wz_build_compiler(void); /* "gcc 12.2.0" */
/* The processor's name from /proc/cpuinfo, or "unknown". */
wz_status wz_cpu_model(wz_text *out, wz_error *err);
/* Processors this process may use. */
int64_t wz_cpu_count(void);
/* Physical memory in bytes, and what is available without swapping; 0: unknown. */
void wz_memory_size(uint64_t *total, uint64_t *available);
/* What this process holds of it now. */
uint64_t wz_memory_resident(void);

#endif
