/* Adapters alone as llama.cpp loads them beside a model's GGUF (--lora). */
#include <stdio.h>
#include <string.h>

#include "checkpoints/formats.h"
#include "checkpoints/gguf_source.h"

#define FILE_NAME "adapter.gguf"
#define HEAD_DIM_KEY                                                                                         \
    "attention.key_length" /* llama.cpp needs it of the model alone; we, to put rows back in order */

static void put_text(wz_gguf_output *e, const char *key, const char *text)
{
    if (text[0] != '\0')
        wz_gguf_put_string(&e->writer, key, text, strlen(text));
}

static void put_keys(wz_gguf_output *e)
{
    static const uint32_t file_types[WZ_NUMBER_TYPES] = {[WZ_NUMBER_F32] = 0, [WZ_NUMBER_F16] = 1};
    const wz_portable *m = e->model;
    const char *architecture = wz_model_type_names[m->model.model_type];
    char key[96];
    put_text(e, "general.architecture", architecture);
    put_text(e, "general.type", "adapter");
    put_text(e, "general.name", m->name);
    put_text(e, "general.license", m->license);
    if (m->adapted[0] != '\0') {
        wz_gguf_put_u32(&e->writer, "general.base_model.count", 1);
        put_text(e, "general.base_model.0.name", m->adapted);
    }
    wz_gguf_put_u32(&e->writer, "general.file_type", file_types[e->type]);
    put_text(e, "adapter.type", "lora");
    wz_gguf_put_f32(&e->writer, "adapter.lora.alpha", (float)m->lora.alpha); /* the rank is A's */
    (void)snprintf(key, sizeof key, "%s." HEAD_DIM_KEY, architecture);
    wz_gguf_put_u32(&e->writer, key, (uint32_t)m->model.head_dim);
}

static wz_status write_adapters(const wz_portable *model, wz_number_type type, const char *folder,
                                const wz_byte_count *bytes, wz_error *err)
{
    wz_gguf_output e = {.model = model, .type = type, .bytes = bytes};
    wz_text path = {0};
    wz_status status = wz_text_printf(&path, err, "%s/" FILE_NAME, folder);
    if (status != WZ_OK)
        return status;
    wz_gguf_create(&e.writer, path.data, err);
    put_keys(&e);
    status = wz_gguf_add_source(&e, model->adapters, err);
    if (status == WZ_OK)
        status = wz_gguf_write_source(&e, model->adapters, err);
    const wz_status finished = wz_gguf_finish(&e.writer);
    if (finished == WZ_OK)
        wz_byte_count_written(bytes, &e.writer.file);
    wz_text_clear(&path);
    return status != WZ_OK ? status : finished;
}

/* ---- reading back ---- */

static wz_status check_type(const wz_gguf *file, const char *key, const char *expected, wz_error *err)
{
    const char *text = NULL;
    size_t length = 0;
    const wz_status status = wz_gguf_get_string(file, key, NULL, &text, &length, err);
    if (status != WZ_OK || (length == strlen(expected) && memcmp(text, expected, length) == 0))
        return status;
    return wz_fail(err, WZ_ERR_CORRUPT, "%s: %s is '%.*s', not '%s'", file->path, key,
                   (int)(length < 40 ? length : 40), text, expected);
}

/* All of one q's or k's heads must be there: rows are put back head by head. */
static wz_status check_heads(const wz_gguf *file, const wz_tensor_source *source, int64_t head_dim,
                             wz_error *err)
{
    for (size_t i = 0; i < source->count; i++) {
        const char *name = source->tensors[i].name;
        const bool reorders =
            strstr(name, ".q_proj.lora_B.") != NULL || strstr(name, ".k_proj.lora_B.") != NULL;
        if (strstr(name, ".lora_") == NULL || source->tensors[i].rank != 2)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%.100s' is no matrix of an adapter", file->path,
                           name);
        if (reorders && source->tensors[i].shape[0] % (size_t)head_dim != 0)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: tensor '%.100s' has %zu rows, no heads of %lld",
                           file->path, name, source->tensors[i].shape[0], (long long)head_dim);
    }
    return WZ_OK;
}

static wz_status fill(wz_gguf *file, wz_portable *out, wz_error *err)
{
    wz_model_config *config = &out->model;
    char key[96];
    wz_status status = check_type(file, "general.type", "adapter", err);
    if (status == WZ_OK)
        status = check_type(file, "adapter.type", "lora", err);
    if (status == WZ_OK)
        status = wz_gguf_get_architecture(file, &config->model_type, err);
    if (status == WZ_OK)
        status = wz_gguf_get_number(file, "adapter.lora.alpha", NULL, &out->lora.alpha, err);
    if (status != WZ_OK)
        return status;
    (void)snprintf(key, sizeof key, "%s." HEAD_DIM_KEY, wz_model_type_names[config->model_type]);
    status = wz_gguf_get_integer(file, key, NULL, &config->head_dim, err);
    if (status == WZ_OK && (config->head_dim < 2 || config->head_dim % 2 != 0))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: %s is %lld; it must be even and above 0", file->path, key,
                         (long long)config->head_dim);
    config->num_attention_heads = config->num_key_value_heads = 1; /* how many does not matter */
    return status == WZ_OK ? wz_gguf_make_source(file, config, &out->adapters, err) : status;
}

/* What no key says: the rank and what the adapters stand beside. */
static void take_lora(const wz_tensor_source *source, wz_lora_config *lora)
{
    for (size_t i = 0; i < source->count; i++) {
        if (strstr(source->tensors[i].name, ".lora_A.") != NULL)
            lora->rank = (int64_t)source->tensors[i].shape[0];
        for (int t = 0; t < WZ_LORA_TARGETS; t++)
            lora->target[t] |= strstr(source->tensors[i].name, wz_lora_target_names[t]) != NULL;
    }
}

static wz_status open_adapters(const char *path, wz_portable *out, wz_error *err)
{
    wz_gguf *file = NULL;
    wz_portable_init(out);
    wz_status status = wz_gguf_open_in(path, FILE_NAME, &file, err);
    if (status == WZ_OK)
        status = fill(file, out, err);
    if (out->adapters == NULL)
        wz_gguf_close(file);
    else if (status == WZ_OK)
        status = check_heads(file, out->adapters, out->model.head_dim, err);
    if (status == WZ_OK && out->adapters != NULL)
        take_lora(out->adapters, &out->lora);
    if (status != WZ_OK)
        wz_portable_clear(out);
    return status;
}

static const char *const written[] = {FILE_NAME, NULL};

const wz_model_format wz_format_gguf_lora = {
    .name = "gguf-lora",
    .title = "low-rank adapters in GGUF, for llama.cpp",
    .types = 1u << WZ_NUMBER_F32 | 1u << WZ_NUMBER_F16,
    .file = FILE_NAME,
    .files = written,
    .is_adapters = true,
    .write = write_adapters,
    .open = open_adapters,
};
