/* SPDX-License-Identifier: MIT */
/*
 * microscope: lab 2C's small store under the explorer. It has a view service,
 * two servers with a planted bug and two clients: client:1 appends twice,
 * client:2 reads three times. A search begins where view 2 had a backup, both
 * clients got an answer there, the view service has given s1 up, which does not
 * know it, and client:1 has appended again, at s2.
 *
 * A schedule is a file of the explorer, one event a line (sim/explorer.h). The
 * microscope finds one, makes it short, and goes through it once more with
 * clocks: each event gets its Lamport time and its vector clock, by the rules
 * K1 and K2, with one tick an event.
 */
#ifndef TESTS_LABS_MICROSCOPE_H
#define TESTS_LABS_MICROSCOPE_H

#include "clocks/vector.h"
#include "sim/explorer.h"

enum { MICROSCOPE_NODES = 5, MICROSCOPE_EVENTS_MAX = 400 };

/* An event of a schedule, gone through with clocks. */
struct observed {
    uint32_t node;
    Pbkv__Body__KindCase received;  /* NOT_SET: no message */
    bool answers[MICROSCOPE_NODES]; /* it sent a Reply to this node */
    uint64_t lamport;
    uint64_t vector[MICROSCOPE_NODES];
    char text[160];
};

struct schedule {
    struct observed events[MICROSCOPE_EVENTS_MAX];
    size_t count;
    uint64_t views[MICROSCOPE_NODES]; /* that nodes know at the end */
};

struct microscope;

/* Returns a new microscope; the caller frees it. */
struct microscope *microscope_new(void);
void microscope_free(struct microscope *microscope);

/* Returns the name of a node ("s1"). */
const char *microscope_name(uint32_t node);

/* Searches for a violation and writes the schedule that it finds to a file.
 * Returns false when there is none among `states` states and some random walks
 * from the seed. */
bool microscope_find(struct microscope *microscope, uint64_t states,
                     uint64_t seed, const char *path);

/* Leaves out of a schedule's file whatever does not matter for its violation.
 * Returns false when it is no schedule with one. */
bool microscope_minimise(struct microscope *microscope, const char *path);

/* Goes through a schedule's file. Returns what it violates, or NULL. *events
 * gets the number of events, *spare how many of them could be left out one by
 * one with the same violation. Returns "" when it is no schedule. */
const char *microscope_replay(struct microscope *microscope, const char *path,
                              size_t *events, size_t *spare);

/* Goes through a schedule's file with clocks. Returns false when it is none. */
bool microscope_observe(const char *path, struct schedule *schedule);

/* Compares two events by their vector clocks. */
enum vclock_order microscope_order(const struct observed *a,
                                   const struct observed *b);

#endif
