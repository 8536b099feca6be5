/* SPDX-License-Identifier: MIT */
/*
 * hosts: a whole store inside the test's own process: a view service and
 * servers, each a loop in a thread of its own, which talk over TCP on the
 * loopback device like the real programs. So a tool that watches one process
 * sees all of it: roles, loops, the library and the tests' own threads.
 *
 * A host that crashes stops between two events, and its sockets are closed: it
 * says goodbye to nobody, and what it had not sent is lost. Started again it is
 * a new life at the same address; a view service finds its state file.
 *
 * Timers are stretched by the time scale (time_scale.h). To wait is to look
 * again and again until something is so, with a deadline. Trouble with the
 * system ends the process with a message. Only the thread that made the hosts
 * may use them, except where a comment says so.
 */
#ifndef TESTS_HOSTS_H
#define TESTS_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/pbkv.h"
#include "node/node.h"

enum {
    HOSTS_SERVERS_MAX = 4,
    HOSTS_WAIT_MS = 10000, /* deadline of waiting for the expected */
};

struct hosts;

struct hosts_options {
    unsigned servers;       /* 1 to HOSTS_SERVERS_MAX */
    const char *faults;     /* of every server (rpc/faults.h); NULL: none */
    size_t chunk_octets;    /* of a transfer; 0: as the servers have it */
    uint32_t scale_percent; /* of the timers; 0: the time scale */
};

/* Starts a view service and the servers, one after the other, and waits until
 * server 0 is primary and server 1 (if there is one) its backup. Returns NULL
 * when that does not come true. The caller frees the hosts. */
struct hosts *hosts_new(const struct hosts_options *options);

/* Stops every host that runs, and frees all. */
void hosts_free(struct hosts *hosts);

/* Stops a server that runs, as a crash would, and starts one that does not run
 * as a new life at its address. */
void hosts_crash(struct hosts *hosts, unsigned server);
void hosts_restart(struct hosts *hosts, unsigned server);

/* The same for the view service, which goes on from its state file (V11). */
void hosts_crash_view_service(struct hosts *hosts);
void hosts_restart_view_service(struct hosts *hosts);

/* Returns the address of a server. Thread-safe. */
const char *hosts_address(const struct hosts *hosts, unsigned server);

/* Waits until the view has the newest lives of two servers as primary and
 * backup (backup -1: none), and the primary has acknowledged it, so that the
 * backup has its state. Stores the number of the view, if number is not NULL.
 * Returns false when that does not come true. */
bool hosts_settle(struct hosts *hosts, unsigned primary, int backup,
                  uint64_t *number);

/* Waits until both servers have applied the same operations and have the same
 * digest. Returns false when that does not come true. */
bool hosts_agree(struct hosts *hosts, unsigned one, unsigned other);

/* Opens a client of the store; its retries are stretched. The caller closes it.
 * Thread-safe. */
struct pbkv *hosts_open(const struct hosts *hosts);

#endif
