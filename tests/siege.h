/* SPDX-License-Identifier: MIT */
/*
 * siege: a store of real processes under attack, and what has to hold
 * meanwhile. A siege is a view service with a primary, a backup and an idle
 * server, and a few well-behaved clients, the witnesses, each with a thread and
 * a handle of its own, who get, put and append all the time and remember what
 * they were told.
 *
 *     siege_begin(&siege);        the witnesses work in peace for a while
 *     siege_attack(&siege);       from here on their times count as attacked
 *     … raw sockets …
 *     siege_end(&siege, limit);   judges
 *
 * siege_end asserts that no process has died or was replaced, that the history
 * of the witnesses is linearizable and none of their calls was lost, that the
 * slowest hundredth of their calls took at most ten times as long as in peace
 * (on a machine that is busy with something else, an idle thread that only
 * sleeps and wakes up says what could not be better), that no process used more
 * memory and descriptors than it may, and that none is busy once everybody has
 * gone. It prints the figures.
 */
#ifndef TESTS_SIEGE_H
#define TESTS_SIEGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/message.h"
#include "sim/history.h"
#include "tests/cluster.h"

enum {
    SIEGE_SERVERS = 3,
    SIEGE_PROCESSES = SIEGE_SERVERS + 1, /* the view service is the last */
    SIEGE_WITNESSES = 3,
    SIEGE_PEACE_MS = 800,
    SIEGE_CALLS_MAX = 20000, /* of one witness that are timed */
    SIEGE_FACTOR = 10,       /* slower than in peace, at most */
    SIEGE_FLOOR_US = 10000,  /* what peace counts as at least: on a busy machine
                                ten times less means nothing */
    SIEGE_HANDOFFS = 6, /* threads that wake up one after the other in a call */
};

/* What a process used. */
struct usage {
    uint64_t rss_kib;
    uint64_t peak_kib;
    uint64_t cpu_ms;
    unsigned descriptors;
};

struct witness {
    struct siege *siege;
    struct pbkv *handle;
    pthread_t thread;
    uint32_t number;
    uint32_t calls[2];  /* in peace; under attack */
    uint32_t *times[2]; /* of them, in microseconds */
    uint32_t unknown;   /* calls whose outcome nobody knows */
};

/* A thread that asks nobody: how late it wakes up is the machine's doing. */
struct sleeper {
    struct siege *siege;
    pthread_t thread;
    uint32_t latest_us; /* under attack */
};

struct siege {
    struct cluster *cluster;
    struct process *processes[SIEGE_PROCESSES];
    struct pbkv_view view;
    struct usage before[SIEGE_PROCESSES];
    struct witness witnesses[SIEGE_WITNESSES];
    struct sleeper sleeper;

    pthread_mutex_t mutex; /* guards what follows */
    struct history history;
    bool attacked;
    bool over;
};

/* Limits to judge by. */
struct siege_limits {
    uint64_t memory_kib;  /* more than before the attack, at the peak */
    unsigned descriptors; /* more than before, when all has passed */
};

/* Makes the store, with more arguments for every server, up to a NULL (or NULL:
 * none), and lets the witnesses work in peace. */
void siege_begin(struct siege *siege, const char *const *more);

/* Ends the peace. */
void siege_attack(struct siege *siege);

/* Ends the attack, judges, and frees everything. */
void siege_end(struct siege *siege, struct siege_limits limits);

/* Returns what a process uses now. */
struct usage siege_usage(const struct process *process);

/* Asserts that a process counts this event at least so often in its status. */
void siege_expect(struct siege *siege, unsigned process, const char *event,
                  uint64_t count);

/* Dials a process; the socket blocks. */
int siege_dial(struct siege *siege, unsigned process);

/* Returns whether memory and its limits are the store's own, not those of a
 * sanitizer. */
bool siege_memory_counts(void);

/* Lets the witnesses work for so many milliseconds. */
void siege_wait(uint32_t ms);

/* A frame of somebody's, packed for the wire. */
struct forged {
    struct peer from;
    uint64_t lamport;
    size_t clock_entries; /* at least 1 */
    const Pbkv__Body *body;
};

/* Returns the frame with its length in front; the caller frees it. */
uint8_t *forged_pack(const struct forged *forged, size_t *size);

/* Sends a forged frame as client:1; returns false when the other side has
 * closed. */
bool forged_send(int fd, const Pbkv__Body *body);

#endif
