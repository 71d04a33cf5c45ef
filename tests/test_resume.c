/* Stopping and going on, end to end: by SIGKILL at any moment, by SIGINT and SIGTERM, and what resume refuses. */
#include <time.h>

#include "tests/program.h"
#include "tests/suite.h"

#define STEPS 12

static program p;

static void make_place(void)
{
    program_create(&p);
    /* The run all others must end like; saving at other steps changes no result. */
    program_succeed(&p, "train " TINY " output_dir=@/whole save_steps=5");
}

static void remove_place(void)
{
    program_destroy(&p);
}

static bool has_checkpoints(const char *run)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/checkpoints/step-00000000.h5", run);
    return wz_path_exists(temporary_path(&p.where, path));
}

static void sleep_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

/* ---- kill -9 ---- */

/* Kills a run again and again until one gets to the end. The longest wait grows, so that there is an end. */
START_TEST(kill_at_random_moments_then_resume_gives_the_whole_run)
{
    unsigned random = (unsigned)_i * 7919u + 1u;
    int killed = 0, ended = -1;
    double longest_ms = 60.0;
    bool started = false;
    while (ended != 0) {
        ck_assert_int_lt(killed, 400);
        started = started || has_checkpoints("killed");
        pid_t child = started ? program_begin(&p, "resume @/killed save_steps=1 save_total_limit=100")
                              : program_begin(&p, "train " TINY
                                                  " output_dir=@/killed save_steps=1 save_total_limit=100");
        random = random * 1664525u + 1013904223u;
        sleep_ms((long)((double)(random >> 8) / 16777216.0 * longest_ms));
        (void)kill(child, SIGKILL);
        ended = program_wait(&p, child);
        ck_assert_msg(ended == 0 || ended == 1000 + SIGKILL, "exit %d: %s", ended, p.log);
        killed += ended != 0;
        longest_ms *= 1.1;
    }
    ck_assert_int_gt(killed, 0);
    assert_same_run(&p, "whole", "killed", STEPS);
}
END_TEST

/* Killed before the n-th call of a kind, for n = first, first + stride, ... until none is left. */
START_TEST(kill_at_every_file_operation_then_resume_gives_the_whole_run)
{
    static const struct {
        char *call;
        int stride;
    } kinds[] = {{"WZ_FAULT_CALL=write", 23}, {"WZ_FAULT_CALL=fsync", 5}, {"WZ_FAULT_CALL=rename", 3}};
    char at[32], run[32];
    char *environment[] = {kinds[_i].call,
                           at,
                           "WZ_FAULT_KILL=1",
                           "LD_PRELOAD=" WZ_FAULT_PRELOAD,
                           "ASAN_OPTIONS=verify_asan_link_order=0",
                           NULL};
    int status = -1, tried = 0;
    for (int n = 1; status != 0; n += kinds[_i].stride, ++tried) {
        ck_assert_int_lt(tried, 200);
        (void)snprintf(at, sizeof at, "WZ_FAULT_AT=%d", n);
        (void)snprintf(run, sizeof run, "killed%d", n);
        p.environment = environment;
        status = program_run(&p, "train " TINY " output_dir=@/%s", run);
        p.environment = NULL;
        ck_assert_msg(status == 0 || status == 1000 + SIGKILL, "exit %d: %s", status, p.log);
        if (status != 0 && has_checkpoints(run))
            program_succeed(&p, "resume @/%s", run);
        else if (status != 0)
            program_succeed(&p, "train " TINY " output_dir=@/%s --overwrite", run);
        assert_same_run(&p, "whole", run, STEPS);
    }
    ck_assert_int_gt(tried, 1);
}
END_TEST

/* ---- signals ---- */

/* Waits until the run has written its first row, then asks it to stop. */
static int stop_after_first_row(const char *run, int number)
{
    char path[64];
    pid_t child =
        program_begin(&p, "train " TINY " output_dir=@/%s save_steps=0 generation_batch_size=64", run);
    wz_text rows = {0};
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    for (int i = 0; i < 20000 && rows.length == 0; ++i) {
        sleep_ms(1);
        wz_text_clear(&rows);
        (void)wz_file_read(temporary_path(&p.where, path), 1 << 24, &rows, NULL);
    }
    ck_assert_uint_gt(rows.length, 0);
    wz_text_clear(&rows);
    (void)kill(child, number);
    return program_wait(&p, child);
}

START_TEST(signal_saves_and_exits_and_resume_goes_on)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    int status = stop_after_first_row("stopped", numbers[_i]);
    ck_assert_msg(status == 128 + numbers[_i], "exit %d: %s", status, p.log);
    ck_assert_msg(strstr(p.log, "which is saved; to go on: wavezero resume \"") != NULL, "%s", p.log);
    ck_assert(!wz_path_exists(temporary_path(&p.where, "stopped/checkpoints/step-00000012.h5")));
    program_succeed(&p, "resume @/stopped");
    assert_same_run(&p, "whole", "stopped", STEPS);
}
END_TEST

/* ---- what resume takes and refuses ---- */

static void start_half(void)
{
    pid_t child = program_begin(&p, "train " TINY " output_dir=@/half save_steps=1 save_total_limit=100");
    for (int i = 0; i < 20000; ++i) {
        sleep_ms(1);
        if (wz_path_exists(temporary_path(&p.where, "half/checkpoints/step-00000002.h5")))
            break;
    }
    (void)kill(child, SIGKILL);
    (void)program_wait(&p, child);
}

START_TEST(resume_takes_keys_of_machine_and_saving_only)
{
    start_half();
    program_fail(&p, 2, "resume cannot change 'learning_rate'", "resume @/half learning_rate=0.1");
    program_fail(&p, 2, "resume cannot change 'model.hidden_size'", "resume @/half model.hidden_size=64");
    program_fail(&p, 2, "resume cannot change 'task.links'", "resume @/half task.links=5");
    program_fail(&p, 2, "a longer run needs --extend", "resume @/half max_steps=20");
    program_fail(&p, 2, "resume cannot change 'max_steps'", "resume @/half max_steps=5 --extend");
    program_fail(&p, 2, "unknown key 'thread'", "resume @/half thread=2");
    program_succeed(&p, "resume @/half threads=1 save_steps=0 save_total_limit=1 memory_limit_gb=1 "
                        "gradient_checkpointing=true");
    assert_same_run(&p, "whole", "half", STEPS);
}
END_TEST

START_TEST(resume_with_extend_goes_past_the_end)
{
    program_succeed(&p, "resume @/whole --extend max_steps=15");
    ck_assert(wz_path_exists(temporary_path(&p.where, "whole/checkpoints/step-00000015.h5")));
    program_succeed(&p, "resume @/whole"); /* nothing is left to do */
}
END_TEST

START_TEST(resume_without_a_run_says_so)
{
    program_fail(&p, 2, "no run directory", "resume @/nothing");
    program_fail(&p, 2, "holds checkpoints of an earlier run", "train " TINY " output_dir=@/whole");
    program_succeed(&p, "train " TINY " output_dir=@/whole --overwrite max_steps=2");
    ck_assert(!wz_path_exists(temporary_path(&p.where, "whole/checkpoints/step-00000012.h5")));
}
END_TEST

START_TEST(second_process_on_a_run_is_refused)
{
    pid_t child = program_begin(&p, "train " TINY " output_dir=@/busy max_steps=100000 eval_steps=0");
    program second = p;
    for (int i = 0; i < 20000 && !has_checkpoints("busy"); ++i)
        sleep_ms(1);
    const struct {
        const char *arguments;
    } others[] = {{"resume @/busy"}, {"train " TINY " output_dir=@/busy --overwrite"}};
    for (size_t i = 0; i < 2; ++i) {
        int status = program_run(&second, "%s", others[i].arguments);
        ck_assert_int_eq(status, 1);
        ck_assert_msg(strstr(second.log, "LOCK") != NULL, "%s", second.log);
    }
    (void)kill(child, SIGTERM);
    ck_assert_int_eq(program_wait(&p, child), 128 + SIGTERM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume");
    TCase *tests = tcase_create("resume");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_loop_test(tests, kill_at_random_moments_then_resume_gives_the_whole_run, 0, 3);
    tcase_add_loop_test(tests, kill_at_every_file_operation_then_resume_gives_the_whole_run, 0, 3);
    tcase_add_loop_test(tests, signal_saves_and_exits_and_resume_goes_on, 0, 2);
    tcase_add_test(tests, resume_takes_keys_of_machine_and_saving_only);
    tcase_add_test(tests, resume_with_extend_goes_past_the_end);
    tcase_add_test(tests, resume_without_a_run_says_so);
    tcase_add_test(tests, second_process_on_a_run_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
