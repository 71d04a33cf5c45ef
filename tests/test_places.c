/* Power control as one policy for many sizes and noise levels meets it: aligned rows, places without a link, spreads of the
 * signal-to-noise ratio, ceilings of the printed range. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "tasks/power_control.h"
#include "tests/suite.h"

static const wz_task *task;
static wz_error err;

static void setup(void)
{
    task = &wz_task_power_control;
    err.text[0] = '\0';
}

/* The place of an option's value. */
static size_t option(const char *name)
{
    const size_t i = wz_task_find_option(task, name);
    ck_assert_uint_lt(i, task->option_count);
    return i;
}

static const double small[] = {1.0, 0.1, 0.0, 2.0, 10.0, 1e-9, 0.5, 0.25, 1e3};

/* ---- aligned rows ---- */

START_TEST(print_compact_aligned_rows_come_last_link_first)
{
    double values[WZ_TASK_MAX_OPTIONS];
    wz_problem problem;
    wz_text text = {0};
    wz_task_default_values(task, values);
    values[option("row_width")] = 4;
    ck_assert_int_eq(task->import(values, 3, 3, small, 0, &problem, &err), WZ_OK);
    ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
    ck_assert_str_eq(text.data, " power levels 2 dB plus 30 0 to 44"
                                " c C 30 A 0 B 20 none none b B 40 A 0 C 33 none none"
                                " a A 44 B 24 C 27 none none<answer>");
    wz_text_clear(&text);
    wz_problem_clear(&problem);
    values[option("row_width")] = 2;
    ck_assert_int_eq(task->import(values, 3, 3, small, 0, &problem, &err), WZ_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "task.row_width = 2: 0 or at least task.links = 3") != NULL, "%s",
                  err.text);
}
END_TEST

/* Words from the row of link k to the opening of the answer, for every number of links. */
START_TEST(print_compact_aligned_rows_stand_at_one_distance)
{
    const size_t width = 9;
    double values[WZ_TASK_MAX_OPTIONS];
    wz_task_default_values(task, values);
    values[option("row_width")] = (double)width;
    for (size_t links = 2; links <= width; links++) {
        wz_problem problem;
        wz_text text = {0};
        values[0] = (double)links;
        ck_assert_int_eq(wz_problem_generate(task, values, 1, WZ_SPLIT_TRAIN, 0, &problem, &err), WZ_OK);
        ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
        for (size_t k = 0; k < links; k++) {
            const char row[] = {' ', (char)('a' + k), ' ', (char)('A' + k), ' ', '\0'};
            const char *at = strstr(text.data, row);
            size_t words = 0;
            ck_assert_ptr_nonnull(at);
            for (; *at != '\0'; at++)
                words += *at == ' ';
            ck_assert_uint_eq(words, (k + 1) * (2 * width + 1));
        }
        wz_text_clear(&text);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- gaps ---- */

#define PLACES 7
#define ACTIVE 3

static void among_gaps(double *values, double links, double active)
{
    wz_task_default_values(task, values);
    values[option("links")] = links;
    values[option("snr_db")] = 10;
    values[option("active")] = active;
}

/* Links that are on the air: their number, their direct gains falling; every gain of and to the others is 0. */
static size_t count_active(const wz_problem *problem, bool *is_active)
{
    const size_t links = problem->size;
    size_t count = 0;
    int32_t before = INT32_MAX;
    for (size_t i = 0; i < links; i++) {
        const int32_t direct = problem->numbers[i * (links + 1)];
        is_active[i] = direct != 0;
        count += is_active[i];
        ck_assert(!is_active[i] || direct <= before);
        before = is_active[i] ? direct : before;
    }
    for (size_t i = 0; i < links * links; i++)
        ck_assert(problem->numbers[i] == 0 || (is_active[i / links] && is_active[i % links]));
    return count;
}

/* Each place is taken in three of seven problems: of 210, 90 +- 7. */
START_TEST(generate_active_links_stand_at_random_places)
{
    double values[WZ_TASK_MAX_OPTIONS];
    size_t taken[PLACES] = {0};
    among_gaps(values, PLACES, ACTIVE);
    for (uint32_t index = 0; index < 210; index++) {
        bool is_active[PLACES];
        wz_problem problem;
        ck_assert_int_eq(wz_problem_generate(task, values, 1, WZ_SPLIT_TRAIN, index, &problem, &err), WZ_OK);
        ck_assert_uint_eq(count_active(&problem, is_active), ACTIVE); /* none is 40 dB below the mean */
        ck_assert_msg(task->check_numbers(&problem, &err) == WZ_OK, "%s", err.text);
        for (size_t i = 0; i < PLACES; i++)
            taken[i] += is_active[i];
        wz_problem_clear(&problem);
    }
    for (size_t i = 0; i < PLACES; i++)
        ck_assert_msg(taken[i] > 55 && taken[i] < 125, "place %zu: %zu times", i, taken[i]);
    among_gaps(values, PLACES, PLACES + 1);
    ck_assert_int_eq(task->check(values, &err), WZ_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "task.active = 8 is more than task.links = 7") != NULL, "%s", err.text);
}
END_TEST

/* At -20 dB one direct gain in twelve lies below what prompts state. */
START_TEST(generate_links_on_the_air_always_have_a_direct_gain)
{
    double values[WZ_TASK_MAX_OPTIONS];
    among_gaps(values, PLACES, ACTIVE);
    values[option("snr_db")] = -20;
    for (uint32_t index = 0; index < 100; index++) {
        bool is_active[PLACES];
        wz_problem problem;
        ck_assert_int_eq(wz_problem_generate(task, values, 1, WZ_SPLIT_TRAIN, index, &problem, &err), WZ_OK);
        ck_assert_uint_eq(count_active(&problem, is_active), ACTIVE);
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(full_prompt_says_who_is_off_the_air)
{
    double values[WZ_TASK_MAX_OPTIONS];
    for (int active = 0; active <= ACTIVE; active += ACTIVE) {
        wz_problem problem;
        wz_text text = {0};
        among_gaps(values, PLACES, active);
        ck_assert_int_eq(wz_problem_generate(task, values, 1, WZ_SPLIT_TRAIN, 0, &problem, &err), WZ_OK);
        ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_FULL, &text, &err), WZ_OK);
        ck_assert_int_eq(strstr(text.data, "only -30 dB from its own transmitter is off the air") != NULL,
                         active > 0);
        wz_text_clear(&text);
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(from_numbers_refuses_a_table_of_gaps_alone)
{
    static const int32_t nothing[4] = {0, 0, 0, 0};
    double values[WZ_TASK_MAX_OPTIONS];
    wz_problem problem;
    among_gaps(values, 2, 1);
    ck_assert_int_eq(wz_problem_from_numbers(task, values, nothing, 4, &problem, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, "no link is on the air") != NULL, "%s", err.text);
}
END_TEST

START_TEST(reorder_moves_gaps_and_sorts_the_others)
{
    double values[WZ_TASK_MAX_OPTIONS];
    bool is_active[2][PLACES];
    uint8_t order[PLACES];
    wz_problem problem, moved;
    among_gaps(values, PLACES, ACTIVE);
    ck_assert_int_eq(wz_problem_generate(task, values, 1, WZ_SPLIT_TRAIN, 5, &problem, &err), WZ_OK);
    for (size_t i = 0; i < PLACES; i++)
        order[i] = (uint8_t)(PLACES - 1 - i);
    ck_assert_int_eq(wz_problem_reorder(&problem, order, &moved, &err), WZ_OK);
    ck_assert_uint_eq(count_active(&problem, is_active[0]), ACTIVE);
    ck_assert_uint_eq(count_active(&moved, is_active[1]), ACTIVE);
    for (size_t i = 0; i < PLACES; i++) {
        ck_assert_int_eq(is_active[1][i], is_active[0][order[i]]);
        ck_assert_int_eq(moved.numbers[i * (PLACES + 1)], problem.numbers[moved.source[i] * (PLACES + 1)]);
    }
    wz_problem_clear(&moved);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(import_own_links_take_the_first_places)
{
    double values[WZ_TASK_MAX_OPTIONS];
    wz_problem plain, among;
    among_gaps(values, PLACES, 0);
    ck_assert_int_eq(task->import(values, 3, 3, small, 0, &plain, &err), WZ_OK);
    among_gaps(values, PLACES, 5); /* how many it is trained with is not how many there are */
    ck_assert_msg(task->import(values, 3, 3, small, 0, &among, &err) == WZ_OK, "%s", err.text);
    ck_assert_uint_eq(among.size, PLACES);
    ck_assert_double_eq(among.values[option("active")], 3);
    ck_assert_uint_eq(among.clipped, plain.clipped);
    for (size_t i = 0; i < PLACES; i++)
        for (size_t j = 0; j < PLACES; j++)
            ck_assert_int_eq(among.numbers[i * PLACES + j], i < 3 && j < 3 ? plain.numbers[i * 3 + j] : 0);
    wz_problem_clear(&among);
    wz_problem_clear(&plain);
    among_gaps(values, 2, 2);
    ck_assert_int_eq(task->import(values, 3, 3, small, 0, &among, &err), WZ_ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, "3 links, but task.links = 2") != NULL, "%s", err.text);
}
END_TEST

/* ---- noise levels ---- */

/* |h|^2 is exponential with mean 1, and the mean SNR in dB uniform on [5 - 10, 5 + 10]: a printed d is at most k with probability
 * E[1 - exp(-10^((k + 0.5 - 30 - SNR) / 10))], here by the midpoint rule, whose error over so smooth a function is below 1e-5.
 * Gains of one problem share their SNR, so each problem gives one, of interference, which the numbering of links says nothing
 * of. Kolmogorov-Smirnov with n = 4,000: the distance exceeds 1.95 / sqrt(n) = 0.031 once in 1,000 seeds; without the spread it
 * would be 0.2. */
static double spread_law(int k)
{
    const int points = 1000;
    double sum = 0;
    for (int i = 0; i < points; i++) {
        const double snr_db = -5 + 20 * (i + 0.5) / points;
        sum += 1 - exp(-pow(10, (k + 0.5 - WZ_GAIN_DB_OFFSET - snr_db) / 10));
    }
    return sum / points;
}

START_TEST(generate_spread_draws_an_snr_for_each_problem)
{
    enum { CEILING_DB = 30, TOP = WZ_GAIN_DB_OFFSET + CEILING_DB, PROBLEMS = 4000 };
    double values[WZ_TASK_MAX_OPTIONS], count[TOP + 1] = {0}, below = 0;
    wz_task_default_values(task, values);
    values[option("links")] = 2;
    values[option("snr_db")] = 5;
    values[option("snr_spread_db")] = 10;
    values[option("ceiling_db")] = CEILING_DB;
    for (uint32_t index = 0; index < PROBLEMS; index++) {
        wz_problem problem;
        ck_assert_int_eq(wz_problem_generate(task, values, 7, WZ_SPLIT_TRAIN, index, &problem, &err), WZ_OK);
        ck_assert_msg(task->check_numbers(&problem, &err) == WZ_OK, "%s", err.text);
        count[problem.numbers[1]]++;
        wz_problem_clear(&problem);
    }
    for (int k = 0; k < TOP; k++) {
        below += count[k];
        ck_assert_double_le(fabs(below / PROBLEMS - spread_law(k)), 1.95 / sqrt(PROBLEMS));
    }
}
END_TEST

/* The problem that snr_spread_db: 0 draws is the one of programs that did not know the option. */
START_TEST(generate_without_a_spread_draws_what_it_did)
{
    static const int32_t table[] = {36, 27, 33, 30, 28, 34, 28, 17, 26};
    double values[WZ_TASK_MAX_OPTIONS];
    wz_problem problem;
    wz_task_default_values(task, values);
    ck_assert_int_eq(wz_problem_generate(task, values, 1, WZ_SPLIT_TRAIN, 0, &problem, &err), WZ_OK);
    ck_assert_uint_eq(problem.number_count, sizeof table / sizeof *table);
    ck_assert_mem_eq(problem.numbers, table, sizeof table);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(ceiling_is_stated_and_clips_above)
{
    double values[WZ_TASK_MAX_OPTIONS];
    wz_problem problem;
    wz_text text = {0};
    wz_task_default_values(task, values);
    values[option("ceiling_db")] = 25;
    ck_assert_int_eq(task->import(values, 3, 3, small, 0, &problem, &err), WZ_OK);
    ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
    /* small has a gain of 30 dB, which is above it, and two of -inf and -90 dB, which no prompt holds */
    ck_assert_str_eq(text.data, " power levels 2 dB plus 30 0 to 55"
                                " a A 55 B 24 C 27 b B 40 A 0 C 33 c C 30 A 0 B 20<answer>");
    ck_assert_uint_eq(problem.clipped, 3);
    problem.numbers[0] = 56;
    ck_assert_int_ne(task->check_numbers(&problem, &err), WZ_OK);
    wz_text_clear(&text);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(spread_is_refused_where_the_channel_has_its_own_snr)
{
    static const struct {
        const char *channel;
        wz_status status;
    } cases[] = {{"rayleigh", WZ_OK}, {"imac", WZ_OK}, {"umi", WZ_ERR_USAGE}, {"uma", WZ_ERR_USAGE}};
    const size_t channel = option("channel");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double values[WZ_TASK_MAX_OPTIONS];
        wz_task_default_values(task, values);
        values[option("snr_spread_db")] = 3;
        ck_assert_str_eq(task->options[channel].names[i], cases[i].channel);
        values[channel] = (double)i;
        ck_assert_int_eq(task->check(values, &err), cases[i].status);
        ck_assert(cases[i].status == WZ_OK || strstr(err.text, "task.snr_spread_db = 3") != NULL);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("places");
    TCase *cases = tcase_create("places");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, NULL);
    tcase_add_test(cases, print_compact_aligned_rows_come_last_link_first);
    tcase_add_test(cases, print_compact_aligned_rows_stand_at_one_distance);
    tcase_add_test(cases, generate_active_links_stand_at_random_places);
    tcase_add_test(cases, generate_links_on_the_air_always_have_a_direct_gain);
    tcase_add_test(cases, full_prompt_says_who_is_off_the_air);
    tcase_add_test(cases, from_numbers_refuses_a_table_of_gaps_alone);
    tcase_add_test(cases, reorder_moves_gaps_and_sorts_the_others);
    tcase_add_test(cases, import_own_links_take_the_first_places);
    tcase_add_test(cases, generate_spread_draws_an_snr_for_each_problem);
    tcase_add_test(cases, generate_without_a_spread_draws_what_it_did);
    tcase_add_test(cases, ceiling_is_stated_and_clips_above);
    tcase_add_test(cases, spread_is_refused_where_the_channel_has_its_own_snr);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
