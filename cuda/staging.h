/* Host arrays on the device: a ring of its memory, with a pinned twin on the host.
 *
 * An array is copied to its place in the twin and from there to the same place on the device; from memory that is not
 * pinned such a copy may wait for what is queued. When the ring is full, the host waits until the device has read all of
 * it, and it starts anew.
 *
 * Until then the twin holds what the device was given, and nothing is given twice: the ops of all layers read the same
 * arrays of a pack, and the host makes the same lists of them. An array is found again by its bytes, compared with those in
 * the twin; where it lies on the host does not count. A place is written once in a round of the ring, so arrays found at
 * the same places have the same bytes, and so have the lists that were made of them. */
#ifndef WZ_CUDA_STAGING_H
#define WZ_CUDA_STAGING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cuda_backend;

#define CUDA_KEPT 64    /* arrays known at once */
#define CUDA_MADE 16    /* lists known at once */
#define CUDA_SOURCES 12 /* arrays that lists are made from, at most */
#define CUDA_NUMBERS 12
#define CUDA_MADE_BYTES 128 /* of what describes lists: their places on the device, their lengths */

typedef struct cuda_kept {
    uint64_t used; /* the clock when it was asked for last; 0: none is known */
    size_t bytes, place;
    bool is_copied; /* to the device */
} cuda_kept;

/* Lists that the host makes, by their maker; each has one. */
typedef enum cuda_lists { CUDA_SCATTER = 1, CUDA_ATTENTION } cuda_lists;

/* What lists are made from: all that their maker reads. Numbers and sources that are not used are 0. */
typedef struct cuda_recipe {
    cuda_lists lists;
    int64_t number[CUDA_NUMBERS];
    struct {
        const void *host;
        size_t bytes;
    } source[CUDA_SOURCES];
} cuda_recipe;

/* A recipe whose sources are known by their places. Without padding: compared as bytes. */
typedef struct cuda_made_key {
    uint64_t round, lists;
    int64_t number[CUDA_NUMBERS];
    uint64_t place[CUDA_SOURCES];
} cuda_made_key;

typedef struct cuda_made {
    uint64_t used; /* as above */
    cuda_made_key key;
    unsigned char result[CUDA_MADE_BYTES];
} cuda_made;

typedef struct cuda_ring {
    char *device, *host;
    size_t bytes, used;
    uint64_t round, clock;
    cuda_kept kept[CUDA_KEPT];
    cuda_made made[CUDA_MADE];
} cuda_ring;

/* Blocks within a larger one begin on multiples of 256 bytes: what an array of so many takes of the ring. */
static inline size_t cuda_whole_steps(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

/* A ring's bytes for a run whose lists take so many; making it so large. What it held is lost if it grows. */
size_t cuda_ring_bytes(size_t lists);
bool cuda_ring_grow(cuda_backend *cuda, size_t bytes, const char *what);
void cuda_ring_clear(cuda_ring *ring);

/* A host array's copy on the device, for launches before the next call of this kind (one that decoding keeps there is
 * itself); NULL on no memory, or where host is NULL. A launch that needs several asks for room for all of them first (each
 * rounded up by cuda_whole_steps). A step that is being recorded must not ask: the ring goes on without it. */
bool cuda_stage_room(cuda_backend *cuda, size_t bytes, const char *what);
const void *cuda_stage_bytes(cuda_backend *cuda, const void *host, size_t bytes, const char *what);
template <typename T> const T *cuda_stage(cuda_backend *cuda, const T *host, int64_t count, const char *what)
{
    return (const T *)cuda_stage_bytes(cuda, host, (size_t)count * sizeof(T), what);
}

/* Several arrays in one copy. They are made for one launch: none is looked for, none will be. False on no memory. */
typedef struct cuda_piece {
    const void *host;
    size_t bytes;
    const void *device; /* out; NULL where bytes is 0 */
} cuda_piece;
bool cuda_stage_pieces(cuda_backend *cuda, cuda_piece *piece, int count, const char *what);

/* The host's array to memory of the device that is not the ring's. */
bool cuda_send(cuda_backend *cuda, void *to, const void *host, size_t bytes, const char *what);

/* Keeps the sources' bytes; NULL (and *key for cuda_remember): nothing was made of them yet. */
const void *cuda_recall(cuda_backend *cuda, const cuda_recipe *recipe, cuda_made_key *key);
void cuda_remember(cuda_backend *cuda, const cuda_made_key *key, const void *result, size_t bytes);

/* *out as make() leaves it, which is called only if nothing was made by this recipe in this round of the ring; true: it did.
 * What make() stages, and no more, is what *out may point to. Takes room for the sources, too. */
template <typename R, typename F>
bool cuda_once(cuda_backend *cuda, const cuda_recipe &recipe, R *out, const F &make)
{
    static_assert(sizeof(R) <= CUDA_MADE_BYTES, "what is kept of lists");
    cuda_made_key key;
    const void *made = cuda_recall(cuda, &recipe, &key);
    if (made != NULL) {
        memcpy(out, made, sizeof *out);
        return true;
    }
    if (!make())
        return false;
    cuda_remember(cuda, &key, out, sizeof *out);
    return true;
}

#endif
