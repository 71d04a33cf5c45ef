/* Checkpoints whose weights come from a source, and are stored in two bytes each. */
#include <check.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "checkpoints/checkpoint.h"
#include "checkpoints/portable.h"
#include "engine/core/file.h"
#include "engine/core/output.h"
#include "tests/suite.h"
#include "tests/temporary.h"

#define WIDE 300000 /* floats: a row is more than a block of the file */

static temporary where;

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

/* A number that half precision and bfloat16 hold: 8 significant bits, exponent -3 to 4. */
static float number_at(size_t tensor, size_t i)
{
    const unsigned mix = (unsigned)(i * 2654435761u + tensor * 40503u);
    const float size = (float)(128 + (mix >> 7 & 127)) * (float)(1 << (mix >> 20 & 7)) / 1024.0f;
    return mix & 1 ? -size : size;
}

typedef struct made_source {
    wz_tensor_source base;
    size_t fail_row; /* of the first tensor; reading it fails */
    size_t rows;     /* the most that were asked for at once */
} made_source;

static wz_status read_made(wz_tensor_source *self, size_t index, size_t first, size_t rows, float *out,
                           wz_error *err)
{
    made_source *made = (made_source *)self;
    const wz_stored_tensor *tensor = &self->tensors[index];
    const size_t width = tensor->rank == 2 ? tensor->shape[1] : 1;
    ASSERT_EACH(first + rows <= tensor->shape[0], "rows %zu + %zu", first, rows);
    if (index == 0 && first <= made->fail_row && made->fail_row < first + rows)
        return wz_fail(err, WZ_ERR_CORRUPT, "row %zu is gone", made->fail_row);
    for (size_t i = 0; i < rows * width; i++)
        out[i] = number_at(index, first * width + i);
    made->rows = rows > made->rows ? rows : made->rows;
    return WZ_OK;
}

static void close_made(wz_tensor_source *self)
{
    (void)self;
}

enum { TENSORS = 4 };

static const wz_stored_tensor shapes[TENSORS] = {
    {"embed", WZ_NUMBER_BF16, 2, {3000, 500}}, /* several blocks, the last one shorter */
    {"norm", WZ_NUMBER_BF16, 1, {77}},
    {"wide", WZ_NUMBER_BF16, 2, {3, WIDE}},
    {"long", WZ_NUMBER_BF16, 1, {700000}},
};

static made_source make_source(void)
{
    return (made_source){
        .base = {.tensors = shapes, .count = TENSORS, .read = read_made, .close = close_made},
        .fail_row = SIZE_MAX};
}

static wz_status write_typed(const char *path, made_source *made, wz_number_type type, wz_error *err)
{
    wz_checkpoint_tensor tensors[TENSORS];
    for (size_t i = 0; i < TENSORS; i++)
        tensors[i] = (wz_checkpoint_tensor){.group = "weights",
                                            .name = shapes[i].name,
                                            .rank = shapes[i].rank,
                                            .shape = {shapes[i].shape[0], shapes[i].shape[1]},
                                            .type = type,
                                            .source = &made->base,
                                            .index = i};
    const wz_checkpoint_content content = {.step = 3, .tensors = tensors, .tensor_count = TENSORS};
    return wz_checkpoint_write(path, &content, err);
}

static wz_checkpoint *open_checkpoint(const char *path)
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = NULL;
    assert_ok(wz_checkpoint_open(path, &checkpoint, &err), &err);
    return checkpoint;
}

static void digest_of(const char *path, char digest[33])
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = open_checkpoint(path);
    assert_ok(wz_checkpoint_weights_digest(checkpoint, digest, &err), &err);
    wz_checkpoint_close(checkpoint);
}

static void assert_reads_back(wz_checkpoint *checkpoint, wz_number_type type)
{
    wz_error err = {.text = ""};
    float *data = malloc((size_t)3000 * 500 * sizeof *data);
    ck_assert_ptr_nonnull(data);
    assert_ok(wz_checkpoint_verify(checkpoint, &err), &err);
    for (size_t i = 0; i < TENSORS; i++) {
        const size_t count = wz_tensor_elements(&shapes[i]);
        assert_ok(wz_checkpoint_read(checkpoint, "weights", shapes[i].name, data, count, &err), &err);
        for (size_t j = 0; j < count; j++)
            ASSERT_EACH(data[j] == number_at(i, j), "%s[%zu] is %g", shapes[i].name, j, (double)data[j]);
    }
    for (size_t i = 0; i < wz_checkpoint_tensor_count(checkpoint); i++)
        ck_assert_int_eq(wz_checkpoint_tensor_info(checkpoint, i)->type, type);
    free(data);
}

START_TEST(write_from_source_each_type_reads_back_exactly)
{
    static const wz_number_type types[] = {WZ_NUMBER_F32, WZ_NUMBER_F16, WZ_NUMBER_BF16};
    const wz_number_type type = types[_i];
    wz_error err = {.text = ""};
    size_t numbers = 0, bytes = 0;
    struct stat info;
    made_source made = make_source();
    assert_ok(write_typed(temporary_path(&where, "a.h5"), &made, type, &err), &err);
    wz_checkpoint *checkpoint = open_checkpoint(where.path);
    assert_reads_back(checkpoint, type);
    wz_checkpoint_close(checkpoint);
    for (size_t i = 0; i < TENSORS; i++)
        numbers += wz_tensor_elements(&shapes[i]);
    ck_assert(wz_number_bytes(type, numbers, &bytes));
    ck_assert_int_eq(stat(where.path, &info), 0);
    /* each tensor's last block takes a whole block's place, and the file's own structures a few KB */
    ck_assert_uint_le((size_t)info.st_size, bytes + TENSORS * ((size_t)1 << 20) + 65536);
    ck_assert_uint_lt(made.rows, 700000); /* never a whole long tensor at once */
}
END_TEST

START_TEST(write_from_source_equals_write_from_memory)
{
    wz_error err = {.text = ""};
    wz_checkpoint_tensor tensors[TENSORS];
    char from_memory[33], from_source[33], in_memory[33];
    made_source made = make_source();
    for (size_t i = 0; i < TENSORS; i++) {
        const size_t count = wz_tensor_elements(&shapes[i]);
        float *data = malloc(count * sizeof *data);
        ck_assert_ptr_nonnull(data);
        for (size_t j = 0; j < count; j++)
            data[j] = number_at(i, j);
        tensors[i] = (wz_checkpoint_tensor){.group = "weights",
                                            .name = shapes[i].name,
                                            .rank = shapes[i].rank,
                                            .shape = {shapes[i].shape[0], shapes[i].shape[1]},
                                            .data = data};
    }
    const wz_checkpoint_content content = {.step = 3, .tensors = tensors, .tensor_count = TENSORS};
    assert_ok(wz_checkpoint_write(temporary_path(&where, "memory.h5"), &content, &err), &err);
    digest_of(where.path, from_memory);
    assert_ok(write_typed(temporary_path(&where, "source.h5"), &made, WZ_NUMBER_F32, &err), &err);
    digest_of(where.path, from_source);
    assert_ok(wz_weights_digest(tensors, TENSORS, in_memory, &err), &err);
    ck_assert_str_eq(from_memory, from_source);
    ck_assert_str_eq(from_memory, in_memory);
    for (size_t i = 0; i < TENSORS; i++)
        free((void *)tensors[i].data);
}
END_TEST

START_TEST(weights_digest_equal_exactly_for_equal_types_and_bits)
{
    const uint16_t one_bits = 0x3c00; /* 1 in half precision, 2^-7 in bfloat16 */
    char digest[3][33];
    wz_error err = {.text = ""};
    for (int i = 0; i < 3; i++) {
        const wz_checkpoint_tensor tensor = {.group = "weights",
                                             .name = "a",
                                             .rank = 1,
                                             .shape = {1},
                                             .data = &one_bits,
                                             .type = i == 1 ? WZ_NUMBER_F16 : WZ_NUMBER_BF16};
        const wz_checkpoint_content content = {.step = i, .tensors = &tensor, .tensor_count = 1};
        float value = 0.0f;
        assert_ok(wz_checkpoint_write(temporary_path(&where, "a.h5"), &content, &err), &err);
        digest_of(where.path, digest[i]);
        wz_checkpoint *checkpoint = open_checkpoint(where.path);
        assert_ok(wz_checkpoint_read(checkpoint, "weights", "a", &value, 1, &err), &err);
        ck_assert(value == (i == 1 ? 1.0f : 0.0078125f));
        wz_checkpoint_close(checkpoint);
    }
    ck_assert_str_eq(digest[0], digest[2]);
    ck_assert_str_ne(digest[0], digest[1]);
}
END_TEST

START_TEST(write_source_that_fails_leaves_nothing)
{
    wz_error err = {.text = ""};
    made_source made = make_source();
    made.fail_row = 2999;
    ck_assert_int_eq(write_typed(temporary_path(&where, "a.h5"), &made, WZ_NUMBER_BF16, &err),
                     WZ_ERR_CORRUPT);
    ck_assert_str_eq(err.text, "row 2999 is gone");
    ck_assert(!wz_path_exists(where.path));
    ck_assert(!wz_path_exists(temporary_path(&where, "a.h5" WZ_OUTPUT_SUFFIX)));
}
END_TEST

START_TEST(write_source_of_other_shape_or_type_in_blocks_is_refused)
{
    wz_error err = {.text = ""};
    made_source made = make_source();
    wz_checkpoint_tensor tensor = {
        .group = "weights", .name = "norm", .rank = 1, .shape = {78}, .source = &made.base, .index = 1};
    const wz_checkpoint_content content = {.tensors = &tensor, .tensor_count = 1};
    temporary_path(&where, "a.h5");
    ck_assert_int_eq(wz_checkpoint_write(where.path, &content, &err), WZ_ERR_RUNTIME);
    ck_assert_ptr_nonnull(strstr(err.text, "weights/norm"));
    tensor.shape[0] = 77;
    tensor.type = WZ_NUMBER_Q8_0;
    ck_assert_int_eq(wz_checkpoint_write(where.path, &content, &err), WZ_ERR_RUNTIME);
    tensor.type = WZ_NUMBER_F16;
    assert_ok(wz_checkpoint_write(where.path, &content, &err), &err);
}
END_TEST

/* A tensor of 256 MB passes through a few blocks. */
START_TEST(write_from_source_takes_memory_for_blocks_only)
{
    static const wz_stored_tensor large = {"embed", WZ_NUMBER_BF16, 2, {65536, 1024}};
    const wz_checkpoint_tensor tensor = {
        .group = "weights", .name = "embed", .rank = 2, .shape = {65536, 1024}, .type = WZ_NUMBER_BF16};
    wz_error err = {.text = ""};
    struct rusage before, after;
    made_source made = make_source();
    wz_checkpoint_tensor given = tensor;
    made.base.tensors = &large;
    made.base.count = 1;
    given.source = &made.base;
    const wz_checkpoint_content content = {.tensors = &given, .tensor_count = 1};
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
    assert_ok(wz_checkpoint_write(temporary_path(&where, "a.h5"), &content, &err), &err);
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed for a while */
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 24 * 1024);
#endif
    ck_assert_uint_le(made.rows * 1024, (size_t)1 << 20);
}
END_TEST

/* --- reading by rows --- */

START_TEST(weights_source_returns_any_rows)
{
    static const wz_number_type types[] = {WZ_NUMBER_F32, WZ_NUMBER_F16, WZ_NUMBER_BF16};
    static const size_t ranges[][3] = {{0, 0, 3000},   {0, 2999, 1}, {0, 1047, 3}, {1, 5, 72},
                                       {3, 0, 700000}, {2, 1, 2},    {2, 0, 1},    {0, 524, 1100}};
    static float rows[3000 * 500];
    wz_error err = {.text = ""};
    wz_tensor_source *source = NULL;
    made_source made = make_source();
    assert_ok(write_typed(temporary_path(&where, "a.h5"), &made, types[_i], &err), &err);
    wz_checkpoint *checkpoint = open_checkpoint(where.path);
    assert_ok(wz_checkpoint_weights(checkpoint, &source, &err), &err);
    ck_assert_uint_eq(source->count, TENSORS);
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
        const wz_stored_tensor *shape = &shapes[ranges[r][0]];
        const size_t index = wz_tensor_find(source, shape->name);
        const size_t width = shape->rank == 2 ? shape->shape[1] : 1;
        ck_assert_uint_ne(index, SIZE_MAX);
        ck_assert_int_eq(source->tensors[index].type, types[_i]);
        ck_assert_uint_eq(source->tensors[index].rank, shape->rank);
        ck_assert_uint_eq(source->tensors[index].shape[0], shape->shape[0]);
        assert_ok(source->read(source, index, ranges[r][1], ranges[r][2], rows, &err), &err);
        for (size_t i = 0; i < ranges[r][2] * width; i++)
            ASSERT_EACH(rows[i] == number_at(ranges[r][0], ranges[r][1] * width + i), "range %zu, number %zu",
                        r, i);
    }
    source->close(source);
    wz_checkpoint_close(checkpoint);
}
END_TEST

/* Flips a byte in the middle of the file, where a block of numbers lies. */
START_TEST(weights_source_refuses_a_damaged_block)
{
    wz_error err = {.text = ""};
    wz_text bytes = {0};
    wz_status status = WZ_OK;
    wz_tensor_source *source = NULL;
    float *rows = malloc((size_t)3000 * 500 * sizeof *rows);
    made_source made = make_source();
    ck_assert_ptr_nonnull(rows);
    assert_ok(write_typed(temporary_path(&where, "a.h5"), &made, WZ_NUMBER_BF16, &err), &err);
    assert_ok(wz_file_read(where.path, (size_t)1 << 30, &bytes, &err), &err);
    bytes.data[bytes.length / 2] = (char)(bytes.data[bytes.length / 2] ^ 4);
    temporary_write(where.path, bytes.data, bytes.length);
    wz_checkpoint *checkpoint = open_checkpoint(where.path);
    assert_ok(wz_checkpoint_weights(checkpoint, &source, &err), &err);
    for (size_t i = 0; i < source->count && status == WZ_OK; i++)
        status = source->read(source, i, 0, source->tensors[i].shape[0], rows, &err);
    ck_assert_int_eq(status, WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "weights/"));
    source->close(source);
    wz_checkpoint_close(checkpoint);
    wz_text_clear(&bytes);
    free(rows);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint types");
    TCase *writing = tcase_create("writing");
    TCase *reading = tcase_create("reading");
    tcase_add_checked_fixture(writing, make_place, remove_place);
    tcase_add_checked_fixture(reading, make_place, remove_place);
    tcase_set_timeout(writing, 60);
    tcase_add_loop_test(writing, write_from_source_each_type_reads_back_exactly, 0, 3);
    tcase_add_test(writing, write_from_source_equals_write_from_memory);
    tcase_add_test(writing, weights_digest_equal_exactly_for_equal_types_and_bits);
    tcase_add_test(writing, write_source_that_fails_leaves_nothing);
    tcase_add_test(writing, write_source_of_other_shape_or_type_in_blocks_is_refused);
    tcase_add_test(writing, write_from_source_takes_memory_for_blocks_only);
    tcase_add_loop_test(reading, weights_source_returns_any_rows, 0, 3);
    tcase_add_test(reading, weights_source_refuses_a_damaged_block);
    suite_add_tcase(suite, writing);
    suite_add_tcase(suite, reading);
    return run_suite(suite);
}
