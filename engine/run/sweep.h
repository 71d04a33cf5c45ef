/* A sweep: one run for each point of a grid and each seed, below one folder.
 *
 *   DIR/sweep.yaml                 the configuration that all points start from, as it was when the sweep began
 *   DIR/sweep.csv, sweep.json      what it found
 *   DIR/loss_type-grpo,seed-1/     a run directory, and in it
 *       sweep.yaml                 the run's own configuration as it was asked for: what `train` reads
 *       log.txt                    what it wrote to its two streams
 *
 * A run is complete when the checkpoint of its last step is there, which is written after everything else. */
#ifndef WZ_RUN_SWEEP_H
#define WZ_RUN_SWEEP_H

#include "engine/run/config.h"
#include "engine/run/sweep_grid.h"
#include "engine/run/train.h"

#define WZ_SWEEP_CONFIG "sweep.yaml"
#define WZ_SWEEP_LOG "log.txt"

typedef enum wz_sweep_state {
    WZ_SWEEP_MISSING,
    WZ_SWEEP_PARTIAL, /* it has checkpoints, not the last */
    WZ_SWEEP_COMPLETE
} wz_sweep_state;

typedef struct wz_sweep_run {
    size_t point;
    int64_t seed, max_steps;
    char directory[WZ_PATH_MAX]; /* the sweep's, and the run's below it */
    const char *name;            /* the last part of it; borrowed from the sweep that was planned */
    wz_sweep_state state;
    int64_t step; /* that it is known to have reached */
    bool failed;
} wz_sweep_run;

typedef struct wz_sweep {
    wz_config base; /* with what all points share */
    wz_sweep_grid grid;
    size_t seeds;       /* runs of each point */
    wz_sweep_run *runs; /* (points, seeds) */
    size_t run_count;
    int64_t jobs; /* at once */
    char directory[WZ_PATH_MAX];
    int lock; /* descriptor; -1: not held */
} wz_sweep;

/* Reads the configuration, makes the points and checks every run's whole configuration: a message names the point. Points with
 * equal configurations are run once, which `log` is told. directory NULL: the configuration's output_dir with "-sweep" behind
 * it. Touches no file but the configuration. Initialises *out in every case; release with wz_sweep_close. */
wz_status wz_sweep_plan(const char *config_path, const wz_sweep_request *request, const char *directory,
                        int64_t jobs, FILE *log, wz_sweep *out, wz_error *err);
/* The configuration of a run: every key, output_dir and threads included. Cores are divided between jobs where threads is 0. */
wz_status wz_sweep_config(const wz_sweep *sweep, const wz_sweep_run *run, wz_config *out, wz_error *err);
/* How far a run is now. */
wz_sweep_state wz_sweep_state_of(const wz_sweep_run *run);
/* Looks how far each run is. WZ_ERR_USAGE where the folder, or a run in it, was begun with another configuration; the message
 * names the key. */
wz_status wz_sweep_look(wz_sweep *sweep, wz_error *err);
/* Makes the folder and locks it; the runs' folders are made as they start. */
wz_status wz_sweep_open(wz_sweep *sweep, wz_error *err);
void wz_sweep_close(wz_sweep *sweep);

/* Trains what is not complete, `jobs` runs at once, each in a process of `program` (the path of this one). A run that fails is
 * reported with the end of its log, and the others go on: runs[].failed. On an interrupt the runs save and end, and *number is
 * its number. Should this process be killed, its runs save and end, too. */
wz_status wz_sweep_train(wz_sweep *sweep, const char *program, const wz_run_io *io, int *number,
                         wz_error *err);

#endif
