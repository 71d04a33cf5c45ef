/* Problems: what is generated, imported and printed, and what an answer may look like. */
#include <check.h>
#include <math.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/numpy_random.h"
#include "tasks/power_control.h"
#include "tasks/task.h"
#include "tests/suite.h"

static const wz_task *task;
static wz_error err;

static void setup(void)
{
    task = wz_task_find("power_control");
    ck_assert_ptr_nonnull(task);
    err.text[0] = '\0';
}

static wz_problem make(double links, double levels, double snr_db, uint64_t seed, wz_split split,
                       uint32_t index)
{
    const double values[WZ_TASK_MAX_OPTIONS] = {links, levels, snr_db};
    wz_problem problem = {0};
    ck_assert_msg(wz_problem_generate(task, values, seed, split, index, &problem, &err) == WZ_OK, "%s",
                  err.text);
    return problem;
}

static bool same_table(const wz_problem *a, const wz_problem *b)
{
    return a->number_count == b->number_count &&
           memcmp(a->numbers, b->numbers, a->number_count * sizeof *a->numbers) == 0;
}

/* ---- table and options ---- */

START_TEST(find_unknown_name_is_null)
{
    ck_assert_ptr_null(wz_task_find("power_contro"));
    ck_assert_ptr_eq(wz_task_find("power_control"), &wz_task_power_control);
}
END_TEST

START_TEST(default_values_are_accepted)
{
    double values[WZ_TASK_MAX_OPTIONS];
    wz_task_default_values(task, values);
    ck_assert_double_eq(values[0], 3);
    ck_assert_double_eq(values[1], 2);
    ck_assert_double_eq(values[2], 0);
    ck_assert_int_eq(wz_task_check_values(task, values, &err), WZ_OK);
}
END_TEST

START_TEST(check_values_outside_range_names_the_option)
{
    static const struct {
        double values[WZ_TASK_MAX_OPTIONS];
        const char *says;
    } cases[] = {
        {{1, 2, 0}, "task.links"},    {{65, 2, 0}, "task.links"},         {{3, 1, 0}, "task.levels"},
        {{3, 101, 0}, "task.levels"}, {{2.5, 2, 0}, "whole number"},      {{3, 2, NAN}, "task.snr_db"},
        {{3, 2, 41}, "task.snr_db"},  {{3, 2, -INFINITY}, "task.snr_db"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wz_problem problem;
        ck_assert_int_eq(wz_task_check_values(task, cases[i].values, &err), WZ_ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(err.text, cases[i].says));
        ck_assert_int_eq(wz_problem_generate(task, cases[i].values, 1, WZ_SPLIT_TRAIN, 0, &problem, &err),
                         WZ_ERR_USAGE);
    }
}
END_TEST

/* ---- generation ---- */

START_TEST(generate_same_arguments_gives_same_problem)
{
    wz_problem a = make(7, 4, 3, 11, WZ_SPLIT_TRAIN, 123456), b = make(7, 4, 3, 11, WZ_SPLIT_TRAIN, 123456);
    ck_assert(same_table(&a, &b));
    ck_assert_uint_eq(a.size, 7);
    ck_assert_uint_eq(wz_power_control_borrow(&a)->levels, 4);
    wz_problem_clear(&a);
    wz_problem_clear(&b);
    ck_assert_ptr_null(a.payload);
    wz_problem_clear(&a); /* twice is harmless */
}
END_TEST

/* 36 entries of about 5 bits each: a chance coincidence among 3 x 300 problems is below 1e-40. */
START_TEST(generate_splits_seeds_and_indices_never_overlap)
{
    enum { COUNT = 300, ALL = 4 * COUNT };
    wz_problem *problems = calloc(ALL, sizeof *problems);
    ck_assert_ptr_nonnull(problems);
    for (uint32_t i = 0; i < COUNT; i++) {
        problems[i] = make(6, 2, 0, 1, WZ_SPLIT_TRAIN, i);
        problems[COUNT + i] = make(6, 2, 0, 1, WZ_SPLIT_VALIDATION, i);
        problems[2 * COUNT + i] = make(6, 2, 0, 1, WZ_SPLIT_TEST, i);
        problems[3 * COUNT + i] = make(6, 2, 0, 2, WZ_SPLIT_TRAIN, i);
    }
    for (size_t a = 0; a < ALL; a++)
        for (size_t b = a + 1; b < ALL; b++)
            ck_assert_msg(!same_table(&problems[a], &problems[b]), "problems %zu and %zu are equal", a, b);
    for (size_t a = 0; a < ALL; a++)
        wz_problem_clear(&problems[a]);
    free(problems);
}
END_TEST

/* The printed level d is at most k iff h^2 snr < 10^((k + 0.5 - 30) / 10), and h^2 is exponential with mean 1.
 * Kolmogorov-Smirnov with n = 90,000: the distance exceeds 1.95 / sqrt(n) once in 1,000 seeds. */
START_TEST(generate_printed_gains_follow_the_exponential_law)
{
    static const double snrs_db[] = {0, 10};
    for (size_t s = 0; s < 2; s++) {
        double count[WZ_GAIN_DB_MAX + 1] = {0}, below = 0;
        const double n = 100 * 30 * 30;
        for (uint32_t i = 0; i < 100; i++) {
            wz_problem problem = make(30, 2, snrs_db[s], 5, WZ_SPLIT_TEST, i);
            for (size_t e = 0; e < 900; e++)
                count[problem.numbers[e]]++;
            wz_problem_clear(&problem);
        }
        for (int k = 0; k < WZ_GAIN_DB_MAX; k++) {
            below += count[k];
            double law = 1 - exp(-pow(10, (k + 0.5 - 30 - snrs_db[s]) / 10));
            ck_assert_double_le(fabs(below / n - law), 1.95 / sqrt(n));
        }
    }
}
END_TEST

START_TEST(generate_linear_gains_are_the_printed_ones)
{
    wz_problem problem = make(20, 2, 12, 5, WZ_SPLIT_TRAIN, 3);
    const wz_power_control *p = wz_power_control_borrow(&problem);
    size_t at_top = 0;
    for (size_t e = 0; e < 400; e++) {
        ck_assert_int_le(problem.numbers[e], WZ_GAIN_DB_MAX);
        at_top += problem.numbers[e] == WZ_GAIN_DB_MAX;
        /* pow is good to 1 ulp */
        ck_assert_double_eq_tol(10 * log10(p->gain[e]), problem.numbers[e] - 30.0, 1e-13);
    }
    ck_assert_uint_gt(at_top, 0);
    wz_problem_clear(&problem);
}
END_TEST

/* Links stand by falling direct gain, equal ones in the order they came, and rows and columns move together. */
START_TEST(links_are_numbered_by_falling_direct_gain)
{
    static const double table[] = {1, 2, 3, 4, 5, 8, 6, 7, 9, 10, 1, 11, 12, 13, 14, 8};
    const double values[WZ_TASK_MAX_OPTIONS] = {4, 2, 0};
    static const uint8_t source[] = {1, 3, 0, 2};
    wz_problem problem;
    ck_assert_int_eq(task->import(values, 4, 4, table, 0, &problem, &err), WZ_OK);
    ck_assert_mem_eq(problem.source, source, sizeof source);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++)
            ck_assert_int_eq(problem.numbers[i * 4 + j],
                             lround(10 * log10(table[source[i] * 4 + source[j]])) + 30);
    wz_problem_clear(&problem);
    for (uint32_t n = 0; n < 50; n++) {
        problem = make(12, 2, 0, 3, WZ_SPLIT_TRAIN, n);
        for (size_t i = 1; i < 12; i++)
            ck_assert_int_ge(problem.numbers[(i - 1) * 13], problem.numbers[i * 13]);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- import ---- */

static const double small[] = {1.0, 0.1, 0.0, 2.0, 10.0, 1e-9, 0.5, 0.25, 1e3};

START_TEST(import_rounds_clips_and_counts)
{
    const double values[WZ_TASK_MAX_OPTIONS] = {9, 4, 0}; /* links come from the table */
    wz_problem problem;
    ck_assert_msg(task->import(values, 3, 3, small, 42, &problem, &err) == WZ_OK, "%s", err.text);
    const wz_power_control *p = wz_power_control_borrow(&problem);
    /* round(10 log10 g) + 30 by hand is 30 20 0 / 33 40 0 / 27 24 44; then the last link comes first */
    static const int32_t expected[] = {44, 24, 27, 0, 40, 33, 0, 20, 30};
    static const uint8_t source[] = {2, 1, 0};
    ck_assert_mem_eq(problem.numbers, expected, sizeof expected);
    ck_assert_mem_eq(problem.source, source, sizeof source);
    ck_assert_uint_eq(problem.clipped, 3);
    ck_assert_uint_eq(p->levels, 4);
    ck_assert_uint_eq(problem.index, 42);
    ck_assert_uint_eq(problem.size, 3);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(import_bad_tables_are_refused_with_the_place)
{
    const double values[WZ_TASK_MAX_OPTIONS] = {3, 2, 0};
    static double big[65 * 65];
    static const double nan_gain[] = {1, 1, NAN, 1}, infinite[] = {1, 1, 1, INFINITY},
                        negative[] = {1, -0.5, 1, 1};
    static const double watts[] = {1e-9, 1e-12, 1e-12, 1e-9}, decibels[] = {100, 3, 3, 100};
    static const struct {
        const double *data;
        size_t rows, columns;
        const char *says;
    } cases[] = {
        {small, 3, 2, "3 x 2"},
        {small, 1, 1, "1 x 1"},
        {small, 0, 0, "0 x 0"},
        {big, 65, 65, "2 to 64"},
        {nan_gain, 2, 2, "row 2, column 1"},
        {infinite, 2, 2, "row 2, column 2"},
        {negative, 2, 2, "row 1, column 2"},
        {watts, 2, 2, "below"},
        {decibels, 2, 2, "above"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wz_problem problem;
        ck_assert_int_eq(
            task->import(values, cases[i].rows, cases[i].columns, cases[i].data, 0, &problem, &err),
            WZ_ERR_CORRUPT);
        ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s", err.text);
    }
    const double bad_levels[WZ_TASK_MAX_OPTIONS] = {3, 1, 0};
    wz_problem problem;
    ck_assert_int_eq(task->import(bad_levels, 3, 3, small, 0, &problem, &err), WZ_ERR_USAGE);
}
END_TEST

/* ---- text ---- */

START_TEST(print_compact_is_the_frame_and_the_table)
{
    const double values[WZ_TASK_MAX_OPTIONS] = {3, 4, 0};
    wz_problem problem;
    wz_text text = {0};
    ck_assert_int_eq(task->import(values, 3, 3, small, 0, &problem, &err), WZ_OK);
    ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
    ck_assert_str_eq(text.data, " power levels 4 dB plus 30 0 to 44"
                                " a A 44 B 24 C 27 b B 40 A 0 C 33 c C 30 A 0 B 20<answer>");
    wz_text_clear(&text);
    wz_problem_clear(&problem);
}
END_TEST

/* Every word starts with its space, so spaces count words: nine of the frame, beside them the table. With
 * "<answer>", "</answer>" and an end token that is twelve. */
START_TEST(print_compact_frame_is_nine_words_at_every_size)
{
    for (size_t links = 2; links <= WZ_MAX_LABELS; links += 31) {
        wz_problem problem = make((double)links, 100, 0, 1, WZ_SPLIT_TRAIN, 0);
        wz_text text = {0};
        size_t words = 0;
        ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
        for (const char *c = text.data; *c != '\0'; c++)
            words += *c == ' ';
        ck_assert_uint_eq(words, 9 + links * (2 * links + 1));
        ck_assert_str_eq(text.data + text.length - 8, "<answer>");
        wz_text_clear(&text);
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(print_full_states_units_levels_and_form)
{
    static const char *const needed[] = {
        "2 radio links, A to B",         "Receiver A: 10 dB from A, -30 dB from B\n",
        "one of 8 power levels, 0 to 7", "<think> and </think>",
        "<answer> and </answer>",        "bit/s/Hz"};
    static const double two[] = {1, 0.1, 0.001, 10};
    const double values[WZ_TASK_MAX_OPTIONS] = {2, 8, 0};
    wz_problem problem;
    wz_text text = {0};
    ck_assert_int_eq(task->import(values, 2, 2, two, 0, &problem, &err), WZ_OK);
    ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_FULL, &text, &err), WZ_OK);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        ck_assert_msg(strstr(text.data, needed[i]) != NULL, "\"%s\" is missing in %s", needed[i], text.data);
    ck_assert_str_eq(text.data + text.length - 7, "<think>");
    wz_text_clear(&text);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(link_label_counts_in_letters_without_repeats)
{
    char a[3], b[3];
    static const struct {
        size_t link;
        const char *label;
    } known[] = {{0, "A"}, {25, "Z"}, {26, "AA"}, {51, "AZ"}, {52, "BA"}, {63, "BL"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        wz_label(known[i].link, a);
        ck_assert_str_eq(a, known[i].label);
    }
    for (size_t i = 0; i < WZ_MAX_LABELS; i++)
        for (size_t j = 0; j < i; j++) {
            wz_label(i, a);
            wz_label(j, b);
            ck_assert_str_ne(a, b);
        }
}
END_TEST

static bool matches(const pcre2_code *code, const char *subject)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    int found = pcre2_match(code, (PCRE2_SPTR)subject, strlen(subject), 0, 0, data, NULL);
    pcre2_match_data_free(data);
    return found > 0;
}

START_TEST(answer_pattern_on_off_names_the_links)
{
    wz_problem problem = make(28, 2, 0, 1, WZ_SPLIT_TRAIN, 0);
    wz_text text = {0};
    ck_assert_int_eq(wz_problem_answer_pattern(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
    ck_assert_int_eq(strncmp(text.data, "( (A|a))( (B|b))( (C|c))", 24), 0);
    ck_assert_ptr_nonnull(strstr(text.data, "( (Z|z))( (AA|aa))( (AB|ab))</answer>"));
    text.length = 0;
    ck_assert_int_eq(wz_problem_answer_pattern(&problem, WZ_PROMPT_FULL, &text, &err), WZ_OK);
    ck_assert_str_eq(text.data, "( [0-1]){28}</answer>");
    wz_text_clear(&text);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(answer_pattern_accepts_exactly_the_levels)
{
    for (unsigned levels = 3; levels <= WZ_MAX_LEVELS; levels++) {
        wz_problem problem = make(2, levels, 0, 1, WZ_SPLIT_TRAIN, 0);
        wz_text text = {0};
        ck_assert_int_eq(wz_text_printf(&text, &err, "^(?:"), WZ_OK);
        ck_assert_int_eq(wz_problem_answer_pattern(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
        ck_assert_int_eq(wz_text_printf(&text, &err, ")\\z"), WZ_OK);
        int code_error;
        size_t at;
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)text.data, text.length, 0, &code_error, &at, NULL);
        ck_assert_ptr_nonnull(code);
        char answer[64];
        for (unsigned l = 0; l <= 120; l++) {
            (void)snprintf(answer, sizeof answer, " 0 %u</answer>", l);
            ck_assert_msg(matches(code, answer) == (l < levels), "%s with %u levels: %s", answer, levels,
                          text.data);
        }
        static const char *const never[] = {" 0</answer>",
                                            " 0 0 0</answer>",
                                            "0 0</answer>",
                                            " 00 0</answer>",
                                            " 0 01</answer>",
                                            " 0  0</answer>",
                                            " 0 0",
                                            " 0 0</answer>\n",
                                            " -0 0</answer>",
                                            " 0 0 </answer>",
                                            ""};
        for (size_t i = 0; i < sizeof never / sizeof *never; i++)
            ck_assert_msg(!matches(code, never[i]), "%s matches %s", never[i], text.data);
        pcre2_code_free(code);
        wz_text_clear(&text);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- draws ---- */

/* Chi-squared with 5 degrees of freedom exceeds 20.5, with 23 exceeds 49.7, once in 1,000 seeds. */
START_TEST(draws_are_uniform_and_repeatable)
{
    wz_draws draws = wz_draws_of_problem(3, 8, WZ_SPLIT_TEST, 5, 6), again = draws;
    double count[6] = {0}, orders[24] = {0}, chi = 0;
    for (size_t n = 0; n < 60000; n++)
        count[wz_draws_below(&draws, 6)]++;
    for (size_t v = 0; v < 6; v++)
        chi += (count[v] - 10000) * (count[v] - 10000) / 10000;
    ck_assert_double_le(chi, 20.5);
    chi = 0;
    for (size_t n = 0; n < 24000; n++) {
        uint8_t order[4];
        wz_draws_permutation(&draws, 4, order);
        size_t rank = 0;
        for (size_t i = 0; i < 4; i++) {
            size_t smaller = 0;
            for (size_t j = i + 1; j < 4; j++)
                smaller += order[j] < order[i];
            rank = rank * (4 - i) + smaller;
        }
        orders[rank]++;
    }
    for (size_t r = 0; r < 24; r++)
        chi += (orders[r] - 1000) * (orders[r] - 1000) / 1000;
    ck_assert_double_le(chi, 49.7);
    for (size_t n = 0; n < 10; n++) {
        const double first = wz_draws_uniform(&again);
        wz_draws at = wz_draws_of_problem(3, 8, WZ_SPLIT_TEST, 5, 6);
        at = wz_draws_from(&at.key, n);
        ck_assert_double_eq(first, wz_draws_uniform(&at));
    }
}
END_TEST

/* ---- numpy's generator ---- */

/* Words and uniforms are integer arithmetic: equal to the bit. A normal takes one log, one sqrt and four
 * rounded products; with a log good to 1 ulp another C library may differ by 3 ulp. */
START_TEST(numpy_random_equals_numpy)
{
    FILE *file = fopen(WZ_TEST_DATA "/numpy_random_seed7.txt", "r");
    ck_assert_ptr_nonnull(file);
    char line[128], kind[16], value[64];
    unsigned long index, next = 0;
    size_t compared = 0;
    char current = 0;
    wz_numpy_random random;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%15s %lu %63s", kind, &index, value) != 3 || kind[0] == '#')
            continue;
        if (kind[0] != current) {
            wz_numpy_random_init(&random, 7);
            current = kind[0];
            next = 0;
        }
        double got = 0;
        for (; next <= index; next++)
            got = current == 'w'   ? wz_numpy_random_word(&random)
                  : current == 'u' ? wz_numpy_random_uniform(&random)
                                   : wz_numpy_random_normal(&random);
        double expected = strtod(value, NULL);
        ck_assert_double_le(fabs(got - expected), current == 'n' ? 3 * 0x1p-52 * fabs(expected) : 0);
        compared++;
    }
    ck_assert_uint_eq(compared, 23 + 11 + 35);
    ck_assert_int_eq(fclose(file), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tasks");
    TCase *cases = tcase_create("tasks");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, setup, NULL);
    tcase_add_test(cases, find_unknown_name_is_null);
    tcase_add_test(cases, default_values_are_accepted);
    tcase_add_test(cases, check_values_outside_range_names_the_option);
    tcase_add_test(cases, generate_same_arguments_gives_same_problem);
    tcase_add_test(cases, generate_splits_seeds_and_indices_never_overlap);
    tcase_add_test(cases, generate_printed_gains_follow_the_exponential_law);
    tcase_add_test(cases, generate_linear_gains_are_the_printed_ones);
    tcase_add_test(cases, links_are_numbered_by_falling_direct_gain);
    tcase_add_test(cases, import_rounds_clips_and_counts);
    tcase_add_test(cases, import_bad_tables_are_refused_with_the_place);
    tcase_add_test(cases, print_compact_is_the_frame_and_the_table);
    tcase_add_test(cases, print_compact_frame_is_nine_words_at_every_size);
    tcase_add_test(cases, print_full_states_units_levels_and_form);
    tcase_add_test(cases, link_label_counts_in_letters_without_repeats);
    tcase_add_test(cases, answer_pattern_on_off_names_the_links);
    tcase_add_test(cases, answer_pattern_accepts_exactly_the_levels);
    tcase_add_test(cases, draws_are_uniform_and_repeatable);
    tcase_add_test(cases, numpy_random_equals_numpy);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
