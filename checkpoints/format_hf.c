/* A Hugging Face folder: config.json, safetensors, tokenizer.json, tokenizer_config.json, generation_config.json. */
#include <stdlib.h>
#include <string.h>

#include "checkpoints/formats.h"
#include "checkpoints/hf_config.h"
#include "checkpoints/hf_folder.h"
#include "checkpoints/hf_weights.h"
#include "engine/core/file.h"

#define CONFIG "config.json"
#define TOKENIZER_LIMIT ((size_t)64 << 20) /* bytes of tokenizer.json */
#define TEMPLATE_LIMIT ((size_t)4 << 20)
#define CARD_LIMIT ((size_t)16 << 20)

static wz_status set_path(wz_text *path, const char *folder, const char *name, wz_error *err)
{
    path->length = 0;
    return wz_text_printf(path, err, "%s/%s", folder, name);
}

/* --- reading --- */

/* `path` is the folder, or its config.json. */
static wz_status find_folder(const char *path, wz_text *folder, wz_error *err)
{
    const char *slash = strrchr(path, '/');
    if (wz_path_is_directory(path))
        return wz_text_append(folder, path, strlen(path), err);
    if (strcmp(slash != NULL ? slash + 1 : path, CONFIG) != 0)
        return wz_fail(err, WZ_ERR_USAGE, "%s is no Hugging Face folder: name the folder that holds " CONFIG,
                       path);
    if (slash == NULL)
        return wz_text_append(folder, ".", 1, err);
    return wz_text_append(folder, path, slash == path ? 1 : (size_t)(slash - path), err);
}

wz_status wz_hf_read_json(const char *folder, const char *name, bool needed,
                          wz_status (*take)(const json_t *, const char *, wz_portable *, wz_error *),
                          wz_portable *out, wz_error *err)
{
    wz_text path = {0};
    json_t *json = NULL;
    wz_status status = set_path(&path, folder, name, err);
    if (status == WZ_OK && (needed || wz_path_exists(path.data))) {
        status = wz_hf_check_place(folder, path.data, err);
        if (status == WZ_OK)
            status = wz_json_parse_file(path.data, WZ_HF_MAX_JSON, &json, err);
        if (status == WZ_OK)
            status = take(json, path.data, out, err);
    }
    json_decref(json);
    wz_text_clear(&path);
    return status;
}

wz_status wz_hf_read_tokenizer(const char *folder, bool needed, wz_portable *out, wz_error *err)
{
    wz_text path = {0}, json = {0};
    wz_status status = set_path(&path, folder, "tokenizer.json", err);
    if (status != WZ_OK || (!needed && !wz_path_exists(path.data)))
        goto done;
    status = wz_hf_check_place(folder, path.data, err);
    if (status == WZ_OK)
        status = wz_file_read(path.data, TOKENIZER_LIMIT, &json, err);
    if (status != WZ_OK)
        goto done;
    status = wz_tokenizer_create(json.data, json.length, &out->tokenizer, err);
    if (status != WZ_OK) {
        status = wz_fail_prefix(err, status, "%s: ", path.data);
        goto done;
    }
    const size_t tokens = wz_tokenizer_vocab_size(out->tokenizer);
    if (tokens > (size_t)out->model.vocab_size)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: %zu tokens, but the model of " CONFIG " has %lld",
                         path.data, tokens, (long long)out->model.vocab_size);
done:
    wz_text_clear(&path);
    wz_text_clear(&json);
    return status;
}

/* A file of its own comes before the one in tokenizer_config.json, as in transformers. */
static wz_status read_template(const char *folder, wz_portable *out, wz_error *err)
{
    wz_text path = {0};
    wz_status status = set_path(&path, folder, "chat_template.jinja", err);
    if (status == WZ_OK && wz_path_exists(path.data)) {
        wz_text_clear(&out->chat_template);
        status = wz_hf_check_place(folder, path.data, err);
        if (status == WZ_OK)
            status = wz_file_read(path.data, TEMPLATE_LIMIT, &out->chat_template, err);
    }
    wz_text_clear(&path);
    return status;
}

/* The value of "key: value" or "key: "value"" in the card's front matter, its first lines between two of "---". */
static void find_in_card(const char *card, const char *key, char *out, size_t size)
{
    const size_t length = strlen(key);
    const char *line = strncmp(card, "---\n", 4) == 0 ? card + 4 : NULL;
    while (line != NULL && strncmp(line, "---", 3) != 0) {
        const char *end = strchr(line, '\n');
        if (end != NULL && strncmp(line, key, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            value += strspn(value, " \t\"'");
            size_t count = value < end ? (size_t)(end - value) : 0;
            while (count > 0 && strchr(" \t\r\"'", value[count - 1]) != NULL)
                count--;
            if (count < size) {
                memcpy(out, value, count);
                out[count] = '\0';
            }
            return;
        }
        line = end != NULL ? end + 1 : NULL;
    }
}

/* The licence goes where the weights go. "other" has its name beside it. */
static wz_status read_card(const char *folder, wz_portable *out, wz_error *err)
{
    wz_text path = {0}, card = {0};
    wz_status status = set_path(&path, folder, "README.md", err);
    if (status == WZ_OK && wz_path_exists(path.data)) {
        status = wz_hf_check_place(folder, path.data, err);
        if (status == WZ_OK)
            status = wz_file_read(path.data, CARD_LIMIT, &card, err);
    }
    if (status == WZ_OK && card.length > 0) {
        find_in_card(card.data, "license", out->license, sizeof out->license);
        find_in_card(card.data, "base_model", out->base_model, sizeof out->base_model);
        if (strcmp(out->license, "other") == 0)
            find_in_card(card.data, "license_name", out->license, sizeof out->license);
    }
    wz_text_clear(&path);
    wz_text_clear(&card);
    return status;
}

static wz_status open_folder(const char *path, wz_portable *out, wz_error *err)
{
    wz_text folder = {0};
    wz_portable_init(out);
    out->temperature = 0.0; /* where nothing says how to sample, transformers does not */
    wz_status status = find_folder(path, &folder, err);
    if (status == WZ_OK)
        status = wz_hf_read_json(folder.data, CONFIG, true, wz_hf_config_read, out, err);
    if (status == WZ_OK)
        status =
            wz_hf_read_json(folder.data, "generation_config.json", false, wz_hf_generation_read, out, err);
    if (status == WZ_OK)
        status = wz_hf_read_tokenizer(folder.data, false, out, err);
    if (status == WZ_OK)
        status = wz_hf_read_json(folder.data, "tokenizer_config.json", false, wz_hf_tokenizer_read, out, err);
    if (status == WZ_OK)
        status = read_template(folder.data, out, err);
    if (status == WZ_OK)
        status = read_card(folder.data, out, err);
    if (status == WZ_OK)
        status = wz_hf_open_weights(folder.data, out->model.tie_word_embeddings, &out->tensors, err);
    if (status == WZ_OK)
        status = wz_portable_check_tensors(out, folder.data, err);
    if (status != WZ_OK)
        wz_portable_clear(out);
    wz_text_clear(&folder);
    return status;
}

/* --- writing --- */

static wz_status write_text(const char *folder, const char *name, const wz_text *text, wz_error *err)
{
    wz_text path = {0};
    wz_status status = set_path(&path, folder, name, err);
    if (status == WZ_OK)
        status = wz_file_replace(path.data, text->data, text->length, err);
    wz_text_clear(&path);
    return status;
}

static wz_status write_config(const wz_portable *model, wz_number_type type, const char *folder,
                              wz_error *err)
{
    wz_text text = {0};
    wz_status status = wz_hf_config_write(model, type, &text, err);
    if (status == WZ_OK)
        status = write_text(folder, CONFIG, &text, err);
    wz_text_clear(&text);
    return status;
}

static wz_status write_part(const wz_portable *model, const char *folder, const char *name,
                            wz_status (*make)(const wz_portable *, wz_text *, wz_error *), wz_error *err)
{
    wz_text text = {0};
    wz_status status = make(model, &text, err);
    if (status == WZ_OK)
        status = write_text(folder, name, &text, err);
    wz_text_clear(&text);
    return status;
}

static wz_status make_tokenizer(const wz_portable *model, wz_text *out, wz_error *err)
{
    return wz_tokenizer_write_json(model->tokenizer, out, err);
}

static wz_status write_folder(const wz_portable *model, wz_number_type type, const char *folder,
                              const wz_byte_count *bytes, wz_error *err)
{
    wz_text path = {0};
    wz_status status = write_config(model, type, folder, err);
    if (status == WZ_OK)
        status = write_part(model, folder, "generation_config.json", wz_hf_generation_write, err);
    if (status == WZ_OK && model->tokenizer != NULL)
        status = write_part(model, folder, "tokenizer.json", make_tokenizer, err);
    if (status == WZ_OK && model->tokenizer != NULL)
        status = write_part(model, folder, "tokenizer_config.json", wz_hf_tokenizer_write, err);
    if (status == WZ_OK)
        status = set_path(&path, folder, WZ_HF_WEIGHTS, err);
    if (status == WZ_OK)
        status = wz_safetensors_write(path.data, model->tensors, type, NULL, 0, bytes, err);
    wz_text_clear(&path);
    return status;
}

static const char *const written[] = {
    CONFIG, "generation_config.json", "tokenizer.json", "tokenizer_config.json", WZ_HF_WEIGHTS, NULL};

const wz_model_format wz_format_hf = {
    .name = "hf",
    .title = "Hugging Face folder",
    .types = 1u << WZ_NUMBER_F32 | 1u << WZ_NUMBER_F16 | 1u << WZ_NUMBER_BF16,
    .file = CONFIG,
    .files = written,
    .write = write_folder,
    .open = open_folder,
};
