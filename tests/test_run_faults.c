/* The fault sweep over a short training run: the n-th open, write, fsync or rename fails, or the disk is full. After
 * each: the right exit status, one message, and an earlier checkpoint that verifies. */
#include "engine/core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

static program p;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

/* No temporary is left, every checkpoint with a final name verifies, and resume takes over if there is one. */
static void assert_whole(const char *run, const char *what)
{
    wz_text newest = {0};
    wz_error err = {{0}};
    char path[128], digest[WZ_DIGEST_HEX];
    int found = 0;
    for (int step = 0; step <= 3; ++step) {
        (void)snprintf(path, sizeof path, "%s/%s/checkpoints/step-%08d.h5", p.where.directory, run, step);
        char leftover[160];
        (void)snprintf(leftover, sizeof leftover, "%s" WZ_OUTPUT_SUFFIX, path);
        ck_assert_msg(!wz_path_exists(leftover), "%s: left %s", what, leftover);
        if (wz_path_exists(path)) {
            digest_tensors(path, digest); /* verifies */
            found++;
        }
    }
    wz_text_clear(&newest);
    (void)snprintf(path, sizeof path, "%s/%s/config.yaml", p.where.directory, run);
    if (wz_path_exists(path)) {
        ck_assert_int_eq(wz_file_read(path, 1 << 20, &newest, &err), WZ_OK);
        ck_assert_ptr_nonnull(strstr(newest.data, "max_steps: 3")); /* whole or not there */
        wz_text_clear(&newest);
    }
    if (found > 0) {
        program_succeed(&p, "resume @/%s", run);
        assert_same_run(&p, "whole", run, 3);
    }
}

static const struct {
    char *call, *cut;
    int stride;
    unsigned statuses; /* bit s: exit status s is right */
} kinds[] = {
    {"WZ_FAULT_CALL=open", "WZ_FAULT_SHORT=0", 7, 1u << WZ_ERR_RUNTIME | 1u << WZ_ERR_USAGE},
    {"WZ_FAULT_CALL=write", "WZ_FAULT_SHORT=0", 19, 1u << WZ_ERR_RESOURCE},
    {"WZ_FAULT_CALL=write", "WZ_FAULT_SHORT=1", 31, 1u << WZ_ERR_RESOURCE},
    {"WZ_FAULT_CALL=fsync", "WZ_FAULT_SHORT=0", 2, 1u << WZ_ERR_RUNTIME},
    {"WZ_FAULT_CALL=rename", "WZ_FAULT_SHORT=0", 1, 1u << WZ_ERR_RUNTIME},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

#define SHORT_RUN                                                                                            \
    "train " TINY " max_steps=3 save_steps=1 eval_steps=2 eval_problems=8 log_completions_steps=1"

START_TEST(fault_in_a_run_is_reported_and_leaves_whole_files)
{
    char at[32], mark[128], run[32], what[64];
    char *environment[] = {kinds[_i].call,
                           kinds[_i].cut,
                           at,
                           mark,
                           "LD_PRELOAD=" WZ_FAULT_PRELOAD,
                           "ASAN_OPTIONS=verify_asan_link_order=0",
                           NULL};
    bool fired = true;
    int tried = 0;
    (void)snprintf(mark, sizeof mark, "WZ_FAULT_MARK=%s/mark", p.where.directory);
    program_succeed(&p, SHORT_RUN " output_dir=@/whole");
    for (int n = 1; fired; n += kinds[_i].stride, ++tried) {
        (void)snprintf(at, sizeof at, "WZ_FAULT_AT=%d", n);
        (void)snprintf(run, sizeof run, "run%d", n);
        (void)snprintf(what, sizeof what, "%s %d", kinds[_i].call, n);
        (void)unlink(temporary_path(&p.where, "mark"));
        p.environment = environment;
        int status = program_run(&p, SHORT_RUN " output_dir=@/%s", run);
        p.environment = NULL;
        fired = wz_path_exists(temporary_path(&p.where, "mark"));
        ck_assert_msg(fired || status == 0, "%s: failed without a fault: %s", what, p.log);
        if (status != 0) { /* a library, or the log on stderr, may have done without the call */
            ck_assert_msg(status < 32 && (kinds[_i].statuses >> status & 1u) != 0, "%s: exit %d: %s", what,
                          status, p.log);
            ck_assert_msg(program_message(&p) != NULL || kinds[_i].call[14] == 'w', "%s: no message: %s",
                          what, p.log);
        }
        assert_whole(run, what);
    }
    ck_assert_int_gt(tried, 2);
}
END_TEST

/* A limit on the size of any file stands for a full disk: first the checkpoints do not fit, then a log. */
START_TEST(full_disk_exits_5_and_leaves_whole_files)
{
    static const rlim_t limits[] = {1, 300, 3000, 100000, 1000000};
    char run[32];
    program_succeed(&p, SHORT_RUN " output_dir=@/whole");
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; ++i) {
        (void)snprintf(run, sizeof run, "run%zu", i);
        p.file_limit = limits[i];
        int status = program_run(&p, SHORT_RUN " output_dir=@/%s", run);
        p.file_limit = 0;
        ck_assert_msg(status == 5, "limit %llu: exit %d: %s", (unsigned long long)limits[i], status, p.log);
        assert_whole(run, run);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run_faults");
    TCase *tests = tcase_create("run_faults");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_loop_test(tests, fault_in_a_run_is_reported_and_leaves_whole_files, 0, KINDS);
    tcase_add_test(tests, full_disk_exits_5_and_leaves_whole_files);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
