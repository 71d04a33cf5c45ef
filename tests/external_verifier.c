/* A verifier process for tests: answers with what the built-in verifier says, so that runs with and without it must be
 * equal. Its first argument, if any, breaks one answer of the protocol. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/json.h"
#include "rewards/verifier.h"

static wz_problem read_problem(const json_t *question)
{
    wz_problem problem = {0};
    double values[WZ_TASK_MAX_OPTIONS] = {0};
    int32_t numbers[64 * 64];
    const wz_task *task = wz_task_find(json_string_value(json_object_get(question, "task")));
    const json_t *list = json_object_get(question, "numbers");
    if (task == NULL || json_array_size(list) > sizeof numbers / sizeof *numbers)
        exit(50);
    for (size_t o = 0; o < task->option_count; o++)
        values[o] =
            json_number_value(json_object_get(json_object_get(question, "options"), task->options[o].name));
    for (size_t i = 0; i < json_array_size(list); i++)
        numbers[i] = (int32_t)json_integer_value(json_array_get(list, i));
    if (wz_problem_from_numbers(task, values, numbers, json_array_size(list), &problem, NULL) != WZ_OK)
        exit(51);
    return problem;
}

static void answer(const json_t *question)
{
    wz_problem problem = read_problem(question);
    const wz_verifier *verifier = wz_verifier_find(problem.task->name);
    unsigned decision[WZ_MAX_SLOTS] = {0};
    wz_answer_form form = {0};
    problem.task->answer_form(&problem, &form);
    if (strcmp(json_string_value(json_object_get(question, "ask")), "judge") == 0) {
        wz_outcome outcome = {.feasible = true};
        for (size_t i = 0; i < form.count; i++)
            decision[i] =
                (unsigned)json_integer_value(json_array_get(json_object_get(question, "decision"), i));
        (void)verifier->judge(&problem, decision, &outcome, NULL);
        (void)printf("{\"objective\": %.17g}\n", outcome.objective);
    } else {
        const bool training = strcmp(json_string_value(json_object_get(question, "effort")), "training") == 0;
        wz_reference reference;
        if (wz_reference_find(verifier, &problem, training ? WZ_EFFORT_TRAINING : WZ_EFFORT_EVALUATION,
                              decision, &reference, NULL) != WZ_OK)
            exit(52);
        (void)printf("{\"objective\": %.17g, \"kind\": \"%s\", \"decision\": [", reference.objective,
                     wz_reference_kind_name(reference.kind));
        for (size_t i = 0; i < form.count; i++)
            (void)printf("%s%u", i > 0 ? ", " : "", decision[i]);
        (void)printf("]}\n");
    }
    (void)fflush(stdout);
    wz_problem_clear(&problem);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t size = 0;
    for (ssize_t length; (length = getline(&line, &size, stdin)) > 0;) {
        json_t *question = json_loadb(line, (size_t)length, 0, NULL);
        if (question == NULL)
            return 53;
        const bool judges = strcmp(json_string_value(json_object_get(question, "ask")), "judge") == 0;
        if (argc > 2 && (strcmp(argv[1], "judge") == 0) == judges) {
            (void)puts(argv[2]);
            (void)fflush(stdout);
        } else {
            answer(question);
        }
        json_decref(question);
    }
    free(line);
    return 0;
}
