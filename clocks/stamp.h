/* SPDX-License-Identifier: MIT */
/*
 * stamp: a short cut through host_clock_receive. The stamps that arrive on one
 * connection list the same hosts in the same order, nearly always; so where
 * they are in our clock is noted, and as long as the clock lists the same hosts
 * at the same places (vclock.changes), there is nothing to look for, only times
 * to raise.
 *
 * A client's entry, which host_clock_receive lists until the next event (rule
 * K4), is not even listed here. Only the line of the receipt would show it: who
 * writes a trace takes host_clock_receive for receipts from clients.
 *
 * Wherever anything is unusual, stamp_receive does nothing and says so; then
 * host_clock_receive does it. Leaving this file out changes no clock.
 */
#ifndef CLOCKS_STAMP_H
#define CLOCKS_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "clocks/host_clock.h"

/* Where in a clock the hosts of a stamp are. All zeros: not noted. */
struct stamp_places {
    uint64_t changes; /* of the clock when this was noted; 0: it was not */
    uint8_t places[CLOCK_ENTRIES_LIMIT];
};

/*
 * Does what host_clock_receive does, but for a client's entry, and stores in
 * honest what that returns; or returns false without having changed anything.
 * The frame lists the same hosts in the same order as the one for which the
 * places were noted, and its sender passes as that one's did, or the places are
 * all zeros.
 */
bool stamp_receive(struct host_clock *clock, struct stamp_places *places,
                   const Pbkv__Frame *frame, bool sender_passes, bool *honest);

#endif
