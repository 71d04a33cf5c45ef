/* `wavezero report`: the page is well-formed, stands by itself, escapes what comes from files, and shows the right numbers. */
#include <math.h>

#include <sys/stat.h>

#include "engine/run/chart.h"
#include "engine/run/history.h"
#include "tests/program.h"
#include "tests/suite.h"

static program p;
static wz_text page;
static wz_error err;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
    wz_text_clear(&page);
}

/* ---- a strict reader: elements close in order, attributes are quoted, < and & stand for nothing else ---- */

#define NESTING 64

typedef struct reader {
    const char *at;
    char open[NESTING][24];
    size_t depth;
} reader;

/* The name at the place, [a-z0-9:-]+ without regard to case. */
static void take_name(reader *r, char name[24])
{
    const size_t length = strspn(r->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:");
    ASSERT_EACH(length > 0 && length < 24, "no name at: %.40s", r->at);
    memcpy(name, r->at, length);
    name[length] = '\0';
    r->at += length;
}

static void take_text(reader *r, const char *stops)
{
    static const char *const entities[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;", "&#183;", NULL};
    while (*r->at != '\0' && strchr(stops, *r->at) == NULL) {
        bool known = *r->at != '&';
        ASSERT_EACH(*r->at != '<', "a bare '<' in: %.40s", r->at);
        for (size_t i = 0; entities[i] != NULL; i++)
            known = known || strncmp(r->at, entities[i], strlen(entities[i])) == 0;
        ASSERT_EACH(known, "no entity: %.40s", r->at);
        r->at++;
    }
}

static void take_tag(reader *r)
{
    char name[24], attribute[24];
    const bool ends = r->at[1] == '/';
    r->at += ends ? 2 : 1;
    take_name(r, name);
    for (; *r->at == ' '; r->at++) {
        r->at++;
        take_name(r, attribute);
        ASSERT_EACH(strncmp(r->at, "=\"", 2) == 0, "an attribute without quotes: %.40s", r->at);
        r->at += 2;
        take_text(r, "\"");
        ASSERT_EACH(strcmp(attribute, "src") != 0 && strcmp(attribute, "href") != 0 && attribute[0] != 'o',
                    "attribute %s", attribute); /* on... would be a script */
    }
    if (strncmp(r->at, "/>", 2) == 0) {
        r->at += 2;
        return;
    }
    ASSERT_EACH(*r->at == '>', "a tag does not end: %.40s", r->at);
    r->at++;
    if (ends) {
        ASSERT_EACH(r->depth > 0 && strcmp(r->open[r->depth - 1], name) == 0, "</%s> closes <%s>", name,
                    r->depth > 0 ? r->open[r->depth - 1] : "");
        r->depth--;
        return;
    }
    ASSERT_EACH(strcmp(name, "script") != 0 && strcmp(name, "link") != 0 && strcmp(name, "iframe") != 0,
                "<%s>", name);
    ASSERT_EACH(r->depth < NESTING, "too deep");
    memcpy(r->open[r->depth++], name, sizeof name);
}

static void assert_page(const char *text)
{
    static const char start[] = "<!DOCTYPE html>\n";
    reader r = {.at = text};
    ck_assert_int_eq(strncmp(text, start, strlen(start)), 0);
    r.at += strlen(start);
    while (*r.at != '\0') {
        if (*r.at == '<')
            take_tag(&r);
        else
            take_text(&r, "<");
    }
    ck_assert_uint_eq(r.depth, 0);
    /* nothing from elsewhere: the only address is the name space's */
    const char *address = strstr(text, "http");
    ck_assert_ptr_nonnull(address);
    ck_assert_int_eq(strncmp(address, "http://www.w3.org/1999/xhtml\"", 29), 0);
    ck_assert_ptr_null(strstr(address + 1, "http"));
    ck_assert_ptr_null(strstr(text, "url("));
    ck_assert_ptr_null(strstr(text, "@import"));
    ck_assert_ptr_null(strstr(text, "nan"));
}

static void read_page(const char *name)
{
    page.length = 0;
    ck_assert_msg(wz_file_read(temporary_path(&p.where, name), 1 << 24, &page, &err) == WZ_OK, "%s",
                  err.text);
    assert_page(page.data);
}

#define ASSERT_SHOWS(piece) ck_assert_msg(strstr(page.data, piece) != NULL, "no '%s' in the page", piece)

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
    ASSERT_SHOWS("<tr><td><code>seed</code></td><td>3</td><td>4</td></tr>");
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

/* ---- a supervised start ---- */

enum { TAUGHT = 703, STEPS_OF_ALL = 1400 };

/* Rows as a run writes them: gradients' norms of 1 and, under GRPO, of 0.01; evaluations at 700 and 1400. */
static void write_supervised_run(const char *config)
{
    wz_text rows = {0};
    for (int step = 1; step <= STEPS_OF_ALL; step++) {
        const bool taught = step <= TAUGHT;
        ck_assert_int_eq(wz_text_printf(&rows, &err,
                                        taught ? "{\"step\": %d, \"sft_loss\": %g, \"sft_token_accuracy\": "
                                                 "0.5, \"grad_norm\": 1}\n"
                                               : "{\"step\": %d, \"reward\": %g, \"grad_norm\": 0.01}\n",
                                        step, 1.0 / step),
                         WZ_OK);
        if (step % 700 == 0)
            ck_assert_int_eq(
                wz_text_printf(&rows, &err, "{\"step\": %d, \"eval_objective_ratio\": 0.8125}\n", step),
                WZ_OK);
    }
    ck_assert_int_eq(mkdir(temporary_path(&p.where, "taught"), 0777), 0);
    temporary_write(temporary_path(&p.where, "taught/metrics.jsonl"), rows.data, rows.length);
    temporary_write(temporary_path(&p.where, "taught/config.yaml"), config, strlen(config));
    wz_text_clear(&rows);
}

/* The figure of this title. */
static const char *figure_of(const char *title)
{
    char text[96];
    (void)snprintf(text, sizeof text, "<figcaption><b>%s</b>", title);
    const char *at = strstr(page.data, text);
    ck_assert_msg(at != NULL, "no figure '%s'", title);
    return at;
}

/* Where the upright line stands in it: 46 is the left end of the x axis, 422 its right one. */
static double border_in(const char *title)
{
    const char *at = strstr(figure_of(title), "<path class=\"v\" d=\"M"),
               *end = strstr(figure_of(title), "</figure>");
    ck_assert_msg(at != NULL && at < end, "no upright line in '%s'", title);
    ck_assert_msg(strstr(at, ">GRPO</text>") != NULL && strstr(at, ">GRPO</text>") < end, "it has no name");
    return strtod(strchr(at, 'M') + 1, NULL);
}

/* The axes are those of the points: 1 to the line, the line to 1400, 1 to 1400 (means of five steps, 3 to 1398), 700 to 1400.
 * Places are printed with one decimal. */
START_TEST(report_marks_where_grpo_begins)
{
    const double border = TAUGHT + 0.5;
    write_supervised_run("sft_steps: 703\nmax_steps: 1400\n");
    program_succeed(&p, "report @/taught --no-eval -o @/page.html");
    read_page("page.html");
    ASSERT_SHOWS("<b>1400</b><span>steps, the first 703 supervised</span>");
    ASSERT_SHOWS("Steps 1 to 703 were supervised");
    ck_assert_double_eq(border_in("Supervised loss"), 422.0);
    ck_assert_double_eq(border_in("Supervised steps&#39; tokens right"), 422.0);
    ck_assert_double_eq(border_in("Reward"), 46.0);
    ck_assert_double_eq_tol(border_in("Held-out score"), 46.0 + (border - 700.0) / 700.0 * 376.0, 0.051);
    ck_assert_double_eq_tol(border_in("Gradient norm"), 46.0 + (border - 3.0) / 1395.0 * 376.0, 0.051);
    /* no point is a mean of both parts: 703 is within the five steps from 701 on */
    const char *at = strstr(figure_of("Gradient norm"), "<path class=\"k c0\" d=\"");
    double first = NAN, last = NAN;
    for (at = strchr(at, 'M'); *at == 'M' || *at == 'L';) {
        char *end = NULL;
        (void)strtod(at + 1, &end);
        const double y = strtod(end, &end);
        if (!isnan(last) && y != last) {
            ck_assert_msg(isnan(first), "a third height, %g", y);
            first = last;
        }
        last = y;
        at = end;
    }
    ck_assert_double_lt(first, last); /* the norm of 1 is above */
}
END_TEST

/* Rows without a configuration tell it, too; a run without GRPO's steps yet, or without supervised ones, has no line. */
START_TEST(report_marks_nothing_where_there_are_not_both)
{
    write_supervised_run("no_such_key: 1\n");
    program_succeed(&p, "report @/taught -o @/page.html");
    read_page("page.html");
    ck_assert_double_eq(border_in("Reward"), 46.0);
    program_succeed(&p, "report " WZ_TEST_DATA "/report --no-eval -o @/page.html");
    read_page("page.html");
    ck_assert_ptr_null(strstr(page.data, "class=\"v\""));
    program_succeed(&p, "train " TINY " output_dir=@/run max_steps=4 sft_steps=4 eval_steps=2");
    program_succeed(&p, "report @/run --no-eval -o @/page.html");
    read_page("page.html");
    ck_assert_ptr_null(strstr(page.data, "class=\"v\""));
    ASSERT_SHOWS("<b>Supervised loss</b>");
    ASSERT_SHOWS("<b>4</b><span>steps, the first 4 supervised</span>");
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
    tcase_add_test(tests, report_marks_where_grpo_begins);
    tcase_add_test(tests, report_marks_nothing_where_there_are_not_both);
    tcase_add_loop_test(tests, report_draws_other_families, 0, 4);
    tcase_add_test(tests, report_of_a_strange_run_is_shown_as_it_is);
    tcase_add_test(tests, chart_ticks_are_round);
    tcase_add_test(tests, history_reads_numbers_lists_and_alarms);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
