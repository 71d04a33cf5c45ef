/* Fails the n-th call of each kind, for every n until the command succeeds, and kills the process there instead:
 * after each, the exit status is right, the message names the thing, and the last good file is whole. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoints/safetensors.h"
#include "engine/core/file.h"
#include "engine/core/output.h"
#include "tests/checkpoint_sample.h"
#include "tests/suite.h"
#include "tests/temporary.h"

#define MAX_CALLS 2000 /* a sweep that long has gone wrong */

static temporary where;
static char target[600];   /* the file that the command writes */
static char leftover[600]; /* its temporary */

static void make_place(void)
{
    temporary_create(&where);
}

static void remove_place(void)
{
    temporary_remove(&where);
}

static void choose_target(const char *name)
{
    (void)snprintf(target, sizeof target, "%s/%s", where.directory, name);
    (void)snprintf(leftover, sizeof leftover, "%s/%s" WZ_OUTPUT_SUFFIX, where.directory, name);
}

/* --- one run --- */

typedef struct fault {
    const char *call;
    bool kill, cut, main_only;
    unsigned statuses; /* bit s: exit status s is right */
} fault;

typedef struct outcome {
    bool fired;
    bool killed;
    int status; /* exit status, or the signal */
    char message[2048];
} outcome;

static void set_environment(const fault *plan, long at, const char *mark)
{
    char number[32];
    (void)snprintf(number, sizeof number, "%ld", at);
    (void)setenv("LD_PRELOAD", WZ_FAULT_PRELOAD, 1);
    (void)setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
    (void)setenv("OPENBLAS_NUM_THREADS", "1", 1);
    (void)setenv("WZ_FAULT_CALL", plan->call, 1);
    (void)setenv("WZ_FAULT_AT", number, 1);
    (void)setenv("WZ_FAULT_MARK", mark, 1);
    (void)setenv("WZ_FAULT_KILL", plan->kill ? "1" : "0", 1);
    (void)setenv("WZ_FAULT_SHORT", plan->cut ? "1" : "0", 1);
    (void)setenv("WZ_FAULT_MAIN", plan->main_only ? "1" : "0", 1);
}

static void run(const fault *plan, long at, const char *verb, const char *argument, outcome *result)
{
    char mark[600], output[600];
    int status = 0;
    (void)snprintf(mark, sizeof mark, "%s/mark", where.directory);
    (void)snprintf(output, sizeof output, "%s/output", where.directory);
    (void)unlink(mark);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int stream = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (stream < 0 || dup2(stream, STDERR_FILENO) < 0)
            _exit(99);
        set_environment(plan, at, mark);
        (void)execl(WZ_FAULT_TARGET, WZ_FAULT_TARGET, verb, target, argument, (char *)NULL);
        _exit(99);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    wz_text text = {0};
    ck_assert_int_eq(wz_file_read(output, 1 << 20, &text, NULL), WZ_OK);
    (void)snprintf(result->message, sizeof result->message, "%s", text.data);
    wz_text_clear(&text);
    result->fired = wz_path_exists(mark);
    result->killed = WIFSIGNALED(status);
    result->status = result->killed ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void assert_right_ending(const fault *plan, long at, const outcome *result)
{
    if (result->fired && plan->kill) {
        ck_assert_msg(result->killed && result->status == SIGKILL, "%s %ld: not killed", plan->call, at);
        return;
    }
    ck_assert_msg(!result->killed, "%s %ld: signal %d: %s", plan->call, at, result->status, result->message);
    if (result->status == 0)
        return; /* nothing fired, or a library did without the call */
    ck_assert_msg(result->fired, "%s %ld: failed without a fault: %s", plan->call, at, result->message);
    ck_assert_msg((plan->statuses >> result->status & 1u) != 0, "%s %ld: exit status %d: %s", plan->call, at,
                  result->status, result->message);
    ck_assert_msg(strchr(result->message, '\n') == result->message + strlen(result->message) - 1,
                  "%s %ld: not one line: %s", plan->call, at, result->message);
    /* The message names the file, its directory, or what the memory was for. */
    ck_assert_msg(strstr(result->message, where.directory) != NULL ||
                      strstr(result->message, "out of memory") != NULL,
                  "%s %ld: names nothing: %s", plan->call, at, result->message);
}

/* --- sweeps --- */

/* State after a run: `old` before, `new` (both known to the checker) once it succeeded. Either is whole. */
typedef void state_check(bool succeeded);

static void sweep(const fault *plan, const char *verb, const char *argument, void (*reset)(void),
                  state_check *check)
{
    outcome result = {.fired = true};
    long at = 0;
    while (result.fired) {
        ck_assert_int_lt(++at, MAX_CALLS);
        reset();
        run(plan, at, verb, argument, &result);
        assert_right_ending(plan, at, &result);
        check(!result.killed && result.status == 0);
        ck_assert_msg(plan->kill || !wz_path_exists(leftover), "%s %ld: left its temporary file", plan->call,
                      at);
    }
    ck_assert_int_gt(at, 1); /* at least one fault was tried */
}

static int64_t step_of(const char *path)
{
    wz_error err = {.text = ""};
    wz_status status = WZ_OK;
    wz_checkpoint *checkpoint = NULL;
    ck_assert_msg(wz_checkpoint_open(path, &checkpoint, &err) == WZ_OK, "%s", err.text);
    ck_assert_msg(wz_checkpoint_verify(checkpoint, &err) == WZ_OK, "%s", err.text);
    ck_assert_msg(sample_equals(checkpoint, &status, &err), "%s", err.text);
    int64_t step = wz_checkpoint_step(checkpoint);
    wz_checkpoint_close(checkpoint);
    return step;
}

/* Copied rather than written: the sweeps reset it hundreds of times. */
static void reset_checkpoint(void)
{
    static wz_text bytes;
    static sample made;
    if (bytes.length == 0) {
        wz_error err = {.text = ""};
        sample_fill(&made, 1);
        ck_assert_msg(wz_checkpoint_write(target, &made.content, &err) == WZ_OK, "%s", err.text);
        ck_assert_int_eq(wz_file_read(target, 1 << 24, &bytes, &err), WZ_OK);
    }
    temporary_write(target, bytes.data, bytes.length);
    (void)unlink(leftover);
}

static void check_checkpoint(bool succeeded)
{
    wz_text path = {0};
    wz_error err = {.text = ""};
    int64_t step = step_of(target);
    ck_assert_msg(step == 2 || (step == 1 && !succeeded), "step %lld", (long long)step);
    ck_assert_msg(wz_checkpoint_find_newest(where.directory, &path, NULL, &err) == WZ_OK, "%s", err.text);
    ck_assert_str_eq(path.data, target); /* never what a killed writer left */
    wz_text_clear(&path);
}

static void reset_text(void)
{
    temporary_write(target, "old\n", 4);
    (void)unlink(leftover);
}

static void assert_text(const char *bytes, const char *first, const char *second)
{
    ck_assert_msg(strcmp(bytes, first) == 0 || (second != NULL && strcmp(bytes, second) == 0), "found '%s'",
                  bytes);
}

static void check_replaced(bool succeeded)
{
    wz_text text = {0};
    ck_assert_int_eq(wz_file_read(target, 100, &text, NULL), WZ_OK);
    assert_text(text.data, "new text\n", succeeded ? NULL : "old\n");
    wz_text_clear(&text);
}

/* A line is there or not, never a part of it; a failed sync leaves the line, which a resume cuts. */
static void check_log(bool succeeded)
{
    wz_text text = {0};
    ck_assert_int_eq(wz_file_read(target, 100, &text, NULL), WZ_OK);
    assert_text(text.data, "old\nnew text\n", succeeded ? NULL : "old\n");
    wz_text_clear(&text);
}

#define EXIT_BIT(status) (1u << (status))
enum {
    DENIED = EXIT_BIT(WZ_ERR_RUNTIME) | EXIT_BIT(WZ_ERR_USAGE), /* EACCES: through HDF5, directly */
    BROKEN = EXIT_BIT(WZ_ERR_RUNTIME),
    NO_ROOM = EXIT_BIT(WZ_ERR_RESOURCE)
};

static const fault file_faults[] = {
    {.call = "open", .statuses = DENIED},
    {.call = "write", .statuses = NO_ROOM},
    {.call = "write", .cut = true, .statuses = NO_ROOM},
    {.call = "fsync", .statuses = BROKEN},
    {.call = "rename", .statuses = BROKEN},
    {.call = "open", .kill = true},
    {.call = "write", .kill = true},
    {.call = "fsync", .kill = true},
    {.call = "rename", .kill = true},
};
enum { FILE_FAULTS = sizeof file_faults / sizeof file_faults[0] };

START_TEST(fault_in_checkpoint_write_keeps_a_whole_checkpoint)
{
    choose_target("step-00000001.h5");
    sweep(&file_faults[_i], "write", "2", reset_checkpoint, check_checkpoint);
}
END_TEST

START_TEST(fault_in_file_replace_keeps_a_whole_file)
{
    choose_target("a.json");
    sweep(&file_faults[_i], "replace", "new text\n", reset_text, check_replaced);
}
END_TEST

/* A killed short write may leave a part of a line: resume cuts it. So this one is not killed. */
START_TEST(fault_in_log_append_leaves_whole_lines)
{
    static const fault faults[] = {{.call = "open", .statuses = DENIED},
                                   {.call = "write", .statuses = NO_ROOM},
                                   {.call = "write", .cut = true, .statuses = NO_ROOM},
                                   {.call = "fsync", .statuses = BROKEN}};
    choose_target("metrics.jsonl");
    sweep(&faults[_i], "log", "new text\n", reset_text, check_log);
}
END_TEST

/* Only the allocations of our own code. HDF5 1.10.8 does not survive its own: of the 4,200 allocations of this
 * command, libraries included, every thirteenth was failed, and one in eleven of these ended in a segmentation
 * fault inside HDF5 (an endless H5E_printf_stack -> H5I_inc_ref -> H5E__push_stack while it initialises;
 * strlen(NULL) below H5Acreate2). What it leaves on the disk is swept by the test after this one. */
START_TEST(fault_in_our_allocations_is_reported)
{
#ifdef WZ_FAULT_NO_MALLOC
    (void)fprintf(stderr, "skipped: AddressSanitizer owns malloc, so its failures are not swept\n");
#else
    static const fault plan = {.call = "malloc", .main_only = true, .statuses = NO_ROOM};
    if (_i == 0) {
        choose_target("step-00000001.h5");
        sweep(&plan, "write", "2", reset_checkpoint, check_checkpoint);
    } else {
        choose_target("a.json");
        sweep(&plan, "replace", "new text\n", reset_text, check_replaced);
    }
#endif
}
END_TEST

/* Any allocation of any library: the command may crash, but a whole checkpoint stays. */
START_TEST(fault_in_any_allocation_keeps_a_whole_checkpoint)
{
#ifdef WZ_FAULT_NO_MALLOC
    (void)fprintf(stderr, "skipped: AddressSanitizer owns malloc, so its failures are not swept\n");
#else
    static const fault plan = {.call = "malloc"};
    outcome result = {.fired = true};
    choose_target("step-00000001.h5");
    for (long at = 1; result.fired; at += 97) {
        ck_assert_int_lt(at, 100000);
        reset_checkpoint();
        run(&plan, at, "write", "2", &result);
        check_checkpoint(!result.killed && result.status == 0);
    }
#endif
}
END_TEST

/* --- a model on its way in or out --- */

static char model_folder[600];

/* Without a tokenizer, whose thousand allocations have their own tests. */
static void make_model_folder(void)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    (void)snprintf(model_folder, sizeof model_folder, "%s", where.directory);
    for (size_t i = 0; i < 2; i++) {
        char from[600];
        wz_text bytes = {0};
        (void)snprintf(from, sizeof from, "%s/hf/qwen3/%s", WZ_TEST_DATA, files[i]);
        ck_assert_int_eq(wz_file_read(from, 1 << 20, &bytes, NULL), WZ_OK);
        temporary_write(temporary_path(&where, files[i]), bytes.data, bytes.length);
        wz_text_clear(&bytes);
    }
}

static void reset_nothing(void)
{
    (void)unlink(target);
    (void)unlink(leftover);
}

/* Where only the directory could not be synced, it stands, whole. */
static void check_imported(bool succeeded)
{
    wz_error err = {.text = ""};
    wz_checkpoint *checkpoint = NULL;
    if (!wz_path_exists(target)) {
        ck_assert(!succeeded);
        return;
    }
    ck_assert_msg(wz_checkpoint_open(target, &checkpoint, &err) == WZ_OK, "%s", err.text);
    ck_assert_msg(wz_checkpoint_verify(checkpoint, &err) == WZ_OK, "%s", err.text);
    wz_checkpoint_close(checkpoint);
}

static void check_exported(bool succeeded)
{
    wz_error err = {.text = ""};
    wz_safetensors *file = NULL;
    ck_assert(wz_path_exists(target) == succeeded);
    if (succeeded)
        ck_assert_msg(wz_safetensors_open(target, &file, &err) == WZ_OK, "%s", err.text);
    wz_safetensors_close(file);
}

static const fault conversion_faults[] = {
    {.call = "open", .statuses = DENIED},
    {.call = "write", .statuses = NO_ROOM},
    {.call = "fsync", .statuses = BROKEN},
#ifndef WZ_FAULT_NO_MALLOC
    {.call = "malloc", .main_only = true, .statuses = NO_ROOM},
#endif
};
enum { CONVERSION_FAULTS = sizeof conversion_faults / sizeof conversion_faults[0] };

START_TEST(fault_in_import_leaves_a_whole_checkpoint_or_none)
{
    make_model_folder();
    choose_target("model.h5");
    sweep(&conversion_faults[_i], "import", model_folder, reset_nothing, check_imported);
}
END_TEST

START_TEST(fault_in_export_leaves_a_whole_file_or_none)
{
    make_model_folder();
    choose_target("out.safetensors");
    sweep(&conversion_faults[_i], "export", model_folder, reset_nothing, check_exported);
}
END_TEST

static Suite *fault_suite(void)
{
    Suite *suite = suite_create("fault");
    TCase *sweeps = tcase_create("sweeps");
    tcase_add_checked_fixture(sweeps, make_place, remove_place);
    tcase_set_timeout(sweeps, 300);
    tcase_add_loop_test(sweeps, fault_in_checkpoint_write_keeps_a_whole_checkpoint, 0, FILE_FAULTS);
    tcase_add_loop_test(sweeps, fault_in_file_replace_keeps_a_whole_file, 0, FILE_FAULTS);
    tcase_add_loop_test(sweeps, fault_in_log_append_leaves_whole_lines, 0, 4);
    tcase_add_loop_test(sweeps, fault_in_our_allocations_is_reported, 0, 2);
    tcase_add_test(sweeps, fault_in_any_allocation_keeps_a_whole_checkpoint);
    tcase_add_loop_test(sweeps, fault_in_import_leaves_a_whole_checkpoint_or_none, 0, CONVERSION_FAULTS);
    tcase_add_loop_test(sweeps, fault_in_export_leaves_a_whole_file_or_none, 0, CONVERSION_FAULTS);
    suite_add_tcase(suite, sweeps);
    return suite;
}

int main(void)
{
    return run_suite(fault_suite());
}
