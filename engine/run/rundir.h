/* A run directory: config.yaml (resolved), env.json, metrics.jsonl, metrics.csv, completions.jsonl, event files, checkpoints/,
 * LOCK. */
#ifndef WZ_RUN_RUNDIR_H
#define WZ_RUN_RUNDIR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/run/config.h"
#include "engine/run/environment.h"

/* Held open, and locked, for as long as a process trains in it. */
typedef struct wz_rundir {
    char path[WZ_PATH_MAX];
    char checkpoints[WZ_PATH_MAX]; /* path/checkpoints */
    int lock;                      /* descriptor; -1: not held */
} wz_rundir;

/* Makes the directory (and its parents) and locks it. One that holds checkpoints of an earlier run is
 * refused (WZ_ERR_USAGE) unless `overwrite`, which deletes them: a later resume must not find them.
 * Initialises *rundir in every case; release with wz_rundir_close. */
wz_status wz_rundir_create(wz_rundir *rundir, const char *path, bool overwrite, wz_error *err);
/* Locks an existing run directory, to resume in it; missing: WZ_ERR_USAGE. */
wz_status wz_rundir_open(wz_rundir *rundir, const char *path, wz_error *err);
void wz_rundir_close(wz_rundir *rundir);

/* Whether path/checkpoints holds a step-XXXXXXXX.h5, whole or not. */
bool wz_rundir_has_checkpoints(const char *path);
/* Whether it holds that of this step. */
bool wz_rundir_has_checkpoint(const char *path, int64_t step);
/* path/name into out. */
wz_status wz_rundir_file(const wz_rundir *rundir, const char *name, char out[WZ_PATH_MAX], wz_error *err);
/* path/checkpoints/step-00000100.h5; eight digits at least, so that names sort as steps do. */
wz_status wz_rundir_checkpoint_file(const wz_rundir *rundir, int64_t step, char out[WZ_PATH_MAX],
                                    wz_error *err);

/* WZ_ERR_USAGE where a run in the directory would write over or delete `input`, under whatever name: LOCK, config.yaml, env.json,
 * logs, event files, checkpoints, and what interrupted writers of these left. */
wz_status wz_rundir_check_input(const char *path, const char *input, wz_error *err);

/* config.yaml and env.json, each replaced atomically. */
wz_status wz_rundir_write_config(const wz_rundir *rundir, const wz_config *config, wz_error *err);
wz_status wz_rundir_write_environment(const wz_rundir *rundir, const wz_environment *environment,
                                      wz_error *err);

#endif
