/* SPDX-License-Identifier: MIT */
/*
 * reads: answers to reads that wait for a confirmation. The primary reads at
 * once, from its newest state, and holds the answer back until the backup has
 * confirmed two things (rule P4): that it has applied everything the answer may
 * show, and that it was still in this view after the read arrived. Without the
 * second a primary that was deposed without knowing could serve old values.
 */
#ifndef PBSERVER_READS_H
#define PBSERVER_READS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/bytes.h"
#include "node/view.h"
#include "pbkv.pb-c.h"

struct waiting_read {
    struct peer client;
    uint64_t call;
    uint64_t op;          /* must be committed first */
    uint64_t round;       /* must be confirmed first */
    struct bytes *answer; /* encoded Reply or Page */
    Pbkv__Body__KindCase what;
};

/* A queue in the order of arrival, in which round never falls. */
struct reads {
    struct waiting_read *queue;
    size_t head;
    size_t count; /* from head on */
    size_t capacity;
    size_t octets;       /* of all answers */
    size_t newest_count; /* how many wait for the newest round */
};

/* Makes an empty queue. */
void reads_init(struct reads *reads);

/* Frees everything that waits. */
void reads_release(struct reads *reads);

/* Makes copy a copy that shares the answers. copy is not initialised. */
void reads_clone(const struct reads *reads, struct reads *copy);

/* Adds a read at the end; takes its answer over. */
void reads_push(struct reads *reads, const struct waiting_read *read);

/* Returns the i-th of the reads that wait, the oldest first, borrowed; NULL
 * when there are not so many. */
const struct waiting_read *reads_at(const struct reads *reads, size_t i);

/* Returns the greatest round that a read waits for, 0 when none waits. */
uint64_t reads_newest_round(const struct reads *reads);

/* Removes the i-th read. */
void reads_remove(struct reads *reads, size_t i);

/* Describes all reads. */
void reads_describe(const struct reads *reads, struct sink *sink);

#endif
