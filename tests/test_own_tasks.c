/* Tasks and verifiers of the user's own: families in shared objects, scores from another process. */
#include <sys/prctl.h>
#include <sys/stat.h>

#include "engine/core/clock.h"
#include "tests/program.h"
#include "tests/suite.h"

static program p;

static void setup(void)
{
    program_create(&p);
}

static void teardown(void)
{
    program_destroy(&p);
}

/* ---- families in shared objects ---- */

#define OWN "task_library=" WZ_OWN_TASK " task.name=relay_choice"

START_TEST(own_task_is_printed_trained_evaluated_and_resumed)
{
    program_succeed(&p, "tasks print %s task.relays=3 --problems 2", OWN);
    ck_assert_ptr_nonnull(strstr(p.out, "pattern: ( (A|B|C))</answer>"));
    program_succeed(&p, "tasks baselines %s --problems 50", OWN);
    ck_assert_ptr_nonnull(strstr(p.out, "sum_of_hops"));
    const char *config = WZ_TEST_DATA "/config/own_task.yaml task_library=" WZ_OWN_TASK;
    program_succeed(&p, "train %s output_dir=@/whole", config);
    program_succeed(&p, "train %s output_dir=@/part max_steps=5", config);
    program_succeed(&p, "resume @/part --extend max_steps=12");
    program_fail(&p, 2, "if you trust it, give task_library=PATH",
                 "eval @/whole/checkpoints/step-00000012.h5 --problems 50");
    program_succeed(&p, "eval @/whole/checkpoints/step-00000012.h5 --problems 50 task_library=" WZ_OWN_TASK);
    ck_assert_ptr_nonnull(strstr(p.out, "best_first_hop"));
    program_succeed(&p, "generate @/whole/checkpoints/step-00000012.h5 task_library=" WZ_OWN_TASK);
    ck_assert_ptr_nonnull(strstr(p.out, " link A "));
}
END_TEST

START_TEST(own_task_in_a_mixture_counts_beside_the_others)
{
    program_succeed(&p,
                    "train " TINY " task_library=%s task_mixture=relay_choice:relays=3,power_control:links=3 "
                    "output_dir=@/run max_steps=3",
                    WZ_OWN_TASK);
    char text[1 << 16];
    program_read(&p, "run/metrics.jsonl", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "\"optimality/relay_choice/ratio\""));
    ck_assert_ptr_nonnull(strstr(text, "\"optimality/power_control/ratio\""));
}
END_TEST

START_TEST(flawed_library_is_refused_with_its_flaw)
{
    static const char *const messages[] = {"built for version 3 of the task interface",
                                           "compile it with this program's headers",
                                           "lacks a task with a name",
                                           "lacks number_count, payload_bytes",
                                           "no symbol wavezero_family",
                                           "wz_no_such_function"};
    program_fail(&p, 2, messages[_i], "tasks print task_library=" WZ_FLAWED_FAMILY "%d.so", _i + 1);
}
END_TEST

/* What its functions return is checked before it is used; what they do not say is said. */
START_TEST(library_with_flawed_functions_ends_with_their_flaw)
{
    static const char *const messages[] = {
        "relay_choice: problem 0: judge returned status 77 and no message",
        "a decision's objective is ",
        "number 1 of the decision of solve is 999; an answer has 0 to 3",
        "solve gives a reference of kind 77",
        "that its solver calls the optimum",
        "number 1 of the decision of badly is 77",
        "relay_choice: draw returned status 3 for problem 0 and no message"};
    program_fail(&p, 1, messages[_i],
                 "tasks baselines --problems 50 task.name=relay_choice task_library=" WZ_FLAWED_FAMILY
                 "%d.so",
                 _i + 7);
}
END_TEST

/* The last bytes of a library are tables that only debuggers and linkers read: without them it works. */
START_TEST(library_that_is_cut_short_is_refused)
{
    wz_text bytes = {0};
    wz_error err = {{0}};
    ck_assert_int_eq(wz_file_read(WZ_OWN_TASK, 1 << 24, &bytes, &err), WZ_OK);
    for (size_t part = 1; part < 8; part++) {
        temporary_write(temporary_path(&p.where, "cut.so"), bytes.data, bytes.length * part / 8);
        const int status = program_run(&p, "tasks print task_library=@/cut.so task.name=relay_choice");
        ck_assert_msg(status == 2 || (status == 0 && part > 3), "part %zu: exit %d, %s", part, status, p.log);
        ck_assert_msg(status == 0 || strstr(p.log, "cut.so") != NULL, "%s", p.log);
    }
    wz_text_clear(&bytes);
}
END_TEST

START_TEST(what_is_no_library_is_refused)
{
    program_fail(&p, 2, "nowhere.so", "tasks print task_library=@/nowhere.so");
    program_fail(&p, 2, "invalid ELF header", "tasks print task_library=" WZ_TEST_DATA "/config/tiny.yaml");
    program_fail(&p, 2, "expected one of", "tasks print task.name=relay_choice");
}
END_TEST

/* ---- scores from another process ---- */

/* A script in the test's directory that runs `line`. */
static void write_script(const char *name, const char *line)
{
    const char *path = temporary_path(&p.where, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fprintf(file, "#!/bin/sh\n%s\n", line);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0755), 0);
}

/* With the built-in verifier in another process, a run leaves the same bytes. */
START_TEST(external_verifier_scores_as_the_own_one)
{
    program_succeed(&p, "train " TINY " output_dir=@/own max_steps=4");
    program_succeed(&p,
                    "train " TINY " output_dir=@/other max_steps=4 verifier_command=" WZ_EXTERNAL_VERIFIER);
    assert_same_rows(&p, "own", "other", "metrics.jsonl");
    assert_same_tensors(&p, "own", "other", 4);
    program_succeed(&p, "resume @/other --extend max_steps=5");
    program_fail(&p, 2, "which would run here", "eval @/other/checkpoints/step-00000005.h5 --problems 20");
    program_succeed(&p, "eval @/other/checkpoints/step-00000005.h5 --problems 20 verifier_command=");
    program_succeed(
        &p, "eval @/other/checkpoints/step-00000005.h5 --problems 20 verifier_command=" WZ_EXTERNAL_VERIFIER);
}
END_TEST

START_TEST(python_verifier_of_the_examples_scores_alike)
{
    if (system("command -v python3 >/dev/null") != 0)
        return; /* the example is for those who have it */
    char expected[1 << 14];
    write_script("python.sh", "exec python3 " WZ_EXAMPLES "/verifier.py");
    program_succeed(&p, "tasks baselines --problems 30");
    strcpy(expected, p.out);
    program_succeed(&p, "tasks baselines --problems 30 verifier_command=@/python.sh");
    ck_assert_str_eq(expected, p.out);
}
END_TEST

/* What goes wrong in the process ends the command with a message, never with a score. */
START_TEST(external_verifier_that_fails_is_an_error)
{
    static const struct {
        const char *line, *message;
        int status;
    } cases[] = {
        {"exit 3", "ended with status 3", 1},
        {"kill -9 $$", "ended by signal 9", 1},
        {"exec sleep 20", "did not answer within 0.5 seconds", 1},
        {"exec 1>&-; sleep 20", "closed its output", 1},
        {"read line; exec echo hi", "not valid JSON", 3},
        {"read line; exec echo 7", "an object is expected", 3},
        {"read line; exec echo '{\"objective\": 7}'", "\"id\" must be the question's, 1", 3},
        {"read line; exec echo '{\"id\": 2, \"objective\": 7}'", "\"id\" must be the question's, 1", 3},
        {WZ_EXTERNAL_VERIFIER " twice 9", "verifier_command: '", 3},
        {"read line; printf '{\"id\": 1, \"objective\": 1, \"kind\": \"optimum\", \"decision\": [1, 0, "
         "0]}\\n7\\n'; cat",
         "wrote more than it was asked for: 7", 3},
        {"exec cat", "\"kind\" must be", 3},
        {"read line; exec printf '%2000000s'", "a line above", 3},
        {"read line; echo '{\"error\": \"no licence\"}'; cat", "says: no licence", 1},
        {WZ_EXTERNAL_VERIFIER " judge '\"x\": 1'", "either \"objective\" or \"infeasible\"", 3},
        {WZ_EXTERNAL_VERIFIER " judge '\"objective\": -1'", "of at least 0", 3},
        {WZ_EXTERNAL_VERIFIER " judge '\"objective\": \"1\"'", "finite number", 3},
        {WZ_EXTERNAL_VERIFIER " judge '\"objective\": 1'", "its own judgement of that decision is another",
         3},
        {WZ_EXTERNAL_VERIFIER " judge '\"infeasible\": \"x\"'", "\"violation\" must be", 3},
        {WZ_EXTERNAL_VERIFIER " judge '\"infeasible\": \"x\", \"violation\": 1, \"shortfall\": 2'",
         "\"shortfall\" must lie", 3},
        {WZ_EXTERNAL_VERIFIER " reference '\"objective\": 1, \"kind\": \"guess\", \"decision\": [0, 0, 0]'",
         "\"kind\" must be", 3},
        {WZ_EXTERNAL_VERIFIER " reference '\"objective\": 1, \"kind\": \"optimum\", \"decision\": [0, 0]'",
         "a number for each", 3},
        {WZ_EXTERNAL_VERIFIER " reference '\"objective\": 1, \"kind\": \"optimum\", \"decision\": [0, 0, 2]'",
         "out of range", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_script("verifier.sh", cases[i].line);
        program_fail(&p, cases[i].status, cases[i].message,
                     "tasks print verifier_command=@/verifier.sh verifier_timeout_s=0.5");
    }
    program_fail(&p, 2, "scores one task",
                 "train " TINY " output_dir=@/run verifier_command=cat task_mixture=power_control");
}
END_TEST

/* "A=1 command" is a shell's way to set the environment; `exec A=1 command` would look for a program of that name. */
START_TEST(verifier_command_may_set_variables_first)
{
    char text[512];
    const int length = snprintf(text, sizeof text, "verifier_command: A=1 B=two %s\n", WZ_EXTERNAL_VERIFIER);
    temporary_write(temporary_path(&p.where, "env.yaml"), text, (size_t)length);
    program_succeed(&p, "tasks print --config @/env.yaml --problems 1");
}
END_TEST

/* Starts a run whose verifier hangs; returns when it does. The verifier's process is left to this one to wait for. */
static pid_t begin_hanging(pid_t *verifier)
{
    char text[64] = "";
    char line[1024];
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    (void)snprintf(line, sizeof line, "exec %s hang 40 %s", WZ_EXTERNAL_VERIFIER,
                   temporary_path(&p.where, "pid"));
    write_script("verifier.sh", line);
    const pid_t run = program_begin(
        &p, "train " TINY " output_dir=@/run verifier_command=@/verifier.sh verifier_timeout_s=600");
    for (int i = 0; i < 600 && !wz_path_exists(temporary_path(&p.where, "pid")); i++)
        (void)usleep(50000);
    program_read(&p, "pid", text, sizeof text);
    *verifier = (pid_t)strtol(text, NULL, 10);
    ck_assert_int_gt(*verifier, 1);
    return run;
}

START_TEST(train_that_is_to_stop_leaves_a_hanging_verifier)
{
    pid_t verifier = 0;
    const pid_t run = begin_hanging(&verifier);
    const double start = wz_now_s();
    ck_assert_int_eq(kill(run, SIGTERM), 0);
    ck_assert_int_eq(program_wait(&p, run), 1);
    ck_assert_double_lt(wz_now_s() - start, 20); /* 2.3 s, and what else the machine does */
    ck_assert_msg(strstr(p.log, "when the program was asked to stop") != NULL, "%s", p.log);
    ck_assert_int_eq(kill(verifier, 0), -1); /* ended and waited for */
}
END_TEST

START_TEST(verifier_is_killed_with_the_program)
{
    pid_t verifier = 0;
    int status = 0;
    const pid_t run = begin_hanging(&verifier);
    ck_assert_int_eq(kill(run, SIGKILL), 0);
    ck_assert_int_eq(program_wait(&p, run), 1000 + SIGKILL);
    ck_assert_int_eq(waitpid(verifier, &status, 0), verifier);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("own_tasks");
    TCase *cases = tcase_create("own_tasks");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, own_task_is_printed_trained_evaluated_and_resumed);
    tcase_add_test(cases, own_task_in_a_mixture_counts_beside_the_others);
    tcase_add_loop_test(cases, flawed_library_is_refused_with_its_flaw, 0, 6);
    tcase_add_loop_test(cases, library_with_flawed_functions_ends_with_their_flaw, 0, 7);
    tcase_add_test(cases, library_that_is_cut_short_is_refused);
    tcase_add_test(cases, what_is_no_library_is_refused);
    tcase_add_test(cases, external_verifier_scores_as_the_own_one);
    tcase_add_test(cases, python_verifier_of_the_examples_scores_alike);
    tcase_add_test(cases, external_verifier_that_fails_is_an_error);
    tcase_add_test(cases, verifier_command_may_set_variables_first);
    tcase_add_test(cases, train_that_is_to_stop_leaves_a_hanging_verifier);
    tcase_add_test(cases, verifier_is_killed_with_the_program);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
