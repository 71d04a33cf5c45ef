/* Reading: nothing is believed that the file's size does not bear out. */
#include "checkpoints/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/block_file.h"
#include "engine/core/json.h"

#define LENGTH_BYTES 8
#define METADATA "__metadata__"

/* A tensor, and where it lies: bytes [begin, end) after the header. */
typedef struct place {
    wz_stored_tensor tensor; /* the first: what callers are shown */
    uint64_t begin, end;
} place;

struct wz_safetensors {
    wz_block_file file;
    json_t *header; /* owns the names */
    uint64_t data;  /* where the header ends */
    place *places;  /* in order of begin */
    size_t count;
    void *stored; /* rows as they lie in the file */
    size_t capacity;
};

/* --- one tensor of the header --- */

static wz_status fail_tensor(const wz_safetensors *file, const char *name, const char *what, wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%.100s' %s", file->file.path, name, what);
}

static wz_status read_dtype(const wz_safetensors *file, const json_t *value, place *to, wz_error *err)
{
    static const struct {
        const char *name;
        wz_number_type type;
    } types[] = {{"F32", WZ_NUMBER_F32}, {"F16", WZ_NUMBER_F16}, {"BF16", WZ_NUMBER_BF16}};
    const char *name = json_string_value(json_object_get(value, "dtype"));
    if (name == NULL)
        return fail_tensor(file, to->tensor.name, "has no dtype", err);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0) {
            to->tensor.type = types[i].type;
            return WZ_OK;
        }
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%.100s' is of type %.20s; F32, F16 and BF16 are read",
                   file->file.path, to->tensor.name, name);
}

static wz_status read_shape(const wz_safetensors *file, const json_t *value, place *to, wz_error *err)
{
    const json_t *shape = json_object_get(value, "shape");
    to->tensor.rank = json_array_size(shape);
    if (!json_is_array(shape))
        return fail_tensor(file, to->tensor.name, "has no shape", err);
    if (to->tensor.rank < 1 || to->tensor.rank > 2)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: tensor '%.100s' has %zu dimensions; a model's have one or two", file->file.path,
                       to->tensor.name, to->tensor.rank);
    for (size_t d = 0; d < to->tensor.rank; d++) {
        const json_t *size = json_array_get(shape, d);
        if (!json_is_integer(size) || json_integer_value(size) < 1)
            return fail_tensor(file, to->tensor.name, "has an impossible shape", err);
        to->tensor.shape[d] = (size_t)json_integer_value(size);
    }
    return WZ_OK;
}

static bool read_offset(const json_t *offsets, size_t which, uint64_t *out)
{
    const json_t *value = json_array_get(offsets, which);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* The bytes are the file's own, and as many as the shape needs. */
static wz_status read_offsets(const wz_safetensors *file, const json_t *value, place *to, wz_error *err)
{
    const json_t *offsets = json_object_get(value, "data_offsets");
    const uint64_t available = file->file.bytes - file->data;
    size_t elements = to->tensor.shape[0], bytes = 0;
    if (json_array_size(offsets) != 2 || !read_offset(offsets, 0, &to->begin) ||
        !read_offset(offsets, 1, &to->end) || to->end < to->begin)
        return fail_tensor(file, to->tensor.name, "has impossible data_offsets", err);
    if ((to->tensor.rank == 2 && !wz_size_multiply(elements, to->tensor.shape[1], &elements)) ||
        !wz_number_bytes(to->tensor.type, elements, &bytes))
        return fail_tensor(file, to->tensor.name, "has an impossible shape: its size overflows", err);
    if (to->end > available)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s is cut short: tensor '%.100s' ends at byte %" PRIu64 " of its %" PRIu64
                       " bytes of data",
                       file->file.path, to->tensor.name, to->end, available);
    if (to->end - to->begin != bytes)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: tensor '%.100s' takes %" PRIu64 " bytes where its shape and type need %zu",
                       file->file.path, to->tensor.name, to->end - to->begin, bytes);
    return WZ_OK;
}

/* --- all of them --- */

static int compare_places(const void *a, const void *b)
{
    const place *left = a, *right = b;
    if (left->begin != right->begin)
        return left->begin < right->begin ? -1 : 1;
    return strcmp(left->tensor.name, right->tensor.name);
}

/* Without overlap or gap: bytes that belong to nothing could hide anything. */
static wz_status check_cover(const wz_safetensors *file, wz_error *err)
{
    const uint64_t available = file->file.bytes - file->data;
    uint64_t next = 0;
    for (size_t i = 0; i < file->count; i++) {
        const place *at = &file->places[i];
        if (at->begin < next)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensors '%.100s' and '%.100s' overlap", file->file.path,
                           file->places[i - 1].tensor.name, at->tensor.name);
        if (at->begin > next)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: a gap of %" PRIu64 " bytes before tensor '%.100s'",
                           file->file.path, at->begin - next, at->tensor.name);
        next = at->end;
    }
    if (next != available)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: %" PRIu64 " bytes after the last tensor", file->file.path,
                       available - next);
    return WZ_OK;
}

static wz_status check_metadata(const wz_safetensors *file, const json_t *metadata, wz_error *err)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(metadata))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: " METADATA " must be an object", file->file.path);
    json_object_foreach((json_t *)metadata, key, value) if (!json_is_string(value)) return wz_fail(
        err, WZ_ERR_CORRUPT, "%s: " METADATA " key '%.100s' must be a string", file->file.path, key);
    return WZ_OK;
}

static wz_status read_tensors(wz_safetensors *file, wz_error *err)
{
    const char *name = NULL;
    json_t *value = NULL;
    void *block = NULL;
    wz_status status = WZ_OK;
    if (!json_is_object(file->header))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: the header must be an object", file->file.path);
    status = wz_alloc(&block, json_object_size(file->header), sizeof *file->places, "a list of tensors", err);
    if (status != WZ_OK)
        return status;
    file->places = block;
    json_object_foreach(file->header, name, value)
    {
        if (strcmp(name, METADATA) == 0) {
            status = check_metadata(file, value, err);
        } else {
            place *to = &file->places[file->count++];
            to->tensor.name = name;
            status = read_dtype(file, value, to, err);
            status = status == WZ_OK ? read_shape(file, value, to, err) : status;
            status = status == WZ_OK ? read_offsets(file, value, to, err) : status;
        }
        if (status != WZ_OK)
            return status;
    }
    if (file->count > 1)
        qsort(file->places, file->count, sizeof *file->places, compare_places);
    return check_cover(file, err);
}

/* --- the file --- */

static wz_status read_header(wz_safetensors *file, wz_error *err)
{
    unsigned char bytes[LENGTH_BYTES];
    uint64_t length = 0;
    void *text = NULL;
    const char *path = file->file.path;
    if (file->file.bytes < LENGTH_BYTES)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s is no safetensors file: it has %" PRIu64 " bytes", path,
                       file->file.bytes);
    wz_status status = wz_block_file_read(&file->file, 0, bytes, sizeof bytes, err);
    if (status != WZ_OK)
        return status;
    for (size_t i = LENGTH_BYTES; i-- > 0;)
        length = length << 8 | bytes[i];
    if (length > file->file.bytes - LENGTH_BYTES)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: its header claims %" PRIu64 " bytes, but the file has %" PRIu64
                       ": it is no safetensors file, or cut short",
                       path, length, file->file.bytes);
    if (length > WZ_SAFETENSORS_MAX_HEADER)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: its header of %" PRIu64 " bytes is larger than %zu", path,
                       length, WZ_SAFETENSORS_MAX_HEADER);
    file->data = LENGTH_BYTES + length;
    status = wz_alloc(&text, (size_t)length, 1, "the header of a safetensors file", err);
    if (status == WZ_OK)
        status = wz_block_file_read(&file->file, LENGTH_BYTES, text, (size_t)length, err);
    if (status == WZ_OK)
        status = wz_json_parse(path, text, (size_t)length, &file->header, err);
    free(text);
    return status;
}

wz_status wz_safetensors_open(const char *path, wz_safetensors **out, wz_error *err)
{
    void *block = NULL;
    *out = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof **out, "a safetensors file", err);
    if (status != WZ_OK)
        return status;
    wz_safetensors *file = block;
    status = wz_block_file_open(&file->file, path, err);
    if (status == WZ_OK)
        status = read_header(file, err);
    if (status == WZ_OK)
        status = read_tensors(file, err);
    if (status != WZ_OK) {
        wz_safetensors_close(file);
        return status;
    }
    *out = file;
    return WZ_OK;
}

void wz_safetensors_close(wz_safetensors *file)
{
    if (file == NULL)
        return;
    wz_block_file_close(&file->file);
    json_decref(file->header);
    free(file->places);
    free(file->stored);
    free(file);
}

size_t wz_safetensors_count(const wz_safetensors *file)
{
    return file->count;
}

const wz_stored_tensor *wz_safetensors_tensor(const wz_safetensors *file, size_t index)
{
    return &file->places[index].tensor;
}

bool wz_safetensors_has(const wz_safetensors *file, const char *name)
{
    return strcmp(name, METADATA) != 0 && json_object_get(file->header, name) != NULL;
}

const char *wz_safetensors_metadata(const wz_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, METADATA), key));
}

wz_extent wz_safetensors_extent(const wz_safetensors *file, size_t index)
{
    const place *at = &file->places[index];
    return (wz_extent){
        .descriptor = file->file.descriptor, .offset = file->data + at->begin, .bytes = at->end - at->begin};
}

void wz_safetensors_borrow_ahead(wz_safetensors *file, wz_read_ahead *ahead)
{
    file->file.ahead = ahead;
}

wz_status wz_safetensors_read_stored(const wz_safetensors *file, size_t index, size_t first, size_t rows,
                                     void *out, wz_error *err)
{
    const place *at = &file->places[index];
    const size_t width = at->tensor.rank == 2 ? at->tensor.shape[1] : 1;
    size_t before = 0, bytes = 0;
    /* both are parts of a tensor whose size was checked */
    (void)wz_number_bytes(at->tensor.type, first * width, &before);
    (void)wz_number_bytes(at->tensor.type, rows * width, &bytes);
    return wz_block_file_read(&file->file, file->data + at->begin + before, out, bytes, err);
}

wz_status wz_safetensors_read(wz_safetensors *file, size_t index, size_t first, size_t rows, float *out,
                              wz_error *err)
{
    const place *at = &file->places[index];
    const size_t count = rows * (at->tensor.rank == 2 ? at->tensor.shape[1] : 1);
    if (at->tensor.type == WZ_NUMBER_F32)
        return wz_safetensors_read_stored(file, index, first, rows, out, err);
    wz_status status =
        wz_grow(&file->stored, &file->capacity, count, sizeof(float) / 2, "rows of a tensor", err);
    if (status == WZ_OK)
        status = wz_safetensors_read_stored(file, index, first, rows, file->stored, err);
    if (status == WZ_OK)
        wz_numbers_decode(at->tensor.type, file->stored, count, out);
    return status;
}
