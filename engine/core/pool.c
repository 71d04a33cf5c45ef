#include "engine/core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "engine/core/memory.h"

/* How often a waiting thread looks again before it sleeps: about 20 us, longer than the gap between two
 * ops of a step, far shorter than anything a person would notice as load. */
#define SPINS 4000

struct wz_pool {
    size_t threads;
    pthread_t *workers; /* [threads - 1] */
    size_t started;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_size_t generation; /* one more for each job */
    atomic_bool stop;
    atomic_size_t sleepers;
    wz_pool_task task;
    void *argument;
    size_t count;
    atomic_size_t next;
    atomic_size_t working; /* workers that have not finished the present job */
};

/* The task this thread is running, for runs within it. */
static _Thread_local struct running_task {
    const wz_pool *pool; /* NULL: none */
    size_t thread;
} running;

typedef struct worker_start {
    wz_pool *pool;
    size_t thread;
} worker_start;

void wz_flush_denormals(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u); /* FTZ (bit 15) and DAZ (bit 6) */
#elif defined(__aarch64__)
    unsigned long control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" ::"r"(control | (1ul << 24)));
#endif
}

static void relax(void)
{
#if defined(__x86_64__)
    _mm_pause();
#endif
}

static void take_tasks(wz_pool *pool, size_t thread)
{
    const struct running_task before = running; /* a task of another pool, perhaps */
    running = (struct running_task){pool, thread};
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->count)
            break;
        pool->task(pool->argument, task, thread);
    }
    running = before;
}

static void wait_for_job(wz_pool *pool, size_t seen)
{
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load_explicit(&pool->generation, memory_order_acquire) != seen)
            return;
        relax();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument)
{
    worker_start start = *(worker_start *)argument;
    free(argument);
    wz_pool *pool = start.pool;
    wz_flush_denormals();
    for (size_t seen = 0;; seen++) {
        wait_for_job(pool, seen);
        if (atomic_load(&pool->stop))
            return NULL;
        take_tasks(pool, start.thread);
        atomic_fetch_sub_explicit(&pool->working, 1, memory_order_release);
    }
}

static void publish(wz_pool *pool)
{
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

wz_status wz_pool_create(size_t threads, wz_pool **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    if (threads == 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        threads = online > 0 ? (size_t)online : 1;
    }
    wz_status status = wz_alloc(&block, 1, sizeof(wz_pool), "the thread pool", err);
    if (status != WZ_OK)
        return status;
    wz_pool *pool = block;
    pool->threads = threads;
    (void)pthread_mutex_init(&pool->mutex, NULL);
    (void)pthread_cond_init(&pool->wake, NULL);
    status = wz_alloc(&block, threads, sizeof(pthread_t), "the thread pool", err);
    if (status != WZ_OK)
        goto fail;
    pool->workers = block;
    wz_flush_denormals();
    for (size_t i = 1; i < threads; i++) {
        status = wz_alloc(&block, 1, sizeof(worker_start), "the thread pool", err);
        if (status != WZ_OK)
            goto fail;
        *(worker_start *)block = (worker_start){pool, i};
        if (pthread_create(&pool->workers[pool->started], NULL, worker_main, block) != 0) {
            free(block);
            status = wz_fail(err, WZ_ERR_RESOURCE, "cannot start thread %zu of %zu: set `threads` lower",
                             i + 1, threads);
            goto fail;
        }
        pool->started++;
    }
    *out = pool;
    return WZ_OK;
fail:
    wz_pool_destroy(pool);
    return status;
}

void wz_pool_destroy(wz_pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->stop, true);
    publish(pool);
    for (size_t i = 0; i < pool->started; i++)
        (void)pthread_join(pool->workers[i], NULL);
    (void)pthread_cond_destroy(&pool->wake);
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool->workers);
    free(pool);
}

size_t wz_pool_threads(const wz_pool *pool)
{
    return pool->threads;
}

bool wz_pool_within(const wz_pool *pool, size_t *thread)
{
    *thread = running.pool == pool ? running.thread : 0;
    return running.pool == pool;
}

void wz_pool_run(wz_pool *pool, wz_pool_task task, void *argument, size_t count)
{
    size_t thread = 0;
    const bool within = wz_pool_within(pool, &thread);
    if (within || pool->threads == 1 || count <= 1) {
        for (size_t i = 0; i < count; i++)
            task(argument, i, thread);
        return;
    }
    pool->task = task;
    pool->argument = argument;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->working, pool->started, memory_order_relaxed);
    publish(pool);
    take_tasks(pool, 0);
    for (int spin = 0; atomic_load_explicit(&pool->working, memory_order_acquire) > 0; spin++) {
        if (spin < SPINS)
            relax();
        else
            (void)sched_yield(); /* more threads than processors: let the others finish */
    }
}
