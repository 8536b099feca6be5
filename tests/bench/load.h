/* SPDX-License-Identifier: MIT */
/*
 * load: one measurement: a loader, which is a process of its own (`pbkv bench`
 * or the benchmark's loader), at work on a contender, and what came out.
 */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct contender;

/* What a loader is to do. */
struct load {
    uint32_t connections;
    uint32_t outstanding; /* on each */
    uint32_t value_size;
    uint32_t seconds; /* when count is 0 */
    uint32_t count;   /* operations */
    bool reads;       /* otherwise it writes */
    bool fills;       /* before: every key once */
};

/* What came out. All 0 where it does not apply. */
struct outcome {
    double throughput; /* operations per second */
    double p50_us;
    double p90_us;
    double p99_us;
    double p999_us;
    double max_us;
    double server_us;  /* processor time of both servers for one operation */
    double loader_us;  /* and of the loader */
    double figure;     /* of a case with a measure of its own */
    json_t *quantiles; /* pairs of share and microseconds; or NULL */
};

/* Frees what an outcome holds, and empties it. */
void outcome_release(struct outcome *outcome);

/* A loader at work. */
struct loading {
    pid_t pid;
    int out;          /* where it writes its result */
    double server_us; /* used by the servers before */
    const struct contender *contender;
    uint32_t seconds;
};

/* Starts a loader. build is the folder of the programs. Returns false, after a
 * message, when it cannot be started. */
bool load_start(const char *build, const struct contender *contender,
                const struct load *load, struct loading *loading);

/* Waits for a loader's end and stores the outcome, for the caller to release.
 * Returns false, after a message, when there is none. */
bool load_finish(struct loading *loading, struct outcome *outcome);

/* Does both. */
bool load_run(const char *build, const struct contender *contender,
              const struct load *load, struct outcome *outcome);

/* Writes every key of a contender once, with values of so many octets. Returns
 * false, after a message, when that fails. */
bool load_fill(const char *build, const struct contender *contender,
               uint32_t value_size);

#endif
