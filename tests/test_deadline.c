/* Deadline scheduling. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "tasks/deadline.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_deadline;

/* ---- references ---- */

/* Slot by slot, the best weight for each set of packets sent so far. */
static int32_t best_by_sets(const wz_deadline *p)
{
    const size_t sets = (size_t)1 << p->packets;
    int32_t *best = malloc(sets * sizeof *best), most = 0;
    ck_assert_ptr_nonnull(best);
    for (size_t set = 0; set < sets; set++)
        best[set] = set == 0 ? 0 : -1;
    for (size_t t = 0; t < p->slots; t++)
        for (size_t set = sets; set-- > 0;) /* larger sets first: one packet a slot */
            for (size_t i = 0; i < p->packets && best[set] >= 0; i++)
                if ((set >> i & 1) == 0 && (p->sendable[t] >> i & 1) != 0) {
                    const size_t with = set | (size_t)1 << i;
                    const int32_t weight = best[set] + p->weight[i];
                    best[with] = weight > best[with] ? weight : best[with];
                }
    for (size_t set = 0; set < sets; set++)
        most = best[set] > most ? best[set] : most;
    free(best);
    return most;
}

START_TEST(reference_equals_dynamic_programming)
{
    static const char *const changed[] = {"",
                                          "packets=8 slots=6",
                                          "packets=12 slots=8 on_percent=40",
                                          "packets=10 slots=3",
                                          "packets=4 slots=12",
                                          "packets=1 slots=1 on_percent=5"};
    for (size_t c = 0; c < sizeof changed / sizeof *changed; c++)
        for (uint32_t n = 0; n < 60; n++) {
            wz_problem problem = family_problem(task, changed[c], n);
            ck_assert_double_eq(family_reference(&problem, NULL).objective, best_by_sets(problem.payload));
            wz_problem_clear(&problem);
        }
}
END_TEST

/* Channels that are always on: sets of packets that can be sent in time are a matroid, so the greedy algorithm is optimal:
 * by falling weight, each packet unless for some t more than t packets would be due by slot t (Lawler 1976). */
static int32_t matroid_greedy(const wz_deadline *p)
{
    int32_t due[WZ_MAX_DEADLINE_SLOTS + 1] = {0}, sum = 0;
    for (size_t i = 0; i < p->packets; i++) { /* numbered by falling weight */
        int32_t kept = 0;
        bool fits = true;
        due[p->deadline[i]]++;
        for (int32_t t = 1; t <= (int32_t)p->slots; t++) {
            kept += due[t];
            fits &= kept <= t;
        }
        if (fits)
            sum += p->weight[i];
        else
            due[p->deadline[i]]--;
    }
    return sum;
}

START_TEST(reference_with_channels_always_on_equals_the_matroid_greedy)
{
    for (uint32_t n = 0; n < 100; n++) {
        wz_problem problem = family_problem(task, "packets=32 slots=20 on_percent=100 max_weight=99", n);
        ck_assert_double_eq(family_reference(&problem, NULL).objective, matroid_greedy(problem.payload));
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- generator ---- */

/* Deadlines: chi-squared with 5 degrees of freedom exceeds 20.5 once in 1,000 seeds; weights: 8 degrees, 26.1. Channels up to
 * the deadline: four standard errors of on_percent. Problems in which nothing can be sent are 1 of 10^5: no matter here. */
START_TEST(generate_follows_the_law)
{
    double deadlines[7] = {0}, weights[10] = {0}, open = 0, on = 0, chi = 0;
    const double n = 1500 * 8;
    for (uint32_t k = 0; k < 1500; k++) {
        wz_problem problem = family_problem(task, "packets=8 slots=6", k);
        const wz_deadline *p = problem.payload;
        for (size_t i = 0; i < 8; i++) {
            deadlines[p->deadline[i]]++;
            weights[p->weight[i]]++;
            open += p->deadline[i];
            for (size_t t = 0; t < 6; t++) {
                const bool sendable = p->sendable[t] >> i & 1;
                on += sendable;
                ASSERT_EACH(!sendable || p->deadline[i] > (int32_t)t, "sent after its deadline");
            }
        }
        wz_problem_clear(&problem);
    }
    for (size_t d = 1; d <= 6; d++)
        chi += (deadlines[d] - n / 6) * (deadlines[d] - n / 6) / (n / 6);
    ck_assert_double_le(chi, 20.5);
    chi = 0;
    for (size_t w = 1; w <= 9; w++)
        chi += (weights[w] - n / 9) * (weights[w] - n / 9) / (n / 9);
    ck_assert_double_le(chi, 26.1);
    ck_assert_double_le(fabs(on / open - 0.6), 4 * sqrt(0.6 * 0.4 / open));
}
END_TEST

/* With one packet, one slot and a channel that is on once in twenty, only problems are kept in which it is. */
START_TEST(generate_leaves_no_problem_without_worth)
{
    for (uint32_t n = 0; n < 50; n++) {
        wz_problem problem = family_problem(task, "packets=1 slots=1 on_percent=5", n);
        ck_assert_int_eq(problem.numbers[1], 1);
        ck_assert_int_eq(problem.numbers[2], 1);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- text and verdicts ---- */

/* Slot a: A, C, D; slot b: A, B; slot c: D. Best: C, A, D or A, B, D: 5 + 9 + 2 = 16 or 9 + 9 + 2 = 20. */
static const int32_t by_hand[] = {9, 9, 5, 2, /* deadlines */ 2, 3, 1, 3, /* slots */ 1, 0, 1, 1, 1, 1, 0, 0,
                                  0, 0, 0, 1};

START_TEST(prompts_say_what_the_numbers_are)
{
    static const int32_t silent[] = {3, 2, 1, 2, 1, 0, 0, 0};
    wz_problem problem = family_from_numbers(task, "packets=4 slots=3", by_hand, 20),
               other = family_from_numbers(task, "packets=2 slots=2", silent, 8);
    family_prints(&problem, WZ_PROMPT_COMPACT,
                  " packet weight deadline A 9 b B 9 c C 5 a D 2 c slot a A C D b A B c D<answer>");
    family_prints(
        &other, WZ_PROMPT_FULL,
        "2 packets, A to B, wait to be sent over radio channels in time slots 1 to 2. Each takes one slot, "
        "has a "
        "weight and a deadline, and is for a user of its own, whose channel is on in some slots only. Slots "
        "up to "
        "the deadline in which the packet's channel is on:\nPacket A: weight 3, deadline slot 1, on in slots "
        "1\n"
        "Packet B: weight 2, deadline slot 2, on in none\nA slot sends at most one packet. A packet is sent "
        "at "
        "most once, not after its deadline, and only in a slot in which its channel is on. Choose what each "
        "slot "
        "sends so that the sum of the weights of the packets sent is largest.\n" FULL_PROMPT_END(
            "for each of the slots 1 to 2, in order, the label of the packet it sends or the word none, "
            "separated by single spaces"));
    wz_problem_clear(&problem);
    wz_problem_clear(&other);
}
END_TEST

START_TEST(verdicts_of_a_problem_worked_by_hand)
{
    wz_problem problem = family_from_numbers(task, "packets=4 slots=3", by_hand, 20);
    const wz_reference known = family_reference(&problem, NULL);
    ck_assert_int_eq(known.kind, WZ_REFERENCE_OPTIMUM);
    ck_assert_double_eq(known.objective, 20);
    ck_assert_double_eq(known.best_trivial, 9); /* A alone, in the first slot */
    ck_assert(family_verdict(&problem, " A B D</answer>").is_optimum);
    ck_assert_double_eq(family_verdict(&problem, " C A none</answer>").objective, 14);
    ck_assert_double_eq(family_verdict(&problem, " none none none</answer>").objective, 0);
    ck_assert_double_eq(family_baseline(&problem, "edf").objective, 16);        /* C, A, D */
    ck_assert_double_eq(family_baseline(&problem, "max_weight").objective, 20); /* A, B, D */
    family_violates(&problem, " A A D</answer>", 1, 1 / 3.0,
                    "slot 2 sends packet A again; transmissions of packets sent before: 1");
    family_violates(&problem, " D D D</answer>", 2, 2 / 3.0,
                    "slot 2 sends packet D again; transmissions of packets sent before: 2");
    family_violates(&problem, " none C A</answer>", 2, 2 / 3.0,
                    "slot 2 sends packet C after its deadline; late transmissions: 2");
    family_violates(&problem, " B none none</answer>", 1, 1 / 3.0,
                    "slot 1 sends packet B while its channel is off; such transmissions: 1");
    family_violates(&problem, " B D C</answer>", 1, 1,
                    "slot 3 sends packet C after its deadline; late transmissions: 1");
    static const char *const tricks[] = {" A B</answer>",          " A B D D</answer>", " a b d</answer>",
                                         " A B E</answer>",        " 1 2 4</answer>",   " A B None</answer>",
                                         " A B nonenone</answer>", " none</answer>",    " A B off</answer>"};
    family_rejects_all(&problem, tricks, sizeof tricks / sizeof *tricks);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(numbers_out_of_order_or_range_are_refused)
{
    static const int32_t order[] = {1, 2, 1, 1, 1, 1}, heavy[] = {10, 1, 1}, late[] = {5, 3, 1},
                         odd[] = {5, 1, 2};
    static const int32_t nothing[] = {5, 1, 0}, after[] = {5, 1, 1, 1};
    family_refuses(task, "packets=2 slots=1", order, 6, "packet 1 stands where packet 2 should");
    family_refuses(task, "packets=1 slots=1", heavy, 3, "number 1, a weight, is 10; it must lie in 1 to 9");
    family_refuses(task, "packets=1 slots=1", late, 3, "number 2, a deadline, is 3; it must lie in 1 to 1");
    family_refuses(task, "packets=1 slots=1", odd, 3, "number 3, whether a slot can send a packet, is 2");
    family_refuses(task, "packets=1 slots=1", nothing, 3, "no packet can be sent in time");
    family_refuses(task, "packets=1 slots=2", after, 4,
                   "slot 2 is said to send packet 1, whose deadline is slot 1");
}
END_TEST

/* Whoever copies the packet that stands first in each slot's row sends one twice as soon as two rows begin alike. */
START_TEST(copies_of_the_rows_heads_earn_what_they_are_worth)
{
    size_t infeasible = 0;
    for (uint32_t n = 0; n < 200; n++) {
        wz_problem problem = family_problem(task, "packets=8 slots=6", n);
        const wz_deadline *p = problem.payload;
        wz_text text = {0};
        wz_error err;
        uint32_t sent = 0;
        int32_t weight = 0;
        double repeats = 0;
        for (size_t t = 0; t < p->slots; t++) {
            const int head = p->sendable[t] == 0 ? -1 : __builtin_ctz(p->sendable[t]);
            ck_assert_int_eq(head < 0 ? wz_text_printf(&text, &err, " none")
                                      : wz_text_printf(&text, &err, " %c", 'A' + head),
                             WZ_OK);
            if (head >= 0) {
                repeats += sent >> head & 1;
                sent |= (uint32_t)1 << head;
                weight += p->weight[head];
            }
        }
        ck_assert_int_eq(wz_text_printf(&text, &err, "</answer>"), WZ_OK);
        const wz_verdict verdict = family_verdict(&problem, text.data);
        ck_assert_int_eq(verdict.kind, repeats > 0 ? WZ_VERDICT_INFEASIBLE : WZ_VERDICT_FEASIBLE);
        ck_assert_double_eq(verdict.violation, repeats);
        ck_assert_double_eq(verdict.objective, repeats > 0 ? 0 : weight);
        infeasible += repeats > 0;
        wz_text_clear(&text);
        wz_problem_clear(&problem);
    }
    ck_assert_uint_gt(infeasible, 100); /* most: 6 slots, and the heaviest packet is on in more than half */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("deadline");
    TCase *cases = tcase_create("deadline");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, reference_equals_dynamic_programming);
    tcase_add_test(cases, reference_with_channels_always_on_equals_the_matroid_greedy);
    tcase_add_test(cases, generate_follows_the_law);
    tcase_add_test(cases, generate_leaves_no_problem_without_worth);
    tcase_add_test(cases, prompts_say_what_the_numbers_are);
    tcase_add_test(cases, verdicts_of_a_problem_worked_by_hand);
    tcase_add_test(cases, numbers_out_of_order_or_range_are_refused);
    tcase_add_test(cases, copies_of_the_rows_heads_earn_what_they_are_worth);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
