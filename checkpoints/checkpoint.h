/* Run checkpoints in HDF5: tensors under Hugging Face names, texts, and a step number.
 *
 * Written beside its name (engine/core/output.h) with fletcher32 and V18 bounds, closed, reopened and verified, synced, renamed,
 * directory synced: at any moment the newest file that verifies is whole. Every dataset carries its
 * XXH3-128 digest. */
#ifndef WZ_CHECKPOINTS_CHECKPOINT_H
#define WZ_CHECKPOINTS_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checkpoints/number_type.h"
#include "engine/core/memory.h"
#include "engine/core/status.h"
#include "engine/core/stop.h"

#define WZ_CHECKPOINT_MAX_RANK 4

struct wz_tensor_source; /* checkpoints/portable.h */

/* A tensor to write, row-major. group: "weights", "adam_m", "adam_v" (or another name later).
 * type: how it is stored, f32 (a run's own), f16 or bf16; readers get fp32 of any. Its numbers are either in memory, as they
 * are stored, or in a source, whose fp32 numbers the writer reads and rounds to `type` some rows at a time, from a thread of its own. */
typedef struct wz_checkpoint_tensor {
    const char *group;
    const char *name; /* Hugging Face name, e.g. "model.layers.0.self_attn.q_proj.weight" */
    size_t rank;
    size_t shape[WZ_CHECKPOINT_MAX_RANK];
    const void *data; /* NULL: tensor `index` of `source`, of rank 1 or 2 */
    wz_number_type type;
    struct wz_tensor_source *source;
    size_t index;
} wz_checkpoint_tensor;

/* A text to write: "config" (resolved YAML), "tokenizer" (tokenizer.json), "state" (JSON), "env" (JSON), ... */
typedef struct wz_checkpoint_text {
    const char *name;
    const char *data;
    size_t length;
} wz_checkpoint_text;

typedef struct wz_checkpoint_content {
    int64_t step;
    const wz_checkpoint_tensor *tensors;
    size_t tensor_count;
    const wz_checkpoint_text *texts;
    size_t text_count;
    wz_stop
        *stop; /* asked between the parts of what is read back; sources ask for themselves. NULL: nobody */
} wz_checkpoint_content;

/* Writes path, replacing what is there only once the new file has been read back and synced. Too little disk
 * space: WZ_ERR_RESOURCE, before or while writing; a request to stop: WZ_STATUS_SIGNAL; the old file and nothing else is left.
 * Tensors have rank 1 to WZ_CHECKPOINT_MAX_RANK and at least one element; group "texts" is taken; names are unique within a
 * group. */
wz_status wz_checkpoint_write(const char *path, const wz_checkpoint_content *content, wz_error *err);

typedef struct wz_checkpoint wz_checkpoint;

/* Opens for reading; checks format and version, not yet the data. A missing, short, or foreign file is
 * named in the message (WZ_ERR_CORRUPT; WZ_ERR_USAGE when the path does not exist or ends in .tmp). */
wz_status wz_checkpoint_open(const char *path, wz_checkpoint **out, wz_error *err);
void wz_checkpoint_close(wz_checkpoint *checkpoint);
int64_t wz_checkpoint_step(const wz_checkpoint *checkpoint);
const char *wz_checkpoint_path(const wz_checkpoint *checkpoint); /* as it was opened */

size_t wz_checkpoint_tensor_count(const wz_checkpoint *checkpoint);
/* Borrowed names; data and source are NULL. Ordered by group, then name. */
const wz_checkpoint_tensor *wz_checkpoint_tensor_info(const wz_checkpoint *checkpoint, size_t index);
/* Reads into data as fp32, whatever is stored (count floats: must be the tensor's size); checks the digest. Missing: WZ_ERR_CORRUPT. On
 * failure data holds no defined values. */
wz_status wz_checkpoint_read(wz_checkpoint *checkpoint, const char *group, const char *name, float *data,
                             size_t count, wz_error *err);
/* The same, a block of about a MiB at a time: numbers [first, first + count) of the tensor, in order. The digest is checked
 * after the last. */
typedef void (*wz_checkpoint_take)(void *user, size_t first, const float *numbers, size_t count);
wz_status wz_checkpoint_stream(wz_checkpoint *checkpoint, const char *group, const char *name, size_t count,
                               wz_checkpoint_take take, void *user, wz_error *err);
bool wz_checkpoint_has_text(const wz_checkpoint *checkpoint, const char *name);
/* Appends the text to out, which stays as it was on failure. */
wz_status wz_checkpoint_read_text(wz_checkpoint *checkpoint, const char *name, wz_text *out, wz_error *err);

/* Reads everything once, about a MiB at a time, and checks every digest. */
wz_status wz_checkpoint_verify(wz_checkpoint *checkpoint, wz_error *err);

/* The tensors of group "weights", some rows at a time, so that a model need not fit into memory. What is read has been
 * checked against the file's checksums per block (fletcher32), and a tensor that is read to its end against its digest, too (of
 * files that HDF5's tools rewrote, wz_checkpoint_verify checks that). The checkpoint must outlive the source. */
wz_status wz_checkpoint_weights(wz_checkpoint *checkpoint, struct wz_tensor_source **out, wz_error *err);

/* 32 hex digits: equal exactly when names, types, shapes and stored bits of all tensors of group "weights" are equal. */
wz_status wz_checkpoint_weights_digest(wz_checkpoint *checkpoint, char digest[33], wz_error *err);
/* The same digest from tensors in memory (none from a source): the order of the array does not matter, and tensors of other groups
 * than "weights" do not count. */
wz_status wz_weights_digest(const wz_checkpoint_tensor *tensors, size_t count, char digest[33],
                            wz_error *err);

/* The newest step-XXXXXXXX.h5 in a directory that verifies: appends its path; skipped files are named in
 * `skipped` (may be NULL), one line each. None: WZ_ERR_CORRUPT. */
wz_status wz_checkpoint_find_newest(const char *directory, wz_text *path, wz_text *skipped, wz_error *err);
/* Deletes all but the newest `keep` (at least 1) step-*.h5 files, and what a killed writer left (engine/core/output.h).
 * Other files, best.h5 among them, are not touched. */
wz_status wz_checkpoint_prune(const char *directory, size_t keep, wz_error *err);

#endif
