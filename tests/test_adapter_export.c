/* Adapters alone for PEFT and llama.cpp: names, numbers, order of rows, and what is refused. The two programs themselves are
 * asked in scripts/interop-test.sh. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "checkpoints/gguf.h"
#include "checkpoints/safetensors.h"
#include "engine/core/file.h"
#include "engine/core/folder.h"
#include "engine/run/export.h"
#include "engine/run/portable.h"
#include "tests/policy_fixture.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;

static void setup(void)
{
    temporary_create(&where);
}

static void teardown(void)
{
    temporary_remove(&where);
}

#define LORA "lora_rank=3 lora_alpha=6 "
static const char *const models[] = {
    LORA "model.model_type=llama model.num_attention_heads=4",
    LORA "model.model_type=qwen2 model.attention_bias=true model.tie_word_embeddings=true "
         "model.num_attention_heads=4 lora_target_modules=k_proj,down_proj",
    LORA "model.model_type=qwen3 model.use_qk_norm=true model.num_attention_heads=4 model.head_dim=32",
};
#define MODELS (int)(sizeof models / sizeof models[0])

/* B starts at zero: every number of an adapter becomes another one, which f32 holds exactly and f16 does not. */
static void make_adapted(const char *overrides)
{
    make_policy(overrides);
    const wz_model *model = f.policy->model;
    for (size_t i = 0; i < model->adapter_params; i++)
        for (int64_t j = 0; j < model->params[i].count; j++)
            model->weights[model->params[i].offset + j] = (float)(i + 1) + 0.0001f * (float)j;
    wz_model_weights_changed(model);
}

static wz_export request_of(const char *format, wz_number_type type)
{
    return (wz_export){.policy = f.policy,
                       .config = &f.config,
                       .checkpoint = "runs/x.h5",
                       .environment = "",
                       .format = wz_model_format_find(format),
                       .type = type,
                       .folder = temporary_path(&where, "out"),
                       .overwrite = true,
                       .name = "adapted",
                       .license = "mit"};
}

static void export_as(const char *format, wz_number_type type)
{
    const wz_byte_count nobody = {.add = NULL};
    const wz_export request = request_of(format, type);
    OK(wz_export_run(&request, &nobody, &f.err));
}

START_TEST(adapters_read_back_in_every_type)
{
    static const char *const formats[] = {"peft", "gguf-lora"};
    make_adapted(models[_i]);
    const wz_model *model = f.policy->model;
    for (size_t i = 0; i < 2; i++)
        for (int type = 0; type < WZ_NUMBER_TYPES; type++) {
            if ((wz_model_format_find(formats[i])->types >> type & 1u) == 0)
                continue;
            wz_verification verification;
            export_as(formats[i], (wz_number_type)type);
            const wz_export request = request_of(formats[i], (wz_number_type)type);
            OK(wz_export_verify(&request, 16, &verification, &f.err));
            ck_assert_uint_eq(verification.tensors, model->adapter_params);
            /* the last number of the last B is another one now */
            float *last = model->weights + model->params[model->adapter_params - 1].offset +
                          model->params[model->adapter_params - 1].count - 1;
            const float was = *last;
            *last = 2.0f * was;
            ck_assert_int_eq(wz_export_verify(&request, 0, &verification, &f.err), WZ_ERR_CORRUPT);
            ck_assert_ptr_nonnull(strstr(f.err.text, "layers.1.mlp.down_proj.lora_B.weight"));
            *last = was;
        }
    drop_policy();
}
END_TEST

static void check_text(const json_t *config, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(config, key));
    ck_assert_msg(text != NULL && strcmp(text, expected) == 0, "%s is %s", key, text);
}

/* The keys that PEFT 0.21 reads, and tensors under the names that it saves. */
START_TEST(peft_folder_has_its_names_and_our_numbers)
{
    wz_safetensors *file = NULL;
    make_adapted(models[1]);
    export_as("peft", WZ_NUMBER_F32);
    json_t *config = json_load_file(temporary_path(&where, "out/adapter_config.json"), 0, NULL);
    check_text(config, "peft_type", "LORA");
    check_text(config, "task_type", "CAUSAL_LM");
    check_text(config, "bias", "none");
    ck_assert_int_eq(json_integer_value(json_object_get(config, "r")), 3);
    ck_assert_double_eq(json_number_value(json_object_get(config, "lora_alpha")), 6.0);
    const json_t *modules = json_object_get(config, "target_modules");
    ck_assert_uint_eq(json_array_size(modules), 2);
    ck_assert_str_eq(json_string_value(json_array_get(modules, 0)), "k_proj");
    ck_assert_str_eq(json_string_value(json_array_get(modules, 1)), "down_proj");
    json_decref(config);
    OK(wz_safetensors_open(temporary_path(&where, "out/adapter_model.safetensors"), &file, &f.err));
    ck_assert_uint_eq(wz_safetensors_count(file), 2 * 2 * 2); /* layers, targets, A and B */
    for (int layer = 0; layer < 2; layer++)
        for (int t = 0; t < 4; t++) {
            static const char *const ends[] = {"self_attn.k_proj.lora_A", "self_attn.k_proj.lora_B",
                                               "mlp.down_proj.lora_A", "mlp.down_proj.lora_B"};
            static const size_t shapes[][2] = {{3, 32}, {32, 3}, {3, 64}, {32, 3}};
            char name[96];
            size_t index = 0;
            float numbers[3 * 64];
            (void)snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.weight", layer, ends[t]);
            while (strcmp(wz_safetensors_tensor(file, index)->name, name) != 0)
                ck_assert_uint_lt(++index, wz_safetensors_count(file));
            ck_assert_uint_eq(wz_safetensors_tensor(file, index)->shape[0], shapes[t][0]);
            ck_assert_uint_eq(wz_safetensors_tensor(file, index)->shape[1], shapes[t][1]);
            OK(wz_safetensors_read(file, index, 0, shapes[t][0], numbers, &f.err));
            /* make_adapted: by the place in the table, layer after layer, A before B */
            for (size_t j = 0; j < shapes[t][0] * shapes[t][1]; j++)
                ck_assert_float_eq(numbers[j], (float)(4 * layer + t + 1) + 0.0001f * (float)j);
        }
    wz_safetensors_close(file);
    drop_policy();
}
END_TEST

static void check_key(const wz_gguf *file, const char *key, const char *expected)
{
    const char *text = NULL;
    size_t length = 0;
    OK(wz_gguf_get_string(file, key, NULL, &text, &length, &f.err));
    ck_assert_uint_eq(length, strlen(expected));
    ck_assert_mem_eq(text, expected, length);
}

/* Rows of a file's tensor against those of a parameter: of B of q and k of llama, row 2 j + k of a head is row k half + j. */
static void check_rows(const wz_gguf *file, const char *theirs, const char *ours, bool moves)
{
    size_t t = 0;
    const wz_model *model = f.policy->model;
    const wz_param *param = wz_model_find_param(model, ours);
    const size_t half = (size_t)model->config.head_dim / 2;
    while (strcmp(file->tensors[t].name, theirs) != 0)
        ck_assert_uint_lt(++t, file->tensor_count);
    const wz_gguf_tensor *tensor = &file->tensors[t];
    ck_assert_int_eq(tensor->type, WZ_NUMBER_F32);
    ck_assert_uint_eq(tensor->shape[0], (size_t)param->shape[0]);
    ck_assert_uint_eq(tensor->shape[1], (size_t)param->shape[1]);
    for (size_t r = 0; r < tensor->shape[0]; r++) {
        const size_t j = r % (2 * half) / 2, k = r % 2, width = tensor->shape[1];
        const size_t row = moves ? r / (2 * half) * (2 * half) + k * half + j : r;
        float numbers[256];
        ck_assert_uint_le(width, sizeof numbers / sizeof *numbers);
        OK(wz_file_read_at(file->descriptor, "out", tensor->offset + r * width * 4, numbers, width * 4,
                           &f.err));
        ck_assert_mem_eq(numbers, model->weights + param->offset + row * width, width * sizeof *numbers);
    }
}

START_TEST(gguf_adapter_has_llama_cpp_names_and_rows)
{
    for (int llama = 0; llama < 2; llama++) {
        static const char *const names[][2] = {
            {"attn_q", "self_attn.q_proj"}, {"attn_k", "self_attn.k_proj"},
            {"attn_v", "self_attn.v_proj"}, {"attn_output", "self_attn.o_proj"},
            {"ffn_gate", "mlp.gate_proj"},  {"ffn_up", "mlp.up_proj"},
            {"ffn_down", "mlp.down_proj"}};
        wz_gguf *file = NULL;
        double alpha = 0.0;
        make_adapted(models[llama ? 0 : 2]);
        export_as("gguf-lora", WZ_NUMBER_F32);
        OK(wz_gguf_open(temporary_path(&where, "out/adapter.gguf"), &file, &f.err));
        check_key(file, "general.type", "adapter");
        check_key(file, "adapter.type", "lora");
        check_key(file, "general.architecture", llama ? "llama" : "qwen3");
        OK(wz_gguf_get_number(file, "adapter.lora.alpha", NULL, &alpha, &f.err));
        ck_assert_double_eq(alpha, 6.0);
        ck_assert_uint_eq(file->tensor_count, 2 * 7 * 2);
        for (int i = 0; i < 2 * 7 * 2; i++) {
            char theirs[64], ours[96];
            const int layer = i / 14, t = i / 2 % 7, b = i % 2;
            (void)snprintf(theirs, sizeof theirs, "blk.%d.%s.weight.lora_%c", layer, names[t][0], "ab"[b]);
            (void)snprintf(ours, sizeof ours, "base_model.model.model.layers.%d.%s.lora_%c.weight", layer,
                           names[t][1], "AB"[b]);
            check_rows(file, theirs, ours, llama && b == 1 && t < 2);
        }
        wz_gguf_close(file);
        drop_policy();
    }
}
END_TEST

/* Read back, the folded weights answer as the policy with its adapters, where its base is stored as bf16, too; of adapters
 * alone no answers are told. */
START_TEST(verified_with_and_without_the_base)
{
    char keys[300];
    wz_verification found;
    (void)snprintf(keys, sizeof keys, "%s%s", models[_i / 2], _i % 2 == 1 ? " frozen_dtype=bf16" : "");
    make_adapted(keys);
    export_as("hf", WZ_NUMBER_F32);
    wz_export request = request_of("hf", WZ_NUMBER_F32);
    OK(wz_export_verify(&request, 4, &found, &f.err));
    ck_assert_int_eq(found.problems, 4);
    ck_assert_int_eq(found.equal_problems, 4);
    export_as("peft", WZ_NUMBER_F32);
    request = request_of("peft", WZ_NUMBER_F32);
    OK(wz_export_verify(&request, 4, &found, &f.err));
    ck_assert_uint_eq(found.tensors, f.policy->model->adapter_params);
    ck_assert(found.problems == 0 && isnan(found.least_margin));
    drop_policy();
}
END_TEST

START_TEST(checkpoint_without_adapters_is_refused)
{
    const wz_byte_count nobody = {.add = NULL};
    make_policy(models[0] + strlen(LORA));
    wz_export request = request_of("peft", WZ_NUMBER_F32);
    ck_assert_int_eq(wz_export_run(&request, &nobody, &f.err), WZ_ERR_USAGE);
    ck_assert_str_eq(f.err.text, "runs/x.h5: --format peft writes low-rank adapters, and this checkpoint has "
                                 "none: train with lora_rank, or export the whole policy with --format hf");
    request = request_of("gguf-lora", WZ_NUMBER_F32);
    ck_assert_int_eq(wz_export_run(&request, &nobody, &f.err), WZ_ERR_USAGE);
    ck_assert(!wz_path_exists(temporary_path(&where, "out")));
    drop_policy();
}
END_TEST

/* Adapters are no model, and a model has no adapters. */
START_TEST(one_is_not_read_as_the_other)
{
    static const char *const files[] = {"out", "out/adapter.gguf"};
    wz_portable back;
    make_adapted(models[0]);
    export_as("gguf-lora", WZ_NUMBER_F32);
    ck_assert_ptr_null(wz_model_format_at(temporary_path(&where, files[0])));
    const wz_model_format *format = wz_model_format_at(temporary_path(&where, files[1]));
    ck_assert_int_eq(format->open(where.path, &back, &f.err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(f.err.text, "holds adapters and no model"));
    export_as("gguf", WZ_NUMBER_F32);
    format = wz_model_format_find("gguf-lora");
    ck_assert_int_eq(format->open(temporary_path(&where, "out/model.gguf"), &back, &f.err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(f.err.text, "general.type is 'model', not 'adapter'"));
    drop_policy();
}
END_TEST

/* The card says that they need a base; only their bytes are counted. */
START_TEST(card_and_size_are_those_of_the_adapters)
{
    wz_text card = {0};
    make_adapted(models[1]);
    export_as("peft", WZ_NUMBER_F16);
    const wz_export request = request_of("peft", WZ_NUMBER_F16);
    /* layers, rank, inputs and outputs of k (32 to 32) and down (64 to 32), two bytes each */
    ck_assert_uint_eq(wz_export_bytes(&request), 2 * 3 * ((32 + 32) + (64 + 32)) * 2);
    OK(wz_file_read(temporary_path(&where, "out/README.md"), 1 << 20, &card, &f.err));
    ck_assert_ptr_nonnull(strstr(card.data, "These are adapters alone (rank 3, alpha 6): load them beside"));
    wz_text_clear(&card);
    drop_policy();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("adapter_export");
    TCase *all = tcase_create("adapters");
    tcase_set_timeout(all, 120);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, adapters_read_back_in_every_type, 0, MODELS);
    tcase_add_test(all, peft_folder_has_its_names_and_our_numbers);
    tcase_add_test(all, gguf_adapter_has_llama_cpp_names_and_rows);
    tcase_add_loop_test(all, verified_with_and_without_the_base, 0, 2 * MODELS);
    tcase_add_test(all, checkpoint_without_adapters_is_refused);
    tcase_add_test(all, one_is_not_read_as_the_other);
    tcase_add_test(all, card_and_size_are_those_of_the_adapters);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
