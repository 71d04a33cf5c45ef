/* What the forms of `wavezero tasks` share. */
#ifndef WZ_CLI_CMD_TASKS_H
#define WZ_CLI_CMD_TASKS_H

#include "engine/cli/cli.h"
#include "engine/core/json.h"
#include "engine/run/config.h"
#include "engine/run/problem_set.h"
#include "rewards/published.h"
#include "rewards/verifier.h"

typedef struct wz_tasks_request {
    wz_config config; /* task, its options, seed and prompt_style */
    const wz_verifier *verifier;
    wz_split split;
    int64_t problems;
    int64_t first;    /* index of the first problem */
    int64_t best_of;  /* tries of the random best-of-k row */
    const char *only; /* published: of this task; NULL: of all */
    bool all;         /* baselines: of every task */
    bool json;
    const char *config_file;  /* --config; NULL: none */
    const char *file;         /* the problem set of export and check */
    const char *gains;        /* export: a user's own channels; NULL: generated problems */
    bool coefficients;        /* of gains: h, not |h|^2 */
    const char *const *files; /* import: what to read */
    size_t file_count;
    const char *output;           /* import: the problem set to write */
    const char *const *overrides; /* key=value, as given */
    size_t override_count;
    wz_stop *stop; /* asked between problems of a set */
} wz_tasks_request;

/* Problem number `first + offset`, with its reference. Clear *problem with wz_problem_clear. */
wz_status wz_tasks_problem(const wz_tasks_request *request, int64_t offset, wz_problem *problem,
                           wz_reference *reference, wz_error *err);
/* Appends "links 3, levels 8, snr_db 10". */
wz_status wz_tasks_write_options(const wz_tasks_request *request, wz_text *out, wz_error *err);

/* The table of classical algorithms on held-out problems. */
wz_status wz_tasks_baselines(const wz_cli *cli, const wz_tasks_request *request, wz_text *out, wz_error *err);
/* The same for every family, at its defaults and at each setting that something is published of. problems 0: as many as
 * were published of, at most 500. */
wz_status wz_tasks_baselines_all(const wz_cli *cli, wz_tasks_request *request, wz_text *out, wz_error *err);
/* Published figures beside what is measured on the same settings. problems 0: each figure's own number. */
wz_status wz_tasks_published(const wz_cli *cli, wz_tasks_request *request, wz_text *out, wz_error *err);

/* Another task with these options ("links=10 snr_db=0") beside its defaults, in place of the request's. */
wz_status wz_tasks_use_setting(wz_tasks_request *request, const char *task, const char *options,
                               wz_error *err);
bool wz_tasks_same_setting(const wz_published *a, const wz_published *b);

/* Writes the problem set request->file; says how many problems it holds, and its digest. */
wz_status wz_tasks_export(const wz_cli *cli, const wz_tasks_request *request, wz_text *out, wz_error *err);
/* Verifies the problems of the sets request->files, makes some of the channels among them, and writes request->output. */
wz_status wz_tasks_import(const wz_tasks_request *request, wz_text *out, wz_error *err);
/* Adds a user's own channels; *added counts them. */
wz_status wz_tasks_add_gains(const wz_tasks_request *request, const char *path, wz_set_writer *writer,
                             int64_t *added, wz_error *err);
/* WZ_ERR_USAGE where the set `output` would take the place of a file that it is made from; path: NULL, or FILE or FILE:/NAME. */
wz_status wz_tasks_check_output(const wz_tasks_request *request, const char *output, const char *path,
                                wz_error *err);
/* Reads and verifies the problem set request->file; says what is in it. */
wz_status wz_tasks_check(const wz_tasks_request *request, wz_text *out, wz_error *err);

#endif
