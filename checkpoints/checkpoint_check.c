/* Checking a whole checkpoint: entries side by side in a few threads, which read past the HDF5 library. */
#include "checkpoints/checkpoint_layout.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_THREADS 4 /* more read no faster than memory and disk give */

typedef struct check {
    const wz_checkpoint *checkpoint;
    const wz_checkpoint_entry *entries;
    wz_checkpoint_chunks *chunks; /* [count] */
    size_t count;
    atomic_size_t next;
    pthread_mutex_t mutex;
    size_t failed; /* the first entry that failed; count: none */
    wz_status status;
    wz_error *err;
} check;

static void note_failure(check *c, size_t i, wz_status status, const wz_error *error)
{
    (void)pthread_mutex_lock(&c->mutex);
    if (i < c->failed) {
        c->failed = i;
        c->status = status;
        if (c->err != NULL)
            *c->err = *error;
    }
    (void)pthread_mutex_unlock(&c->mutex);
    atomic_store(&c->next, c->count); /* no more; those before i have been taken */
}

static void *check_some(void *argument)
{
    check *c = argument;
    const wz_checkpoint_target nowhere = {.data = NULL};
    wz_error error;
    for (size_t i = atomic_fetch_add(&c->next, 1); i < c->count; i = atomic_fetch_add(&c->next, 1)) {
        if (c->chunks[i].count == 0)
            continue;
        wz_status status = wz_stop_check(c->checkpoint->stop, &error);
        if (status == WZ_OK)
            status =
                wz_checkpoint_chunks_read(c->checkpoint, &c->entries[i], &c->chunks[i], &nowhere, &error);
        if (status != WZ_OK)
            note_failure(c, i, status, &error);
    }
    return NULL;
}

/* Where no more threads can be had, fewer do it. */
static void run_threads(check *c)
{
    pthread_t threads[MAX_THREADS];
    size_t started = 0;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t helpers = online > MAX_THREADS ? MAX_THREADS - 1 : online > 1 ? (size_t)online - 1 : 0;
    while (started < helpers && started + 1 < c->count &&
           pthread_create(&threads[started], NULL, check_some, c) == 0)
        started++;
    (void)check_some(c);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
}

/* Finds the chunks of each entry; those without are read here and now, by the library. */
static wz_status find_chunks(check *c, wz_error *err)
{
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < c->count; i++) {
        status = wz_checkpoint_chunks_find(c->checkpoint, &c->entries[i], &c->chunks[i], err);
        if (status == WZ_OK && c->chunks[i].count == 0)
            status = wz_checkpoint_read_entry(c->checkpoint, &c->entries[i],
                                              (wz_checkpoint_target){.data = NULL}, err);
    }
    return status;
}

wz_status wz_checkpoint_check_entries(const wz_checkpoint *checkpoint, size_t first, size_t end,
                                      wz_error *err)
{
    void *block = NULL;
    const size_t count = end - first;
    check c = {.checkpoint = checkpoint,
               .entries = checkpoint->entries + first,
               .count = count,
               .failed = count,
               .status = WZ_OK,
               .err = err};
    if (count == 0)
        return WZ_OK;
    wz_status status = wz_alloc(&block, count, sizeof *c.chunks, "the places of a checkpoint's chunks", err);
    if (status != WZ_OK)
        return status;
    c.chunks = block;
    status = find_chunks(&c, err);
    if (status == WZ_OK) {
        (void)pthread_mutex_init(&c.mutex, NULL);
        run_threads(&c);
        (void)pthread_mutex_destroy(&c.mutex);
        status = c.status;
    }
    for (size_t i = 0; i < count; i++)
        wz_checkpoint_chunks_clear(&c.chunks[i]);
    free(block);
    return status;
}
