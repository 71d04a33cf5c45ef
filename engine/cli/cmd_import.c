/* `wavezero import PATH`: a pretrained model as a checkpoint. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checkpoints/portable.h"
#include "engine/cli/byte_bar.h"
#include "engine/cli/cli.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/options.h"
#include "engine/core/clock.h"
#include "engine/core/file.h"
#include "engine/core/output.h"
#include "engine/run/portable.h"

const char wz_import_details[] =
    "Makes a checkpoint of a Hugging Face folder (config.json, safetensors, tokenizer.json) or of a GGUF "
    "file, to\ntrain from (init_from: FILE), evaluate and export. Architectures: Llama and SmolLM2, Qwen2, "
    "Qwen3.\n\n"
    "  -o, --output FILE      the checkpoint (default: the folder's name with .h5)\n"
    "  --overwrite            replace FILE\n"
    "  --name NAME            of the model (default: the folder's name)\n"
    "  --license LICENSE      SPDX name, carried into exports\n\n"
    "Configuration keys follow as key=value, e.g. prompt_style=full task.name=power_control; they are the "
    "checkpoint's\nown, and what eval and generate go by.\n";

typedef struct import_arguments {
    const char *output, *name, *license;
    bool overwrite;
} import_arguments;

/* The last component of a path, without the extension of a file. */
static void name_of(const char *path, char *out, size_t size)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    (void)snprintf(out, size, "%.*s", (int)(end - start), path + start);
    char *dot = strrchr(out, '.');
    if (dot != NULL && dot != out && !wz_path_is_directory(path))
        *dot = '\0';
    if (out[0] == '\0' || strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
        (void)snprintf(out, size, "model");
}

/* What a pretrained model wants to be asked by, before the user's own keys. */
static wz_status configure(wz_config *config, const wz_arguments *rest, wz_error *err)
{
    static const char *const own[] = {"prompt_style=full", "answer_grammar=false"};
    wz_status status = WZ_OK;
    wz_config_default(config);
    for (size_t i = 0; status == WZ_OK && i < sizeof own / sizeof own[0]; i++)
        status = wz_config_override(config, own[i], err);
    for (size_t i = 1; status == WZ_OK && i < rest->count; i++)
        status = wz_config_override(config, rest->items[i], err);
    return status;
}

static bool holds_adapters(const char *folder)
{
    bool found = false;
    for (size_t i = 0; wz_model_formats[i] != NULL && !found; i++) {
        wz_text file = {0};
        found = wz_model_formats[i]->is_adapters &&
                wz_text_printf(&file, NULL, "%s/%s", folder, wz_model_formats[i]->file) == WZ_OK &&
                wz_path_exists(file.data);
        wz_text_clear(&file);
    }
    return found;
}

static wz_status open_model(const char *path, wz_portable *out, wz_error *err)
{
    const wz_model_format *format = wz_model_format_at(path);
    if (format != NULL)
        return format->open(path, out, err);
    if (holds_adapters(path))
        return wz_fail(err, WZ_ERR_USAGE,
                       "%s holds adapters and no model: import the model that they stand beside", path);
    if (!wz_path_exists(path))
        return wz_fail(err, WZ_ERR_USAGE, "%s does not exist", path);
    return wz_fail(err, WZ_ERR_USAGE,
                   "%s: nothing that can be imported: a folder with config.json, or a .gguf file, is needed",
                   path);
}

static uint64_t stored_bytes(const wz_tensor_source *source)
{
    uint64_t sum = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < source->count; i++)
        if (wz_number_bytes(source->tensors[i].type, wz_tensor_elements(&source->tensors[i]), &bytes))
            sum += bytes;
    return sum;
}

/* Where to, and whether that may be written: not in place of what is imported, checkpoints beside it aside. */
static wz_status choose_file(const import_arguments *a, const char *path, const char *name, char *out,
                             size_t size, wz_error *err)
{
    const int length =
        snprintf(out, size, "%s%s", a->output != NULL ? a->output : name, a->output != NULL ? "" : ".h5");
    if (length < 0 || (size_t)length >= size)
        return wz_fail(err, WZ_ERR_USAGE, "the path %.200s... is longer than %zu bytes", out, size - 1);
    wz_status status = wz_output_check_input(out, path, err);
    if (status == WZ_OK)
        status = wz_output_check_folder(out, path, ".h5", err);
    if (status == WZ_OK && !a->overwrite && wz_path_exists(out))
        status = wz_fail(err, WZ_ERR_USAGE,
                         "%s exists: write elsewhere with -o, or replace it with --overwrite", out);
    return status;
}

static wz_status import(const wz_cli *cli, const import_arguments *a, const char *path, wz_config *config,
                        wz_text *out, wz_error *err)
{
    wz_portable model;
    wz_byte_bar bar;
    char name[sizeof model.name], file[WZ_PATH_MAX];
    const double start = wz_now_s();
    wz_stop *stop = wz_interrupt_catch();
    name_of(path, name, sizeof name);
    wz_status status = choose_file(a, path, name, file, sizeof file, err);
    if (status != WZ_OK)
        return status;
    wz_portable_init(&model);
    status = open_model(path, &model, err);
    if (status != WZ_OK)
        return status;
    if (a->name != NULL || model.name[0] == '\0')
        (void)snprintf(model.name, sizeof model.name, "%s", a->name != NULL ? a->name : name);
    /* what is trained from this model has it for its base, and not what it was made of itself */
    (void)snprintf(model.base_model, sizeof model.base_model, "%s", model.name);
    if (a->license != NULL)
        (void)snprintf(model.license, sizeof model.license, "%s", a->license);
    wz_byte_count bytes = wz_byte_bar_start(&bar, cli, stored_bytes(model.tensors), start);
    bytes.stop = stop;
    status = wz_portable_to_checkpoint(&model, config, file, &bytes, err);
    wz_progress_clear(&bar.progress);
    status = wz_interrupt_explain(status, "nothing was written to", file, err);
    if (status == WZ_OK)
        status = wz_text_printf(out, err, "wrote       %s: %s, %s, %.1f MB of weights in %.1f s\n", file,
                                model.name, wz_model_type_names[model.model.model_type],
                                (double)stored_bytes(model.tensors) / 1e6, wz_now_s() - start);
    const wz_chat_template chat = wz_chat_recognise(model.chat_template.data, model.chat_template.length);
    if (status == WZ_OK && chat != WZ_CHAT_NONE && config->chat_template == WZ_CHAT_NONE)
        status = wz_text_printf(
            out, err, "            its chat template is like %s: chat_template=%s asks it that way\n",
            wz_chat_names[chat], wz_chat_names[chat]);
    wz_portable_clear(&model);
    return status;
}

wz_status wz_cmd_import(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err)
{
    import_arguments a = {.overwrite = false};
    const wz_option options[] = {{"--output", WZ_OPTION_PATH, &a.output, 0, 0, "FILE", "the checkpoint"},
                                 {"-o", WZ_OPTION_PATH, &a.output, 0, 0, "FILE", "the same"},
                                 {"--overwrite", WZ_OPTION_FLAG, &a.overwrite, 0, 0, NULL, "replace it"},
                                 {"--name", WZ_OPTION_TEXT, &a.name, 0, 0, "NAME", "of the model"},
                                 {"--license", WZ_OPTION_TEXT, &a.license, 0, 0, "LICENSE", "SPDX name"}};
    bool help = false;
    wz_arguments rest;
    wz_config config;
    wz_text text = {0};
    wz_status status =
        wz_options_parse(options, sizeof options / sizeof options[0], argc, argv, &rest, &help, err);
    if (status == WZ_OK && help)
        return wz_command_help(cli, self, err);
    if (status == WZ_OK)
        status = wz_arguments_check(&rest, 1, SIZE_MAX, self->usage, err);
    if (status == WZ_OK)
        status = configure(&config, &rest, err);
    if (status == WZ_OK)
        status = import(cli, &a, rest.items[0], &config, &text, err);
    return wz_cli_print(cli, &text, status, err);
}
