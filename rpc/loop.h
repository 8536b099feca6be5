/* SPDX-License-Identifier: MIT */
/*
 * loop: struct rpc, which the files of this directory share, and the few things
 * that all of them do with it. Private to rpc/.
 *
 *     listener.c    accepts connections
 *     connection.c  one socket: reads octets, cuts frames, sends what is queued
 *     incoming.c    one frame: decode, check, merge the clocks, tell the node
 *     effects.c     one event's effects, carried out in order
 *     route.c       which connection leads to an address; dialling
 *     rpc.c         the life of one node here, and the end of a turn
 *     reactor.c     the event base and its thread, which several may share
 *
 * Nothing here re-enters. A handler's effects only queue octets; connections
 * that get output, or that die, are noted in lists, and one `turn` event, which
 * runs after everything that is due in this turn of the loop, flushes the
 * former and frees the latter. So many frames leave in one system call, and no
 * connection is freed under the feet of somebody who uses it. Where nothing
 * else is due after some input, the turn ends without that event.
 */
#ifndef RPC_LOOP_H
#define RPC_LOOP_H

#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clocks/host_clock.h"
#include "clocks/trace.h"
#include "node/message.h"
#include "node/node.h"
#include "rpc/counters.h"
#include "rpc/frame.h"
#include "rpc/output.h"
#include "rpc/packed_stamp.h"
#include "rpc/reactor.h"
#include "rpc/rpc.h"

struct connection;
struct route;
struct parcel;
struct listener;

/* Functions that are to run here. Two of these change places when they are
 * taken, so that posting needs no memory of its own. */
struct posts {
    struct post *all;
    size_t count;
    size_t capacity;
};

/* The runtime's own figures: what is too frequent for a named counter. */
struct figures {
    uint64_t connections; /* open now */
    uint64_t accepted;
    uint64_t dialled;
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t messages_in; /* in these frames */
    uint64_t messages_out;
    uint64_t octets_in;
    uint64_t octets_out;
};

struct rpc_timer {
    struct rpc *rpc;
    unsigned slot;
    struct event *event;
};

struct rpc {
    struct rpc_config config;
    struct node *node;
    struct peer self;
    uint64_t random; /* state of the generator for timers and pauses */

    /* Rules K1 to K3. */
    struct host_clock clock;
    struct trace *trace;        /* NULL: none, or it failed */
    struct packed_stamp *stamp; /* of the newest frame */
    uint64_t knowledge;         /* rises with every tick that is not a send's */

    /* The effects of the event in hand. */
    struct env env;
    struct arena outgoing; /* of traced messages */
    uint8_t head[FRAME_HEAD_MAX];

    struct counters counters;
    struct figures figures;

    struct reactor *reactor;
    bool shares;        /* the reactor is somebody else's */
    struct event *turn; /* ends a turn of the loop */
    bool turn_scheduled;
    bool turn_held;     /* input is being read; the turn ends after it */
    bool ending;        /* the end of a turn is under way */
    bool posted;        /* there may be posts, or a wish to stop */
    struct posts here;  /* from this thread */
    struct posts taken; /* that are being run */
    unsigned due;       /* bits of timers that fire at the end of the turn */
    struct rpc_timer timers[TIMERS_MAX];
    struct event *signals[2]; /* SIGINT and SIGTERM, if wanted */

    /* Guarded by the reactor's mutex: what other threads write. */
    struct posts posts;
    bool stop_wanted; /* no more posts */
    bool summoned;    /* in reactor->summoned */
    struct rpc *prev_summoned;
    struct rpc *next_summoned;
    bool attached; /* in reactor->rpcs */
    struct rpc *prev;
    struct rpc *next;

    bool started;
    bool halted; /* no more events */
    int result;  /* of rpc_run */

    struct connection *connections; /* all of them */
    struct connection *dirty;       /* with output for the end of the turn */
    struct connection *dead;        /* to free at the end of the turn */
    struct connection *partials;    /* with unfinished frames; the one that
                                       has not grown for longest first */
    struct event *sweep;            /* runs while there are partials */
    struct route *routes;           /* by address */
    struct route *recent;           /* that was found last; NULL: none */
    struct parcel *delayed;         /* held back by faults */
    uint32_t delayed_count;
    uint32_t parcel_count; /* delayed, or waiting in a route */
    bool parcels_overflow; /* there was no room for one; until all are gone */
    struct listener *listener; /* NULL: does not listen */
    size_t taken_octets;  /* by strangers since memory was last asked for */
    size_t input_octets;  /* held in unfinished frames */
    size_t output_octets; /* waiting to be sent, wherever */
};

/*
 * Notes a named event of the node or of the runtime: counts it, moves the
 * clocks, traces it and logs it (rules K1 to K3). The detail is for readers.
 */
void rpc_event(struct rpc *rpc, enum log_level level, const char *name,
               const char *detail);

/* The same with a detail formatted like printf. */
void rpc_event_format(struct rpc *rpc, enum log_level level, const char *name,
                      const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes a line of the trace for the newest tick, if there is a trace. */
void rpc_trace(struct rpc *rpc, enum trace_kind kind, const char *sender,
               uint64_t sent, const char *text);

/* Sees to it that the end of this turn is not forgotten. */
void rpc_schedule_turn(struct rpc *rpc);

/* Begin and end the reading of input. If it makes a turn necessary and nothing
 * else is due in it, rpc_let_turn ends it at once, which saves a detour through
 * the loop. The rpc may be gone then. */
void rpc_hold_turn(struct rpc *rpc);
void rpc_let_turn(struct rpc *rpc);

/* Ends the rpc: no more events, and rpc_run will return result. The first call
 * counts. */
void rpc_halt(struct rpc *rpc, int result);

/* Carries out the rest of an rpc that has halted and shares its reactor, and
 * tells its owner, who may free it in there. */
void rpc_end(struct rpc *rpc);

/* Returns milliseconds since some moment in the past; never goes back. */
uint64_t rpc_now_ms(void);

/* Returns a new event, or ends the process when memory is exhausted. */
struct event *rpc_event_new(struct rpc *rpc, int fd, short what,
                            event_callback_fn function, void *argument);

/* Starts an event's timer. */
void rpc_event_after(struct event *event, uint32_t delay_ms);

#endif
