/* D2D link scheduling: its channels, FPLinQ, what is published of both, and fields that are too large to print. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rewards/solvers/enumerate.h"
#include "rewards/solvers/fplinq.h"
#include "rewards/solvers/heuristics.h"
#include "rewards/solvers/search.h"
#include "rewards/verifier.h"
#include "tasks/channel_d2d.h"
#include "tasks/d2d.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_d2d;
static wz_error err;

enum { LINKS, FIELD_M, MIN_DISTANCE_M, MAX_DISTANCE_M, SHADOWING_DB, FADING, GAP_DB, OPTIONS };

static wz_problem make(const double *values, uint32_t index)
{
    wz_problem problem = {0};
    ck_assert_msg(wz_problem_generate(task, values, 1, WZ_SPLIT_TEST, index, &problem, &err) == WZ_OK, "%s",
                  err.text);
    return problem;
}

/* ---- channels ---- */

/* tests/tools/d2d_fixture.py, printed with ten decimals. */
START_TEST(loss_equals_the_python_oracle)
{
    static const double published[][2] = {{1, 40.0311896311},  {2, 46.0517895444},  {50, 74.0105897179},
                                          {72, 77.1778395598}, {73, 77.4116615832}, {500, 110.8375473518}};
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        ck_assert_double_eq_tol(wz_d2d_loss_db(published[i][0]), published[i][1], 1e-10);
}
END_TEST

/* Power in dB above the noise without shadowing and fading: 40 + 169 - 10 lg 5e6 = 142.0103 dB less the loss. */
static double distance_of(double power_db)
{
    double low = 1e-3, high = 1e5;
    while (high - low > 1e-9 * low) {
        const double middle = (low + high) / 2;
        if (142.01029996 - wz_d2d_loss_db(middle) > power_db)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* In a field so large that its border hardly matters distances of a link are uniform in 2..65 m: chi-squared with 6 degrees of
 * freedom exceeds 22.5 once in 1,000 seeds. The distance of two uniform points of a unit square has mean 0.52141 and standard
 * deviation 0.2479 (Philip 2007): four standard errors, and as much as a receiver may be off its transmitter. */
START_TEST(distances_follow_the_law)
{
    enum { PROBLEMS = 4900, BINS = 7 };
    const wz_d2d_field field = {2, 10000, 2, 65, 0, false};
    double count[BINS] = {0}, chi = 0, between = 0;
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        double power_db[4];
        wz_draws draws = wz_draws_of_problem(6, 3, WZ_SPLIT_TEST, n, 2);
        ck_assert_int_eq(wz_d2d_draw(&field, &draws, power_db, &err), WZ_OK);
        const double own = distance_of(power_db[0] - 2.5);
        ASSERT_EACH(own > 2 - 1e-6 && own < 65 + 1e-6, "a link of %g m", own);
        count[(int)fmin((own - 2) / 9, BINS - 1)]++;
        between += distance_of(power_db[1]) / 10000 / PROBLEMS;
    }
    for (size_t b = 0; b < BINS; b++)
        chi += (count[b] - 700) * (count[b] - 700) / 700;
    ck_assert_double_le(chi, 22.5);
    ck_assert_double_eq_tol(between, 0.52141, 4 * 0.2479 / 70 + 0.0065);
}
END_TEST

/* 10 m each, so that what varies is shadowing and fading: N(0, 8) in dB has a mean within 4 * 8 / sqrt(n) and a variance within
 * 4 sqrt(2 / n) of 64, relative; Exp(1) has mean 1 and is below ln 2 half the time. */
START_TEST(shadowing_and_fading_follow_their_laws)
{
    enum { PROBLEMS = 5000 };
    const double median_db = 142.01029996 + 2.5 - wz_d2d_loss_db(10);
    double mean = 0, square = 0, linear = 0, below = 0;
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        double power_db[4];
        const wz_d2d_field shadowed = {2, 1000, 10, 10, 8, false}, faded = {2, 1000, 10, 10, 0, true};
        wz_draws draws = wz_draws_of_problem(6, 4, WZ_SPLIT_TEST, n, 2);
        ck_assert_int_eq(wz_d2d_draw(&shadowed, &draws, power_db, &err), WZ_OK);
        const double off = power_db[0] - median_db;
        mean += off / PROBLEMS;
        square += off * off / PROBLEMS;
        ck_assert_int_eq(wz_d2d_draw(&faded, &draws, power_db, &err), WZ_OK);
        const double fading = pow(10, (power_db[3] - median_db) / 10);
        linear += fading / PROBLEMS;
        below += fading < log(2) ? 1.0 / PROBLEMS : 0;
    }
    const double error = 4 / sqrt(PROBLEMS);
    ck_assert_double_eq_tol(mean, 0, 8 * error);
    ck_assert_double_eq_tol(square, 64, 64 * sqrt(2) * error);
    ck_assert_double_eq_tol(linear, 1, error);
    ck_assert_double_eq_tol(below, 0.5, 0.5 * error);
}
END_TEST

START_TEST(fields_that_have_no_room_are_refused)
{
    static const struct {
        double values[OPTIONS];
        const char *says;
    } cases[] = {
        {{101, 500, 2, 65, 0, 0, 6}, "task.links = 101: d2d accepts 2 to 100"},
        {{8, 500, 66, 65, 0, 0, 6}, "task.min_distance_m = 66 is larger than task.max_distance_m = 65"},
        {{8, 50, 2, 65, 0, 0, 6}, "task.field_m = 50 is too small for links of 2 to 65 m"},
        {{8, 60, 40, 60, 0, 0, 6}, "task.field_m = 60 is too small for links of 40 to 60 m"},
        {{80, 70, 2, 65, 0, 0, 6}, "task.field_m = 70 is too small for 80 links"},
        {{8, 500, 2, 65, 0, 2, 6}, "task.fading = 2"},
        {{8, 500, 2, 65, 0, 0, 5.5}, "task.gap_db = 5.5: must be a whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(wz_task_check_values(task, cases[i].values, &err), WZ_ERR_USAGE);
        ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s", err.text);
    }
    /* the densest that the options allow is found places for */
    const double dense[OPTIONS] = {50, 50, 1, 1, 0, 0, 6};
    wz_problem problem = make(dense, 0);
    wz_problem_clear(&problem);
    /* 100 links in 10 m are not */
    const wz_d2d_field crowd = {100, 10, 1, 5, 0, false};
    double power_db[WZ_MAX_LINKS * WZ_MAX_LINKS];
    wz_draws draws = wz_draws_of_problem(6, 1, WZ_SPLIT_TEST, 0, 100);
    ck_assert_int_eq(wz_d2d_draw(&crowd, &draws, power_db, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "use a larger field"));
}
END_TEST

START_TEST(malformed_numbers_are_named)
{
    family_refuses(
        task, "links=2", (const int32_t[]){70, 30, 30, 71}, 4,
        "d2d: link 2 has a larger direct gain than the one before it; links are numbered by falling "
        "direct gain");
    family_refuses(task, "links=2", (const int32_t[]){70, 30, 121, 60}, 4,
                   "d2d: number 3, a gain, is 121; it must lie in 0 to 120");
    family_refuses(task, "links=2", (const int32_t[]){70, 30, 30}, 3,
                   "d2d: 3 numbers where its options ask for 4");
}
END_TEST

/* ---- verdicts ---- */

/* By hand, 10 dB of gap, direct 70 and 60 dB, 40 dB from B at A and 50 dB from A at B:
 * both 5 (lg2(1 + 1e6 / (1 + 1e4)) + lg2(1 + 1e5 / (1 + 1e5))), A alone 5 lg2(1 + 1e6), B alone 5 lg2(1 + 1e5). */
START_TEST(two_links_are_worth_the_closed_form)
{
    static const int32_t numbers[] = {70, 40, 50, 60};
    const double both = 5 * (log2(1 + 1e6 / 10001) + log2(1 + 1e5 / 100001)), a = 5 * log2(1 + 1e6),
                 b = 5 * log2(1 + 1e5), expected[] = {0, a, b, both};
    static const char *const completions[] = {" a b</answer>", " A b</answer>", " a B</answer>",
                                              " A B</answer>"};
    wz_problem problem = family_from_numbers(task, "links=2 gap_db=10", numbers, 4);
    const wz_reference known = family_reference(&problem, NULL);
    ck_assert_double_eq_tol(known.objective, a, 1e-12 * a);
    ck_assert_double_eq(known.best_trivial, known.objective); /* the strongest link alone is optimal */
    for (unsigned d = 0; d < 4; d++) {
        const wz_verdict verdict = family_answer(&problem, &known, completions[d]);
        ck_assert_int_eq(verdict.kind, WZ_VERDICT_FEASIBLE);
        ck_assert_double_eq_tol(verdict.objective, expected[d], 1e-12 * a);
        ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0); /* there is none */
    }
    static const char *const tricks[] = {" A</answer>",      " A b b</answer>", " b A</answer>",
                                         " A a</answer>",    " A C</answer>",   " 1 0</answer>",
                                         " A none</answer>", " Ab</answer>"};
    family_rejects_all(&problem, tricks, sizeof tricks / sizeof *tricks);
    wz_problem_clear(&problem);
}
END_TEST

/* Beyond the vocabulary's labels a problem can be solved and judged, but not printed. */
START_TEST(hundred_links_are_solved_but_not_printed)
{
    static const double values[OPTIONS] = {100, 1000, 2, 65, 8, 1, 0};
    const wz_verifier *verifier = wz_verifier_find("d2d");
    for (uint32_t n = 0; n < 2; n++) {
        wz_problem problem = make(values, n);
        wz_reference known;
        wz_outcome outcome;
        wz_verdict verdict;
        wz_answer_form form = {0};
        unsigned decision[WZ_MAX_SLOTS];
        wz_text text = {0};
        for (int style = WZ_PROMPT_COMPACT; style <= WZ_PROMPT_FULL; style++) {
            ck_assert_int_eq(wz_problem_print(&problem, (wz_prompt_style)style, &text, &err), WZ_ERR_USAGE);
            ck_assert_str_eq(err.text, "d2d: a prompt can name 64 links, this problem has 100; it can be "
                                       "solved, not printed");
        }
        ck_assert_int_eq(wz_reference_find(verifier, &problem, WZ_EFFORT_EVALUATION, decision, &known, &err),
                         WZ_OK);
        ck_assert_int_eq(known.kind, WZ_REFERENCE_BEST_KNOWN);
        for (size_t b = 0; b < verifier->baseline_count; b++) {
            ck_assert_int_eq(wz_baseline_run(verifier, b, &problem, 1, &outcome, &err), WZ_OK);
            ck_assert(outcome.feasible && outcome.objective > 0 &&
                      outcome.objective <= known.objective * (1 + 1e-9));
        }
        task->answer_form(&problem, &form);
        ck_assert_uint_eq(form.count, 100);
        ck_assert_int_eq(wz_text_printf(&text, &err, "</think><answer>"), WZ_OK);
        ck_assert_int_eq(wz_form_print(&form, WZ_PROMPT_FULL, decision, &text, &err), WZ_OK);
        ck_assert_int_eq(wz_text_printf(&text, &err, "</answer>"), WZ_OK);
        ck_assert_int_eq(
            wz_verify(verifier, &problem, &known, WZ_PROMPT_FULL, text.data, text.length, &verdict, &err),
            WZ_OK);
        ck_assert_msg(verdict.kind == WZ_VERDICT_FEASIBLE, "%s", verdict.reason);
        ck_assert_double_eq(verdict.objective, known.objective);
        wz_text_clear(&text);
        wz_problem_clear(&problem);
    }
    static const double most[OPTIONS] = {64, 1000, 2, 65, 8, 1, 0};
    wz_problem problem = make(most, 0);
    wz_text text = {0};
    ck_assert_int_eq(wz_problem_print(&problem, WZ_PROMPT_COMPACT, &text, &err), WZ_OK);
    ck_assert_ptr_nonnull(strstr(text.data, " bl BL "));
    wz_text_clear(&text);
    wz_problem_clear(&problem);
}
END_TEST

/* ---- solvers ---- */

/* Whole dB from Knuth's MMIX generator: direct 60..89, others 20..79; tests/tools/d2d_fixture.py has the same. */
static void table(uint64_t number, size_t links, double *gain)
{
    uint64_t state = number + 1;
    for (size_t i = 0; i < links; i++)
        for (size_t j = 0; j < links; j++) {
            state = 6364136223846793005u * state + 1442695040888963407u;
            const uint64_t word = state >> 33, db = i == j ? 60 + word % 30 : 20 + word % 60;
            gain[i * links + j] = pow(10, (double)db / 10);
        }
}

/* The links that FPLinQ turns on, from plain Python. A gap taken off the direct gains and given back changes nothing. */
START_TEST(fplinq_equals_the_python_oracle)
{
    static const char *const expected[] = {"110",         "0111",         "11100",         "101110",
                                           "0010010",     "01011110",     "100010110",     "0011000100",
                                           "11000000110", "110101000001", "0100101000000", "00101000000101"};
    for (size_t n = 0; n < sizeof expected / sizeof *expected; n++) {
        const size_t links = n + 3;
        double gain[14 * 14];
        unsigned level[14];
        table(n, links, gain);
        const wz_channel channel = {links, gain, 1, 1};
        for (int gap = 1; gap <= 4; gap += 3) {
            for (size_t i = 0; i < links && gap > 1; i++)
                gain[i * (links + 1)] /= gap;
            wz_fplinq(&channel, gap, level);
            for (size_t i = 0; i < links; i++)
                ck_assert_msg(level[i] == (unsigned)(expected[n][i] - '0'), "%zu links, link %zu", links, i);
        }
    }
}
END_TEST

/* Interferers of 0..120 dB above the noise: what a strong one adds to a sum exceeds 2^40 times the noise, and nothing of it may
 * be left when it is silent. All decisions are recomputed from nothing; sums of 10 logarithms differ by less than 1e-12. */
START_TEST(searches_keep_weak_receivers_exact_beside_strong_interferers)
{
    for (uint64_t n = 0; n < 40; n++) {
        enum { LINKS_HERE = 10 };
        double gain[LINKS_HERE * LINKS_HERE], best = 0;
        unsigned level[LINKS_HERE], found[LINKS_HERE];
        uint64_t state = n + 77;
        for (size_t e = 0; e < LINKS_HERE * LINKS_HERE; e++) {
            state = 6364136223846793005u * state + 1442695040888963407u;
            const uint64_t word = state >> 33;
            gain[e] = e % (LINKS_HERE + 1) == 0 ? 1.0 + (double)(word % 7) : (word % 4 == 0 ? 1e12 : 1e-6);
        }
        const wz_channel channel = {LINKS_HERE, gain, 1, 1};
        for (unsigned d = 0; d < 1u << LINKS_HERE; d++) {
            for (size_t i = 0; i < LINKS_HERE; i++)
                level[i] = d >> i & 1;
            best = fmax(best, wz_levels_sum_rate(&channel, 2, level));
        }
        ck_assert_double_eq_tol(wz_enumerate_levels(&channel, 2, found), best, 1e-12);
        /* from the optimum no flip helps, from all on the search ends */
        ck_assert_double_eq_tol(wz_coordinate_ascent(&channel, 2, found), best, 1e-10);
        (void)wz_full_power(&channel, 2, level);
        ck_assert_double_le(wz_coordinate_ascent(&channel, 2, level), best + 1e-12);
    }
}
END_TEST

/* ---- what is published ---- */

typedef struct sums {
    double fplinq, flip, greedy, full, strongest, random, best;
} sums;

/* Adds what each algorithm reaches on one table of powers, in Mbit/s. */
static void add_field(size_t links, const double *power_db, double gap_db, uint32_t n, sums *s)
{
    double gain[WZ_MAX_LINKS * WZ_MAX_LINKS];
    unsigned level[WZ_MAX_LINKS];
    const double gap = pow(10, gap_db / 10);
    for (size_t e = 0; e < links * links; e++)
        gain[e] = pow(10, power_db[e] / 10) / (e % (links + 1) == 0 ? gap : 1);
    const wz_channel channel = {links, gain, 1, 1};
    wz_draws draws = wz_draws_of_problem(4001, 1, WZ_SPLIT_TEST, n, 0);
    wz_fplinq(&channel, gap, level);
    s->fplinq += 5 * wz_levels_sum_rate(&channel, 2, level);
    s->flip += 5 * wz_coordinate_ascent(&channel, 2, level);
    s->greedy += 5 * wz_greedy_by_gain(&channel, 2, level);
    s->full += 5 * wz_full_power(&channel, 2, level);
    s->strongest += 5 * wz_strongest_only(&channel, 2, level);
    for (size_t i = 0; i < links; i++)
        level[i] = wz_draws_below(&draws, 2);
    s->random += 5 * wz_levels_sum_rate(&channel, 2, level);
    if (wz_enumerate_possible(links, 2))
        s->best += 5 * wz_enumerate_levels(&channel, 2, level);
}

static sums measure(const wz_d2d_field *field, double gap_db, uint32_t problems)
{
    sums total = {0};
    for (uint32_t n = 0; n < problems; n++) {
        double power_db[WZ_MAX_LINKS * WZ_MAX_LINKS];
        wz_draws draws = wz_draws_of_problem(6, 1, WZ_SPLIT_TEST, n, (uint32_t)field->links);
        ck_assert_int_eq(wz_d2d_draw(field, &draws, power_db, &err), WZ_OK);
        add_field(field->links, power_db, gap_db, n, &total);
    }
    return total;
}

/* On powers as drawn, not rounded; 385 Mbit/s and per cent of FPLinQ were published for this field. Over problems a rate has a
 * standard deviation below 52 Mbit/s, a share of FPLinQ's rate one below 13% (greedy), 4% (flips), 10% (strongest, random, all
 * on): four standard errors of 600 problems, and half of the last digit. */
START_TEST(fifty_links_reach_the_published_rates)
{
    const wz_d2d_field field = {50, 500, 2, 65, 0, false};
    const sums s = measure(&field, 6, 600);
    const double error = 4 / sqrt(600);
    ck_assert_double_eq_tol(s.fplinq / 600, 385, 52 * error + 0.5);
    ck_assert_double_eq_tol(100 * s.greedy / s.fplinq, 96.3, 13 * error + 0.05);
    ck_assert_double_eq_tol(100 * s.flip / s.fplinq, 105.0, 4 * error + 0.05);
    ck_assert_double_eq_tol(100 * s.strongest / s.fplinq, 38, 10 * error + 0.5);
    ck_assert_double_eq_tol(100 * s.random / s.fplinq, 48, 10 * error + 0.5);
    ck_assert_double_eq_tol(100 * s.full / s.fplinq, 55, 10 * error + 0.5);
}
END_TEST

/* Shares of the optimum at 16 links, published with two or three digits; standard deviation over problems below 0.1 (all on),
 * 0.16 (greedy), 0.04 (FPLinQ). */
START_TEST(sixteen_links_reach_the_published_shares)
{
    const wz_d2d_field field = {16, 500, 2, 65, 0, false};
    const sums s = measure(&field, 6, 600);
    const double error = 4 / sqrt(600);
    ck_assert_double_eq_tol(s.full / s.best, 0.66, 0.1 * error + 0.005);
    ck_assert_double_eq_tol(s.greedy / s.best, 0.85, 0.16 * error + 0.005);
    ck_assert_double_eq_tol(s.fplinq / s.best, 0.964, 0.04 * error + 0.0005);
}
END_TEST

/* What the text loses: the best decision on whole decibels, judged by the powers that were drawn. An entry is off by at most
 * half a decibel, so a rate by at most 5 lg2 10^0.1 Mbit/s; near-ties decided wrongly cost far less than that. */
START_TEST(rounding_to_decibels_loses_little)
{
    double loss = 0;
    enum { PROBLEMS = 200 };
    const wz_d2d_field field = {8, 500, 2, 65, 0, false};
    static const double values[OPTIONS] = {8, 500, 2, 65, 0, 0, 6};
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        double power_db[64], gain[64];
        unsigned decision[WZ_MAX_SLOTS], drawn[8], best[8];
        wz_reference known;
        wz_problem problem = make(values, n);
        wz_draws draws = wz_draws_of_problem(6, 1, WZ_SPLIT_TEST, n, 8);
        ck_assert_int_eq(wz_d2d_draw(&field, &draws, power_db, &err), WZ_OK);
        for (size_t e = 0; e < 64; e++)
            gain[e] = pow(10, power_db[e] / 10) / (e % 9 == 0 ? pow(10, 0.6) : 1);
        for (size_t e = 0; e < 64; e++) /* the same table, numbered by direct gain */
            ck_assert_double_le(
                fabs(problem.numbers[e] - power_db[problem.source[e / 8] * 8 + problem.source[e % 8]]), 0.5);
        ck_assert_int_eq(wz_reference_find(wz_verifier_find("d2d"), &problem, WZ_EFFORT_EVALUATION, decision,
                                           &known, &err),
                         WZ_OK);
        wz_problem_restore(&problem, decision, drawn);
        const wz_channel channel = {8, gain, 1, 1};
        loss += 1 - wz_levels_sum_rate(&channel, 2, drawn) / wz_enumerate_levels(&channel, 2, best);
        wz_problem_clear(&problem);
    }
    ck_assert_double_ge(loss, 0);
    ck_assert_double_le(loss / PROBLEMS, 0.001);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("d2d");
    TCase *cases = tcase_create("d2d");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, loss_equals_the_python_oracle);
    tcase_add_test(cases, distances_follow_the_law);
    tcase_add_test(cases, shadowing_and_fading_follow_their_laws);
    tcase_add_test(cases, fields_that_have_no_room_are_refused);
    tcase_add_test(cases, malformed_numbers_are_named);
    tcase_add_test(cases, two_links_are_worth_the_closed_form);
    tcase_add_test(cases, hundred_links_are_solved_but_not_printed);
    tcase_add_test(cases, fplinq_equals_the_python_oracle);
    tcase_add_test(cases, searches_keep_weak_receivers_exact_beside_strong_interferers);
    tcase_add_test(cases, fifty_links_reach_the_published_rates);
    tcase_add_test(cases, sixteen_links_reach_the_published_shares);
    tcase_add_test(cases, rounding_to_decibels_loses_little);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
