/* Reads back what onnx_write.c writes, and nothing else: the graph must be, byte for byte, the one for the model. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoints/onnx_fields.h"
#include "checkpoints/onnx_file.h"
#include "checkpoints/onnx_graph.h"
#include "engine/core/file.h"
#include "engine/core/file_internal.h"
#include "engine/model/model.h"

#define BLOCK 32
#define HEAD_BYTES 1024                /* of an initialiser: everything but its numbers */
#define MAX_REST ((uint64_t)256 << 20) /* of all nodes */

/* An initialiser found in the file. */
typedef struct found {
    wz_onnx_part part;
    uint64_t at;   /* of its numbers */
    bool external; /* in the data file */
} found;

typedef struct onnx_source {
    wz_tensor_source base;
    char *path;
    int files[2]; /* model.onnx, model.onnx.data; -1: there is none */
    uint64_t sizes[2];
    wz_model_config config;
    found *list;
    size_t list_count, list_capacity;
    wz_text rest; /* the graph without its initialisers */
    wz_param *params;
    wz_stored_tensor *tensors;
    size_t (*places)[2]; /* of each tensor's parts in the list */
    void *stored;
    size_t capacity;
} onnx_source;

static void close_source(wz_tensor_source *self)
{
    onnx_source *s = (onnx_source *)(void *)self;
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

static wz_status fail(const onnx_source *s, const char *what, wz_error *err)
{
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: %s", s->path, what);
}

/* ---- the file's messages ---- */

/* A tag, and for bytes their count, at *at; moves *at beyond them. */
static wz_status take_head(const onnx_source *s, uint64_t *at, uint64_t end, wz_field *field, wz_error *err)
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
                return fail(s, "no message of ONNX's kind", err);
            numbers[n] |= (uint64_t)(bytes[used] & 127u) << shift;
            shift += 7;
        } while (bytes[used++] >= 128);
    }
    *field = (wz_field){
        .number = (unsigned)(numbers[0] >> 3), .wire = (unsigned)(numbers[0] & 7), .value = numbers[1]};
    *at += used;
    if (status == WZ_OK && field->wire != 0 && field->wire != 2)
        return fail(s, "a field of a kind that is not written here", err);
    if (status == WZ_OK && field->wire == 2 && field->value > end - *at)
        return fail(s, "the file is cut off", err);
    return status;
}

static void take_external(const wz_field *field, found *out)
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
static bool take_tensor_field(const wz_field *field, found *out)
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
        (void)snprintf(part->name, sizeof part->name, "%.*s", (int)(field->value < 111 ? field->value : 111),
                       (const char *)field->bytes);
        return field->wire == 2;
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
static wz_status take_initialiser(onnx_source *s, uint64_t at, uint64_t length, wz_error *err)
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
    found *out = &s->list[s->list_count++];
    const unsigned char *place = head, *end = head + count;
    *out = (found){.at = 0};
    while (place < end) {
        const unsigned char *start = place;
        wz_field field = {0};
        bool broken = false;
        /* the numbers, which the head does not hold, come last: their tag and length alone */
        if (*start == (TENSOR_RAW << 3 | 2)) {
            uint64_t here = at + (uint64_t)(start - head);
            status = take_head(s, &here, at + length, &field, err);
            if (status == WZ_OK && here + field.value != at + length)
                status = fail(s, "an initialiser's numbers are not its last field", err);
            out->at = here;
            out->part.bytes = field.value;
            return status;
        }
        if (!wz_field_next(&place, end, &field, &broken) || !take_tensor_field(&field, out))
            return fail(s, "an initialiser that is not written here", err);
    }
    return out->external ? WZ_OK : fail(s, "an initialiser without numbers", err);
}

static wz_status take_rest(onnx_source *s, uint64_t from, uint64_t to, wz_error *err)
{
    unsigned char part[4096];
    wz_status status =
        s->rest.length + (to - from) <= MAX_REST ? WZ_OK : fail(s, "a graph of too many nodes", err);
    while (status == WZ_OK && from < to) {
        const size_t count = to - from < sizeof part ? (size_t)(to - from) : sizeof part;
        status = wz_file_read_at(s->files[0], s->path, from, part, count, err);
        if (status == WZ_OK)
            status = wz_text_append(&s->rest, (const char *)part, count, err);
        from += count;
    }
    return status;
}

static wz_status take_graph(onnx_source *s, uint64_t at, uint64_t end, wz_error *err)
{
    wz_status status = WZ_OK;
    while (status == WZ_OK && at < end) {
        const uint64_t start = at;
        wz_field field = {0};
        status = take_head(s, &at, end, &field, err);
        if (status != WZ_OK || field.wire != 2)
            return status != WZ_OK ? status : fail(s, "a graph that is not written here", err);
        status = field.number == GRAPH_INITIALIZER ? take_initialiser(s, at, field.value, err)
                                                   : take_rest(s, start, at + field.value, err);
        at += field.value;
    }
    return status;
}

static wz_status take_model(onnx_source *s, wz_error *err)
{
    wz_status status = WZ_OK;
    bool has_graph = false;
    for (uint64_t at = 0; status == WZ_OK && at < s->sizes[0];) {
        wz_field field = {0};
        status = take_head(s, &at, s->sizes[0], &field, err);
        if (status != WZ_OK || field.wire != 2)
            continue;
        if (field.number == MODEL_GRAPH && has_graph)
            return fail(s, "two graphs", err);
        if (field.number == MODEL_GRAPH)
            status = take_graph(s, at, at + field.value, err);
        has_graph = has_graph || field.number == MODEL_GRAPH;
        at += field.value;
    }
    return status == WZ_OK && !has_graph ? fail(s, "no graph", err) : status;
}

/* ---- what it should be ---- */

static size_t find_part(const onnx_source *s, const char *name)
{
    for (size_t i = 0; i < s->list_count; i++)
        if (strcmp(s->list[i].part.name, name) == 0)
            return i;
    return SIZE_MAX;
}

/* The type of export that stores this weight so. */
static bool type_of(const wz_onnx_part *part, wz_number_type *out)
{
    static const struct {
        int element;
        size_t last;
        wz_number_type type;
    } kinds[] = {{1, 0, WZ_NUMBER_F32},
                 {10, 0, WZ_NUMBER_F16},
                 {16, 0, WZ_NUMBER_BF16},
                 {2, 32, WZ_NUMBER_Q8_0},
                 {2, 16, WZ_NUMBER_Q4_0}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].element == part->element && (kinds[i].last == 0 || part->shape[2] == kinds[i].last)) {
            *out = kinds[i].type;
            return true;
        }
    return false;
}

static wz_status check_part(const onnx_source *s, const found *f, const wz_onnx_part *expected, wz_error *err)
{
    const int file = f->external ? 1 : 0;
    bool fits = f->part.element == expected->element && f->part.rank == expected->rank &&
                f->part.bytes == expected->bytes && s->files[file] >= 0 && f->at <= s->sizes[file] &&
                f->part.bytes <= s->sizes[file] - f->at;
    for (size_t d = 0; d < expected->rank; d++)
        fits = fits && f->part.shape[d] == expected->shape[d];
    return fits ? WZ_OK
                : wz_fail(err, WZ_ERR_CORRUPT,
                          "%s: initialiser '%s' has another shape or type, or lies outside the file", s->path,
                          f->part.name);
}

static wz_status match_param(onnx_source *s, size_t p, wz_error *err)
{
    const wz_param *param = &s->params[p];
    wz_onnx_part expected[2];
    wz_stored_tensor *tensor = &s->tensors[p];
    *tensor = (wz_stored_tensor){.name = param->name,
                                 .rank = param->rank,
                                 .shape = {(size_t)param->shape[0], (size_t)param->shape[1]}};
    s->places[p][0] = find_part(s, param->name);
    if (s->places[p][0] == SIZE_MAX || !type_of(&s->list[s->places[p][0]].part, &tensor->type))
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: initialiser '%s' is missing, or of a type not written here",
                       s->path, param->name);
    const size_t count = wz_onnx_parts(tensor, tensor->type, expected);
    wz_status status = check_part(s, &s->list[s->places[p][0]], &expected[0], err);
    if (status != WZ_OK || count == 1)
        return status;
    s->places[p][1] = find_part(s, expected[1].name);
    return s->places[p][1] == SIZE_MAX
               ? wz_fail(err, WZ_ERR_CORRUPT, "%s: initialiser '%s' is missing", s->path, expected[1].name)
               : check_part(s, &s->list[s->places[p][1]], &expected[1], err);
}

/* RoPE's tables: this model's, number by number. */
static wz_status match_table(onnx_source *s, const char *name, bool sines, wz_error *err)
{
    const size_t half = (size_t)s->config.head_dim / 2, rows = (size_t)s->config.max_position_embeddings;
    const wz_onnx_part expected = {
        .element = 1, .rank = 2, .shape = {rows, half}, .bytes = (uint64_t)rows * half * 4};
    const size_t place = find_part(s, name);
    void *block = NULL;
    if (place == SIZE_MAX)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: initialiser '%s' is missing", s->path, name);
    const found *f = &s->list[place];
    wz_status status = check_part(s, f, &expected, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, 2 * half, sizeof(float), "RoPE's table", err);
    float *read = block, *made = read + half;
    for (size_t p = 0; status == WZ_OK && p < rows; p++) {
        wz_model_rope_angles(&s->config, (int64_t)p, sines ? NULL : made, sines ? made : NULL);
        status = wz_file_read_at(s->files[f->external ? 1 : 0], s->path, f->at + p * half * 4, read, half * 4,
                                 err);
        if (status == WZ_OK && memcmp(read, made, half * sizeof *read) != 0)
            status = fail(s, "RoPE's tables are another model's", err);
    }
    free(block);
    return status;
}

/* The graph of an export of some type that stores these weights so. */
static wz_status match_graph(const onnx_source *s, wz_error *err)
{
    bool same = false;
    wz_status status = WZ_OK;
    for (int t = 0; status == WZ_OK && !same && t < WZ_NUMBER_TYPES; t++) {
        wz_message graph;
        wz_message_start(&graph, err);
        wz_onnx_write_nodes(&s->config, (wz_number_type)t, &graph);
        wz_message_string(&graph, 2, "wavezero");
        wz_onnx_write_values(&s->config, &graph);
        status = graph.status;
        same = status == WZ_OK && graph.bytes.length == s->rest.length &&
               memcmp(graph.bytes.data, s->rest.data, s->rest.length) == 0;
        wz_message_clear(&graph);
    }
    return status == WZ_OK && !same
               ? fail(s, "its graph is not the one that Wavezero writes for the model of config.json", err)
               : status;
}

static wz_status match(onnx_source *s, wz_error *err)
{
    size_t count = 0;
    void *block = NULL;
    wz_status status = wz_model_list_params(&s->config, &s->params, &count, err);
    if (status == WZ_OK)
        status = wz_alloc(&block, count, sizeof *s->tensors, "an ONNX file's tensors", err);
    s->tensors = block;
    if (status == WZ_OK)
        status = wz_alloc(&block, count, sizeof *s->places, "an ONNX file's tensors", err);
    s->places = status == WZ_OK ? block : NULL;
    for (size_t p = 0; status == WZ_OK && p < count; p++)
        status = match_param(s, p, err);
    s->base.tensors = s->tensors;
    s->base.count = count;
    if (status == WZ_OK)
        status = match_table(s, WZ_ONNX_COSINES, false, err);
    if (status == WZ_OK)
        status = match_table(s, WZ_ONNX_SINES, true, err);
    return status == WZ_OK ? match_graph(s, err) : status;
}

/* ---- reading numbers ---- */

static wz_status read_part(onnx_source *s, size_t place, uint64_t skip, void *out, size_t count,
                           wz_error *err)
{
    const found *f = &s->list[place];
    return wz_file_read_at(s->files[f->external ? 1 : 0], s->path, f->at + skip, out, count, err);
}

static wz_status read_blocks(onnx_source *s, size_t index, size_t first, size_t rows, float *out,
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
    onnx_source *s = (onnx_source *)(void *)self;
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

static wz_status open_file(onnx_source *s, const char *folder, const char *name, int which, wz_error *err)
{
    struct stat info;
    wz_text path = {0};
    wz_status status = wz_text_printf(&path, err, "%s/%s", folder, name);
    if (status == WZ_OK && (which == 0 || wz_path_exists(path.data))) {
        s->files[which] = wz_file_open_retry(path.data, O_RDONLY);
        if (s->files[which] < 0 || fstat(s->files[which], &info) != 0)
            status = wz_file_fail_errno(err, errno, "open", path.data);
        else if (!S_ISREG(info.st_mode))
            status = wz_fail(err, WZ_ERR_USAGE, "%s is no file", path.data);
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
    wz_status status = wz_alloc(&block, 1, sizeof(onnx_source), "an ONNX file", err);
    if (status != WZ_OK)
        return status;
    onnx_source *s = block;
    s->base = (wz_tensor_source){NULL, 0, read_rows, close_source};
    s->files[0] = s->files[1] = -1;
    s->config = *config;
    status = open_file(s, folder, WZ_ONNX_FILE, 0, err);
    if (status == WZ_OK)
        status = open_file(s, folder, WZ_ONNX_DATA_FILE, 1, err);
    if (status == WZ_OK)
        status = take_model(s, err);
    if (status == WZ_OK)
        status = match(s, err);
    if (status != WZ_OK) {
        close_source(&s->base);
        return status;
    }
    *out = &s->base;
    return WZ_OK;
}
