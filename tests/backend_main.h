/* main() of a program that tests a backend: run under several of OpenBLAS's kernel families (OPENBLAS_CORETYPE). */
#ifndef WZ_TESTS_BACKEND_MAIN_H
#define WZ_TESTS_BACKEND_MAIN_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"

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

static inline int backend_main(Suite *suite)
{
    const char *core = getenv("OPENBLAS_CORETYPE");
    if (core != NULL && !core_type_runs(core)) {
        (void)printf("skipped: this processor cannot run OpenBLAS's %s kernels\n", core);
        return 77;
    }
    (void)printf("OpenBLAS kernels: %s\n", wz_backend_cpu_core_name());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

static inline wz_backend *cpu_backend_with(size_t threads)
{
    wz_backend *be = NULL;
    wz_error err = {{0}};
    ck_assert_msg(wz_backend_cpu_create(threads, &be, &err) == WZ_OK, "%s", err.text);
    return be;
}

#endif
