/* What the writer and the reader of a checkpoint share: the file's layout and its digests. Private to this room.
 *
 *     /                  attributes: format = "wavezero checkpoint", version, step, manifest
 *     /<group>/<name>    tensors of float32, float16 or bfloat16, little-endian, row-major; attribute xxh3_128
 *     /texts/<name>      bytes; attribute xxh3_128
 *
 * xxh3_128 of a dataset covers its group, name, shape, type where it is not float32, and bytes; manifest covers the step and, in order, the
 * digest of every dataset. So a lost, added, renamed or reshaped dataset or a changed step is found as
 * surely as a changed weight. Readable with h5py and h5dump; chunks of about half a MiB carry fletcher32. */
#ifndef WZ_CHECKPOINTS_CHECKPOINT_LAYOUT_H
#define WZ_CHECKPOINTS_CHECKPOINT_LAYOUT_H

#include "checkpoints/checkpoint.h"
#include "engine/core/digest.h"
#include "engine/core/hdf5.h"
#include "engine/core/read_ahead.h"
#include "engine/core/ring.h"

#define WZ_CHECKPOINT_FORMAT "wavezero checkpoint"
#define WZ_CHECKPOINT_VERSION 1
#define WZ_CHECKPOINT_TEXTS "texts"
#define WZ_CHECKPOINT_DIGEST "xxh3_128"
#define WZ_CHECKPOINT_MAX_NAME 255           /* bytes */
#define WZ_CHECKPOINT_BLOCK_BYTES (1u << 19) /* about: a chunk in the file, a step of reading */
/* the longest "group/name" with its terminator */
#define WZ_CHECKPOINT_MAX_PLACE (2 * WZ_CHECKPOINT_MAX_NAME + 2)

/* One dataset: a tensor, or a text of rank 1 in group "texts". */
typedef struct wz_checkpoint_entry {
    wz_checkpoint_tensor tensor; /* data is NULL */
    size_t element_size;         /* 4: float32, 2: float16 or bfloat16, 1: text */
    size_t bytes;                /* of all elements */
    const void *data;            /* writer only */
    char digest[WZ_DIGEST_HEX];
} wz_checkpoint_entry;

/* An open file. */
struct wz_checkpoint {
    char *path;
    hid_t file;
    int descriptor; /* the library's, of the same file; -1: none in which places are the library's */
    uint64_t file_bytes;
    int64_t step;
    wz_checkpoint_entry *entries; /* sorted: tensors, then texts; names are ours */
    size_t count;
    size_t capacity;
    size_t tensor_count;
    wz_stop *stop; /* asked between the entries of a check; NULL: nobody */
};

/* Opens `path` whatever its name; wz_checkpoint_open refuses *.tmp first. */
wz_status wz_checkpoint_open_any(const char *path, wz_checkpoint **out, wz_error *err);

hid_t wz_checkpoint_open_dataset(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry);
/* "<path>: dataset '<group>/<name>' <what>: <reason>", WZ_ERR_CORRUPT unless memory lacked. */
wz_status wz_checkpoint_fail_dataset(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                     const char *what, wz_error *err);

bool wz_checkpoint_entry_is_text(const wz_checkpoint_entry *entry);
/* Sets element_size and bytes from the shape; false when the product overflows. */
bool wz_checkpoint_entry_measure(wz_checkpoint_entry *entry);
/* Tensors by group and name, then texts by name. */
void wz_checkpoint_entries_sort(wz_checkpoint_entry *entries, size_t count);
/* "group/name" */
void wz_checkpoint_entry_place(const wz_checkpoint_entry *entry, char place[WZ_CHECKPOINT_MAX_PLACE]);
/* A new id of the dataset's type, in the file and in memory alike; -1: failed. */
hid_t wz_checkpoint_entry_type(const wz_checkpoint_entry *entry);

/* The shape of blocks of at most about WZ_CHECKPOINT_BLOCK_BYTES, such that the blocks one after another are
 * the row-major elements: {1, ..., 1, n, full, ..., full}. Returns the elements of a block. */
size_t wz_checkpoint_block(const wz_checkpoint_entry *entry, size_t block[WZ_CHECKPOINT_MAX_RANK]);

/* A walk over all elements in blocks. {0}: before the first. */
typedef struct wz_checkpoint_walk {
    hsize_t start[WZ_CHECKPOINT_MAX_RANK], count[WZ_CHECKPOINT_MAX_RANK];
    size_t first, elements; /* the block's first element, in row-major order, and their number */
} wz_checkpoint_walk;
/* Goes to the next block; false after the last one. */
bool wz_checkpoint_walk_on(const wz_checkpoint_entry *entry, const size_t block[WZ_CHECKPOINT_MAX_RANK],
                           wz_checkpoint_walk *walk);
/* Selects the block in the dataset's space *file; *memory: a space of its shape. Close both; false: failed. */
bool wz_checkpoint_walk_select(hid_t dataset, const wz_checkpoint_entry *entry,
                               const wz_checkpoint_walk *walk, hid_t *file, hid_t *memory);

/* Where the chunks of a dataset lie in the file; in this order they hold the elements in row-major order. Clear with
 * wz_checkpoint_chunks_clear. */
typedef struct wz_checkpoint_chunks {
    size_t elements; /* of a chunk */
    size_t span;     /* elements after which chunks start anew: the last one before it may hold fewer */
    size_t count;    /* 0: stored otherwise than our writer does, to be read through the library */
    uint64_t *places;
} wz_checkpoint_chunks;
wz_status wz_checkpoint_chunks_find(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                    wz_checkpoint_chunks *out, wz_error *err);
void wz_checkpoint_chunks_clear(wz_checkpoint_chunks *chunks);
/* Bytes of a chunk with the checksum behind it. */
size_t wz_checkpoint_chunk_bytes(const wz_checkpoint_entry *entry, size_t elements);
/* Writes the checksum behind a chunk, as HDF5's filter fletcher32 does. */
void wz_checkpoint_chunk_seal(const wz_checkpoint_entry *entry, size_t elements, void *chunk);
/* The elements that chunk k holds: [*first, *first + count). */
size_t wz_checkpoint_chunk_range(const wz_checkpoint_chunks *chunks, size_t k, size_t *first);
/* The chunk that holds an element. */
size_t wz_checkpoint_chunk_of(const wz_checkpoint_chunks *chunks, size_t element);
/* Reads chunk k (from `ahead`, where that has it; NULL: none) and checks it. Without the library: from any thread. */
wz_status wz_checkpoint_chunk_read(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                   const wz_checkpoint_chunks *chunks, size_t k, wz_read_ahead *ahead,
                                   void *chunk, wz_error *err);
/* WZ_ERR_CORRUPT unless the digest of what was read is the one written. From any thread. */
wz_status wz_checkpoint_check_digest(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                     const wz_digest *digest, wz_error *err);
/* Where what is read goes, block by block: into data (a text's bytes, a tensor's fp32 numbers), to `take` (with room for the fp32
 * numbers of a block, where they are stored as others), or, of an empty target, nowhere. */
typedef struct wz_checkpoint_target {
    void *data;
    wz_checkpoint_take take;
    void *user;
    float *numbers; /* wz_checkpoint_read_entry's */
} wz_checkpoint_target;
/* Elements [first, first + count), as they are stored. */
void wz_checkpoint_deliver(const wz_checkpoint_entry *entry, const void *stored, size_t first, size_t count,
                           const wz_checkpoint_target *to);
/* Reads all chunks and checks the digest. From any thread. */
wz_status wz_checkpoint_chunks_read(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                    const wz_checkpoint_chunks *chunks, const wz_checkpoint_target *to,
                                    wz_error *err);

/* The tensors of a group: entries [*first, *first + count). */
size_t wz_checkpoint_group(const wz_checkpoint *checkpoint, const char *group, size_t *first);
/* Reads an entry, however it is stored, and checks its digest. */
wz_status wz_checkpoint_read_entry(const wz_checkpoint *checkpoint, const wz_checkpoint_entry *entry,
                                   wz_checkpoint_target to, wz_error *err);
/* Reads entries [first, end) in several threads, to check their digests. */
wz_status wz_checkpoint_check_entries(const wz_checkpoint *checkpoint, size_t first, size_t end,
                                      wz_error *err);

/* The chunks of all datasets, filled and sealed one after another into a ring by its other side (wz_ring_side; user: these).
 * Sets each entry's digest before its last chunk is handed on; texts without bytes have none. */
typedef struct wz_checkpoint_pieces {
    wz_checkpoint_entry *entries;
    size_t count;
} wz_checkpoint_pieces;
wz_status wz_checkpoint_fill_pieces(wz_ring *ring, void *pieces, wz_error *err);

/* Starts the digest of an entry: everything but the bytes. */
wz_status wz_checkpoint_digest_start(const wz_checkpoint_entry *entry, wz_digest **out, wz_error *err);
/* Sets entry->digest from its tensor and data. */
wz_status wz_checkpoint_digest_entry(wz_checkpoint_entry *entry, wz_error *err);
wz_status wz_checkpoint_manifest(int64_t step, const wz_checkpoint_entry *entries, size_t count,
                                 char hex[WZ_DIGEST_HEX], wz_error *err);
/* The digest of weights from the digests of their entries (sorted): those of group "weights" only. */
wz_status wz_checkpoint_combine_weights(const wz_checkpoint_entry *entries, size_t count,
                                        char hex[WZ_DIGEST_HEX], wz_error *err);

#endif
