/* Problems in another order, for every family whose parts have none: the optimum survives, put back and judged on the first. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/evaluation_text.h"
#include "engine/run/reorder.h"
#include "tests/suite.h"

enum { PROBLEMS = 20 };

static wz_error err;

/* A batch as verification leaves it, with one completion per problem; problems stay the caller's. */
typedef struct answered {
    wz_batch batch;
    wz_policy policy; /* that answers at once; nothing else is asked of it */
    const wz_verifier *verifiers[PROBLEMS];
    wz_text completions[PROBLEMS];
} answered;

static void generate(const wz_task *task, wz_problem *out)
{
    double values[WZ_TASK_MAX_OPTIONS];
    wz_task_default_values(task, values);
    for (uint32_t i = 0; i < PROBLEMS; i++)
        ck_assert_msg(wz_problem_generate(task, values, 5, WZ_SPLIT_TEST, i, &out[i], &err) == WZ_OK, "%s",
                      err.text);
}

static wz_problem *reorder(const wz_problem *problems, uint64_t seed)
{
    wz_problem *made = NULL;
    ck_assert_msg(wz_reorder_problems(problems, PROBLEMS, seed, &made, &err) == WZ_OK, "%s", err.text);
    return made;
}

static void clear(wz_problem *problems)
{
    for (int i = 0; i < PROBLEMS; i++)
        wz_problem_clear(&problems[i]);
}

static bool same_numbers(const wz_problem *a, const wz_problem *b)
{
    return a->number_count == b->number_count &&
           memcmp(a->numbers, b->numbers, a->number_count * sizeof *a->numbers) == 0;
}

static void answer_with(answered *a, wz_problem *problems, int g, const unsigned *decision)
{
    wz_answer_form form = {0};
    a->batch = (wz_batch){.policy = &a->policy,
                          .style = WZ_PROMPT_COMPACT,
                          .groups = PROBLEMS,
                          .generations = 1,
                          .problems = problems,
                          .verifiers = a->verifiers,
                          .completions = a->completions};
    a->verifiers[g] = wz_verifier_find(problems[g].task->name);
    a->completions[g].length = 0;
    problems[g].task->answer_form(&problems[g], &form);
    ck_assert_int_eq(wz_form_print(&form, WZ_PROMPT_COMPACT, decision, &a->completions[g], &err), WZ_OK);
    ck_assert_int_eq(wz_text_printf(&a->completions[g], &err, "</answer>"), WZ_OK);
}

/* The best decision on a reordered problem is worth on the first what it is worth there: the same numbers are added in another
 * order, so up to rounding (a few hundred terms of 1e-16). */
static void check_answers(const wz_task *task, const wz_problem *problems)
{
    unsigned decision[WZ_MAX_SLOTS];
    answered a = {0};
    wz_problem *made = reorder(problems, 9);
    for (int g = 0; g < PROBLEMS; g++) {
        wz_reference known;
        wz_outcome outcome;
        const wz_verifier *verifier = wz_verifier_find(task->name);
        ck_assert_msg(wz_reference_find(verifier, &made[g], WZ_EFFORT_EVALUATION, decision, &known, &err) ==
                          WZ_OK,
                      "%s", err.text);
        answer_with(&a, made, g, decision);
        ck_assert_int_eq(wz_reordered_outcome(&a.batch, g, &problems[g], &outcome, &err), WZ_OK);
        ck_assert_msg(outcome.feasible, "%s: problem %d: %s", task->name, g, outcome.reason);
        ck_assert_msg(fabs(outcome.objective - known.decided) <= 1e-12 * known.decided,
                      "%s: problem %d: %.17g, not %.17g", task->name, g, outcome.objective, known.decided);
    }
    clear(made);
    free(made);
    for (int g = 0; g < PROBLEMS; g++)
        wz_text_clear(&a.completions[g]);
}

START_TEST(answers_in_another_order_are_worth_the_same_put_back)
{
    wz_problem problems[PROBLEMS];
    int checked = 0;
    for (size_t t = 0; wz_tasks[t] != NULL; t++)
        if (wz_can_reorder(wz_tasks[t])) {
            generate(wz_tasks[t], problems);
            check_answers(wz_tasks[t], problems);
            clear(problems);
            checked++;
        }
    ck_assert_int_gt(checked, 0);
}
END_TEST

/* Links of one direct gain and different interference: every order reads differently, and a decision that is not put back is
 * another one. */
START_TEST(answers_on_links_of_equal_gain_are_put_back)
{
    const wz_task *task = wz_task_find("power_control");
    wz_problem drawn[PROBLEMS], problems[PROBLEMS];
    int moved = 0;
    generate(task, drawn);
    for (int g = 0; g < PROBLEMS; g++) {
        for (size_t i = 0; i < drawn[g].size; i++)
            drawn[g].numbers[i * (drawn[g].size + 1)] = 35;
        ck_assert_int_eq(wz_problem_from_numbers(task, drawn[g].values, drawn[g].numbers,
                                                 drawn[g].number_count, &problems[g], &err),
                         WZ_OK);
        problems[g].index = (uint32_t)g;
    }
    check_answers(task, problems);
    wz_problem *made = reorder(problems, 9);
    for (int g = 0; g < PROBLEMS; g++)
        moved += wz_reads_differently(&problems[g], &made[g]);
    ck_assert_int_gt(moved, PROBLEMS / 2); /* 5 of 6 orders, and gains that all differ */
    clear(made);
    free(made);
    clear(problems);
    clear(drawn);
}
END_TEST

START_TEST(reordered_numbers_are_those_of_their_parts)
{
    const wz_task *task = wz_task_find("power_control");
    wz_problem problems[PROBLEMS];
    generate(task, problems);
    wz_problem *made = reorder(problems, 9);
    int moved = 0, tied = 0;
    for (int g = 0; g < PROBLEMS; g++) {
        const wz_problem *p = &problems[g], *q = &made[g];
        bool is_tied = false;
        for (size_t i = 0; i < p->size; i++)
            for (size_t j = 0; j < p->size; j++)
                /* gain [i][j] of the new table is that of the parts which its links are */
                ck_assert_int_eq(q->numbers[i * p->size + j],
                                 p->numbers[q->source[i] * p->size + q->source[j]]);
        for (size_t i = 1; i < p->size; i++)
            is_tied = is_tied || p->numbers[i * (p->size + 1)] == p->numbers[(i - 1) * (p->size + 1)];
        /* links are numbered by falling direct gain, so only where some are equal can an order show */
        ck_assert(is_tied || !wz_reads_differently(p, q));
        ck_assert(wz_reads_differently(p, q) == !same_numbers(p, q));
        moved += wz_reads_differently(p, q);
        tied += is_tied;
    }
    ck_assert_int_gt(moved, 0);
    ck_assert_int_lt(tied, PROBLEMS);
    clear(made);
    free(made);
    clear(problems);
}
END_TEST

/* Of three parts there are 6 orders: 20 problems in the same one by chance have probability 6^-19. */
START_TEST(orders_are_a_function_of_seed_and_problem)
{
    const wz_task *task = wz_task_find("power_control");
    wz_problem problems[PROBLEMS];
    generate(task, problems);
    for (int g = 0; g < PROBLEMS; g++) { /* all links alike: sources then are the order drawn */
        for (size_t i = 0; i < problems[g].number_count; i++)
            problems[g].numbers[i] = 7;
        task->derive(&problems[g]);
    }
    wz_problem *made[3] = {reorder(problems, 9), reorder(problems, 9), reorder(problems, 10)};
    int differing = 0, seeds = 0;
    for (int g = 0; g < PROBLEMS; g++) {
        uint8_t seen[64] = {0};
        ck_assert_mem_eq(made[0][g].source, made[1][g].source, problems[g].size);
        differing += memcmp(made[0][g].source, made[0][0].source, problems[g].size) != 0;
        seeds += memcmp(made[0][g].source, made[2][g].source, problems[g].size) != 0;
        for (size_t i = 0; i < problems[g].size; i++)
            ck_assert_int_eq(seen[made[0][g].source[i]]++, 0);
    }
    ck_assert(differing > 0 && seeds > 0);
    for (int k = 0; k < 3; k++) {
        clear(made[k]);
        free(made[k]);
    }
    clear(problems);
}
END_TEST

START_TEST(completions_without_an_answer_are_infeasible_in_any_order)
{
    const wz_task *task = wz_task_find("power_control");
    const unsigned decision[WZ_MAX_SLOTS] = {0};
    wz_problem problems[PROBLEMS];
    wz_outcome outcome;
    answered a = {0};
    generate(task, problems);
    wz_problem *made = reorder(problems, 9);
    answer_with(&a, made, 0, decision);
    a.completions[0].length -= 3; /* the tag is not closed */
    ck_assert_int_eq(wz_reordered_outcome(&a.batch, 0, &problems[0], &outcome, &err), WZ_OK);
    ck_assert(!outcome.feasible && outcome.objective == 0 && outcome.reason[0] != '\0');
    clear(made);
    free(made);
    clear(problems);
    wz_text_clear(&a.completions[0]);
}
END_TEST

/* ---- what the table says of references that are not the optimum ---- */

static void write_both(const wz_evaluation *e, wz_text *table, wz_text *json)
{
    wz_json writer;
    ck_assert_int_eq(wz_evaluation_write_table(e, table, &err), WZ_OK);
    wz_json_start(&writer, json, &err);
    wz_json_begin_object(&writer);
    wz_evaluation_write_fields(&writer, e);
    wz_json_end_object(&writer);
    ck_assert_int_eq(wz_json_finish(&writer), WZ_OK);
}

START_TEST(kinds_of_reference_are_explained)
{
    static const struct {
        wz_reference_kind kind;
        const char *table, *json;
    } kinds[] = {
        {WZ_REFERENCE_OPTIMUM, "ratio = objective / exact optimum", "\"exact_optimum_against\": \"optimum\""},
        {WZ_REFERENCE_UPPER_BOUND, "after rounding and local search\n",
         "\"exact_optimum_against\": \"rounded bound after local search\""},
        {WZ_REFERENCE_BEST_KNOWN, "a ratio may pass 1",
         "\"exact_optimum_against\": \"optimum where it is known\""},
    };
    for (size_t k = 0; k < 3; k++) {
        wz_evaluation e = {
            .problems = 4,
            .reference_kind = kinds[k].kind,
            .field_algorithm = "an_algorithm_of_a_long_name",
            .samples = 1,
            .baseline_count = 3,
            .baselines = {{.name = "none", .kind = WZ_BASELINE_TRIVIAL, .score = {.mean = 0.2}},
                          {.name = "all", .kind = WZ_BASELINE_TRIVIAL, .score = {.mean = 0.3}},
                          {.name = "good", .kind = WZ_BASELINE_ALGORITHM, .score = {.mean = 0.9}}}};
        wz_text table = {0}, json = {0};
        write_both(&e, &table, &json);
        ck_assert_msg(strstr(table.data, kinds[k].table) != NULL, "%s", table.data);
        ck_assert_msg(strstr(json.data, kinds[k].json) != NULL, "%s", json.data);
        ck_assert_ptr_nonnull(strstr(table.data, "\nall * "));
        ck_assert_ptr_null(strstr(table.data, "none *"));
        ck_assert_ptr_null(strstr(table.data, "good *"));
        ck_assert_ptr_nonnull(
            strstr(json.data, "\"best_trivial\": \"all\", \"strongest_algorithm\": \"good\""));
        for (size_t other = 1; other < 3; other++)
            ck_assert((strstr(table.data, kinds[other].table) != NULL) == (other == k));
        wz_text_clear(&table);
        wz_text_clear(&json);
    }
}
END_TEST

START_TEST(a_fixed_order_is_said)
{
    const wz_evaluation e = {.problems = 4, .field_algorithm = "x", .samples = 1, .fixed_order = true};
    wz_text table = {0}, json = {0};
    write_both(&e, &table, &json);
    ck_assert_ptr_nonnull(strstr(table.data, "have a fixed order: no other was tried\n"));
    ck_assert_ptr_nonnull(strstr(json.data, "\"another_order\": null"));
    wz_text_clear(&table);
    wz_text_clear(&json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reorder");
    TCase *tests = tcase_create("reorder");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, answers_in_another_order_are_worth_the_same_put_back);
    tcase_add_test(tests, answers_on_links_of_equal_gain_are_put_back);
    tcase_add_test(tests, reordered_numbers_are_those_of_their_parts);
    tcase_add_test(tests, orders_are_a_function_of_seed_and_problem);
    tcase_add_test(tests, completions_without_an_answer_are_infeasible_in_any_order);
    tcase_add_test(tests, kinds_of_reference_are_explained);
    tcase_add_test(tests, a_fixed_order_is_said);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
