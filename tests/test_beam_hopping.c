/* Beam hopping: plans by search, by integer programme and by trying all, and what the family is made of. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "rewards/solvers/illumination.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_beam_hopping;

/* ---- the problem ---- */

/* Three cells on a row, 0.5 beam widths apart, 10 dB: neighbours leak 10^(1 - 0.3) = 5.0119, the ends 10^(1 - 1.2) =
 * 0.63096 into each other. */
START_TEST(judge_three_cells_is_worked_by_hand)
{
    static const int32_t numbers[] = {9, 1, 2};
    wz_problem problem =
        family_from_numbers(task, "cells=3 beams=2 slots=2 spacing=0.5 snr_db=10", numbers, 3);
    const double next = log2(1 + 10 / (1 + 5.01187233627)), ends = log2(1 + 10 / (1 + 0.63095734448));
    /* A and C in both slots: A receives 2 x 2.83, C as much, of which it needs 2 */
    ck_assert_double_eq_tol(family_judge(&problem, (unsigned[]){0, 2, 2, 0}).objective, 2 * ends + 2, 1e-9);
    /* A with B, then A with C: B receives 1.41 and needs 1 */
    ck_assert_double_eq_tol(family_judge(&problem, (unsigned[]){1, 0, 0, 2}).objective, next + ends + 1 + 2,
                            1e-9);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(judge_names_the_cell_that_is_lit_again)
{
    wz_problem problem = family_problem(task, "cells=6 beams=3 slots=2", 0);
    family_violates(&problem, " A B C E D E</answer>", 1, 0.25,
                    "slot 2 lights cell E more than once; in all, 1 beams light a cell again");
    family_violates(&problem, " A B A C D C</answer>", 2, 0.5,
                    "slot 1 lights cell A more than once; in all, 2 beams light a cell again");
    family_violates(&problem, " F F F B B B</answer>", 4, 1,
                    "slot 1 lights cell F more than once; in all, 4 beams light a cell again");
    /* again in another slot is no violation */
    ck_assert_int_eq(family_verdict(&problem, " A B C C B A</answer>").kind, WZ_VERDICT_FEASIBLE);
    static const char *const tricks[] = {" A B C D E</answer>",   " A B C D E F A</answer>",
                                         " A B C D E G</answer>", " A B C D E none</answer>",
                                         " a b c d e f</answer>", " 1 2 3 4 5 6</answer>"};
    family_rejects_all(&problem, tricks, sizeof tricks / sizeof *tricks);
    wz_problem_clear(&problem);
}
END_TEST

/* On the hexagonal grid of 9 cells, 3 a line, the middle cell has six neighbours, and all are as far as on a row. */
START_TEST(derive_hexagonal_grid_has_six_neighbours)
{
    wz_problem hex = family_problem(task, "cells=9 layout=hex", 0), row = family_problem(task, "cells=9", 0);
    const wz_beam_hopping *h = hex.payload, *r = row.payload;
    static const unsigned neighbours[] = {1, 2, 3,
                                          5, 7, 8}; /* of cell 4: odd lines are shifted to the right */
    bool is_neighbour[9] = {false};
    for (int i = 0; i < 6; i++)
        is_neighbour[neighbours[i]] = true;
    for (size_t c = 0; c < 9; c++) {
        if (is_neighbour[c])
            ck_assert_double_eq_tol(h->leak[4][c], r->leak[4][5], 1e-12);
        else if (c != 4)
            ck_assert_double_lt(h->leak[4][c], r->leak[4][5] / 4);
        ck_assert_double_eq(h->leak[4][c], h->leak[c][4]);
    }
    /* 0.7 beam widths: 12 x 0.49 = 5.88 dB below 12 dB; four cells are 2.8 widths, whose 94 dB end at 30 */
    ck_assert_double_eq_tol(r->leak[4][5], pow(10, 0.612), 1e-12);
    ck_assert_double_eq_tol(r->leak[4][8], pow(10, -1.8), 1e-12);
    wz_problem_clear(&hex);
    wz_problem_clear(&row);
}
END_TEST

START_TEST(draw_demands_are_uniform)
{
    int count[13] = {0};
    const int problems = 2000;
    for (uint32_t n = 0; n < (uint32_t)problems; n++) {
        wz_problem problem = family_problem(task, "", n);
        for (size_t c = 0; c < 6; c++)
            count[problem.numbers[c]]++;
        wz_problem_clear(&problem);
    }
    double chi_squared = 0;
    const double expected = problems * 6 / 12.0;
    for (int d = 1; d <= 12; d++)
        chi_squared += (count[d] - expected) * (count[d] - expected) / expected;
    ck_assert_double_le(chi_squared, 35.8); /* 11 degrees of freedom: exceeded once in 5,500 */
}
END_TEST

START_TEST(prompt_is_what_the_header_says)
{
    static const int32_t numbers[] = {7, 12, 3, 9};
    wz_problem problem = family_from_numbers(task, "cells=4 slots=2", numbers, 4);
    family_prints(&problem, WZ_PROMPT_COMPACT,
                  " beam 2 slot 2 SNR 12 at 7 cell 4 per 4 A 7 B 12 C 3 D 9<answer>");
    family_prints(&problem, WZ_PROMPT_FULL,
                  "A satellite serves 4 cells, A to D, by beam hopping: in each of 2 time slots it "
                  "points 2 beams at different cells. Demands of the cells, in bit/Hz: A 7, B 12, C 3, "
                  "D 9.\n"
                  "The cells stand on a row in this order, 0.7 half-power beam widths apart.\n"
                  "A beam pointed at a distance of x beam widths from a cell reaches it weakened by "
                  "min(12 x^2, 30) dB. A cell that is lit in a slot receives log2(1 + S / (1 + I)) "
                  "bit/Hz, where S = 10^1.2, and I is the sum of S, weakened so, over the slot's other "
                  "beams. A cell is served the smaller of its demand and the sum of what it receives. "
                  "Light the cells so that what all of them are served adds up to most.\n" FULL_PROMPT_END(
                      "the letters of the 2 cells lit in the first slot, then those of the next one and so "
                      "on, 4 letters in all, separated by single spaces"));
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(numbers_of_no_problem_are_named)
{
    family_refuses(task, "cells=3", (int32_t[]){1, 13, 2}, 3,
                   "number 2, a demand, is 13; it must lie in 1 to 12");
    family_refuses(task, "cells=3", (int32_t[]){1, 12, 0}, 3, "number 3, a demand, is 0");
    double values[WZ_TASK_MAX_OPTIONS];
    family_values(task, "cells=2 beams=3", values);
    ck_assert_int_eq(wz_task_check_values(task, values, &family_err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(family_err.text, "task.beams = 3 is more than task.cells = 2"));
}
END_TEST

/* ---- solvers ---- */

START_TEST(patterns_are_all_subsets)
{
    wz_problem problem = family_problem(task, "cells=16 beams=4", 0);
    const wz_beam_hopping *net = problem.payload;
    wz_patterns patterns;
    wz_patterns_list(net, &patterns);
    ck_assert_uint_eq(patterns.count, 1820); /* 16 over 4 */
    for (size_t p = 0; p < patterns.count; p++) {
        unsigned key = 0, last = 0;
        for (size_t i = 0; i < 4; i++) {
            ASSERT_EACH(i == 0 || patterns.cell[p][i] > patterns.cell[p][i - 1], "pattern %zu", p);
            key = 16 * key + patterns.cell[p][i];
            last = p == 0 ? 0 : 16 * last + patterns.cell[p - 1][i];
        }
        ASSERT_EACH(p == 0 || key > last, "pattern %zu stands twice or out of order", p);
    }
    wz_problem_clear(&problem);
}
END_TEST

/* The search, without any limit, and the integer programme know nothing of each other. GLPK's tolerance is 1e-7. */
START_TEST(search_equals_the_integer_program)
{
    static const char *const options[] = {"", "cells=7 beams=3 slots=4 layout=hex",
                                          "cells=8 beams=2 slots=5 demand_max=8",
                                          "cells=6 beams=2 slots=6 spacing=0.4 demand_max=20"};
    for (uint32_t n = 0; n < 40; n++) {
        wz_problem problem = family_problem(task, options[n % 4], n);
        const wz_beam_hopping *net = problem.payload;
        unsigned searched[WZ_MAX_SLOTS] = {0}, programmed[WZ_MAX_SLOTS];
        bool found, proven;
        wz_patterns patterns;
        wz_patterns_list(net, &patterns);
        wz_plan_by_demand(net, searched); /* a plan to begin with */
        ck_assert(wz_plan_search(net, &patterns, UINT64_MAX, searched));
        ck_assert_int_eq(wz_plan_program(net, &patterns, 100000, programmed, &found, &proven, &family_err),
                         WZ_OK);
        ck_assert(found && proven);
        const double by_search = wz_plan_served(net, searched), by_program = wz_plan_served(net, programmed);
        ck_assert_double_eq_tol(by_program, by_search, 1e-6 * by_search);
        ck_assert_double_ge(by_search, by_program * (1 - 1e-11));
        wz_problem_clear(&problem);
    }
}
END_TEST

START_TEST(search_cut_short_says_so_and_keeps_its_plan)
{
    wz_problem problem = family_problem(task, "cells=8 beams=3 slots=4", 0);
    const wz_beam_hopping *net = problem.payload;
    unsigned plan[WZ_MAX_SLOTS];
    wz_patterns patterns;
    wz_patterns_list(net, &patterns);
    wz_plan_by_demand(net, plan);
    const double before = wz_plan_served(net, plan);
    ck_assert(!wz_plan_search(net, &patterns, 100, plan));
    ck_assert_double_ge(wz_plan_served(net, plan), before);
    ck_assert(wz_plan_search(net, &patterns, UINT64_MAX, plan));
    ck_assert_double_gt(wz_plan_served(net, plan), before);
    wz_problem_clear(&problem);
}
END_TEST

/* Interference is what the family is about: who does not mind it loses a seventh; who does, a hundredth. Without it
 * nothing is lost. */
START_TEST(greedy_without_interference_in_mind_leaves_headroom)
{
    const int problems = 300;
    double blind = 0, by_beam = 0, by_pattern = 0, far = 0;
    for (uint32_t n = 0; n < (uint32_t)problems; n++) {
        wz_problem problem = family_problem(task, "", n), apart = family_problem(task, "spacing=3", n);
        const double best = family_reference(&problem, NULL).objective;
        blind += family_baseline(&problem, "greedy_demand").objective / best / problems;
        by_beam += family_baseline(&problem, "greedy_beam").objective / best / problems;
        by_pattern += family_baseline(&problem, "greedy_pattern").objective / best / problems;
        far += family_baseline(&apart, "greedy_pattern").objective /
               family_reference(&apart, NULL).objective / problems;
        wz_problem_clear(&problem);
        wz_problem_clear(&apart);
    }
    /* four standard errors: deviations are 0.13, 0.027, 0.022 and 0.0085 */
    ck_assert_double_eq_tol(blind, 0.847, 4 * 0.13 / sqrt(problems) + 0.001);
    ck_assert_double_eq_tol(by_beam, 0.987, 4 * 0.027 / sqrt(problems) + 0.001);
    ck_assert_double_eq_tol(by_pattern, 0.9905, 4 * 0.022 / sqrt(problems) + 0.001);
    ck_assert_double_eq_tol(far, 0.9985, 4 * 0.0085 / sqrt(problems) + 0.0001); /* planning measurement */
}
END_TEST

/* The same cell again and again, the floor's own answers, and the prompt's labels in order. */
START_TEST(answers_without_regard_to_demand_earn_no_headroom)
{
    for (uint32_t n = 0; n < 100; n++) {
        wz_problem problem = family_problem(task, "", n);
        const wz_reference known = family_reference(&problem, NULL);
        static const struct {
            const char *text;
            wz_verdict_kind kind;
        } answers[] = {{" A A A A A A</answer>", WZ_VERDICT_INFEASIBLE},
                       {" A B C D E E</answer>", WZ_VERDICT_INFEASIBLE},
                       {" A B C D E F</answer>", WZ_VERDICT_FEASIBLE}, /* round_robin */
                       {" A D B E C F</answer>", WZ_VERDICT_FEASIBLE}, /* spaced */
                       {" F C E B D A</answer>", WZ_VERDICT_FEASIBLE}};
        for (size_t k = 0; k < sizeof answers / sizeof *answers; k++) {
            const wz_verdict verdict = family_answer(&problem, &known, answers[k].text);
            ck_assert_int_eq(verdict.kind, answers[k].kind);
            ck_assert_double_le(verdict.objective, known.best_trivial * (1 + 1e-12));
            if (!verdict.is_optimum) /* sums in another order may differ in the last bits */
                ck_assert_double_le(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 1e-9);
        }
        wz_problem_clear(&problem);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("beam_hopping");
    TCase *cases = tcase_create("beam_hopping");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, judge_three_cells_is_worked_by_hand);
    tcase_add_test(cases, judge_names_the_cell_that_is_lit_again);
    tcase_add_test(cases, derive_hexagonal_grid_has_six_neighbours);
    tcase_add_test(cases, draw_demands_are_uniform);
    tcase_add_test(cases, prompt_is_what_the_header_says);
    tcase_add_test(cases, numbers_of_no_problem_are_named);
    tcase_add_test(cases, patterns_are_all_subsets);
    tcase_add_test(cases, search_equals_the_integer_program);
    tcase_add_test(cases, search_cut_short_says_so_and_keeps_its_plan);
    tcase_add_test(cases, greedy_without_interference_in_mind_leaves_headroom);
    tcase_add_test(cases, answers_without_regard_to_demand_earn_no_headroom);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
