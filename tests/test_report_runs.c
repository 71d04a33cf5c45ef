/* `wavezero report` of several runs: which are told apart, which belong together, and in what they differ. */
#include "tests/report_page.h"

/* A copy of the made-up run, its files edited by sed. */
static void copy_run(const char *name, const char *config, const char *metrics)
{
    char command[2400];
    const char *const path = temporary_path(&p.where, name);
    (void)snprintf(command, sizeof command,
                   "mkdir -p '%s' && cp " WZ_TEST_DATA "/report/* '%s' && sed -i '%s' '%s/config.yaml' && "
                   "sed -i '%s' '%s/metrics.jsonl'",
                   path, path, config, path, metrics, path);
    ck_assert_int_eq(system(command), 0);
}

#define POINT "num_generations-8,lr_scheduler_type-cosine,learning_rate-0.00"

/* Three seeds whose best scores are 0.8125, 0.8375 and 0.8425, named as a sweep names them, beside another point. */
START_TEST(report_of_a_sweep_has_a_curve_and_a_column_for_each_point)
{
    copy_run("grid/" POINT "3,seed-3", "", "");
    copy_run("grid/" POINT "3,seed-4", "s/seed: 3/seed: 4/", "s/0.8125/0.8375/");
    copy_run("grid/" POINT "3,seed-5", "s/seed: 3/seed: 5/", "s/0.8125/0.8425/");
    copy_run("grid/" POINT "4,seed-3", "s/learning_rate: 0.003/learning_rate: 0.004/", "");
    program_succeed(&p,
                    "report @/grid/" POINT "3,seed-3/ @/grid/" POINT "3,seed-4/ @/grid/" POINT "3,seed-5/ "
                    "@/grid/" POINT "4,seed-3/ -o @/all.html");
    read_page("all.html");
    ASSERT_SHOWS("<tr><th>key</th><th>" POINT "3, 3 seeds</th>"
                 "<th>" POINT "4,seed-3</th></tr>\n"
                 "<tr><td><code>learning_rate</code></td><td>0.003</td><td>0.004</td></tr>\n</table>");
    ASSERT_SHOWS("<span class=\"s0\">" POINT "3, 3 seeds</span> "
                 "<span class=\"s1\">" POINT "4,seed-3</span>");
    /* (0.8125 + 0.8375 + 0.8425) / 3; squares of -0.01833, 0.00667, 0.01167: sqrt(0.000516667 / 2) */
    ASSERT_SHOWS("best held-out score 0.8308 in the mean, standard deviation 0.0161.");
}
END_TEST

START_TEST(report_of_runs_says_which_options_of_the_task_differ)
{
    copy_run("one", "", "");
    copy_run("two", "s/links: 4/links: 6/; s/snr_db: 0/snr_db: 5/", "");
    program_succeed(&p, "report @/one @/two -o @/both.html");
    read_page("both.html");
    ASSERT_SHOWS("<tr><td><code>task.links</code></td><td>4</td><td>6</td></tr>\n"
                 "<tr><td><code>task.snr_db</code></td><td>0</td><td>5</td></tr>\n");
    /* what is of the first run alone is not said of both, nor are its baselines drawn as theirs */
    ASSERT_SHOWS("Their tasks differ: scores are of different problems.");
    ck_assert_ptr_null(strstr(page.data, "links 4"));
    ck_assert_ptr_null(strstr(page.data, ">greedy_adder 0."));
    copy_run("three", "s/links: 4/users: 3/; /levels: 2/d; /snr_db: 0/d; s/power_control/assignment/", "");
    program_succeed(&p, "report @/one @/three -o @/both.html");
    read_page("both.html");
    ASSERT_SHOWS("<td><code>task.name</code></td><td>power_control links=4</td><td>assignment users=3</td>");
    copy_run("four", "s/seed/a_key_of_another_build/", "");
    program_succeed(&p, "report @/one @/four -o @/both.html");
    read_page("both.html");
    ck_assert_ptr_null(strstr(page.data, "Their tasks differ")); /* nobody knows */
}
END_TEST

/* The made-up run's greedy_adder has 0.9642, its strongest 0.654. */
START_TEST(report_of_runs_draws_the_mean_of_their_baselines)
{
    copy_run("one", "", "");
    copy_run("two", "s/seed: 3/seed: 4/", "s/0.9642/0.9442/");
    program_succeed(&p, "report @/one @/two -o @/both.html");
    read_page("both.html");
    ASSERT_SHOWS("<b>power_control</b>, links 4</p>");
    ASSERT_SHOWS(">greedy_adder 0.954</text>");
    ASSERT_SHOWS(">strongest 0.654</text>");
    ck_assert_ptr_null(strstr(page.data, "<h2>Keys that differ")); /* seeds alone */
}
END_TEST

START_TEST(report_of_runs_of_one_name_tells_them_apart)
{
    copy_run("a/same", "", "");
    copy_run("b/same", "s/learning_rate: 0.003/learning_rate: 0.004/", "");
    program_succeed(&p, "report @/a/same @/b/same/ -o @/both.html");
    read_page("both.html");
    ASSERT_SHOWS("<th>a/same</th><th>b/same</th>");
    ASSERT_SHOWS("<span class=\"s0\">a/same</span> <span class=\"s1\">b/same</span>");
}
END_TEST

START_TEST(report_of_a_run_twice_is_refused_and_made_again_is_no_seed)
{
    copy_run("one", "", "");
    program_fail(&p, 2, "are one run: name it once", "report @/one @/./one -o @/both.html");
    program_fail(&p, 2, "are one run: name it once", "report @/one @/one/ -o @/both.html");
    copy_run("again", "", "");
    program_succeed(&p, "report @/one @/again -o @/both.html");
    read_page("both.html");
    ck_assert_ptr_null(strstr(page.data, "differ in their seeds"));
    ck_assert_ptr_null(strstr(page.data, "class=\"b c0\"")); /* no band */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report_runs");
    TCase *tests = tcase_create("report_runs");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, report_of_a_sweep_has_a_curve_and_a_column_for_each_point);
    tcase_add_test(tests, report_of_runs_says_which_options_of_the_task_differ);
    tcase_add_test(tests, report_of_runs_draws_the_mean_of_their_baselines);
    tcase_add_test(tests, report_of_runs_of_one_name_tells_them_apart);
    tcase_add_test(tests, report_of_a_run_twice_is_refused_and_made_again_is_no_seed);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
