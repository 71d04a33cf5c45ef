/* Verdicts and rewards: what counts as an answer, and what tricks earn. */
#include <check.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rewards/reward.h"
#include "tasks/power_control.h"
#include "tests/suite.h"

static const wz_verifier *verifier;
static wz_problem problem; /* 3 links, 4 levels */
static wz_reference known;
static wz_error err;

static const double gains[] = {10, 0.01, 0.1, 0.1, 4, 0.1, 2, 1, 0.5};

static void setup(void)
{
    const double values[WZ_TASK_MAX_OPTIONS] = {3, 4, 0};
    verifier = wz_verifier_find("power_control");
    ck_assert_ptr_nonnull(verifier);
    ck_assert_int_eq(wz_task_power_control.import(values, 3, 3, gains, 0, &problem, &err), WZ_OK);
    ck_assert_int_eq(wz_reference_find(verifier, &problem, WZ_EFFORT_EVALUATION, NULL, &known, &err), WZ_OK);
}

static void teardown(void)
{
    wz_problem_clear(&problem);
}

static wz_verdict judge_bytes(wz_prompt_style style, const char *text, size_t length)
{
    wz_verdict verdict;
    ck_assert_int_eq(wz_verify(verifier, &problem, &known, style, text, length, &verdict, &err), WZ_OK);
    return verdict;
}

typedef struct trick {
    const char *completion;
    wz_verdict_kind kind;
    const char *says; /* part of the reason */
} trick;

static void check_tricks(wz_prompt_style style, const trick *tricks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const trick *t = &tricks[i];
        wz_verdict verdict = judge_bytes(style, t->completion, strlen(t->completion));
        ck_assert_msg(verdict.kind == t->kind, "\"%s\": %s (%s), expected %s", t->completion,
                      wz_verdict_kind_name(verdict.kind), verdict.reason, wz_verdict_kind_name(t->kind));
        ck_assert_msg(strstr(verdict.reason, t->says) != NULL, "\"%s\": %s", t->completion, verdict.reason);
        ck_assert_int_eq(verdict.kind == WZ_VERDICT_FEASIBLE, verdict.reason[0] == '\0');
        ck_assert_double_eq(verdict.reference, known.objective);
        if (verdict.kind != WZ_VERDICT_FEASIBLE) {
            ck_assert_double_eq(verdict.objective, 0);
            ck_assert_double_eq(verdict.ratio, 0);
            ck_assert(!verdict.is_optimum);
            ck_assert_double_eq(wz_reward(WZ_REWARD_RATIO, &verdict, &known), 0);
            ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0);
        }
    }
}

START_TEST(verify_compact_tricks_earn_nothing)
{
    static const trick tricks[] = {
        {" 3 0 3</answer>", WZ_VERDICT_FEASIBLE, ""},
        {"", WZ_VERDICT_NO_ANSWER, "not closed"},
        {" 3 0 3", WZ_VERDICT_NO_ANSWER, "not closed"},
        {" 3 0 3</answer", WZ_VERDICT_NO_ANSWER, "not closed"},
        {" 3 0 3</ANSWER>", WZ_VERDICT_NO_ANSWER, "not closed"},
        {" 3 0 3</answer></answer>", WZ_VERDICT_MANY_ANSWERS, "2 times"},
        {" 3 0 3</answer> 0 0 3</answer>", WZ_VERDICT_MANY_ANSWERS, "2 times"},
        {"<answer> 3 0 3</answer>", WZ_VERDICT_MANY_ANSWERS, "prompt's own"},
        {" 0 0 0</answer><answer> 3 0 3</answer>", WZ_VERDICT_MANY_ANSWERS, "<answer>"},
        {" 3 0 3</answer> ", WZ_VERDICT_TRAILING_TEXT, "text after"},
        {" 3 0 3</answer>\n", WZ_VERDICT_TRAILING_TEXT, "\\x0a"},
        {" 3 0 3</answer> and more of it, much more", WZ_VERDICT_TRAILING_TEXT, "..."},
        {"3 0 3</answer>", WZ_VERDICT_BAD_NUMBER, "number 1, \"3\""},
        {"  3 0 3</answer>", WZ_VERDICT_BAD_NUMBER, "number 1, \" \""},
        {" 3  0 3</answer>", WZ_VERDICT_BAD_NUMBER, "number 2"},
        {" 3 0 3 </answer>", WZ_VERDICT_BAD_NUMBER, "number 4"},
        {" 3\t0 3</answer>", WZ_VERDICT_BAD_NUMBER, "\\x09"},
        {" 3,0,3</answer>", WZ_VERDICT_BAD_NUMBER, "3,0,3"},
        {" 3 -1 3</answer>", WZ_VERDICT_BAD_NUMBER, "number 2, \" -1\""},
        {" 3 -0 3</answer>", WZ_VERDICT_BAD_NUMBER, "number 2"},
        {" 3 +1 3</answer>", WZ_VERDICT_BAD_NUMBER, "\" +1\""},
        {" 3 1.0 3</answer>", WZ_VERDICT_BAD_NUMBER, "1.0"},
        {" 3 1,0 3</answer>", WZ_VERDICT_BAD_NUMBER, "1,0"},
        {" 3 1. 3</answer>", WZ_VERDICT_BAD_NUMBER, "1."},
        {" 3 1e0 3</answer>", WZ_VERDICT_BAD_NUMBER, "1e0"},
        {" 3 0x1 3</answer>", WZ_VERDICT_BAD_NUMBER, "0x1"},
        {" 3 nan 3</answer>", WZ_VERDICT_BAD_NUMBER, "nan"},
        {" 3 inf 3</answer>", WZ_VERDICT_BAD_NUMBER, "inf"},
        {" 3 01 3</answer>", WZ_VERDICT_BAD_NUMBER, "01"},
        {" 3 00 3</answer>", WZ_VERDICT_BAD_NUMBER, "00"},
        {" 3 1/1 3</answer>", WZ_VERDICT_BAD_NUMBER, "1/1"},
        {" 3 \xd9\xa1 3</answer>", WZ_VERDICT_BAD_NUMBER, "\\xd9\\xa1"},          /* Arabic-Indic one */
        {" 3 \xef\xbc\x91 3</answer>", WZ_VERDICT_BAD_NUMBER, "\\xef\\xbc\\x91"}, /* full-width one */
        {" A 3 0</answer>", WZ_VERDICT_BAD_NUMBER, "number 1"},
        {" 3 0 3<answer</answer>", WZ_VERDICT_BAD_NUMBER, "number 3"},
        {"</answer>", WZ_VERDICT_WRONG_LENGTH, "0 numbers where 3"},
        {" 3</answer>", WZ_VERDICT_WRONG_LENGTH, "1 numbers where 3"},
        {" 3 0</answer>", WZ_VERDICT_WRONG_LENGTH, "2 numbers"},
        {" 3 0 3 3</answer>", WZ_VERDICT_WRONG_LENGTH, "4 numbers"},
        {" 40 20 10 33</answer>", WZ_VERDICT_WRONG_LENGTH, "4 numbers"},
        {" 40 20 10</answer>", WZ_VERDICT_OUT_OF_RANGE, "number 1,  40"}, /* the prompt's first row */
        {" 3 0 4</answer>", WZ_VERDICT_OUT_OF_RANGE, "number 3,  4, is outside 0..3"},
        {" 3 0 4294967296</answer>", WZ_VERDICT_OUT_OF_RANGE, "number 3"},
        {" 3 0 18446744073709551616</answer>", WZ_VERDICT_OUT_OF_RANGE, "number 3"},
        {" 3 0 99999999999999999999999999999999999999999999999999</answer>", WZ_VERDICT_OUT_OF_RANGE, "..."},
    };
    check_tricks(WZ_PROMPT_COMPACT, tricks, sizeof tricks / sizeof *tricks);
}
END_TEST

static void make_on_off(void)
{
    const double values[WZ_TASK_MAX_OPTIONS] = {3, 2, 0};
    wz_problem_clear(&problem);
    ck_assert_int_eq(wz_task_power_control.import(values, 3, 3, gains, 0, &problem, &err), WZ_OK);
    ck_assert_int_eq(wz_reference_find(verifier, &problem, WZ_EFFORT_EVALUATION, NULL, &known, &err), WZ_OK);
}

/* With two levels a compact answer names each link, in capitals or small letters. */
START_TEST(verify_on_off_tricks_earn_nothing)
{
    static const trick tricks[] = {
        {" A b C</answer>", WZ_VERDICT_FEASIBLE, ""},
        {" a b c</answer>", WZ_VERDICT_FEASIBLE, ""},
        {"", WZ_VERDICT_NO_ANSWER, "not closed"},
        {" A b C", WZ_VERDICT_NO_ANSWER, "not closed"},
        {" A b C</answer></answer>", WZ_VERDICT_MANY_ANSWERS, "2 times"},
        {"<answer> A b C</answer>", WZ_VERDICT_MANY_ANSWERS, "prompt's own"},
        {" A b C</answer> ", WZ_VERDICT_TRAILING_TEXT, "text after"},
        {" 1 0 1</answer>", WZ_VERDICT_BAD_NUMBER, "word 1, \" 1\", is neither A nor a"},
        {"A b C</answer>", WZ_VERDICT_BAD_NUMBER, "word 1"},
        {" A  b C</answer>", WZ_VERDICT_BAD_NUMBER, "word 2"},
        {" A\tb C</answer>", WZ_VERDICT_BAD_NUMBER, "word 1"},
        {" A C b</answer>", WZ_VERDICT_BAD_NUMBER, "word 2, \" C\", is neither B nor b"},
        {" B A C</answer>", WZ_VERDICT_BAD_NUMBER, "word 1"},
        {" A A A</answer>", WZ_VERDICT_BAD_NUMBER, "word 2"},
        {" Aa b C</answer>", WZ_VERDICT_BAD_NUMBER, "word 1"},
        {" A b C </answer>", WZ_VERDICT_WRONG_LENGTH, "4 words where 3"},
        {" A b</answer>", WZ_VERDICT_WRONG_LENGTH, "2 words where 3"},
        {" A b C D</answer>", WZ_VERDICT_WRONG_LENGTH, "4 words where 3"},
        {"</answer>", WZ_VERDICT_WRONG_LENGTH, "0 words"},
        {" 40 20 10 A</answer>", WZ_VERDICT_BAD_NUMBER, "word 1"}, /* the prompt's first row */
    };
    make_on_off();
    check_tricks(WZ_PROMPT_COMPACT, tricks, sizeof tricks / sizeof *tricks);
}
END_TEST

START_TEST(verify_on_off_says_which_links_transmit)
{
    const double four = pow(10, 0.6);
    make_on_off();
    wz_verdict ends = judge_bytes(WZ_PROMPT_COMPACT, " A B c</answer>", 15);
    ck_assert_double_eq_tol(ends.objective, log2(1 + 10 / 1.01) + log2(1 + four / 1.1), 1e-12);
    ck_assert(ends.is_optimum);
    wz_verdict last = judge_bytes(WZ_PROMPT_COMPACT, " a B c</answer>", 15);
    ck_assert_double_eq_tol(last.objective, log2(1 + four), 1e-12);
    ck_assert_double_eq(judge_bytes(WZ_PROMPT_COMPACT, " a b c</answer>", 15).objective, 0);
    /* the full style keeps numbers */
    wz_verdict full = judge_bytes(WZ_PROMPT_FULL, "</think><answer>1 1 0</answer>", 30);
    ck_assert_double_eq(full.objective, ends.objective);
}
END_TEST

START_TEST(verify_full_tricks_earn_nothing)
{
    static const trick tricks[] = {
        {"A is strong.</think><answer> 3 0 3</answer>", WZ_VERDICT_FEASIBLE, ""},
        {"</think>\n<answer>3 0 3</answer>\n", WZ_VERDICT_FEASIBLE, ""},
        {"</think><answer>\n3, 0 ,3 \n</answer>", WZ_VERDICT_FEASIBLE, ""},
        {"</think>So $\\boxed{3, 0, 3}$.", WZ_VERDICT_FEASIBLE, ""},
        {"no idea", WZ_VERDICT_NO_ANSWER, "no <answer>"},
        {"<answer> 3 0 3", WZ_VERDICT_NO_ANSWER, "not closed"},
        {" 3 0 3</answer>", WZ_VERDICT_NO_ANSWER, "without <answer>"},
        {"</answer><answer> 3 0 3", WZ_VERDICT_NO_ANSWER, "before"},
        {"\\boxed{3 0 3", WZ_VERDICT_NO_ANSWER, "not closed"},
        {"<answer>0 0 3</answer><answer>3 0 3</answer>", WZ_VERDICT_MANY_ANSWERS, "2 times"},
        {"<answer><answer>3 0 3</answer>", WZ_VERDICT_MANY_ANSWERS, "2 times"},
        {"<answer>3 0 3</answer></answer>", WZ_VERDICT_MANY_ANSWERS, "2 times"},
        {"\\boxed{0 0 3} or \\boxed{3 0 3}", WZ_VERDICT_MANY_ANSWERS, "2 times"},
        {"<answer>3 0 3</answer> I think", WZ_VERDICT_TRAILING_TEXT, "I think"},
        {"<answer>3 0 3</answer></think>", WZ_VERDICT_TRAILING_TEXT, "</think>"},
        {"\\boxed{3 0 0}<answer>3 0 3</answer>", WZ_VERDICT_MANY_ANSWERS, "another answer"},
        {"\\boxed{ 3 0 3 }</think><answer>3 0 3</answer>", WZ_VERDICT_FEASIBLE, ""},
        {"\\boxed{3 0 3}, no: \\boxed{3 3 3}</think><answer>3 0 3</answer>", WZ_VERDICT_MANY_ANSWERS,
         "another"},
        {"\\boxed{3 0 3} or not", WZ_VERDICT_TRAILING_TEXT, "or not"},
        {"<answer>3 0 3.</answer>", WZ_VERDICT_BAD_NUMBER, "3."},
        {"<answer>3,, 0 3</answer>", WZ_VERDICT_BAD_NUMBER, "number 2, \"\""},
        {"<answer>3, 0, 3,</answer>", WZ_VERDICT_BAD_NUMBER, "number 4, \"\""},
        {"<answer>,3 0 3</answer>", WZ_VERDICT_BAD_NUMBER, "number 1, \"\""},
        {"<answer>[3, 0, 3]</answer>", WZ_VERDICT_BAD_NUMBER, "[3"},
        {"<answer>A=3 B=0 C=3</answer>", WZ_VERDICT_BAD_NUMBER, "A=3"},
        {"<answer>three zero three</answer>", WZ_VERDICT_BAD_NUMBER, "three"},
        {"<answer>3 -1 3</answer>", WZ_VERDICT_BAD_NUMBER, "-1"},
        {"<answer></answer>", WZ_VERDICT_WRONG_LENGTH, "0 numbers"},
        {"<answer>3 0</answer>", WZ_VERDICT_WRONG_LENGTH, "2 numbers"},
        {"\\boxed{10 0 0}", WZ_VERDICT_OUT_OF_RANGE, "10"},
    };
    check_tricks(WZ_PROMPT_FULL, tricks, sizeof tricks / sizeof *tricks);
}
END_TEST

START_TEST(verify_embedded_nul_is_a_bad_byte)
{
    static const char in_number[] = " 3 0\0 3</answer>", after[] = " 3 0 3</answer>\0",
                      hidden[] = " 3 0 3\0</answer>";
    wz_verdict verdict = judge_bytes(WZ_PROMPT_COMPACT, in_number, sizeof in_number - 1);
    ck_assert_int_eq(verdict.kind, WZ_VERDICT_BAD_NUMBER);
    ck_assert_ptr_nonnull(strstr(verdict.reason, "\\x00"));
    verdict = judge_bytes(WZ_PROMPT_COMPACT, after, sizeof after - 1);
    ck_assert_int_eq(verdict.kind, WZ_VERDICT_TRAILING_TEXT);
    verdict = judge_bytes(WZ_PROMPT_FULL, "<answer>3 0 3</answer>\0", 23);
    ck_assert_int_eq(verdict.kind, WZ_VERDICT_TRAILING_TEXT);
    verdict = judge_bytes(WZ_PROMPT_COMPACT, hidden, sizeof hidden - 1);
    ck_assert_int_eq(verdict.kind, WZ_VERDICT_BAD_NUMBER);
    verdict = judge_bytes(WZ_PROMPT_COMPACT, NULL, 0);
    ck_assert_int_eq(verdict.kind, WZ_VERDICT_NO_ANSWER);
}
END_TEST

/* A locale with a decimal comma changes nothing; where none is installed the C locale is what is tested. */
START_TEST(verify_under_another_locale_is_the_same)
{
    (void)(setlocale(LC_ALL, "de_DE.UTF-8") != NULL || setlocale(LC_ALL, "fr_FR.UTF-8") != NULL);
    ck_assert_int_eq(judge_bytes(WZ_PROMPT_COMPACT, " 3 1,0 3</answer>", 17).kind, WZ_VERDICT_BAD_NUMBER);
    ck_assert_int_eq(judge_bytes(WZ_PROMPT_COMPACT, " 3 0 3</answer>", 15).kind, WZ_VERDICT_FEASIBLE);
    (void)setlocale(LC_ALL, "C");
}
END_TEST

/* Every prefix and every one-byte change of a right answer: no crash, and a verdict with a reason. Only another
 * level in a digit's place is feasible. */
START_TEST(verify_mutations_are_feasible_only_as_levels)
{
    static const char right[] = " 3 0 3</answer>";
    const size_t length = sizeof right - 1;
    for (size_t n = 0; n < length; n++)
        ck_assert_int_ne(judge_bytes(WZ_PROMPT_COMPACT, right, n).kind, WZ_VERDICT_FEASIBLE);
    for (size_t at = 0; at < length; at++)
        for (int byte = 0; byte < 256; byte++) {
            char text[sizeof right];
            memcpy(text, right, sizeof right);
            text[at] = (char)byte;
            bool level = (at == 1 || at == 3 || at == 5) && byte >= '0' && byte <= '3';
            wz_verdict verdict = judge_bytes(WZ_PROMPT_COMPACT, text, length);
            ck_assert_int_eq(verdict.kind == WZ_VERDICT_FEASIBLE, level || memcmp(text, right, length) == 0);
            (void)judge_bytes(WZ_PROMPT_FULL, text, length);
        }
}
END_TEST

/* Rates by hand from the printed gains 10, .01, .1 / .1, 4, .1 / 2, 1, .5 (dB 10 -20 -10 / -10 6 -10 / 3 0 -3). */
START_TEST(verify_objective_is_the_rate_on_the_printed_gains)
{
    const double half = pow(10, -0.3), two = pow(10, 0.3), four = pow(10, 0.6); /* as printed */
    wz_verdict verdict = judge_bytes(WZ_PROMPT_COMPACT, " 3 3 0</answer>", 15);
    double ends = log2(1 + 10 / 1.01) + log2(1 + four / 1.1);
    ck_assert_double_eq_tol(verdict.objective, ends, 1e-12);
    ck_assert_double_eq_tol(known.objective, ends, 1e-12); /* link C is weak and loud: off at the optimum */
    ck_assert(known.kind == WZ_REFERENCE_OPTIMUM);
    ck_assert(verdict.is_optimum);
    ck_assert_double_eq_tol(verdict.ratio, 1, 1e-12);

    verdict = judge_bytes(WZ_PROMPT_COMPACT, " 1 3 2</answer>", 15);
    double mixed = log2(1 + 10. / 3 / (1 + .1 * 2 / 3 + .01)) + log2(1 + half * 2 / 3 / (1 + two / 3 + 1)) +
                   log2(1 + four / (1 + .1 / 3 + .1 * 2 / 3));
    ck_assert_double_eq_tol(verdict.objective, mixed, 1e-12);
    ck_assert_double_eq_tol(verdict.ratio, mixed / ends, 1e-12);
    ck_assert(!verdict.is_optimum);
}
END_TEST

START_TEST(reward_modes_follow_their_formulas)
{
    wz_outcome full, strongest, constant;
    ck_assert_int_eq(wz_baseline_run(verifier, 3, &problem, 0, &full, &err), WZ_OK);
    ck_assert_str_eq(verifier->baselines[3].name, "full");
    ck_assert_int_eq(wz_baseline_run(verifier, 5, &problem, 0, &strongest, &err), WZ_OK);
    ck_assert_double_eq_tol(strongest.objective, log2(11), 1e-12);
    ck_assert_double_gt(full.objective, strongest.objective);
    ck_assert_int_eq(wz_baseline_run(verifier, 6, &problem, 0, &constant, &err), WZ_OK);
    ck_assert_str_eq(verifier->baselines[6].name, "constant"); /* 3 3 0, the optimum here */
    ck_assert_double_eq(constant.objective, known.objective);
    ck_assert_double_eq(known.best_trivial, constant.objective);
    known.best_trivial = full.objective; /* as if it were not known, so that there is room */

    wz_verdict verdict =
        judge_bytes(WZ_PROMPT_COMPACT, " 3 3 3</answer>", 15); /* constant policies: legal, */
    ck_assert_double_eq_tol(wz_reward(WZ_REWARD_RATIO, &verdict, &known), full.objective / known.objective,
                            1e-15);
    ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0); /* but without headroom */
    verdict = judge_bytes(WZ_PROMPT_COMPACT, " 3 0 0</answer>", 15);
    ck_assert_double_eq_tol(wz_reward(WZ_REWARD_RATIO, &verdict, &known),
                            strongest.objective / known.objective, 1e-15);
    ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0);
    verdict = judge_bytes(WZ_PROMPT_COMPACT, " 0 0 0</answer>", 15); /* legal, and worth nothing */
    ck_assert_int_eq(verdict.kind, WZ_VERDICT_FEASIBLE);
    ck_assert_double_eq(wz_reward(WZ_REWARD_RATIO, &verdict, &known), 0);
    verdict = judge_bytes(WZ_PROMPT_COMPACT, " 3 3 0</answer>", 15);
    ck_assert_double_eq_tol(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 1, 1e-15);

    const wz_reference made = {.objective = 4, .decided = 4, .best_trivial = 3},
                       flat = {.objective = 4, .decided = 4, .best_trivial = 4};
    verdict = (wz_verdict){.kind = WZ_VERDICT_FEASIBLE, .objective = 3.25};
    ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &made), 0.25);
    ck_assert_double_eq(wz_reward(WZ_REWARD_RATIO, &verdict, &made), 0.8125);
    ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &flat), 0); /* no 0 / 0 */
    verdict.objective = 4;
    ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &flat),
                        0); /* no room: nothing to be earned */
}
END_TEST

START_TEST(reward_is_the_weighted_sum_and_shaping_shrinks)
{
    const wz_reference made = {.objective = 4, .decided = 4, .best_trivial = 3};
    const wz_reward_options options = {.count = 5,
                                       .function = {WZ_REWARD_RATIO, WZ_REWARD_HEADROOM, WZ_REWARD_FEASIBLE,
                                                    WZ_REWARD_OPTIMUM, WZ_REWARD_FORMAT},
                                       .weight = {1, 2, 4, 8, 16},
                                       .shaping = 0.1,
                                       .shaping_steps = 10,
                                       .max_completion_length = 20,
                                       .overlong_buffer = 8,
                                       .overlong_penalty = 3};
    const wz_verdict feasible = {.kind = WZ_VERDICT_FEASIBLE, .objective = 3.5},
                     best = {.kind = WZ_VERDICT_FEASIBLE, .objective = 4, .is_optimum = true},
                     violates = {.kind = WZ_VERDICT_INFEASIBLE, .shortfall = 0.25},
                     unreadable = {.kind = WZ_VERDICT_BAD_NUMBER, .shortfall = 1};
    const double late = wz_reward_total(&options, 10, &feasible, &made, 12);
    ck_assert_double_eq(late, 0.875 + 2 * 0.5 + 4 + 16);
    ck_assert_double_eq(wz_reward_total(&options, 10, &best, &made, 12), 1 + 2 + 4 + 8 + 16);
    ck_assert_double_eq(wz_reward_total(&options, 10, &violates, &made, 12), 16);
    ck_assert_double_eq(wz_reward_total(&options, 10, &unreadable, &made, 12), 0);
    ck_assert_double_eq_tol(wz_reward_total(&options, 0, &feasible, &made, 12) - late, 0.1, 1e-14);
    ck_assert_double_eq_tol(wz_reward_total(&options, 5, &feasible, &made, 12) - late, 0.05, 1e-14);
    ck_assert_double_eq_tol(wz_reward_shaping(&options, 5, &violates), 0.05 * 0.75, 1e-15);
    ck_assert_double_eq(wz_reward_shaping(&options, 0, &unreadable), 0);
    ck_assert_double_eq(wz_reward_shaping(&options, 11, &feasible), 0);
    ck_assert_double_eq(wz_reward_total(&options, 10, &best, &made, 14), 31 - 3 * 0.25);
    for (int i = 0; i < WZ_REWARD_FUNCS; i++)
        ck_assert_int_eq(wz_reward_find(wz_reward_names[i]), i);
    ck_assert_ptr_null(wz_reward_names[WZ_REWARD_FUNCS]);
    ck_assert_int_eq(wz_reward_find("ratios"), -1);
}
END_TEST

START_TEST(baselines_never_pass_the_reference_of_their_decision_set)
{
    for (uint32_t n = 0; n < 200; n++) {
        const double values[WZ_TASK_MAX_OPTIONS] = {3 + n % 4, 2 + n % 3, 5};
        wz_problem p;
        wz_reference best;
        ck_assert_int_eq(wz_problem_generate(&wz_task_power_control, values, 4, WZ_SPLIT_TEST, n, &p, &err),
                         WZ_OK);
        ck_assert_int_eq(wz_reference_find(verifier, &p, WZ_EFFORT_EVALUATION, NULL, &best, &err), WZ_OK);
        ck_assert(best.kind == WZ_REFERENCE_OPTIMUM);
        for (size_t b = 0; b < verifier->baseline_count; b++) {
            wz_outcome outcome;
            ck_assert_int_eq(wz_baseline_run(verifier, b, &p, 1, &outcome, &err), WZ_OK);
            ck_assert(outcome.feasible);
            ck_assert_double_ge(outcome.objective, 0);
            if (strcmp(verifier->baselines[b].name, "wmmse") != 0) /* continuous powers */
                ck_assert_double_le(outcome.objective, best.objective + 1e-8);
        }
        wz_problem_clear(&p);
    }
}
END_TEST

START_TEST(reference_beyond_enumeration_says_so)
{
    const double values[WZ_TASK_MAX_OPTIONS] = {24, 2, 0};
    wz_problem p;
    wz_reference best, again;
    wz_outcome greedy;
    ck_assert_int_eq(wz_problem_generate(&wz_task_power_control, values, 4, WZ_SPLIT_TEST, 0, &p, &err),
                     WZ_OK);
    ck_assert_int_eq(wz_reference_find(verifier, &p, WZ_EFFORT_EVALUATION, NULL, &best, &err), WZ_OK);
    ck_assert_int_eq(wz_reference_find(verifier, &p, WZ_EFFORT_EVALUATION, NULL, &again, &err), WZ_OK);
    ck_assert(best.kind == WZ_REFERENCE_BEST_KNOWN);
    ck_assert_double_eq(best.objective, again.objective);
    ck_assert_int_eq(wz_baseline_run(verifier, 2, &p, 0, &greedy, &err), WZ_OK);
    ck_assert_double_ge(best.objective, greedy.objective - 1e-12);
    wz_problem_clear(&p);
}
END_TEST

START_TEST(random_best_grows_with_tries_to_the_optimum)
{
    double last = 0;
    wz_outcome outcome, one;
    for (size_t tries = 1; tries <= 4096; tries *= 4) { /* 64 vectors: all of them are drawn */
        ck_assert_int_eq(wz_random_best(verifier, &problem, 9, tries, &outcome, &err), WZ_OK);
        ck_assert_double_ge(outcome.objective, last);
        last = outcome.objective;
    }
    ck_assert_double_eq_tol(last, known.objective, 1e-12);
    ck_assert_int_eq(wz_baseline_run(verifier, 4, &problem, 9, &outcome, &err), WZ_OK);
    ck_assert_int_eq(wz_random_best(verifier, &problem, 9, 1, &one, &err), WZ_OK);
    ck_assert_double_eq(outcome.objective, one.objective);
    ck_assert_int_eq(wz_random_best(verifier, &problem, 9, 0, &outcome, &err), WZ_ERR_USAGE);
    ck_assert_int_eq(wz_random_best(verifier, &problem, 9, (size_t)1 << 40, &outcome, &err), WZ_ERR_USAGE);
}
END_TEST

START_TEST(verify_what_cannot_be_judged_is_an_error_not_a_zero)
{
    wz_problem foreign = {0};
    wz_verdict verdict;
    wz_reference broken = {0}, best;
    ck_assert_int_eq(wz_verify(verifier, &foreign, &known, WZ_PROMPT_COMPACT, "", 0, &verdict, &err),
                     WZ_ERR_RUNTIME);
    ck_assert_int_eq(wz_reference_find(verifier, &foreign, WZ_EFFORT_EVALUATION, NULL, &best, &err),
                     WZ_ERR_RUNTIME);
    broken.objective = NAN;
    ck_assert_int_eq(wz_verify(verifier, &problem, &broken, WZ_PROMPT_COMPACT, "", 0, &verdict, &err),
                     WZ_ERR_RUNTIME);
}
END_TEST

START_TEST(tables_are_complete)
{
    ck_assert_ptr_null(wz_verifier_find("nothing"));
    for (const wz_task *const *task = wz_tasks; *task != NULL; task++)
        ck_assert_ptr_nonnull(wz_verifier_find((*task)->name));
    bool found = false;
    for (size_t b = 0; b < verifier->baseline_count; b++)
        found |= strcmp(verifier->baselines[b].name, verifier->field_algorithm) == 0;
    ck_assert(found);
    ck_assert_uint_le(verifier->baseline_count, WZ_MAX_BASELINES);
    for (int a = WZ_VERDICT_FEASIBLE; a <= WZ_VERDICT_INFEASIBLE; a++)
        for (int b = WZ_VERDICT_FEASIBLE; b < a; b++)
            ck_assert_str_ne(wz_verdict_kind_name((wz_verdict_kind)a),
                             wz_verdict_kind_name((wz_verdict_kind)b));
    ck_assert_str_eq(wz_verdict_kind_name(WZ_VERDICT_OUT_OF_RANGE), "out_of_range");
}
END_TEST

static double option_set(double *values, const char *name, double value)
{
    const size_t i = wz_task_find_option(&wz_task_power_control, name);
    ck_assert_uint_lt(i, wz_task_power_control.option_count);
    return values[i] = value;
}

/* The table of the links that are on the air, by itself. */
static void take_active(const wz_problem *p, wz_problem *alone)
{
    int32_t numbers[64];
    size_t count = 0, links = 0;
    double values[WZ_TASK_MAX_OPTIONS];
    wz_task_default_values(&wz_task_power_control, values);
    for (size_t i = 0; i < p->size; i++) {
        links += p->numbers[i * (p->size + 1)] > 0;
        for (size_t j = 0; j < p->size; j++)
            if (p->numbers[i * (p->size + 1)] > 0 && p->numbers[j * (p->size + 1)] > 0)
                numbers[count++] = p->numbers[i * p->size + j];
    }
    (void)option_set(values, "links", (double)links);
    ck_assert_int_eq(wz_problem_from_numbers(&wz_task_power_control, values, numbers, count, alone, &err),
                     WZ_OK);
}

static void ck_same_reference(const wz_problem *p, const wz_problem *alone, wz_effort effort)
{
    wz_reference among, by_itself;
    ck_assert_int_eq(wz_reference_find(verifier, p, effort, NULL, &among, &err), WZ_OK);
    ck_assert_int_eq(wz_reference_find(verifier, alone, effort, NULL, &by_itself, &err), WZ_OK);
    ck_assert_int_eq(among.kind, WZ_REFERENCE_OPTIMUM);
    ck_assert_double_eq_tol(among.objective, by_itself.objective, 1e-12); /* the same rates and 8 zeros */
    ck_assert_double_eq_tol(among.best_trivial, by_itself.best_trivial, 1e-12);
}

/* Every baseline but the random one, which draws for links off the air, too. */
static void ck_same_baselines(const wz_problem *p, const wz_problem *alone)
{
    for (size_t b = 0; b < verifier->baseline_count; b++) {
        wz_outcome among, by_itself;
        if (verifier->baselines[b].kind == WZ_BASELINE_RANDOM)
            continue;
        ck_assert_int_eq(wz_baseline_run(verifier, b, p, 0, &among, &err), WZ_OK);
        ck_assert_int_eq(wz_baseline_run(verifier, b, alone, 0, &by_itself, &err), WZ_OK);
        ck_assert_msg(fabs(among.objective - by_itself.objective) < 1e-12,
                      "%s: %.17g among gaps, %.17g alone", verifier->baselines[b].name, among.objective,
                      by_itself.objective);
    }
}

static void ck_silent_links_change_nothing(const wz_problem *p)
{
    unsigned decision[WZ_MAX_SLOTS];
    wz_outcome quiet, loud;
    wz_reference best;
    ck_assert_int_eq(wz_reference_find(verifier, p, WZ_EFFORT_EVALUATION, decision, &best, &err), WZ_OK);
    ck_assert_int_eq(verifier->judge(p, decision, &quiet, &err), WZ_OK);
    for (size_t i = 0; i < p->size; i++)
        if (p->numbers[i * (p->size + 1)] == 0) {
            ck_assert_uint_eq(decision[i], 0);
            decision[i] = 1;
        }
    ck_assert_int_eq(verifier->judge(p, decision, &loud, &err), WZ_OK);
    ck_assert_double_eq(loud.objective, quiet.objective);
}

START_TEST(links_off_the_air_are_not_there_for_solvers_and_change_nothing)
{
    for (uint32_t n = 0; n < 30; n++) {
        double values[WZ_TASK_MAX_OPTIONS];
        wz_problem p, alone;
        wz_task_default_values(&wz_task_power_control, values);
        (void)option_set(values, "links", 8);
        const double active = option_set(values, "active", 2 + n % 6);
        ck_assert_int_eq(wz_problem_generate(&wz_task_power_control, values, 4, WZ_SPLIT_TEST, n, &p, &err),
                         WZ_OK);
        take_active(&p, &alone);
        ck_assert_uint_eq(alone.size, (size_t)active);
        ck_same_reference(&p, &alone, WZ_EFFORT_EVALUATION);
        ck_same_reference(&p, &alone, WZ_EFFORT_TRAINING);
        ck_same_baselines(&p, &alone);
        ck_silent_links_change_nothing(&p);
        wz_problem_clear(&alone);
        wz_problem_clear(&p);
    }
}
END_TEST

/* Ten of twenty links are 1,024 decisions, which training, too, tries one by one: 2^20 it would not. */
START_TEST(training_knows_the_optimum_of_ten_links_among_twenty)
{
    double values[WZ_TASK_MAX_OPTIONS];
    wz_problem p;
    wz_reference best;
    wz_task_default_values(&wz_task_power_control, values);
    (void)option_set(values, "links", 20);
    (void)option_set(values, "active", 10);
    ck_assert_int_eq(wz_problem_generate(&wz_task_power_control, values, 4, WZ_SPLIT_TRAIN, 0, &p, &err),
                     WZ_OK);
    ck_assert_int_eq(wz_reference_find(verifier, &p, WZ_EFFORT_TRAINING, NULL, &best, &err), WZ_OK);
    ck_assert_int_eq(best.kind, WZ_REFERENCE_OPTIMUM);
    wz_problem_clear(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rewards");
    TCase *cases = tcase_create("rewards");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, verify_compact_tricks_earn_nothing);
    tcase_add_test(cases, verify_on_off_tricks_earn_nothing);
    tcase_add_test(cases, verify_on_off_says_which_links_transmit);
    tcase_add_test(cases, verify_full_tricks_earn_nothing);
    tcase_add_test(cases, verify_embedded_nul_is_a_bad_byte);
    tcase_add_test(cases, verify_under_another_locale_is_the_same);
    tcase_add_test(cases, verify_mutations_are_feasible_only_as_levels);
    tcase_add_test(cases, verify_objective_is_the_rate_on_the_printed_gains);
    tcase_add_test(cases, reward_modes_follow_their_formulas);
    tcase_add_test(cases, reward_is_the_weighted_sum_and_shaping_shrinks);
    tcase_add_test(cases, baselines_never_pass_the_reference_of_their_decision_set);
    tcase_add_test(cases, reference_beyond_enumeration_says_so);
    tcase_add_test(cases, random_best_grows_with_tries_to_the_optimum);
    tcase_add_test(cases, verify_what_cannot_be_judged_is_an_error_not_a_zero);
    tcase_add_test(cases, tables_are_complete);
    tcase_add_test(cases, links_off_the_air_are_not_there_for_solvers_and_change_nothing);
    tcase_add_test(cases, training_knows_the_optimum_of_ten_links_among_twenty);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
