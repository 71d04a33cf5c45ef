#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoints/gguf.h"
#include "engine/core/file.h"
#include "engine/core/file_internal.h"

#define MAX_KEYS (1u << 16)
#define MAX_TENSORS (1u << 20)
#define WINDOW ((size_t)1 << 16)

/* A reader of the file from front to back. */
typedef struct reader {
    wz_gguf *file;
    uint64_t size, at; /* of the file; of the next byte */
    unsigned char window[WINDOW];
    size_t first, count; /* of the window, not yet taken */
    wz_error *err;
} reader;

static wz_status fail(const reader *r, const char *what)
{
    return wz_fail(r->err, WZ_ERR_CORRUPT, "%s: %s (at byte %llu)", r->file->path, what,
                   (unsigned long long)r->at);
}

static wz_status fill(reader *r)
{
    ssize_t got;
    do
        got = read(r->file->descriptor, r->window, WINDOW);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return wz_file_fail_errno(r->err, errno, "read", r->file->path);
    r->first = 0;
    r->count = (size_t)got;
    return got == 0 ? fail(r, "the file is cut off") : WZ_OK;
}

static wz_status take(reader *r, void *out, size_t count)
{
    unsigned char *to = out;
    if (count > r->size - r->at)
        return fail(r, "the file is cut off");
    while (count > 0) {
        const wz_status status = r->count == 0 ? fill(r) : WZ_OK;
        if (status != WZ_OK)
            return status;
        const size_t part = count < r->count ? count : r->count;
        memcpy(to, r->window + r->first, part);
        r->first += part;
        r->count -= part;
        r->at += part;
        to += part;
        count -= part;
    }
    return WZ_OK;
}

static wz_status take_u32(reader *r, uint32_t *out)
{
    return take(r, out, sizeof *out);
}

static wz_status take_u64(reader *r, uint64_t *out)
{
    return take(r, out, sizeof *out);
}

/* Appends bytes of the file to the blob. */
static wz_status take_blob(reader *r, uint64_t count)
{
    unsigned char part[4096];
    wz_status status = count <= r->size - r->at ? WZ_OK : fail(r, "a value is longer than the file");
    while (status == WZ_OK && count > 0) {
        const size_t now = count < sizeof part ? (size_t)count : sizeof part;
        status = take(r, part, now);
        if (status == WZ_OK)
            status = wz_text_append(&r->file->blob, (const char *)part, now, r->err);
        count -= now;
    }
    return status;
}

/* ---- values ---- */

/* Strings of an array stay as they lie in the file: length and bytes each. */
static wz_status take_strings(reader *r, uint64_t count)
{
    wz_status status = WZ_OK;
    if (count > (r->size - r->at) / sizeof(uint64_t))
        return fail(r, "an array is longer than the file");
    for (uint64_t i = 0; status == WZ_OK && i < count; i++) {
        uint64_t length = 0;
        status = take_u64(r, &length);
        if (status == WZ_OK)
            status = wz_text_append(&r->file->blob, (const char *)&length, sizeof length, r->err);
        if (status == WZ_OK)
            status = take_blob(r, length);
    }
    return status;
}

static wz_status take_array(reader *r, wz_gguf_value *value)
{
    uint32_t type = 0;
    wz_status status = take_u32(r, &type);
    if (status == WZ_OK)
        status = take_u64(r, &value->count);
    if (status != WZ_OK)
        return status;
    value->item_type = (wz_gguf_type)type;
    if (type == WZ_GGUF_STRING)
        return take_strings(r, value->count);
    if (wz_gguf_item_bytes(type) == 0)
        return fail(r, "an array of a type that is not known");
    if (value->count > (r->size - r->at) / wz_gguf_item_bytes(type))
        return fail(r, "an array is longer than the file");
    return take_blob(r, value->count * wz_gguf_item_bytes(type));
}

static wz_status take_value(reader *r, wz_gguf_value *value)
{
    uint32_t type = 0;
    wz_status status = take_u32(r, &type);
    if (status != WZ_OK)
        return status;
    value->type = (wz_gguf_type)type;
    value->at = r->file->blob.length;
    if (type == WZ_GGUF_ARRAY)
        return take_array(r, value);
    if (type == WZ_GGUF_STRING) {
        status = take_u64(r, &value->count);
        return status == WZ_OK ? take_blob(r, value->count) : status;
    }
    return wz_gguf_item_bytes(type) == 0 ? fail(r, "a value of a type that is not known")
                                         : take_blob(r, wz_gguf_item_bytes(type));
}

static wz_status take_key(reader *r)
{
    wz_gguf *file = r->file;
    void *values = file->values;
    uint64_t length = 0;
    wz_status status = take_u64(r, &length);
    if (status == WZ_OK && (length == 0 || length > 1024))
        status = fail(r, "a key of no bytes or more than 1024");
    if (status == WZ_OK)
        status = wz_grow(&values, &file->value_capacity, file->value_count + 1, sizeof *file->values,
                         "keys of a GGUF file", r->err);
    file->values = values;
    if (status != WZ_OK)
        return status;
    wz_gguf_value *value = &file->values[file->value_count];
    *value = (wz_gguf_value){.key = calloc(1, (size_t)length + 1)};
    if (value->key == NULL)
        return wz_fail(r->err, WZ_ERR_RESOURCE, "out of memory for a key of %s", file->path);
    file->value_count++;
    status = take(r, value->key, (size_t)length);
    return status == WZ_OK ? take_value(r, value) : status;
}

/* ---- tensors ---- */

static wz_status fail_tensor(const reader *r, const wz_gguf_tensor *tensor, const char *what)
{
    return wz_fail(r->err, WZ_ERR_CORRUPT, "%s: tensor '%s' %s", r->file->path, tensor->name, what);
}

static wz_status find_type(const reader *r, uint32_t number, wz_gguf_tensor *tensor)
{
    for (int t = 0; t < WZ_NUMBER_TYPES; t++)
        if (wz_gguf_number_types[t] == number) {
            tensor->type = (wz_number_type)t;
            return WZ_OK;
        }
    return wz_fail(r->err, WZ_ERR_CORRUPT,
                   "%s: tensor '%s' is stored in ggml's type %u, which is not read: f32, f16, bf16, q8_0 and "
                   "q4_0 are",
                   r->file->path, tensor->name, number);
}

/* Dimensions, innermost first; further ones may be 1. */
static wz_status take_shape(reader *r, wz_gguf_tensor *tensor)
{
    uint32_t rank = 0;
    uint64_t dimension[4] = {1, 1, 1, 1};
    wz_status status = take_u32(r, &rank);
    if (status == WZ_OK && (rank < 1 || rank > 4))
        return fail_tensor(r, tensor, "has no dimension or more than 4");
    for (uint32_t d = 0; status == WZ_OK && d < rank; d++) {
        status = take_u64(r, &dimension[d]);
        if (status == WZ_OK && (dimension[d] == 0 || dimension[d] > r->size * 2))
            return fail_tensor(r, tensor, "has an impossible shape"); /* no type stores more than 2 a byte */
    }
    if (status == WZ_OK && (dimension[2] != 1 || dimension[3] != 1))
        return fail_tensor(r, tensor, "has more than two dimensions");
    tensor->rank = rank >= 2 ? 2 : 1;
    tensor->shape[0] = (size_t)(tensor->rank == 2 ? dimension[1] : dimension[0]);
    tensor->shape[1] = (size_t)dimension[0];
    return status;
}

static wz_status take_tensor(reader *r, wz_gguf_tensor *tensor)
{
    uint64_t length = 0;
    uint32_t type = 0;
    size_t elements = 0, bytes = 0;
    wz_status status = take_u64(r, &length);
    if (status == WZ_OK && (length == 0 || length > WZ_GGUF_MAX_NAME))
        status = fail(r, "a tensor's name of no bytes or more than 63");
    if (status == WZ_OK)
        status = take(r, tensor->name, (size_t)length);
    if (status == WZ_OK)
        status = take_shape(r, tensor);
    if (status == WZ_OK)
        status = take_u32(r, &type);
    if (status == WZ_OK)
        status = find_type(r, type, tensor);
    if (status == WZ_OK)
        status = take_u64(r, &tensor->offset);
    if (status != WZ_OK)
        return status;
    elements = tensor->shape[0];
    if ((tensor->rank == 2 && !wz_size_multiply(elements, tensor->shape[1], &elements)) ||
        (tensor->rank == 2 ? tensor->shape[1] : tensor->shape[0]) % wz_number_block(tensor->type) != 0 ||
        !wz_number_bytes(tensor->type, elements, &bytes))
        return fail_tensor(r, tensor, "has an impossible shape");
    tensor->bytes = bytes;
    return WZ_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const wz_gguf_tensor *const *)a)->name, (*(const wz_gguf_tensor *const *)b)->name);
}

static int compare_offsets(const void *a, const void *b)
{
    const wz_gguf_tensor *left = *(const wz_gguf_tensor *const *)a,
                         *right = *(const wz_gguf_tensor *const *)b;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* No name twice, none within another; offsets become those in the file. */
static wz_status place_tensors(reader *r, uint64_t alignment)
{
    wz_gguf *file = r->file;
    const uint64_t data = (r->at + alignment - 1) / alignment * alignment;
    const uint64_t room = data <= r->size ? r->size - data : 0;
    void *block = NULL;
    for (size_t i = 0; i < file->tensor_count; i++) {
        wz_gguf_tensor *tensor = &file->tensors[i];
        if (tensor->offset % alignment != 0)
            return fail_tensor(r, tensor, "stands off the alignment");
        if (tensor->offset > room || tensor->bytes > room - tensor->offset)
            return fail_tensor(r, tensor, "reaches beyond the end of the file");
        tensor->offset += data;
    }
    wz_status status =
        wz_alloc(&block, file->tensor_count, sizeof(wz_gguf_tensor *), "a list of tensors", r->err);
    if (status != WZ_OK)
        return status;
    wz_gguf_tensor **list = block;
    for (size_t i = 0; i < file->tensor_count; i++)
        list[i] = &file->tensors[i];
    if (file->tensor_count > 1)
        qsort(list, file->tensor_count, sizeof(wz_gguf_tensor *), compare_names);
    for (size_t i = 1; status == WZ_OK && i < file->tensor_count; i++)
        if (strcmp(list[i]->name, list[i - 1]->name) == 0)
            status = fail_tensor(r, list[i], "is given twice");
    if (file->tensor_count > 1)
        qsort(list, file->tensor_count, sizeof(wz_gguf_tensor *), compare_offsets);
    for (size_t i = 1; status == WZ_OK && i < file->tensor_count; i++)
        if (list[i]->offset < list[i - 1]->offset + list[i - 1]->bytes)
            status = fail_tensor(r, list[i], "overlaps another");
    free(block);
    return status;
}

static wz_status take_tensors(reader *r, uint64_t count)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, (size_t)count, sizeof(wz_gguf_tensor), "a list of tensors", r->err);
    r->file->tensors = block;
    if (status != WZ_OK)
        return status;
    r->file->tensor_count = (size_t)count;
    for (uint64_t i = 0; status == WZ_OK && i < count; i++)
        status = take_tensor(r, &r->file->tensors[i]);
    return status;
}

/* ---- the file ---- */

static wz_status take_file(reader *r)
{
    const int64_t usual = WZ_GGUF_ALIGNMENT;
    char magic[4] = {0};
    uint32_t version = 0;
    uint64_t tensors = 0, keys = 0;
    int64_t alignment = 0;
    wz_status status = take(r, magic, sizeof magic);
    if (status != WZ_OK || memcmp(magic, "GGUF", 4) != 0)
        return wz_fail(r->err, WZ_ERR_CORRUPT, "%s: no GGUF file: it does not begin with 'GGUF'",
                       r->file->path);
    status = take_u32(r, &version);
    if (status == WZ_OK && version != 3)
        return wz_fail(r->err, WZ_ERR_CORRUPT, "%s: GGUF version %u%s; version 3, little-endian, is read",
                       r->file->path, version, version == 0x03000000 ? " (big-endian)" : "");
    if (status == WZ_OK)
        status = take_u64(r, &tensors);
    if (status == WZ_OK)
        status = take_u64(r, &keys);
    /* the shortest key takes 13 bytes and a value, the shortest tensor 33 */
    if (status == WZ_OK &&
        (keys > MAX_KEYS || tensors > MAX_TENSORS || keys > r->size / 13 || tensors > r->size / 33))
        return fail(r, "more keys or tensors than the file could hold");
    for (uint64_t i = 0; status == WZ_OK && i < keys; i++)
        status = take_key(r);
    if (status == WZ_OK)
        status = wz_gguf_sort_keys(r->file, r->err);
    if (status == WZ_OK)
        status = wz_gguf_get_integer(r->file, "general.alignment", &usual, &alignment, r->err);
    if (status == WZ_OK && (alignment < 1 || alignment > 65536 || (alignment & (alignment - 1)) != 0))
        return fail(r, "general.alignment is no power of two up to 65536");
    if (status == WZ_OK)
        status = take_tensors(r, tensors);
    return status == WZ_OK ? place_tensors(r, (uint64_t)alignment) : status;
}

wz_status wz_gguf_open(const char *path, wz_gguf **out, wz_error *err)
{
    struct stat info = {0};
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_gguf), "a GGUF file", err);
    if (status != WZ_OK)
        return status;
    wz_gguf *file = block;
    status = wz_alloc(&block, 1, sizeof(reader), "reading a GGUF file", err);
    reader *r = block;
    file->path = strdup(path);
    file->descriptor = wz_file_open_retry(path, O_RDONLY | O_NONBLOCK); /* a pipe would wait */
    if (status == WZ_OK && file->path == NULL)
        status = wz_fail(err, WZ_ERR_RESOURCE, "out of memory for the name of %s", path);
    else if (status == WZ_OK && (file->descriptor < 0 || fstat(file->descriptor, &info) != 0))
        status = wz_file_fail_errno(err, errno, "open", path);
    else if (status == WZ_OK && !S_ISREG(info.st_mode))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s is no regular file", path);
    if (status == WZ_OK) {
        r->file = file;
        r->size = (uint64_t)info.st_size;
        r->err = err;
        status = take_file(r);
    }
    free(r);
    if (status != WZ_OK) {
        wz_gguf_close(file);
        return status;
    }
    *out = file;
    return WZ_OK;
}

void wz_gguf_close(wz_gguf *file)
{
    if (file == NULL)
        return;
    if (file->descriptor >= 0)
        (void)close(file->descriptor);
    for (size_t i = 0; i < file->value_count; i++)
        free(file->values[i].key);
    free(file->values);
    free(file->tensors);
    wz_text_clear(&file->blob);
    free(file->path);
    free(file);
}

wz_status wz_gguf_open_in(const char *path, const char *name, wz_gguf **out, wz_error *err)
{
    wz_text place = {0};
    *out = NULL;
    if (!wz_path_is_directory(path))
        return wz_gguf_open(path, out, err);
    wz_status status = wz_text_printf(&place, err, "%s/%s", path, name);
    if (status == WZ_OK)
        status = wz_gguf_open(place.data, out, err);
    wz_text_clear(&place);
    return status;
}
