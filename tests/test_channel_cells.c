/* Channels of cells: formulas against values computed elsewhere, the geometry, and the laws of what is drawn. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "tasks/channel_cells.h"
#include "tasks/link_table.h"
#include "tasks/power_control.h"
#include "tests/suite.h"

static wz_error err;

/* tests/tools/channel_fixture.py, printed with nine and twelve decimals: model, metres, GHz, dB with and without line of sight,
 * probability of line of sight. */
static const struct {
    wz_cell_model model;
    double distance_m, carrier_ghz, sight_db, blocked_db, sight;
} oracle[] = {
    {WZ_CELLS_UMI, 10, 3.5, 66.761032808, 73.456859764, 1.000000000000},
    {WZ_CELLS_UMI, 50, 3.5, 79.089649234, 94.180676899, 0.519585413617},
    {WZ_CELLS_UMI, 200, 3.5, 91.611220032, 115.228841146, 0.093517987327},
    {WZ_CELLS_UMI, 400, 3.5, 103.238761423, 125.844827618, 0.045014272798},
    {WZ_CELLS_UMI, 2000, 0.7, 130.335965331, 135.627085552, 0.009000000000},
    {WZ_CELLS_UMI, 100, 28, 103.375988842, 123.879648735, 0.230984749698},
    {WZ_CELLS_UMA, 10, 3.5, 69.839915853, 79.415012162, 1.000000000000},
    {WZ_CELLS_UMA, 50, 3.5, 77.212182013, 92.510837688, 0.649402190334},
    {WZ_CELLS_UMA, 200, 3.5, 89.569525399, 114.461973119, 0.128047730028},
    {WZ_CELLS_UMA, 400, 3.5, 96.143141245, 126.139105269, 0.046669467964},
    {WZ_CELLS_UMA, 2000, 0.7, 119.890037127, 139.447384564, 0.009000000000},
    {WZ_CELLS_UMA, 100, 28, 101.199956417, 121.099323330, 0.347670836844},
};

START_TEST(loss_and_sight_equal_the_python_oracle)
{
    for (size_t i = 0; i < sizeof oracle / sizeof *oracle; i++) {
        ck_assert_double_eq_tol(
            wz_cells_loss_db(oracle[i].model, true, oracle[i].distance_m, oracle[i].carrier_ghz),
            oracle[i].sight_db, 1e-9);
        ck_assert_double_eq_tol(
            wz_cells_loss_db(oracle[i].model, false, oracle[i].distance_m, oracle[i].carrier_ghz),
            oracle[i].blocked_db, 1e-9);
        ck_assert_double_eq_tol(wz_cells_line_of_sight(oracle[i].model, oracle[i].distance_m),
                                oracle[i].sight, 1e-12);
    }
    ck_assert_double_eq_tol(wz_cells_noise_dbm(20, 9), -91.989700043, 1e-9);
}
END_TEST

/* 37 centres are the middle and three rings: any two are at least sqrt(3) R apart, each but the outermost has six neighbours at
 * just that distance, and ring r lies within sqrt(3) R r. */
START_TEST(centres_are_a_honeycomb)
{
    enum { CELLS = 37, INNER = 19 };
    static const size_t last_of_ring[] = {0, 6, 18, 36};
    double x[CELLS], y[CELLS];
    for (size_t c = 0; c < CELLS; c++)
        wz_cells_centre(c, 100, &x[c], &y[c]);
    ck_assert(x[0] == 0 && y[0] == 0);
    const double apart = 100 * sqrt(3);
    for (size_t c = 0; c < CELLS; c++) {
        int neighbours = 0;
        for (size_t d = 0; d < CELLS; d++) {
            const double distance = hypot(x[c] - x[d], y[c] - y[d]);
            ASSERT_EACH(d == c || distance > apart - 1e-9, "cells %zu and %zu are %g apart", c, d, distance);
            neighbours += d != c && distance < apart + 1e-9;
        }
        ASSERT_EACH(c >= INNER || neighbours == 6, "cell %zu has %d neighbours", c, neighbours);
        size_t ring = 0;
        while (c > last_of_ring[ring])
            ring++;
        ck_assert_double_le(hypot(x[c], y[c]), apart * (double)ring + 1e-9);
    }
}
END_TEST

/* Mean in dB of a path from a uniform user of the cell in the middle to the base station of cell `cell`: an integral over the
 * hexagon on a grid. Its triangles to a corner: |y| + |x| / sqrt(3) <= R. 10 lg Exp(1) has mean -10 gamma / ln 10 (Euler). */
static double mean_db(const wz_cells *layout, size_t cell)
{
    enum { GRID = 400 };
    const double radius = layout->radius_m, least = wz_cells_least_m(layout->model, radius);
    double x, y, sum = 0, count = 0;
    wz_cells_centre(cell, radius, &x, &y);
    for (int a = 0; a < GRID; a++)
        for (int b = 0; b < GRID; b++) {
            const double ux = radius * (2 * (a + 0.5) / GRID - 1), uy = radius * (2 * (b + 0.5) / GRID - 1),
                         d = hypot(ux - x, uy - y);
            if (fabs(ux) > radius * sqrt(3) / 2 || fabs(uy) + fabs(ux) / sqrt(3) > radius ||
                hypot(ux, uy) < least)
                continue;
            const double sight = wz_cells_line_of_sight(layout->model, d);
            count++;
            sum += layout->model == WZ_CELLS_IMAC
                       ? 30 * log10(200 / d)
                       : layout->power_dbm -
                             wz_cells_noise_dbm(layout->bandwidth_mhz, layout->noise_figure_db) -
                             sight * wz_cells_loss_db(layout->model, true, d, layout->carrier_ghz) -
                             (1 - sight) * wz_cells_loss_db(layout->model, false, d, layout->carrier_ghz);
        }
    return sum / count - 10 * 0.57721566490153 / log(10);
}

/* Gains in dB vary by less than 16 dB (path 12 at the most, shadowing 8, fading 5.6): four standard errors, and a quarter of a
 * decibel for the grid. Their variance is at least that of fading, 31, and of the (weaker) shadowing, 64 or 16; its own standard
 * error is at most sqrt(2 / n) of it for sums of variables with tails no heavier than a normal's, twice that for Exp(1) in dB. */
START_TEST(gains_have_the_mean_of_the_formulas)
{
    enum { PROBLEMS = 3000 };
    const wz_cells layouts[] = {{WZ_CELLS_IMAC, 3, 3, 100, 0, 0, 0, 0},
                                {WZ_CELLS_UMI, 3, 3, 115.47, 3.5, 44, 20, 9},
                                {WZ_CELLS_UMA, 3, 3, 288.7, 2, 49, 20, 9}};
    for (size_t l = 0; l < sizeof layouts / sizeof *layouts; l++) {
        const bool uplink = layouts[l].model == WZ_CELLS_IMAC;
        double direct = 0, square = 0, cross = 0;
        for (uint32_t n = 0; n < PROBLEMS; n++) {
            double gain[9];
            wz_draws draws = wz_draws_of_problem(0, 5, WZ_SPLIT_TEST, n, 3);
            wz_cells_draw(&layouts[l], &draws, gain);
            const double own = 10 * log10(gain[0]), /* the user of cell 0 and base station 1: */
                other = 10 * log10(gain[uplink ? 3 : 1]);
            direct += own / PROBLEMS;
            square += own * own / PROBLEMS;
            cross += other / PROBLEMS;
        }
        const double error = 4 * 16 / sqrt(PROBLEMS) + 0.25;
        ck_assert_double_eq_tol(direct, mean_db(&layouts[l], 0), error);
        ck_assert_double_eq_tol(cross, mean_db(&layouts[l], 1), error);
        ck_assert_double_ge(square - direct * direct, (uplink ? 95 : 47) * (1 - 8 * sqrt(2.0 / PROBLEMS)));
        ck_assert_double_le(square - direct * direct, 16 * 16);
    }
}
END_TEST

/* Uplink: users of a cell are heard by the same base station. Downlink: they hear the same one, on the same path. */
START_TEST(links_of_a_cell_share_their_base_station)
{
    double gain[25];
    for (int model = WZ_CELLS_IMAC; model <= WZ_CELLS_UMA; model++) {
        const wz_cells layout = {(wz_cell_model)model, 5, 2, 200, 3.5, 44, 20, 9};
        wz_draws draws = wz_draws_of_problem(0, 6, WZ_SPLIT_TEST, 1, 5);
        wz_cells_draw(&layout, &draws, gain);
        for (size_t a = 0; a < 5; a++)
            for (size_t b = 0; b < 5; b++)
                for (size_t k = 0; k < 5; k++) {
                    const bool same = model == WZ_CELLS_IMAC ? gain[a * 5 + k] == gain[b * 5 + k]
                                                             : gain[k * 5 + a] == gain[k * 5 + b];
                    ck_assert_int_eq(same, a % 2 == b % 2);
                }
    }
}
END_TEST

/* ---- as channels of power control ---- */

static wz_problem make(const double *values, uint64_t seed, wz_split split, uint32_t index)
{
    wz_problem problem = {0};
    ck_assert_msg(wz_problem_generate(&wz_task_power_control, values, seed, split, index, &problem, &err) ==
                      WZ_OK,
                  "%s", err.text);
    return problem;
}

/* What policies were trained on before there were other channels. */
START_TEST(rayleigh_problems_stay_as_they_were)
{
    double values[WZ_TASK_MAX_OPTIONS];
    wz_text text = {0};
    wz_task_default_values(&wz_task_power_control, values);
    values[0] = 4;
    wz_problem problem = make(values, 77, WZ_SPLIT_TRAIN, 12345);
    ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
    ck_assert_str_eq(text.data, " power levels 2 dB plus 30 0 to 44 a A 34 B 35 C 34 D 32 b B 28 A 21 C 29 D "
                                "27 c C 26 A 32 B 24 D 26 d D 17 A 30 B 22 C 28<answer>");
    wz_text_clear(&text);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(cell_channels_print_up_to_80_db)
{
    int32_t most = 0;
    for (int channel = 1; channel <= 3; channel++) {
        const double values[WZ_TASK_MAX_OPTIONS] = {5, 2, 0, channel};
        for (uint32_t n = 0; n < 200; n++) {
            wz_problem problem = make(values, 1, WZ_SPLIT_TEST, n);
            for (size_t e = 0; e < 25; e++)
                most = problem.numbers[e] > most ? problem.numbers[e] : most;
            wz_problem_clear(&problem);
        }
        wz_text text = {0};
        wz_problem problem = make(values, 1, WZ_SPLIT_TEST, 0);
        ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
        ck_assert_ptr_eq(strstr(text.data, " power levels 2 dB plus 30 0 to 110 a A "), text.data);
        wz_text_clear(&text);
        wz_problem_clear(&problem);
    }
    ck_assert_int_gt(most, WZ_GAIN_DB_MAX + 20); /* users near their base station */
    ck_assert_int_le(most, WZ_CELLS_DB_MAX);
}
END_TEST

/* A user's table of strong channels keeps its range there; under rayleigh it is cut off. */
START_TEST(imported_gains_take_the_range_of_the_channel)
{
    static const double gain[] = {1e6, 1e3, 1, 1e5};
    static const int32_t wide[] = {90, 60, 30, 80};
    double values[WZ_TASK_MAX_OPTIONS] = {2, 2, 0, 2, 2};
    wz_problem problem;
    ck_assert_int_eq(wz_task_power_control.import(values, 2, 2, gain, 0, &problem, &err), WZ_OK);
    ck_assert_mem_eq(problem.numbers, wide, sizeof wide);
    ck_assert_uint_eq(problem.clipped, 0);
    wz_problem_clear(&problem);
    static const double mixed[] = {10, 1e3, 1, 1e5};
    values[3] = 0;
    ck_assert_int_eq(wz_task_power_control.import(values, 2, 2, mixed, 0, &problem, &err), WZ_OK);
    ck_assert_uint_eq(problem.clipped, 2);
    ck_assert_int_eq(problem.numbers[0], WZ_GAIN_DB_MAX);
    wz_problem_clear(&problem);
    ck_assert_int_eq(wz_task_power_control.import(values, 2, 2, gain, 0, &problem, &err), WZ_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "above the printed range of -30..14 dB"));
}
END_TEST

START_TEST(options_that_contradict_each_other_are_refused)
{
    static const struct {
        double values[WZ_TASK_MAX_OPTIONS];
        const char *says;
    } cases[] = {
        {{5, 2, 10, 2},
         "task.snr_db = 10: the channel umi takes its signal-to-noise ratio from task.power_dbm"},
        {{5, 2, 0, 1, 6}, "task.cells = 6 is more than task.links = 5"},
        {{5, 2, 0, 3, 0, 74}, "task.radius_m = 74: 0 (the channel's own) or at least 75"},
        {{5, 2, 0, 3, 0, 0, 0.4}, "task.carrier_ghz = 0.4: 0 (the channel's own) or at least 0.5"},
        {{5, 2, 0, 3, 0, 0, 0, 0, 0.05}, "task.bandwidth_mhz = 0.05: 0 (the channel's own) or at least 0.1"},
        {{5, 2, 0, 4}, "task.channel = 4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(wz_task_check_values(&wz_task_power_control, cases[i].values, &err), WZ_ERR_USAGE);
        ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s", err.text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("channel_cells");
    TCase *cases = tcase_create("channel_cells");
    tcase_add_test(cases, loss_and_sight_equal_the_python_oracle);
    tcase_add_test(cases, centres_are_a_honeycomb);
    tcase_add_test(cases, gains_have_the_mean_of_the_formulas);
    tcase_add_test(cases, links_of_a_cell_share_their_base_station);
    tcase_add_test(cases, rayleigh_problems_stay_as_they_were);
    tcase_add_test(cases, cell_channels_print_up_to_80_db);
    tcase_add_test(cases, imported_gains_take_the_range_of_the_channel);
    tcase_add_test(cases, options_that_contradict_each_other_are_refused);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
