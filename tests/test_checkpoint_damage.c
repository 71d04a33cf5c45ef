/* Damaged files, full disks and killed writers: never silently wrong data, never a lost checkpoint. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoints/checkpoint.h"
#include "engine/core/file.h"
#include "engine/core/output.h"
#include "engine/core/philox.h"
#include "tests/checkpoint_sample.h"
#include "tests/suite.h"
#include "tests/temporary.h"

/* HDF5 1.10.8 loses memory of its own where it refuses damaged metadata, and a file whose last write failed
 * stays open in it for good. Leaks of ours have no HDF5 function on their stack and are still reported. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

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

/* --- damage --- */

/* Opens and reads damaged bytes. Never silently other data: either an error that names the file, or the sample.
 * Returns whether it was refused. */
static bool damage_is_noticed(const char *path, const char *bytes, size_t length)
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = NULL;
    bool silent = false;
    temporary_write(path, bytes, length);
    wz_status status = wz_checkpoint_open(path, &checkpoint, &err);
    if (status == WZ_OK)
        silent = !sample_equals(checkpoint, &status, &err) && status == WZ_OK;
    if (status == WZ_OK)
        silent = silent || wz_checkpoint_step(checkpoint) != 77;
    wz_checkpoint_close(checkpoint);
    ck_assert_msg(!silent, "wrong data without an error");
    ck_assert_msg(status == WZ_OK || strstr(err.text, path) != NULL, "%s", err.text);
    return status != WZ_OK;
}

static void read_sample_file(wz_text *bytes)
{
    write_sample(temporary_path(&where, "whole.h5"), 77);
    ck_assert_int_eq(wz_file_read(where.path, 1 << 24, bytes, NULL), WZ_OK);
    temporary_path(&where, "damaged.h5");
}

START_TEST(checkpoint_truncated_at_many_lengths_is_refused)
{
    wz_text bytes = {0};
    read_sample_file(&bytes);
    size_t step = bytes.length / 400 + 1;
    for (size_t length = 0; length < bytes.length; length += step)
        ck_assert_msg(damage_is_noticed(where.path, bytes.data, length), "length %zu", length);
    ck_assert(damage_is_noticed(where.path, bytes.data, bytes.length - 1));
    ck_assert(!damage_is_noticed(where.path, bytes.data, bytes.length));
    wz_text_clear(&bytes);
}
END_TEST

START_TEST(checkpoint_single_bit_flips_are_never_silent)
{
    wz_text bytes = {0};
    size_t refused = 0;
    const uint32_t flips = 1000;
    const char *more = getenv("WZ_TEST_FLIPS");
    const uint32_t total = more != NULL ? (uint32_t)strtoul(more, NULL, 10) : flips;
    read_sample_file(&bytes);
    for (uint32_t i = 0; i < total; i++) {
        const wz_draw_key key = {.seed = 11, .purpose = WZ_PURPOSE_TOOL};
        uint32_t words[4];
        wz_draw_words(&key, i, words);
        size_t place = words[0] % bytes.length;
        bytes.data[place] = (char)(bytes.data[place] ^ (1 << words[1] % 8));
        if (damage_is_noticed(where.path, bytes.data, bytes.length))
            refused++;
        bytes.data[place] = (char)(bytes.data[place] ^ (1 << words[1] % 8));
    }
    ck_assert_msg(refused > 0, "no flip was noticed");
    wz_text_clear(&bytes);
}
END_TEST

/* --- disk full and kill --- */

/* Writes step 2 while no file may grow beyond `bytes`: the write that would fails with EFBIG. */
static wz_status write_limited(const char *path, rlim_t bytes, wz_error *err)
{
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    sample_fill(&made, 2);
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    wz_status status = wz_checkpoint_write(path, &made.content, err);
    limit.rlim_cur = RLIM_INFINITY; /* check writes files of its own */
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    return status;
}

START_TEST(checkpoint_write_without_space_keeps_the_old_one)
{
    wz_error err = {.text = ""};
    temporary_path(&where, "a.h5");
    write_sample(where.path, 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (rlim_t bytes = 0; bytes < 20000; bytes += 500) {
        ck_assert_int_eq(write_limited(where.path, bytes, &err), WZ_ERR_RESOURCE);
        ck_assert_msg(strstr(err.text, where.path) != NULL && strstr(err.text, "File too large") != NULL,
                      "%s", err.text);
    }
    assert_holds_sample(where.path, 1);
    ck_assert(!wz_path_exists(temporary_path(&where, "a.h5" WZ_OUTPUT_SUFFIX)));
    write_sample(temporary_path(&where, "a.h5"), 2); /* and the process is none the worse */
    assert_holds_sample(where.path, 2);
}
END_TEST

static void write_until_killed(void)
{
    char name[64];
    for (int64_t step = 1;; step++) {
        wz_error err = {.text = ""};
        (void)snprintf(name, sizeof name, "step-%08lld.h5", (long long)step);
        sample_fill(&made, step);
        if (wz_checkpoint_write(temporary_path(&where, name), &made.content, &err) != WZ_OK ||
            wz_checkpoint_write(temporary_path(&where, "best.h5"), &made.content, &err) != WZ_OK ||
            wz_checkpoint_prune(where.directory, 2, &err) != WZ_OK)
            _exit(1);
    }
}

START_TEST(checkpoint_writer_killed_at_random_times_leaves_whole_files)
{
    for (uint32_t round = 0; round < 40; round++) {
        const wz_draw_key key = {.seed = 12, .purpose = WZ_PURPOSE_TOOL};
        uint32_t words[4];
        int status = 0;
        wz_text path = {0}, skipped = {0};
        wz_error err = {.text = ""};
        wz_draw_words(&key, round, words);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            write_until_killed();
        while (!wz_path_exists(temporary_path(&where, "best.h5")))
            usleep(1000); /* the first round only */
        usleep(words[0] % 30000);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status), "the writer failed by itself");
        assert_ok(wz_checkpoint_find_newest(where.directory, &path, &skipped, &err), &err);
        ck_assert_ptr_null(skipped.data); /* not one damaged file */
        wz_checkpoint *checkpoint = open_checkpoint(path.data);
        assert_holds_sample(path.data, wz_checkpoint_step(checkpoint));
        wz_checkpoint_close(checkpoint);
        checkpoint = open_checkpoint(temporary_path(&where, "best.h5"));
        assert_ok(wz_checkpoint_verify(checkpoint, &err), &err);
        wz_checkpoint_close(checkpoint);
        wz_text_clear(&path);
    }
}
END_TEST

static Suite *damage_suite(void)
{
    Suite *suite = suite_create("checkpoint damage");
    TCase *damage = tcase_create("damage");
    tcase_add_checked_fixture(damage, make_place, remove_place);
    tcase_set_timeout(damage, 300);
    tcase_add_test(damage, checkpoint_truncated_at_many_lengths_is_refused);
    tcase_add_test(damage, checkpoint_single_bit_flips_are_never_silent);
    tcase_add_test(damage, checkpoint_write_without_space_keeps_the_old_one);
    tcase_add_test(damage, checkpoint_writer_killed_at_random_times_leaves_whole_files);
    suite_add_tcase(suite, damage);
    return suite;
}

int main(void)
{
    return run_suite(damage_suite());
}
