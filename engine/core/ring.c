#include "engine/core/ring.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "engine/core/memory.h"

#define PIECES 2

struct wz_ring {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned char *memory; /* [PIECES][bytes] */
    size_t bytes;
    size_t lengths[PIECES];
    size_t filled, emptied; /* pieces so far; filled - emptied are waiting */
    bool ended;             /* one side is done */
    wz_ring_side side;
    void *user;
    wz_status status; /* of the side */
    wz_error error;
};

static void end(wz_ring *ring)
{
    (void)pthread_mutex_lock(&ring->mutex);
    ring->ended = true;
    (void)pthread_cond_signal(&ring->changed);
    (void)pthread_mutex_unlock(&ring->mutex);
}

static void *run_side(void *argument)
{
    wz_ring *ring = argument;
    ring->status = ring->side(ring, ring->user, &ring->error);
    end(ring);
    return NULL;
}

static void free_ring(wz_ring *ring)
{
    (void)pthread_cond_destroy(&ring->changed);
    (void)pthread_mutex_destroy(&ring->mutex);
    free(ring->memory);
    free(ring);
}

wz_status wz_ring_start(size_t bytes, wz_ring_side side, void *user, wz_ring **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_ring), "a file's buffers", err);
    if (status != WZ_OK)
        return status;
    wz_ring *ring = block;
    ring->bytes = (bytes + WZ_PAGE - 1) / WZ_PAGE * WZ_PAGE;
    ring->side = side;
    ring->user = user;
    (void)pthread_mutex_init(&ring->mutex, NULL);
    (void)pthread_cond_init(&ring->changed, NULL);
    status = wz_alloc_pages(&block, PIECES, ring->bytes, "a file's buffers", err);
    if (status == WZ_OK) {
        ring->memory = block;
        if (pthread_create(&ring->thread, NULL, run_side, ring) != 0)
            status = wz_fail(err, WZ_ERR_RESOURCE,
                             "cannot start a thread for reading and writing: raise the limit of threads");
    }
    if (status == WZ_OK)
        *out = ring;
    else
        free_ring(ring);
    return status;
}

wz_status wz_ring_join(wz_ring *ring, wz_error *err)
{
    if (ring == NULL)
        return WZ_OK;
    end(ring);
    (void)pthread_join(ring->thread, NULL);
    const wz_status status = ring->status;
    if (status != WZ_OK && err != NULL)
        *err = ring->error;
    free_ring(ring);
    return status;
}

void *wz_ring_fill(wz_ring *ring)
{
    (void)pthread_mutex_lock(&ring->mutex);
    while (!ring->ended && ring->filled - ring->emptied == PIECES)
        (void)pthread_cond_wait(&ring->changed, &ring->mutex);
    const bool ended = ring->ended;
    (void)pthread_mutex_unlock(&ring->mutex);
    return ended ? NULL : ring->memory + ring->filled % PIECES * ring->bytes;
}

void wz_ring_filled(wz_ring *ring, size_t length)
{
    (void)pthread_mutex_lock(&ring->mutex);
    ring->lengths[ring->filled++ % PIECES] = length;
    (void)pthread_cond_signal(&ring->changed);
    (void)pthread_mutex_unlock(&ring->mutex);
}

void *wz_ring_empty(wz_ring *ring, size_t *length)
{
    (void)pthread_mutex_lock(&ring->mutex);
    while (!ring->ended && ring->filled == ring->emptied)
        (void)pthread_cond_wait(&ring->changed, &ring->mutex);
    const bool has = ring->filled != ring->emptied;
    const size_t place = ring->emptied % PIECES;
    *length = has ? ring->lengths[place] : 0;
    (void)pthread_mutex_unlock(&ring->mutex);
    return has ? ring->memory + place * ring->bytes : NULL;
}

void wz_ring_emptied(wz_ring *ring)
{
    (void)pthread_mutex_lock(&ring->mutex);
    ring->emptied++;
    (void)pthread_cond_signal(&ring->changed);
    (void)pthread_mutex_unlock(&ring->mutex);
}
