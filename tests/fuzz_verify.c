/* libFuzzer: input is "family, style, problem (one byte each), completion". Whatever the bytes: no crash, a verdict that is
 * consistent, and feasible only if the completion, read by the answer's pattern, is one.
 *     clang -fsanitize=fuzzer,address,undefined ... */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/grammar.h"
#include "rewards/reward.h"

static void check(const wz_verifier *verifier, const wz_problem *problem, wz_prompt_style style,
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wz_error err;
    wz_problem problem;
    double values[WZ_TASK_MAX_OPTIONS];
    size_t families = 0;
    while (wz_tasks[families] != NULL)
        families++;
    if (size < 3)
        return 0;
    const wz_task *task = wz_tasks[data[0] % families];
    wz_task_default_values(task, values);
    if (wz_problem_generate(task, values, 1, WZ_SPLIT_TEST, data[2], &problem, &err) != WZ_OK)
        abort();
    check(wz_verifier_find(task->name), &problem, data[1] % 2 == 0 ? WZ_PROMPT_COMPACT : WZ_PROMPT_FULL,
          (const char *)data + 3, size - 3);
    wz_problem_clear(&problem);
    return 0;
}
