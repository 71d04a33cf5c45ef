/* The GGUF container, version 3: keys with typed values, then tensors, as llama.cpp reads and writes it. What the keys mean is
 * format_gguf.c's.
 *
 *     "GGUF"  u32 3  u64 tensors  u64 keys
 *     key:    string name, u32 type, value; a string is u64 length and bytes; an array u32 type, u64 count, items
 *     tensor: string name, u32 dimensions, u64 each (innermost first), u32 type, u64 offset within the data
 *     data from the next multiple of the alignment on, each tensor on a multiple of it; all little-endian */
#ifndef WZ_CHECKPOINTS_GGUF_H
#define WZ_CHECKPOINTS_GGUF_H

#include "checkpoints/number_type.h"
#include "checkpoints/portable.h"
#include "engine/core/block_file.h"
#include "engine/core/memory.h"

#define WZ_GGUF_ALIGNMENT 32
#define WZ_GGUF_MAX_NAME 63 /* bytes of a tensor's name: llama.cpp's limit */

typedef enum wz_gguf_type {
    WZ_GGUF_U8,
    WZ_GGUF_I8,
    WZ_GGUF_U16,
    WZ_GGUF_I16,
    WZ_GGUF_U32,
    WZ_GGUF_I32,
    WZ_GGUF_F32,
    WZ_GGUF_BOOL,
    WZ_GGUF_STRING,
    WZ_GGUF_ARRAY,
    WZ_GGUF_U64,
    WZ_GGUF_I64,
    WZ_GGUF_F64,
} wz_gguf_type;

/* ggml's number of each wz_number_type. */
extern const uint32_t wz_gguf_number_types[WZ_NUMBER_TYPES];

/* ---- writing (gguf_write.c) ---- */

/* A file is keys, then tensors' names, then their numbers in the same order. The first failure is kept: check once, at
 * wz_gguf_finish. */
typedef struct wz_gguf_writer {
    wz_block_file file;
    wz_text keys, tensors; /* until the header is written */
    uint64_t key_count, tensor_count, data_bytes;
    unsigned char *block; /* of numbers as they are stored */
    size_t capacity;
    bool has_header;
    wz_status status;
    wz_error *err;
} wz_gguf_writer;

/* Always to be followed by wz_gguf_finish. */
void wz_gguf_create(wz_gguf_writer *writer, const char *path, wz_error *err);
void wz_gguf_put_u32(wz_gguf_writer *writer, const char *key, uint32_t value);
void wz_gguf_put_f32(wz_gguf_writer *writer, const char *key, float value);
void wz_gguf_put_bool(wz_gguf_writer *writer, const char *key, bool value);
void wz_gguf_put_string(wz_gguf_writer *writer, const char *key, const char *text, size_t length);
/* An array: its head, then `count` items. */
void wz_gguf_begin_array(wz_gguf_writer *writer, const char *key, wz_gguf_type type, uint64_t count);
void wz_gguf_item_string(wz_gguf_writer *writer, const char *text, size_t length);
void wz_gguf_item_i32(wz_gguf_writer *writer, int32_t value);
/* shape as in wz_stored_tensor: outermost first. */
void wz_gguf_add_tensor(wz_gguf_writer *writer, const char *name, wz_number_type type, size_t rank,
                        const size_t *shape);
/* Numbers of the tensors in turn; a multiple of the type's block at a time. */
void wz_gguf_write_numbers(wz_gguf_writer *writer, wz_number_type type, const float *numbers, size_t count);
/* The same of numbers that are stored already. */
void wz_gguf_write_stored(wz_gguf_writer *writer, wz_number_type type, const void *stored, size_t count);
/* After a tensor's last number. */
void wz_gguf_end_tensor(wz_gguf_writer *writer);
wz_status wz_gguf_finish(wz_gguf_writer *writer);

/* ---- reading (gguf_read.c, gguf_keys.c) ---- */

typedef struct wz_gguf_value {
    char *key;
    wz_gguf_type type, item_type; /* item_type: of an array */
    uint64_t count;               /* items of an array; bytes of a string */
    size_t at; /* of the value's bytes (an array's items, a string's characters) in the blob */
} wz_gguf_value;

typedef struct wz_gguf_tensor {
    char name[WZ_GGUF_MAX_NAME + 1];
    wz_number_type type;
    size_t rank; /* 1 or 2 */
    size_t shape[2];
    uint64_t offset, bytes; /* in the file */
} wz_gguf_tensor;

typedef struct wz_gguf {
    char *path;
    int descriptor;
    wz_text blob;
    wz_gguf_value *values; /* in order of their keys */
    size_t value_count, value_capacity;
    wz_gguf_tensor *tensors;
    size_t tensor_count;
} wz_gguf;

/* Reads keys and the list of tensors; every size is checked against the file's before memory is asked for. WZ_ERR_CORRUPT names
 * what is wrong: another version or byte order, a cut-off file, keys or tensors given twice, types other than those of
 * wz_number_type, tensors that overlap, stand outside the file or off the alignment. */
wz_status wz_gguf_open(const char *path, wz_gguf **out, wz_error *err);
/* The same of the file of that name, where path is a folder. */
wz_status wz_gguf_open_in(const char *path, const char *name, wz_gguf **out, wz_error *err);
void wz_gguf_close(wz_gguf *file);
/* NULL: there is no such key. */
const wz_gguf_value *wz_gguf_find(const wz_gguf *file, const char *key);
/* A missing key gives `otherwise` where that is not NULL; else, or of another type, WZ_ERR_CORRUPT names the key. */
wz_status wz_gguf_get_integer(const wz_gguf *file, const char *key, const int64_t *otherwise, int64_t *out,
                              wz_error *err);
wz_status wz_gguf_get_number(const wz_gguf *file, const char *key, const double *otherwise, double *out,
                             wz_error *err);
/* Borrowed, not terminated. */
wz_status wz_gguf_get_string(const wz_gguf *file, const char *key, const char *otherwise, const char **out,
                             size_t *length, wz_error *err);
/* An array of strings, walked from the first on. */
wz_status wz_gguf_get_strings(const wz_gguf *file, const char *key, const wz_gguf_value **out, wz_error *err);
/* The string at *at (0 at first), borrowed; moves *at to the next. */
const char *wz_gguf_next_string(const wz_gguf *file, const wz_gguf_value *array, size_t *at, size_t *length);
/* Item i of an array of integers. */
int64_t wz_gguf_integer_at(const wz_gguf *file, const wz_gguf_value *array, uint64_t i);

/* The two files' own: bytes of an item of a type, 0: of none, or of no fixed size; keys in order, WZ_ERR_CORRUPT where one is
 * given twice. */
size_t wz_gguf_item_bytes(uint32_t type);
wz_status wz_gguf_sort_keys(wz_gguf *file, wz_error *err);

#endif
