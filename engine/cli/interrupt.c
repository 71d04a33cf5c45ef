#include "engine/cli/interrupt.h"

#include <stddef.h>

/* The one mutable global, since a handler can reach nothing else. */
static volatile sig_atomic_t asked_to_stop;

static void ask_to_stop(int number)
{
    asked_to_stop = number;
}

wz_stop *wz_interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    return &asked_to_stop;
}

wz_status wz_interrupt_explain(wz_status status, const char *what, const char *path, wz_error *err)
{
    const int number = asked_to_stop;
    return number != 0 && status == WZ_STATUS_SIGNAL(number)
               ? wz_fail(err, status, "interrupted: %s %s", what, path)
               : status;
}
