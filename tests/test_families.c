/* What every family of problems has to keep, checked in the same way for all: each at the settings of the table below. */
#include <check.h>
#include <math.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/tokenizer.h"
#include "rewards/answer.h"
#include "rewards/reward.h"
#include "rewards/verifier.h"
#include "tests/family.h"

/* Options beside the defaults, families in the order of tasks/table.c. `small`: so few decisions that all of them are tried. */
static const struct {
    const char *task, *options;
    bool small;
} settings[] = {
    {"power_control", "links=2", true},
    {"power_control", "links=5 snr_db=10", true},
    {"power_control", "links=3 levels=5", true},
    {"power_control", "links=10", true},
    {"power_control", "links=30", false},
    {"power_control", "links=6 channel=imac cells=3", true},
    {"power_control", "links=8 channel=umi cells=7", true},
    {"power_control", "links=4 levels=4 channel=uma radius_m=500 bandwidth_mhz=100", true},
    {"assignment", "users=2", true},
    {"assignment", "users=4 snr_db=-10", true},
    {"assignment", "users=5", true},
    {"assignment", "users=16 snr_db=30", false},
    {"independent_set", "links=2 distance=0.5", true},
    {"independent_set", "links=12", true},
    {"independent_set", "links=14 distance=1.5 max_weight=99", true},
    {"independent_set", "links=64 distance=0.2", false},
    {"deadline", "packets=4 slots=5 on_percent=80", true},
    {"deadline", "packets=8 slots=6", false},
    {"deadline", "", true},
    {"deadline", "packets=3 slots=6 on_percent=30", true},
    {"deadline", "packets=32 slots=24 max_weight=99", false},
    {"water_filling", "", true},
    {"water_filling", "channels=2 total=100 snr_db=10", true},
    {"water_filling", "channels=8 total=20 snr_db=-5", false},
    {"water_filling", "channels=64 total=999", false},
    {"d2d", "links=8", true},
    {"d2d", "links=2 field_m=50 max_distance_m=25 gap_db=0", true},
    {"d2d", "links=12 field_m=300 shadowing_db=8 fading=rayleigh", true},
    {"d2d", "links=16", false},
    {"d2d", "links=50", false},
    {"max_min", "", true},
    {"max_min", "links=2 levels=101 snr_db=30", true},
    {"max_min", "links=5 levels=6 direct=1", true},
    {"max_min", "links=10 levels=101", false},
    {"ofdma", "", true},
    {"ofdma", "users=3 blocks=7 objective=proportional_fair", true},
    {"ofdma", "users=2 blocks=9 minimum_share=1 snr_low_db=10", true},
    {"ofdma", "users=5 blocks=14", false},
    {"ofdma", "users=4 blocks=14 objective=proportional_fair minimum_share=0", false},
    {"offloading", "users=4 step_m=1", true},
    {"offloading", "users=5", true},
    {"offloading", "users=10 heavy_weight=2.5", true},
    {"offloading", "users=30 nearest_m=8 step_m=1.5", false},
    {"isac", "", true},
    {"isac", "tones=3 total=40 sensing_percent=95", true},
    {"isac", "tones=8 total=100", false},
    {"beam_hopping", "", true},
    {"beam_hopping", "cells=7 beams=3 slots=1 layout=hex", true},
    {"beam_hopping", "cells=5 beams=1 slots=6 demand_max=99", true},
    {"beam_hopping", "cells=8 beams=3 slots=3 layout=hex spacing=0.5", false},
    {"beam_hopping", "cells=16 beams=4 slots=2", false},
    {"semantic", "users=2 spare_channels=1 max_symbols=6", true},
    {"semantic", "users=3 max_symbols=4 minimum_accuracy=0 snr_db=3", true},
    {"semantic", "", false},
    {"semantic", "users=16 max_symbols=20", false},
    {"energy_efficiency", "", true},
    {"energy_efficiency", "links=2 levels=101 snr_db=0 amplifier_percent=999 circuit_percent=1", true},
    {"energy_efficiency", "links=6 levels=3 direct=1 amplifier_percent=150 circuit_percent=500", true},
    {"energy_efficiency", "links=12 levels=6", false},
};
#define SETTINGS (sizeof settings / sizeof *settings)
#define PROBLEMS 40 /* of each setting and test */

static const wz_task *task;
static const wz_verifier *verifier;
static double values[WZ_TASK_MAX_OPTIONS];
static wz_error err;

static void use_setting(int number)
{
    task = wz_task_find(settings[number].task);
    ck_assert_ptr_nonnull(task);
    verifier = wz_verifier_find(task->name);
    ck_assert_ptr_nonnull(verifier);
    family_values(task, settings[number].options, values);
}

static wz_problem make(uint64_t seed, wz_split split, uint32_t index)
{
    wz_problem problem = {0};
    ck_assert_msg(wz_problem_generate(task, values, seed, split, index, &problem, &err) == WZ_OK, "%s",
                  err.text);
    return problem;
}

static wz_reference refer(const wz_problem *problem, unsigned *decision)
{
    wz_reference known;
    ck_assert_msg(wz_reference_find(verifier, problem, WZ_EFFORT_EVALUATION, decision, &known, &err) == WZ_OK,
                  "%s", err.text);
    return known;
}

static wz_outcome judge(const wz_problem *problem, const unsigned *decision)
{
    wz_outcome outcome = {.feasible = true};
    ck_assert_int_eq(verifier->judge(problem, decision, &outcome, &err), WZ_OK);
    if (outcome.feasible) {
        ck_assert_msg(isfinite(outcome.objective) && outcome.objective >= 0, "objective %g",
                      outcome.objective);
        ck_assert(outcome.reason[0] == '\0' && outcome.violation == 0 && outcome.shortfall == 0);
    } else {
        ck_assert(outcome.reason[0] != '\0' && outcome.objective == 0);
        ck_assert_msg(outcome.violation > WZ_FEASIBILITY_TOLERANCE && outcome.shortfall > 0 &&
                          outcome.shortfall <= 1,
                      "%s: violation %g, shortfall %g", outcome.reason, outcome.violation, outcome.shortfall);
    }
    return outcome;
}

static wz_answer_form form_of(const wz_problem *problem)
{
    wz_answer_form form = {0};
    task->answer_form(problem, &form);
    ck_assert(form.count > 0 && form.count <= WZ_MAX_SLOTS);
    return form;
}

static wz_text prompt_of(const wz_problem *problem, wz_prompt_style style)
{
    wz_text text = {0};
    ck_assert_msg(wz_problem_print(problem, style, &text, &err) == WZ_OK, "%s", err.text);
    return text;
}

/* The completion that states a decision. */
static wz_text completion_of(const wz_problem *problem, wz_prompt_style style, const unsigned *decision)
{
    const wz_answer_form form = form_of(problem);
    wz_text text = {0};
    if (style == WZ_PROMPT_FULL)
        ck_assert_int_eq(wz_text_printf(&text, &err, "So be it.</think><answer>"), WZ_OK);
    ck_assert_int_eq(wz_form_print(&form, style, decision, &text, &err), WZ_OK);
    ck_assert_int_eq(wz_text_printf(&text, &err, "</answer>"), WZ_OK);
    return text;
}

static wz_verdict verify(const wz_problem *problem, const wz_reference *known, wz_prompt_style style,
                         const char *text, size_t length)
{
    wz_verdict verdict;
    ck_assert_msg(wz_verify(verifier, problem, known, style, text, length, &verdict, &err) == WZ_OK, "%s",
                  err.text);
    return verdict;
}

/* ---- problems ---- */

START_TEST(problem_is_a_function_of_its_arguments_and_splits_never_overlap)
{
    use_setting(_i);
    ck_assert_uint_lt(task->stream, 4096);
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem a = make(7, WZ_SPLIT_TRAIN, n), b = make(7, WZ_SPLIT_TRAIN, n);
        ck_assert_mem_eq(a.numbers, b.numbers, a.number_count * sizeof *a.numbers);
        ck_assert_uint_eq(a.number_count, task->number_count(values));
        const wz_problem others[] = {make(7, WZ_SPLIT_VALIDATION, n), make(7, WZ_SPLIT_TEST, n),
                                     make(8, WZ_SPLIT_TRAIN, n), make(7, WZ_SPLIT_TRAIN, n + PROBLEMS)};
        for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
            wz_problem other = others[o];
            /* two links have four gains: a chance coincidence among 160 pairs is below 1e-3 */
            ASSERT_EACH(memcmp(a.numbers, other.numbers, a.number_count * sizeof *a.numbers) != 0,
                        "problem %u is that of another split, seed or index (%zu)", n, o);
            wz_problem_clear(&other);
        }
        wz_problem_clear(&a);
        wz_problem_clear(&b);
    }
}
END_TEST

START_TEST(streams_of_families_differ)
{
    for (size_t i = 0; wz_tasks[i] != NULL; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(wz_tasks[i]->stream != wz_tasks[j]->stream, "%s and %s", wz_tasks[i]->name,
                          wz_tasks[j]->name);
}
END_TEST

/* The printed numbers are the problem: read back, it has the same text, reference and verdicts. */
START_TEST(problem_read_back_from_its_numbers_is_the_same)
{
    use_setting(_i);
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem a = make(3, WZ_SPLIT_TEST, n), b;
        unsigned ours[WZ_MAX_SLOTS], theirs[WZ_MAX_SLOTS];
        ck_assert_msg(wz_problem_from_numbers(task, values, a.numbers, a.number_count, &b, &err) == WZ_OK,
                      "%s", err.text);
        b.index = a.index;
        const wz_reference x = refer(&a, ours), y = refer(&b, theirs);
        ck_assert(x.objective == y.objective && x.kind == y.kind && x.best_trivial == y.best_trivial);
        ck_assert_mem_eq(ours, theirs, form_of(&a).count * sizeof *ours);
        for (int style = WZ_PROMPT_COMPACT; style <= WZ_PROMPT_FULL; style++) {
            wz_text p = prompt_of(&a, (wz_prompt_style)style), q = prompt_of(&b, (wz_prompt_style)style);
            ck_assert_str_eq(p.data, q.data);
            wz_text_clear(&p);
            wz_text_clear(&q);
        }
        wz_problem_clear(&a);
        wz_problem_clear(&b);
    }
}
END_TEST

START_TEST(numbers_that_no_problem_has_are_refused)
{
    use_setting(_i);
    wz_problem a = make(3, WZ_SPLIT_TEST, 0), b = {0};
    const int32_t kept = a.numbers[a.number_count - 1];
    ck_assert_int_eq(wz_problem_from_numbers(task, values, a.numbers, a.number_count - 1, &b, &err),
                     WZ_ERR_CORRUPT);
    ck_assert_ptr_null(b.payload);
    static const int32_t never[] = {INT32_MIN, -1, 1000000, INT32_MAX};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        a.numbers[a.number_count - 1] = never[i];
        ck_assert_int_eq(wz_problem_from_numbers(task, values, a.numbers, a.number_count, &b, &err),
                         WZ_ERR_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.text, task->name));
        ck_assert_ptr_null(b.payload);
    }
    a.numbers[a.number_count - 1] = kept;
    wz_problem_clear(&a);
}
END_TEST

/* ---- text ---- */

/* In the built-in vocabulary each word of a compact prompt, with the space before it, is one token. */
START_TEST(compact_prompt_is_one_token_a_word)
{
    wz_tokenizer *tokenizer;
    use_setting(_i);
    ck_assert_int_eq(wz_tokenizer_create_builtin(&tokenizer, &err), WZ_OK);
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = make(5, WZ_SPLIT_TRAIN, n);
        wz_text text = prompt_of(&problem, WZ_PROMPT_COMPACT);
        wz_ids ids = {0};
        size_t words = 1; /* the tag */
        for (const char *c = text.data; *c != '\0'; c++)
            words += *c == ' ';
        ck_assert_int_eq(wz_tokenizer_encode(tokenizer, text.data, text.length, true, &ids, &err), WZ_OK);
        ck_assert_msg(ids.length == words, "%zu tokens for %zu words: %s", ids.length, words, text.data);
        ck_assert_str_eq(text.data + text.length - 8, "<answer>");
        wz_ids_clear(&ids);
        wz_text_clear(&text);
        wz_problem_clear(&problem);
    }
    wz_tokenizer_destroy(tokenizer);
}
END_TEST

START_TEST(full_prompt_asks_for_reasoning_and_one_answer)
{
    use_setting(_i);
    wz_problem problem = make(5, WZ_SPLIT_TRAIN, 0);
    wz_text text = prompt_of(&problem, WZ_PROMPT_FULL);
    ck_assert_str_eq(text.data + text.length - 7, "<think>");
    ck_assert_ptr_nonnull(strstr(text.data, "between <answer> and </answer>"));
    wz_text_clear(&text);
    wz_problem_clear(&problem);
}
END_TEST

/* ---- references and verdicts ---- */

/* Whether the pattern takes the whole of a text. */
static bool matches(const wz_problem *problem, wz_prompt_style style, const char *subject)
{
    wz_text text = {0};
    int code_error;
    size_t at;
    ck_assert_int_eq(wz_text_printf(&text, &err, "^(?:"), WZ_OK);
    ck_assert_int_eq(wz_problem_answer_pattern(problem, style, &text, &err), WZ_OK);
    ck_assert_int_eq(wz_text_printf(&text, &err, ")\\z"), WZ_OK);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text.data, text.length, 0, &code_error, &at, NULL);
    ck_assert_ptr_nonnull(code);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    const int found = pcre2_match(code, (PCRE2_SPTR)subject, strlen(subject), 0, 0, data, NULL);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    wz_text_clear(&text);
    return found > 0;
}

/* The reference's decision, written down, is admissible, feasible and worth what the reference says. */
START_TEST(reference_is_reached_by_its_own_decision)
{
    use_setting(_i);
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = make(4, WZ_SPLIT_TEST, n);
        unsigned decision[WZ_MAX_SLOTS];
        const wz_reference known = refer(&problem, decision);
        for (int style = WZ_PROMPT_COMPACT; style <= WZ_PROMPT_FULL; style++) {
            wz_text text = completion_of(&problem, (wz_prompt_style)style, decision);
            if (style == WZ_PROMPT_COMPACT)
                ck_assert_msg(matches(&problem, WZ_PROMPT_COMPACT, text.data), "%s", text.data);
            const wz_verdict verdict =
                verify(&problem, &known, (wz_prompt_style)style, text.data, text.length);
            ck_assert_msg(verdict.kind == WZ_VERDICT_FEASIBLE, "%s: %s", text.data, verdict.reason);
            ck_assert_double_eq(verdict.objective, known.decided);
            ck_assert_double_eq(verdict.ratio, known.decided / known.objective);
            ck_assert_int_eq(verdict.is_optimum, known.kind != WZ_REFERENCE_BEST_KNOWN);
            wz_text_clear(&text);
        }
        ck_assert(known.kind == WZ_REFERENCE_UPPER_BOUND ? known.decided <= known.objective * (1 + 1e-9)
                                                         : known.decided == known.objective);
        ck_assert_double_ge(known.best_trivial, 0);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* All decisions one after the other; false after the last. */
static bool next_decision(const wz_answer_form *form, unsigned *decision)
{
    for (size_t i = 0; i < form->count; i++) {
        if (++decision[i] < form->slots[i].choices)
            return true;
        decision[i] = 0;
    }
    return false;
}

/* Exhaustive search knows nothing of the family's algorithm. Sums in another order may differ in the last bits: 1e-9. */
START_TEST(reference_is_the_best_of_all_decisions)
{
    use_setting(_i);
    if (!settings[_i].small)
        return;
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = make(9, WZ_SPLIT_TEST, n);
        const wz_answer_form form = form_of(&problem);
        const wz_reference known = refer(&problem, NULL);
        unsigned decision[WZ_MAX_SLOTS] = {0};
        double best = -1, count = 1;
        for (size_t i = 0; i < form.count; i++)
            count *= form.slots[i].choices;
        ck_assert_double_le(count, 200000);
        do {
            wz_outcome outcome = {.feasible = true};
            (void)verifier->judge(&problem, decision, &outcome, &err);
            if (outcome.feasible && outcome.objective > best)
                best = outcome.objective;
        } while (next_decision(&form, decision));
        ck_assert_int_ne(known.kind, WZ_REFERENCE_BEST_KNOWN);
        ck_assert_msg(fabs(known.decided - best) <= 1e-9 * best,
                      "problem %u: %.12g, but best of all is %.12g", n, known.decided, best);
        ck_assert_double_ge(known.objective, best * (1 - 1e-9));
        wz_problem_clear(&problem);
    }
}
END_TEST

/* The training reference may be weaker than the optimum, never better, and is a decision's. Where the best is not known,
 * baselines do not pass it either, though a random decision might. */
START_TEST(baselines_and_random_decisions_never_pass_the_reference)
{
    use_setting(_i);
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = make(6, WZ_SPLIT_TEST, n);
        const wz_reference known = refer(&problem, NULL);
        const double most = known.decided + 1e-9 * known.objective;
        wz_reference training;
        wz_outcome outcome;
        ck_assert_int_eq(wz_reference_find(verifier, &problem, WZ_EFFORT_TRAINING, NULL, &training, &err),
                         WZ_OK);
        ck_assert_msg(training.decided <= most, "in training %.12g, reference %.12g", training.decided,
                      known.decided);
        for (size_t b = 0; b < verifier->baseline_count; b++) {
            ck_assert_msg(wz_baseline_run(verifier, b, &problem, 1, &outcome, &err) == WZ_OK, "%s", err.text);
            if (verifier->baselines[b].solve == NULL)
                ASSERT_EACH(outcome.objective <= most, "%s: %.12g, reference %.12g",
                            verifier->baselines[b].name, outcome.objective, known.decided);
            if (verifier->baselines[b].kind == WZ_BASELINE_TRIVIAL)
                ck_assert_double_le(outcome.objective, known.best_trivial);
        }
        double last = 0;
        for (size_t tries = 1; tries <= 64; tries *= 4) {
            ck_assert_int_eq(wz_random_best(verifier, &problem, 2, tries, &outcome, &err), WZ_OK);
            ck_assert(outcome.objective >= last);
            ck_assert(known.kind == WZ_REFERENCE_BEST_KNOWN || outcome.objective <= most);
            last = outcome.objective;
        }
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- tricks ---- */

static const char *const tricks[] = {
    "",
    "</answer>",
    " ",
    " </answer>",
    " 1",
    " nan</answer>",
    " inf</answer>",
    " 0x1</answer>",
    " -1</answer>",
    " +1</answer>",
    " 1e3</answer>",
    " 1.0</answer>",
    " none none</answer></answer>",
    " A<answer> A</answer>",
    "\xff\xfe</answer>",
    " 99999999999999999999</answer>",
};

/* The reference's answer with one thing wrong each time, and answers of no form at all, earn nothing. */
START_TEST(tricks_earn_nothing)
{
    use_setting(_i);
    for (uint32_t n = 0; n < 4; n++) {
        wz_problem problem = make(2, WZ_SPLIT_TEST, n);
        unsigned decision[WZ_MAX_SLOTS];
        const wz_reference known = refer(&problem, decision);
        wz_text good = completion_of(&problem, WZ_PROMPT_COMPACT, decision),
                prompt = prompt_of(&problem, WZ_PROMPT_COMPACT);
        const size_t body = good.length - strlen("</answer>");
        const char *const changed[] = {"%.*s",
                                       "%.*s</answer> ",
                                       "%.*s</answer>\n",
                                       "%.*s</answer></answer>",
                                       "<answer>%.*s</answer>",
                                       " %.*s</answer>",
                                       "%.*s </answer>",
                                       "%.*s 0</answer>",
                                       "%.*s A</answer>",
                                       "%.*s</ANSWER>"};
        for (size_t i = 0; i < sizeof changed / sizeof *changed + sizeof tricks / sizeof *tricks + 1; i++) {
            const size_t own = sizeof changed / sizeof *changed;
            wz_text text = {0};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            ck_assert_int_eq(i < own ? wz_text_printf(&text, &err, changed[i], (int)body, good.data)
                             : i < own + sizeof tricks / sizeof *tricks
                                 ? wz_text_append(&text, tricks[i - own], strlen(tricks[i - own]), &err)
                                 : wz_text_printf(&text, &err, "%s</answer>", prompt.data),
                             WZ_OK);
#pragma GCC diagnostic pop
            const wz_verdict verdict = verify(&problem, &known, WZ_PROMPT_COMPACT, text.data, text.length);
            ck_assert_msg(verdict.kind != WZ_VERDICT_FEASIBLE, "\"%s\" is taken for an answer", text.data);
            ck_assert(verdict.reason[0] != '\0' && verdict.objective == 0 && verdict.ratio == 0 &&
                      !verdict.is_optimum && verdict.shortfall == 1);
            ck_assert_double_eq(wz_reward(WZ_REWARD_RATIO, &verdict, &known), 0);
            ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0);
            ck_assert(!matches(&problem, WZ_PROMPT_COMPACT, text.data));
            wz_text_clear(&text);
        }
        wz_text_clear(&good);
        wz_text_clear(&prompt);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* A policy that always writes the same word is judged as that decision is, and earns no headroom where it is no better than the
 * best trivial policy. (The best constant answers are sought, and their reward bounded, in test_constants.c.) */
START_TEST(constant_answers_are_judged_as_decisions)
{
    use_setting(_i);
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = make(10, WZ_SPLIT_TEST, n);
        const wz_answer_form form = form_of(&problem);
        const wz_reference known = refer(&problem, NULL);
        for (int last = 0; last <= 1; last++) {
            unsigned decision[WZ_MAX_SLOTS];
            for (size_t i = 0; i < form.count; i++)
                decision[i] = last ? form.slots[i].choices - 1 : 0;
            const wz_outcome outcome = judge(&problem, decision);
            wz_text text = completion_of(&problem, WZ_PROMPT_COMPACT, decision);
            const wz_verdict verdict = verify(&problem, &known, WZ_PROMPT_COMPACT, text.data, text.length);
            ck_assert_int_eq(verdict.kind, outcome.feasible ? WZ_VERDICT_FEASIBLE : WZ_VERDICT_INFEASIBLE);
            ck_assert_double_eq(verdict.objective, outcome.objective);
            ck_assert_double_eq(verdict.violation, outcome.violation);
            ck_assert_double_le(wz_reward(WZ_REWARD_RATIO, &verdict, &known), 1 + 1e-9);
            if (outcome.objective <= known.best_trivial)
                ck_assert_double_eq(wz_reward(WZ_REWARD_HEADROOM, &verdict, &known), 0);
            wz_text_clear(&text);
        }
        wz_problem_clear(&problem);
    }
}
END_TEST

/* ---- order ---- */

/* The same problem with its parts in another order has the same optimum, and decisions keep their worth. Sums in another
 * order may differ in the last bits: 1e-9. */
START_TEST(reordered_problem_is_worth_the_same)
{
    use_setting(_i);
    if (task->reorder == NULL)
        return;
    for (uint32_t n = 0; n < PROBLEMS; n++) {
        wz_problem problem = make(12, WZ_SPLIT_TEST, n), other, back;
        uint8_t order[WZ_MAX_SLOTS];
        unsigned decision[WZ_MAX_SLOTS] = {0}, restored[WZ_MAX_SLOTS] = {0};
        wz_draws draws = wz_draws_of_problem(4000, 1, WZ_SPLIT_TEST, n, 0);
        wz_draws_permutation(&draws, problem.size, order);
        ck_assert_int_eq(wz_problem_reorder(&problem, order, &other, &err), WZ_OK);
        ck_assert_msg(wz_problem_from_numbers(task, values, other.numbers, other.number_count, &back, &err) ==
                          WZ_OK,
                      "%s", err.text);
        const wz_reference here = refer(&problem, NULL), there = refer(&other, decision);
        wz_problem_restore(&other, decision, restored);
        const wz_outcome outcome = judge(&problem, restored);
        ck_assert_msg(outcome.feasible, "%s", outcome.reason);
        ck_assert_double_eq_tol(outcome.objective, there.decided, 1e-9 * there.decided);
        if (here.kind != WZ_REFERENCE_BEST_KNOWN)
            ck_assert_double_eq_tol(here.objective, there.objective, 1e-9 * here.objective);
        wz_problem_clear(&back);
        wz_problem_clear(&other);
        wz_problem_clear(&problem);
    }
}
END_TEST

/* Every family stands in the table above, and its parts are there. */
START_TEST(every_family_is_tested_here)
{
    for (size_t i = 0; wz_tasks[i] != NULL; i++) {
        bool found = false, small = false;
        for (size_t s = 0; s < SETTINGS; s++)
            if (strcmp(settings[s].task, wz_tasks[i]->name) == 0) {
                found = true;
                small |= settings[s].small;
            }
        ck_assert_msg(found && small, "%s has no setting, or no small one", wz_tasks[i]->name);
        const wz_verifier *v = wz_verifier_find(wz_tasks[i]->name);
        ck_assert_ptr_nonnull(v);
        bool field = false, random = false;
        for (size_t b = 0; b < v->baseline_count; b++) {
            field |= strcmp(v->baselines[b].name, v->field_algorithm) == 0;
            random |= v->baselines[b].kind == WZ_BASELINE_RANDOM;
        }
        ck_assert_msg(field && random, "%s", v->task);
        ck_assert_uint_le(v->baseline_count, WZ_MAX_BASELINES);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("families");
    TCase *cases = tcase_create("families");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, every_family_is_tested_here);
    tcase_add_test(cases, streams_of_families_differ);
    tcase_add_loop_test(cases, problem_is_a_function_of_its_arguments_and_splits_never_overlap, 0, SETTINGS);
    tcase_add_loop_test(cases, problem_read_back_from_its_numbers_is_the_same, 0, SETTINGS);
    tcase_add_loop_test(cases, numbers_that_no_problem_has_are_refused, 0, SETTINGS);
    tcase_add_loop_test(cases, compact_prompt_is_one_token_a_word, 0, SETTINGS);
    tcase_add_loop_test(cases, full_prompt_asks_for_reasoning_and_one_answer, 0, SETTINGS);
    tcase_add_loop_test(cases, reference_is_reached_by_its_own_decision, 0, SETTINGS);
    tcase_add_loop_test(cases, reference_is_the_best_of_all_decisions, 0, SETTINGS);
    tcase_add_loop_test(cases, baselines_and_random_decisions_never_pass_the_reference, 0, SETTINGS);
    tcase_add_loop_test(cases, tricks_earn_nothing, 0, SETTINGS);
    tcase_add_loop_test(cases, constant_answers_are_judged_as_decisions, 0, SETTINGS);
    tcase_add_loop_test(cases, reordered_problem_is_worth_the_same, 0, SETTINGS);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
