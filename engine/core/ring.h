/* Two pieces of memory that go round between two threads: one fills them, the other empties them, in order. So reading,
 * computing and writing take place side by side, and who waits for the other uses no processor.
 *
 * The thread that starts a ring is one side, and gives the other side as a function; either fills:
 *
 *     while ((piece = wz_ring_fill(ring)) != NULL) {    while ((piece = wz_ring_empty(ring, &length)) != NULL) {
 *         ...                                               ...
 *         wz_ring_filled(ring, length);                     wz_ring_emptied(ring);
 *     }                                                 }
 *
 * A side that is done, or has failed, just returns (the starting one: joins). The other one then gets NULL: where it fills, at
 * once; where it empties, after what had been filled. */
#ifndef WZ_CORE_RING_H
#define WZ_CORE_RING_H

#include <stddef.h>

#include "engine/core/status.h"

typedef struct wz_ring wz_ring;
typedef wz_status (*wz_ring_side)(wz_ring *ring, void *user, wz_error *err);

/* Pieces of `bytes` each, which begin at pages; runs `side` in a thread of its own. Every ring that was started is joined. */
wz_status wz_ring_start(size_t bytes, wz_ring_side side, void *user, wz_ring **out, wz_error *err);
/* Waits for the other side, frees all, and returns how that went. NULL: WZ_OK. */
wz_status wz_ring_join(wz_ring *ring, wz_error *err);

void *wz_ring_fill(wz_ring *ring);
void wz_ring_filled(wz_ring *ring, size_t length);
void *wz_ring_empty(wz_ring *ring, size_t *length);
void wz_ring_emptied(wz_ring *ring);

#endif
