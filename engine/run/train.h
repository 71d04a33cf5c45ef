/* A training run from its configuration to its last checkpoint. */
#ifndef WZ_RUN_TRAIN_H
#define WZ_RUN_TRAIN_H

#include <stdio.h>

#include "engine/core/stop.h"
#include "engine/run/config.h"
#include "engine/run/progress.h"

/* What a run needs of its caller. */
typedef struct wz_run_io {
    FILE *log; /* progress and messages */
    wz_progress_style progress;
    wz_stop *interrupt; /* number of a signal that asks the run to stop; 0: none */
} wz_run_io;

/* WZ_ERR_USAGE where a run in config->output_dir would write over or delete what it is made from, under whatever name: the
 * configuration's file, the files that its keys name (and the base of init_from's adapters), those of verifier_command. */
wz_status wz_run_check_inputs(const wz_config *config, const char *config_file, wz_error *err);

/* Trains config->output_dir anew, from a configuration that was read from config_file. overwrite: an earlier run's checkpoints
 * there are deleted; WZ_ERR_USAGE before that by wz_run_check_inputs. On an interrupt the run
 * finishes its step, saves and returns WZ_OK with *signal set to its number. */
wz_status wz_run_train(const wz_config *config, const char *config_file, bool overwrite, const wz_run_io *io,
                       int *signal, wz_error *err);

/* Goes on from the newest checkpoint that verifies. overrides: `key=value` texts, only keys that resume may change; extend
 * also allows a larger max_steps. */
wz_status wz_run_resume(const char *directory, const char *const *overrides, size_t override_count,
                        bool extend, const wz_run_io *io, int *signal, wz_error *err);

#endif
