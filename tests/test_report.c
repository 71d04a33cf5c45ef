/* `wavezero report`: the page is well-formed, stands by itself, escapes what comes from files, and shows the right numbers. */
#include <math.h>

#include <sys/stat.h>

#include "engine/run/chart.h"
#include "engine/run/history.h"
#include "tests/report_page.h"

/* ---- pages ---- */

START_TEST(report_of_known_metrics_shows_them)
{
    program_succeed(&p, "report " WZ_TEST_DATA "/report --no-eval -o @/one.html");
    read_page("one.html");
    ASSERT_SHOWS("<b>0.8125</b><span>best held-out score, at step 10</span>");
    ASSERT_SHOWS("<b>0.7500</b><span>last held-out score</span>");
    ASSERT_SHOWS("<b>98.8%</b><span>of wmmse, held out</span>");
    ASSERT_SHOWS("<b>0.9642</b><span>greedy_adder, the best algorithm</span>");
    ASSERT_SHOWS(">strongest 0.654</text>"); /* the best trivial policy */
    ASSERT_SHOWS("<b>20</b><span>steps</span>");
    ASSERT_SHOWS("<b>10s</b>"); /* 20 steps of half a second */
    ASSERT_SHOWS("<b>0.02 M</b><span>tokens</span>");
    ASSERT_SHOWS("<b>Alarm: entropy</b>, step 15");
    ASSERT_SHOWS("entropy 0.02 &lt;b&gt;&amp;&quot;&#39;&lt;/b&gt; of 1.9");
    ASSERT_SHOWS("<td>hostname</td><td>a&lt;b&gt;&amp;c</td>");
    ASSERT_SHOWS("git checkout 0123456789ab   # with changes that were not committed");
    ASSERT_SHOWS("<tr class=\"changed\"><td><code>seed</code></td><td>3</td><td class=\"sub\">1</td></tr>");
    ASSERT_SHOWS("<tr><td><code>temperature</code></td><td>1</td><td class=\"sub\"></td></tr>");
    ASSERT_SHOWS("<td>links=3 snr_db=0</td><td>0.9876</td><td>0.9800..0.9900</td><td>1.0000</td>");
    ASSERT_SHOWS("task.links must be &lt;= 32");
    ck_assert_ptr_null(strstr(page.data, "Held-out evaluation"));
}
END_TEST

START_TEST(report_of_seeds_shows_their_mean)
{
    const char *const other = temporary_path(&p.where, "other");
    char command[1800];
    (void)snprintf(command, sizeof command,
                   "cp -r " WZ_TEST_DATA "/report '%s' && sed -i 's/0.8125/0.8375/' '%s/metrics.jsonl' && "
                   "sed -i 's/seed: 3/seed: 4/' '%s/config.yaml'",
                   other, other, other);
    ck_assert_int_eq(system(command), 0);
    program_succeed(&p, "report " WZ_TEST_DATA "/report @/other -o @/both.html");
    read_page("both.html");
    ASSERT_SHOWS("<h1>2 runs</h1>");
    ASSERT_SHOWS("<td>other</td><td>4</td><td>20</td><td>0.8375</td><td>10</td><td>0.7500</td>");
    /* mean of 0.8125 and 0.8375; deviation of two numbers: |a - b| / sqrt 2 = 0.01768 */
    ASSERT_SHOWS(
        "report and 1 more that differ in their seeds: best held-out score 0.8250 in the mean, standard "
        "deviation 0.0177.");
    ASSERT_SHOWS("class=\"b c0\""); /* the band */
}
END_TEST

START_TEST(report_evaluates_the_best_checkpoint)
{
    char figure[64];
    program_succeed(&p, "train " TINY " output_dir=@/run");
    program_succeed(&p, "eval @/run/checkpoints/best.h5 --problems 40 --json");
    json_t *json = json_loads(p.out, 0, NULL);
    ck_assert_ptr_nonnull(json);
    const json_t *ratio = json_object_get(json_object_get(json, "objective_ratio"), "mean");
    (void)snprintf(figure, sizeof figure, "<tr class=\"own\"><td>policy</td><td>%.4f</td>",
                   json_number_value(ratio));
    json_decref(json);
    program_succeed(&p, "report @/run --problems 40 threads=1");
    read_page("run/report.html");
    ASSERT_SHOWS(figure);
    ASSERT_SHOWS("Distribution of gaps");
    ASSERT_SHOWS("<b>problem 3</b>");
    ASSERT_SHOWS("class=\"cell\"");
    ASSERT_SHOWS("No alarm was raised.");
}
END_TEST

/* Choices for rows, numbers for slots, and a family without a table. */
START_TEST(report_draws_other_families)
{
    static const char *const tasks[] = {"assignment task.users=3", "water_filling", "ofdma", "deadline"};
    program_succeed(&p, "train " TINY " max_steps=1 output_dir=@/run task.name=%s", tasks[_i]);
    program_succeed(&p, "report @/run --problems 6 -o @/page.html");
    read_page("page.html");
    ASSERT_SHOWS("<h2>Sample problems</h2>");
    ASSERT_SHOWS(_i == 0 || _i == 2 ? "class=\"rim2\"" : "best known</td>");
}
END_TEST

START_TEST(report_of_a_strange_run_is_shown_as_it_is)
{
    static const char config[] = "seed: 1\nno_such_key: <script>\n";
    static const char metrics[] = "{\"step\": 1, \"loss\": 1}\n{\"step\": 2, \"lo";
    ck_assert_int_eq(mkdir(temporary_path(&p.where, "run"), 0777), 0);
    temporary_write(temporary_path(&p.where, "run/metrics.jsonl"), metrics, sizeof metrics - 1);
    temporary_write(temporary_path(&p.where, "run/config.yaml"), config, sizeof config - 1);
    program_succeed(&p, "report @/run -o @/page.html");
    read_page("page.html");
    ASSERT_SHOWS("no_such_key: &lt;script&gt;");
    ASSERT_SHOWS("unknown key");
    temporary_write(temporary_path(&p.where, "run/metrics.jsonl"), "{\"step\": 2}\n{\"step\": 1}\n", 24);
    program_fail(&p, 3, "metrics.jsonl:2: step 1 after step 2", "report @/run");
    temporary_write(temporary_path(&p.where, "run/metrics.jsonl"), "[1]\n", 4);
    program_fail(&p, 3, "metrics.jsonl:1: not a row of metrics", "report @/run");
    program_fail(&p, 2, "is no run", "report @/nothing");
    program_fail(&p, 2, "report", "report");
}
END_TEST

/* ---- parts ---- */

START_TEST(chart_ticks_are_round)
{
    double first = 0.0;
    ck_assert_double_eq_tol(wz_chart_ticks(0.0, 1.0, 5, &first), 0.2, 1e-12);
    ck_assert_double_eq_tol(first, 0.0, 1e-12);
    ck_assert_double_eq_tol(wz_chart_ticks(-3.0, 470.0, 5, &first), 100.0, 1e-9);
    ck_assert_double_eq_tol(first, 0.0, 1e-9);
    ck_assert_double_eq_tol(wz_chart_ticks(0.61, 1.02, 5, &first), 0.1, 1e-12);
    ck_assert_double_eq_tol(first, 0.7, 1e-12);
}
END_TEST

/* Of values from low to high: at least two labels beside the y axis, each with room for it there (48 units for letters of 11,
 * about 7 a digit, less a point) and with another text. */
START_TEST(chart_labels_are_told_apart_at_any_scale)
{
    static const struct {
        double low, high;
        bool is_log;
    } cases[] = {{0, 0, false},           {0.95, 0.95, false},    {1e-6, 3e-6, false},
                 {0, 2e-7, false},        {-1e-5, 1e-5, false},   {0.9, 0.9 + 1e-9, false},
                 {9e4, 4e5, false},       {0.003, 0.0031, false}, {2e6, 2e6, false},
                 {1e-3, 1e2, true},       {1e-2, 1e-2, true},     {0.97, 1, false},
                 {0.9921, 0.9923, false}, {0.22, 0.4, true},      {0.021, 0.09, true},
                 {0.03, 0.031, true},     {0.06, 0.2, true}};
    static const char start[] = "class=\"e\">";
    static wz_curve curve;
    char labels[16][24];
    int count = 0;
    wz_markup m = {.err = &err};
    curve = (wz_curve){.count = 2, .x = {1, 2}, .y = {cases[_i].low, cases[_i].high}};
    const wz_chart chart = {.title = "t",
                            .x_label = "x",
                            .is_log = cases[_i].is_log,
                            .floor = NAN,
                            .top = NAN,
                            .curves = &curve,
                            .curve_count = 1};
    wz_chart_write(&m, &chart);
    for (const char *at = m.text.data; (at = strstr(at, start)) != NULL; count++) {
        at += strlen(start);
        ck_assert_int_lt(count, 16);
        (void)snprintf(labels[count], sizeof labels[count], "%.*s", (int)strcspn(at, "<"), at);
        ck_assert_msg(strlen(labels[count]) <= 7, "'%s'", labels[count]);
        for (int i = 0; i < count; i++)
            ck_assert_msg(strcmp(labels[i], labels[count]) != 0, "'%s' twice", labels[i]);
    }
    ck_assert_int_ge(count, cases[_i].is_log && cases[_i].low == cases[_i].high ? 1 : 2);
    wz_text_clear(&m.text);
}
END_TEST

START_TEST(history_reads_numbers_lists_and_alarms)
{
    wz_history h;
    ck_assert_msg(wz_history_read(WZ_TEST_DATA "/report/metrics.jsonl", &h, &err) == WZ_OK, "%s", err.text);
    ck_assert_double_eq(h.last_step, 20.0);
    ck_assert_uint_eq(wz_history_find(&h, "reward")->count, 20);
    ck_assert_double_eq_tol(wz_history_last(&h, "reward"), 0.9, 1e-12);
    ck_assert_double_eq(wz_history_largest(&h, "eval_objective_ratio"), 0.8125);
    ck_assert_double_eq(wz_history_last(&h, "entropy_by_place/3"), 0.5);
    ck_assert_ptr_null(wz_history_find(&h, "entropy_by_place/2"));
    ck_assert(isnan(wz_history_last(&h, "nothing")));
    ck_assert_uint_eq(h.alarm_count, 1);
    wz_history_clear(&h);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("report");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, report_of_known_metrics_shows_them);
    tcase_add_test(tests, report_of_seeds_shows_their_mean);
    tcase_add_test(tests, report_evaluates_the_best_checkpoint);
    tcase_add_loop_test(tests, report_draws_other_families, 0, 4);
    tcase_add_test(tests, report_of_a_strange_run_is_shown_as_it_is);
    tcase_add_test(tests, chart_ticks_are_round);
    tcase_add_loop_test(tests, chart_labels_are_told_apart_at_any_scale, 0, 17);
    tcase_add_test(tests, history_reads_numbers_lists_and_alarms);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
