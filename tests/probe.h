/* SPDX-License-Identifier: MIT */
/*
 * probe: a node for tests of the runtime, a thread to run it in, and a recorder
 * to wait on. The probe answers an Echo, notes everything that happens to it as
 * a named event, and otherwise does what is posted to it. The recorder counts
 * events by name, so a test waits for what it expects and never sleeps.
 *
 * Only wait and count in the main thread; the loop's thread only records.
 */
#ifndef TESTS_PROBE_H
#define TESTS_PROBE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/node.h"
#include "rpc/rpc.h"

enum { PROBE_PATH_SIZE = 100, PROBE_NAMES_MAX = 64, PROBE_ORDER_SIZE = 256 };

/* Named events: "probe.start", "probe.echo" for an Echo, "probe.reply" for an
 * EchoReply, "probe.timer0" to "probe.timer7". */
struct probe {
    struct node node;
    void (*at_start)(struct env *env); /* NULL: nothing */
    bool frail;                        /* an Echo is the end of it */
    unsigned echoes;                   /* that have arrived */
    bool *released;                    /* set when it is released; or NULL */
};

/* What happened, by name. */
struct recorder {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    char names[PROBE_NAMES_MAX][EVENT_NAME_MAX];
    uint64_t counts[PROBE_NAMES_MAX];
    size_t name_count;
    char order[PROBE_ORDER_SIZE]; /* last characters of timer names, in order */
    uint64_t answers;
};

/* An rpc with a probe, run in a thread of its own. */
struct runner {
    struct recorder recorder;
    struct rpc_config config;
    struct rpc *rpc;
    struct probe *probe;
    struct peer self;
    pthread_t thread;
    bool running;
    int result; /* of rpc_run */
};

/* Makes a runner whose configuration can still be changed: address is what it
 * listens on ("unix:…", "127.0.0.1:0") or, when it begins with "client:", only
 * its name. */
void runner_init(struct runner *runner, const char *name, const char *address);

/* Makes the rpc. Returns what rpc_new returns. */
int runner_open(struct runner *runner);

/* Starts the thread. */
void runner_start(struct runner *runner);

/* Makes the rpc, which must succeed, and starts the thread. */
void runner_go(struct runner *runner);

/* Waits for the loop to end and returns what rpc_run returned. */
int runner_join(struct runner *runner);

/* Stops the loop if it runs, and frees everything. */
void runner_end(struct runner *runner);

/* Sends `count` echoes of `size` octets to a peer, from the node. */
void runner_echo(struct runner *runner, const struct peer *to, unsigned count,
                 size_t size);

/* Waits until the event was recorded at least so often; fails the test when
 * that takes too long. "answer" counts answers to local calls. */
void runner_await(struct runner *runner, const char *event, uint64_t count);

/* Returns how often the event was recorded. */
uint64_t runner_recorded(struct runner *runner, const char *event);

/* Returns a counter of the rpc, asked for in the loop's thread. */
uint64_t runner_count(struct runner *runner, const char *counter);

/* Makes a new directory for the test and stores its name. */
void directory_make(char path[PROBE_PATH_SIZE]);

/* Removes the directory and the files in it. */
void directory_remove(const char *path);

#endif
