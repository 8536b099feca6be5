/* SPDX-License-Identifier: MIT */
/*
 * counters: how often each named thing happened, by name.
 */
#ifndef RPC_COUNTERS_H
#define RPC_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

struct counter;

struct counters {
    struct counter *table; /* NULL: empty */
};

/* Adds amount to the counter called name, which begins at 0. The name is
 * copied and has fewer than EVENT_NAME_MAX octets. */
void counters_add(struct counters *counters, const char *name, uint64_t amount);

/* Returns the value of a counter; 0 when nothing was added to it. */
uint64_t counters_value(const struct counters *counters, const char *name);

/* Calls visit for every counter, in the order of their names. */
void counters_visit(struct counters *counters,
                    void (*visit)(void *context, const char *name,
                                  uint64_t value),
                    void *context);

/* Returns the number of counters. */
size_t counters_count(const struct counters *counters);

/* Frees all counters. */
void counters_release(struct counters *counters);

#endif
