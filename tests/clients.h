/* SPDX-License-Identifier: MIT */
/*
 * clients: many threads that put, append and get on a few keys, and the history
 * of what they asked and were told (sim/history.h), which the linearizability
 * checker judges. Every value is a token of its own, "<thread>.<number>;".
 *
 * Each thread makes one blocking call after the other. The threads share a
 * number of handles. A call whose outcome is unknown stays open in the history,
 * and its thread goes on as another process.
 */
#ifndef TESTS_CLIENTS_H
#define TESTS_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/hosts.h"

struct clients_plan {
    unsigned threads;
    unsigned handles;    /* that they share, at least 1 */
    unsigned keys;       /* that they share */
    unsigned operations; /* of each thread */
};

struct clients;

/* Opens the handles and starts the threads. The caller frees the clients. */
struct clients *clients_start(const struct hosts *hosts,
                              const struct clients_plan *plan);

/* Waits until at least count operations were answered. Returns false when all
 * threads have ended before. */
bool clients_reach(struct clients *clients, unsigned count);

/* Waits for the threads to end and closes the handles. Returns how many
 * operations were answered; the outcome of the others is unknown. */
unsigned clients_finish(struct clients *clients);

/* Judges the history, after clients_finish. Returns NULL when it is
 * linearizable, or a sentence that is good until the clients are freed. */
const char *clients_judge(struct clients *clients);

/* Frees the clients, which have to be finished. */
void clients_free(struct clients *clients);

#endif
