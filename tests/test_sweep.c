/* `wavezero sweep`, end to end: runs, rerun, kill -9, interrupts, failures. */
#include <math.h>
#include <time.h>

#include "engine/core/folder.h"
#include "tests/program.h"
#include "tests/suite.h"

/* 2 x 2 runs of a tenth of a second. */
#define GRID                                                                                                 \
    TINY " threads=1 model.hidden_size=16 model.intermediate_size=16 eval_problems=10 "                      \
         "generation_batch_size=16 max_steps=20 save_steps=2 learning_rate=0.003,0.03 seed=1..2"

static program p;

/* One place for all tests, with a sweep that nothing disturbed. */
static void make_place(void)
{
    program_create(&p);
    program_succeed(&p, "sweep " GRID " --output-dir @/whole --jobs 2 --metric reward");
}

static void remove_place(void)
{
    program_destroy(&p);
}

static void sleep_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

/* sweep.csv without its column of times. */
static void read_table(const char *sweep, wz_text *out)
{
    char name[64], text[1 << 14];
    (void)snprintf(name, sizeof name, "%s/sweep.csv", sweep);
    program_read(&p, name, text, sizeof text);
    wz_error err = {{0}};
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        int column = 0;
        for (char *rest = line, *field; (field = strsep(&rest, ",")) != NULL; column++)
            if (column != 5)
                ck_assert_int_eq(wz_text_printf(out, &err, "%s,", field), WZ_OK);
        ck_assert_int_eq(wz_text_append(out, "\n", 1, &err), WZ_OK);
    }
}

/* The runs' own checkpoints and metrics are those of `wavezero train` with the same keys; again, nothing is done. */
START_TEST(sweep_trains_the_grid_and_again_does_nothing)
{
    static const char *const files[] = {"whole/sweep.csv", "whole/sweep.json"};
    wz_text before[2] = {{0}, {0}}, after = {0};
    char *table = strdup(p.out);
    ck_assert_ptr_nonnull(strstr(p.log, "4 runs (2 points x 2 seeds)"));
    ck_assert_ptr_nonnull(strstr(p.log, "4 to start; 2 at a time"));
    ck_assert_ptr_nonnull(strstr(table, "4 of 4 runs complete"));
    program_succeed(&p, "train " TINY
                        " threads=2 model.hidden_size=16 model.intermediate_size=16 eval_problems=10 "
                        "generation_batch_size=16 max_steps=20 save_steps=2 learning_rate=0.03 seed=2 "
                        "output_dir=@/alone");
    assert_same_run(&p, "alone", "whole/learning_rate-0.03,seed-2", 20);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(wz_file_read(temporary_path(&p.where, files[i]), 1 << 20, &before[i], NULL), WZ_OK);
    program_succeed(&p, "sweep " GRID " --output-dir @/whole --metric reward");
    ck_assert_ptr_nonnull(strstr(p.log, "4 complete, 0 to resume, 0 to start"));
    ck_assert_str_eq(p.out, table);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(wz_file_read(temporary_path(&p.where, files[i]), 1 << 20, &after, NULL), WZ_OK);
        ck_assert_str_eq(after.data, before[i].data);
        wz_text_clear(&after);
        wz_text_clear(&before[i]);
    }
    free(table);
}
END_TEST

/* The table's figures, found again from the runs' metrics.jsonl. */
static double last_score(const char *run)
{
    char path[128];
    json_t *row = NULL;
    double score = -1.0;
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    FILE *file = fopen(temporary_path(&p.where, path), "r");
    ck_assert_ptr_nonnull(file);
    while ((row = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
        const json_t *value = json_object_get(row, "eval_objective_ratio");
        score = value != NULL ? json_number_value(value) : score;
        json_decref(row);
    }
    (void)fclose(file);
    return score;
}

/* Fields of a line as RFC 4180 has them: bare, or in double quotes, which stand twice within. */
static size_t split_csv(const char *line, char fields[][128], size_t most)
{
    size_t count = 0;
    for (const char *at = line;; at++) {
        size_t length = 0;
        const bool is_quoted = *at == '"';
        ck_assert_uint_lt(count, most);
        for (at += is_quoted; *at != '\0' && (is_quoted || *at != ','); at++) {
            if (is_quoted && *at == '"' && *++at != '"')
                break;
            ck_assert_uint_lt(length, 127);
            fields[count][length++] = *at;
        }
        fields[count++][length] = '\0';
        ck_assert_msg(*at == ',' || *at == '\0', "after a field: %s", at);
        if (*at == '\0')
            return count;
    }
}

/* Names of runs hold commas. */
START_TEST(csv_has_as_many_fields_in_every_line)
{
    char text[1 << 14], fields[12][128], path[160];
    program_read(&p, "whole/sweep.csv", text, sizeof text);
    char *rest = text, *line = strsep(&rest, "\n");
    ck_assert_uint_eq(split_csv(line, fields, 12), 8);
    ck_assert_str_eq(fields[0], "point");
    ck_assert_str_eq(fields[6], "reward");
    ck_assert_str_eq(fields[7], "directory");
    for (int run = 0; run < 4; run++) {
        static const char *const points[] = {"learning_rate=0.003", "learning_rate=0.03"};
        ck_assert_uint_eq(split_csv(strsep(&rest, "\n"), fields, 12), 8);
        ck_assert_str_eq(fields[0], points[run / 2]);
        (void)snprintf(path, sizeof path, "whole/%s", fields[7]);
        ck_assert_double_eq_tol(strtod(fields[3], NULL), last_score(path), 1e-15);
    }
    ck_assert_str_eq(rest, "");
}
END_TEST

START_TEST(json_holds_means_and_differences_of_the_runs)
{
    program_succeed(&p, "sweep " GRID " --output-dir @/whole --dry-run --json");
    json_t *root = json_loads(p.out, 0, NULL);
    ck_assert_ptr_nonnull(root);
    const double a[] = {last_score("whole/learning_rate-0.003,seed-1"),
                        last_score("whole/learning_rate-0.003,seed-2")};
    const double b[] = {last_score("whole/learning_rate-0.03,seed-1"),
                        last_score("whole/learning_rate-0.03,seed-2")};
    const json_t *second = json_array_get(json_object_get(root, "points"), 1);
    const json_t *final = json_object_get(second, "final"),
                 *less = json_object_get(second, "final_less_first_point");
    ck_assert_str_eq(json_string_value(json_object_get(second, "point")), "learning_rate=0.03");
    ck_assert_double_eq_tol(json_number_value(json_object_get(final, "mean")), (b[0] + b[1]) / 2.0, 1e-12);
    ck_assert_double_eq_tol(json_number_value(json_object_get(final, "deviation")),
                            fabs(b[0] - b[1]) / sqrt(2.0), 1e-12);
    ck_assert_double_eq_tol(json_number_value(json_object_get(less, "difference")),
                            (b[0] + b[1] - a[0] - a[1]) / 2.0, 1e-12);
    json_decref(root);
}
END_TEST

/* ---- stopping ---- */

static void wait_for(const char *name)
{
    for (int i = 0; i < 20000 && !wz_path_exists(temporary_path(&p.where, name)); i++)
        sleep_ms(1);
    ck_assert_msg(wz_path_exists(temporary_path(&p.where, name)), "%s", name);
}

/* The sweep is killed while its second run trains; that run saves and ends by itself. */
START_TEST(kill_then_the_same_command_gives_the_same_table)
{
    wz_text whole = {0}, killed = {0};
    pid_t child = program_begin(&p, "sweep " GRID " --output-dir @/killed");
    wait_for("killed/learning_rate-0.003,seed-2/checkpoints/step-00000002.h5");
    (void)kill(child, SIGKILL);
    ck_assert_int_eq(program_wait(&p, child), 1000 + SIGKILL);
    ck_assert(!wz_path_exists(temporary_path(&p.where, "killed/learning_rate-0.03,seed-1")));
    program_succeed(&p, "sweep " GRID " --output-dir @/killed --metric reward");
    ck_assert_ptr_nonnull(strstr(p.log, "1 complete, 1 to resume, 2 to start"));
    read_table("whole", &whole);
    read_table("killed", &killed);
    ck_assert_str_eq(killed.data, whole.data);
    assert_same_run(&p, "whole/learning_rate-0.003,seed-2", "killed/learning_rate-0.003,seed-2", 20);
    wz_text_clear(&whole);
    wz_text_clear(&killed);
}
END_TEST

static bool has_step(const char *run, long least)
{
    char path[128];
    wz_names names;
    bool found = false;
    (void)snprintf(path, sizeof path, "%s/checkpoints", run);
    if (wz_folder_list(temporary_path(&p.where, path), &names, NULL) != WZ_OK)
        return false;
    for (size_t i = 0; i < names.count; i++)
        found |= strncmp(names.items[i], "step-", 5) == 0 && strtol(names.items[i] + 5, NULL, 10) >= least;
    wz_names_clear(&names);
    return found;
}

START_TEST(interrupt_saves_the_runs_and_says_so)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    pid_t child =
        program_begin(&p,
                      "sweep " TINY " threads=1 max_steps=100000 eval_steps=0 save_steps=0 seed=1..3 "
                      "--jobs 2 --output-dir @/stopped%d",
                      _i);
    char runs[3][64], path[128];
    for (int r = 0; r < 3; r++)
        (void)snprintf(runs[r], sizeof runs[r], "stopped%d/baseline,seed-%d", _i, r + 1);
    for (int r = 0; r < 2; r++) {
        (void)snprintf(path, sizeof path, "%s/checkpoints/step-00000000.h5", runs[r]);
        wait_for(path);
    }
    sleep_ms(200);
    (void)kill(child, numbers[_i]);
    const int status = program_wait(&p, child);
    ck_assert_msg(status == 128 + numbers[_i], "exit %d: %s", status, p.log);
    ck_assert_ptr_nonnull(strstr(p.log, "the runs save and end"));
    ck_assert(has_step(runs[0], 1) || has_step(runs[1], 1));
    ck_assert(!wz_path_exists(temporary_path(&p.where, runs[2])));
    ck_assert_str_eq(p.out, "");
    int lock = -1; /* no process holds the run any more */
    (void)snprintf(path, sizeof path, "%s/LOCK", runs[0]);
    ck_assert_int_eq(wz_lock_acquire(temporary_path(&p.where, path), &lock, NULL), WZ_OK);
    wz_lock_release(lock);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(failed_run_is_reported_and_the_others_go_on)
{
    ck_assert_int_eq(
        program_run(&p, "sweep " TINY " max_steps=2 memory_limit_gb=0.0000001,0 --output-dir @/failed"), 1);
    ck_assert_ptr_nonnull(strstr(p.log, "wavezero: error: 1 of 2 runs failed"));
    ck_assert_ptr_nonnull(strstr(p.log, "memory_limit_gb-0.0000001,seed-3: failed, exit status 5"));
    ck_assert_ptr_nonnull(strstr(p.log, "    wavezero: error: weights of"));
    ck_assert_ptr_nonnull(strstr(p.log, "memory_limit_gb-0,seed-3: held-out objective ratio"));
    ck_assert_ptr_nonnull(strstr(p.out, "1 of 2 runs complete"));
}
END_TEST

START_TEST(wrong_keys_and_other_sweeps_are_refused_before_anything_starts)
{
    program_fail(&p, 2, "unknown key 'learning_rat'", "sweep " TINY " learning_rat=1,2 --output-dir @/wrong");
    program_fail(&p, 2, "point 'loss_type=grop'", "sweep " TINY " loss_type=grpo,grop --output-dir @/wrong");
    program_fail(&p, 2, "usage: wavezero sweep", "sweep --output-dir @/wrong");
    ck_assert(!wz_path_exists(temporary_path(&p.where, "wrong")));
    program_succeed(&p, "sweep " TINY " max_steps=2 seed=1,2 --output-dir @/one --dry-run");
    ck_assert(!wz_path_exists(temporary_path(&p.where, "one")));
    program_succeed(&p, "sweep " TINY " max_steps=2 seed=1 --output-dir @/one");
    program_fail(&p, 2, "begun with learning_rate: 0.003, where this one has 0.1",
                 "sweep " TINY " max_steps=2 learning_rate=0.1 seed=1 --output-dir @/one");
    program_fail(&p, 2, "begun with task.links: 4, where this one has 5",
                 "sweep " TINY " max_steps=2 task.links=5 seed=1 --output-dir @/one");
    program_succeed(&p, "sweep " TINY " max_steps=2 threads=1 seed=1,2 --output-dir @/one"); /* it may grow */
    ck_assert_ptr_nonnull(strstr(p.log, "1 complete, 0 to resume, 1 to start"));
    program_succeed(&p, "train " TINY " max_steps=2 seed=7 output_dir=@/one/baseline,seed-7");
    program_fail(&p, 2, "a run that is not this sweep's",
                 "sweep " TINY " max_steps=2 seed=7 --output-dir @/one");
}
END_TEST

START_TEST(sets_and_star_reach_the_plan)
{
    program_succeed(&p, "sweep " TINY
                        " loss_type=dapo,grpo seed=5 --set none:entropy_coef=0 --set=high:entropy_coef=0.5 "
                        "--one-at-a-time --output-dir @/star --dry-run");
    ck_assert_ptr_nonnull(strstr(p.log, "loss_type=dapo: the same configuration as baseline, run once"));
    ck_assert_ptr_nonnull(strstr(p.log, "baseline,seed-5: to start\nloss_type-grpo,seed-5: to start\n"
                                        "none,seed-5: to start\nhigh,seed-5: to start\n4 runs"));
    ck_assert_ptr_nonnull(
        strstr(p.out, "\nbaseline: loss_type=dapo entropy_coef=0.1\nnone: entropy_coef=0\n"));
}
END_TEST

START_TEST(second_sweep_in_a_folder_is_refused)
{
    pid_t child = program_begin(&p, "sweep " TINY " max_steps=100000 eval_steps=0 --output-dir @/busy");
    program second = p;
    wait_for("busy/baseline,seed-3/checkpoints/step-00000000.h5");
    ck_assert_int_eq(program_run(&second, "sweep " TINY " max_steps=100000 eval_steps=0 --output-dir @/busy"),
                     1);
    ck_assert_ptr_nonnull(strstr(second.log, "busy/LOCK"));
    (void)kill(child, SIGTERM);
    ck_assert_int_eq(program_wait(&p, child), 128 + SIGTERM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sweep");
    TCase *tests = tcase_create("sweep");
    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, sweep_trains_the_grid_and_again_does_nothing);
    tcase_add_test(tests, csv_has_as_many_fields_in_every_line);
    tcase_add_test(tests, json_holds_means_and_differences_of_the_runs);
    tcase_add_test(tests, kill_then_the_same_command_gives_the_same_table);
    tcase_add_loop_test(tests, interrupt_saves_the_runs_and_says_so, 0, 2);
    tcase_add_test(tests, failed_run_is_reported_and_the_others_go_on);
    tcase_add_test(tests, wrong_keys_and_other_sweeps_are_refused_before_anything_starts);
    tcase_add_test(tests, sets_and_star_reach_the_plan);
    tcase_add_test(tests, second_sweep_in_a_folder_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
