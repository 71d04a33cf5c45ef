/* SIGINT and SIGTERM as a request to stop. */
#ifndef WZ_CLI_INTERRUPT_H
#define WZ_CLI_INTERRUPT_H

#include <signal.h>

/* From now on the two signals set the flag that is returned to their number. A second one kills at once: the handlers are
 * one-shot. */
const volatile sig_atomic_t *wz_interrupt_catch(void);

#endif
