/* safetensors: u64 little-endian length of a JSON header, the header, then the tensors' bytes.
 *
 *     {"__metadata__": {name: text}, NAME: {"dtype": "BF16", "shape": [out, in], "data_offsets": [begin, end]}, ...}
 *
 * Offsets count from the end of the header; tensors cover what follows it without gap or overlap. A header of more than
 * WZ_SAFETENSORS_MAX_HEADER bytes is refused. */
#ifndef WZ_CHECKPOINTS_SAFETENSORS_H
#define WZ_CHECKPOINTS_SAFETENSORS_H

#include "checkpoints/portable.h"

#define WZ_SAFETENSORS_MAX_HEADER ((size_t)16 << 20)

typedef struct wz_safetensors wz_safetensors;

/* Reads and checks the header; the file stays open. F32, F16 and BF16 tensors of one or two dimensions; anything else is
 * WZ_ERR_CORRUPT with the file and the tensor. */
wz_status wz_safetensors_open(const char *path, wz_safetensors **out, wz_error *err);
void wz_safetensors_close(wz_safetensors *file);
/* Borrowed; in the order in which they lie in the file. */
size_t wz_safetensors_count(const wz_safetensors *file);
const wz_stored_tensor *wz_safetensors_tensor(const wz_safetensors *file, size_t index);
/* Whether it has a tensor of that name. */
bool wz_safetensors_has(const wz_safetensors *file, const char *name);
/* A text of __metadata__; NULL: there is none. */
const char *wz_safetensors_metadata(const wz_safetensors *file, const char *key);
/* Rows [first, first + rows) of a tensor (of a vector: elements) as fp32. */
wz_status wz_safetensors_read(wz_safetensors *file, size_t index, size_t first, size_t rows, float *out,
                              wz_error *err);
/* The same as it is stored. */
wz_status wz_safetensors_read_stored(const wz_safetensors *file, size_t index, size_t first, size_t rows,
                                     void *out, wz_error *err);

/* Where a tensor lies. */
wz_extent wz_safetensors_extent(const wz_safetensors *file, size_t index);
/* Reads from there what it has; NULL: not any longer. */
void wz_safetensors_borrow_ahead(wz_safetensors *file, wz_read_ahead *ahead);

typedef struct wz_safetensors_text {
    const char *key, *value;
} wz_safetensors_text;

/* Writes a new file with all tensors of a source, rounded to `type` (f32, f16, bf16), and synced. On failure it is removed. */
wz_status wz_safetensors_write(const char *path, wz_tensor_source *source, wz_number_type type,
                               const wz_safetensors_text *metadata, size_t texts, const wz_byte_count *bytes,
                               wz_error *err);

#endif
