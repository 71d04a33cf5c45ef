/* Chunks that are written and read past the HDF5 library: it must read ours with its own checks, and we what it wrote. */
#include <check.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/checkpoint.h"
#include "checkpoints/portable.h"
#include "engine/core/file.h"
#include "engine/core/fletcher32.h"
#include "tests/suite.h"
#include "tests/temporary.h"

enum { ROWS = 1300, WIDTH = 500, COUNT = ROWS * WIDTH }; /* 2.6 MB: three chunks */

static temporary where;
static float numbers[COUNT], back[COUNT];

static void make_place(void)
{
    temporary_create(&where);
    for (size_t i = 0; i < COUNT; i++)
        numbers[i] = (float)(i * 2654435761u % 1000003) / 1024.0f;
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void remove_place(void)
{
    temporary_remove(&where);
}

static void assert_ok(wz_status status, const wz_error *err)
{
    ck_assert_msg(status == WZ_OK, "status %d: %s", (int)status, err->text);
}

/* One matrix, or the same numbers in another shape. */
static void write_shape(const char *path, size_t rank, const size_t shape[WZ_CHECKPOINT_MAX_RANK])
{
    wz_error err = {.text = ""};
    wz_checkpoint_tensor tensor = {.group = "weights", .name = "w", .rank = rank, .data = numbers};
    memcpy(tensor.shape, shape, sizeof tensor.shape);
    const wz_checkpoint_content content = {.step = 1, .tensors = &tensor, .tensor_count = 1};
    assert_ok(wz_checkpoint_write(path, &content, &err), &err);
}

static const size_t shapes[][WZ_CHECKPOINT_MAX_RANK] = {
    {COUNT}, {ROWS, WIDTH}, {2, COUNT / 2}, {5, ROWS / 5, WIDTH}, {1, 1, 13, COUNT / 13}, {13, 50, 10, 100}};
static const size_t ranks[] = {1, 2, 2, 3, 4, 4};
#define SHAPES (sizeof ranks / sizeof ranks[0])

static wz_checkpoint *open_checkpoint(const char *path)
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = NULL;
    assert_ok(wz_checkpoint_open(path, &checkpoint, &err), &err);
    return checkpoint;
}

static wz_status read_all(const char *path, wz_error *err)
{
    wz_checkpoint *checkpoint = open_checkpoint(path);
    const wz_status status = wz_checkpoint_read(checkpoint, "weights", "w", back, COUNT, err);
    wz_checkpoint_close(checkpoint);
    return status;
}

static wz_status verify(const char *path, wz_error *err)
{
    wz_checkpoint *checkpoint = open_checkpoint(path);
    const wz_status status = wz_checkpoint_verify(checkpoint, err);
    wz_checkpoint_close(checkpoint);
    return status;
}

/* By the library alone. */
static herr_t read_by_hdf5(const char *path)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "weights/w", H5P_DEFAULT);
    const herr_t read = H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, back);
    (void)H5Dclose(dataset);
    (void)H5Fclose(file);
    return read;
}

/* Flips a bit of chunk k, and gives the chunk the checksum of what it then holds where `sealed`. */
static void damage_chunk(const char *path, hsize_t k, bool sealed)
{
    wz_error err = {.text = ""};
    wz_text bytes = {0};
    hsize_t start[WZ_CHECKPOINT_MAX_RANK], size = 0;
    haddr_t place = 0;
    unsigned mask = 0;
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "weights/w", H5P_DEFAULT);
    hid_t space = H5Dget_space(dataset);
    ck_assert_int_ge(H5Dget_chunk_info(dataset, space, k, start, &mask, &place, &size), 0);
    (void)H5Sclose(space);
    (void)H5Dclose(dataset);
    (void)H5Fclose(file);
    assert_ok(wz_file_read(path, (size_t)1 << 30, &bytes, &err), &err);
    unsigned char *chunk = (unsigned char *)bytes.data + place;
    chunk[1000] ^= 32;
    const uint32_t sum = wz_fletcher32(chunk, size - WZ_FLETCHER32_BYTES);
    if (sealed)
        memcpy(chunk + size - WZ_FLETCHER32_BYTES, &sum, sizeof sum);
    temporary_write(path, bytes.data, bytes.length);
    wz_text_clear(&bytes);
}

START_TEST(checkpoint_of_any_shape_is_read_by_hdf5_and_by_us)
{
    wz_error err = {.text = ""};
    write_shape(temporary_path(&where, "a.h5"), ranks[_i], shapes[_i]);
    ck_assert_int_ge(read_by_hdf5(where.path), 0);
    ck_assert_int_eq(memcmp(back, numbers, sizeof numbers), 0);
    memset(back, 0, sizeof back);
    assert_ok(read_all(where.path, &err), &err);
    ck_assert_int_eq(memcmp(back, numbers, sizeof numbers), 0);
    assert_ok(verify(where.path, &err), &err);
}
END_TEST

START_TEST(checkpoint_damaged_chunk_is_refused_by_hdf5_and_by_us)
{
    wz_error err = {.text = ""};
    write_shape(temporary_path(&where, "a.h5"), ranks[_i], shapes[_i]);
    damage_chunk(where.path, 1, false);
    ck_assert_int_lt(read_by_hdf5(where.path), 0);
    ck_assert_int_eq(read_all(where.path, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, "'weights/w' cannot be read: the checksum of block 1 ") != NULL, "%s",
                  err.text);
    ck_assert_int_eq(verify(where.path, &err), WZ_ERR_CORRUPT);
}
END_TEST

/* Rows [first, first + rows) by the source of weights; the last status. */
static wz_status read_rows(wz_tensor_source *source, size_t first, size_t rows, bool as_stored, wz_error *err)
{
    wz_status (*const read_stored)(wz_tensor_source *, size_t, size_t, size_t, void *, wz_error *) =
        source->read_stored;
    return as_stored ? read_stored(source, 0, first, rows, back, err)
                     : source->read(source, 0, first, rows, back, err);
}

/* What the sum of a chunk cannot tell, the digest of the tensor does: whole, by rows from the first on, and by rows in any
 * order. */
START_TEST(checkpoint_damage_under_a_right_checksum_is_refused)
{
    wz_error err = {.text = ""};
    wz_tensor_source *source = NULL;
    write_shape(temporary_path(&where, "a.h5"), ranks[1], shapes[1]);
    damage_chunk(where.path, 1, true);
    ck_assert_int_ge(read_by_hdf5(where.path), 0);
    ck_assert_int_eq(read_all(where.path, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, "'weights/w' is damaged: its digest") != NULL, "%s", err.text);
    ck_assert_int_eq(verify(where.path, &err), WZ_ERR_CORRUPT);
    for (int as_stored = 0; as_stored < 2; as_stored++) {
        wz_checkpoint *checkpoint = open_checkpoint(where.path);
        assert_ok(wz_checkpoint_weights(checkpoint, &source, &err), &err);
        wz_status status = WZ_OK;
        for (size_t row = 0; status == WZ_OK && row < ROWS; row += 100)
            status = read_rows(source, row, 100, as_stored, &err);
        ck_assert_int_eq(status, WZ_ERR_CORRUPT);
        ck_assert_int_eq(read_rows(source, ROWS - 1, 1, as_stored, &err), WZ_ERR_CORRUPT);
        ck_assert_int_eq(read_rows(source, ROWS - 1, 1, as_stored, &err), WZ_ERR_CORRUPT);
        source->close(source);
        wz_checkpoint_close(checkpoint);
    }
}
END_TEST

enum { BROAD_ROWS = 13, BROAD_WIDTH = COUNT / BROAD_ROWS };

/* Stores the matrix anew as other programs may: in other chunks (0: in none), with the checksum or without. */
static void store_anew(const char *path, const hsize_t chunk[2], bool checksum)
{
    const hsize_t shape[2] = {BROAD_ROWS, BROAD_WIDTH};
    char digest[33] = "";
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), old = H5Dopen2(file, "weights/w", H5P_DEFAULT);
    hid_t attribute = H5Aopen(old, "xxh3_128", H5P_DEFAULT), type = H5Aget_type(attribute);
    ck_assert_int_ge(H5Aread(attribute, type, digest), 0);
    (void)H5Aclose(attribute);
    (void)H5Dclose(old);
    ck_assert_int_ge(H5Ldelete(file, "weights/w", H5P_DEFAULT), 0);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, shape, NULL);
    if (chunk[0] > 0)
        ck_assert_int_ge(H5Pset_chunk(properties, 2, chunk), 0);
    if (checksum)
        ck_assert_int_ge(H5Pset_fletcher32(properties), 0);
    hid_t dataset =
        H5Dcreate2(file, "weights/w", H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers), 0);
    hid_t scalar = H5Screate(H5S_SCALAR);
    attribute = H5Acreate2(dataset, "xxh3_128", type, scalar, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Awrite(attribute, type, digest), 0);
    (void)H5Aclose(attribute);
    (void)H5Tclose(type);
    (void)H5Sclose(scalar);
    (void)H5Sclose(space);
    (void)H5Pclose(properties);
    (void)H5Dclose(dataset);
    ck_assert_int_ge(H5Fclose(file), 0);
}

/* None; columns; parts of rows, the last one shorter; rows, likewise; small ones; rows without the checksum. */
static const struct {
    hsize_t chunk[2];
    bool checksum;
} layouts[] = {{{0, 0}, false},          {{BROAD_ROWS, 5000}, true}, {{1, 30000}, true},
               {{2, BROAD_WIDTH}, true}, {{5, 2000}, true},          {{2, BROAD_WIDTH}, false}};

START_TEST(checkpoint_stored_anew_by_hdf5_is_read)
{
    static const size_t shape[WZ_CHECKPOINT_MAX_RANK] = {BROAD_ROWS, BROAD_WIDTH};
    wz_error err = {.text = ""};
    wz_tensor_source *source = NULL;
    write_shape(temporary_path(&where, "a.h5"), 2, shape);
    store_anew(where.path, layouts[_i].chunk, layouts[_i].checksum);
    assert_ok(verify(where.path, &err), &err);
    assert_ok(read_all(where.path, &err), &err);
    ck_assert_int_eq(memcmp(back, numbers, sizeof numbers), 0);
    wz_checkpoint *checkpoint = open_checkpoint(where.path);
    assert_ok(wz_checkpoint_weights(checkpoint, &source, &err), &err);
    for (size_t row = 0; row + 3 <= BROAD_ROWS; row = row * 2 + 1) {
        assert_ok(read_rows(source, row, 3, row % 2 == 0, &err), &err);
        ck_assert_int_eq(memcmp(back, numbers + row * BROAD_WIDTH, 3 * BROAD_WIDTH * sizeof *back), 0);
    }
    source->close(source);
    wz_checkpoint_close(checkpoint);
}
END_TEST

/* Chunks share a tensor's rows evenly: what the last one lacks takes no more than a row for each other one. */
START_TEST(checkpoint_file_is_hardly_larger_than_its_numbers)
{
    static const size_t shape[WZ_CHECKPOINT_MAX_RANK] = {
        526, 1000}; /* five chunks of 106 rows; of 131 if they were full */
    wz_error err = {.text = ""};
    wz_text bytes = {0};
    write_shape(temporary_path(&where, "a.h5"), 2, shape);
    assert_ok(wz_file_read(where.path, (size_t)1 << 30, &bytes, &err), &err);
    ck_assert_uint_ge(bytes.length, (size_t)526 * 1000 * 4);
    ck_assert_uint_le(bytes.length, (size_t)(526 + 5) * 1000 * 4 + 8192);
    wz_text_clear(&bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint chunks");
    TCase *tests = tcase_create("chunks");
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, checkpoint_of_any_shape_is_read_by_hdf5_and_by_us, 0, (int)SHAPES);
    tcase_add_loop_test(tests, checkpoint_damaged_chunk_is_refused_by_hdf5_and_by_us, 0, (int)SHAPES);
    tcase_add_test(tests, checkpoint_damage_under_a_right_checksum_is_refused);
    tcase_add_loop_test(tests, checkpoint_stored_anew_by_hdf5_is_read, 0,
                        (int)(sizeof layouts / sizeof layouts[0]));
    tcase_add_test(tests, checkpoint_file_is_hardly_larger_than_its_numbers);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
