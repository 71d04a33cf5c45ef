#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/onnx_fields.h"
#include "checkpoints/onnx_file.h"
#include "checkpoints/onnx_graph.h"
#include "engine/core/block_file.h"
#include "engine/model/model.h"

#define BLOCK 32
#define DATA_ALIGNMENT 4096 /* of a tensor in the data file: runtimes map it */

size_t wz_onnx_parts(const wz_stored_tensor *tensor, wz_number_type type, wz_onnx_part parts[2])
{
    static const int elements[] = {ELEMENT_FLOAT, ELEMENT_FLOAT16, ELEMENT_BFLOAT16};
    const size_t width = tensor->rank == 2 ? tensor->shape[1] : 1, rows = tensor->shape[0];
    const size_t blocks = width / BLOCK, block_bytes = type == WZ_NUMBER_Q8_0 ? 32 : 16;
    (void)snprintf(parts[0].name, sizeof parts[0].name, "%s", tensor->name);
    if (type == WZ_NUMBER_Q8_0 || type == WZ_NUMBER_Q4_0) {
        parts[0].element = ELEMENT_UINT8;
        parts[0].rank = 3;
        parts[0].shape[0] = rows;
        parts[0].shape[1] = blocks;
        parts[0].shape[2] = block_bytes;
        parts[0].bytes = (uint64_t)rows * blocks * block_bytes;
        parts[1] = (wz_onnx_part){.element = ELEMENT_FLOAT,
                                  .rank = 2,
                                  .shape = {rows, blocks},
                                  .bytes = (uint64_t)rows * blocks * 4};
        (void)snprintf(parts[1].name, sizeof parts[1].name, "%.100s" WZ_ONNX_SCALES, tensor->name);
        return 2;
    }
    parts[0].element = elements[type];
    parts[0].rank = tensor->rank;
    parts[0].shape[0] = rows;
    parts[0].shape[1] = width;
    parts[0].shape[2] = 0;
    parts[0].bytes = (uint64_t)wz_tensor_elements(tensor) * (type == WZ_NUMBER_F32 ? 4 : 2);
    return 1;
}

/* The scale as the 16 bits before the block say it. */
void wz_onnx_pack(wz_number_type type, const unsigned char *block, unsigned char *packed, float *scale)
{
    const unsigned char *q = block + 2;
    wz_numbers_decode(WZ_NUMBER_F16, block, 1, scale);
    if (type == WZ_NUMBER_Q8_0) {
        for (int i = 0; i < BLOCK; i++)
            packed[i] = (unsigned char)(q[i] + 128);
        return;
    }
    for (int i = 0; i < BLOCK / 2; i++) {
        const int a = 2 * i, b = a + 1; /* elements 0..15 are low halves, 16..31 high ones */
        const unsigned low = a < 16 ? q[a] & 15u : q[a - 16] >> 4,
                       high = b < 16 ? q[b] & 15u : q[b - 16] >> 4;
        packed[i] = (unsigned char)(low | high << 4);
    }
}

void wz_onnx_unpack(wz_number_type type, const unsigned char *packed, float scale, float numbers[BLOCK])
{
    for (int i = 0; i < BLOCK; i++)
        numbers[i] = type == WZ_NUMBER_Q8_0 ? scale * (float)(packed[i] - 128)
                                            : (float)((packed[i / 2] >> (i % 2 * 4) & 15) - 8) * scale;
}

/* ---- the file ---- */

typedef struct onnx_writer {
    const wz_portable *model;
    wz_number_type type;
    const wz_byte_count *count;
    wz_block_file file, data;
    bool beside;      /* weights stand in `data`, not in `file` */
    uint64_t data_at; /* of the next weight there */
    unsigned char *block, *packed;
    float *scales;
    size_t capacity;
    wz_error *err;
} onnx_writer;

static uint64_t aligned(uint64_t offset)
{
    return (offset + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
}

static void put_external(wz_message *tensor, const char *key, const char *value)
{
    wz_message entry;
    wz_message_start(&entry, tensor->err);
    wz_message_string(&entry, 1, key);
    wz_message_string(&entry, 2, value);
    wz_message_message(tensor, TENSOR_EXTERNAL, &entry);
    wz_message_clear(&entry);
}

/* A TensorProto but for the bytes of raw_data, which follow. */
static void put_tensor(onnx_writer *w, const wz_onnx_part *part, wz_message *tensor)
{
    char number[32];
    for (size_t d = 0; d < part->rank; d++)
        wz_message_integer(tensor, TENSOR_DIMS, (int64_t)part->shape[d]);
    wz_message_integer(tensor, TENSOR_TYPE, part->element);
    wz_message_string(tensor, TENSOR_NAME, part->name);
    if (!w->beside) {
        wz_message_head(tensor, TENSOR_RAW, part->bytes);
        return;
    }
    put_external(tensor, "location", WZ_ONNX_DATA_FILE);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)w->data_at);
    put_external(tensor, "offset", number);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)part->bytes);
    put_external(tensor, "length", number);
    wz_message_integer(tensor, TENSOR_LOCATION, 1);
    w->data_at = aligned(w->data_at + part->bytes);
}

static const char *const tables[2] = {WZ_ONNX_COSINES, WZ_ONNX_SINES};

static wz_onnx_part table_part(const wz_model_config *c, int which)
{
    const size_t rows = (size_t)c->max_position_embeddings, half = (size_t)c->head_dim / 2;
    wz_onnx_part part = {
        .element = ELEMENT_FLOAT, .rank = 2, .shape = {rows, half}, .bytes = (uint64_t)rows * half * 4};
    (void)snprintf(part.name, sizeof part.name, "%s", tables[which]);
    return part;
}

uint64_t wz_onnx_table_bytes(const wz_model_config *c)
{
    uint64_t sum = 0;
    for (int which = 0; which < 2; which++)
        sum += table_part(c, which).bytes;
    return sum;
}

/* Every initialiser in the order of the file. */
typedef struct initialisers {
    wz_onnx_part *parts;
    size_t count;
} initialisers;

static wz_status list_parts(const onnx_writer *w, initialisers *out)
{
    const wz_tensor_source *source = w->model->tensors;
    void *block = NULL;
    wz_status status = wz_alloc(&block, 2 * source->count + 2, sizeof(wz_onnx_part), "an ONNX file", w->err);
    if (status != WZ_OK)
        return status;
    out->parts = block;
    for (int i = 0; i < 2; i++)
        out->parts[out->count++] = table_part(&w->model->model, i);
    for (size_t i = 0; i < source->count; i++) {
        const wz_stored_tensor *t = &source->tensors[i];
        out->count += wz_onnx_parts(t, wz_onnx_stored_type(t->name, t->rank, t->shape[1], w->type),
                                    out->parts + out->count);
    }
    return WZ_OK;
}

/* Length of the graph's message: what is before, between and after the weights' bytes, and these. */
static wz_status measure_graph(onnx_writer *w, const initialisers *list, size_t nodes, size_t values,
                               uint64_t *out)
{
    wz_message tensor, head;
    wz_status status = WZ_OK;
    wz_message_start(&tensor, w->err);
    wz_message_start(&head, w->err);
    *out = nodes + values;
    w->data_at = 0;
    for (size_t i = 0; status == WZ_OK && i < list->count; i++) {
        tensor.bytes.length = head.bytes.length = 0;
        put_tensor(w, &list->parts[i], &tensor);
        const uint64_t length = tensor.bytes.length + (!w->beside ? list->parts[i].bytes : 0);
        wz_message_head(&head, GRAPH_INITIALIZER, length);
        *out += head.bytes.length + length;
        status = tensor.status != WZ_OK ? tensor.status : head.status;
    }
    w->data_at = 0;
    wz_message_clear(&tensor);
    wz_message_clear(&head);
    return status;
}

/* The head of an initialiser, in the file; its bytes follow there or stand at the same place of the data file. */
static wz_status begin_part(onnx_writer *w, const wz_onnx_part *part)
{
    wz_message tensor, head;
    static const char zeros[DATA_ALIGNMENT];
    const uint64_t at = w->data_at;
    wz_message_start(&tensor, w->err);
    wz_message_start(&head, w->err);
    put_tensor(w, part, &tensor);
    wz_message_head(&head, GRAPH_INITIALIZER, tensor.bytes.length + (!w->beside ? part->bytes : 0));
    wz_status status = tensor.status != WZ_OK ? tensor.status : head.status;
    if (status == WZ_OK)
        status = wz_block_file_append(&w->file, head.bytes.data, head.bytes.length, w->err);
    if (status == WZ_OK)
        status = wz_block_file_append(&w->file, tensor.bytes.data, tensor.bytes.length, w->err);
    if (status == WZ_OK && w->beside)
        status = wz_block_file_append(&w->data, zeros, (size_t)(at - w->data.bytes), w->err);
    wz_message_clear(&tensor);
    wz_message_clear(&head);
    return status;
}

static wz_status write_weights(onnx_writer *w, const void *bytes, size_t count)
{
    const wz_status status = wz_block_file_append(w->beside ? &w->data : &w->file, bytes, count, w->err);
    return status == WZ_OK ? wz_byte_count_add(w->count, count, w->err) : status;
}

static wz_status write_table(onnx_writer *w, int which)
{
    const wz_model_config *c = &w->model->model;
    const wz_onnx_part part = table_part(c, which);
    const size_t half = part.shape[1];
    void *block = NULL;
    wz_status status = begin_part(w, &part);
    if (status == WZ_OK)
        status = wz_alloc(&block, half, sizeof(float), "RoPE's table", w->err);
    float *row = block;
    for (size_t p = 0; status == WZ_OK && p < part.shape[0]; p++) {
        wz_model_rope_angles(c, (int64_t)p, which == 0 ? row : NULL, which == 1 ? row : NULL);
        status = write_weights(w, row, half * sizeof *row);
    }
    free(block);
    return status;
}

/* ---- a weight ---- */

typedef struct sink {
    onnx_writer *writer;
    wz_number_type type;
    bool scales; /* of a quantised weight, its scales this time */
} sink;

static wz_status make_room(onnx_writer *w, size_t count)
{
    void *block = NULL;
    if (count <= w->capacity)
        return WZ_OK;
    free(w->block);
    w->block = NULL;
    w->capacity = 0;
    /* as stored: at most 4 bytes a number; packed: at most one; scales: an eighth */
    wz_status status = wz_alloc(&block, count, 4 + 1 + 4, "stored numbers", w->err);
    if (status != WZ_OK)
        return status;
    w->block = block;
    w->scales = (float *)(void *)(w->block + 4 * count);
    w->packed = w->block + 8 * count;
    w->capacity = count;
    return WZ_OK;
}

static wz_status take_rows(void *user, const float *numbers, size_t count, wz_error *err)
{
    const sink *s = user;
    onnx_writer *w = s->writer;
    size_t bytes = 0;
    (void)err;
    wz_status status = make_room(w, count);
    if (status != WZ_OK || !wz_number_bytes(s->type, count, &bytes))
        return status;
    wz_numbers_encode(s->type, numbers, count, w->block);
    if (s->type != WZ_NUMBER_Q8_0 && s->type != WZ_NUMBER_Q4_0)
        return write_weights(w, w->block, bytes);
    const size_t blocks = count / BLOCK, block_bytes = bytes / blocks;
    for (size_t b = 0; b < blocks; b++)
        wz_onnx_pack(s->type, w->block + b * block_bytes, w->packed + b * (block_bytes - 2), &w->scales[b]);
    return s->scales ? write_weights(w, w->scales, blocks * sizeof *w->scales)
                     : write_weights(w, w->packed, blocks * (block_bytes - 2));
}

static wz_status write_weight(onnx_writer *w, size_t index)
{
    wz_tensor_source *source = w->model->tensors;
    const wz_stored_tensor *t = &source->tensors[index];
    wz_onnx_part parts[2];
    sink s = {.writer = w, .type = wz_onnx_stored_type(t->name, t->rank, t->shape[1], w->type)};
    const size_t count = wz_onnx_parts(t, s.type, parts);
    wz_status status = WZ_OK;
    for (size_t p = 0; status == WZ_OK && p < count; p++) {
        s.scales = p == 1;
        status = begin_part(w, &parts[p]);
        if (status == WZ_OK)
            status = wz_tensor_stream(source, index, take_rows, &s, w->err);
    }
    return status;
}

/* ---- all of it ---- */

static void put_opset(wz_message *model, const char *domain, int64_t version)
{
    wz_message opset;
    wz_message_start(&opset, model->err);
    wz_message_string(&opset, 1, domain);
    wz_message_integer(&opset, 2, version);
    wz_message_message(model, MODEL_OPSET, &opset);
    wz_message_clear(&opset);
}

static wz_status write_model(onnx_writer *w, const initialisers *list, wz_message *nodes,
                             const wz_message *values)
{
    wz_message model;
    uint64_t length = 0;
    wz_status status = nodes->status != WZ_OK ? nodes->status : values->status;
    if (status == WZ_OK)
        status = measure_graph(w, list, nodes->bytes.length, values->bytes.length, &length);
    wz_message_start(&model, w->err);
    wz_message_integer(&model, MODEL_VERSION, 8);
    wz_message_string(&model, MODEL_PRODUCER, "wavezero");
    put_opset(&model, "", 17);
    if (w->type == WZ_NUMBER_Q8_0 || w->type == WZ_NUMBER_Q4_0)
        put_opset(&model, "com.microsoft", 1);
    wz_message_head(&model, MODEL_GRAPH, length);
    if (status == WZ_OK)
        status = model.status;
    if (status == WZ_OK)
        status = wz_block_file_append(&w->file, model.bytes.data, model.bytes.length, w->err);
    if (status == WZ_OK)
        status = wz_block_file_append(&w->file, nodes->bytes.data, nodes->bytes.length, w->err);
    for (int i = 0; status == WZ_OK && i < 2; i++)
        status = write_table(w, i);
    for (size_t i = 0; status == WZ_OK && i < w->model->tensors->count; i++)
        status = write_weight(w, i);
    if (status == WZ_OK)
        status = wz_block_file_append(&w->file, values->bytes.data, values->bytes.length, w->err);
    wz_message_clear(&model);
    return status;
}

static wz_status write_parts(onnx_writer *w, const initialisers *list)
{
    wz_message nodes, values;
    wz_message_start(&nodes, w->err);
    wz_message_start(&values, w->err);
    wz_onnx_write_nodes(&w->model->model, w->type, &nodes);
    wz_message_string(&values, GRAPH_NAME, "wavezero");
    wz_onnx_write_values(&w->model->model, &values);
    const wz_status status = write_model(w, list, &nodes, &values);
    wz_message_clear(&nodes);
    wz_message_clear(&values);
    return status;
}

static wz_status create(const char *folder, const char *name, wz_block_file *out, wz_error *err)
{
    wz_text path = {0};
    wz_status status = wz_text_printf(&path, err, "%s/%s", folder, name);
    if (status == WZ_OK)
        status = wz_block_file_create(out, path.data, err);
    wz_text_clear(&path);
    return status;
}

wz_status wz_onnx_write(const wz_portable *model, wz_number_type type, const char *folder,
                        uint64_t inline_bytes, const wz_byte_count *bytes, wz_error *err)
{
    onnx_writer w = {.model = model,
                     .type = type,
                     .count = bytes,
                     .file = {.descriptor = -1},
                     .data = {.descriptor = -1},
                     .err = err};
    initialisers list = {0};
    uint64_t sum = 0;
    wz_status status = list_parts(&w, &list);
    for (size_t i = 0; i < list.count; i++)
        sum += list.parts[i].bytes;
    w.beside = sum > inline_bytes;
    if (status == WZ_OK)
        status = create(folder, WZ_ONNX_FILE, &w.file, err);
    if (status == WZ_OK && w.beside)
        status = create(folder, WZ_ONNX_DATA_FILE, &w.data, err);
    if (status == WZ_OK)
        status = write_parts(&w, &list);
    if (status == WZ_OK)
        status = wz_block_file_finish(&w.file, err);
    if (status == WZ_OK)
        wz_byte_count_written(bytes, &w.file);
    if (status == WZ_OK && w.beside)
        status = wz_block_file_finish(&w.data, err);
    if (status == WZ_OK && w.beside)
        wz_byte_count_written(bytes, &w.data);
    wz_block_file_close(&w.file);
    wz_block_file_close(&w.data);
    free(w.block);
    free(list.parts);
    return status;
}
