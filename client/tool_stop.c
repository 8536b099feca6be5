/* SPDX-License-Identifier: MIT */
/*
 * tool_stop: see tool_stop.h. The thread sleeps in sigwait. tool_stop_finish
 * wakes it with a signal of its own, sent to that thread only, after it has
 * noted that the work is done. Renaming and removing the file in care happen
 * under the lock, so the thread never removes a file that has just become
 * complete.
 */
#include "client/tool_stop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "node/memory.h"

enum { GRACE_MS = 500 };

struct tool_stop {
    pthread_t thread;
    sigset_t signals;

    /* Guarded by lock. */
    pthread_mutex_t lock;
    int signal;    /* that asks to stop; 0: none */
    bool finished; /* the work is done */
    int directory; /* of the file in care */
    const char *guarded;
};

/* Lets the process die of a signal. */
static void die_of(int signal_number)
{
    sigset_t set;

    signal(signal_number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(signal_number);
    _exit(128 + signal_number);
}

static bool is_finished(struct tool_stop *stop)
{
    bool finished;

    pthread_mutex_lock(&stop->lock);
    finished = stop->finished;
    pthread_mutex_unlock(&stop->lock);
    return finished;
}

/* Gives the work its grace, then ends the process unless the work is done. */
static void end_by_force(struct tool_stop *stop, int signal_number)
{
    struct timespec grace = {GRACE_MS / 1000, GRACE_MS % 1000 * 1000000L};

    while (sigtimedwait(&stop->signals, NULL, &grace) < 0 && errno == EINTR)
        continue;
    pthread_mutex_lock(&stop->lock);
    if (!stop->finished) {
        if (stop->guarded)
            unlinkat(stop->directory, stop->guarded, 0);
        die_of(signal_number); // with the lock, so that nothing is completed
    }
    pthread_mutex_unlock(&stop->lock);
}

static void *wait_for_signals(void *argument)
{
    struct tool_stop *stop = argument;
    int signal_number;

    if (sigwait(&stop->signals, &signal_number) != 0)
        return NULL;
    if (is_finished(stop))
        return NULL;
    pthread_mutex_lock(&stop->lock);
    stop->signal = signal_number;
    pthread_mutex_unlock(&stop->lock);
    end_by_force(stop, signal_number);
    return NULL;
}

struct tool_stop *tool_stop_start(void)
{
    struct tool_stop *stop = memory_new(sizeof(*stop));

    sigemptyset(&stop->signals);
    sigaddset(&stop->signals, SIGINT);
    sigaddset(&stop->signals, SIGTERM);
    pthread_mutex_init(&stop->lock, NULL);
    pthread_sigmask(SIG_BLOCK, &stop->signals, NULL);
    errno = pthread_create(&stop->thread, NULL, wait_for_signals, stop);
    if (errno == 0)
        return stop;
    pthread_mutex_destroy(&stop->lock);
    free(stop);
    return NULL;
}

bool tool_stop_wanted(struct tool_stop *stop)
{
    bool wanted;

    pthread_mutex_lock(&stop->lock);
    wanted = stop->signal != 0;
    pthread_mutex_unlock(&stop->lock);
    return wanted;
}

void tool_stop_guard(struct tool_stop *stop, int directory, const char *name)
{
    pthread_mutex_lock(&stop->lock);
    stop->directory = directory;
    stop->guarded = name;
    pthread_mutex_unlock(&stop->lock);
}

int tool_stop_rename(struct tool_stop *stop, const char *name)
{
    int error = 0;

    pthread_mutex_lock(&stop->lock);
    if (renameat(stop->directory, stop->guarded, stop->directory, name) != 0)
        error = -errno;
    else
        stop->guarded = NULL;
    pthread_mutex_unlock(&stop->lock);
    return error;
}

void tool_stop_remove(struct tool_stop *stop)
{
    pthread_mutex_lock(&stop->lock);
    if (stop->guarded)
        unlinkat(stop->directory, stop->guarded, 0);
    stop->guarded = NULL;
    pthread_mutex_unlock(&stop->lock);
}

void tool_stop_finish(struct tool_stop *stop)
{
    int signal_number;

    pthread_mutex_lock(&stop->lock);
    stop->finished = true;
    pthread_mutex_unlock(&stop->lock);
    pthread_kill(stop->thread, SIGINT);
    pthread_join(stop->thread, NULL);
    signal_number = stop->signal;
    pthread_mutex_destroy(&stop->lock);
    free(stop);
    if (signal_number != 0)
        die_of(signal_number);
}
