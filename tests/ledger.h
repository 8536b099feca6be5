/* SPDX-License-Identifier: MIT */
/*
 * ledger: many clients append at once, and afterwards the store is audited.
 * Every append is a token of its own, "<client>.<number>;", so the values show
 * what took effect, how often and in which order:
 *
 * - an append that was acknowledged is there exactly once;
 * - one whose outcome is unknown is there at most once;
 * - acknowledged appends of one client to one key are there in the order in
 *   which the client made them;
 * - there is nothing else.
 *
 * Each client is a thread that makes one blocking call after the other.
 */
#ifndef TESTS_LEDGER_H
#define TESTS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/cluster.h"

struct ledger_plan {
    unsigned clients;     /* threads */
    unsigned keys;        /* that they share */
    unsigned appends;     /* of each client */
    bool own_handles;     /* a handle for each client; otherwise one for all */
    uint32_t deadline_ms; /* of each append; 0: 5000, stretched */
};

struct ledger;

/* Opens the handles and starts the clients. The caller frees the ledger. */
struct ledger *ledger_start(struct cluster *cluster,
                            const struct ledger_plan *plan);

/* Waits until at least count appends have been acknowledged. Returns false when
 * the usual deadline passes first. */
bool ledger_reaches(struct ledger *ledger, uint64_t count);

/* Waits for the clients to end and closes their handles. Returns how many
 * appends were acknowledged; all others are unknown. */
uint64_t ledger_finish(struct ledger *ledger);

/* Audits the store, after ledger_finish. Returns NULL when all is well, or a
 * sentence that is good until the ledger is freed. */
const char *ledger_audit(struct ledger *ledger, struct pbkv *store);

/* Frees the ledger, which has to be finished. */
void ledger_free(struct ledger *ledger);

#endif
