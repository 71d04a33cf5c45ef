/* A verifier process for tests: answers with what the built-in verifier says, so that runs with and without it must be
 * equal. Two arguments break the protocol: which answers, "judge" or "reference", and what the object holds in place of
 * what it should; or "twice" and the number of a question that is answered twice; or "hang", the number of a question that is not answered,
 * and a file for the process's number. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
        (void)printf("\"objective\": %.17g}\n", outcome.objective);
    } else {
        const bool training = strcmp(json_string_value(json_object_get(question, "effort")), "training") == 0;
        wz_reference reference;
        if (wz_reference_find(verifier, &problem, training ? WZ_EFFORT_TRAINING : WZ_EFFORT_EVALUATION,
                              decision, &reference, NULL) != WZ_OK)
            exit(52);
        (void)printf("\"objective\": %.17g, \"kind\": \"%s\", \"decision\": [", reference.objective,
                     wz_reference_kind_name(reference.kind));
        for (size_t i = 0; i < form.count; i++)
            (void)printf("%s%u", i > 0 ? ", " : "", decision[i]);
        (void)printf("]}\n");
    }
    (void)fflush(stdout);
    wz_problem_clear(&problem);
}

/* The file appears when it is whole. Nothing ends this but a signal that cannot be ignored. */
static void hang(const char *path)
{
    char temporary[512];
    (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
    FILE *file = fopen(temporary, "w");
    if (file == NULL || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0 ||
        rename(temporary, path) != 0)
        exit(54);
    (void)signal(SIGTERM, SIG_IGN);
    for (;;)
        (void)pause();
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
        const bool is_twice = argc > 2 && strcmp(argv[1], "twice") == 0;
        const json_int_t id = json_integer_value(json_object_get(question, "id"));
        if (argc > 3 && strcmp(argv[1], "hang") == 0 && id == (json_int_t)strtol(argv[2], NULL, 10))
            hang(argv[3]);
        const bool is_broken = argc == 3 && !is_twice && (strcmp(argv[1], "judge") == 0) == judges;
        const int times = is_twice && id == (json_int_t)strtol(argv[2], NULL, 10) ? 2 : 1;
        for (int i = 0; i < times; i++) {
            (void)printf("{\"id\": %lld, ", (long long)id);
            if (is_broken)
                (void)printf("%s}\n", argv[2]);
            else
                answer(question);
            (void)fflush(stdout);
        }
        json_decref(question);
    }
    free(line);
    return 0;
}
