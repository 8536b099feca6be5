/* SPDX-License-Identifier: MIT */
/*
 * special: the measurements that are no plain load: a state transfer, a
 * failover, the memory of a server. Each is one turn of a series.
 */
#ifndef TESTS_BENCH_SPECIAL_H
#define TESTS_BENCH_SPECIAL_H

#include <stdbool.h>

#include "tests/bench/cases.h"
#include "tests/bench/contender.h"

struct failover;  /* a store whose primaries are killed; see special_failover.c
                   */
struct transfers; /* a store that gets one backup after the other; see
                     special_transfer.c */

/* What they need, and keep between turns. */
struct special {
    struct contenders *contenders;
    bool quick; /* with a tenth of the keys */
    struct failover *failovers;
    struct transfers *transfers; /* until the end of their case */
};

/* Frees what was kept between turns. */
void special_release(struct special *special);
void special_release_transfers(struct special *special);

/* The figure is MB/s (keys and values, 10^6 octets) from the primary's
 * transfer.started to its transfer.done; the rest is of a load that began
 * before the transfer and ended after it. */
bool measure_transfer(struct special *special, const struct series *series,
                      struct outcome *outcome);

/* The figure is MB/s at which a process sends as many octets over one
 * connection and another one stores them in new memory. */
bool measure_storing(struct special *special, const struct series *series,
                     struct outcome *outcome);

/* The figure is milliseconds from SIGKILL of the primary to the answer of the
 * first operation that a client began after it. */
bool measure_failover(struct special *special, const struct series *series,
                      struct outcome *outcome);

/* The figure is the resident memory of a server in MiB. */
bool measure_memory(struct special *special, const struct series *series,
                    struct outcome *outcome);

/* Returns the keys of a series, fewer in a quick run. */
uint32_t special_keys(const struct special *special,
                      const struct series *series);

#endif
