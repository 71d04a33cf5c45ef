/* Users' channel files: what NumPy, h5py, SciPy and MATLAB wrote (tests/tools/make_gains_fixtures.py), and what nobody should. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "tasks/gains_internal.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;
static wz_error err;

static void set_up(void)
{
    temporary_create(&where);
    memset(&err, 0, sizeof err);
}

static void tear_down(void)
{
    temporary_remove(&where);
}

static const char *fixture(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/gains/%s", WZ_TEST_DATA, name);
    return path;
}

/* ---- files that are read ---- */

/* The fixtures' formula, exact in every type that they are stored as. */
static double fixture_gain(size_t n, size_t i, size_t j, bool whole)
{
    return 16 * (double)n + 4 * (double)i + (double)j + (whole ? 0 : 0.5);
}

static const struct {
    const char *name;
    size_t count;
    bool whole, coefficients;
} readable[] = {
    {"f8.npy", 1, false, false},
    {"f4.npy", 1, false, false},
    {"f2.npy", 1, false, false},
    {"big_endian.npy", 1, false, false},
    {"big_endian_f4.npy", 1, false, false},
    {"fortran.npy", 1, false, false},
    {"stack.npy", 2, false, false},
    {"version2.npy", 2, false, false},
    {"version3.npy", 2, false, false},
    {"i1.npy", 2, true, false},
    {"u1.npy", 2, true, false},
    {"i2.npy", 2, true, false},
    {"u2.npy", 2, true, false},
    {"i4.npy", 2, true, false},
    {"u4.npy", 2, true, false},
    {"i8.npy", 2, true, false},
    {"u8.npy", 2, true, false},
    {"big_i2.npy", 2, true, false},
    {"big_i8.npy", 2, true, false},
    {"stored.npz", 2, false, false},
    {"deflated.npz", 2, false, false},
    {"stored.npz:gains", 2, false, false},
    {"two.npz:first", 1, false, false},
    {"two.npz:second.npy", 2, false, false},
    {"plain.h5", 2, false, false},
    {"packed.hdf5", 2, false, false},
    {"plain.h5:/gains", 2, false, false},
    {"packed.hdf5:cell/gains", 2, false, false},
    {"types.h5:/big", 2, false, false},
    {"types.h5:/whole", 2, true, false},
    {"types.h5:/unsigned", 2, true, false},
    {"matrix.mat", 1, false, false},
    {"stack.mat", 2, false, false},
    {"single.mat", 1, false, false},
    {"stack_fortran.npy", 2, false, false},
    {"complex.npy", 1, false, true},
    {"complex64.npy", 1, false, true},
    {"types.h5:/complex", 1, false, true},
    {"coefficients.mat", 1, false, true},
};

START_TEST(gains_read_of_what_others_wrote_gives_their_numbers)
{
    wz_gains gains;
    const bool coefficients = readable[_i].coefficients;
    ck_assert_msg(wz_gains_read(fixture(readable[_i].name), coefficients, &gains, &err) == WZ_OK, "%s",
                  err.text);
    ck_assert_uint_eq(gains.count, readable[_i].count);
    ck_assert_uint_eq(gains.rows, 3);
    ck_assert_uint_eq(gains.columns, 4);
    const double *at = gains.data;
    for (size_t n = 0; n < gains.count; n++)
        for (size_t i = 0; i < 3; i++)
            for (size_t j = 0; j < 4; j++, at++) {
                const double g = fixture_gain(n, i, j, readable[_i].whole);
                ASSERT_EACH(*at == (coefficients ? g * g + (g + 1) * (g + 1) : g),
                            "%s: [%zu][%zu][%zu] is %g", readable[_i].name, n, i, j, *at);
            }
    free(gains.data);
}
END_TEST

/* MATLAB's row of nine numbers lies as nine rows of one in the file. */
START_TEST(gains_read_of_a_file_that_matlab_wrote_has_its_rows_and_columns)
{
    wz_gains gains;
    ck_assert_msg(wz_gains_read(fixture("matlab_7.4.mat"), false, &gains, &err) == WZ_OK, "%s", err.text);
    ck_assert_uint_eq(gains.count, 1);
    ck_assert_uint_eq(gains.rows, 1);
    ck_assert_uint_eq(gains.columns, 9);
    for (size_t j = 0; j < 9; j++)
        ck_assert_double_eq_tol(gains.data[j], (double)j * acos(-1) / 4, 1e-14); /* a few roundings below 8 */
    free(gains.data);
}
END_TEST

START_TEST(gains_read_of_real_coefficients_squares_them)
{
    wz_gains gains;
    ck_assert_int_eq(wz_gains_read(fixture("f8.npy"), true, &gains, &err), WZ_OK);
    ck_assert_double_eq(gains.data[5], 5.5 * 5.5);
    free(gains.data);
}
END_TEST

/* Without an ending the first bytes say what a file is. */
START_TEST(gains_read_of_a_file_of_any_name_goes_by_its_bytes)
{
    static const char *const names[] = {"f8.npy", "deflated.npz", "plain.h5", "matrix.mat"};
    for (size_t f = 0; f < 4; f++) {
        wz_text bytes = {0};
        wz_gains gains;
        ck_assert_int_eq(wz_file_read(fixture(names[f]), 1 << 20, &bytes, &err), WZ_OK);
        temporary_write(temporary_path(&where, "unnamed: 1"), bytes.data, bytes.length);
        ck_assert_msg(wz_gains_read(temporary_path(&where, "unnamed: 1"), false, &gains, &err) == WZ_OK, "%s",
                      err.text);
        ck_assert_double_eq(gains.data[5], 5.5);
        free(gains.data);
        wz_text_clear(&bytes);
    }
    wz_gains gains;
    temporary_write(temporary_path(&where, "plain"), "1, 2\n3, 4\n", 10);
    ck_assert_int_eq(wz_gains_read(temporary_path(&where, "plain"), false, &gains, &err), WZ_OK);
    ck_assert_uint_eq(gains.rows, 2);
    ck_assert_double_eq(gains.data[2], 3);
    free(gains.data);
}
END_TEST

/* ---- files that are refused ---- */

static void assert_refused(const char *path, const char *message)
{
    wz_gains gains;
    memset(&err, 0, sizeof err);
    ck_assert_msg(wz_gains_read(path, false, &gains, &err) == WZ_ERR_CORRUPT, "%s is not refused: %s", path,
                  err.text);
    ck_assert_ptr_null(gains.data);
    ck_assert_msg(strstr(err.text, message) != NULL, "no '%s' in: %s", message, err.text);
}

static const struct {
    const char *name, *message;
} refused[] = {
    {"object.npy", "pickled Python objects"},
    {"records.npy", "array of records"},
    {"bool.npy", "type '|b1'"},
    {"vector.npy", "shape (4,); gains are a matrix"},
    {"scalar.npy", "shape ()"},
    {"empty.npy", "shape (0, 3) has no numbers"},
    {"nan.npy", "row 2, column 3 is nan"},
    {"negative.npy", "problem 2, row 3, column 4 is -0.25; a linear power gain cannot be negative"},
    {"complex.npy", "say --coefficients"},
    {"coefficients.mat", "coefficients.mat:/H: complex numbers"},
    {"two.npz", "several arrays in it: first, second; choose one"},
    {"two.npz:third", "no array 'third' in it; there are: first, second"},
    {"bomb.npz", "does not begin with NumPy's mark"},
    {"bomb_behind.npz", "states 20000224 bytes where the array's header asks for 224"},
    {"bzip2.npz", "neither stored nor deflated"},
    {"no_members.npz", "archive without arrays"},
    {"old.mat", "older format: save(..., '-v7.3')"},
    {"types.h5", "several datasets in it: /big, /complex"},
    {"types.h5:/nothing", "no dataset '/nothing'; there are: /big"},
    {"types.h5:/vector", "shape (4,)"},
    {"types.h5:/text", "not numbers"},
    {"types.h5:/records", "table of records"},
    {"types.h5:/complex", "say --coefficients"},
    {"types.h5:/huge", "1099511627776, 3, 3); 67108864 numbers are possible"},
    {"types.h5:/unwritten", "0 bytes are stored where its shape asks for 16777216 numbers"},
    {"types.h5:/wide_chunks", "larger than 256 MiB"},
    {"types.h5:/outside", "other files, which are not read"},
    {"vectors.h5", "no dataset of numbers with two or three dimensions"},
};

START_TEST(gains_read_of_what_are_no_gains_says_why)
{
    assert_refused(fixture(refused[_i].name), refused[_i].message);
}
END_TEST

START_TEST(gains_read_of_a_missing_file_is_a_usage_error)
{
    wz_gains gains;
    static const char *const names[] = {"none.npy", "none.npz", "none.h5", "none.csv", "none"};
    for (size_t f = 0; f < 5; f++) {
        ck_assert_int_eq(wz_gains_read(temporary_path(&where, names[f]), false, &gains, &err), WZ_ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(err.text, names[f]));
    }
    ck_assert_int_eq(wz_gains_read(fixture("f8.npy:gains"), false, &gains, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "leave out ':gains'"));
}
END_TEST

START_TEST(gains_read_of_bad_csv_names_row_and_column)
{
    temporary_write(temporary_path(&where, "a.csv"), "1,2\n3,-4\n", 9);
    assert_refused(temporary_path(&where, "a.csv"), "row 2, column 2 is -4");
    temporary_write(temporary_path(&where, "a.csv"), "1,2\n3,nan\n", 10);
    assert_refused(temporary_path(&where, "a.csv"), "a.csv:2:3");
    temporary_write(temporary_path(&where, "a.csv"), "1,2\n3\n", 6);
    assert_refused(temporary_path(&where, "a.csv"), "a.csv:2: 1 numbers");
}
END_TEST

/* Every beginning of a file is refused, and none is read past its end (which ASan would see). */
START_TEST(gains_read_of_a_file_cut_short_is_refused_at_every_length)
{
    static const char *const names[] = {"f8.npy",       "version2.npy", "stored.npz",
                                        "deflated.npz", "plain.h5",     "packed.hdf5"};
    wz_text bytes = {0};
    ck_assert_int_eq(wz_file_read(fixture(names[_i]), 1 << 20, &bytes, &err), WZ_OK);
    const char *ending = strrchr(names[_i], '.');
    char name[32];
    (void)snprintf(name, sizeof name, "cut%s", ending);
    const size_t step = bytes.length > 1000 ? 61 : 1;
    for (size_t length = 0; length < bytes.length; length += step) {
        wz_gains gains;
        temporary_write(temporary_path(&where, name), bytes.data, length);
        wz_status status = wz_gains_read(temporary_path(&where, name), false, &gains, &err);
        ASSERT_EACH(status == WZ_ERR_CORRUPT, "%s cut at %zu: status %d, %s", names[_i], length, status,
                    err.text);
        ASSERT_EACH(strstr(err.text, name) != NULL, "the file is not named: %s", err.text);
    }
    wz_text_clear(&bytes);
}
END_TEST

/* A checksum guards what an archive unpacks to: a changed byte is found, or was none of the array's. */
START_TEST(npz_with_a_changed_byte_is_refused_or_the_same)
{
    wz_text bytes = {0};
    wz_gains whole, gains;
    size_t found = 0;
    ck_assert_int_eq(wz_file_read(fixture(_i == 0 ? "stored.npz" : "deflated.npz"), 1 << 20, &bytes, &err),
                     WZ_OK);
    unsigned char *data = (unsigned char *)bytes.data;
    ck_assert_int_eq(wz_npz_parse("a.npz", data, bytes.length, NULL, false, &whole, &err), WZ_OK);
    for (size_t at = 0; at < bytes.length; at++) {
        data[at] ^= 0x41;
        const wz_status status = wz_npz_parse("a.npz", data, bytes.length, NULL, false, &gains, &err);
        if (status == WZ_OK) {
            ASSERT_EACH(memcmp(gains.data, whole.data, 24 * sizeof(double)) == 0, "byte %zu changes gains",
                        at);
            free(gains.data);
        } else {
            ASSERT_EACH(status == WZ_ERR_CORRUPT, "byte %zu: status %d", at, status);
            found++;
        }
        data[at] ^= 0x41;
    }
    /* data, header's fields and the directory's are two thirds of the file; the rest are times, modes and local copies */
    ck_assert_uint_gt(found, bytes.length / 2);
    free(whole.data);
    wz_text_clear(&bytes);
}
END_TEST

/* ---- headers by hand ---- */

/* A .npy file of format 1.0 with this dictionary and `count` bytes of zeros behind it. */
static size_t make_npy(const char *header, size_t count, unsigned char *out)
{
    const size_t length = strlen(header);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (unsigned char)(length & 255);
    out[9] = (unsigned char)(length >> 8);
    memcpy(out + 10, header, length);
    memset(out + 10 + length, 0, count);
    return 10 + length + count;
}

static const struct {
    const char *header;
    size_t bytes;
    const char *message; /* NULL: it is read */
} headers[] = {
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 32, NULL},
    {"{'descr':'<f8','fortran_order':False,'shape':(2,2)}\n", 32, NULL},
    {"{ \"shape\" : (2L, 2L), 'fortran_order': True, 'descr': '=f8' }  \n", 32, NULL},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 31, "cut short"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 33, "too long"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), ", 32, "no dictionary"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), } x", 32, "goes on behind"},
    {"{'descr': '<f8', 'fortran_order': False}", 32, "lacks descr, fortran_order or shape"},
    {"{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (2, 2)}", 32, "one twice"},
    {"{'descr': '<f8', 'order': False, 'shape': (2, 2)}", 32, "does not belong"},
    {"{'descr': '<f8', 'fortran_order': 1, 'shape': (2, 2)}", 32, "neither True nor False"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (-2, 2)}", 32, "no possible one"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2.0)}", 32, "no tuple"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': [2, 2]}", 32, "no tuple"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999, 2)}", 32, "no possible one"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999, 999999999999)}", 32,
     "67108864 numbers are possible"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (8192, 8192)}", 32, "cut short"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967297)}", 32,
     "numbers are possible"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': "
     "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
     "1,1,1,1,1)}",
     8, "more than 32 dimensions"},
    {"{'descr': '<f16', 'fortran_order': False, 'shape': (2, 2)}", 64, "type '<f16'"},
    {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (2, 2)}", 32, "type '<M8[ns]'"},
    {"{'descr': 'f', 'fortran_order': False, 'shape': (2, 2)}", 32, "type 'f'"},
    {"{'descr': '', 'fortran_order': False, 'shape': (2, 2)}", 32, "its type cannot be read"},
    {"{'descr': '<f8\\'', 'fortran_order': False, 'shape': (2, 2)}", 32, "its type cannot be read"},
    {"{'descr': '<f8aaaaaaaaaaaaaaaaaaaaa', 'fortran_order': False, 'shape': (2, 2)}", 32,
     "its type cannot be read"},
    {"", 32, "no dictionary"},
};

START_TEST(npy_parse_of_a_header_reads_it_or_says_what_is_wrong)
{
    unsigned char bytes[512];
    wz_gains gains;
    const size_t length = make_npy(headers[_i].header, headers[_i].bytes, bytes);
    unsigned char *exact = malloc(length); /* so that ASan sees a byte read too many */
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, length);
    const wz_status status = wz_npy_parse("a.npy", exact, length, false, &gains, &err);
    free(exact);
    if (headers[_i].message == NULL) {
        ck_assert_msg(status == WZ_OK, "%s", err.text);
        ck_assert_uint_eq(gains.rows * gains.columns, 4);
        free(gains.data);
        return;
    }
    ck_assert_int_eq(status, WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, headers[_i].message) != NULL, "no '%s' in: %s", headers[_i].message,
                  err.text);
    ck_assert_msg(strncmp(err.text, "a.npy: ", 7) == 0, "%s", err.text);
}
END_TEST

START_TEST(npy_parse_of_an_enormous_header_length_is_refused)
{
    unsigned char bytes[256];
    wz_gains gains;
    const size_t length = make_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 32, bytes);
    bytes[8] = bytes[9] = 255;
    ck_assert_int_eq(wz_npy_parse("a.npy", bytes, length, false, &gains, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "stated to have 65535 bytes"));
    bytes[6] = 2;
    memset(bytes + 8, 255, 4);
    ck_assert_int_eq(wz_npy_parse("a.npy", bytes, length, false, &gains, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "stated to have 4294967295 bytes"));
    bytes[6] = 4;
    ck_assert_int_eq(wz_npy_parse("a.npy", bytes, length, false, &gains, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "format version"));
}
END_TEST

/* ---- problems ---- */

/* Direct gains of n + 1, all others a quarter: 0 to 5 dB, and -6 dB. */
static void write_stack(const char *path, size_t problems)
{
    char header[128];
    unsigned char bytes[2048];
    (void)snprintf(header, sizeof header, "{'descr': '<f8', 'fortran_order': False, 'shape': (%zu, 3, 3), }",
                   problems);
    const size_t length = make_npy(header, problems * 9 * sizeof(double), bytes);
    for (size_t k = 0; k < problems * 9; k++) {
        const double gain = k % 9 % 4 == 0 ? (double)(k / 9) + 1 : 0.25;
        memcpy(bytes + length - problems * 9 * sizeof gain + k * sizeof gain, &gain, sizeof gain);
    }
    temporary_write(path, bytes, length);
}

START_TEST(gains_problems_of_a_stack_are_numbered_problems_of_the_family)
{
    double values[WZ_TASK_MAX_OPTIONS];
    const wz_task *task = wz_task_find("power_control");
    wz_problem *problems = NULL;
    size_t count = 0;
    wz_task_default_values(task, values);
    write_stack(temporary_path(&where, "a.npy"), 3);
    ck_assert_msg(wz_gains_problems(task, values, temporary_path(&where, "a.npy"), false, &problems, &count,
                                    &err) == WZ_OK,
                  "%s", err.text);
    ck_assert_uint_eq(count, 3);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_uint_eq(problems[n].index, n);
        ck_assert_uint_eq(problems[n].size, 3);
        ck_assert_int_eq(problems[n].numbers[0], (int)lround(10 * log10((double)n + 1)) + 30);
        ck_assert_int_eq(problems[n].numbers[1], 24); /* 10 log10(1/4) = -6.02 */
        wz_problem_clear(&problems[n]);
    }
    free(problems);
}
END_TEST

/* The second problem has direct gains of 1000, 30 dB, beyond what is printed. What was made before is given back. */
START_TEST(gains_problems_names_the_problem_that_the_family_refuses)
{
    double values[WZ_TASK_MAX_OPTIONS];
    const wz_task *task = wz_task_find("power_control");
    wz_problem *problems = NULL;
    size_t count = 0;
    wz_task_default_values(task, values);
    unsigned char bytes[4096];
    const size_t length =
        make_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2, 2), }", 64, bytes);
    for (size_t k = 0; k < 8; k++) {
        const double gain = k < 4 ? 1 : 1000;
        memcpy(bytes + length - 64 + 8 * k, &gain, sizeof gain);
    }
    temporary_write(temporary_path(&where, "a.npy"), bytes, length);
    ck_assert_int_eq(
        wz_gains_problems(task, values, temporary_path(&where, "a.npy"), false, &problems, &count, &err),
        WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "a.npy: problem 2: power_control: every direct gain"));
    ck_assert_ptr_null(problems);
    ck_assert_uint_eq(count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gains");
    TCase *tests = tcase_create("gains");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, gains_read_of_what_others_wrote_gives_their_numbers, 0,
                        (int)(sizeof readable / sizeof readable[0]));
    tcase_add_test(tests, gains_read_of_a_file_that_matlab_wrote_has_its_rows_and_columns);
    tcase_add_test(tests, gains_read_of_real_coefficients_squares_them);
    tcase_add_test(tests, gains_read_of_a_file_of_any_name_goes_by_its_bytes);
    tcase_add_loop_test(tests, gains_read_of_what_are_no_gains_says_why, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(tests, gains_read_of_a_missing_file_is_a_usage_error);
    tcase_add_test(tests, gains_read_of_bad_csv_names_row_and_column);
    tcase_add_loop_test(tests, gains_read_of_a_file_cut_short_is_refused_at_every_length, 0, 6);
    tcase_add_loop_test(tests, npz_with_a_changed_byte_is_refused_or_the_same, 0, 2);
    tcase_add_loop_test(tests, npy_parse_of_a_header_reads_it_or_says_what_is_wrong, 0,
                        (int)(sizeof headers / sizeof headers[0]));
    tcase_add_test(tests, npy_parse_of_an_enormous_header_length_is_refused);
    tcase_add_test(tests, gains_problems_of_a_stack_are_numbered_problems_of_the_family);
    tcase_add_test(tests, gains_problems_names_the_problem_that_the_family_refuses);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
