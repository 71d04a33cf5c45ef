#include <check.h>
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoints/checkpoint.h"
#include "engine/core/file.h"
#include "engine/core/output.h"
#include "tests/checkpoint_sample.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;
static sample made;

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

static void write_sample(const char *path, int64_t step)
{
    wz_error err = {.text = ""};
    sample_fill(&made, step);
    assert_ok(wz_checkpoint_write(path, &made.content, &err), &err);
}

static wz_checkpoint *open_checkpoint(const char *path)
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = NULL;
    assert_ok(wz_checkpoint_open(path, &checkpoint, &err), &err);
    return checkpoint;
}

static void assert_holds_sample(const char *path, int64_t step)
{
    wz_error err = {.text = ""};
    wz_status status = WZ_OK;
    wz_checkpoint *checkpoint = open_checkpoint(path);
    ck_assert_int_eq(wz_checkpoint_step(checkpoint), step);
    assert_ok(wz_checkpoint_verify(checkpoint, &err), &err);
    ck_assert_msg(sample_equals(checkpoint, &status, &err), "%s", err.text);
    wz_checkpoint_close(checkpoint);
}

/* --- round trip --- */

START_TEST(checkpoint_round_trip_returns_every_bit)
{
    temporary_path(&where, "a.h5");
    write_sample(where.path, 100);
    assert_holds_sample(where.path, 100);
    ck_assert(!wz_path_exists(temporary_path(&where, "a.h5" WZ_OUTPUT_SUFFIX)));
}
END_TEST

START_TEST(checkpoint_tensor_info_is_ordered_and_complete)
{
    static const char *const expected[SAMPLE_TENSORS][2] = {
        {"adam_m", "model.embed_tokens.weight"},  {"adam_v", "model.norm.weight"},  {"weights", "a"},
        {"weights", "model.embed_tokens.weight"}, {"weights", "model.norm.weight"}, {"weights", "one"}};
    write_sample(temporary_path(&where, "a.h5"), 1);
    wz_checkpoint *checkpoint = open_checkpoint(where.path);
    ck_assert_uint_eq(wz_checkpoint_tensor_count(checkpoint), SAMPLE_TENSORS);
    for (size_t i = 0; i < SAMPLE_TENSORS; i++) {
        const wz_checkpoint_tensor *info = wz_checkpoint_tensor_info(checkpoint, i);
        ck_assert_str_eq(info->group, expected[i][0]);
        ck_assert_str_eq(info->name, expected[i][1]);
        ck_assert_ptr_null(info->data);
    }
    ck_assert_uint_eq(wz_checkpoint_tensor_info(checkpoint, 2)->rank, 4);
    ck_assert_uint_eq(wz_checkpoint_tensor_info(checkpoint, 2)->shape[3], 5);
    ck_assert_ptr_null(wz_checkpoint_tensor_info(checkpoint, SAMPLE_TENSORS));
    ck_assert(wz_checkpoint_has_text(checkpoint, "config"));
    ck_assert(!wz_checkpoint_has_text(checkpoint, "weights"));
    wz_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(checkpoint_special_floats_keep_their_bits)
{
    static const uint32_t bits[8] = {0x7fc00000, 0x7f800001, 0xffc12345, 0x7f800000,
                                     0xff800000, 0x80000000, 0x00000001, 0x807fffff};
    float data[8], back[8];
    wz_error err = {.text = ""};
    memcpy(data, bits, sizeof data);
    const wz_checkpoint_tensor tensor = {
        .group = "weights", .name = "x", .rank = 1, .shape = {8}, .data = data};
    const wz_checkpoint_content content = {.step = 0, .tensors = &tensor, .tensor_count = 1};
    assert_ok(wz_checkpoint_write(temporary_path(&where, "a.h5"), &content, &err), &err);
    wz_checkpoint *checkpoint = open_checkpoint(where.path);
    assert_ok(wz_checkpoint_read(checkpoint, "weights", "x", back, 8, &err), &err);
    ck_assert_mem_eq(back, bits, sizeof back);
    wz_checkpoint_close(checkpoint);
}
END_TEST

/* Shapes around and beyond one block of 2^18 floats, in which the blocks cut every dimension once. */
START_TEST(checkpoint_tensors_of_many_blocks_return_every_bit)
{
    static const size_t shapes[][WZ_CHECKPOINT_MAX_RANK] = {
        {1, 1, 1, 262144}, {1, 1, 1, 262145}, {3, 1, 1, 300001}, {1, 700, 1000, 1},
        {2, 3, 401, 277},  {7, 2, 2, 40000},  {1, 2, 262145, 1}};
    wz_error err = {.text = ""};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        wz_checkpoint_tensor tensor = {.group = "weights", .name = "big", .rank = 4};
        memcpy(tensor.shape, shapes[i], sizeof tensor.shape);
        size_t count = sample_elements(&tensor);
        float *data = malloc(count * sizeof *data), *back = malloc(count * sizeof *back);
        ck_assert(data != NULL && back != NULL);
        for (size_t j = 0; j < count; j++)
            data[j] = (float)(j % 16777216);
        tensor.data = data;
        const wz_checkpoint_content content = {.step = 5, .tensors = &tensor, .tensor_count = 1};
        assert_ok(wz_checkpoint_write(temporary_path(&where, "a.h5"), &content, &err), &err);
        wz_checkpoint *checkpoint = open_checkpoint(where.path);
        assert_ok(wz_checkpoint_read(checkpoint, "weights", "big", back, count, &err), &err);
        ck_assert(memcmp(data, back, count * sizeof *data) == 0);
        wz_checkpoint_close(checkpoint);
        free(data);
        free(back);
    }
}
END_TEST

START_TEST(checkpoint_without_any_dataset_is_whole)
{
    wz_error err = {.text = ""};
    const wz_checkpoint_content content = {.step = INT64_MAX};
    assert_ok(wz_checkpoint_write(temporary_path(&where, "a.h5"), &content, &err), &err);
    wz_checkpoint *checkpoint = open_checkpoint(where.path);
    ck_assert_int_eq(wz_checkpoint_step(checkpoint), INT64_MAX);
    ck_assert_uint_eq(wz_checkpoint_tensor_count(checkpoint), 0);
    wz_checkpoint_close(checkpoint);
}
END_TEST

START_TEST(checkpoint_same_content_gives_the_same_bytes)
{
    wz_text first = {0}, second = {0};
    write_sample(temporary_path(&where, "a.h5"), 3);
    ck_assert_int_eq(wz_file_read(where.path, 1 << 24, &first, NULL), WZ_OK);
    sleep(1); /* a time stamp would differ now */
    write_sample(temporary_path(&where, "b.h5"), 3);
    ck_assert_int_eq(wz_file_read(where.path, 1 << 24, &second, NULL), WZ_OK);
    ck_assert_uint_eq(first.length, second.length);
    ck_assert(memcmp(first.data, second.data, first.length) == 0);
    wz_text_clear(&first);
    wz_text_clear(&second);
}
END_TEST

START_TEST(checkpoint_read_by_a_process_that_never_wrote)
{
    int status = 0;
    temporary_path(&where, "a.h5");
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        wz_error err = {.text = ""};
        sample_fill(&made, 8);
        _exit(wz_checkpoint_write(where.path, &made.content, &err) == WZ_OK ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_holds_sample(where.path, 8);
}
END_TEST

/* --- refusals --- */

START_TEST(checkpoint_write_bad_content_names_the_dataset)
{
    static const struct {
        const char *group, *name;
        size_t rank, shape[WZ_CHECKPOINT_MAX_RANK];
        bool has_data;
    } cases[] = {{"weights", "bad/name", 1, {1}, true},
                 {"weights", "", 1, {1}, true},
                 {"weights", "bad", 0, {1}, true},
                 {"weights", "bad", 5, {1, 1, 1, 1}, true},
                 {"weights", "bad", 2, {3, 0}, true},
                 {"weights", "bad", 2, {SIZE_MAX, 2}, true},
                 {"weights", "bad", 1, {1}, false},
                 {"texts", "bad", 1, {1}, true},
                 {"..", "bad", 1, {1}, true}};
    const float data[1] = {0.0f};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wz_error err = {.text = ""};
        wz_checkpoint_tensor tensor = {.group = cases[i].group, .name = cases[i].name, .rank = cases[i].rank};
        memcpy(tensor.shape, cases[i].shape, sizeof tensor.shape);
        tensor.data = cases[i].has_data ? data : NULL;
        const wz_checkpoint_content content = {.step = 0, .tensors = &tensor, .tensor_count = 1};
        ck_assert_int_eq(wz_checkpoint_write(temporary_path(&where, "a.h5"), &content, &err), WZ_ERR_RUNTIME);
        ck_assert_ptr_nonnull(strstr(err.text, where.path));
        ck_assert(!wz_path_exists(where.path));
    }
}
END_TEST

START_TEST(checkpoint_write_name_twice_is_refused)
{
    wz_error err = {.text = ""};
    sample_fill(&made, 1);
    made.tensors[1].name = made.tensors[0].name;
    ck_assert_int_eq(wz_checkpoint_write(temporary_path(&where, "a.h5"), &made.content, &err),
                     WZ_ERR_RUNTIME);
    ck_assert_ptr_nonnull(strstr(err.text, "weights/model.embed_tokens.weight"));
}
END_TEST

START_TEST(checkpoint_write_into_a_missing_directory_is_named)
{
    wz_error err = {.text = ""};
    sample_fill(&made, 1);
    ck_assert_int_ne(wz_checkpoint_write(temporary_path(&where, "none/a.h5"), &made.content, &err), WZ_OK);
    ck_assert_msg(strstr(err.text, "none/a.h5") != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "No such file") != NULL, "%s", err.text);
}
END_TEST

START_TEST(checkpoint_open_what_is_no_checkpoint_is_refused)
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = NULL;
    ck_assert_int_eq(wz_checkpoint_open(temporary_path(&where, "none.h5"), &checkpoint, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, where.path));
    ck_assert_int_eq(wz_checkpoint_open(where.directory, &checkpoint, &err), WZ_ERR_USAGE);
    temporary_write(temporary_path(&where, "empty.h5"), "", 0);
    ck_assert_int_eq(wz_checkpoint_open(where.path, &checkpoint, &err), WZ_ERR_CORRUPT);
    temporary_write(temporary_path(&where, "text.h5"), "seed: 1\n", 8);
    ck_assert_int_eq(wz_checkpoint_open(where.path, &checkpoint, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, where.path));
    hid_t file = H5Fcreate(temporary_path(&where, "foreign.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Fclose(file), 0);
    ck_assert_int_eq(wz_checkpoint_open(where.path, &checkpoint, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "no wavezero checkpoint"));
    ck_assert_ptr_null(checkpoint);
}
END_TEST

START_TEST(checkpoint_open_unfinished_name_is_refused)
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = NULL;
    char temporary_name[600];
    write_sample(temporary_path(&where, "a.h5"), 1);
    (void)snprintf(temporary_name, sizeof temporary_name, "%s" WZ_OUTPUT_SUFFIX, where.path);
    ck_assert_int_eq(rename(where.path, temporary_name), 0);
    ck_assert_int_eq(wz_checkpoint_open(temporary_name, &checkpoint, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "unfinished"));
}
END_TEST

START_TEST(checkpoint_read_wrong_name_or_size_is_corrupt)
{
    wz_error err = {.text = ""};
    wz_text text = {0};
    float data[SAMPLE_WIDTH + 1];
    write_sample(temporary_path(&where, "a.h5"), 1);
    wz_checkpoint *checkpoint = open_checkpoint(where.path);
    ck_assert_int_eq(wz_checkpoint_read(checkpoint, "weights", "nope", data, 1, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "weights/nope"));
    ck_assert_int_eq(
        wz_checkpoint_read(checkpoint, "weights", "model.norm.weight", data, SAMPLE_WIDTH + 1, &err),
        WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "24 elements where 25"));
    ck_assert_int_eq(wz_checkpoint_read_text(checkpoint, "nope", &text, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_null(text.data);
    wz_checkpoint_close(checkpoint);
}
END_TEST

/* What other programs may do to a file with the HDF5 library: the manifest and the digests notice. */
START_TEST(checkpoint_open_edited_file_is_corrupt)
{
    for (int edit = 0; edit < 4; edit++) {
        wz_error err = {.text = ""};
        wz_checkpoint *checkpoint = NULL;
        write_sample(temporary_path(&where, "a.h5"), 1);
        hid_t file = H5Fopen(where.path, H5F_ACC_RDWR, H5P_DEFAULT);
        ck_assert_int_ge(file, 0);
        if (edit == 0)
            ck_assert_int_ge(H5Ldelete(file, "weights/one", H5P_DEFAULT), 0);
        else if (edit == 1)
            ck_assert_int_ge(H5Lmove(file, "weights/one", file, "weights/two", H5P_DEFAULT, H5P_DEFAULT), 0);
        else if (edit == 2)
            ck_assert_int_ge(H5Lcreate_soft("/weights/one", file, "weights/two", H5P_DEFAULT, H5P_DEFAULT),
                             0);
        else {
            const int64_t step = 2;
            hid_t attribute = H5Aopen(file, "step", H5P_DEFAULT);
            ck_assert_int_ge(H5Awrite(attribute, H5T_NATIVE_INT64, &step), 0);
            ck_assert_int_ge(H5Aclose(attribute), 0);
        }
        ck_assert_int_ge(H5Fclose(file), 0);
        wz_status status = wz_checkpoint_open(where.path, &checkpoint, &err);
        if (status == WZ_OK)
            status = wz_checkpoint_verify(checkpoint, &err);
        wz_checkpoint_close(checkpoint);
        ck_assert_int_eq(status, WZ_ERR_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.text, where.path));
    }
}
END_TEST

/* --- directories --- */

START_TEST(find_newest_damaged_files_are_skipped_and_named)
{
    wz_text path = {0}, skipped = {0}, bytes = {0};
    wz_error err = {.text = ""};
    write_sample(temporary_path(&where, "step-00000100.h5"), 100);
    write_sample(temporary_path(&where, "step-00000200.h5"), 200);
    write_sample(temporary_path(&where, "step-00000300.h5"), 300);
    ck_assert_int_eq(wz_file_read(where.path, 1 << 24, &bytes, NULL), WZ_OK);
    temporary_write(where.path, bytes.data, bytes.length / 2);
    temporary_write(temporary_path(&where, "step-00000400.h5" WZ_OUTPUT_SUFFIX), bytes.data, bytes.length);
    temporary_write(temporary_path(&where, "step-500.h5"), bytes.data, bytes.length); /* not our form */
    temporary_write(temporary_path(&where, "best.h5"), bytes.data, bytes.length);
    assert_ok(wz_checkpoint_find_newest(where.directory, &path, &skipped, &err), &err);
    ck_assert_str_eq(path.data, temporary_path(&where, "step-00000200.h5"));
    ck_assert_ptr_nonnull(strstr(skipped.data, "step-00000300.h5"));
    ck_assert_ptr_eq(strchr(skipped.data, '\n'), skipped.data + skipped.length - 1); /* one line */
    path.length = 0;
    assert_ok(wz_checkpoint_find_newest(where.directory, &path, NULL, &err), &err);
    wz_text_clear(&path);
    wz_text_clear(&skipped);
    wz_text_clear(&bytes);
}
END_TEST

START_TEST(find_newest_steps_are_compared_as_numbers)
{
    wz_text path = {0};
    wz_error err = {.text = ""};
    write_sample(temporary_path(&where, "step-99999999.h5"), 99999999);
    write_sample(temporary_path(&where, "step-100000000.h5"), 100000000);
    assert_ok(wz_checkpoint_find_newest(where.directory, &path, NULL, &err), &err);
    ck_assert_ptr_nonnull(strstr(path.data, "step-100000000.h5"));
    wz_text_clear(&path);
}
END_TEST

START_TEST(find_newest_without_any_fails_by_name)
{
    wz_text path = {0};
    wz_error err = {.text = ""};
    ck_assert_int_eq(wz_checkpoint_find_newest(where.directory, &path, NULL, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, where.directory));
    ck_assert_int_eq(wz_checkpoint_find_newest(temporary_path(&where, "none"), &path, NULL, &err),
                     WZ_ERR_USAGE);
    ck_assert_ptr_null(path.data);
}
END_TEST

START_TEST(prune_keeps_the_newest_and_foreign_files)
{
    static const char *const names[] = {"step-00000001.h5",
                                        "step-00000002.h5",
                                        "step-00000010.h5",
                                        "best.h5",
                                        ("step-00000011.h5" WZ_OUTPUT_SUFFIX),
                                        "notes.txt"};
    static const bool kept[] = {false, true, true, true, false, true};
    for (size_t i = 0; i < 6; i++)
        temporary_write(temporary_path(&where, names[i]), "x", 1);
    ck_assert_int_eq(wz_checkpoint_prune(where.directory, 0, NULL), WZ_ERR_USAGE);
    ck_assert_int_eq(wz_checkpoint_prune(where.directory, 2, NULL), WZ_OK);
    for (size_t i = 0; i < 6; i++)
        ck_assert_msg(wz_path_exists(temporary_path(&where, names[i])) == kept[i], "%s", names[i]);
}
END_TEST

/* --- weights digest --- */

static void digest_of_sample(char digest[33])
{
    wz_error err = {.text = ""};
    assert_ok(wz_weights_digest(made.tensors, SAMPLE_TENSORS, digest, &err), &err);
}

START_TEST(weights_digest_file_and_memory_and_order_agree)
{
    char file[33], memory[33], reversed[33];
    wz_error err = {.text = ""};
    wz_checkpoint_tensor tensors[SAMPLE_TENSORS];
    write_sample(temporary_path(&where, "a.h5"), 5);
    wz_checkpoint *checkpoint = open_checkpoint(where.path);
    assert_ok(wz_checkpoint_weights_digest(checkpoint, file, &err), &err);
    wz_checkpoint_close(checkpoint);
    digest_of_sample(memory);
    ck_assert_str_eq(file, memory);
    for (size_t i = 0; i < SAMPLE_TENSORS; i++)
        tensors[i] = made.tensors[SAMPLE_TENSORS - 1 - i];
    assert_ok(wz_weights_digest(tensors, SAMPLE_TENSORS, reversed, &err), &err);
    ck_assert_str_eq(reversed, memory);
    ck_assert_uint_eq(strspn(memory, "0123456789abcdef"), 32);
}
END_TEST

START_TEST(weights_digest_changes_with_bits_names_and_shapes_of_weights_only)
{
    char before[33], after[33];
    sample_fill(&made, 5);
    digest_of_sample(before);
    made.data[3][0] += 1.0f; /* adam_m */
    digest_of_sample(after);
    ck_assert_str_eq(before, after);
    made.data[0][SAMPLE_ROWS * SAMPLE_WIDTH - 1] =
        nextafterf(made.data[0][SAMPLE_ROWS * SAMPLE_WIDTH - 1], INFINITY);
    digest_of_sample(after);
    ck_assert_str_ne(before, after);
    sample_fill(&made, 5);
    made.tensors[0].shape[0] = SAMPLE_WIDTH;
    made.tensors[0].shape[1] = SAMPLE_ROWS;
    digest_of_sample(after);
    ck_assert_str_ne(before, after);
    sample_fill(&made, 5);
    made.tensors[5].name = "eno";
    digest_of_sample(after);
    ck_assert_str_ne(before, after);
    made.data[5][0] = 0.0f;
    digest_of_sample(before);
    made.data[5][0] = -0.0f;
    digest_of_sample(after);
    ck_assert_str_ne(before, after);
}
END_TEST

static Suite *checkpoint_suite(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *trip = tcase_create("round trip");
    tcase_add_checked_fixture(trip, make_place, remove_place);
    tcase_set_timeout(trip, 120);
    tcase_add_test(trip, checkpoint_round_trip_returns_every_bit);
    tcase_add_test(trip, checkpoint_tensor_info_is_ordered_and_complete);
    tcase_add_test(trip, checkpoint_special_floats_keep_their_bits);
    tcase_add_test(trip, checkpoint_tensors_of_many_blocks_return_every_bit);
    tcase_add_test(trip, checkpoint_without_any_dataset_is_whole);
    tcase_add_test(trip, checkpoint_same_content_gives_the_same_bytes);
    tcase_add_test(trip, checkpoint_read_by_a_process_that_never_wrote);
    suite_add_tcase(suite, trip);
    TCase *refusals = tcase_create("refusals");
    tcase_add_checked_fixture(refusals, make_place, remove_place);
    tcase_add_test(refusals, checkpoint_write_bad_content_names_the_dataset);
    tcase_add_test(refusals, checkpoint_write_name_twice_is_refused);
    tcase_add_test(refusals, checkpoint_write_into_a_missing_directory_is_named);
    tcase_add_test(refusals, checkpoint_open_what_is_no_checkpoint_is_refused);
    tcase_add_test(refusals, checkpoint_open_unfinished_name_is_refused);
    tcase_add_test(refusals, checkpoint_read_wrong_name_or_size_is_corrupt);
    tcase_add_test(refusals, checkpoint_open_edited_file_is_corrupt);
    suite_add_tcase(suite, refusals);
    TCase *directories = tcase_create("directories");
    tcase_add_checked_fixture(directories, make_place, remove_place);
    tcase_add_test(directories, find_newest_damaged_files_are_skipped_and_named);
    tcase_add_test(directories, find_newest_steps_are_compared_as_numbers);
    tcase_add_test(directories, find_newest_without_any_fails_by_name);
    tcase_add_test(directories, prune_keeps_the_newest_and_foreign_files);
    suite_add_tcase(suite, directories);
    TCase *digest = tcase_create("weights digest");
    tcase_add_checked_fixture(digest, make_place, remove_place);
    tcase_add_test(digest, weights_digest_file_and_memory_and_order_agree);
    tcase_add_test(digest, weights_digest_changes_with_bits_names_and_shapes_of_weights_only);
    suite_add_tcase(suite, digest);
    return suite;
}

int main(void)
{
    return run_suite(checkpoint_suite());
}
