/* Tasks and verifiers of the user's own: families in shared objects, scores from another process. */
#include <sys/stat.h>

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
    static const char *const messages[] = {"built for version 2 of the task interface",
                                           "compile it with this program's headers",
                                           "lacks a task with a name",
                                           "lacks number_count, payload_bytes",
                                           "no symbol wavezero_family",
                                           "wz_no_such_function"};
    program_fail(&p, 2, messages[_i], "tasks print task_library=" WZ_FLAWED_FAMILY "%d.so", _i + 1);
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
        {"exec echo hi", "not valid JSON", 3},
        {"exec echo 7", "an object is expected", 3},
        {"exec cat", "\"kind\" must be", 3},
        {"exec printf '%2000000s'", "a line above", 3},
        {"read line; echo '{\"error\": \"no licence\"}'; cat", "says: no licence", 1},
        {WZ_EXTERNAL_VERIFIER " judge '{}'", "either \"objective\" or \"infeasible\"", 3},
        {WZ_EXTERNAL_VERIFIER " judge '{\"objective\": -1}'", "of at least 0", 3},
        {WZ_EXTERNAL_VERIFIER " judge '{\"objective\": \"1\"}'", "finite number", 3},
        {WZ_EXTERNAL_VERIFIER " judge '{\"objective\": 1}'", "its own judgement of that decision is another",
         3},
        {WZ_EXTERNAL_VERIFIER " judge '{\"infeasible\": \"x\"}'", "\"violation\" must be", 3},
        {WZ_EXTERNAL_VERIFIER " judge '{\"infeasible\": \"x\", \"violation\": 1, \"shortfall\": 2}'",
         "\"shortfall\" must lie", 3},
        {WZ_EXTERNAL_VERIFIER " reference '{\"objective\": 1, \"kind\": \"guess\", \"decision\": [0, 0, 0]}'",
         "\"kind\" must be", 3},
        {WZ_EXTERNAL_VERIFIER " reference '{\"objective\": 1, \"kind\": \"optimum\", \"decision\": [0, 0]}'",
         "a number for each", 3},
        {WZ_EXTERNAL_VERIFIER
         " reference '{\"objective\": 1, \"kind\": \"optimum\", \"decision\": [0, 0, 2]}'",
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

int main(void)
{
    Suite *suite = suite_create("own_tasks");
    TCase *cases = tcase_create("own_tasks");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, own_task_is_printed_trained_evaluated_and_resumed);
    tcase_add_test(cases, own_task_in_a_mixture_counts_beside_the_others);
    tcase_add_loop_test(cases, flawed_library_is_refused_with_its_flaw, 0, 6);
    tcase_add_test(cases, what_is_no_library_is_refused);
    tcase_add_test(cases, external_verifier_scores_as_the_own_one);
    tcase_add_test(cases, python_verifier_of_the_examples_scores_alike);
    tcase_add_test(cases, external_verifier_that_fails_is_an_error);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
