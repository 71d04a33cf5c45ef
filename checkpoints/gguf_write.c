#include <stdlib.h>
#include <string.h>

#include "checkpoints/gguf.h"

const uint32_t wz_gguf_number_types[WZ_NUMBER_TYPES] = {0, 1, 30, 8, 2};

void wz_gguf_create(wz_gguf_writer *w, const char *path, wz_error *err)
{
    *w = (wz_gguf_writer){.err = err};
    w->status = wz_block_file_create(&w->file, path, err);
}

static void append(wz_gguf_writer *w, wz_text *to, const void *bytes, size_t count)
{
    if (w->status == WZ_OK)
        w->status = wz_text_append(to, bytes, count, w->err);
}

static void append_u32(wz_gguf_writer *w, wz_text *to, uint32_t value)
{
    append(w, to, &value, sizeof value);
}

static void append_u64(wz_gguf_writer *w, wz_text *to, uint64_t value)
{
    append(w, to, &value, sizeof value);
}

static void append_string(wz_gguf_writer *w, wz_text *to, const char *text, size_t length)
{
    append_u64(w, to, length);
    append(w, to, text, length);
}

static void begin_key(wz_gguf_writer *w, const char *key, wz_gguf_type type)
{
    append_string(w, &w->keys, key, strlen(key));
    append_u32(w, &w->keys, type);
    w->key_count++;
}

void wz_gguf_put_u32(wz_gguf_writer *w, const char *key, uint32_t value)
{
    begin_key(w, key, WZ_GGUF_U32);
    append_u32(w, &w->keys, value);
}

void wz_gguf_put_f32(wz_gguf_writer *w, const char *key, float value)
{
    begin_key(w, key, WZ_GGUF_F32);
    append(w, &w->keys, &value, sizeof value);
}

void wz_gguf_put_bool(wz_gguf_writer *w, const char *key, bool value)
{
    const uint8_t byte = value;
    begin_key(w, key, WZ_GGUF_BOOL);
    append(w, &w->keys, &byte, 1);
}

void wz_gguf_put_string(wz_gguf_writer *w, const char *key, const char *text, size_t length)
{
    begin_key(w, key, WZ_GGUF_STRING);
    append_string(w, &w->keys, text, length);
}

void wz_gguf_begin_array(wz_gguf_writer *w, const char *key, wz_gguf_type type, uint64_t count)
{
    begin_key(w, key, WZ_GGUF_ARRAY);
    append_u32(w, &w->keys, type);
    append_u64(w, &w->keys, count);
}

void wz_gguf_item_string(wz_gguf_writer *w, const char *text, size_t length)
{
    append_string(w, &w->keys, text, length);
}

void wz_gguf_item_i32(wz_gguf_writer *w, int32_t value)
{
    append(w, &w->keys, &value, sizeof value);
}

static uint64_t aligned(uint64_t offset)
{
    return (offset + WZ_GGUF_ALIGNMENT - 1) / WZ_GGUF_ALIGNMENT * WZ_GGUF_ALIGNMENT;
}

void wz_gguf_add_tensor(wz_gguf_writer *w, const char *name, wz_number_type type, size_t rank,
                        const size_t *shape)
{
    size_t bytes = 0;
    if (w->status == WZ_OK &&
        (strlen(name) > WZ_GGUF_MAX_NAME || shape[rank - 1] % wz_number_block(type) != 0))
        w->status =
            wz_fail(w->err, WZ_ERR_USAGE,
                    "%s: tensor '%s': its rows of %zu numbers are no multiple of the %zu that type %s "
                    "stores together: take another type",
                    w->file.path, name, shape[rank - 1], wz_number_block(type), wz_number_type_names[type]);
    if (w->status != WZ_OK)
        return;
    (void)wz_number_bytes(type, rank == 2 ? shape[0] * shape[1] : shape[0], &bytes);
    append_string(w, &w->tensors, name, strlen(name));
    append_u32(w, &w->tensors, (uint32_t)rank);
    for (size_t d = rank; d-- > 0;)
        append_u64(w, &w->tensors, shape[d]);
    append_u32(w, &w->tensors, wz_gguf_number_types[type]);
    append_u64(w, &w->tensors, w->data_bytes);
    w->data_bytes = aligned(w->data_bytes + bytes);
    w->tensor_count++;
}

static void write_bytes(wz_gguf_writer *w, const void *bytes, size_t count)
{
    if (w->status == WZ_OK)
        w->status = wz_block_file_append(&w->file, bytes, count, w->err);
}

/* Zeros up to the alignment. */
static void pad(wz_gguf_writer *w)
{
    static const char zeros[WZ_GGUF_ALIGNMENT];
    write_bytes(w, zeros, (size_t)(aligned(w->file.bytes) - w->file.bytes));
}

static void write_header(wz_gguf_writer *w)
{
    wz_text head = {0};
    if (w->has_header)
        return;
    w->has_header = true;
    append(w, &head, "GGUF", 4);
    append_u32(w, &head, 3);
    append_u64(w, &head, w->tensor_count);
    append_u64(w, &head, w->key_count);
    write_bytes(w, head.data, head.length);
    write_bytes(w, w->keys.data, w->keys.length);
    write_bytes(w, w->tensors.data, w->tensors.length);
    pad(w);
    wz_text_clear(&head);
}

void wz_gguf_write_numbers(wz_gguf_writer *w, wz_number_type type, const float *numbers, size_t count)
{
    size_t bytes = 0;
    void *block = w->block;
    write_header(w);
    if (w->status != WZ_OK || !wz_number_bytes(type, count, &bytes))
        return;
    w->status = wz_grow(&block, &w->capacity, bytes, 1, "stored numbers", w->err);
    w->block = block;
    if (w->status != WZ_OK)
        return;
    wz_numbers_encode(type, numbers, count, w->block);
    write_bytes(w, w->block, bytes);
}

void wz_gguf_write_stored(wz_gguf_writer *w, wz_number_type type, const void *stored, size_t count)
{
    size_t bytes = 0;
    write_header(w);
    if (wz_number_bytes(type, count, &bytes))
        write_bytes(w, stored, bytes);
}

void wz_gguf_end_tensor(wz_gguf_writer *w)
{
    pad(w);
}

wz_status wz_gguf_finish(wz_gguf_writer *w)
{
    if (w->status == WZ_OK)
        write_header(w);
    if (w->status == WZ_OK)
        w->status = wz_block_file_finish(&w->file, w->err);
    wz_block_file_close(&w->file);
    wz_text_clear(&w->keys);
    wz_text_clear(&w->tensors);
    free(w->block);
    w->block = NULL;
    return w->status;
}
