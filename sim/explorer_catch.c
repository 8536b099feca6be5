/* SPDX-License-Identifier: MIT */
/*
 * explorer_catch: a handler that fails is something found, not the end of the
 * search. While a handler runs, the signals of a failed assertion and of the
 * processor's refusals come back here with siglongjmp. They have a stack of
 * their own, since a recursion without end has used up the other one.
 *
 * A handler that does not return is found by a timer of processor time: each
 * time it rings, the thread that it interrupts counts, and a call that has
 * heard it TICKS_MAX times has lasted too long. Calls that return pay nothing.
 *
 * What the handler had allocated for itself is lost; the search ends with the
 * level, and no other state shares anything with the clone that the handler ran
 * on but counted octets. One thing cannot be mended: a handler that allocates
 * without end may be interrupted in the allocator, which may then be unusable.
 *
 * The signal handler needs to know where to jump, and how long the call has
 * lasted: two words per thread, set only for the length of a call.
 */
#define _XOPEN_SOURCE 700 /* sigaltstack */

#include "sim/explorer_catch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "node/memory.h"

static const int caught[] = {SIGABRT, SIGFPE, SIGSEGV,
                             SIGBUS,  SIGILL, SIGVTALRM};

enum {
    CAUGHT = sizeof(caught) / sizeof(caught[0]),
    TICK_US = 100000, /* of the process's processor time */
    TICKS_MAX = 5,    /* that one call may last */
    STACK_OCTETS = 65536,
};

static _Thread_local sigjmp_buf *landing;
static _Thread_local volatile sig_atomic_t ticks;
static _Thread_local bool has_stack;
static _Thread_local char stack[STACK_OCTETS];

struct catch_signals {
    struct sigaction before[CAUGHT];
};

static void on_signal(int number)
{
    if (number == SIGVTALRM && (!landing || ++ticks < TICKS_MAX))
        return;
    if (landing)
        siglongjmp(*landing, number);
    signal(number, SIG_DFL);
    raise(number);
}

static void set_tick(suseconds_t microseconds)
{
    struct itimerval tick = {{0, microseconds}, {0, microseconds}};

    setitimer(ITIMER_VIRTUAL, &tick, NULL);
}

struct catch_signals *catch_begin(void)
{
    struct catch_signals *catch = memory_new(sizeof(*catch));
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < CAUGHT; i++)
        sigaction(caught[i], &action, &catch->before[i]);
    set_tick(TICK_US);
    return catch;
}

void catch_end(struct catch_signals *catch)
{
    set_tick(0);
    for (size_t i = 0; i < CAUGHT; i++)
        sigaction(caught[i], &catch->before[i], NULL);
    free(catch);
}

/* Sees to it that this thread has a stack for signals. Sanitizers bring one. */
static void need_stack(void)
{
    stack_t own = {.ss_sp = stack, .ss_size = sizeof(stack)};
    stack_t present;

    if (!has_stack && sigaltstack(NULL, &present) == 0 &&
        (present.ss_flags & SS_DISABLE) != 0)
        sigaltstack(&own, NULL);
    has_stack = true;
}

int catch_call(void (*function)(void *argument), void *argument)
{
    sigjmp_buf place;
    volatile int number;

    need_stack();
    ticks = 0;
    number = sigsetjmp(place, 1);
    if (number == 0) {
        landing = &place;
        function(argument);
    }
    landing = NULL;
    return number;
}

const char *catch_sentence(int number)
{
    switch (number) {
    case SIGABRT: return "a handler aborted: an assertion of the role failed";
    case SIGVTALRM: return "a handler does not return";
    default: return "a handler crashed";
    }
}
