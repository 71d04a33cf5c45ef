/* Every format against every architecture: what is written reads back as what was meant. The runtimes themselves are asked in
 * scripts/interop-test.sh. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include "checkpoints/checkpoint.h"
#include "checkpoints/gguf.h"
#include "checkpoints/onnx_file.h"
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

/* A model of each kind: heads shared by queries, a head_dim that is not hidden / heads, rows beyond the vocabulary. */
static const char *const models[] = {
    "model.model_type=llama model.num_attention_heads=4 model.intermediate_size=80",
    "model.model_type=llama model.tie_word_embeddings=true model.rope_theta=500000 "
    "model.rope_scaling_factor=32 model.max_position_embeddings=700",
    "model.model_type=llama model.num_attention_heads=4 model.rope_theta=10000 model.rope_scaling_factor=4 "
    "model.rope_low_freq_factor=2 model.rope_high_freq_factor=5 model.max_position_embeddings=700 "
    "model.rope_original_max_position_embeddings=100",
    "model.model_type=qwen2 model.attention_bias=true model.tie_word_embeddings=true "
    "model.num_attention_heads=4 model.max_position_embeddings=700",
    "model.model_type=qwen3 model.use_qk_norm=true model.num_attention_heads=4 model.head_dim=32 "
    "model.max_position_embeddings=700 model.vocab_size=2100",
};
#define MODELS (int)(sizeof models / sizeof models[0])

/* Norms and biases away from their initial ones and zeros, so that none can stand for another. */
static void disturb(void)
{
    const wz_model *model = f.policy->model;
    for (size_t i = 0; i < model->param_count; i++)
        for (int64_t j = 0; model->params[i].rank == 1 && j < model->params[i].count; j++)
            model->weights[model->params[i].offset + j] += 0.01f * (float)((j * 7 + (int64_t)i) % 23);
    wz_model_weights_changed(model);
}

static void write_model(const wz_model_format *format, wz_number_type type, wz_portable *meant)
{
    const wz_byte_count nobody = {.add = NULL};
    OK(wz_portable_from_policy(f.policy, meant, &f.err));
    meant->bos_id = 256;
    meant->pad_id = 257;
    (void)snprintf(meant->name, sizeof meant->name, "small one");
    (void)snprintf(meant->license, sizeof meant->license, "apache-2.0");
    OK(wz_directory_create(temporary_path(&where, "out"), &f.err));
    OK(format->write(meant, type, where.path, &nobody, &f.err));
}

static void check_config(const wz_model_config *a, const wz_model_config *b)
{
    ck_assert_int_eq(a->model_type, b->model_type);
    ck_assert_int_eq(a->vocab_size, b->vocab_size);
    ck_assert_int_eq(a->hidden_size, b->hidden_size);
    ck_assert_int_eq(a->intermediate_size, b->intermediate_size);
    ck_assert_int_eq(a->num_hidden_layers, b->num_hidden_layers);
    ck_assert_int_eq(a->num_attention_heads, b->num_attention_heads);
    ck_assert_int_eq(a->num_key_value_heads, b->num_key_value_heads);
    ck_assert_int_eq(a->head_dim, b->head_dim);
    ck_assert_int_eq(a->max_position_embeddings, b->max_position_embeddings);
    /* GGUF keeps these as f32 */
    ck_assert_double_le(fabs(a->rms_norm_eps - b->rms_norm_eps), 1e-7 * a->rms_norm_eps);
    ck_assert_double_le(fabs(a->rope_theta - b->rope_theta), 1e-7 * a->rope_theta);
    ck_assert_double_eq(a->rope_scaling_factor, b->rope_scaling_factor);
    if (a->rope_scaling_factor > 0.0) {
        ck_assert_double_eq(a->rope_low_freq_factor, b->rope_low_freq_factor);
        ck_assert_double_eq(a->rope_high_freq_factor, b->rope_high_freq_factor);
        ck_assert_int_eq(a->rope_original_max_position_embeddings, b->rope_original_max_position_embeddings);
    }
    ck_assert(a->tie_word_embeddings == b->tie_word_embeddings && a->attention_bias == b->attention_bias &&
              a->use_qk_norm == b->use_qk_norm);
}

static void check_tokenizer(const wz_tokenizer *a, const wz_tokenizer *b)
{
    static const char text[] =
        " power levels 8 dB plus 30 12 a A 38<answer> 7 0</answer><|endoftext|>caf\xc3\xa9 x1";
    wz_ids left = {0}, right = {0};
    OK(wz_tokenizer_encode(a, text, sizeof text - 1, true, &left, &f.err));
    OK(wz_tokenizer_encode(b, text, sizeof text - 1, true, &right, &f.err));
    ck_assert_uint_eq(left.length, right.length);
    ck_assert_mem_eq(left.data, right.data, left.length * sizeof *left.data);
    for (uint32_t id = 0; id < wz_tokenizer_vocab_size(a); id++)
        ck_assert(wz_tokenizer_is_special(a, id) == wz_tokenizer_is_special(b, id));
    wz_ids_clear(&left);
    wz_ids_clear(&right);
    wz_text written = {0}, again = {0};
    OK(wz_tokenizer_write_json(a, &written, &f.err));
    OK(wz_tokenizer_write_json(b, &again, &f.err));
    ck_assert_str_eq(written.data, again.data);
    wz_text_clear(&written);
    wz_text_clear(&again);
}

static void check_round(const wz_model_format *format, wz_number_type type)
{
    wz_portable meant, back;
    wz_verification verification = {0};
    write_model(format, type, &meant);
    OK(format->open(temporary_path(&where, "out"), &back, &f.err));
    check_config(&meant.model, &back.model);
    OK(wz_verify_tensors(&meant, &back, "out", &verification, &f.err));
    ck_assert_uint_eq(verification.tensors, f.policy->model->param_count);
    if (back.tokenizer != NULL) {
        check_tokenizer(meant.tokenizer, back.tokenizer);
        ck_assert_uint_eq(back.end_count, meant.end_count);
        for (size_t i = 0; i < meant.end_count; i++)
            ck_assert_uint_eq(back.end_ids[i], meant.end_ids[i]);
    }
    wz_portable_clear(&meant);
    wz_portable_clear(&back);
    OK(wz_folder_remove(temporary_path(&where, "out"), &f.err));
}

START_TEST(every_format_reads_back_what_it_wrote)
{
    make_policy(models[_i]);
    disturb();
    for (size_t i = 0; wz_model_formats[i] != NULL; i++)
        for (int type = 0; type < WZ_NUMBER_TYPES; type++)
            if (!wz_model_formats[i]->is_adapters && (wz_model_formats[i]->types >> type & 1u) != 0)
                check_round(wz_model_formats[i], (wz_number_type)type);
    drop_policy();
}
END_TEST

/* llama.cpp rotates neighbours: row 2 j + k of a head is Hugging Face's row k half + j. qwen2 keeps its rows. */
START_TEST(gguf_reorders_q_and_k_of_llama_alone)
{
    for (int llama = 0; llama < 2; llama++) {
        wz_portable meant;
        wz_gguf *file = NULL;
        make_policy(llama ? models[0] : models[3]);
        write_model(wz_model_format_find("gguf"), WZ_NUMBER_F32, &meant);
        OK(wz_gguf_open(temporary_path(&where, "out/model.gguf"), &file, &f.err));
        const wz_model *model = f.policy->model;
        const size_t half = (size_t)model->config.head_dim / 2, width = (size_t)model->config.hidden_size;
        float row[64];
        for (size_t t = 0; t < file->tensor_count; t++) {
            const wz_gguf_tensor *tensor = &file->tensors[t];
            const bool is_q = strcmp(tensor->name, "blk.1.attn_q.weight") == 0;
            if (!is_q && strcmp(tensor->name, "blk.1.attn_k.weight") != 0 &&
                strcmp(tensor->name, "blk.1.attn_v.weight") != 0)
                continue;
            char name[64];
            (void)snprintf(name, sizeof name, "model.layers.1.self_attn.%c_proj.weight", tensor->name[11]);
            const wz_param *param = wz_model_find_param(model, name);
            const bool moves = llama && tensor->name[11] != 'v';
            for (size_t r = 0; r < tensor->shape[0]; r++) {
                const size_t j = r % (2 * half) / 2, k = r % 2;
                const size_t ours = moves ? r / (2 * half) * (2 * half) + k * half + j : r;
                OK(wz_file_read_at(file->descriptor, "out", tensor->offset + r * width * 4, row, width * 4,
                                   &f.err));
                ck_assert_mem_eq(row, model->weights + param->offset + ours * width, width * sizeof *row);
            }
        }
        wz_gguf_close(file);
        wz_portable_clear(&meant);
        drop_policy();
        OK(wz_folder_remove(temporary_path(&where, "out"), &f.err));
    }
}
END_TEST

/* Above 2 GiB a message cannot hold the weights: they stand in a file beside it. */
START_TEST(onnx_weights_may_stand_beside)
{
    const wz_byte_count nobody = {.add = NULL};
    for (int type = 0; type < WZ_NUMBER_TYPES; type++) {
        wz_portable meant;
        wz_tensor_source *source = NULL;
        wz_verification verification = {0};
        make_policy(models[0]);
        OK(wz_portable_from_policy(f.policy, &meant, &f.err));
        OK(wz_directory_create(temporary_path(&where, "out"), &f.err));
        OK(wz_onnx_write(&meant, (wz_number_type)type, where.path, 1000, &nobody, &f.err));
        ck_assert(wz_path_exists(temporary_path(&where, "out/" WZ_ONNX_DATA_FILE)));
        OK(wz_onnx_open(temporary_path(&where, "out"), &meant.model, &source, &f.err));
        wz_portable back = meant;
        back.tensors = source;
        OK(wz_verify_tensors(&meant, &back, "out", &verification, &f.err));
        source->close(source);
        wz_portable_clear(&meant);
        drop_policy();
        OK(wz_folder_remove(temporary_path(&where, "out"), &f.err));
    }
}
END_TEST

/* A checkpoint made of a portable model answers as the policy it came from. */
START_TEST(what_is_imported_is_the_same_policy)
{
    static const char *const formats[] = {"gguf", "onnx", "hf"};
    const wz_byte_count nobody = {.add = NULL};
    make_policy(models[_i]);
    disturb();
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        wz_portable meant, back;
        wz_config config = f.config, loaded;
        wz_backend *backend = NULL;
        wz_policy *policy = NULL;
        wz_verification verification = {0};
        char path[128];
        write_model(wz_model_format_find(formats[i]), WZ_NUMBER_F32, &meant);
        OK(wz_model_format_find(formats[i])->open(temporary_path(&where, "out"), &back, &f.err));
        (void)snprintf(path, sizeof path, "%s/model.h5", where.directory);
        OK(wz_portable_to_checkpoint(&back, &config, path, &nobody, &f.err));
        OK(wz_load_for_inference(path, NULL, 0, stderr, &loaded, &backend, &policy, &f.err));
        if (strcmp(formats[i], "gguf") == 0) { /* the others say it in the card, which the exporter writes */
            ck_assert_str_eq(back.license, "apache-2.0");
            ck_assert_str_eq(back.name, "small one");
        }
        OK(wz_verify_answers(f.policy, policy, &f.config, 8, &verification, &f.err));
        ck_assert_int_eq(verification.equal_problems, 8);
        ck_assert_double_eq(verification.logit_difference, 0.0);
        wz_policy_destroy(policy);
        backend->ops->destroy(backend);
        wz_portable_clear(&meant);
        wz_portable_clear(&back);
        OK(wz_folder_remove(temporary_path(&where, "out"), &f.err));
    }
    drop_policy();
}
END_TEST

/* ---- damage ---- */

static wz_text read_whole(const char *path)
{
    wz_text text = {0};
    OK(wz_file_read(path, 1u << 28, &text, &f.err));
    return text;
}

static void read_all(wz_portable *model)
{
    float row[8192];
    wz_error err = {{0}};
    for (size_t i = 0; i < model->tensors->count; i++)
        if (model->tensors->tensors[i].rank == 1 || model->tensors->tensors[i].shape[1] <= 8192)
            (void)model->tensors->read(model->tensors, i, 0, 1, row, &err);
}

/* Opening must end in an error that names the file, or in a model whose rows can be read; never in a crash. */
static void try_open(const wz_model_format *format, int *refused)
{
    wz_portable model;
    wz_error err = {{0}};
    const wz_status status = format->open(temporary_path(&where, "out"), &model, &err);
    if (status == WZ_OK) {
        read_all(&model);
        wz_portable_clear(&model);
        return;
    }
    ck_assert_msg(status == WZ_ERR_CORRUPT || status == WZ_ERR_USAGE || status == WZ_ERR_RESOURCE, "%d: %s",
                  status, err.text);
    ck_assert_msg(status != WZ_ERR_RESOURCE, "memory was asked for before sizes were checked: %s", err.text);
    ck_assert_uint_gt(strlen(err.text), 10);
    (*refused)++;
}

static void put_bytes(const char *path, const char *data, size_t length)
{
    const int descriptor = open(path, O_WRONLY | O_TRUNC);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(write(descriptor, data, length), (ssize_t)length);
    (void)close(descriptor);
}

START_TEST(damaged_files_are_refused)
{
    static const char *const names[] = {"gguf", "onnx"};
    const wz_model_format *format = wz_model_format_find(names[_i]);
    wz_portable meant;
    char path[256];
    int refused = 0;
    unsigned state = 1;
    make_policy(models[0]);
    write_model(format, WZ_NUMBER_Q8_0, &meant);
    (void)snprintf(path, sizeof path, "%s/out/%s", where.directory, format->file);
    wz_text whole = read_whole(path);
    for (int cut = 0; cut < 40; cut++) { /* any cut loses a tensor's last number at least */
        put_bytes(path, whole.data, whole.length * (size_t)cut / 40);
        try_open(format, &refused);
    }
    ck_assert_int_eq(refused, 40);
    for (int round = 0; round < 400; round++) {
        state = state * 1664525u + 1013904223u;
        /* mostly within the first 4 KiB, where sizes and offsets stand */
        const size_t at = (state >> 8) % (round % 4 == 0 ? whole.length : 4096);
        const char old = whole.data[at];
        whole.data[at] = (char)(old ^ (char)(1u << (state >> 4 & 7)));
        put_bytes(path, whole.data, whole.length);
        try_open(format, &refused);
        whole.data[at] = old;
    }
    ck_assert_int_gt(refused, 40);
    wz_text_clear(&whole);
    wz_portable_clear(&meant);
    drop_policy();
}
END_TEST

/* RoPE that turns a part of each head is another model: named, not computed as if it were whole. */
START_TEST(gguf_of_half_turned_heads_is_refused)
{
    static const char key[] = "llama.rope.dimension_count";
    wz_portable meant, back;
    make_policy(models[0]);
    write_model(wz_model_format_find("gguf"), WZ_NUMBER_F32, &meant);
    wz_text whole = read_whole(temporary_path(&where, "out/model.gguf"));
    char *at = memmem(whole.data, whole.length, key, sizeof key - 1);
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(at[sizeof key - 1 + 4], (int)meant.model.head_dim); /* behind its type, four bytes */
    at[sizeof key - 1 + 4] = 8;
    put_bytes(where.path, whole.data, whole.length);
    ck_assert_int_eq(wz_model_format_find("gguf")->open(where.path, &back, &f.err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(f.err.text, "RoPE turns 8 of a head's 16 numbers"));
    wz_text_clear(&whole);
    wz_portable_clear(&meant);
    drop_policy();
}
END_TEST

/* Headers by hand, each with one impossible size. */
START_TEST(impossible_gguf_headers_are_named)
{
    static const struct {
        uint64_t tensors, keys, length;
        const char *says;
    } cases[] = {{1, (uint64_t)1 << 60, 4, "more keys"},
                 {(uint64_t)1 << 60, 1, 4, "more keys or tensors"},
                 {0, 1, (uint64_t)1 << 60, "key"},
                 {0, 1, 4, "cut off"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wz_gguf *file = NULL;
        wz_error err = {{0}};
        wz_text text = {0};
        const uint32_t version = 3;
        OK(wz_text_append(&text, "GGUF", 4, &f.err));
        OK(wz_text_append(&text, (const char *)&version, 4, &f.err));
        OK(wz_text_append(&text, (const char *)&cases[i].tensors, 8, &f.err));
        OK(wz_text_append(&text, (const char *)&cases[i].keys, 8, &f.err));
        OK(wz_text_append(&text, (const char *)&cases[i].length, 8, &f.err));
        OK(wz_text_append(&text, "abcd", 4, &f.err));
        OK(wz_file_replace(temporary_path(&where, "x.gguf"), text.data, text.length, &f.err));
        ck_assert_int_eq(wz_gguf_open(where.path, &file, &err), WZ_ERR_CORRUPT);
        ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s", err.text);
        wz_text_clear(&text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("formats");
    TCase *all = tcase_create("formats");
    tcase_set_timeout(all, 300);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, every_format_reads_back_what_it_wrote, 0, MODELS);
    tcase_add_test(all, gguf_reorders_q_and_k_of_llama_alone);
    tcase_add_test(all, onnx_weights_may_stand_beside);
    tcase_add_loop_test(all, what_is_imported_is_the_same_policy, 0, MODELS);
    tcase_add_loop_test(all, damaged_files_are_refused, 0, 2);
    tcase_add_test(all, gguf_of_half_turned_heads_is_refused);
    tcase_add_test(all, impossible_gguf_headers_are_named);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
