/* Power-control solvers against closed forms, brute force, another implementation and published rates. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rewards/solvers/enumerate.h"
#include "rewards/solvers/heuristics.h"
#include "rewards/solvers/search.h"
#include "rewards/solvers/sum_rate.h"
#include "rewards/solvers/wmmse.h"
#include "tasks/power_control.h"
#include "rewards/sun_figures.h"
#include "tasks/sun_testset.h"
#include "tests/suite.h"

/* Gains -ln u times scale, from Philox. */
static void random_gain(uint32_t number, size_t links, double scale, double *gain)
{
    const wz_draw_key key = {.seed = 99, .problem = number, .purpose = WZ_PURPOSE_TOOL};
    uint32_t words[4];
    for (size_t e = 0; e < links * links; e++) {
        wz_draw_words(&key, (uint32_t)e, words);
        gain[e] = -log(wz_uniform(words[0])) * scale;
    }
}

START_TEST(sum_rate_two_links_is_the_closed_form)
{
    static const double gain[] = {3, 1, 0.5, 7}, power[] = {1, 0.25};
    /* log2(1 + 3 / (2 + 0.25)) + log2(1 + 1.75 / (2 + 0.5)) */
    double expected = log2(1 + 3 / 2.25) + log2(1 + 1.75 / 2.5);
    ck_assert_double_eq_tol(wz_sum_rate(2, gain, power, 2), expected, 4e-15); /* a few ulp of 2 */
}
END_TEST

START_TEST(levels_round_trip_through_power)
{
    static const double gain[9] = {0};
    const wz_channel channel = {3, gain, 1, 2.5};
    for (size_t levels = 2; levels <= WZ_MAX_LEVELS; levels++)
        for (unsigned l = 0; l < levels; l++) {
            const unsigned level[] = {l, 0, (unsigned)levels - 1};
            unsigned back[3];
            double power[3];
            wz_levels_to_power(&channel, levels, level, power);
            ck_assert_double_eq(power[2], 2.5);
            wz_power_to_levels(&channel, levels, power, back);
            ck_assert_mem_eq(level, back, sizeof level);
        }
}
END_TEST

/* Two on/off links: both, or the stronger one alone. */
START_TEST(enumerate_two_links_is_the_best_of_three)
{
    for (uint32_t n = 0; n < 500; n++) {
        double gain[4];
        unsigned level[2];
        random_gain(n, 2, 5, gain);
        const wz_channel channel = {2, gain, 1, 1};
        double both = log2(1 + gain[0] / (1 + gain[1])) + log2(1 + gain[3] / (1 + gain[2]));
        double one = log2(1 + fmax(gain[0], gain[3]));
        ck_assert_double_eq_tol(wz_enumerate_levels(&channel, 2, level), fmax(both, one), 1e-13);
    }
}
END_TEST

/* Counts through all vectors like an odometer and recomputes each rate from nothing. */
static double brute_force(const wz_channel *channel, size_t levels)
{
    unsigned level[WZ_MAX_LINKS] = {0};
    double best = 0;
    for (;;) {
        best = fmax(best, wz_levels_sum_rate(channel, levels, level));
        size_t i = 0;
        while (i < channel->links && ++level[i] == levels)
            level[i++] = 0;
        if (i == channel->links)
            return best;
    }
}

START_TEST(enumerate_equals_brute_force)
{
    static const struct {
        size_t links, levels, count;
        double scale, noise, budget;
    } cases[] = {{1, 2, 4, 1, 1, 1},   {3, 2, 50, 1, 1, 1},    {4, 2, 50, 10, 0.1, 1}, {5, 2, 50, 1, 1, 2},
                 {9, 2, 10, 1, 1, 1},  {12, 2, 2, 25, 1, 1},   {2, 100, 4, 3, 1, 1},   {3, 8, 20, 10, 1, 1},
                 {4, 5, 10, 10, 1, 3}, {5, 3, 10, 1, 0.01, 1}, {8, 4, 1, 1, 1, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (uint32_t n = 0; n < cases[c].count; n++) {
            double gain[144];
            unsigned level[20];
            random_gain(n, cases[c].links, cases[c].scale, gain);
            const wz_channel channel = {cases[c].links, gain, cases[c].noise, cases[c].budget};
            double got = wz_enumerate_levels(&channel, cases[c].levels, level);
            ck_assert_double_eq_tol(got, brute_force(&channel, cases[c].levels),
                                    1e-8); /* as its header says */
            ck_assert_double_eq(got, wz_levels_sum_rate(&channel, cases[c].levels, level));
        }
}
END_TEST

/* Without interference every link transmits; a million steps must not lose the optimum. */
START_TEST(enumerate_twenty_links_visits_every_vector)
{
    double gain[400] = {0}, expected = 0;
    unsigned level[20];
    for (size_t i = 0; i < 20; i++) {
        gain[i * 21] = 0.5 + (double)i;
        expected += log2(1.5 + (double)i);
    }
    const wz_channel channel = {20, gain, 1, 1};
    ck_assert_double_eq_tol(wz_enumerate_levels(&channel, 2, level), expected, 1e-12);
}
END_TEST

START_TEST(enumerate_possible_ends_at_two_to_the_twenty)
{
    ck_assert(wz_enumerate_possible(20, 2));
    ck_assert(!wz_enumerate_possible(21, 2));
    ck_assert(wz_enumerate_possible(6, 10));
    ck_assert(wz_enumerate_possible(3, 100));
    ck_assert(!wz_enumerate_possible(4, 100));
    ck_assert(!wz_enumerate_possible(64, 100));
    ck_assert(!wz_enumerate_possible(0, 2));
}
END_TEST

/* Plain Python on the same samples (tests/tools/power_control_fixture.py), printed with 15 digits. Sums of at
 * most 9 logarithms: 1e-12; WMMSE repeats its rounding over 100 contracting iterations: 1e-9. */
START_TEST(solvers_equal_the_python_oracle)
{
    FILE *file = fopen(WZ_TEST_DATA "/power_control_oracle.txt", "r");
    ck_assert_ptr_nonnull(file);
    char line[256];
    size_t compared = 0;
    wz_sun_testset set;
    while (fgets(line, sizeof line, file) != NULL) {
        size_t sample, links, levels;
        double best, wmmse, greedy, full, strongest, gain[81], power[9];
        unsigned level[9];
        if (sscanf(line, "%zu %zu %zu %lf %lf %lf %lf %lf", &sample, &links, &levels, &best, &wmmse, &greedy,
                   &full, &strongest) != 8)
            continue;
        ck_assert_uint_le(links, 9);
        if (sample == 0)
            wz_sun_testset_init(&set, links);
        wz_sun_testset_next(&set, gain);
        const wz_channel channel = {links, gain, 1, 1};
        ck_assert_double_eq_tol(wz_enumerate_levels(&channel, levels, level), best, 1e-8);
        ck_assert_double_eq_tol(wz_wmmse(&channel, NULL, power), wmmse, 1e-9);
        ck_assert_double_eq_tol(wz_greedy_adder(&channel, levels, level), greedy, 1e-12);
        ck_assert_double_eq_tol(wz_full_power(&channel, levels, level), full, 1e-12);
        ck_assert_double_eq_tol(wz_strongest_only(&channel, levels, level), strongest, 1e-12);
        compared++;
    }
    ck_assert_uint_eq(compared, 8 + 8 + 8 + 4 + 4);
    ck_assert_int_eq(fclose(file), 0);
}
END_TEST

/* Mean WMMSE rate over the first 1,000 samples of Sun et al.'s test set, as published with three digits, and
 * per cent of it: full power, strongest only, greedy adder (published to the whole or the tenth). */
START_TEST(wmmse_on_the_sun_test_set_reaches_the_published_means)
{
    static const struct {
        size_t links;
        double wmmse, full, single, greedy;
    } published[] = {{5, 2.082, 0, 0, 0},        {10, 2.792, 50, 68, 101.6}, {15, 3.306, 0, 0, 0},
                     {20, 3.655, 39, 59, 100.8}, {25, 3.891, 0, 0, 0},       {30, 4.124, 35, 55, 100.4}};
    for (size_t c = 0; c < sizeof published / sizeof *published; c++) {
        const size_t links = published[c].links;
        double wmmse = 0, full = 0, single = 0, greedy = 0, gain[900], power[30];
        unsigned level[30];
        wz_sun_testset set;
        wz_sun_testset_init(&set, links);
        for (int n = 0; n < 1000; n++) {
            wz_sun_testset_next(&set, gain);
            const wz_channel channel = {links, gain, 1, 1};
            wmmse += wz_wmmse(&channel, NULL, power) / 1000;
            full += wz_full_power(&channel, 2, level) / 10;
            single += wz_strongest_only(&channel, 2, level) / 10;
            greedy += wz_greedy_adder(&channel, 2, level) / 10;
        }
        ck_assert_double_eq_tol(wmmse, published[c].wmmse, 0.0005);
        if (published[c].full == 0)
            continue;
        ck_assert_double_eq_tol(full / wmmse, published[c].full, 0.5);
        ck_assert_double_eq_tol(single / wmmse, published[c].single, 0.5);
        ck_assert_double_eq_tol(greedy / wmmse, published[c].greedy, 0.05);
    }
}
END_TEST

/* 102.5% of WMMSE at K = 10 is published over the same 1,000 samples. */
START_TEST(enumerate_on_the_sun_test_set_reaches_the_published_optimum)
{
    double wmmse = 0, best = 0, gain[100], power[10];
    unsigned level[10];
    wz_sun_testset set;
    wz_sun_testset_init(&set, 10);
    for (int n = 0; n < 1000; n++) {
        wz_sun_testset_next(&set, gain);
        const wz_channel channel = {10, gain, 1, 1};
        wmmse += wz_wmmse(&channel, NULL, power);
        best += 100 * wz_enumerate_levels(&channel, 2, level);
    }
    ck_assert_double_eq_tol(best / wmmse, 102.5, 0.05);
}
END_TEST

/* What `wavezero tasks published` prints of these samples. */
START_TEST(figures_of_the_sun_test_set_are_all_within)
{
    wz_sun_figure figures[WZ_SUN_FIGURES];
    wz_sun_figures_measure(1000, figures);
    for (size_t i = 0; i < WZ_SUN_FIGURES; i++)
        ck_assert_msg(wz_sun_figure_is_within(&figures[i]), "%s, %zu links: %g, published %g",
                      figures[i].name, figures[i].links, figures[i].measured, figures[i].published);
    wz_sun_figure far = {.published = 50, .tolerance = 0.5, .measured = 51};
    ck_assert(!wz_sun_figure_is_within(&far));
    far.error = 0.2;
    ck_assert(wz_sun_figure_is_within(&far));
    far.measured = 40;
    ck_assert(!wz_sun_figure_is_within(&far));
    far.is_most = true;
    ck_assert(wz_sun_figure_is_within(&far));
}
END_TEST

START_TEST(wmmse_one_link_or_no_power_is_exact)
{
    static const double one[] = {4}, off[] = {0, 0}, two[] = {1, 1, 1, 1};
    double power[2];
    const wz_channel alone = {1, one, 1, 1}, pair = {2, two, 1, 1};
    ck_assert_double_eq_tol(wz_wmmse(&alone, NULL, power), log2(5), 1e-12);
    ck_assert_double_eq(power[0], 1);
    ck_assert_double_eq(wz_wmmse(&pair, off, power), 0); /* all off is a fixed point, not 0 / 0 */
    static const double dead[] = {0, 1, 1, 4};           /* a link without a direct path is switched off */
    const wz_channel blind = {2, dead, 1, 1};
    ck_assert_double_eq_tol(wz_wmmse(&blind, NULL, power), log2(5), 1e-12);
    ck_assert_double_eq(power[0], 0);
}
END_TEST

/* Never above the optimum, never below what it starts from; close to it on average (the published bound at
 * K = 30 is >= 102.3% of WMMSE). */
START_TEST(search_lies_between_its_starts_and_the_optimum)
{
    double found_sum = 0, best_sum = 0;
    for (uint32_t n = 0; n < 100; n++) {
        double gain[100];
        unsigned level[10];
        random_gain(n, 10, 1, gain);
        const wz_channel channel = {10, gain, 1, 1};
        const wz_draw_key key = {.problem = n, .purpose = WZ_PURPOSE_BASELINE};
        double best = wz_enumerate_levels(&channel, 2, level);
        double greedy = wz_greedy_adder(&channel, 2, level);
        double found = wz_search_levels(&channel, 2, &key, level);
        ck_assert_double_eq(found, wz_levels_sum_rate(&channel, 2, level));
        ck_assert_double_le(found, best + 1e-8);
        ck_assert_double_ge(found, greedy - 1e-12);
        found_sum += found;
        best_sum += best;
    }
    ck_assert_double_ge(found_sum / best_sum, 0.998);
}
END_TEST

START_TEST(search_thirty_links_reaches_the_published_bound)
{
    double wmmse = 0, found = 0, gain[900], power[30];
    unsigned level[30];
    wz_sun_testset set;
    wz_sun_testset_init(&set, 30);
    for (uint32_t n = 0; n < 1000; n++) {
        wz_sun_testset_next(&set, gain);
        const wz_channel channel = {30, gain, 1, 1};
        const wz_draw_key key = {.problem = n, .purpose = WZ_PURPOSE_BASELINE};
        wmmse += wz_wmmse(&channel, NULL, power);
        found += 100 * wz_search_levels(&channel, 2, &key, level);
    }
    ck_assert_double_ge(found / wmmse, 102.3);
}
END_TEST

START_TEST(coordinate_ascent_ends_where_no_single_change_helps)
{
    for (uint32_t n = 0; n < 50; n++) {
        double gain[36];
        unsigned level[6] = {0};
        random_gain(n, 6, 10, gain);
        const wz_channel channel = {6, gain, 1, 1};
        double rate = wz_coordinate_ascent(&channel, 5, level);
        for (size_t i = 0; i < 6; i++) {
            unsigned kept = level[i];
            for (level[i] = 0; level[i] < 5; level[i]++)
                ck_assert_double_le(wz_levels_sum_rate(&channel, 5, level), rate + 1e-9);
            level[i] = kept;
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("solvers");
    TCase *cases = tcase_create("solvers");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, sum_rate_two_links_is_the_closed_form);
    tcase_add_test(cases, levels_round_trip_through_power);
    tcase_add_test(cases, enumerate_two_links_is_the_best_of_three);
    tcase_add_test(cases, enumerate_equals_brute_force);
    tcase_add_test(cases, enumerate_twenty_links_visits_every_vector);
    tcase_add_test(cases, enumerate_possible_ends_at_two_to_the_twenty);
    tcase_add_test(cases, solvers_equal_the_python_oracle);
    tcase_add_test(cases, wmmse_on_the_sun_test_set_reaches_the_published_means);
    tcase_add_test(cases, enumerate_on_the_sun_test_set_reaches_the_published_optimum);
    tcase_add_test(cases, figures_of_the_sun_test_set_are_all_within);
    tcase_add_test(cases, wmmse_one_link_or_no_power_is_exact);
    tcase_add_test(cases, search_lies_between_its_starts_and_the_optimum);
    tcase_add_test(cases, search_thirty_links_reaches_the_published_bound);
    tcase_add_test(cases, coordinate_ascent_ends_where_no_single_change_helps);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
