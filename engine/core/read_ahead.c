#include "engine/core/read_ahead.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/core/file.h"
#include "engine/core/file_internal.h"
#include "engine/core/memory.h"

#define PAGE ((uint64_t)WZ_PAGE)
#define PIECE_BYTES ((uint64_t)1 << 20)
#define SLOTS 8   /* pieces in memory */
#define THREADS 4 /* requests at a time */
#define FILES 64  /* each takes a descriptor more */
#define LEAST_BYTES (SLOTS * PIECE_BYTES)
#define GAP_BYTES ((uint64_t)64 << 10) /* takes less time to read than another request does */

/* What is read at once: bytes [offset, offset + bytes) of a file, of which those before `end` are wanted. */
typedef struct piece {
    size_t file;
    uint64_t offset, end;
    size_t bytes;
} piece;

struct wz_read_ahead {
    struct {
        int descriptor, direct; /* direct: the same file past the page cache; -1: cannot be read so */
    } files[FILES];
    size_t file_count;
    piece *pieces;
    size_t count, capacity;
    uint64_t bytes;        /* of all pieces */
    unsigned char *memory; /* [SLOTS][PIECE_BYTES]; piece k lies in k % SLOTS */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t begun, taken; /* pieces so far; those before `taken` are not held any longer */
    bool stopped, is_read[SLOTS];
    size_t lengths[SLOTS]; /* bytes that were read */
    pthread_t threads[THREADS];
    size_t thread_count;
};

/* --- what is to be read --- */

/* /proc leads to the very file that is open, whatever its name leads to by now. */
static int open_direct(int descriptor)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return wz_file_open_retry(path, O_RDONLY | O_DIRECT | O_NONBLOCK);
}

/* SIZE_MAX: one too many. */
static size_t find_file(wz_read_ahead *ahead, int descriptor)
{
    for (size_t i = 0; i < ahead->file_count; i++)
        if (ahead->files[i].descriptor == descriptor)
            return i;
    if (ahead->file_count == FILES)
        return SIZE_MAX;
    ahead->files[ahead->file_count].descriptor = descriptor;
    ahead->files[ahead->file_count].direct = -1;
    return ahead->file_count++;
}

/* Bytes [begin, end) of a file as pieces. */
static bool cut(wz_read_ahead *ahead, int descriptor, uint64_t begin, uint64_t end)
{
    const size_t file = begin < end ? find_file(ahead, descriptor) : SIZE_MAX;
    const uint64_t last = (end + PAGE - 1) / PAGE * PAGE;
    for (uint64_t at = begin / PAGE * PAGE; file != SIZE_MAX && at < end; at += PIECE_BYTES) {
        void *pieces = ahead->pieces;
        const wz_status status = wz_grow(&pieces, &ahead->capacity, ahead->count + 1, sizeof *ahead->pieces,
                                         "a list of what is read", NULL);
        ahead->pieces = pieces;
        if (status != WZ_OK)
            return false;
        const uint64_t next = at + PIECE_BYTES;
        const piece p = {.file = file,
                         .offset = at,
                         .end = end < next ? end : next,
                         .bytes = (size_t)((last < next ? last : next) - at)};
        ahead->pieces[ahead->count++] = p;
        ahead->bytes += p.bytes;
    }
    return true;
}

/* Extents that follow one another in a file are read as one. */
static bool cut_all(wz_read_ahead *ahead, const wz_extent *extents, size_t count)
{
    wz_extent run = {.bytes = 0};
    bool done = true;
    for (size_t i = 0; done && i < count; i++) {
        const wz_extent *next = &extents[i];
        const uint64_t end = run.offset + run.bytes;
        if (i > 0 && next->descriptor == run.descriptor && next->offset >= end &&
            next->offset - end <= GAP_BYTES) {
            run.bytes = next->offset + next->bytes - run.offset;
        } else {
            done = cut(ahead, run.descriptor, run.offset, end);
            run = *next;
        }
    }
    return done && cut(ahead, run.descriptor, run.offset, run.offset + run.bytes);
}

/* --- reading --- */

/* Does the page cache hold all of it? Of a file that is neither ours nor may be written, the kernel says so of everything. */
static bool is_cached(int descriptor, const piece *p)
{
    unsigned char pages[PIECE_BYTES / PAGE];
    const size_t size = (size_t)sysconf(_SC_PAGESIZE), count = (p->bytes + size - 1) / size;
    if (count > sizeof pages || p->offset % size != 0)
        return true;
    void *map = mmap(NULL, p->bytes, PROT_READ, MAP_SHARED, descriptor, (off_t)p->offset);
    if (map == MAP_FAILED)
        return true;
    bool cached = mincore(map, p->bytes, pages) == 0;
    (void)munmap(map, p->bytes);
    for (size_t i = 0; cached && i < count; i++)
        cached = (pages[i] & 1) != 0;
    return cached;
}

/* As much as there is, or can be read. */
static size_t read_from(int descriptor, const piece *p, unsigned char *to)
{
    size_t length = 0;
    ssize_t got = 1;
    while (length < p->bytes && got > 0) {
        got = pread(descriptor, to + length, p->bytes - length, (off_t)(p->offset + length));
        length += got > 0 ? (size_t)got : 0;
    }
    return length;
}

static size_t read_piece(const wz_read_ahead *ahead, const piece *p, unsigned char *to)
{
    const int descriptor = ahead->files[p->file].descriptor, direct = ahead->files[p->file].direct;
    const size_t length = direct >= 0 && !is_cached(descriptor, p) ? read_from(direct, p, to) : 0;
    return length > 0 ? length : read_from(descriptor, p, to);
}

static void *read_pieces(void *argument)
{
    wz_read_ahead *ahead = argument;
    (void)pthread_mutex_lock(&ahead->mutex);
    for (;;) {
        while (!ahead->stopped && ahead->begun < ahead->count && ahead->begun == ahead->taken + SLOTS)
            (void)pthread_cond_wait(&ahead->changed, &ahead->mutex);
        if (ahead->stopped || ahead->begun == ahead->count)
            break;
        const size_t k = ahead->begun++, slot = k % SLOTS;
        ahead->is_read[slot] = false;
        (void)pthread_mutex_unlock(&ahead->mutex);
        const size_t length = read_piece(ahead, &ahead->pieces[k], ahead->memory + slot * PIECE_BYTES);
        (void)pthread_mutex_lock(&ahead->mutex);
        ahead->lengths[slot] = length;
        ahead->is_read[slot] = true;
        (void)pthread_cond_broadcast(&ahead->changed);
    }
    (void)pthread_mutex_unlock(&ahead->mutex);
    return NULL;
}

/* --- both --- */

static bool start_threads(wz_read_ahead *ahead)
{
    while (ahead->thread_count < THREADS &&
           pthread_create(&ahead->threads[ahead->thread_count], NULL, read_pieces, ahead) == 0)
        ahead->thread_count++;
    return ahead->thread_count > 0;
}

wz_read_ahead *wz_read_ahead_start(const wz_extent *extents, size_t count)
{
    void *block = NULL;
    if (wz_alloc(&block, 1, sizeof(wz_read_ahead), "reading ahead", NULL) != WZ_OK)
        return NULL;
    wz_read_ahead *ahead = block;
    (void)pthread_mutex_init(&ahead->mutex, NULL);
    (void)pthread_cond_init(&ahead->changed, NULL);
    void *memory = NULL;
    bool done = cut_all(ahead, extents, count) && ahead->bytes >= LEAST_BYTES &&
                wz_alloc_pages(&memory, SLOTS, PIECE_BYTES, "reading ahead", NULL) == WZ_OK;
    ahead->memory = memory;
    if (done) {
        for (size_t i = 0; i < ahead->file_count; i++)
            ahead->files[i].direct = open_direct(ahead->files[i].descriptor);
        done = start_threads(ahead);
    }
    if (done)
        return ahead;
    wz_read_ahead_stop(ahead);
    return NULL;
}

void wz_read_ahead_stop(wz_read_ahead *ahead)
{
    if (ahead == NULL)
        return;
    (void)pthread_mutex_lock(&ahead->mutex);
    ahead->stopped = true;
    (void)pthread_cond_broadcast(&ahead->changed);
    (void)pthread_mutex_unlock(&ahead->mutex);
    for (size_t i = 0; i < ahead->thread_count; i++)
        (void)pthread_join(ahead->threads[i], NULL);
    for (size_t i = 0; i < ahead->file_count; i++)
        if (ahead->files[i].direct >= 0)
            (void)close(ahead->files[i].direct);
    (void)pthread_cond_destroy(&ahead->changed);
    (void)pthread_mutex_destroy(&ahead->mutex);
    free(ahead->pieces);
    free(ahead->memory);
    free(ahead);
}

/* --- taking --- */

/* The piece with a byte, of those that are held or come next; SIZE_MAX: none. */
static size_t find_piece(const wz_read_ahead *ahead, int descriptor, uint64_t offset)
{
    for (size_t k = ahead->taken; k < ahead->count && k < ahead->taken + SLOTS; k++) {
        const piece *p = &ahead->pieces[k];
        if (ahead->files[p->file].descriptor == descriptor && offset >= p->offset && offset < p->end)
            return k;
    }
    return SIZE_MAX;
}

static void wait_until_read(wz_read_ahead *ahead, size_t k)
{
    while (ahead->begun <= k || !ahead->is_read[k % SLOTS])
        (void)pthread_cond_wait(&ahead->changed, &ahead->mutex);
}

/* Those before piece k: what is being read into a slot ends before the slot is another's. */
static void give_up_before(wz_read_ahead *ahead, size_t k)
{
    for (; ahead->taken < k; ahead->taken++)
        if (ahead->begun == ahead->taken)
            ahead->begun++;
        else
            wait_until_read(ahead, ahead->taken);
    (void)pthread_cond_broadcast(&ahead->changed);
}

/* Of the piece with a byte, what is wanted from there on; at most `count` bytes. */
static size_t take(wz_read_ahead *ahead, int descriptor, uint64_t offset, void *out, size_t count)
{
    (void)pthread_mutex_lock(&ahead->mutex);
    const size_t k = find_piece(ahead, descriptor, offset);
    if (k != SIZE_MAX) {
        give_up_before(ahead, k);
        wait_until_read(ahead, k);
    }
    (void)pthread_mutex_unlock(&ahead->mutex);
    if (k == SIZE_MAX)
        return 0;
    const piece *p = &ahead->pieces[k];
    const size_t slot = k % SLOTS, before = (size_t)(offset - p->offset), wanted = (size_t)(p->end - offset);
    size_t length = ahead->lengths[slot] > before ? ahead->lengths[slot] - before : 0;
    length = length < wanted ? length : wanted;
    length = length < count ? length : count;
    memcpy(out, ahead->memory + slot * PIECE_BYTES + before, length);
    if (length == wanted) {
        (void)pthread_mutex_lock(&ahead->mutex);
        ahead->taken++;
        (void)pthread_cond_broadcast(&ahead->changed);
        (void)pthread_mutex_unlock(&ahead->mutex);
    }
    return length;
}

wz_status wz_read_ahead_at(wz_read_ahead *ahead, int descriptor, const char *path, uint64_t offset, void *out,
                           size_t count, wz_error *err)
{
    size_t done = 0, length = 1;
    while (ahead != NULL && done < count && length > 0) {
        length = take(ahead, descriptor, offset + done, (unsigned char *)out + done, count - done);
        done += length;
    }
    return done == count ? WZ_OK
                         : wz_file_read_at(descriptor, path, offset + done, (unsigned char *)out + done,
                                           count - done, err);
}
