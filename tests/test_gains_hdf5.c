/* Gain matrices from HDF5 files that MATLAB users and strangers may have: made here, with the library. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/clock.h"
#include "engine/core/hdf5.h"
#include "tasks/gains.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;
static wz_error err;

static void set_up(void)
{
    temporary_create(&where);
    memset(&err, 0, sizeof err);
    wz_hdf5_prepare();
}

static void tear_down(void)
{
    temporary_remove(&where);
}

static hid_t create(void)
{
    (void)unlink(temporary_path(&where, "a.h5"));
    hid_t file = wz_hdf5_create(where.path);
    ck_assert_int_ge(file, 0);
    return file;
}

/* 2 x 2 numbers 1 2 3 4. */
static hid_t add_matrix(hid_t at, const char *name)
{
    static const double numbers[] = {1, 2, 3, 4};
    hid_t space = H5Screate_simple(2, (const hsize_t[]){2, 2}, NULL);
    hid_t dataset = H5Dcreate2(at, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(dataset, 0);
    ck_assert_int_ge(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers), 0);
    ck_assert_int_ge(H5Sclose(space), 0);
    return dataset;
}

static wz_status read_back(const char *name, double numbers[4])
{
    char path[600];
    wz_gains gains;
    (void)snprintf(path, sizeof path, "%s%s", temporary_path(&where, "a.h5"), name);
    const wz_status status = wz_gains_read(path, false, &gains, &err);
    if (status == WZ_OK) {
        ck_assert_uint_eq(gains.rows * gains.columns, 4);
        memcpy(numbers, gains.data, 4 * sizeof *numbers);
        free(gains.data);
    }
    return status;
}

static void assert_refused(const char *name, const char *message)
{
    double numbers[4];
    ck_assert_int_eq(read_back(name, numbers), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, message) != NULL, "no '%s' in: %s", message, err.text);
}

START_TEST(matlab_class_decides_what_is_read)
{
    static const struct {
        const char *class, *message; /* NULL: it is read, transposed */
    } classes[] = {
        {"double", NULL},
        {"uint16", NULL},
        {"char", "a MATLAB array of class char"},
        {"logical", "a MATLAB array of class logical"},
        {"cell", "a MATLAB array of class cell; gains are numbers"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        double numbers[4];
        hid_t file = create(), dataset = add_matrix(file, "H");
        ck_assert(wz_hdf5_write_string(dataset, "MATLAB_class", classes[i].class));
        ck_assert_int_ge(H5Fclose(file), 0);
        if (classes[i].message != NULL) {
            assert_refused("", classes[i].message);
            continue;
        }
        ck_assert_msg(read_back("", numbers) == WZ_OK, "%s", err.text);
        ck_assert(numbers[0] == 1 && numbers[1] == 3 && numbers[2] == 2 && numbers[3] == 4);
    }
}
END_TEST

START_TEST(matlab_marks_of_other_kinds_are_refused)
{
    hid_t file = create(), dataset = add_matrix(file, "H");
    ck_assert(wz_hdf5_write_integer(dataset, "MATLAB_class", 3));
    ck_assert_int_ge(H5Fclose(file), 0);
    assert_refused("", "MATLAB_class is no string");
    file = create();
    dataset = add_matrix(file, "data");
    ck_assert(wz_hdf5_write_integer(dataset, "MATLAB_sparse", 2));
    ck_assert_int_ge(H5Fclose(file), 0);
    assert_refused("", "part of a sparse matrix: store full() of it");
}
END_TEST

/* 3,000 groups, each in the one before: not searched to the end, but a name is found at once. */
START_TEST(groups_nested_without_end_are_searched_to_a_depth)
{
    double numbers[4];
    hid_t file = create(), at = file;
    (void)H5Dclose(add_matrix(file, "near"));
    for (int depth = 0; depth < 3000; depth++)
        at = wz_hdf5_create_group(at, "g");
    (void)add_matrix(at, "far");
    ck_assert_int_ge(H5Fclose(file), 0);
    const double start = wz_now_s();
    ck_assert_msg(read_back(":/near", numbers) == WZ_OK, "%s", err.text);
    ck_assert_msg(read_back("", numbers) == WZ_OK, "%s", err.text);
    assert_refused(":/none", "no dataset '/none'; there are: /near, and more, in groups too deep to search");
    ck_assert_double_lt(wz_now_s() - start, 5); /* some milliseconds; the whole file took minutes */
}
END_TEST

START_TEST(groups_in_a_circle_are_met_once)
{
    double numbers[4];
    hid_t file = create();
    hid_t group = wz_hdf5_create_group(file, "g");
    (void)add_matrix(group, "H");
    ck_assert_int_ge(H5Lcreate_hard(file, "g", group, "again", H5P_DEFAULT, H5P_DEFAULT), 0);
    ck_assert_int_ge(H5Lcreate_hard(file, "g", group, "once_more", H5P_DEFAULT, H5P_DEFAULT), 0);
    ck_assert_int_ge(H5Fclose(file), 0);
    ck_assert_msg(read_back("", numbers) == WZ_OK, "%s", err.text);
    ck_assert(numbers[0] == 1 && numbers[3] == 4);
}
END_TEST

START_TEST(names_are_shown_without_control_characters)
{
    hid_t file = create();
    (void)add_matrix(file, "a\x1b[31m");
    (void)add_matrix(file, "b\n");
    ck_assert_int_ge(H5Fclose(file), 0);
    assert_refused("", "several datasets in it: /a?[31m, /b?; choose one");
    assert_refused(":/c\x1b[2J", "no dataset '/c?[2J'");
}
END_TEST

/* The other file is there and holds such a dataset: it is not read, by whatever way its name is reached. */
START_TEST(links_into_other_files_are_not_followed)
{
    hid_t file = create();
    (void)add_matrix(file, "H");
    ck_assert_int_ge(H5Fclose(file), 0);
    ck_assert_int_eq(rename(temporary_path(&where, "a.h5"), temporary_path(&where, "other.h5")), 0);
    file = create();
    ck_assert_int_ge(H5Lcreate_external("other.h5", "/H", file, "H", H5P_DEFAULT, H5P_DEFAULT), 0);
    ck_assert_int_ge(H5Lcreate_external("other.h5", "/", file, "all", H5P_DEFAULT, H5P_DEFAULT), 0);
    ck_assert_int_ge(H5Lcreate_soft("/H", file, "soft", H5P_DEFAULT, H5P_DEFAULT), 0);
    ck_assert_int_ge(H5Fclose(file), 0);
    assert_refused(":/H", "a link into another file, which is not read");
    assert_refused(":/all/H", "a link into another file, which is not read");
    assert_refused(":/soft", "a link into another file, which is not read");
    assert_refused("", "no dataset of numbers with two or three dimensions");
}
END_TEST

/* A filter of no library: 32000 is h5py's LZF, which it registers itself. */
START_TEST(compression_that_is_missing_is_named)
{
    hid_t file = create(), space = H5Screate_simple(2, (const hsize_t[]){2, 2}, NULL);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    ck_assert_int_ge(H5Pset_chunk(properties, 2, (const hsize_t[]){2, 2}), 0);
    ck_assert_int_ge(H5Pset_filter(properties, 32000, H5Z_FLAG_OPTIONAL, 0, NULL), 0);
    hid_t dataset = H5Dcreate2(file, "H", H5T_IEEE_F64LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    ck_assert_int_ge(dataset, 0);
    ck_assert_int_ge(H5Pclose(properties), 0);
    ck_assert_int_ge(H5Sclose(space), 0);
    ck_assert_int_ge(H5Fclose(file), 0);
    assert_refused("", "compressed with filter 32000 (lzf), which this HDF5 library lacks");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gains_hdf5");
    TCase *cases = tcase_create("gains_hdf5");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, matlab_class_decides_what_is_read);
    tcase_add_test(cases, matlab_marks_of_other_kinds_are_refused);
    tcase_add_test(cases, groups_nested_without_end_are_searched_to_a_depth);
    tcase_add_test(cases, groups_in_a_circle_are_met_once);
    tcase_add_test(cases, names_are_shown_without_control_characters);
    tcase_add_test(cases, links_into_other_files_are_not_followed);
    tcase_add_test(cases, compression_that_is_missing_is_named);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
