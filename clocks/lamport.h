/* SPDX-License-Identifier: MIT */
/*
 * lamport: a logical clock that orders events consistently with
 * happened-before (Lamport, "Time, Clocks, and the Ordering of Events in a
 * Distributed System", 1978). If a happened before b, then a's time is less
 * than b's; the converse does not hold, for which see vector.h.
 *
 * Not thread-safe: a clock belongs to one thread.
 */
#ifndef CLOCKS_LAMPORT_H
#define CLOCKS_LAMPORT_H

#include <stdint.h>

/* The clock stops here instead of wrapping around. A frame beyond it is
 * refused; see K4 in docs/protocol.md. */
#define LAMPORT_MAX ((uint64_t)1 << 62)

struct lamport {
    uint64_t time; /* of the newest event; 0 before the first */
};

/* Advances the clock for a send or a logged event and returns the event's time
 * (rule K1). */
uint64_t lamport_tick(struct lamport *clock);

/* Advances the clock for the receipt of a message stamped `received` to
 * max(own, received) + 1 and returns it (rule K1). */
uint64_t lamport_receive(struct lamport *clock, uint64_t received);

#endif
