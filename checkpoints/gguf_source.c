#include "checkpoints/gguf_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"

/* ---- names ---- */

static const struct {
    const char *theirs, *ours;
} outer[] =
    {
        {"token_embd.weight", "model.embed_tokens.weight"},
        {"output_norm.weight", "model.norm.weight"},
        {"output.weight", "lm_head.weight"},
},
  inner[] = {
      {"attn_norm.weight", "input_layernorm.weight"},
      {"attn_q.weight", "self_attn.q_proj.weight"},
      {"attn_k.weight", "self_attn.k_proj.weight"},
      {"attn_v.weight", "self_attn.v_proj.weight"},
      {"attn_output.weight", "self_attn.o_proj.weight"},
      {"attn_q.bias", "self_attn.q_proj.bias"},
      {"attn_k.bias", "self_attn.k_proj.bias"},
      {"attn_v.bias", "self_attn.v_proj.bias"},
      {"attn_q_norm.weight", "self_attn.q_norm.weight"},
      {"attn_k_norm.weight", "self_attn.k_norm.weight"},
      {"ffn_norm.weight", "post_attention_layernorm.weight"},
      {"ffn_gate.weight", "mlp.gate_proj.weight"},
      {"ffn_up.weight", "mlp.up_proj.weight"},
      {"ffn_down.weight", "mlp.down_proj.weight"},
};
#define OUTER (sizeof outer / sizeof outer[0])
#define INNER (sizeof inner / sizeof inner[0])

/* model.layers.N.rest -> blk.N.rest', and the other way; false: no such name. */
static bool their_model_name(const char *ours, char out[WZ_GGUF_MAX_NAME + 1])
{
    char *rest = NULL;
    for (size_t i = 0; i < OUTER; i++)
        if (strcmp(outer[i].ours, ours) == 0)
            return snprintf(out, WZ_GGUF_MAX_NAME + 1, "%s", outer[i].theirs) > 0;
    if (strncmp(ours, "model.layers.", 13) != 0)
        return false;
    const long layer = strtol(ours + 13, &rest, 10);
    for (size_t i = 0; *rest == '.' && i < INNER; i++)
        if (strcmp(inner[i].ours, rest + 1) == 0)
            return snprintf(out, WZ_GGUF_MAX_NAME + 1, "blk.%ld.%s", layer, inner[i].theirs) > 0;
    return false;
}

static bool our_model_name(const char *theirs, char *out, size_t size)
{
    char *rest = NULL;
    for (size_t i = 0; i < OUTER; i++)
        if (strcmp(outer[i].theirs, theirs) == 0)
            return snprintf(out, size, "%s", outer[i].ours) > 0;
    if (strncmp(theirs, "blk.", 4) != 0 || theirs[4] < '0' || theirs[4] > '9')
        return false;
    const long layer = strtol(theirs + 4, &rest, 10);
    for (size_t i = 0; *rest == '.' && i < INNER; i++)
        if (strcmp(inner[i].theirs, rest + 1) == 0)
            return snprintf(out, size, "model.layers.%ld.%s", layer, inner[i].ours) > 0;
    return false;
}

/* base_model.model.X.lora_A.weight -> (X.weight in GGUF).lora_a, and the other way. */
static const char peft_front[] = "base_model.model.";
static const struct {
    const char *theirs, *ours;
} ends[] = {{".lora_a", ".lora_A.weight"}, {".lora_b", ".lora_B.weight"}};

static bool ends_in(const char *name, const char *end)
{
    const size_t length = strlen(name), tail = strlen(end);
    return length > tail && strcmp(name + length - tail, end) == 0;
}

static bool their_name(const char *ours, char out[WZ_GGUF_MAX_NAME + 1])
{
    char inner_name[128], weight[WZ_GGUF_MAX_NAME + 1];
    const size_t front = sizeof peft_front - 1;
    for (size_t i = 0; strncmp(ours, peft_front, front) == 0 && i < 2; i++) {
        if (!ends_in(ours, ends[i].ours) || strlen(ours) >= sizeof inner_name)
            continue;
        (void)snprintf(inner_name, sizeof inner_name, "%.*s.weight",
                       (int)(strlen(ours) - front - strlen(ends[i].ours)), ours + front);
        return their_model_name(inner_name, weight) &&
               snprintf(out, WZ_GGUF_MAX_NAME + 1, "%s%s", weight, ends[i].theirs) <= WZ_GGUF_MAX_NAME;
    }
    return their_model_name(ours, out);
}

static bool our_name(const char *theirs, char *out, size_t size)
{
    char weight[WZ_GGUF_MAX_NAME + 1], inner_name[96];
    for (size_t i = 0; i < 2; i++) {
        if (!ends_in(theirs, ends[i].theirs))
            continue;
        (void)snprintf(weight, sizeof weight, "%.*s", (int)(strlen(theirs) - strlen(ends[i].theirs)), theirs);
        if (!our_model_name(weight, inner_name, sizeof inner_name) || !ends_in(inner_name, ".weight"))
            return false;
        const int length = snprintf(out, size, "%s%.*s%s", peft_front, (int)(strlen(inner_name) - 7),
                                    inner_name, ends[i].ours);
        return length > 0 && (size_t)length < size;
    }
    return our_model_name(theirs, out, size);
}

/* Heads of q or k if this architecture reorders the tensor's rows, else 0. Of an adapter B (A x), B has these rows. */
static size_t reordered_heads(const wz_model_config *config, const char *ours)
{
    const char *end = strstr(ours, ".self_attn.");
    if (config->model_type != WZ_MODEL_LLAMA || end == NULL || ends_in(ours, ".lora_A.weight"))
        return 0;
    if (strncmp(end + 11, "q_proj.", 7) == 0)
        return (size_t)config->num_attention_heads;
    return strncmp(end + 11, "k_proj.", 7) == 0 ? (size_t)config->num_key_value_heads : 0;
}

/* Row of Hugging Face's that stands at row `row` of llama.cpp's. */
static size_t our_row(size_t row, size_t head_dim)
{
    const size_t in_head = row % head_dim;
    return row - in_head + in_head % 2 * (head_dim / 2) + in_head / 2;
}

/* ---- writing ---- */

/* Norms and biases stay f32, which llama.cpp adds them as; rows that blocks of 32 do not fill are f16, as its own converter has
 * it. */
static wz_number_type type_of(const wz_stored_tensor *tensor, wz_number_type type)
{
    if (tensor->rank == 1)
        return WZ_NUMBER_F32;
    return tensor->shape[1] % wz_number_block(type) == 0 ? type : WZ_NUMBER_F16;
}

wz_status wz_gguf_add_source(wz_gguf_output *e, const wz_tensor_source *source, wz_error *err)
{
    char name[WZ_GGUF_MAX_NAME + 1];
    for (size_t i = 0; i < source->count; i++) {
        const wz_stored_tensor *tensor = &source->tensors[i];
        if (!their_name(tensor->name, name))
            return wz_fail(err, WZ_ERR_RUNTIME, "tensor '%s' has no name in GGUF", tensor->name);
        wz_gguf_add_tensor(&e->writer, name, type_of(tensor, e->type), tensor->rank, tensor->shape);
    }
    return e->writer.status;
}

typedef struct numbers_sink {
    wz_gguf_output *output;
    wz_number_type type;
} numbers_sink;

static wz_status count_numbers(const numbers_sink *sink, size_t count)
{
    wz_gguf_output *e = sink->output;
    size_t bytes = 0;
    if (e->writer.status == WZ_OK && wz_number_bytes(sink->type, count, &bytes))
        e->writer.status = wz_byte_count_add(e->bytes, bytes, e->writer.err);
    return e->writer.status;
}

static wz_status take_stored(void *user, const void *stored, size_t count, wz_error *err)
{
    const numbers_sink *sink = user;
    (void)err;
    wz_gguf_write_stored(&sink->output->writer, sink->type, stored, count);
    return count_numbers(sink, count);
}

static wz_status take_numbers(const numbers_sink *sink, const float *numbers, size_t count)
{
    wz_gguf_write_numbers(&sink->output->writer, sink->type, numbers, count);
    return count_numbers(sink, count);
}

/* q or k of the llama architecture, a head at a time. */
static wz_status write_reordered(wz_gguf_output *e, wz_tensor_source *source, size_t index, wz_error *err)
{
    const wz_stored_tensor *tensor = &source->tensors[index];
    const size_t head_dim = (size_t)e->model->model.head_dim, width = tensor->shape[1];
    numbers_sink sink = {e, type_of(tensor, e->type)};
    void *block = NULL;
    wz_status status = wz_alloc(&block, 2 * head_dim * width, sizeof(float), "a head's rows", err);
    float *ours = block, *theirs = ours + head_dim * width;
    for (size_t row = 0; status == WZ_OK && row < tensor->shape[0]; row += head_dim) {
        status = source->read(source, index, row, head_dim, ours, err);
        for (size_t i = 0; i < head_dim; i++)
            memcpy(theirs + i * width, ours + our_row(i, head_dim) * width, width * sizeof *ours);
        if (status == WZ_OK)
            status = take_numbers(&sink, theirs, head_dim * width);
    }
    free(block);
    return status;
}

wz_status wz_gguf_write_source(wz_gguf_output *e, wz_tensor_source *source, wz_error *err)
{
    wz_status status = wz_tensor_expect_all(source, err);
    for (size_t i = 0; status == WZ_OK && i < source->count; i++) {
        numbers_sink sink = {e, type_of(&source->tensors[i], e->type)};
        status = reordered_heads(&e->model->model, source->tensors[i].name) > 0
                     ? write_reordered(e, source, i, err)
                     : wz_tensor_stream_as(source, i, sink.type, take_stored, &sink, err);
        wz_gguf_end_tensor(&e->writer);
    }
    return status;
}

/* ---- reading ---- */

typedef struct gguf_source {
    wz_tensor_source base;
    wz_gguf *file;
    wz_model_config config;
    size_t *index; /* [count] of the file's tensors */
    char (*names)[96];
    wz_stored_tensor *tensors;
    unsigned char *stored; /* rows as they lie in the file */
    size_t capacity;
    wz_read_ahead *ahead;
} gguf_source;

static void close_source(wz_tensor_source *self)
{
    gguf_source *source = (gguf_source *)(void *)self;
    wz_read_ahead_stop(source->ahead);
    wz_gguf_close(source->file);
    free(source->index);
    free(source->names);
    free(source->tensors);
    free(source->stored);
    free(source);
}

/* Rows of the file, as they stand there. */
static wz_status read_their_rows(gguf_source *source, size_t index, size_t first, size_t rows, float *out,
                                 wz_error *err)
{
    const wz_gguf_tensor *tensor = &source->file->tensors[source->index[index]];
    const size_t width = tensor->rank == 2 ? tensor->shape[1] : 1;
    size_t skip = 0, bytes = 0;
    void *stored = source->stored;
    if (!wz_number_bytes(tensor->type, first * width, &skip) ||
        !wz_number_bytes(tensor->type, rows * width, &bytes))
        return wz_fail(err, WZ_ERR_RUNTIME, "%s: part of a block of '%s' was asked for", source->file->path,
                       tensor->name);
    wz_status status = wz_grow(&stored, &source->capacity, bytes, 1, "rows of a tensor", err);
    source->stored = stored;
    if (status == WZ_OK)
        status = wz_read_ahead_at(source->ahead, source->file->descriptor, source->file->path,
                                  tensor->offset + skip, source->stored, bytes, err);
    if (status == WZ_OK)
        wz_numbers_decode(tensor->type, source->stored, rows * width, out);
    return status;
}

/* Rows in our order: within a head they come from all over it. */
static wz_status read_rows(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    gguf_source *source = (gguf_source *)(void *)self;
    const wz_stored_tensor *tensor = &self->tensors[index];
    const size_t head_dim = (size_t)source->config.head_dim;
    if (reordered_heads(&source->config, tensor->name) == 0)
        return read_their_rows(source, index, first, rows, out, err);
    const size_t width = tensor->shape[1], begin = first / head_dim * head_dim,
                 end = (first + rows + head_dim - 1) / head_dim * head_dim;
    void *block = NULL;
    wz_status status = wz_alloc(&block, (end - begin) * width, sizeof(float), "rows of a tensor", err);
    const float *theirs = block;
    if (status == WZ_OK)
        status = read_their_rows(source, index, begin, end - begin, block, err);
    for (size_t row = begin; status == WZ_OK && row < end; row++) {
        const size_t ours = our_row(row, head_dim);
        if (ours >= first && ours < first + rows)
            memcpy(out + (ours - first) * width, theirs + (row - begin) * width, width * sizeof *out);
    }
    free(block);
    return status;
}

static wz_status expect(wz_tensor_source *self, const size_t *order, size_t count, wz_error *err)
{
    gguf_source *source = (gguf_source *)(void *)self;
    void *block = NULL;
    const wz_status status = wz_alloc(&block, count, sizeof(wz_extent), "a list of tensors", err);
    wz_extent *extents = block;
    for (size_t i = 0; status == WZ_OK && i < count; i++) {
        const wz_gguf_tensor *tensor = &source->file->tensors[source->index[order[i]]];
        size_t bytes = 0; /* of a tensor whose size was checked */
        (void)wz_number_bytes(tensor->type, wz_tensor_elements(&self->tensors[order[i]]), &bytes);
        extents[i] = (wz_extent){source->file->descriptor, tensor->offset, bytes};
    }
    if (status == WZ_OK) {
        wz_read_ahead_stop(source->ahead);
        source->ahead = wz_read_ahead_start(extents, count);
    }
    free(block);
    return status;
}

static wz_status allocate_source(wz_gguf *file, gguf_source **out, wz_error *err)
{
    void *block = NULL;
    const size_t count = file->tensor_count;
    wz_status status = wz_alloc(&block, 1, sizeof(gguf_source), "a GGUF file's tensors", err);
    if (status != WZ_OK)
        return status;
    gguf_source *source = block;
    *out = source;
    status = wz_alloc(&block, count, sizeof *source->index, "a GGUF file's tensors", err);
    source->index = block;
    if (status == WZ_OK)
        status = wz_alloc(&block, count, sizeof *source->names, "a GGUF file's tensors", err);
    source->names = status == WZ_OK ? block : NULL;
    if (status == WZ_OK)
        status = wz_alloc(&block, count, sizeof *source->tensors, "a GGUF file's tensors", err);
    source->tensors = status == WZ_OK ? block : NULL;
    return status;
}

/* rope_freqs is no tensor of ours: the configuration says it. */
wz_status wz_gguf_make_source(wz_gguf *file, const wz_model_config *config, wz_tensor_source **out,
                              wz_error *err)
{
    gguf_source *source = NULL;
    wz_status status = allocate_source(file, &source, err);
    size_t count = 0;
    for (size_t i = 0; status == WZ_OK && i < file->tensor_count; i++) {
        const wz_gguf_tensor *tensor = &file->tensors[i];
        if (strcmp(tensor->name, "rope_freqs.weight") == 0)
            continue;
        if (!our_name(tensor->name, source->names[count], sizeof *source->names)) {
            status = wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%s' is none of a %s model's", file->path,
                             tensor->name, wz_model_type_names[config->model_type]);
            break;
        }
        source->index[count] = i;
        source->tensors[count] = (wz_stored_tensor){.name = source->names[count],
                                                    .type = tensor->type,
                                                    .rank = tensor->rank,
                                                    .shape = {tensor->shape[0], tensor->shape[1]}};
        count++;
    }
    if (status != WZ_OK) {
        if (source != NULL)
            close_source(&source->base);
        return status;
    }
    source->file = file;
    source->config = *config;
    source->base = (wz_tensor_source){.tensors = source->tensors,
                                      .count = count,
                                      .read = read_rows,
                                      .close = close_source,
                                      .expect = expect};
    *out = &source->base;
    return WZ_OK;
}

wz_status wz_gguf_get_architecture(const wz_gguf *file, int *out, wz_error *err)
{
    const char *name = NULL;
    size_t length = 0;
    const wz_status status = wz_gguf_get_string(file, "general.architecture", NULL, &name, &length, err);
    for (int t = 0; status == WZ_OK && wz_model_type_names[t] != NULL; t++)
        if (strlen(wz_model_type_names[t]) == length && memcmp(wz_model_type_names[t], name, length) == 0) {
            *out = t;
            return WZ_OK;
        }
    return status != WZ_OK ? status
                           : wz_fail(err, WZ_ERR_CORRUPT,
                                     "%s: architecture '%.*s' is not supported: llama, qwen2 and qwen3 are",
                                     file->path, (int)(length < 40 ? length : 40), name);
}
