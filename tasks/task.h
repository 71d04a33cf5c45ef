/* Task families: generate problems, print them as text, say what an answer looks like.
 *
 * A family is one const wz_task in one file plus one row in tasks/table.c. Families know nothing of
 * tokens, models or training. Convention for channels: gain[i][j] is the power gain from transmitter j
 * to receiver i. What is printed is the problem: references and verdicts use the printed numbers. */
#ifndef WZ_TASKS_TASK_H
#define WZ_TASKS_TASK_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"

typedef enum wz_split { WZ_SPLIT_TRAIN, WZ_SPLIT_VALIDATION, WZ_SPLIT_TEST } wz_split;

typedef enum wz_prompt_style {
    WZ_PROMPT_COMPACT, /* for the built-in vocabulary: one token per number, a fixed short frame */
    WZ_PROMPT_FULL     /* full sentences with units, for pretrained models */
} wz_prompt_style;

/* One numeric option of a family; configured as `task.<name>`. */
typedef struct wz_task_option {
    const char *name;
    double default_value;
    double minimum, maximum;
    int is_integer;
    const char *help;
} wz_task_option;

#define WZ_TASK_MAX_OPTIONS 16

typedef struct wz_task wz_task;

/* One problem. The payload belongs to the family; free with wz_problem_clear. */
typedef struct wz_problem {
    const wz_task *task;
    uint32_t index; /* the problem's own index in its split: names its random draws */
    wz_split split;
    size_t size; /* what the curriculum grows: links, users, ... */
    size_t
        clipped; /* imported numbers that the prompt cannot print as they are: the problem is another one */
    void *payload;
} wz_problem;

struct wz_task {
    const char *name;  /* as in `task.name`, e.g. "power_control" */
    const char *title; /* one line for humans */
    int text_version; /* raised with every change to what is printed or expected: a policy knows the text it learned */
    const wz_task_option *options;
    size_t option_count; /* <= WZ_TASK_MAX_OPTIONS; values arrays are parallel to options */
    size_t size_option;  /* index of the option that is the problem size */
    /* Cross-option checks beyond each option's own range; NULL: none. */
    wz_status (*check)(const double *values, wz_error *err);
    /* Problem number `index` of a split: a pure function of its arguments. */
    wz_status (*generate)(const double *values, uint64_t seed, wz_split split, uint32_t index,
                          wz_problem *out, wz_error *err);
    /* A problem from the user's own numbers: rows x columns doubles, row-major, linear power gains
     * (what the family expects is stated in its file). NULL: the family imports nothing. */
    wz_status (*import)(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err);
    /* (problem->size): the row of the user's numbers, from 0, that each part of the printed problem stands for. NULL, or
     * a result of NULL: in the order they came. */
    const uint8_t *(*source_rows)(const wz_problem *problem);
    void (*clear)(wz_problem *problem);
    /* Appends the prompt, up to and including the opening of the answer. */
    wz_status (*print)(const wz_problem *problem, wz_prompt_style style, wz_text *out, wz_error *err);
    /* Appends the regular expression (engine/text/grammar.h dialect) of the whole completion: answer,
     * then the closing tag. */
    wz_status (*answer_pattern)(const wz_problem *problem, wz_prompt_style style, wz_text *out,
                                wz_error *err);
};

extern const wz_task *const wz_tasks[];        /* NULL-terminated */
const wz_task *wz_task_find(const char *name); /* NULL: unknown */
void wz_task_default_values(const wz_task *task, double *values);
wz_status wz_task_check_values(const wz_task *task, const double *values, wz_error *err);
void wz_problem_clear(wz_problem *problem);

#endif
