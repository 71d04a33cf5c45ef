/* How fast all threads together read memory: the yardstick of decoding, which reads weights and cached keys and values
 * once per step and computes little with them. */
#include "engine/backend/cpu/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct read_job {
    uint64_t *block;
    size_t words; /* of one thread's part */
    int64_t calls;
    uint64_t *sum; /* [threads], one to a cache line */
} read_job;

#define LINE_WORDS (WZ_ALIGNMENT / sizeof(uint64_t))

/* Memory that was never written to is one page of zeros. */
static void write_task(void *argument, size_t task, size_t thread)
{
    const read_job *job = argument;
    (void)thread;
    memset(job->block + task * job->words, 0x5a, job->words * sizeof(uint64_t));
}

static void read_task(void *argument, size_t task, size_t thread)
{
    const read_job *job = argument;
    const uint64_t *part = job->block + task * job->words;
    (void)thread;
    for (int64_t call = 0; call < job->calls; call++) {
        uint64_t sum = (uint64_t)call;
        for (size_t i = 0; i < job->words; i++)
            sum += part[i];
        /* for all the compiler knows, into the block: one call's sum does not do for all */
        *(volatile uint64_t *)&job->sum[task * LINE_WORDS] = sum;
    }
}

double cpu_memory_rate(wz_backend *backend, size_t bytes, double seconds)
{
    cpu_backend *cpu = cpu_of(backend);
    const size_t threads = wz_pool_threads(cpu->pool);
    read_job job = {.words = (bytes / threads / WZ_ALIGNMENT + 1) * LINE_WORDS, .calls = 1};
    void *block = NULL;
    wz_error unused = {{0}};
    if (wz_alloc(&block, threads * (job.words + LINE_WORDS), sizeof(uint64_t), "a block to read", &unused) !=
        WZ_OK)
        return NAN;
    job.block = block;
    job.sum = job.block + threads * job.words;
    wz_pool_run(cpu->pool, write_task, &job, threads);
    const double rate = cpu_best_rate(cpu, read_task, &job, &job.calls,
                                      (double)(threads * job.words * sizeof(uint64_t)), seconds);
    free(block);
    return rate;
}
