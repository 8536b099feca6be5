/* SPDX-License-Identifier: MIT */
/*
 * clients: many clients that work at the same time, each with a handle, a
 * session and a thread of its own, and the record of what they asked and were
 * told, in the form that lincheck reads.
 *
 * Keys belong to an epoch of EPOCH_MS and are used by all clients then, so that
 * no key has more operations than a search for an order can deal with. Some are
 * written and read in every way; others are only appended to and read. Each of
 * these is at last read once more, and has to have every token that an
 * acknowledged append brought exactly once, and any other at most once.
 */
#ifndef TESTS_CHAOS_CLIENTS_H
#define TESTS_CHAOS_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

struct clients;

struct clients_plan {
    const char *view_address;
    unsigned clients;
    uint64_t seed;
    uint32_t deadline_ms;
    const char *record; /* file */
};

struct clients_figures {
    uint64_t done;           /* operations that were answered */
    uint64_t unknown;        /* whose outcome is unknown */
    uint64_t failed;         /* that were refused, or gets without an answer */
    uint64_t appends;        /* acknowledged */
    uint64_t longest_gap_ms; /* without any answer */
    uint64_t longest_gap_at_ms; /* when it ended, since the start */
};

/* Opens the record and the handles and starts the clients. Returns NULL when
 * the record or a handle cannot be opened. The caller frees the clients. */
struct clients *clients_start(const struct clients_plan *plan);
void clients_free(struct clients *clients);

/* Returns whether every client has been answered in an operation that it began
 * at this moment (cluster_now_ms) or later. */
bool clients_all_go_on(struct clients *clients, uint64_t since_ms);

/* Returns the figures so far. */
struct clients_figures clients_figures(struct clients *clients);

/* Ends the clients' work and waits for them. */
void clients_stop(struct clients *clients);

/* After clients_stop: reads what was appended, and closes the record. Returns
 * NULL when all is well, or a sentence that is good until clients_free. */
const char *clients_audit(struct clients *clients);

#endif
