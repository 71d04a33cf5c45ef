/* Options of a subcommand: one table row per flag, filled from the argument list. */
#ifndef WZ_CLI_OPTIONS_H
#define WZ_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"
#include "tasks/task.h"

typedef enum wz_option_type {
    WZ_OPTION_FLAG,    /* --json: bool, set to true */
    WZ_OPTION_INTEGER, /* --problems 100 or --problems=100: int64_t in [minimum, maximum] */
    WZ_OPTION_REAL,    /* --temperature 0.5: double in [minimum, maximum] */
    WZ_OPTION_TEXT,    /* --split test: const char *, borrowed from argv */
    WZ_OPTION_PATH,    /* -o FILE: the same, not empty */
    WZ_OPTION_TEXTS    /* texts, given any number of times: wz_option_texts */
} wz_option_type;

typedef struct wz_option_texts {
    const char *items[16];
    size_t count;
} wz_option_texts;

typedef struct wz_option {
    const char *name; /* with its dashes: "--json" */
    wz_option_type type;
    void *target;            /* where the value goes; holds the default before */
    double minimum, maximum; /* of numbers */
    const char *metavar;     /* of the value in the help text: "N"; NULL for a flag */
    const char *help;
} wz_option;

/* What is left after the options: borrowed from argv. */
typedef struct wz_arguments {
    const char *const *items;
    size_t count;
} wz_arguments;

/* Takes options from argv (the arguments after the command's name) wherever they stand; "--" ends them.
 * The rest, in order, is moved to the front of argv and described by `rest`. `--help` sets *help (may be
 * NULL only if the table has a --help of its own). Unknown flags (with a suggestion), missing and ill-typed
 * values and repeated flags (but for WZ_OPTION_TEXTS): WZ_ERR_USAGE. */
wz_status wz_options_parse(const wz_option *options, size_t count, int argc, const char **argv,
                           wz_arguments *rest, bool *help, wz_error *err);
/* Between least and most plain arguments; the message shows `usage`. */
wz_status wz_arguments_check(const wz_arguments *rest, size_t least, size_t most, const char *usage,
                             wz_error *err);
/* One line per option, aligned. */
wz_status wz_options_help(const wz_option *options, size_t count, wz_text *out, wz_error *err);

/* The split that `--split text` names. */
wz_status wz_split_parse(const char *text, wz_split *split, wz_error *err);

#endif
