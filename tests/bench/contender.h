/* SPDX-License-Identifier: MIT */
/*
 * contender: who is measured: processes on loopback, in a temporary directory
 * that is theirs. They are started when they are first needed, filled with so
 * many keys, and run until the end of the benchmark, so that turns can go from
 * one to the other. One that has nothing to do costs a few pings a second.
 *
 * Only the main thread uses them: the processes die with it.
 */
#ifndef TESTS_BENCH_CONTENDER_H
#define TESTS_BENCH_CONTENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/cluster.h"

enum contender_kind {
    STORE,     /* view service, primary, backup */
    UNSTAMPED, /* the same, whose messages carry no clocks */
    REDIS,     /* Redis, primary and replica, nothing on disk */
    FLOOR,     /* two echo servers, one relaying to the other */
    CEILING,   /* one echo server */
    MACHINE    /* nobody: what the machine itself can do */
};

enum { VALUE_SIZE = 100 };

struct contender {
    enum contender_kind kind;
    uint32_t keys; /* that it was filled with */
    struct cluster *cluster;
    uint16_t port;              /* of Redis and echo servers */
    struct process *servers[2]; /* primary, backup; the second may be NULL */
};

struct contenders;

/* Makes an empty set, for programs from this build, whose folder is absolute.
 * The caller frees it. */
struct contenders *contenders_new(const char *build);

/* Ends all processes and frees everything. */
void contenders_free(struct contenders *contenders);

/* Returns the contender of a kind that holds so many keys, started and filled
 * if need be; NULL, after a message, when that fails. */
struct contender *contenders_get(struct contenders *contenders,
                                 enum contender_kind kind, uint32_t keys);

/* Returns the folder of the programs that measure it. */
const char *contenders_build(const struct contenders *contenders);

/* Adds a view service and a primary and, if asked, its backup to a cluster, and
 * waits until they are that. Returns false when it does not come true. */
bool store_form(struct cluster *cluster, struct process *servers[2],
                bool with_backup);

/* Returns microseconds of processor time that the servers have used. */
double contender_cpu_us(const struct contender *contender);

/* Returns the resident memory of a process in octets, 0 when it has none. */
double process_memory(const struct process *process);

#endif
