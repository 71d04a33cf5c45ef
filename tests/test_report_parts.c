/* Reports of runs with more than one part: a supervised start, a mixture of tasks, thinking; and of grids of settings. */
#include <math.h>

#include <sys/stat.h>

#include "tests/report_page.h"

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

/* Where the upright line stands in it: 54 is the left end of the x axis, 422 its right one. */
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
    ck_assert_double_eq(border_in("Reward"), 54.0);
    ck_assert_double_eq_tol(border_in("Held-out score"), 54.0 + (border - 700.0) / 700.0 * 368.0, 0.051);
    ck_assert_double_eq_tol(border_in("Gradient norm"), 54.0 + (border - 3.0) / 1395.0 * 368.0, 0.051);
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
    ck_assert_double_eq(border_in("Reward"), 54.0);
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

/* ---- a mixture ---- */

#define MIXTURE                                                                                              \
    TINY                                                                                                     \
        " max_steps=2 eval_steps=2 task_mixture=assignment:users=3:weight=3,power_control:links=3,deadline," \
        "power_control:links=4"

/* "a.b.c" of what `eval --json` printed. */
static double figure(json_t *json, const char *path)
{
    char text[128], *rest = NULL;
    (void)snprintf(text, sizeof text, "%s", path);
    for (char *key = strtok_r(text, ".", &rest); key != NULL; key = strtok_r(NULL, ".", &rest))
        json = json_object_get(json, key);
    ck_assert_msg(json_is_number(json), "no %s", path);
    return json_number_value(json);
}

/* The part's section: from its heading to the next one. */
static void check_part(json_t *part, const char *name, const char *options, bool has_table)
{
    char piece[256];
    (void)snprintf(piece, sizeof piece, "<h2>%s</h2><p class=\"sub\">%s</p>", name, options);
    char *at = strstr(page.data, piece);
    ck_assert_msg(at != NULL, "no section: %s", piece);
    char *end = strstr(at + 4, "<h2>");
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    (void)snprintf(piece, sizeof piece, "<td>policy</td><td>%.4f</td><td>%.4f..%.4f</td>",
                   figure(part, "objective_ratio.mean"), figure(part, "objective_ratio.ci_low"),
                   figure(part, "objective_ratio.ci_high"));
    ck_assert_msg(strstr(at, piece) != NULL, "%s: no '%s'", name, piece);
    const char *baseline = NULL;
    json_t *of = NULL;
    json_object_foreach(json_object_get(part, "baselines"), baseline, of)
    {
        (void)snprintf(piece, sizeof piece, "<td>%s</td><td>%.4f</td>", baseline,
                       figure(of, "objective_ratio.mean"));
        ck_assert_msg(strstr(at, piece) != NULL, "%s: no '%s'", name, piece);
    }
    ck_assert_ptr_nonnull(strstr(at, "Gaps to the reference"));
    ck_assert_ptr_nonnull(strstr(at, "Distribution of gaps"));
    ck_assert_ptr_nonnull(strstr(at, "<b>problem 3</b>"));
    ck_assert_int_eq(strstr(at, "class=\"cell\"") != NULL, has_table);
    *end = '<';
}

/* Each part with the figures that `eval` finds for it, gaps, baselines and samples; their mean by weight. */
START_TEST(report_of_a_mixture_has_every_part)
{
    static const struct {
        const char *name, *options;
        double weight;
        bool has_table;
    } parts[] = {{"assignment", "assignment users=3", 3.0, true},
                 {"power_control", "power_control links=3", 1.0, true},
                 {"deadline", "deadline packets=5", 1.0, false},
                 {"power_control_2", "power_control links=4", 1.0, true}};
    char piece[128];
    double sum = 0.0;
    program_succeed(&p, "train " MIXTURE " output_dir=@/run");
    program_succeed(&p, "eval @/run/checkpoints/best.h5 --problems 20 --json");
    json_t *json = json_loads(p.out, 0, NULL);
    program_succeed(&p, "report @/run --problems 20");
    read_page("run/report.html");
    ASSERT_SHOWS("20 problems of each part of the test split");
    for (size_t i = 0; i < 4; i++) {
        json_t *part = json_object_get(json, parts[i].name);
        check_part(part, parts[i].name, parts[i].options, parts[i].has_table);
        (void)snprintf(piece, sizeof piece, "<tr><td>%s</td><td>%g</td><td>%.4f</td>", parts[i].name,
                       parts[i].weight, figure(part, "objective_ratio.mean"));
        ASSERT_SHOWS(piece);
        sum += parts[i].weight * figure(part, "objective_ratio.mean") / 6.0;
    }
    (void)snprintf(piece, sizeof piece, "<td>all, by weight</td><td></td><td>%.4f</td>", sum);
    ASSERT_SHOWS(piece);
    ck_assert_int_eq(shown("<b>problem 0</b>"), 4);
    json_decref(json);
}
END_TEST

/* ---- settings side by side ---- */

static void write_grid(const char *name, const char *text)
{
    char path[64];
    ck_assert_int_eq(mkdir(temporary_path(&p.where, name), 0777), 0);
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", name);
    temporary_write(temporary_path(&p.where, path), "{\"step\": 1}\n", 12);
    (void)snprintf(path, sizeof path, "%s/grid.json", name);
    temporary_write(temporary_path(&p.where, path), text, strlen(text));
}

/* Points of the figure's curve of that colour: dots at (x, y). */
static size_t points_of(const char *title, int color, double x[8], double y[8])
{
    const char *end = strstr(figure_of(title), "</figure>");
    char dot[64];
    size_t count = 0;
    (void)snprintf(dot, sizeof dot, "<circle class=\"d c%d\" cx=\"", color);
    for (const char *at = figure_of(title); (at = strstr(at, dot)) != NULL && at < end; count++) {
        char *next = NULL;
        ck_assert_uint_lt(count, 8);
        x[count] = strtod(at + strlen(dot), &next);
        y[count] = strtod(strchr(next, 'c') + 4, NULL);
        at = next;
    }
    return count;
}

/* Rows in another order than that of their budgets, of two sizes. The x axis reaches from 54 at 0 to 422 at 32, and the score
 * rises on the page as the number does: places are linear in it. */
START_TEST(report_draws_the_score_against_the_budget)
{
    static const char grid[] =
        "[{\"setting\":\"links=3 "
        "thinking_budget=32\",\"thinking_budget\":32,\"objective_ratio\":{\"mean\":0.9,"
        "\"ci_low\":0.875,\"ci_high\":0.95},\"feasible\":1,\"thinking\":{\"mean_tokens\":17.25,\"budget\":32,"
        "\"cut_by_budget\":0.125}},"
        "{\"setting\":\"links=3 thinking_budget=0\",\"thinking_budget\":0,\"objective_ratio\":{\"mean\":0.5,"
        "\"ci_low\":0.25,\"ci_high\":0.625},\"feasible\":1},"
        "{\"setting\":\"links=3 thinking_budget=8\",\"thinking_budget\":8,\"objective_ratio\":{\"mean\":0.7,"
        "\"ci_low\":0.6,\"ci_high\":0.8},\"feasible\":1,\"thinking\":{\"mean_tokens\":8,\"budget\":8,"
        "\"cut_by_budget\":1}},"
        "{\"setting\":\"links=4 thinking_budget=0\",\"thinking_budget\":0,\"objective_ratio\":{\"mean\":0.6,"
        "\"ci_low\":0.5,\"ci_high\":0.7},\"feasible\":1},"
        "{\"setting\":\"links=4 thinking_budget=32\",\"thinking_budget\":32,\"not_evaluated\":\"<no room>\"},"
        "{\"setting\":\"links=4 "
        "thinking_budget=16\",\"thinking_budget\":16,\"objective_ratio\":{\"mean\":0.6,"
        "\"ci_low\":0.5,\"ci_high\":0.7},\"feasible\":1},"
        "{\"setting\":\"links=5 thinking_budget=0\",\"thinking_budget\":0,\"objective_ratio\":{\"mean\":0.1,"
        "\"ci_low\":0,\"ci_high\":0.2},\"feasible\":1}, 7, {}]";
    static const char title[] = "Score against the thinking budget";
    double x[8], y[8], x2[8], y2[8];
    write_grid("run", grid);
    program_succeed(&p, "report @/run -o @/page.html");
    read_page("page.html");
    ASSERT_SHOWS("In and out of the training distribution");
    ASSERT_SHOWS("<td>links=3 thinking_budget=32</td><td>0.9000</td><td>0.8750..0.9500</td><td>1.0000</td>"
                 "<td>17.25</td><td>12.5%</td>");
    ASSERT_SHOWS("<td>links=3 thinking_budget=0</td><td>0.5000</td><td>0.2500..0.6250</td><td>1.0000</td>"
                 "<td>-</td><td>-</td>");
    ASSERT_SHOWS("&lt;no room&gt;");
    ck_assert_uint_eq(points_of(title, 0, x, y), 3);
    ck_assert_double_eq(x[0], 54.0);
    ck_assert_double_eq(x[1], 146.0); /* a quarter of the way */
    ck_assert_double_eq(x[2], 422.0);
    ck_assert_double_eq_tol(y[0] - y[1], y[1] - y[2], 0.21); /* four roundings of 0.05 */
    ck_assert_double_gt(y[0], y[2]);
    ck_assert_uint_eq(points_of(title, 1, x2, y2), 2);
    ck_assert_double_eq(x2[1], 238.0);
    ck_assert_double_eq_tol(y2[0], (y[0] + y[1]) / 2, 0.11); /* 0.6 */
    ck_assert_uint_eq(points_of(title, 2, x2, y2), 0);       /* one point is no curve */
    ck_assert_ptr_nonnull(strstr(figure_of(title), "<span class=\"s1\">links=4: the policy</span>"));
    ck_assert_ptr_nonnull(strstr(figure_of(title), "class=\"b c0\"")); /* the interval */
    ck_assert_int_eq(shown("as many random"), 0);
}
END_TEST

/* Of best-of-k a row's ratio is one sample's, and the page says so beside the best of them; nor is free decoding passed over. */
START_TEST(report_names_sampled_and_free_scores)
{
    static const char grid[] =
        "[{\"setting\":\"links=3\",\"decoding\":\"sampled\",\"answer_grammar\":false,\"valid\":0.9375,"
        "\"samples\":16,\"objective_ratio\":{\"mean\":0.5,"
        "\"ci_low\":0.25,\"ci_high\":0.75},\"feasible\":1,\"best_of\":{\"objective_ratio\":{\"mean\":0.875}},"
        "\"random_best_of\":{\"objective_ratio\":{\"mean\":0.625}}},"
        "{\"setting\":\"links=99\",\"not_evaluated\":\"too many\"}]";
    write_grid("run", grid);
    program_succeed(&p, "report @/run -o @/page.html");
    read_page("page.html");
    ASSERT_SHOWS(
        "<th>setting</th><th>ratio of one sample</th><th>95% interval</th><th>valid, without a grammar</th>"
        "<th>feasible</th><th>samples</th><th>best of them</th><th>best of as many random</th>");
    ASSERT_SHOWS("<td>links=3</td><td>0.5000</td><td>0.2500..0.7500</td><td>0.9375</td><td>1.0000</td>"
                 "<td>16</td><td>0.8750</td><td>0.6250</td>");
    ASSERT_SHOWS("<td colspan=\"8\""); /* all of a row but its setting: seven numbers and the bar */
}
END_TEST

/* What `eval --grid` wrote, drawn with random answers beside it; a run that thinks has its answers in the pictures. */
START_TEST(report_draws_the_score_against_tries)
{
    static const char title[] = "Score against verified candidates";
    char piece[160];
    double x[8], y[8], by[8], random[8];
    program_succeed(&p, "train " TINY " max_steps=1 verifier_tries=2 output_dir=@/run");
    program_succeed(&p, "eval @/run/checkpoints/best.h5 --problems 30 --json --grid verifier_tries=1,2,4");
    json_t *rows = json_loads(p.out, 0, NULL);
    ck_assert_uint_eq(json_array_size(rows), 3);
    temporary_write(temporary_path(&p.where, "run/grid.json"), p.out, strlen(p.out));
    program_succeed(&p, "report @/run --problems 6");
    read_page("run/report.html");
    ck_assert_int_eq(shown("class=\"own\" x="), 6 * 4); /* a bar for each link of each sample */
    ASSERT_SHOWS("Score against how long it may think");
    ck_assert_uint_eq(points_of(title, 0, x, y), 3);
    ck_assert_uint_eq(points_of(title, 1, by, random), 3);
    /* one scale for both curves: pixels by score */
    json_t *first = json_array_get(rows, 0), *last = json_array_get(rows, 2);
    const json_t *few = json_object_get(json_object_get(first, "tries"), "random_best_of"),
                 *many = json_object_get(json_object_get(last, "tries"), "random_best_of");
    const double low = figure(json_array_get(few, 0), "objective_ratio.mean"),
                 high = figure(json_array_get(many, 3), "objective_ratio.mean"),
                 policy = figure(first, "objective_ratio.mean");
    ck_assert_double_gt(high, low);
    const double scale = (random[0] - random[2]) / (high - low);
    ck_assert_double_eq_tol(random[0] - (policy - low) * scale, y[0],
                            0.1 * (1 + fabs(policy - low) / (high - low)));
    (void)snprintf(piece, sizeof piece, "<td>%.2f</td><td>%.2f</td><td>%.4f</td>",
                   figure(last, "thinking.mean_tokens"), figure(last, "tries.mean"), high);
    ASSERT_SHOWS(piece);
    json_decref(rows);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report_parts");
    TCase *tests = tcase_create("report_parts");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, report_marks_where_grpo_begins);
    tcase_add_test(tests, report_marks_nothing_where_there_are_not_both);
    tcase_add_test(tests, report_of_a_mixture_has_every_part);
    tcase_add_test(tests, report_names_sampled_and_free_scores);
    tcase_add_test(tests, report_draws_the_score_against_the_budget);
    tcase_add_test(tests, report_draws_the_score_against_tries);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
