/* libFuzzer: input is "family, style, problem (one byte each), completion". Whatever the bytes: no crash, a verdict that is
 * consistent, and feasible only if the completion, read by the answer's pattern, is one.
 * With -DWZ_FUZZ_SEEDS this is a program that writes the corpus to start from into the folder named: the reference's answers to
 * problems of each family. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/file.h"
#include "engine/text/grammar.h"
#include "rewards/reward.h"
#include "tests/fuzz.h"

/* Whether it is feasible. */
static bool check(const wz_verifier *verifier, const wz_problem *problem, wz_prompt_style style,
                  const char *text, size_t length)
{
    wz_error err;
    wz_reference known;
    wz_verdict verdict;
    if (wz_reference_find(verifier, problem, WZ_EFFORT_TRAINING, NULL, &known, &err) != WZ_OK ||
        wz_verify(verifier, problem, &known, style, text, length, &verdict, &err) != WZ_OK)
        abort();
    const bool feasible = verdict.kind == WZ_VERDICT_FEASIBLE;
    if (feasible != (verdict.reason[0] == '\0') ||
        memchr(verdict.reason, '\0', sizeof verdict.reason) == NULL)
        abort();
    if (!isfinite(verdict.objective) || (!feasible && (verdict.objective != 0 || verdict.ratio != 0)) ||
        !(verdict.shortfall >= 0 && verdict.shortfall <= 1) || feasible != (verdict.shortfall == 0))
        abort();
    if (known.kind == WZ_REFERENCE_OPTIMUM && verdict.ratio > 1 + 1e-9)
        abort();
    if (style == WZ_PROMPT_COMPACT && (feasible || verdict.kind == WZ_VERDICT_INFEASIBLE)) {
        wz_text pattern = {0};
        bool matches = false;
        if (wz_problem_answer_pattern(problem, style, &pattern, &err) != WZ_OK ||
            wz_grammar_match(pattern.data, text, length, &matches, &err) != WZ_OK || !matches)
            abort();
        wz_text_clear(&pattern);
    }
    return feasible;
}

static wz_problem problem_of(uint8_t family, uint8_t index)
{
    wz_error err;
    wz_problem problem;
    double values[WZ_TASK_MAX_OPTIONS];
    size_t families = 0;
    while (wz_tasks[families] != NULL)
        families++;
    const wz_task *task = wz_tasks[family % families];
    wz_task_default_values(task, values);
    if (wz_problem_generate(task, values, 1, WZ_SPLIT_TEST, index, &problem, &err) != WZ_OK)
        abort();
    return problem;
}

#ifndef WZ_FUZZ_SEEDS
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    wz_problem problem = problem_of(data[0], data[2]);
    fuzz_accepted +=
        check(wz_verifier_find(problem.task->name), &problem,
              data[1] % 2 == 0 ? WZ_PROMPT_COMPACT : WZ_PROMPT_FULL, (const char *)data + 3, size - 3);
    wz_problem_clear(&problem);
    return 0;
}
#else
static void write_seed(const char *folder, uint8_t family, uint8_t style, uint8_t index)
{
    wz_problem problem = problem_of(family, index);
    const wz_verifier *verifier = wz_verifier_find(problem.task->name);
    const char head[] = {(char)family, (char)style, (char)index};
    unsigned decision[WZ_MAX_SLOTS];
    char path[512];
    wz_reference known;
    wz_answer_form form = {0};
    wz_text text = {0};
    wz_error err;
    problem.task->answer_form(&problem, &form);
    if (wz_reference_find(verifier, &problem, WZ_EFFORT_TRAINING, decision, &known, &err) != WZ_OK ||
        wz_text_append(&text, head, sizeof head, &err) != WZ_OK ||
        wz_text_printf(&text, &err, style == 0 ? "" : "</think><answer>") != WZ_OK ||
        wz_form_print(&form, style == 0 ? WZ_PROMPT_COMPACT : WZ_PROMPT_FULL, decision, &text, &err) !=
            WZ_OK ||
        wz_text_printf(&text, &err, "</answer>") != WZ_OK)
        abort();
    if (!check(verifier, &problem, style == 0 ? WZ_PROMPT_COMPACT : WZ_PROMPT_FULL, text.data + sizeof head,
               text.length - sizeof head))
        abort();
    (void)snprintf(path, sizeof path, "%s/good-%s-%u-%u", folder, problem.task->name, style, index);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(text.data, 1, text.length, file) != text.length || fclose(file) != 0)
        abort();
    wz_text_clear(&text);
    wz_problem_clear(&problem);
}

int main(int argc, char **argv)
{
    wz_error err;
    if (argc != 2 || wz_directory_create(argv[1], &err) != WZ_OK)
        return 2;
    for (uint8_t family = 0; wz_tasks[family] != NULL; family++)
        for (uint8_t style = 0; style < 2; style++)
            for (uint8_t index = 0; index < 2; index++)
                write_seed(argv[1], family, style, index);
    return 0;
}
#endif
