#include "engine/cli/interrupt.h"

#include <stddef.h>

/* The one mutable global, since a handler can reach nothing else. */
static volatile sig_atomic_t asked_to_stop;

static void ask_to_stop(int number)
{
    asked_to_stop = number;
}

const volatile sig_atomic_t *wz_interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    return &asked_to_stop;
}
