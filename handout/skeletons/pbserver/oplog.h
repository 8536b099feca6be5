/* SPDX-License-Identifier: MIT */
/*
 * oplog: operations with consecutive numbers and who waits for them; yours in
 * lab 2B. requests.c of lab 1B uses what is declared here.
 */
#ifndef PBSERVER_OPLOG_H
#define PBSERVER_OPLOG_H

#include <stddef.h>
#include <stdint.h>

#include "node/view.h"
#include "pbserver/state.h"

struct log_entry {
    struct operation operation;
    struct peer client; /* who waits for the answer; absent: nobody */
    uint64_t call;
};

struct oplog {
    size_t count;  /* of entries */
    size_t octets; /* of all entries */
    struct log_entry *entries;
};

/* Adds the next entry; takes the operation over. */
void oplog_append(struct oplog *log, const struct log_entry *entry);

/* Returns the entry of an op number that is in the log, borrowed. */
struct log_entry *oplog_at(const struct oplog *log, uint64_t number);

#endif
