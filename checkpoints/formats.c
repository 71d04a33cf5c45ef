/* The table of formats: adding one adds a file and a row. */
#include <string.h>

#include "checkpoints/formats.h"
#include "engine/core/file.h"

const wz_model_format *const wz_model_formats[] = {
    &wz_format_gguf,        &wz_format_onnx, /* before hf, whose file its folders hold, too */
    &wz_format_hf,                           /* before safetensors, whose file its folders hold, too */
    &wz_format_safetensors, &wz_format_peft, &wz_format_gguf_lora, NULL,
};

const wz_model_format *wz_model_format_find(const char *name)
{
    for (size_t i = 0; wz_model_formats[i] != NULL; i++)
        if (strcmp(wz_model_formats[i]->name, name) == 0)
            return wz_model_formats[i];
    return NULL;
}

static bool holds(const char *folder, const char *file)
{
    wz_text path = {0};
    const bool found =
        wz_text_printf(&path, NULL, "%s/%s", folder, file) == WZ_OK && wz_path_exists(path.data);
    wz_text_clear(&path);
    return found;
}

const wz_model_format *wz_model_format_at(const char *path)
{
    const bool is_folder = wz_path_is_directory(path);
    for (size_t i = 0; wz_model_formats[i] != NULL; i++) {
        const wz_model_format *format = wz_model_formats[i];
        const char *end = strrchr(format->file, '.');
        if (format->open != NULL && !format->is_adapters &&
            (is_folder ? holds(path, format->file) : end != NULL && wz_path_ends_in(path, end)))
            return format;
    }
    return NULL;
}
