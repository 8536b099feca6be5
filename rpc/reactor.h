/* SPDX-License-Identifier: MIT */
/*
 * reactor: a libevent base, the thread that runs it, and how other threads get
 * its attention. One rpc has a reactor of its own, or several share one: then
 * one thread serves them all, one wait finds out what has come for any of them,
 * and each still writes once per connection and turn.
 *
 * Other threads leave their wishes with the rpc that they are for, under the
 * reactor's mutex, and put it on the list of those that want attention; an
 * eventfd wakes the loop when the list begins. The loop's own thread needs none
 * of this: it is awake, and schedules the end of the turn at once.
 *
 * The event base is made without locks: only the loop's thread touches it.
 */
#ifndef RPC_REACTOR_H
#define RPC_REACTOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/message.h"
#include "rpc/output.h"

struct event;
struct event_base;
struct rpc;

enum {
    /* Octets read from a connection in one turn, but for the rest of a large
     * frame. At 5 octets for the shortest message, 32 to a frame, these are
     * some 6,500 messages. */
    INPUT_SIZE = 32 * 1024,
};

/* Private to rpc/. */
struct reactor {
    struct event_base *base;
    struct event *wake;
    int wake_fd;

    /* For the one rpc that is at work: what another has just used is in the
     * cache. */
    uint8_t *input;               /* INPUT_SIZE octets */
    uint8_t *spare;               /* for the next unfinished frame; or NULL */
    size_t spare_size;            /* octets */
    struct arena incoming;        /* of the frame in hand */
    struct segment_pool segments; /* of all their output */

    pthread_mutex_t mutex; /* guards the rest */
    pthread_t thread;      /* that runs the base, while `running` */
    bool running;
    bool woken; /* wake_fd has been written to */
    bool stop_wanted;
    bool failed;          /* nothing will run here any more */
    struct rpc *summoned; /* those that want attention */
    struct rpc *rpcs;     /* that were started here */
};

/* Makes a reactor for the caller to free. Returns 0, -ENOMEM or what eventfd
 * gave. */
int reactor_new(struct reactor **result);

/* Runs what is started here, in this thread, until reactor_stop. Returns 0, or
 * -EIO when the system refuses to wait; then every rpc here has ended. */
int reactor_run(struct reactor *reactor);

/* Makes reactor_run return, from any thread or before it runs. The rpcs that
 * were started here have ended before. */
void reactor_stop(struct reactor *reactor);

/* Frees a reactor that does not run and that no rpc uses. NULL is allowed. */
void reactor_free(struct reactor *reactor);

/* Sees to it that the loop ends a turn of this rpc. The caller holds the mutex.
 * From any thread; private to rpc/. */
void reactor_summon(struct reactor *reactor, struct rpc *rpc);

#endif
