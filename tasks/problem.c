/* Problems of any family: made, read back, reordered. */
#include <stdlib.h>
#include <string.h>

#include "tasks/task.h"

/* One block: payload, numbers, source. */
wz_status wz_problem_open(const wz_task *task, const double *values, wz_problem *out, wz_error *err)
{
    wz_status status = wz_task_check_values(task, values, err);
    if (status != WZ_OK)
        return status;
    const size_t size = (size_t)values[task->size_option], count = task->number_count(values),
                 payload = (task->payload_bytes(values) + 15) / 16 * 16; /* what follows is aligned */
    void *block = NULL;
    status = wz_alloc(&block, payload + count * sizeof(int32_t) + size, 1, "a problem", err);
    if (status != WZ_OK)
        return status;
    *out = (wz_problem){.task = task, .split = WZ_SPLIT_TEST, .size = size, .payload = block};
    memcpy(out->values, values, task->option_count * sizeof *values);
    out->number_count = count;
    out->numbers = (int32_t *)((unsigned char *)block + payload);
    out->source = (uint8_t *)(out->numbers + count);
    for (size_t i = 0; i < size; i++)
        out->source[i] = (uint8_t)i;
    return WZ_OK;
}

/* Derives the payload, or gives the problem up. */
static wz_status finish(wz_problem *problem, wz_status status)
{
    if (status == WZ_OK)
        problem->task->derive(problem);
    else
        wz_problem_clear(problem);
    return status;
}

wz_status wz_problem_generate(const wz_task *task, const double *values, uint64_t seed, wz_split split,
                              uint32_t index, wz_problem *out, wz_error *err)
{
    wz_status status = wz_problem_open(task, values, out, err);
    if (status != WZ_OK)
        return status;
    out->index = index;
    out->split = split;
    wz_draws draws = wz_draws_of_problem(task->stream, seed, split, index, (uint32_t)out->size);
    status = task->draw(out, &draws, err);
    if (status != WZ_OK && (err == NULL || err->text[0] == '\0'))
        status = wz_fail(err, WZ_ERR_RUNTIME, "%s: draw returned status %d for problem %u and no message",
                         task->name, (int)status, (unsigned)index);
    return finish(out, status);
}

wz_status wz_problem_from_numbers(const wz_task *task, const double *values, const int32_t *numbers,
                                  size_t count, wz_problem *out, wz_error *err)
{
    wz_status status = wz_problem_open(task, values, out, err);
    if (status != WZ_OK)
        return status;
    if (count != out->number_count)
        status = wz_fail(err, WZ_ERR_CORRUPT, "%s: %zu numbers where its options ask for %zu", task->name,
                         count, out->number_count);
    if (status == WZ_OK) {
        memcpy(out->numbers, numbers, count * sizeof *numbers);
        status = task->check_numbers(out, err);
    }
    return finish(out, status);
}

wz_status wz_problem_copy(const wz_problem *problem, wz_problem *out, wz_error *err)
{
    wz_status status = wz_problem_open(problem->task, problem->values, out, err);
    if (status != WZ_OK)
        return status;
    out->index = problem->index;
    out->split = problem->split;
    out->clipped = problem->clipped;
    memcpy(out->numbers, problem->numbers, problem->number_count * sizeof *out->numbers);
    memcpy(out->source, problem->source, problem->size);
    return finish(out, WZ_OK);
}

wz_status wz_problem_reorder(const wz_problem *problem, const uint8_t *order, wz_problem *out, wz_error *err)
{
    wz_status status = wz_problem_open(problem->task, problem->values, out, err);
    if (status != WZ_OK)
        return status;
    out->index = problem->index;
    out->split = problem->split;
    problem->task->reorder(problem, order, out);
    return finish(out, WZ_OK);
}

void wz_problem_restore(const wz_problem *reordered, const unsigned *decision, unsigned *restored)
{
    if (reordered->task->restore != NULL)
        reordered->task->restore(reordered, decision, restored);
    else
        for (size_t i = 0; i < reordered->size; i++)
            restored[reordered->source[i]] = decision[i];
}

void wz_problem_clear(wz_problem *problem)
{
    free(problem->payload);
    *problem = (wz_problem){0};
}

static wz_status print(const wz_problem *problem, wz_prompt_style style, bool thinks, wz_text *out,
                       wz_error *err)
{
    wz_words words = {.out = out, .err = err, .thinks = thinks};
    (style == WZ_PROMPT_COMPACT ? problem->task->print_compact : problem->task->print_full)(problem, &words);
    return words.status;
}

wz_status wz_problem_print(const wz_problem *problem, wz_prompt_style style, wz_text *out, wz_error *err)
{
    return print(problem, style, false, out, err);
}

wz_status wz_problem_print_to_think(const wz_problem *problem, wz_prompt_style style, wz_text *out,
                                    wz_error *err)
{
    return print(problem, style, true, out, err);
}

const char *wz_answer_separator(wz_prompt_style style)
{
    return style == WZ_PROMPT_COMPACT ? "" : "\n";
}

wz_status wz_problem_answer_pattern(const wz_problem *problem, wz_prompt_style style, wz_text *out,
                                    wz_error *err)
{
    wz_answer_form form = {0};
    problem->task->answer_form(problem, &form);
    return wz_form_pattern(&form, style, out, err);
}

wz_status wz_problem_check_range(const wz_problem *problem, size_t first, size_t count, int32_t low,
                                 int32_t high, const char *what, wz_error *err)
{
    for (size_t i = first; i < first + count; i++)
        if (problem->numbers[i] < low || problem->numbers[i] > high)
            return wz_fail(err, WZ_ERR_CORRUPT, "%s: number %zu, %s, is %d; it must lie in %d to %d",
                           problem->task->name, i + 1, what, (int)problem->numbers[i], (int)low, (int)high);
    return WZ_OK;
}
