/* What writers do with a name that is taken: a foreign link, folder or file survives, what a killed writer left does not block,
 * and nothing is written in place of what it is made from. */
#include <check.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "engine/core/file.h"
#include "engine/core/folder.h"
#include "engine/core/output.h"
#include "engine/run/problem_set.h"
#include "tests/checkpoint_sample.h"
#include "tests/suite.h"
#include "tests/temporary.h"

static temporary where;
static wz_error err;

static void setup(void)
{
    temporary_create(&where);
    memset(&err, 0, sizeof err);
}

static void teardown(void)
{
    temporary_remove(&where);
}

/* Several paths at once, in turn. */
static const char *in(const char *name)
{
    static char paths[8][256];
    static size_t next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", where.directory, name);
    return path;
}

/* Two names as one, until the next call. */
static const char *join(const char *name, const char *end)
{
    static char joined[128];
    (void)snprintf(joined, sizeof joined, "%s%s", name, end);
    return joined;
}

static void put(const char *name, const char *text)
{
    temporary_write(in(name), text, strlen(text));
}

static void assert_holds(const char *name, const char *text)
{
    wz_text found = {0};
    ck_assert_msg(wz_file_read(in(name), 100, &found, &err) == WZ_OK, "%s", err.text);
    ck_assert_str_eq(found.data, text);
    wz_text_clear(&found);
}

/* Like stat(), but of a link itself. */
static bool stands(const char *name)
{
    struct stat info;
    return lstat(in(name), &info) == 0;
}

/* --- every writer --- */

static wz_status write_file(const char *path)
{
    return wz_file_replace(path, "new", 3, &err);
}

static wz_status write_checkpoint(const char *path)
{
    static sample made;
    sample_fill(&made, 1);
    return wz_checkpoint_write(path, &made.content, &err);
}

static wz_status write_set(const char *path)
{
    char digest[WZ_DIGEST_HEX];
    wz_set_writer *writer = NULL;
    wz_status status = wz_set_writer_create(path, &writer, &err);
    if (status == WZ_OK)
        status = wz_set_writer_finish(writer, digest, &err);
    wz_set_writer_destroy(writer);
    return status;
}

static wz_status write_folder(const char *path)
{
    static const char *const none[] = {NULL};
    static const wz_folder_kind kind = {.mark = "mark", .names = none};
    wz_folder folder;
    wz_status status = wz_folder_begin(path, true, &kind, &folder, &err);
    return status == WZ_OK ? wz_folder_commit(&folder, path, &err) : status;
}

static const struct {
    wz_status (*write)(const char *path);
    const char *name;
} writers[] = {{write_file, "a"},
               {write_checkpoint, "a.h5"},
               {write_set, "a.jsonl"},
               {write_set, "set.h5"},
               {write_folder, "folder"}};
enum { WRITERS = sizeof writers / sizeof writers[0], FOLDERS = WRITERS - 1 };

static void make_file(const char *name)
{
    put(name, "foreign");
}

static void make_link(const char *name)
{
    ck_assert_int_eq(symlink("victim", in(name)), 0);
}

static void make_folder_link(const char *name)
{
    ck_assert_int_eq(symlink("victims", in(name)), 0);
}

static void make_dangling_link(const char *name)
{
    ck_assert_int_eq(symlink("nowhere", in(name)), 0);
}

static void make_folder(const char *name)
{
    char file[160];
    ck_assert_int_eq(mkdir(in(name), 0777), 0);
    (void)snprintf(file, sizeof file, "%s/notes", name);
    put(file, "foreign");
}

static void make_pipe(const char *name)
{
    ck_assert_int_eq(mkfifo(in(name), 0666), 0);
}

static const struct {
    void (*make)(const char *name);
    bool is_left; /* a writer of files may have left that */
} obstacles[] = {{make_link, false},   {make_folder_link, false}, {make_dangling_link, false},
                 {make_folder, false}, {make_pipe, false},        {make_file, true}};
enum { OBSTACLES = sizeof obstacles / sizeof obstacles[0] };

START_TEST(what_is_in_the_way_is_named_and_survives)
{
    const char *name = writers[_i].name;
    for (size_t o = 0; o < OBSTACLES; o++) {
        const char *left = join(name, WZ_OUTPUT_SUFFIX);
        struct stat before, after;
        if (obstacles[o].is_left && _i < FOLDERS)
            continue;
        put("victim", "precious");
        ck_assert_int_eq(wz_directory_create(in("victims"), &err), WZ_OK);
        put("victims/mark", "precious");
        obstacles[o].make(left);
        ck_assert_int_eq(lstat(in(left), &before), 0);
        ck_assert_int_eq(writers[_i].write(in(name)), WZ_ERR_USAGE);
        ck_assert_msg(strstr(err.text, left) != NULL && strstr(err.text, "move it away") != NULL, "%s",
                      err.text);
        ck_assert(!stands(name) && !stands("nowhere"));
        ck_assert_int_eq(lstat(in(left), &after), 0);
        ck_assert(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
        assert_holds("victim", "precious");
        assert_holds("victims/mark", "precious");
        temporary_remove(&where);
        ck_assert_int_eq(mkdir(where.directory, 0777), 0);
    }
}
END_TEST

/* Killed runs are resumed, and failed commands tried again, with nothing to be removed by hand. */
START_TEST(what_a_killed_writer_left_does_not_block)
{
    const char *left = join(writers[_i].name, WZ_OUTPUT_SUFFIX);
    put(left, "half of a file");
    ck_assert_msg(writers[_i].write(in(writers[_i].name)) == WZ_OK, "%s", err.text);
    ck_assert(wz_path_exists(in(writers[_i].name)) && !stands(left));
}
END_TEST

/* The name goes, and the file that has another one stays as it is. */
START_TEST(a_hard_link_is_not_written_through)
{
    const char *left = join(writers[_i].name, WZ_OUTPUT_SUFFIX);
    put("victim", "precious");
    ck_assert_int_eq(link(in("victim"), in(left)), 0);
    ck_assert_msg(writers[_i].write(in(writers[_i].name)) == WZ_OK, "%s", err.text);
    assert_holds("victim", "precious");
}
END_TEST

/* "X.tmp" is anybody's name. */
START_TEST(a_file_that_another_program_left_is_left_alone)
{
    const char *other = join(writers[_i].name, ".tmp");
    put(other, "foreign");
    ck_assert_msg(writers[_i].write(in(writers[_i].name)) == WZ_OK, "%s", err.text);
    assert_holds(other, "foreign");
}
END_TEST

START_TEST(a_file_does_not_take_the_place_of_a_folder_or_a_pipe)
{
    const char *name = writers[_i].name;
    make_folder(name);
    ck_assert_int_eq(writers[_i].write(in(name)), WZ_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "is a folder") != NULL, "%s", err.text);
    ck_assert_int_eq(wz_folder_remove(in(name), &err), WZ_OK);
    make_pipe(name);
    ck_assert_int_eq(writers[_i].write(in(name)), WZ_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "no regular file") != NULL, "%s", err.text);
    ck_assert(stands(name));
}
END_TEST

/* A link is replaced, and what it leads to is not written to. */
START_TEST(an_output_that_is_a_link_is_replaced_itself)
{
    put("victim", "precious");
    make_link(writers[_i].name);
    ck_assert_msg(writers[_i].write(in(writers[_i].name)) == WZ_OK, "%s", err.text);
    assert_holds("victim", "precious");
}
END_TEST

/* Writers hold their file locked while they write; HDF5 does so itself. */
START_TEST(two_writers_do_not_share_a_file)
{
    wz_set_writer *first = NULL, *second = NULL;
    const char *name = _i == 0 ? "a.jsonl" : "a.h5";
    char digest[WZ_DIGEST_HEX];
    ck_assert_int_eq(wz_set_writer_create(in(name), &first, &err), WZ_OK);
    ck_assert_int_eq(wz_set_writer_create(in(name), &second, &err), WZ_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "another process") != NULL, "%s", err.text);
    ck_assert_int_eq(wz_set_writer_finish(first, digest, &err), WZ_OK);
    wz_set_writer_destroy(first);
    ck_assert(wz_path_exists(in(name)));
}
END_TEST

/* --- a place that cannot be written --- */

/* Nobody makes files in /sys, root neither. What is said is about the file that was asked for. */
START_TEST(a_place_that_takes_no_file_is_usage)
{
    const char *path = join("/sys/", writers[_i].name);
    if (!wz_path_is_directory("/sys"))
        return;
    ck_assert_msg(writers[_i].write(path) == WZ_ERR_USAGE, "%s", err.text);
    ck_assert_msg(strstr(err.text, path) != NULL && strstr(err.text, WZ_OUTPUT_SUFFIX) == NULL &&
                      strstr(err.text, "check the permissions") != NULL,
                  "%s", err.text);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_usage)
{
    const char *name = join("none/", writers[_i].name);
    ck_assert_msg(writers[_i].write(in(name)) == WZ_ERR_USAGE, "%s", err.text);
    ck_assert_msg(strstr(err.text, name) != NULL && strstr(err.text, WZ_OUTPUT_SUFFIX) == NULL, "%s",
                  err.text);
}
END_TEST

/* --- an output and what it is made from --- */

static const struct {
    const char *output, *input;
    bool refused;
} pairs[] = {
    {"model/weights", "model/weights", true},
    {"model//./weights", "model/weights", true},
    {"link", "model/weights", true},
    {"model/weights", "link", true},
    {"hard", "model/weights", true},
    {"model", "model/weights", true},
    {"model", "link", true},
    {"model", "hard",
     true}, /* the folder would be removed, and this name stay; who knows that it is the other */
    {"linked", "model/weights", true},
    {"model", "model", true},
    {"outer", "outer/inner/deep", true},
    {"model/new", "model/weights", false},
    {"new", "model/weights", false},
    {"hard2", "model/weights", false},
    {"outer/inner/new", "outer/inner/deep", false},
    {"outer/inner", "model/weights", false},
    {"half", "half" WZ_OUTPUT_SUFFIX, true}, /* an unfinished one is removed, too */
    {"model", "missing", false},
};

START_TEST(an_output_does_not_take_the_place_of_its_input)
{
    ck_assert_int_eq(wz_directory_create(in("model"), &err), WZ_OK);
    ck_assert_int_eq(wz_directory_create(in("outer/inner"), &err), WZ_OK);
    put("model/weights", "precious");
    put("outer/inner/deep", "precious");
    put("half" WZ_OUTPUT_SUFFIX, "precious");
    put("hard2", "another");
    ck_assert_int_eq(symlink("model/weights", in("link")), 0);
    ck_assert_int_eq(symlink("model", in("linked")), 0);
    ck_assert_int_eq(link(in("model/weights"), in("hard")), 0);
    const wz_status status = wz_output_check_input(in(pairs[_i].output), in(pairs[_i].input), &err);
    ck_assert_msg(status == (pairs[_i].refused ? WZ_ERR_USAGE : WZ_OK), "%s from %s: %d", pairs[_i].output,
                  pairs[_i].input, (int)status);
    ck_assert_ptr_eq(strstr(err.text, in(pairs[_i].output)) != NULL ? &err : NULL,
                     pairs[_i].refused ? &err : NULL);
}
END_TEST

START_TEST(an_output_does_not_take_the_place_of_a_file_of_a_folder)
{
    ck_assert_int_eq(wz_directory_create(in("model/more"), &err), WZ_OK);
    put("model/weights", "precious");
    put("model/a.h5", "made of them");
    ck_assert_int_eq(link(in("model/weights"), in("model/hard.h5")), 0);
    ck_assert_int_eq(wz_output_check_folder(in("model/weights"), in("model"), ".h5", &err), WZ_ERR_USAGE);
    ck_assert_int_eq(wz_output_check_folder(in("model/hard.h5"), in("model"), ".h5", &err), WZ_ERR_USAGE);
    ck_assert_int_eq(wz_output_check_folder(in("model/a.h5"), in("model"), ".h5", &err), WZ_OK);
    ck_assert_int_eq(wz_output_check_folder(in("model/new"), in("model"), ".h5", &err), WZ_OK);
    ck_assert_int_eq(wz_output_check_folder(in("new"), in("model/weights"), ".h5", &err), WZ_OK);
}
END_TEST

/* --- messages --- */

START_TEST(fail_renamed_says_the_other_name_everywhere)
{
    (void)wz_fail(&err, WZ_ERR_RUNTIME, "out.x/a of out.x: out.x");
    ck_assert_int_eq(wz_fail_renamed(&err, WZ_ERR_RUNTIME, "out.x", "out"), WZ_ERR_RUNTIME);
    ck_assert_str_eq(err.text, "out/a of out: out");
    ck_assert_int_eq(wz_fail_renamed(NULL, WZ_OK, "out.x", "out"), WZ_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output");
    TCase *all = tcase_create("output");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, what_is_in_the_way_is_named_and_survives, 0, WRITERS);
    tcase_add_loop_test(all, what_a_killed_writer_left_does_not_block, 0, FOLDERS);
    tcase_add_loop_test(all, a_hard_link_is_not_written_through, 0, FOLDERS);
    tcase_add_loop_test(all, a_file_that_another_program_left_is_left_alone, 0, WRITERS);
    tcase_add_loop_test(all, a_file_does_not_take_the_place_of_a_folder_or_a_pipe, 0, FOLDERS);
    tcase_add_loop_test(all, an_output_that_is_a_link_is_replaced_itself, 0, FOLDERS);
    tcase_add_loop_test(all, two_writers_do_not_share_a_file, 0, 2);
    tcase_add_loop_test(all, a_place_that_takes_no_file_is_usage, 0, WRITERS);
    tcase_add_loop_test(all, a_folder_that_is_not_there_is_usage, 0, FOLDERS);
    tcase_add_loop_test(all, an_output_does_not_take_the_place_of_its_input, 0,
                        (int)(sizeof pairs / sizeof pairs[0]));
    tcase_add_test(all, an_output_does_not_take_the_place_of_a_file_of_a_folder);
    tcase_add_test(all, fail_renamed_says_the_other_name_everywhere);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
