/* The command line: what main.c knows of the process, and the table of subcommands. */
#ifndef WZ_CLI_CLI_H
#define WZ_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "engine/core/memory.h"
#include "engine/core/status.h"
#include "engine/core/stop.h"
#include "engine/run/progress.h"

/* Everything a command may learn of its surroundings: only main.c reads the environment. */
typedef struct wz_cli {
    FILE *out;                     /* results */
    FILE *log;                     /* progress and messages */
    wz_progress_style progress;    /* of log: terminal? colours (NO_COLOR, TERM=dumb)? width */
    const char *openblas_coretype; /* OPENBLAS_CORETYPE as it was found; NULL: not set */
    bool own_coretype;             /* and it was wavezero that set it */
} wz_cli;

/* A subcommand. argv: the arguments after its name; it may reorder them. Returns the exit status:
 * a wz_status with its message in err, or WZ_STATUS_SIGNAL with or without one. */
typedef struct wz_command {
    const char *name;
    const char *summary; /* one line */
    const char *usage;   /* "wavezero tasks [...]" */
    const char *details; /* further text of `wavezero help NAME`, ending in a line break, or NULL */
    wz_status (*run)(const wz_cli *cli, const struct wz_command *self, int argc, const char **argv,
                     wz_error *err);
} wz_command;

extern const wz_command wz_commands[];
extern const size_t wz_command_count;

wz_status wz_cmd_train(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err);
wz_status wz_cmd_resume(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                        wz_error *err);
wz_status wz_cmd_eval(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err);
wz_status wz_cmd_generate(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                          wz_error *err);
wz_status wz_cmd_import(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                        wz_error *err);
wz_status wz_cmd_export(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                        wz_error *err);
wz_status wz_cmd_bench(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err);
wz_status wz_cmd_doctor(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                        wz_error *err);
wz_status wz_cmd_help(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err);
wz_status wz_cmd_inspect(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                         wz_error *err);
wz_status wz_cmd_report(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                        wz_error *err);
wz_status wz_cmd_sweep(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err);
wz_status wz_cmd_tasks(const wz_cli *cli, const wz_command *self, int argc, const char **argv, wz_error *err);
wz_status wz_cmd_version(const wz_cli *cli, const wz_command *self, int argc, const char **argv,
                         wz_error *err);

extern const char wz_train_details[];
extern const char wz_resume_details[];
extern const char wz_eval_details[];
extern const char wz_generate_details[];
extern const char wz_import_details[];
extern const char wz_export_details[];
extern const char wz_bench_details[];
extern const char wz_inspect_details[];
extern const char wz_report_details[];
extern const char wz_sweep_details[];
extern const char wz_tasks_details[];
extern const char wz_doctor_details[];
extern const char wz_help_details[];

/* Prints usage, summary and details. */
wz_status wz_command_help(const wz_cli *cli, const wz_command *command, wz_error *err);
/* NULL: unknown; *suggestion (may be NULL) is then the nearest name, if one is near. */
const wz_command *wz_command_find(const char *name, const char **suggestion);
/* Writes a text to the results and frees it; status passes through when it is a failure already. */
wz_status wz_cli_print(const wz_cli *cli, wz_text *text, wz_status status, wz_error *err);

#endif
