/* A user's own channels as problems of each family that takes them, and problem sets that are read and joined. */
#include <math.h>
#include <sys/stat.h>

#include "engine/core/output.h"
#include "tasks/task.h"
#include "tests/program.h"
#include "tests/suite.h"

static program p;
static wz_error err;

static void set_up(void)
{
    program_create(&p);
    memset(&err, 0, sizeof err);
}

static void tear_down(void)
{
    program_destroy(&p);
}

static const char *file(const char *name)
{
    return temporary_path(&p.where, name);
}

static void write_text(const char *name, const char *text)
{
    temporary_write(file(name), text, strlen(text));
}

/* ---- problems, by hand ---- */

/* dB: 0 -10 -inf / 3 10 -90 / -3 -6 30; the last link comes first. Rates log2(1 + g) in tenths: 1 is 10, 3 is 20, 7 is 30, 15
 * is 40, 31 is 50. */
static const struct {
    const char *task;
    size_t rows, columns;
    double gain[9];
    int32_t numbers[9];
    uint8_t source[3];
    size_t clipped;
} imports[] = {
    {"power_control",
     3,
     3,
     {1, .1, 0, 2, 10, 1e-9, .5, .25, 1e3},
     {44, 24, 27, 0, 40, 33, 0, 20, 30},
     {2, 1, 0},
     3},
    {"max_min",
     3,
     3,
     {1, .1, 0, 2, 10, 1e-9, .5, .25, 1e3},
     {50, 14, 17, 0, 30, 23, 0, 10, 20},
     {2, 1, 0},
     2},
    {"energy_efficiency",
     3,
     3,
     {1, .1, 0, 2, 10, 1e-9, .5, .25, 1e3},
     {50, 14, 17, 0, 30, 23, 0, 10, 20},
     {2, 1, 0},
     2},
    {"d2d", 3, 3, {1, .1, 0, 2, 10, 1e-9, .5, .25, 1e3}, {30, 0, 0, 0, 10, 3, 0, 0, 0}, {2, 1, 0}, 5},
    /* the second user would lose 40 without its best block, the first 10 */
    {"assignment", 2, 2, {1, 3, 15, 0}, {40, 0, 10, 20}, {1, 0}, 0},
    /* sums 60 and 91; best rates of blocks 40, 20, 50; the poorest can have 40 (the first user blocks 2 and 3): 0.6 of it */
    {"ofdma", 2, 3, {1, 3, 7, 15, 0, 31}, {24, 50, 30, 40, 10, 1, 20}, {1, 0}, 1},
    {"water_filling", 1, 3, {1, 10, 100}, {40, 30, 20}, {2, 1, 0}, 0},
    {"water_filling", 3, 1, {1, 10, 1e5}, {60, 30, 20}, {2, 1, 0}, 1},
    {"isac", 2, 3, {10, 1, 100, 3, 6, 1.5}, {20, 20, 10, 30, 5, 40}, {1, 0, 2}, 0},
    /* the first user loses nothing without its best channel */
    {"semantic", 2, 2, {10, 10, 100, 1}, {30, 10, 20, 20}, {1, 0}, 0},
};

START_TEST(import_of_a_table_gives_the_numbers_by_hand)
{
    const wz_task *task = wz_task_find(imports[_i].task);
    double values[WZ_TASK_MAX_OPTIONS];
    wz_problem problem, again;
    wz_task_default_values(task, values);
    ck_assert_msg(task->import(values, imports[_i].rows, imports[_i].columns, imports[_i].gain, 7, &problem,
                               &err) == WZ_OK,
                  "%s", err.text);
    for (size_t i = 0; i < problem.number_count; i++)
        ck_assert_msg(problem.numbers[i] == imports[_i].numbers[i], "%s: number %zu is %d, not %d",
                      task->name, i + 1, problem.numbers[i], imports[_i].numbers[i]);
    ck_assert_mem_eq(problem.source, imports[_i].source, problem.size);
    ck_assert_uint_eq(problem.clipped, imports[_i].clipped);
    ck_assert_uint_eq(problem.index, 7);
    ck_assert_msg(wz_problem_from_numbers(task, problem.values, problem.numbers, problem.number_count, &again,
                                          &err) == WZ_OK,
                  "%s", err.text);
    wz_problem_clear(&again);
    wz_problem_clear(&problem);
}
END_TEST

static const struct {
    const char *task;
    size_t rows, columns;
    double gain[9];
    const char *message;
} refusals[] = {
    {"max_min", 2, 3, {1, 1, 1, 1, 1, 1}, "2 x 3; it must be square, one row per receiver"},
    {"d2d",
     2,
     2,
     {1e-9, 1, 1, 1e-9},
     "every direct gain (the diagonal) lies below the printed range of 0..120 dB"},
    {"energy_efficiency", 2, 2, {1, 1, NAN, 1}, "row 2, column 1 is nan"},
    {"assignment", 2, 3, {1, 1, 1, 1, 1, 1}, "2 x 3; it must be square, one row per user"},
    {"assignment", 1, 1, {1}, "1 x 1; 2 to 16 users are possible"},
    {"assignment", 2, 2, {1e-12, 1e-12, 1e-12, 1e-12}, "all rates are 0"},
    {"assignment", 2, 2, {1e9, 1e9, 1e9, 1e9}, "every gain lies outside the printed range of rates up to 20"},
    {"ofdma", 3, 2, {1, 1, 1, 1, 1, 1}, "at least as many as users"},
    {"ofdma",
     2,
     2,
     {1e-12, 1e-12, 1e-12, 1e-12},
     "every gain lies outside the printed range of rates of 0.1"},
    {"water_filling", 2, 2, {1, 1, 1, 1}, "one row, a column per channel"},
    {"water_filling", 1, 2, {1e-12, 1e-12}, "every gain lies outside the printed range of -20..40 dB"},
    {"water_filling", 1, 2, {1, -1}, "column 2 is -1; a linear power gain cannot be negative"},
    {"isac", 3, 2, {1, 1, 1, 1, 1, 1}, "two rows, gains and the target's responses"},
    {"isac", 2, 2, {1, 1, 0, 0}, "the largest sensing response is 0"},
    {"semantic", 3, 2, {1, 1, 1, 1, 1, 1}, "at least as many as users"},
};

START_TEST(import_of_what_is_no_table_of_the_family_says_why)
{
    const wz_task *task = wz_task_find(refusals[_i].task);
    double values[WZ_TASK_MAX_OPTIONS];
    wz_problem problem;
    wz_task_default_values(task, values);
    ck_assert_int_eq(
        task->import(values, refusals[_i].rows, refusals[_i].columns, refusals[_i].gain, 0, &problem, &err),
        WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, refusals[_i].message) != NULL, "no '%s' in: %s", refusals[_i].message,
                  err.text);
    ck_assert_ptr_eq(strstr(err.text, task->name), err.text);
}
END_TEST

/* ---- sets ---- */

static wz_text text_of(const char *name)
{
    wz_text text = {0};
    ck_assert_msg(wz_file_read(file(name), 1 << 24, &text, &err) == WZ_OK, "%s", err.text);
    return text;
}

static void assert_same_file(const char *a, const char *b)
{
    wz_text first = text_of(a), second = text_of(b);
    ck_assert_uint_eq(first.length, second.length);
    ck_assert_mem_eq(first.data, second.data, first.length);
    wz_text_clear(&first);
    wz_text_clear(&second);
}

START_TEST(tasks_import_converts_sets_there_and_back)
{
    static const char mixture[] =
        "task_mixture:\n  - power_control links=3\n  - deadline\n  - isac tones=3\n";
    write_text("mix.yaml", mixture);
    program_succeed(&p, "tasks export @/a.jsonl --problems 4 --split validation --config @/mix.yaml");
    char digest[40];
    (void)snprintf(digest, sizeof digest, "%.32s", strstr(p.out, "digest ") + 7);
    program_succeed(&p, "tasks import @/a.jsonl -o @/a.h5");
    ck_assert_ptr_nonnull(strstr(p.out, "12 problems verified and written"));
    ck_assert_ptr_nonnull(strstr(p.out, digest));
    program_succeed(&p, "tasks import @/a.h5 -o @/b.jsonl");
    assert_same_file("a.jsonl", "b.jsonl");
    program_succeed(&p, "tasks export @/c.h5 --problems 4 --split validation --config @/mix.yaml");
    assert_same_file("a.h5", "c.h5");
}
END_TEST

START_TEST(tasks_import_joins_sets_and_channels)
{
    write_text("g.csv", "9,4,1,2\n");
    program_succeed(&p, "tasks export @/a.jsonl --problems 3 task.name=water_filling");
    program_succeed(&p, "tasks export @/b.h5 --problems 2 task.name=max_min");
    program_succeed(&p, "tasks import @/a.jsonl @/g.csv @/b.h5 -o @/all.h5 task.name=water_filling --json");
    ck_assert_ptr_nonnull(strstr(p.out, "\"problems\": 6"));
    program_succeed(&p, "tasks check @/all.h5");
    ck_assert_ptr_nonnull(
        strstr(p.out, "4  water_filling channels=4 (optimum), 1 of them a user's own numbers"));
    ck_assert_ptr_nonnull(strstr(p.out, "2  max_min"));
}
END_TEST

START_TEST(tasks_import_of_a_changed_set_writes_nothing)
{
    program_succeed(&p, "tasks export @/a.jsonl --problems 3");
    wz_text text = text_of("a.jsonl");
    char *split = strstr(strchr(text.data, '\n'), "\"test\"");
    memcpy(split, "\"exam\"", 6);
    temporary_write(file("a.jsonl"), text.data, text.length);
    wz_text_clear(&text);
    program_fail(&p, 3, "a.jsonl:2: key 'split' must be", "tasks import @/a.jsonl -o @/b.h5");
    ck_assert(!wz_path_exists(file("b.h5")));
    ck_assert(!wz_path_exists(file("b.h5" WZ_OUTPUT_SUFFIX)));
}
END_TEST

START_TEST(tasks_import_says_what_it_cannot_take)
{
    write_text("g.csv", "9,1\n1,4\n");
    ck_assert_int_eq(mkfifo(file("pipe.csv"), 0600), 0);
    program_fail(&p, 2, "needs -o FILE", "tasks import @/g.csv");
    program_fail(&p, 2, "tasks import needs a file", "tasks import");
    program_fail(&p, 2, "-o goes with import", "tasks print -o @/a.h5");
    program_fail(&p, 2, "without --gains", "tasks import @/g.csv -o @/a.h5 --gains @/g.csv");
    program_fail(&p, 2, "pipe.csv is no regular file", "tasks import @/pipe.csv -o @/a.h5");
    program_fail(&p, 2, "pipe.csv is no regular file", "tasks check @/pipe.csv");
    program_fail(&p, 2, "pipe.csv is no regular file", "tasks export @/a.h5 --gains @/pipe.csv");
    program_fail(&p, 2, "cannot open", "tasks import @/none.csv -o @/a.h5");
    program_fail(&p, 2, "these do: power_control, ", "tasks import @/g.csv -o @/a.h5 task.name=deadline");
    program_fail(&p, 2, "task.links=5 was given, but the table in the file is one of task.links=2",
                 "tasks export @/a.h5 --gains @/g.csv task.links=5");
    program_fail(&p, 2, "task.links=5 was given", "tasks import @/g.csv -o @/a.h5 task.links=5");
    program_succeed(&p, "tasks import @/g.csv -o @/a.h5 task.links=2 task.levels=4");
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=1 eval_steps=0 eval_problems=4");
    program_fail(&p, 2, "task.links=4 was given",
                 "generate @/run/checkpoints/best.h5 --gains @/g.csv task.links=4");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("own_gains");
    TCase *cases = tcase_create("own_gains");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, import_of_a_table_gives_the_numbers_by_hand, 0,
                        (int)(sizeof imports / sizeof imports[0]));
    tcase_add_loop_test(cases, import_of_what_is_no_table_of_the_family_says_why, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_test(cases, tasks_import_converts_sets_there_and_back);
    tcase_add_test(cases, tasks_import_joins_sets_and_channels);
    tcase_add_test(cases, tasks_import_of_a_changed_set_writes_nothing);
    tcase_add_test(cases, tasks_import_says_what_it_cannot_take);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
