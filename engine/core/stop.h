/* A request to stop, which a signal's handler makes at any time and long work looks at between its pieces. */
#ifndef WZ_CORE_STOP_H
#define WZ_CORE_STOP_H

#include <signal.h>

#include "engine/core/status.h"

typedef const volatile sig_atomic_t wz_stop; /* the signal's number; 0: go on */

/* What the program ends with on a signal: the shells' convention. */
#define WZ_STATUS_SIGNAL(number) ((wz_status)(128 + (number)))

/* WZ_OK, or WZ_STATUS_SIGNAL and the message "interrupted". stop: NULL for nobody who asks. */
wz_status wz_stop_check(wz_stop *stop, wz_error *err);

#endif
