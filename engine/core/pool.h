/* Thread pool: runs task 0..count-1 of one job on all threads and waits.
 *
 * Which thread takes which task is not fixed, so a task's result must depend on its number alone: that
 * is what makes results equal for every number of threads. Every thread, the caller included, computes
 * with denormals flushed to zero (collapsed policies breed denormals, which cost a hundredfold). */
#ifndef WZ_CORE_POOL_H
#define WZ_CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/core/status.h"

typedef struct wz_pool wz_pool;

/* thread: 0 .. threads - 1, for per-thread scratch. */
typedef void (*wz_pool_task)(void *argument, size_t task, size_t thread);

/* threads 0: one per online processor. The creating thread is thread 0 and must make all calls. */
wz_status wz_pool_create(size_t threads, wz_pool **out, wz_error *err);
void wz_pool_destroy(wz_pool *pool);
size_t wz_pool_threads(const wz_pool *pool);
/* A run within a task of the same pool is done by the task's thread alone. */
void wz_pool_run(wz_pool *pool, wz_pool_task task, void *argument, size_t count);
/* Is the calling thread inside a task of this pool's many-threaded run? *thread: its number then, else 0. */
bool wz_pool_within(const wz_pool *pool, size_t *thread);

/* Sets flush-to-zero and denormals-are-zero in the calling thread (a no-op where unknown). */
void wz_flush_denormals(void);

#endif
