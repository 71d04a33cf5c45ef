/* Hugging Face folders: what transformers saved is read, computes what transformers computes, and is written back. The
 * folders: tests/tools/make_hf_fixtures.py. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/checkpoint.h"
#include "checkpoints/hf_config.h"
#include "checkpoints/hf_weights.h"
#include "engine/core/file.h"
#include "engine/run/config.h"
#include "engine/run/load.h"
#include "engine/run/portable.h"
#include "tests/model_example.h"
#include "tests/suite.h"
#include "tests/temporary.h"

#define FOLDERS (WZ_TEST_DATA "/hf/")
#define BOUND 1e-4 /* of the largest |logit| of a row */

static const struct folder {
    const char *name;
    int type;
    wz_number_type stored;
    bool tied;
    double temperature;
} folders[] = {{"llama_tied", WZ_MODEL_LLAMA, WZ_NUMBER_BF16, true, 0.0},
               {"llama3", WZ_MODEL_LLAMA, WZ_NUMBER_F16, false, 0.6},
               {"qwen2", WZ_MODEL_QWEN2, WZ_NUMBER_F32, true, 0.6},
               {"qwen3", WZ_MODEL_QWEN3, WZ_NUMBER_BF16, false, 0.0}};
#define FOLDER_COUNT ((int)(sizeof folders / sizeof folders[0]))

static temporary where;
static char path[512]; /* of the fixture */

static void make_place(void)
{
    temporary_create(&where);
}

static void remove_place(void)
{
    temporary_remove(&where);
}

static void assert_ok(wz_status status, const wz_error *err)
{
    ck_assert_msg(status == WZ_OK, "status %d: %s", (int)status, err->text);
}

static const char *in_folder(int which, const char *file)
{
    (void)snprintf(path, sizeof path, "%s%s/%s", FOLDERS, folders[which].name, file);
    return path;
}

static json_t *expected_of(int which)
{
    json_t *json = NULL;
    wz_error err = {.text = ""};
    assert_ok(wz_json_parse_file(in_folder(which, "expected.json"), 1 << 20, &json, &err), &err);
    return json;
}

static int64_t integer_in(const json_t *object, const char *key)
{
    ck_assert(json_is_integer(json_object_get(object, key)));
    return (int64_t)json_integer_value(json_object_get(object, key));
}

static void open_fixture(int which, wz_portable *out)
{
    wz_error err = {.text = ""};
    assert_ok(wz_model_format_find("hf")->open(in_folder(which, ""), out, &err), &err);
}

static void count_nothing(void *user, uint64_t bytes)
{
    (void)user;
    (void)bytes;
}

/* --- reading --- */

START_TEST(open_folder_has_what_transformers_reads)
{
    wz_portable model;
    json_t *expected = expected_of(_i);
    const json_t *end = json_object_get(expected, "end");
    open_fixture(_i, &model);
    ck_assert_int_eq(model.model.model_type, folders[_i].type);
    ck_assert_int_eq(model.model.head_dim, integer_in(expected, "head_dim"));
    ck_assert_int_eq(model.model.vocab_size, integer_in(expected, "vocab_size"));
    ck_assert_int_eq(model.model.num_key_value_heads, integer_in(expected, "num_key_value_heads"));
    ck_assert(model.model.rope_theta == json_number_value(json_object_get(expected, "rope_theta")));
    ck_assert(model.model.tie_word_embeddings == folders[_i].tied);
    ck_assert_uint_eq(model.end_count, json_array_size(end));
    for (size_t i = 0; i < model.end_count; i++)
        ck_assert_int_eq(model.end_ids[i], json_integer_value(json_array_get(end, i)));
    ck_assert(model.temperature == folders[_i].temperature);
    ck_assert(model.top_p == (model.temperature > 0.0 ? 0.95 : 1.0));
    ck_assert_int_eq(model.top_k, model.temperature > 0.0 ? 20 : 0);
    ck_assert_str_eq(model.license, "apache-2.0");
    ck_assert_ptr_nonnull(strstr(model.chat_template.data, "<|im_start|>"));
    ck_assert_int_ge(model.bos_id, 0);
    ck_assert_int_lt((int64_t)wz_tokenizer_vocab_size(model.tokenizer), model.model.vocab_size);
    for (size_t i = 0; i < model.tensors->count; i++)
        ck_assert_int_eq(model.tensors->tensors[i].type, folders[_i].stored);
    wz_portable_clear(&model);
    json_decref(expected);
}
END_TEST

static int32_t *ids_of(const json_t *list, int32_t *count)
{
    *count = (int32_t)json_array_size(list);
    int32_t *ids = malloc((size_t)*count * sizeof *ids);
    ck_assert_ptr_nonnull(ids);
    for (int32_t i = 0; i < *count; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return ids;
}

/* The model of a source, whose tensors are read in pieces of `rows` rows. */
static wz_model *load_model(wz_portable *portable, wz_backend *backend, size_t rows)
{
    wz_model *model = NULL;
    wz_error err = {.text = ""};
    assert_ok(wz_model_create(&portable->model, backend, false, &model, &err), &err);
    for (size_t i = 0; i < model->param_count; i++) {
        const wz_param *param = &model->params[i];
        const size_t index = wz_tensor_find(portable->tensors, param->name), all = (size_t)param->shape[0];
        const size_t width = param->rank == 2 ? (size_t)param->shape[1] : 1;
        ck_assert_uint_ne(index, SIZE_MAX);
        for (size_t row = 0; row < all; row += rows)
            assert_ok(portable->tensors->read(portable->tensors, index, row,
                                              all - row < rows ? all - row : rows,
                                              model->weights + param->offset + row * width, &err),
                      &err);
    }
    wz_model_weights_changed(model);
    return model;
}

static double logit(const packed *p, int64_t decision, int64_t token)
{
    const int64_t width = p->model->config.hidden_size;
    double sum = 0.0;
    for (int64_t i = 0; i < width; i++)
        sum += (double)p->hidden[decision * width + i] *
               (double)p->model->weights[p->model->head + token * width + i];
    return sum;
}

/* Row r of expected.f32 against the logits of the decision about token rows[r] + 1. */
static void assert_logits(const packed *p, int which, const json_t *expected, int32_t prompt)
{
    wz_text bytes = {0};
    wz_error err = {.text = ""};
    const json_t *rows = json_object_get(expected, "rows");
    const int64_t vocab = p->model->config.vocab_size;
    assert_ok(wz_file_read(in_folder(which, "expected.f32"), 1 << 20, &bytes, &err), &err);
    ck_assert_uint_eq(bytes.length, json_array_size(rows) * (size_t)vocab * sizeof(float));
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const int64_t decision = json_integer_value(json_array_get(rows, r)) - prompt + 1;
        double largest = 0.0, difference = 0.0;
        for (int64_t t = 0; t < vocab; t++) {
            float theirs = 0.0f;
            memcpy(&theirs, bytes.data + (r * (size_t)vocab + (size_t)t) * sizeof theirs, sizeof theirs);
            largest = fmax(largest, fabs((double)theirs));
            difference = fmax(difference, fabs((double)theirs - logit(p, decision, t)));
        }
        ck_assert_msg(difference <= BOUND * largest, "row %zu: %g of %g", r, difference, largest);
    }
    wz_text_clear(&bytes);
}

/* Every margin in the fixtures is over the bound, so every greedy token must agree. */
static void assert_greedy(const packed *p, const json_t *expected, const int32_t *greedy)
{
    const json_t *margins = json_object_get(expected, "margin");
    for (int64_t i = 0; i < p->pack->decisions.count; i++) {
        int64_t best = 0;
        double most = -INFINITY;
        ck_assert(json_number_value(json_array_get(margins, (size_t)i)) > 2.0 * BOUND);
        for (int64_t t = 0; t < p->model->config.vocab_size; t++)
            if (logit(p, i, t) > most) {
                most = logit(p, i, t);
                best = t;
            }
        ck_assert_int_eq(best, greedy[i]);
    }
}

START_TEST(open_folder_computes_what_transformers_computes)
{
    int32_t prompt_offsets[2] = {0}, completion_offsets[2] = {0}, group = 0, none[64] = {0};
    example e = {.groups = 1, .completions = 1, .prompt_offsets = prompt_offsets, .temperature = 1.0};
    json_t *expected = expected_of(_i);
    wz_portable portable;
    wz_backend *backend = NULL;
    wz_error err = {.text = ""};
    packed p;
    e.completion_offsets = completion_offsets;
    e.completion_group = &group;
    e.set = none;
    e.prompt_ids = ids_of(json_object_get(expected, "prompt"), &prompt_offsets[1]);
    e.completion_ids = ids_of(json_object_get(expected, "greedy"), &completion_offsets[1]);
    e.tokens = completion_offsets[1];
    ck_assert_int_le(e.tokens, 64);
    open_fixture(_i, &portable);
    assert_ok(wz_backend_cpu_create(1, &backend, &err), &err);
    wz_model *model = load_model(&portable, backend, 7);
    packed_create(&p, model, &e, 0, 1, WZ_KEEP_CACHE);
    packed_forward(&p, false);
    assert_logits(&p, _i, expected, prompt_offsets[1]);
    assert_greedy(&p, expected, e.completion_ids);
    packed_destroy(&p);
    wz_model_destroy(model);
    backend->ops->destroy(backend);
    wz_portable_clear(&portable);
    free(e.prompt_ids);
    free(e.completion_ids);
    json_decref(expected);
}
END_TEST

/* Elements of a tensor of a source, as fp32. */
static float *numbers_of(wz_tensor_source *source, const char *name, size_t *count)
{
    wz_error err = {.text = ""};
    const size_t index = wz_tensor_find(source, name);
    ck_assert_msg(index != SIZE_MAX, "no tensor %s", name);
    *count = wz_tensor_elements(&source->tensors[index]);
    float *numbers = malloc(*count * sizeof *numbers);
    ck_assert_ptr_nonnull(numbers);
    assert_ok(source->read(source, index, 0, source->tensors[index].shape[0], numbers, &err), &err);
    return numbers;
}

/* The checkpoint holds the weights in the type they came in, and gives them back bit for bit. */
START_TEST(import_keeps_every_bit_and_type)
{
    static wz_config config;
    wz_portable portable;
    wz_checkpoint *checkpoint = NULL;
    wz_error err = {.text = ""};
    const wz_byte_count nobody = {.add = count_nothing};
    wz_config_default(&config);
    open_fixture(_i, &portable);
    temporary_path(&where, "model.h5");
    assert_ok(wz_portable_to_checkpoint(&portable, &config, where.path, &nobody, &err), &err);
    assert_ok(wz_checkpoint_open(where.path, &checkpoint, &err), &err);
    ck_assert_uint_eq(wz_checkpoint_tensor_count(checkpoint), portable.tensors->count);
    for (size_t i = 0; i < portable.tensors->count; i++) {
        const char *name = portable.tensors->tensors[i].name;
        size_t count = 0;
        float *meant = numbers_of(portable.tensors, name, &count);
        float *found = malloc(count * sizeof *found);
        ck_assert_ptr_nonnull(found);
        assert_ok(wz_checkpoint_read(checkpoint, "weights", name, found, count, &err), &err);
        ck_assert_int_eq(memcmp(found, meant, count * sizeof *found), 0);
        free(meant);
        free(found);
    }
    for (size_t i = 0; i < wz_checkpoint_tensor_count(checkpoint); i++)
        ck_assert_int_eq(wz_checkpoint_tensor_info(checkpoint, i)->type, folders[_i].stored);
    wz_checkpoint_close(checkpoint);
    wz_portable_clear(&portable);
}
END_TEST

/* Each of the model's end tokens ends what it decodes freely. Its own template stays with it unless the policy is spoken to
 * in another one. */
START_TEST(import_keeps_end_tokens_and_template)
{
    static wz_config config;
    static const char *const overrides[] = {"device=cpu"};
    wz_portable portable, again;
    wz_backend *backend = NULL;
    wz_policy *policy = NULL;
    wz_error err = {.text = ""};
    const wz_byte_count nobody = {.add = count_nothing};
    wz_config_default(&config);
    open_fixture(_i, &portable);
    temporary_path(&where, "model.h5");
    assert_ok(wz_portable_to_checkpoint(&portable, &config, where.path, &nobody, &err), &err);
    assert_ok(wz_load_for_inference(where.path, overrides, 1, stderr, &config, &backend, &policy, &err),
              &err);
    for (size_t i = 0; i < portable.end_count; i++) {
        size_t k = 0;
        while (k < policy->end_token_count && policy->end_tokens[k] != portable.end_ids[i])
            k++;
        ck_assert_uint_lt(k, policy->end_token_count);
    }
    static const wz_chat_template kinds[] = {WZ_CHAT_CHATML, WZ_CHAT_PLAIN};
    for (int k = 0; k < 2; k++) {
        if (wz_chat_check(kinds[k], policy->tokenizer, &err) !=
            WZ_OK) /* the fixture's lacks the template's tokens */
            continue;
        assert_ok(wz_policy_set_chat(policy, kinds[k], "", &err), &err);
        assert_ok(wz_portable_from_policy(policy, &again, &err), &err);
        ck_assert_str_eq(again.chat_template.data,
                         k == 0 ? portable.chat_template.data : wz_chat_jinja(WZ_CHAT_PLAIN));
        wz_portable_clear(&again);
    }
    wz_policy_destroy(policy);
    backend->ops->destroy(backend);
    wz_portable_clear(&portable);
}
END_TEST

/* --- writing --- */

static void assert_same_config(const wz_model_config *a, const wz_model_config *b)
{
    const int64_t pairs[][2] = {
        {a->model_type, b->model_type},
        {a->vocab_size, b->vocab_size},
        {a->hidden_size, b->hidden_size},
        {a->intermediate_size, b->intermediate_size},
        {a->num_hidden_layers, b->num_hidden_layers},
        {a->num_attention_heads, b->num_attention_heads},
        {a->num_key_value_heads, b->num_key_value_heads},
        {a->head_dim, b->head_dim},
        {a->max_position_embeddings, b->max_position_embeddings},
        {a->rope_original_max_position_embeddings, b->rope_original_max_position_embeddings},
        {a->attention_bias, b->attention_bias},
        {a->use_qk_norm, b->use_qk_norm},
        {a->tie_word_embeddings, b->tie_word_embeddings},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        ck_assert_msg(pairs[i][0] == pairs[i][1], "member %zu: %lld and %lld", i, (long long)pairs[i][0],
                      (long long)pairs[i][1]);
    ck_assert(a->rms_norm_eps == b->rms_norm_eps && a->rope_theta == b->rope_theta);
    ck_assert(a->rope_scaling_factor == b->rope_scaling_factor);
    ck_assert(a->rope_low_freq_factor == b->rope_low_freq_factor);
    ck_assert(a->rope_high_freq_factor == b->rope_high_freq_factor);
}

static void assert_same_tensors(const wz_portable *meant, const wz_portable *back, wz_number_type type)
{
    ck_assert_uint_eq(meant->tensors->count, back->tensors->count);
    for (size_t i = 0; i < meant->tensors->count; i++) {
        size_t count = 0, again = 0, bytes = 0;
        float *numbers = numbers_of(meant->tensors, meant->tensors->tensors[i].name, &count);
        float *found = numbers_of(back->tensors, meant->tensors->tensors[i].name, &again);
        ck_assert(count == again && wz_number_bytes(type, count, &bytes));
        void *stored = malloc(bytes);
        ck_assert_ptr_nonnull(stored);
        wz_numbers_encode(type, numbers, count, stored);
        wz_numbers_decode(type, stored, count, numbers);
        ck_assert_int_eq(memcmp(numbers, found, count * sizeof *found), 0);
        free(stored);
        free(numbers);
        free(found);
    }
}

START_TEST(write_each_format_and_type_reads_back)
{
    static const wz_number_type types[] = {WZ_NUMBER_F32, WZ_NUMBER_F16, WZ_NUMBER_BF16};
    const int which = _i % FOLDER_COUNT;
    const bool bare = _i / FOLDER_COUNT % 2 == 1;
    const wz_number_type type = types[_i / FOLDER_COUNT / 2];
    const wz_model_format *format = wz_model_format_find(bare ? "safetensors" : "hf");
    const wz_byte_count nobody = {.add = count_nothing};
    wz_portable meant, back;
    wz_error err = {.text = ""};
    ck_assert_ptr_nonnull(format);
    open_fixture(which, &meant);
    assert_ok(format->write(&meant, type, where.directory, &nobody, &err), &err);
    ck_assert_ptr_eq(wz_model_format_at(where.directory), format);
    assert_ok(format->open(where.directory, &back, &err), &err);
    assert_same_config(&meant.model, &back.model);
    assert_same_tensors(&meant, &back, type);
    ck_assert_int_eq(meant.bos_id, back.bos_id);
    ck_assert_int_eq(meant.pad_id, back.pad_id);
    ck_assert_uint_eq(meant.end_count, back.end_count);
    ck_assert_int_eq(memcmp(meant.end_ids, back.end_ids, sizeof meant.end_ids), 0);
    ck_assert((back.tokenizer == NULL) == bare);
    if (!bare) {
        ck_assert_str_eq(meant.chat_template.data, back.chat_template.data);
        ck_assert(meant.temperature == back.temperature && meant.top_p == back.top_p);
        ck_assert_int_eq(meant.top_k, back.top_k);
        ck_assert_uint_eq(wz_tokenizer_vocab_size(meant.tokenizer), wz_tokenizer_vocab_size(back.tokenizer));
    }
    wz_portable_clear(&meant);
    wz_portable_clear(&back);
}
END_TEST

START_TEST(open_bare_safetensors_of_others_points_to_their_folder)
{
    wz_portable model;
    wz_error err = {.text = ""};
    const wz_model_format *format = wz_model_format_find("safetensors");
    ck_assert_int_eq(format->open(in_folder(0, WZ_HF_WEIGHTS), &model, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "import the Hugging Face folder"));
    ck_assert_ptr_null(model.tensors);
}
END_TEST

/* transformers checks this of llama alone. */
START_TEST(write_llama_that_transformers_refuses_is_refused)
{
    wz_portable model;
    wz_text text = {0};
    wz_error err = {.text = ""};
    open_fixture(0, &model);
    model.model.num_attention_heads = 4; /* of hidden_size 18 */
    ck_assert_int_eq(wz_hf_config_write(&model, WZ_NUMBER_F32, &text, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "num_attention_heads (4)"));
    wz_portable_clear(&model);
    wz_text_clear(&text);
}
END_TEST

/* --- config.json --- */

static wz_status read_config(const char *text, wz_portable *out, wz_error *err)
{
    json_t *json = NULL;
    wz_portable_init(out);
    wz_status status = wz_json_parse("config.json", text, strlen(text), &json, err);
    if (status == WZ_OK)
        status = wz_hf_config_read(json, "config.json", out, err);
    json_decref(json);
    return status;
}

#define LLAMA "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\","
#define QWEN2 "{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\","
#define QWEN3 "{\"architectures\":[\"Qwen3ForCausalLM\"],\"model_type\":\"qwen3\","

static const struct refused {
    const char *text, *expected;
} refused[] = {
    {"{\"architectures\":[\"MistralForCausalLM\"]}", "'MistralForCausalLM' is not supported"},
    {"{\"architectures\":[\"Qwen3MoeForCausalLM\"]}", "'Qwen3MoeForCausalLM' is not supported"},
    {"{\"model_type\":\"gemma2\"}", "'gemma2' is not supported"},
    {"{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"qwen2\"}",
     "does not go with model_type 'qwen2'"},
    {"{\"architectures\":[\"LlamaForCausalLM\",\"X\"]}", "must list one name"},
    {"{\"architectures\":\"LlamaForCausalLM\"}", "must list one name"},
    {"{}", "neither 'architectures' nor 'model_type'"},
    {"[]", "must hold an object"},
    {LLAMA "\"hidden_act\":\"gelu\"}", "activation 'gelu'"},
    {LLAMA "\"hidden_act\":3}", "key 'hidden_act' must be a string"},
    {LLAMA "\"attention_bias\":true}", "'attention_bias' is true"},
    {QWEN3 "\"attention_bias\":true}", "'attention_bias' is true"},
    {LLAMA "\"mlp_bias\":true}", "'mlp_bias' is true"},
    {LLAMA "\"rope_interleaved\":true}", "'rope_interleaved' is true"},
    {LLAMA "\"quantization_config\":{\"quant_method\":\"gptq\"}}", "'quantization_config'"},
    {QWEN2 "\"use_sliding_window\":true}", "sliding window (use_sliding_window)"},
    {QWEN3 "\"use_sliding_window\":true,\"sliding_window\":128,\"max_window_layers\":0}", "sliding window"},
    {QWEN2 "\"layer_types\":[\"full_attention\",\"sliding_attention\"]}",
     "layer_types[1] is 'sliding_attention'"},
    {QWEN2 "\"layer_types\":\"full_attention\"}", "'layer_types' must be a list"},
    {LLAMA "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}", "RoPE scaling 'linear'"},
    {LLAMA "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4.0}}", "RoPE scaling 'yarn'"},
    {LLAMA "\"rope_parameters\":{\"rope_type\":\"dynamic\",\"factor\":2}}", "RoPE scaling 'dynamic'"},
    {LLAMA "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}", "'low_freq_factor' is missing"},
    {LLAMA
     "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":0,\"low_freq_factor\":1,\"high_freq_factor\":4}}",
     "factor is 0"},
    {LLAMA
     "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":4}}",
     "rope_high_freq_factor"},
    {LLAMA "\"rope_scaling\":7}", "differs from layer to layer, or is no object"},
    {LLAMA "\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1e4}}}", "differs from layer to layer"},
    {LLAMA "\"partial_rotary_factor\":0.5}", "'partial_rotary_factor'"},
    {LLAMA "\"rope_parameters\":{\"partial_rotary_factor\":0.25}}", "'partial_rotary_factor'"},
    {LLAMA "\"num_experts\":8}", "mixture of experts"},
    {LLAMA "\"num_local_experts\":8}", "mixture of experts"},
    {LLAMA "\"head_dim\":63}", "head_dim is 63"},
    {LLAMA "\"head_dim\":0}", "'head_dim' is 0"},
    {LLAMA "\"hidden_size\":\"4096\"}", "'hidden_size' must be an integer"},
    {LLAMA "\"hidden_size\":4096.0}", "'hidden_size' must be an integer"},
    {LLAMA "\"num_hidden_layers\":-1}", "'num_hidden_layers' is -1"},
    {LLAMA "\"vocab_size\":9223372036854775807}", "'vocab_size' is 9223372036854775807"},
    {LLAMA "\"vocab_size\":2147483647}", "the model's sizes are impossible"},
    {LLAMA "\"num_attention_heads\":32,\"num_key_value_heads\":5}", "num_key_value_heads (5)"},
    {LLAMA "\"rms_norm_eps\":0}", "rms_norm_eps is 0"},
    {LLAMA "\"rms_norm_eps\":true}", "'rms_norm_eps' must be a number"},
    {LLAMA "\"tie_word_embeddings\":1}", "'tie_word_embeddings' must be true or false"},
    {LLAMA "\"eos_token_id\":32000}", "'eos_token_id' holds what is no id of a token below 32000"},
    {LLAMA "\"eos_token_id\":[1,\"2\"]}", "'eos_token_id' holds"},
    {LLAMA "\"eos_token_id\":[1,2,3,4,5,6,7,8,9]}", "lists more than 8"},
    {LLAMA "\"bos_token_id\":32000}", "'bos_token_id' is 32000"},
    {LLAMA "\"per_layer_config\":{\"0\":{}}}", "'per_layer_config'"},
};

START_TEST(config_unsupported_or_impossible_is_named)
{
    wz_portable model;
    wz_error err = {.text = ""};
    ck_assert_int_eq(read_config(refused[_i].text, &model, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strncmp(err.text, "config.json: ", 13) == 0, "%s", err.text);
    ck_assert_msg(strstr(err.text, refused[_i].expected) != NULL, "'%s' is not in: %s", refused[_i].expected,
                  err.text);
}
END_TEST

/* The same as LlamaConfig(), Qwen2Config(), Qwen3Config() of transformers 5.23. */
START_TEST(config_without_keys_has_the_defaults_of_transformers)
{
    static const char *const texts[] = {"{\"model_type\":\"llama\"}", "{\"model_type\":\"qwen2\"}",
                                        QWEN3 "\"num_key_value_heads\":null,\"rope_scaling\":null}"};
    static const wz_model_config expected[] = {{.model_type = WZ_MODEL_LLAMA,
                                                .vocab_size = 32000,
                                                .intermediate_size = 11008,
                                                .num_key_value_heads = 32,
                                                .head_dim = 128,
                                                .max_position_embeddings = 2048},
                                               {.model_type = WZ_MODEL_QWEN2,
                                                .vocab_size = 151936,
                                                .intermediate_size = 22016,
                                                .num_key_value_heads = 32,
                                                .head_dim = 128,
                                                .max_position_embeddings = 32768,
                                                .attention_bias = true},
                                               {.model_type = WZ_MODEL_QWEN3,
                                                .vocab_size = 151936,
                                                .intermediate_size = 22016,
                                                .num_key_value_heads = 32,
                                                .head_dim = 128,
                                                .max_position_embeddings = 32768,
                                                .use_qk_norm = true}};
    wz_portable model;
    wz_error err = {.text = ""};
    wz_model_config meant = expected[_i];
    meant.hidden_size = 4096;
    meant.num_hidden_layers = meant.num_attention_heads = 32;
    meant.rms_norm_eps = 1e-6;
    meant.rope_theta = 10000.0;
    assert_ok(read_config(texts[_i], &model, &err), &err);
    assert_same_config(&meant, &model.model);
}
END_TEST

/* Keys that change nothing as they stand in models on the hub. */
START_TEST(config_of_models_on_the_hub_is_read)
{
    static const char *const texts[] = {
        /* Qwen2.5-0.5B-Instruct */
        QWEN2
        "\"attention_dropout\":0.0,\"bos_token_id\":151643,\"eos_token_id\":151645,\"hidden_act\":\"silu\","
        "\"hidden_size\":896,\"initializer_range\":0.02,\"intermediate_size\":4864,"
        "\"max_position_embeddings\":32768,\"max_window_layers\":21,\"num_attention_heads\":14,"
        "\"num_hidden_layers\":24,\"num_key_value_heads\":2,\"rms_norm_eps\":1e-06,\"rope_theta\":1000000.0,"
        "\"sliding_window\":32768,\"tie_word_embeddings\":true,\"torch_dtype\":\"bfloat16\","
        "\"use_cache\":true,\"use_sliding_window\":false,\"vocab_size\":151936}",
        /* Qwen3-0.6B */
        QWEN3 "\"attention_bias\":false,\"head_dim\":128,\"hidden_act\":\"silu\",\"hidden_size\":1024,"
              "\"intermediate_size\":3072,\"max_position_embeddings\":40960,\"max_window_layers\":28,"
              "\"num_attention_heads\":16,\"num_hidden_layers\":28,\"num_key_value_heads\":8,"
              "\"rms_norm_eps\":1e-06,\"rope_scaling\":null,\"rope_theta\":1000000,\"sliding_window\":null,"
              "\"tie_word_embeddings\":true,\"use_sliding_window\":false,\"vocab_size\":151936}",
        /* Llama-3.2-1B */
        LLAMA
        "\"attention_bias\":false,\"bos_token_id\":128000,\"eos_token_id\":[128001,128008,128009],"
        "\"head_dim\":64,\"hidden_act\":\"silu\",\"hidden_size\":2048,\"intermediate_size\":8192,"
        "\"max_position_embeddings\":131072,\"mlp_bias\":false,\"num_attention_heads\":32,"
        "\"num_hidden_layers\":16,\"num_key_value_heads\":8,\"pretraining_tp\":1,\"rms_norm_eps\":1e-05,"
        "\"rope_scaling\":{\"factor\":32.0,\"high_freq_factor\":4.0,\"low_freq_factor\":1.0,"
        "\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"},\"rope_theta\":500000.0,"
        "\"tie_word_embeddings\":true,\"vocab_size\":128256}",
        /* SmolLM2-135M */
        LLAMA "\"attention_bias\":false,\"bos_token_id\":0,\"eos_token_id\":0,\"hidden_act\":\"silu\","
              "\"hidden_size\":576,\"intermediate_size\":1536,\"is_llama_config\":true,"
              "\"max_position_embeddings\":8192,\"mlp_bias\":false,\"num_attention_heads\":9,"
              "\"num_hidden_layers\":30,\"num_key_value_heads\":3,\"rms_norm_eps\":1e-05,"
              "\"rope_interleaved\":false,\"rope_scaling\":null,\"rope_theta\":100000,"
              "\"tie_word_embeddings\":true,\"vocab_size\":49152}"};
    static const int64_t parameters[] = {494032768, 596049920, 1235814400, 134515008}; /* as published */
    wz_portable model;
    wz_param *params = NULL;
    size_t count = 0;
    int64_t sum = 0;
    wz_error err = {.text = ""};
    assert_ok(read_config(texts[_i], &model, &err), &err);
    assert_ok(wz_model_list_params(&model.model, &params, &count, &err), &err);
    for (size_t i = 0; i < count; i++)
        sum += params[i].count;
    ck_assert_int_eq(sum, parameters[_i]);
    free(params);
}
END_TEST

/* --- a folder's other files --- */

/* A copy of a fixture that has one file of weights. */
static void copy_fixture(int which)
{
    static const char *const files[] = {"config.json",    "generation_config.json",
                                        "tokenizer.json", "tokenizer_config.json",
                                        WZ_HF_WEIGHTS,    "README.md"};
    wz_error err = {.text = ""};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        wz_text bytes = {0};
        if (!wz_path_exists(in_folder(which, files[i])))
            continue;
        assert_ok(wz_file_read(path, 1 << 24, &bytes, &err), &err);
        temporary_write(temporary_path(&where, files[i]), bytes.data, bytes.length);
        wz_text_clear(&bytes);
    }
}

static const struct changed {
    const char *file, *text, *expected;
} changed[] = {
    {"config.json", "{\"architectures\":", "config.json:1"},
    {"config.json", "{\"model_type\":\"qwen2\",\"model_type\":\"qwen2\"}", "duplicate"},
    {"generation_config.json", "[]", "generation_config.json: must hold an object"},
    {"generation_config.json", "{\"eos_token_id\":[700]}", "'eos_token_id' holds what is no id"},
    {"generation_config.json", "{\"do_sample\":true,\"temperature\":-1}", "temperature -1"},
    {"generation_config.json", "{\"do_sample\":true,\"top_p\":0}", "top_p 0"},
    {"generation_config.json", "{\"top_k\":-1}", "'top_k' is -1"},
    {"tokenizer_config.json", "{\"chat_template\":7}", "'chat_template' must be a string"},
    {"tokenizer_config.json", "7", "tokenizer_config.json: must hold an object"},
    {"tokenizer.json", "{}", "tokenizer.json"},
    {WZ_HF_WEIGHTS, "", "no safetensors file"},
};

START_TEST(open_folder_with_a_damaged_file_names_it)
{
    wz_portable model;
    wz_error err = {.text = ""};
    copy_fixture(2);
    temporary_write(temporary_path(&where, changed[_i].file), changed[_i].text, strlen(changed[_i].text));
    ck_assert_int_eq(wz_model_format_find("hf")->open(where.directory, &model, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, changed[_i].expected) != NULL, "'%s' is not in: %s", changed[_i].expected,
                  err.text);
    ck_assert(model.tensors == NULL && model.tokenizer == NULL);
}
END_TEST

static void replace_in(const char *file, const char *old, const char *new)
{
    wz_text text = {0}, out = {0};
    wz_error err = {.text = ""};
    assert_ok(wz_file_read(temporary_path(&where, file), 1 << 24, &text, &err), &err);
    const char *at = strstr(text.data, old);
    ck_assert_msg(at != NULL, "no %s", old);
    assert_ok(wz_text_printf(&out, &err, "%.*s%s%s", (int)(at - text.data), text.data, new, at + strlen(old)),
              &err);
    temporary_write(where.path, out.data, out.length);
    wz_text_clear(&text);
    wz_text_clear(&out);
}

START_TEST(open_folder_whose_sizes_disagree_names_the_tensor)
{
    static const struct {
        const char *old, *new, *expected;
    } cases[] = {
        {"\"vocab_size\": 660", "\"vocab_size\": 661", "'model.embed_tokens.weight' has shape [660, 12]"},
        {"\"vocab_size\": 660", "\"vocab_size\": 653", "654 tokens, but the model of config.json has 653"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "'model.layers.2."},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "is no part of a qwen2 model"},
        {"\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", "'lm_head.weight' is missing"}};
    wz_portable model;
    wz_error err = {.text = ""};
    copy_fixture(2);
    replace_in("config.json", cases[_i].old, cases[_i].new);
    ck_assert_int_eq(wz_model_format_find("hf")->open(where.directory, &model, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, cases[_i].expected) != NULL, "'%s' is not in: %s", cases[_i].expected,
                  err.text);
}
END_TEST

START_TEST(open_folder_of_few_files_takes_ids_from_the_tokenizer)
{
    wz_portable model;
    wz_error err = {.text = ""};
    copy_fixture(2);
    ck_assert_int_eq(remove(temporary_path(&where, "generation_config.json")), 0);
    ck_assert_int_eq(remove(temporary_path(&where, "README.md")), 0);
    replace_in("config.json", "\"eos_token_id\": 650", "\"eos_token_id\": null");
    replace_in("config.json", "\"bos_token_id\": 648", "\"bos_token_id\": -1");
    assert_ok(wz_model_format_find("hf")->open(temporary_path(&where, "config.json"), &model, &err), &err);
    ck_assert_uint_eq(model.end_count, 1);
    ck_assert_uint_eq(model.end_ids[0], 650); /* <|im_end|>, says tokenizer_config.json */
    ck_assert_int_eq(model.bos_id, 648);
    ck_assert_str_eq(model.license, "");
    ck_assert(model.temperature == 0.0);
    wz_portable_clear(&model);
    ck_assert_int_eq(remove(temporary_path(&where, "tokenizer.json")), 0);
    assert_ok(wz_model_format_find("hf")->open(where.directory, &model, &err), &err);
    ck_assert(model.tokenizer == NULL && model.end_count == 0);
    wz_portable_clear(&model);
}
END_TEST

START_TEST(open_card_gives_licence_and_base_model)
{
    static const struct {
        const char *card, *license, *base;
    } cases[] = {{"---\nlicense: other\nlicense_name: llama3.2\nbase_model: \"meta/x\"\r\n---\n", "llama3.2",
                  "meta/x"},
                 {"---\nlanguage: en\n---\nlicense: mit\n", "", ""},
                 {"license: mit\n", "", ""},
                 {"---\nlicense: mit", "", ""},
                 {"---\nlicense:\n---\n", "", ""}};
    wz_portable model;
    wz_error err = {.text = ""};
    copy_fixture(2);
    temporary_write(temporary_path(&where, "README.md"), cases[_i].card, strlen(cases[_i].card));
    assert_ok(wz_model_format_find("hf")->open(where.directory, &model, &err), &err);
    ck_assert_str_eq(model.license, cases[_i].license);
    ck_assert_str_eq(model.base_model, cases[_i].base);
    wz_portable_clear(&model);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("hf");
    TCase *reading = tcase_create("reading");
    TCase *writing = tcase_create("writing");
    TCase *config = tcase_create("config");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(reading, make_place, remove_place);
    tcase_add_checked_fixture(writing, make_place, remove_place);
    tcase_add_checked_fixture(files, make_place, remove_place);
    tcase_add_loop_test(reading, open_folder_has_what_transformers_reads, 0, FOLDER_COUNT);
    tcase_add_loop_test(reading, open_folder_computes_what_transformers_computes, 0, FOLDER_COUNT);
    tcase_add_loop_test(reading, import_keeps_every_bit_and_type, 0, FOLDER_COUNT);
    tcase_add_loop_test(reading, import_keeps_end_tokens_and_template, 0, FOLDER_COUNT);
    tcase_add_loop_test(writing, write_each_format_and_type_reads_back, 0, FOLDER_COUNT * 2 * 3);
    tcase_add_test(writing, open_bare_safetensors_of_others_points_to_their_folder);
    tcase_add_test(writing, write_llama_that_transformers_refuses_is_refused);
    tcase_add_loop_test(config, config_unsupported_or_impossible_is_named, 0, COUNT(refused));
    tcase_add_loop_test(config, config_without_keys_has_the_defaults_of_transformers, 0, 3);
    tcase_add_loop_test(config, config_of_models_on_the_hub_is_read, 0, 4);
    tcase_add_loop_test(files, open_folder_with_a_damaged_file_names_it, 0, COUNT(changed));
    tcase_add_loop_test(files, open_folder_whose_sizes_disagree_names_the_tensor, 0, 5);
    tcase_add_test(files, open_folder_of_few_files_takes_ids_from_the_tokenizer);
    tcase_add_loop_test(files, open_card_gives_licence_and_base_model, 0, 5);
    suite_add_tcase(suite, reading);
    suite_add_tcase(suite, writing);
    suite_add_tcase(suite, config);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
