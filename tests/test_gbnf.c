/* Answer patterns as llama.cpp's grammars. */
#include <check.h>
#include <string.h>

#include "engine/text/gbnf.h"
#include "rewards/verifier.h"
#include "tasks/task.h"
#include "tests/suite.h"

static const struct {
    const char *pattern, *grammar;
} cases[] = {
    {"ab", "root ::= \"ab\"\n"},
    {" [01] [01]</answer>", "root ::= \" \" [01] \" \" [01] \"</answer>\"\n"},
    {"a|bc", "root ::= ( \"a\" | \"bc\" )\n"},
    {"x(a|b)y", "root ::= \"x\" ( \"a\" | \"b\" ) \"y\"\n"},
    {"a{2,3}b?", "root ::= ( \"a\" ){2,3} ( \"b\" )?\n"},
    {"(ab)*c+", "root ::= ( \"ab\" )* ( \"c\" )+\n"},
    {"a{4}b{2,}", "root ::= ( \"a\" ){4} ( \"b\" ){2,}\n"},
    {"\\d", "root ::= [0-9]\n"},
    {"[a\\-\\^\\]]", "root ::= [\\x2D\\]\\x5Ea]\n"},
    {"\\x22\\\\\\n\\t\\r", "root ::= \"\\\"\\\\\\n\\t\\r\"\n"},
    {"\\x01\\x7f", "root ::= \"\\x01\\x7F\"\n"},
};

START_TEST(patterns_become_grammars)
{
    wz_text out = {0};
    wz_error err = {{0}};
    ck_assert_msg(wz_gbnf_from_pattern(cases[_i].pattern, &out, &err) == WZ_OK, "%s", err.text);
    ck_assert_str_eq(out.data, cases[_i].grammar);
    wz_text_clear(&out);
}
END_TEST

START_TEST(bytes_beyond_ascii_are_refused)
{
    wz_text out = {0};
    wz_error err = {{0}};
    ck_assert_int_eq(wz_gbnf_from_pattern("[^a]", &out, &err), WZ_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "ASCII"));
    wz_text_clear(&out);
}
END_TEST

/* Every family's answers have a grammar, in both styles. */
START_TEST(every_family_has_a_grammar)
{
    for (size_t i = 0; wz_tasks[i] != NULL; i++)
        for (int style = 0; style < 2; style++) {
            double values[WZ_TASK_MAX_OPTIONS];
            wz_problem problem;
            wz_text pattern = {0}, out = {0};
            wz_error err = {{0}};
            wz_task_default_values(wz_tasks[i], values);
            ck_assert_int_eq(wz_problem_generate(wz_tasks[i], values, 1, WZ_SPLIT_TEST, 0, &problem, &err),
                             WZ_OK);
            ck_assert_int_eq(wz_problem_answer_pattern(&problem, (wz_prompt_style)style, &pattern, &err),
                             WZ_OK);
            ck_assert_msg(wz_gbnf_from_pattern(pattern.data, &out, &err) == WZ_OK, "%s: %s",
                          wz_tasks[i]->name, err.text);
            ck_assert_ptr_nonnull(strstr(out.data, "answer>\""));
            wz_problem_clear(&problem);
            wz_text_clear(&pattern);
            wz_text_clear(&out);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gbnf");
    TCase *all = tcase_create("gbnf");
    tcase_add_loop_test(all, patterns_become_grammars, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(all, bytes_beyond_ascii_are_refused);
    tcase_add_test(all, every_family_has_a_grammar);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
