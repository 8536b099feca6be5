/* SPDX-License-Identifier: MIT */
/*
 * live: what live tests of several labs share. The programs are real
 * (tests/cluster.h), clients append all at once, and what they were told is
 * audited (tests/ledger.h).
 */
#ifndef TESTS_LABS_LIVE_H
#define TESTS_LABS_LIVE_H

#include "tests/cluster.h"
#include "tests/labs/lab.h"
#include "tests/ledger.h"

/* Starts a view service and servers; fails if the first of them do not become
 * primary and backup. */
void live_form(struct lab *lab, struct cluster *cluster,
               struct process **servers, unsigned count);

/* Fails if no acknowledged view has these as primary and backup (NULL: none) in
 * time. */
void live_settles(struct lab *lab, struct cluster *cluster,
                  const struct process *primary, const struct process *backup);

/* Fails if the clients do not come to so many acknowledged appends. */
void live_reaches(struct lab *lab, struct ledger *ledger, uint64_t count);

/* Waits for the clients to end. Fails if an append that was acknowledged is not
 * there once and in order, or if fewer than `least` were. Frees the ledger. */
void live_audit(struct lab *lab, struct cluster *cluster, struct ledger *ledger,
                uint64_t least);

#endif
