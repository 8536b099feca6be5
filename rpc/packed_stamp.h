/* SPDX-License-Identifier: MIT */
/*
 * packed_stamp: the stamp of the frames that leave, as it is on the wire. From
 * one frame to the next the same hosts are in it and few times have changed; so
 * the last one is kept, and as long as the clock lists the same hosts at the
 * same places (vclock.changes) only those times are written again. Otherwise it
 * is packed anew from what host_clock_stamp says.
 *
 * The octets are the same either way.
 */
#ifndef RPC_PACKED_STAMP_H
#define RPC_PACKED_STAMP_H

#include <stddef.h>
#include <stdint.h>

#include "clocks/host_clock.h"

enum {
    /* Octets of an entry at the most: two of its tag and length, the name with
     * two more, the time with its tag. */
    PACKED_ENTRY_MAX = 2 + 2 + HOST_NAME_MAX_LENGTH + 1 + 10,
    PACKED_VECTOR_MAX = CLOCK_ENTRIES_LIMIT * PACKED_ENTRY_MAX,
};

/* A Lamport time, and the field vector of a Frame. All zeros: nothing has been
 * packed. */
struct packed_stamp {
    uint64_t lamport;
    size_t length; /* of the octets in use */
    uint8_t octets[PACKED_VECTOR_MAX];

    /* How they came about. */
    uint64_t changes; /* of the clock */
    size_t count;     /* of entries */
    uint64_t times[CLOCK_ENTRIES_LIMIT];
    uint16_t places[CLOCK_ENTRIES_LIMIT]; /* of the times, in octets */
    uint8_t lengths[CLOCK_ENTRIES_LIMIT]; /* of the times there */
};

/* Makes packed the stamp of the clock, which is always the same one and whose
 * newest tick is the send. */
void packed_stamp_update(struct packed_stamp *packed,
                         const struct host_clock *clock);

#endif
