/* The backend that a program tests, and its main(): the CPU, run under several of OpenBLAS's kernel families
 * (OPENBLAS_CORETYPE); compiled with WZ_TEST_CUDA, the CUDA backend, emulated or on a GPU. */
#ifndef WZ_TESTS_BACKEND_MAIN_H
#define WZ_TESTS_BACKEND_MAIN_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "tests/cuda_probe.h"
#include "tests/suite.h"

/* OpenBLAS obeys OPENBLAS_CORETYPE without looking at the processor: running on would end in SIGILL. */
static inline bool core_type_runs(const char *core)
{
#if defined(__x86_64__)
    if (strcmp(core, "SkylakeX") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl");
    if (strcmp(core, "Haswell") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(core, "Sandybridge") == 0)
        return __builtin_cpu_supports("avx");
#endif
    return false;
}

static inline wz_backend *cpu_backend_with(size_t threads)
{
    wz_backend *be = NULL;
    wz_error err = {{0}};
    ck_assert_msg(wz_backend_cpu_create(threads, &be, &err) == WZ_OK, "%s", err.text);
    return be;
}

/* Working types that are tested: 0 .. PRECISIONS. */
#ifdef WZ_TEST_CUDA
enum { PRECISIONS = 2 };
#else
enum { PRECISIONS = 1 };
#endif
static const wz_dtype precisions[2] = {WZ_F32, WZ_BF16};

/* Threads are the CPU's; with CUDA two backends are the same. */
static inline wz_backend *test_backend_of(wz_dtype type, size_t threads)
{
#ifdef WZ_TEST_CUDA
    const wz_cuda_options options = {.precision = type, .exact = true};
    wz_backend *be = NULL;
    wz_error err = {{0}};
    (void)threads;
    ck_assert_msg(wz_backend_cuda_create(&options, &be, &err) == WZ_OK, "%s", err.text);
    return be;
#else
    ck_assert_int_eq(type, WZ_F32);
    return cpu_backend_with(threads);
#endif
}

static inline wz_backend *test_backend(size_t threads)
{
    return test_backend_of(WZ_F32, threads);
}

/* Whether what is to be tested can run here; says so. */
static inline bool backend_runs(void)
{
#ifdef WZ_TEST_CUDA
    return cuda_works();
#else
    const char *core = getenv("OPENBLAS_CORETYPE");
    const bool runs = core == NULL || core_type_runs(core);
    if (runs)
        (void)printf("OpenBLAS kernels: %s\n", wz_backend_cpu_core_name());
    else
        (void)printf("skipped: this processor cannot run OpenBLAS's %s kernels\n", core);
    return runs;
#endif
}

static inline int backend_main(Suite *suite)
{
    if (backend_runs())
        return run_suite(suite);
    srunner_free(srunner_create(suite)); /* and the suite with it */
    return 77;
}

#endif
