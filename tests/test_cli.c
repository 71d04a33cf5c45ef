/* The program itself: what it prints, where, and its exit status. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoints/checkpoint.h"
#include "engine/core/file.h"
#include "rewards/published.h"
#include "rewards/sun_figures.h"
#include "tasks/task.h"
#include "tests/suite.h"

static char scratch[64];
static wz_text out;      /* of the last run: standard output */
static wz_text log_text; /* and standard error */

static void make_scratch(void)
{
    strcpy(scratch, "test_cli.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static void remove_scratch(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    ck_assert_int_eq(system(command), 0);
    wz_text_clear(&out);
    wz_text_clear(&log_text);
}

static void read_back(const char *name, wz_text *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", scratch, name);
    wz_text_clear(text);
    ck_assert_int_eq(wz_file_read(path, 1 << 22, text, NULL), WZ_OK);
    ck_assert_int_eq(wz_text_append(text, "", 0, NULL), WZ_OK);
}

/* Runs `wavezero ARGUMENTS` through the shell; returns the exit status. */
static int run(const char *arguments)
{
    char command[1024];
    (void)snprintf(command, sizeof command, "'%s' %s >'%s/out' 2>'%s/log'", WZ_PROGRAM, arguments, scratch,
                   scratch);
    int status = system(command);
    read_back("out", &out);
    read_back("log", &log_text);
    ck_assert_msg(WIFEXITED(status), "%s died", command);
    return WEXITSTATUS(status);
}

/* A usage error: exit 2, this message alone on standard error, nothing on standard output. */
static void assert_usage_error(const char *arguments, const char *message)
{
    char expected[1200];
    ck_assert_int_eq(run(arguments), 2);
    (void)snprintf(expected, sizeof expected, "wavezero: error: %s\n", message);
    ck_assert_str_eq(log_text.data, expected);
    ck_assert_str_eq(out.data, "");
}

static json_t *parse_output(void)
{
    json_t *json = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(json != NULL, "no JSON: %s", out.data);
    return json;
}

START_TEST(version_prints_one_line)
{
    char start[64];
    int length = snprintf(start, sizeof start, "wavezero %s", WZ_VERSION);
    ck_assert_int_eq(run("--version"), 0);
    ck_assert_int_eq(strncmp(out.data, start, (size_t)length), 0);
    ck_assert_str_eq(log_text.data, "");
    ck_assert_int_eq(run("version"), 0);
    assert_usage_error("version now", "unexpected argument 'now'; usage: wavezero version");
}
END_TEST

START_TEST(help_explains_every_command)
{
    ck_assert_int_eq(run("--help"), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "\n  tasks "));
    ck_assert_ptr_nonnull(strstr(out.data, "Exit status: 0 done"));
    ck_assert_int_eq(run(""), 0);
    static const char *const commands[] = {"tasks", "inspect", "doctor", "help", "version"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; ++i) {
        char arguments[64];
        wz_text first = {0};
        (void)snprintf(arguments, sizeof arguments, "help %s", commands[i]);
        ck_assert_int_eq(run(arguments), 0);
        ck_assert_ptr_nonnull(strstr(out.data, "usage: wavezero "));
        ck_assert_int_eq(wz_text_append(&first, out.data, out.length, NULL), WZ_OK);
        if (strcmp(commands[i], "version") != 0) {
            (void)snprintf(arguments, sizeof arguments, "%s --help", commands[i]);
            ck_assert_int_eq(run(arguments), 0);
            ck_assert_str_eq(out.data, first.data);
        }
        wz_text_clear(&first);
    }
    ck_assert_int_eq(run("help config"), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "\n  learning_rate: 0.002\n"));
    ck_assert_int_eq(run("help config --markdown"), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "| `task.links` |"));
    assert_usage_error("help taks", "no help on 'taks' (did you mean 'tasks'?)");
}
END_TEST

START_TEST(bad_usage_exits_2_with_a_suggestion)
{
    assert_usage_error("inspct x", "unknown command 'inspct' (did you mean 'inspect'?)");
    assert_usage_error("frobnicate", "unknown command 'frobnicate'; `wavezero help` lists the commands");
    assert_usage_error("tasks --jsn", "unknown option '--jsn' (did you mean '--json'?)");
    assert_usage_error("tasks --wibble", "unknown option '--wibble'; --help lists the options");
    assert_usage_error("tasks --json --json", "--json is given twice");
    assert_usage_error("tasks --json=1", "--json takes no value, found '1'");
    assert_usage_error("tasks --problems", "--problems needs a value: --problems N");
    assert_usage_error("tasks --problems 1.5",
                       "--problems: expected a whole number from 1 to 1000000000, found '1.5'");
    assert_usage_error("tasks --problems=0x3",
                       "--problems: expected a whole number from 1 to 1000000000, found '0x3'");
    assert_usage_error("tasks --split tset",
                       "--split: expected train, validation or test, found 'tset' (did you mean 'test'?)");
    assert_usage_error("tasks prnt", "unknown form 'tasks prnt' (did you mean 'print'?)");
    assert_usage_error("tasks print task.lnks=3",
                       "override 'task.lnks=3': unknown key 'task.lnks' (did you mean 'task.links'?)");
    assert_usage_error("tasks print --first 4294967295 --problems 2",
                       "a split has problems 0 to 4294967295; lower --first or --problems");
    assert_usage_error("inspect", "an argument is missing; usage: wavezero inspect FILE [--json]");
    assert_usage_error("inspect a b", "unexpected argument 'b'; usage: wavezero inspect FILE [--json]");
    assert_usage_error("export a.h5 --format ggml", "--format ggml: unknown (did you mean 'gguf'?)");
    assert_usage_error("export a.h5 --format gguff", "--format gguff: unknown (did you mean 'gguf'?)");
    assert_usage_error("export a.h5 --format transformers",
                       "--format transformers: unknown (did you mean 'hf'?)");
    assert_usage_error("export a.h5 --format tar",
                       "--format tar: unknown; `wavezero help export` lists the formats");
    assert_usage_error("doctor x", "unexpected argument 'x'; usage: wavezero doctor [--json]");
}
END_TEST

START_TEST(results_on_a_full_device_exit_5)
{
    char command[256];
    (void)snprintf(command, sizeof command, "'%s' --help >/dev/full 2>'%s/log'", WZ_PROGRAM, scratch);
    int status = system(command);
    ck_assert_int_eq(WEXITSTATUS(status), 5);
    read_back("log", &log_text);
    ck_assert_ptr_nonnull(strstr(log_text.data, "cannot write the results"));
}
END_TEST

/* ---- tasks ---- */

START_TEST(tasks_list_names_families_and_options)
{
    ck_assert_int_eq(run("tasks"), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "power_control: "));
    ck_assert_ptr_nonnull(strstr(out.data, "  task.links "));
    ck_assert_int_eq(run("tasks list --json"), 0);
    json_t *json = parse_output();
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(json, 0), "name")), "power_control");
    const json_t *channel = json_array_get(json_object_get(json_array_get(json, 0), "options"), 3);
    ck_assert_str_eq(json_string_value(json_object_get(channel, "default")), "rayleigh");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(channel, "names"), 2)), "umi");
    json_decref(json);
}
END_TEST

/* One JSON object a line; other splits, seeds and indices are other problems. */
START_TEST(tasks_print_is_reproducible_json_lines)
{
    wz_text first = {0};
    ck_assert_int_eq(run("tasks print --json --problems 4 task.links=4"), 0);
    ck_assert_int_eq(wz_text_append(&first, out.data, out.length, NULL), WZ_OK);
    size_t lines = 0;
    for (const char *at = out.data; (at = strchr(at, '\n')) != NULL; ++at)
        ++lines;
    ck_assert_uint_eq(lines, 4);
    ck_assert_int_eq(run("tasks print --json --problems 4 task.links=4"), 0);
    ck_assert_str_eq(out.data, first.data);
    ck_assert_int_eq(run("tasks print --json --problems 1 --first 2 task.links=4"), 0);
    ck_assert_ptr_nonnull(strstr(first.data, out.data));
    json_t *json = parse_output();
    ck_assert_int_eq(json_integer_value(json_object_get(json, "index")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "size")), 4);
    ck_assert(json_is_true(json_object_get(json, "exact")));
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(json, "prompt")), "<answer>"));
    json_decref(json);
    ck_assert_int_eq(run("tasks print --json --problems 4 --split train task.links=4"), 0);
    ck_assert_str_ne(out.data, first.data);
    ck_assert_int_eq(run("tasks print prompt_style=full --problems 1"), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "problem 0 of test\n"));
    wz_text_clear(&first);
}
END_TEST

static double baseline(const json_t *json, const char *name, const char *field)
{
    return json_number_value(
        json_object_get(json_object_get(json_object_get(json, "baselines"), name), field));
}

/* K = 5, on/off, 0 dB over 1,000 problems. Per cent of WMMSE (ratio of means) and best of 16 random answers
 * (0.92 of the optimum) are published for this generator; the printed gains are whole decibels and the draws
 * are ours, so the bounds are 4 standard errors (standard deviation of the ratios over problems below 0.06,
 * 0.25 for full power: 0.008 and 0.03). */
START_TEST(tasks_baselines_lie_where_they_are_published)
{
    ck_assert_int_eq(run("tasks baselines --json task.links=5"), 0);
    json_t *json = parse_output();
    ck_assert_int_eq(json_integer_value(json_object_get(json, "problems")), 1000);
    ck_assert_double_eq(baseline(json, "optimum", "objective_ratio"), 1.0);
    ck_assert_double_eq(baseline(json, "optimum", "exact_optimum"), 1.0);
    ck_assert_double_eq(baseline(json, "wmmse", "percent_of_wmmse"), 100.0);
    ck_assert_double_eq_tol(baseline(json, "random_best_of_16", "objective_ratio"), 0.92, 0.008);
    ck_assert_double_gt(baseline(json, "greedy_adder", "percent_of_wmmse"), 100.0);
    ck_assert_double_gt(baseline(json, "optimum", "percent_of_wmmse"),
                        baseline(json, "greedy_adder", "percent_of_wmmse"));
    ck_assert_double_lt(baseline(json, "full", "objective_ratio"),
                        baseline(json, "strongest", "objective_ratio"));
    json_decref(json);
    ck_assert_int_eq(run("tasks baselines --problems 7 --best-of 2"), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "random_best_of_2 "));
    ck_assert_ptr_nonnull(strstr(out.data, "% of wmmse"));
    ck_assert_str_eq(log_text.data, "");
}
END_TEST

/* Figures of one family beside what is measured; the measurement of few problems is not judged here. */
START_TEST(tasks_published_measures_every_figure)
{
    size_t count = 0;
    for (size_t i = 0; i < wz_published_count; ++i)
        count += strcmp(wz_published_figures[i].task, "power_control") == 0;
    ck_assert_int_eq(run("tasks published --json --task power_control --problems 20"), 0);
    json_t *json = parse_output();
    const json_t *figures = json_object_get(json, "figures");
    ck_assert_uint_eq(json_array_size(figures), count);
    ck_assert_uint_eq((size_t)json_integer_value(json_object_get(json, "within")) +
                          (size_t)json_integer_value(json_object_get(json, "outside")),
                      count + WZ_SUN_FIGURES); /* all of them are checks */
    ck_assert_int_eq(json_integer_value(json_object_get(json, "no_check")), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "sun_test_set")), WZ_SUN_FIGURES);
    for (size_t i = 0; i < count; ++i) {
        const json_t *figure = json_array_get(figures, i);
        ck_assert_str_eq(json_string_value(json_object_get(figure, "task")), "power_control");
        ck_assert_int_eq(json_integer_value(json_object_get(figure, "problems")), 20);
        ck_assert(isfinite(json_number_value(json_object_get(figure, "measured"))));
        ck_assert_double_gt(json_number_value(json_object_get(figure, "standard_error")), 0);
    }
    json_decref(json);
    ck_assert_int_eq(run("tasks published --task power_control --problems 2"), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "power_control: links=10\n"));
    ck_assert_ptr_nonnull(strstr(out.data, " figures within their tolerance, "));
    ck_assert_str_eq(log_text.data, "");
    ck_assert_int_eq(run("tasks published --task offloading --problems 2"),
                     0); /* a network's score is no check */
    ck_assert_ptr_nonnull(strstr(out.data, "0.9972          -        -      0  no check  Huang"));
    ck_assert_ptr_nonnull(strstr(out.data, "; 1 more are no check\n"));
    assert_usage_error("tasks published --task powr_control",
                       "--task: unknown task 'powr_control' (did you mean 'power_control'?)");
    assert_usage_error("tasks print --task d2d",
                       "--task goes with published; elsewhere task.name=d2d chooses a task");
}
END_TEST

/* The published measurement and the baseline table are of the same problems. */
START_TEST(tasks_published_and_baselines_agree)
{
    ck_assert_int_eq(run("tasks baselines --json --problems 50 task.links=10"), 0);
    json_t *json = parse_output();
    const double ratio = baseline(json, "full", "objective_ratio"),
                 percent = baseline(json, "full", "percent_of_wmmse"),
                 mean = baseline(json, "wmmse", "mean_objective");
    json_decref(json);
    ck_assert_int_eq(run("tasks published --json --task power_control --problems 50"), 0);
    json = parse_output();
    const json_t *figures = json_object_get(json, "figures");
    int compared = 0;
    for (size_t i = 0; i < json_array_size(figures); ++i) {
        const json_t *figure = json_array_get(figures, i);
        const char *name = json_string_value(json_object_get(figure, "figure")),
                   *algorithm = json_string_value(json_object_get(figure, "algorithm"));
        const double measured = json_number_value(json_object_get(figure, "measured"));
        if (strcmp(json_string_value(json_object_get(figure, "options")), "links=10") != 0)
            continue;
        if (strcmp(algorithm, "full") == 0) {
            const double expected = strcmp(name, "% of wmmse") == 0 ? percent : ratio;
            ck_assert_double_eq_tol(measured, expected, 1e-12 * expected);
            ++compared;
        } else if (strcmp(algorithm, "wmmse") == 0 && strcmp(name, "mean") == 0) {
            ck_assert_double_eq_tol(measured, mean, 1e-12 * mean);
            ++compared;
        }
    }
    ck_assert_int_eq(compared, 3);
    json_decref(json);
}
END_TEST

/* One line for each family at its defaults, at least. */
START_TEST(tasks_baselines_of_all_families)
{
    ck_assert_int_eq(run("tasks baselines --all --json --problems 2"), 0);
    size_t lines = 0, families = 0;
    for (const char *at = out.data; (at = strchr(at, '\n')) != NULL; ++at)
        ++lines;
    for (size_t i = 0; wz_tasks[i] != NULL; ++i) {
        char start[80];
        (void)snprintf(start, sizeof start, "{\"task\": \"%s\", ", wz_tasks[i]->name);
        ck_assert_msg(strstr(out.data, start) != NULL, "no table of %s", wz_tasks[i]->name);
        ++families;
    }
    ck_assert_uint_gt(lines, families); /* settings that figures are published of, too */
    assert_usage_error("tasks list --all", "--all goes with baselines");
}
END_TEST

/* ---- doctor ---- */

START_TEST(doctor_finds_this_machine_healthy)
{
    ck_assert_int_eq(run("doctor --json"), 0);
    json_t *json = parse_output();
    ck_assert(json_is_true(json_object_get(json, "healthy")));
    ck_assert_uint_gt(strlen(json_string_value(json_object_get(json, "blas_core"))), 0);
    json_decref(json);
    ck_assert_int_eq(run("doctor"), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "check: matrix product      ok\n"));
    ck_assert_ptr_null(strstr(out.data, "FAILED"));
}
END_TEST

/* The kernels that `wavezero doctor` works with where OPENBLAS_CORETYPE says this (NULL: nothing), and the processor's
 * vector units. */
static void look_at_kernels(const char *core_type, char kernels[32], char units[32])
{
    if (core_type == NULL)
        ck_assert_int_eq(unsetenv("OPENBLAS_CORETYPE"), 0);
    else
        ck_assert_int_eq(setenv("OPENBLAS_CORETYPE", core_type, 1), 0);
    ck_assert_int_eq(run("doctor --json"), 0);
    json_t *json = parse_output();
    (void)snprintf(kernels, 32, "%s", json_string_value(json_object_get(json, "blas_core")));
    (void)snprintf(units, 32, "%s", json_string_value(json_object_get(json, "vector_units")));
    json_decref(json);
}

/* On processors that OpenBLAS does not know, too; and what the user names stands. */
START_TEST(kernels_fit_the_processor)
{
    char kernels[32], units[32];
    look_at_kernels(NULL, kernels, units);
    if (strncmp(units, "AVX", 3) == 0) {
        static const char *const old[] = {"Prescott", "Core2", "Penryn", "Dunnington", "Nehalem", "Atom"};
        for (size_t i = 0; i < sizeof old / sizeof *old; i++)
            ck_assert_str_ne(kernels, old[i]);
        look_at_kernels("Nehalem", kernels, units);
        ck_assert_str_eq(kernels, "Nehalem");
    }
}
END_TEST

/* ---- inspect ---- */

static void write_checkpoint(const char *path, float last)
{
    const float weights[6] = {1, 2, 3, 4, 5, last};
    const float moments[6] = {0};
    const wz_checkpoint_tensor tensors[] = {
        {.group = "weights",
         .name = "model.embed_tokens.weight",
         .rank = 2,
         .shape = {2, 3},
         .data = weights},
        {.group = "adam_m", .name = "model.embed_tokens.weight", .rank = 2, .shape = {2, 3}, .data = moments},
    };
    const wz_checkpoint_text texts[] = {{"config", "seed: 5\n", 8}};
    const wz_checkpoint_content content = {
        .step = 12, .tensors = tensors, .tensor_count = 2, .texts = texts, .text_count = 1};
    wz_error err = {{0}};
    ck_assert_msg(wz_checkpoint_write(path, &content, &err) == WZ_OK, "%s", err.text);
}

static void digest_of(const char *file, char digest[33])
{
    char arguments[160];
    (void)snprintf(arguments, sizeof arguments, "inspect '%s/%s' --json", scratch, file);
    ck_assert_msg(run(arguments) == 0, "%s", log_text.data);
    json_t *json = parse_output();
    ck_assert_int_eq(json_integer_value(json_object_get(json, "step")), 12);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "parameters")), 6);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "tensors")), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json, "config")), "seed: 5\n");
    (void)snprintf(digest, 33, "%s", json_string_value(json_object_get(json, "weights_digest")));
    ck_assert_uint_eq(strlen(digest), 32);
    json_decref(json);
}

START_TEST(inspect_digest_differs_with_one_weight)
{
    char path[128];
    char digests[3][33];
    static const float last[3] = {6, 6, 7};
    for (int i = 0; i < 3; ++i) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d.h5", i);
        (void)snprintf(path, sizeof path, "%s/%s", scratch, name);
        write_checkpoint(path, last[i]);
        digest_of(name, digests[i]);
    }
    ck_assert_str_eq(digests[0], digests[1]);
    ck_assert_str_ne(digests[0], digests[2]);
    (void)snprintf(path, sizeof path, "inspect %s/0.h5", scratch);
    ck_assert_int_eq(run(path), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "step            12\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "2 x 3\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "configuration\nseed: 5\n"));
}
END_TEST

START_TEST(inspect_damaged_file_exits_3)
{
    char path[128];
    char arguments[160];
    wz_text data = {0};
    wz_error err = {{0}};
    (void)snprintf(path, sizeof path, "%s/a.h5", scratch);
    (void)snprintf(arguments, sizeof arguments, "inspect %s", path);
    ck_assert_int_eq(run("inspect no/such.h5 --json"), 2);
    ck_assert_ptr_nonnull(strstr(log_text.data, "no/such.h5: No such file or directory"));
    write_checkpoint(path, 6);
    ck_assert_int_eq(wz_file_read(path, 1 << 22, &data, &err), WZ_OK);
    ck_assert_int_eq(wz_file_replace(path, data.data, data.length / 2, &err), WZ_OK);
    ck_assert_int_eq(run(arguments), 3);
    ck_assert_ptr_nonnull(strstr(log_text.data, "a.h5"));
    ck_assert_str_eq(out.data, "");
    ck_assert_int_eq(wz_file_replace(path, "text", 4, &err), WZ_OK);
    ck_assert_int_eq(run(arguments), 3);
    wz_text_clear(&data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli");
    TCase *tests = tcase_create("cli");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, version_prints_one_line);
    tcase_add_test(tests, help_explains_every_command);
    tcase_add_test(tests, bad_usage_exits_2_with_a_suggestion);
    tcase_add_test(tests, results_on_a_full_device_exit_5);
    tcase_add_test(tests, tasks_list_names_families_and_options);
    tcase_add_test(tests, tasks_print_is_reproducible_json_lines);
    tcase_add_test(tests, tasks_baselines_lie_where_they_are_published);
    tcase_add_test(tests, tasks_published_measures_every_figure);
    tcase_add_test(tests, tasks_published_and_baselines_agree);
    tcase_add_test(tests, tasks_baselines_of_all_families);
    tcase_add_test(tests, doctor_finds_this_machine_healthy);
    tcase_add_test(tests, kernels_fit_the_processor);
    tcase_add_test(tests, inspect_digest_differs_with_one_weight);
    tcase_add_test(tests, inspect_damaged_file_exits_3);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
