/* Writes the seeds of tests/data/fuzz that are exports, each as small as its format allows:
 *
 *     make_fuzz_seeds tests/data/fuzz
 *
 * One layer, a handful of tokens, numbers that are all different; adapters of rank 2. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/formats.h"
#include "engine/core/file.h"
#include "engine/core/folder.h"
#include "engine/model/model.h"

static const char tokens[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":4,\"content\":\"<|end|>\",\"single_word\":false,"
    "\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalizer\":null,"
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"
    "\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
    "\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"<|end|>\":4},\"merges\":[\"a b\"]}}";

static void need(wz_status status, const wz_error *err)
{
    if (status == WZ_OK)
        return;
    (void)fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static wz_status read_sines(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                            wz_error *err)
{
    const size_t width = self->tensors[index].rank == 2 ? self->tensors[index].shape[1] : 1;
    (void)err;
    for (size_t i = 0; i < rows * width; i++)
        out[i] = sinf((float)(index * 1000 + first * width + i));
    return WZ_OK;
}

static void close_nothing(wz_tensor_source *self)
{
    free((wz_stored_tensor *)(uintptr_t)self->tensors);
    free(self);
}

/* The parameters of a kind: a model's own, or its adapters. */
static wz_tensor_source *make_source(const wz_param *params, size_t count, bool adapters)
{
    wz_tensor_source *source = calloc(1, sizeof *source);
    wz_stored_tensor *tensors = calloc(count, sizeof *tensors);
    if (source == NULL || tensors == NULL)
        abort();
    *source = (wz_tensor_source){.tensors = tensors, .read = read_sines, .close = close_nothing};
    for (size_t i = 0; i < count; i++)
        if ((strstr(params[i].name, ".lora_") != NULL) == adapters)
            tensors[source->count++] =
                (wz_stored_tensor){params[i].name,
                                   WZ_NUMBER_F32,
                                   params[i].rank,
                                   {(size_t)params[i].shape[0], (size_t)params[i].shape[1]}};
    return source;
}

/* As wide as a block of the stored type, or 8. */
static wz_portable make_model(int type, wz_number_type stored, wz_param **params)
{
    const int64_t width = wz_number_block(stored) > 1 ? (int64_t)wz_number_block(stored) : 8;
    wz_portable p;
    wz_error err;
    size_t count = 0;
    wz_portable_init(&p);
    p.model = (wz_model_config){.model_type = type,
                                .vocab_size = 6,
                                .hidden_size = width,
                                .intermediate_size = width,
                                .num_hidden_layers = 1,
                                .num_attention_heads = 2,
                                .num_key_value_heads = 1,
                                .head_dim = width / 2,
                                .max_position_embeddings = 4,
                                .rms_norm_eps = 1e-5,
                                .rope_theta = 1e4,
                                .tie_word_embeddings = true,
                                .attention_bias = type == WZ_MODEL_QWEN2,
                                .use_qk_norm = type == WZ_MODEL_QWEN3,
                                .lora = {.rank = 2, .alpha = 4.0, .target = {[1] = true, [3] = true}}};
    need(wz_model_list_params(&p.model, params, &count, &err), &err);
    p.lora = p.model.lora;
    p.model.lora.rank = 0;
    p.tensors = make_source(*params, count, false);
    p.adapters = make_source(*params, count, true);
    need(wz_tokenizer_create(tokens, sizeof tokens - 1, &p.tokenizer, &err), &err);
    p.end_ids[p.end_count++] = 4;
    (void)snprintf(p.name, sizeof p.name, "seed");
    return p;
}

static void append_file(const char *folder, const char *name, wz_text *to)
{
    char path[600];
    wz_error err;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    need(wz_file_read(path, (size_t)1 << 20, to, &err), &err);
}

/* files: one, or two to be joined by NUL. */
static void write_seed(const char *to, const wz_model_format *format, int model, wz_number_type type,
                       const char *const files[2])
{
    static const wz_byte_count nobody;
    char folder[] = "/tmp/fuzz-seed-XXXXXX", path[600];
    wz_param *params = NULL;
    wz_portable p = make_model(model, type, &params);
    wz_text text = {0};
    wz_error err;
    if (mkdtemp(folder) == NULL)
        abort();
    need(format->write(&p, type, folder, &nobody, &err), &err);
    append_file(folder, files[0], &text);
    if (files[1] != NULL) {
        need(wz_text_append(&text, "", 1, &err), &err);
        append_file(folder, files[1], &text);
    }
    (void)snprintf(path, sizeof path, "%s/good-%s-%s-%s", to, format->name, wz_model_type_names[model],
                   wz_number_type_names[type]);
    need(wz_file_replace(path, text.data, text.length, &err), &err);
    need(wz_folder_remove(folder, &err), &err);
    wz_text_clear(&text);
    wz_portable_clear(&p);
    free(params);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *target;
        const wz_model_format *format;
        int model;
        wz_number_type type;
        const char *files[2];
    } seeds[] = {
        {"gguf", &wz_format_gguf, WZ_MODEL_LLAMA, WZ_NUMBER_F16, {"model.gguf"}},
        {"gguf", &wz_format_gguf, WZ_MODEL_QWEN2, WZ_NUMBER_Q8_0, {"model.gguf"}},
        {"gguf", &wz_format_gguf, WZ_MODEL_QWEN3, WZ_NUMBER_Q4_0, {"model.gguf"}},
        {"gguf", &wz_format_gguf_lora, WZ_MODEL_LLAMA, WZ_NUMBER_F16, {"adapter.gguf"}},
        {"gguf", &wz_format_gguf_lora, WZ_MODEL_QWEN3, WZ_NUMBER_F32, {"adapter.gguf"}},
        {"onnx", &wz_format_onnx, WZ_MODEL_LLAMA, WZ_NUMBER_F16, {"config.json", "model.onnx"}},
        {"onnx", &wz_format_onnx, WZ_MODEL_QWEN3, WZ_NUMBER_Q4_0, {"config.json", "model.onnx"}},
        {"peft",
         &wz_format_peft,
         WZ_MODEL_LLAMA,
         WZ_NUMBER_BF16,
         {"adapter_config.json", "adapter_model.safetensors"}},
        {"peft",
         &wz_format_peft,
         WZ_MODEL_QWEN2,
         WZ_NUMBER_F32,
         {"adapter_config.json", "adapter_model.safetensors"}},
        {"hf_config", &wz_format_hf, WZ_MODEL_QWEN3, WZ_NUMBER_F16, {"config.json"}},
        {"safetensors", &wz_format_hf, WZ_MODEL_LLAMA, WZ_NUMBER_F16, {"model.safetensors"}},
        {"tokenizer", &wz_format_hf, WZ_MODEL_LLAMA, WZ_NUMBER_BF16, {"tokenizer.json"}},
    };
    char to[512];
    if (argc != 2)
        return 2;
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        wz_error err;
        (void)snprintf(to, sizeof to, "%s/%s", argv[1], seeds[i].target);
        need(wz_directory_create(to, &err), &err);
        write_seed(to, seeds[i].format, seeds[i].model, seeds[i].type, seeds[i].files);
    }
    return 0;
}
