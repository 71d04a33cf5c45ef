/* Fletcher's checksum against the one that HDF5's own filter stores and checks. */
#include <check.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/fletcher32.h"
#include "engine/core/philox.h"
#include "tests/suite.h"

#define LONGEST (((size_t)1 << 20) + 11)

enum { ZEROS, ONES, NOISE, SPARSE, KINDS };

static unsigned char bytes[LONGEST + WZ_FLETCHER32_BYTES];

static void fill(int kind, size_t length)
{
    const wz_draw_key key = {.seed = 5, .purpose = WZ_PURPOSE_TOOL};
    uint32_t words[4] = {0};
    for (size_t i = 0; i < length; i++) {
        if (i % 4 == 0 && kind >= NOISE)
            wz_draw_words(&key, (uint32_t)(i / 4), words);
        const uint32_t word = words[i % 4];
        bytes[i] = (unsigned char)(kind == ZEROS   ? 0
                                   : kind == ONES  ? 255
                                   : kind == NOISE ? word
                                                   : word % 5000 == 0);
    }
}

/* A file in memory alone. */
static hid_t create_file(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    ck_assert_int_ge(H5Pset_fapl_core(access, 1 << 20, 0), 0);
    hid_t file = H5Fcreate("fletcher32.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    ck_assert_int_ge(file, 0);
    (void)H5Pclose(access);
    return file;
}

/* One chunk of bytes with the checksum. */
static hid_t create_dataset(hid_t file, const char *name, size_t length)
{
    const hsize_t size = length;
    hid_t space = H5Screate_simple(1, &size, NULL), properties = H5Pcreate(H5P_DATASET_CREATE);
    ck_assert_int_ge(H5Pset_chunk(properties, 1, &size), 0);
    ck_assert_int_ge(H5Pset_fletcher32(properties), 0);
    hid_t dataset = H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    ck_assert_int_ge(dataset, 0);
    (void)H5Pclose(properties);
    (void)H5Sclose(space);
    return dataset;
}

/* What HDF5 stores behind the bytes. */
static uint32_t stored_checksum(hid_t file, const char *name, size_t length)
{
    static unsigned char chunk[LONGEST + WZ_FLETCHER32_BYTES];
    const hsize_t start = 0;
    hsize_t stored = 0;
    uint32_t mask = 0, sum = 0;
    hid_t dataset = create_dataset(file, name, length);
    ck_assert_int_ge(H5Dwrite(dataset, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes), 0);
    ck_assert_int_ge(H5Dflush(dataset), 0);
    ck_assert_int_ge(H5Dget_chunk_storage_size(dataset, &start, &stored), 0);
    ck_assert_uint_eq(stored, length + WZ_FLETCHER32_BYTES);
    ck_assert_int_ge(H5Dread_chunk(dataset, H5P_DEFAULT, &start, &mask, chunk), 0);
    ck_assert_uint_eq(mask, 0);
    memcpy(&sum, chunk + length, sizeof sum);
    (void)H5Dclose(dataset);
    return sum;
}

/* Lengths around a vector (32 bytes), a block of vectors (11520), and long ones. */
START_TEST(fletcher32_any_bytes_equal_those_hdf5_stores)
{
    static const size_t lengths[] = {1,     2,     3,     4,     5,     31,    32,    33,      63,
                                     64,    65,    95,    719,   720,   721,   1440,  11519,   11520,
                                     11521, 11551, 11552, 23040, 23041, 65535, 65536, 1 << 20, LONGEST};
    hid_t file = create_file();
    fill(_i, LONGEST);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%zu", lengths[i]);
        ASSERT_EACH(wz_fletcher32(bytes, lengths[i]) == stored_checksum(file, name, lengths[i]),
                    "kind %d, %zu bytes", _i, lengths[i]);
    }
    (void)H5Fclose(file);
}
END_TEST

/* Chunks with our checksum are read by HDF5, and no longer once a bit is another. */
START_TEST(fletcher32_chunk_sealed_by_us_is_checked_by_hdf5)
{
    static const size_t lengths[] = {1, 33, 4097, 1 << 20};
    static unsigned char back[1 << 20];
    hid_t file = create_file();
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    for (size_t i = 0; i < 2 * (sizeof lengths / sizeof lengths[0]); i++) {
        const size_t length = lengths[i / 2];
        const bool damaged = i % 2 == 1;
        const hsize_t start = 0;
        char name[32];
        fill(_i, length);
        const uint32_t sum = wz_fletcher32(bytes, length);
        memcpy(bytes + length, &sum, sizeof sum);
        if (damaged)
            bytes[length / 2] ^= 16;
        (void)snprintf(name, sizeof name, "%zu", i);
        hid_t dataset = create_dataset(file, name, length);
        ck_assert_int_ge(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, &start, length + WZ_FLETCHER32_BYTES, bytes),
                         0);
        const herr_t read = H5Dread(dataset, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, back);
        ASSERT_EACH((read < 0) == damaged, "kind %d, %zu bytes, damaged %d", _i, length, damaged);
        ASSERT_EACH(damaged || memcmp(back, bytes, length) == 0, "kind %d, %zu bytes", _i, length);
        (void)H5Dclose(dataset);
    }
    (void)H5Fclose(file);
}
END_TEST

/* Where the bytes lie is of no account. */
START_TEST(fletcher32_unaligned_bytes_give_the_same)
{
    static unsigned char moved[4096 + 64];
    fill(NOISE, 4096);
    const uint32_t sum = wz_fletcher32(bytes, 4095);
    for (size_t shift = 0; shift < 64; shift++) {
        memcpy(moved + shift, bytes, 4095);
        ASSERT_EACH(wz_fletcher32(moved + shift, 4095) == sum, "shift %zu", shift);
    }
    ck_assert_uint_eq(wz_fletcher32(bytes, 0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fletcher32");
    TCase *tests = tcase_create("fletcher32");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, fletcher32_any_bytes_equal_those_hdf5_stores, 0, KINDS);
    tcase_add_loop_test(tests, fletcher32_chunk_sealed_by_us_is_checked_by_hdf5, 0, KINDS);
    tcase_add_test(tests, fletcher32_unaligned_bytes_give_the_same);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
