/* SPDX-License-Identifier: MIT */
/*
 * tool_flight: many calls under way at once, for load and verify. A flight is
 * an entry on its way: a put of it, or a get that compares what is stored with
 * it. It keeps its entry, so it can start again.
 *
 * Entries with the same key never fly together: updates that do may take effect
 * in any order, and the later one has to win. The octets in the air are bounded
 * too, so large values do not add up.
 *
 * All functions belong to the thread that made the flights. Flights must
 * outlive the handle: close it first, which lands them all.
 */
#ifndef CLIENT_TOOL_FLIGHT_H
#define CLIENT_TOOL_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/pbkv.h"
#include "client/tool_source.h"

enum { FLIGHTS_MAX = 256 };

enum flight_kind { FLIGHT_PUT, FLIGHT_GET };

struct flights;

struct flight {
    struct flights *flights;
    struct item item;
    uint64_t deadline_ns; /* when it is given up */

    /* How it landed. */
    enum pbkv_status status;
    bool same; /* of a get that is PBKV_OK: the value is the item's */

    enum flight_phase { FLIGHT_FREE, FLIGHT_FLYING, FLIGHT_LANDED } phase;
};

/* Makes room for count flights, at most FLIGHTS_MAX, each of which is given up
 * after deadline_ms. The caller frees them with flights_free. */
struct flights *flights_new(struct pbkv *store, enum flight_kind kind,
                            uint32_t count, uint32_t deadline_ms);

/* Frees the flights; none may be in the air. NULL is allowed. */
void flights_free(struct flights *flights);

/* Returns whether an item may start now. */
bool flights_can_start(const struct flights *flights, const struct item *item);

/* Starts a flight, and takes the item's octets. */
void flights_start(struct flights *flights, struct item *item);

/* Returns a flight that has landed, or NULL when none does in wait_ms. The
 * caller then ends it, or starts it again. */
struct flight *flights_land(struct flights *flights, uint32_t wait_ms);

/* Starts a flight that has landed once more, with what is left of its time.
 * Returns false when there is nothing left. */
bool flight_again(struct flight *flight);

/* Ends a flight that has landed. */
void flight_end(struct flight *flight);

/* Returns how many flights were started and not yet ended. */
uint32_t flights_busy(const struct flights *flights);

#endif
