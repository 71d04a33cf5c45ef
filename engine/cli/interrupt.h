/* SIGINT and SIGTERM as a request to stop. */
#ifndef WZ_CLI_INTERRUPT_H
#define WZ_CLI_INTERRUPT_H

#include "engine/core/stop.h"

/* From now on the two signals set the flag that is returned to their number. A second one kills at once: the handlers are
 * one-shot. */
wz_stop *wz_interrupt_catch(void);
/* "interrupted: WHAT" in place of the message of work that a signal made stop; other statuses pass. */
wz_status wz_interrupt_explain(wz_status status, const char *what, const char *path, wz_error *err);

#endif
