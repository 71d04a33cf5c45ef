/* One safetensors file under Hugging Face names. Its metadata carry config.json's text, so that it says what it is. */
#include <string.h>

#include "checkpoints/formats.h"
#include "checkpoints/hf_config.h"
#include "checkpoints/hf_weights.h"
#include "engine/core/file.h"

#define CONFIG_KEY "wavezero.config"
#define NAME_KEY "wavezero.name"

static wz_status find_file(const char *path, wz_text *file, wz_error *err)
{
    return wz_path_is_directory(path) ? wz_text_printf(file, err, "%s/" WZ_HF_WEIGHTS, path)
                                      : wz_text_append(file, path, strlen(path), err);
}

static wz_status read_config(const wz_safetensors *file, const char *path, wz_portable *out, wz_error *err)
{
    const char *text = wz_safetensors_metadata(file, CONFIG_KEY);
    const char *name = wz_safetensors_metadata(file, NAME_KEY);
    wz_text where = {0};
    json_t *config = NULL;
    if (text == NULL)
        return wz_fail(
            err, WZ_ERR_CORRUPT,
            "%s holds tensors, but not what model they make: import the Hugging Face folder that it "
            "came in, with its config.json and tokenizer.json",
            path);
    wz_status status = wz_text_printf(&where, err, "%s (" CONFIG_KEY ")", path);
    if (status == WZ_OK)
        status = wz_json_parse(where.data, text, strlen(text), &config, err);
    if (status == WZ_OK)
        status = wz_hf_config_read(config, where.data, out, err);
    if (status == WZ_OK && name != NULL && strlen(name) < sizeof out->name)
        memcpy(out->name, name, strlen(name) + 1);
    json_decref(config);
    wz_text_clear(&where);
    return status;
}

static wz_status open_file(const char *path, wz_portable *out, wz_error *err)
{
    wz_safetensors *file = NULL;
    wz_text name = {0};
    wz_portable_init(out);
    wz_status status = find_file(path, &name, err);
    if (status == WZ_OK)
        status = wz_safetensors_open(name.data, &file, err);
    if (status == WZ_OK) {
        status = read_config(file, name.data, out, err);
        if (status == WZ_OK)
            status = wz_hf_weights_of(file, out->model.tie_word_embeddings, &out->tensors, err);
        else
            wz_safetensors_close(file);
    }
    if (status == WZ_OK)
        status = wz_portable_check_tensors(out, name.data, err);
    if (status != WZ_OK)
        wz_portable_clear(out);
    wz_text_clear(&name);
    return status;
}

static wz_status write_file(const wz_portable *model, wz_number_type type, const char *folder,
                            const wz_byte_count *bytes, wz_error *err)
{
    wz_text path = {0}, config = {0};
    wz_status status = wz_hf_config_write(model, type, &config, err);
    if (status == WZ_OK)
        status = wz_text_printf(&path, err, "%s/" WZ_HF_WEIGHTS, folder);
    if (status == WZ_OK) {
        const wz_safetensors_text metadata[] = {{CONFIG_KEY, config.data}, {NAME_KEY, model->name}};
        status = wz_safetensors_write(path.data, model->tensors, type, metadata,
                                      sizeof metadata / sizeof metadata[0], bytes, err);
    }
    wz_text_clear(&path);
    wz_text_clear(&config);
    return status;
}

static const char *const written[] = {WZ_HF_WEIGHTS, NULL};

const wz_model_format wz_format_safetensors = {
    .name = "safetensors",
    .title = "safetensors file",
    .types = 1u << WZ_NUMBER_F32 | 1u << WZ_NUMBER_F16 | 1u << WZ_NUMBER_BF16,
    .file = WZ_HF_WEIGHTS,
    .files = written,
    .write = write_file,
    .open = open_file,
};
