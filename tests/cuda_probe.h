/* Whether tests that need the CUDA backend can run here. */
#ifndef WZ_TESTS_CUDA_PROBE_H
#define WZ_TESTS_CUDA_PROBE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuda/cuda.h"

/* Prints the device, or why the test is skipped. In a process of its own: the children of one that has used a GPU cannot. */
static inline bool cuda_works(void)
{
    int status = 1;
    if (getenv("WZ_TEST_NO_PROBE") != NULL) /* under compute-sanitizer, which need not follow forks */
        return true;
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const wz_cuda_options options = {.precision = WZ_F32, .exact = true};
        wz_backend *be = NULL;
        wz_backend_info info;
        wz_error err = {{0}};
        if (wz_backend_cuda_create(&options, &be, &err) != WZ_OK) {
            (void)printf("skipped: %s\n", err.text);
            exit(1);
        }
        be->ops->describe(be, &info);
        (void)printf("CUDA: %s, %s\n", info.gpu, info.kernels);
        be->ops->destroy(be);
        exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#endif
