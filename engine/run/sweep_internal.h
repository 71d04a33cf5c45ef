/* Between the files of a sweep. */
#ifndef WZ_RUN_SWEEP_INTERNAL_H
#define WZ_RUN_SWEEP_INTERNAL_H

#include <sys/types.h>

#include "engine/core/stop.h"
#include "engine/run/sweep.h"

/* Starts `program` on a run that is not complete, its two streams going to the run's log. Waits while a process that outlived
 * its sweep still saves it; *process 0: the run is complete after that. */
wz_status wz_sweep_start_run(const wz_sweep *sweep, wz_sweep_run *run, const char *program,
                             wz_stop *interrupt, pid_t *process, wz_error *err);

#endif
