/* GGUF as llama.cpp loads it: a model under its names for keys. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/formats.h"
#include "checkpoints/gguf_source.h"
#include "checkpoints/gguf_vocab.h"
#include "engine/core/file.h"
#include "engine/model/model.h"

#define FILE_NAME "model.gguf"

/* ---- writing ---- */

static bool has_rope_factors(const wz_model_config *config)
{
    return config->model_type == WZ_MODEL_LLAMA && config->rope_scaling_factor > 0.0;
}

/* llama.cpp has no keys for llama3's scaling; it reads its effect, and these are for our own reader. */
static const char scaling_factor[] = "wavezero.rope_scaling.factor",
                  scaling_low[] = "wavezero.rope_scaling.low_freq_factor",
                  scaling_high[] = "wavezero.rope_scaling.high_freq_factor",
                  scaling_length[] = "wavezero.rope_scaling.original_max_position_embeddings";

static void put_key(wz_gguf_output *e, const char *name, int64_t value)
{
    char key[96];
    (void)snprintf(key, sizeof key, "%s.%s", wz_model_type_names[e->model->model.model_type], name);
    wz_gguf_put_u32(&e->writer, key, (uint32_t)value);
}

static void put_number(wz_gguf_output *e, const char *name, double value)
{
    char key[96];
    (void)snprintf(key, sizeof key, "%s.%s", wz_model_type_names[e->model->model.model_type], name);
    wz_gguf_put_f32(&e->writer, key, (float)value);
}

static void put_text(wz_gguf_output *e, const char *key, const char *text)
{
    if (text[0] != '\0')
        wz_gguf_put_string(&e->writer, key, text, strlen(text));
}

static void put_general(wz_gguf_output *e)
{
    static const uint32_t file_types[WZ_NUMBER_TYPES] = {0, 1, 32, 7, 2}; /* llama_ftype */
    const wz_portable *m = e->model;
    put_text(e, "general.architecture", wz_model_type_names[m->model.model_type]);
    put_text(e, "general.type", "model");
    put_text(e, "general.name", m->name);
    put_text(e, "general.license", m->license);
    if (m->base_model[0] != '\0') {
        wz_gguf_put_u32(&e->writer, "general.base_model.count", 1);
        put_text(e, "general.base_model.0.name", m->base_model);
    }
    wz_gguf_put_u32(&e->writer, "general.file_type", file_types[e->type]);
    wz_gguf_put_u32(&e->writer, "general.quantization_version", 2);
}

static void put_sizes(wz_gguf_output *e)
{
    const wz_model_config *c = &e->model->model;
    put_key(e, "context_length", c->max_position_embeddings);
    put_key(e, "embedding_length", c->hidden_size);
    put_key(e, "block_count", c->num_hidden_layers);
    put_key(e, "feed_forward_length", c->intermediate_size);
    put_key(e, "attention.head_count", c->num_attention_heads);
    put_key(e, "attention.head_count_kv", c->num_key_value_heads);
    put_key(e, "attention.key_length", c->head_dim);
    put_key(e, "attention.value_length", c->head_dim);
    put_key(e, "rope.dimension_count", c->head_dim);
    put_key(e, "vocab_size", c->vocab_size);
    put_number(e, "attention.layer_norm_rms_epsilon", c->rms_norm_eps);
    put_number(e, "rope.freq_base", c->rope_theta);
    if (has_rope_factors(c)) {
        wz_gguf_put_f32(&e->writer, scaling_factor, (float)c->rope_scaling_factor);
        wz_gguf_put_f32(&e->writer, scaling_low, (float)c->rope_low_freq_factor);
        wz_gguf_put_f32(&e->writer, scaling_high, (float)c->rope_high_freq_factor);
        wz_gguf_put_u32(&e->writer, scaling_length, (uint32_t)c->rope_original_max_position_embeddings);
    }
}

/* What llama.cpp divides each frequency by, from the scaling that transformers computes. */
static wz_status write_rope_factors(wz_gguf_output *e, wz_error *err)
{
    const wz_model_config *c = &e->model->model;
    const size_t half = (size_t)c->head_dim / 2;
    void *block = NULL;
    wz_status status = wz_alloc(&block, half, sizeof(float), "RoPE's factors", err);
    float *factor = block;
    for (size_t d = 0; status == WZ_OK && d < half; d++) {
        const double frequency = pow(c->rope_theta, -2.0 * (double)d / (double)c->head_dim);
        factor[d] = (float)(frequency / wz_model_rope_frequency(c, frequency));
    }
    if (status == WZ_OK)
        wz_gguf_write_numbers(&e->writer, WZ_NUMBER_F32, factor, half);
    free(block);
    wz_gguf_end_tensor(&e->writer);
    return status == WZ_OK ? e->writer.status : status;
}

static wz_status write_gguf(const wz_portable *model, wz_number_type type, const char *folder,
                            const wz_byte_count *bytes, wz_error *err)
{
    wz_gguf_output e = {.model = model, .type = type, .bytes = bytes};
    const size_t half = (size_t)model->model.head_dim / 2;
    wz_text path = {0};
    if (model->model.rope_scaling_factor > 0.0 && model->model.model_type != WZ_MODEL_LLAMA)
        return wz_fail(err, WZ_ERR_USAGE, "llama.cpp has no llama3 RoPE scaling for %s models",
                       wz_model_type_names[model->model.model_type]);
    wz_status status = wz_text_printf(&path, err, "%s/%s", folder, FILE_NAME);
    if (status != WZ_OK)
        return status;
    wz_gguf_create(&e.writer, path.data, err);
    put_general(&e);
    put_sizes(&e);
    status = wz_gguf_put_vocab(&e.writer, model, err);
    if (status == WZ_OK)
        status = wz_gguf_add_source(&e, model->tensors, err);
    if (has_rope_factors(&model->model))
        wz_gguf_add_tensor(&e.writer, "rope_freqs.weight", WZ_NUMBER_F32, 1, &half);
    if (status == WZ_OK)
        status = wz_gguf_write_source(&e, model->tensors, err);
    if (status == WZ_OK && has_rope_factors(&model->model))
        status = write_rope_factors(&e, err);
    const wz_status finished = wz_gguf_finish(&e.writer);
    if (finished == WZ_OK)
        wz_byte_count_written(bytes, &e.writer.file);
    wz_text_clear(&path);
    return status != WZ_OK ? status : finished;
}

/* ---- reading ---- */

static wz_status get_sizes(const wz_gguf *file, wz_model_config *c, wz_error *err)
{
    const struct {
        const char *key;
        int64_t *place;
    } integers[] = {{"context_length", &c->max_position_embeddings},
                    {"embedding_length", &c->hidden_size},
                    {"block_count", &c->num_hidden_layers},
                    {"feed_forward_length", &c->intermediate_size},
                    {"attention.head_count", &c->num_attention_heads},
                    {"attention.head_count_kv", &c->num_key_value_heads},
                    {"attention.key_length", &c->head_dim}};
    const struct {
        const char *key;
        double *place;
    } numbers[] = {{"attention.layer_norm_rms_epsilon", &c->rms_norm_eps},
                   {"rope.freq_base", &c->rope_theta}};
    const char *architecture = wz_model_type_names[c->model_type];
    char key[96];
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof integers / sizeof integers[0]; i++) {
        (void)snprintf(key, sizeof key, "%s.%s", architecture, integers[i].key);
        const int64_t usual = c->num_attention_heads > 0 ? c->hidden_size / c->num_attention_heads : 0;
        status = wz_gguf_get_integer(file, key, integers[i].place == &c->head_dim ? &usual : NULL,
                                     integers[i].place, err);
    }
    for (size_t i = 0; status == WZ_OK && i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)snprintf(key, sizeof key, "%s.%s", architecture, numbers[i].key);
        status = wz_gguf_get_number(file, key, NULL, numbers[i].place, err);
    }
    return status;
}

static const wz_gguf_tensor *find_tensor(const wz_gguf *file, const char *name)
{
    for (size_t i = 0; i < file->tensor_count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

static bool scaling_gives(const wz_model_config *c, const float *factor)
{
    for (size_t d = 0; d < (size_t)c->head_dim / 2; d++) {
        const double frequency = pow(c->rope_theta, -2.0 * (double)d / (double)c->head_dim);
        const double expected = frequency / wz_model_rope_frequency(c, frequency);
        if (!(fabs((double)factor[d] - expected) <= 1e-5 * expected)) /* stored as f32 */
            return false;
    }
    return true;
}

/* The scaling that gives these factors: what our own keys say, or, in files of others, Llama 3's usual one. */
static wz_status find_rope_scaling(const wz_gguf *file, const float *factor, wz_model_config *c,
                                   wz_error *err)
{
    static const double usual[] = {32.0, 8.0};
    const double low = 1.0, high = 4.0;
    const int64_t length = 8192;
    wz_status status = wz_gguf_get_number(file, scaling_factor, &usual[0], &c->rope_scaling_factor, err);
    if (status == WZ_OK)
        status = wz_gguf_get_number(file, scaling_low, &low, &c->rope_low_freq_factor, err);
    if (status == WZ_OK)
        status = wz_gguf_get_number(file, scaling_high, &high, &c->rope_high_freq_factor, err);
    if (status == WZ_OK)
        status = wz_gguf_get_integer(file, scaling_length, &length, &c->rope_original_max_position_embeddings,
                                     err);
    if (status == WZ_OK && wz_model_config_check(c, err) != WZ_OK)
        return wz_fail_prefix(err, WZ_ERR_CORRUPT, "%s: ", file->path);
    if (status != WZ_OK || scaling_gives(c, factor))
        return status;
    c->rope_scaling_factor = usual[1];
    if (wz_gguf_find(file, scaling_factor) == NULL && scaling_gives(c, factor))
        return WZ_OK;
    return wz_fail(
        err, WZ_ERR_CORRUPT,
        "%s: rope_freqs.weight is not Llama 3's scaling (factor 8 or 32, 1, 4, 8192), nor one that "
        "the file's keys give",
        file->path);
}

/* Other scaling, and heads of which RoPE turns a part, are named rather than computed otherwise than llama.cpp does. */
static wz_status refuse_rope(const wz_gguf *file, const wz_model_config *c, wz_error *err)
{
    char key[96];
    const char *type = NULL;
    size_t length = 0;
    int64_t turned = 0;
    (void)snprintf(key, sizeof key, "%s.rope.scaling.type", wz_model_type_names[c->model_type]);
    wz_status status = wz_gguf_get_string(file, key, "none", &type, &length, err);
    if (status == WZ_OK && (length != 4 || memcmp(type, "none", 4) != 0))
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: RoPE scaling '%.*s' is not supported, only llama3 (rope_freqs.weight)",
                       file->path, (int)(length < 60 ? length : 60), type);
    (void)snprintf(key, sizeof key, "%s.rope.dimension_count", wz_model_type_names[c->model_type]);
    if (status == WZ_OK)
        status = wz_gguf_get_integer(file, key, &c->head_dim, &turned, err);
    if (status == WZ_OK && turned != c->head_dim)
        return wz_fail(err, WZ_ERR_CORRUPT,
                       "%s: RoPE turns %lld of a head's %lld numbers, which is not supported", file->path,
                       (long long)turned, (long long)c->head_dim);
    return status;
}

static wz_status get_rope_scaling(const wz_gguf *file, wz_model_config *c, wz_error *err)
{
    const wz_gguf_tensor *factors = find_tensor(file, "rope_freqs.weight");
    float factor[512];
    const size_t half = (size_t)c->head_dim / 2;
    wz_status status = refuse_rope(file, c, err);
    if (status != WZ_OK || factors == NULL)
        return status;
    if (factors->type != WZ_NUMBER_F32 || factors->rank != 1 || factors->shape[0] != half ||
        half > sizeof factor / sizeof factor[0])
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: rope_freqs.weight is no vector of head_dim / 2 f32 numbers",
                       file->path);
    status =
        wz_file_read_at(file->descriptor, file->path, factors->offset, factor, half * sizeof *factor, err);
    return status == WZ_OK ? find_rope_scaling(file, factor, c, err) : status;
}

static wz_status get_text(const wz_gguf *file, const char *key, char *out, size_t size, wz_error *err)
{
    const char *text = NULL;
    size_t length = 0;
    const wz_status status = wz_gguf_get_string(file, key, "", &text, &length, err);
    if (status == WZ_OK)
        (void)snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), text);
    return status;
}

static wz_status get_config(const wz_gguf *file, wz_model_config *c, wz_error *err)
{
    wz_status status = wz_gguf_get_architecture(file, &c->model_type, err);
    if (status == WZ_OK)
        status = get_sizes(file, c, err);
    if (status != WZ_OK)
        return status;
    const wz_gguf_tensor *embedding = find_tensor(file, "token_embd.weight");
    if (embedding == NULL || embedding->rank != 2)
        return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor 'token_embd.weight' is missing or no matrix",
                       file->path);
    c->vocab_size = (int64_t)embedding->shape[0];
    c->tie_word_embeddings = find_tensor(file, "output.weight") == NULL;
    c->attention_bias = c->model_type == WZ_MODEL_QWEN2;
    c->use_qk_norm = c->model_type == WZ_MODEL_QWEN3;
    status = wz_model_config_check(c, err);
    if (status != WZ_OK)
        return wz_fail_prefix(err, WZ_ERR_CORRUPT, "%s: ", file->path);
    return get_rope_scaling(file, c, err);
}

static wz_status fill(wz_gguf *file, wz_portable *out, wz_error *err)
{
    char type[32];
    wz_status status = get_text(file, "general.type", type, sizeof type, err);
    if (status == WZ_OK && strcmp(type, "adapter") == 0)
        status =
            wz_fail(err, WZ_ERR_USAGE,
                    "%s holds adapters and no model: import the model that they stand beside", file->path);
    if (status == WZ_OK)
        status = get_config(file, &out->model, err);
    if (status == WZ_OK)
        status = get_text(file, "general.name", out->name, sizeof out->name, err);
    if (status == WZ_OK)
        status = get_text(file, "general.license", out->license, sizeof out->license, err);
    if (status == WZ_OK)
        status = get_text(file, "general.base_model.0.name", out->base_model, sizeof out->base_model, err);
    if (status == WZ_OK)
        status = wz_gguf_get_vocab(file, out, err);
    if (status == WZ_OK && (int64_t)wz_tokenizer_vocab_size(out->tokenizer) > out->model.vocab_size)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: more tokens than rows of token_embd.weight", file->path);
    return status == WZ_OK ? wz_gguf_make_source(file, &out->model, &out->tensors, err) : status;
}

static wz_status open_gguf(const char *path, wz_portable *out, wz_error *err)
{
    wz_gguf *file = NULL;
    wz_portable_init(out);
    wz_status status = wz_gguf_open_in(path, FILE_NAME, &file, err);
    if (status == WZ_OK)
        status = fill(file, out, err);
    if (status != WZ_OK && out->tensors == NULL)
        wz_gguf_close(file);
    if (status == WZ_OK)
        status = wz_portable_check_tensors(out, file->path, err);
    if (status != WZ_OK)
        wz_portable_clear(out);
    return status;
}

static const char *const written[] = {FILE_NAME, NULL};

const wz_model_format wz_format_gguf = {
    .name = "gguf",
    .title = "GGUF, for llama.cpp",
    .types = 1u << WZ_NUMBER_F32 | 1u << WZ_NUMBER_F16 | 1u << WZ_NUMBER_BF16 | 1u << WZ_NUMBER_Q8_0 |
             1u << WZ_NUMBER_Q4_0,
    .file = FILE_NAME,
    .files = written,
    .write = write_gguf,
    .open = open_gguf,
};
