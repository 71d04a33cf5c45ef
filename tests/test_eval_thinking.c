/* `wavezero eval` of policies that think: other budgets and tries than those of training, side by side and alone. */
#include "tests/program.h"
#include "tests/suite.h"

enum { PROBLEMS = 20 };
#define PLAIN "@/run/checkpoints/step-00000012.h5"
#define TRIES "@/tries/checkpoints/step-00000012.h5"

static program p;

/* Runs for all tests: one that answers at once, one that proposes candidates. */
static void train(void)
{
    program_create(&p);
    program_succeed(&p, "train " TINY " output_dir=@/run");
    program_succeed(&p, "train " TINY " verifier_tries=2 output_dir=@/tries");
}

static void remove_runs(void)
{
    program_destroy(&p);
}

static json_t *evaluate(const char *arguments)
{
    program_succeed(&p, "eval %s --problems %d --json", arguments, PROBLEMS);
    return program_json(&p);
}

/* Each row of a grid has the figures, digit by digit, that `eval` finds with the same keys: whatever the rows before it left
 * in the policy. No evaluation of its own counts problems of training, so neither do these. */
START_TEST(grid_over_thinking_has_the_figures_of_each_alone)
{
    static const struct {
        const char *checkpoint, *grid, *more;
        const char *rows[6];
    } cases[] = {
        {PLAIN,
         "--grid thinking_budget=6,0,9 --grid task.links=4,3",
         "",
         {"thinking_budget=6 task.links=4", "thinking_budget=6 task.links=3",
          "thinking_budget=0 task.links=4", "thinking_budget=0 task.links=3",
          "thinking_budget=9 task.links=4", "thinking_budget=9 task.links=3"}},
        {PLAIN,
         "--grid thinking_budget=10,0,3", /* the first leaves answers too few tokens */
         "max_completion_length=15 prompt_style=full --temperature 1 --best-of 3",
         {"thinking_budget=10", "thinking_budget=0", "thinking_budget=3"}},
        {TRIES,
         "--grid verifier_tries=3,0,1",
         "",
         {"verifier_tries=3", "verifier_tries=0", "verifier_tries=1"}},
        {TRIES, "--grid verifier_tries=1,4", "--permute", {"verifier_tries=1", "verifier_tries=4"}},
        {PLAIN, "--grid verifier_tries=4,2", "--temperature 1", {"verifier_tries=4", "verifier_tries=2"}},
    };
    char arguments[512];
    (void)snprintf(arguments, sizeof arguments, "%s %s %s", cases[_i].checkpoint, cases[_i].grid,
                   cases[_i].more);
    json_t *rows = evaluate(arguments);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        static const char *const own[] = {"task", "setting", "options", "thinking_budget", "verifier_tries"};
        json_t *row = json_array_get(rows, i);
        ck_assert_ptr_nonnull(cases[_i].rows[i]);
        (void)snprintf(arguments, sizeof arguments, "%s %s %s --no-seen", cases[_i].checkpoint,
                       cases[_i].rows[i], cases[_i].more);
        json_t *alone = evaluate(arguments);
        for (size_t k = 0; k < sizeof own / sizeof own[0]; k++)
            (void)json_object_del(row, own[k]);
        ck_assert_msg(json_equal(row, alone), "%s", arguments);
        json_decref(alone);
    }
    ck_assert(cases[_i].rows[json_array_size(rows) % 6] == NULL || json_array_size(rows) == 6);
    json_decref(rows);
}
END_TEST

/* What thinking takes: nothing without it, a whole budget where it is cut. */
START_TEST(grid_over_budgets_says_what_was_thought)
{
    json_t *rows = evaluate(PLAIN " --grid thinking_budget=0,4,7 --temperature 1");
    json_t *row = json_array_get(rows, 0);
    ck_assert_str_eq(json_string_value(json_object_get(row, "setting")), "thinking_budget=0");
    ck_assert_ptr_null(json_object_get(row, "thinking"));
    for (size_t i = 1; i < 3; i++) {
        row = json_array_get(rows, i);
        const double budget = i == 1 ? 4 : 7, tokens = program_number(row, "thinking", "mean_tokens"),
                     cut = program_number(row, "thinking", "cut_by_budget");
        ck_assert_double_eq(program_number(row, "thinking", "budget"), budget);
        ck_assert_double_eq(json_number_value(json_object_get(row, "thinking_budget")), budget);
        ck_assert(cut > 0.5 &&
                  cut <= 1); /* of a vocabulary of 1,600 tokens hardly one is drawn that closes */
        ck_assert(tokens >= cut * budget && tokens <= budget);
        ck_assert(cut < 1 || tokens == budget);
    }
    json_decref(rows);
    program_succeed(&p, "eval " PLAIN " --grid thinking_budget=0,4 --problems 4");
    ck_assert_ptr_nonnull(strstr(p.out, " thought    cut  reference\n"));
    ck_assert_ptr_nonnull(strstr(p.out, "     0.00      -  optimum\n"));
    program_succeed(&p, "eval " PLAIN " thinking_budget=4 --problems 4");
    ck_assert_ptr_nonnull(strstr(p.out, " cut by the budget of 4\n"));
    program_succeed(&p, "eval " TRIES " --grid verifier_tries=0,2 --problems 4");
    ck_assert_ptr_nonnull(strstr(p.out, " thought  tried as many random  reference\n"));
    ck_assert_ptr_nonnull(strstr(p.out, "      -              -  optimum\n"));
}
END_TEST

START_TEST(grid_over_thinking_that_cannot_work_says_so)
{
    static const struct {
        const char *setting, *reason;
    } cases[] = {
        {"thinking_budget=5 verifier_tries=0", NULL},
        {"thinking_budget=5 verifier_tries=2", "thinking_budget (5) and verifier_tries (2) are both set"},
        {"thinking_budget=18 verifier_tries=0", "leaves no room for an answer"},
        {"thinking_budget=18 verifier_tries=2", "are both set"},
        {"thinking_budget=0 verifier_tries=0", NULL},
        {"thinking_budget=0 verifier_tries=2", "more than max_completion_length (20)"},
    };
    json_t *rows = evaluate(PLAIN " --grid thinking_budget=5,18,0 --grid verifier_tries=0,2 "
                                  "max_completion_length=20");
    ck_assert_uint_eq(json_array_size(rows), sizeof cases / sizeof cases[0]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *reason = json_string_value(json_object_get(row, "not_evaluated"));
        ck_assert_str_eq(json_string_value(json_object_get(row, "setting")), cases[i].setting);
        ck_assert_msg((reason != NULL) == (cases[i].reason != NULL), "%s: %s", cases[i].setting, reason);
        ck_assert_msg(reason == NULL || strstr(reason, cases[i].reason) != NULL, "%s", reason);
    }
    json_decref(rows);
    program_fail(&p, 2, "thinking_budget: expected a whole number",
                 "eval " PLAIN " --problems 4 --grid thinking_budget=0,many");
    program_fail(&p, 2, "are both set", "eval " PLAIN " --problems 4 thinking_budget=5 verifier_tries=2");
    program_fail(&p, 2, "--grid 'verifier_answer=best': expected",
                 "eval " PLAIN " --problems 4 --grid verifier_answer=best");
    program_fail(&p, 2, "thinking_budget is given twice",
                 "eval " PLAIN " --problems 4 --grid thinking_budget=0 --grid thinking_budget=1");
}
END_TEST

/* Problems that read the same in another order are answered the same by a policy that decodes greedily. */
START_TEST(permute_finds_the_answer_behind_its_thoughts)
{
    static const char *const policies[] = {TRIES, PLAIN " thinking_budget=3"};
    char arguments[256];
    (void)snprintf(arguments, sizeof arguments, "%s task.links=6 --permute", policies[_i]);
    json_t *json = evaluate(arguments);
    const double changed = program_number(json, "another_order", "read_differently");
    ck_assert(changed > 0 && changed < 1);
    ck_assert_double_ge(program_number(json, "another_order", "same_objective"), 1 - changed);
    ck_assert_double_eq(program_number(json, "another_order", "feasible"), 1);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("eval_thinking");
    TCase *tests = tcase_create("eval_thinking");
    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, train, remove_runs);
    tcase_add_loop_test(tests, grid_over_thinking_has_the_figures_of_each_alone, 0, 5);
    tcase_add_test(tests, grid_over_budgets_says_what_was_thought);
    tcase_add_test(tests, grid_over_thinking_that_cannot_work_says_so);
    tcase_add_loop_test(tests, permute_finds_the_answer_behind_its_thoughts, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
