/* SPDX-License-Identifier: MIT */
/*
 * tool_bench: the load of `pbkv bench`. It has many clients, each a handle of
 * the library with a connection of its own, in few threads, and lets them work
 * in stages. In a stage every client keeps so many operations under way: when
 * one ends, its callback records how long it took and starts the next, so a
 * measurement is no work but the library's own. The main thread only watches.
 *
 * What a thread counts, it counts under a lock of its own, for which nobody
 * competes but the main thread, ten times a second.
 */
#ifndef CLIENT_TOOL_BENCH_H
#define CLIENT_TOOL_BENCH_H

#include <stdint.h>

#include "client/tool.h"
#include "client/tool_measure.h"

enum bench_stage {
    BENCH_TOUCH,  /* one read of every client: it has a connection then */
    BENCH_FILL,   /* every key is written once, in order */
    BENCH_MEASURE /* reads and writes of keys chosen at random */
};

struct bench_plan {
    uint32_t clients;
    uint32_t outstanding;
    uint32_t threads; /* that the clients share */
    uint32_t value_size;
    uint32_t keys;
    uint32_t read_share; /* percent */
    uint32_t seed;
    uint32_t seconds; /* of BENCH_MEASURE, when count is 0 */
    uint32_t count;   /* operations of BENCH_MEASURE; 0: as time permits */
};

struct bench;

/* Opens the handles. The caller ends with bench_close. Returns TOOL_OK, or
 * after a message the status to exit with. The plan is borrowed. */
int bench_open(struct tool *tool, const struct bench_plan *plan,
               struct bench **bench);

/* Runs a stage to its end, or until a signal asks to stop, and stores what came
 * out in *measure. Returns PBKV_OK, or how the first operation that failed
 * ended. Only in the main thread. */
enum pbkv_status bench_run(struct bench *bench, enum bench_stage stage,
                           struct measure *measure);

/* Closes the handles and frees the load. NULL is allowed. */
void bench_close(struct bench *bench);

#endif
