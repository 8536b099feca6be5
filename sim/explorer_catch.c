/* SPDX-License-Identifier: MIT */
/*
 * explorer_catch: a handler that asserts is something found, not the end of the
 * search. While a handler runs, SIGABRT, SIGFPE and SIGSEGV come back here with
 * siglongjmp. What the handler had allocated for itself is lost; the search
 * ends with the level, and no other state shares anything with the clone that
 * the handler ran on but counted octets.
 *
 * The signal handler needs to know where to jump. That is one word per thread,
 * set only for the length of a call.
 */
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include <stdlib.h>

#include "node/memory.h"
#include "sim/explorer_state.h"

static const int caught[] = {SIGABRT, SIGFPE, SIGSEGV};
enum { CAUGHT = sizeof(caught) / sizeof(caught[0]) };

static _Thread_local sigjmp_buf *landing;

struct catch_signals {
    struct sigaction before[CAUGHT];
};

static void on_signal(int number)
{
    if (landing)
        siglongjmp(*landing, number);
    signal(number, SIG_DFL);
    raise(number);
}

struct catch_signals *catch_begin(void)
{
    struct catch_signals *catch = memory_new(sizeof(*catch));
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < CAUGHT; i++)
        sigaction(caught[i], &action, &catch->before[i]);
    return catch;
}

void catch_end(struct catch_signals *catch)
{
    for (size_t i = 0; i < CAUGHT; i++)
        sigaction(caught[i], &catch->before[i], NULL);
    free(catch);
}

int catch_call(void (*function)(void *argument), void *argument)
{
    sigjmp_buf place;
    volatile int number = sigsetjmp(place, 1);

    if (number == 0) {
        landing = &place;
        function(argument);
    }
    landing = NULL;
    return number;
}
