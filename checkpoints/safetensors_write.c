#include "checkpoints/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/core/block_file.h"
#include "engine/core/json.h"

#define ALIGNMENT 8 /* of the first tensor, as the reference implementation has it */

/* What wz_tensor_stream_as hands its rows to. */
typedef struct writer {
    wz_block_file file;
    wz_number_type type;
    const wz_byte_count *bytes;
} writer;

static const char *dtype_of(wz_number_type type)
{
    return type == WZ_NUMBER_F32 ? "F32" : type == WZ_NUMBER_F16 ? "F16" : "BF16";
}

static void write_tensor(wz_json *json, const wz_stored_tensor *tensor, wz_number_type type, size_t begin,
                         size_t end)
{
    wz_json_key(json, tensor->name);
    wz_json_begin_object(json);
    wz_json_field_string(json, "dtype", dtype_of(type));
    wz_json_key(json, "shape");
    wz_json_begin_array(json);
    for (size_t d = 0; d < tensor->rank; d++)
        wz_json_integer(json, (int64_t)tensor->shape[d]);
    wz_json_end_array(json);
    wz_json_key(json, "data_offsets");
    wz_json_begin_array(json);
    wz_json_integer(json, (int64_t)begin);
    wz_json_integer(json, (int64_t)end);
    wz_json_end_array(json);
    wz_json_end_object(json);
}

/* Padded with spaces to the alignment. */
static wz_status write_header(const wz_tensor_source *source, wz_number_type type,
                              const wz_safetensors_text *metadata, size_t texts, wz_text *out, wz_error *err)
{
    wz_json json;
    size_t total = 0;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_key(&json, "__metadata__");
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "format", "pt"); /* transformers asks for it */
    for (size_t i = 0; i < texts; i++)
        wz_json_field_string(&json, metadata[i].key, metadata[i].value);
    wz_json_end_object(&json);
    for (size_t i = 0; i < source->count; i++) {
        size_t bytes = 0;
        if (!wz_number_bytes(type, wz_tensor_elements(&source->tensors[i]), &bytes))
            return wz_fail(err, WZ_ERR_RUNTIME, "tensor '%.100s' has an impossible shape",
                           source->tensors[i].name);
        write_tensor(&json, &source->tensors[i], type, total, total + bytes);
        total += bytes;
    }
    wz_json_end_object(&json);
    wz_status status = wz_json_finish(&json);
    while (status == WZ_OK && out->length % ALIGNMENT != 0)
        status = wz_text_append(out, " ", 1, err);
    if (status == WZ_OK && out->length > WZ_SAFETENSORS_MAX_HEADER)
        status = wz_fail(err, WZ_ERR_RUNTIME, "a safetensors header of %zu bytes is larger than %zu",
                         out->length, WZ_SAFETENSORS_MAX_HEADER);
    return status;
}

static wz_status take_rows(void *user, const void *stored, size_t count, wz_error *err)
{
    writer *to = user;
    size_t length = 0;
    (void)wz_number_bytes(to->type, count, &length); /* a part of a tensor whose size was checked */
    wz_status status = wz_block_file_append(&to->file, stored, length, err);
    return status == WZ_OK ? wz_byte_count_add(to->bytes, length, err) : status;
}

static wz_status write_file(writer *to, const wz_text *header, wz_tensor_source *source, wz_error *err)
{
    unsigned char length[8];
    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (unsigned char)((uint64_t)header->length >> (8 * i));
    wz_status status = wz_block_file_append(&to->file, length, sizeof length, err);
    if (status == WZ_OK)
        status = wz_block_file_append(&to->file, header->data, header->length, err);
    if (status == WZ_OK)
        status = wz_tensor_expect_all(source, err);
    for (size_t i = 0; status == WZ_OK && i < source->count; i++)
        status = wz_tensor_stream_as(source, i, to->type, take_rows, to, err);
    return status == WZ_OK ? wz_block_file_finish(&to->file, err) : status;
}

wz_status wz_safetensors_write(const char *path, wz_tensor_source *source, wz_number_type type,
                               const wz_safetensors_text *metadata, size_t texts, const wz_byte_count *bytes,
                               wz_error *err)
{
    writer to = {.file = {.descriptor = -1}, .type = type, .bytes = bytes};
    wz_text header = {0};
    wz_status status = write_header(source, type, metadata, texts, &header, err);
    if (status == WZ_OK)
        status = wz_block_file_create(&to.file, path, err);
    if (status == WZ_OK) {
        status = write_file(&to, &header, source, err);
        wz_block_file_close(&to.file);
        if (status == WZ_OK)
            wz_byte_count_written(bytes, &to.file);
        else
            (void)unlink(path);
    }
    wz_text_clear(&header);
    return status;
}
