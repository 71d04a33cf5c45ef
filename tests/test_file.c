#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/core/file.h"
#include "engine/core/output.h"
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

static void assert_content(const char *path, const char *bytes, size_t length)
{
    wz_text text = {0};
    wz_error err = {.text = ""};
    ck_assert_msg(wz_file_read(path, 1 << 20, &text, &err) == WZ_OK, "%s", err.text);
    ck_assert_uint_eq(text.length, length);
    ck_assert_mem_eq(text.data, bytes, length);
    wz_text_clear(&text);
}

/* From here on a write beyond this size fails with EFBIG. Lift it before asserting: check writes files too. */
static void limit_file_size(rlim_t bytes)
{
    const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)setrlimit(RLIMIT_FSIZE, &limit);
}

/* --- whole files --- */

START_TEST(file_read_appends_and_limits)
{
    wz_text text = {0};
    wz_error err = {.text = ""};
    const char *path = temporary_path(&where, "a");
    temporary_write(path, "one\0two", 7);
    ck_assert_int_eq(wz_text_append(&text, ">", 1, NULL), WZ_OK);
    ck_assert_int_eq(wz_file_read(path, 7, &text, &err), WZ_OK);
    ck_assert_uint_eq(text.length, 8);
    ck_assert_mem_eq(text.data, ">one\0two", 9);
    ck_assert_int_eq(wz_file_read(path, 6, &text, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_uint_eq(text.length, 8);
    wz_text_clear(&text);
}
END_TEST

START_TEST(file_read_empty_file_is_empty_text)
{
    wz_text text = {0};
    temporary_write(temporary_path(&where, "a"), "", 0);
    ck_assert_int_eq(wz_file_read(where.path, 0, &text, NULL), WZ_OK);
    ck_assert_str_eq(text.data, "");
    wz_text_clear(&text);
}
END_TEST

START_TEST(file_read_missing_or_directory_is_usage)
{
    wz_text text = {0};
    wz_error err = {.text = ""};
    ck_assert_int_eq(wz_file_read(temporary_path(&where, "none"), 10, &text, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, where.path));
    ck_assert_int_eq(wz_file_read(where.directory, 10, &text, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, where.directory));
    ck_assert_ptr_null(text.data);
}
END_TEST

START_TEST(file_replace_leaves_only_the_new_file)
{
    temporary_path(&where, "a");
    ck_assert_int_eq(wz_file_replace(where.path, "first", 5, NULL), WZ_OK);
    ck_assert_int_eq(wz_file_replace(where.path, "2nd", 3, NULL), WZ_OK);
    assert_content(where.path, "2nd", 3);
    ck_assert_int_eq(wz_file_replace(where.path, "", 0, NULL), WZ_OK);
    assert_content(where.path, "", 0);
    ck_assert(!wz_path_exists(temporary_path(&where, "a" WZ_OUTPUT_SUFFIX)));
}
END_TEST

START_TEST(file_replace_without_space_keeps_the_old_file)
{
    static char big[100000];
    wz_error err = {.text = ""};
    temporary_path(&where, "a");
    ck_assert_int_eq(wz_file_replace(where.path, "old", 3, NULL), WZ_OK);
    limit_file_size(50000);
    wz_status status = wz_file_replace(where.path, big, sizeof big, &err);
    limit_file_size(RLIM_INFINITY);
    ck_assert_int_eq(status, WZ_ERR_RESOURCE);
    ck_assert_ptr_nonnull(strstr(err.text, where.path));
    assert_content(where.path, "old", 3);
    ck_assert(!wz_path_exists(temporary_path(&where, "a" WZ_OUTPUT_SUFFIX)));
}
END_TEST

START_TEST(file_replace_bad_directory_is_usage)
{
    wz_error err = {.text = ""};
    ck_assert_int_eq(wz_file_replace(temporary_path(&where, "none/a"), "x", 1, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "none/a"));
}
END_TEST

START_TEST(file_replace_onto_a_directory_fails_and_cleans_up)
{
    ck_assert_int_eq(mkdir(temporary_path(&where, "a"), 0777), 0);
    ck_assert_int_ne(wz_file_replace(where.path, "x", 1, NULL), WZ_OK);
    ck_assert(!wz_path_exists(temporary_path(&where, "a" WZ_OUTPUT_SUFFIX)));
}
END_TEST

START_TEST(file_commit_moves_or_fails_by_name)
{
    char temporary_name[600];
    wz_error err = {.text = ""};
    temporary_write(temporary_path(&where, "a" WZ_OUTPUT_SUFFIX), "data", 4);
    (void)snprintf(temporary_name, sizeof temporary_name, "%s", where.path);
    ck_assert_int_eq(wz_file_commit(temporary_name, temporary_path(&where, "a"), &err), WZ_OK);
    assert_content(where.path, "data", 4);
    ck_assert(!wz_path_exists(temporary_name));
    ck_assert_int_eq(wz_file_commit(temporary_name, where.path, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, where.path)); /* what was asked for, not the temporary */
    ck_assert_ptr_null(strstr(err.text, WZ_OUTPUT_SUFFIX));
}
END_TEST

/* --- directories and space --- */

START_TEST(directory_create_makes_parents_and_accepts_existing)
{
    wz_error err = {.text = ""};
    ck_assert_int_eq(wz_directory_create(temporary_path(&where, "x/y//z/"), &err), WZ_OK);
    ck_assert(wz_path_is_directory(temporary_path(&where, "x/y/z")));
    ck_assert_int_eq(wz_directory_create(where.path, &err), WZ_OK);
    temporary_write(temporary_path(&where, "x/file"), "", 0);
    ck_assert(wz_path_exists(where.path) && !wz_path_is_directory(where.path));
    ck_assert_int_eq(wz_directory_create(where.path, &err), WZ_ERR_USAGE);
    ck_assert_int_eq(wz_directory_create(temporary_path(&where, "x/file/below"), &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "x/file"));
}
END_TEST

START_TEST(disk_free_path_that_does_not_exist_yet_is_answered)
{
    uint64_t here = 0, below = 0, relative = 0;
    ck_assert_int_eq(wz_disk_free(where.directory, &here, NULL), WZ_OK);
    ck_assert_int_eq(wz_disk_free(temporary_path(&where, "no/such/file.h5"), &below, NULL), WZ_OK);
    ck_assert_int_eq(wz_disk_free("nothing-of-this-name", &relative, NULL), WZ_OK);
    ck_assert(here > 0 && below > 0 && relative > 0);
}
END_TEST

/* --- logs --- */

START_TEST(log_reopen_cuts_to_the_recorded_length)
{
    wz_log log = {.is_open = false};
    uint64_t length = 99;
    temporary_path(&where, "log");
    ck_assert_int_eq(wz_log_open(&log, where.path, 0, NULL), WZ_OK);
    ck_assert_int_eq(wz_log_append(&log, "one\n", 4, NULL), WZ_OK);
    ck_assert_int_eq(wz_log_sync(&log, &length, NULL), WZ_OK);
    ck_assert_uint_eq(length, 4);
    ck_assert_int_eq(wz_log_append(&log, "two\n", 4, NULL), WZ_OK);
    assert_content(where.path, "one\ntwo\n", 8); /* visible before any sync */
    wz_log_close(&log);
    wz_log_close(&log); /* twice does no harm */
    ck_assert_int_eq(wz_log_open(&log, where.path, 4, NULL), WZ_OK);
    ck_assert_int_eq(wz_log_append(&log, "2\n", 2, NULL), WZ_OK);
    wz_log_close(&log);
    assert_content(where.path, "one\n2\n", 6);
    ck_assert_int_eq(wz_log_open(&log, where.path, 0, NULL), WZ_OK);
    wz_log_close(&log);
    assert_content(where.path, "", 0);
}
END_TEST

START_TEST(log_open_shorter_than_recorded_is_corrupt)
{
    wz_log log;
    wz_error err = {.text = ""};
    temporary_write(temporary_path(&where, "log"), "abc", 3);
    ck_assert_int_eq(wz_log_open(&log, where.path, 4, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, where.path));
    ck_assert_int_eq(wz_log_append(&log, "x", 1, &err), WZ_ERR_RUNTIME);
    assert_content(where.path, "abc", 3);
}
END_TEST

START_TEST(log_append_without_space_leaves_no_partial_line)
{
    static char big[8192];
    wz_log log;
    wz_error err = {.text = ""};
    ck_assert_int_eq(wz_log_open(&log, temporary_path(&where, "log"), 0, NULL), WZ_OK);
    ck_assert_int_eq(wz_log_append(&log, "kept\n", 5, NULL), WZ_OK);
    limit_file_size(4096);
    wz_status status = wz_log_append(&log, big, sizeof big, &err);
    limit_file_size(RLIM_INFINITY);
    ck_assert_int_eq(status, WZ_ERR_RESOURCE);
    ck_assert_ptr_nonnull(strstr(err.text, where.path));
    assert_content(where.path, "kept\n", 5);
    ck_assert_int_eq(wz_log_append(&log, "more\n", 5, NULL), WZ_OK);
    wz_log_close(&log);
    assert_content(where.path, "kept\nmore\n", 10);
}
END_TEST

/* --- locks --- */

/* A run's directory may be one that others write to: what their links lead to is neither cut nor written over. */
START_TEST(log_and_lock_follow_no_link)
{
    wz_log log;
    wz_error err = {.text = ""};
    int descriptor = -1;
    temporary_write(temporary_path(&where, "victim"), "precious", 8);
    ck_assert_int_eq(symlink("victim", temporary_path(&where, "link")), 0);
    ck_assert_int_eq(wz_log_open(&log, where.path, 0, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "a link is in the way"));
    ck_assert_int_eq(wz_lock_acquire(where.path, &descriptor, &err), WZ_ERR_USAGE);
    assert_content(temporary_path(&where, "victim"), "precious", 8);
}
END_TEST

START_TEST(lock_held_by_another_process_is_refused_and_named)
{
    int ready[2], descriptor = -1, status = 0;
    char byte = 0, owner[64];
    wz_error err = {.text = ""};
    temporary_path(&where, "LOCK");
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int held = -1;
        if (wz_lock_acquire(where.path, &held, NULL) != WZ_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(wz_lock_acquire(where.path, &descriptor, &err), WZ_ERR_RUNTIME);
    ck_assert_int_eq(descriptor, -1);
    (void)snprintf(owner, sizeof owner, "process %ld", (long)child);
    ck_assert_msg(strstr(err.text, owner) != NULL && strstr(err.text, where.path) != NULL, "%s", err.text);
    ck_assert_int_eq(kill(child, SIGKILL), 0); /* the lock goes with its process */
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(wz_lock_acquire(where.path, &descriptor, &err), WZ_OK);
    wz_lock_release(descriptor);
    ck_assert_int_eq(wz_lock_acquire(where.path, &descriptor, &err), WZ_OK);
    wz_lock_release(descriptor);
    wz_lock_release(-1);
}
END_TEST

static Suite *file_suite(void)
{
    Suite *suite = suite_create("file");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, make_place, remove_place);
    tcase_add_test(files, file_read_appends_and_limits);
    tcase_add_test(files, file_read_empty_file_is_empty_text);
    tcase_add_test(files, file_read_missing_or_directory_is_usage);
    tcase_add_test(files, file_replace_leaves_only_the_new_file);
    tcase_add_test(files, file_replace_without_space_keeps_the_old_file);
    tcase_add_test(files, file_replace_bad_directory_is_usage);
    tcase_add_test(files, file_replace_onto_a_directory_fails_and_cleans_up);
    tcase_add_test(files, file_commit_moves_or_fails_by_name);
    tcase_add_test(files, directory_create_makes_parents_and_accepts_existing);
    tcase_add_test(files, disk_free_path_that_does_not_exist_yet_is_answered);
    tcase_add_test(files, log_reopen_cuts_to_the_recorded_length);
    tcase_add_test(files, log_open_shorter_than_recorded_is_corrupt);
    tcase_add_test(files, log_append_without_space_leaves_no_partial_line);
    tcase_add_test(files, log_and_lock_follow_no_link);
    tcase_add_test(files, lock_held_by_another_process_is_refused_and_named);
    suite_add_tcase(suite, files);
    return suite;
}

int main(void)
{
    return run_suite(file_suite());
}
