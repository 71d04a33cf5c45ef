/* What a sweep runs, from its command line, and the statistics of its table. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "engine/run/environment.h"
#include "engine/run/sweep.h"
#include "engine/run/sweep_stats.h"
#include "tests/suite.h"

#define TINY WZ_TEST_DATA "/config/tiny.yaml"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* "name{assignment assignment}|..." */
static void describe(const wz_sweep_grid *grid, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < grid->count; i++) {
        used +=
            (size_t)snprintf(out + used, size - used, "%s%s{", i > 0 ? "|" : "", grid->points[i].name.data);
        const char *between = "";
        for (const char *at = NULL; (at = wz_sweep_next(&grid->points[i].assignments, at)) != NULL;
             between = ";")
            used += (size_t)snprintf(out + used, size - used, "%s%s", between, at);
        used += (size_t)snprintf(out + used, size - used, "}");
    }
}

static void list(const wz_text *texts, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (const char *at = NULL; (at = wz_sweep_next(texts, at)) != NULL;)
        used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ";" : "", at);
}

static void expect(const wz_sweep_request *request, const char *points, const char *fixed, const char *seeds)
{
    char text[4096];
    wz_sweep_grid grid;
    wz_error err = {{0}};
    ck_assert_msg(wz_sweep_expand(request, &grid, &err) == WZ_OK, "%s", err.text);
    describe(&grid, text, sizeof text);
    ck_assert_str_eq(text, points);
    list(&grid.fixed, text, sizeof text);
    ck_assert_str_eq(text, fixed);
    list(&grid.seeds, text, sizeof text);
    ck_assert_str_eq(text, seeds);
    wz_sweep_grid_clear(&grid);
}

static void expect_failure(const wz_sweep_request *request, const char *message)
{
    wz_sweep_grid grid;
    wz_error err = {{0}};
    ck_assert_int_eq(wz_sweep_expand(request, &grid, &err), WZ_ERR_USAGE);
    ck_assert_msg(strstr(err.text, message) != NULL, "no '%s' in: %s", message, err.text);
    ck_assert_uint_eq(grid.count, 0);
}

START_TEST(expand_lists_ranges_and_seeds_gives_the_product)
{
    const char *const arguments[] = {"a=x,y", "max_steps=5", "b=-1..1,7", "seed=3,0..1,3"};
    const wz_sweep_request request = {.arguments = arguments, .argument_count = COUNT(arguments)};
    expect(&request,
           "a=x b=-1{a=x;b=-1}|a=x b=0{a=x;b=0}|a=x b=1{a=x;b=1}|a=x b=7{a=x;b=7}|"
           "a=y b=-1{a=y;b=-1}|a=y b=0{a=y;b=0}|a=y b=1{a=y;b=1}|a=y b=7{a=y;b=7}",
           "max_steps=5", "3;0;1");
}
END_TEST

START_TEST(expand_brackets_and_quotes_keep_commas)
{
    const char *const arguments[] = {"r=[ratio, format],[headroom]", "p=\"a, b\"", "q=", "s=\"0..2\",\"\"",
                                     "path=../0..1x"};
    const wz_sweep_request request = {.arguments = arguments, .argument_count = COUNT(arguments)};
    expect(&request,
           "r=ratio, format s=0..2{r=ratio, format;s=0..2}|r=ratio, format s={r=ratio, format;s=}|"
           "r=headroom s=0..2{r=headroom;s=0..2}|r=headroom s={r=headroom;s=}",
           "p=a, b;q=;path=../0..1x", "");
}
END_TEST

START_TEST(expand_one_at_a_time_gives_a_star)
{
    const char *const arguments[] = {"a=1,2", "f=0", "b=x,x,y"}, *const sets[] = {"no bonus: e=0 d=\"1, 2\"",
                                                                                  "own:"};
    wz_sweep_request request = {.arguments = arguments,
                                .argument_count = COUNT(arguments),
                                .sets = sets,
                                .set_count = 2,
                                .one_at_a_time = true};
    expect(&request, "baseline{}|a=1{a=1}|a=2{a=2}|b=x{b=x}|b=y{b=y}|no bonus{e=0;d=1, 2}|own{}", "f=0", "");
    request.one_at_a_time = false;
    request.argument_count = 1;
    expect(&request, "a=1 no bonus{a=1;e=0;d=1, 2}|a=1 own{a=1}|a=2 no bonus{a=2;e=0;d=1, 2}|a=2 own{a=2}",
           "", "");
    request.argument_count = request.set_count = 0;
    expect(&request, "baseline{}", "", "");
}
END_TEST

START_TEST(expand_refuses_what_it_cannot_mean)
{
    static const struct {
        const char *argument, *second, *set, *message;
    } cases[] = {{"a", NULL, NULL, "expected key=value"},
                 {"=1", NULL, NULL, "expected key=value"},
                 {"a=1,,2", NULL, NULL, "an empty item"},
                 {"a=1,", NULL, NULL, "an empty item"},
                 {"a=[1,2", NULL, NULL, "is not closed"},
                 {"a=\"1,2", NULL, NULL, "is not closed"},
                 {"a=3..1", NULL, NULL, "from low to high"},
                 {"a=0..10000", NULL, NULL, "at most 10000"},
                 {"a=0..999", "b=0..10", NULL, "over 10000 points"},
                 {"a=1", "a=2", NULL, "a is given twice"},
                 {"a=1", NULL, "name", "NAME: key=value"},
                 {"a=1", NULL, "b=1: c=2", "NAME: key=value"},
                 {"a=1", NULL, "s: b", "expected key=value"},
                 {"a=1", NULL, "s: seed=1", "with each seed"},
                 {"a=1", NULL, "baseline: b=1", "choose another name"},
                 {"a=1,2", NULL, "s: a=3", "several values of its own"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *const arguments[] = {cases[i].argument, cases[i].second};
        const wz_sweep_request request = {.arguments = arguments,
                                          .argument_count = cases[i].second != NULL ? 2 : 1,
                                          .sets = &cases[i].set,
                                          .set_count = cases[i].set != NULL ? 1 : 0};
        expect_failure(&request, cases[i].message);
    }
    const char *const twice[] = {"s: a=1", "s: a=2"};
    expect_failure(&(wz_sweep_request){.sets = twice, .set_count = 2}, "two sets are called 's'");
}
END_TEST

/* ---- with a configuration ---- */

START_TEST(plan_runs_equal_points_once_and_names_folders)
{
    const char *const arguments[] = {"learning_rate=0.003,3e-3,0.01", "task.snr_db=0,-5", "seed=4..5"},
                      *const sets[] = {"no/bonus: entropy_coef=0"};
    const wz_sweep_request request = {
        .arguments = arguments, .argument_count = 3, .sets = sets, .set_count = 1, .one_at_a_time = true};
    static const char *const names[] = {"baseline,seed-4",           "baseline,seed-5",
                                        "learning_rate-0.01,seed-4", "learning_rate-0.01,seed-5",
                                        "task.snr_db--5,seed-4",     "task.snr_db--5,seed-5"};
    wz_sweep sweep;
    wz_config config;
    wz_error err = {{0}};
    ck_assert_msg(wz_sweep_plan(TINY, &request, "there/", 1, NULL, &sweep, &err) == WZ_OK, "%s", err.text);
    ck_assert_uint_eq(sweep.run_count, 8);
    for (size_t r = 0; r < 6; r++)
        ck_assert_str_eq(sweep.runs[r].name, names[r]);
    ck_assert_msg(strncmp(sweep.runs[6].name, "no_bonus-", 9) == 0 && strlen(sweep.runs[6].name) == 9 + 8 + 7,
                  "a changed name has 8 digits of a digest: %s", sweep.runs[6].name);
    ck_assert_int_eq(wz_sweep_config(&sweep, &sweep.runs[5], &config, &err), WZ_OK);
    ck_assert_double_eq(config.learning_rate, 0.003);
    ck_assert_double_eq(config.task_values[config.task->size_option], 4.0); /* of the file */
    ck_assert_int_eq(config.seed, 5);
    ck_assert_int_eq(config.threads, 2); /* of the file */
    ck_assert_str_eq(config.output_dir, "there/task.snr_db--5,seed-5");
    wz_sweep_close(&sweep);
}
END_TEST

START_TEST(plan_divides_cores_between_jobs)
{
    const char *const arguments[] = {"threads=0"};
    const int64_t jobs[] = {1, 2, 1000}, cores = wz_cpu_count();
    const int64_t expected[] = {0, cores >= 4 ? cores / 2 : 1, cores >= 2000 ? cores / 1000 : 1};
    for (int i = 0; i < 3; i++) {
        wz_sweep sweep;
        wz_config config;
        wz_error err = {{0}};
        const wz_sweep_request request = {.arguments = arguments, .argument_count = 1};
        ck_assert_int_eq(wz_sweep_plan(TINY, &request, NULL, jobs[i], NULL, &sweep, &err), WZ_OK);
        ck_assert_str_eq(sweep.directory, "runs/default-sweep");
        ck_assert_int_eq(wz_sweep_config(&sweep, &sweep.runs[0], &config, &err), WZ_OK);
        ck_assert_int_eq(config.threads, expected[i]);
        wz_sweep_close(&sweep);
    }
}
END_TEST

START_TEST(plan_names_the_point_that_is_wrong)
{
    static const struct {
        const char *argument, *message;
    } cases[] = {
        {"loss_type=dapo,grp", "point 'loss_type=grp': override 'loss_type=grp': loss_type: expected one of"},
        {"learning_rat=0.1,0.2", "unknown key 'learning_rat' (did you mean 'learning_rate'?)"},
        {"num_generations=8,7", "point 'num_generations=7': "},
        {"seed=-1..1", "seed: expected a whole number"},
        {"output_dir=x", "--output-dir"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        wz_sweep sweep;
        wz_error err = {{0}};
        const wz_sweep_request request = {.arguments = &cases[i].argument, .argument_count = 1};
        ck_assert_int_eq(wz_sweep_plan(TINY, &request, "there", 1, NULL, &sweep, &err), WZ_ERR_USAGE);
        ck_assert_msg(strstr(err.text, cases[i].message) != NULL, "no '%s' in: %s", cases[i].message,
                      err.text);
        wz_sweep_close(&sweep);
    }
}
END_TEST

/* ---- statistics ---- */

/* Critical values of tables (NIST/SEMATECH handbook, 1.3.6.7.2, three decimals): two-sided 0.05, 0.01 and 0.001. */
START_TEST(student_agrees_with_tables)
{
    static const struct {
        size_t degrees;
        double at_05, at_01;
    } rows[] = {{1, 12.706, 63.657}, {2, 4.303, 9.925}, {3, 3.182, 5.841},  {4, 2.776, 4.604},
                {5, 2.571, 4.032},   {9, 2.262, 3.250}, {10, 2.228, 3.169}, {30, 2.042, 2.750}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        /* a table's last digit moves p by at most the density there, under p, times 0.0005 */
        ck_assert_double_eq_tol(wz_student_two_sided(rows[i].at_05, rows[i].degrees), 0.05, 1e-4);
        ck_assert_double_eq_tol(wz_student_two_sided(-rows[i].at_01, rows[i].degrees), 0.01, 1e-4);
    }
    /* closed forms: 1 degree is Cauchy's distribution, and 1 - t / sqrt(2 + t^2) of 2 */
    ck_assert_double_eq_tol(wz_student_two_sided(1.0, 1), 0.5, 1e-15);
    ck_assert_double_eq_tol(wz_student_two_sided(3.0, 2), 1.0 - 3.0 / sqrt(11.0), 1e-15);
    ck_assert_double_eq(wz_student_two_sided(0.0, 7), 1.0);
}
END_TEST

/* By hand: differences 1, 2, 3 have mean 2 and deviation 1, t = 2 sqrt 3, p = 1 - t / sqrt(2 + t^2) = 1 - sqrt(12/14). */
START_TEST(paired_test_and_moments_by_hand)
{
    const double a[] = {5.0, 7.0, NAN, 9.0}, b[] = {4.0, 5.0, 1.0, 6.0};
    const wz_moments m = wz_moments_of(a, 4);
    const wz_paired p = wz_paired_test(a, b, 4), same = wz_paired_test(b, b, 4),
                    one = wz_paired_test(a, b, 1);
    ck_assert_uint_eq(m.count, 3);
    ck_assert_double_eq_tol(m.mean, 7.0, 1e-15);
    ck_assert_double_eq_tol(m.deviation, 2.0, 1e-15);
    ck_assert_uint_eq(p.count, 3);
    ck_assert_double_eq_tol(p.difference, 2.0, 1e-15);
    ck_assert_double_eq_tol(p.p_value, 1.0 - sqrt(12.0 / 14.0), 1e-14);
    ck_assert_double_eq(same.difference, 0.0);
    ck_assert(isnan(same.p_value) && isnan(one.p_value));
    ck_assert(isnan(wz_moments_of(a + 2, 1).mean) && isnan(wz_moments_of(a, 1).deviation));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sweep_grid");
    TCase *tests = tcase_create("sweep_grid");
    tcase_add_test(tests, expand_lists_ranges_and_seeds_gives_the_product);
    tcase_add_test(tests, expand_brackets_and_quotes_keep_commas);
    tcase_add_test(tests, expand_one_at_a_time_gives_a_star);
    tcase_add_test(tests, expand_refuses_what_it_cannot_mean);
    tcase_add_test(tests, plan_runs_equal_points_once_and_names_folders);
    tcase_add_test(tests, plan_divides_cores_between_jobs);
    tcase_add_test(tests, plan_names_the_point_that_is_wrong);
    tcase_add_test(tests, student_agrees_with_tables);
    tcase_add_test(tests, paired_test_and_moments_by_hand);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
