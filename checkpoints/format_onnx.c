/* An ONNX folder, as ONNX Runtime and onnxruntime-genai take it: model.onnx (and its data), genai_config.json, and a Hugging
 * Face folder's JSON files. */
#include <stdio.h>
#include <string.h>

#include "checkpoints/formats.h"
#include "checkpoints/hf_config.h"
#include "checkpoints/onnx_file.h"
#include "engine/core/file.h"
#include "engine/core/json.h"

static wz_status set_path(wz_text *path, const char *folder, const char *name, wz_error *err)
{
    path->length = 0;
    return wz_text_printf(path, err, "%s/%s", folder, name);
}

/* ---- writing ---- */

static void put_decoder(const wz_portable *model, wz_json *json)
{
    const wz_model_config *c = &model->model;
    wz_json_key(json, "decoder");
    wz_json_begin_object(json);
    wz_json_key(json, "session_options");
    wz_json_begin_object(json);
    wz_json_field_string(json, "log_id", "onnxruntime-genai");
    wz_json_key(json, "provider_options");
    wz_json_begin_array(json);
    wz_json_end_array(json);
    wz_json_end_object(json);
    wz_json_field_string(json, "filename", WZ_ONNX_FILE);
    wz_json_field_integer(json, "head_size", c->head_dim);
    wz_json_field_integer(json, "hidden_size", c->hidden_size);
    wz_json_key(json, "inputs");
    wz_json_begin_object(json);
    wz_json_field_string(json, "input_ids", "input_ids");
    wz_json_field_string(json, "attention_mask", "attention_mask");
    wz_json_field_string(json, "position_ids", "position_ids");
    wz_json_field_string(json, "past_key_names", "past_key_values.%d.key");
    wz_json_field_string(json, "past_value_names", "past_key_values.%d.value");
    wz_json_end_object(json);
    wz_json_key(json, "outputs");
    wz_json_begin_object(json);
    wz_json_field_string(json, "logits", "logits");
    wz_json_field_string(json, "present_key_names", "present.%d.key");
    wz_json_field_string(json, "present_value_names", "present.%d.value");
    wz_json_end_object(json);
    wz_json_field_integer(json, "num_attention_heads", c->num_attention_heads);
    wz_json_field_integer(json, "num_hidden_layers", c->num_hidden_layers);
    wz_json_field_integer(json, "num_key_value_heads", c->num_key_value_heads);
    wz_json_end_object(json);
}

static void put_search(const wz_portable *model, wz_json *json)
{
    wz_json_key(json, "search");
    wz_json_begin_object(json);
    wz_json_field_boolean(json, "do_sample", model->temperature > 0.0);
    wz_json_field_number(json, "temperature", model->temperature > 0.0 ? model->temperature : 1.0);
    wz_json_field_number(json, "top_p", model->top_p);
    wz_json_field_integer(json, "top_k", model->temperature > 0.0 ? model->top_k : 1);
    wz_json_field_integer(json, "num_beams", 1);
    wz_json_field_integer(json, "num_return_sequences", 1);
    wz_json_field_number(json, "repetition_penalty", 1.0);
    wz_json_field_boolean(json, "early_stopping", true);
    wz_json_field_boolean(json, "past_present_share_buffer", false);
    wz_json_field_integer(json, "min_length", 0);
    wz_json_field_integer(json, "max_length", model->model.max_position_embeddings);
    wz_json_end_object(json);
}

static wz_status write_genai(const wz_portable *model, wz_text *out, wz_error *err)
{
    wz_json json;
    const int64_t end = model->end_count > 0 ? (int64_t)model->end_ids[0] : 0;
    wz_json_start(&json, out, err);
    wz_json_begin_object(&json);
    wz_json_key(&json, "model");
    wz_json_begin_object(&json);
    wz_json_field_integer(&json, "bos_token_id", model->bos_id >= 0 ? model->bos_id : end);
    wz_json_field_integer(&json, "context_length", model->model.max_position_embeddings);
    put_decoder(model, &json);
    wz_json_key(&json, "eos_token_id");
    wz_json_begin_array(&json);
    for (size_t i = 0; i < model->end_count; i++)
        wz_json_integer(&json, (int64_t)model->end_ids[i]);
    wz_json_end_array(&json);
    wz_json_field_integer(&json, "pad_token_id", model->pad_id >= 0 ? model->pad_id : end);
    wz_json_field_string(&json, "type", wz_model_type_names[model->model.model_type]);
    wz_json_field_integer(&json, "vocab_size", model->model.vocab_size);
    wz_json_end_object(&json);
    put_search(model, &json);
    wz_json_end_object(&json);
    return wz_json_finish(&json);
}

static wz_status write_config(const wz_portable *model, wz_text *out, wz_error *err)
{
    return wz_hf_config_write(model, WZ_NUMBER_F32, out, err);
}

static wz_status write_tokenizer(const wz_portable *model, wz_text *out, wz_error *err)
{
    return wz_tokenizer_write_json(model->tokenizer, out, err);
}

static wz_status write_onnx(const wz_portable *model, wz_number_type type, const char *folder,
                            const wz_byte_count *bytes, wz_error *err)
{
    static const struct {
        const char *name;
        wz_status (*write)(const wz_portable *, wz_text *, wz_error *);
    } files[] = {{"config.json", write_config},
                 {"generation_config.json", wz_hf_generation_write},
                 {"tokenizer_config.json", wz_hf_tokenizer_write},
                 {"tokenizer.json", write_tokenizer},
                 {"genai_config.json", write_genai}};
    wz_text text = {0}, path = {0};
    wz_status status = WZ_OK;
    for (size_t i = 0; status == WZ_OK && i < sizeof files / sizeof files[0]; i++) {
        text.length = 0;
        status = set_path(&path, folder, files[i].name, err);
        if (status == WZ_OK)
            status = files[i].write(model, &text, err);
        if (status == WZ_OK)
            status = wz_file_replace(path.data, text.data, text.length, err);
    }
    wz_text_clear(&text);
    wz_text_clear(&path);
    return status == WZ_OK ? wz_onnx_write(model, type, folder, WZ_ONNX_INLINE_BYTES, bytes, err) : status;
}

/* ---- reading ---- */

static wz_status open_onnx(const char *path, wz_portable *out, wz_error *err)
{
    wz_text folder = {0};
    const char *slash = strrchr(path, '/');
    wz_portable_init(out);
    wz_status status = wz_path_is_directory(path) ? wz_text_append(&folder, path, strlen(path), err)
                       : slash == NULL            ? wz_text_append(&folder, ".", 1, err)
                                       : wz_text_append(&folder, path, (size_t)(slash - path) + 1, err);
    if (status == WZ_OK)
        status = wz_hf_read_json(folder.data, "config.json", true, wz_hf_config_read, out, err);
    if (status == WZ_OK)
        status = wz_hf_read_tokenizer(folder.data, true, out, err);
    if (status == WZ_OK)
        status = wz_onnx_open(folder.data, &out->model, &out->tensors, err);
    if (status == WZ_OK)
        status = wz_portable_check_tensors(out, path, err);
    if (status != WZ_OK)
        wz_portable_clear(out);
    wz_text_clear(&folder);
    return status;
}

static const char *const written[] = {"config.json",       "generation_config.json",
                                      "tokenizer.json",    "tokenizer_config.json",
                                      "genai_config.json", WZ_ONNX_FILE,
                                      WZ_ONNX_DATA_FILE,   NULL};

const wz_model_format wz_format_onnx = {
    .name = "onnx",
    .title = "ONNX, for ONNX Runtime",
    .types = 1u << WZ_NUMBER_F32 | 1u << WZ_NUMBER_F16 | 1u << WZ_NUMBER_BF16 | 1u << WZ_NUMBER_Q8_0 |
             1u << WZ_NUMBER_Q4_0,
    .file = WZ_ONNX_FILE,
    .files = written,
    .write = write_onnx,
    .open = open_onnx,
    .table_bytes = wz_onnx_table_bytes,
};
