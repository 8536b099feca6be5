/* SPDX-License-Identifier: MIT */
/*
 * rpc: the runtime on a real network. One `struct rpc` owns one node and feeds
 * it events: frames from sockets, timers, and calls posted from any thread. It
 * carries out the node's effects in order. It has a libevent loop of its own,
 * or shares one with others (rpc/reactor.h).
 *
 * Threads. An rpc belongs to the thread in rpc_run, or of its reactor (before
 * that, to the thread that made it). Only rpc_stop and rpc_post may be called
 * from others.
 *
 * Connections. What a role sends of its own accord (a ping, an operation, a
 * Forward) goes over a connection that the loop dials, again and again with
 * growing pauses and jitter while there is something to send. What answers
 * (acknowledgements, refusals, replies) goes over a connection that is there:
 * the loop's own to that address, or else the one from which that address last
 * sent; it is never a reason to dial, for the address is only a claim. To an
 * address that cannot be dialled (a client) everything goes over the connection
 * from which that address last sent. Frames that arrive on a dialled connection
 * count as coming from the address that was dialled, under whatever name the
 * other side knows itself.
 *
 * Host names are looked up by the system's resolver, which can block the loop;
 * numeric addresses and Unix sockets never do. Only what is dialled is looked
 * up: addresses from the configuration and from views.
 *
 * Limits. What cannot be sent within the output limits is dropped and counted
 * ("send.overflow"): for a role that is a lost message, which every rule
 * expects. When input needs more than its limit, the accepted connection whose
 * unfinished frame has not grown for longest is closed ("receive.limit"); and
 * any whose unfinished frame does not get on for too long ("receive.stalled").
 * What one connection may hold of the output is no more than is free in all,
 * and strangers get nothing more while memory is short (reserve.h). An eighth
 * of the connections (16 at most) and a quarter of input and output are kept
 * for connections that the loop itself dials.
 */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clocks/trace.h"
#include "node/node.h"
#include "rpc/faults.h"

struct reactor;
struct rpc;

struct rpc_limits {
    uint32_t connections;     /* open at once, in and out */
    size_t connection_output; /* octets waiting on one connection */
    size_t total_output;      /* octets waiting on all together */
    size_t total_input;       /* octets of unfinished frames in all */
    uint32_t input_pause_ms;  /* that an unfinished frame does not grow */
    uint32_t input_age_ms;    /* until an unfinished frame is finished */
};

/* A line for a human, from the runtime or the node. Called in the loop's
 * thread. view and lamport are the node's at the time. */
struct rpc_log_line {
    enum log_level level;
    const char *host;
    uint64_t view;
    uint64_t lamport;
    const char *event; /* the event's name */
    const char *detail;
};
typedef void (*rpc_log_function)(void *context,
                                 const struct rpc_log_line *line);

/* The end of a local call (env_answer). The body is borrowed. */
typedef void (*rpc_answer_function)(void *context, uint64_t call,
                                    const Pbkv__Body *body);

/* A connection that was dialled is lost, or could not be made. It is an event
 * of the node, in the loop's thread, at the end of the turn. */
typedef void (*rpc_lost_function)(void *context, struct node *node,
                                  struct env *env,
                                  const struct address *address);

/* The end of an rpc that shares its reactor: no event comes after it. Called in
 * the loop's thread; the owner may free the rpc in there. */
typedef void (*rpc_end_function)(void *context);

/* Everything borrowed must stay alive as long as the rpc. */
struct rpc_config {
    const char *name;         /* of the host in traces, without incarnation */
    struct peer self;         /* address others reach us at, and incarnation.
                                 Without an address, or with port 0, it becomes
                                 what is in fact listened on */
    const char *listen;       /* address to listen on; NULL: do not listen */
    const char *persist_path; /* file of the durable record; NULL: none */
    const char *trace_path;   /* NULL: no trace */
    uint64_t trace_limit;     /* octets of the trace's file; 0: no limit */
    struct rpc_limits limits;
    struct faults faults;         /* faults_none() for none */
    uint32_t timer_scale_percent; /* stretches the node's timers; 100: as is */
    enum log_level log_level;
    rpc_log_function on_log; /* NULL: silence */
    rpc_answer_function on_answer;
    rpc_lost_function on_lost; /* NULL: of no interest */
    void *context;             /* of all these functions */

    /* The reactor to run in, with rpc_start; NULL: one of its own, with
     * rpc_run. on_end is for the former. */
    struct reactor *reactor;
    rpc_end_function on_end;
};

/* Returns a configuration with default limits, no faults, level INFO. */
struct rpc_config rpc_config_default(void);

/* Returns a new incarnation: microseconds since 1970, greater than any that
 * this process got before. Thread-safe. */
uint64_t rpc_new_incarnation(void);

/*
 * Makes a loop that owns node, and starts to listen. Returns 0 and the rpc for
 * the caller to free, or a negative errno: -EADDRINUSE, -EINVAL for a bad
 * address, what socket, bind, listen or opening the trace gave. On failure the
 * node is the caller's still, and *reason (if reason is not NULL) is a constant
 * sentence on what failed.
 */
int rpc_new(const struct rpc_config *config, struct node *node,
            struct rpc **result, const char **reason);

/* Returns the address in fact listened on (with the port that the system chose
 * for port 0), or an empty address. */
struct address rpc_listen_address(const struct rpc *rpc);

/*
 * Starts the node and runs the loop in this thread until it is told to stop.
 * Returns 0 after rpc_stop, or -ECANCELED after the node logged a FATAL event,
 * or the negative errno of a durable record that could not be written.
 */
int rpc_run(struct rpc *rpc);

/*
 * Starts the node in the reactor of its configuration, from any thread, and
 * returns at once. The end, after rpc_stop or for the reasons of rpc_run, is
 * told by on_end. Returns 0, or -ESHUTDOWN when the reactor has failed.
 */
int rpc_start(struct rpc *rpc);

/* Tells the loop to stop, from any thread or before it runs. Safe to repeat.
 * Not safe in a signal handler: use rpc_stop_on_signals. */
void rpc_stop(struct rpc *rpc);

/* Makes SIGINT and SIGTERM stop the loop, and ignores SIGPIPE and SIGXFSZ, so
 * that the calls behind them fail like any other. For programs, not for a
 * library in somebody else's process. Returns 0 or a negative errno. */
int rpc_stop_on_signals(struct rpc *rpc);

/* A function to run in the loop's thread, with the node and an env for its
 * effects. It is an event of the node like any other; what it calls of a role
 * ends with the role's own check. */
typedef void (*rpc_posted_function)(void *argument, struct node *node,
                                    struct env *env);

/* Runs function(argument, …) in the loop, in the order of posting, from any
 * thread. Returns 0, or -ESHUTDOWN once the loop was told to stop: then the
 * function will not run. A function accepted before the stop is run, or, if the
 * loop ends first, run with node and env NULL so that it can clean up, by
 * rpc_free at the latest. */
int rpc_post(struct rpc *rpc, rpc_posted_function function, void *argument);

/* The same from the loop's thread: costs no lock, and the function runs at the
 * end of the turn. Returns 0, or -ESHUTDOWN once the loop ends. */
int rpc_post_here(struct rpc *rpc, rpc_posted_function function,
                  void *argument);

/* Returns the value of a runtime counter or of a named event: 0 when it never
 * happened. Only from the loop's thread, or when the loop does not run. */
uint64_t rpc_count(const struct rpc *rpc, const char *name);

/* Returns the address and incarnation that frames of this rpc come from. */
struct peer rpc_self(const struct rpc *rpc);

/*
 * Reads a durable record as env_persist left it at persist_path, for the caller
 * to make a node from. Stores it with one reference for the caller, or NULL
 * when there is no file, and returns 0. Returns -EINVAL when it is not a file,
 * -EFBIG when it is over 64 MiB, or what opening or reading it gave.
 */
int rpc_read_record(const char *path, struct bytes **record);

/* Closes everything, removes a Unix socket it made, releases the node. Not
 * while the loop runs; if it shares a reactor, not between rpc_start and
 * on_end, and only in the reactor's thread then. NULL is allowed. */
void rpc_free(struct rpc *rpc);

#endif
