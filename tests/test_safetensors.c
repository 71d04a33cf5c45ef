/* The safetensors reader against files made by hand, and the writer against the reader. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoints/hf_weights.h"
#include "engine/core/file.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;

static void make_place(void)
{
    temporary_create(&where);
}

static void remove_place(void)
{
    temporary_remove(&where);
}

/* A file of this header and `data` bytes after it; `claim` is the header's length as the file tells it. */
static void write_claiming(const char *name, const char *header, uint64_t claim, size_t data)
{
    static unsigned char bytes[1 << 21];
    const size_t length = strlen(header);
    ck_assert_uint_le(8 + length + data, sizeof bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(claim >> (8 * i));
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data; i++)
        bytes[8 + length + i] = (unsigned char)(i * 37 + 1);
    temporary_write(temporary_path(&where, name), bytes, 8 + length + data);
}

static void write_made(const char *name, const char *header, size_t data)
{
    write_claiming(name, header, strlen(header), data);
}

/* Opening where.path fails, and the message has the file's name and `expected`. */
static void assert_refused(const char *expected)
{
    wz_error err = {.text = ""};
    wz_safetensors *file = NULL;
    ck_assert_int_eq(wz_safetensors_open(where.path, &file, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_null(file);
    ck_assert_msg(strstr(err.text, where.path) != NULL, "no file in: %s", err.text);
    ck_assert_msg(strstr(err.text, expected) != NULL, "'%s' is not in: %s", expected, err.text);
}

/* --- reading --- */

/* 1.5 is 0x3fc00000 in single precision, 0x3e00 in half, 0x3fc0 in bfloat16; -2: 0xc0000000, 0xc000, 0xc000. */
START_TEST(open_file_of_three_types_reads_their_numbers)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\",\"who\":\"me\"},"
                                 "\"half\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                                 "\"brain\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[12,16]},"
                                 "\"single\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}  ";
    static const unsigned char data[] = {0, 0,    0xc0, 0x3f, 0,    0,    0, 0xc0,
                                         0, 0x3e, 0,    0xc0, 0xc0, 0x3f, 0, 0xc0};
    static const char *const names[] = {"single", "half", "brain"};
    unsigned char bytes[8 + sizeof header - 1 + sizeof data] = {(sizeof header - 1) & 255,
                                                                (sizeof header - 1) >> 8};
    wz_error err = {.text = ""};
    wz_safetensors *file = NULL;
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(bytes + 8 + sizeof header - 1, data, sizeof data);
    temporary_write(temporary_path(&where, "a.safetensors"), bytes, sizeof bytes);
    ck_assert_msg(wz_safetensors_open(where.path, &file, &err) == WZ_OK, "%s", err.text);
    ck_assert_uint_eq(wz_safetensors_count(file), 3);
    ck_assert_str_eq(wz_safetensors_metadata(file, "who"), "me");
    ck_assert_ptr_null(wz_safetensors_metadata(file, "where"));
    for (size_t i = 0; i < 3; i++) {
        float numbers[2] = {0};
        const wz_stored_tensor *tensor = wz_safetensors_tensor(file, i);
        ck_assert_str_eq(tensor->name, names[i]);
        ck_assert_int_eq(wz_safetensors_read(file, i, 0, tensor->shape[0], numbers, &err), WZ_OK);
        ck_assert(numbers[0] == 1.5f && numbers[1] == -2.0f);
    }
    float last = 0.0f;
    ck_assert_int_eq(wz_safetensors_read(file, 2, 1, 1, &last, &err), WZ_OK);
    ck_assert(last == -2.0f);
    wz_safetensors_close(file);
}
END_TEST

#define ENTRY(name, dtype, shape, offsets)                                                                   \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct hostile {
    const char *header;
    size_t data;
    const char *expected;
} hostile[] = {
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 4, "tensor 'a' ends at byte 8 of its 4"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 9, "1 bytes after the last tensor"},
    {"{" ENTRY("a", "F32", "[2]", "[4,12]") "}", 12, "gap of 4 bytes before tensor 'a'"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("b", "F32", "[2]", "[4,12]") "}", 12,
     "'a' and 'b' overlap"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("b", "F32", "[2]", "[0,8]") "}", 8,
     "'a' and 'b' overlap"},
    {"{" ENTRY("a", "F32", "[3]", "[0,8]") "}", 8, "'a' takes 8 bytes where its shape and type need 12"},
    {"{" ENTRY("a", "BF16", "[2]", "[0,8]") "}", 8, "'a' takes 8 bytes where its shape and type need 4"},
    {"{" ENTRY("a", "F32", "[2]", "[8,0]") "}", 8, "'a' has impossible data_offsets"},
    {"{" ENTRY("a", "F32", "[2]", "[-8,0]") "}", 8, "'a' has impossible data_offsets"},
    {"{" ENTRY("a", "F32", "[2]", "[0.0,8]") "}", 8, "'a' has impossible data_offsets"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8,8]") "}", 8, "'a' has impossible data_offsets"},
    {"{" ENTRY("a", "F32", "[2]", "[0,9223372036854775807]") "}", 8, "'a' ends at byte 9223372036854775807"},
    {"{" ENTRY("a", "F32", "[2]", "[0,18446744073709551616]") "}", 8, "not valid JSON"},
    {"{" ENTRY("a", "F32", "[4294967296,4294967296]", "[0,8]") "}", 8, "its size overflows"},
    {"{" ENTRY("a", "F32", "[4611686018427387904]", "[0,0]") "}", 0, "its size overflows"},
    {"{" ENTRY("a", "F32", "[1152921504606846976]", "[0,8]") "}", 8,
     "its shape and type need 4611686018427387904"},
    {"{" ENTRY("a", "F32", "[-2]", "[0,8]") "}", 8, "'a' has an impossible shape"},
    {"{" ENTRY("a", "F32", "[0]", "[0,0]") "}", 0, "'a' has an impossible shape"},
    {"{" ENTRY("a", "F32", "[2.0]", "[0,8]") "}", 8, "'a' has an impossible shape"},
    {"{" ENTRY("a", "F32", "[]", "[0,4]") "}", 4, "'a' has 0 dimensions"},
    {"{" ENTRY("a", "F32", "[1,1,2]", "[0,8]") "}", 8, "'a' has 3 dimensions"},
    {"{" ENTRY("a", "F64", "[1]", "[0,8]") "}", 8, "'a' is of type F64"},
    {"{" ENTRY("a", "F8_E4M3", "[8]", "[0,8]") "}", 8, "'a' is of type F8_E4M3"},
    {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "'a' has no dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "'a' has no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "'a' has impossible data_offsets"},
    {"{\"a\":7}", 8, "'a' has no dtype"},
    {"{" ENTRY("a", "F32", "[2]", "[0,8]") "," ENTRY("a", "F32", "[2]", "[8,16]") "}", 16, "duplicate"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "duplicate"},
    {"{\"__metadata__\":[]}", 0, "must be an object"},
    {"{\"__metadata__\":{\"n\":1}}", 0, "key 'n' must be a string"},
    {"[]", 0, "the header must be an object"},
    {"", 0, "not valid JSON"},
    {"{}", 3, "3 bytes after the last tensor"},
    {"{\"a\":", 0, "not valid JSON"},
    {"{\"a\xff\":{}}", 0, "not valid JSON"},
};

START_TEST(open_hostile_header_is_refused_by_name)
{
    write_made("a.safetensors", hostile[_i].header, hostile[_i].data);
    assert_refused(hostile[_i].expected);
}
END_TEST

START_TEST(open_deeply_nested_header_is_refused)
{
    static char header[1 << 20];
    memset(header, '[', sizeof header - 1);
    write_made("a.safetensors", header, 0);
    assert_refused("nested deeper than");
}
END_TEST

/* Lengths that the file does not have ask for no memory: the process may not take 64 MiB more. */
START_TEST(open_header_of_impossible_length_allocates_nothing)
{
    static const uint64_t claims[] = {
        (uint64_t)1 << 60, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63, (uint64_t)1 << 32, 3, 1000};
    struct rusage before, after;
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        write_claiming("a.safetensors", "{}", claims[i], 0);
        assert_refused("its header claims");
    }
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 4096);
    write_claiming("a.safetensors", "{}", 1, 0);
    assert_refused("not valid JSON");
}
END_TEST

START_TEST(open_any_truncation_is_refused)
{
    static const char header[] = "{" ENTRY("a", "F32", "[2]", "[0,8]") "}";
    wz_text bytes = {0};
    wz_error err = {.text = ""};
    write_made("a.safetensors", header, 8);
    ck_assert_int_eq(wz_file_read(where.path, 1 << 16, &bytes, &err), WZ_OK);
    for (size_t length = 0; length < bytes.length; length++) {
        temporary_write(where.path, bytes.data, length);
        assert_refused("");
    }
    wz_text_clear(&bytes);
}
END_TEST

START_TEST(open_what_is_no_file_is_refused)
{
    wz_error err = {.text = ""};
    wz_safetensors *file = NULL;
    ck_assert_int_eq(mkfifo(temporary_path(&where, "pipe"), 0600), 0);
    assert_refused("no regular file");
    ck_assert_int_eq(mkdir(temporary_path(&where, "folder"), 0700), 0);
    assert_refused("no regular file");
    ck_assert_int_eq(wz_safetensors_open(temporary_path(&where, "nothing"), &file, &err), WZ_ERR_USAGE);
}
END_TEST

/* The file shrinks after it was opened. */
START_TEST(read_past_the_end_is_refused)
{
    float numbers[2];
    wz_error err = {.text = ""};
    wz_safetensors *file = NULL;
    write_made("a.safetensors", "{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 8);
    ck_assert_int_eq(wz_safetensors_open(where.path, &file, &err), WZ_OK);
    ck_assert_int_eq(truncate(where.path, 60), 0);
    ck_assert_int_eq(wz_safetensors_read(file, 0, 0, 2, numbers, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, where.path));
    wz_safetensors_close(file);
}
END_TEST

/* --- shards --- */

#define SHARD_A "{" ENTRY("x", "F32", "[2]", "[0,8]") "," ENTRY("y", "F32", "[1]", "[8,12]") "}"
#define SHARD_B "{" ENTRY("z", "F32", "[1]", "[0,4]") "}"
#define MAP(text) "{\"metadata\":{\"total_size\":16},\"weight_map\":{" text "}}"
#define XY "\"x\":\"a.safetensors\",\"y\":\"a.safetensors\""

static void write_index(const char *text)
{
    write_made("a.safetensors", SHARD_A, 12);
    write_made("b.safetensors", SHARD_B, 4);
    temporary_write(temporary_path(&where, WZ_HF_INDEX), text, strlen(text));
}

static void assert_shards_refused(const char *expected)
{
    wz_error err = {.text = ""};
    wz_tensor_source *source = NULL;
    ck_assert_int_eq(wz_hf_open_weights(where.directory, false, &source, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_null(source);
    ck_assert_msg(strstr(err.text, where.directory) != NULL, "no folder in: %s", err.text);
    ck_assert_msg(strstr(err.text, expected) != NULL, "'%s' is not in: %s", expected, err.text);
}

START_TEST(open_shards_reads_tensors_of_all)
{
    float numbers[2] = {0}, z = 0.0f;
    wz_error err = {.text = ""};
    wz_tensor_source *source = NULL;
    write_index(MAP("\"z\":\"b.safetensors\"," XY));
    ck_assert_msg(wz_hf_open_weights(where.directory, false, &source, &err) == WZ_OK, "%s", err.text);
    ck_assert_uint_eq(source->count, 3);
    ck_assert_int_eq(source->read(source, wz_tensor_find(source, "z"), 0, 1, &z, &err), WZ_OK);
    ck_assert_int_eq(source->read(source, wz_tensor_find(source, "x"), 0, 2, numbers, &err), WZ_OK);
    ck_assert(z == numbers[0]); /* both files' data begin alike */
    source->close(source);
}
END_TEST

static const struct hostile indices[] = {
    {MAP(XY ",\"z\":\"c.safetensors\""), 0, "c.safetensors is missing"},
    {MAP(XY ",\"z\":\"../b.safetensors\""), 0, "only names of .safetensors files in the same folder"},
    {MAP(XY ",\"z\":\"/etc/b.safetensors\""), 0, "only names of .safetensors files in the same folder"},
    {MAP(XY ",\"z\":\"sub\\\\b.safetensors\""), 0, "only names of .safetensors files in the same folder"},
    {MAP(XY ",\"z\":\"..\""), 0, "only names of .safetensors files in the same folder"},
    {MAP(XY ",\"z\":\"\""), 0, "only names of .safetensors files in the same folder"},
    {MAP(XY ",\"z\":\".safetensors\""), 0, "only names of .safetensors files in the same folder"},
    {MAP(XY ",\"z\":\"" WZ_HF_INDEX "\""), 0, "only names of .safetensors files in the same folder"},
    {MAP(XY ",\"z\":\"b.bin\""), 0, "only names of .safetensors files in the same folder"},
    {MAP(XY ",\"z\":5"), 0, "weight_map of 'z' must be a string"},
    {MAP(XY ",\"z\":\"a.safetensors\""), 0, "tensor 'z' is not in a.safetensors"},
    {MAP("\"x\":\"a.safetensors\",\"z\":\"b.safetensors\""), 0,
     "tensor 'y' of a.safetensors is not in weight_map"},
    {MAP(XY ",\"x\":\"b.safetensors\""), 0, "duplicate"},
    {MAP(""), 0, "must map tensors to files"},
    {"{\"weight_map\":[]}", 0, "must map tensors to files"},
    {"{}", 0, "must map tensors to files"},
    {"", 0, "not valid JSON"},
};

START_TEST(open_hostile_index_is_refused_by_name)
{
    write_index(indices[_i].header);
    assert_shards_refused(indices[_i].expected);
}
END_TEST

START_TEST(open_tensor_in_two_shards_is_refused)
{
    write_index(MAP(XY ",\"z\":\"b.safetensors\""));
    write_made("b.safetensors",
               "{" ENTRY("z", "F32", "[1]", "[0,4]") "," ENTRY("y", "F32", "[1]", "[4,8]") "}", 8);
    assert_shards_refused("tensor 'y' of b.safetensors is in weight_map as one of a.safetensors");
}
END_TEST

START_TEST(open_shard_linked_out_of_the_folder_is_refused)
{
    wz_error err = {.text = ""};
    wz_tensor_source *source = NULL;
    char target[600];
    write_index(MAP(XY ",\"z\":\"b.safetensors\""));
    ck_assert_int_eq(mkdir(temporary_path(&where, "deep"), 0700), 0);
    (void)snprintf(target, sizeof target, "%s/deep/b", where.directory);
    ck_assert_int_eq(rename(temporary_path(&where, "b.safetensors"), target), 0);
    ck_assert_int_eq(symlink("deep/b", where.path), 0);
    assert_shards_refused("leads out of the model's folder");
    ck_assert_int_eq(unlink(where.path), 0);
    ck_assert_int_eq(rename(target, temporary_path(&where, "b.data")), 0);
    ck_assert_int_eq(symlink("b.data", temporary_path(&where, "b.safetensors")), 0);
    ck_assert_msg(wz_hf_open_weights(where.directory, false, &source, &err) == WZ_OK, "%s", err.text);
    source->close(source);
    ck_assert_int_eq(unlink(where.path), 0);
    ck_assert_int_eq(symlink("b.safetensors", where.path), 0); /* to itself */
    assert_shards_refused("b.safetensors");
}
END_TEST

/* models--x/snapshots/1 with links into models--x/blobs, as the hub's client lays out its cache. */
START_TEST(open_shard_in_the_cache_of_the_hub_is_read)
{
    static const char *const folders[] = {"blobs", "snapshots", "snapshots/1"};
    wz_error err = {.text = ""};
    wz_tensor_source *source = NULL;
    char target[600];
    write_made("b.safetensors", SHARD_B, 4);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(mkdir(temporary_path(&where, folders[i]), 0700), 0);
    (void)snprintf(target, sizeof target, "%s/blobs/4f3a", where.directory);
    ck_assert_int_eq(rename(temporary_path(&where, "b.safetensors"), target), 0);
    ck_assert_int_eq(symlink("../../blobs/4f3a", temporary_path(&where, "snapshots/1/" WZ_HF_WEIGHTS)), 0);
    (void)snprintf(target, sizeof target, "%s/snapshots/1", where.directory);
    ck_assert_msg(wz_hf_open_weights(target, false, &source, &err) == WZ_OK, "%s", err.text);
    source->close(source);
}
END_TEST

START_TEST(open_weights_leaves_out_what_models_no_longer_store)
{
    wz_error err = {.text = ""};
    wz_tensor_source *source = NULL;
    write_made(WZ_HF_WEIGHTS,
               "{" ENTRY("lm_head.weight", "F32", "[1]",
                         "[0,4]") "," ENTRY("model.layers.0.self_attn.rotary_emb.inv_freq", "F32", "[1]",
                                            "[4,8]") "," ENTRY("a", "F32", "[1]", "[8,12]") "}",
               12);
    for (int tied = 0; tied < 2; tied++) {
        ck_assert_int_eq(wz_hf_open_weights(where.directory, tied == 1, &source, &err), WZ_OK);
        ck_assert_uint_eq(source->count, tied == 1 ? 1 : 2);
        ck_assert(wz_tensor_find(source, "lm_head.weight") == (tied == 1 ? SIZE_MAX : 0));
        source->close(source);
    }
}
END_TEST

START_TEST(open_folder_without_weights_names_what_it_has)
{
    assert_shards_refused("holds neither");
    temporary_write(temporary_path(&where, "pytorch_model.bin"), "", 0);
    assert_shards_refused("holds pytorch_model.bin");
}
END_TEST

/* --- writing --- */

static wz_status read_sines(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                            wz_error *err)
{
    const size_t width = self->tensors[index].rank == 2 ? self->tensors[index].shape[1] : 1;
    (void)err;
    for (size_t i = 0; i < rows * width; i++)
        out[i] = sinf((float)(index * 100000 + first * width + i));
    return WZ_OK;
}

static void count_bytes(void *user, uint64_t bytes)
{
    *(uint64_t *)user += bytes;
}

static const wz_stored_tensor written[] = {
    {"m", WZ_NUMBER_F32, 2, {700, 1001}}, {"odd", WZ_NUMBER_F32, 1, {3}}, {"one", WZ_NUMBER_F32, 2, {1, 1}}};

START_TEST(write_each_type_reads_back_rounded_once)
{
    static float numbers[700 * 1001], expected[700 * 1001];
    static unsigned char stored[700 * 1001 * 4];
    static const wz_number_type types[] = {WZ_NUMBER_F32, WZ_NUMBER_F16, WZ_NUMBER_BF16};
    const wz_number_type type = types[_i];
    const wz_safetensors_text texts[] = {{"key", "value \" \xc3\xbc"}};
    uint64_t bytes = 0;
    size_t total = 0, size = 0;
    const wz_byte_count count = {.add = count_bytes, .user = &bytes};
    wz_error err = {.text = ""};
    wz_safetensors *file = NULL;
    struct stat info;
    wz_tensor_source source = {.tensors = written, .count = 3, .read = read_sines};
    temporary_path(&where, "a.safetensors");
    ck_assert_msg(wz_safetensors_write(where.path, &source, type, texts, 1, &count, &err) == WZ_OK, "%s",
                  err.text);
    ck_assert_msg(wz_safetensors_open(where.path, &file, &err) == WZ_OK, "%s", err.text);
    ck_assert_str_eq(wz_safetensors_metadata(file, "key"), texts[0].value);
    ck_assert_str_eq(wz_safetensors_metadata(file, "format"), "pt");
    for (size_t t = 0; t < 3; t++) {
        const size_t elements = wz_tensor_elements(&written[t]);
        ck_assert_str_eq(wz_safetensors_tensor(file, t)->name, written[t].name);
        ck_assert_int_eq(wz_safetensors_tensor(file, t)->type, type);
        ck_assert_int_eq(wz_safetensors_read(file, t, 0, written[t].shape[0], numbers, &err), WZ_OK);
        ck_assert_int_eq(source.read(&source, t, 0, written[t].shape[0], expected, &err), WZ_OK);
        wz_numbers_encode(type, expected, elements, stored);
        wz_numbers_decode(type, stored, elements, expected);
        ck_assert_int_eq(memcmp(numbers, expected, elements * sizeof *numbers), 0);
        ck_assert(wz_number_bytes(type, elements, &size));
        total += size;
    }
    ck_assert_uint_eq(bytes, total);
    ck_assert_int_eq(stat(where.path, &info), 0);
    ck_assert_uint_eq(((uint64_t)info.st_size - total) % 8, 0); /* where the data begin */
    wz_safetensors_close(file);
}
END_TEST

static wz_status fail_read(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    (void)self, (void)index, (void)first, (void)rows, (void)out;
    return wz_fail(err, WZ_ERR_DEVICE, "no more");
}

START_TEST(write_source_that_fails_leaves_no_file)
{
    wz_error err = {.text = ""};
    wz_tensor_source source = {.tensors = written, .count = 3, .read = fail_read};
    temporary_path(&where, "a.safetensors");
    ck_assert_int_eq(wz_safetensors_write(where.path, &source, WZ_NUMBER_F16, NULL, 0, NULL, &err),
                     WZ_ERR_DEVICE);
    ck_assert(!wz_path_exists(where.path));
    temporary_write(where.path, "mine", 4);
    source.read = read_sines;
    ck_assert_int_ne(wz_safetensors_write(where.path, &source, WZ_NUMBER_F16, NULL, 0, NULL, &err), WZ_OK);
    ck_assert(wz_path_exists(where.path)); /* what was there is not overwritten */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *reading = tcase_create("reading");
    TCase *shards = tcase_create("shards");
    TCase *writing = tcase_create("writing");
    tcase_add_checked_fixture(reading, make_place, remove_place);
    tcase_add_checked_fixture(shards, make_place, remove_place);
    tcase_add_checked_fixture(writing, make_place, remove_place);
    tcase_add_test(reading, open_file_of_three_types_reads_their_numbers);
    tcase_add_loop_test(reading, open_hostile_header_is_refused_by_name, 0,
                        (int)(sizeof hostile / sizeof hostile[0]));
    tcase_add_test(reading, open_deeply_nested_header_is_refused);
    tcase_add_test(reading, open_header_of_impossible_length_allocates_nothing);
    tcase_add_test(reading, open_any_truncation_is_refused);
    tcase_add_test(reading, open_what_is_no_file_is_refused);
    tcase_add_test(reading, read_past_the_end_is_refused);
    tcase_add_test(shards, open_shards_reads_tensors_of_all);
    tcase_add_loop_test(shards, open_hostile_index_is_refused_by_name, 0,
                        (int)(sizeof indices / sizeof indices[0]));
    tcase_add_test(shards, open_tensor_in_two_shards_is_refused);
    tcase_add_test(shards, open_shard_linked_out_of_the_folder_is_refused);
    tcase_add_test(shards, open_shard_in_the_cache_of_the_hub_is_read);
    tcase_add_test(shards, open_weights_leaves_out_what_models_no_longer_store);
    tcase_add_test(shards, open_folder_without_weights_names_what_it_has);
    tcase_add_loop_test(writing, write_each_type_reads_back_rounded_once, 0, 3);
    tcase_add_test(writing, write_source_that_fails_leaves_no_file);
    suite_add_tcase(suite, reading);
    suite_add_tcase(suite, shards);
    suite_add_tcase(suite, writing);
    return run_suite(suite);
}
