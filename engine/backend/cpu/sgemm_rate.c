/* How fast OpenBLAS is on this machine at a given shape: the yardstick of `wavezero bench`. */
#include "engine/backend/cpu/cpu.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "engine/core/clock.h"

typedef struct rate_job {
    const wz_gemm_shape *shape;
    float *block;
    int64_t floats; /* of one thread's matrices */
    int64_t calls;  /* per thread */
} rate_job;

static void rate_task(void *argument, size_t task, size_t thread)
{
    const rate_job *job = argument;
    const wz_gemm_shape *s = job->shape;
    float *a = job->block + (int64_t)task * job->floats, *b = a + s->m * s->k, *c = b + s->k * s->n;
    (void)thread;
    for (int64_t i = 0; i < job->calls; i++)
        cblas_sgemm(CblasRowMajor, s->a_transposed ? CblasTrans : CblasNoTrans,
                    s->b_transposed ? CblasTrans : CblasNoTrans, (blasint)s->m, (blasint)s->n, (blasint)s->k,
                    1.0f, a, (blasint)(s->a_transposed ? s->m : s->k), b,
                    (blasint)(s->b_transposed ? s->k : s->n), s->accumulate ? 1.0f : 0.0f, c, (blasint)s->n);
}

double cpu_best_rate(cpu_backend *cpu, wz_pool_task task, void *job, int64_t *calls, double work,
                     double seconds)
{
    const size_t threads = wz_pool_threads(cpu->pool);
    double best = 0.0, spent = 0.0;
    while (spent < seconds || best <= 0.0) {
        const double start = wz_now_s();
        wz_pool_run(cpu->pool, task, job, threads);
        const double elapsed = wz_now_s() - start;
        spent += elapsed;
        if (elapsed < 0.005)
            *calls *= 2;
        else if (work * (double)*calls / elapsed > best)
            best = work * (double)*calls / elapsed;
    }
    return best;
}

double cpu_gemm_rate(wz_backend *backend, const wz_gemm_shape *shape, double seconds)
{
    cpu_backend *cpu = cpu_of(backend);
    const size_t threads = wz_pool_threads(cpu->pool);
    rate_job job = {.shape = shape, .calls = 1};
    job.floats = (shape->m * shape->k + shape->k * shape->n + shape->m * shape->n + 15) / 16 * 16;
    job.block = cpu_shared_reserve(cpu, threads * (size_t)job.floats * sizeof(float));
    if (job.block == NULL)
        return NAN;
    for (int64_t i = 0; i < (int64_t)threads * job.floats; i++)
        job.block[i] = (float)(i % 17) * 0.01f;
    const double flops = 2.0 * (double)shape->m * (double)shape->n * (double)shape->k * (double)threads;
    return cpu_best_rate(cpu, rate_task, &job, &job.calls, flops, seconds);
}
