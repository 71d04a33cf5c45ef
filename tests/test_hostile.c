/* Files made to cost time or memory, or to lead elsewhere: each is refused with the reason. What the fuzz targets find by
 * themselves is in tests/data/fuzz. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoints/gguf.h"
#include "checkpoints/hf_config.h"
#include "checkpoints/onnx_file.h"
#include "engine/core/file.h"
#include "engine/core/protobuf.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;
static wz_error err;

#define OK(call) ck_assert_msg((call) == WZ_OK, "%s: %s", #call, err.text)

static void setup(void)
{
    temporary_create(&where);
}

static void teardown(void)
{
    temporary_remove(&where);
}

static void assert_said(wz_status status, const char *expected)
{
    ck_assert_msg(status == WZ_ERR_CORRUPT, "%d: %s", status, err.text);
    ck_assert_msg(strstr(err.text, expected) != NULL, "'%s' is not in: %s", expected, err.text);
}

/* ---- many keys ---- */

#define KEYS 65536u

static void append(wz_text *text, const void *bytes, size_t count)
{
    OK(wz_text_append(text, bytes, count, &err));
}

/* Keys "key0" .. of the u32 values 3 i, in an order that is far from that of their names. */
static void write_keys(const char *path, uint32_t count, uint32_t last)
{
    const uint32_t version = 3, type = WZ_GGUF_U32;
    const uint64_t tensors = 0, keys = count;
    wz_text text = {0};
    append(&text, "GGUF", 4);
    append(&text, &version, sizeof version);
    append(&text, &tensors, sizeof tensors);
    append(&text, &keys, sizeof keys);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t number = i + 1 < count ? i * 40503u % KEYS : last, value = 3 * number;
        char key[16];
        const uint64_t length = (uint64_t)snprintf(key, sizeof key, "key%u", number);
        append(&text, &length, sizeof length);
        append(&text, key, (size_t)length);
        append(&text, &type, sizeof type);
        append(&text, &value, sizeof value);
    }
    append(&text, (char[64]){0}, 64); /* the data begins on a multiple of 32 */
    temporary_write(path, text.data, text.length);
    wz_text_clear(&text);
}

START_TEST(gguf_of_most_keys_finds_each)
{
    wz_gguf *file = NULL;
    write_keys(temporary_path(&where, "x.gguf"), KEYS, (KEYS - 1) * 40503u % KEYS);
    OK(wz_gguf_open(where.path, &file, &err));
    for (uint32_t i = 0; i < KEYS; i++) {
        char key[16];
        int64_t value = 0;
        (void)snprintf(key, sizeof key, "key%u", i);
        OK(wz_gguf_get_integer(file, key, NULL, &value, &err));
        ck_assert_int_eq(value, 3 * i);
    }
    ck_assert_ptr_null(wz_gguf_find(file, "key65536"));
    ck_assert_ptr_null(wz_gguf_find(file, ""));
    ck_assert_ptr_null(wz_gguf_find(file, "zzz"));
    wz_gguf_close(file);
}
END_TEST

START_TEST(gguf_key_given_twice_far_apart_is_refused)
{
    wz_gguf *file = NULL;
    write_keys(temporary_path(&where, "x.gguf"), KEYS, 0); /* key0 is the first */
    assert_said(wz_gguf_open(where.path, &file, &err), "key 'key0' is given twice");
    write_keys(temporary_path(&where, "x.gguf"), KEYS, 40503);
    assert_said(wz_gguf_open(where.path, &file, &err), "key 'key40503' is given twice");
    write_keys(temporary_path(&where, "x.gguf"), KEYS + 1, 70000);
    assert_said(wz_gguf_open(where.path, &file, &err), "more keys or tensors");
    ck_assert_ptr_null(file);
}
END_TEST

/* ---- a folder of someone else's ---- */

static const char *const files[] = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "model.safetensors.index.json",
    "chat_template.jinja",
    "README.md",
    "model-00001-of-00003.safetensors",
    "model-00002-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
};
#define FILES (int)(sizeof files / sizeof files[0])

static void copy_fixture(void)
{
    for (int i = 0; i < FILES; i++) {
        char from[512];
        wz_text text = {0};
        (void)snprintf(from, sizeof from, "%s/hf/llama3/%s", WZ_TEST_DATA, files[i]);
        OK(wz_file_read(from, (size_t)1 << 20, &text, &err));
        temporary_write(temporary_path(&where, files[i]), text.data, text.length);
        wz_text_clear(&text);
    }
}

static wz_status open_folder(void)
{
    wz_portable model;
    const wz_status status = wz_model_format_find("hf")->open(where.directory, &model, &err);
    if (status == WZ_OK)
        wz_portable_clear(&model);
    return status;
}

/* Nobody writes to the pipe: to open it as a file would take for ever, which check ends. */
START_TEST(file_of_a_folder_that_is_none_is_refused)
{
    copy_fixture();
    OK(open_folder());
    const char *path = temporary_path(&where, files[_i]);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_said(open_folder(), files[_i]);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    assert_said(open_folder(), "is no regular file");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
    assert_said(open_folder(), "is no regular file");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    assert_said(open_folder(), "leads out of the model's folder");
}
END_TEST

START_TEST(layers_that_no_tensor_stands_for_are_refused)
{
    wz_text text = {0};
    copy_fixture();
    OK(wz_file_read(temporary_path(&where, "config.json"), (size_t)1 << 20, &text, &err));
    char *at = strstr(text.data, "\"num_hidden_layers\": 2");
    ck_assert_ptr_nonnull(at);
    wz_text changed = {0};
    OK(wz_text_printf(&changed, &err, "%.*s\"num_hidden_layers\": 65536%s", (int)(at - text.data), text.data,
                      at + strlen("\"num_hidden_layers\": 2")));
    temporary_write(where.path, changed.data, changed.length);
    assert_said(open_folder(), "too few for the configuration's 65536 layers");
    wz_text_clear(&text);
    wz_text_clear(&changed);
}
END_TEST

/* ---- ONNX ---- */

/* The seed: config.json, NUL, model.onnx. */
static void take_seed(wz_portable *portable, wz_text *onnx)
{
    json_t *json = NULL;
    wz_text text = {0};
    OK(wz_file_read(WZ_TEST_DATA "/fuzz/onnx/good-onnx-llama-f16", (size_t)1 << 20, &text, &err));
    const size_t first = strlen(text.data);
    wz_portable_init(portable);
    OK(wz_json_parse("config.json", text.data, first, &json, &err));
    OK(wz_hf_config_read(json, "config.json", portable, &err));
    append(onnx, text.data + first + 1, text.length - first - 1);
    json_decref(json);
    wz_text_clear(&text);
}

static wz_status open_onnx(const wz_portable *portable, const wz_text *onnx)
{
    wz_tensor_source *source = NULL;
    temporary_write(temporary_path(&where, WZ_ONNX_FILE), onnx->data, onnx->length);
    const wz_status status = wz_onnx_open(where.directory, &portable->model, &source, &err);
    if (status == WZ_OK)
        source->close(source);
    return status;
}

START_TEST(onnx_initialiser_given_twice_is_refused)
{
    static const char old[] = "k_proj.weight", new[] = "q_proj.weight";
    wz_portable portable;
    wz_text onnx = {0};
    take_seed(&portable, &onnx);
    OK(open_onnx(&portable, &onnx));
    for (char *at = onnx.data;
         (at = memmem(at, onnx.length - (size_t)(at - onnx.data), old, sizeof old - 1)) != NULL;)
        memcpy(at, new, sizeof new - 1);
    assert_said(open_onnx(&portable, &onnx), "q_proj.weight' is given twice");
    wz_text_clear(&onnx);
    wz_portable_clear(&portable);
}
END_TEST

/* One more at the graph's end: a float [1] called x. */
START_TEST(onnx_initialiser_of_no_weight_is_refused)
{
    static const unsigned char extra[] = {5 << 3 | 2, 13,         8, 1, 16, 1, 8 << 3 | 2, 1,
                                          'x',        9 << 3 | 2, 4, 0, 0,  0, 0};
    wz_portable portable;
    wz_text onnx = {0};
    wz_message longer;
    wz_field field = {0};
    bool broken = false;
    take_seed(&portable, &onnx);
    const unsigned char *start = (const unsigned char *)onnx.data, *at = start, *end = start + onnx.length;
    const unsigned char *before = at;
    while (field.number != 7) { /* ModelProto.graph, its last field */
        before = at;
        ck_assert(wz_field_next(&at, end, &field, &broken));
    }
    ck_assert_ptr_eq(at, end);
    wz_message_start(&longer, &err);
    OK(wz_text_append(&longer.bytes, onnx.data, (size_t)(before - start), &err));
    wz_message_head(&longer, 7, field.value + sizeof extra);
    append(&longer.bytes, field.bytes, (size_t)field.value);
    append(&longer.bytes, extra, sizeof extra);
    assert_said(open_onnx(&portable, &longer.bytes), "initialisers that no weight is made of");
    wz_message_clear(&longer);
    wz_text_clear(&onnx);
    wz_portable_clear(&portable);
}
END_TEST

/* ---- configuration ---- */

START_TEST(gguf_number_that_is_not_finite_is_refused)
{
    static const char key[] = "llama.rope.freq_base";
    const float endless = INFINITY;
    wz_portable portable;
    wz_text text = {0};
    OK(wz_file_read(WZ_TEST_DATA "/fuzz/gguf/good-gguf-llama-f16", (size_t)1 << 20, &text, &err));
    temporary_write(temporary_path(&where, "x.gguf"), text.data, text.length);
    OK(wz_model_format_find("gguf")->open(where.path, &portable, &err));
    wz_portable_clear(&portable);
    char *at = memmem(text.data, text.length, key, sizeof key - 1);
    ck_assert_ptr_nonnull(at);
    memcpy(at + sizeof key - 1 + sizeof(uint32_t), &endless, sizeof endless); /* after the key and its type */
    temporary_write(where.path, text.data, text.length);
    assert_said(wz_model_format_find("gguf")->open(where.path, &portable, &err), "rope_theta is inf");
    wz_text_clear(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile");
    TCase *all = tcase_create("hostile");
    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, gguf_of_most_keys_finds_each);
    tcase_add_test(all, gguf_key_given_twice_far_apart_is_refused);
    tcase_add_loop_test(all, file_of_a_folder_that_is_none_is_refused, 0, FILES);
    tcase_add_test(all, layers_that_no_tensor_stands_for_are_refused);
    tcase_add_test(all, onnx_initialiser_given_twice_is_refused);
    tcase_add_test(all, onnx_initialiser_of_no_weight_is_refused);
    tcase_add_test(all, gguf_number_that_is_not_finite_is_refused);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
