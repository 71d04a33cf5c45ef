/* Conflict-free links, and the independent-set algorithms behind them. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "rewards/reward.h"
#include "rewards/solvers/independent_set.h"
#include "tasks/independent_set.h"
#include "tests/family.h"

static const wz_task *const task = &wz_task_independent_set;

typedef struct sample {
    int32_t weight[64];
    uint64_t neighbours[64];
    wz_graph graph;
} sample;

static void open_graph(sample *s, size_t nodes)
{
    *s = (sample){.graph = {.nodes = nodes}};
    s->graph.weight = s->weight;
    s->graph.neighbours = s->neighbours;
    for (size_t i = 0; i < nodes; i++)
        s->weight[i] = 1;
}

static void join(sample *s, size_t a, size_t b)
{
    s->neighbours[a] |= (uint64_t)1 << b;
    s->neighbours[b] |= (uint64_t)1 << a;
}

/* Weights 1..20 and edges of this probability. */
static void draw_graph(sample *s, uint32_t number, size_t nodes, double probability)
{
    const wz_draw_key key = {.seed = 17, .problem = number, .purpose = WZ_PURPOSE_TOOL};
    wz_draws draws = wz_draws_from(&key, 0);
    open_graph(s, nodes);
    for (size_t i = 0; i < nodes; i++) {
        s->weight[i] = 1 + (int32_t)wz_draws_below(&draws, 20);
        for (size_t j = 0; j < i; j++)
            if (wz_draws_uniform(&draws) < probability)
                join(s, i, j);
    }
}

/* The best set's weight; the set has no edge. */
static int64_t best_weight(const sample *s)
{
    const uint64_t set = wz_independent_set_best(&s->graph);
    ck_assert_uint_eq(wz_set_edges(&s->graph, set), 0);
    return wz_set_weight(&s->graph, set);
}

/* ---- the exact algorithm ---- */

/* All subsets, edges looked up one by one. */
static int64_t best_of_all_subsets(const sample *s)
{
    int64_t best = 0;
    for (uint32_t set = 0; set < (uint32_t)1 << s->graph.nodes; set++) {
        int64_t weight = 0;
        for (size_t i = 0; i < s->graph.nodes && weight >= 0; i++)
            if (set >> i & 1)
                weight = s->neighbours[i] & set ? -1 : weight + s->weight[i];
        best = weight > best ? weight : best;
    }
    return best;
}

START_TEST(best_equals_all_subsets)
{
    for (uint32_t n = 0; n < 300; n++) {
        sample s;
        draw_graph(&s, n, 1 + n % 14, (double)(n % 11) / 10);
        ck_assert_int_eq(best_weight(&s), best_of_all_subsets(&s));
    }
}
END_TEST

/* How many pieces of a kind can stand on the 8 x 8 board without attacking one another: 8 queens and 8 rooks, 14 bishops,
 * 16 kings, 32 knights (Yaglom and Yaglom 1964, "Challenging mathematical
 * problems with elementary solutions"). */
START_TEST(best_on_the_chessboard_is_known)
{
    static const struct {
        char piece;
        int64_t most;
    } cases[] = {{'Q', 8}, {'R', 8}, {'B', 14}, {'K', 16}, {'N', 32}};
    for (size_t c = 0; c < 5; c++) {
        sample s;
        open_graph(&s, 64);
        for (int a = 0; a < 64; a++)
            for (int b = 0; b < a; b++) {
                const int dx = abs(a % 8 - b % 8), dy = abs(a / 8 - b / 8);
                const bool line = dx == 0 || dy == 0, diagonal = dx == dy;
                const char piece = cases[c].piece;
                if ((piece == 'Q' && (line || diagonal)) || (piece == 'R' && line) ||
                    (piece == 'B' && diagonal) || (piece == 'K' && dx <= 1 && dy <= 1) ||
                    (piece == 'N' && dx * dy == 2))
                    join(&s, (size_t)a, (size_t)b);
            }
        ck_assert_msg(best_weight(&s) == cases[c].most, "%c", cases[c].piece);
    }
}
END_TEST

/* A path of 64 links under shuffled numbers: dynamic programming along the path. */
START_TEST(best_on_a_path_equals_dynamic_programming)
{
    for (uint32_t n = 0; n < 50; n++) {
        sample s;
        uint8_t place[64];
        const wz_draw_key key = {.seed = 3, .problem = n, .purpose = WZ_PURPOSE_TOOL};
        wz_draws draws = wz_draws_from(&key, 0);
        wz_draws_permutation(&draws, 64, place);
        draw_graph(&s, n, 64, 0);
        int64_t without = 0, with = s.weight[place[0]];
        for (size_t i = 1; i < 64; i++) {
            const int64_t skipped = with > without ? with : without;
            with = without + s.weight[place[i]];
            without = skipped;
            join(&s, place[i - 1], place[i]);
        }
        ck_assert_int_eq(best_weight(&s), with > without ? with : without);
    }
}
END_TEST

START_TEST(best_on_graphs_with_closed_forms)
{
    sample s;
    draw_graph(&s, 1, 64, 0);
    ck_assert_int_eq(best_weight(&s), wz_set_weight(&s.graph, ~(uint64_t)0));
    int64_t sides[2] = {0, 0}, heaviest = 0, cliques = 0;
    for (size_t i = 0; i < 64; i++) {
        sides[i % 2] += s.weight[i];
        heaviest = s.weight[i] > heaviest ? s.weight[i] : heaviest;
        for (size_t j = i % 2 ? 64 : 1; j < 64; j += 2)
            join(&s, i, j);
    }
    ck_assert_int_eq(best_weight(&s), sides[0] > sides[1] ? sides[0] : sides[1]); /* complete bipartite */
    draw_graph(&s, 1, 64, 1);
    ck_assert_int_eq(best_weight(&s), heaviest); /* complete */
    draw_graph(&s, 1, 64, 0);
    for (size_t first = 0; first < 8; first++) {
        int32_t most = 0;
        for (size_t i = first; i < 64; i += 8) {
            most = s.weight[i] > most ? s.weight[i] : most;
            for (size_t j = first; j < i; j += 8)
                join(&s, i, j);
        }
        cliques += most;
    }
    ck_assert_int_eq(best_weight(&s), cliques); /* eight cliques */
}
END_TEST

/* ---- heuristics ---- */

/* Weights 3 4 3 along a path: by weight 4; by weight / (1 + neighbours) 3/2, 4/3, 3/2: both ends. */
START_TEST(heuristics_on_a_path_of_three)
{
    sample s;
    open_graph(&s, 3);
    join(&s, 0, 1);
    join(&s, 1, 2);
    s.weight[0] = s.weight[2] = 3;
    s.weight[1] = 4;
    static const uint8_t backwards[] = {2, 1, 0}, middle[] = {1, 0, 2};
    ck_assert_uint_eq(wz_independent_set_greedy(&s.graph), 2);
    ck_assert_uint_eq(wz_independent_set_gwmin(&s.graph), 5);
    ck_assert_uint_eq(wz_independent_set_best(&s.graph), 5);
    ck_assert_uint_eq(wz_independent_set_in_order(&s.graph, NULL), 5);
    ck_assert_uint_eq(wz_independent_set_in_order(&s.graph, backwards), 5);
    ck_assert_uint_eq(wz_independent_set_in_order(&s.graph, middle), 2);
    ck_assert_uint_eq(wz_set_edges(&s.graph, 7), 2);
    ck_assert_uint_eq(wz_set_edges(&s.graph, 6), 1);
}
END_TEST

/* Sakai et al. 2003, theorem for GWMIN: at least sum_i weight_i / (1 + degree_i). */
START_TEST(gwmin_keeps_its_bound)
{
    for (uint32_t n = 0; n < 200; n++) {
        sample s;
        double bound = 0;
        draw_graph(&s, 500 + n, 64, (double)(1 + n % 9) / 20);
        for (size_t i = 0; i < 64; i++)
            bound += s.weight[i] / (1.0 + __builtin_popcountll(s.neighbours[i]));
        const uint64_t set = wz_independent_set_gwmin(&s.graph);
        ck_assert_uint_eq(wz_set_edges(&s.graph, set), 0);
        const int64_t weight = wz_set_weight(&s.graph, set);
        ck_assert_double_ge((double)weight, bound - 1e-9);
        ck_assert_int_le(weight, best_weight(&s));
    }
}
END_TEST

/* ---- the family ---- */

/* Two uniform points of the unit square are closer than d <= 1 with probability pi d^2 - 8 d^3 / 3 + d^4 / 2. Four standard
 * errors of 20,000 independent pairs. */
START_TEST(generate_conflicts_have_the_probability_of_close_points)
{
    static const double distances[] = {0.3, 0.7};
    static const char *const changed[] = {"links=2", "links=2 distance=0.7"};
    for (size_t c = 0; c < 2; c++) {
        const double d = distances[c], n = 20000;
        const double law = 3.14159265358979 * d * d - 8 * d * d * d / 3 + d * d * d * d / 2;
        double count = 0;
        for (uint32_t i = 0; i < (uint32_t)n; i++) {
            wz_problem problem = family_problem(task, changed[c], i);
            count += problem.numbers[2];
            wz_problem_clear(&problem);
        }
        ck_assert_double_le(fabs(count / n - law), 4 * sqrt(law * (1 - law) / n));
    }
}
END_TEST

/* Chi-squared with 19 degrees of freedom exceeds 43.8 once in 1,000 seeds. */
START_TEST(generate_weights_are_uniform)
{
    double count[21] = {0}, chi = 0;
    for (uint32_t i = 0; i < 200; i++) {
        wz_problem problem = family_problem(task, "links=64", i);
        for (size_t l = 0; l < 64; l++)
            count[problem.numbers[l]]++;
        wz_problem_clear(&problem);
    }
    for (size_t w = 1; w <= 20; w++)
        chi += (count[w] - 640) * (count[w] - 640) / 640;
    ck_assert_double_eq(count[0], 0);
    ck_assert_double_le(chi, 43.8);
}
END_TEST

/* Links a (9, no conflict), b (10, with d), c (8, with d), d (11, with b and c): scores 9, 5, 4, 11/3. Best: a b c = 27. */
static const int32_t by_hand[] = {9, 10, 8, 11, 0, 0, 0, 0, 1, 1};

START_TEST(prompts_say_what_the_numbers_are)
{
    wz_problem problem = family_from_numbers(task, "links=4", by_hand, 10);
    family_prints(&problem, WZ_PROMPT_COMPACT, " link weight conflict a 9 b 10 D c 8 D d 11 B C<answer>");
    family_prints(
        &problem, WZ_PROMPT_FULL,
        "4 radio links, A to D, want to transmit in the same time slot. Each has a weight, and some pairs of "
        "links conflict: they are so close that they cannot transmit together.\nLink A: weight 9, conflicts "
        "with none\nLink B: weight 10, conflicts with D\nLink C: weight 8, conflicts with D\nLink D: weight "
        "11, "
        "conflicts with B, C\nChoose the links that transmit so that no two of them conflict and the sum of "
        "their weights is largest.\n" FULL_PROMPT_END(
            "for each of the 4 links, in order, 1 if it transmits and 0 if not, separated by single spaces"));
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(verdicts_of_a_problem_worked_by_hand)
{
    wz_problem problem = family_from_numbers(task, "links=4", by_hand, 10);
    const wz_reference known = family_reference(&problem, NULL);
    ck_assert_int_eq(known.kind, WZ_REFERENCE_OPTIMUM);
    ck_assert_double_eq(known.objective, 27);
    ck_assert_double_eq(known.best_trivial, 27); /* the first three */
    ck_assert_double_eq(family_baseline(&problem, "gwmin").objective, 27);
    ck_assert_double_eq(family_baseline(&problem, "first_fit").objective, 27);
    ck_assert_double_eq(family_baseline(&problem, "greedy").objective, 20); /* d, then a */
    ck_assert(family_verdict(&problem, " A B C d</answer>").is_optimum);
    ck_assert_double_eq(family_verdict(&problem, " A b c D</answer>").objective, 20);
    const wz_verdict none = family_verdict(&problem, " a b c d</answer>");
    ck_assert(none.kind == WZ_VERDICT_FEASIBLE && none.objective == 0);
    ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &none, &known), 0);
    family_violates(&problem, " A B C D</answer>", 2, 1,
                    "links B and D conflict and are both on; violated conflicts: 2");
    family_violates(&problem, " a b C D</answer>", 1, 0.5,
                    "links C and D conflict and are both on; violated conflicts: 1");
    static const char *const tricks[] = {" A B C</answer>",     " A B C d d</answer>",  " A B d C</answer>",
                                         " 1 1 1 0</answer>",   " A B C none</answer>", " D B C</answer>",
                                         " A B C D A</answer>", " A</answer>"};
    family_rejects_all(&problem, tricks, sizeof tricks / sizeof *tricks);
    wz_problem_clear(&problem);
}
END_TEST

START_TEST(numbers_out_of_order_or_range_are_refused)
{
    static const int32_t order[] = {10, 9, 8, 11, 0, 0, 1, 0, 0, 1}; /* scores 5, 9, .. */
    static const int32_t heavy[] = {21, 1, 0}, none[] = {5, 0, 0}, edge[] = {5, 1, 2};
    family_refuses(task, "links=4", order, 10, "link 1 stands where link 2 should");
    family_refuses(task, "links=2", heavy, 3, "number 1, a weight, is 21; it must lie in 1 to 20");
    family_refuses(task, "links=2", none, 3, "number 2, a weight, is 0");
    family_refuses(task, "links=2", edge, 3, "number 3, whether two links conflict, is 2");
    family_refuses(task, "links=4", by_hand, 9, "9 numbers where its options ask for 10");
}
END_TEST

/* Everything on is feasible only where nothing conflicts; the scores of two links are equal as fractions: 4/2 = 6/3. */
START_TEST(equal_scores_keep_their_order)
{
    static const int32_t equal[] = {4, 6, 3, /* a-b */ 1, /* a-c */ 0, /* b-c */ 1};
    static const int32_t swapped[] = {6, 4, 3, 1, 1, 0};
    wz_problem one = family_from_numbers(task, "links=3", equal, 6),
               other = family_from_numbers(task, "links=3", swapped, 6);
    family_violates(&one, " A B C</answer>", 2, 1,
                    "links A and B conflict and are both on; violated conflicts: 2");
    ck_assert_double_eq(family_reference(&one, NULL).objective, 7);
    ck_assert_double_eq(family_reference(&other, NULL).objective, 7);
    wz_problem_clear(&one);
    wz_problem_clear(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("independent_set");
    TCase *cases = tcase_create("independent_set");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, best_equals_all_subsets);
    tcase_add_test(cases, best_on_the_chessboard_is_known);
    tcase_add_test(cases, best_on_a_path_equals_dynamic_programming);
    tcase_add_test(cases, best_on_graphs_with_closed_forms);
    tcase_add_test(cases, heuristics_on_a_path_of_three);
    tcase_add_test(cases, gwmin_keeps_its_bound);
    tcase_add_test(cases, generate_conflicts_have_the_probability_of_close_points);
    tcase_add_test(cases, generate_weights_are_uniform);
    tcase_add_test(cases, prompts_say_what_the_numbers_are);
    tcase_add_test(cases, verdicts_of_a_problem_worked_by_hand);
    tcase_add_test(cases, numbers_out_of_order_or_range_are_refused);
    tcase_add_test(cases, equal_scores_keep_their_order);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
