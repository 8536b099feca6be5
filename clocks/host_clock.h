/* SPDX-License-Identifier: MIT */
/*
 * host_clock: the two clocks of one host, which always move together: every
 * send, every receipt and every logged event is one tick of both and one line
 * of the trace (rules K1 to K3). Runtimes call this in one place each, so that
 * no handler can forget it.
 *
 * What stays bounded (rule K4). A server merges the whole clock of a message it
 * receives; for the line of the receipt the sender's entry is in its clock.
 * When the sender is a client, the entry is forgotten at the server's next
 * event, so a server's clock names servers and view services only and a
 * thousand clients cost nothing. Nothing is lost between servers, and a
 * client's event is still found: the line of the receipt names it, and every
 * later event names that line.
 *
 * Not thread-safe: a host clock belongs to one thread.
 */
#ifndef CLOCKS_HOST_CLOCK_H
#define CLOCKS_HOST_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clocks/lamport.h"
#include "clocks/vector.h"
#include "pbkv.pb-c.h"

struct host_clock {
    struct lamport lamport;
    struct vclock vector;
    /* A client's name that the next event forgets; empty: none. */
    char passing[HOST_NAME_MAX_LENGTH + 1];
};

/* Makes the clocks of a new host. A restarted server is a new host. */
void host_clock_init(struct host_clock *clock, const char *host);

/* Returns the host's name. */
const char *host_clock_name(const struct host_clock *clock);

/* Moves both clocks for a send or a logged event. */
void host_clock_tick(struct host_clock *clock);

/*
 * Checks the stamp of a frame from somebody else: at least one entry and at
 * most CLOCK_ENTRIES_LIMIT, valid and distinct host names, times from 1 to
 * LAMPORT_MAX, Lamport time from 1 to LAMPORT_MAX. The first entry is the
 * sender's own. Returns 0 or -EPROTO.
 */
int host_clock_check_stamp(const Pbkv__Frame *frame);

/*
 * Moves both clocks for the receipt of a frame that host_clock_check_stamp
 * accepts. sender_passes says that the sender is a client whose entry is not to
 * be kept. Returns whether the stamp was honest about this host: false when it
 * claims more events of this host than there were; the claim is ignored.
 */
bool host_clock_receive(struct host_clock *clock, const Pbkv__Frame *frame,
                        bool sender_passes);

/* Storage for the entries of an outgoing frame. */
struct stamp_storage {
    Pbkv__ClockEntry entries[CLOCK_ENTRIES_LIMIT];
    Pbkv__ClockEntry *pointers[CLOCK_ENTRIES_LIMIT];
};

/* Points the stamp fields of frame at the clocks, using storage. The frame is
 * good until the clock moves. */
void host_clock_stamp(const struct host_clock *clock, Pbkv__Frame *frame,
                      struct stamp_storage *storage);

#endif
