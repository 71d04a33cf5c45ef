/* Task families: generate problems, print them as text, say what an answer looks like.
 *
 * A family is one const wz_task in one file plus one row in tasks/table.c. Families know nothing of tokens, models or
 * training. A problem *is* its options and the whole numbers that are printed: everything else, linear gains say, is
 * derived from them, and references and verdicts use only what can be derived. So a problem can be written to a file
 * and read back without its family's help, and no rounding stands between the text and the score.
 *
 * Convention for channels: gain[i][j] is the power gain from transmitter j to receiver i. */
#ifndef WZ_TASKS_TASK_H
#define WZ_TASKS_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"
#include "tasks/answer_form.h"
#include "tasks/draws.h"
#include "tasks/words.h"

/* One option of a family; configured as `task.<name>`. `task.name` is the family's own. */
typedef struct wz_task_option {
    const char *name;
    double default_value;
    double minimum, maximum;
    int is_integer;
    const char *help;
    const char *const
        *names; /* value v (is_integer, from 0) is written names[v], NULL-terminated; NULL: a number */
} wz_task_option;

#define WZ_TASK_MAX_OPTIONS 16

typedef struct wz_task wz_task;

/* One problem. Free with wz_problem_clear. */
typedef struct wz_problem {
    const wz_task *task;
    uint32_t index; /* the problem's own index in its split: names its random draws */
    wz_split split;
    size_t size; /* what the curriculum grows: links, users, ... */
    size_t
        clipped; /* imported numbers that the prompt cannot print as they are: the problem is another one */
    double values[WZ_TASK_MAX_OPTIONS];
    int32_t *numbers; /* (number_count) all whole numbers of the prompt, in the order the family states */
    size_t number_count;
    uint8_t
        *source;   /* (size) the row, from 0, of the generated or imported table that each part stands for */
    void *payload; /* the family's: derived from values and numbers */
} wz_problem;

struct wz_task {
    const char *name;  /* as in `task.name`, e.g. "power_control" */
    const char *title; /* one line for humans */
    int text_version; /* raised with every change to what is printed or expected: a policy knows the text it learned */
    uint32_t stream; /* of random draws, < 4096: its own for each family, so that families share no numbers */
    const wz_task_option *options;
    size_t option_count; /* <= WZ_TASK_MAX_OPTIONS; values arrays are parallel to options */
    /* How many of them, the last, came when problem sets of the family had been frozen: a set that lacks them means their
     * defaults, and a digest leaves them out where they are at these. */
    size_t later_options;
    size_t size_option; /* index of the option that is the problem size, at most 255 */
    /* Cross-option checks beyond each option's own range; NULL: none. */
    wz_status (*check)(const double *values, wz_error *err);
    /* Of a problem with these options. */
    size_t (*number_count)(const double *values);
    size_t (*payload_bytes)(const double *values);
    /* Fills numbers, and source where parts change places, of a problem that knows its options. A problem so drawn can be
     * solved: its reference is positive. */
    wz_status (*draw)(wz_problem *problem, wz_draws *draws, wz_error *err);
    /* Whether numbers that were read from a file are such as draw could make; says which is not. */
    wz_status (*check_numbers)(const wz_problem *problem, wz_error *err);
    /* Fills the payload from values and numbers. */
    void (*derive)(wz_problem *problem);
    /* A problem from the user's own numbers: rows x columns doubles, row-major, linear power gains
     * (what the family expects is stated in its header). NULL: the family imports nothing. */
    wz_status (*import)(const double *values, size_t rows, size_t columns, const double *data, uint32_t index,
                        wz_problem *out, wz_error *err);
    /* The same problem with its parts (users, links, ...) in another order, as far as the family leaves them one: fills
     * numbers and source of `to`, which has the same options. Part i of `to` is part source[i] of `from`, and that is
     * part order[i] where the family does not number its parts itself. NULL: parts have a fixed order. */
    void (*reorder)(const wz_problem *from, const uint8_t *order, wz_problem *to);
    /* A decision on what `reorder` made, as one on what it was made from. NULL: number i of a decision is about part i. */
    void (*restore)(const wz_problem *reordered, const unsigned *decision, unsigned *restored);
    /* The prompt in each style, up to and including the opening of the answer. A problem that cannot be printed leaves a
     * status in words. */
    void (*print_compact)(const wz_problem *problem, wz_words *words);
    void (*print_full)(const wz_problem *problem, wz_words *words);
    /* The numbers of an answer. */
    void (*answer_form)(const wz_problem *problem, wz_answer_form *out);
};

extern const wz_task *const wz_tasks[];        /* the built-in ones, NULL-terminated */
const wz_task *wz_task_find(const char *name); /* NULL: unknown */

/* Adds a family for the rest of the process, at most WZ_MAX_ADDED_TASKS: for rewards/library.h. */
#define WZ_MAX_ADDED_TASKS 8
void wz_task_add(const wz_task *task);

void wz_task_default_values(const wz_task *task, double *values);
/* Whether options have the same values, bit for bit. */
bool wz_task_same_values(const wz_task *task, const double *a, const double *b);
/* The place of an option's value; option_count: there is none of that name. */
size_t wz_task_find_option(const wz_task *task, const char *name);
bool wz_task_is_later_option(const wz_task *task, size_t option);
wz_status wz_task_check_values(const wz_task *task, const double *values, wz_error *err);

/* A problem whose numbers are zero, its parts in order; for families' import and for what follows. */
wz_status wz_problem_open(const wz_task *task, const double *values, wz_problem *out, wz_error *err);
/* Problem number `index` of a split: a pure function of its arguments. */
wz_status wz_problem_generate(const wz_task *task, const double *values, uint64_t seed, wz_split split,
                              uint32_t index, wz_problem *out, wz_error *err);
/* The problem of these numbers. `index` and `split` only name it. */
wz_status wz_problem_from_numbers(const wz_task *task, const double *values, const int32_t *numbers,
                                  size_t count, wz_problem *out, wz_error *err);
wz_status wz_problem_copy(const wz_problem *problem, wz_problem *out, wz_error *err);
/* The problem with its parts in another order; the family must have `reorder`. order (problem->size): a permutation. */
wz_status wz_problem_reorder(const wz_problem *problem, const uint8_t *order, wz_problem *out, wz_error *err);
/* A decision on the reordered problem as one on the problem it was made from. */
void wz_problem_restore(const wz_problem *reordered, const unsigned *decision, unsigned *restored);
void wz_problem_clear(wz_problem *problem);

/* Appends the prompt. */
wz_status wz_problem_print(const wz_problem *problem, wz_prompt_style style, wz_text *out, wz_error *err);
/* The same, ending with "<think>" in either style: the completion opens its answer by itself, */
wz_status wz_problem_print_to_think(const wz_problem *problem, wz_prompt_style style, wz_text *out,
                                    wz_error *err);
/* with this between "</think>" and "<answer>". */
const char *wz_answer_separator(wz_prompt_style style);
/* Appends the regular expression (engine/text/grammar.h dialect) of the whole completion: answer, then the closing
 * tag. */
wz_status wz_problem_answer_pattern(const wz_problem *problem, wz_prompt_style style, wz_text *out,
                                    wz_error *err);

/* Fails, naming the number, unless numbers [first, first + count) lie in low..high. For check_numbers. */
wz_status wz_problem_check_range(const wz_problem *problem, size_t first, size_t count, int32_t low,
                                 int32_t high, const char *what, wz_error *err);

#endif
