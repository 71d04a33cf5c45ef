/* Host arrays on their way to the device. */
#include "cuda/cuda_backend.h"

#if defined(__CUDACC__)
#define LEAST_BYTES ((size_t)4 << 20)
#else
#define LEAST_BYTES ((size_t)1 << 10) /* the emulator's runs are small, and must meet their bounds */
#endif

/* --- the ring --- */

size_t cuda_ring_bytes(size_t lists)
{
    return lists > LEAST_BYTES ? lists : LEAST_BYTES;
}

/* The device has read all of it. */
static void start_anew(cuda_ring *ring)
{
    ring->used = 0;
    ring->round++;
    memset(ring->kept, 0, sizeof ring->kept);
    memset(ring->made, 0, sizeof ring->made);
}

void cuda_ring_clear(cuda_ring *ring)
{
    (void)cudaFree(ring->device);
    (void)cudaFreeHost(ring->host);
    ring->device = ring->host = NULL;
    ring->bytes = 0;
    start_anew(ring);
}

bool cuda_ring_grow(cuda_backend *cuda, size_t bytes, const char *what)
{
    cuda_ring *ring = &cuda->ring;
    void *device = NULL, *host = NULL;
    if (ring->bytes >= bytes)
        return true;
    if (!CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), what))
        return false;
    cuda_ring_clear(ring);
    if (!CUDA_CHECK(cuda, cudaMalloc(&device, bytes), what))
        return false;
    ring->device = (char *)device;
    if (!CUDA_CHECK(cuda, cudaMallocHost(&host, bytes), what))
        return false;
    ring->host = (char *)host;
    ring->bytes = bytes;
    return true;
}

bool cuda_stage_room(cuda_backend *cuda, size_t bytes, const char *what)
{
    cuda_ring *ring = &cuda->ring;
    if (cuda->recording) {
        wz_error err = {{0}};
        cuda_fail(cuda, wz_fail(&err, WZ_ERR_RUNTIME, "%s: a host array in a step that is recorded", what),
                  &err);
        return false;
    }
    if (ring->used + bytes <= ring->bytes)
        return true;
    if (bytes > ring->bytes) /* twice that: room for other lists beside these */
        return cuda_ring_grow(cuda, cuda_ring_bytes(2 * bytes), what);
    if (!CUDA_CHECK(cuda, cudaStreamSynchronize(cuda->stream), what))
        return false;
    start_anew(ring);
    return true;
}

/* The host's bytes, in the twin; there is room. */
static size_t put(cuda_ring *ring, const void *host, size_t bytes)
{
    const size_t place = ring->used;
    memcpy(ring->host + place, host, bytes);
    ring->used += cuda_whole_steps(bytes);
    return place;
}

static bool copy(cuda_backend *cuda, void *to, size_t place, size_t bytes, const char *what)
{
    return CUDA_CHECK(
        cuda, cudaMemcpyAsync(to, cuda->ring.host + place, bytes, cudaMemcpyHostToDevice, cuda->stream),
        what);
}

/* --- what is not given twice --- */

/* The entry of these bytes, or else the one used longest ago. Arrays of one length mostly differ early. */
static cuda_kept *entry_of(cuda_ring *ring, const void *host, size_t bytes, bool *known)
{
    cuda_kept *oldest = &ring->kept[0];
    *known = true;
    for (int i = 0; i < CUDA_KEPT; i++) {
        cuda_kept *k = &ring->kept[i];
        if (k->used > 0 && k->bytes == bytes && memcmp(ring->host + k->place, host, bytes) == 0)
            return k;
        oldest = k->used < oldest->used ? k : oldest;
    }
    *known = false;
    return oldest;
}

/* The array's bytes are in the twin; NULL on no memory. */
static cuda_kept *keep(cuda_backend *cuda, const void *host, size_t bytes, const char *what)
{
    cuda_ring *ring = &cuda->ring;
    bool known = false;
    cuda_kept *k = entry_of(ring, host, bytes, &known);
    if (!known || cuda->recording) {
        if (!cuda_stage_room(cuda, cuda_whole_steps(bytes), what))
            return NULL;
        *k = cuda_kept{0, bytes, put(ring, host, bytes), false};
    }
    k->used = ++ring->clock;
    return k;
}

const void *cuda_stage_bytes(cuda_backend *cuda, const void *host, size_t bytes, const char *what)
{
    if (cuda_decode_holds(cuda, host))
        return host;
    cuda_kept *k = host == NULL || bytes == 0 ? NULL : keep(cuda, host, bytes, what);
    if (k == NULL)
        return NULL;
    k->is_copied = k->is_copied || copy(cuda, cuda->ring.device + k->place, k->place, bytes, what);
    return k->is_copied ? cuda->ring.device + k->place : NULL;
}

bool cuda_stage_pieces(cuda_backend *cuda, cuda_piece *piece, int count, const char *what)
{
    cuda_ring *ring = &cuda->ring;
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += cuda_whole_steps(piece[i].bytes);
    if (!cuda_stage_room(cuda, bytes, what))
        return false;
    const size_t first = ring->used;
    for (int i = 0; i < count; i++)
        piece[i].device =
            piece[i].bytes == 0 ? NULL : ring->device + put(ring, piece[i].host, piece[i].bytes);
    return bytes == 0 || copy(cuda, ring->device + first, first, bytes, what);
}

bool cuda_send(cuda_backend *cuda, void *to, const void *host, size_t bytes, const char *what)
{
    return bytes == 0 || (cuda_stage_room(cuda, cuda_whole_steps(bytes), what) &&
                          copy(cuda, to, put(&cuda->ring, host, bytes), bytes, what));
}

const void *cuda_recall(cuda_backend *cuda, const cuda_recipe *recipe, cuda_made_key *key)
{
    cuda_ring *ring = &cuda->ring;
    *key = cuda_made_key{};
    key->round = ring->round; /* if keeping a source starts another, the places so far stand for nothing */
    key->lists = (uint64_t)recipe->lists;
    memcpy(key->number, recipe->number, sizeof key->number);
    for (int i = 0; i < CUDA_SOURCES; i++) {
        const size_t bytes = recipe->source[i].bytes;
        const cuda_kept *k =
            bytes == 0 ? NULL : keep(cuda, recipe->source[i].host, bytes, "what lists are made from");
        key->place[i] = k != NULL ? k->place : UINT64_MAX;
        if (k == NULL && bytes > 0)
            key->round = UINT64_MAX;
    }
    for (int i = 0; i < CUDA_MADE; i++) {
        cuda_made *m = &ring->made[i];
        if (m->used > 0 && memcmp(&m->key, key, sizeof *key) == 0) {
            m->used = ++ring->clock;
            return m->result;
        }
    }
    return NULL;
}

void cuda_remember(cuda_backend *cuda, const cuda_made_key *key, const void *result, size_t bytes)
{
    cuda_ring *ring = &cuda->ring;
    cuda_made *oldest = &ring->made[0];
    if (key->round != ring->round)
        return; /* the ring has started anew meanwhile */
    for (int i = 1; i < CUDA_MADE; i++)
        oldest = ring->made[i].used < oldest->used ? &ring->made[i] : oldest;
    oldest->used = ++ring->clock;
    oldest->key = *key;
    memcpy(oldest->result, result, bytes);
}
