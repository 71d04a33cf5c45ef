/* Folders that appear whole. */
#include <check.h>
#include <sys/stat.h>

#include "engine/core/digest.h"
#include "engine/core/file.h"
#include "engine/core/folder.h"
#include "engine/core/output.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;
static wz_error err;

/* As `xxhsum -H2` lists a file. */
#define LISTED(name) "0123456789abcdef0123456789abcdef  " name "\n"

static const char *const known[] = {"half", "whole", NULL};
static const wz_folder_kind kind = {.mark = "mark", .names = known};

static void setup(void)
{
    temporary_create(&where);
    memset(&err, 0, sizeof err);
}

static void teardown(void)
{
    temporary_remove(&where);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(wz_file_replace(path, text, strlen(text), &err) == WZ_OK, "%s", err.text);
}

static bool has(const char *folder, const char *name)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return wz_path_exists(path);
}

START_TEST(a_folder_is_there_when_it_is_whole)
{
    wz_folder made;
    wz_names names;
    char target[128], left[128];
    (void)snprintf(target, sizeof target, "%s/out", where.directory);
    (void)snprintf(left, sizeof left, "%s/out" WZ_OUTPUT_SUFFIX, where.directory);
    ck_assert_int_eq(wz_folder_begin(target, false, &kind, &made, &err), WZ_OK);
    ck_assert(!wz_path_exists(target));
    put(made.path.data, "b", "2");
    put(made.path.data, "a", "1");
    ck_assert_int_eq(wz_folder_commit(&made, target, &err), WZ_OK);
    ck_assert(wz_path_is_directory(target) && !wz_path_exists(left));
    ck_assert_int_eq(wz_folder_list(target, &names, &err), WZ_OK);
    ck_assert_uint_eq(names.count, 3);
    ck_assert_str_eq(names.items[0], "a");
    ck_assert_str_eq(names.items[2], "mark");
    wz_names_clear(&names);
}
END_TEST

/* An earlier one is replaced only when that is asked for and it is one of ours; what a killed writer left is removed. */
START_TEST(a_folder_is_replaced_as_a_whole)
{
    wz_folder made;
    char target[128], left[128];
    (void)snprintf(target, sizeof target, "%s/out", where.directory);
    (void)snprintf(left, sizeof left, "%s/out" WZ_OUTPUT_SUFFIX, where.directory);
    ck_assert_int_eq(wz_directory_create(target, &err), WZ_OK);
    put(target, "old", "1");
    ck_assert_int_eq(wz_folder_begin(target, false, &kind, &made, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "--overwrite"));
    ck_assert_int_eq(wz_folder_begin(target, true, &kind, &made, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "other things"));
    put(target, "mark", LISTED("new") LISTED("old"));
    ck_assert_int_eq(wz_directory_create(left, &err), WZ_OK);
    put(left, "half", "1");
    ck_assert_int_eq(wz_folder_begin(target, true, &kind, &made, &err), WZ_ERR_USAGE); /* whose is it? */
    ck_assert(strstr(err.text, left) != NULL && has(left, "half"));
    put(left, "mark", "");
    ck_assert_int_eq(wz_folder_begin(target, true, &kind, &made, &err), WZ_OK);
    ck_assert(!has(made.path.data, "half") && has(target, "old"));
    put(made.path.data, "new", "2");
    ck_assert_int_eq(wz_folder_commit(&made, target, &err), WZ_OK);
    ck_assert(has(target, "new") && !has(target, "old") && !wz_path_exists(left));
}
END_TEST

static const struct {
    const char *list, *name; /* in the mark; of another file */
    bool finished,
        unfinished; /* whether it may go where a folder is replaced, and where an unfinished one is */
} files[] = {
    {"", "thesis.tex", false, false},
    {"", "half", false, true}, /* a finished folder lists its files */
    {"", "half" WZ_OUTPUT_SUFFIX, false, true},
    {"", "mark" WZ_OUTPUT_SUFFIX, false, true},
    {"", "thesis.tex" WZ_OUTPUT_SUFFIX, false, false},
    {"", "hal", false, false},
    {"", "halfs", false, false},
    {LISTED("old"), "old", true, true},
    {LISTED("a") LISTED("old") LISTED("b"), "old", true, true},
    {LISTED("old"), "thesis.tex", false, false},
    {LISTED("old"), "half", false, false},
    {LISTED("old"), "ol", false, false},
    {LISTED("old"), "older", false, false},
    {LISTED("thesis.text"), "thesis.tex", false, false},
    {"thesis.tex\n", "thesis.tex", false, false},
    {"0123456789abcdef0123456789abcdef  old", "old", true, true}, /* without a last line break */
};

/* What is none of ours is named, and all stays as it is: beside the mark alone, and beside a file of ours. */
START_TEST(a_file_that_no_mark_lists_is_not_removed)
{
    static const char *const places[] = {"out", "out" WZ_OUTPUT_SUFFIX};
    char target[128], path[160];
    (void)snprintf(target, sizeof target, "%s/out", where.directory);
    for (int unfinished = 0; unfinished < 2; unfinished++) {
        const bool goes = unfinished ? files[_i].unfinished : files[_i].finished;
        wz_folder made;
        (void)snprintf(path, sizeof path, "%s/%s", where.directory, places[unfinished]);
        ck_assert_int_eq(wz_directory_create(path, &err), WZ_OK);
        put(path, "mark", files[_i].list);
        put(path, files[_i].name, "precious");
        const wz_status status = wz_folder_begin(target, true, &kind, &made, &err);
        ck_assert_msg(status == (goes ? WZ_OK : WZ_ERR_USAGE), "%s in %s: %d, %s", files[_i].name, path,
                      (int)status, err.text);
        if (goes) {
            ck_assert_msg(wz_folder_commit(&made, target, &err) == WZ_OK, "%s", err.text);
            ck_assert(!has(path, files[_i].name) && has(target, "mark"));
            ck_assert_int_eq(wz_folder_remove(target, &err), WZ_OK);
            continue;
        }
        ck_assert_msg(strstr(err.text, files[_i].name) != NULL, "%s", err.text);
        ck_assert(has(path, files[_i].name) && has(path, "mark"));
        ck_assert_int_eq(wz_folder_remove(path, &err), WZ_OK);
    }
}
END_TEST

/* One that came while the folder was written stays, and so does the folder around it. */
START_TEST(a_file_that_somebody_puts_in_is_not_removed)
{
    wz_folder made;
    char target[128], left[160];
    (void)snprintf(target, sizeof target, "%s/out", where.directory);
    (void)snprintf(left, sizeof left, "%s/out" WZ_OUTPUT_SUFFIX, where.directory);
    ck_assert_int_eq(wz_folder_begin(target, false, &kind, &made, &err), WZ_OK);
    put(left, "thesis.tex", "precious");
    wz_folder_abandon(&made);
    ck_assert(has(left, "thesis.tex") && has(left, "mark"));
    ck_assert_int_eq(wz_folder_begin(target, false, &kind, &made, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "'thesis.tex'"));
}
END_TEST

/* A second writer is refused and harms nothing; one that asked before a path was there does not replace it unasked. */
START_TEST(two_writers_do_not_share_a_folder)
{
    wz_folder made, other;
    char target[128];
    (void)snprintf(target, sizeof target, "%s/out", where.directory);
    ck_assert_int_eq(wz_folder_begin(target, false, &kind, &made, &err), WZ_OK);
    put(made.path.data, "mark", "1");
    ck_assert_int_eq(wz_folder_begin(target, true, &kind, &other, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "another process"));
    ck_assert_int_eq(wz_folder_commit(&made, target, &err), WZ_OK);
    ck_assert(has(target, "mark"));
    ck_assert_int_eq(wz_folder_begin(target, true, &kind, &other, &err), WZ_OK);
    ck_assert(has(target, "mark"));
    wz_folder_abandon(&other);
    ck_assert(has(target, "mark") && !has(where.directory, "out" WZ_OUTPUT_SUFFIX));
}
END_TEST

/* Nobody makes folders in /sys, root neither. */
START_TEST(a_folder_that_may_not_be_made_says_why)
{
    wz_folder made;
    if (!wz_path_is_directory("/sys"))
        return;
    ck_assert_int_eq(wz_folder_begin("/sys/wavezero", false, &kind, &made, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "check the permissions"));
}
END_TEST

START_TEST(folders_in_a_folder_are_left_alone)
{
    wz_folder made;
    char target[128], inner[192];
    (void)snprintf(target, sizeof target, "%s/out", where.directory);
    (void)snprintf(inner, sizeof inner, "%s/out" WZ_OUTPUT_SUFFIX "/inner", where.directory);
    ck_assert_int_eq(wz_directory_create(inner, &err), WZ_OK);
    put(where.directory, "out" WZ_OUTPUT_SUFFIX "/mark", "1");
    ck_assert_int_eq(wz_folder_begin(target, false, &kind, &made, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "out" WZ_OUTPUT_SUFFIX " is in the way"));
    ck_assert(wz_path_is_directory(inner) && has(where.directory, "out" WZ_OUTPUT_SUFFIX "/mark"));
    (void)snprintf(target, sizeof target, "%s/other", where.directory);
    (void)snprintf(inner, sizeof inner, "%s/other/inner", where.directory);
    ck_assert_int_eq(wz_directory_create(inner, &err), WZ_OK);
    put(target, "mark", "1");
    ck_assert_int_eq(wz_folder_begin(target, true, &kind, &made, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "'inner'"));
    ck_assert(wz_path_is_directory(inner) && has(target, "mark"));
    put(where.directory, "file", "1");
    (void)snprintf(target, sizeof target, "%s/file", where.directory);
    ck_assert_int_eq(wz_folder_begin(target, true, &kind, &made, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "no folder"));
}
END_TEST

/* Replacing a link to an earlier folder would remove that one's files. */
START_TEST(links_to_folders_are_not_followed)
{
    wz_folder made;
    char target[128], link[128];
    (void)snprintf(target, sizeof target, "%s/out", where.directory);
    (void)snprintf(link, sizeof link, "%s/link", where.directory);
    ck_assert_int_eq(wz_directory_create(target, &err), WZ_OK);
    put(target, "mark", "1");
    ck_assert_int_eq(symlink("out", link), 0);
    ck_assert_int_eq(wz_folder_begin(link, true, &kind, &made, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "is a link"));
    ck_assert_int_ne(wz_folder_remove(link, &err), WZ_OK);
    ck_assert(has(target, "mark"));
}
END_TEST

START_TEST(a_file_has_the_digest_of_its_bytes)
{
    char hex[WZ_DIGEST_HEX], expected[WZ_DIGEST_HEX];
    put(where.directory, "file", "wavezero");
    wz_digest_bytes("wavezero", 8, expected);
    ck_assert_int_eq(wz_digest_file(temporary_path(&where, "file"), hex, &err), WZ_OK);
    ck_assert_str_eq(hex, expected);
    ck_assert_int_eq(wz_digest_file(temporary_path(&where, "none"), hex, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "none"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("folder");
    TCase *all = tcase_create("folder");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, a_folder_is_there_when_it_is_whole);
    tcase_add_test(all, a_folder_is_replaced_as_a_whole);
    tcase_add_loop_test(all, a_file_that_no_mark_lists_is_not_removed, 0,
                        (int)(sizeof files / sizeof files[0]));
    tcase_add_test(all, a_file_that_somebody_puts_in_is_not_removed);
    tcase_add_test(all, two_writers_do_not_share_a_folder);
    tcase_add_test(all, a_folder_that_may_not_be_made_says_why);
    tcase_add_test(all, folders_in_a_folder_are_left_alone);
    tcase_add_test(all, links_to_folders_are_not_followed);
    tcase_add_test(all, a_file_has_the_digest_of_its_bytes);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
