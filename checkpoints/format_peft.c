/* Adapters alone as PEFT keeps them: adapter_config.json, and adapter_model.safetensors under our names, which are PEFT's. */
#include <string.h>

#include "checkpoints/formats.h"
#include "checkpoints/hf_folder.h"
#include "checkpoints/hf_weights.h"
#include "engine/core/file.h"
#include "engine/core/json.h"

#define CONFIG_NAME "adapter_config.json"
#define WEIGHTS_NAME "adapter_model.safetensors"
#define MAX_CONFIG ((size_t)1 << 20)

static wz_status make_config(const wz_portable *model, wz_text *out, wz_error *err)
{
    wz_json json;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_field_string(&json, "peft_type", "LORA");
    wz_json_field_string(&json, "task_type", "CAUSAL_LM");
    wz_json_field_string(&json, "base_model_name_or_path", model->adapted);
    wz_json_field_integer(&json, "r", model->lora.rank);
    wz_json_field_number(&json, "lora_alpha", model->lora.alpha);
    wz_json_key(&json, "target_modules");
    wz_json_begin_array(&json);
    for (int t = 0; t < WZ_LORA_TARGETS; t++)
        if (model->lora.target[t])
            wz_json_string(&json, wz_lora_target_names[t]);
    wz_json_end_array(&json);
    wz_json_field_number(&json, "lora_dropout", 0.0);
    wz_json_field_string(&json, "bias", "none");
    wz_json_field_boolean(&json, "fan_in_fan_out", false);
    wz_json_field_boolean(&json, "use_rslora", false); /* the scale is alpha / r */
    wz_json_field_boolean(&json, "use_dora", false);
    wz_json_field_boolean(&json, "init_lora_weights", true);
    wz_json_field_boolean(&json, "inference_mode", true);
    wz_json_end_object(&json);
    const wz_status status = wz_json_finish(&json);
    return status == WZ_OK ? wz_text_append(out, "\n", 1, err) : status;
}

static wz_status write_adapters(const wz_portable *model, wz_number_type type, const char *folder,
                                const wz_byte_count *bytes, wz_error *err)
{
    wz_text path = {0}, config = {0};
    wz_status status = make_config(model, &config, err);
    if (status == WZ_OK)
        status = wz_text_printf(&path, err, "%s/" CONFIG_NAME, folder);
    if (status == WZ_OK)
        status = wz_file_replace(path.data, config.data, config.length, err);
    path.length = 0;
    if (status == WZ_OK)
        status = wz_text_printf(&path, err, "%s/" WEIGHTS_NAME, folder);
    if (status == WZ_OK)
        status = wz_safetensors_write(path.data, model->adapters, type, NULL, 0, bytes, err);
    wz_text_clear(&path);
    wz_text_clear(&config);
    return status;
}

/* ---- reading back ---- */

static wz_status read_config(const char *path, wz_portable *out, wz_error *err)
{
    json_t *config = NULL;
    const char *type = NULL;
    wz_status status = wz_json_parse_file(path, MAX_CONFIG, &config, err);
    if (status == WZ_OK)
        status = wz_json_get_string(config, path, "peft_type", &type, err);
    if (status == WZ_OK && strcmp(type, "LORA") != 0)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: peft_type is %.40s; LORA alone is read", path, type);
    if (status == WZ_OK)
        status = wz_json_get_integer(config, path, "r", &out->lora.rank, err);
    if (status == WZ_OK)
        status = wz_json_get_number(config, path, "lora_alpha", &out->lora.alpha, err);
    const json_t *modules = json_object_get(config, "target_modules");
    if (status == WZ_OK && !json_is_array(modules))
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: target_modules must be a list", path);
    for (size_t i = 0; status == WZ_OK && i < json_array_size(modules); i++)
        for (int t = 0; t < WZ_LORA_TARGETS; t++) {
            const char *name = json_string_value(json_array_get(modules, i));
            out->lora.target[t] |= name != NULL && strcmp(name, wz_lora_target_names[t]) == 0;
        }
    json_decref(config);
    return status;
}

static wz_status open_adapters(const char *path, wz_portable *out, wz_error *err)
{
    wz_text place = {0};
    wz_safetensors *file = NULL;
    wz_portable_init(out);
    wz_status status = wz_text_printf(&place, err, "%s/" CONFIG_NAME, path);
    if (status == WZ_OK)
        status = wz_hf_check_place(path, place.data, err);
    if (status == WZ_OK)
        status = read_config(place.data, out, err);
    place.length = 0;
    if (status == WZ_OK)
        status = wz_text_printf(&place, err, "%s/" WEIGHTS_NAME, path);
    if (status == WZ_OK)
        status = wz_hf_check_place(path, place.data, err);
    if (status == WZ_OK)
        status = wz_safetensors_open(place.data, &file, err);
    if (status == WZ_OK)
        status = wz_hf_weights_of(file, false, &out->adapters, err);
    if (status != WZ_OK)
        wz_portable_clear(out);
    wz_text_clear(&place);
    return status;
}

static const char *const written[] = {CONFIG_NAME, WEIGHTS_NAME, NULL};

const wz_model_format wz_format_peft = {
    .name = "peft",
    .title = "low-rank adapters, for PEFT",
    .types = 1u << WZ_NUMBER_F32 | 1u << WZ_NUMBER_F16 | 1u << WZ_NUMBER_BF16,
    .file = CONFIG_NAME,
    .files = written,
    .is_adapters = true,
    .write = write_adapters,
    .open = open_adapters,
};
