/* Reads back what onnx_write.c writes, and nothing else: the graph must be, byte for byte, the one for the model. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoints/onnx_fields.h"
#include "checkpoints/onnx_source.h"
#include "engine/core/file.h"
#include "engine/core/file_internal.h"
#include "engine/core/protobuf.h"

#define BLOCK 32
#define HEAD_BYTES 1024                /* of an initialiser: everything but its numbers */
#define MAX_REST ((uint64_t)256 << 20) /* of all nodes */

static void close_source(wz_tensor_source *self)
{
    wz_onnx_source *s = (wz_onnx_source *)(void *)self;
    for (int i = 0; i < 2; i++)
        if (s->files[i] >= 0)
            (void)close(s->files[i]);
    wz_text_clear(&s->rest);
    free(s->path);
    free(s->list);
    free(s->params);
    free(s->tensors);
    free(s->places);
    free(s->stored);
    free(s);
}

wz_status wz_onnx_fail(const wz_onnx_source *s, const char *what, wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: %s", s->path, what);
}

/* ---- the file's messages ---- */

/* A tag, and for bytes their count, at *at; moves *at beyond them. */
static wz_status take_head(const wz_onnx_source *s, uint64_t *at, uint64_t end, wz_field *field,
                           wz_error *err)
{
    unsigned char bytes[20];
    const size_t count = end - *at < sizeof bytes ? (size_t)(end - *at) : sizeof bytes;
    wz_status status = wz_file_read_at(s->files[0], s->path, *at, bytes, count, err);
    size_t used = 0;
    uint64_t numbers[2] = {0, 0};
    for (int n = 0; status == WZ_OK && n < 2; n++) {
        unsigned shift = 0;
        do {
            if (used == count || shift > 63)
                return wz_onnx_fail(s, "no message of ONNX's kind", err);
            numbers[n] |= (uint64_t)(bytes[used] & 127u) << shift;
            shift += 7;
        } while (bytes[used++] >= 128);
    }
    *field = (wz_field){
        .number = (unsigned)(numbers[0] >> 3), .wire = (unsigned)(numbers[0] & 7), .value = numbers[1]};
    *at += used;
    if (status == WZ_OK && field->wire != 0 && field->wire != 2)
        return wz_onnx_fail(s, "a field of a kind that is not written here", err);
    if (status == WZ_OK && field->wire == 2 && field->value > end - *at)
        return wz_onnx_fail(s, "the file is cut off", err);
    return status;
}

static void take_external(const wz_field *field, wz_onnx_found *out)
{
    const unsigned char *at = field->bytes, *end = at + field->value;
    wz_field entry;
    char key[16] = "", value[32] = "";
    bool broken = false;
    while (wz_field_next(&at, end, &entry, &broken))
        if (entry.wire == 2 && entry.number <= 2)
            (void)snprintf(entry.number == 1 ? key : value, entry.number == 1 ? sizeof key : sizeof value,
                           "%.*s", (int)(entry.value < 31 ? entry.value : 31), (const char *)entry.bytes);
    if (strcmp(key, "offset") == 0)
        out->at = strtoull(value, NULL, 10);
    else if (strcmp(key, "length") == 0)
        out->part.bytes = strtoull(value, NULL, 10);
}

/* One field of an initialiser. false: it cannot be. */
static bool take_tensor_field(const wz_field *field, wz_onnx_found *out)
{
    wz_onnx_part *part = &out->part;
    switch (field->number) {
    case TENSOR_DIMS:
        if (field->wire != 0 || part->rank == 3 || field->value > UINT32_MAX)
            return false;
        part->shape[part->rank++] = (size_t)field->value;
        return true;
    case TENSOR_TYPE:
        part->element = (int)(field->value & 255);
        return field->wire == 0;
    case TENSOR_NAME:
        if (field->wire != 2 || field->value >= sizeof part->name)
            return false;
        memcpy(part->name, field->bytes, (size_t)field->value);
        part->name[field->value] = '\0';
        return true;
    case TENSOR_EXTERNAL:
        if (field->wire == 2)
            take_external(field, out);
        return field->wire == 2;
    case TENSOR_LOCATION:
        out->external = field->value == 1;
        return field->wire == 0;
    default:
        return false;
    }
}

/* An initialiser of `length` bytes at `at`. */
static wz_status take_initialiser(wz_onnx_source *s, uint64_t at, uint64_t length, wz_error *err)
{
    unsigned char head[HEAD_BYTES];
    void *list = s->list;
    const size_t count = length < sizeof head ? (size_t)length : sizeof head;
    wz_status status = wz_file_read_at(s->files[0], s->path, at, head, count, err);
    if (status == WZ_OK)
        status = wz_grow(&list, &s->list_capacity, s->list_count + 1, sizeof *s->list,
                         "an ONNX file's tensors", err);
    s->list = list;
    if (status != WZ_OK)
        return status;
    wz_onnx_found *out = &s->list[s->list_count++];
    const unsigned char *place = head, *end = head + count;
    *out = (wz_onnx_found){.at = 0};
    while (place < end) {
        const unsigned char *start = place;
        wz_field field = {0};
        bool broken = false;
        /* the numbers, which the head does not hold, come last: their tag and length alone */
        if (*start == (TENSOR_RAW << 3 | 2)) {
            uint64_t here = at + (uint64_t)(start - head);
            status = take_head(s, &here, at + length, &field, err);
            if (status == WZ_OK && here + field.value != at + length)
                status = wz_onnx_fail(s, "an initialiser's numbers are not its last field", err);
            out->at = here;
            out->part.bytes = field.value;
            return status;
        }
        if (!wz_field_next(&place, end, &field, &broken) || !take_tensor_field(&field, out))
            return wz_onnx_fail(s, "an initialiser that is not written here", err);
    }
    return out->external ? WZ_OK : wz_onnx_fail(s, "an initialiser without numbers", err);
}

static wz_status take_rest(wz_onnx_source *s, uint64_t from, uint64_t to, wz_error *err)
{
    unsigned char part[4096];
    wz_status status =
        s->rest.length + (to - from) <= MAX_REST ? WZ_OK : wz_onnx_fail(s, "a graph of too many nodes", err);
    while (status == WZ_OK && from < to) {
        const size_t count = to - from < sizeof part ? (size_t)(to - from) : sizeof part;
        status = wz_file_read_at(s->files[0], s->path, from, part, count, err);
        if (status == WZ_OK)
            status = wz_text_append(&s->rest, (const char *)part, count, err);
        from += count;
    }
    return status;
}

static wz_status take_graph(wz_onnx_source *s, uint64_t at, uint64_t end, wz_error *err)
{
    wz_status status = WZ_OK;
    while (status == WZ_OK && at < end) {
        const uint64_t start = at;
        wz_field field = {0};
        status = take_head(s, &at, end, &field, err);
        if (status != WZ_OK || field.wire != 2)
            return status != WZ_OK ? status : wz_onnx_fail(s, "a graph that is not written here", err);
        status = field.number == GRAPH_INITIALIZER ? take_initialiser(s, at, field.value, err)
                                                   : take_rest(s, start, at + field.value, err);
        at += field.value;
    }
    return status;
}

static wz_status take_model(wz_onnx_source *s, wz_error *err)
{
    wz_status status = WZ_OK;
    bool has_graph = false;
    for (uint64_t at = 0; status == WZ_OK && at < s->sizes[0];) {
        wz_field field = {0};
        status = take_head(s, &at, s->sizes[0], &field, err);
        if (status != WZ_OK || field.wire != 2)
            continue;
        if (field.number == MODEL_GRAPH && has_graph)
            return wz_onnx_fail(s, "two graphs", err);
        if (field.number == MODEL_GRAPH)
            status = take_graph(s, at, at + field.value, err);
        has_graph = has_graph || field.number == MODEL_GRAPH;
        at += field.value;
    }
    return status == WZ_OK && !has_graph ? wz_onnx_fail(s, "no graph", err) : status;
}

/* ---- reading numbers ---- */

static wz_status read_part(wz_onnx_source *s, size_t place, uint64_t skip, void *out, size_t count,
                           wz_error *err)
{
    const wz_onnx_found *f = &s->list[place];
    return wz_file_read_at(s->files[f->external ? 1 : 0], s->path, f->at + skip, out, count, err);
}

static wz_status read_blocks(wz_onnx_source *s, size_t index, size_t first, size_t rows, float *out,
                             wz_error *err)
{
    const wz_stored_tensor *t = &s->base.tensors[index];
    const size_t blocks = t->shape[1] / BLOCK, bytes = t->type == WZ_NUMBER_Q8_0 ? 32 : 16,
                 count = rows * blocks;
    void *stored = s->stored;
    wz_status status =
        wz_grow(&stored, &s->capacity, count * (bytes + sizeof(float)), 1, "rows of a tensor", err);
    s->stored = stored;
    if (status != WZ_OK)
        return status;
    float *scales = s->stored;
    unsigned char *packed = (unsigned char *)(scales + count);
    status = read_part(s, s->places[index][0], (uint64_t)first * blocks * bytes, packed, count * bytes, err);
    if (status == WZ_OK)
        status = read_part(s, s->places[index][1], (uint64_t)first * blocks * sizeof *scales, scales,
                           count * sizeof *scales, err);
    for (size_t b = 0; status == WZ_OK && b < count; b++)
        wz_onnx_unpack(t->type, packed + b * bytes, scales[b], out + b * BLOCK);
    return status;
}

static wz_status read_rows(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    wz_onnx_source *s = (wz_onnx_source *)(void *)self;
    const wz_stored_tensor *t = &self->tensors[index];
    const size_t width = t->rank == 2 ? t->shape[1] : 1;
    size_t skip = 0, bytes = 0;
    void *stored = s->stored;
    if (wz_number_block(t->type) > 1)
        return read_blocks(s, index, first, rows, out, err);
    (void)wz_number_bytes(t->type, first * width, &skip);
    (void)wz_number_bytes(t->type, rows * width, &bytes);
    wz_status status = wz_grow(&stored, &s->capacity, bytes, 1, "rows of a tensor", err);
    s->stored = stored;
    if (status == WZ_OK)
        status = read_part(s, s->places[index][0], skip, s->stored, bytes, err);
    if (status == WZ_OK)
        wz_numbers_decode(t->type, s->stored, rows * width, out);
    return status;
}

/* ---- opening ---- */

static wz_status open_file(wz_onnx_source *s, const char *folder, const char *name, int which, wz_error *err)
{
    struct stat info;
    wz_text path = {0};
    wz_status status = wz_text_printf(&path, err, "%s/%s", folder, name);
    if (status == WZ_OK && (which == 0 || wz_path_exists(path.data))) {
        s->files[which] = wz_file_open_retry(path.data, O_RDONLY | O_NONBLOCK); /* a pipe would wait */
        if (s->files[which] < 0 || fstat(s->files[which], &info) != 0)
            status = wz_file_fail_errno(err, errno, "open", path.data);
        else if (!S_ISREG(info.st_mode))
            status = wz_fail(err, WZ_ERR_CORRUPT, "%s is no regular file", path.data);
        else
            s->sizes[which] = (uint64_t)info.st_size;
    }
    if (status == WZ_OK && which == 0 && (s->path = strdup(path.data)) == NULL)
        status = wz_fail(err, WZ_ERR_RESOURCE, "out of memory for a path");
    wz_text_clear(&path);
    return status;
}

wz_status wz_onnx_open(const char *folder, const wz_model_config *config, wz_tensor_source **out,
                       wz_error *err)
{
    void *block = NULL;
    wz_status status = wz_alloc(&block, 1, sizeof(wz_onnx_source), "an ONNX file", err);
    if (status != WZ_OK)
        return status;
    wz_onnx_source *s = block;
    s->base = (wz_tensor_source){.read = read_rows, .close = close_source};
    s->files[0] = s->files[1] = -1;
    s->config = *config;
    status = open_file(s, folder, WZ_ONNX_FILE, 0, err);
    if (status == WZ_OK)
        status = open_file(s, folder, WZ_ONNX_DATA_FILE, 1, err);
    if (status == WZ_OK)
        status = take_model(s, err);
    if (status == WZ_OK)
        status = wz_onnx_match(s, err);
    if (status != WZ_OK) {
        close_source(&s->base);
        return status;
    }
    *out = &s->base;
    return WZ_OK;
}
