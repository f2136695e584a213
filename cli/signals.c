/*
 * Ctrl-C and SIGTERM. The first asks the running job to stop, the second ends the process at once:
 * what is half-written has a temporary name. Without SA_RESTART, so that waiting for input ends
 * too.
 */
#include <signal.h>
#include <unistd.h>

#include "job.h"

static volatile sig_atomic_t received;

static void on_signal(int signal)
{
    if (received)
        _exit(128 + signal);
    received = signal;
}

void signals_install(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

int signals_received(void)
{
    return received;
}
