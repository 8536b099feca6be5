/* SPDX-License-Identifier: MIT */
/*
 * load: a steady load for a long time: clients that put and get the keys of a
 * fixed set at a fixed pace, and newcomers, who open a handle, put once and go,
 * so that sessions come and are forgotten. Keeps no more than the durations of
 * the operations of one interval.
 */
#ifndef TESTS_CHAOS_LOAD_H
#define TESTS_CHAOS_LOAD_H

#include <stdint.h>

struct load;

/* What happened since the last time. */
struct load_interval {
    uint64_t operations;
    uint64_t failed; /* without an answer */
    uint64_t newcomers;
    double p50_ms;
    double p99_ms; /* 0: there were no operations */
};

/* Starts clients of the store behind a view service. Returns NULL when a handle
 * cannot be opened. load_stop ends and frees it. */
struct load *load_start(const char *view_address, unsigned clients);
void load_stop(struct load *load);

/* Returns what has happened, and begins the next interval. */
struct load_interval load_take(struct load *load);

#endif
